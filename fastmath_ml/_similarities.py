"""cosine_similarity and the kernels of scikit-learn, dense and sparse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_result, check_out, is_sparse, receives
from ._kernels.euclidean import euclidean_products
from ._kernels.pairwise import NOTHING, POWER, TANH, finished_products
from ._metric_forms import padded_norms
from ._named_distances import exp_cityblock, unit_rows_of
from ._options import number
from ._rows import (
    check_finite,
    dense_pair,
    sparse_cosines,
    sparse_distances,
    sparse_pair,
    unit_sparse_rows,
)

__all__ = [
    "cosine_similarity",
    "laplacian_kernel",
    "linear_kernel",
    "polynomial_kernel",
    "rbf_kernel",
    "sigmoid_kernel",
]

Array = npt.NDArray[Any]


def cosine_similarity(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, dense_output: bool = True, *, out: Any = None
) -> Any:
    r"""Cosine of the angle between each row of X and each row of Y.

    .. math:: C_{ij} = \frac{x_i \cdot y_j}{\lVert x_i\rVert_2 \, \lVert y_j\rVert_2}

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    dense_output : bool, default True
        For sparse X and Y: return an array (True) or a sparse matrix.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        In [-1, 1], and 0 where a row is zero. float32 if X and Y are float32, float16, int8 or
        uint8, else float64. With `Y` None or `X` itself, symmetric to the bit.

    Raises
    ------
    ValueError
        X or Y is not two-dimensional, is empty, or holds NaN or infinity; their numbers of features
        differ; `out` has another shape.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    Rows are divided by their norms before they are multiplied, so that no product overflows; rows
    whose squared norm would over- or underflow are scaled by a power of two first. For n features
    the absolute error is at most :math:`(3 + n)\,\varepsilon`, and about
    :math:`(3 + \sqrt n)\,\varepsilon` in practice. An element of the result depends on its two rows
    alone. Any layout is read in place; working memory is that of `matmul` and the norms.

    References
    ----------
    .. [1] G. Salton and M. J. McGill, "Introduction to Modern Information Retrieval", 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.cosine_similarity(np.array([[1.0, 0.0], [3.0, 4.0]]))
    array([[1. , 0.6],
           [0.6, 1. ]])
    """
    if is_sparse(X) or is_sparse(Y):
        x, y = sparse_pair(X, Y)
        if _stays_sparse(X, Y, dense_output, out):
            unit = unit_sparse_rows(x)
            product = unit @ (unit if y is x else unit_sparse_rows(y)).T
            np.clip(product.data, -1, 1, out=product.data)
            return product
        result = np.clip(sparse_cosines(x, y), -1, 1)
        return as_result(result, result.dtype, check_out(out, result.shape, result.dtype))
    x, y = dense_pair(X, Y, finite=False)
    target, result = _receiver(x, y, out)
    same = y is x
    x, x_scales = unit_rows_of(x, "X")
    y, y_scales = (x, x_scales) if same else unit_rows_of(y, "Y")
    finished_products(x, x_scales, y, y_scales, result, 1.0, 0.0, -1.0, 1.0, NOTHING, 0.0)
    return as_result(result, x.dtype, target)


def _receiver(x: Array, y: Array, out: Any) -> tuple[Any, Array]:
    """(out checked, the array that the kernel writes to)."""
    target = check_out(out, (len(x), len(y)), x.dtype)
    if receives(target, x.dtype, x, y):
        return target, target
    return target, np.empty((len(x), len(y)), x.dtype)


def _stays_sparse(X: Any, Y: Any, dense_output: bool, out: Any) -> bool:
    """Whether a sparse matrix is wanted and can be had."""
    if dense_output or not (is_sparse(X) and (Y is None or is_sparse(Y))):
        return False
    if out is not None:
        raise ValueError("out was given with dense_output=False; expected one or the other")
    return True


def _products(
    X: Any, Y: Any, out: Any, factor: float, offset: float, then: int = NOTHING, power: float = 0.0
) -> Any:
    """then(factor * X Y' + offset) of finite rows."""
    if is_sparse(X) or is_sparse(Y):
        x, y = sparse_pair(X, Y)
        result = np.asarray((x @ y.T).toarray()) * x.dtype.type(factor) + x.dtype.type(offset)
        if then == POWER:
            result = result ** int(power)
        elif then == TANH:
            result = np.tanh(result)
        return as_result(result, x.dtype, check_out(out, result.shape, x.dtype))
    x, y = dense_pair(X, Y)
    target, result = _receiver(x, y, out)
    finished_products(x, None, y, None, result, factor, offset, -math.inf, math.inf, then, power)
    return as_result(result, x.dtype, target)


def linear_kernel(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, dense_output: bool = True, *, out: Any = None
) -> Any:
    r"""Product of each row of X with each row of Y.

    .. math:: K_{ij} = x_i \cdot y_j

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    dense_output : bool, default True
        For sparse X and Y: return an array (True) or a sparse matrix.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        float32 if X and Y are float32, float16, int8 or uint8, else float64. With `Y` None or `X`
        itself, symmetric to the bit.

    Raises
    ------
    ValueError
        X or Y is not two-dimensional, is empty, or holds NaN or infinity; their numbers of features
        differ; `out` has another shape; an option out of its domain.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    The error is that of `matmul`.

    References
    ----------
    .. [1] B. Schoelkopf and A. J. Smola, "Learning with Kernels", 2002.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pairwise.linear_kernel([[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]])
    array([[11., 17.]])
    """
    if _stays_sparse(X, Y, dense_output, out):
        x, y = sparse_pair(X, Y)
        return x @ y.T
    return _products(X, Y, out, 1.0, 0.0)


def polynomial_kernel(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    degree: float = 3,
    gamma: float | None = None,
    coef0: float = 1,
    *,
    out: Any = None,
) -> Any:
    r"""Polynomial kernel of each row of X and each row of Y.

    .. math:: K_{ij} = (\gamma \, x_i \cdot y_j + c_0)^d

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    degree : float, default 3
        d, at least 0. NaN results where it is no whole number and the base is negative.
    gamma : float, optional
        At least 0; 1 / n_features when None.
    coef0 : float, default 1
        c_0.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        float32 if X and Y are float32, float16, int8 or uint8, else float64. With `Y` None or `X`
        itself, symmetric to the bit.

    Raises
    ------
    ValueError
        X or Y is not two-dimensional, is empty, or holds NaN or infinity; their numbers of features
        differ; `out` has another shape; an option out of its domain.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    Whole powers up to 64 are multiplied out in the dtype of the result, d - 1 roundings more than
    the product.

    References
    ----------
    .. [1] B. Schoelkopf and A. J. Smola, "Learning with Kernels", 2002.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pairwise.polynomial_kernel([[1.0, 2.0]], [[1.0, 1.0]], degree=2)
    array([[6.25]])
    """
    degree, coef0 = number(degree, "degree", "[0, inf)"), number(coef0, "coef0", "(-inf, inf)")
    factor = _gamma(gamma, X)
    if degree == int(degree) and degree <= 64:
        return _products(X, Y, out, factor, coef0, POWER, float(degree))
    result = _products(X, Y, out, factor, coef0)
    with np.errstate(invalid="ignore"):
        return np.power(result, result.dtype.type(degree), out=result)


def sigmoid_kernel(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    gamma: float | None = None,
    coef0: float = 1,
    *,
    out: Any = None,
) -> Any:
    r"""Sigmoid kernel of each row of X and each row of Y.

    .. math:: K_{ij} = \tanh(\gamma \, x_i \cdot y_j + c_0)

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    gamma : float, optional
        At least 0; 1 / n_features when None.
    coef0 : float, default 1
        c_0.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        float32 if X and Y are float32, float16, int8 or uint8, else float64. With `Y` None or `X`
        itself, symmetric to the bit.

    Raises
    ------
    ValueError
        X or Y is not two-dimensional, is empty, or holds NaN or infinity; their numbers of features
        differ; `out` has another shape; an option out of its domain.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    The error of the argument is that of `matmul`; tanh adds a few units in the last place.

    References
    ----------
    .. [1] B. Schoelkopf and A. J. Smola, "Learning with Kernels", 2002.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pairwise.sigmoid_kernel([[1.0, -1.0]], [[1.0, 1.0]], coef0=0)
    array([[0.]])
    """
    coef0 = number(coef0, "coef0", "(-inf, inf)")
    return _products(X, Y, out, _gamma(gamma, X), coef0, TANH)


def rbf_kernel(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    gamma: float | None = None,
    *,
    out: Any = None,
) -> Any:
    r"""Gaussian kernel of each row of X and each row of Y.

    .. math:: K_{ij} = \exp(-\gamma \lVert x_i - y_j \rVert_2^2)

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    gamma : float, optional
        At least 0; 1 / n_features when None.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        float32 if X and Y are float32, float16, int8 or uint8, else float64. With `Y` None or `X`
        itself, symmetric to the bit.

    Raises
    ------
    ValueError
        X or Y is not two-dimensional, is empty, or holds NaN or infinity; their numbers of features
        differ; `out` has another shape; an option out of its domain.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    The relative error of the exponent is that of `euclidean_distances`, twice; that of the result
    is the absolute error of the exponent.

    References
    ----------
    .. [1] B. Schoelkopf and A. J. Smola, "Learning with Kernels", 2002.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pairwise.rbf_kernel([[0.0, 1.0]], [[0.0, 1.0], [1.0, 2.0]]).round(3)
    array([[1.   , 0.368]])
    """
    exponent = -_gamma(gamma, X)
    if is_sparse(X) or is_sparse(Y):
        x, y = sparse_pair(X, Y)
        result = sparse_distances(x, y, True)
        np.exp(np.multiply(result, exponent, out=result), out=result)
        return as_result(result, x.dtype, check_out(out, result.shape, x.dtype))
    x, y = dense_pair(X, Y, finite=False)
    target, result = _receiver(x, y, out)
    x_norms = _finite_norms(x, "X")
    y_norms = x_norms if y is x else _finite_norms(y, "Y")
    if exponent == 0:
        result.fill(1)
    else:
        lowest = float(np.finfo(x.dtype).min)
        euclidean_products(x, x_norms, y, y_norms, result, False, max(exponent, lowest))
    return as_result(result, x.dtype, target)


def _finite_norms(rows: Array, name: str) -> Array:
    norms, extreme = padded_norms(rows)
    if extreme:
        check_finite(rows, name)
    return norms


def laplacian_kernel(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    gamma: float | None = None,
    *,
    out: Any = None,
) -> Any:
    r"""Laplacian kernel of each row of X and each row of Y.

    .. math:: K_{ij} = \exp(-\gamma \lVert x_i - y_j \rVert_1)

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    gamma : float, optional
        At least 0; 1 / n_features when None.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        float32 if X and Y are float32, float16, int8 or uint8, else float64. With `Y` None or `X`
        itself, symmetric to the bit.

    Raises
    ------
    ValueError
        X or Y is not two-dimensional, is empty, or holds NaN or infinity; their numbers of features
        differ; `out` has another shape; an option out of its domain.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    The relative error of the exponent is that of `manhattan_distances`.

    References
    ----------
    .. [1] B. Schoelkopf and A. J. Smola, "Learning with Kernels", 2002.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pairwise.laplacian_kernel([[0.0, 1.0]], [[0.0, 1.0], [1.0, 2.0]]).round(3)
    array([[1.   , 0.368]])
    """
    return exp_cityblock(X, Y, True, out, -_gamma(gamma, X))


def _gamma(gamma: float | None, X: Any) -> float:
    """The factor of the kernels: 1 / n_features unless it is given."""
    if gamma is None:
        shape: tuple[int, ...] = X.shape if is_sparse(X) else np.shape(X)
        return 1.0 / shape[1] if len(shape) == 2 and shape[1] else 1.0
    return number(gamma, "gamma", "[0, inf)")
