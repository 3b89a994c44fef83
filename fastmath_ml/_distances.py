"""Distance matrices by the name of the metric: cdist, pdist, pairwise_distances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, is_sparse, ready, receives
from ._kernels.bits import condense
from ._metric_forms import Prepared
from ._metrics import ALIASES, BOOLEAN, canonical, estimate_of, prepare, similarity_dtype
from ._named_distances import NAMED
from ._options import count
from ._rows import EnsureFinite, check_features, check_finite, check_shape
from ._threads import num_threads

__all__ = ["cdist", "pairwise_distances", "pdist"]

Array = npt.NDArray[Any]
CONDENSING_BLOCK = 8 << 20  # bytes of the matrix that pdist holds at once


def cdist(
    XA: npt.ArrayLike,
    XB: npt.ArrayLike,
    metric: str | Callable[..., float] = "euclidean",
    *,
    out: Any = None,
    **kwargs: Any,
) -> Any:
    r"""Distance of each row of XA to each row of XB.

    .. math:: D_{ij} = d(a_i, b_j)

    Parameters
    ----------
    XA : array_like of shape (n_rows_a, n_features)
    XB : array_like of shape (n_rows_b, n_features)
        With XA itself the result is symmetric to the bit, and each pair is computed once, but for
        functions of the caller, which see every pair.
    metric : str or callable
        A name that `scipy.spatial.distance.cdist` knows, or `nan_euclidean`; or a function of two
        rows.
    out : ndarray of shape (n_rows_a, n_rows_b), optional
        Receives the result; any layout.
    **kwargs
        `p` of minkowski (2); `w`, weights of the features, for all but jensenshannon, mahalanobis
        and seuclidean; `V` of seuclidean, variances of the features (default: those of all rows);
        `VI` of mahalanobis, the inverse covariance (default: that of all rows). For a function:
        its keyword arguments.

    Returns
    -------
    ndarray of shape (n_rows_a, n_rows_b)
        float32 if XA and XB are float32, float16, int8 or uint8, else float64.

    Raises
    ------
    ValueError
        An unknown metric, an option out of its domain, or shapes that do not fit.
    TypeError
        A masked array, a dtype that is neither real nor boolean, or an option that the metric does
        not take.

    Notes
    -----
    NaN propagates, also where SciPy's chebyshev drops it. dice, jaccard, rogerstanimoto,
    russellrao, sokalsneath and yule take every number but 0 for true; hamming compares numbers.
    Distances between rows of zeros are NaN where the definition is 0 / 0 (braycurtis, cosine,
    correlation, dice, sokalsneath), as in SciPy; so is jensenshannon for a row that adds up to 0.

    The relative error of cityblock, canberra, minkowski and the sums of braycurtis is at most about
    :math:`(n + 8)\,\varepsilon` for up to 128 features and grows with n / 128 beyond; that of
    minkowski, whose last root is the power 1/p, also with the logarithm of the sum: up to 180
    :math:`\varepsilon` for sums near the ends of the range. For
    euclidean see `euclidean_distances`, for cosine `cosine_similarity`: its error is absolute. Sums
    of powers that float32 would not hold are computed in float64. mahalanobis transforms the rows
    in float64 before they are subtracted: its error is absolute, relative to their lengths then. An
    element depends on its two rows alone. The rows of XB are copied in blocks, the working memory
    is at most 32 MiB beyond copies of input that is not float32 or float64 and, for correlation,
    jensenshannon, mahalanobis and the boolean metrics, of the rows in the form that is compared.

    References
    ----------
    .. [1] M. M. Deza and E. Deza, "Encyclopedia of Distances", 2009.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.cdist([[0.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [1.0, 2.0]], "cityblock")
    array([[2., 3.],
           [3., 2.]])
    """
    xa, xb = as_array(XA, "XA"), as_array(XB, "XB")
    if xb is not xa and XB is XA:
        xb = xa
    for rows, name in ((xa, "XA"), (xb, "XB")):
        _check_dimensions(rows, name)
    if xa.shape[1] != xb.shape[1]:
        raise ValueError(
            f"XA has {xa.shape[1]} features and XB has {xb.shape[1]}; expected the same number"
        )
    if callable(metric):
        return _custom(xa, xb, metric, kwargs, out)
    option, estimate = estimate_of(metric)
    if xb is xa and option is not None and kwargs.get(option) is None and xa.shape[1]:
        # From both sets, as in SciPy, also where they are one.
        kwargs[option] = estimate(np.concatenate([xa, xa]))
    prepared, dtype = _prepare(xa, xb, metric, dict(kwargs), ("XA", "XB"))
    return _matrix(prepared, (len(xa), len(xb)), dtype, out, xa, xb)


def pdist(
    X: npt.ArrayLike,
    metric: str | Callable[..., float] = "euclidean",
    *,
    out: Any = None,
    **kwargs: Any,
) -> Any:
    r"""Distances between the rows of X, each pair once, in condensed form.

    .. math:: D_{n i - i (i + 1) / 2 + j - i - 1} = d(x_i, x_j), \quad i < j

    Parameters
    ----------
    X : array_like of shape (n_rows, n_features)
    metric : str or callable
        As in `cdist`.
    out : ndarray of shape (n_rows * (n_rows - 1) / 2,), optional
        Receives the result; any layout.
    **kwargs
        As in `cdist`.

    Returns
    -------
    ndarray of shape (n_rows * (n_rows - 1) / 2,)
        The same bits as the upper triangle of ``cdist(X, X)``, but where V or VI is estimated:
        here from the rows of X, there, as in SciPy, from those of both sets. float32 if X is
        float32, float16, int8 or uint8, else float64.

    Raises
    ------
    ValueError, TypeError
        As in `cdist`.

    Notes
    -----
    Computed in blocks of rows of the matrix, of 8 MiB each.

    References
    ----------
    .. [1] M. M. Deza and E. Deza, "Encyclopedia of Distances", 2009.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pdist([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    array([5.        , 1.        , 4.24264069])
    """
    x = as_array(X, "X")
    _check_dimensions(x, "X")
    n_rows = len(x)
    n_pairs = n_rows * (n_rows - 1) // 2
    if callable(metric):
        return _custom_condensed(x, metric, kwargs, out, n_pairs)
    prepared, dtype = _prepare(x, x, metric, dict(kwargs), ("X", "X"))
    target = check_out(out, (n_pairs,), dtype)
    result = target if receives(target, dtype, x) else np.empty(n_pairs, dtype)
    step = max(1, CONDENSING_BLOCK // max(1, n_rows * dtype.itemsize))
    for first in range(0, n_rows - 1, step):
        rows = tuple(part[first : first + step] for part in prepared.x)
        others = tuple(part[first:] for part in prepared.x)
        block = np.empty((min(step, n_rows - first), n_rows - first), dtype)
        prepared.fill(rows, others, block)
        condense(block, first, n_rows, result)
    return as_result(result, dtype, target)


def _check_dimensions(rows: Array, name: str) -> None:
    if rows.ndim != 2:
        raise ValueError(
            f"{name} is a {rows.ndim}D array of shape {rows.shape}; expected a 2-dimensional "
            "array, rows of features"
        )


def _prepare(
    x: Array, y: Array, metric: Any, options: dict[str, Any], names: tuple[str, str]
) -> tuple[Prepared, np.dtype[Any]]:
    """The metric prepared for two sets (y is x for one), and the dtype of the result."""
    if not isinstance(metric, str):
        raise TypeError(f"metric is {type(metric).__name__}; expected a string or a function")
    name = canonical(metric)
    dtype = np.result_type(similarity_dtype(x.dtype, names[0]), similarity_dtype(y.dtype, names[1]))
    boolean = name in BOOLEAN or (name == "hamming" and x.dtype == y.dtype == bool)
    same = y is x
    wanted = np.dtype(bool) if boolean else dtype
    x = _as(x, wanted)
    return prepare(name, x, x if same else _as(y, wanted), options), dtype


def _as(x: Array, dtype: np.dtype[Any]) -> Array:
    return x.astype(bool, copy=False) if dtype.kind == "b" else ready(x, dtype)


def _matrix(
    prepared: Prepared, shape: tuple[int, int], dtype: np.dtype[Any], out: Any, *inputs: Array
) -> Any:
    target = check_out(out, shape, dtype)
    result = target if receives(target, dtype, *inputs) else np.empty(shape, dtype)
    if result.size:
        prepared.fill(prepared.x, prepared.y, result)
    return as_result(result, dtype, target)


# ---- The caller's own metric ----


def _as_function_takes(x: Array, metric: Any) -> Array:
    """Rows as they are, but for SciPy's own functions: as its matrices take them."""
    name = ALIASES.get(getattr(metric, "__name__", ""))
    if name is None or x.dtype.kind not in "fiub":
        return x
    return x.astype(bool if name in BOOLEAN else np.float64, copy=False)


def _compiles(metric: Any, *sets: Array) -> bool:
    """Whether a function is the caller's own, of rows of numbers, and so a matter for Numba."""
    of_scipy = getattr(metric, "__module__", None) or ""
    return not of_scipy.startswith("scipy.") and all(x.dtype.kind in "fiub" for x in sets)


def _custom(x: Array, y: Array | None, metric: Any, options: dict[str, Any], out: Any) -> Any:
    """All pairs, or with y None those with i <= j, mirrored."""
    if _compiles(metric, x, x if y is None else y):
        from ._custom import custom_distances

        return custom_distances(x, y, metric, options, out=out)
    x_rows = _as_function_takes(x, metric)
    y_rows = x_rows if y is None else _as_function_takes(y, metric)
    target = check_out(out, (len(x_rows), len(y_rows)), np.dtype(np.float64))
    result = np.empty((len(x_rows), len(y_rows)))
    for i, x_row in enumerate(x_rows):
        for j in range(i if y is None else 0, len(y_rows)):
            result[i, j] = metric(x_row, y_rows[j], **options)
            if y is None:
                result[j, i] = result[i, j]
    return as_result(result, result.dtype, target)


def _custom_condensed(x: Array, metric: Any, options: dict[str, Any], out: Any, n: int) -> Any:
    if _compiles(metric, x):
        from ._custom import custom_distances

        return custom_distances(x, None, metric, options, condensed=True, out=out)
    target = check_out(out, (n,), np.dtype(np.float64))
    result = np.empty(n)
    x = _as_function_takes(x, metric)
    at = 0
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            result[at] = metric(x[i], x[j], **options)
            at += 1
    return as_result(result, result.dtype, target)


# ---- scikit-learn's front door ----


def pairwise_distances(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    metric: str | Callable[..., float] = "euclidean",
    *,
    n_jobs: int | None = None,
    ensure_all_finite: EnsureFinite = True,
    out: Any = None,
    **kwds: Any,
) -> Any:
    r"""Distance of each row of X to each row of Y, by any metric.

    .. math:: D_{ij} = d(x_i, y_j)

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows_x, n_features)
        With metric='precomputed' a matrix of distances, which is checked and returned.
    Y : {array_like, sparse matrix} of shape (n_rows_y, n_features), optional
        X itself when None: each pair is computed once.
    metric : str or callable
        A metric of `cdist`, 'haversine' (latitude and longitude in radians), 'precomputed', or a
        function of two rows. Sparse rows: 'euclidean', 'l2', 'cosine', 'manhattan', 'l1',
        'cityblock'.
    n_jobs : int, optional
        How many threads this call may use; None and -1 mean as many as any other call.
    ensure_all_finite : bool or 'allow-nan', default True
        Whether NaN and infinity are refused.
    out : ndarray of shape (n_rows_x, n_rows_y), optional
        Receives the result.
    **kwds
        Options of the metric, as in `cdist`.

    Returns
    -------
    ndarray of shape (n_rows_x, n_rows_y)
        float32 if X and Y are float32, float16, int8 or uint8, else float64.

    Raises
    ------
    ValueError, TypeError
        As in `cdist`; and for NaN or infinity unless `ensure_all_finite` says otherwise.

    Notes
    -----
    'cosine' takes a row of zeros for orthogonal to everything, as scikit-learn does; its distance
    to itself is 0 for one set.

    References
    ----------
    .. [1] M. M. Deza and E. Deza, "Encyclopedia of Distances", 2009.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.pairwise_distances([[0.0, 0.0], [3.0, 4.0]], metric="manhattan")
    array([[0., 7.],
           [7., 0.]])
    """
    if ensure_all_finite not in (True, False, "allow-nan"):
        raise ValueError(
            f"ensure_all_finite is {ensure_all_finite!r}; expected True, False or 'allow-nan'"
        )
    with _threads(n_jobs):
        if isinstance(metric, str) and metric == "precomputed":
            return _precomputed(X, Y, ensure_all_finite, out)
        name = metric.lower() if isinstance(metric, str) else ""
        if kwds.get("w", 0) is None:
            kwds.pop("w")
        if name in NAMED and "w" not in kwds:
            return NAMED[name](X, Y, ensure_all_finite, out, **kwds)
        if is_sparse(X) or is_sparse(Y):
            raise TypeError(
                f"metric {metric!r}{' with w' if 'w' in kwds else ''} takes no sparse rows; "
                f"expected arrays, or one of {', '.join(NAMED)} without w"
            )
        x = as_array(X, "X")
        y = x if Y is None or Y is X else as_array(Y, "Y")
        if callable(metric) and x.dtype.kind not in "fiub":
            return _custom(x, None if y is x else y, metric, kwds, out)
        check_shape(x.shape, "X")
        check_shape(y.shape, "Y")
        check_features(x.shape, y.shape)
        allow_nan = ensure_all_finite == "allow-nan" or name == "nan_euclidean"
        if ensure_all_finite is not False:
            for rows, label in ((x, "X"), (y, "Y")):
                check_finite(rows, label, allow_nan)
        if callable(metric):
            return _custom(x, None if y is x else y, metric, kwds, out)
        if name == "haversine":
            return _haversine(x, y, out, **kwds)
        if name == "nan_euclidean":
            x, y = _missing_to_nan(x, y, kwds)
            squared = kwds.pop("squared", False)
            kwds.pop("copy", None)
        option, _ = estimate_of(metric)
        if option is not None and kwds.get(option) is None and y is not x:
            # What is estimated from both sets would let one set's rows change another's result.
            raise ValueError(
                f"The '{option}' parameter is required for the {name} metric when Y is passed."
            )
        prepared, dtype = _prepare(x, y, metric, kwds, ("X", "Y"))
        result = _matrix(prepared, (len(x), len(y)), dtype, out, x, y)
        if name == "nan_euclidean" and squared:
            np.square(result, out=result)
        return result


def _threads(n_jobs: int | None) -> Any:
    if n_jobs is None:
        return nullcontext()
    n_threads = count(n_jobs, "n_jobs", -(2**31), 2**31)
    if n_threads == 0:
        raise ValueError("n_jobs is 0; expected None, -1 or a number of threads")
    return nullcontext() if n_threads < 0 else num_threads(min(n_threads, 256))


def _precomputed(X: Any, Y: Any, ensure_all_finite: EnsureFinite, out: Any) -> Any:
    x = as_array(X, "X")
    check_shape(x.shape, "X")
    n_indexed = x.shape[0] if Y is None else np.shape(Y)[0]
    if x.shape[1] != n_indexed:
        raise ValueError(
            f"X has shape {x.shape} for {n_indexed} rows of Y; expected precomputed distances of "
            "shape (n_queries, n_indexed)"
        )
    distances = x if x.dtype.kind == "f" else x.astype(np.float64)
    if ensure_all_finite is not False:
        check_finite(distances, "X", ensure_all_finite == "allow-nan")
    if (distances < 0).any():
        raise ValueError("X has negative values; precomputed distances are non-negative values")
    return as_result(distances, distances.dtype, check_out(out, x.shape, distances.dtype))


def _missing_to_nan(x: Array, y: Array, options: dict[str, Any]) -> tuple[Array, Array]:
    missing = options.pop("missing_values", np.nan)
    if missing != missing:
        return x, y
    same = y is x
    x, y = (
        np.where(rows == missing, np.nan, rows).astype(
            rows.dtype if rows.dtype.kind == "f" else np.float64, copy=False
        )
        for rows in (x, y)
    )
    return x, x if same else y


def _haversine(x: Array, y: Array, out: Any) -> Any:
    """Great-circle distance on the unit sphere of rows (latitude, longitude) in radians."""
    if x.shape[1] != 2:
        raise ValueError(f"X has {x.shape[1]} features; haversine is for 2, latitude and longitude")
    dtype = np.result_type(similarity_dtype(x.dtype, "X"), similarity_dtype(y.dtype, "Y"))
    target = check_out(out, (len(x), len(y)), dtype)
    result = np.empty((len(x), len(y)), dtype)
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    step = max(1, (1 << 18) // len(y))
    for first in range(0, len(x), step):
        rows = wide_x[first : first + step, None]
        half = np.sin((rows - wide_y) / 2) ** 2
        share = half[..., 0] + np.cos(rows[..., 0]) * np.cos(wide_y[:, 0]) * half[..., 1]
        result[first : first + step] = 2 * np.arcsin(np.sqrt(np.minimum(share, 1)))
    return as_result(result, dtype, target)
