"""The metrics by name and their options; `_metric_forms` has what kernels take for each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype
from ._kernels.bits import KINDS as BIT_KINDS
from ._metric_forms import (
    Prepared,
    both,
    centred,
    narrowed,
    near_one,
    of_bits,
    of_cosine,
    of_elements,
    of_euclidean,
    of_mahalanobis,
    of_weighted_bits,
)
from ._options import number

Array = npt.NDArray[Any]

ALIASES = {
    alias: name
    for name, aliases in {
        "braycurtis": "",
        "canberra": "",
        "chebyshev": "chebychev cheby cheb ch",
        "cityblock": "cblock cb c manhattan l1",
        "correlation": "co",
        "cosine": "cos",
        "dice": "",
        "euclidean": "euclid eu e l2",
        "hamming": "matching hamm ha h",
        "jaccard": "jacc ja j",
        "jensenshannon": "js",
        "mahalanobis": "mahal mah",
        "minkowski": "mi m pnorm",
        "nan_euclidean": "",
        "rogerstanimoto": "",
        "russellrao": "",
        "seuclidean": "se s",
        "sokalsneath": "",
        "sqeuclidean": "sqe sqeuclid",
        "yule": "",
    }.items()
    for alias in [name, *aliases.split()]
}
BOOLEAN = frozenset(BIT_KINDS) - {"hamming"}
# What a metric takes beside the rows; SciPy names them so.
OPTIONS = {
    "jensenshannon": (),
    "mahalanobis": ("VI",),
    "minkowski": ("p", "w"),
    "nan_euclidean": (),
    "seuclidean": ("V",),
}


def canonical(metric: str) -> str:
    """The name that the metric has here; ValueError if nobody knows it."""
    name = ALIASES.get(plain_name(metric))
    if name is None:
        known = ", ".join(sorted(set(ALIASES.values())))
        raise ValueError(f"metric is {metric!r}; expected a function or one of {known}")
    return name


def plain_name(metric: str) -> str:
    return metric.lower().removeprefix("test_")


def similarity_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """float32 also for int8 and uint8, whose values it holds; else as everywhere."""
    small = dtype.kind in "iu" and dtype.itemsize == 1
    return np.dtype(np.float32) if small else computing_dtype(dtype, name)


def prepare(name: str, x: Array, y: Array, options: dict[str, Any]) -> Prepared:
    """`name` is canonical, x and y float32 or float64 as kernels take them, or both boolean.

    y is x itself for one set. Takes what it knows out of `options`; TypeError for the rest.
    """
    n_features = x.shape[1]
    weights = _weights(options, name, n_features)
    p = _exponent(options) if name == "minkowski" else 2.0
    if n_features == 0:  # a feature of weight 0 is none
        x, y = both(lambda rows: np.zeros((len(rows), 1), rows.dtype), x, y)
        weights = np.zeros(1)
    if name == "minkowski" and p in (1, 2, math.inf):
        name = "cityblock" if p == 1 else "euclidean" if p == 2 else "chebyshev"
    if name in BOOLEAN or (name == "hamming" and x.dtype == y.dtype == bool and weights is None):
        _no_more(options, name)
        if weights is None or n_features == 0:
            return of_bits(name, x, y, n_features)
        return of_weighted_bits(name, x, y, weights)
    if x.dtype == bool:
        x, y = both(lambda rows: rows.astype(np.float64), x, y)
    if name == "seuclidean":
        with np.errstate(divide="ignore"):  # 0 / 0 is NaN there, as in SciPy
            weights = 1 / _variances(options, x, y) if n_features else weights
            options.pop("V", None)
        name = "euclidean"
    inverse = None
    if name == "mahalanobis" and n_features:
        inverse = _inverse_covariance(options, x, y)
    elif name == "mahalanobis":
        inverse = np.zeros((1, 1))
        options.pop("VI", None)
    _no_more(options, name)
    if inverse is not None:
        return of_mahalanobis(x, y, inverse)
    if name in ("cosine", "correlation"):
        dtype = x.dtype
        if weights is not None:
            weights = near_one(weights)
        if name == "correlation":
            x, y = both(lambda rows: centred(rows, weights), x, y)
        if weights is not None:
            root = np.sqrt(weights)
            x, y = both(lambda rows: rows * root, x, y)
        return of_cosine(*both(lambda rows: narrowed(rows, dtype), x, y))
    if name in ("euclidean", "sqeuclidean") and weights is None:
        return of_euclidean(x, y, name == "euclidean")
    return of_elements(name, x, y, weights, p)


def _no_more(options: dict[str, Any], name: str) -> None:
    if options:
        raise TypeError(f"{name} takes no option {next(iter(options))!r}")


# ---- Options ----


def _weights(options: dict[str, Any], name: str, n_features: int) -> Array | None:
    if "w" not in OPTIONS.get(name, ("w",)):
        if options.get("w", 0) is None:
            options.pop("w")
        return None
    given = options.pop("w", None)
    if given is None:
        return None
    weights = _real(given, "w")
    if weights.shape != (n_features,):
        raise ValueError(
            f"w has shape {weights.shape}; expected ({n_features},): "
            "weights must have same size as input vector"
        )
    if (weights < 0).any():
        raise ValueError("w has negative elements; input weights should be all non-negative")
    return weights


def _real(given: Any, name: str) -> Array:
    array = as_array(given, name)
    computing_dtype(array.dtype, name)
    return array.astype(np.float64)


def _exponent(options: dict[str, Any]) -> float:
    p = options.pop("p", 2.0)
    p = 2.0 if p is None else number(p, "p", "[-inf, inf]")
    if not p > 0:
        raise ValueError(f"p is {p}; p must be greater than 0")
    return p


def _variances(options: dict[str, Any], x: Array, y: Array) -> Array:
    given = options.pop("V", None)
    if given is None:
        return variances_of(x if y is x else np.concatenate([x, y]))
    variances = _real(given, "V")
    if variances.shape != (x.shape[1],):
        raise ValueError(f"V has shape {variances.shape}; expected ({x.shape[1]},)")
    return variances


def _inverse_covariance(options: dict[str, Any], x: Array, y: Array) -> Array:
    given = options.pop("VI", None)
    n_features = x.shape[1]
    if given is not None:
        inverse = _real(given, "VI")
        if inverse.shape != (n_features, n_features):
            raise ValueError(f"VI has shape {inverse.shape}; expected ({n_features}, {n_features})")
        return inverse
    return inverse_covariance_of(x if y is x else np.concatenate([x, y]))


def variances_of(rows: Array) -> Array:
    return np.asarray(np.var(rows, axis=0, ddof=1, dtype=np.float64))


def inverse_covariance_of(rows: Array) -> Array:
    n_rows, n_features = rows.shape
    if n_rows <= n_features:
        raise ValueError(
            f"VI is not given and the number of observations ({n_rows}) is too small for the "
            f"covariance of {n_features} features; at least {n_features + 1} are required"
        )
    covariance = np.atleast_2d(np.cov(rows.astype(np.float64, copy=False).T))
    return np.asarray(np.linalg.inv(covariance).T)


# What a metric estimates from the rows where it is not given: the option and how.
ESTIMATES = {"seuclidean": ("V", variances_of), "mahalanobis": ("VI", inverse_covariance_of)}


def estimate_of(metric: Any) -> tuple[Any, Any]:
    """What a metric by any of its names estimates; (None, None) where that is nothing."""
    name = ALIASES.get(plain_name(metric)) if isinstance(metric, str) else None
    return ESTIMATES.get(name or "", (None, None))
