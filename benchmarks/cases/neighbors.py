"""Nearest rows: top-k, the nearest one, all within a radius, and metrics of the caller.

Searches are compared by their distances alone: neighbours that are equally far for one dtype may
change places.
"""

import numpy as np

from ..peers import neighbors as by
from .base import Bar, Case, Inputs, eps, normal

AREA = "topk"
TOPK_PEERS = {
    "faiss": by.faiss_topk,
    "sklearn": by.sklearn_topk,
    "torch": by.torch_topk,
    "fma": None,
    "read": None,
}


def distances_of(name):
    """Ours, without the indices."""

    def call(inputs):
        from operator import attrgetter

        import fastmath_ml as fm

        function = attrgetter(name)(fm)
        at = {"topk": 0, "pairwise_distances_argmin_min": 1, "pairwise.radius_neighbors": 2}[name]
        return lambda: function(*inputs.args, **inputs.kwargs)[at]

    return call


def smallest_sums(inputs):
    """The k smallest squared distances, in float64 and in blocks of queries."""
    x, y, k = inputs.args
    x, y = x.astype(np.float64), y.astype(np.float64)
    y_norms = (y * y).sum(axis=1)
    rows = []
    for first in range(0, len(x), 100):
        block = x[first : first + 100]
        values = (block * block).sum(axis=1)[:, None] + y_norms - 2 * block @ y.T
        rows.append(np.sort(np.partition(values, k - 1, axis=1)[:, :k], axis=1))
    return np.maximum(np.concatenate(rows), 0)


def topk_case(n_queries, n_rows, n_features, k, *, dtype="float32", peers=TOPK_PEERS, **options):
    def make(rng):
        if dtype == "int8":
            shapes = ((n_queries, n_features), (n_rows, n_features))
            sets = [rng.integers(-100, 101, shape).astype(np.int8) for shape in shapes]
        else:
            sets = [
                normal(rng, (n, n_features), np.float32).astype(dtype) for n in (n_queries, n_rows)
            ]
        return Inputs((*sets, k), {"metric": "sqeuclidean"})

    scale = 3e4 if dtype == "int8" else 4.0
    return Case(
        "topk",
        f"{dtype} {n_queries} of {n_rows} d={n_features} k={k}",
        make,
        peers=peers,
        flops=2.0 * n_queries * n_rows * n_features,
        bytes=float((n_queries + n_rows) * n_features * np.dtype(dtype).itemsize),
        rtol=1e-4,
        atol=64 * eps("float32") * n_features * scale,
        call=distances_of("topk"),
        expect=smallest_sums,
        **options,
    )


def bars(*pairs):
    return tuple(Bar(AREA, at_least, against) for against, at_least in pairs)


def argmin_case(n_rows, n_features, *, with_distances):
    name = "pairwise_distances_argmin" + ("_min" if with_distances else "")

    def make(rng):
        return Inputs(tuple(normal(rng, (n_rows, n_features), "float32") for _ in range(2)))

    def expect(inputs):
        if with_distances:
            return np.sqrt(smallest_sums(Inputs((*inputs.args, 1))))[:, 0]
        x, y = (rows.astype(np.float64) for rows in inputs.args)
        return ((y * y).sum(axis=1) - 2 * x @ y.T).argmin(axis=1)

    return Case(
        name,
        f"float32 {n_rows} of {n_rows} d={n_features}",
        make,
        peers={"sklearn": by.sklearn_argmin_min if with_distances else by.sklearn_argmin},
        flops=2.0 * n_rows**2 * n_features,
        bytes=8.0 * n_rows * n_features,
        rtol=1e-3,
        call=distances_of(name) if with_distances else None,
        expect=expect,
    )


def weighted_manhattan(x, y):
    total = 0.0
    for i in range(x.shape[0]):
        total += (1.0 + 0.5 * i) * abs(x[i] - y[i])
    return total


def custom_case(n_rows, n_features, peers, **options):
    def make(rng):
        sets = (rng.standard_normal((n_rows, n_features)) for _ in range(2))
        return Inputs((*sets, weighted_manhattan))

    def call(inputs):
        from fastmath_ml._custom import custom_distances

        return lambda: custom_distances(*inputs.args)

    def expect(inputs):
        x, y, _ = inputs.args
        weights = 1.0 + 0.5 * np.arange(x.shape[1])
        return np.array([np.abs(y - row) @ weights for row in x])

    return Case(
        "cdist",
        f"own metric {n_rows}x{n_rows} d={n_features}",
        make,
        peers=peers,
        flops=3.0 * n_rows**2 * n_features,
        bytes=16.0 * n_rows * n_features + 8.0 * n_rows**2,
        dtype="float64",
        rtol=1e-12,
        call=call,
        expect=expect,
        **options,
    )


ONE_QUERY = {"ours float32": by.ours_float32, "read": None}

CASES = [
    topk_case(1000, 100_000, 16, 10, bars=bars(("best peer", 4.0)), quick=True),
    topk_case(1000, 100_000, 128, 10, bars=bars(("best peer", 1.25), ("fma", 0.78))),
    topk_case(1000, 100_000, 128, 100, bars=bars(("best peer", 1.25), ("fma", 0.78))),
    topk_case(1000, 20_000, 768, 10, bars=bars(("best peer", 1.1), ("fma", 0.85))),
    topk_case(1, 100_000, 128, 10, bars=bars(("best peer", 2.5), ("read", 0.8))),
    topk_case(10_000, 1000, 64, 1, bars=bars(("best peer", 1.2))),
    topk_case(
        1, 100_000, 128, 10, dtype="float16", peers=ONE_QUERY, bars=bars(("ours float32", 1.6))
    ),
    topk_case(1, 100_000, 128, 10, dtype="int8", peers=ONE_QUERY, bars=bars(("ours float32", 2.5))),
    argmin_case(3000, 32, with_distances=True),
    argmin_case(1000, 32, with_distances=False),
    custom_case(200, 32, {"scipy": by.scipy_custom}, bars=bars(("scipy", 300.0))),
    custom_case(2000, 32, {"numba": by.numba_custom}, bars=bars(("numba", 1.8))),
]
