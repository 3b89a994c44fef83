"""Matrix and vector products, eigenpairs, singular triplets, norms; numpy.linalg for stacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, computing_dtype, ready, receives
from ._eigen import eigh_topk, power_iteration
from ._kernels.products import gram_plain, matmul, matvec, vecdot, vecmat
from ._linear import linear
from ._norm import norm
from ._pca import pca, randomized_svd
from ._small_solve import cholesky, det, inv, slogdet, solve
from ._small_spectral import eigh, eigvalsh, lstsq, pinv, qr, svd
from ._svd import svd_topk

__all__ = [
    "cholesky",
    "det",
    "eigh",
    "eigh_topk",
    "eigvalsh",
    "gram",
    "inv",
    "linear",
    "lstsq",
    "matmul",
    "matvec",
    "norm",
    "pca",
    "pinv",
    "power_iteration",
    "qr",
    "randomized_svd",
    "slogdet",
    "solve",
    "svd",
    "svd_topk",
    "vecdot",
    "vecmat",
]


# Public functions: that is where their examples are looked for.
for _function in (matmul, matvec, vecdot, vecmat):
    _function.__module__ = __name__
del _function


def gram(x: npt.ArrayLike, *, out: Any = None) -> Any:
    r"""Gram matrix of the columns of x, symmetric to the bit.

    .. math:: G_{ij} = \sum_p x_{pi} x_{pj}

    Parameters
    ----------
    x : array_like, shape (n_rows, n_features)
        float32 and float64 are computed as they are, float16 and bfloat16 in float32, integers and
        booleans in float64.
    out : ndarray of shape (n_features, n_features), optional
        Receives the result. May overlap `x`.

    Returns
    -------
    ndarray, shape (n_features, n_features)
        float32 or float64.

    Raises
    ------
    ValueError
        `x` is not two-dimensional, or `out` has another shape.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    One triangle is computed and mirrored block by block. Accuracy and memory as for `matmul`; `x`
    is read in place, whatever its layout.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.gram(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[10., 14.],
           [14., 20.]])
    """
    rows = as_array(x, "x")
    if rows.ndim != 2:
        raise ValueError(f"x is a {rows.ndim}D array of shape {rows.shape}; expected a 2D array")
    dtype = computing_dtype(rows.dtype, "x")
    shape = (rows.shape[1], rows.shape[1])
    target = check_out(out, shape, dtype)
    result = target if receives(target, dtype, rows) else np.empty(shape, dtype)
    gram_plain(ready(rows, dtype), result)
    return as_result(result, dtype, target)
