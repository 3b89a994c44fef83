"""Optimizers: their formulas, in float64, on one array or a list."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._base import Array, float64

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "RMSprop",
    "clip_grad_norm",
    "linear_loss_with_grad",
    "logistic_loss_with_grad",
    "softmax_loss_with_grad",
]


class _Rule:
    """Applies `update(p, g, state, t)` -> new p to float64 arrays in place; t counts from 1."""

    def __init__(self, params: Any, weight_decay: float, maximize: bool) -> None:
        self.params: list[Array] = [params] if isinstance(params, np.ndarray) else list(params)
        self.states: list[dict[str, Any]] = [{} for _ in self.params]
        self.weight_decay, self.sign = weight_decay, -1 if maximize else 1
        self.t = 0

    def step(self, grads: Any) -> None:
        self.t += 1
        for p, g, state in zip(
            self.params,
            [grads] if isinstance(grads, np.ndarray) else grads,
            self.states,
            strict=True,
        ):
            g = self.sign * float64(g)
            if self.weight_decay:
                g = g + self.weight_decay * p
            p[...] = self.update(p, g, state)

    def update(self, p: Array, g: Array, state: dict[str, Any]) -> Array:
        raise NotImplementedError


class SGD(_Rule):
    """b = momentum b + (1 - dampening) g, at first g; p -= lr b."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, weight_decay, maximize)
        self.lr, self.momentum, self.dampening, self.nesterov = lr, momentum, dampening, nesterov

    def update(self, p: Array, g: Array, state: dict[str, Any]) -> Array:
        if self.momentum:
            if "b" in state:
                state["b"] = self.momentum * state["b"] + (1 - self.dampening) * g
            else:
                state["b"] = g
            g = g + self.momentum * state["b"] if self.nesterov else state["b"]
        return p - self.lr * g


class RMSprop(_Rule):
    """v = alpha v + (1 - alpha) g^2; p -= lr g / (sqrt(v) + eps), with momentum and centring."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, weight_decay, maximize)
        self.lr, self.alpha, self.eps = lr, alpha, eps
        self.momentum, self.centered = momentum, centered

    def update(self, p: Array, g: Array, state: dict[str, Any]) -> Array:
        v = state["v"] = self.alpha * state.get("v", 0) + (1 - self.alpha) * g**2
        if self.centered:
            state["m"] = self.alpha * state.get("m", 0) + (1 - self.alpha) * g
            v = np.maximum(v - state["m"] ** 2, 0)
        b = state["b"] = self.momentum * state.get("b", 0) + g / (np.sqrt(v) + self.eps)
        return np.asarray(p - self.lr * b)


class Adagrad(_Rule):
    """v += g^2; p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, weight_decay, maximize)
        self.lr, self.lr_decay, self.eps = lr, lr_decay, eps
        self.start = initial_accumulator_value

    def update(self, p: Array, g: Array, state: dict[str, Any]) -> Array:
        v = state["v"] = state.get("v", self.start) + g**2
        lr = self.lr / (1 + (self.t - 1) * self.lr_decay)
        return np.asarray(p - lr * g / (np.sqrt(v) + self.eps))


class Adam(_Rule):
    """p -= lr m^ / (sqrt(v^) + eps), the bias-corrected moments of the gradient."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(params, 0 if decoupled_weight_decay else weight_decay, maximize)
        self.lr, self.betas, self.eps, self.amsgrad = lr, betas, eps, amsgrad
        self.shrink = 1 - lr * weight_decay if decoupled_weight_decay else 1.0

    def update(self, p: Array, g: Array, state: dict[str, Any]) -> Array:
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
        v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
        if self.amsgrad:
            v = state["max"] = np.maximum(state.get("max", 0), v)
        m_hat, v_hat = m / (1 - beta1**self.t), v / (1 - beta2**self.t)
        return np.asarray(self.shrink * p - self.lr * m_hat / (np.sqrt(v_hat) + self.eps))


class AdamW(Adam):
    """Adam with p *= 1 - lr weight_decay in place of a decay in the gradient."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )


def clip_grad_norm(grads: Any, max_norm: float, norm_type: float = 2.0) -> float:
    """g *= min(1, max_norm / (norm + 1e-6)), in place; the norm before."""
    arrays = [grads] if isinstance(grads, np.ndarray) else list(grads)
    norm = float(np.linalg.norm(np.concatenate([float64(g).ravel() for g in arrays]), norm_type))
    factor = max_norm / (norm + 1e-6)
    for g in arrays:
        if not factor >= 1:
            g[...] = g * factor
    return norm


