"""Moments along any axes: from the caller's array to what the kernel takes, and back."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import (
    as_array,
    as_result,
    check_out,
    computing_dtype,
    contiguous,
    floating,
    normalize_axes,
)
from ._kernels.moments import MOST_SHIFTED, moments, scatter_matrix

NoValue: Any = np._NoValue
# NumPy for arguments of types that are known at run time only.
by_numpy: Any = np
MEAN, VAR, STD = 0, 1, 2
# What is converted at once where the dtype or the layout is not the kernel's: elements.
CHUNK = 1 << 20
# From how many elements on a covariance takes one pass, and about how many observations its shift.
ONE_PASS_SIZE, N_SOME = 1 << 20, 64


class Moments(NamedTuple):
    """Of (n_outer, n, n_inner) over the middle axis: float64 arrays (n_outer, n_inner)."""

    count: Any
    mean: Any
    variance: Any


def lines_of(array: npt.NDArray[Any], axes: tuple[int, ...]) -> tuple[npt.NDArray[Any], bool]:
    """`array` as (n_outer, n, n_inner), n all of `axes`, and whether the kept axes are reversed.

    A view where the axes are neighbours in memory, else a copy.
    """
    is_flipped = array.flags.f_contiguous and not array.flags.c_contiguous
    if is_flipped:
        axes = tuple(array.ndim - 1 - at for at in reversed(axes))
        array = array.T
    shape = array.shape
    if not axes:
        return array.reshape(1, 1, -1), is_flipped
    n = math.prod(shape[at] for at in axes)
    if axes[-1] - axes[0] + 1 == len(axes):
        n_outer = math.prod(shape[: axes[0]])
        return array.reshape(n_outer, n, math.prod(shape[axes[-1] + 1 :])), is_flipped
    order = [at for at in range(array.ndim) if at not in axes] + list(axes)
    n_outer = math.prod(shape[at] for at in order[: -len(axes)])
    return array.transpose(order).reshape(n_outer, n, 1), is_flipped


def shaped_back(
    result: Any, shape: tuple[int, ...], axes: tuple[int, ...], is_flipped: bool, keepdims: bool
) -> Any:
    """A flat result of `lines_of` in the shape of the axes that were kept."""
    kept = [n for at, n in enumerate(shape) if at not in axes]
    result = result.reshape(kept[::-1]).T if is_flipped else result.reshape(kept)
    if keepdims:
        return result.reshape([1 if at in axes else n for at, n in enumerate(shape)])
    return result


def chunks_of(x: npt.NDArray[Any], dtype: np.dtype[Any]) -> Iterator[tuple[int, int, int, Any]]:
    """(first outer, its end, first of n, array) as the kernel takes them, about CHUNK elements."""
    n_outer, n, n_inner = x.shape
    if n * n_inner <= CHUNK:
        step = max(CHUNK // (n * n_inner), 1)
        for at in range(0, n_outer, step):
            end = min(at + step, n_outer)
            yield at, end, 0, contiguous(x[at:end], dtype)
        return
    rows = max(CHUNK // n_inner, 1)
    for at in range(n_outer):
        for row in range(0, n, rows):
            part = x[at : at + 1, row : row + rows]
            yield at, at + 1, row, contiguous(part, dtype)


def moments_of(x: npt.NDArray[Any], with_variance: bool, omit: bool) -> Moments:
    """Count, mean and variance (ddof 0) of (n_outer, n, n_inner) over n, for any real dtype."""
    dtype = computing_dtype(x.dtype, "a")
    shape = x.shape[0], x.shape[2]
    result = Moments(np.zeros(shape), np.zeros(shape), np.zeros(shape) if with_variance else None)
    if _is_ready(x, dtype):
        moments(x, result.mean, result.variance, result.count, 0.0, False, omit)
        return result
    for begin, end, row, part in chunks_of(x, dtype):
        at = slice(begin, end)
        size = part.shape[0], part.shape[2]
        new = Moments(np.empty(size), np.empty(size), np.empty(size) if with_variance else None)
        moments(part, new.mean, new.variance, new.count, 0.0, False, omit)
        if row == 0:
            for total, one in zip(result, new, strict=True):
                if total is not None:
                    total[at] = one
        else:
            _merge(result, new, at)
    return result


def features_of(x: npt.NDArray[Any], by_features: bool) -> npt.NDArray[Any]:
    """(n, n_features), or by_features (n_features, n), as `moments_of` reduces over n."""
    return x[:, :, None] if by_features else x[None]


def scatter_about_mean(
    x: npt.NDArray[Any], by_features: bool, out: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """out = sum over observations of (x - mean) (x - mean)^T; the mean of each feature.

    x is (n, n_features) or, by_features, (n_features, n), with unit stride along its last axis.
    Large data are read once, about the mean of some observations from all over them; twice where
    that turns out to be far from the mean of all.
    """
    is_large = x.size >= ONE_PASS_SIZE
    if is_large and len(out) <= MOST_SHIFTED and x.itemsize <= out.itemsize:
        some = x[:, :: -(-x.shape[1] // N_SOME)].T if by_features else x[:: -(-len(x) // N_SOME)]
        with np.errstate(all="ignore"):
            # Of equal numbers exactly that number where long double is wider; else a number of so
            # few digits that most differences from it are exact.
            shift, spread = some.mean(axis=0, dtype=np.longdouble), some.std(axis=0)
            exponent = np.frexp(spread)[1] - 4
            short = np.ldexp(np.rint(np.ldexp(shift, -exponent)), exponent)
            shift = np.where(spread > 0, short, shift).astype(x.dtype).astype(np.float64)
        sums = np.empty_like(shift)
        if scatter_matrix(x, by_features, shift, None, out, sums):
            return np.asarray(shift + sums / x.shape[1 if by_features else 0])
    lines = features_of(x, by_features)
    mean = np.asarray(moments_of(lines, False, False).mean.ravel())
    scatter_matrix(x, by_features, mean, None, out)
    return mean


def _is_ready(x: npt.NDArray[Any], dtype: np.dtype[Any]) -> bool:
    return x.dtype == dtype and x.dtype.isnative and x.flags.c_contiguous and x.flags.aligned


def fits_float64(array: npt.NDArray[Any]) -> bool:
    """Whether its elements are the same numbers in float64: integers of 64 bits need not be."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8:
        return True
    return bool(array.max() <= 1 << 53 and array.min() >= -(1 << 53))


