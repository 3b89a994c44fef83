"""Histograms with NumPy's bins and NumPy's counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, contiguous
from ._kernels.order_statistics import extent, histogram_counts
from ._moments import CHUNK, by_numpy, fits_float64

__all__ = ["histogram"]

MOST_BINS = 1 << 20


def histogram(
    a: npt.ArrayLike,
    bins: Any = 10,
    range: Any = None,
    density: bool | None = None,
    weights: npt.ArrayLike | None = None,
) -> Any:
    r"""Histogram of all elements, as `numpy.histogram`: the same counts.

    .. math:: h_i = \sum_{j: e_i \le a_j < e_{i+1}} w_j

    The last bin includes its right edge.

    Parameters
    ----------
    a : array_like
        Real numbers of any shape, counted as one sequence.
    bins : int, str or array_like, optional
        The number of equally wide bins, the name of an estimator of
        `numpy.histogram_bin_edges`, or the edges, increasing.
    range : (float, float), optional
        The outer edges; the least and largest element if not given.
    density : bool, optional
        Divide by the sum and the widths.
    weights : array_like, optional
        What each element counts, of the shape of `a`.

    Returns
    -------
    hist : ndarray
        int64, or the dtype of the weights, or float64 with `density`.
    bin_edges : ndarray
        One more than there are bins.

    Raises
    ------
    ValueError
        A range that is not finite or not increasing, no bins, edges that decrease, weights of
        another shape.
    TypeError
        `a` is a masked array; an estimator together with weights.

    Notes
    -----
    An element's place is guessed by a multiplication, or found by bisection where the bins are
    not equally wide, and decided by comparison with the edges. Weights are added up in float64.
    Input that is not float32 or float64 in one piece is converted in parts of 2^20 elements. An
    estimator sees all of `a` through NumPy. Complex and object arrays and integers beyond 2^53 are
    left to NumPy.

    References
    ----------
    .. [1] D. Freedman and P. Diaconis, "On the histogram as a density estimator", Zeitschrift für
       Wahrscheinlichkeitstheorie 57, 1981.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> counts, edges = fm.stats.histogram([1.0, 2.0, 1.0, 3.0, 5.0], bins=4)
    >>> counts
    array([2, 1, 1, 1])
    >>> edges
    array([1., 2., 3., 4., 5.])
    """
    array = as_array(a, "a")
    factors = None if weights is None else as_array(weights, "weights")
    if not _is_ours(array, bins, factors):
        return by_numpy.histogram(array, bins, range, density, factors)
    flat = array.ravel()
    is_uniform = isinstance(bins, str) or np.ndim(bins) == 0
    edges = _edges(flat, bins, range)
    plain = edges.dtype.kind in "iuf" and edges.dtype.itemsize <= 8
    if not plain or not 2 <= edges.size <= MOST_BINS or np.isnan(edges).any():
        return by_numpy.histogram(array, bins, range, density, factors)
    is_short = all(x.dtype.kind == "f" and x.dtype.itemsize <= 4 for x in (flat, edges))
    dtype = np.dtype(np.float32 if is_short else np.float64)
    exact_edges = contiguous(edges, dtype)
    bounds = _bounds(exact_edges) if is_uniform else None
    counts = np.zeros(edges.size - 1, np.int64 if factors is None else np.float64)
    step = flat.size if flat.dtype == dtype else CHUNK
    all_factors = None if factors is None else factors.ravel()
    for at in np.arange(0, flat.size, step):
        part = contiguous(flat[at : at + step], dtype)
        mine = None if all_factors is None else contiguous(all_factors[at : at + step], np.float64)
        histogram_counts(part, exact_edges, bounds, mine, counts)
    result: Any = counts
    if factors is not None:
        result = counts.astype(factors.dtype.newbyteorder("="), copy=False)
    if density:
        widths = np.array(np.diff(edges), float)
        with np.errstate(divide="ignore", invalid="ignore"):
            result = result / widths / result.sum()
    return result, edges


def _bounds(edges: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The bins' bounds as the kernel takes them; None where a width over- or underflows."""
    with np.errstate(over="ignore", divide="ignore"):
        scale = edges.dtype.type(edges.size - 1) / (edges[-1] - edges[0])
    if not np.finfo(edges.dtype).tiny <= scale < np.inf:
        return None
    bounds = np.empty((2, edges.size), edges.dtype)
    bounds[0, :-1] = edges[:-1]
    bounds[1, :-2] = edges[1:-1]
    bounds[0, -1] = -np.inf
    bounds[1, -2] = np.inf
    bounds[1, -1] = np.nan
    return bounds


def _is_ours(array: npt.NDArray[Any], bins: Any, weights: npt.NDArray[Any] | None) -> bool:
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or array.size == 0:
        return False
    if not fits_float64(array):
        return False
    if weights is None:
        return True
    if isinstance(bins, str) or weights.shape != array.shape:
        return False
    # Sums of 64-bit integers need not fit a float64.
    limit = 4 if weights.dtype.kind in "iu" else 8
    return weights.dtype.kind in "iuf" and weights.dtype.itemsize <= limit


def _edges(flat: npt.NDArray[Any], bins: Any, limits: Any) -> Any:
    """NumPy's edges. The outer ones are found here, where that is all that takes a pass."""
    if isinstance(bins, str):
        return by_numpy.histogram_bin_edges(flat, bins, limits)
    if np.ndim(bins) == 0 and limits is None:
        if flat.dtype in (np.float32, np.float64):
            found: Any = extent(contiguous(flat, flat.dtype.newbyteorder("=")))
        else:
            found = flat.min(), flat.max()
        if not np.isfinite(found).all():
            return by_numpy.histogram_bin_edges(flat, bins)
        limits = tuple(flat.dtype.type(edge) for edge in found)
    return by_numpy.histogram_bin_edges(flat[:1], bins, limits)
