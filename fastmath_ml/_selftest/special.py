"""Activations and the softmax family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .base import Check

SHAPES: list[tuple[tuple[int, ...], Any]] = [
    ((10,), None),
    ((1000, 10), -1),
    ((300, 1000), 1),
    ((300, 1000), 0),
    ((7, 33, 20), 1),
    ((2, 100_000), -1),
]
HOSTILE = [[0, 1, np.nan], [0, np.inf, 1], [-np.inf, 0, 0], [-np.inf] * 3]


def softmax_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Relative: rounding x - max is magnified by exp, the rest is a few units."""
    for shape, axis in SHAPES:
        x = (3 * rng.standard_normal(shape)).astype(dtype)
        tolerance = (8 + float(np.ptp(x))) * 2 * float(np.finfo(dtype).eps)
        yield Check("softmax", f"{shape} axis={axis}", (x,), {"axis": axis}, tolerance)
    x = np.array(HOSTILE, dtype)
    tolerance = 8 * float(np.finfo(dtype).eps)
    yield Check("softmax", "NaN and infinities", (x,), {"axis": 1}, tolerance)


def logarithm_checks(name: str, rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Absolute: the numbers are of the size of 10."""
    eps = float(np.finfo(dtype).eps)
    for shape, axis in SHAPES:
        x = (3 * rng.standard_normal(shape)).astype(dtype)
        yield Check(name, f"{shape} axis={axis}", (x,), {"axis": axis}, 16 * eps, 10.0)
    x = np.array(HOSTILE, dtype)
    yield Check(name, "NaN and infinities", (x,), {"axis": 1}, 16 * eps, 1.0)


def gradient_checks(name: str, rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Absolute: sums of up to 10^5 numbers of the size of 1, weighted by y or its exponentials."""
    for shape, axis in SHAPES:
        y = np.abs(rng.standard_normal(shape))
        y /= y.sum(axis=axis, keepdims=True)
        if name == "special.log_softmax_grad":
            y = np.log(y)
        arrays = y.astype(dtype), rng.standard_normal(shape).astype(dtype)
        tolerance = 64 * float(np.finfo(dtype).eps)
        yield Check(name, f"{shape} axis={axis}", arrays, {"axis": axis}, tolerance, 1.0)


def activation_checks(
    name: str, options: dict[str, Any], rng: np.random.Generator, dtype: str
) -> Iterator[Check]:
    """Relative to 1 or the result, whichever is larger: the oracle is no better than that."""
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 90, -90])
    for values in (special, 4 * rng.standard_normal(1003), 4 * rng.standard_normal((30, 1001))):
        if name == "special.logit":
            values = 1 / (1 + np.exp(-values))
        x = values.astype(dtype)
        scale = 1 + np.nan_to_num(np.abs(values), posinf=0)
        # log(p) - log(1 - p) of the oracle cancels near 1/2.
        tolerance = (16 if name == "special.logit" else 4) * float(np.finfo(dtype).eps)
        yield Check(name, f"{x.shape} {options or ''}", (x,), options, tolerance, scale)


def gelu_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    for approximate in ("none", "tanh"):
        yield from activation_checks("special.gelu", {"approximate": approximate}, rng, dtype)


CHECKS: dict[str, Callable[[np.random.Generator, str], Iterator[Check]]] = {
    "softmax": softmax_checks,
    "log_softmax": partial(logarithm_checks, "log_softmax"),
    "logsumexp": partial(logarithm_checks, "logsumexp"),
    "special.softmax_grad": partial(gradient_checks, "special.softmax_grad"),
    "special.log_softmax_grad": partial(gradient_checks, "special.log_softmax_grad"),
    "special.gelu": gelu_checks,
    "expit": partial(activation_checks, "expit", {}),
    **{
        f"special.{name}": partial(activation_checks, f"special.{name}", {})
        for name in ("log_expit", "logit", "relu", "silu", "softplus", "tanh")
    },
}
