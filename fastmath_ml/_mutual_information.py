"""Mutual information of two labellings, or of a table of their joint frequencies.

Labels are counted, not sorted, where they are integers of moderate range: one pass over both. The
table then gives the divergence of each of its rows from what independence would make of them, a sum
of terms that are not negative (`information.pyx`).
"""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, contiguous, floating
from ._divergences import entropy
from ._information_sums import factor_of
from ._kernels.information import RELATIVE, count_table, information_lines, information_plain

__all__ = [
    "information_gain",
    "mutual_info_score",
    "mutual_information",
    "normalized_mutual_info_score",
]

Array = npt.NDArray[Any]

MAX_TABLE = 1 << 20  # cells; a larger table is kept as its cells that are not 0
MAX_RANGE = 1 << 22  # of integers that are numbered through a table, or 4 for each label
# What rounding leaves of 0: the square of the error of each cell.
NOTHING = 4 * float(np.finfo(np.float64).eps) ** 2
AVERAGES = ("min", "geometric", "arithmetic", "max")


class Counts(NamedTuple):
    """How often each pair of labels occurs: a table, or its cells that are not 0."""

    cells: Array
    rows: Array | None
    cols: Array | None
    row_sums: Array
    col_sums: Array


def mutual_info_score(labels_true: Any, labels_pred: Any, *, contingency: Any = None) -> float:
    r"""Mutual information of two labellings, as `sklearn.metrics.mutual_info_score`.

    .. math:: I = \sum_{i,j} \frac{n_{ij}}{n} \log \frac{n\,n_{ij}}{n_{i\cdot}\,n_{\cdot j}}

    Parameters
    ----------
    labels_true, labels_pred : array_like of shape (n_samples,)
        The labels: integers, or anything that can be sorted.
    contingency : {array_like, sparse matrix} of shape (n_true, n_pred), optional
        The counts :math:`n_{ij}`, whole numbers; the labels are then ignored.

    Returns
    -------
    float
        In nats, at least 0; 0 where a labelling has one class only.

    Raises
    ------
    ValueError
        The labels are not one-dimensional or not of the same length, or have NaN or infinity; the
        table is not two-dimensional or has a negative number.

    Warns
    -----
    UserWarning
        Labels have fractions.

    Notes
    -----
    Within about 10 units in the last place, however small the information: no terms cancel. Memory
    is the table where it has up to :math:`2^{20}` cells, else some arrays as long as the labels.

    References
    ----------
    .. [1] T. M. Cover and J. A. Thomas, "Elements of Information Theory", Wiley, 2006.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> round(fm.mutual_info_score([0, 1, 1, 0, 1, 0], [0, 1, 0, 0, 1, 1]), 4)
    0.0566
    """
    if contingency is not None:
        return score_of(counts_of_table(contingency))
    return score_of(counts_of_labels(*check_labels(labels_true, labels_pred)))


def normalized_mutual_info_score(
    labels_true: Any,
    labels_pred: Any,
    *,
    average_method: Literal["arithmetic", "geometric", "min", "max"] = "arithmetic",
) -> float:
    r"""Mutual information on a scale of 0 to 1, as `sklearn.metrics.normalized_mutual_info_score`.

    .. math:: \frac{I(U, V)}{\operatorname{mean}(H(U), H(V))}

    Parameters
    ----------
    labels_true, labels_pred : array_like of shape (n_samples,)
        The labels: integers, or anything that can be sorted.
    average_method : {'arithmetic', 'geometric', 'min', 'max'}, optional
        Of the entropies.

    Returns
    -------
    float
        1 where the labellings say the same, 0 where they are independent.

    Raises
    ------
    ValueError
        As for `mutual_info_score`, or `average_method` is none of these.

    Notes
    -----
    Computed from the table of counts. Accuracy and memory as for `mutual_info_score`.

    References
    ----------
    .. [1] N. X. Vinh, J. Epps and J. Bailey, "Information theoretic measures for clusterings
       comparison", JMLR 11, 2010.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.information.normalized_mutual_info_score([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    """
    if average_method not in AVERAGES:
        names = ", ".join(map(repr, AVERAGES))
        raise ValueError(f"average_method is {average_method!r}; expected one of {names}")
    counts = counts_of_labels(*check_labels(labels_true, labels_pred))
    n_true, n_pred = (np.count_nonzero(sums) for sums in (counts.row_sums, counts.col_sums))
    if n_true == n_pred <= 1:
        return 1.0
    score = score_of(counts)
    if score == 0:
        return 0.0
    first, second = (
        float(entropy(sums.astype(np.float64))) for sums in (counts.row_sums, counts.col_sums)
    )
    mean = {
        "min": min(first, second),
        "geometric": math.sqrt(first * second),
        "arithmetic": (first + second) / 2,
        "max": max(first, second),
    }
    return score / mean[average_method]


