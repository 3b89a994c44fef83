"""cosine_distances, euclidean_distances, manhattan_distances: scikit-learn's, dense and sparse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, is_sparse, receives
from ._kernels.elementwise import KINDS, metric_distances
from ._kernels.euclidean import euclidean_products
from ._kernels.pairwise import finished_products
from ._metric_forms import NORM_PADDING, padded_norms, unit_rows
from ._rows import (
    EnsureFinite,
    dense_pair,
    ensure_finite,
    fill_diagonal,
    sparse_cosines,
    sparse_distances,
    sparse_pair,
)

__all__ = ["cosine_distances", "euclidean_distances", "manhattan_distances"]

Array = npt.NDArray[Any]
DENSE_BLOCK = 4 << 20  # bytes of sparse rows that are made dense at once


def euclidean_distances(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    *,
    Y_norm_squared: npt.ArrayLike | None = None,
    squared: bool = False,
    X_norm_squared: npt.ArrayLike | None = None,
    out: Any = None,
) -> Any:
    r"""Euclidean distance of each row of X to each row of Y.

    .. math:: D_{ij} = \lVert x_i - y_j \rVert_2

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    Y_norm_squared : array_like of shape (n_rows_y,), (n_rows_y, 1) or (1, n_rows_y), optional
        The squared norms of the rows of Y, if they are known. Used where both they and the result
        are float64 and the rows dense.
    squared : bool, default False
        Return squared distances.
    X_norm_squared : array_like of shape (n_rows_x,), (n_rows_x, 1) or (1, n_rows_x), optional
        Those of X.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        Never negative, exactly 0 for equal rows (of equal sparse rows in two sets: see the Notes).
        float32 if X and Y are float32, float16, int8 or uint8, else float64. With `Y` None or `X`
        itself, symmetric to the bit.

    Raises
    ------
    ValueError
        X or Y is not two-dimensional, is empty, or holds NaN or infinity; shapes that do not fit.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    Computed as :math:`\lVert x\rVert^2 + \lVert y\rVert^2 - 2 x \cdot y`, except for pairs of rows
    for which that is less than 1/16 of the first two terms: those are summed from the differences.
    With n features and :math:`m = \min(n, 384)` the relative error is at most
    :math:`(4 m + n / 96 + 20)\,\varepsilon`, wherever the data lie and however close two rows
    are; in practice it is a few :math:`\varepsilon`. Squares that would over- or underflow are
    scaled. An element depends on its two rows alone. Sparse rows are multiplied by SciPy, in
    float64, without that correction. Working memory is that of `matmul` and the norms.

    References
    ----------
    .. [1] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2002, ch. 3.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.euclidean_distances(np.array([[0.0, 1.0], [1.0, 1.0]]))
    array([[0., 1.],
           [1., 0.]])
    """
    return euclidean(X, Y, True, out, Y_norm_squared, squared, X_norm_squared)


def euclidean(
    X: Any,
    Y: Any,
    ensure_all_finite: EnsureFinite,
    out: Any,
    Y_norm_squared: Any = None,
    squared: bool = False,
    X_norm_squared: Any = None,
) -> Any:
    """euclidean_distances, where also NaN and infinity may be allowed."""
    if is_sparse(X) or is_sparse(Y):
        x, y = sparse_pair(X, Y, ensure_all_finite)
        _given_norms(X_norm_squared, "X_norm_squared", x.shape[0])
        _given_norms(Y_norm_squared, "Y_norm_squared", y.shape[0])
        result = sparse_distances(x, y, squared)
        return as_result(result, x.dtype, check_out(out, result.shape, x.dtype))
    x, y = dense_pair(X, Y, finite=False)
    x_given = _given_norms(X_norm_squared, "X_norm_squared", len(x))
    y_given = _given_norms(Y_norm_squared, "Y_norm_squared", len(y))
    target = check_out(out, (len(x), len(y)), x.dtype)
    result = target if receives(target, x.dtype, x, y) else np.empty((len(x), len(y)), x.dtype)
    x_norms = _norms(x, x_given, "X", ensure_all_finite)
    y_norms = x_norms if y is x and y_given is None else _norms(y, y_given, "Y", ensure_all_finite)
    euclidean_products(x, x_norms, y, y_norms, result, not squared)
    return as_result(result, x.dtype, target)


def _given_norms(given: Any, name: str, n_rows: int) -> Array | None:
    if given is None:
        return None
    norms = as_array(given, name)
    if norms.shape not in ((n_rows,), (n_rows, 1), (1, n_rows)):
        raise ValueError(
            f"Incompatible dimensions for {name[0]} of {n_rows} rows: "
            f"{name} has shape {norms.shape}; expected ({n_rows},)"
        )
    return norms.reshape(-1)


def _norms(rows: Array, given: Array | None, name: str, ensure_all_finite: EnsureFinite) -> Array:
    """Squared norms with padding, computed unless they were given in float64 for float64 rows."""
    if given is not None and given.dtype == rows.dtype == np.float64:
        ensure_finite(rows, name, ensure_all_finite)
        return np.concatenate([given, np.zeros(NORM_PADDING)])
    norms, extreme = padded_norms(rows)
    if extreme:
        ensure_finite(rows, name, ensure_all_finite)
    return norms


def cosine_distances(X: npt.ArrayLike, Y: npt.ArrayLike | None = None, *, out: Any = None) -> Any:
    r"""1 minus the cosine of the angle between each row of X and each row of Y.

    .. math:: D_{ij} = 1 - \frac{x_i \cdot y_j}{\lVert x_i\rVert_2 \, \lVert y_j\rVert_2}

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        In [0, 2], and 1 where a row is zero. float32 if X and Y are float32, float16, int8 or
        uint8, else float64. With `Y` None or `X` itself, symmetric to the bit, with 0 on the
        diagonal.

    Raises
    ------
    ValueError, TypeError
        As in `cosine_similarity`.

    Notes
    -----
    The absolute error is that of `cosine_similarity`.

    References
    ----------
    .. [1] G. Salton and M. J. McGill, "Introduction to Modern Information Retrieval", 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.cosine_distances(np.array([[1.0, 0.0], [3.0, 4.0]]))
    array([[0. , 0.4],
           [0.4, 0. ]])
    """
    return cosine(X, Y, True, out)


def cosine(X: Any, Y: Any, ensure_all_finite: EnsureFinite, out: Any) -> Any:
    """cosine_distances, where also NaN and infinity may be allowed."""
    if is_sparse(X) or is_sparse(Y):
        x, y = sparse_pair(X, Y, ensure_all_finite)
        result = np.clip(1 - sparse_cosines(x, y), 0, 2)
        if y is x:
            fill_diagonal(result)
        return as_result(result, result.dtype, check_out(out, result.shape, result.dtype))
    x, y = dense_pair(X, Y, finite=False)
    target = check_out(out, (len(x), len(y)), x.dtype)
    result = target if receives(target, x.dtype, x, y) else np.empty((len(x), len(y)), x.dtype)
    same = y is x
    x, x_scales = unit_rows_of(x, "X", ensure_all_finite)
    y, y_scales = (x, x_scales) if same else unit_rows_of(y, "Y", ensure_all_finite)
    finished_products(x, x_scales, y, y_scales, result, -1.0, 1.0, 0.0, 2.0, 0, 0.0)
    if same:
        fill_diagonal(result)
    return as_result(result, x.dtype, target)


def unit_rows_of(
    x: Array, name: str, ensure_all_finite: EnsureFinite = True
) -> tuple[Array, Array]:
    """unit_rows with scale 1 for rows of zeros."""
    x, scales, odd = unit_rows(x)
    if len(odd):
        ensure_finite(x[odd], name, ensure_all_finite)
        scales[odd[~x[odd].any(axis=1)]] = 1
    return x, scales


def manhattan_distances(
    X: npt.ArrayLike, Y: npt.ArrayLike | None = None, *, out: Any = None
) -> Any:
    r"""Sum of absolute differences of each row of X and each row of Y.

    .. math:: D_{ij} = \sum_p \lvert x_{ip} - y_{jp} \rvert

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
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
        differ; `out` has another shape.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    For n features the relative error is at most :math:`(\min(n, 128) + n / 128 + 1)\,\varepsilon`.
    An element depends on its two rows alone. Sparse rows are made dense in blocks.

    References
    ----------
    .. [1] M. M. Deza and E. Deza, "Encyclopedia of Distances", 2009.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.manhattan_distances(np.array([[0.0, 1.0], [2.0, 2.0]]))
    array([[0., 3.],
           [3., 0.]])
    """
    return cityblock(X, Y, True, out)


def cityblock(X: Any, Y: Any, ensure_all_finite: EnsureFinite, out: Any) -> Any:
    return exp_cityblock(X, Y, ensure_all_finite, out, None)


def exp_cityblock(
    X: Any, Y: Any, ensure_all_finite: EnsureFinite, out: Any, exponent: float | None
) -> Any:
    """exp(exponent * distance) of Manhattan distances, or these."""
    if is_sparse(X) or is_sparse(Y):
        return _sparse_cityblock(*sparse_pair(X, Y, ensure_all_finite), out, exponent)
    x, y = dense_pair(X, Y, ensure_all_finite)
    target = check_out(out, (len(x), len(y)), x.dtype)
    result = target if receives(target, x.dtype, x, y) else np.empty((len(x), len(y)), x.dtype)
    _fill_cityblock(x, y, result, exponent)
    return as_result(result, x.dtype, target)


def sqeuclidean(X: Any, Y: Any, ensure_all_finite: EnsureFinite, out: Any) -> Any:
    return euclidean(X, Y, ensure_all_finite, out, squared=True)


# Metrics that have a function of their own, which takes sparse rows as well.
NAMED: dict[str, Callable[..., Any]] = {
    "cosine": cosine,
    "euclidean": euclidean,
    "l2": euclidean,
    "sqeuclidean": sqeuclidean,
    "manhattan": cityblock,
    "l1": cityblock,
    "cityblock": cityblock,
}


def _fill_cityblock(x: Array, y: Array, result: Array, exponent: float | None) -> None:
    if exponent is not None:
        exponent = max(exponent, float(np.finfo(x.dtype).min))  # infinity times 0 is NaN
    ones = np.ones(x.shape[1], x.dtype)
    metric_distances(x, y, ones, KINDS["cityblock"], 1.0, 1.0, False, result, exponent)


def _sparse_cityblock(x: Any, y: Any, out: Any, exponent: float | None) -> Any:
    target = check_out(out, (x.shape[0], y.shape[0]), x.dtype)
    result = np.empty((x.shape[0], y.shape[0]), x.dtype)
    step = max(1, DENSE_BLOCK // (x.dtype.itemsize * x.shape[1]))
    for first_y in range(0, y.shape[0], step):
        y_rows = y[first_y : first_y + step].toarray()
        for first_x in range(0, x.shape[0], step):
            x_rows = x[first_x : first_x + step].toarray()
            block = np.empty((len(x_rows), len(y_rows)), x.dtype)
            _fill_cityblock(x_rows, y_rows, block, exponent)
            result[first_x : first_x + step, first_y : first_y + step] = block
    return as_result(result, x.dtype, target)
