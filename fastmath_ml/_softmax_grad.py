"""Gradients of the softmax family, from the forward result."""

from __future__ import annotations

from typing import Any

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
    receives,
)
from ._axes import arrange
from ._kernels.softmax_grad import softmax_grad_plain

__all__ = ["log_softmax_grad", "softmax_grad"]


def softmax_grad(
    y: npt.ArrayLike, grad_y: npt.ArrayLike, axis: Any = -1, *, out: Any = None
) -> Any:
    r"""Gradient of a loss with respect to x from that with respect to y = softmax(x).

    .. math:: \frac{\partial L}{\partial x_i}
       = y_i \Bigl(g_i - \sum_j g_j y_j\Bigr), \quad g = \frac{\partial L}{\partial y}

    Parameters
    ----------
    y : array_like
        What `softmax` returned.
    grad_y : array_like, the shape of `y`
        The gradient of the loss with respect to `y`.
    axis : None, int or tuple of ints, optional
        The axes along which the softmax was taken; the last by default.
    out : ndarray, optional
        Receives the result; may be `y` or `grad_y` itself.

    Returns
    -------
    ndarray
        The shape of `y`; in the wider of the two floating dtypes, float64 for integers.

    Raises
    ------
    TypeError
        An argument is a masked array or has a complex, extended or object dtype.
    ValueError
        The shapes differ, or `axis` does not exist.

    Notes
    -----
    The sum runs in blocks, so that its error, at most :math:`40\,\varepsilon \sum_j |g_j y_j|`,
    does not grow with the length. Each array is read once where the elements along the axis stay in
    a cache. Neither the number of threads nor other rows change a row's result.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> y = fm.softmax(np.array([0.0, 0.0]))
    >>> fm.special.softmax_grad(y, np.array([1.0, 0.0]))
    array([ 0.25, -0.25])
    """
    result = softmax_grad_plain(y, grad_y, axis, out, False)
    return _grad_any(y, grad_y, axis, out, logarithm=False) if result is None else result


def log_softmax_grad(
    y: npt.ArrayLike, grad_y: npt.ArrayLike, axis: Any = -1, *, out: Any = None
) -> Any:
    r"""Gradient of a loss with respect to x from that with respect to y = log_softmax(x).

    .. math:: \frac{\partial L}{\partial x_i}
       = g_i - e^{y_i} \sum_j g_j, \quad g = \frac{\partial L}{\partial y}

    Parameters
    ----------
    y : array_like
        What `log_softmax` returned.
    grad_y, axis, out
        As for `softmax_grad`.

    Returns
    -------
    ndarray
        The shape of `y`; in the wider of the two floating dtypes, float64 for integers.

    Raises
    ------
    TypeError, ValueError
        As for `softmax_grad`.

    Notes
    -----
    As for `softmax_grad`, with an error of the sum of at most
    :math:`40\,\varepsilon \sum_j |g_j|`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> y = fm.log_softmax(np.array([0.0, 0.0]))
    >>> fm.special.log_softmax_grad(y, np.array([1.0, 0.0]))
    array([ 0.5, -0.5])
    """
    result = softmax_grad_plain(y, grad_y, axis, out, True)
    return _grad_any(y, grad_y, axis, out, logarithm=True) if result is None else result


def _grad_any(y: Any, grad_y: Any, axis: Any, out: Any, *, logarithm: bool) -> Any:
    result, grad = as_array(y, "y"), as_array(grad_y, "grad_y")
    if result.shape != grad.shape:
        raise ValueError(f"grad_y has shape {grad.shape}; expected that of y, {result.shape}")
    dtype = np.promote_types(
        computing_dtype(result.dtype, "y"), computing_dtype(grad.dtype, "grad_y")
    )
    result_dtype = np.promote_types(floating(result.dtype, "y"), floating(grad.dtype, "grad_y"))
    axes = normalize_axes(axis, max(result.ndim, 1))
    target = check_out(out, result.shape, result_dtype)
    works = [ready(x, dtype) for x in (result, grad)]
    if result.ndim == 0 or not axes:
        # One element along each axis; reshaped to a row of its own.
        first, second = (np.ascontiguousarray(x).reshape(-1, 1) for x in works)
        computed = softmax_grad_plain(first, second, 1, None, logarithm).reshape(result.shape)
        return as_result(computed if result.ndim else computed[()], result_dtype, target)
    # Both in C order: one alone may be flipped.
    arranged = [arrange(np.ascontiguousarray(x), axes) for x in works]
    direct = arranged[0].order is None and receives(target, dtype, result, grad)
    computed = softmax_grad_plain(
        arranged[0].work, arranged[1].work, arranged[0].axis, target if direct else None, logarithm
    )
    return as_result(arranged[0].back(computed), result_dtype, target)
