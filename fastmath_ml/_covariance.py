"""Covariance and correlation of the variables of a data set."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype, ready
from ._kernels.moments import scatter_matrix
from ._moments import by_numpy, scatter_about_mean

__all__ = ["corrcoef", "cov"]

Array = npt.NDArray[Any]


def cov(
    m: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: npt.ArrayLike | None = None,
    aweights: npt.ArrayLike | None = None,
    *,
    dtype: npt.DTypeLike | None = None,
) -> Any:
    r"""Covariance matrix of the variables, as `numpy.cov`.

    .. math:: C_{jk} = \frac{1}{f} \sum_i w_i (x_{ij} - \bar x_j)(x_{ik} - \bar x_k)

    Parameters
    ----------
    m : array_like
        One or two axes: a variable per row and an observation per column, or, with rowvar=False,
        (n_observations, n_variables).
    y : array_like, optional
        More variables, in the form of `m`.
    rowvar : bool, optional
        Whether the rows are the variables.
    bias : bool, optional
        Divide by n in place of n - 1, where `ddof` does not say otherwise.
    ddof : int, optional
        Delta degrees of freedom.
    fweights : array_like of int, optional
        How often each observation counts.
    aweights : array_like, optional
        Weights of the observations, at least 0.
    dtype : dtype, optional
        Of the result; float32 is computed in float32. The default is at least float64.

    Returns
    -------
    ndarray
        (n_variables, n_variables), symmetric to the bit; 0-d for one variable.

    Raises
    ------
    ValueError
        More than two axes, or a wrong `ddof` or sign of weights.
    TypeError
        A masked array, or `fweights` that are no whole numbers.
    RuntimeError
        Weights of a wrong shape.

    Notes
    -----
    Half of the multiplications of a product: it is symmetric. The data are centred block by block
    as they are read, about a number near their means, so that means far from 0 cost no digits, and
    up to 256 variables the products of 2048 observations each are added up in float64: with
    dtype=float32 the error stays below 100 units of float32, relative to
    :math:`\sqrt{C_{jj} C_{kk}}`, for any number of observations. Beyond, the sums stay in the
    dtype. Scratch memory is bounded by 32 MiB; data without unit stride along either axis are
    copied. Complex data are left to NumPy.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance: analysis and recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.stats.cov([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    data = as_array(m, "m")
    other = None if y is None else as_array(y, "y")
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    if data.ndim > 2:
        raise ValueError(f"m has {data.ndim} axes; m has more than 2 dimensions")
    if other is not None and other.ndim > 2:
        raise ValueError(f"y has {other.ndim} axes; y has more than 2 dimensions")
    result_dtype = np.result_type(data, np.float64) if dtype is None else np.dtype(dtype)
    if other is not None and dtype is None:
        result_dtype = np.result_type(data, other, np.float64)
    parts = [data] if other is None else [data, other]
    if result_dtype not in (np.float32, np.float64) or any(
        part.dtype.kind not in "biuf" or part.size == 0 or part.dtype.itemsize > 8 for part in parts
    ):
        return by_numpy.cov(data, other, rowvar, bias, ddof, fweights, aweights, dtype=dtype)
    x, by_features = _observations(parts, rowvar)
    n_variables, n = x.shape if by_features else x.shape[::-1]
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights, factor = _weights(fweights, aweights, n, ddof)
    if factor <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        factor = 0.0
    out = np.empty((n_variables, n_variables), result_dtype)
    if weights is None:
        scatter_about_mean(x, by_features, out)
    else:
        scatter_matrix(x, by_features, _means(x, by_features, weights), np.sqrt(weights), out)
    with np.errstate(divide="ignore", invalid="ignore"):
        out *= np.true_divide(1, factor)
    return out.squeeze()


def _observations(parts: list[Array], rowvar: bool) -> tuple[Array, bool]:
    """All variables in one matrix with unit stride along its last axis; whether they are rows."""
    matrices = [np.atleast_2d(part) for part in parts]
    if not rowvar:
        # As NumPy has it: one observation of several variables, as y, is a row.
        if parts[0].ndim != 1:
            matrices[0] = matrices[0].T
        matrices[1:] = [y if y.shape[0] == 1 else y.T for y in matrices[1:]]
    x = matrices[0] if len(matrices) == 1 else np.concatenate(matrices, axis=0)
    x = ready(x, computing_dtype(x.dtype, "m"))
    if x.strides[0] == x.itemsize and x.shape[0] > 1:
        return x.T, False
    if x.strides[1] != x.itemsize:
        x = np.ascontiguousarray(x)
    return x, True


def _weights(fweights: Any, aweights: Any, n: int, ddof: int) -> tuple[Array | None, float]:
    """The weights of the observations, and what the sum of products is divided by."""
    weights = None
    if fweights is not None:
        weights = np.asarray(fweights, float)
        if not np.all(weights == np.around(weights)):
            raise TypeError("fweights must be integer")
        _check_weights(weights, n, "fweights")
    if aweights is not None:
        given = np.asarray(aweights, float)
        _check_weights(given, n, "aweights")
        weights = given if weights is None else weights * given
    if weights is None:
        return None, float(n - ddof)
    total = float(weights.sum())
    if total == 0:
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    if ddof == 0:
        return weights, total
    if aweights is None:
        return weights, total - ddof
    return weights, float(total - ddof * (weights * np.asarray(aweights, float)).sum() / total)


def _check_weights(weights: Array, n: int, name: str) -> None:
    if weights.ndim > 1:
        raise RuntimeError(f"{name} has {weights.ndim} axes; cannot handle multidimensional {name}")
    if weights.shape != (n,):
        raise RuntimeError(f"incompatible numbers of samples and {name}: {n}, {weights.shape}")
    if np.any(weights < 0):
        raise ValueError(f"{name} cannot be negative")


def _means(x: Array, by_features: bool, weights: Array) -> Array:
    """Of each variable, float64."""
    x = x.T if by_features else x
    return np.ascontiguousarray(weights @ x.astype(np.float64, copy=False) / weights.sum())


def corrcoef(
    x: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    rowvar: bool = True,
    *,
    dtype: npt.DTypeLike | None = None,
) -> Any:
    r"""Pearson's correlation coefficients of the variables, as `numpy.corrcoef`.

    .. math:: R_{jk} = \frac{C_{jk}}{\sqrt{C_{jj} C_{kk}}}

    Parameters
    ----------
    x, y, rowvar, dtype
        As for `cov`.

    Returns
    -------
    ndarray
        (n_variables, n_variables), from -1 to 1; 0-d for one variable. NaN for a variable that does
        not vary.

    Raises
    ------
    ValueError, TypeError
        As for `cov`.

    Notes
    -----
    As for `cov`.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
       variance: analysis and recommendations", The American Statistician 37(3), 1983.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.stats.corrcoef([[0.0, 1.0, 2.0], [4.0, 2.0, 0.0]])
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    first = as_array(x, "x")
    second = None if y is None else as_array(y, "y")
    is_complex = any(np.iscomplexobj(part) for part in (first, second) if part is not None)
    if is_complex or first.dtype.kind not in "biuf" or first.dtype.itemsize > 8:
        return by_numpy.corrcoef(first, second, rowvar, dtype=dtype)
    c = cov(first, second, rowvar, dtype=dtype)
    if c.ndim == 0:
        with np.errstate(invalid="ignore", divide="ignore"):
            return c / c
    deviations = np.sqrt(np.diag(c))
    with np.errstate(invalid="ignore", divide="ignore"):
        c /= deviations[:, None]
        c /= deviations[None, :]
    return np.clip(c, -1, 1, out=c)
