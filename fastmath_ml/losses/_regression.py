"""Losses of a number that is predicted: squared, absolute, Huber's."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from .._options import number
from . import _gate as gate
from ._elements import ABSOLUTE, HUBER, SQUARED, loss_of

__all__ = [
    "huber_loss",
    "huber_loss_with_grad",
    "l1_loss",
    "l1_loss_with_grad",
    "mse_loss",
    "mse_loss_with_grad",
]


def mse_loss(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: gate.Reduction = "mean",
    weight: npt.ArrayLike | None = None,
) -> Any:
    r"""Squared error, :math:`l = w (x - t)^2`.

    Parameters
    ----------
    input, target : array_like
        Real numbers, both of one shape; nothing is broadcast. float16 is computed in float32,
        integers in float64.
    reduction : {'mean', 'sum', 'none'}, optional
        'mean' divides the sum by the number of elements, or by the sum of the weights.
    weight : array_like, optional
        Weight of each element, of the shape of `input`.

    Returns
    -------
    scalar or ndarray
        float64 if `input` or `target` is, else float32; whole numbers are float64 only where
        both are. The mean of nothing is NaN.

    Raises
    ------
    ValueError
        A shape or `reduction` does not fit.
    TypeError
        An array is masked or has a dtype that is not real.

    Notes
    -----
    A loss is within a few rounding errors of that of :math:`x - t`; losses are added up in blocks
    of 32 a lane and in float64 beyond, so that the error does not grow with the length. Memory is
    read once.

    Examples
    --------
    >>> from fastmath_ml import losses
    >>> float(losses.mse_loss([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    return loss_of(SQUARED, input, target, reduction, weight, False)


def mse_loss_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: gate.Reduction = "mean",
    weight: npt.ArrayLike | None = None,
    grad_out: Any = None,
) -> Any:
    r"""Squared error and its gradient, :math:`2 w (x - t)` times the factor of the reduction.

    Parameters
    ----------
    input, target, reduction, weight
        As for `mse_loss`. With 'none' the gradient is that of the sum of the losses.
    grad_out : ndarray, optional
        Receives the gradient: the shape of `input`, a floating dtype. It may be `input` itself.

    Returns
    -------
    loss : scalar or ndarray
        As from `mse_loss`.
    grad : ndarray
        `grad_out` if that was given, else a new array.

    Examples
    --------
    >>> from fastmath_ml import losses
    >>> losses.mse_loss_with_grad([1.0, 2.0], [1.0, 4.0])[1]
    array([ 0., -2.])
    """
    return loss_of(SQUARED, input, target, reduction, weight, True, grad_out)


def l1_loss(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: gate.Reduction = "mean",
    weight: npt.ArrayLike | None = None,
) -> Any:
    r"""Absolute error, :math:`l = w |x - t|`.

    Parameters, results and errors are those of `mse_loss`.

    Examples
    --------
    >>> from fastmath_ml import losses
    >>> losses.l1_loss([1.0, 2.0], [1.5, 4.0], reduction="none")
    array([0.5, 2. ])
    """
    return loss_of(ABSOLUTE, input, target, reduction, weight, False)


def l1_loss_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: gate.Reduction = "mean",
    weight: npt.ArrayLike | None = None,
    grad_out: Any = None,
) -> Any:
    r"""Absolute error and its gradient, :math:`w \operatorname{sign}(x - t)`; 0 at 0.

    Parameters, results and errors are those of `mse_loss_with_grad`.

    Examples
    --------
    >>> from fastmath_ml import losses
    >>> losses.l1_loss_with_grad([1.0, 2.0], [1.0, 4.0], reduction="sum")[1]
    array([ 0., -1.])
    """
    return loss_of(ABSOLUTE, input, target, reduction, weight, True, grad_out)


def huber_loss(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    reduction: gate.Reduction = "mean",
    delta: float = 1.0,
    weight: npt.ArrayLike | None = None,
) -> Any:
    r"""Huber's loss: squared for small errors, linear for large ones.

    .. math::
        l = w \begin{cases} \frac12 (x - t)^2 & |x - t| \le \delta \\
            \delta \left(|x - t| - \frac12 \delta\right) & \text{else} \end{cases}

    Parameters
    ----------
    input, target, reduction, weight
        As for `mse_loss`, but that 'mean' divides by the number of elements in any case, as torch
        does here.
    delta : float, optional
        Where the loss becomes linear; positive.

    Returns
    -------
    scalar or ndarray
        As from `mse_loss`.

    Raises
    ------
    ValueError
        `delta` is not positive, or a shape or `reduction` does not fit.
    TypeError
        An array is masked or has a dtype that is not real.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical
       Statistics 35, 1964.

    Examples
    --------
    >>> from fastmath_ml import losses
    >>> losses.huber_loss([1.0, 2.0], [1.5, 4.0], reduction="none")
    array([0.125, 1.5  ])
    """
    return loss_of(HUBER, input, target, reduction, weight, False, option=_check_delta(delta))


def huber_loss_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    reduction: gate.Reduction = "mean",
    delta: float = 1.0,
    weight: npt.ArrayLike | None = None,
    *,
    grad_out: Any = None,
) -> Any:
    r"""Huber's loss and its gradient, :math:`w (x - t)` clipped to :math:`\pm w \delta`.

    Parameters, results and errors are those of `huber_loss` and `mse_loss_with_grad`.

    Examples
    --------
    >>> from fastmath_ml import losses
    >>> losses.huber_loss_with_grad([1.0, 2.0], [1.5, 4.0], "sum")[1]
    array([-0.5, -1. ])
    """
    option = _check_delta(delta)
    return loss_of(HUBER, input, target, reduction, weight, True, grad_out, option=option)


def _check_delta(delta: Any) -> float:
    if type(delta) is float and delta > 0:  # what small losses wait for
        return delta
    return number(delta, "delta", "(0, inf]")