def _merge(total: Moments, new: Moments, at: slice) -> None:
    """total[at] <- total[at] and new together (Chan, Golub and LeVeque)."""
    n_a, n_b = total.count[at], new.count
    n = n_a + n_b
    with np.errstate(invalid="ignore", over="ignore"):
        share = n_b / np.maximum(n, 1)
        mean_a = np.where(n_a > 0, total.mean[at], 0)
        delta = np.where(n_b > 0, new.mean, mean_a) - mean_a
        total.mean[at] = np.where(n > 0, mean_a + delta * share, np.nan)
        if total.variance is not None:
            # Variances are of n_a and n_b elements: weighted they are sums of squares.
            square = np.where(n_a > 0, total.variance[at], 0) * (1 - share)
            square += np.where(n_b > 0, new.variance, 0) * share
            total.variance[at] = square + delta * delta * share * (1 - share)
    total.count[at] = n


def _is_ours(array: npt.NDArray[Any], dtype: Any) -> bool:
    """Whether it is for the kernels: real, up to 64 bits, with a floating result."""
    kind = array.dtype
    real = kind.kind in "biu" or (kind.kind == "f" and kind.itemsize <= 8)
    if array.size == 0 or not (real or kind.name == "bfloat16"):
        return False
    if dtype is None:
        return True
    wanted: np.dtype[Any] = np.dtype(dtype)
    return wanted.kind == "f" and wanted.itemsize <= 8 and wanted.isnative


def _by_numpy(name: str, array: Any, dtype: Any, out: Any, options: dict[str, Any]) -> Any:
    """NumPy's function, in float64 for shorter floats."""
    options = {key: value for key, value in options.items() if value is not NoValue}
    function = getattr(by_numpy, name)
    is_short = array.dtype.kind == "f" and array.dtype.itemsize < 8
    if is_short and dtype is None and out is None:
        result = function(array, dtype=np.float64, **options)
        return result.astype(array.dtype.newbyteorder("="))
    return function(array, dtype=dtype, out=out, **options)


def reduce_moments(
    kind: int,
    omit: bool,
    a: Any,
    axis: Any,
    dtype: Any,
    out: Any,
    ddof: Any,
    keepdims: Any,
    where: Any,
    mean: Any = NoValue,
    correction: Any = NoValue,
) -> Any:
    if correction is not NoValue:
        if not (type(ddof) in (int, float) and ddof == 0):
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    array = as_array(a, "a")
    given_where = where is not NoValue and where is not True
    if given_where or mean is not NoValue or not _is_ours(array, dtype) or np.ndim(ddof):
        name = ("nan" if omit else "") + ("mean", "var", "std")[kind]
        options = {"axis": axis, "keepdims": keepdims, "where": where}
        if kind != MEAN:
            options |= {"ddof": ddof, "mean": mean}
        return _by_numpy(name, array, dtype, out, options)
    own = floating(array.dtype, "a")
    result_dtype = own if dtype is None else np.dtype(dtype)
    axes = normalize_axes(axis, array.ndim)
    keep = keepdims is not NoValue and bool(keepdims)
    shape = tuple(
        1 if at in axes else n for at, n in enumerate(array.shape) if keep or at not in axes
    )
    target = check_out(out, shape, result_dtype)
    if omit and target is not None and target.dtype.kind not in "fc":
        raise TypeError(f"out has dtype {target.dtype}; If a is inexact, then out must be inexact")
    omit = omit and array.dtype.kind not in "biu"
    x, is_flipped = lines_of(array, axes)
    freedom = 0 if kind == MEAN else ddof
    if x.dtype == computing_dtype(x.dtype, "a") and _is_ready(x, result_dtype):
        result = np.empty((x.shape[0], x.shape[2]), x.dtype)
        first, second = (result, None) if kind == MEAN else (None, result)
        is_short = moments(x, first, second, None, freedom, kind == STD, omit)
    else:
        count, means, variances = moments_of(x, kind != MEAN, omit)
        is_short = bool((count <= freedom).any())
        result = means
        if kind != MEAN:
            with np.errstate(invalid="ignore", divide="ignore"):
                result = variances * (count / np.maximum(count - freedom, 0))
            if omit:
                result[count <= freedom] = np.nan
            if kind == STD:
                result = np.sqrt(result)
        with np.errstate(over="ignore"):
            result = result.astype(result_dtype, copy=False)
    if is_short:
        text = "Mean of empty slice" if kind == MEAN else "Degrees of freedom <= 0 for slice"
        text += "." if omit and kind != MEAN else ""
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    result = shaped_back(result, array.shape, axes, is_flipped, keep)
    return as_result(result[()] if target is None else result, result_dtype, target)
