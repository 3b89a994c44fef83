"""numpy.linalg's orthogonal decompositions for stacks, and what stands on them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._kernels.small import (
    eigh_plain,
    lstsq_plain,
    pinv_plain,
    qr_plain,
    svd_plain,
)
from ._small_gate import check_converges, has_override, small_arrays, unary

__all__ = ["eigh", "eigvalsh", "lstsq", "pinv", "qr", "svd"]

# NumPy's functions, whose overloads do not take what comes from a caller.
LAPACK: Any = np.linalg

EighResult: Any = type(np.linalg.eigh(np.eye(1)))
QRResult: Any = type(np.linalg.qr(np.eye(1)))
SVDResult: Any = type(np.linalg.svd(np.eye(1)))
_NO_VALUE: Any = np._NoValue
EIGH_FAILURE = "Eigenvalues did not converge"
SVD_FAILURE = "SVD did not converge"
LSTSQ_FAILURE = "SVD did not converge in Linear Least Squares"


def qr(a: npt.ArrayLike, mode: Literal["reduced", "complete", "r", "raw"] = "reduced") -> Any:
    r"""QR factorisation by Householder reflections, with the semantics of `numpy.linalg.qr`.

    .. math:: A = Q R

    Parameters
    ----------
    a : array_like, shape (..., n_rows, n_cols)
    mode : {'reduced', 'complete', 'r', 'raw'}, default 'reduced'
        With k = min(n_rows, n_cols): 'reduced' gives Q (n_rows, k) and R (k, n_cols); 'complete'
        Q (n_rows, n_rows) and R (n_rows, n_cols); 'r' only R; 'raw' the reflections h
        (n_cols, n_rows) and their factors tau (k) as LAPACK's `geqrf` leaves them, transposed.

    Returns
    -------
    QRResult, ndarray or tuple
        NumPy's named tuple for 'reduced' and 'complete', the array R for 'r', (h, tau) for 'raw'.
        float32 for float32, else float64. Complex matrices go to `numpy.linalg.qr`.

    Raises
    ------
    ValueError
        `mode` is none of these, or a has less than two axes (LinAlgError).
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    Signs are LAPACK's: the diagonal of R has the sign opposite to the element that the reflection
    began with, so negative numbers are common there. Otherwise as for `solve`.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, "Matrix Computations", 4th ed., Johns Hopkins 2013,
       section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> Q, R = fm.linalg.qr(np.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> np.allclose(Q @ R, [[3, 1], [4, 2]]), R.shape
    (True, (2, 2))
    """
    if mode not in ("reduced", "complete", "r", "raw"):
        return LAPACK.qr(a, mode)
    result = qr_plain(a, mode)
    if result is None:

        def from_numpy(x: Any) -> Any:
            return LAPACK.qr(x, mode)

        result = unary(a, qr_plain, from_numpy, (mode,), square=False)
    return QRResult(*result) if mode in ("reduced", "complete") else result


def _is_upper(triangle: str) -> bool:
    if not isinstance(triangle, str) or triangle.upper() not in ("L", "U"):
        kind = ValueError if isinstance(triangle, str) else TypeError
        raise kind(f"UPLO argument must be 'L' or 'U', not {triangle!r}")
    return triangle.upper() == "U"


def eigh(a: npt.ArrayLike, UPLO: str = "L") -> Any:
    r"""Eigenvalues and eigenvectors of symmetric matrices, as `numpy.linalg.eigh`.

    .. math:: A V = V \operatorname{diag}(w), \quad V^T V = I

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Symmetric matrices, of which one triangle is read.
    UPLO : {'L', 'U'}, default 'L'
        Which one: the lower or the upper.

    Returns
    -------
    EighResult
        NumPy's named tuple: eigenvalues (..., n), ascending, and eigenvectors (..., n, n), in
        columns. float32 for float32, else float64. Complex matrices go to `numpy.linalg.eigh`.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is not square, or holds a NaN or an infinity, so that nothing converges.
    ValueError
        `UPLO` is neither.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    Up to 32 rows: Householder tridiagonalisation and the implicit QL iteration, for several
    matrices at once, one in each lane of the vector registers; larger ones are LAPACK's. Matrices
    are scaled by a power of two, so that nothing overflows. The signs of the eigenvectors follow no
    rule, as LAPACK's. Computed in float64, float32 too; a result depends neither on the rest of the
    stack nor on the number of threads. Input that is not C-contiguous is copied.

    References
    ----------
    .. [1] H. Bowdler, R. S. Martin, C. Reinsch and J. H. Wilkinson, "The QR and QL algorithms for
       symmetric matrices", Numerische Mathematik 11, 1968.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.linalg.eigh(np.array([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    array([1., 3.])
    """
    upper = UPLO != "L" and _is_upper(UPLO)
    result = eigh_plain(a, upper, True)
    if result is None:

        def from_numpy(x: Any) -> Any:
            check_converges(x, EIGH_FAILURE, "U" if upper else "L")
            return LAPACK.eigh(x, "U" if upper else "L")

        result = unary(a, eigh_plain, from_numpy, (upper, True), failure=EIGH_FAILURE)
    return EighResult(*result)


def eigvalsh(a: npt.ArrayLike, UPLO: str = "L") -> Any:
    """Eigenvalues of symmetric matrices, ascending, as `numpy.linalg.eigvalsh`.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Symmetric matrices, of which one triangle is read.
    UPLO : {'L', 'U'}, default 'L'
        Which one: the lower or the upper.

    Returns
    -------
    ndarray, shape (..., n)
        The bits that `eigh` gives. float32 for float32, else float64.

    Raises
    ------
    numpy.linalg.LinAlgError, ValueError, TypeError
        As for `eigh`.

    Notes
    -----
    As for `eigh`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.linalg.eigvalsh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([1., 3.])
    """
    upper = UPLO != "L" and _is_upper(UPLO)
    result = eigh_plain(a, upper, False)
    if result is not None:
        return result

    def from_numpy(x: Any) -> Any:
        check_converges(x, EIGH_FAILURE, "U" if upper else "L")
        return LAPACK.eigvalsh(x, "U" if upper else "L")

    return unary(a, eigh_plain, from_numpy, (upper, False), failure=EIGH_FAILURE)


def svd(
    a: npt.ArrayLike, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    r"""Singular value decomposition, with the semantics of `numpy.linalg.svd`.

    .. math:: A = U \operatorname{diag}(s) V^T

    Parameters
    ----------
    a : array_like, shape (..., n_rows, n_cols)
    full_matrices : bool, default True
        U (n_rows, n_rows) and Vh (n_cols, n_cols); else (n_rows, k) and (k, n_cols) with
        k = min(n_rows, n_cols).
    compute_uv : bool, default True
        Whether U and Vh are wanted.
    hermitian : bool, default False
        The matrices are symmetric: computed by `eigh`.

    Returns
    -------
    SVDResult or ndarray
        NumPy's named tuple (U, S, Vh), S (..., k) descending; S alone without `compute_uv`.
        float32 for float32, else float64. Complex matrices go to `numpy.linalg.svd`.

    Raises
    ------
    numpy.linalg.LinAlgError
        `a` has less than two axes, or holds a NaN or an infinity, so that nothing converges.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    Up to 32 rows and columns: one-sided Jacobi rotations, for several matrices at once, one in each
    lane of the vector registers; larger ones are LAPACK's. Small singular values come out to the
    relative accuracy that the input has, where LAPACK's are accurate relative to the largest; below
    1e-135 times the largest they are 0. The signs of the singular vectors follow no rule, as
    LAPACK's. Computed in float64, float32 too; a result depends neither on the rest of the stack
    nor on the number of threads. Input that is not C-contiguous is copied.

    References
    ----------
    .. [1] J. Demmel and K. Veselic, "Jacobi's method is more accurate than QR", SIAM Journal on
       Matrix Analysis and Applications 13, 1992.
    .. [2] P. P. M. de Rijk, "A one-sided Jacobi algorithm for computing the singular value
       decomposition on a vector computer", SIAM Journal on Scientific and Statistical Computing
       10, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.linalg.svd(np.array([[3.0, 0.0], [0.0, -4.0]])).S
    array([4., 3.])
    """
    if hermitian:
        return _svd_hermitian(a, compute_uv)
    result = svd_plain(a, full_matrices, compute_uv)
    if result is None:

        def from_numpy(x: Any) -> Any:
            check_converges(x, SVD_FAILURE)
            return LAPACK.svd(x, full_matrices, compute_uv)

        result = unary(
            a,
            svd_plain,
            from_numpy,
            (bool(full_matrices), bool(compute_uv)),
            square=False,
            failure=SVD_FAILURE,
        )
    return SVDResult(*result) if compute_uv else result


def _svd_hermitian(a: Any, compute_uv: bool) -> Any:
    """By eigh: the sign of an eigenvalue goes to its right vector."""
    if has_override(a) and not isinstance(a, np.ma.MaskedArray):
        return LAPACK.svd(a, True, compute_uv, True)
    if not compute_uv:
        return np.sort(abs(eigvalsh(a)))[..., ::-1]
    values, vectors = eigh(a)
    order = np.argsort(abs(values))[..., ::-1]
    values = np.take_along_axis(values, order, axis=-1)
    u = np.take_along_axis(vectors, order[..., None, :], axis=-1)
    vh = np.swapaxes(u * np.copysign(1, values)[..., None, :], -1, -2).conj()
    return SVDResult(u, abs(values), vh)


def pinv(
    a: npt.ArrayLike, rcond: Any = None, hermitian: bool = False, *, rtol: Any = _NO_VALUE
) -> Any:
    r"""Moore-Penrose pseudo-inverses, with the semantics of `numpy.linalg.pinv`.

    .. math:: A^+ = V \operatorname{diag}(s^+) U^T, \quad s_i^+ = 1 / s_i \text{ or } 0

    Parameters
    ----------
    a : array_like, shape (..., n_rows, n_cols)
    rcond : array_like of float, optional
        Singular values up to `rcond` times the largest count as 0; 1e-15 unless `rtol` is given.
        An array holds a number for each matrix.
    hermitian : bool, default False
        The matrices are symmetric: computed by `eigh`.
    rtol : array_like of float, optional
        The same as `rcond`; None stands for max(n_rows, n_cols) times the machine epsilon.

    Returns
    -------
    ndarray, shape (..., n_cols, n_rows)
        float32 for float32, else float64. Complex matrices go to `numpy.linalg.pinv`.

    Raises
    ------
    numpy.linalg.LinAlgError
        `a` has less than two axes, or holds a NaN or an infinity, so that nothing converges.
    ValueError
        Both `rcond` and `rtol` are given.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    As for `svd`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.linalg.pinv(np.array([[2.0, 0.0], [0.0, 0.0]]))
    array([[0.5, 0. ],
           [0. , 0. ]])
    """
    if rcond is None and rtol is _NO_VALUE and not hermitian:
        result = pinv_plain(a, 1e-15)
        if result is not None:
            return result

    def from_numpy(x: Any) -> Any:
        check_converges(x, SVD_FAILURE)
        return LAPACK.pinv(x, rcond, hermitian, rtol=rtol)

    arrays = small_arrays((a, "a"))
    if arrays is None:
        return from_numpy(a)
    (x,) = arrays
    if rcond is not None or rtol is _NO_VALUE:
        cutoff = 1e-15 if rcond is None else rcond
    elif rtol is not None:
        cutoff = rtol
    elif x.ndim >= 2 and np.asarray(a).dtype.kind == "f":
        cutoff = max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)
    else:
        return from_numpy(a)
    both = rcond is not None and rtol is not _NO_VALUE
    if both or hermitian or np.ndim(cutoff) or not isinstance(cutoff, (int, float, np.floating)):
        return _pinv_by_svd(x, cutoff, hermitian) if _can_compose(x, both) else from_numpy(a)
    return unary(x, pinv_plain, from_numpy, (float(cutoff),), square=False, failure=SVD_FAILURE)


def _can_compose(x: Any, both: bool) -> bool:
    return not both and x.ndim >= 2 and x.size > 0


def _pinv_by_svd(x: Any, rcond: Any, hermitian: bool) -> Any:
    """With a cutoff for each matrix, or from eigenvectors."""
    u, s, vh = svd(x, full_matrices=False, hermitian=hermitian)
    large = s > np.asarray(rcond)[..., None] * s.max(axis=-1, keepdims=True)
    inverse = np.divide(1, s, where=large, out=np.zeros_like(s))
    return np.matmul(np.swapaxes(vh, -1, -2), inverse[..., None] * np.swapaxes(u, -1, -2))


def lstsq(a: npt.ArrayLike, b: npt.ArrayLike, rcond: float | None = None) -> Any:
    r"""Least-squares solution of one system, with the semantics of `numpy.linalg.lstsq`.

    .. math:: \min_x |A x - b|_2, \text{ of these the } x \text{ with the least } |x|_2

    Parameters
    ----------
    a : array_like, shape (n_rows, n_cols)
    b : array_like, shape (n_rows,) or (n_rows, n_rhs)
    rcond : float, optional
        Singular values up to `rcond` times the largest count as 0. By default the machine epsilon
        of float64 times max(n_rows, n_cols); not between 0 and 1: half the machine epsilon.

    Returns
    -------
    x : ndarray, shape (n_cols,) or (n_cols, n_rhs)
    residuals : ndarray, shape (n_rhs,), (1,) or (0,)
        Sums of squares of a x - b; empty unless a has full rank and more rows than columns.
    rank : int
    s : ndarray, shape (min(n_rows, n_cols),)
        Singular values. dtypes as for `solve`.

    Raises
    ------
    numpy.linalg.LinAlgError
        Shapes that do not fit, or a NaN or an infinity in `a`, so that nothing converges.
    TypeError
        A masked array, or a dtype that NumPy does not take.

    Notes
    -----
    By the singular value decomposition of `svd` up to 32 rows, columns and right-hand sides, by
    LAPACK above.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> x, residuals, rank, s = fm.linalg.lstsq(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))
    >>> float(round(x[0], 12)), rank
    (2.0, 1)
    """
    arrays = small_arrays((a, "a"), (b, "b"))
    if arrays is None:
        check_converges(a, LSTSQ_FAILURE)
        return LAPACK.lstsq(a, b, rcond)
    x, y = arrays
    is_vector = y.ndim == 1
    columns = y[:, None] if is_vector else y
    unit = float(np.finfo(np.float64).eps)
    if rcond is None:
        cutoff = unit * max(x.shape, default=1)
    else:
        cutoff = float(rcond) if 0 < rcond < 1 else unit / 2  # as LAPACK's gelsd
    parts = lstsq_plain(x, columns, cutoff)
    if parts is None:
        if x.shape[:1] == columns.shape[:1]:
            check_converges(x, LSTSQ_FAILURE)
        return LAPACK.lstsq(x, y, rcond)
    solution, residuals, rank, s = parts
    n_rows, n_cols = x.shape
    if rank != n_cols or n_rows <= n_cols:
        residuals = residuals[:0]
    return solution[:, 0] if is_vector else solution, residuals, rank, s
