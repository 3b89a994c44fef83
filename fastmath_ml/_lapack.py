"""Small dense problems by LAPACK, in its routines that stay on the calling thread.

A routine that wakes the BLAS threads leaves them spinning for some 100 ms, on the CPUs that our
own kernels need at once: beside `numpy.linalg.eigh` of matrices of order 26 and more, block Lanczos
took 1.3 to 1.8 times as long. OpenBLAS shares out its level 2 routines from about 96 x 96 on, and
blocked reflectors much earlier. So the reduction to tridiagonal form is ours.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import FloatArray
from ._kernels.power import rotate_back, tridiagonal
from ._operators import product

Small = npt.NDArray[np.float64]

# Orders from which numpy.linalg.svd wakes threads, and up to which dgesvd and dstevd do not.
SVD_WAKES, SVD_QUIET = 40, 84
DSTEVD_QUIET = 128
TRIDIAGONAL_ORDERS = 17, 512  # of our own reduction to tridiagonal form


def eigh(a: Small) -> tuple[Small, Small]:
    r"""As numpy.linalg.eigh, of a matrix that is symmetric to the bit.

    :math:`A = Q T Q^T` with T tridiagonal, :math:`T = Z \Lambda Z^T` by LAPACK, and the vectors are
    Q Z.
    """
    low, high = TRIDIAGONAL_ORDERS
    largest = float(np.abs(a).max()) if low <= len(a) <= high else 0.0
    if 1e-280 < largest < 1e280:
        from scipy.linalg.lapack import dstemr, dstevd

        scale = 2.0 ** math.frexp(largest)[1]
        reflectors = np.multiply(a, 1 / scale, order="C")
        numbers = np.zeros((5, len(a)))
        tridiagonal(reflectors, numbers)
        diagonal, beside, tau, *_ = numbers
        if len(a) <= DSTEVD_QUIET:
            values, z, info = dstevd(diagonal, beside[:-1])
        else:
            n = len(a)
            size = {"lwork": 18 * n, "liwork": 10 * n, "compute_v": 1}
            _, values, z, info = dstemr(diagonal, beside, 0, 0, 0, 1, n, **size)
            if info == 0:
                # Orthogonal to some thousand units of rounding only, and now to their square.
                z = z - product(z, (product(z.T, z) - np.eye(n)) / 2)
        if info == 0:
            vectors = np.ascontiguousarray(z)
            rotate_back(reflectors, tau, vectors)
            return values * scale, vectors
    return np.linalg.eigh(a)


def eigh_some(a: FloatArray, k: int, which: str) -> tuple[Small, FloatArray] | None:
    """k eigenpairs of a symmetric matrix with ascending values, or None where all of them are as
    soon found.

    The whole spectrum takes 2.5 times as long as two pairs of order 20 to 200, whose vectors are
    orthogonal to some hundred units of rounding. Those of largest magnitude ('LM') are the largest
    ('LA') of a matrix whose lowest eigenvalue is above minus the least of them, which a Cholesky
    factorization tells.
    """
    n = len(a)
    if k > n // 10 or which not in ("LA", "SA", "LM") or (which == "LM" and a.diagonal().min() < 0):
        return None
    from scipy.linalg.lapack import dsyevr, ssyevr

    least = 1 if which == "SA" else n - k + 1
    solve = ssyevr if a.dtype == np.float32 else dsyevr
    # The transpose: LAPACK's upper triangle is the lower one of a then, as in numpy.linalg.eigh.
    values, vectors, found, _, info = solve(a.T, range="I", il=least, iu=least + k - 1)
    if info or found != k:
        return None
    values = values[:k].astype(np.float64)
    if which == "LM":
        try:
            np.linalg.cholesky(a + values[0].astype(a.dtype) * np.eye(n, dtype=a.dtype))
        except np.linalg.LinAlgError:
            return None
    return values, vectors


def cholesky(a: Small) -> Small | None:
    """R, upper triangular, with R^T R = a, or None where a is not positive definite; NaN for NaN.

    As `numpy.linalg.cholesky`, which takes three to five times as long for a few columns.
    """
    from scipy.linalg.lapack import dpotrf

    r, info = dpotrf(a)
    return np.ascontiguousarray(r) if info == 0 else None


def inverse_of_triangle(r: Small) -> Small | None:
    """The inverse of an upper triangular matrix, or None where there is a zero on its diagonal.

    As `numpy.linalg.inv`, which takes five to seven times as long.
    """
    from scipy.linalg.lapack import dtrtri

    inverse, info = dtrtri(r)
    return np.ascontiguousarray(inverse) if info == 0 else None


def svd(a: Small) -> tuple[Small, Small, Small]:
    """As numpy.linalg.svd of a square matrix."""
    if SVD_WAKES <= len(a) <= SVD_QUIET:
        from scipy.linalg.lapack import dgesvd

        u, s, vh, info = dgesvd(a)
        if info == 0:
            return u, s, vh
    result: Any = np.linalg.svd(a)
    return result[0], result[1], result[2]
