"""Mean and variance along any axes, and the forms that leave NaN out."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ._kernels.moments import moments_plain
from ._moments import MEAN, STD, VAR, NoValue, reduce_moments

__all__ = ["mean", "nanmean", "nanstd", "nanvar", "std", "var"]


def mean(
    a: npt.ArrayLike,
    axis: Any = None,
    dtype: npt.DTypeLike | None = None,
    out: Any = None,
    keepdims: Any = NoValue,
    *,
    where: Any = NoValue,
) -> Any:
    r"""Arithmetic mean along any axes, as `numpy.mean`.

    .. math:: \bar a = \frac{1}{n} \sum_i a_i

    Parameters
    ----------
    a : array_like
        Real numbers of any shape.
    axis : None, int or tuple of ints, optional
        The axes that the mean runs over; None, the default, for all elements.
    dtype : dtype, optional
        Of the result; the sums are made in float64 in any case.
    out : ndarray, optional
        Receives the result.
    keepdims : bool, optional
        Keep the axes of the mean with length 1.
    where : array_like of bool, optional
        The elements to include; left to NumPy, in float64.

    Returns
    -------
    ndarray or scalar
        In the dtype of `a` if floating, else float64. NaN where there is no element, with a
        RuntimeWarning.

    Raises
    ------
    TypeError
        `a` is a masked array, or `out` does not hold the result.
    ValueError
        `axis` does not exist or is given twice, or `out` has another shape.

    Notes
    -----
    float32 is widened as it is loaded and added up in float64, so that the error is that of
    rounding the result, whatever the length and along any axis. float64 is added up in at least 16
    chains per block of 2048 elements. Memory is read once; nothing is allocated but the result.
    Other dtypes and layouts are converted in pieces of 2^20 elements; axes that are not neighbours
    cost a copy. Complex, extended and object arrays are left to NumPy.

    References
    ----------
    .. [1] N. J. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific
       Computing 14(4), 1993.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.stats.mean(np.array([[1.0, 2.0], [3.0, 5.0]]), axis=0)
    array([2. , 3.5])
    >>> fm.stats.mean(np.full(10_000_000, 0.1, np.float32))
    np.float32(0.1)
    """
    if dtype is None and out is None and keepdims is NoValue and where is NoValue:
        result = moments_plain(a, axis, MEAN, 0.0)
        if result is not None:
            return result
    return reduce_moments(MEAN, False, a, axis, dtype, out, 0, keepdims, where)


def var(
    a: npt.ArrayLike,
    axis: Any = None,
    dtype: npt.DTypeLike | None = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NoValue,
    *,
    where: Any = NoValue,
    mean: Any = NoValue,
    correction: Any = NoValue,
) -> Any:
    r"""Variance along any axes, as `numpy.var`.

    .. math:: s^2 = \frac{1}{n - ddof} \sum_i (a_i - \bar a)^2

    Parameters
    ----------
    a, axis, dtype, out, keepdims, where
        As for `mean`.
    ddof : float, optional
        Delta degrees of freedom: the divisor is n - ddof.
    mean : array_like, optional
        A mean to take instead, with the reduced axes kept; left to NumPy, in float64.
    correction : float, optional
        Another name for `ddof`.

    Returns
    -------
    ndarray or scalar
        In the dtype of `a` if floating, else float64. NaN or infinity where no degree of freedom
        is left, with a RuntimeWarning.

    Raises
    ------
    TypeError
        `a` is a masked array, or `out` does not hold the result.
    ValueError
        As for `mean`; or both `ddof` and `correction` are given.

    Notes
    -----
    One pass over memory: blocks are summed about a shift near their mean and merged [1]_, all in
    float64, so that data far from the origin lose nothing. float32 results are within one unit in
    the last place, float64 results within a few, for any length and axis. Memory as for `mean`.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance: analysis and recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.stats.var(np.array([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]), ddof=1)
    np.float64(30.0)
    """
    if (
        dtype is None
        and out is None
        and keepdims is NoValue
        and where is NoValue
        and mean is NoValue
        and correction is NoValue
        and type(ddof) is int
    ):
        result = moments_plain(a, axis, VAR, ddof)
        if result is not None:
            return result
    return reduce_moments(VAR, False, a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def std(
    a: npt.ArrayLike,
    axis: Any = None,
    dtype: npt.DTypeLike | None = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NoValue,
    *,
    where: Any = NoValue,
    mean: Any = NoValue,
    correction: Any = NoValue,
) -> Any:
    r"""Standard deviation along any axes, as `numpy.std`: the square root of `var`.

    .. math:: s = \sqrt{\frac{1}{n - ddof} \sum_i (a_i - \bar a)^2}

    Parameters
    ----------
    a, axis, dtype, out, ddof, keepdims, where, mean, correction
        As for `var`.

    Returns
    -------
    ndarray or scalar
        In the dtype of `a` if floating, else float64.

    Raises
    ------
    TypeError, ValueError
        As for `var`.

    Notes
    -----
    As for `var`; the root is taken in float64.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance: analysis and recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.stats.std([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    np.float64(2.0)
    """
    if (
        dtype is None
        and out is None
        and keepdims is NoValue
        and where is NoValue
        and mean is NoValue
        and correction is NoValue
        and type(ddof) is int
    ):
        result = moments_plain(a, axis, STD, ddof)
        if result is not None:
            return result
    return reduce_moments(STD, False, a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def nanmean(
    a: npt.ArrayLike,
    axis: Any = None,
    dtype: npt.DTypeLike | None = None,
    out: Any = None,
    keepdims: Any = NoValue,
    *,
    where: Any = NoValue,
) -> Any:
    r"""Arithmetic mean of what is not NaN, as `numpy.nanmean`.

    .. math:: \bar a = \frac{1}{m} \sum_{i: a_i \ne NaN} a_i, \quad m = |\{i: a_i \ne NaN\}|

    Parameters
    ----------
    a, axis, dtype, out, keepdims, where
        As for `mean`.

    Returns
    -------
    ndarray or scalar
        As of `mean`; NaN, with a RuntimeWarning, where all elements are NaN.

    Raises
    ------
    TypeError, ValueError
        As for `mean`.

    Notes
    -----
    As for `mean`: one pass, no copy.

    References
    ----------
    .. [1] N. J. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific
       Computing 14(4), 1993.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.stats.nanmean([1.0, np.nan, 3.0])
    np.float64(2.0)
    """
    return reduce_moments(MEAN, True, a, axis, dtype, out, 0, keepdims, where)


def nanvar(
    a: npt.ArrayLike,
    axis: Any = None,
    dtype: npt.DTypeLike | None = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NoValue,
    *,
    where: Any = NoValue,
    mean: Any = NoValue,
    correction: Any = NoValue,
) -> Any:
    r"""Variance of what is not NaN, as `numpy.nanvar`.

    .. math:: s^2 = \frac{1}{m - ddof} \sum_{i: a_i \ne NaN} (a_i - \bar a)^2

    Parameters
    ----------
    a, axis, dtype, out, ddof, keepdims, where, mean, correction
        As for `var`.

    Returns
    -------
    ndarray or scalar
        As of `var`; NaN, with a RuntimeWarning, where no degree of freedom is left.

    Raises
    ------
    TypeError, ValueError
        As for `var`.

    Notes
    -----
    As for `var`: one pass, no copy.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance: analysis and recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.stats.nanvar([1.0, np.nan, 3.0])
    np.float64(1.0)
    """
    return reduce_moments(VAR, True, a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def nanstd(
    a: npt.ArrayLike,
    axis: Any = None,
    dtype: npt.DTypeLike | None = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NoValue,
    *,
    where: Any = NoValue,
    mean: Any = NoValue,
    correction: Any = NoValue,
) -> Any:
    r"""Standard deviation of what is not NaN, as `numpy.nanstd`: the square root of `nanvar`.

    .. math:: s = \sqrt{\frac{1}{m - ddof} \sum_{i: a_i \ne NaN} (a_i - \bar a)^2}

    Parameters
    ----------
    a, axis, dtype, out, ddof, keepdims, where, mean, correction
        As for `var`.

    Returns
    -------
    ndarray or scalar
        As of `std`; NaN, with a RuntimeWarning, where no degree of freedom is left.

    Raises
    ------
    TypeError, ValueError
        As for `var`.

    Notes
    -----
    As for `var`: one pass, no copy.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance: analysis and recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.stats.nanstd([1.0, np.nan, 5.0])
    np.float64(2.0)
    """
    return reduce_moments(STD, True, a, axis, dtype, out, ddof, keepdims, where, mean, correction)
