"""Nearest neighbours by sorting whole rows of distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._base import Array, float64

__all__ = ["pairwise_distances_argmin", "pairwise_distances_argmin_min", "radius_neighbors", "topk"]

SIMILARITIES = ("cosine_similarity", "dot")


def pair_values(X: Any, Y: Any, metric: Any, **kwds: Any) -> Array:
    """All distances or similarities of rows of X and Y."""
    x, y = float64(X), float64(Y)
    if metric == "dot":
        return np.asarray(x @ y.T)
    if metric in ("cosine", "cosine_similarity"):
        units = []
        for rows in (x, y):
            largest = np.abs(rows).max(axis=1, keepdims=True)
            scaled = rows / np.where(largest > 0, largest, 1)
            norms = np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))
            units.append(scaled / np.where(norms > 0, norms, 1))
        cosines = np.asarray(np.clip(units[0] @ units[1].T, -1, 1))
        return cosines if metric == "cosine_similarity" else 1 - cosines
    if metric in ("euclidean", "sqeuclidean", "l2"):
        sums = np.array([((y - row) ** 2).sum(axis=1) for row in x]).reshape(len(x), len(y))
        return sums if metric == "sqeuclidean" else np.sqrt(sums)
    if callable(metric):
        values = [[metric(a, b, **kwds) for b in y] for a in x]
        return np.array(values, dtype=np.float64).reshape(len(x), len(y))
    from scipy.spatial.distance import cdist

    names = {"manhattan": "cityblock", "l1": "cityblock"}
    return np.asarray(cdist(x, y, names.get(metric, metric), **kwds))


def topk(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    k: int,
    metric: Any = "euclidean",
    *,
    sorted: bool = True,
    **kwds: Any,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """The k smallest distances (largest similarities) of each row and where they are."""
    values = pair_values(X, Y, metric, **kwds)
    order = np.argsort(-values if metric in SIMILARITIES else values, axis=1, kind="stable")[:, :k]
    if not sorted:
        order = np.sort(order, axis=1)
    return np.take_along_axis(values, order, axis=1), order.astype(np.int64)


def radius_neighbors(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    radius: float,
    metric: Any = "euclidean",
    *,
    sort: bool = True,
    **kwds: Any,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array]:
    """Row pointers, indices and distances of all pairs within the radius."""
    values = pair_values(X, Y, metric, **kwds)
    inside = values >= radius if metric in SIMILARITIES else values <= radius
    counts = inside.sum(axis=1)
    rows, indices = np.nonzero(inside)
    found = values[rows, indices]
    if sort:
        order = np.lexsort((indices, -found if metric in SIMILARITIES else found, rows))
        indices, found = indices[order], found[order]
    return np.concatenate([[0], np.cumsum(counts)]), indices, found


def pairwise_distances_argmin_min(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    axis: int = 1,
    metric: Any = "euclidean",
    metric_kwargs: dict[str, Any] | None = None,
) -> tuple[npt.NDArray[np.int64], Array]:
    """Where the smallest distance of each row (axis=1) or column (0) is, and the distance."""
    values = pair_values(X, Y, metric, **(metric_kwargs or {}))
    return np.asarray(values.argmin(axis=axis)), np.asarray(values.min(axis=axis))


def pairwise_distances_argmin(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    axis: int = 1,
    metric: Any = "euclidean",
    metric_kwargs: dict[str, Any] | None = None,
) -> npt.NDArray[np.int64]:
    """Where the smallest distance of each row (axis=1) or column (0) is."""
    return pairwise_distances_argmin_min(
        X, Y, axis=axis, metric=metric, metric_kwargs=metric_kwargs
    )[0]
