"""Median and quantiles along any axes, by selection; the forms that leave NaN out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import (
    as_array,
    as_result,
    check_out,
    computing_dtype,
    contiguous,
    floating,
    normalize_axes,
)
from ._kernels.order_statistics import HUGE, interpolate, select
from ._moments import NoValue, by_numpy, fits_float64, lines_of, moments_of, shaped_back

__all__ = ["median", "nanmedian", "nanquantile", "quantile"]

Array = npt.NDArray[Any]
# Longer columns are copied to lines; huge lines are sorted where more ranks than that are wanted.
LONGEST_COLUMN = 1 << 15
MANY_RANKS = 8


def _between(alpha: float, beta: float) -> Callable[[Array, Array], Array]:
    """The place of q among n sorted elements, counted from 0 (Hyndman and Fan's p(k))."""
    return lambda n, q: np.asarray(n * q + (alpha + q * (1 - alpha - beta)) - 1)


def _linear(n: Array, q: Array) -> Array:
    return np.asarray((n - 1) * q)


def _midpoint(n: Array, q: Array) -> Array:
    place = (n - 1) * q
    return np.asarray(0.5 * (np.floor(place) + np.ceil(place)))


def _inverted(n: Array, q: Array) -> Array:
    return np.asarray(np.maximum(np.ceil(n * q) - 1, 0))


def _closest(n: Array, q: Array) -> Array:
    """The nearest; of two as near the one whose rank, counted from 1, is even."""
    place = n * q - 1.5
    low = np.floor(place)
    return np.maximum(np.where((place == low) & (low % 2 == 1), low, low + 1), 0)


# Methods that take an element, and those that interpolate between two.
DISCRETE: dict[str, Callable[[Array, Array], Array]] = {
    "inverted_cdf": _inverted,
    "closest_observation": _closest,
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "nearest": lambda n, q: np.around((n - 1) * q),
}
CONTINUOUS: dict[str, Callable[[Array, Array], Array]] = {
    "averaged_inverted_cdf": lambda n, q: n * q - 1,
    "interpolated_inverted_cdf": _between(0, 1),
    "hazen": _between(0.5, 0.5),
    "weibull": _between(0, 0),
    "linear": _linear,
    "median_unbiased": _between(1 / 3, 1 / 3),
    "normal_unbiased": _between(3 / 8, 3 / 8),
    "midpoint": _midpoint,
}


def _lines_for_selection(array: Array, axes: tuple[int, ...]) -> tuple[Array, bool]:
    x, is_flipped = lines_of(array, axes)
    dtype = computing_dtype(array.dtype, "a")
    if x.shape[2] > 1 and x.shape[1] > LONGEST_COLUMN:
        x = x.transpose(0, 2, 1).reshape(-1, x.shape[1], 1)
    return contiguous(x, dtype), is_flipped


def _selected(x: Array, ranks: Array, valid: Array | None) -> tuple[Array, Array]:
    """The elements of the ranks and of the next ones, (n_lines, n_ranks, 2); lines with NaN."""
    n_lines = x.shape[0] * x.shape[2]
    has_nan = np.zeros(n_lines, bool)
    out = np.empty((n_lines, ranks.shape[1], 2), x.dtype)
    if x.shape[1] >= HUGE and ranks.shape[1] > MANY_RANKS:
        ordered = np.sort(x[:, :, 0], axis=1)
        has_nan = np.isnan(ordered[:, -1])
        ranks = np.broadcast_to(ranks, (n_lines, ranks.shape[1]))
        ranks = ranks.astype(np.int64)
        last = (x.shape[1] if valid is None else valid[:, None]) - 1
        for at, k in enumerate((ranks, np.minimum(ranks + 1, last))):
            out[:, :, at] = np.take_along_axis(ordered, np.maximum(k, 0), axis=1) + 0
    else:
        select(x, np.ascontiguousarray(ranks, np.int64), valid, has_nan, out)
    return out, has_nan


def _count_valid(x: Array) -> Array:
    """The elements of each line that are not NaN, int64."""
    return np.asarray(moments_of(x, False, True).count.ravel(), np.int64)


def _quantiles(
    array: Array,
    q: Array,
    axis: Any,
    out: Any,
    method: str,
    keepdims: bool,
    omit: bool,
    result_dtype: np.dtype[Any],
) -> Any:
    """q is float64 of at most two axes; the checks of the arguments have been made."""
    axes = normalize_axes(axis, array.ndim)
    kept = tuple(
        1 if at in axes else n for at, n in enumerate(array.shape) if keepdims or at not in axes
    )
    target = check_out(out, q.shape + kept, result_dtype)
    x, is_flipped = _lines_for_selection(array, axes)
    omit = omit and array.dtype.kind not in "biu"
    valid = _count_valid(x) if omit else None
    flat = q.reshape(1, -1)
    n = np.array([[x.shape[1]]]) if valid is None else np.maximum(valid, 1)[:, None]
    place = (DISCRETE if method in DISCRETE else CONTINUOUS)[method](n, flat)
    ranks = np.minimum(np.maximum(np.floor(place), 0), n - 1)
    pair, has_nan = _selected(x, ranks, valid)
    if method in DISCRETE:
        result = pair[..., 0]
    else:
        weight = np.where((place < 0) | (place >= n - 1), 0, place - ranks)
        if method == "averaged_inverted_cdf":
            # Half way where the place is a whole number, else the next element.
            inside = (place >= 0) & (place < n - 1)
            weight = np.where(inside, np.where(place == ranks, 0.5, 1.0), 0)
        result = interpolate(pair, np.ascontiguousarray(weight, np.float64))
    if valid is not None and not valid.all():
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=4)
        has_nan = valid == 0
    elif omit:
        has_nan = np.zeros_like(has_nan)
    if has_nan.any():
        result[has_nan] = np.nan
    with np.errstate(over="ignore"):
        result = result.astype(result_dtype, copy=False)
    parts = [
        shaped_back(result[:, j], array.shape, axes, is_flipped, keepdims)
        for j in range(flat.shape[1])
    ]
    whole = parts[0] if len(parts) == 1 else np.stack(parts) if parts else np.empty(0)
    whole = whole.reshape(q.shape + kept)
    is_scalar = target is None and not keepdims
    return as_result(whole[()] if is_scalar else whole, result_dtype, target)


