"""Matrix and vector products, norms, solvers, decompositions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._base import Array, float64
from ._small import cholesky, det, eigh, eigvalsh, inv, lstsq, pinv, qr, slogdet, solve, svd

__all__ = [
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "gram",
    "inv",
    "linear",
    "lstsq",
    "matmul",
    "matvec",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "vecdot",
    "vecmat",
]


def matmul(x1: npt.ArrayLike, x2: npt.ArrayLike) -> Any:
    """C_ij = sum over p of A_ip B_pj."""
    return np.matmul(float64(x1), float64(x2))


def vecdot(x1: npt.ArrayLike, x2: npt.ArrayLike) -> Any:
    """c = sum over p of a_p b_p."""
    return (float64(x1) * float64(x2)).sum(axis=-1)


def matvec(x1: npt.ArrayLike, x2: npt.ArrayLike) -> Any:
    """c_i = sum over p of A_ip b_p."""
    return (float64(x1) * float64(x2)[..., None, :]).sum(axis=-1)


def vecmat(x1: npt.ArrayLike, x2: npt.ArrayLike) -> Any:
    """c_j = sum over p of a_p B_pj."""
    return (float64(x1)[..., :, None] * float64(x2)).sum(axis=-2)


def gram(x: npt.ArrayLike) -> Array:
    """G_ij = sum over p of x_pi x_pj."""
    rows = float64(x)
    return np.asarray(rows.T @ rows)


def norm(x: npt.ArrayLike, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """(sum over i of |x_i|^p)^(1/p) and the norms of matrices, in extended precision."""
    values = float64(x)
    wide = values.astype(np.longdouble)
    n_axes = np.ndim(x) if axis is None else np.size(axis)
    if n_axes == 2 and ord in (2, -2, "nuc"):
        return np.linalg.norm(values, ord, axis, keepdims)
    with np.errstate(all="ignore"):
        return np.float64(np.linalg.norm(wide, ord, axis, keepdims))


def linear(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    *,
    activation: str | None = None,
) -> Any:
    """y = f(x W^T + b)."""
    result = np.matmul(float64(input), float64(weight).T)
    if bias is not None:
        result = result + float64(bias)
    with np.errstate(over="ignore", invalid="ignore"):
        if activation == "relu":
            return np.maximum(result, 0)
        if activation == "gelu":
            return result * np.vectorize(math.erfc, otypes=[float])(-result / math.sqrt(2)) / 2
        if activation == "sigmoid":
            return 1 / (1 + np.exp(-result))
        if activation == "tanh":
            return np.tanh(result)
        if activation == "silu":
            return result / (1 + np.exp(-result))
    return result
