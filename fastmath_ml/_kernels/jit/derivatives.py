"""Derivatives of the caller's function: by dual numbers, or by differences where those do not fit.

A function of n variables is called once for 16 of its directions (n / 16 calls a gradient); a
Hessian calls it for each row and 16 columns from the diagonal on, its other half being the mirror
image. Each `make` returns a body for one item, see parallel.py.

Differences are central ones, of fourth order but for Hessians, where they are of second: their
error is about 1e-12 of the function's scale for first derivatives, 1e-10 for second ones of one
variable and 1e-8 for Hessians.
"""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from . import dual_elementwise, dual_reductions  # noqa: F401  (for what they register)
from .dual import MAX_LANES, derivative_of, seed
from .dual_arrays import as_sequence, new_duals, seed_item, tangents_into

BLOCK = 64  # scalar problems per item
EPS = float(np.finfo(np.float64).eps)
STEP, STEP_2 = EPS**0.2, EPS ** (1 / 6)
WEIGHTS = ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0))


def items_of(arrays, i):
    """(a[i] for each of the arrays): the arguments of problem i."""
    return tuple(array[i] for array in arrays)


@overload(items_of)
def overload_items_of(arrays, i):
    if len(arrays) == 0:
        return lambda arrays, i: ()
    if len(arrays) == 1:
        return lambda arrays, i: (arrays[0][i],)
    return lambda arrays, i: (arrays[0][i], *items_of(arrays[1:], i))


def lanes_for(n):
    """The lanes that a function of n variables is differentiated in: a power of 2."""
    return min(1 << max(n - 1, 0).bit_length(), MAX_LANES)


# ---- functions of one number ----


def make_derivative(f, order, jit):
    @jit
    def body(block, x, result, args):
        for i in range(block * BLOCK, min(len(x), (block + 1) * BLOCK)):
            result[i] = derivative_of(order, f(seed(order, x[i]), *items_of(args, i)))

    return body


def make_derivative_by_difference(f, order, jit):
    relative_step = STEP if order == 1 else STEP_2

    @jit
    def body(block, x, result, args):
        for i in range(block * BLOCK, min(len(x), (block + 1) * BLOCK)):
            at, more = x[i], items_of(args, i)
            h = (at + relative_step * max(1.0, abs(at))) - at
            up, up_2 = f(at + h, *more), f(at + 2 * h, *more)
            down, down_2 = f(at - h, *more), f(at - 2 * h, *more)
            if order == 1:
                result[i] = (8 * (up - down) - (up_2 - down_2)) / (12 * h)
            else:
                middle = 30 * f(at, *more)
                result[i] = (16 * (up + down) - (up_2 + down_2) - middle) / (12 * h * h)

    return body


# ---- functions of a vector ----


def make_gradient(f, n_lanes, jit):
    @jit
    def body(i, x, result, args):
        n = x.shape[1]
        duals = new_duals(1, n_lanes, n)
        for start in range(0, n, n_lanes):
            for j in range(n):
                seed_item(duals, j, x[i, j], j - start, 0.0)
            tangents_into(result, i, start, min(n_lanes, n - start), f(duals, *args), 1)

    return body


def make_gradient_by_difference(f, n_lanes, jit):
    @jit
    def body(i, x, result, args):
        at = x[i].copy()
        for j in range(len(at)):
            middle = at[j]
            h = (middle + STEP * max(1.0, abs(middle))) - middle
            total = 0.0
            for shift, weight in WEIGHTS:
                at[j] = middle + shift * h
                total += weight * f(at, *args)
                for k in range(len(at)):
                    at[k] = x[i, k]  # f may have written to it
            result[i, j] = total / (12 * h)

    return body


def make_jacobian(f, n_lanes, jit):
    @jit
    def body(i, x, result, args):
        n = x.shape[1]
        duals = new_duals(1, n_lanes, n)
        rows = result[i]
        for start in range(0, n, n_lanes):
            for j in range(n):
                seed_item(duals, j, x[i, j], j - start, 0.0)
            y = as_sequence(f(duals, *args))
            tangents_into(rows, None, start, min(n_lanes, n - start), y, 1)

    return body


def make_jacobian_by_difference(f, n_lanes, jit):
    """Python only: the results of f become arrays here."""

    @jit
    def body(i, x, result, args):
        at = x[i].copy()
        for j in range(len(at)):
            middle = at[j]
            h = (middle + STEP * max(1.0, abs(middle))) - middle
            total = np.zeros(result.shape[1])
            for shift, weight in WEIGHTS:
                at[j] = middle + shift * h
                total += weight * np.asarray(f(at.copy(), *args))
            at[j] = middle
            result[i, :, j] = total / (12 * h)

    return body


def make_hessian(f, n_lanes, jit):
    @jit
    def body(item, x, result, args):
        n = x.shape[1]
        i, row = item // n, item % n
        duals = new_duals(2, n_lanes, n)
        matrix = result[i]
        for start in range(row // n_lanes * n_lanes, n, n_lanes):
            for j in range(n):
                seed_item(duals, j, x[i, j], j - start, 1.0 if j == row else 0.0)
            tangents_into(matrix, row, start, min(n_lanes, n - start), f(duals, *args), 2)
        for j in range(row + 1, n):
            matrix[j, row] = matrix[row, j]

    return body


def make_hessian_by_difference(f, n_lanes, jit):
    """Mixed differences of second order, with the step that balances them against rounding."""
    relative_step = EPS**0.25

    @jit
    def body(item, x, result, args):
        n = x.shape[1]
        i, row = item // n, item % n
        at = x[i].copy()
        h_row = (at[row] + relative_step * max(1.0, abs(at[row]))) - at[row]
        for j in range(row, n):
            h = (x[i, j] + relative_step * max(1.0, abs(x[i, j]))) - x[i, j]
            total = 0.0
            for up_row in (1.0, -1.0):
                for up in (1.0, -1.0):
                    at[row] += up_row * h_row
                    at[j] += up * h
                    total += up_row * up * f(at.copy(), *args)
                    at[row] = x[i, row]
                    at[j] = x[i, j]
            result[i, row, j] = total / (4 * h_row * h)
            result[i, j, row] = result[i, row, j]

    return body
