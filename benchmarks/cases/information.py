"""Entropies, divergences, mutual information."""

import math

import numpy as np

from ..peers import information as by
from ..peers import machine
from .base import Bar, Case, Inputs, eps

CALL = (Bar("information", 1.0, against=1.2e-6),)
ENTROPY = {"scipy": by.scipy_function("stats", "entropy")}
DISTANCE = {"scipy": by.scipy_function("spatial.distance", "jensenshannon")}
KL = {"scipy": by.scipy_kl_divergence, "torch": by.torch_kl_divergence}
JS = {"scipy": by.scipy_js_divergence}


def distributions_case(op, shape, axis, n_arrays, peers, *, dtype="float32", bars=(), **options):
    """Normalised along the axis."""

    def make(rng):
        arrays = [rng.random(shape) + 1e-3 for _ in range(n_arrays)]
        shares = [(x / x.sum(axis=axis, keepdims=True)).astype(dtype) for x in arrays]
        return Inputs(tuple(shares), {"axis": axis})

    n_elements = math.prod(shape)
    is_call = n_elements == 10
    return Case(
        op,
        f"{dtype} {'x'.join(map(str, shape))}"
        + ("" if axis in (-1, len(shape) - 1) else f" axis={axis}")
        + (f" of {n_arrays}" if op == "entropy" else "")
        + (" call" if is_call else ""),
        make,
        peers,
        flops=15.0 * n_arrays * n_elements,
        bytes=float(n_arrays * n_elements * np.dtype(dtype).itemsize),
        dtype=dtype,
        rtol=16 * eps(dtype) if dtype == "float32" else 1e-12,
        atol=4 * eps(dtype),
        bars=CALL if is_call else bars,
        is_overhead=is_call,
        **options,
    )


def elements_case(op, n_arrays, peers, n=10_000_000):
    def make(rng):
        arrays = [rng.random(n, dtype=np.float32) for _ in range(n_arrays)]
        return Inputs(tuple(arrays), {}, None if n == 10 else np.zeros_like(arrays[0]))

    return Case(
        op,
        f"float32 {n}" + (" call" if n == 10 else ""),
        make,
        peers if n == 10 else {**peers, "copyto": machine.copyto},
        flops=20.0 * n,
        bytes=4.0 * n * (n_arrays + 1),
        rtol=8 * eps("float32"),
        atol=eps("float32"),
        bars=CALL if n == 10 else (),
        is_overhead=n == 10,
    )


def labels_case(op, n_samples, n_classes, n_clusters, peers, bars=(), quick=False, dtype="int64"):
    """Clusters that tell something about the classes."""

    def make(rng):
        classes = rng.integers(0, n_classes, n_samples)
        clusters = (classes + rng.integers(0, n_clusters // 2, n_samples)) % n_clusters
        return Inputs((classes.astype(dtype), clusters.astype(dtype)))

    return Case(
        op,
        f"{dtype} {n_samples}, {n_classes} and {n_clusters} labels",
        make,
        peers,
        flops=2.0 * n_samples,
        bytes=2.0 * n_samples * np.dtype(dtype).itemsize,
        dtype="float64",
        rtol=1e-11,
        bars=bars,
        quick=quick,
    )


def table_case(shape):
    def make(rng):
        return Inputs((rng.random(shape, dtype=np.float32),))

    n_elements = math.prod(shape)
    return Case(
        "information.mutual_information",
        f"float32 {'x'.join(map(str, shape))}",
        make,
        {},
        flops=15.0 * n_elements,
        bytes=4.0 * n_elements,
        rtol=16 * eps("float32"),
    )


MUTUAL_INFO = {"sklearn": by.sklearn_metric("mutual_info_score")}
NORMALIZED = {"sklearn": by.sklearn_metric("normalized_mutual_info_score")}
TEN_TIMES = (Bar("information", 10.0, against="sklearn"),)
ONE_LINE = {"scipy": by.scipy_function("stats", "entropy"), "torch": by.torch_entropy}
LONG = (1000, 10_000)

CASES = [
    distributions_case(
        "entropy",
        LONG,
        1,
        2,
        ENTROPY,
        bars=(Bar("information", 25.0, against="scipy"),),
    ),
    distributions_case("entropy", LONG, 1, 1, ONE_LINE),
    distributions_case("entropy", (10_000, 1000), 0, 2, ENTROPY),
    distributions_case("entropy", (1_000_000, 3), 0, 2, ENTROPY),
    distributions_case("entropy", (100_000, 10), 1, 2, ENTROPY),
    distributions_case("entropy", LONG, 1, 2, ENTROPY, dtype="float64"),
    distributions_case("entropy", (10,), 0, 1, ENTROPY),
    distributions_case("entropy", (10,), 0, 2, ENTROPY),
    distributions_case("kl_divergence", LONG, -1, 2, KL),
    distributions_case("kl_divergence", (10,), -1, 2, KL),
    distributions_case("js_divergence", LONG, -1, 2, JS),
    distributions_case("js_divergence", (10,), -1, 2, JS),
    distributions_case("information.jensenshannon", LONG, 1, 2, DISTANCE),
    distributions_case("information.jensenshannon", (10,), 0, 2, DISTANCE),
    *[
        elements_case(op, n_arrays, peers, n)
        for n in (10_000_000, 10)
        for op, n_arrays, peers in (
            (
                "information.entr",
                1,
                {"scipy": by.scipy_function("special", "entr"), "torch": by.torch_entr},
            ),
            ("information.rel_entr", 2, {"scipy": by.scipy_function("special", "rel_entr")}),
            ("information.kl_div", 2, {"scipy": by.scipy_function("special", "kl_div")}),
        )
    ],
    labels_case("mutual_info_score", 1_000_000, 10, 12, MUTUAL_INFO, TEN_TIMES, quick=True),
    labels_case("mutual_info_score", 1_000_000, 1000, 300, MUTUAL_INFO, TEN_TIMES),
    labels_case("mutual_info_score", 1_000_000, 3000, 3000, MUTUAL_INFO),
    labels_case("mutual_info_score", 1000, 10, 12, MUTUAL_INFO),
    labels_case("information.normalized_mutual_info_score", 1_000_000, 10, 12, NORMALIZED),
    labels_case("information.information_gain", 100_000, 10, 2, {}, dtype="int32"),
    table_case((1000, 1000)),
    table_case((64, 17, 10)),
]
