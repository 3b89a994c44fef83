"""Matrix and vector products."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastmath_ml import reference

from .base import Check


def product_checks(
    rng: np.random.Generator, dtype: str, name: str, shapes: list[tuple[tuple[int, ...], ...]]
) -> Iterator[Check]:
    """Scaled by |A| |B|; the rounding errors of a sum add up like a random walk."""
    for pair in shapes:
        operands = tuple(rng.standard_normal(shape).astype(dtype) for shape in pair)
        depth = pair[0][0] if name == "gram" else pair[0][-1]
        tolerance = (4 + 2 * depth**0.5) * float(np.finfo(dtype).eps)
        scale = getattr(reference, name)(*map(abs, operands))
        yield Check(name, " @ ".join(map(str, pair)), operands, {}, tolerance, scale)


def matmul_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    shapes: list[tuple[tuple[int, ...], ...]] = [
        ((4, 4), (4, 4)),
        ((129, 65), (65, 71)),
        ((300, 1000), (1000, 200)),
        ((5, 1, 7, 9), (3, 9, 8)),
        ((50, 300), (300,)),
    ]
    return product_checks(rng, dtype, "matmul", shapes)


def vecdot_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return product_checks(rng, dtype, "vecdot", [((7, 19), (19,)), ((3, 10_001), (3, 10_001))])


def matvec_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return product_checks(rng, dtype, "matvec", [((33, 21), (21,)), ((2, 700, 501), (501,))])


def vecmat_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return product_checks(rng, dtype, "vecmat", [((33,), (33, 21)), ((501,), (2, 501, 700))])


def gram_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    return product_checks(rng, dtype, "gram", [((5, 3),), ((1000, 130),)])


def linear_checks(rng: np.random.Generator, dtype: str) -> Iterator[Check]:
    """Scaled by |x| |W|^T + |b|, as the products; the slopes of the activations are near 1."""
    for activation in (None, "relu", "gelu", "sigmoid", "tanh", "silu"):
        for n_rows, n_features, n_out in ((1, 300, 70), (129, 65, 71)):
            shapes = ((n_rows, n_features), (n_out, n_features), (n_out,))
            args = tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)
            tolerance = (8 + 2 * n_features**0.5) * float(np.finfo(dtype).eps)
            scale = reference.linear(*map(abs, args))
            label = f"{shapes[0]} to {n_out} {activation}"
            yield Check("linear", label, args, {"activation": activation}, tolerance, scale)


CHECKS = {
    "matmul": matmul_checks,
    "vecdot": vecdot_checks,
    "matvec": matvec_checks,
    "vecmat": vecmat_checks,
    "gram": gram_checks,
    "linear": linear_checks,
}
