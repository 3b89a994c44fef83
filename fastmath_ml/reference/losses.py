"""Losses and their gradients with respect to the first argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._base import Array, float64

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_grad",
    "cross_entropy",
    "cross_entropy_with_grad",
    "hinge_loss",
    "hinge_loss_with_grad",
    "huber_loss",
    "huber_loss_with_grad",
    "kl_div",
    "kl_div_with_grad",
    "l1_loss",
    "l1_loss_with_grad",
    "linear_cross_entropy",
    "linear_cross_entropy_with_grad",
    "mse_loss",
    "mse_loss_with_grad",
    "nll_loss",
    "nll_loss_with_grad",
]


def _reduce(losses: Array, grad: Array, reduction: str, divisor: Any) -> tuple[Any, Array]:
    if reduction == "none":
        return losses, grad
    if reduction == "sum":
        return losses.sum(), grad
    with np.errstate(invalid="ignore", divide="ignore"):
        return losses.sum() / divisor, grad / divisor if divisor else grad


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, x))


def _classes_last(x: Array, axis: int | None) -> tuple[Array, int]:
    """x with its classes last, in C order: NumPy adds pairwise along a contiguous axis only."""
    at = min(x.ndim - 1, 1) if axis is None else axis
    return np.ascontiguousarray(np.moveaxis(x, at, -1)), at


def cross_entropy_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[Any, Array]:
    """sum over c of d_c (logsumexp(x) - x_c); softmax(x)_c sum(d) - d_c."""
    x, at = _classes_last(float64(input), axis)
    n_classes = x.shape[-1]
    weights = np.ones(n_classes) if weight is None else float64(weight)
    numbers = np.asarray(target)
    if numbers.dtype.kind in "iu":
        counted = (numbers != ignore_index)[..., None]
        one_hot = counted & (np.arange(n_classes) == numbers[..., None])
        d = ((1 - label_smoothing) * one_hot + counted * label_smoothing / n_classes) * weights
        asked = counted if label_smoothing else one_hot  # the others' logits may be infinite
        divisor: Any = (one_hot * weights).sum()
        x = np.where(counted, x, 0.0)
    else:
        share = (1 - label_smoothing) * np.moveaxis(float64(target), at, -1)
        d = (share + label_smoothing / n_classes) * weights
        asked = np.array(True)
        divisor = x.size / n_classes
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        above = x.max(axis=-1, keepdims=True) - x
        exponentials = np.exp(-above)
        sums = exponentials.sum(axis=-1, keepdims=True)
        losses = np.where(asked, d * (np.log(sums) + above), 0.0).sum(axis=-1)
        grad = exponentials / sums * d.sum(axis=-1, keepdims=True) - d
    return _reduce(losses, np.moveaxis(grad, -1, at), reduction, divisor)


def cross_entropy(input: npt.ArrayLike, target: npt.ArrayLike, *args: Any, **options: Any) -> Any:
    """sum over c of d_c (logsumexp(x) - x_c)."""
    return cross_entropy_with_grad(input, target, *args, **options)[0]


def nll_loss_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> tuple[Any, Array]:
    """-w_y x_y; -w_y at y."""
    x, at = _classes_last(float64(input), axis)
    n_classes = x.shape[-1]
    weights = np.ones(n_classes) if weight is None else float64(weight)
    numbers = np.asarray(target)
    counted = numbers != ignore_index
    safe = np.where(counted, numbers, 0)
    w = np.where(counted, weights[safe], 0.0)
    picked = np.take_along_axis(x, safe[..., None], -1)[..., 0]
    losses = -w * np.where(counted, picked, 0.0)
    grad = np.where(np.arange(n_classes) == numbers[..., None], -w[..., None], 0.0)
    return _reduce(losses, np.moveaxis(grad, -1, at), reduction, w.sum())


def nll_loss(input: npt.ArrayLike, target: npt.ArrayLike, *args: Any, **options: Any) -> Any:
    """-w_y x_y."""
    return nll_loss_with_grad(input, target, *args, **options)[0]


def linear_cross_entropy_with_grad(
    input: npt.ArrayLike,
    linear_weight: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    linear_bias: npt.ArrayLike | None = None,
    **options: Any,
) -> tuple[Any, tuple[Array, Array, Array | None]]:
    """Cross-entropy of input @ linear_weight.T + linear_bias; by the chain rule."""
    x, w = np.atleast_2d(float64(input)), float64(linear_weight)
    logits = x @ w.T + (0.0 if linear_bias is None else float64(linear_bias))
    one = np.ndim(input) == 1
    loss, grad = cross_entropy_with_grad(logits[0] if one else logits, target, **options)
    grad = np.atleast_2d(grad)
    grad_input = (grad @ w).reshape(np.shape(input))
    return loss, (grad_input, grad.T @ x, None if linear_bias is None else grad.sum(axis=0))


def linear_cross_entropy(
    input: npt.ArrayLike, linear_weight: npt.ArrayLike, target: npt.ArrayLike, **options: Any
) -> Any:
    """Cross-entropy of input @ linear_weight.T + linear_bias."""
    return linear_cross_entropy_with_grad(input, linear_weight, target, **options)[0]


def mse_loss_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: str = "mean",
    weight: npt.ArrayLike | None = None,
) -> tuple[Any, Array]:
    """w (x - t)^2, the mean divided by the sum of w."""
    difference = float64(input) - float64(target)
    w = np.ones(difference.shape) if weight is None else float64(weight)
    return _reduce(w * difference**2, 2 * w * difference, reduction, w.sum())


def mse_loss(input: npt.ArrayLike, target: npt.ArrayLike, **options: Any) -> Any:
    """w (x - t)^2."""
    return mse_loss_with_grad(input, target, **options)[0]


def l1_loss_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: str = "mean",
    weight: npt.ArrayLike | None = None,
) -> tuple[Any, Array]:
    """w |x - t|, the mean divided by the sum of w."""
    difference = float64(input) - float64(target)
    w = np.ones(difference.shape) if weight is None else float64(weight)
    return _reduce(w * np.abs(difference), w * np.sign(difference), reduction, w.sum())


def l1_loss(input: npt.ArrayLike, target: npt.ArrayLike, **options: Any) -> Any:
    """w |x - t|."""
    return l1_loss_with_grad(input, target, **options)[0]


def huber_loss_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: npt.ArrayLike | None = None,
) -> tuple[Any, Array]:
    """w (x - t)^2 / 2 up to |x - t| = delta, w delta (|x - t| - delta / 2) beyond."""
    difference = float64(input) - float64(target)
    w = np.ones(difference.shape) if weight is None else float64(weight)
    distance = np.abs(difference)
    losses = np.where(distance <= delta, difference**2 / 2, delta * (distance - delta / 2))
    return _reduce(w * losses, w * np.clip(difference, -delta, delta), reduction, losses.size)


def huber_loss(input: npt.ArrayLike, target: npt.ArrayLike, *args: Any, **options: Any) -> Any:
    """w (x - t)^2 / 2 up to |x - t| = delta, w delta (|x - t| - delta / 2) beyond."""
    return huber_loss_with_grad(input, target, *args, **options)[0]


def kl_div_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    reduction: str = "mean",
    log_target: bool = False,
) -> tuple[Any, Array]:
    """t (log t - x), 0 log 0 being 0; with log_target exp(t) (t - x)."""
    x, t = float64(input), float64(target)
    with np.errstate(invalid="ignore", divide="ignore"):
        if log_target:
            losses, grad = np.exp(t) * (t - x), -np.exp(t)
        else:
            losses, grad = t * (np.where(t == 0, 0.0, np.log(t)) - x), -t
    divisor = len(x) if reduction == "batchmean" and x.ndim else x.size
    return _reduce(losses, grad, reduction, divisor)


def kl_div(input: npt.ArrayLike, target: npt.ArrayLike, **options: Any) -> Any:
    """t (log t - x), 0 log 0 being 0; with log_target exp(t) (t - x)."""
    return kl_div_with_grad(input, target, **options)[0]


def hinge_loss_with_grad(
    scores: npt.ArrayLike, target: npt.ArrayLike, *, reduction: str = "mean"
) -> tuple[Any, Array]:
    """max(0, 1 - t s)."""
    s, t = float64(scores), float64(target)
    margin = 1 - t * s
    return _reduce(np.maximum(margin, 0), np.where(margin <= 0, 0, -t), reduction, s.size)


def hinge_loss(scores: npt.ArrayLike, target: npt.ArrayLike, *, reduction: str = "mean") -> Any:
    """max(0, 1 - t s)."""
    return hinge_loss_with_grad(scores, target, reduction=reduction)[0]


def binary_cross_entropy_with_logits_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    reduction: str = "mean",
    pos_weight: npt.ArrayLike | None = None,
) -> tuple[Any, Array]:
    """-w (p t log s(x) + (1 - t) log(1 - s(x))), s being the logistic function."""
    x, t = float64(input), float64(target)
    w = np.broadcast_to(1.0 if weight is None else float64(weight), x.shape)
    p = np.broadcast_to(1.0 if pos_weight is None else float64(pos_weight), x.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        losses = w * (p * t * _softplus(-x) + (1 - t) * _softplus(x))
        grad = w * ((1 - t) / (1 + np.exp(-x)) - p * t / (1 + np.exp(x)))
    return _reduce(losses, grad, reduction, x.size)


def binary_cross_entropy_with_logits(
    input: npt.ArrayLike, target: npt.ArrayLike, *args: Any, **options: Any
) -> Any:
    """-w (p t log s(x) + (1 - t) log(1 - s(x))), s being the logistic function."""
    return binary_cross_entropy_with_logits_with_grad(input, target, *args, **options)[0]
