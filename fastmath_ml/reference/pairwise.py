"""Similarity and distance matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _neighbors
from ._base import Array, float64
from ._neighbors import *

__all__ = [
    *_neighbors.__all__,
    "cdist",
    "cosine_distances",
    "cosine_similarity",
    "euclidean_distances",
    "laplacian_kernel",
    "linear_kernel",
    "manhattan_distances",
    "pairwise_distances",
    "pdist",
    "polynomial_kernel",
    "rbf_kernel",
    "sigmoid_kernel",
]


def cosine_similarity(X: npt.ArrayLike, Y: npt.ArrayLike | None = None) -> Array:
    """x_i . y_j / (|x_i| |y_j|); 0 where a row is zero."""

    def unit_rows(rows: Array) -> Array:
        largest = np.abs(rows).max(axis=1, keepdims=True)
        rows = rows / np.where(largest > 0, largest, 1)
        norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
        return rows / np.where(norms > 0, norms, 1)

    x = unit_rows(float64(X))
    y = x if Y is None else unit_rows(float64(Y))
    return np.asarray(x @ y.T)


# ---- Metrics of two rows: x of shape (n_features,), y of shape (n_rows, n_features) ----


def euclidean(x: Array, y: Array, w: Array) -> Array:
    """sqrt(sum of w (x - y)^2), the differences divided by the largest of each row."""
    difference = np.abs(x - y)
    largest = difference.max(axis=1, keepdims=True, initial=0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1)
    return np.asarray(np.sqrt((w * (difference / scale) ** 2).sum(axis=1)) * scale[:, 0])


def minkowski(x: Array, y: Array, w: Array, p: float = 2) -> Array:
    if np.isinf(p):
        return chebyshev(x, y, w)
    return np.asarray((w * np.abs(x - y) ** p).sum(axis=1) ** (1 / p))


def chebyshev(x: Array, y: Array, w: Array) -> Array:
    return np.asarray(np.abs(x - y)[:, w > 0].max(axis=1, initial=0))


def canberra(x: Array, y: Array, w: Array) -> Array:
    size = np.abs(x) + np.abs(y)
    return np.asarray((w * np.abs(x - y) / np.where(size == 0, 1, size)).sum(axis=1))


def cosine(x: Array, y: Array, w: Array) -> Array:
    def products(a: Array, b: Array) -> Array:
        return np.asarray((w * a * b).sum(axis=-1))

    similarity = products(x, y) / np.sqrt(products(x, x) * products(y, y))
    return np.asarray(np.clip(1 - similarity, 0, 2))


def correlation(x: Array, y: Array, w: Array) -> Array:
    def centred(a: Array) -> Array:
        mean = np.expand_dims(np.asarray((w * a).sum(axis=-1) / w.sum()), -1)
        return np.asarray(a - mean)

    return cosine(centred(x), centred(y), w)


def jensenshannon(x: Array, y: Array, w: Array) -> Array:
    """sqrt of the mean of KL(x, m) and KL(y, m), m = (x + y) / 2, of rows divided by their sums."""
    x, y = x / x.sum(), y / y.sum(axis=1, keepdims=True)
    m = (x + y) / 2

    def terms(a: Array, from_m: Array) -> Array:
        """a log(a / m), where a = m + from_m"""
        relative = from_m / np.where(m == 0, 1, m)
        logs = np.log1p(np.where(a > 0, relative, 0))
        return np.where(a < 0, np.inf, np.where(a > 0, a * logs, a))

    difference = (x - y) / 2
    both = terms(np.broadcast_to(x, y.shape), difference) + terms(y, -difference)
    divergence = both.sum(axis=1) / 2
    # Rounding may leave a sum of terms that cancel below 0.
    return np.asarray(np.sqrt(np.maximum(divergence, 0)))


def nan_euclidean(x: Array, y: Array, w: Array) -> Array:
    dist_sq = (x - y) ** 2
    present = (~np.isnan(dist_sq)).sum(axis=1)
    return np.asarray(np.sqrt(np.nansum(dist_sq, axis=1) / present * len(x)))


def boolean(formula: Callable[..., Any]) -> Callable[..., Array]:
    """A metric from the weights of features true in both rows, in one of them, in neither."""

    def metric(x: Array, y: Array, w: Array) -> Array:
        a, b = x != 0, y != 0
        counts = [(w * pair).sum(axis=1) for pair in (a & b, a & ~b, ~a & b, ~a & ~b)]
        return np.asarray(formula(*counts), np.float64)

    return metric


def ratio(numerator: Array, denominator: Array) -> Array:
    """0 / 0 is 0."""
    return np.where(numerator == 0, 0, numerator / np.where(numerator == 0, 1, denominator))


METRICS: dict[str, Callable[..., Array]] = {
    "braycurtis": lambda x, y, w: (w * abs(x - y)).sum(axis=1) / (w * abs(x + y)).sum(axis=1),
    "canberra": canberra,
    "chebyshev": chebyshev,
    "cityblock": lambda x, y, w: (w * abs(x - y)).sum(axis=1),
    "correlation": correlation,
    "cosine": cosine,
    "dice": boolean(lambda tt, tf, ft, ff: (tf + ft) / (2 * tt + tf + ft)),
    "euclidean": euclidean,
    "hamming": lambda x, y, w: (w * (x != y)).sum(axis=1) / w.sum(),
    "jaccard": boolean(lambda tt, tf, ft, ff: ratio(tf + ft, tt + tf + ft)),
    "jensenshannon": jensenshannon,
    "minkowski": minkowski,
    "nan_euclidean": nan_euclidean,
    "rogerstanimoto": boolean(lambda tt, tf, ft, ff: 2 * (tf + ft) / (tt + ff + 2 * (tf + ft))),
    "russellrao": boolean(lambda tt, tf, ft, ff: (tf + ft + ff) / (tt + tf + ft + ff)),
    "sokalsneath": boolean(lambda tt, tf, ft, ff: 2 * (tf + ft) / (tt + 2 * (tf + ft))),
    "sqeuclidean": lambda x, y, w: (w * (x - y) ** 2).sum(axis=1),
    "yule": boolean(lambda tt, tf, ft, ff: ratio(2 * tf * ft, tt * ff + tf * ft)),
}


def cdist(XA: npt.ArrayLike, XB: npt.ArrayLike, metric: Any = "euclidean", **kwargs: Any) -> Array:
    """d(a_i, b_j), row by row; nothing is computed from a product of the rows."""
    a, b = float64(XA), float64(XB)
    if callable(metric):
        return np.array([[metric(x, y, **kwargs) for y in b] for x in a])
    w = float64(kwargs.pop("w", np.ones(a.shape[1])))
    if metric == "seuclidean":
        variances = kwargs.pop("V", None)
        if variances is None:
            variances = np.var(np.concatenate([a, b]), axis=0, ddof=1)
        metric, w = "euclidean", 1 / float64(variances)
    if metric == "mahalanobis":
        inverse = kwargs.pop("VI", None)
        if inverse is None:
            inverse = np.linalg.inv(np.atleast_2d(np.cov(np.concatenate([a, b]).T)))
        return np.sqrt([[(x - y) @ float64(inverse) @ (x - y) for y in b] for x in a])
    rows = [METRICS[metric](x, b, w, **kwargs) for x in a]
    return np.array(rows).reshape(len(a), len(b))


def pdist(X: npt.ArrayLike, metric: Any = "euclidean", **kwargs: Any) -> Array:
    """The upper triangle of cdist(X, X); what is estimated from the rows counts each once."""
    x = float64(X)
    if metric == "seuclidean" and kwargs.get("V") is None:
        kwargs["V"] = np.var(x, axis=0, ddof=1)
    if metric == "mahalanobis" and kwargs.get("VI") is None:
        kwargs["VI"] = np.linalg.inv(np.atleast_2d(np.cov(x.T)))
    return np.asarray(cdist(x, x, metric, **kwargs)[np.triu_indices(len(x), 1)])


def _second(X: npt.ArrayLike, Y: npt.ArrayLike | None) -> npt.ArrayLike:
    return X if Y is None else Y


def pairwise_distances(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, metric: Any = "euclidean", **kwds: Any
) -> Array:
    """cdist by scikit-learn's names; a row of zeros is orthogonal to all."""
    if metric == "cosine":
        return cosine_distances(X, Y)
    names = {"manhattan": "cityblock", "l1": "cityblock", "l2": "euclidean"}
    return cdist(X, _second(X, Y), names.get(metric, metric), **kwds)


