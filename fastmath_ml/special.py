"""Activations and the softmax family, along any axis of any real array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._activations import expit, log_expit, logit, tanh
from ._arrays import (
    as_array,
    as_result,
    check_out,
    computing_dtype,
    floating,
    normalize_axes,
    ready,
    receives,
)
from ._axes import arrange
from ._kernels.softmax import softmax_plain
from ._linear_units import gelu, relu, silu, softplus
from ._logsumexp import logsumexp
from ._softmax_grad import log_softmax_grad, softmax_grad

__all__ = [
    "expit",
    "gelu",
    "log_expit",
    "log_softmax",
    "log_softmax_grad",
    "logit",
    "logsumexp",
    "relu",
    "silu",
    "softmax",
    "softmax_grad",
    "softplus",
    "tanh",
]


def softmax(x: npt.ArrayLike, axis: Any = None, *, out: Any = None) -> Any:
    r"""Softmax of the elements along an axis.

    .. math:: \operatorname{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    Parameters
    ----------
    x : array_like
        Real numbers of any shape. float32 and float64 are computed as they are, float16 and
        bfloat16 in float32, integers and booleans in float64.
    axis : None, int or tuple of ints, optional
        The axes that the sum runs over; None, the default, for all elements.
    out : ndarray, optional
        Receives the result: the shape of `x` and a floating dtype. It may be `x` itself.

    Returns
    -------
    ndarray
        The shape of `x`; its dtype if that is floating, else float64. Sums to 1 along `axis`. Where
        `x` has NaN or +inf along `axis`, or nothing but -inf, the result there is NaN.

    Raises
    ------
    TypeError
        `x` is a masked array or has a complex, extended or object dtype.
    ValueError
        `axis` does not exist, or `out` has another shape.

    Notes
    -----
    Computed as :math:`e^{x_i - m} / \sum_j e^{x_j - m}` with :math:`m = \max_j x_j`. The relative
    error of a float32 or float64 result is at most :math:`(32 + |x_i - m|)\,\varepsilon` for any
    length and along any axis, and rarely above a tenth of that; the second term is the rounding of
    :math:`x_i - m` itself.

    Memory is read once and written once, except along axes that have other axes behind them and are
    longer than 512, where the result is swept twice.
    Neither the number of threads nor the other elements of `x` change the result of a row. Input
    that is neither C nor Fortran ordered, and several axes at once, cost a copy of `x`.

    References
    ----------
    .. [1] J. S. Bridle, "Probabilistic interpretation of feedforward classification network
       outputs, with relationships to statistical pattern recognition", Neurocomputing, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> scores = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    >>> fm.softmax(scores, axis=1).round(4)
    array([[0.09  , 0.2447, 0.6652],
           [0.3333, 0.3333, 0.3333]])
    """
    result = softmax_plain(x, axis, out)
    if result is not None:
        return result
    return _softmax_any(x, axis, out, logarithm=False)


def log_softmax(x: npt.ArrayLike, axis: Any = None, *, out: Any = None) -> Any:
    r"""Logarithm of the softmax of the elements along an axis.

    .. math:: \operatorname{log\_softmax}(x)_i = x_i - \log \sum_j e^{x_j}

    Parameters
    ----------
    x : array_like
        Real numbers of any shape; dtypes as for `softmax`.
    axis : None, int or tuple of ints, optional
        The axes that the sum runs over; None, the default, for all elements.
    out : ndarray, optional
        Receives the result: the shape of `x` and a floating dtype. It may be `x` itself.

    Returns
    -------
    ndarray
        The shape of `x`; its dtype if that is floating, else float64. As in SciPy, +inf along
        `axis` gives NaN there and -inf beside it; NaN or nothing but -inf give NaN.

    Raises
    ------
    TypeError, ValueError
        As for `softmax`.

    Notes
    -----
    Computed as :math:`(x_i - m) - \log \sum_j e^{x_j - m}`, :math:`m = \max_j x_j`. The absolute
    error of a float32 or float64 result is at most
    :math:`(32 + |x_i - m| + \log n)\,\varepsilon` for n elements along any axis, rarely above a
    tenth of that. Memory is read once and written once where the elements along the axis stay in a
    cache, else read twice. Neither the number of threads nor other elements change a row's result.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.log_softmax(np.array([1000.0, 1.0]))
    array([   0., -999.])
    """
    result = softmax_plain(x, axis, out, True)
    if result is not None:
        return result
    return _softmax_any(x, axis, out, logarithm=True)


def _softmax_any(x: Any, axis: Any, out: Any, *, logarithm: bool) -> Any:
    """Every array that the kernel does not take as it is."""
    array = as_array(x, "x")
    dtype = computing_dtype(array.dtype, "x")
    result_dtype = floating(array.dtype, "x")
    # SciPy takes a scalar as one element along its axis.
    axes = normalize_axes(axis, max(array.ndim, 1))
    target = check_out(out, array.shape, result_dtype)
    work = ready(array, dtype)
    if array.ndim == 0 or not axes:
        # One element, or one along each axis: exp(x - x) / exp(x - x), or its logarithm.
        with np.errstate(invalid="ignore"):
            alone = work - work if logarithm else np.exp(work - work)
        return as_result(alone, result_dtype, target)
    arranged = arrange(work, axes)
    direct = arranged.order is None and not arranged.is_flipped and receives(target, dtype, array)
    result = softmax_plain(arranged.work, arranged.axis, target if direct else None, logarithm)
    return as_result(arranged.back(result), result_dtype, target)
