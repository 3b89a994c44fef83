"""Matrix and vector products, eigenpairs, singular triplets, norms; numpy.linalg for stacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, computing_dtype, ready, receives
from ._eigen import eigh_topk, power_iteration
from ._kernels.products import gram_plain, product_plain
from ._linear import linear
from ._norm import norm
from ._pca import pca, randomized_svd
from ._products import NO_VALUE, with_options
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


def matmul(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = NO_VALUE,
    axis: Any = NO_VALUE,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
    r"""Matrix product of two arrays, with the semantics of `numpy.matmul`.

    .. math:: C_{ij} = \sum_p A_{ip} B_{pj}

    Parameters
    ----------
    x1 : array_like, shape (..., n_rows, depth) or (depth,)
    x2 : array_like, shape (..., depth, n_cols) or (depth,)
        Matrices on the last two axes; the axes before them are broadcast against each other. A
        vector counts as one row (`x1`) or one column (`x2`), and that axis is left out of the
        result.
    out : ndarray or tuple of one ndarray, optional
        Receives the result. May overlap the inputs.
    dtype : dtype, optional
        Of the result; the operands are converted to it, by the rule 'same_kind'.
    axes, axis, keepdims, casting, order, subok, signature
        As for `numpy.matmul`, which is called where one of them is given.

    Returns
    -------
    ndarray or scalar
        Of shape (..., n_rows, n_cols); a scalar for two vectors. dtypes promote as in NumPy:
        float16 (summed in float32), float32, float64, all integers (exact modulo 2 to the number of
        bits of the result, as in NumPy; `dtype=` widens) and bool. bfloat16 (of the package
        ml_dtypes) gives bfloat16, summed in float32. Every other dtype goes to `numpy.matmul`.

    Raises
    ------
    ValueError
        The depths of `x1` and `x2` differ, their stacks do not broadcast, one of them is a scalar,
        or `out` has another shape.
    TypeError
        An argument is a masked array, or the result cannot be cast to the dtype of `out`.

    Notes
    -----
    Each element is summed in blocks of a fixed length along the depth, so the result does not
    depend on the number of threads. Componentwise, for a depth of d, the error is at most
    :math:`(d + 2)\,\varepsilon\,|A||B|`; in practice :math:`\sqrt d` takes the place of d.
    Operands of any strides are packed in blocks and never copied as a whole; working memory is
    at most 16 MiB plus a quarter of the L2 cache for each thread.

    References
    ----------
    .. [1] K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM
       Transactions on Mathematical Software 34(3), 2008.
    .. [2] F. Van Zee and R. van de Geijn, "BLIS: A framework for rapidly instantiating BLAS
       functionality", ACM Transactions on Mathematical Software 41(3), 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    # As with_options begins for the others; its call would cost a third of a 4 x 4 product.
    result = product_plain(
        x1, x2, out, 0, 0, axes, axis, keepdims, casting, order, dtype, signature
    )
    if result is not None:
        return result
    return with_options(
        np.matmul, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok, signature
    )


def vecdot(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = NO_VALUE,
    axis: Any = NO_VALUE,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
    r"""Dot products of vectors, with the semantics of `numpy.vecdot`.

    .. math:: c = \sum_p a_p b_p

    Parameters
    ----------
    x1, x2 : array_like, shape (..., depth)
        Vectors on the last axis; the axes before it are broadcast against each other.
    out, axes, axis, keepdims, casting, order, dtype, subok, signature
        As for `matmul`.

    Returns
    -------
    ndarray or scalar
        The shape of `x1` and `x2` without the last axis. dtypes as for `matmul`.

    Raises
    ------
    ValueError, TypeError
        As for `matmul`.

    Notes
    -----
    Products are summed in blocks of 2048 by lanes, the blocks in float64: the error of float32 does
    not grow with the depth beyond that of a block.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    return with_options(
        np.vecdot, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok, signature
    )


def matvec(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = NO_VALUE,
    axis: Any = NO_VALUE,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
    r"""Products of matrices and vectors, with the semantics of `numpy.matvec`.

    .. math:: c_i = \sum_p A_{ip} b_p

    Parameters
    ----------
    x1 : array_like, shape (..., n_rows, depth)
    x2 : array_like, shape (..., depth)
        The axes before are broadcast against each other.
    out, axes, axis, keepdims, casting, order, dtype, subok, signature
        As for `matmul`.

    Returns
    -------
    ndarray, shape (..., n_rows)
        dtypes as for `matmul`.

    Raises
    ------
    ValueError, TypeError
        As for `matmul`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.matvec(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    return with_options(
        np.matvec, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok, signature
    )


def vecmat(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = NO_VALUE,
    axis: Any = NO_VALUE,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
    r"""Products of vectors and matrices, with the semantics of `numpy.vecmat`.

    .. math:: c_j = \sum_p a_p B_{pj}

    Parameters
    ----------
    x1 : array_like, shape (..., depth)
    x2 : array_like, shape (..., depth, n_cols)
        The axes before are broadcast against each other.
    out, axes, axis, keepdims, casting, order, dtype, subok, signature
        As for `matmul`.

    Returns
    -------
    ndarray, shape (..., n_cols)
        dtypes as for `matmul`.

    Raises
    ------
    ValueError, TypeError
        As for `matmul`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.vecmat(np.array([1.0, 10.0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([31., 42.])
    """
    return with_options(
        np.vecmat, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok, signature
    )


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
