"""Moments, order statistics, histograms: by sorting and by two plain passes, in float64."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ._base import Array, float64

__all__ = [
    "average",
    "corrcoef",
    "cov",
    "describe",
    "histogram",
    "mean",
    "median",
    "nanmean",
    "nanmedian",
    "nanquantile",
    "nanstd",
    "nanvar",
    "quantile",
    "standardize",
    "std",
    "var",
    "zscore",
]


class Standardized(NamedTuple):
    """Scores, means and standard deviations."""

    z: Any
    mean: Any
    std: Any


class DescribeResult(NamedTuple):
    """Number, (least, largest), mean, variance, skewness, kurtosis."""

    nobs: Any
    minmax: Any
    mean: Any
    variance: Any
    skewness: Any
    kurtosis: Any


def _lines(a: Any, axis: Any) -> tuple[Array, tuple[int, ...]]:
    """The reduced axes last and as one, and the shape of the others."""
    x = float64(a)
    if axis is None:
        return x.reshape(1, -1), ()
    axes = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(at % x.ndim for at in axes)
    kept = [at for at in range(x.ndim) if at not in axes]
    shape = tuple(x.shape[at] for at in kept)
    return x.transpose([*kept, *axes]).reshape(math.prod(shape), -1), shape


def _over_lines(function: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    lines, shape = _lines(a, axis)
    with np.errstate(all="ignore"):
        result = np.array([function(line) for line in lines], np.float64).reshape(shape)
    if keepdims:
        axes = range(np.ndim(a)) if axis is None else np.atleast_1d(axis) % np.ndim(a)
        result = result.reshape([1 if at in axes else n for at, n in enumerate(np.shape(a))])
    return result[()]


def _numbers(line: Array) -> Array:
    return line[~np.isnan(line)]


def _sum(line: Array) -> float:
    """Rounded once; without that where something is not finite."""
    return math.fsum(line) if np.isfinite(line).all() else float(line.sum())


def _mean(line: Array) -> float:
    return _sum(line) / len(line) if len(line) else math.nan


def _central(line: Array, power: int) -> float:
    """The mean of (x - mean)^power, about the exact mean."""
    if not np.isfinite(line).all():
        return math.nan
    centre = _mean(line)
    rest = _mean(line - centre)
    return _mean((line - centre - rest) ** power)


def _var(line: Array, ddof: float) -> float:
    n = len(line)
    if n <= ddof:
        return math.nan
    return _central(line, 2) * n / (n - ddof)


def mean(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """sum(a) / n"""
    return _over_lines(_mean, a, axis, keepdims)


def var(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """sum((a - mean)^2) / (n - ddof)"""
    return _over_lines(lambda line: _var(line, ddof), a, axis, keepdims)


def std(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """sqrt(var)"""
    return np.sqrt(var(a, axis, ddof=ddof, keepdims=keepdims))


def nanmean(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The mean of what is not NaN."""
    return _over_lines(lambda line: _mean(_numbers(line)), a, axis, keepdims)


