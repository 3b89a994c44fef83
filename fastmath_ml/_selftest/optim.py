"""Optimizers, gradients of linear models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .base import Check

SHAPES = [(3,), (17, 5), (5000,)]


def steps_checks(
    name: str, options: dict[str, Any], rng: np.random.Generator, dtype: str
) -> Iterator[Check]:
    """Three steps of a list of arrays; the numbers are of the size of 1."""
    params, *gradients = ([rng.standard_normal(s).astype(dtype) for s in SHAPES] for _ in range(4))

    def run(optimizer: Any) -> tuple[Any, ...]:
        # The reference computes in float64 whatever the parameters are.
        is_reference = not hasattr(optimizer, "state_dict")
        arrays = [p.astype("float64" if is_reference else dtype) for p in params]
        stepper = optimizer(arrays, **options)
        for grads in gradients:
            stepper.step(grads)
        return tuple(arrays)

    tolerance = 100 * float(np.finfo(dtype).eps)
    yield Check(f"optim.{name}", str(options), tuple(params), options, tolerance, 1.0, run=run)


def clip_grad_norm_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    gradients = [rng.standard_normal(s).astype(dtype) for s in SHAPES]
    for max_norm in (1.0, 1e3):

        def run(function: Any, max_norm: float = max_norm) -> tuple[Any, ...]:
            arrays = [g.copy() for g in gradients]
            return (np.asarray(function(arrays, max_norm)).astype(dtype), *arrays)

        tolerance = 64 * float(np.finfo(dtype).eps)
        yield Check(
            "optim.clip_grad_norm", f"{max_norm}", tuple(gradients), {}, tolerance, 100.0, run=run
        )


def loss_checks(kind: str, rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Sums of terms of the size of 1, for one model and several, in blocks and segments."""
    for n_rows, n_features, models in ((5, 3, ()), (1500, 33, ()), (2100, 130, (3,))):
        axes = (*models, 4) if kind == "softmax" else models
        X = rng.standard_normal((n_rows, n_features)).astype(dtype)
        coef = (rng.standard_normal((*axes, n_features)) / n_features**0.5).astype(dtype)
        intercept = rng.standard_normal(axes).astype(dtype) if axes else np.zeros((), dtype)
        y = rng.integers(0, 4 if kind == "softmax" else 2, n_rows)
        tolerance = (64 + 4 * n_features**0.5) * float(np.finfo(dtype).eps)
        name = f"optim.{kind}_loss_with_grad"
        args = (X, y, coef, intercept)
        yield Check(name, f"{X.shape}, {coef.shape}", args, {"l2": 0.1}, tolerance, 4.0)


CHECKS: dict[str, Callable[[np.random.Generator, str], Iterator[Check]]] = {
    "optim.SGD": partial(steps_checks, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "optim.RMSprop": partial(steps_checks, "RMSprop", {"momentum": 0.5, "centered": True}),
    "optim.Adagrad": partial(steps_checks, "Adagrad", {"lr_decay": 0.1}),
    "optim.Adam": partial(steps_checks, "Adam", {"amsgrad": True, "weight_decay": 0.1}),
    "optim.AdamW": partial(steps_checks, "AdamW", {"lr": 0.01}),
    "optim.clip_grad_norm": clip_grad_norm_checks,
    "optim.linear_loss_with_grad": partial(loss_checks, "linear"),
    "optim.logistic_loss_with_grad": partial(loss_checks, "logistic"),
    "optim.softmax_loss_with_grad": partial(loss_checks, "softmax"),
}
