"""Arguments of `calculus`: problems of one number, points, functions; and how they are run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype

Function = Callable[..., Any]


def points_of(x: Any, name: str) -> tuple[npt.NDArray[Any], np.dtype[Any]]:
    """x as float64, and the dtype of the result: float32 for float16 and float32.

    No copy where x is that already: to be read only. (To Numba a read-only array is of another
    type, for which everything would be compiled again.)
    """
    array = as_array(x, name)
    dtype = computing_dtype(array.dtype, name)
    return np.require(array, np.float64, ["C", "A", "W"]), dtype


def problems(
    names: tuple[str, ...], values: tuple[Any, ...], args: Any
) -> tuple[tuple[int, ...], np.dtype[Any], list[npt.NDArray[Any]], tuple[npt.NDArray[Any], ...]]:
    """Scalar problems: the common shape, the dtype, `values` and `args` as one line each."""
    if not isinstance(args, tuple):
        raise TypeError(f"args is a {type(args).__name__}; expected a tuple")
    pairs = [points_of(value, name) for name, value in zip(names, values, strict=True)]
    extras = [as_array(arg, f"args[{i}]") for i, arg in enumerate(args)]
    for i, extra in enumerate(extras):
        if extra.dtype.kind not in "biufc":
            raise TypeError(f"args[{i}] has dtype {extra.dtype}; expected numbers")
    try:
        shape = np.broadcast_shapes(*(a.shape for a, _ in pairs), *(a.shape for a in extras))
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in [*(a for a, _ in pairs), *extras])
        raise ValueError(
            f"{' and '.join(names)} and args have the shapes {shapes}; "
            "expected shapes that broadcast against each other"
        ) from None
    lines = [as_line(a, shape) for a, _ in pairs]
    more = tuple(as_line(native(extra), shape) for extra in extras)
    dtype = np.result_type(*(dtype for _, dtype in pairs))
    return shape, dtype, lines, more


def as_line(x: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """x broadcast to the shape, as one line that may be written to."""
    line = (x if x.shape == shape else np.broadcast_to(x, shape)).reshape(-1)
    return np.require(line, None, ["C", "A", "W"])


def packs(
    args: tuple[Any, ...], lines: tuple[npt.NDArray[Any], ...], n: int
) -> tuple[Any, ...] | None:
    """The arguments for packs of problems: lines filled up to n items with their last one, and
    what is the same for all problems as a number. None where some do not go into packs."""
    if any(
        np.ndim(arg) and line.dtype != np.float64 for arg, line in zip(args, lines, strict=True)
    ):
        return None
    return tuple(
        filled(line, n) if np.ndim(arg) else native(np.asarray(arg))[()]
        for arg, line in zip(args, lines, strict=True)
    )


def filled(line: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    """The line with its last item repeated until there are n."""
    return line if line.size == n else np.concatenate([line, np.repeat(line[-1:], n - line.size)])


def native(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """In the machine's byte order, aligned, float16 widened: what Numba takes."""
    dtype = np.dtype(np.float64) if x.dtype == np.float16 else x.dtype.newbyteorder("=")
    return np.require(x, dtype, ["C", "A"])


def vectors(x: Any) -> tuple[npt.NDArray[Any], tuple[int, ...], np.dtype[Any]]:
    """x as a batch of vectors, its leading shape and the dtype of the result."""
    points, dtype = points_of(x, "x")
    if points.ndim == 0:
        raise ValueError("x has no axis; expected one point (n,) or a batch (..., n)")
    if points.shape[-1] == 0:
        raise ValueError(f"x has shape {points.shape}; expected at least one variable")
    n_points = points.size // points.shape[-1]
    rows = points.reshape(n_points, points.shape[-1])
    return np.ascontiguousarray(rows), points.shape[:-1], dtype


def checked(function: Any, name: str) -> Function:
    if not callable(function):
        raise TypeError(f"{name} is a {type(function).__name__}; expected a function")
    return function  # type: ignore[no-any-return]


def returning(function: Function, name: str, n_axes: int = 0) -> Function:
    """The function in Python, with an error unless it returns real numbers of so many axes."""

    def checked_result(*args: Any) -> Any:
        y = function(*args)
        if np.ndim(y) != n_axes:
            expected = "a vector" if n_axes else "a number"
            raise ValueError(f"{name} returns shape {np.shape(y)}; expected {expected}")
        if y is None or np.iscomplexobj(y):
            raise TypeError(f"{name} returns {np.asarray(y).dtype}; expected real numbers")
        return y

    return checked_result


def checked_method(method: Any) -> Any:
    if method not in ("auto", "dual", "difference"):
        raise ValueError(f"method is {method!r}; expected 'auto', 'dual' or 'difference'")
    return method


def vector_args(args: Any) -> tuple[Any, ...]:
    """Arguments of a function of a vector: arrays as Numba takes them, the rest untouched."""
    if not isinstance(args, tuple):
        raise TypeError(f"args is a {type(args).__name__}; expected a tuple")
    return tuple(native(arg) if isinstance(arg, np.ndarray) else arg for arg in args)


def run(
    make: Any,
    functions_of_caller: tuple[Function | None, ...],
    constants: tuple[Any, ...],
    n_items: int,
    context: tuple[Any, ...],
    again: Callable[[int], Any],
    in_python: tuple[Function | None, ...],
) -> None:
    """Run a kernel, compiled or else, with a warning, as Python."""
    from ._kernels.jit import functions

    try:
        functions.run(make, functions_of_caller, constants, n_items, context, again)
    except functions.NotCompilable as error:
        if n_items:
            again(0)  # an error of the caller's, then, comes without the warning
        functions.warn_python(functions_of_caller[0], str(error), 3)
        functions.run_python(make, in_python, constants, n_items, context)


def shaped(shape: tuple[int, ...], *lines: npt.NDArray[Any]) -> tuple[Any, ...]:
    """Arrays of that shape; numbers where it is ()."""
    return tuple(line.reshape(shape)[()] for line in lines)
