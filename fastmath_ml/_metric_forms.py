"""What kernels take for each metric: the rows as they are compared, and how to fill a matrix.

Of two sets of rows each function makes arrays that have one entry per row (the rows themselves,
their norms, their bits) and a function that fills a matrix from them. Any slices of the arrays give
the same block of the matrix, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import contiguous
from ._kernels.bits import KINDS as BIT_KINDS
from ._kernels.bits import boolean_distances, count_ones
from ._kernels.elementwise import KINDS, metric_distances
from ._kernels.euclidean import euclidean_products
from ._kernels.pairwise import finished_products, row_scales, squared_norms
from ._mending import largest_size, mend_power_sums

Array = npt.NDArray[Any]
Rows = tuple[Array, ...]

# (sum of w |x - y|^p)^(1/p), for p = 2 where it is not minkowski.
POWER_SUMS = ("euclidean", "minkowski", "nan_euclidean", "sqeuclidean")
MOST_NARROW_POWER = 8.0  # of float32
NORM_PADDING = 32  # elements that the Euclidean kernel may read behind the norms


class Prepared(NamedTuple):
    """The entries per row of X and of Y (the same tuple for one set), and fill(x, y, out)."""

    x: Rows
    y: Rows
    fill: Callable[[Rows, Rows, Array], None]


def both(function: Callable[[Array], Array], x: Array, y: Array) -> tuple[Array, Array]:
    """function of x and of y, once where they are one."""
    new_x = function(x)
    return new_x, new_x if y is x else function(y)


def _in_blocks(fill: Callable[[Rows, Rows, Array], None]) -> Callable[[Rows, Rows, Array], None]:
    """fill, over blocks of rows: its temporary matrices stay small."""

    def blocks(x: Rows, y: Rows, out: Array) -> None:
        step = max(1, (1 << 19) // max(1, out.shape[1]))
        for first in range(0, len(out), step):
            fill(tuple(part[first : first + step] for part in x), y, out[first : first + step])

    return blocks


def padded_norms(rows: Array) -> tuple[Array, bool]:
    """(squared norms with the padding that the kernel wants, whether one is out of range)."""
    norms = np.zeros(len(rows) + NORM_PADDING, rows.dtype)
    extreme = squared_norms(rows, norms[: len(rows)])
    return norms, extreme


def of_euclidean(x: Array, y: Array, root: bool) -> Prepared:
    x_rows = (x, padded_norms(x)[0])
    y_rows = x_rows if y is x else (y, padded_norms(y)[0])

    def fill(x: Rows, y: Rows, out: Array) -> None:
        euclidean_products(x[0], x[1], y[0], y[1], out, root)

    return Prepared(x_rows, y_rows, fill)


def unit_rows(x: Array) -> tuple[Array, Array, Array]:
    """(x, 1 / norm of each row, rows of zeros or with NaN or infinity, whose scale is NaN).

    A copy of x where a row's squared norm would over- or underflow: it is scaled first, by a power
    of two, which is exact.
    """
    scales, extreme = row_scales(x)
    odd = np.flatnonzero(scales == 0) if extreme else np.zeros(0, np.intp)
    if not len(odd):
        return x, scales, odd
    largest = np.abs(x[odd]).max(axis=1)
    scaled = np.isfinite(largest) & (largest > 0)
    rows = odd[scaled]
    if len(rows):
        x = x.copy()
        exponents = -np.frexp(largest[scaled])[1]
        with np.errstate(under="ignore"):  # of elements that do not count beside the largest
            x[rows] = np.ldexp(x[rows], exponents[:, None])
        scales[rows] = row_scales(x[rows])[0]
    odd = odd[~scaled]
    scales[odd] = np.nan
    return x, scales, odd


def of_cosine(x: Array, y: Array) -> Prepared:
    x_rows = unit_rows(x)[:2]
    y_rows = x_rows if y is x else unit_rows(y)[:2]

    def fill(x: Rows, y: Rows, out: Array) -> None:
        finished_products(x[0], x[1], y[0], y[1], out, -1.0, 1.0, 0.0, 2.0, 0, 0.0)
        if x[0] is y[0]:
            diagonal = out.reshape(-1)[:: len(out) + 1]
            diagonal[~np.isnan(diagonal)] = 0

    return Prepared(x_rows, y_rows, fill)


def centred(rows: Array, weights: Array | None = None) -> Array:
    """Rows minus their (weighted) means, in float64; a constant row becomes exactly 0.

    Rows near the end of its range are scaled.
    """
    first = 0 if weights is None else int(np.argmax(weights > 0))
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = rows.astype(np.float64, order="C")
        if not largest_size(shifted) <= 1e300:  # NaN in one row says nothing of the others
            shifted[np.abs(shifted).max(axis=1) > 1e300] *= 2.0**-64
        shifted -= shifted[:, first : first + 1].copy()
        if weights is not None:
            shifted[:, weights == 0] = 0
        if weights is None:
            means = shifted.sum(axis=1) / max(1, shifted.shape[1])
        else:
            means = (shifted * weights).sum(axis=1) / weights.sum()
        shifted -= means[:, None]
        return shifted


def narrowed(rows: Array, dtype: np.dtype[Any]) -> Array:
    """Rows of float64 in this dtype, those that would leave its range divided by a power of two."""
    if rows.dtype == dtype:
        return rows
    low, high = 1e-18, 1e18  # far from float32's ends: what is rounded there does not count
    if rows.size:
        sizes = np.abs(rows).max(axis=1)
        odd = np.flatnonzero((sizes > 0) & np.isfinite(sizes) & ~((sizes > low) & (sizes < high)))
        if len(odd):
            rows = rows.copy()
            rows[odd] = np.ldexp(rows[odd], -np.frexp(sizes[odd])[1][:, None])
    with np.errstate(under="ignore"):
        return rows.astype(dtype)


def of_mahalanobis(x: Array, y: Array, inverse: Array) -> Prepared:
    """Euclidean distances of L' x, where VI = L L'; by the definition where VI has no such factor.

    The rows are transformed and subtracted in float64 whatever their dtype.
    """
    factor = _factor_of(inverse / 2 + inverse.T / 2)
    if factor is None:
        return _quadratic_forms(x, y, inverse)
    columns = np.ascontiguousarray(factor.T)

    def transformed(rows: Array) -> Rows:
        wide = rows.astype(np.float64, copy=False)
        turned = np.empty((len(wide), len(columns)))
        # By rows, as ours: a row's bits do not depend on the others.
        finished_products(wide, None, columns, None, turned, 1.0, 0.0, -np.inf, np.inf, 0, 0.0)
        return turned, padded_norms(turned)[0]

    def fill(x: Rows, y: Rows, out: Array) -> None:
        euclidean_products(x[0], x[1], y[0], y[1], out, True)

    x_rows = transformed(x)
    y_rows = x_rows if y is x else transformed(y)
    return _widened(Prepared(x_rows, y_rows, fill), x.dtype)


def _factor_of(matrix: Array) -> Array | None:
    """L of a symmetric matrix L L'; None where it is not finite or not positive semidefinite.

    The matrix is scaled to a diagonal of ones first: features of any units lose nothing.
    """
    diagonal = matrix.diagonal()
    if not np.isfinite(matrix).all() or (diagonal < 0).any() or matrix[diagonal == 0].any():
        return None
    scale = np.sqrt(diagonal)
    scale[scale == 0] = 1
    scaled = matrix / scale / scale[:, None]
    try:
        return np.asarray(scale[:, None] * np.linalg.cholesky(scaled))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(scaled)
    if values[0] < -4 * len(values) * np.finfo(np.float64).eps:
        return None
    return np.asarray(scale[:, None] * (vectors * np.sqrt(np.maximum(values, 0))))


def _quadratic_forms(x: Array, y: Array, inverse: Array) -> Prepared:
    """sqrt((x_i - y_j)' VI (x_i - y_j)), NaN where that is negative."""
    columns = np.ascontiguousarray(inverse.T)

    def fill(x: Rows, y: Rows, out: Array) -> None:
        product = np.empty(y[0].shape)
        for i, row in enumerate(x[0]):
            difference = row - y[0]
            finished_products(
                difference, None, columns, None, product, 1.0, 0.0, -np.inf, np.inf, 0, 0.0
            )
            with np.errstate(invalid="ignore", over="ignore"):
                out[i] = np.sqrt((product * difference).sum(axis=1))

    x_rows = (x.astype(np.float64, copy=False),)
    y_rows = x_rows if y is x else (y.astype(np.float64, copy=False),)
    return Prepared(x_rows, y_rows, fill)


def _widened(prepared: Prepared, dtype: np.dtype[Any]) -> Prepared:
    """Distances that are computed in float64, for a result of this dtype."""
    if dtype == np.float64:
        return prepared

    def fill(x: Rows, y: Rows, out: Array) -> None:
        wide = np.empty(out.shape)
        prepared.fill(x, y, wide)
        with np.errstate(over="ignore"):
            out[...] = wide

    return Prepared(prepared.x, prepared.y, _in_blocks(fill))


def _fits_float32(weights: Array | None) -> bool:
    """Whether no weight, nor the sum of all, over- or underflows; infinity is what it is."""
    if weights is None:
        return True
    limits = np.finfo(np.float32)
    inside = (weights >= limits.smallest_normal) & (weights <= limits.max / len(weights))
    return bool((inside | (weights == 0) | ~np.isfinite(weights)).all())


def near_one(weights: Array) -> Array:
    """Weights whose common factor does not count, divided by a power of two."""
    largest = float(weights.max(initial=0))
    if not 0 < largest < np.inf:
        return weights
    return np.asarray(np.ldexp(weights, -int(np.frexp(largest)[1])))


def distributions(rows: Array) -> Array:
    """Rows divided by their sums; NaN where one is 0. Layout does not change the order of a sum."""
    rows = np.ascontiguousarray(rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((rows / rows.sum(axis=1, dtype=np.float64)[:, None]).astype(rows.dtype))


def of_elements(name: str, x: Array, y: Array, weights: Array | None, p: float) -> Prepared:
    narrow = x.dtype
    if name == "braycurtis" and weights is not None:
        weights = near_one(weights)
    if narrow == np.float32 and not (_fits_float32(weights) and p <= MOST_NARROW_POWER):
        wide_x, wide_y = both(lambda rows: rows.astype(np.float64), x, y)
        return _widened(of_elements(name, wide_x, wide_y, weights, p), narrow)
    squared, is_weighted = name == "sqeuclidean", weights is not None
    kind = KINDS["euclidean" if squared else name]
    total = float(x.shape[1])
    if name == "jensenshannon":
        x, y = both(distributions, x, y)
    elif name == "minkowski" and p == 3:
        kind = KINDS["minkowski_3"]
    elif name == "chebyshev" and weights is not None and not weights.all():
        chosen = weights > 0
        if not chosen.any():
            chosen = np.arange(x.shape[1]) == 0
            x, y = both(np.zeros_like, x, y)
        x, y = both(lambda rows: rows[:, chosen], x, y)
    if weights is None:
        weights = np.ones(x.shape[1])
    elif name == "hamming":
        total = float(weights.sum())
    is_mended = name in POWER_SUMS or (name == "cityblock" and is_weighted)
    exact, weights = weights, contiguous(weights, x.dtype)

    def fill(x: Rows, y: Rows, out: Array) -> None:
        metric_distances(x[0], y[0], weights, kind, p, total, squared, out)
        if is_mended:
            mend_power_sums(name, x[0], y[0], exact, p, out)
        elif name in ("braycurtis", "canberra") and narrow == np.float32:
            _mend_large(x[0], y[0], out)

    def _mend_large(x: Array, y: Array, out: Array) -> None:
        """Rows whose sums may overflow float32, in float64."""
        limit = float(np.finfo(np.float32).max) / (4 * len(exact) * max(1, exact.max()))
        for rows, others, part in ((x, y, out), (y, x, out.T)):
            if largest_size(rows) <= limit:
                continue
            largest = np.abs(rows).max(axis=1)
            large = np.flatnonzero((largest > limit) & np.isfinite(largest))
            wide_others = others.astype(np.float64)
            for at in range(0, len(large), step := max(1, (1 << 19) // len(others))):
                some = large[at : at + step]
                wide = np.empty((len(some), len(others)))
                wide_rows = rows[some].astype(np.float64)
                metric_distances(wide_rows, wide_others, exact, kind, p, total, squared, wide)
                part[some] = wide

    def fill_divergences(x: Rows, y: Rows, out: Array) -> None:
        fill(x, y, out)
        for rows, axis in ((x[0], 0), (y[0], 1)):
            negative = np.flatnonzero((rows < 0).any(axis=1))
            if len(negative):
                block = np.take(out, negative, axis)
                block[~np.isnan(block)] = np.inf
                out[(negative, slice(None)) if axis == 0 else (slice(None), negative)] = np.inf

    x_rows = (x,)
    y_rows = x_rows if y is x else (y,)
    return Prepared(x_rows, y_rows, fill_divergences if name == "jensenshannon" else fill)


def of_bits(name: str, x: Array, y: Array, n_features: int) -> Prepared:
    def bits(rows: Array) -> Rows:
        packed = np.packbits(rows.astype(bool, copy=False), axis=1)
        n_words = max(1, -(-packed.shape[1] // 8))
        words = np.zeros((len(rows), n_words), np.uint64)
        words.view(np.uint8)[:, : packed.shape[1]] = packed
        ones = np.empty(len(rows), np.int64)
        count_ones(words, ones)
        return words, ones

    def fill(x: Rows, y: Rows, out: Array) -> None:
        boolean_distances(x[0], x[1], y[0], y[1], n_features, BIT_KINDS[name], out)

    x_rows = bits(x)
    return Prepared(x_rows, x_rows if y is x else bits(y), fill)


def of_weighted_bits(name: str, x: Array, y: Array, weights: Array) -> Prepared:
    """From weighted sums in float64: of what both rows have, one of them alone, and neither.

    Each is a sum of its own, of weights that are not negative, and 0 where it has no term.
    """
    weights = near_one(weights)

    def rows_of(rows: Array) -> Rows:
        bits = rows.astype(bool, copy=False)
        return bits * weights, ~bits * weights, bits.astype(np.float64), (~bits).astype(np.float64)

    def sums(x: Array, y: Array) -> Array:
        out = np.empty((len(x), len(y)))
        finished_products(x, None, y, None, out, 1.0, 0.0, -np.inf, np.inf, 0, 0.0)
        return out

    def fill(x: Rows, y: Rows, out: Array) -> None:
        both, x_only, y_only = sums(x[0], y[2]), sums(x[0], y[3]), sums(x[1], y[2])
        neither = sums(x[1], y[3])
        differ = x_only + y_only
        with np.errstate(invalid="ignore", divide="ignore"):
            if name == "dice":
                out[...] = differ / (2 * both + differ)
            elif name == "jaccard":
                out[...] = np.where(differ == 0, 0, differ / (both + differ))
            elif name == "rogerstanimoto":
                out[...] = 2 * differ / (both + neither + 2 * differ)
            elif name == "russellrao":
                out[...] = (differ + neither) / (both + differ + neither)
            elif name == "sokalsneath":
                out[...] = 2 * differ / (both + 2 * differ)
            else:
                half = x_only * y_only
                out[...] = np.where(half == 0, 0, 2 * half / (both * neither + half))

    x_rows = rows_of(x)
    return Prepared(x_rows, x_rows if y is x else rows_of(y), _in_blocks(fill))
