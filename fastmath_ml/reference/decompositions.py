"""Eigenpairs, singular triplets, principal components, from whole decompositions.

Of the results that have several parts these give the numbers, and nothing of how an iteration went.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._base import Array, float64

__all__ = ["eigh_topk", "pca", "power_iteration", "randomized_svd", "svd_topk"]


def _matrix(a: Any) -> Array:
    return float64(a.toarray() if hasattr(a, "toarray") else a)


def _signs(vectors: Array) -> Array:
    """What makes the entry of largest magnitude of each column positive."""
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return np.where(largest < 0, -1.0, 1.0)


def power_iteration(a: Any, **options: Any) -> tuple[Any, Array]:
    """The eigenvalue farthest from the shift, which is real, and its vector."""
    values, vectors = np.linalg.eig(_matrix(a))
    at = np.abs(values - options.get("shift", 0.0)).argmax()
    vector = vectors[:, at].real[:, None]
    return values[at].real, (vector * _signs(vector))[:, 0]


def eigh_topk(a: Any, k: int, *, which: str = "LM", **options: Any) -> tuple[Array, Array]:
    """A V = V diag(w) for the k values that `which` names."""
    values, vectors = np.linalg.eigh(_matrix(a))
    n = len(values)
    order = {
        "LM": np.argsort(-np.abs(values), kind="stable"),
        "LA": np.arange(n)[::-1],
        "SA": np.arange(n),
        "BE": np.r_[: k // 2, n - (k - k // 2) : n],
    }[which][:k]
    vectors = vectors[:, order]
    return values[order], vectors * _signs(vectors)


def svd_topk(a: Any, k: int, **options: Any) -> tuple[Array, Array, Array]:
    """A = U diag(s) V^T, the first k of each."""
    u, s, vh = np.linalg.svd(_matrix(a), full_matrices=False)
    signs = _signs(u[:, :k])
    return u[:, :k] * signs, s[:k], vh[:k] * signs[:, None]


def randomized_svd(M: Any, n_components: int, **options: Any) -> tuple[Array, Array, Array]:
    """The exact one."""
    return svd_topk(M, n_components)


def pca(
    x: npt.ArrayLike, k: int, **options: Any
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """x - mean = U diag(s) V^T: components V^T, scores U diag(s), variances s^2 / (n_rows - 1)."""
    rows = float64(x)
    mean = rows.mean(axis=0)
    u, s, vh = np.linalg.svd(rows - mean, full_matrices=False)
    signs = _signs(vh.T)
    components, scores = vh * signs[:, None], u * s * signs
    variance = s**2 / (len(rows) - 1)
    ratio = s**2 / (s**2).sum()
    return components[:k], variance[:k], ratio[:k], s[:k], mean, scores[:, :k]
