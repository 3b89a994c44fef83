"""Activations and the softmax family."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._base import Array, float64

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


def softmax(x: npt.ArrayLike, axis: Any = None) -> Array:
    """exp(x_i - m) / sum over j of exp(x_j - m), m being the maximum."""
    values = float64(x)
    if values.size == 0:
        return values
    with np.errstate(invalid="ignore"):
        exponentials = np.exp(values - values.max(axis=axis, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=axis, keepdims=True))


def log_softmax(x: npt.ArrayLike, axis: Any = None) -> Array:
    """x_i - log of the sum over j of exp(x_j); +inf gives NaN, and -inf beside it."""
    values = float64(x)
    if values.size == 0:
        return values
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(values - logsumexp(values, axis, keepdims=True))


def logsumexp(
    a: npt.ArrayLike,
    axis: Any = None,
    b: npt.ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
) -> Any:
    """m + log of the sum over j of b_j exp(a_j - m), m being the maximum."""
    values, weights = np.broadcast_arrays(np.atleast_1d(float64(a)), 1.0 if b is None else b)
    values = np.where(weights == 0, -np.inf, values)
    axis = tuple(range(values.ndim)) if axis is None else axis
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        m = values.max(axis=axis, keepdims=True, initial=-np.inf)
        m = np.where(np.isfinite(m), m, 0)
        terms = np.where(weights == 0, 0, weights * np.exp(values - m))
        maximal = np.where(values == m, weights, 0).sum(axis=axis, keepdims=True)
        rest = np.where(values == m, 0, terms).sum(axis=axis, keepdims=True)
        total = maximal + rest
        # With the maximal terms apart, since a small rest would be lost beside them.
        apart = np.log(np.abs(maximal)) + np.log1p(rest / maximal)
        log_total = np.where(np.abs(rest) < np.abs(maximal) / 2, apart, np.log(np.abs(total)))
    result, sign = m + log_total, np.sign(total)
    if not keepdims:
        result, sign = result.squeeze(axis), sign.squeeze(axis)
    if return_sign:
        return result, sign
    return np.where(sign < 0, np.nan, result)


def softmax_grad(y: npt.ArrayLike, grad_y: npt.ArrayLike, axis: Any = -1) -> Array:
    """y_i (g_i - sum over j of g_j y_j)."""
    result, grad = float64(y), float64(grad_y)
    return np.asarray(result * (grad - (grad * result).sum(axis=axis, keepdims=True)))


def log_softmax_grad(y: npt.ArrayLike, grad_y: npt.ArrayLike, axis: Any = -1) -> Array:
    """g_i - exp(y_i) * sum over j of g_j."""
    result, grad = float64(y), float64(grad_y)
    return np.asarray(grad - np.exp(result) * grad.sum(axis=axis, keepdims=True))


def expit(x: npt.ArrayLike) -> Array:
    """1 / (1 + exp(-x))."""
    values = float64(x)
    e = np.exp(-np.abs(values))
    return np.asarray(np.where(values < 0, e, 1) / (1 + e))


def log_expit(x: npt.ArrayLike) -> Array:
    """-log(1 + exp(-x))."""
    values = float64(x)
    return np.asarray(np.minimum(values, 0) - np.log1p(np.exp(-np.abs(values))))


def logit(x: npt.ArrayLike) -> Array:
    """log(x / (1 - x))."""
    values = float64(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        near_half = 2 * np.arctanh(2 * values - 1)
        elsewhere = np.log(values) - np.log1p(-values)
    return np.asarray(np.where(np.abs(values - 0.5) < 0.1, near_half, elsewhere))


def tanh(x: npt.ArrayLike) -> Array:
    """(exp(2 x) - 1) / (exp(2 x) + 1)."""
    return np.asarray(np.tanh(float64(x)))


def relu(x: npt.ArrayLike) -> Array:
    """max(x, 0)."""
    return np.asarray(np.maximum(float64(x), 0))


def softplus(x: npt.ArrayLike, beta: float = 1.0, threshold: float | None = None) -> Array:
    """log(1 + exp(beta x)) / beta; x where beta x is above the threshold."""
    values = beta * float64(x)
    bend = np.maximum(values, 0) + np.log1p(np.exp(-np.abs(values)))
    return np.asarray(
        np.where(values > (np.inf if threshold is None else threshold), values, bend) / beta
    )


def silu(x: npt.ArrayLike) -> Array:
    """x / (1 + exp(-x)), and the limit -0 at -inf."""
    values = float64(x)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.where(values == -np.inf, -0.0, values / (1 + np.exp(-values))))


def gelu(x: npt.ArrayLike, *, approximate: str = "none") -> Array:
    """x times the normal distribution function, or its approximation by tanh."""
    values = float64(x)
    with np.errstate(over="ignore", invalid="ignore"):
        if approximate == "tanh":
            inner = np.sqrt(2 / np.pi) * (values + 0.044715 * values**3)
            probability = 1 / (1 + np.exp(-2 * inner))
        else:
            erfc = np.vectorize(math.erfc, otypes=[np.float64])
            probability = erfc(-values / np.sqrt(2)) / 2
        return np.asarray(np.where(values == -np.inf, -0.0, values * probability))