def information_gain(labels: Any, split: Any, *, base: float | None = 2) -> float:
    r"""What knowing the branch of a split tells about the labels.

    .. math:: H(labels) - \sum_b \frac{n_b}{n} H(labels \mid b)

    Parameters
    ----------
    labels : array_like of shape (n_samples,)
        The classes: integers, or anything that can be sorted.
    split : array_like of shape (n_samples,)
        The branch that each sample goes to, of any number.
    base : float, optional
        Of the logarithm; 2 for bits, None for nats.

    Returns
    -------
    float
        At least 0: the mutual information of both.

    Raises
    ------
    ValueError
        As for `mutual_info_score`, or `base` is not positive.

    Notes
    -----
    Accuracy and memory as for `mutual_info_score`.

    References
    ----------
    .. [1] J. R. Quinlan, "Induction of decision trees", Machine Learning 1, 1986.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.information.information_gain(["yes", "yes", "no", "no"], [0, 0, 1, 1])
    1.0
    """
    factor = factor_of(base)
    arrays = check_labels(labels, split, names=("labels", "split"))
    return score_of(counts_of_labels(*arrays)) * factor


def mutual_information(joint: npt.ArrayLike, *, base: float | None = None) -> Any:
    r"""Mutual information of two variables, from the table of their joint frequencies.

    .. math:: I = \sum_{i,j} p_{ij} \log \frac{p_{ij}}{p_{i\cdot}\,p_{\cdot j}}

    Parameters
    ----------
    joint : array_like of shape (..., n_x, n_y)
        Probabilities or counts, normalised to add up to 1; a table, or a stack of them. Dtypes as
        for `entropy`.
    base : float, optional
        Of the logarithm; None for e.

    Returns
    -------
    scalar or ndarray of shape (...)
        At least 0, in the dtype of `joint` if floating, else float64; NaN where a table is all
        zeros or has NaN or infinity.

    Raises
    ------
    TypeError
        `joint` is a masked array or has a complex, extended or object dtype.
    ValueError
        `joint` has fewer than two axes or a negative number, or `base` is not positive.

    Notes
    -----
    A sum of terms that are not negative: within 16 units in the last place of float32 and float64.
    The table is read three times, for the sums of its rows and columns and with them.

    References
    ----------
    .. [1] T. M. Cover and J. A. Thomas, "Elements of Information Theory", Wiley, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> print(fm.information.mutual_information(np.array([[0.5, 0.0], [0.0, 0.5]]), base=2))
    1.0
    """
    factor = factor_of(base)
    table = as_array(joint, "joint")
    if table.ndim < 2:
        raise ValueError(f"joint has shape {table.shape}; expected at least two axes")
    result_dtype = floating(table.dtype, "joint")
    if (table < 0).any():
        raise ValueError("joint has a negative number; expected probabilities or counts")
    tables = contiguous(table, np.float64)
    result = of_tables(tables, tables.sum(axis=-1), tables.sum(axis=-2)) * factor
    result = np.asarray(result).astype(result_dtype)
    return result if result.ndim else result[()]


def of_tables(tables: Array, row_sums: Array, col_sums: Array) -> Array:
    """For C-ordered (..., n_x, n_y) in float64: each row's divergence, from their column sums."""
    n_y = tables.shape[-1]
    totals = row_sums.sum(axis=-1)
    expected = col_sums.astype(np.float64)[..., None, :]
    if expected.size > n_y:
        expected = np.broadcast_to(expected, tables.shape)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        shares = np.ascontiguousarray(row_sums / totals[..., None], dtype=np.float64)
        of_rows = np.zeros((*tables.shape[:-1], 1))
        information_lines(
            RELATIVE,
            False,
            False,
            tables.reshape(-1, n_y, 1),
            np.ascontiguousarray(expected).reshape(-1, n_y, 1),
            1.0,
            of_rows.reshape(-1, 1),
            shares.reshape(-1, 1),
        )
        result = of_rows.reshape(tables.shape[:-1]).sum(axis=-1) / totals
    return np.where(result <= NOTHING, 0.0, result)


def score_of(counts: Counts) -> float:
    """In nats."""
    total = int(counts.row_sums.sum())
    if len(counts.row_sums) <= 1 or len(counts.col_sums) <= 1 or total == 0:
        return 0.0
    if counts.rows is None or counts.cols is None:
        cells = np.ascontiguousarray(counts.cells, dtype=np.float64)
        return float(of_tables(cells, counts.row_sums, counts.col_sums))
    shares = counts.row_sums / total
    expected = shares[counts.rows] * counts.col_sums[counts.cols]
    cells = counts.cells.astype(np.float64)
    found = float(information_plain(RELATIVE, False, False, cells, expected, None, 0)) / total
    return found if found > NOTHING else 0.0


