"""The gate of the pairwise functions: sets of rows, dense or sparse, and what is wrong there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, ready
from ._kernels.pairwise import squared_norms
from ._metrics import similarity_dtype

Array = npt.NDArray[Any]


def is_sparse(x: Any) -> bool:
    """Whether x is a scipy.sparse matrix or array, without importing scipy.sparse to find out."""
    if not type(x).__module__.startswith("scipy.sparse"):
        return False
    from scipy import sparse

    return bool(sparse.issparse(x))


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


def has_large_norm(x: Array) -> bool:
    """Whether some row has NaN, infinity or a squared norm near the end of the range."""
    return squared_norms(x, np.empty(len(x), x.dtype))


def dense_pair(X: Any, Y: Any, *, finite: bool = True) -> tuple[Array, Array]:
    """X and Y as arrays that kernels take, of one dtype; Y is X itself for one set.

    With `finite`, NaN and infinity are refused.
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
                check_finite(rows, name)
    return x, y


# ---- Sparse rows: SciPy multiplies ----


def sparse_rows(x: Any, name: str) -> Any:
    """A CSR array of finite float32 or float64 from a sparse or dense x."""
    from scipy import sparse

    matrix = x if is_sparse(x) else as_array(x, name)
    check_shape(matrix.shape, name)
    rows = sparse.csr_array(matrix, dtype=similarity_dtype(matrix.dtype, name))
    if not np.isfinite(rows.data).all():
        what = "NaN" if np.isnan(rows.data).any() else "infinity"
        raise ValueError(f"{name} contains {what}; expected finite values")
    return rows


def sparse_pair(X: Any, Y: Any) -> tuple[Any, Any]:
    """X and Y, at least one of them sparse, as CSR arrays; Y is X itself for one set."""
    x = sparse_rows(X, "X")
    y = x if Y is None or Y is X else sparse_rows(Y, "Y")
    check_features(x.shape, y.shape)
    dtype = np.result_type(x.dtype, y.dtype)
    same = y is x
    x = x.astype(dtype, copy=False)
    return x, x if same else y.astype(dtype, copy=False)


def unit_sparse_rows(rows: Any) -> Any:
    """Rows divided by their norms, scaled first so that no square over- or underflows."""
    rows = rows.copy()
    largest = abs(rows).max(axis=1).toarray().ravel()
    exponents = -np.frexp(largest)[1]
    counts = np.diff(rows.indptr)
    with np.errstate(under="ignore"):
        rows.data = np.ldexp(rows.data, np.repeat(exponents, counts)).astype(rows.dtype, copy=False)
    norms = np.sqrt(rows.multiply(rows).sum(axis=1)).astype(rows.dtype)
    norms[norms == 0] = 1
    rows.data /= np.repeat(norms, counts)
    return rows


def sparse_dist_sq(x: Any, y: Any) -> Array:
    """Squared distances in float64: |x|^2 + |y|^2 - 2 x.y, never negative, 0 on one set's diagonal.

    The cancellation of that form is float64's.
    """
    same = y is x
    x = x.astype(np.float64, copy=False)
    y = x if same else y.astype(np.float64, copy=False)
    x_norms = x.multiply(x).sum(axis=1)
    y_norms = y.multiply(y).sum(axis=1)
    dist_sq = np.asarray((x @ y.T).toarray())
    dist_sq *= -2
    dist_sq += x_norms[:, None]
    dist_sq += y_norms
    np.maximum(dist_sq, 0, out=dist_sq)
    if same:
        np.fill_diagonal(dist_sq, 0)
    return dist_sq
