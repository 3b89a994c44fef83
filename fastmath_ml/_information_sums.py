"""Sums of information along any axes: whatever the kernel does not take as it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._arrays import (
    FloatArray,
    as_array,
    as_result,
    check_out,
    computing_dtype,
    floating,
    normalize_axes,
    ready,
)
from ._kernels.information import ENTROPY, RELATIVE, information_lines
from ._options import number
from ._relative_entropy import entr, rel_entr

NAN_POLICIES = ("propagate", "raise", "omit")


def factor_of(base: Any) -> float:
    """1 / log(base)."""
    if base is None:
        return 1.0
    real = number(base, "base", "[-inf, inf]")
    if real <= 0:
        raise ValueError(f"base is {base!r}; `base` must be a positive number or `None`")
    return 1 / math.log(real) if real != 1 else math.inf


def information_sums(
    kind: int,
    p: tuple[Any, str],
    q: tuple[Any, str],
    base: Any,
    axis: Any,
    keepdims: bool,
    out: Any,
    *,
    nan_policy: str = "propagate",
    normalised: bool = True,
    root: bool = False,
) -> Any:
    """Every pair of arrays and option that the kernel does not take as it is."""
    factor = factor_of(base)
    if nan_policy not in NAN_POLICIES:
        names = ", ".join(map(repr, NAN_POLICIES))
        raise ValueError(f"nan_policy is {nan_policy!r}; expected one of {names}")
    given = [(as_array(x, name), name) for x, name in (p, q) if x is not None]
    dtype = np.result_type(*(computing_dtype(x.dtype, name) for x, name in given))
    result_dtype = np.result_type(*(floating(x.dtype, name) for x, name in given))
    arrays = [np.atleast_1d(ready(x, dtype)) for x, _ in given]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
    except ValueError:
        raise ValueError(
            f"{q[1]} has shape {arrays[1].shape}, {p[1]} {arrays[0].shape}. Array shapes are "
            "incompatible for broadcasting."
        ) from None
    axes = normalize_axes(axis, len(shape))
    kept = tuple(1 if at in axes else n for at, n in enumerate(shape))
    result_shape = kept if keepdims else tuple(n for at, n in enumerate(shape) if at not in axes)
    target = check_out(out, result_shape, result_dtype)
    nothing_left = None
    if nan_policy != "propagate":
        arrays, nothing_left = without_nan(arrays, shape, axes, nan_policy)
    result, are_strange = over_axes(
        kind, arrays, shape, axes, factor, normalised=normalised, root=root
    )
    if are_strange is not None:
        values = by_definition(kind, arrays, shape, axes, normalised, are_strange) * factor
        result[are_strange] = np.sqrt(values) if root else values
    if nothing_left is not None:
        result = np.where(nothing_left, dtype.type(0), result)
    result = result.reshape(result_shape)
    scalar = not result_shape and target is None
    return as_result(result[()] if scalar else result, result_dtype, target)


def without_nan(
    arrays: list[FloatArray], shape: tuple[int, ...], axes: tuple[int, ...], nan_policy: str
) -> tuple[list[FloatArray], Any]:
    """Zeros in place of pairs with NaN, and which distributions have nothing else."""
    is_nan = np.isnan(arrays[0])
    for x in arrays[1:]:
        is_nan = is_nan | np.isnan(x)
    if not is_nan.any():
        return arrays, None
    if nan_policy == "raise":
        raise ValueError("The input contains nan values; nan_policy is 'raise'")
    nothing_left = np.broadcast_to(is_nan, shape).all(axis=axes)
    return [np.where(is_nan, x.dtype.type(0), x) for x in arrays], nothing_left


def over_axes(
    kind: int,
    arrays: list[FloatArray],
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    factor: float,
    *,
    normalised: bool,
    root: bool,
) -> tuple[FloatArray, Any]:
    """The results, without the axes, and where sums were strange (None: nowhere)."""
    ndim = len(shape)
    left = tuple(n for at, n in enumerate(shape) if at not in axes)
    is_empty = 0 in shape
    if is_empty or not axes:
        if not is_empty:
            # One element each: a length of 1 along a new last axis.
            wide = [np.broadcast_to(x, shape)[..., None] for x in arrays]
            return over_axes(
                kind, wide, (*shape, 1), (ndim,), factor, normalised=normalised, root=root
            )
        return np.zeros(left, arrays[0].dtype), None
    if ndim > 1 and all(
        x.shape == shape and x.flags.f_contiguous and not x.flags.c_contiguous for x in arrays
    ):
        # The same memory the other way round.
        flipped = tuple(ndim - 1 - at for at in axes)
        result, are_strange = over_axes(
            kind,
            [x.T for x in arrays],
            shape[::-1],
            flipped,
            factor,
            normalised=normalised,
            root=root,
        )
        return result.T, None if are_strange is None else are_strange.T
    works = []
    for x in arrays:
        # A single q for all lines of p stays what it is.
        is_shared = x is not arrays[0] and axes == (ndim - 1,) and x.shape == shape[-1:]
        every = x[(None,) * (ndim - 1)] if is_shared else np.broadcast_to(x, shape)
        works.append(as_three_axes(every, axes))
    n_outer, _, n_inner = works[0].shape
    out = np.empty((n_outer, n_inner), works[0].dtype)
    second = works[1] if len(works) > 1 else None
    any_strange = information_lines(kind, normalised, root, works[0], second, factor, out)
    result = out.reshape(left)
    return result, np.isnan(result) if any_strange else None


def as_three_axes(x: FloatArray, axes: tuple[int, ...]) -> FloatArray:
    """(n_outer, n, n_inner) in C order, n counting the elements along the axes."""
    if len(axes) > 1:
        order = [at for at in range(x.ndim) if at not in axes] + list(axes)
        x = x.transpose(order)
        n = math.prod(x.shape[x.ndim - len(axes) :])
        return np.ascontiguousarray(x.reshape(-1, n, 1))
    at = axes[0]
    n_inner = math.prod(x.shape[at + 1 :])
    return np.ascontiguousarray(x).reshape(-1, x.shape[at], n_inner)


def by_definition(
    kind: int,
    arrays: list[FloatArray],
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    normalised: bool,
    where: Any,
) -> FloatArray:
    """Sums that are 0, negative, infinite or of numbers too large or small to be multiplied."""
    order = [at for at in range(len(shape)) if at not in axes] + list(axes)
    lines = (np.broadcast_to(x, shape).transpose(order)[where] for x in arrays)
    with np.errstate(all="ignore"):
        p, *others = (x.reshape(len(x), -1).astype(np.float64) for x in lines)
        if normalised:
            p, *others = map(shares_of, (p, *others))
        if kind == ENTROPY:
            terms = entr(p)
        elif kind == RELATIVE:
            terms = rel_entr(p, others[0])
        else:
            q, middle = others[0], p / 2 + others[0] / 2
            terms = rel_entr(p, middle) / 2 + rel_entr(q, middle) / 2
        return np.asarray(terms.sum(axis=1))


def shares_of(x: FloatArray) -> FloatArray:
    """x / sum(x) for each row; scaled first, lest the sum overflow or be denormal."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    scaled = x / np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))
