"""Distances by a function of the caller: compiled where Numba can, else in Python, and said so."""

from __future__ import annotations

import inspect
import itertools
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, contiguous
from ._kernels.jit import functions
from ._kernels.pool import run_cfunc
from ._metrics import similarity_dtype

Array = npt.NDArray[Any]
Metric = Callable[..., float]


class Uncompiled:
    """Why a metric runs in Python."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def custom_distances(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None,
    metric: Metric,
    kwds: dict[str, Any] | None = None,
    *,
    condensed: bool = False,
    out: Any = None,
) -> Any:
    """metric(x_i, y_j, **kwds) for all pairs of rows.

    With Y None the pairs of X: i < j as a condensed vector (`condensed`, as of `pdist`), or i <= j
    and mirrored. The metric gets contiguous rows of the dtype that is returned: float32 if X and Y
    are float32, float16, int8 or uint8, else float64. Where it raises, its exception comes out and
    `out` is as before.
    """
    kwds = kwds or {}  # not **kwds: the metric may have a parameter of any name
    x = as_array(X, "X")
    y = x if Y is None else as_array(Y, "Y")
    dtype = np.result_type(similarity_dtype(x.dtype, "X"), similarity_dtype(y.dtype, "Y"))
    x_rows = contiguous(x, dtype)
    y_rows = x_rows if y is x else contiguous(y, dtype)
    if not isinstance(metric, types.FunctionType):
        # One that Numba has compiled may write to its arguments, whatever they are.
        x_rows, y_rows = (
            rows if rows.flags.writeable else rows.copy() for rows in (x_rows, y_rows)
        )
    shape: tuple[int, ...] = (len(x), len(y))
    if condensed:
        shape = (len(x) * (len(x) - 1) // 2,)
    target = check_out(out, shape, dtype)
    result = np.empty(shape, dtype)  # not `out`: a metric that raises must leave it alone
    _fill(result, x_rows, y_rows, metric, kwds, condensed, Y is None)
    return as_result(result, dtype, target)


def _fill(
    out: Array, x: Array, y: Array, metric: Metric, kwds: dict[str, Any], condensed: bool, one: bool
) -> None:
    if out.size == 0:
        return
    loop = _loop_of(metric, out.dtype, kwds)
    if isinstance(loop, Uncompiled):
        warnings.warn(
            f"the metric {functions.name_of(metric)} runs in Python, a few hundred times slower "
            f"than compiled: {loop.reason}",
            RuntimeWarning,
            stacklevel=4,
        )
        _fill_in_python(out, x, y, metric, kwds, condensed, one)
        return
    from ._kernels.jit.metric import COLUMNS, CONDENSED, CONTEXT, FULL, SYMMETRIC

    shape = CONDENSED if condensed else SYMMETRIC if one else FULL
    n_blocks = -(-len(y) // COLUMNS)
    failed = np.zeros(len(x) * n_blocks, np.int64)
    arrays = (x, y, out, failed)
    facts = [*(array.ctypes.data for array in arrays), len(x), len(y), x.shape[1], shape]
    assert len(facts) == len(CONTEXT)
    context = np.array(facts, np.int64)
    work_ns = out.size * (10.0 + 1.0 * x.shape[1])
    run_cfunc(loop.address, context.ctypes.data, len(failed), 1, work_ns)
    items = np.flatnonzero(failed)
    if len(items):
        i, j = int(items[0]) // n_blocks, int(failed[items[0]]) - 1
        metric(x[i], y[j], **kwds)
        warnings.warn(
            f"the metric {functions.name_of(metric)} runs in Python: compiled it raised for rows "
            f"{i} and {j}, where it does not in Python",
            RuntimeWarning,
            stacklevel=4,
        )
        _fill_in_python(out, x, y, metric, kwds, condensed, one)


def _fill_in_python(
    out: Array, x: Array, y: Array, metric: Metric, kwds: dict[str, Any], condensed: bool, one: bool
) -> None:
    if condensed:
        for at, (a, b) in enumerate(itertools.combinations(x, 2)):
            out[at] = metric(a, b, **kwds)
        return
    for i, a in enumerate(x):
        for j in range(i if one else 0, len(y)):
            out[i, j] = metric(a, y[j], **kwds)
            if one:
                out[j, i] = out[i, j]


# ---- compiling ----


def _loop_of(metric: Any, dtype: np.dtype[Any], kwds: dict[str, Any]) -> Any:
    """The compiled loop over pairs, or Uncompiled: kept until what the metric means changes."""
    parameters = tuple((name, functions.key_of(value)) for name, value in kwds.items())
    key = _compile, functions.key_of(metric), dtype.char, parameters
    return functions.keep(key, lambda: _compile(metric, dtype, kwds))


def _compile(metric: Any, dtype: np.dtype[Any], kwds: dict[str, Any]) -> Any:
    from ._kernels.jit.metric import compile_loop, is_compiled

    function = getattr(metric, "py_func", metric)
    if not isinstance(function, types.FunctionType) or not (
        function is metric or is_compiled(metric)
    ):
        return Uncompiled(f"it is a {type(metric).__name__}, expected a plain function")
    try:
        bound = inspect.signature(function).bind(None, None, **kwds)
    except TypeError as error:
        return Uncompiled(f"its parameters do not fit: {error}")
    bound.apply_defaults()
    if bound.kwargs:
        return Uncompiled("it has keyword-only parameters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Numba's remarks on the caller's code
            return compile_loop(metric, dtype, bound.args[2:])
    except Exception as error:  # the compiler's, of many kinds: none of the caller's code has run
        return Uncompiled(f"{type(error).__name__}: {functions.reason_of(error)}")
