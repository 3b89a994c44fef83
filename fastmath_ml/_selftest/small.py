"""Stacks of small matrices.

Matrices are diagonally dominant, so that a result is off by a few units for each row. Signs of
vectors are free: where only those could differ, the parts have no scale and `pinv`, which is the
product of all parts, tells whether they are right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Check

SHAPES = ((1, 3), (37, 2), (5000, 3), (50, 8), (21, 19))
ANY_SIGN = 1e300


def dominant(rng: np.random.Generator, n_matrices: int, n: int, dtype: str) -> npt.NDArray[Any]:
    """Symmetric and positive definite, eigenvalues between 1 and 3 or so."""
    x = rng.standard_normal((n_matrices, n, n)) / (4 * n**0.5)
    return np.asarray(2 * np.eye(n) + x + x.swapaxes(-1, -2)).astype(dtype)


def checks(
    rng: np.random.Generator, dtype: str, name: str, scale: Any = 1.0, **options: Any
) -> Iterator[Check]:
    for n_matrices, n in SHAPES:
        a = dominant(rng, n_matrices, n, dtype)
        args: tuple[Any, ...] = (a,)
        if name == "solve":
            args = (a, rng.standard_normal((n_matrices, n, 2)).astype(dtype))
        elif name == "lstsq":
            args = (a[0], rng.standard_normal((n, 3)).astype(dtype))
        tolerance = 64 * n * float(np.finfo(dtype).eps)
        yield Check(f"linalg.{name}", f"{n_matrices} of {n}x{n}", args, options, tolerance, scale)


def solve_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return checks(rng, dtype, "solve")


def inv_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return checks(rng, dtype, "inv")


def det_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return checks(rng, dtype, "det", None)


def slogdet_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return checks(rng, dtype, "slogdet")


def cholesky_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    yield from checks(rng, dtype, "cholesky")
    yield from checks(rng, dtype, "cholesky", upper=True)


def qr_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return checks(rng, dtype, "qr")


def eigh_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return checks(rng, dtype, "eigh", (1.0, ANY_SIGN))


def eigvalsh_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return checks(rng, dtype, "eigvalsh", UPLO="U")


def svd_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    yield from checks(rng, dtype, "svd", (ANY_SIGN, 1.0, ANY_SIGN))
    yield from checks(rng, dtype, "svd", compute_uv=False)


def pinv_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    yield from checks(rng, dtype, "pinv")
    yield from checks(rng, dtype, "pinv", hermitian=True)


def lstsq_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return checks(rng, dtype, "lstsq")


CHECKS = {
    "linalg.solve": solve_checks,
    "linalg.inv": inv_checks,
    "linalg.det": det_checks,
    "linalg.slogdet": slogdet_checks,
    "linalg.cholesky": cholesky_checks,
    "linalg.qr": qr_checks,
    "linalg.eigh": eigh_checks,
    "linalg.eigvalsh": eigvalsh_checks,
    "linalg.svd": svd_checks,
    "linalg.pinv": pinv_checks,
    "linalg.lstsq": lstsq_checks,
}
