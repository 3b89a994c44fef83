"""Nearest rows without the matrix of distances: top-k, the nearest one, all within a radius."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import is_sparse
from ._kernels.topk import MAX_DEPTH
from ._options import count, number
from ._search import (
    PRODUCT_KINDS,
    SIMILARITIES,
    Array,
    Metric,
    RadiusNeighbors,
    TopK,
    assert_finite,
    checked_metric,
    result_dtype,
    topk_of_products,
    topk_of_values,
    two_sets,
    value_blocks,
)

__all__ = [
    "pairwise_distances_argmin",
    "pairwise_distances_argmin_min",
    "radius_neighbors",
    "topk",
]


def topk(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    k: int,
    metric: Metric = "euclidean",
    *,
    sorted: bool = True,
    **kwds: Any,
) -> TopK:
    r"""The k nearest rows of Y for each row of X, without the matrix of distances.

    .. math:: I_i = \operatorname{arg\,k\text{-}min}_j \; d(x_i, y_j)

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_queries, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows, n_features)
        The database. A memory map is read once, in order.
    k : int
        From 1 to n_rows.
    metric : str or callable, default 'euclidean'
        A metric of `cdist` or `pairwise_distances`; 'cosine_similarity' or 'dot', for which the
        largest are found; or a function of two rows that returns a number (see `cdist`).
    sorted : bool, default True
        Nearest first; else in the order of the indices.
    **kwds
        Parameters of the metric, as for `cdist`.

    Returns
    -------
    TopK
        Named tuple of `distances` (similarities for the two metrics named above) and `indices`
        (int64), both of shape (n_queries, k). float32 if X and Y are float32, float16, int8 or
        uint8, else float64.

    Raises
    ------
    ValueError
        k is not between 1 and n_rows; X or Y is not two-dimensional or is empty; their numbers of
        features differ; the metric is unknown.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    *Order.* By the number that the search computes, in the dtype of the result, and by index where
    these are equal: for Euclidean distances :math:`|y|^2 - 2 x \cdot y`, for cosines
    :math:`-(x / |x|) \cdot y / |y|`. Two neighbours whose distances differ by less than the
    rounding error of this number, about :math:`\varepsilon (|x|^2 + |y|^2)` of the squared
    distance, may come in either order, the same one always: the result does not depend on the
    threads, on the other rows of X, or on k. NaN sorts last. int8 and uint8 are searched exactly.

    *Accuracy.* Euclidean and cosine distances that are returned are computed again from the
    differences of the rows, or of the rows divided by their lengths: the relative error of
    Euclidean distances is of the order of :math:`\sqrt{n} \, \varepsilon`, that of a cosine
    distance d of :math:`(\sqrt{n} + 1 / \sqrt{d}) \, \varepsilon`, and the distance of equal rows
    is 0. A squared norm that
    overflows orders its row last.

    *Memory.* At most 32 MiB beyond the result; X is copied where its dtype or alignment asks for
    it.

    References
    ----------
    .. [1] J. Johnson, M. Douze and H. Jégou, "Billion-scale similarity search with GPUs", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> database = np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0]])
    >>> distances, indices = fm.pairwise.topk([[0.0, 0.0]], database, 2)
    >>> distances
    array([[0., 1.]])
    >>> indices
    array([[0, 2]])
    """
    return _nearest(*two_sets(X, Y), k, metric, sorted, kwds)


def _nearest(x: Any, y: Any, k: Any, metric: Any, sorted: bool, kwds: dict[str, Any]) -> TopK:
    k = count(k, "k", 1, y.shape[0], ", the number of rows of Y")
    metric = checked_metric(metric, kwds)
    dtype = result_dtype(x, y)
    fused = isinstance(metric, str) and metric in PRODUCT_KINDS and not kwds
    if not fused or is_sparse(x) or is_sparse(y) or x.shape[1] > MAX_DEPTH:
        return topk_of_values(x, y, k, metric, sorted, kwds, dtype)
    return topk_of_products(x, y, k, str(metric), sorted, dtype)


def radius_neighbors(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    radius: float,
    metric: Metric = "euclidean",
    *,
    sort: bool = True,
    **kwds: Any,
) -> RadiusNeighbors:
    r"""All rows of Y within a distance of each row of X.

    .. math:: I_i = \{ j : d(x_i, y_j) \le r \}

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_queries, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows, n_features)
        Read once, in order.
    radius : float
        Included. For the similarities 'cosine_similarity' and 'dot' the least that counts.
    metric : str or callable, default 'euclidean'
        As for `topk`.
    sort : bool, default True
        Nearest first, and by index where distances are equal; else in the order of the indices.
    **kwds
        Parameters of the metric, as for `cdist`.

    Returns
    -------
    RadiusNeighbors
        Named tuple of `indptr` of shape (n_queries + 1,), `indices` and `distances`, like the parts
        of a CSR matrix: the neighbours of row i are the items indptr[i] to indptr[i + 1].

    Raises
    ------
    ValueError
        The radius is NaN; otherwise as for `topk`.
    TypeError
        As for `topk`.

    Notes
    -----
    Distances are those of `cdist` to the bit and decide about who is in; NaN is outside of every
    radius. Memory: up to five times the result, and 32 MiB.

    References
    ----------
    .. [1] J. L. Bentley, D. F. Stanat and E. H. Williams, "The complexity of finding fixed-radius
       near neighbors", 1977.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> database = np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0]])
    >>> found = fm.pairwise.radius_neighbors([[0.0, 0.0], [9.0, 9.0]], database, 5.0)
    >>> found.indptr
    array([0, 3, 3])
    >>> found.indices
    array([0, 2, 1])
    """
    x, y = two_sets(X, Y)
    metric = checked_metric(metric, kwds)
    limit = number(radius, "radius", "[-inf, inf]")
    largest = metric in SIMILARITIES
    rows, indices, distances = [], [], []
    dtype = result_dtype(x, y)
    for first_row, first, values in value_blocks(x, y, metric, kwds, dtype):
        with np.errstate(over="ignore"):  # a limit that float32 does not hold is infinite there
            inside = values >= limit if largest else values <= limit
        at_row, at = np.nonzero(inside)
        rows.append(at_row + first_row)
        indices.append(at + first)
        distances.append(values[inside])
    all_rows, all_indices = np.concatenate(rows), np.concatenate(indices)
    all_distances = np.concatenate(distances)
    keys = [all_indices, all_rows]
    if sort:
        keys.insert(1, -all_distances if largest else all_distances)
    order = np.lexsort(keys)
    indptr = np.zeros(x.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(all_rows, minlength=x.shape[0]), out=indptr[1:])
    return RadiusNeighbors(indptr, all_indices[order], all_distances[order])


def pairwise_distances_argmin_min(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    axis: int = 1,
    metric: Metric = "euclidean",
    metric_kwargs: dict[str, Any] | None = None,
) -> tuple[npt.NDArray[np.int64], Array]:
    r"""The nearest row of Y for each row of X, and its distance.

    .. math:: j_i = \operatorname{arg\,min}_j \; d(x_i, y_j)

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features)
    axis : {1, 0}, default 1
        0: the nearest row of X for each row of Y.
    metric : str or callable, default 'euclidean'
        As for `topk`, distances only.
    metric_kwargs : dict, optional
        Parameters of the metric. `squared=True` with 'euclidean' gives squared distances.

    Returns
    -------
    argmin : ndarray of int64 of shape (n_rows_x,)
        The smaller index where distances are equal.
    distances : ndarray of shape (n_rows_x,)
        float32 where `topk` is.

    Raises
    ------
    ValueError
        X or Y holds NaN or infinity; otherwise as for `topk`.
    TypeError
        As for `topk`.

    Notes
    -----
    `topk` with k = 1; see there for accuracy, order and memory.

    References
    ----------
    .. [1] The function of this name of scikit-learn.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pairwise.pairwise_distances_argmin_min([[0.0], [4.0]], [[3.0], [1.0]])
    (array([1, 0]), array([1., 1.]))
    """
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis!r}; expected 0 or 1")
    if metric in SIMILARITIES:
        raise ValueError(f"metric is {metric!r}, a similarity; expected a distance")
    if not isinstance(metric_kwargs, (dict, type(None))):
        raise TypeError(f"metric_kwargs is {metric_kwargs!r}; expected None or a dict")
    options = dict(metric_kwargs or {})
    if metric in ("euclidean", "l2") and options.pop("squared", False):
        metric = "sqeuclidean"
    x, y = two_sets(X, Y)
    if metric != "nan_euclidean":
        assert_finite(x, "X")
        assert_finite(y, "Y")
    if axis == 0:
        x, y = y, x
    distances, indices = _nearest(x, y, 1, metric, True, options)
    return indices[:, 0], distances[:, 0]


def pairwise_distances_argmin(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    axis: int = 1,
    metric: Metric = "euclidean",
    metric_kwargs: dict[str, Any] | None = None,
) -> npt.NDArray[np.int64]:
    r"""The nearest row of Y for each row of X.

    .. math:: j_i = \operatorname{arg\,min}_j \; d(x_i, y_j)

    Parameters
    ----------
    X, Y, axis, metric, metric_kwargs
        As for `pairwise_distances_argmin_min`.

    Returns
    -------
    ndarray of int64 of shape (n_rows_x,)
        The smaller index where distances are equal.

    Raises
    ------
    ValueError, TypeError
        As for `pairwise_distances_argmin_min`.

    References
    ----------
    .. [1] The function of this name of scikit-learn.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pairwise.pairwise_distances_argmin([[0.0], [4.0]], [[3.0], [1.0]])
    array([1, 0])
    """
    return pairwise_distances_argmin_min(
        X, Y, axis=axis, metric=metric, metric_kwargs=metric_kwargs
    )[0]
