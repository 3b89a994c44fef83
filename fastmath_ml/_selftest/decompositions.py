"""Eigenpairs, singular triplets, principal components and norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import Check

# Spectra with gaps, so that single vectors can be compared, and not only what they span.


def with_gaps(rng: np.random.Generator, n_rows: int, n_cols: int, dtype: str) -> Any:
    """Singular values 1, 0.8, 0.64, ..."""
    u = np.linalg.qr(rng.standard_normal((n_rows, n_cols)))[0]
    v = np.linalg.qr(rng.standard_normal((n_cols, n_cols)))[0]
    return ((u * 0.8 ** np.arange(n_cols)) @ v.T).astype(dtype)


def symmetric(rng: np.random.Generator, n: int, dtype: str) -> Any:
    """Eigenvalues 1, -0.8, 0.64, ..."""
    v = np.linalg.qr(rng.standard_normal((n, n)))[0]
    a = (v * (-0.8) ** np.arange(n)) @ v.T
    return ((a + a.T) / 2).astype(dtype)


def check(name: str, label: str, dtype: str, n_parts: int, *args: Any, **options: Any) -> Check:
    """The first parts of the result; vectors are as exact as the residual, sqrt(eps) / gap."""

    def run(function: Any) -> tuple[Any, ...]:
        result = function(*args, **options)
        return tuple(
            part if isinstance(part, np.ndarray) else np.asarray(part, dtype)
            for part in result[:n_parts]
        )

    tolerance = 100 * float(np.finfo(dtype).eps) ** 0.5
    return Check(name, label, args, options, tolerance, 1.0, run=run)


def power_iteration_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    a = symmetric(rng, 150, dtype)
    yield check("power_iteration", f"{a.shape}", dtype, 2, a, rng=0)
    yield check("power_iteration", f"{a.shape} shift", dtype, 2, a, rng=0, shift=-0.2)


def eigh_topk_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    for n, k in ((40, 3), (300, 4)):
        a = symmetric(rng, n, dtype)
        for which in ("LM", "LA", "SA", "BE"):
            yield check("eigh_topk", f"{n} {which}", dtype, 2, a, k, which=which, rng=0)


def svd_topk_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    for shape in ((700, 60), (700, 450), (300, 500)):
        a = with_gaps(rng, max(shape), min(shape), dtype)
        a = a if a.shape == shape else a.T
        for method in ("auto", "krylov", "power"):
            yield check("svd_topk", f"{shape} {method}", dtype, 3, a, 4, method=method, rng=0)


def randomized_svd_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    a = with_gaps(rng, 700, 450, dtype)
    yield check("randomized_svd", f"{a.shape}", dtype, 3, a, 4, random_state=0)
    yield check("randomized_svd", f"{a.shape} 7", dtype, 3, a, 4, n_iter=7, random_state=0)


def pca_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    for shape in ((900, 60), (200, 500)):
        a = with_gaps(rng, max(shape), min(shape), dtype)
        a = (a if a.shape == shape else a.T) + np.dtype(dtype).type(0.5)
        yield check("pca", f"{shape}", dtype, 6, a, 3, rng=0)


def norm_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    tolerance = 64 * float(np.finfo(dtype).eps)
    x = rng.standard_normal((300, 500)).astype(dtype)
    cases: list[tuple[Any, Any]] = [(None, None), ("nuc", None), (2, None)]
    cases += [(p, axis) for p in (None, 0, 1, 3, np.inf, -np.inf) for axis in (0, 1)]
    for p, axis in cases:
        options = {"ord": p, "axis": axis}
        yield Check("linalg.norm", f"{p} axis={axis}", (x,), options, tolerance)
    long = rng.standard_normal(300_000).astype(dtype)
    yield Check("linalg.norm", "long", (long,), {}, tolerance)
    huge = long * (np.finfo(dtype).max / 10**4)
    yield Check("linalg.norm", "huge", (huge[:1000],), {}, tolerance)


CHECKS = {
    "power_iteration": power_iteration_checks,
    "eigh_topk": eigh_topk_checks,
    "svd_topk": svd_topk_checks,
    "randomized_svd": randomized_svd_checks,
    "pca": pca_checks,
    "linalg.norm": norm_checks,
}
