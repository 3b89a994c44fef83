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
BLOCK_ITEMS = 1 << 18  # differences that are held at once


def mend_power_sums(name: str, x: Array, y: Array, weights: Array, p: float, out: Array) -> None:
    """`out` has the distances of one of `_metric_forms.POWER_SUMS`; p counts for minkowski."""
    order = p if name == "minkowski" else 2.0
    limits = np.finfo(out.dtype)
    least_sum = float(limits.smallest_normal) / float(limits.eps) * x.shape[1]
    low = least_sum if name == "sqeuclidean" else least_sum ** (1 / order)
    if not out.size or _is_inside(out, low, x is y):
        return
    strange: Any = (out < low) | (out == np.inf)
    if name != "nan_euclidean":
        strange |= np.isnan(out)
        strange &= np.isfinite(x).all(axis=1, keepdims=True) & np.isfinite(y).all(axis=1)
    if _zeros_are_exact(x, y, weights, least_sum, order):
        strange &= out != 0
    rows, columns = np.nonzero(strange)
    step = max(1, BLOCK_ITEMS // x.shape[1])
    for first in range(0, len(rows), step):
        i, j = rows[first : first + step], columns[first : first + step]
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


def _zeros_are_exact(x: Array, y: Array, weights: Array, least_sum: float, order: float) -> bool:
    """Whether different rows cannot have a sum of 0: no element is so small.

    Different numbers of which one is at least t differ by t eps / 4 or more.
    """
    positive = weights[weights > 0]
    if not len(positive):
        return True
    least = (least_sum / float(positive.min())) ** (1 / order) * 4 / float(np.finfo(x.dtype).eps)
    for rows in (x,) if y is x else (x, y):
        sizes = np.abs(rows)
        if ((sizes > 0) & (sizes < least)).any():
            return False
    return True


def _power_sums(x: Array, y: Array, weights: Array, order: float, is_partial: bool) -> Array:
    """(sum of w |x - y|^p)^(1/p) of pairs of rows; is_partial: nan_euclidean."""
    with np.errstate(all="ignore"):
        sizes = np.abs(x.astype(np.float64) / 4 - y.astype(np.float64) / 4)
        missing = np.isnan(sizes) if is_partial else None
        if missing is not None:
            sizes[missing] = 0
        sizes[:, weights == 0] = 0
        largest = sizes.max(axis=1)
        scale = np.where(largest > 0, largest, 1)
        sums = ((sizes / scale[:, None]) ** order * weights).sum(axis=1)
        if missing is not None:
            n_features = sizes.shape[1]
            sums *= n_features / (n_features - missing.sum(axis=1))
        return np.asarray(sums ** (1 / order) * scale * 4)
