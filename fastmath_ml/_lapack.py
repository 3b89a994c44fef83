"""Small dense problems by LAPACK, in its routines that stay on the calling thread.

A routine that wakes the BLAS threads leaves them spinning for some 100 ms, on the CPUs that our
own kernels need at once: beside `numpy.linalg.eigh` of matrices of order 26 and more, block Lanczos
took 1.3 to 1.8 times as long. OpenBLAS shares out its level 2 routines from about 96 x 96 on, and
blocked reflectors much earlier; dsyevr (upper triangle) and dgesvd use neither below the orders
given here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Small = npt.NDArray[np.float64]

# Orders from which numpy.linalg wakes threads, and up to which these routines do not.
EIGH_WAKES, SVD_WAKES = 17, 40
QUIET_ORDER = 84


def eigh(a: Small) -> tuple[Small, Small]:
    """As numpy.linalg.eigh."""
    if EIGH_WAKES <= len(a) <= QUIET_ORDER:
        from scipy.linalg.lapack import dsyevr

        values, vectors, *_, info = dsyevr(a)
        if info == 0:
            return values, vectors
    return np.linalg.eigh(a)


def svd(a: Small) -> tuple[Small, Small, Small]:
    """As numpy.linalg.svd of a square matrix."""
    if SVD_WAKES <= len(a) <= QUIET_ORDER:
        from scipy.linalg.lapack import dgesvd

        u, s, vh, info = dgesvd(a)
        if info == 0:
            return u, s, vh
    result: Any = np.linalg.svd(a)
    return result[0], result[1], result[2]