def check_labels(
    first: Any, second: Any, names: tuple[str, str] = ("labels_true", "labels_pred")
) -> tuple[Array, Array]:
    """Two arrays of one axis and length, with scikit-learn's words where they are not."""
    arrays = tuple(as_array(x, name) for x, name in zip((first, second), names, strict=True))
    for array, name in zip(arrays, names, strict=True):
        if array.dtype.kind == "c":
            raise TypeError(f"{name} has dtype {array.dtype}; expected labels that can be sorted")
        if array.dtype.kind == "f":
            if not np.isfinite(array).all():
                raise ValueError(f"{name} has NaN or infinity; expected labels")
            if (array != np.trunc(array)).any():
                warnings.warn(
                    "Clustering metrics expects discrete values but received continuous values "
                    f"for {name}",
                    UserWarning,
                    stacklevel=3,
                )
    for array, name in zip(arrays, names, strict=True):
        if array.ndim != 1:
            raise ValueError(f"{name} must be 1D: shape is {array.shape!r}")
    lengths = [len(array) for array in arrays]
    if lengths[0] != lengths[1]:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {lengths!r}")
    return arrays[0], arrays[1]


def as_integers(labels: Array) -> tuple[Array, int, int] | None:
    """Labels as int32 or int64, the first number and how many there are up to the last."""
    if labels.dtype.kind not in "biu" or not len(labels):
        return None
    low, high = int(labels.min()), int(labels.max())
    if high > np.iinfo(np.int64).max or high - low >= max(MAX_RANGE, 4 * len(labels)):
        return None
    is_wide = labels.dtype.itemsize == 8 or (labels.dtype.kind, labels.dtype.itemsize) == ("u", 4)
    return contiguous(labels, np.int64 if is_wide else np.int32), low, high - low + 1


def numbered(labels: Array, integers: tuple[Array, int, int] | None) -> tuple[Array, int, int]:
    """The same with the numbers of the distinct labels, from 0 without gaps."""
    if integers is None:
        distinct, codes = np.unique(labels, return_inverse=True)
        return codes.astype(np.int64).ravel(), 0, len(distinct)
    values, low, n_values = integers
    places = values - values.dtype.type(low)
    is_there = np.zeros(n_values, bool)
    is_there[places] = True
    number = np.cumsum(is_there) - 1
    return number[places], 0, int(number[-1]) + 1


def counts_of_labels(first: Array, second: Array) -> Counts:
    """Integers are counted as they are where their ranges allow, others by their numbers."""
    given = [as_integers(first), as_integers(second)]
    if None in given or math.prod(each[2] for each in given if each is not None) > MAX_TABLE:
        sides = [numbered(x, each) for x, each in zip((first, second), given, strict=True)]
    else:
        sides = [each for each in given if each is not None]
    (a, a_first, n_a), (b, b_first, n_b) = sides
    if n_a * n_b > MAX_TABLE:
        pairs, cells = np.unique(a.astype(np.int64) * n_b + b, return_counts=True)
        rows, cols = np.divmod(pairs, n_b)
        return Counts(cells, rows, cols, np.bincount(a), np.bincount(b))
    if a.dtype != b.dtype:
        a, b = a.astype(np.int64), b.astype(np.int64)
    table = np.zeros((n_a, n_b), np.int64)
    if len(a):
        count_table(a, b, a_first, b_first, table)
    return Counts(table, None, None, table.sum(axis=1), table.sum(axis=0))


def counts_of_table(contingency: Any) -> Counts:
    """From an array or a matrix of scipy.sparse."""
    if hasattr(contingency, "tocsr"):
        matrix = contingency.tocsr(copy=True)
        matrix.sum_duplicates()
        coordinates = matrix.tocoo()
        cells = as_counts(coordinates.data)
        rows, cols = (np.asarray(x, np.int64) for x in (coordinates.row, coordinates.col))
        n_rows, n_cols = matrix.shape
        row_sums, col_sums = np.zeros(n_rows, np.int64), np.zeros(n_cols, np.int64)
        np.add.at(row_sums, rows, cells)
        np.add.at(col_sums, cols, cells)
        return Counts(cells, rows, cols, row_sums, col_sums)
    table = as_array(contingency, "contingency")
    if table.ndim != 2:
        raise ValueError(f"contingency has shape {table.shape}; expected two axes")
    table = as_counts(table)
    return Counts(table, None, None, table.sum(axis=1), table.sum(axis=0))


def as_counts(cells: Array) -> Array:
    if cells.dtype.kind not in "biuf":
        raise TypeError(f"contingency has dtype {cells.dtype}; expected whole numbers")
    if cells.size and not (cells.min() >= 0 and cells.max() < 2**63):
        raise ValueError("contingency has a number below 0, infinity or NaN; expected counts")
    if cells.dtype.kind == "f" and (cells % 1).any():
        raise ValueError("contingency has fractions; expected counts (see mutual_information)")
    return cells.astype(np.int64)
