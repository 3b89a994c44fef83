"""numpy.linalg on stacks of matrices, in float64; what has a short definition by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._base import Array, float64

__all__ = [
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
]


def solve(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """x with A x = b."""
    return np.asarray(np.linalg.solve(float64(a), float64(b)))


def inv(a: npt.ArrayLike) -> Array:
    """X with A X = I."""
    matrices = float64(a)
    return solve(matrices, np.broadcast_to(np.eye(matrices.shape[-1]), matrices.shape))


def det(a: npt.ArrayLike) -> Any:
    """The product of the signed pivots."""
    return np.linalg.det(float64(a))


def slogdet(a: npt.ArrayLike) -> tuple[Any, Any]:
    """Sign and logarithm of the determinant."""
    sign, log_abs = np.linalg.slogdet(float64(a))
    return sign, log_abs


def cholesky(a: npt.ArrayLike, /, *, upper: bool = False) -> Array:
    """L with A = L L^T, or U with A = U^T U."""
    return np.asarray(np.linalg.cholesky(float64(a), upper=upper))


def qr(a: npt.ArrayLike, mode: Any = "reduced") -> Any:
    """Q and R with A = Q R."""
    return np.linalg.qr(float64(a), mode)


def eigh(a: npt.ArrayLike, UPLO: Any = "L") -> Any:
    """w and V with A V = V diag(w); the signs of V are LAPACK's."""
    return np.linalg.eigh(float64(a), UPLO)


def eigvalsh(a: npt.ArrayLike, UPLO: Any = "L") -> Array:
    """The eigenvalues, ascending."""
    return np.asarray(eigh(a, UPLO)[0])


def svd(
    a: npt.ArrayLike, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """U, s and V^T with A = U diag(s) V^T; the signs of U and V are LAPACK's."""
    parts = np.linalg.svd(float64(a), full_matrices, hermitian=hermitian)
    return parts if compute_uv else parts[1]


def pinv(a: npt.ArrayLike, rcond: float = 1e-15, hermitian: bool = False) -> Array:
    """V diag(1 / s or 0) U^T."""
    u, s, vh = svd(a, full_matrices=False, hermitian=hermitian)
    large = s > rcond * s.max(axis=-1, keepdims=True)
    inverse = np.where(large, 1 / np.where(large, s, 1), 0)
    return np.asarray(np.swapaxes(vh, -1, -2) @ (inverse[..., None] * np.swapaxes(u, -1, -2)))


def lstsq(a: npt.ArrayLike, b: npt.ArrayLike, rcond: float | None = None) -> Any:
    """The least x of those with the least |A x - b|; residuals, rank, singular values."""
    return np.linalg.lstsq(float64(a), float64(b), rcond)