def _mean_and_grad(
    X: Array, losses: Array, residuals: Array, coef: Array, l2: float, sample_weight: Any
) -> tuple[Any, Array, Any]:
    """Weighted means over the rows, with the penalty; residuals are (n_rows,) or (n_rows, k)."""
    weight = np.ones(len(X)) if sample_weight is None else float64(sample_weight)
    weight = weight / weight.sum()
    weighted = residuals.T * weight
    loss = (losses * weight).sum() + l2 / 2 * (coef**2).sum()
    return loss, weighted @ X + l2 * coef, weighted.sum(axis=-1)


def _of_models(one: Any, X: Any, y: Any, coef: Any, intercept: Any, l2: Any, weight: Any) -> Any:
    """Each model of a leading axis of its own; parts stacked, None without intercept."""
    n_models = len(coef)
    targets = np.broadcast_to(y, (n_models, np.shape(y)[-1]))
    penalties = np.broadcast_to(l2, n_models)
    results = [
        one(
            X,
            targets[m],
            coef[m],
            None if intercept is None else intercept[m],
            penalties[m],
            weight,
        )
        for m in range(n_models)
    ]
    loss, grad, bias_grad = zip(*results, strict=True)
    return np.array(loss), np.array(grad), None if intercept is None else np.array(bias_grad)


def linear_loss_with_grad(
    X: Any, y: Any, coef: Any, intercept: Any = None, *, l2: Any = 0.0, sample_weight: Any = None
) -> Any:
    """Mean of (z - y)^2 / 2, z = X w + b, plus l2 / 2 |w|^2, and its gradients."""

    def one(X: Any, y: Any, w: Any, b: Any, l2: Any, weight: Any) -> Any:
        r = X @ w + (0 if b is None else b) - y
        loss, grad, bias_grad = _mean_and_grad(X, r**2 / 2, r, w, l2, weight)
        return loss, grad, None if b is None else bias_grad

    args = float64(X), float64(y), float64(coef), None if intercept is None else float64(intercept)
    return (one if args[2].ndim == 1 else lambda *rest: _of_models(one, *rest))(
        *args, l2, sample_weight
    )


def logistic_loss_with_grad(
    X: Any, y: Any, coef: Any, intercept: Any = None, *, l2: Any = 0.0, sample_weight: Any = None
) -> Any:
    """Mean of log(1 + e^z) - y z, z = X w + b, plus l2 / 2 |w|^2, and its gradients."""

    def one(X: Any, y: Any, w: Any, b: Any, l2: Any, weight: Any) -> Any:
        z = X @ w + (0 if b is None else b)
        e = np.exp(-abs(z))
        losses = np.maximum(z, 0) - y * z + np.log1p(e)
        r = np.where(z >= 0, 1, e) / (1 + e) - y
        loss, grad, bias_grad = _mean_and_grad(X, losses, r, w, l2, weight)
        return loss, grad, None if b is None else bias_grad

    args = float64(X), float64(y), float64(coef), None if intercept is None else float64(intercept)
    return (one if args[2].ndim == 1 else lambda *rest: _of_models(one, *rest))(
        *args, l2, sample_weight
    )


def softmax_loss_with_grad(
    X: Any, y: Any, coef: Any, intercept: Any = None, *, l2: Any = 0.0, sample_weight: Any = None
) -> Any:
    """Mean of log(sum of e^z) - z_y, z = W x + b, plus l2 / 2 |W|^2, and its gradients."""

    def one(X: Any, y: Any, w: Any, b: Any, l2: Any, weight: Any) -> Any:
        z = X @ w.T + (0 if b is None else b)
        top = z.max(axis=1, keepdims=True)
        e = np.exp(z - top)
        total = e.sum(axis=1, keepdims=True)
        own = np.arange(w.shape[0]) == np.asarray(y)[:, None]
        losses = (np.log(total) + top - (z * own).sum(axis=1, keepdims=True))[:, 0]
        loss, grad, bias_grad = _mean_and_grad(X, losses, e / total - own, w, l2, weight)
        return loss, grad, None if b is None else bias_grad

    args = (
        float64(X),
        np.asarray(y),
        float64(coef),
        None if intercept is None else float64(intercept),
    )
    return (one if args[2].ndim == 2 else lambda *rest: _of_models(one, *rest))(
        *args, l2, sample_weight
    )
