"""How losses per element reach their kernel: arrays of one shape, the derivative in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import FloatArray, as_array, computing_dtype, contiguous
from .._kernels.losses import KINDS, elementwise_plain, elementwise_sum
from . import _gate as gate

SQUARED = KINDS["mse_loss"]
ABSOLUTE = KINDS["l1_loss"]
HUBER = KINDS["huber_loss"]
KL = KINDS["kl_div"]
KL_LOG_TARGET = KINDS["kl_div log_target"]
HINGE = KINDS["hinge_loss"]
BINARY_LOGITS = KINDS["binary_cross_entropy_with_logits"]


def loss_of(
    kind: int,
    input: Any,
    target: Any,
    reduction: Any,
    weight: Any,
    with_grad: bool,
    grad_out: Any = None,
    *,
    option: float = 0.0,
) -> Any:
    if weight is None:
        result = elementwise_plain(kind, input, target, option, reduction, with_grad, grad_out)
        if result is not None:
            return result
    allowed = (*gate.REDUCTIONS, "batchmean") if kind in (KL, KL_LOG_TARGET) else gate.REDUCTIONS
    gate.check_reduction(reduction, allowed)
    x, t = pair_of(input, target, "input")
    dtype = gate.common_dtype((x, "input"), (t, "target"))
    divisor = float(x.size)
    if reduction == "batchmean" and x.ndim:
        divisor = float(len(x))
    weights = None
    if weight is not None:
        weights = _like(weight, "weight", x, dtype)
        if kind in (SQUARED, ABSOLUTE):
            divisor = float(weights.sum(dtype=np.float64))
    result = reduced_losses(
        kind, x, t, dtype, reduction, divisor, weights, None, with_grad, grad_out, option
    )
    return result if with_grad else result[0]


def pair_of(input: Any, target: Any, name: str) -> tuple[gate.Array, gate.Array]:
    x, t = as_array(input, name), as_array(target, "target")
    if x.shape != t.shape:
        raise ValueError(f"target has shape {t.shape}; expected that of {name}, {x.shape}")
    return x, t


def _like(weight: Any, name: str, x: gate.Array, dtype: np.dtype[Any]) -> FloatArray:
    weights = as_array(weight, name)
    computing_dtype(weights.dtype, name)
    if weights.shape != x.shape:
        raise ValueError(f"{name} has shape {weights.shape}; expected that of input, {x.shape}")
    return contiguous(weights, dtype)


def spread_over(weight: Any, name: str, x: gate.Array, dtype: np.dtype[Any]) -> FloatArray:
    weights = as_array(weight, name)
    computing_dtype(weights.dtype, name)
    try:
        return contiguous(np.broadcast_to(weights, x.shape), dtype)
    except ValueError:
        raise ValueError(
            f"{name} has shape {weights.shape}; expected one that broadcasts to {x.shape}"
        ) from None


def reduced_losses(
    kind: int,
    x: gate.Array,
    t: gate.Array,
    dtype: np.dtype[Any],
    reduction: str,
    divisor: float,
    weights: FloatArray | None,
    positive: FloatArray | None,
    with_grad: bool,
    grad_out: Any,
    option: float = 0.0,
) -> Any:
    work, target = contiguous(x, dtype), contiguous(t, dtype)
    losses = np.empty(x.shape, dtype) if reduction == "none" else None
    # A target that is the input itself is read before it is overwritten, element by element.
    others = [t for t in (t, weights, positive) if t is not None and t is not x]
    grad = gate.Gradient(grad_out, x, work, *others) if with_grad else None
    scale = gate.scale_of(divisor, reduction)
    total = elementwise_sum(
        kind, work, target, weights, positive, option, losses, gate.array_of(grad), scale
    )
    return gate.reduced(total, divisor, reduction, losses, dtype), gate.result_of(grad)
