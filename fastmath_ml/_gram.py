"""Gram matrices of tall arrays, centred or not, and their leading eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arrays import FloatArray
from ._kernels.moments import scatter_matrix
from ._kernels.products import gram_plain
from ._krylov import Small, leading_pairs, random_block
from ._lapack import eigh
from ._operators import Dense, check_finite, product

BLOCK = 8  # vectors: of 1000 x 1000 50 pairs take 5 ms, with 16 6.5 and with 64 18
# Products of order n / PATIENCE cost less than LAPACK, which does not mind crowded eigenvalues.
PATIENCE = 8


def in_square_range(total: float, dtype: np.dtype[Any]) -> bool:
    """Whether a sum of squares can be trusted not to have over- or underflown in part."""
    low, high = (1e-25, 1e30) if dtype == np.float32 else (1e-200, 1e280)
    return bool(low < total < high)


def gram_of(array: FloatArray, mean: Small | None = None) -> FloatArray:
    """Gram matrix of array - mean, in the array's dtype; nothing of the array's size is copied."""
    n = array.shape[1]
    total = np.empty((n, n), array.dtype)
    if mean is None:
        gram_plain(array, total)
    else:
        by_features = array.strides[1] != array.itemsize
        rows = array.T if by_features else array
        scatter_matrix(rows, by_features, np.ascontiguousarray(mean, np.float64), None, total)
    return total


def gram_pairs(
    gram: FloatArray, k: int, width: int, wanted: float, rng: Any
) -> tuple[Small, FloatArray]:
    """`width` leading eigenvalues, descending, and vectors, orthonormal up to rounding; k of them
    for triplets with the residuals `wanted`.
    """
    n = len(gram)
    check_finite(Dense(gram), gram[:1])
    if n > 200 and 6 * width < n:
        least = 8 * float(np.finfo(gram.dtype).eps)

        def excess(values: Small, residuals: Small, scale: float) -> float:
            if scale == 0:  # nothing but zeros
                return 0.0
            roots = np.sqrt(np.maximum(values[:k], 0) / scale)
            return float((residuals[:k] / np.maximum(0.3 * wanted * roots, least)).max() / scale)

        pairs = leading_pairs(
            lambda x: product(gram, x),
            random_block(rng, n, BLOCK, gram.dtype),
            width,
            "LA",
            max_products=n // PATIENCE,
            excess=excess,
            rng=rng,
            n_sure=k,
            noise=least,
        )
        if pairs.n_products < n // PATIENCE:
            return pairs.values, pairs.vectors
    values, vectors = eigh(gram.astype(np.float64, copy=False))
    return values[: -width - 1 : -1], np.ascontiguousarray(
        vectors[:, : -width - 1 : -1], dtype=gram.dtype
    )
