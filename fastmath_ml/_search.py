"""The searches behind `topk` and its relatives: arguments, the fused kernel, blocks of distances.

Metrics that are made of products go through the fused kernel (`_kernels/topk.pyx`), every other
one through blocks of distances of at most BLOCK_BYTES, of which each row keeps its k best. Either
way the database is read once, in order, and what is known of a query lies in the result's arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, is_sparse, ready
from ._kernels.candidates import finish, has_odd_rows, take_values
from ._kernels.row_pairs import pair_distances
from ._kernels.topk import KINDS, search
from ._metric_forms import unit_rows
from ._metrics import ALIASES, estimate_of, plain_name, similarity_dtype
from ._rows import check_features, check_finite, check_shape
from .linalg import matmul, vecdot

Array = npt.NDArray[Any]
Metric = str | Callable[..., float]

# What orders the search for these metrics. The others are computed in blocks.
PRODUCT_KINDS = {
    "euclidean": "sqeuclidean",
    "sqeuclidean": "sqeuclidean",
    "cosine": "cosine",
    "cosine_similarity": "cosine",
    "dot": "dot",
}
SIMILARITIES = ("cosine_similarity", "dot")
SKLEARN_ONLY = ("haversine", "nan_euclidean")
BLOCK_BYTES = 4 << 20
# Sums of squares below this, for each feature, may have lost terms to the end of the range.
LEAST_SQUARES = {"f": 2.0**-103, "d": 2.0**-970}


class TopK(NamedTuple):
    """What `topk` returns: row i belongs to row i of X."""

    distances: Array
    indices: npt.NDArray[np.int64]


class RadiusNeighbors(NamedTuple):
    """What `radius_neighbors` returns: row i of X has the items indptr[i] to indptr[i + 1]."""

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    distances: Array


# ---- what came ----


def two_sets(X: Any, Y: Any) -> tuple[Any, Any]:
    x = rows_of(X, "X")
    y = x if Y is X else rows_of(Y, "Y")
    check_features(x.shape, y.shape)
    return x, y


def rows_of(given: Any, name: str) -> Any:
    rows = given.tocsr() if is_sparse(given) else as_array(given, name)
    check_shape(rows.shape, name)
    return rows


def is_small_integer(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and dtype.itemsize == 1


def result_dtype(x: Any, y: Any) -> np.dtype[Any]:
    return np.result_type(similarity_dtype(x.dtype, "X"), similarity_dtype(y.dtype, "Y"))


def checked_metric(metric: Any, kwds: dict[str, Any]) -> Any:
    """The metric; what stands for no weights is taken out of its parameters."""
    if kwds.get("w", 0) is None:
        kwds.pop("w")
    if callable(metric):
        return metric
    if not isinstance(metric, str):
        raise TypeError(f"metric is {metric!r}; expected a name or a function of two rows")
    if metric in SIMILARITIES and kwds:
        raise TypeError(f"metric {metric!r} takes no parameters; got {', '.join(kwds)}")
    metric = ALIASES.get(plain_name(metric), metric)
    needed, _ = estimate_of(metric)
    if needed and kwds.get(needed) is None:
        raise ValueError(f"metric {metric!r} without {needed}; expected {needed}=, of all the data")
    return metric


def assert_finite(x: Any, name: str) -> None:
    values = x.data if is_sparse(x) else x
    if values.dtype.kind in "biu":
        return
    step = max(1, BLOCK_BYTES // (values[:1].nbytes or 1))
    for first in range(0, len(values), step):
        block = values[first : first + step]
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.sum(block, dtype=np.float64)
        if not np.isfinite(total):
            check_finite(block, name)


# ---- products ----


def topk_of_products(
    x: Array, y: Array, k: int, metric: str, sorted: bool, dtype: np.dtype[Any]
) -> TopK:
    work = dtype
    integers = is_small_integer(x.dtype) and is_small_integer(y.dtype)
    if integers:
        # |y|^2 - 2 x.y is exact in float32 while it is below 2^24.
        largest = max(-int(np.iinfo(z.dtype).min) or int(np.iinfo(z.dtype).max) for z in (x, y))
        if 3 * largest**2 * x.shape[1] >= 1 << 24:
            work = np.dtype(np.float64)
    queries = ready(x, work)
    kind = PRODUCT_KINDS[metric]
    values, indices = np.empty((len(x), k), work), np.empty((len(x), k), np.int64)
    if kind == "cosine" and not integers:
        scaled, factors = _unit_factors(queries)
    else:
        scaled, factors = queries, np.full(len(x), -2 if kind == "sqeuclidean" else -1, work)
    if len(x) == 1 and _streams(x, y, work):
        whole = None
        if integers:
            whole = np.zeros(-(-x.shape[1] // 32) * 32, np.int16)
            whole[: x.shape[1]] = x[0]
        search(scaled, factors, y, KINDS[kind], 0, values, indices, whole)
    else:
        for first, block in _row_blocks(y, work):
            search(scaled, factors, block, KINDS[kind], first, values, indices)
    _search_infinite(queries, y, metric, values, indices)
    finish(values, indices, sorted)
    if metric in SIMILARITIES:
        np.subtract(0, values, out=values)
        if metric == "cosine_similarity":
            if integers:  # exact sums, to which the query's own length comes at last
                values *= -_unit_factors(queries)[1][:, None]
            np.clip(values, -1, 1, out=values)
    else:
        _distances_again(queries, y, values, indices, metric)
        least_sq = 0.0 if kind == "cosine" or integers else LEAST_SQUARES[work.char] * x.shape[1]
        least = least_sq if metric == "sqeuclidean" else least_sq**0.5
        if has_odd_rows(values, queries, least, least_sq):
            _search_tiny(queries, y, metric, sorted, values, indices, least, least_sq)
            if sorted:
                _put_nan_last(values, indices)
    return TopK(values.astype(dtype, copy=False), indices)


def _unit_factors(x: Array) -> tuple[Array, Array]:
    """(rows that are x or scaled, -1 / norm of each); 0 for rows of zeros, NaN where not finite."""
    rows, factors, odd = unit_rows(x)
    factors[odd[~x[odd].any(axis=1)]] = 0
    return rows, np.negative(factors, out=factors)


def _fits(y: Array, dtype: np.dtype[Any]) -> bool:
    whole = all(stride % dtype.itemsize == 0 for stride in y.strides)
    return y.dtype == dtype and y.dtype.isnative and y.flags.aligned and whole


def _streams(x: Array, y: Array, work: np.dtype[Any]) -> bool:
    """Whether the kernel converts the rows of y itself: float16, or integers as the query is."""
    contiguous = y.strides[1] == y.itemsize and y.strides[0] % y.itemsize == 0
    half = y.dtype == np.float16 and y.dtype.isnative and y.flags.aligned and work == np.float32
    small = is_small_integer(x.dtype) and is_small_integer(y.dtype)
    return contiguous and (half or small)


def _row_blocks(y: Array, dtype: np.dtype[Any]) -> Iterator[tuple[int, Array]]:
    """(index of the first row, rows that kernels take): all at once, or converted in blocks."""
    step = len(y) if _fits(y, dtype) else max(1, BLOCK_BYTES // (y.shape[1] * dtype.itemsize))
    for first in range(0, len(y), step):
        yield first, ready(y[first : first + step], dtype)


def _search_infinite(x: Array, y: Array, metric: str, values: Array, indices: Array) -> None:
    """Queries with infinities: |y|^2 - 2 x.y would order by the sign of what is infinite."""
    if PRODUCT_KINDS[metric] != "sqeuclidean":
        return
    rows = np.flatnonzero(np.isnan(matmul(x, np.zeros(x.shape[1], x.dtype))))
    rows = rows[~np.isnan(x[rows]).any(axis=1)] if len(rows) else rows
    if not len(rows):
        return
    some_values, some_indices = values[rows], indices[rows]
    for first, block in _row_blocks(y, x.dtype):
        step = max(1, BLOCK_BYTES // block[:1].nbytes)
        for at in range(0, len(block), step):
            part = block[at : at + step]
            for i, row in enumerate(rows):
                with np.errstate(invalid="ignore", over="ignore"):
                    sums = np.square(part - x[row]).sum(axis=1)[None]
                one = slice(i, i + 1)
                take_values(sums, False, first + at, some_values[one], some_indices[one])
    values[rows], indices[rows] = some_values, some_indices


def _search_tiny(
    x: Array,
    y: Array,
    metric: str,
    sorted: bool,
    values: Array,
    indices: Array,
    least: float,
    least_sq: float,
) -> None:
    """Queries and neighbours so near to 0 that |y|^2 - 2 x.y underflows, by their distances."""
    rows = np.flatnonzero(np.fmin.reduce(values, axis=1) < least)
    rows = rows[vecdot(x[rows], x[rows]) < least_sq] if len(rows) else rows
    if len(rows):
        found = topk_of_values(x[rows], y, values.shape[1], "euclidean", sorted, {}, x.dtype)
        distances, indices[rows] = found
        if metric == "sqeuclidean":
            _distances_again(x[rows], y, distances, indices[rows], metric)
        values[rows] = distances


def _put_nan_last(values: Array, indices: Array) -> None:
    """A query of zeros has finite keys for rows that are not finite."""
    for row in np.flatnonzero(np.isnan(values).any(axis=1)):
        order = np.argsort(np.isnan(values[row]), kind="stable")
        values[row], indices[row] = values[row][order], indices[row][order]


def _distances_again(x: Array, y: Array, values: Array, indices: Array, metric: str) -> None:
    """The distances of the pairs found, from differences."""
    options = {"cosine": metric == "cosine", "root": metric == "euclidean"}
    if _fits(y, x.dtype):
        pair_distances(x, y, indices, values, **options)
        return
    k = indices.shape[1]
    step = max(1, BLOCK_BYTES // (k * x.shape[1] * x.itemsize))
    for first in range(0, len(x), step):
        part = slice(first, first + step)
        rows = ready(y[indices[part].ravel()], x.dtype)
        pair_distances(x[part], rows, None, values[part], **options)


# ---- any other metric: blocks of distances ----


def topk_of_values(
    x: Any, y: Any, k: int, metric: Any, sorted: bool, kwds: dict[str, Any], dtype: np.dtype[Any]
) -> TopK:
    largest = metric in SIMILARITIES
    values, indices = np.empty((x.shape[0], k), dtype), np.empty((x.shape[0], k), np.int64)
    for row, first, block in value_blocks(x, y, metric, kwds, dtype):
        part = slice(row, row + len(block))
        take_values(block, largest, first, values[part], indices[part])
    finish(values, indices, sorted)
    if largest:
        np.subtract(0, values, out=values)
    return TopK(values, indices)


def value_blocks(
    x: Any, y: Any, metric: Any, kwds: dict[str, Any], dtype: np.dtype[Any]
) -> Iterator[tuple[int, int, Array]]:
    """(first row of x, first row of y, distances) in blocks; each row of y is read once."""
    values_of = _values_of(metric, is_sparse(x) or is_sparse(y), kwds, dtype)
    has_zeros = y is x and metric in ("cosine", "correlation")  # a row and itself, as in cdist
    n_rows = min(y.shape[0], max(1, min(4096, BLOCK_BYTES // (8 * y.shape[1]))))
    n_queries = min(x.shape[0], max(1, BLOCK_BYTES // (8 * n_rows)))
    for first in range(0, y.shape[0], n_rows):
        block = y[first : first + n_rows]
        for row in range(0, x.shape[0], n_queries):
            values = np.ascontiguousarray(values_of(x[row : row + n_queries], block), dtype)
            if has_zeros:
                same = np.arange(max(row, first), min(row + values.shape[0], first + n_rows))
                same = same[values[same - row, same - first] < 0.5]  # no zeros, no NaN
                values[same - row, same - first] = 0
            yield row, first, values


def _values_of(
    metric: Any, sparse: bool, kwds: dict[str, Any], dtype: np.dtype[Any]
) -> Callable[[Any, Any], Any]:
    from . import pairwise as distances

    pairwise: Any = distances
    if metric == "dot":
        return partial(_products, sparse, dtype)
    if metric == "cosine_similarity":  # whose own function refuses NaN
        distances_of = _values_of("cosine", sparse, kwds, dtype)
        return lambda x, y: 1 - distances_of(x, y)
    if callable(metric):
        from ._custom import custom_distances

        return lambda x, y: custom_distances(x, y, metric, kwds)
    if sparse or metric in SKLEARN_ONLY or (metric == "cosine" and not kwds):
        loosely = {"ensure_all_finite": False, **kwds}
        return lambda x, y: pairwise.pairwise_distances(x, y, metric, **loosely)
    return lambda x, y: pairwise.cdist(x, y, metric, **kwds)


def _products(sparse: bool, dtype: np.dtype[Any], x: Any, y: Any) -> Array:
    """x @ y.T in the dtype of the result; integers, which are exact there, in float64."""
    if x.dtype.kind in "biu" and y.dtype.kind in "biu":
        dtype = np.dtype(np.float64)
    if not sparse:
        return np.asarray(matmul(ready(x, dtype), ready(y, dtype).T))
    product = x.astype(dtype) @ y.astype(dtype).T
    return np.asarray(product.toarray() if is_sparse(product) else product)
