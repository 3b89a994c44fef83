"""Moments, order statistics, histograms."""

import math

import numpy as np

from ..peers import stats as by
from .base import Bar, Case, Inputs, eps, normal

N = 10_000_000
MEAN = {"numpy": by.numpy("mean"), "torch": by.torch_mean}
VAR = {"numpy": by.numpy("var"), "torch": by.torch_var}
STD = {"numpy": by.numpy("std"), "torch": by.torch_std}
MOMENTS = {
    "mean": MEAN,
    "var": VAR,
    "std": STD,
    "nanmean": {"numpy": by.numpy("nanmean"), "torch": by.torch_nanmean},
    "nanvar": {"numpy": by.numpy("nanvar")},
    "nanstd": {"numpy": by.numpy("nanstd")},
}


def bar(at_least, **options):
    return (Bar("stats", at_least, **options),)


def case(name, shape, peers, bars=(), *, dtype="float32", args=(), note="", **options):
    """One array of that shape; the options of the call are keyword arguments of it."""
    fields = {key: options.pop(key) for key in ("quick", "is_overhead") if key in options}
    rtol, atol = options.pop("rtol", 16 * eps(dtype)), options.pop("atol", 4 * eps(dtype))
    n_results = options.pop("n_results", 0)

    def make(rng):
        return Inputs((normal(rng, shape, dtype) + np.dtype(dtype).type(1), *args), options)

    n = math.prod(shape)
    axis = f" axis={options['axis']}" if options.get("axis") is not None else ""
    return Case(
        f"stats.{name}",
        f"{dtype} {'x'.join(map(str, shape))}{axis}{note}",
        make,
        peers,
        flops=3.0 * n,
        bytes=(n + n_results) * np.dtype(dtype).itemsize * 1.0,
        dtype=dtype,
        rtol=rtol,
        atol=atol,
        bars=bars,
        **fields,
    )


def covariance(name, shape, dtype, bars, quick=False):
    """Half of the multiplications of a full product."""
    n, n_features = shape
    peers = {"numpy": by.numpy_product(name), "torch": by.torch_product(name)}
    options = {"rowvar": False, "dtype": np.dtype(dtype)}
    return Case(
        f"stats.{name}",
        f"{dtype} {n}x{n_features}",
        lambda rng: Inputs((normal(rng, shape, dtype),), options),
        peers,
        flops=1.0 * n * n_features * (n_features + 1),
        bytes=float(n * n_features * np.dtype(dtype).itemsize),
        dtype=dtype,
        rtol=100 * eps(dtype),
        atol=100 * eps(dtype),
        bars=bars,
        quick=quick,
    )


def small(name, peers, args=(), bars=(), **options):
    """What a call of ten elements costs."""
    return case(
        name,
        (10,),
        peers,
        bars,
        dtype="float64",
        args=args,
        is_overhead=True,
        note=" call",
        **options,
    )


CALL = bar(1.0, against=1.2e-6)
WIDE = (1000, 10_000)

CASES = [
    case("mean", (N,), MEAN, bar(0.95), quick=True),
    case("var", (N,), VAR, bar(3.0), quick=True),
    *[case("mean", WIDE, MEAN, bar(0.95), axis=axis) for axis in (0, 1)],
    *[case("var", WIDE, VAR, bar(3.0), axis=axis) for axis in (0, 1)],
    case("mean", (N,), MEAN, dtype="float64"),
    case("var", (N,), VAR, dtype="float64"),
    case("var", (1_000_000, 10), VAR, axis=1),
    case("var", (1_000_000, 10), VAR, axis=0),
    case("std", WIDE, STD, axis=0),
    *[case(name, (N,), MOMENTS[name]) for name in ("nanmean", "nanvar", "nanstd")],
    covariance("cov", (100_000, 128), "float64", bar(2.5, against="numpy")),
    covariance("cov", (100_000, 128), "float32", bar(3.0, against="torch"), quick=True),
    covariance("corrcoef", (100_000, 128), "float64", bar(2.5, against="numpy")),
    covariance("corrcoef", (100_000, 128), "float32", bar(3.0, against="torch")),
    covariance("cov", (20_000, 1000), "float32", ()),
    *[covariance(name, (1000, 16), "float64", ()) for name in ("cov", "corrcoef")],
    case(
        "median",
        (N + 1,),
        {"numpy": by.numpy("median"), "torch": by.torch_median},
        bar(2.0, against="numpy"),
        quick=True,
    ),
    case("median", WIDE, {"numpy": by.numpy("median")}, axis=1),
    case("median", WIDE, {"numpy": by.numpy("median")}, axis=0),
    case("nanmedian", (N,), {"numpy": by.numpy("nanmedian")}),
    case("quantile", (N,), {"numpy": by.numpy("quantile")}, bar(2.0, against="numpy"), args=(0.9,)),
    case("nanquantile", (N,), {"numpy": by.numpy("nanquantile")}, args=(0.9,)),
    case("histogram", (N,), {"numpy": by.numpy("histogram"), "torch": by.torch_histogram}, bins=50),
    case("average", (N,), {"numpy": by.numpy("average")}),
    case(
        "zscore",
        (100_000, 100),
        {"scipy": by.scipy("zscore")},
        axis=0,
        n_results=N,
        atol=16 * eps("float32"),
    ),
    case(
        "standardize",
        (100_000, 100),
        {"numpy": by.numpy_standardize, "sklearn": by.sklearn_scale},
        axis=0,
        n_results=N,
        atol=16 * eps("float32"),
    ),
    case(
        "describe",
        (1_000_000,),
        {"scipy": by.scipy("describe")},
        rtol=100 * eps("float32"),
        atol=100 * eps("float32"),
    ),
    small("mean", MEAN, bars=CALL, axis=0),
    small("var", VAR, bars=CALL, axis=0),
    *[small(name, MOMENTS[name], axis=0) for name in ("std", "nanmean", "nanvar", "nanstd")],
    small("median", {"numpy": by.numpy("median")}),
    small("nanmedian", {"numpy": by.numpy("nanmedian")}),
    small("quantile", {"numpy": by.numpy("quantile")}, (0.3,)),
    small("nanquantile", {"numpy": by.numpy("nanquantile")}, (0.3,)),
    small("average", {"numpy": by.numpy("average")}),
    small("histogram", {"numpy": by.numpy("histogram")}),
    small("zscore", {"scipy": by.scipy("zscore")}),
    small("standardize", {}),
    small("describe", {"scipy": by.scipy("describe")}),
]
