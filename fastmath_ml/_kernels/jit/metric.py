"""Distances of all pairs of rows by a metric that the caller wrote.

The metric is compiled into the loop over pairs, and the loop into a C function of the pool's
signature: no Python between two pairs, and the same threads as everywhere. An item of the pool is a
row of x with up to COLUMNS rows of y, which stay in the cache for the next row of x.

A metric that raises ends its item and leaves the number of the pair in `failed`; compiled code that
let the exception out would print a message and go on with half an item.

The metric sees rows as contiguous 1-D arrays, read-only where it is compiled here. Divisions follow
NumPy (1 / 0 is infinity), as they do for the elements of arrays in Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, cfunc, float32, float64, int64, intp, njit, types
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

from .functions import jit, names_of, with_compiled_helpers, with_replaced

# What the loop reads from its context, an array of int64.
CONTEXT = ("x", "y", "out", "failed", "n_rows", "n_cols", "n_features", "shape")
# The shapes of the result.
FULL, CONDENSED, SYMMETRIC = 0, 1, 2
COLUMNS = 256


@intrinsic
def pointer_at(context, address, element):
    """The address as a pointer to elements of that type."""
    pointer = types.CPointer(element.dtype)

    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(pointer))

    return pointer(address, element), generate


@intrinsic
def read_only(context, array):
    """The array as one that cannot be written to, like the caller's."""
    kind = array.copy(readonly=True)
    return kind(array), lambda context, builder, signature, args: args[0]


@intrinsic
def as_it_is(context, array):
    return array(array), lambda context, builder, signature, args: args[0]


def is_compiled(function: Any) -> bool:
    return isinstance(function, Dispatcher)


def compile_loop(function: Any, dtype: np.dtype[Any], extra: tuple[Any, ...]) -> Any:
    """The C function that fills a matrix of function(x_i, y_j, *extra); Numba's errors if none."""
    compiled = function
    if not is_compiled(function):
        known = with_compiled_helpers(function)
        if "abs" in names_of(function.__code__) and "abs" not in function.__globals__:
            known = with_replaced(known, {"abs": np.abs})  # Numba's takes no arrays
        compiled = jit(known, nogil=True, fastmath={"contract"}, boundscheck=True)
    if extra:
        metric = compiled

        # Numba has no f(a, b, *extra).
        @njit(nogil=True)
        def with_parameters(a, b):
            return metric(*((a, b) + extra))  # noqa: RUF005

        compiled = with_parameters
    element = float32 if dtype == np.float32 else float64
    # Functions that Numba has compiled before may have been told to expect arrays to write to.
    seen = as_it_is if is_compiled(function) else read_only

    def loop(begin, end, context):
        facts = carray(context, (8,), int64)
        n_rows, n_cols, n_features, shape = facts[4], facts[5], facts[6], facts[7]
        x = seen(carray(pointer_at(facts[0], element), (n_rows, n_features)))
        y = seen(carray(pointer_at(facts[1], element), (n_cols, n_features)))
        out = carray(pointer_at(facts[2], element), (n_rows * n_cols,))
        n_blocks = (n_cols + COLUMNS - 1) // COLUMNS
        failed = carray(pointer_at(facts[3], int64), (n_rows * n_blocks,))
        for item in range(begin, end):
            i = item // n_blocks
            first = item % n_blocks * COLUMNS
            last = min(first + COLUMNS, n_cols)
            start = i * n_cols
            if shape == CONDENSED:
                first = max(first, i + 1)
                start -= (i + 1) * (i + 2) // 2
            elif shape == SYMMETRIC:
                first = max(first, i)
            j = first
            try:
                while j < last:
                    out[start + j] = compiled(x[i], y[j])
                    j += 1
            except Exception:
                failed[item] = j + 1
            if shape == SYMMETRIC:
                for j in range(first, last):
                    out[j * n_cols + i] = out[start + j]

    return cfunc(types.void(intp, intp, types.CPointer(int64)))(loop)