def nanvar(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """The variance of what is not NaN."""
    return _over_lines(lambda line: _var(_numbers(line), ddof), a, axis, keepdims)


def nanstd(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation of what is not NaN."""
    return np.sqrt(nanvar(a, axis, ddof=ddof, keepdims=keepdims))


def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    """sum(w a) / sum(w)"""
    x = float64(a)
    w = np.ones(x.shape) if weights is None else float64(weights)
    if w.shape != x.shape:
        axes = [at % x.ndim for at in (axis if isinstance(axis, tuple) else (axis,))]
        w = np.moveaxis(
            np.broadcast_to(
                w,
                [n for at, n in enumerate(x.shape) if at not in axes]
                + [x.shape[at] for at in axes],
            ),
            range(x.ndim - len(axes), x.ndim),
            axes,
        )
    total = _over_lines(_sum, w, axis, keepdims)
    result = _over_lines(_sum, w * x, axis, keepdims) / total
    return (result, total) if returned else result


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The centred variables times each other, weighted, over the degrees of freedom."""
    parts = [np.atleast_2d(float64(part)) for part in (m, y) if part is not None]
    x = np.concatenate([part if rowvar or np.ndim(m) == 1 else part.T for part in parts])
    n = x.shape[1]
    f = np.ones(n) if fweights is None else float64(fweights)
    a = np.ones(n) if aweights is None else float64(aweights)
    w = f * a
    centred = x - np.array([_sum(w * row) for row in x])[:, None] / _sum(w)
    ddof = int(not bias) if ddof is None else ddof
    freedom = _sum(w) - ddof * _sum(w * a) / _sum(w)
    return np.asarray((centred * w) @ centred.T / freedom).squeeze()


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """cov over the product of the standard deviations."""
    c = np.atleast_2d(cov(x, y, rowvar))
    deviations = np.sqrt(np.diag(c))
    with np.errstate(invalid="ignore"):
        return np.clip(c / deviations[:, None] / deviations, -1, 1).squeeze()


# Where an element is looked for among n sorted ones, counted from 0, in exact arithmetic.
_PLACES: dict[str, tuple[Fraction, Fraction]] = {
    "interpolated_inverted_cdf": (Fraction(0), Fraction(1)),
    "hazen": (Fraction(1, 2), Fraction(1, 2)),
    "weibull": (Fraction(0), Fraction(0)),
    "linear": (Fraction(1), Fraction(1)),
    "median_unbiased": (Fraction(1, 3), Fraction(1, 3)),
    "normal_unbiased": (Fraction(3, 8), Fraction(3, 8)),
}


def _place(n: int, q: float, method: str) -> tuple[int, float]:
    """The rank and how far to go to the next one."""
    # NumPy takes these as they come out in float64: 10 times 0.1 is 1.
    linear, share = (n - 1) * q, n * q
    if method in ("lower", "higher", "nearest", "midpoint"):
        low, high = math.floor(linear), math.ceil(linear)
        if method == "midpoint":
            return low, 0.5 * (high - low)
        return {"lower": low, "higher": high, "nearest": round(linear)}[method], 0.0
    if method == "inverted_cdf":
        return max(math.ceil(share) - 1, 0), 0.0
    if method == "averaged_inverted_cdf":
        low = math.floor(share - 1)
        return low, 0.5 if share - 1 == low else 1.0
    if method == "closest_observation":
        return max(round(share) - 1, 0), 0.0
    p = Fraction(q)
    alpha, beta = _PLACES[method]
    at = n * p + (alpha + p * (1 - alpha - beta)) - 1
    return math.floor(at), float(at - math.floor(at))


def _quantile(line: Array, q: float, method: str) -> float:
    n = len(line)
    if n == 0 or np.isnan(line).any():
        return math.nan
    ordered = np.sort(line)
    k, weight = _place(n, q, method)
    if k < 0:
        return float(ordered[0])
    if k >= n - 1:
        return float(ordered[-1])
    if weight == 0 or ordered[k] == ordered[k + 1]:
        return float(ordered[k])
    return float(ordered[k] * (1 - weight) + ordered[k + 1] * weight)


def quantile(
    a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False
) -> Any:
    """Sorted, and interpolated at the place that the method says."""
    results = [
        _over_lines(lambda line, p=p: _quantile(line, float(p), method), a, axis, keepdims)
        for p in np.ravel(q)
    ]
    return np.reshape(results, np.shape(q) + np.shape(results[0]))[()]


def nanquantile(
    a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False
) -> Any:
    """The quantiles of what is not NaN."""
    results = [
        _over_lines(
            lambda line, p=p: _quantile(_numbers(line), float(p), method), a, axis, keepdims
        )
        for p in np.ravel(q)
    ]
    return np.reshape(results, np.shape(q) + np.shape(results[0]))[()]


def median(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The mean of the one or two middle elements."""
    return quantile(a, 0.5, axis, keepdims=keepdims)


def nanmedian(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The median of what is not NaN."""
    return nanquantile(a, 0.5, axis, keepdims=keepdims)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any]:
    """Every element is put into its bin by comparison with all edges."""
    x = np.ravel(a)
    edges = np.histogram_bin_edges(np.asarray(a), bins, range)
    w = np.ones(x.shape) if weights is None else float64(weights).ravel()
    inside = [(x >= low) & (x < high) for low, high in pairwise(edges)]
    inside[-1] |= x == edges[-1]
    counts = np.array([w[here].sum() for here in inside])
    if density:
        return counts / np.diff(edges) / counts.sum(), edges
    return counts, edges


def _scores(a: Any, axis: Any, ddof: float, omit: bool) -> tuple[Array, Any, Any]:
    means = (nanmean if omit else mean)(a, axis, keepdims=True)
    deviations = (nanstd if omit else std)(a, axis, ddof=ddof, keepdims=True)
    return float64(a) - means, means, deviations


def zscore(a: Any, axis: Any = 0, ddof: float = 0, nan_policy: str = "propagate") -> Array:
    """(a - mean) / std, NaN where all elements are the same."""
    centred, means, deviations = _scores(a, axis, ddof, nan_policy == "omit")
    with np.errstate(invalid="ignore", divide="ignore"):
        z = centred / deviations
        return np.where(deviations <= np.abs(np.finfo(np.float64).eps * means), np.nan, z)


def standardize(x: Any, axis: Any = 0) -> Standardized:
    """(x - mean) / std, 0 where all elements are the same."""
    centred, means, deviations = _scores(x, axis, 0, False)
    return Standardized(
        centred / np.where(deviations > 0, deviations, 1),
        np.squeeze(means, axis)[()],
        np.squeeze(deviations, axis)[()],
    )


def describe(
    a: Any, axis: Any = 0, ddof: int = 1, bias: bool = True, nan_policy: str = "propagate"
) -> DescribeResult:
    """Moments about the mean, powers taken one by one."""
    take = _numbers if nan_policy == "omit" else lambda line: line
    lines, _ = _lines(a, axis)
    n = np.array([len(take(line)) for line in lines])

    def each(function: Any) -> Any:
        return _over_lines(lambda line: function(take(line)), a, axis, False)

    def skew(line: Array) -> float:
        g = _central(line, 3) / np.float64(_central(line, 2)) ** 1.5
        m = len(line)
        return float(g if bias or m < 3 else g * math.sqrt(m * (m - 1)) / (m - 2))

    def kurtosis(line: Array) -> float:
        g = _central(line, 4) / np.float64(_central(line, 2)) ** 2 - 3
        m = len(line)
        return float(g if bias or m < 4 else (m - 1) / (m - 2) / (m - 3) * ((m + 1) * g + 6))

    return DescribeResult(
        int(n[0]) if (n == n[0]).all() else n,
        (each(np.min), each(np.max)),
        each(_mean),
        each(lambda line: _var(line, ddof)),
        each(skew),
        each(kurtosis),
    )
