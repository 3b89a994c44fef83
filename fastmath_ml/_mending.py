"""Distances whose sums of powers left the range of their dtype, once more and scaled.

Kernels add up w |x - y|^p as it comes. Where a sum is infinite, or so small that terms may have
been lost below the smallest normal number, the pair is computed again in float64, its differences
divided by the largest. The sum decides, so that a distance depends on its two rows alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._kernels.order_statistics import extent

Array = npt.NDArray[Any]
CHUNK_ITEMS = 1 << 16  # distances that are looked at at once
BLOCK_ITEMS = 1 << 18  # differences that are held at once


def mend_power_sums(name: str, x: Array, y: Array, weights: Array, p: float, out: Array) -> None:
    """`out` has the distances of one of `_metric_forms.POWER_SUMS`; p counts for minkowski."""
    if not out.size or not np.isfinite(weights).all():  # what is infinite then is so by definition
        return
    order = p if name == "minkowski" else 1.0 if name == "cityblock" else 2.0
    limits = np.finfo(out.dtype)
    # A power may have lost bits before a large weight made it count.
    least_sum = float(limits.smallest_normal) / float(limits.eps) * x.shape[1]
    least_sum *= max(1.0, float(weights.max(initial=0)))
    low = least_sum if name == "sqeuclidean" else least_sum ** (1 / order)
    if _is_inside(out, low, x is y):
        return
    is_partial = name == "nan_euclidean"
    zeros_are_exact = _zeros_are_exact(x, y, weights, order)
    x_finite: Any = np.isfinite(x).all(axis=1)
    y_finite: Any = np.isfinite(y).all(axis=1)
    for first in range(0, len(out), step := max(1, CHUNK_ITEMS // out.shape[1])):
        part = out[first : first + step]
        inside = (part >= low) & (part < np.inf)
        if inside.all():
            continue
        # np.nonzero takes six times as long.
        i, j = np.divmod(np.flatnonzero(~inside), out.shape[1])
        values = part[i, j]
        strange: Any = values == values if is_partial else x_finite[first + i] & y_finite[j]
        if zeros_are_exact:
            strange &= values != 0
        i, j = i[strange], j[strange]
        size = max(1, BLOCK_ITEMS // x.shape[1])
        for at in range(0, len(i), size):
            pairs = i[at : at + size], j[at : at + size]
            _mend_pairs(name, x[first : first + step], y, *pairs, weights, order, part)


def _mend_pairs(
    name: str, x: Array, y: Array, i: Any, j: Any, weights: Array, order: float, out: Array
) -> None:
    """out[i, j] once more; 0 where no feature that counts differs."""
    differ = (x[i] != y[j])[:, weights > 0].any(axis=1)
    out[i[~differ], j[~differ]] = 0
    i, j = i[differ], j[differ]
    found = _power_sums(x[i], y[j], weights, order, name == "nan_euclidean")
    with np.errstate(over="ignore", under="ignore"):
        out[i, j] = found**2 if name == "sqeuclidean" else found


def largest_size(rows: Array) -> float:
    """The largest magnitude; NaN if there is a NaN."""
    if not rows.size:
        return 0.0
    least, largest = extent(np.ascontiguousarray(rows).reshape(-1))
    return max(-least, largest)


def _is_inside(out: Array, low: float, one_set: bool) -> bool:
    """Whether all distances are finite and at least `low`, those of rows to themselves aside."""
    if not out.flags.c_contiguous:
        return False
    flat = out.reshape(-1)
    diagonal = flat[:: len(out) + 1] if one_set else flat[:0]
    kept = diagonal.copy()
    diagonal[kept == 0] = 1
    least, largest = extent(flat)
    diagonal[...] = kept
    return bool(least >= low and largest < math.inf)


def _zeros_are_exact(x: Array, y: Array, weights: Array, order: float) -> bool:
    """Whether different rows cannot have a sum of 0: no element is so small.

    Different numbers of which one is at least t differ by t eps / 4 or more.
    """
    positive = weights[weights > 0]
    if not len(positive):
        return True
    limits = np.finfo(x.dtype)
    least_power = float(limits.smallest_normal) / min(1.0, float(positive.min()))
    least = least_power ** (1 / order) * 4 / float(limits.eps)
    for rows in (x,) if y is x else (x, y):
        sizes = np.abs(rows)
        if ((sizes > 0) & (sizes < least)).any():
            return False
    return True


def _power_sums(x: Array, y: Array, weights: Array, order: float, is_partial: bool) -> Array:
    """(sum of w |x - y|^p)^(1/p) of pairs of rows; is_partial: nan_euclidean."""
    with np.errstate(all="ignore"):
        x, y = x.astype(np.float64), y.astype(np.float64)
        sizes, unit = np.abs(x - y), np.ones(len(x))
        large = np.isinf(sizes).any(axis=1)
        if large.any():
            sizes[large], unit[large] = np.abs(x[large] / 4 - y[large] / 4), 4.0
        missing = np.isnan(sizes) if is_partial else None
        if missing is not None:
            sizes[missing] = 0
        sizes[:, weights == 0] = 0
        # Each with its weight, in units of the largest: mantissas and exponents go apart.
        exponents = 0
        if order >= 1:
            sizes, exponents = np.frexp(sizes)
            roots, root_exponents = np.frexp(weights ** (1 / order))
            sizes, exponents = sizes * roots, exponents + root_exponents
            weights = np.ones(1)
            exponents[sizes == 0] = np.iinfo(exponents.dtype).min // 2
            top = exponents.max(axis=1)
            sizes = np.ldexp(sizes, exponents - top[:, None])
        largest = sizes.max(axis=1)
        scale = np.where(largest > 0, largest, 1)
        sums = ((sizes / scale[:, None]) ** order * weights).sum(axis=1)
        if missing is not None:
            n_features = sizes.shape[1]
            sums *= n_features / (n_features - missing.sum(axis=1))
        found = sums ** (1 / order) * scale * unit
        return np.asarray(np.ldexp(found, top) if order >= 1 else found)
