"""Means, variances, covariances, order statistics and histograms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .base import Check

SHAPES: list[tuple[tuple[int, ...], Any]] = [
    ((10,), None),
    ((30, 7), 1),
    ((300, 41), 0),
    ((41, 300), 1),
    ((5, 33, 20), 1),
    ((300_000,), None),
]


def _arrays(
    rng: np.random.Generator, dtype: str, with_nan: bool
) -> Iterator[tuple[str, np.ndarray[Any, Any], Any]]:
    for shape, axis in SHAPES:
        x = (rng.standard_normal(shape) + 3).astype(dtype)
        if with_nan:
            x[rng.random(shape) < 0.1] = np.nan
        yield f"{shape} axis={axis}", x, axis


def moment_checks(
    name: str, options: dict[str, Any], rng: np.random.Generator, dtype: str
) -> Iterator[Check]:
    """Relative: the numbers are added up in float64."""
    tolerance = 16 * float(np.finfo(dtype).eps)
    for label, x, axis in _arrays(rng, dtype, "nan" in name):
        yield Check(f"stats.{name}", label, (x,), {"axis": axis, **options}, tolerance)
    far = (1e4 + rng.integers(0, 9, (1000, 3))).astype(dtype)
    yield Check(f"stats.{name}", "far from 0", (far,), {"axis": 0, **options}, tolerance)


def quantile_checks(
    name: str, options: dict[str, Any], rng: np.random.Generator, dtype: str
) -> Iterator[Check]:
    """Relative: elements are exact, one interpolation is rounded."""
    tolerance = 16 * float(np.finfo(dtype).eps)
    for label, x, axis in _arrays(rng, dtype, "nan" in name):
        args = (x, 0.3) if "quantile" in name else (x,)
        yield Check(f"stats.{name}", label, args, {"axis": axis, **options}, tolerance)


def average_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    x = (rng.standard_normal((40, 30)) + 3).astype(dtype)
    weights = rng.random(30).astype(dtype)
    options = {"axis": 1, "weights": weights}
    tolerance = 16 * float(np.finfo(dtype).eps)
    yield Check("stats.average", "rows", (x,), options, tolerance)


def covariance_checks(name: str, rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Absolute: variances of the size of 1."""
    for shape in ((50, 3), (5000, 33), (600, 300)):
        x = (rng.standard_normal(shape) + 10).astype(dtype)
        options = {"rowvar": False, "dtype": dtype}
        tolerance = 100 * float(np.finfo(dtype).eps)
        yield Check(f"stats.{name}", f"{shape}", (x,), options, tolerance, 1.0)


def histogram_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Exact."""
    x = rng.standard_normal(100_000).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    for bins in (10, 1000, np.array([-2, -1, 0, 3], dtype)):
        label = f"{bins} bins" if isinstance(bins, int) else "edges"
        yield Check("stats.histogram", label, (x,), {"bins": bins}, 0.0, (1.0, eps))


def score_checks(name: str, rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Absolute: scores of the size of 1."""
    tolerance = 32 * float(np.finfo(dtype).eps)
    for shape, axis in SHAPES[1:5]:
        x = (rng.standard_normal(shape) + 3).astype(dtype)
        yield Check(f"stats.{name}", f"{shape} axis={axis}", (x,), {"axis": axis}, tolerance, 8.0)


def describe_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    x = (rng.standard_normal((500, 7)) + 3).astype(dtype)
    tolerance = 100 * float(np.finfo(dtype).eps)
    yield Check("stats.describe", "columns", (x,), {}, tolerance, 8.0)


CHECKS: dict[str, Callable[[np.random.Generator, str], Iterator[Check]]] = {
    **{
        f"stats.{name}": partial(moment_checks, name, {} if "mean" in name else {"ddof": 1})
        for name in ("mean", "var", "std", "nanmean", "nanvar", "nanstd")
    },
    "stats.median": partial(quantile_checks, "median", {}),
    "stats.nanmedian": partial(quantile_checks, "nanmedian", {}),
    "stats.quantile": partial(quantile_checks, "quantile", {}),
    "stats.nanquantile": partial(quantile_checks, "nanquantile", {"method": "hazen"}),
    "stats.average": average_checks,
    "stats.cov": partial(covariance_checks, "cov"),
    "stats.corrcoef": partial(covariance_checks, "corrcoef"),
    "stats.histogram": histogram_checks,
    "stats.zscore": partial(score_checks, "zscore"),
    "stats.standardize": partial(score_checks, "standardize"),
    "stats.describe": describe_checks,
}
