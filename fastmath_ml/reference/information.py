"""Entropies, divergences, mutual information."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._base import Array, float64

__all__ = [
    "entr",
    "entropy",
    "information_gain",
    "jensenshannon",
    "js_divergence",
    "kl_div",
    "kl_divergence",
    "mutual_info_score",
    "mutual_information",
    "normalized_mutual_info_score",
    "rel_entr",
]


def entr(x: npt.ArrayLike) -> Array:
    """-x log x; 0 for 0, -inf for negative x."""
    values = float64(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = -values * np.log(values)
    terms = np.where(values == 0, 0, terms)
    return np.asarray(np.where(values < 0, -np.inf, terms))


def rel_entr(x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
    """x log(x / y); 0 where x = 0 <= y, inf where that has no value, NaN for NaN."""
    p, q = np.broadcast_arrays(float64(x), float64(y))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # log1p of the exact difference near 1, the difference of logarithms beyond.
        near = p * np.log1p((p - q) / q)
        terms = np.where((p > q / 2) & (p < 2 * q), near, p * (np.log(p) - np.log(q)))
    terms = np.where((p > 0) & (q > 0), terms, np.inf)
    terms = np.where((p == 0) & (q >= 0), 0, terms)
    return np.asarray(np.where(np.isnan(p + q) & (np.isnan(p) | np.isnan(q)), np.nan, terms))


def kl_div(x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
    """x log(x / y) - x + y, with the rules of rel_entr; as information.kl_div."""
    p, q = np.broadcast_arrays(float64(x), float64(y))
    with np.errstate(invalid="ignore"):
        terms = rel_entr(p, q) - (p - q)
        terms = np.where(np.isinf(p) & (p > 0) & (q > 0), np.nan, terms)
        terms = np.where((p == 0) & (q >= 0), q, terms)
    terms = np.where((p < 0) | (q < 0) | ((p > 0) & (q == 0)), np.inf, terms)
    return np.asarray(np.where(np.isnan(p) | np.isnan(q), np.nan, terms))


def _shares(x: npt.ArrayLike, axis: Any) -> Array:
    values = float64(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(values / values.sum(axis=axis, keepdims=True))


def _unit(base: float | None) -> float:
    return 1.0 if base is None else float(np.log(base))


def entropy(
    pk: npt.ArrayLike,
    qk: npt.ArrayLike | None = None,
    base: float | None = None,
    axis: Any = 0,
    *,
    keepdims: bool = False,
) -> Any:
    """Sum of entr, or of rel_entr, of what is normalised along the axis."""
    p = _shares(pk, axis)
    if qk is None:
        return entr(p).sum(axis=axis, keepdims=keepdims) / _unit(base)
    # The form whose terms do not cancel: both add up to 1.
    return kl_div(p, _shares(qk, axis)).sum(axis=axis, keepdims=keepdims) / _unit(base)


def kl_divergence(
    p: npt.ArrayLike,
    q: npt.ArrayLike,
    *,
    axis: Any = -1,
    base: float | None = None,
    keepdims: bool = False,
) -> Any:
    """Sum of rel_entr."""
    return rel_entr(p, q).sum(axis=axis, keepdims=keepdims) / _unit(base)


def js_divergence(
    p: npt.ArrayLike,
    q: npt.ArrayLike,
    *,
    axis: Any = -1,
    base: float | None = None,
    keepdims: bool = False,
) -> Any:
    """The mean of the divergences of p and q from their mean."""
    middle = float64(p) / 2 + float64(q) / 2
    terms = kl_div(p, middle) + kl_div(q, middle)
    return terms.sum(axis=axis, keepdims=keepdims) / 2 / _unit(base)


def jensenshannon(
    p: npt.ArrayLike,
    q: npt.ArrayLike,
    base: float | None = None,
    *,
    axis: Any = 0,
    keepdims: bool = False,
) -> Any:
    """The square root of js_divergence of what is normalised along the axis."""
    shares = _shares(p, axis), _shares(q, axis)
    with np.errstate(invalid="ignore"):
        return np.sqrt(js_divergence(*shares, axis=axis, base=base, keepdims=keepdims))


def mutual_information(joint: npt.ArrayLike, *, base: float | None = None) -> Any:
    """The divergence of a table from the product of its margins."""
    table = float64(joint)
    with np.errstate(invalid="ignore"):
        shares = table / table.sum(axis=(-2, -1), keepdims=True)
    product = shares.sum(axis=-1, keepdims=True) * shares.sum(axis=-2, keepdims=True)
    return kl_div(shares, product).sum(axis=(-2, -1)) / _unit(base)


def _table(first: Any, second: Any) -> Array:
    n_first, a = np.unique(first, return_inverse=True)
    n_second, b = np.unique(second, return_inverse=True)
    table = np.zeros((len(n_first), len(n_second)))
    np.add.at(table, (a, b), 1)
    return table


def mutual_info_score(labels_true: Any, labels_pred: Any, *, contingency: Any = None) -> float:
    """mutual_information of the table of counts."""
    table = _table(labels_true, labels_pred) if contingency is None else contingency
    return float(mutual_information(table))


def normalized_mutual_info_score(
    labels_true: Any, labels_pred: Any, *, average_method: str = "arithmetic"
) -> float:
    """mutual_info_score / a mean of the entropies of the labellings."""
    table = _table(labels_true, labels_pred)
    if table.shape in {(0, 0), (1, 1)}:
        return 1.0
    first, second = float(entropy(table.sum(axis=1))), float(entropy(table.sum(axis=0)))
    mean = {
        "min": min(first, second),
        "geometric": (first * second) ** 0.5,
        "arithmetic": (first + second) / 2,
        "max": max(first, second),
    }[average_method]
    score = mutual_information(table)
    return float(score / mean) if score else 0.0


def information_gain(labels: Any, split: Any, *, base: float | None = 2) -> float:
    """Entropy of the labels less their mean entropy in the branches."""
    table = _table(labels, split)
    weights = table.sum(axis=0) / table.sum()
    inside = entropy(table, base=base, axis=0)
    return float(entropy(table.sum(axis=1), base=base) - (weights * inside).sum())
