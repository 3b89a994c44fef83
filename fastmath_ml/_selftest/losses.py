"""Losses and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import fastmath_ml as fm
from fastmath_ml import reference

from .base import Check, parts

Checks = Callable[[np.random.Generator, str], Iterator[Check]]


def of_classes(rng: np.random.Generator, dtype: str, name: str) -> Iterator[Check]:
    """Rounding x - max shows in the loss; the gradient is scaled by its largest element."""
    shapes: list[tuple[int, ...]] = [(7, 10), (20, 1000), (30, 40, 9), (2, 700, 20)]
    for shape in shapes:
        x = (3 * rng.standard_normal(shape)).astype(dtype)
        target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
        target.flat[1] = -100
        weight = rng.uniform(0.5, 2, shape[1]).astype(dtype)
        for options in ({}, {"weight": weight, "label_smoothing": 0.1}):
            if "nll" in name:
                x = -1 - np.abs(x)  # no loss is negative
                options.pop("label_smoothing", None)
            yield from scaled(name, f"{shape}", (x, target), options, 100, dtype)


def of_elements(rng: np.random.Generator, dtype: str, name: str) -> Iterator[Check]:
    for n in (7, 1000, 50_000):
        x, t = rng.standard_normal((2, n)).astype(dtype)
        if "hinge" in name:
            t = np.sign(t)
        if "kl_div" in name:
            x, t = -2 - np.abs(x), np.minimum(np.abs(t), 1)  # no term is negative
        yield from scaled(name, f"{n}", (x, t), {}, 40, dtype)


def of_layers(rng: np.random.Generator, dtype: str, name: str) -> Iterator[Check]:
    for n_tokens, width, n_classes in ((9, 5, 33), (300, 20, 3000)):
        x = rng.standard_normal((n_tokens, width)).astype(dtype)
        w = rng.standard_normal((n_classes, width)).astype(dtype)
        options = {"linear_bias": rng.standard_normal(n_classes).astype(dtype)}
        target = rng.integers(0, n_classes, n_tokens)
        yield from scaled(
            name, f"{n_tokens} {width} {n_classes}", (x, w, target), options, 400, dtype
        )


def scaled(
    name: str, label: str, args: tuple[Any, ...], options: dict[str, Any], units: float, dtype: str
) -> Iterator[Check]:
    """The tolerance in rounding units of the loss and of the gradient's largest element."""
    expected = parts(getattr(reference, name)(*args, **options))
    scale = tuple(float(np.abs(part).max()) for part in expected)
    tolerance = units * float(np.finfo(dtype).eps)
    yield Check(public_name(name), label, args, options, tolerance, scale)


def public_name(name: str) -> str:
    return name if name in fm.__all__ else f"losses.{name}"


def with_grad(checks: Callable[..., Iterator[Check]], *names: str) -> dict[str, Checks]:
    return {
        public_name(name + ending): partial(checks, name=name + ending)
        for name in names
        for ending in ("", "_with_grad")
    }


CHECKS: dict[str, Checks] = {
    **with_grad(of_classes, "cross_entropy", "nll_loss"),
    **with_grad(of_layers, "linear_cross_entropy"),
    **with_grad(
        of_elements,
        *("mse_loss", "l1_loss", "huber_loss", "kl_div", "hinge_loss"),
        "binary_cross_entropy_with_logits",
    ),
}
