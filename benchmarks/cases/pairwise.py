"""Similarity and distance matrices."""

import numpy as np

from ..peers import pairwise as by
from .base import Bar, Case, Inputs, eps, normal

COSINE_PEERS = {
    "numpy": by.numpy_cosine,
    "sklearn": by.sklearn_cosine,
    "scipy": by.scipy_cosine,
    "torch": by.torch_cosine,
    "numkong": by.numkong_cosine,
    "fma": None,
}
COSINE_PEERS_FLOAT32 = {**COSINE_PEERS, "faiss": by.faiss_cosine}


def cosine_case(n_features, *, one_set=False, dtype="float32", n_rows=2000, **options):
    n_pairs = n_rows * (n_rows + 1) // 2 if one_set else n_rows**2

    def make(rng):
        sets = tuple(normal(rng, (n_rows, n_features), dtype) for _ in range(1 if one_set else 2))
        return Inputs(sets, out=np.zeros((n_rows, n_rows), dtype))

    n_input = (1 if one_set else 2) * n_rows * n_features
    return Case(
        "cosine_similarity",
        f"{dtype} {n_rows}x{n_rows} d={n_features}" + (" one set" if one_set else ""),
        make,
        peers=COSINE_PEERS_FLOAT32 if dtype == "float32" else COSINE_PEERS,
        flops=2.0 * n_pairs * n_features,
        bytes=float((n_input + n_rows**2) * np.dtype(dtype).itemsize),
        dtype=dtype,
        atol=32 * eps(dtype),
        **options,
    )


def cosine_bars(vs_best, share_of_peak=None, *, goal=None):
    """The foundation's bars, and those of this family."""
    bars = [Bar("foundation", vs_best), Bar("pairwise", goal or vs_best)]
    if share_of_peak:
        bars.append(Bar("foundation", share_of_peak, against="fma"))
        bars.append(Bar("pairwise", 0.82, against="fma"))
    return tuple(bars)


# ---- Distances ----

EUCLIDEAN_PEERS = {
    "sklearn": by.sklearn_function("euclidean_distances"),
    "scipy": by.scipy_cdist,
    "torch": by.torch_cdist,
    "faiss": by.faiss_euclidean,
    "numkong": by.numkong_euclidean,
    "fma": None,
}


def rows_case(op, label, n_features, *, one_set=False, n_rows=2000, positive=False, kwargs=None,
              dtype="float32", rtol=None, cost=3.0, **options):  # fmt: skip
    """A matrix of n_rows x n_rows; `cost` is the operations of a pair and feature."""
    n_pairs = n_rows * (n_rows + 1) // 2 if one_set else n_rows**2

    def make(rng):
        sets = []
        for _ in range(1 if one_set else 2):
            if dtype == "bool":
                sets.append(rng.random((n_rows, n_features)) < 0.3)
            elif positive:
                sets.append(rng.random((n_rows, n_features), dtype=dtype) + np.float32(0.01))
            else:
                sets.append(normal(rng, (n_rows, n_features), dtype))
        result = np.zeros((n_rows, n_rows), "float64" if dtype == "bool" else dtype)
        return Inputs(tuple(sets), kwargs or {}, result)

    itemsize = np.dtype(dtype).itemsize
    name = f"{label} " if label else ""
    return Case(
        op,
        f"{name}{dtype} {n_rows}x{n_rows} d={n_features}" + (" one set" if one_set else ""),
        make,
        flops=cost * n_pairs * n_features,
        bytes=float(((1 if one_set else 2) * n_rows * n_features + n_rows**2) * itemsize),
        dtype="float64" if dtype == "bool" else dtype,
        rtol=rtol or (n_features + 100) * eps("float64" if dtype == "bool" else dtype),
        atol=1e-6 if rtol is None else 0.0,
        **options,
    )


def euclidean_case(n_features, *bars, **options):
    """Near pairs, the diagonal of one set among them, have the same relative error as others."""
    peers = dict(EUCLIDEAN_PEERS)
    if options.get("dtype", "float32") != "float32":
        del peers["faiss"]
    return rows_case("euclidean_distances", "", n_features, cost=2.0, peers=peers,
                     bars=tuple(bars), **options)  # fmt: skip


