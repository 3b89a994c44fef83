"""The gate: what comes from the caller becomes arrays that the kernels take, or a clear error.

Kernels take aligned float32 or float64 in the machine's byte order. Here everything else that
`np.asarray` accepts is converted, and everything that would give a wrong answer is refused.
Every error names the argument, what came, and what was wanted.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[Any]


def is_sparse(x: Any) -> bool:
    """Whether x is a scipy.sparse matrix or array, without importing scipy.sparse to find out."""
    if type(x) is np.ndarray or not any(
        kind.__module__.startswith("scipy.sparse") for kind in type(x).__mro__
    ):
        return False
    from scipy import sparse

    return bool(sparse.issparse(x))


def as_array(x: Any, name: str) -> npt.NDArray[Any]:
    """np.asarray, but a masked array is refused: dropping its mask would be a wrong answer."""
    if type(x) is np.ndarray:
        return x
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be lost; "
            f"expected a plain array (use {name}.filled(value) or {name}.compressed())"
        )
    if is_sparse(x):
        raise TypeError(
            f"{name} is a sparse {type(x).__name__}; expected an array (use {name}.toarray())"
        )
    return np.asarray(x)


def computing_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """float32 for float16, bfloat16 and float32; float64 for float64, integers and bool."""
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
    if dtype.kind in "biu":
        return np.dtype(np.float64)
    if dtype.name == "bfloat16":
        return np.dtype(np.float32)
    raise TypeError(
        f"{name} has dtype {dtype}; expected a floating (up to 64 bits), integer or boolean dtype"
    )


def floating(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """The dtype of a result from an argument of this one."""
    computed = computing_dtype(dtype, name)
    return computed if dtype.kind in "biu" else dtype.newbyteorder("=")


def ready(x: npt.NDArray[Any], dtype: np.dtype[Any]) -> FloatArray:
    """x as kernels take it: `dtype`, native, aligned, strides of whole elements; x itself if so."""
    if x.dtype == dtype and x.dtype.isnative:
        flags = x.flags
        if flags.aligned and (
            flags.c_contiguous or all(stride % dtype.itemsize == 0 for stride in x.strides)
        ):
            return x
    return x.astype(dtype)


def contiguous(x: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """x as kernels without strides take it: as `ready`, and in C order; 0-d becomes (1,)."""
    return np.ascontiguousarray(ready(x, np.dtype(dtype)))


def as_result(x: FloatArray, dtype: np.dtype[Any], out: npt.NDArray[Any] | None) -> Any:
    """The computed x as the caller asked for it: in `out`, or as a new array of `dtype`."""
    if out is None:
        return x if x.dtype == dtype else x.astype(dtype)
    if out is not x:
        np.copyto(out, x, casting="same_kind")
    return out


def check_out(
    out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "out"
) -> npt.NDArray[Any] | None:
    """`out` if it can receive a result of this shape and dtype; ValueError or TypeError if not."""
    if out is None:
        return None
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"{name} is {type(out).__name__}; expected a numpy.ndarray")
    if out.shape != shape:
        raise ValueError(f"{name} has shape {out.shape}; expected {shape}")
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"{name} has dtype {out.dtype}; expected one that holds {dtype}")
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only; expected a writeable array")
    return out


def receives(
    out: npt.NDArray[Any] | None, dtype: np.dtype[Any], *inputs: npt.NDArray[Any]
) -> TypeGuard[npt.NDArray[Any]]:
    """Whether a kernel may write straight into `out`: C order, native, apart from the inputs."""
    return (
        out is not None
        and out.dtype == dtype
        and out.dtype.isnative
        and out.flags.carray
        and not any(np.may_share_memory(out, x) for x in inputs)
    )


def normalize_axes(axis: Any, ndim: int, name: str = "axis") -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative numbers; None means all of them."""
    if axis is None:
        return tuple(range(ndim))
    wanted: Sequence[Any] = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = []
    for item in wanted:
        try:
            at = operator.index(item)
        except TypeError:
            raise TypeError(
                f"{name} is {axis!r}; expected None, an integer or a tuple of integers"
            ) from None
        if not -ndim <= at < ndim:
            raise np.exceptions.AxisError(at, ndim, name)
        axes.append(at % ndim)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name} is {axis!r}; expected each axis once")
    return tuple(sorted(axes))
