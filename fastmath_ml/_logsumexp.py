"""logsumexp: the logarithm of sums of exponentials, along any axes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import (
    as_array,
    as_result,
    check_out,
    computing_dtype,
    floating,
    normalize_axes,
    ready,
)
from ._axes import arrange
from ._kernels.logsumexp import logsumexp_plain, logsumexp_weighted

__all__ = ["SignedLogSum", "logsumexp"]


class SignedLogSum(NamedTuple):
    """What `logsumexp` returns with return_sign=True: the logarithm of |sum|, and its sign."""

    logsumexp: Any
    sign: Any


def logsumexp(
    a: npt.ArrayLike,
    axis: Any = None,
    b: npt.ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    out: Any = None,
) -> Any:
    r"""Logarithm of the sum of exponentials along an axis, as `scipy.special.logsumexp`.

    .. math:: \log \sum_j b_j e^{a_j}

    Parameters
    ----------
    a : array_like
        Real numbers of any shape; dtypes as for `softmax`.
    axis : None, int or tuple of ints, optional
        The axes that the sum runs over; None, the default, for all elements.
    b : array_like, optional
        Factors of the exponentials, of any sign, broadcast against `a`. Where one is 0 the element
        does not count, whatever it is.
    keepdims : bool, optional
        Keep the axes of the sum with length 1.
    return_sign : bool, optional
        Return the sign of the sum too; else the result is NaN where the sum is negative.
    out : ndarray, optional
        Receives the (first) result.

    Returns
    -------
    ndarray or scalar, or SignedLogSum(logsumexp, sign)
        In the dtype of `a` and `b` if floating, else float64. -inf where there is nothing to sum.

    Raises
    ------
    TypeError
        `a` or `b` is a masked array or has a complex, extended or object dtype.
    ValueError
        `axis` does not exist, `b` does not broadcast, or `out` has another shape.

    Notes
    -----
    Computed as :math:`m + \log(1 + r)`, :math:`m = \max_j a_j` and r the sum of the other
    :math:`e^{a_j - m}`. Without `b` the error is at most :math:`32\,\varepsilon\,(1 + |result|)`
    for any length and along any axis; where m is 0 and r below 1/2 it is relative to the result,
    however small that is. Memory is read once. Several axes at once, input that is neither C nor
    Fortran ordered and `b` cost a copy of `a`.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA Journal of Numerical Analysis 41(4), 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.logsumexp(np.array([[1000.0, 1000.0], [0.0, -40.0]]), axis=1)
    array([1.00069315e+03, 4.24835426e-18])
    >>> fm.logsumexp([1.0, 2.0], b=[1.0, -1.0], return_sign=True).sign
    np.float64(-1.0)
    """
    if b is None and not keepdims and not return_sign and out is None:
        result = logsumexp_plain(a, axis)
        if result is not None:
            return result
    return _logsumexp_any(a, axis, b, keepdims, return_sign, out)


def _logsumexp_any(a: Any, axis: Any, b: Any, keepdims: bool, return_sign: bool, out: Any) -> Any:
    array = as_array(a, "a")
    dtype, result_dtype = computing_dtype(array.dtype, "a"), floating(array.dtype, "a")
    weights = None
    if b is not None:
        # A plain number takes the dtype of a, as in NumPy.
        is_number = type(b) in (bool, int, float)
        weights = np.asarray(b, result_dtype) if is_number else as_array(b, "b")
        dtype = np.promote_types(dtype, computing_dtype(weights.dtype, "b"))
        result_dtype = np.promote_types(result_dtype, floating(weights.dtype, "b"))
        try:
            array, weights = np.broadcast_arrays(array, weights)
        except ValueError:
            raise ValueError(
                f"b has shape {np.shape(b)}; expected one that broadcasts with a, {array.shape}"
            ) from None
    array = np.atleast_1d(array)
    axes = normalize_axes(axis, array.ndim)
    kept = tuple(1 if at in axes else n for at, n in enumerate(array.shape))
    shape = kept if keepdims else tuple(n for at, n in enumerate(array.shape) if at not in axes)
    target = check_out(out, shape, result_dtype)
    sign = None
    if array.size == 0 or not axes:
        result = array.astype(dtype) if array.size else np.full(shape, -np.inf, dtype)
        if weights is not None and array.size:
            result, sign = _weighted(array, np.atleast_1d(weights), (), dtype)
    elif weights is not None:
        result, sign = _weighted(array, np.atleast_1d(weights), axes, dtype)
    else:
        arranged = arrange(ready(array, dtype), axes)
        result = np.asarray(logsumexp_plain(arranged.work, arranged.axis))
        if arranged.is_flipped:
            result = result.T
    result = result.reshape(shape)
    if sign is None:
        sign = np.where(np.isnan(result), result, (result > -np.inf).astype(dtype))
    sign = sign.reshape(shape)
    if not return_sign:
        result = np.where(sign < 0, dtype.type(np.nan), result)
    scalar = not shape
    result = as_result(result[()] if scalar and target is None else result, result_dtype, target)
    if not return_sign:
        return result
    return SignedLogSum(
        result, sign.astype(result_dtype)[()] if scalar else sign.astype(result_dtype)
    )


def _weighted(
    array: Any, weights: Any, axes: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Any, Any]:
    """Results and signs, flat: the summed axes last, as rows."""
    order = [at for at in range(array.ndim) if at not in axes] + list(axes)
    length = math.prod(array.shape[at] for at in axes)
    first, second = (
        np.ascontiguousarray(ready(x, dtype).transpose(order).reshape(-1, length))
        for x in (array, weights)
    )
    result, sign = np.empty((2, first.shape[0]), dtype)
    logsumexp_weighted(first, second, result, sign)
    return result, sign
