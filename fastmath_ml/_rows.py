"""The gate of the pairwise functions: sets of rows, dense or sparse, and what is wrong there."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, is_sparse, ready
from ._kernels.pairwise import squared_norms
from ._metrics import similarity_dtype

Array = npt.NDArray[Any]
EnsureFinite = bool | Literal["allow-nan"]  # as scikit-learn has it


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """ValueError but for two dimensions, neither of them 0."""
    if len(shape) != 2:
        raise ValueError(
            f"{name} is a {len(shape)}D array of shape {shape}; expected a 2D array, "
            "rows of features"
        )
    if 0 in shape:
        what = "sample" if shape[0] == 0 else "feature"
        raise ValueError(
            f"{name} has shape {shape}, 0 {what}(s); expected at least one row and one feature"
        )


def check_features(x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> None:
    if x_shape[1] != y_shape[1]:
        raise ValueError(
            f"Incompatible dimension: X has {x_shape[1]} features and Y has {y_shape[1]}; "
            "expected the same number"
        )


def check_finite(x: Array, name: str, allow_nan: bool = False) -> None:
    """ValueError where x has infinity, or NaN unless it is allowed."""
    finite = np.isfinite(x)
    if finite.all():
        return
    has_nan = np.isnan(x).any()
    if has_nan and not allow_nan:
        raise ValueError(f"{name} contains NaN; expected finite values")
    if (np.isinf(x)).any():
        raise ValueError(
            f"{name} contains infinity or a value too large for {x.dtype}; expected finite values"
        )


def ensure_finite(x: Array, name: str, ensure_all_finite: EnsureFinite) -> None:
    """As scikit-learn's functions have it: True, False or 'allow-nan'."""
    if ensure_all_finite:
        check_finite(x, name, ensure_all_finite == "allow-nan")


def has_large_norm(x: Array) -> bool:
    """Whether some row has NaN, infinity or a squared norm near the end of the range."""
    return squared_norms(x, np.empty(len(x), x.dtype))


def dense_pair(
    X: Any, Y: Any, ensure_all_finite: EnsureFinite = True, *, finite: bool = True
) -> tuple[Array, Array]:
    """X and Y as arrays that kernels take, of one dtype; Y is X itself for one set.

    With `finite` they are looked at as `ensure_all_finite` says.
    """
    x = as_array(X, "X")
    y = x if Y is None or Y is X else as_array(Y, "Y")
    check_shape(x.shape, "X")
    check_shape(y.shape, "Y")
    check_features(x.shape, y.shape)
    dtype = np.result_type(similarity_dtype(x.dtype, "X"), similarity_dtype(y.dtype, "Y"))
    same = y is x
    x = ready(x, dtype)
    y = x if same else ready(y, dtype)
    if finite:
        for rows, name in ((x, "X"),) if same else ((x, "X"), (y, "Y")):
            if has_large_norm(rows):
                ensure_finite(rows, name, ensure_all_finite)
    return x, y


# ---- Sparse rows: SciPy multiplies ----


def sparse_rows(x: Any, name: str, ensure_all_finite: EnsureFinite = True) -> Any:
    """A CSR array of float32 or float64 from a sparse or dense x."""
    from scipy import sparse

    matrix = x if is_sparse(x) else as_array(x, name)
    check_shape(matrix.shape, name)
    if not is_sparse(x):  # SciPy takes neither float16 nor another byte order
        matrix = ready(matrix, similarity_dtype(matrix.dtype, name))
    rows = sparse.csr_array(matrix)
    if not rows.has_canonical_format:  # what is stored twice adds up as in an array of its dtype
        rows = rows.copy()
        rows.sum_duplicates()
    rows = rows.astype(similarity_dtype(matrix.dtype, name), copy=False)
    ensure_finite(rows.data, name, ensure_all_finite)
    return rows


def sparse_pair(X: Any, Y: Any, ensure_all_finite: EnsureFinite = True) -> tuple[Any, Any]:
    """X and Y, at least one of them sparse, as CSR arrays; Y is X itself for one set."""
    x = sparse_rows(X, "X", ensure_all_finite)
    y = x if Y is None or Y is X else sparse_rows(Y, "Y", ensure_all_finite)
    check_features(x.shape, y.shape)
    dtype = np.result_type(x.dtype, y.dtype)
    same = y is x
    x = x.astype(dtype, copy=False)
    return x, x if same else y.astype(dtype, copy=False)