def _is_ours(array: Array) -> bool:
    """Whether the kernel finds the very elements."""
    dtype = array.dtype
    if array.size == 0 or not (dtype.kind in "biuf" or dtype.name == "bfloat16"):
        return False
    return dtype.itemsize <= 8 and fits_float64(array)


INTEGERS = ("ii", "iu", "ui", "uu")  # kinds of two dtypes


def _median(a: Any, axis: Any, out: Any, overwrite_input: bool, keepdims: Any, omit: bool) -> Any:
    array = as_array(a, "a")
    if not _is_ours(array):
        function = by_numpy.nanmedian if omit else by_numpy.median
        return function(array, axis, out, overwrite_input, keepdims)
    own = floating(array.dtype, "a")
    keep = keepdims is not NoValue and bool(keepdims)
    half = np.array(0.5)
    return _quantiles(array, half, axis, out, "linear", keep, omit, own)


def _quantile(
    a: Any,
    q: Any,
    axis: Any,
    out: Any,
    overwrite_input: bool,
    method: str,
    keepdims: Any,
    weights: Any,
    omit: bool,
) -> Any:
    array = as_array(a, "a")
    quantiles = np.asarray(q)
    whole = quantiles.dtype.kind in "iu" and method == "linear"
    if method not in DISCRETE and method not in CONTINUOUS:
        names = ", ".join([*DISCRETE, *CONTINUOUS])
        raise ValueError(f"{method!r} is not a valid method. Use one of: {names}")
    # Of integers at whole q, interpolated: NumPy's dtype depends on the method and on more.
    is_odd = array.dtype.kind + quantiles.dtype.kind in INTEGERS and method in CONTINUOUS
    by_kernel = quantiles.dtype.kind in "iuf" and array.dtype.kind != "b" and (whole or not is_odd)
    if weights is not None or not by_kernel or not _is_ours(array):
        function = by_numpy.nanquantile if omit else by_numpy.quantile
        return function(array, q, axis, out, overwrite_input, method, keepdims, weights=weights)
    if not ((quantiles >= 0) & (quantiles <= 1)).all():
        raise ValueError("Quantiles must be in the range [0, 1]")
    if quantiles.ndim > 2:
        raise ValueError(f"q has {quantiles.ndim} axes; q must be a scalar or 1d")
    own = array.dtype.newbyteorder("=")
    if method in DISCRETE or whole or (type(q) in (int, float) and own.kind == "f"):
        result_dtype = own
    else:
        result_dtype = np.result_type(own, quantiles.dtype)
    keep = keepdims is not NoValue and bool(keepdims)
    exact = quantiles.astype(np.float64)
    return _quantiles(array, exact, axis, out, method, keep, omit, result_dtype)


