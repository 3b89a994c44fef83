"""Entropies, divergences, mutual information."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .base import Check

SHAPES: list[tuple[tuple[int, ...], int]] = [
    ((10,), 0),
    ((300, 1000), 1),
    ((300, 1000), 0),
    ((7, 33, 20), 1),
    ((20_000, 3), 0),
    ((2, 100_000), -1),
]
HOSTILE = [[0, 1, np.nan], [0, 1, 2], [0, 0, 0], [-1, 2, 3]]


def sum_checks(name: str, n_arrays: int, rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Relative: no terms cancel. The oracle's own sums are 10^5 additions in float64."""
    tolerance = (16 if dtype == "float32" else 1000) * float(np.finfo(dtype).eps)
    for shape, axis in SHAPES:
        arrays = [rng.random(shape) + 1e-3 for _ in range(n_arrays)]
        arrays = [(x / x.sum(axis=axis, keepdims=True)).astype(dtype) for x in arrays]
        # Those of kl_divergence are not of one sign.
        scale = 1.0 if name == "kl_divergence" else None
        yield Check(name, f"{shape} axis={axis}", tuple(arrays), {"axis": axis}, tolerance, scale)
    hostile = (np.array(HOSTILE, dtype),) * n_arrays
    yield Check(name, "0, NaN, negative", hostile, {"axis": 1}, tolerance)


def element_checks(
    name: str, n_arrays: int, rng: np.random.Generator, dtype: str
) -> Iterator[Check]:
    """Relative to the arguments: the oracle's kl_div cancels."""
    special = np.array([0.0, 1.0, -1.0, np.inf, np.nan, 1e-30])
    pairs = np.stack(np.meshgrid(special, special))
    for values in (pairs, rng.exponential(size=(2, 1003)), rng.exponential(size=(2, 30, 1001))):
        arrays = tuple(values[:n_arrays].astype(dtype))
        scale = 1 + sum(np.nan_to_num(np.abs(x.astype(np.float64)), posinf=0) for x in values)
        yield Check(name, f"{arrays[0].shape}", arrays, {}, 32 * float(np.finfo(dtype).eps), scale)


def table_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    for shape in ((3, 4), (50, 70), (5, 20, 30)):
        joint = rng.random(shape).astype(dtype)
        tolerance = (16 if dtype == "float32" else 1000) * float(np.finfo(dtype).eps)
        yield Check("information.mutual_information", f"{shape}", (joint,), {}, tolerance)


def label_checks(
    name: str, options: dict[str, Any], rng: np.random.Generator, dtype: str
) -> Iterator[Check]:
    for n_samples, n_classes in ((10, 3), (1000, 20), (300_000, 7)):
        first = rng.integers(0, n_classes, n_samples)
        second = (first + rng.integers(0, 2, n_samples)).astype(dtype)
        label = f"{n_samples} of {n_classes}"
        yield Check(name, label, (first, second), options, 1e-12, dtype="float64")


CHECKS: dict[str, Callable[[np.random.Generator, str], Iterator[Check]]] = {
    "entropy": partial(sum_checks, "entropy", 1),
    "kl_divergence": partial(sum_checks, "kl_divergence", 2),
    "js_divergence": partial(sum_checks, "js_divergence", 2),
    "information.jensenshannon": partial(sum_checks, "information.jensenshannon", 2),
    "information.entr": partial(element_checks, "information.entr", 1),
    "information.rel_entr": partial(element_checks, "information.rel_entr", 2),
    "information.kl_div": partial(element_checks, "information.kl_div", 2),
    "information.mutual_information": table_checks,
    "mutual_info_score": partial(label_checks, "mutual_info_score", {}),
    "information.normalized_mutual_info_score": partial(
        label_checks, "information.normalized_mutual_info_score", {}
    ),
    "information.information_gain": partial(label_checks, "information.information_gain", {}),
}