def metric_case(metric, n_features, at_least=4.0, *, torch_p=None, options=None, **more):
    peers = {"scipy": by.scipy_cdist, "sklearn": by.sklearn_metric}
    if torch_p is not None:
        peers["torch"] = by.torch_cdist
    if metric in ("jaccard", "hamming"):
        more.setdefault("dtype", "float32")
    return rows_case(
        "cdist",
        metric,
        n_features,
        kwargs={"metric": metric, **(options or {})},
        peers=peers,
        bars=(Bar("pairwise", at_least),),
        **more,
    )


def goal(at_least, against="best peer"):
    return Bar("pairwise", at_least, against=against)


MANHATTAN_PEERS = {
    "sklearn": by.sklearn_function("manhattan_distances"),
    "scipy": by.scipy_cityblock,
    "torch": by.torch_manhattan,
}


def manhattan_case(n_features, at_least, **options):
    return rows_case("manhattan_distances", "", n_features, peers=MANHATTAN_PEERS,
                     bars=(goal(at_least),), **options)  # fmt: skip


def pdist_case(n_rows):
    n_pairs = n_rows * (n_rows - 1) // 2

    def make(rng):
        return Inputs((normal(rng, (n_rows, 16), "float32"),), out=np.zeros(n_pairs, "float32"))

    return Case(
        "pdist",
        f"euclidean float32 {n_rows} d=16",
        make,
        peers={"scipy": by.scipy_pdist, "torch": by.torch_pdist},
        flops=2.0 * n_pairs * 16,
        bytes=4.0 * n_pairs,
        rtol=2e-5,
    )


def kernel_case(name, cost, **options):
    return rows_case(f"pairwise.{name}", "", 128, cost=cost, rtol=3e-3,
                     peers={"sklearn": by.sklearn_function(name)}, **options)  # fmt: skip


DISTANCES = [
    euclidean_case(16, goal(1.5)),
    euclidean_case(128, goal(1.25), goal(0.82, "fma"), quick=True),
    euclidean_case(768, goal(1.15), goal(0.82, "fma")),
    euclidean_case(128, goal(1.5), one_set=True),
    euclidean_case(128, dtype="float64"),
    manhattan_case(16, 4.0),
    manhattan_case(128, 7.0),
    manhattan_case(768, 7.0, n_rows=1000),
    metric_case("chebyshev", 128, torch_p=np.inf, n_rows=1000),
    metric_case("canberra", 128, positive=True, n_rows=1000),
    metric_case("braycurtis", 128, positive=True, n_rows=1000),
    metric_case("minkowski", 128, torch_p=3, options={"p": 3}, n_rows=500),
    metric_case("jensenshannon", 128, positive=True, n_rows=500),
    metric_case("hamming", 128, n_rows=1000),
    metric_case("jaccard", 128, dtype="bool", n_rows=1000, quick=True),
    rows_case("cosine_distances", "", 128, cost=2.0, bars=(goal(1.1),),
              peers={"sklearn": by.sklearn_function("cosine_distances"),
                     "scipy": by.scipy_cosine_distance, "fma": None}),
    rows_case("pairwise_distances", "cosine", 128, cost=2.0, n_rows=500,
        kwargs={"metric": "cosine"},
              peers={"sklearn": by.sklearn_function("pairwise_distances")}),
    pdist_case(2000),
    kernel_case("linear_kernel", 2.0, n_rows=500),
    kernel_case("polynomial_kernel", 2.0, n_rows=500),
    kernel_case("sigmoid_kernel", 2.0, n_rows=500),
    kernel_case("rbf_kernel", 2.0),
    kernel_case("laplacian_kernel", 3.0, n_rows=500),
]  # fmt: skip


CASES = [
    cosine_case(16, bars=cosine_bars(1.0)),
    cosine_case(128, bars=cosine_bars(1.05, 0.8, goal=1.1), quick=True),
    cosine_case(768, bars=cosine_bars(1.05, 0.8, goal=1.1)),
    cosine_case(16, one_set=True, bars=cosine_bars(1.4, goal=1.5)),
    cosine_case(128, one_set=True, bars=cosine_bars(1.4, goal=1.5)),
    cosine_case(768, one_set=True, bars=cosine_bars(1.4, goal=1.5)),
    cosine_case(128, dtype="float64"),
    cosine_case(16, n_rows=10, bars=()),
    *DISTANCES,
]
