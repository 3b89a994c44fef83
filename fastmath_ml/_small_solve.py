"""numpy.linalg's linear equations, inverses, determinants and Cholesky factors for stacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._kernels.small import cholesky_plain, det_plain, inv_plain, slogdet_plain, solve_plain
from ._small_gate import complete, is_small, lacks_numbers, small_arrays, unary

__all__ = ["cholesky", "det", "inv", "slogdet", "solve"]

SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


def solve(a: npt.ArrayLike, b: npt.ArrayLike) -> Any:
    r"""Solution of linear equations, with the semantics of `numpy.linalg.solve`.

    .. math:: A x = b

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Matrices of coefficients.
    b : array_like, shape (n,) or (..., n, n_rhs)
        One right-hand side for all matrices, or the columns of matrices; the axes in front are
        broadcast against those of `a`.

    Returns
    -------
    ndarray, shape (..., n) or (..., n, n_rhs)
        float32 where both are, else float64. Complex matrices go to `numpy.linalg.solve`.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is singular or not square. It is a ValueError.
    ValueError
        The sizes or the stacks do not fit.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    Up to 32 rows: LU with partial pivoting of several matrices at once, one in each lane of the
    vector registers, the stack shared by the threads; larger ones are LAPACK's. Everything is
    computed in float64, float32 too. The backward error is that of LAPACK's `gesv`, and a result
    depends neither on the rest of the stack nor on the number of threads. Input that is not
    C-contiguous is copied.

    References
    ----------
    .. [1] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002,
       chapter 9.
    .. [2] A. Abdelfattah et al., "A set of batched basic linear algebra subprograms and LAPACK
       routines", ACM Transactions on Mathematical Software 47(3), 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.linalg.solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([1.0, 2.0]))
    array([0.5, 0.5])
    """
    result = solve_plain(a, b)
    return _solve_any(a, b) if result is None else result


def _solve_any(a: Any, b: Any) -> Any:
    arrays = small_arrays((a, "a"), (b, "b"))
    if arrays is None:
        return np.linalg.solve(a, b)
    x, y = arrays
    if not (is_small(x) and x.shape[-1] == x.shape[-2] and y.ndim and y.size):
        return np.linalg.solve(x, y)
    if y.shape[-2 if y.ndim > 1 else 0] != x.shape[-1]:
        return np.linalg.solve(x, y)  # which says what does not fit
    result = solve_plain(x, y, True)
    if result is None:
        try:
            stack = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        except ValueError:
            return np.linalg.solve(x, y)
        x = np.ascontiguousarray(np.broadcast_to(x, stack + x.shape[-2:]))
        y = np.ascontiguousarray(np.broadcast_to(y, stack + y.shape[-2:]))
        result = solve_plain(x, y, True)
    bad = lacks_numbers(x)
    if not bad.any():
        return result
    if x.ndim == 2:
        return np.linalg.solve(x, y)
    if y.ndim <= 2:
        return complete(result, bad, lambda part: np.linalg.solve(part, y), x)[0]
    return complete(result, bad, np.linalg.solve, x, y)[0]


def inv(a: npt.ArrayLike) -> Any:
    r"""Inverses of square matrices, with the semantics of `numpy.linalg.inv`.

    .. math:: A A^{-1} = I

    Parameters
    ----------
    a : array_like, shape (..., n, n)

    Returns
    -------
    ndarray, shape (..., n, n)
        float32 for float32, else float64. Complex matrices go to `numpy.linalg.inv`.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is singular or not square. It is a ValueError.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    As for `solve`, with the identity on the right-hand side.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.linalg.inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    result = inv_plain(a)
    return unary(a, inv_plain, np.linalg.inv) if result is None else result


def det(a: npt.ArrayLike) -> Any:
    r"""Determinants, with the semantics of `numpy.linalg.det`.

    .. math:: \det A = \pm \prod_i u_{ii}, \quad P A = L U

    Parameters
    ----------
    a : array_like, shape (..., n, n)

    Returns
    -------
    ndarray, shape (...), or a scalar
        float32 for float32, else float64. Complex matrices go to `numpy.linalg.det`.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is not square.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    The product is formed directly, with the powers of two apart where it comes near the ends of the
    range: a relative error of n units in the last place beyond that of the factors. (NumPy's is the
    exponential of a sum of logarithms.) Otherwise as for `solve`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> float(fm.linalg.det(np.array([[2.0, 0.0], [0.0, 4.0]])))
    8.0
    """
    result = det_plain(a)
    return unary(a, det_plain, np.linalg.det) if result is None else result


def slogdet(a: npt.ArrayLike) -> Any:
    r"""Sign and logarithm of determinants, with the semantics of `numpy.linalg.slogdet`.

    .. math:: \det A = s e^{l}, \quad l = \sum_i \log |u_{ii}|, \quad P A = L U

    Parameters
    ----------
    a : array_like, shape (..., n, n)

    Returns
    -------
    SlogdetResult
        NumPy's named tuple: sign and logabsdet, each of shape (...); 0 and -inf for a singular
        matrix. dtypes as for `det`.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is not square.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    As for `solve`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> sign, logabsdet = fm.linalg.slogdet(np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> float(sign), float(logabsdet)
    (-1.0, 0.0)
    """
    result = slogdet_plain(a)
    if result is None:
        result = unary(a, slogdet_plain, np.linalg.slogdet)
    return SlogdetResult(*result)


def cholesky(a: npt.ArrayLike, /, *, upper: bool = False) -> Any:
    r"""Cholesky factors of positive definite matrices, as `numpy.linalg.cholesky`.

    .. math:: A = L L^T \quad\text{or}\quad A = U^T U

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Symmetric matrices, of which one triangle is read.
    upper : bool, default False
        Return U, from the upper triangle, instead of L, from the lower one.

    Returns
    -------
    ndarray, shape (..., n, n)
        The other triangle is 0. float32 for float32, else float64. Complex matrices go to
        `numpy.linalg.cholesky`.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is not positive definite, or not square. It is a ValueError.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    As for `solve`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.linalg.cholesky(np.array([[4.0, 2.0], [2.0, 10.0]]))
    array([[2., 0.],
           [1., 3.]])
    """
    result = cholesky_plain(a, upper)
    if result is not None:
        return result

    def from_numpy(x: Any) -> Any:
        return np.linalg.cholesky(x, upper=upper)

    return unary(a, cholesky_plain, from_numpy, (bool(upper),))
