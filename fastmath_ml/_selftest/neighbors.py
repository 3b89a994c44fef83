"""Nearest rows. Whole numbers: distances are exact and ties are many, so indices must agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .base import Check


def two_sets(
    rng: np.random.Generator, dtype: str, n_queries: int, n_rows: int, n_features: int
) -> tuple[np.ndarray, np.ndarray]:
    x = rng.integers(-4, 5, (n_queries, n_features)).astype(dtype)
    return x, rng.integers(-4, 5, (n_rows, n_features)).astype(dtype)


def topk_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    eps = float(np.finfo(dtype).eps)
    for n_queries, n_rows, n_features, k in ((1, 3000, 33, 10), (100, 5000, 20, 60), (9, 40, 3, 1)):
        sets = two_sets(rng, dtype, n_queries, n_rows, n_features)
        for metric in ("sqeuclidean", "dot"):
            label = f"{n_queries} of {n_rows}, k={k}, {metric}"
            yield Check("topk", label, (*sets, k, metric), {}, eps)


def radius_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    sets = two_sets(rng, dtype, 20, 300, 3)
    eps = float(np.finfo(dtype).eps)
    yield Check("pairwise.radius_neighbors", "dot", (*sets, 20.0, "dot"), {}, eps)


def argmin_checks(name: str, rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    eps = float(np.finfo(dtype).eps)
    for axis in (0, 1):
        sets = two_sets(rng, dtype, 70, 300, 5)
        yield Check(name, f"axis={axis}", sets, {"axis": axis}, 4 * eps)


CHECKS = {
    "topk": topk_checks,
    "pairwise.radius_neighbors": radius_checks,
    "pairwise_distances_argmin": lambda rng, dtype: argmin_checks(
        "pairwise_distances_argmin", rng, dtype
    ),
    "pairwise_distances_argmin_min": lambda rng, dtype: argmin_checks(
        "pairwise_distances_argmin_min", rng, dtype
    ),
}