def euclidean_distances(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, *, squared: bool = False
) -> Array:
    """|x_i - y_j|, from the differences."""
    distances = cdist(X, _second(X, Y))
    return distances**2 if squared else distances


def manhattan_distances(X: npt.ArrayLike, Y: npt.ArrayLike | None = None) -> Array:
    """sum over p of |x_ip - y_jp|."""
    return cdist(X, _second(X, Y), "cityblock")


def cosine_distances(X: npt.ArrayLike, Y: npt.ArrayLike | None = None) -> Array:
    """1 - cosine similarity; 0 on the diagonal of one set."""
    distances = 1 - cosine_similarity(X, Y)
    if Y is None or Y is X:
        np.fill_diagonal(distances, 0)
    return np.asarray(distances)


def linear_kernel(X: npt.ArrayLike, Y: npt.ArrayLike | None = None) -> Array:
    """x_i . y_j."""
    return np.asarray(float64(X) @ float64(_second(X, Y)).T)


def _gamma(gamma: float | None, X: npt.ArrayLike) -> float:
    return 1 / np.shape(X)[1] if gamma is None else gamma


def polynomial_kernel(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    degree: float = 3,
    gamma: float | None = None,
    coef0: float = 1,
) -> Array:
    """(gamma x_i . y_j + coef0)^degree."""
    return np.asarray((_gamma(gamma, X) * linear_kernel(X, Y) + coef0) ** degree)


def sigmoid_kernel(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    gamma: float | None = None,
    coef0: float = 1,
) -> Array:
    """tanh(gamma x_i . y_j + coef0)."""
    return np.asarray(np.tanh(_gamma(gamma, X) * linear_kernel(X, Y) + coef0))


def rbf_kernel(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, gamma: float | None = None
) -> Array:
    """exp(-gamma |x_i - y_j|^2)."""
    return np.asarray(np.exp(-_gamma(gamma, X) * euclidean_distances(X, Y, squared=True)))


def laplacian_kernel(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, gamma: float | None = None
) -> Array:
    """exp(-gamma sum over p of |x_ip - y_jp|)."""
    return np.asarray(np.exp(-_gamma(gamma, X) * manhattan_distances(X, Y)))
