"""Standard scores, descriptive statistics and the weighted mean."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype, contiguous, floating, normalize_axes
from ._kernels.moments import centre_and_scale
from ._mean_var import mean
from ._moments import NoValue, by_numpy, chunks_of, lines_of, moments_of, shaped_back

__all__ = ["DescribeResult", "Standardized", "average", "describe", "standardize", "zscore"]

Array = npt.NDArray[Any]


class Standardized(NamedTuple):
    """What `standardize` returns: the scores, and what they were made with."""

    z: Any
    mean: Any
    std: Any


class DescribeResult(NamedTuple):
    """What `describe` returns."""

    nobs: Any
    minmax: Any
    mean: Any
    variance: Any
    skewness: Any
    kurtosis: Any


def _check_policy(nan_policy: str) -> None:
    if nan_policy not in ("propagate", "raise", "omit"):
        raise ValueError(
            f"nan_policy is {nan_policy!r}; nan_policy must be one of 'propagate', 'raise', 'omit'"
        )


def _refuse_nan(x: Array, nan_policy: str) -> None:
    if nan_policy == "raise" and x.dtype.kind == "f" and np.isnan(x).any():
        raise ValueError("The input contains nan values")


def _eps_of(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 2.0**-7  # bfloat16


def _scaled(
    array: Array, axes: tuple[int, ...], ddof: float, omit: bool, constant: float
) -> tuple[Array, Array, Array]:
    """Scores, means and standard deviations; `constant` stands for a deviation of 0."""
    dtype = computing_dtype(array.dtype, "x")
    x, is_flipped = lines_of(array, axes)
    count, means, variances = moments_of(x, True, omit)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.maximum(count - ddof, 0)
        if ddof and not freedom.all():
            freedom = np.where(freedom == 0, np.nan, freedom)
        deviations = np.sqrt(variances * (count / freedom))
        eps = _eps_of(floating(array.dtype, "x"))
        is_zero = deviations <= np.abs(eps * means)
        divisors = np.where(is_zero, constant, deviations)
        # The quotient of float32 is rounded from a product in float64; float64 is divided.
        divide = dtype == np.float64
        factors = divisors if divide else 1 / divisors
    out = np.empty(x.shape, dtype)
    centre_and_scale(contiguous(x, dtype), means, np.ascontiguousarray(factors), out, divide)
    z = out.reshape(array.shape[::-1]).T if is_flipped else out.reshape(array.shape)
    kept = (array.shape, axes, is_flipped, False)
    return z, shaped_back(means, *kept), shaped_back(deviations, *kept)


def zscore(
    a: npt.ArrayLike,
    axis: Any = 0,
    ddof: float = 0,
    nan_policy: Literal["propagate", "raise", "omit"] = "propagate",
) -> Any:
    r"""Standard scores along an axis, as `scipy.stats.zscore`.

    .. math:: z_i = \frac{a_i - \bar a}{s}

    Parameters
    ----------
    a : array_like
        Real numbers of any shape.
    axis : int or None, optional
        The axis of the means and deviations; None for all elements.
    ddof : float, optional
        Delta degrees of freedom of the standard deviation s.
    nan_policy : {'propagate', 'raise', 'omit'}, optional
        A NaN makes all scores of its line NaN, is a ValueError, or stays the only one.

    Returns
    -------
    ndarray
        Of the shape of `a`, in its dtype if floating, else float64. NaN where the elements are the
        same but for rounding.

    Raises
    ------
    ValueError
        An unknown `nan_policy`, a NaN with 'raise', or an axis that does not exist.
    TypeError
        `a` is a masked array, complex or not numeric.

    Notes
    -----
    Two passes over memory, the means and deviations being those of `mean` and `std` in float64;
    float32 scores are rounded once. A copy is made where `a` is not float32 or float64 in one
    piece.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance: analysis and recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.stats.zscore([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    array([-1.5, -0.5, -0.5, -0.5,  0. ,  0. ,  1. ,  2. ])
    """
    array = as_array(a, "a")
    _check_policy(nan_policy)
    dtype = floating(array.dtype, "a")
    _refuse_nan(array, nan_policy)
    if array.size == 0:
        normalize_axes(axis, array.ndim)
        return np.empty(array.shape, dtype)
    axes = normalize_axes(axis, max(array.ndim, 1))
    z, _, _ = _scaled(np.atleast_1d(array), axes, ddof, nan_policy == "omit", np.nan)
    return z.reshape(array.shape).astype(dtype, copy=False)[()]


def standardize(x: npt.ArrayLike, axis: Any = 0) -> Standardized:
    r"""Scores of zero mean and unit variance along an axis, with the means and deviations.

    .. math:: z_i = \frac{x_i - \bar x}{s}

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    axis : int or None, optional
        The axis of the means and deviations: 0 for the features of (n_samples, n_features).

    Returns
    -------
    Standardized(z, mean, std)
        `z` of the shape of `x`; `mean` and `std` without the axis. All in the dtype of `x` if
        floating, else float64. Elements that are all the same have scores 0.

    Raises
    ------
    ValueError
        An axis that does not exist, or has no element.
    TypeError
        `x` is a masked array, complex or not numeric.

    Notes
    -----
    As `zscore`. To treat other data alike: ``(other - mean) / np.where(std > 0, std, 1)``.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance: analysis and recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> z, mean, std = fm.stats.standardize([[1.0, 7.0], [3.0, 7.0]])
    >>> z
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> mean, std
    (array([2., 7.]), array([1., 0.]))
    """
    array = as_array(x, "x")
    dtype = floating(array.dtype, "x")
    axes = normalize_axes(axis, array.ndim)
    if array.size == 0 or not axes:
        raise ValueError(f"x has shape {array.shape}; expected an element along axis {axis}")
    z, means, deviations = _scaled(array, axes, 0.0, False, 1.0)
    parts = (part.astype(dtype, copy=False)[()] for part in (z, means, deviations))
    return Standardized(*parts)


def describe(
    a: npt.ArrayLike,
    axis: Any = 0,
    ddof: int = 1,
    bias: bool = True,
    nan_policy: Literal["propagate", "raise", "omit"] = "propagate",
) -> DescribeResult:
    r"""Number, range, mean, variance, skewness and kurtosis, as `scipy.stats.describe`.

    .. math:: m_k = \frac{1}{n} \sum_i (a_i - \bar a)^k, \quad
        g_1 = \frac{m_3}{m_2^{3/2}}, \quad g_2 = \frac{m_4}{m_2^2} - 3

    Parameters
    ----------
    a : array_like
        Real numbers, at least one.
    axis : int or None, optional
        None for all elements.
    ddof : int, optional
        Delta degrees of freedom of the variance.
    bias : bool, optional
        If False skewness and kurtosis are corrected for the size of the sample.
    nan_policy : {'propagate', 'raise', 'omit'}, optional
        What a NaN does; with 'omit' results are plain arrays, not masked ones.

    Returns
    -------
    DescribeResult(nobs, minmax, mean, variance, skewness, kurtosis)
        minmax is a pair. Floating results in the dtype of `a` if floating, else float64.

    Raises
    ------
    ValueError
        `a` is empty, an unknown `nan_policy`, a NaN with 'raise', an axis that does not exist.
    TypeError
        `a` is a masked array, complex or not numeric.

    Notes
    -----
    Moments are computed in float64, the third and fourth about the mean in a pass of their own,
    in pieces of 2^20 elements.

    References
    ----------
    .. [1] D. N. Joanes and C. A. Gill, "Comparing measures of sample skewness and kurtosis",
       The Statistician 47(1), 1998.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> result = fm.stats.describe([1.0, 2.0, 3.0, 4.0])
    >>> result.nobs, float(result.mean), float(result.skewness)
    (4, 2.5, 0.0)
    """
    array = as_array(a, "a")
    _check_policy(nan_policy)
    dtype = floating(array.dtype, "a")
    if axis is None or array.ndim == 0:
        array, axis = array.ravel(), 0
    if array.size == 0:
        raise ValueError("The input must not be empty.")
    _refuse_nan(array, nan_policy)
    axes = normalize_axes(axis, array.ndim)
    omit = nan_policy == "omit" and array.dtype.kind == "f" and bool(np.isnan(array).any())
    least, largest = (np.nanmin, np.nanmax) if omit else (np.min, np.max)
    extremes = least(array, axis=axes), largest(array, axis=axes)
    x, is_flipped = lines_of(array, axes)
    count, means, second = moments_of(x, True, omit)
    third, fourth = _higher_moments(x, means, count, omit)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = second * (count / np.maximum(count - ddof, 0))
        eps = _eps_of(dtype)
        is_zero = second <= (eps * means) ** 2
        skewness = np.where(is_zero, np.nan, third / second**1.5)
        kurtosis = np.where(is_zero, np.nan, fourth / second**2)
        if not bias:
            corrected = skewness * np.sqrt((count - 1) * count) / (count - 2)
            skewness = np.where(~is_zero & (count > 2), corrected, skewness)
            corrected = ((count**2 - 1) * kurtosis - 3 * (count - 1) ** 2) / (
                (count - 2) * (count - 3)
            ) + 3
            kurtosis = np.where(~is_zero & (count > 3), corrected, kurtosis)
        parts = [means, variance, skewness, kurtosis - 3]
    results = [
        shaped_back(part, array.shape, axes, is_flipped, False).astype(dtype, copy=False)[()]
        for part in parts
    ]
    if not np.isfinite(results[0]).all():
        # Sums about a shift say NaN where the mean is infinite.
        results[0] = mean(array, axes) if not omit else results[0]
    n: Any = math.prod(array.shape[at] for at in axes)
    if omit:
        n = shaped_back(count, array.shape, axes, is_flipped, False).astype(np.int64)[()]
    return DescribeResult(n, extremes, *results)


def _higher_moments(x: Array, means: Array, count: Array, omit: bool) -> tuple[Array, Array]:
    """The third and fourth central moments of (n_outer, n, n_inner)."""
    third, fourth = np.zeros(means.shape), np.zeros(means.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        for begin, end, _, part in chunks_of(x, np.dtype(np.float64)):
            centred = part - means[begin:end, None, :]
            if omit:
                centred[np.isnan(centred)] = 0
            square = centred * centred
            third[begin:end] += np.einsum("ijk,ijk->ik", square, centred)
            fourth[begin:end] += np.einsum("ijk,ijk->ik", square, square)
        return third / count, fourth / count


def average(
    a: npt.ArrayLike,
    axis: Any = None,
    weights: npt.ArrayLike | None = None,
    returned: bool = False,
    *,
    keepdims: Any = NoValue,
) -> Any:
    r"""Weighted mean along any axes, as `numpy.average`.

    .. math:: \bar a = \frac{\sum_i w_i a_i}{\sum_i w_i}

    Parameters
    ----------
    a : array_like
        Real numbers of any shape.
    axis : None, int or tuple of ints, optional
        The axes that the mean runs over; None, the default, for all elements.
    weights : array_like, optional
        Of the shape of `a`, or of that of its `axis`. None: all the same.
    returned : bool, optional
        Return the sum of the weights too.
    keepdims : bool, optional
        Keep the axes of the mean with length 1.

    Returns
    -------
    ndarray or scalar, or (average, sum of the weights)
        In the dtype of `a` and the weights if floating, else float64.

    Raises
    ------
    ZeroDivisionError
        Weights that add up to zero.
    TypeError, ValueError
        Weights of a wrong shape; as for `mean`.

    Notes
    -----
    Without weights this is `mean`. The products with the weights are written out, in the dtype of
    the result; their sums are those of `mean`.

    References
    ----------
    .. [1] N. J. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific
       Computing 14(4), 1993.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.stats.average([1.0, 2.0, 3.0], weights=[3.0, 2.0, 1.0])
    np.float64(1.6666666666666667)
    """
    array = as_array(a, "a")
    given = None if weights is None else as_array(weights, "weights")
    kinds = array.dtype.kind + ("" if given is None else given.dtype.kind)
    if array.size == 0 or set(kinds) - set("biuf") or array.dtype.itemsize > 8:
        return by_numpy.average(array, axis, given, returned, keepdims=keepdims)
    if given is None:
        result = mean(array, axis, keepdims=keepdims)
        if not returned:
            return result
        count = result.dtype.type(array.size / np.size(result))
        return result, np.full_like(result, count) if np.ndim(result) else count
    axes = normalize_axes(axis, array.ndim)
    factors = _spread(given, array, axis, axes)
    whole = "f8" if array.dtype.kind in "biu" else array.dtype
    dtype = np.result_type(array.dtype, given.dtype, whole)
    options = {} if keepdims is NoValue else {"keepdims": keepdims}
    total = factors.sum(axis=axes, dtype=np.result_type(dtype, np.float64), **options)
    if np.any(total == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    count = math.prod(array.shape[at] for at in axes)
    products = np.multiply(array, factors, dtype=dtype)
    with np.errstate(over="ignore"):
        result = mean(products, axes, np.result_type(dtype, np.float64), **options)
        ratio = count / total
        if not np.isfinite(ratio).all():  # of subnormal weights
            result, ratio = result / total, count
        result = np.asarray(result * ratio).astype(dtype)[()]
        total = np.asarray(total).astype(dtype)[()]
    return (result, total) if returned else result


def _spread(weights: Array, array: Array, axis: Any, axes: tuple[int, ...]) -> Array:
    """The weights as an array that broadcasts to the shape of `array`, all of it."""
    if weights.shape == array.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    given = [int(at) % array.ndim for at in (axis if isinstance(axis, tuple) else (axis,))]
    if weights.shape != tuple(array.shape[at] for at in given):
        raise ValueError(
            "Shape of weights must be consistent with shape of a along specified axis."
        )
    ordered = weights.transpose(np.argsort(given))
    spread = ordered.reshape([n if at in axes else 1 for at, n in enumerate(array.shape)])
    return np.broadcast_to(spread, array.shape)
