"""Power iteration and the extremal eigenpairs of symmetric matrices."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ._arrays import FloatArray, as_array
from ._krylov import (
    Pairs,
    choose,
    estimated_limit,
    leading_pairs,
    make_rng,
    orthonormalise,
    random_block,
)
from ._lapack import eigh_some
from ._norm import norm
from ._operators import Dense, Function, check_finite, largest_entry, square_operator
from ._options import count, number

WHICH = ("LM", "LA", "SA", "BE")
# Up to this order LAPACK solves the problem. For a covariance of order 200 all pairs take 3.4 ms,
# two by block Lanczos 2.5 ms; for a normal matrix 4 ms and 9 ms. The columns of a sparse matrix or
# an operator have to be asked for first.
SMALL_ARRAY, SMALL_ORDER = 200, 96


class PowerResult(NamedTuple):
    eigenvalue: float
    eigenvector: FloatArray
    residual: float
    n_iter: int
    converged: bool


class EighTopKResult(NamedTuple):
    eigenvalues: FloatArray
    eigenvectors: FloatArray
    residuals: FloatArray
    n_iter: int
    converged: bool


def fix_signs(vectors: FloatArray, *others: FloatArray) -> None:
    """In place: the entry of largest magnitude of each column positive; `others` follow."""
    if vectors.size == 0:
        return
    columns = np.ascontiguousarray(vectors.T)  # whose extremes NumPy finds in a tenth of the time
    highest, lowest = columns.max(axis=1), columns.min(axis=1)
    signs = np.where(highest < -lowest, -1, 1).astype(vectors.dtype)
    for at in np.flatnonzero(highest == -lowest):  # the first of them decides
        signs[at] = -1 if columns[at, np.argmax(np.abs(columns[at]))] < 0 else 1
    if (signs > 0).all():
        return
    for block in (vectors, *others):
        block *= signs


def tolerance(tol: Any, dtype: np.dtype[Any]) -> float:
    """The relative residual wanted: sqrt(eps) for None, and what rounding allows at least."""
    eps = float(np.finfo(dtype).eps)
    if tol is None:
        return float(np.sqrt(eps))
    if not (isinstance(tol, (int, float, np.number)) and 0 <= tol < np.inf):
        raise ValueError(f"tol is {tol!r}; expected None or a number >= 0")
    return max(float(tol), 32 * eps)


def safe_scale(operator: Any, image: FloatArray, power: int) -> float:
    """1, or the power of two by which A is to be multiplied for A^power to stay in range.

    `image` is A times a block of unit normal numbers.
    """
    exponent = 30 if image.dtype == np.float32 else 240
    size = float(np.abs(image).max()) if check_finite(operator, image) else np.inf
    if 2.0 ** -(exponent // power) < size < 2.0 ** (exponent // power):
        return 1.0
    largest = largest_entry(operator)
    return float(2.0 ** -np.frexp(largest)[1]) if 0 < largest < np.inf else 1.0


def power_iteration(
    a: Any,
    *,
    n: int | None = None,
    tol: float | None = None,
    max_iter: int = 1000,
    v0: Any = None,
    rng: Any = None,
    shift: float = 0.0,
) -> PowerResult:
    r"""Dominant eigenpair of a square matrix by power iteration.

    .. math:: v \leftarrow \frac{(A - \sigma I) v}{\lVert (A - \sigma I) v \rVert_2}, \qquad
              \lambda = v^T A v

    Parameters
    ----------
    a : {array_like, sparse matrix, LinearOperator, callable}
        Square, of shape (n, n), symmetric or not. A function gets a vector v of float64 and returns
        A v.
    n : int, optional
        The order; needed where `a` is a function.
    tol : float, optional
        Stop when the residual is at most ``tol * |eigenvalue|``; the square root of the machine
        epsilon if not given, and never less than 32 epsilon.
    max_iter : int, default 1000
        The largest number of products with A.
    v0 : array_like of shape (n,), optional
        Where to start; random if not given.
    rng : {None, int, Generator}, optional
        Source of the start, as for `numpy.random.default_rng`.
    shift : float, default 0.0
        :math:`\sigma`: the eigenvalue farthest from it is found. In the middle of the others it
        speeds convergence up most.

    Returns
    -------
    PowerResult
        ``eigenvalue``; ``eigenvector`` (n,) of unit length, its entry of largest magnitude
        positive; ``residual`` :math:`\lVert A v - \lambda v \rVert_2`, computed for this vector;
        ``n_iter``, the number of products; ``converged``.

    Raises
    ------
    ValueError
        `a` is not square, is empty, or holds NaN or infinity; `v0` has another shape or is zero;
        an option is out of range.
    TypeError
        A masked array, a dtype that is neither real nor boolean, or a function without `n`.

    Notes
    -----
    The residual shrinks by a factor of :math:`|\lambda_2 - \sigma| / |\lambda_1 - \sigma|` in each
    iteration. Where two eigenvalues share the largest magnitude (a complex pair, or
    :math:`\pm\lambda`) it does not, and ``converged`` is False. Each iteration reads A once;
    products with arrays and sparse matrices use all threads. float32 stays float32.

    References
    ----------
    .. [1] R. von Mises and H. Pollaczek-Geiringer, "Praktische Verfahren der Gleichungsauflösung",
       ZAMM 9, 1929.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> result = fm.power_iteration(np.array([[2.0, 1.0], [1.0, 2.0]]), rng=0)
    >>> print(round(result.eigenvalue, 6), result.converged)
    3.0 True
    """
    operator = square_operator(a, n)
    order, dtype = operator.shape[0], operator.dtype
    wanted = tolerance(tol, dtype)
    max_iter = count(max_iter, "max_iter")
    shift = number(shift, "shift", "(-inf, inf)")
    v = _start(v0, order, dtype, rng)
    v /= norm(v)
    image = operator.forward(v)
    factor = safe_scale(operator, image, 1)
    if factor != 1.0:
        if isinstance(operator, Function):
            raise ValueError("a(v) overflows or underflows; expected a better scaled function")
        operator = operator.scaled(factor)
        image = operator.forward(v)
    sigma = dtype.type(shift * factor)
    unsure = 8 * order * float(np.finfo(dtype).eps)
    n_iter = 1
    while True:
        value = float(np.dot(v[:, 0], image[:, 0]))
        size = float(norm(image))
        # v has unit length: |A v - value v|^2 = |A v|^2 - value^2, up to rounding.
        cosine = value / size if size > 0 else 1.0
        is_far = 1 - cosine * cosine > unsure + (wanted * cosine) ** 2
        if not (is_far and size < np.inf) or n_iter >= max_iter:
            residual = float(norm(image - v * dtype.type(value)))
            converged = size < np.inf and residual <= wanted * abs(value)
            if converged or n_iter >= max_iter or not size < np.inf:
                break
        step = image - sigma * v if sigma else image
        length = float(norm(step)) if sigma else size
        if length == 0:  # A - shift I maps v to nothing: v is an eigenvector already
            break
        v = step / dtype.type(length)
        image = operator.forward(v)
        n_iter += 1
    v = v.copy()  # a function may have kept the one that it was given
    fix_signs(v)
    return PowerResult(value / factor, v[:, 0], residual / factor, n_iter, bool(converged))


def _start(v0: Any, n: int, dtype: np.dtype[Any], rng: Any) -> FloatArray:
    """The first vector as a block of one."""
    if v0 is None:
        return random_block(make_rng(rng), n, 1, dtype)
    start = as_array(v0, "v0")
    if start.shape != (n,):
        raise ValueError(f"v0 has shape {start.shape}; expected ({n},)")
    column = start.astype(dtype).reshape(n, 1)
    largest = np.abs(column).max()
    if not 0 < largest < np.inf:
        raise ValueError("v0 is zero or not finite; expected a finite vector other than zero")
    return np.asarray(column / largest)


def eigh_topk(
    a: Any,
    k: int,
    *,
    n: int | None = None,
    which: Literal["LM", "LA", "SA", "BE"] = "LM",
    tol: float | None = None,
    max_iter: int = 1000,
    rng: Any = None,
) -> EighTopKResult:
    r"""k extremal eigenpairs of a symmetric matrix.

    .. math:: A v_i = \lambda_i v_i, \qquad v_i^T v_j = \delta_{ij}

    Parameters
    ----------
    a : {array_like, sparse matrix, LinearOperator, callable}
        Symmetric, of shape (n, n). That it is symmetric is not checked: of a large array one
        triangle is read, but in the end, and the residuals of one that is not symmetric tell. A
        function gets a vector v of float64 and returns A v.
    k : int
        How many, 1 to n.
    n : int, optional
        The order; needed where `a` is a function.
    which : {'LM', 'LA', 'SA', 'BE'}, default 'LM'
        Those of largest magnitude, the largest, the smallest, or half of them from each end (one
        more from the high end where k is odd).
    tol : float, optional
        Residuals wanted, relative to the largest eigenvalue in magnitude that was seen: the square
        root of the machine epsilon if not given, and never less than 32 epsilon. The error of an
        eigenvalue is of the order of the residual's square.
    max_iter : int, default 1000
        The largest number of products of A with a block of vectors.
    rng : {None, int, Generator}, optional
        Source of the first block, as for `numpy.random.default_rng`.

    Returns
    -------
    EighTopKResult
        ``eigenvalues`` (k,), the most wanted first: descending magnitude for 'LM', descending for
        'LA', ascending for 'SA' and 'BE'. ``eigenvectors`` (n, k), orthonormal columns, the entry
        of largest magnitude of each positive. ``residuals`` (k,):
        :math:`\lVert A v_i - \lambda_i v_i\rVert_2`, computed from the vectors returned.
        ``n_iter``, the number of block products; ``converged``, whether all residuals are as small
        as wanted.

    Raises
    ------
    ValueError
        `a` is not square, is empty, or holds NaN or infinity; `k` or an option is out of range.
    TypeError
        A masked array, a dtype that is neither real nor boolean, or a function without `n`.

    Notes
    -----
    Block Lanczos with full orthogonalisation and thick restarts [1]_ [2]_; LAPACK for small
    matrices and for a large share of the spectrum. Eigenvalues are found as often as they occur:
    where as many as a block has vectors are the same, within their residuals, wider blocks begin
    anew. float32 stays float32. Beside A there are up to about 2 k + 80 vectors of
    length n in memory.

    References
    ----------
    .. [1] G. Golub and R. Underwood, "The block Lanczos method for computing eigenvalues",
       Mathematical Software III, 1977.
    .. [2] K. Wu and H. Simon, "Thick-restart Lanczos method for large symmetric eigenvalue
       problems", SIAM J. Matrix Anal. Appl. 22(2), 2000.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.eigh_topk(np.diag([3.0, -5.0, 1.0]), 2).eigenvalues
    array([-5.,  3.])
    """
    operator = square_operator(a, n)
    order, dtype = operator.shape[0], operator.dtype
    k = count(k, "k", 1, order, ", the order of a")
    if which not in WHICH:
        raise ValueError(f"which is {which!r}; expected one of {', '.join(map(repr, WHICH))}")
    wanted = tolerance(tol, dtype)
    max_iter = count(max_iter, "max_iter")
    source = make_rng(rng)
    width = block_width(operator, k)
    start = random_block(source, order, width, dtype)
    factor = safe_scale(operator, operator.forward(start.copy()), 1)
    if factor != 1.0 and not isinstance(operator, Function):
        operator = operator.scaled(factor)
    else:
        factor = 1.0
    small = SMALL_ARRAY if isinstance(operator, Dense) else SMALL_ORDER
    if order <= max(small, 4 * k) and order <= 4096:
        pairs = solve_whole(operator, k, which)
    else:
        limit = estimated_limit(wanted, dtype)
        pairs = leading_pairs(
            operator.symmetric if isinstance(operator, Dense) else operator.forward,
            start,
            k,
            which,
            max_products=max_iter,
            excess=lambda _, residuals, scale: _ratio(residuals.max(), limit * scale),
            rng=source,
            loss=min(0.01 * wanted, float(np.finfo(dtype).eps) ** 0.75),
        )
    return _finish(operator, pairs, which, wanted, factor)


def _ratio(x: float, y: float) -> float:
    return float(x / y) if y > 0 else 0.0 if x == 0 else np.inf


def block_width(operator: Any, k: int) -> int:
    """Narrow blocks need fewer columns in all, wide ones fewer products, which cost the less for
    each column. Eight float64 columns are a line of the cache and make up half of a tile.
    """
    n = int(operator.shape[1])
    if isinstance(operator, Dense):
        return min(n, 2 if k <= 2 else 4 if k <= 4 else 8)
    return min(n, 4 if k <= 4 else 6)


def solve_whole(operator: Any, k: int, which: str) -> Pairs:
    """LAPACK on the whole matrix, for a few pairs or for all."""
    if isinstance(operator, Dense):
        matrix = operator.array
    else:
        matrix = operator.forward(np.eye(operator.shape[1], dtype=operator.dtype))
    some = eigh_some(matrix, k, which)
    if some is None:
        values, vectors = np.linalg.eigh(matrix)
    else:
        values, vectors = some[0], orthonormalise(np.ascontiguousarray(some[1]))[0]
    wanted = choose(values.astype(np.float64), k, which)
    # Of all eigenvalues, or as much as the norm of the matrix says of them.
    scale = max(float(np.abs(values).max()), float(np.linalg.norm(matrix)) / len(matrix) ** 0.5)
    vectors = np.ascontiguousarray(vectors[:, wanted])
    nothing = vectors[:, :0]
    values = values[wanted].astype(np.float64)
    return Pairs(values, np.zeros(k), vectors, nothing, None, 1, scale)


def _finish(
    operator: Any, pairs: Pairs, which: str, wanted: float, factor: float
) -> EighTopKResult:
    """Orthonormal within rounding, residuals from the vectors that are returned, signs, order."""
    dtype = operator.dtype
    vectors, values = pairs.vectors, pairs.values
    if pairs.n_products > 1:
        vectors, _ = orthonormalise(vectors)
    image = operator.forward(vectors)
    if pairs.n_products > 1:
        values = np.einsum("ij,ij->j", vectors, image, dtype=np.float64)
    if which == "BE":
        order = np.argsort(values, kind="stable")
    else:
        key = {"LM": -np.abs(values), "LA": -values, "SA": values}[which]
        order = np.argsort(key, kind="stable")
    image -= vectors * values.astype(dtype)
    residuals = np.sqrt(np.einsum("ij,ij->j", image, image, dtype=np.float64)).astype(dtype)
    converged = bool((residuals <= wanted * pairs.scale).all())
    vectors = vectors.take(order, axis=1)
    fix_signs(vectors)
    return EighTopKResult(
        (values[order] / factor).astype(dtype),
        vectors,
        residuals[order] / dtype.type(factor),
        pairs.n_products,
        converged,
    )