def median(
    a: npt.ArrayLike,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:
    r"""Median along any axes, as `numpy.median`.

    .. math:: \tfrac12 (a_{(\lfloor (n-1)/2 \rfloor)} + a_{(\lceil (n-1)/2 \rceil)}),
        \quad a_{(0)} \le a_{(1)} \le \dots

    Parameters
    ----------
    a : array_like
        Real numbers of any shape.
    axis : None, int or tuple of ints, optional
        The axes that the median runs over; None, the default, for all elements.
    out : ndarray, optional
        Receives the result.
    overwrite_input : bool, optional
        A permission that is not needed: `a` is never changed.
    keepdims : bool, optional
        Keep the axes of the median with length 1.

    Returns
    -------
    ndarray or scalar
        In the dtype of `a` if floating, else float64. NaN where there is a NaN or no element.

    Raises
    ------
    TypeError
        `a` is a masked array, or `out` does not hold the result.
    ValueError
        `axis` does not exist or is given twice, or `out` has another shape.

    Notes
    -----
    The elements are exact, their mean is rounded once. Short lines are copied to be partitioned; of
    long ones a sample brackets the element, and one pass counts what is below and keeps the few
    percent that lie in the bracket. Beyond the result this takes 4 MiB a thread at most, and a copy
    of `a` where its layout or dtype is not the kernel's. -0 counts, and is returned, as 0.

    References
    ----------
    .. [1] R. W. Floyd and R. L. Rivest, "Expected time bounds for selection", Communications of
       the ACM 18(3), 1975.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.stats.median([[10, 7, 4], [3, 2, 1]], axis=0)
    array([6.5, 4.5, 2.5])
    """
    return _median(a, axis, out, overwrite_input, keepdims, False)


def nanmedian(
    a: npt.ArrayLike,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    keepdims: Any = NoValue,
) -> Any:
    r"""Median of what is not NaN, as `numpy.nanmedian`.

    .. math:: \tfrac12 (a_{(\lfloor (m-1)/2 \rfloor)} + a_{(\lceil (m-1)/2 \rceil)}),
        \quad a_{(0)} \le \dots \le a_{(m-1)} \text{ those that are not NaN}

    Parameters
    ----------
    a, axis, out, overwrite_input, keepdims
        As for `median`.

    Returns
    -------
    ndarray or scalar
        As of `median`; NaN, with a RuntimeWarning, where all elements are NaN.

    Raises
    ------
    TypeError, ValueError
        As for `median`.

    Notes
    -----
    As for `median`, after a pass that counts.

    References
    ----------
    .. [1] R. W. Floyd and R. L. Rivest, "Expected time bounds for selection", Communications of
       the ACM 18(3), 1975.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.stats.nanmedian([3.0, np.nan, 1.0, 2.0])
    np.float64(2.0)
    """
    return _median(a, axis, out, overwrite_input, keepdims, True)


def quantile(
    a: npt.ArrayLike,
    q: npt.ArrayLike,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    r"""Quantiles along any axes, as `numpy.quantile`.

    .. math:: (1 - g)\, a_{(j)} + g\, a_{(j+1)}, \quad j + g = (n - 1)\, q

    Parameters
    ----------
    a : array_like
        Real numbers of any shape.
    q : array_like
        Probabilities from 0 to 1, at most two axes, which come first in the result.
    axis, out, overwrite_input, keepdims
        As for `median`.
    method : str, optional
        How to choose between two elements [1]_: any of NumPy's thirteen; 'linear' is the formula
        above.
    weights : array_like, optional
        Of the elements, for method 'inverted_cdf'; left to NumPy.

    Returns
    -------
    ndarray or scalar
        In NumPy's dtype: that of `a` if floating and `q` is a Python number, or the method takes an
        element; else that of `a` and `q`, or float64.

    Raises
    ------
    TypeError
        `a` is a masked array or complex, or `out` does not hold the result.
    ValueError
        A `q` outside of [0, 1], an unknown method, an axis that does not exist.

    Notes
    -----
    Elements are selected as for `median`, a pass for each q; five and more of them (nine, of lines
    of 2^18 and more elements) sort a copy of the line. Places and weights are computed in float64
    also where `a` is float32. Booleans, and integers beyond 2^53, are left to NumPy. A place that
    falls on an element gives this element, and one beside an infinite element that or NaN, where
    NumPy's interpolation gives NaN for both.

    References
    ----------
    .. [1] R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American
       Statistician 50(4), 1996.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.stats.quantile([1.0, 2.0, 4.0, 8.0], [0.25, 0.5])
    array([1.75, 3.  ])
    """
    return _quantile(a, q, axis, out, overwrite_input, method, keepdims, weights, False)


def nanquantile(
    a: npt.ArrayLike,
    q: npt.ArrayLike,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = NoValue,
    *,
    weights: Any = None,
) -> Any:
    r"""Quantiles of what is not NaN, as `numpy.nanquantile`.

    .. math:: (1 - g)\, a_{(j)} + g\, a_{(j+1)}, \quad j + g = (m - 1)\, q, \quad
        m = |\{i: a_i \ne NaN\}|

    Parameters
    ----------
    a, q, axis, out, overwrite_input, method, keepdims, weights
        As for `quantile`.

    Returns
    -------
    ndarray or scalar
        As of `quantile`; NaN, with a RuntimeWarning, where all elements are NaN.

    Raises
    ------
    TypeError, ValueError
        As for `quantile`.

    Notes
    -----
    As for `quantile`, after a pass that counts.

    References
    ----------
    .. [1] R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American
       Statistician 50(4), 1996.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.stats.nanquantile([1.0, np.nan, 2.0, 4.0, 8.0], 0.25)
    np.float64(1.75)
    """
    return _quantile(a, q, axis, out, overwrite_input, method, keepdims, weights, True)
