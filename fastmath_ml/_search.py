"""The searches behind `topk` and its relatives: arguments, the fused kernel, blocks of distances.

Metrics that are made of products go through the fused kernel (`_kernels/topk.pyx`), every other
one through blocks of distances of at most BLOCK_BYTES, of which each row keeps its k best. Either
way the database is read once, in order, and what is known of a query lies in the result's arrays.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype, ready
from ._kernels.candidates import finish, take_values
from ._kernels.row_pairs import pair_distances
from ._kernels.topk import KINDS, search
from .linalg import matmul, vecdot

Array = npt.NDArray[Any]
Metric = str | Callable[..., float]

# What orders the search for these metrics. The others are computed in blocks.
PRODUCT_KINDS = {
    "euclidean": "sqeuclidean",
    "l2": "sqeuclidean",
    "sqeuclidean": "sqeuclidean",
    "cosine": "cosine",
    "cosine_similarity": "cosine",
    "dot": "dot",
}
SIMILARITIES = ("cosine_similarity", "dot")
SCIPY_NAMES = {"manhattan": "cityblock", "l1": "cityblock", "l2": "euclidean"}
SKLEARN_ONLY = ("haversine", "nan_euclidean")
BLOCK_BYTES = 4 << 20


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
    x, y = rows(X, "X"), rows(Y, "Y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"X has {x.shape[1]} features and Y has {y.shape[1]}; expected the same number"
        )
    return x, y


def rows(rows: Any, name: str) -> Any:
    rows = rows.tocsr() if is_sparse(rows) else as_array(rows, name)
    if len(rows.shape) != 2:
        raise ValueError(
            f"{name} is a {len(rows.shape)}D array of shape {rows.shape}; expected a 2D array, "
            "rows of features"
        )
    if 0 in rows.shape:
        raise ValueError(
            f"{name} has shape {rows.shape}; expected at least one row and one feature"
        )
    return rows


def is_sparse(x: Any) -> bool:
    """Whether x is a scipy.sparse matrix or array, without importing scipy.sparse to find out."""
    if not type(x).__module__.startswith("scipy.sparse"):
        return False
    from scipy import sparse

    return bool(sparse.issparse(x))


def is_small_integer(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and dtype.itemsize == 1


def result_dtype(x: Any, y: Any) -> np.dtype[Any]:
    """float32 also for int8 and uint8, whose values it holds; else as everywhere."""
    dtypes = [
        np.dtype(np.float32) if is_small_integer(z.dtype) else computing_dtype(z.dtype, name)
        for z, name in ((x, "X"), (y, "Y"))
    ]
    return np.result_type(*dtypes)


def number_of_neighbours(k: Any, n_rows: int) -> int:
    try:
        number = operator.index(k)
    except TypeError:
        raise TypeError(f"k is {k!r}; expected an integer") from None
    if not 1 <= number <= n_rows:
        raise ValueError(f"k is {number}; expected 1 to {n_rows}, the number of rows of Y")
    return number


def checked_metric(metric: Any, kwds: dict[str, Any]) -> Any:
    if callable(metric):
        return metric
    if not isinstance(metric, str):
        raise TypeError(f"metric is {metric!r}; expected a name or a function of two rows")
    if metric in PRODUCT_KINDS and kwds:
        raise TypeError(f"metric {metric!r} takes no parameters; got {', '.join(kwds)}")
    needed = {"seuclidean": "V", "mahalanobis": "VI"}.get(metric)
    if needed and kwds.get(needed) is None:
        raise ValueError(f"metric {metric!r} without {needed}; expected {needed}=, of all the data")
    return metric


def assert_finite(x: Any, name: str) -> None:
    values = x.data if is_sparse(x) else x
    if values.dtype.kind != "f":
        return
    step = max(1, BLOCK_BYTES // (values[:1].nbytes or 1))
    for first in range(0, len(values), step):
        block = values[first : first + step]
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.sum(block, dtype=np.float64)
        if not np.isfinite(total) and not np.isfinite(block).all():
            what = "NaN" if np.isnan(block).any() else "infinity"
            raise ValueError(f"{name} contains {what}; expected finite values")


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
    return TopK(values.astype(dtype, copy=False), indices)


def _unit_factors(x: Array) -> tuple[Array, Array]:
    """(x, -1 / norm of each row); a copy of x where the squares of a row would over- or underflow.

    0 for rows of zeros, NaN for those that are not finite.
    """
    norms_sq = vecdot(x, x)
    smallest, largest = (1e-20, 1e36) if x.itemsize == 4 else (1e-280, 1e300)
    with np.errstate(divide="ignore"):
        factors = 1 / np.sqrt(norms_sq)
    unsafe = np.flatnonzero(~((norms_sq >= smallest) & (norms_sq <= largest)))
    if len(unsafe):
        largest = np.abs(x[unsafe]).max(axis=1)
        factors[unsafe] = np.where(largest == 0, 0, np.nan)
        usable = np.isfinite(largest) & (largest > 0)
        rows, exponents = unsafe[usable], -np.frexp(largest[usable])[1][:, None]
        x = x.copy()
        with np.errstate(under="ignore"):  # of elements that do not count beside the largest
            x[rows] = np.ldexp(x[rows], exponents)
        factors[rows] = 1 / np.sqrt(vecdot(x[rows], x[rows]))
    return x, np.negative(factors, out=factors)


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


def _distances_again(x: Array, y: Array, values: Array, indices: Array, metric: str) -> None:
    """The distances of the pairs found, from differences."""
    options = {"cosine": metric == "cosine", "root": metric in ("euclidean", "l2")}
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
    values_of = _values_of(metric, is_sparse(x) or is_sparse(y), kwds)
    n_rows = min(y.shape[0], max(1, min(4096, BLOCK_BYTES // (8 * y.shape[1]))))
    n_queries = min(x.shape[0], max(1, BLOCK_BYTES // (8 * n_rows)))
    for first in range(0, y.shape[0], n_rows):
        block = y[first : first + n_rows]
        for row in range(0, x.shape[0], n_queries):
            values = values_of(x[row : row + n_queries], block)
            yield row, first, np.ascontiguousarray(values, dtype)


def _values_of(metric: Any, sparse: bool, kwds: dict[str, Any]) -> Callable[[Any, Any], Any]:
    from . import pairwise as distances

    pairwise: Any = distances
    if metric == "dot":
        return lambda x, y: x @ y.T if sparse else matmul(x, y.T)
    if metric == "cosine_similarity":  # whose own function refuses NaN
        distances_of = _values_of("cosine", sparse, kwds)
        return lambda x, y: 1 - distances_of(x, y)
    if callable(metric):
        from ._custom import custom_distances

        return lambda x, y: custom_distances(x, y, metric, **kwds)
    if sparse or metric in SKLEARN_ONLY:
        return lambda x, y: pairwise.pairwise_distances(x, y, metric, **kwds)
    name = SCIPY_NAMES.get(metric, metric)
    return lambda x, y: pairwise.cdist(x, y, name, **kwds)
