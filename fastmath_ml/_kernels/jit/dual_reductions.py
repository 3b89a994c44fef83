"""Reductions and products of arrays of duals, and arrays that the caller's function makes.

Importing this registers them with Numba.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from numba.extending import overload, overload_method

from .dual import NUMBERS, OURS
from .dual_arrays import ARRAYS, DualArray, empty_duals, item_like


def sum_of(x):
    total = item_like(x, x, 0.0)
    for i in range(len(x)):
        total += x[i]
    return total


def mean_of(x):
    return sum_of_duals(x) / len(x)


def prod_of(x):
    total = x[0] if len(x) else item_like(x, x, 1.0)
    for i in range(1, len(x)):
        total *= x[i]
    return total


def var_of(x):
    deviations = x - np.mean(x)
    return np.mean(deviations * deviations)


def std_of(x):
    return math.sqrt(np.var(x))


def max_of(x):
    if len(x) == 0:
        raise ValueError("an empty array")
    largest = x[0]
    for i in range(1, len(x)):
        largest = np.maximum(largest, x[i])
    return largest


def min_of(x):
    if len(x) == 0:
        raise ValueError("an empty array")
    least = x[0]
    for i in range(1, len(x)):
        least = np.minimum(least, x[i])
    return least


def sum_of_duals(x):
    """A name for the sum inside of other overloads."""


def reduction(implementation, functions, method=""):
    def of_array(x):
        return implementation if isinstance(x, DualArray) else None

    for function in functions:
        overload(function)(of_array)
    if method:
        overload_method(DualArray, method)(of_array)


reduction(sum_of, [sum_of_duals, np.sum, sum], "sum")
reduction(mean_of, [np.mean], "mean")
reduction(prod_of, [np.prod], "prod")
reduction(max_of, [np.max, np.amax, max], "max")
reduction(min_of, [np.min, np.amin, min], "min")
reduction(var_of, [np.var], "var")
reduction(std_of, [np.std], "std")


def vector_dot(a, b):
    if len(a) != len(b):
        raise ValueError("incompatible array sizes for np.dot(a, b)")
    total = item_like(a, b, 0.0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


def matrix_vector(a, b):
    if a.shape[1] != len(b):
        raise ValueError("incompatible array sizes for np.dot(a, b)")
    result = empty_duals(a, b, a.shape[0])
    for i in range(a.shape[0]):
        total = item_like(a, b, 0.0)
        for j in range(len(b)):
            total += a[i, j] * b[j]
        result[i] = total
    return result


def vector_matrix(a, b):
    return np.dot(b.T, a)


def dot_of_duals(a, b):
    if not (isinstance(a, ARRAYS) and isinstance(b, ARRAYS)):
        return None
    if not (isinstance(a, DualArray) or isinstance(b, DualArray)):
        return None
    return {(1, 1): vector_dot, (2, 1): matrix_vector, (1, 2): vector_matrix}.get((a.ndim, b.ndim))


overload(np.dot)(dot_of_duals)
overload(operator.matmul)(dot_of_duals)
overload_method(DualArray, "dot")(dot_of_duals)


@overload(np.linalg.norm)
def norm_of_duals(x):
    return (lambda x: math.sqrt(np.dot(x, x))) if isinstance(x, DualArray) else None


# ---- arrays that the caller's function makes ----


@overload(np.array)
def array_of_duals(object):
    if not isinstance(getattr(object, "dtype", None), OURS):
        return None

    def fill(object):
        result = empty_duals(object, object, len(object))
        for i in range(len(object)):
            result[i] = object[i]
        return result

    return fill


def like_duals(function, number):
    def filled(a):
        if not isinstance(a, DualArray):
            return None

        def fill(a):
            result = empty_duals(a, a, len(a))
            for i in range(len(a)):
                result[i] = item_like(a, a, number)
            return result

        return fill

    # Numba takes anything that is no array of its own for a number; this one is asked first.
    overload(function, target="cpu")(filled)


like_duals(np.zeros_like, 0.0)
like_duals(np.empty_like, 0.0)
like_duals(np.ones_like, 1.0)


@overload(np.clip, target="cpu")
def clip(a, a_min, a_max):
    if isinstance(a, (DualArray, *OURS, *NUMBERS)):  # Numba's own takes no number
        return lambda a, a_min, a_max: np.minimum(np.maximum(a, a_min), a_max)
    return None
