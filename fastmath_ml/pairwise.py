"""Similarities and distances of all pairs of rows."""

from __future__ import annotations

from ._distances import cdist, pairwise_distances, pdist
from ._named_distances import cosine_distances, euclidean_distances, manhattan_distances
from ._neighbors import (
    pairwise_distances_argmin,
    pairwise_distances_argmin_min,
    radius_neighbors,
    topk,
)
from ._similarities import (
    cosine_similarity,
    laplacian_kernel,
    linear_kernel,
    polynomial_kernel,
    rbf_kernel,
    sigmoid_kernel,
)

__all__ = [
    "cdist",
    "cosine_distances",
    "cosine_similarity",
    "euclidean_distances",
    "laplacian_kernel",
    "linear_kernel",
    "manhattan_distances",
    "pairwise_distances",
    "pairwise_distances_argmin",
    "pairwise_distances_argmin_min",
    "pdist",
    "polynomial_kernel",
    "radius_neighbors",
    "rbf_kernel",
    "sigmoid_kernel",
    "topk",
]
