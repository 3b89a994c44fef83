"""Losses of probabilities and decisions: Kullback-Leibler, hinge, binary cross-entropy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._arrays import computing_dtype, contiguous
from .._kernels.losses import are_signs, elementwise_plain
from . import _gate as gate
from ._elements import (
    BINARY_LOGITS,
    HINGE,
    KL,
    KL_LOG_TARGET,
    loss_of,
    pair_of,
    reduced_losses,
    spread_over,
)

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_grad",
    "hinge_loss",
    "hinge_loss_with_grad",
    "kl_div",
    "kl_div_with_grad",
]


def kl_div(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: gate.Reduction | Literal["batchmean"] = "mean",
    log_target: bool = False,
) -> Any:
    r"""Terms of the Kullback-Leibler divergence from log-probabilities, :math:`t (\log t - x)`.

    Parameters
    ----------
    input : array_like
        Log-probabilities.
    target : array_like
        Probabilities, or their logarithms with `log_target`; the shape of `input`.
    reduction : {'mean', 'sum', 'batchmean', 'none'}, optional
        'batchmean' divides the sum by the length of the first axis, which gives the mean
        divergence; 'mean' divides by the number of elements.
    log_target : bool, optional
        Whether `target` holds logarithms; the terms are then :math:`e^t (t - x)`.

    Returns
    -------
    scalar or ndarray
        As from `mse_loss`. Where the target is 0 the term is :math:`-0 \cdot x`, NaN if `input` is
        infinite there, as in torch.

    Raises
    ------
    ValueError, TypeError
        As `mse_loss`.

    References
    ----------
    .. [1] S. Kullback, R. A. Leibler, "On information and sufficiency", Annals of Mathematical
       Statistics 22, 1951.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml import losses
    >>> p, q = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    >>> round(float(losses.kl_div(np.log(q), p, reduction="batchmean")), 4)
    0.5108
    """
    kind = KL_LOG_TARGET if log_target else KL
    return loss_of(kind, input, target, reduction, None, False)


def kl_div_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: gate.Reduction | Literal["batchmean"] = "mean",
    log_target: bool = False,
    grad_out: Any = None,
) -> Any:
    r"""Kullback-Leibler terms and their gradient, :math:`-t` (:math:`-e^t` with `log_target`).

    Parameters, results and errors are those of `kl_div` and `mse_loss_with_grad`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml import losses
    >>> losses.kl_div_with_grad(np.log([0.9, 0.1]), [0.5, 0.5], reduction="sum")[1]
    array([-0.5, -0.5])
    """
    kind = KL_LOG_TARGET if log_target else KL
    return loss_of(kind, input, target, reduction, None, True, grad_out)


def hinge_loss(
    scores: npt.ArrayLike, target: npt.ArrayLike, *, reduction: gate.Reduction = "mean"
) -> Any:
    r"""Hinge loss, :math:`l = \max(0, 1 - t s)` of scores and targets ±1.

    Parameters
    ----------
    scores : array_like
        Real numbers.
    target : array_like
        1 or -1, of the shape of `scores` and any real dtype.
    reduction : {'mean', 'sum', 'none'}, optional
        'mean' divides the sum by the number of elements.

    Returns
    -------
    scalar or ndarray
        float64 for scores in float64 and integers, else float32.

    Raises
    ------
    ValueError
        A target is neither 1 nor -1 (the message names the first such position), or a shape or
        `reduction` does not fit.
    TypeError
        An array is masked or has a dtype that is not real.

    References
    ----------
    .. [1] C. Cortes, V. Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> from fastmath_ml import losses
    >>> losses.hinge_loss([2.0, 0.5, -1.0], [1, 1, 1], reduction="none")
    array([0. , 0.5, 2. ])
    """
    return _hinge(scores, target, reduction, False, None)[0]


def hinge_loss_with_grad(
    scores: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: gate.Reduction = "mean",
    grad_out: Any = None,
) -> Any:
    r"""Hinge loss and its gradient, :math:`-t` where :math:`t s < 1` and 0 elsewhere.

    Parameters, results and errors are those of `hinge_loss` and `mse_loss_with_grad`.

    Examples
    --------
    >>> from fastmath_ml import losses
    >>> losses.hinge_loss_with_grad([2.0, 0.5, -1.0], [1, 1, 1], reduction="sum")[1]
    array([ 0., -1., -1.])
    """
    return _hinge(scores, target, reduction, True, grad_out)


def binary_cross_entropy_with_logits(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    reduction: gate.Reduction = "mean",
    pos_weight: npt.ArrayLike | None = None,
) -> Any:
    r"""Cross-entropy of independent yes-or-no questions, from their logits.

    .. math:: l = -w \left(p\, t \log \sigma(x) + (1 - t) \log(1 - \sigma(x))\right),
        \qquad \sigma(x) = \frac{1}{1 + e^{-x}}

    Parameters
    ----------
    input, target : array_like
        Logits and probabilities (often 0 or 1), both of one shape.
    weight : array_like, optional
        Weight of each element; anything that broadcasts to the shape of `input`.
    reduction : {'mean', 'sum', 'none'}, optional
        'mean' divides the sum by the number of elements.
    pos_weight : array_like, optional
        Weight p of the positive answers; anything that broadcasts to the shape of `input`.

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
    Computed from :math:`-\log\sigma(x) = \log(1 + e^{-|x|}) + \max(-x, 0)` and its mirror image,
    whose terms are never negative: for targets from 0 to 1 nothing cancels, and a loss is within a
    few rounding errors. Weights that are broadcast cost an array of the size of `input`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> logits, answers = np.array([0.0, 2.0, -1000.0]), np.array([1.0, 1.0, 1.0])
    >>> fm.binary_cross_entropy_with_logits(logits, answers, reduction="none").round(4)
    array([6.931e-01, 1.269e-01, 1.000e+03])
    """
    return _binary(input, target, weight, reduction, pos_weight, False, None)


def binary_cross_entropy_with_logits_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    reduction: gate.Reduction = "mean",
    pos_weight: npt.ArrayLike | None = None,
    grad_out: Any = None,
) -> Any:
    r"""Binary cross-entropy and its gradient, in one pass.

    .. math:: \frac{\partial l}{\partial x}
        = w \left((1 - t)\, \sigma(x) - p\, t\, \sigma(-x)\right)

    Parameters
    ----------
    input, target, weight, reduction, pos_weight
        As for `binary_cross_entropy_with_logits`. With 'none' the gradient is that of the sum.
    grad_out : ndarray, optional
        Receives the gradient: the shape of `input`, a floating dtype. It may be `input` itself.

    Returns
    -------
    loss : scalar or ndarray
        As from `binary_cross_entropy_with_logits`.
    grad : ndarray
        `grad_out` if that was given, else a new array.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> logits, answers = np.array([0.0, 0.0]), np.array([1.0, 0.0])
    >>> fm.binary_cross_entropy_with_logits_with_grad(logits, answers)[1]
    array([-0.25,  0.25])
    """
    return _binary(input, target, weight, reduction, pos_weight, True, grad_out)


def _hinge(scores: Any, target: Any, reduction: Any, with_grad: bool, grad_out: Any) -> Any:
    gate.check_reduction(reduction)
    x, t = pair_of(scores, target, "scores")
    dtype = computing_dtype(x.dtype, "scores")
    computing_dtype(t.dtype, "target")
    signs = contiguous(t, dtype)
    if not are_signs(signs):
        first = int(np.argmax(np.abs(signs.reshape(-1)) != 1))
        position = tuple(map(int, np.unravel_index(first, t.shape)))
        where = f"[{', '.join(map(str, position))}]" if position else ""
        raise ValueError(f"target{where} is {t[position]}; expected 1 or -1")
    return reduced_losses(
        HINGE, x, signs, dtype, reduction, x.size, None, None, with_grad, grad_out
    )


def _binary(
    input: Any,
    target: Any,
    weight: Any,
    reduction: Any,
    pos_weight: Any,
    with_grad: bool,
    grad_out: Any,
) -> Any:
    if weight is None and pos_weight is None:
        result = elementwise_plain(
            BINARY_LOGITS, input, target, 0.0, reduction, with_grad, grad_out
        )
        if result is not None:
            return result
    gate.check_reduction(reduction)
    x, t = pair_of(input, target, "input")
    dtype = gate.common_dtype((x, "input"), (t, "target"))
    weights = None if weight is None else spread_over(weight, "weight", x, dtype)
    positive = None if pos_weight is None else spread_over(pos_weight, "pos_weight", x, dtype)
    result = reduced_losses(
        BINARY_LOGITS, x, t, dtype, reduction, x.size, weights, positive, with_grad, grad_out
    )
    return result if with_grad else result[0]
