"""The metrics by name: their options, and what each needs of rows before a kernel can run.

`prepare` makes of two sets of rows and a metric what a kernel takes: arrays that have one entry per
row (the rows themselves, their norms, their bits) and a function that fills a matrix from them. Any
slices of the arrays give the same block of the matrix, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import computing_dtype, contiguous
from ._kernels.bits import boolean_distances, count_ones
from ._kernels.elementwise import metric_distances
from ._kernels.euclidean import euclidean_products
from ._kernels.pairwise import finished_products, row_scales, squared_norms

Array = npt.NDArray[Any]
Rows = tuple[Array, ...]

ALIASES = {
    alias: name
    for name, aliases in {
        "braycurtis": "",
        "canberra": "",
        "chebyshev": "chebychev cheby cheb ch",
        "cityblock": "cblock cb c manhattan l1",
        "correlation": "co",
        "cosine": "cos",
        "dice": "",
        "euclidean": "euclid eu e l2",
        "hamming": "matching hamm ha h",
        "jaccard": "jacc ja j",
        "jensenshannon": "js",
        "mahalanobis": "mahal mah",
        "minkowski": "mi m pnorm",
        "nan_euclidean": "",
        "rogerstanimoto": "",
        "russellrao": "",
        "seuclidean": "se s",
        "sokalsneath": "",
        "sqeuclidean": "sqe sqeuclid",
        "yule": "",
    }.items()
    for alias in [name, *aliases.split()]
}
# As in metric_tile.h and bits.h.
KINDS = {
    name: kind
    for kind, name in enumerate(
        [
            "cityblock",
            "chebyshev",
            "canberra",
            "braycurtis",
            "euclidean",
            "minkowski",
            "minkowski_3",
            "hamming",
            "jensenshannon",
            "nan_euclidean",
        ]
    )
}
BIT_KINDS = {
    name: kind
    for kind, name in enumerate(
        ["dice", "hamming", "jaccard", "rogerstanimoto", "russellrao", "sokalsneath", "yule"]
    )
}
BOOLEAN = frozenset(BIT_KINDS) - {"hamming"}
# What a metric takes beside the rows; SciPy names them so.
OPTIONS = {
    "jensenshannon": (),
    "mahalanobis": ("VI",),
    "minkowski": ("p", "w"),
    "nan_euclidean": (),
    "seuclidean": ("V",),
}
NORM_PADDING = 32  # elements that the Euclidean kernel may read behind the norms


class Prepared(NamedTuple):
    """The entries per row of X and of Y (the same tuple for one set), and fill(x, y, out)."""

    x: Rows
    y: Rows
    fill: Callable[[Rows, Rows, Array], None]


def canonical(metric: str) -> str:
    """The name that the metric has here; ValueError if nobody knows it."""
    name = ALIASES.get(metric.lower().removeprefix("test_"))
    if name is None:
        known = ", ".join(sorted(set(ALIASES.values())))
        raise ValueError(f"metric is {metric!r}; expected a function or one of {known}")
    return name


def similarity_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """float32 also for int8 and uint8, whose values it holds; else as everywhere."""
    small = dtype.kind in "iu" and dtype.itemsize == 1
    return np.dtype(np.float32) if small else computing_dtype(dtype, name)


def prepare(name: str, x: Array, y: Array, options: dict[str, Any]) -> Prepared:
    """`name` is canonical, x and y float32 or float64 as kernels take them, or both boolean.

    y is x itself for one set. Takes what it knows out of `options`; TypeError for the rest.
    """
    n_features = x.shape[1]
    weights = _weights(options, name, n_features)
    p = _exponent(options) if name == "minkowski" else 2.0
    if n_features == 0:  # a feature of weight 0 is none
        x, y = _both(lambda rows: np.zeros((len(rows), 1), rows.dtype), x, y)
        weights = np.zeros(1)
    if name == "minkowski" and p in (1, 2, math.inf):
        name = "cityblock" if p == 1 else "euclidean" if p == 2 else "chebyshev"
    if name in BIT_KINDS and (name in BOOLEAN or (x.dtype == y.dtype == bool)):
        _no_more(options, name)
        if weights is None or n_features == 0:
            return _of_bits(name, x, y, n_features)
        return _of_weighted_bits(name, x, y, weights)
    if x.dtype == bool:
        x, y = _both(lambda rows: rows.astype(np.float64), x, y)
    if name == "seuclidean":
        with np.errstate(divide="ignore"):  # 0 / 0 is NaN there, as in SciPy
            weights = 1 / _variances(options, x, y)
        name = "euclidean"
    inverse = _inverse_covariance(options, x, y) if name == "mahalanobis" else None
    _no_more(options, name)
    if inverse is not None:
        return _mahalanobis(x, y, inverse)
    if name in ("cosine", "correlation"):
        if weights is not None:
            root = np.sqrt(weights)
        if name == "correlation":
            x, y = _both(lambda rows: centred(rows, weights), x, y)
        if weights is not None:
            x, y = _both(lambda rows: (rows * root).astype(rows.dtype), x, y)
        return _cosine(x, y)
    if name in ("euclidean", "sqeuclidean") and weights is None:
        return _euclidean(x, y, name == "euclidean")
    return _elementwise(name, x, y, weights, p)


def _both(function: Callable[[Array], Array], x: Array, y: Array) -> tuple[Array, Array]:
    """function of x and of y, once where they are one."""
    new_x = function(x)
    return new_x, new_x if y is x else function(y)


def _no_more(options: dict[str, Any], name: str) -> None:
    if options:
        raise TypeError(f"{name} takes no option {next(iter(options))!r}")


# ---- Options ----


def _weights(options: dict[str, Any], name: str, n_features: int) -> Array | None:
    if "w" not in OPTIONS.get(name, ("w",)):
        if options.get("w", 0) is None:
            options.pop("w")
        return None
    given = options.pop("w", None)
    if given is None:
        return None
    weights = np.asarray(given, np.float64)
    if weights.shape != (n_features,):
        raise ValueError(
            f"w has shape {weights.shape}; expected ({n_features},): "
            "weights must have same size as input vector"
        )
    if (weights < 0).any():
        raise ValueError("w has negative elements; input weights should be all non-negative")
    return weights


def _exponent(options: dict[str, Any]) -> float:
    p = options.pop("p", 2.0)
    p = 2.0 if p is None else float(p)
    if not p > 0:
        raise ValueError(f"p is {p}; p must be greater than 0")
    return p


def _variances(options: dict[str, Any], x: Array, y: Array) -> Array:
    given = options.pop("V", None)
    if given is None:
        rows = x if y is x else np.concatenate([x, y])
        return np.asarray(np.var(rows, axis=0, ddof=1, dtype=np.float64))
    variances = np.asarray(given, np.float64)
    if variances.shape != (x.shape[1],):
        raise ValueError(f"V has shape {variances.shape}; expected ({x.shape[1]},)")
    return variances


def _inverse_covariance(options: dict[str, Any], x: Array, y: Array) -> Array:
    given = options.pop("VI", None)
    n_features = x.shape[1]
    if given is not None:
        inverse = np.asarray(given, np.float64)
        if inverse.shape != (n_features, n_features):
            raise ValueError(f"VI has shape {inverse.shape}; expected ({n_features}, {n_features})")
        return inverse
    rows = x if y is x else np.concatenate([x, y])
    if len(rows) <= n_features:
        raise ValueError(
            f"VI is not given and the number of observations ({len(rows)}) is too small for the "
            f"covariance of {n_features} features; at least {n_features + 1} are required"
        )
    covariance = np.atleast_2d(np.cov(rows.astype(np.float64, copy=False).T))
    return np.asarray(np.linalg.inv(covariance).T)


# ---- What the kernels take ----


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


def _euclidean(x: Array, y: Array, root: bool) -> Prepared:
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


def _cosine(x: Array, y: Array) -> Prepared:
    x_rows = unit_rows(x)[:2]
    y_rows = x_rows if y is x else unit_rows(y)[:2]

    def fill(x: Rows, y: Rows, out: Array) -> None:
        finished_products(x[0], x[1], y[0], y[1], out, -1.0, 1.0, 0.0, 2.0, 0, 0.0)
        if x[0] is y[0]:
            diagonal = out.reshape(-1)[:: len(out) + 1]
            diagonal[~np.isnan(diagonal)] = 0

    return Prepared(x_rows, y_rows, fill)


def centred(rows: Array, weights: Array | None = None) -> Array:
    """Rows minus their (weighted) means, in float64; a constant row becomes exactly 0."""
    with np.errstate(invalid="ignore"):
        shifted = rows.astype(np.float64, order="C") - rows[:, :1]
        means = (
            np.average(shifted, axis=1, weights=weights) if shifted.size else shifted.sum(axis=1)
        )
        return np.asarray((shifted - means[:, None]).astype(rows.dtype))


def _mahalanobis(x: Array, y: Array, inverse: Array) -> Prepared:
    """Euclidean distances of Q' x, where VI = Q diag(sign) Q'; those with sign -1 count against.

    The rows are transformed and subtracted in float64 whatever their dtype: near rows far from the
    origin lose nothing to the transformation that float64 input would not lose.
    """
    values, vectors = np.linalg.eigh((inverse + inverse.T) / 2)
    tolerance = np.finfo(np.float64).eps * len(values) * np.abs(values).max(initial=0)
    factor = vectors * np.sqrt(np.abs(values))
    positive, negative = factor[:, values >= 0], factor[:, values < -tolerance]

    def transformed(rows: Array) -> Rows:
        wide = rows.astype(np.float64, copy=False)
        parts: list[Array] = []
        for part in (positive, negative) if negative.shape[1] else (positive,):
            turned = np.zeros((len(wide), max(1, part.shape[1])))
            if part.shape[1]:  # by rows, as ours: a row's bits do not depend on the others
                columns = np.ascontiguousarray(part.T)
                finished_products(
                    wide, None, columns, None, turned, 1.0, 0.0, -np.inf, np.inf, 0, 0.0
                )
            parts += [turned, padded_norms(turned)[0]]
        return tuple(parts)

    def fill(x: Rows, y: Rows, out: Array) -> None:
        exact = out if out.dtype == np.float64 else np.empty(out.shape)
        euclidean_products(x[0], x[1], y[0], y[1], exact, len(x) == 2)
        if len(x) == 4:
            against = np.empty(out.shape)
            euclidean_products(x[2], x[3], y[2], y[3], against, False)
            with np.errstate(invalid="ignore"):
                np.sqrt(np.subtract(exact, against, out=exact), out=exact)
        if exact is not out:
            out[...] = exact

    x_rows = transformed(x)
    return Prepared(x_rows, x_rows if y is x else transformed(y), _in_blocks(fill))


def distributions(rows: Array) -> Array:
    """Rows divided by their sums; NaN where one is 0. Layout does not change the order of a sum."""
    rows = np.ascontiguousarray(rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((rows / rows.sum(axis=1, dtype=np.float64)[:, None]).astype(rows.dtype))


def _elementwise(name: str, x: Array, y: Array, weights: Array | None, p: float) -> Prepared:
    squared = name == "sqeuclidean"
    kind = KINDS["euclidean" if squared else name]
    total = float(x.shape[1])
    if name == "jensenshannon":
        x, y = _both(distributions, x, y)
    elif name == "minkowski" and p == 3:
        kind = KINDS["minkowski_3"]
    elif name == "chebyshev" and weights is not None and not weights.all():
        chosen = weights > 0
        if not chosen.any():
            chosen = np.arange(x.shape[1]) == 0
            x, y = _both(np.zeros_like, x, y)
        x, y = _both(lambda rows: rows[:, chosen], x, y)
    if weights is None:
        weights = np.ones(x.shape[1], x.dtype)
    elif name == "hamming":
        total = float(weights.sum())
    weights = contiguous(weights, x.dtype)

    def fill(x: Rows, y: Rows, out: Array) -> None:
        metric_distances(x[0], y[0], weights, kind, p, total, squared, out)

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


def _of_bits(name: str, x: Array, y: Array, n_features: int) -> Prepared:
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


def _of_weighted_bits(name: str, x: Array, y: Array, weights: Array) -> Prepared:
    """From weighted sums in float64: what both rows have, what each has, and the total."""
    total = weights.sum()

    def floats(rows: Array, factors: Array | float) -> Array:
        return np.asarray(rows.astype(bool, copy=False) * factors)

    def fill(x: Rows, y: Rows, out: Array) -> None:
        both = np.empty(out.shape)
        finished_products(x[0], None, y[1], None, both, 1.0, 0.0, -np.inf, np.inf, 0, 0.0)
        x_only, y_only = x[2][:, None] - both, y[2] - both
        differ = x_only + y_only
        with np.errstate(invalid="ignore", divide="ignore"):
            if name == "dice":
                out[...] = differ / (2 * both + differ)
            elif name == "jaccard":
                out[...] = np.where(differ == 0, 0, differ / (both + differ))
            elif name == "rogerstanimoto":
                out[...] = 2 * differ / (total + differ)
            elif name == "russellrao":
                out[...] = (total - both) / total
            elif name == "sokalsneath":
                out[...] = 2 * differ / (both + 2 * differ)
            else:
                half = x_only * y_only
                neither = total - differ - both
                out[...] = np.where(half == 0, 0, 2 * half / (both * neither + half))

    def rows_of(rows: Array) -> Rows:
        return floats(rows, weights), floats(rows, 1.0), rows.astype(bool, copy=False) @ weights

    x_rows = rows_of(x)
    return Prepared(x_rows, x_rows if y is x else rows_of(y), _in_blocks(fill))
