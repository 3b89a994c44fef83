"""Distances by a function of the caller: compiled where Numba can, else in Python, and said so."""

from __future__ import annotations

import inspect
import itertools
import types
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, computing_dtype, contiguous
from ._kernels.pool import run_cfunc

Array = npt.NDArray[Any]
Metric = Callable[..., float]

# Compiled loops, or the reason why there is none, per function: by dtype, parameters and by what
# the function captured, which is frozen into the machine code.
_loops: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


class Uncompiled:
    """Why a metric runs in Python."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def custom_distances(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None,
    metric: Metric,
    *,
    condensed: bool = False,
    out: Any = None,
    **kwds: Any,
) -> Any:
    """metric(x_i, y_j, **kwds) for all pairs of rows.

    With Y None the pairs of X: i < j as a condensed vector (`condensed`, as of `pdist`), or i <= j
    and mirrored. The metric gets contiguous rows of the dtype that is returned: float32 if X and Y
    are float32, float16, int8 or uint8, else float64. Where it raises, its exception comes out and
    `out` is as before.
    """
    x = as_array(X, "X")
    y = x if Y is None else as_array(Y, "Y")
    dtype = np.result_type(_row_dtype(x.dtype, "X"), _row_dtype(y.dtype, "Y"))
    x_rows = contiguous(x, dtype)
    y_rows = x_rows if y is x else contiguous(y, dtype)
    shape: tuple[int, ...] = (len(x), len(y))
    if condensed:
        shape = (len(x) * (len(x) - 1) // 2,)
    target = check_out(out, shape, dtype)
    result = np.empty(shape, dtype)  # not `out`: a metric that raises must leave it alone
    _fill(result, x_rows, y_rows, metric, kwds, condensed, Y is None)
    return as_result(result, dtype, target)


def _row_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    small = dtype.kind in "iu" and dtype.itemsize == 1
    return np.dtype(np.float32) if small else computing_dtype(dtype, name)


def _fill(
    out: Array, x: Array, y: Array, metric: Metric, kwds: dict[str, Any], condensed: bool, one: bool
) -> None:
    if out.size == 0:
        return
    loop = _loop_of(metric, out.dtype, kwds)
    if isinstance(loop, Uncompiled):
        warnings.warn(
            f"the metric {_name(metric)} runs in Python, a few hundred times slower than compiled: "
            f"{loop.reason}",
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
            f"the metric {_name(metric)} runs in Python: compiled it raised for rows {i} and {j}, "
            "where it does not in Python",
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


def _name(metric: Any) -> str:
    return str(getattr(metric, "__name__", None) or type(metric).__name__)


def _loop_of(metric: Any, dtype: np.dtype[Any], kwds: dict[str, Any]) -> Any:
    """The compiled loop over pairs, or Uncompiled."""
    try:
        loops = _loops.setdefault(metric, {})
    except TypeError:
        return Uncompiled(f"it is of {type(metric)}, expected a function")
    key = (dtype.char, _frozen(kwds), _frozen(_captured(metric)))
    if key not in loops:
        loops[key] = _compile(metric, dtype, kwds)
    return loops[key]


def _captured(metric: Any) -> dict[str, Any]:
    """The global variables and those of enclosing functions that a function uses."""
    function = getattr(metric, "py_func", metric)
    if not isinstance(function, types.FunctionType):
        return {}
    code = function.__code__
    values = {name: function.__globals__.get(name) for name in code.co_names}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not bound yet
            values[name] = None
    return values


def _frozen(value: Any) -> Any:
    """A key that changes when the value does; for objects of other types their identity."""
    if isinstance(value, dict):
        return tuple((name, _frozen(item)) for name, item in value.items())
    if isinstance(value, (tuple, list)):
        return (type(value), *map(_frozen, value))
    if isinstance(value, np.ndarray) and value.dtype != object:
        return (value.dtype, value.shape, hash(value.tobytes()))
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None), np.generic)):
        return (type(value), repr(value))
    return id(value)


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
        return Uncompiled(f"{type(error).__name__}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    """The line of Numba's message that tells what it could not compile."""
    lines = [line.strip() for line in str(error).splitlines()]
    useful = [
        line
        for line in lines
        if line and not line.startswith(("Failed in", "- Resolution", "During:", "There are"))
    ]
    return useful[0] if useful else "no reason given"
