"""The way of numpy.linalg's arguments to the kernels for small matrices, or back to NumPy.

What the kernels do not take (complex, longdouble, empty or large matrices, subclasses, bad shapes)
goes to the namesake in numpy.linalg, which computes or raises. So do single matrices with a NaN or
an infinity in the functions that do not iterate. Those that do raise the error for an iteration
that does not converge, whatever the size and dtype: so does NumPy mostly, but LAPACK's SVD of a
3 x 3 matrix with an infinity was seen to run for ever, and eigh of [[nan, 1], [1, 1]] to give -1.41
and 1.41.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, contiguous
from ._kernels.small import LARGEST

Array = npt.NDArray[Any]


def has_override(x: Any) -> bool:
    """Whether `x` brings array functions or a class of its own, which NumPy would honour."""
    kind = type(x)
    if issubclass(kind, np.ndarray):
        return kind is not np.ndarray and kind is not np.memmap
    return hasattr(kind, "__array_function__") or hasattr(x, "__array_wrap__")


def small_arrays(*operands: tuple[Any, str]) -> list[Array] | None:
    """The operands as the kernels take them, in one dtype; None where NumPy is to do it."""
    arrays = []
    for x, name in operands:
        if not isinstance(x, np.ma.MaskedArray) and has_override(x):
            return None
        array = as_array(x, name)
        if array.dtype.kind not in "fbiu" or (
            array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8)
        ):
            return None
        arrays.append(array)
    single = all(array.dtype.char == "f" for array in arrays)
    dtype = np.dtype(np.float32 if single else np.float64)
    return [contiguous(array, dtype) for array in arrays]


def is_small(x: Array) -> bool:
    """A stack of matrices that are neither empty nor larger than the kernels take."""
    return x.ndim >= 2 and min(x.shape[-2:]) > 0 and max(x.shape[-2:]) <= LARGEST


def complete(
    results: Any, bad: Array, from_numpy: Callable[..., Any], *stacks: Array
) -> tuple[Array, ...]:
    """Puts NumPy's results for the matrices where `bad` into those of the kernels."""
    parts = results if isinstance(results, tuple) else (results,)
    wanted = from_numpy(*(x[bad] for x in stacks))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for part, value in zip(parts, wanted, strict=True):
        part[bad] = value
    return parts


def lacks_numbers(x: Array) -> Array:
    """Which matrices of a stack hold a NaN or an infinity."""
    return np.asarray(~np.isfinite(x).all(axis=(-2, -1)))


def check_converges(a: Any, failure: str, triangle: str = "") -> None:
    """LinAlgError where LAPACK would iterate on a NaN or an infinity; of one triangle, L or U."""
    if has_override(a):
        return
    x = np.asarray(a)
    if x.ndim < 2 or not (x.dtype.char in "fdFD" or x.dtype.name == "bfloat16"):
        return  # NumPy says what is wrong
    if triangle and x.shape[-1] != x.shape[-2]:
        return
    finite = np.isfinite(x)
    if triangle and not finite.all():
        unread = np.tri(*x.shape[-2:]) == 0
        finite |= unread if triangle == "L" else np.swapaxes(unread, -1, -2)
    if not finite.all():
        raise np.linalg.LinAlgError(failure)


def unary(
    a: Any,
    plain: Callable[..., Any],
    from_numpy: Callable[..., Any],
    options: tuple[Any, ...] = (),
    *,
    square: bool = True,
    failure: str = "",
) -> Any:
    """A function of one stack where its arguments were not plain.

    plain(x, *options, partial) is the kernel and from_numpy(x) what NumPy does. failure: the
    message of the LinAlgError for matrices with a NaN or an infinity; without one they are NumPy's.
    """
    arrays = small_arrays((a, "a"))
    if arrays is None:
        return from_numpy(a)
    (x,) = arrays
    if not is_small(x) or (square and x.shape[-1] != x.shape[-2]):
        return from_numpy(x)
    results = plain(x, *options, not failure)
    if failure:
        if results is None:
            raise np.linalg.LinAlgError(failure)
        return results
    bad = lacks_numbers(x)
    if not bad.any():
        return results
    if x.ndim == 2:
        return from_numpy(x)
    parts = complete(results, bad, from_numpy, x)
    return parts if isinstance(results, tuple) else parts[0]
