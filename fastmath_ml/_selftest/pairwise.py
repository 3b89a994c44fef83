"""Similarity and distance matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmath_ml import reference
from fastmath_ml._kernels.bits import KINDS as BIT_KINDS
from fastmath_ml._kernels.elementwise import KINDS

from .base import Check


def cosine_similarity_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Absolute: a cosine is a sum of products of numbers of at most 1."""
    eps = float(np.finfo(dtype).eps)
    for n_rows_x, n_rows_y, n_features in ((5, 7, 3), (129, 65, 16), (200, 300, 800)):
        x = rng.standard_normal((n_rows_x, n_features)).astype(dtype)
        y = rng.standard_normal((n_rows_y, n_features)).astype(dtype)
        x[0] = 0
        tolerance = (4 + n_features**0.5) * eps
        label = f"{x.shape}, {y.shape}"
        yield Check("cosine_similarity", label, (x, y), {}, tolerance, 1.0)
        yield Check("cosine_similarity", f"{x.shape}", (x,), {}, tolerance, 1.0)
    tiny_and_huge = np.array([[3, 4], [4, -3]], dtype) * np.array(
        [[np.finfo(dtype).smallest_normal], [np.finfo(dtype).max / 8]], dtype
    )
    yield Check("cosine_similarity", "tiny and huge rows", (tiny_and_huge,), {}, 8 * eps, 1.0)


SHAPES = ((5, 7, 3), (60, 71, 16), (90, 65, 300))
PRODUCTS = ["correlation", "cosine", "mahalanobis", "seuclidean", "sqeuclidean"]
METRICS = sorted({*KINDS, *BIT_KINDS, *PRODUCTS} - {"minkowski_3", "nan_euclidean"})


def positive_pairs(
    rng: np.random.Generator, dtype: str
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any], float]]:
    """Rows of few values, so that features are 0 and coincide; and the rounding unit."""
    for n_rows_x, n_rows_y, n_features in SHAPES:
        x, y = (
            (rng.integers(0, 4, (n, n_features)) / 4).astype(dtype) for n in (n_rows_x, n_rows_y)
        )
        x[:, 0] = y[:, 0] = 0.5
        yield x, y, float(np.finfo(dtype).eps)


def cdist_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Relative to 1 or to the distance, whichever is larger: correlations are absolute."""
    for x, y, eps in positive_pairs(rng, dtype):
        for metric in METRICS:
            options: dict[str, Any] = {"metric": metric}
            if metric == "mahalanobis":
                options["VI"] = np.eye(x.shape[1]) + 0.5 / x.shape[1]
            if metric == "seuclidean":
                options["V"] = np.linspace(0.5, 2, x.shape[1])
            if metric == "minkowski":
                options["p"] = 2.5
            tolerance = (40 + x.shape[1]) * eps
            label = f"{metric} {x.shape}, {y.shape}"
            with np.errstate(invalid="ignore", divide="ignore"):
                scale = np.maximum(1, np.nan_to_num(reference.cdist(x, y, **options)))
            yield Check("cdist", label, (x, y), options, tolerance, scale)


def pdist_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    for x, _, eps in positive_pairs(rng, dtype):
        for metric in ("cityblock", "euclidean"):
            tolerance = (40 + x.shape[1]) * eps
            yield Check("pdist", f"{metric} {x.shape}", (x,), {"metric": metric}, tolerance)


def distance_checks(
    name: str, **options: Any
) -> Callable[[np.random.Generator, str], Iterator[Check]]:
    def checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
        for n_rows_x, n_rows_y, n_features in SHAPES:
            x = rng.standard_normal((n_rows_x, n_features)).astype(dtype)
            y = rng.standard_normal((n_rows_y, n_features)).astype(dtype)
            y[0] = x[0]
            tolerance = (40 + n_features) * float(np.finfo(dtype).eps)
            # Distances that are 0 are exactly 0; the others are far from it.
            scale = None if "kernel" not in name and "cosine" not in name else 1.0
            if name.removeprefix("pairwise.") in ("linear_kernel", "polynomial_kernel"):
                bound = abs(x).max() ** 2 * n_features
                scale = bound if "linear" in name else (1 + bound / n_features) ** 3
            yield Check(name, f"{x.shape}, {y.shape}", (x, y), options, tolerance, scale)
            if scale is not None:
                yield Check(name, f"{x.shape}", (x,), options, tolerance, scale)

    return checks


CHECKS = {
    "cosine_similarity": cosine_similarity_checks,
    "cdist": cdist_checks,
    "pdist": pdist_checks,
    "pairwise_distances": distance_checks("pairwise_distances", metric="manhattan"),
    "cosine_distances": distance_checks("cosine_distances"),
    "euclidean_distances": distance_checks("euclidean_distances"),
    "manhattan_distances": distance_checks("manhattan_distances"),
    "pairwise.linear_kernel": distance_checks("pairwise.linear_kernel"),
    "pairwise.polynomial_kernel": distance_checks("pairwise.polynomial_kernel"),
    "pairwise.sigmoid_kernel": distance_checks("pairwise.sigmoid_kernel"),
    "pairwise.rbf_kernel": distance_checks("pairwise.rbf_kernel"),
    "pairwise.laplacian_kernel": distance_checks("pairwise.laplacian_kernel"),
}