def unit_sparse_rows(rows: Any) -> Any:
    """Rows divided by their norms, scaled first so that no square over- or underflows."""
    rows = _divided(rows, np.frexp(_largest(rows))[1])
    norms = np.sqrt(rows.multiply(rows).sum(axis=1)).astype(rows.dtype)
    norms[norms == 0] = 1
    rows.data /= np.repeat(norms, np.diff(rows.indptr))
    return rows


def sparse_cosines(x: Any, y: Any) -> Array:
    """Cosines of sparse rows as an array, symmetric for one set."""
    same = y is x
    x = unit_sparse_rows(x)
    product = np.asarray((x @ (x if same else unit_sparse_rows(y)).T).toarray())
    return _mirrored(product) if same else product


def sparse_distances(x: Any, y: Any, squared: bool) -> Array:
    """Euclidean distances in float64, from |x|^2 + |y|^2 - 2 x.y.

    Never negative; symmetric and 0 on the diagonal for one set. The cancellation of that form is
    float64's. Rows that are far from 1 are scaled, each by itself.
    """
    same = y is x
    x, x_exponents = _near_one(x.astype(np.float64, copy=False))
    y, y_exponents = (x, x_exponents) if same else _near_one(y.astype(np.float64, copy=False))
    x_norms = x.multiply(x).sum(axis=1)[:, None]
    y_norms = y.multiply(y).sum(axis=1)
    result = np.asarray((x @ y.T).toarray())
    result *= -2
    exponents = None
    if x_exponents.any() or y_exponents.any():
        # In units of the larger row of each pair, which is not one of zeros.
        x_exponents = np.where(x_norms[:, 0] == 0, -4096, x_exponents)
        y_exponents = np.where(y_norms == 0, -4096, y_exponents)
        below_x, below_y = x_exponents[:, None], y_exponents
        exponents = np.maximum(below_x, below_y)
        below_x, below_y = below_x - exponents, below_y - exponents
        with np.errstate(under="ignore"):
            result = np.ldexp(result, below_x + below_y)
            x_norms = np.ldexp(x_norms, 2 * below_x)
            y_norms = np.ldexp(y_norms, 2 * below_y)
    result += x_norms
    result += y_norms
    np.maximum(result, 0, out=result)
    if same:
        result = _mirrored(result)
        fill_diagonal(result)
    if not squared:
        np.sqrt(result, out=result)
    if exponents is None:
        return result
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(result, exponents * (2 if squared else 1)))


def fill_diagonal(distances: Array) -> None:
    """0 for a row and itself, but for a row with NaN."""
    diagonal = distances.diagonal()
    np.fill_diagonal(distances, np.where(np.isnan(diagonal), diagonal, 0))


def _near_one(rows: Any) -> tuple[Any, Array]:
    """(sparse rows divided by powers of two where their squares might leave the range, the powers).

    A row of ordinary numbers stays as it is, whatever the others are.
    """
    exponents = np.zeros(rows.shape[0], np.intc)
    sizes = np.abs(rows.data)
    if not ((sizes > 1e140) | ((sizes < 1e-140) & (sizes > 0))).any():
        return rows, exponents
    largest = _largest(rows)
    odd = np.isfinite(largest) & (largest > 0) & ~((largest > 1e-140) & (largest < 1e140))
    exponents[odd] = np.frexp(largest[odd])[1]
    return _divided(rows, exponents) if odd.any() else rows, exponents


def _largest(rows: Any) -> Array:
    """The largest magnitude of each sparse row."""
    return np.asarray(abs(rows).max(axis=1).toarray().ravel())


def _divided(rows: Any, exponents: Array) -> Any:
    """A copy of sparse rows, each divided by its power of two."""
    rows = rows.copy()
    powers = -np.repeat(exponents, np.diff(rows.indptr))
    with np.errstate(under="ignore"):
        rows.data = np.ldexp(rows.data, powers).astype(rows.dtype, copy=False)
    return rows


def _mirrored(square: Array) -> Array:
    """The upper triangle on both sides: SciPy's order of summing is not the same on both."""
    return np.asarray(np.triu(square) + np.triu(square, 1).T)
