"""The k leading singular triplets, and principal components.

A tall A is looked at through A^T A, in one of two ways:

    as a matrix      the Gram matrix at half the operations of a product; LAPACK or block Lanczos
                     on it. Wins where A has few columns: m n^2 operations for any accuracy
    as an operator   block Lanczos on X -> A^T (A X), which reads A once a step: 4 m n operations
                     for each vector of each step. Needs fewer steps than subspace iteration, since
                     all blocks stay in the space

What both lose of the small singular values (those below sqrt(eps) s_1 vanish in A^T A) comes back
in the last step: Y = A V of the right vectors found, Y = Q R, and the SVD of the small R. Its other
half, A^T Y, comes from the same pass over A and gives the residuals: A V = U S holds by
construction, |A^T u - s v| is what is left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._arrays import FloatArray
from ._eigen import fix_signs, positive_integer, safe_scale, tolerance
from ._kernels.power import subtract_mean
from ._kernels.products import gram_plain
from ._krylov import Small, extremal_pairs, make_rng, orthonormalise, random_block
from ._operators import Dense, as_operator, check_finite, product

METHODS = ("auto", "randomized", "power", "krylov")
# float32 with at most so many columns has its Gram matrix summed in float64.
WIDE_SUMS = 256
CHUNK_ROWS = 12_288  # of a Gram matrix of centred or widened rows: four segments of a long product
CHUNK_BYTES = 8 << 20


class SVDTopKResult(NamedTuple):
    U: FloatArray
    S: FloatArray
    Vh: FloatArray
    residuals: FloatArray
    n_iter: int
    converged: bool


class Triplets(NamedTuple):
    u: FloatArray  # (m, k)
    s: Small
    v: FloatArray  # (n, k)
    residuals: Small
    n_passes: int


def svd_topk(
    a: Any,
    k: int,
    *,
    method: str = "auto",
    n_oversamples: int | None = None,
    n_iter: int | str = "auto",
    tol: float | None = None,
    rng: Any = None,
) -> SVDTopKResult:
    r"""k leading singular values and vectors of a matrix.

    .. math:: A \approx U\,\mathrm{diag}(S)\,V^T

    Parameters
    ----------
    a : {array_like, sparse matrix, LinearOperator} of shape (n_rows, n_cols)
    k : int
        How many, 1 to min(n_rows, n_cols).
    method : {'auto', 'krylov', 'power', 'randomized'}, default 'auto'
        'krylov' is block Lanczos on A^T A; 'power' is subspace iteration; 'randomized' is the same
        with scikit-learn's number of steps and no look at the residuals. 'auto' takes the Gram
        matrix where the matrix is narrow enough, LAPACK where it is small, else 'krylov'.
    n_oversamples : int, optional
        Vectors that are iterated beyond k, at least: 10 for 'power' and 'randomized', 2 for
        'krylov' and 'auto', which keep all former blocks.
    n_iter : int or 'auto', default 'auto'
        The number of steps, each of which is a product with A^T A. 'auto' goes on until the
        residuals are small enough, 300 steps at most; for 'randomized' 7 steps, 4 where k is more
        than a tenth of the smaller dimension.
    tol : float, optional
        Residuals wanted, relative to the largest singular value; the square root of the machine
        epsilon if not given, and never less than 32 epsilon.
    rng : {None, int, Generator}, optional
        Source of the first block, as for `numpy.random.default_rng`.

    Returns
    -------
    SVDTopKResult
        ``U`` (n_rows, k) and ``Vh`` (k, n_cols), orthonormal, the entry of largest magnitude of
        each column of ``U`` positive; ``S`` (k,) descending; ``residuals`` (k,):
        :math:`(\lVert A v_i - s_i u_i \rVert^2 + \lVert A^T u_i - s_i v_i \rVert^2)^{1/2}`;
        ``n_iter``, the number of products with A^T A; ``converged``, whether all residuals are as
        small as wanted.

    Raises
    ------
    ValueError
        `a` is not a matrix, is empty, or holds NaN or infinity; `k` or an option is out of range.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    float32 stays float32. Singular values are accurate to about the square of the residual, and
    never worse than a few epsilon times the largest. Those of a rank-deficient matrix beyond
    its rank are about 0, and their vectors orthonormal to the others. The block of vectors is
    widened to a multiple of 64 bytes, which costs nothing.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, "Finding structure with randomness", SIAM
       Review 53(2), 2011.
    .. [2] C. Musco and C. Musco, "Randomized block Krylov methods for stronger and faster
       approximate singular value decomposition", NeurIPS 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.svd_topk(np.diag([3.0, 5.0, 1.0]), 2).S
    array([5., 3.])
    """
    operator = as_operator(a)
    smaller = min(operator.shape)
    k = positive_integer(k, "k", smaller, f", the smaller side of {operator.shape}")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(map(repr, METHODS))}")
    if n_oversamples is None:
        n_oversamples = 2 if method in ("auto", "krylov") else 10
    n_oversamples = check_count(n_oversamples, "n_oversamples")
    n_steps = None if n_iter == "auto" else check_count(n_iter, "n_iter")
    wanted = tolerance(tol, operator.dtype)
    source = make_rng(rng)
    is_wide = operator.shape[0] < operator.shape[1]
    if is_wide:
        operator = operator.transposed()
    width = block_of(k, n_oversamples, smaller, operator.dtype)
    start = random_block(source, smaller, width, operator.dtype)
    factor = safe_scale(operator, operator.forward(start), 2)
    if factor != 1.0:
        operator = operator.scaled(factor)
    if method == "randomized" or (method == "power" and n_steps is not None):
        n_steps = default_steps(k, operator.shape) if n_steps is None else n_steps
        found = subspace_triplets(operator, start, k, n_steps)
    elif method == "power":
        found = subspace_until(operator, start, k, wanted)
    else:
        found = best_triplets(operator, start, k, wanted, method, n_steps, source)
    u, v = (found.v, found.u) if is_wide else (found.u, found.v)
    fix_signs(u, v)
    dtype = operator.dtype
    return SVDTopKResult(
        u,
        (found.s / factor).astype(dtype),
        np.ascontiguousarray(v.T),
        (found.residuals / factor).astype(dtype),
        found.n_passes,
        bool((found.residuals <= wanted * found.s[0]).all()),
    )


def check_count(value: Any, name: str) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}; expected an integer")
    if value < 0:
        raise ValueError(f"{name} is {value}; expected at least 0")
    return int(value)


def default_steps(k: int, shape: tuple[int, int]) -> int:
    return 7 if k < 0.1 * min(shape) else 4


def block_of(k: int, n_oversamples: int, smaller: int, dtype: np.dtype[Any]) -> int:
    """How many vectors are iterated: whole cache lines of them where a few more do that."""
    line = 64 // dtype.itemsize
    width = k + n_oversamples
    return min(smaller, -(-width // line) * line)


def best_triplets(
    operator: Any,
    start: FloatArray,
    k: int,
    wanted: float,
    method: str,
    n_steps: int | None,
    rng: Any,
    *,
    residuals: bool = True,
) -> Triplets:
    """Gram matrix or block Lanczos, and on with the other where the first was not exact enough.

    The last step takes as many vectors as the block is wide: rounding errors of A^T A that mix
    small singular values are undone in it.
    """
    smaller, width = start.shape
    is_free = method == "auto" and n_steps is None
    if is_free and isinstance(operator, Dense) and smaller <= max(24 * width, 128):
        found = gram_triplets(operator, k, rng)
        if (found.residuals <= wanted * found.s[0]).all():
            return found
        start[:, : found.v.shape[1]] = found.v
    if width >= smaller:
        return triplets_from(operator, np.eye(smaller, dtype=operator.dtype), k)
    max_products = 300 if n_steps is None else max(n_steps, 1)

    def accept(values: Small, lengths: Small, scale: float) -> bool:
        """|A^T A v - s^2 v| = s |A^T u - s v|."""
        if n_steps is not None:
            return False
        squares = np.maximum(values[:k], 0)
        return bool((lengths[:k] ** 2 <= 0.8 * wanted**2 * scale * squares).all())

    pairs = extremal_pairs(
        lambda x: operator.normal(x)[0],
        start,
        width,
        "LA",
        size=7 * width,
        max_products=max_products,
        accept=accept,
        rng=rng,
    )
    v, _ = orthonormalise(pairs.vectors)
    if residuals:
        found = triplets_from(operator, v, k)
    else:
        z, y = operator.normal(v, want_y=True)
        found = project_left(y, z, operator, k)
    return found._replace(n_passes=found.n_passes + pairs.n_products)


# ---- the last step ----


def triplets_from(operator: Any, v: FloatArray, k: int) -> Triplets:
    """The best k triplets with right vectors in the span of the orthonormal v, in one pass."""
    z, y = operator.normal(v, want_y=True)
    assert y is not None
    if not y.any():
        return _of_zero(operator, k)
    q, r = orthonormalise(y)
    left, s, right = np.linalg.svd(r)
    left, s, right = left[:, :k], s[:k], right[:k].T
    u = product(q, left.astype(y.dtype))
    v = product(v, right.astype(y.dtype))
    is_steep = s[-1] <= s[0] / 30  # A^T Y / s has the rounding errors of s_1^2 / s then
    back = operator.adjoint(u) if is_steep else product(z, (right / s).astype(y.dtype))
    residuals = np.linalg.norm(back - v * s.astype(y.dtype), axis=0).astype(np.float64)
    return Triplets(u, s, v, residuals, 1)


def _of_zero(operator: Any, k: int) -> Triplets:
    """LAPACK's choice for the matrix of zeros: the first unit vectors."""
    u, v = (np.eye(n, k, dtype=operator.dtype) for n in operator.shape)
    return Triplets(u, np.zeros(k), v, np.zeros(k), 1)


# ---- subspace iteration ----


def subspace_triplets(
    operator: Any,
    x: FloatArray,
    k: int,
    n_steps: int,
    *,
    normalise: bool = True,
    residuals: bool = True,
) -> Triplets:
    """n_steps products with A^T A from x, then the SVD of Q^T A for Q of the range of A X."""
    for _ in range(n_steps):
        x = operator.normal(orthonormalise(x)[0] if normalise else x)[0]
    z, y = operator.normal(orthonormalise(x)[0], want_y=True)
    found = project_left(y, z, operator, k)
    if residuals:
        rest = operator.forward(found.v) - found.u * found.s.astype(x.dtype)
        found = found._replace(residuals=np.linalg.norm(rest, axis=0).astype(np.float64))
    return found._replace(n_passes=n_steps + 1)


def project_left(y: FloatArray, z: FloatArray, operator: Any, k: int) -> Triplets:
    """A ~ Q Q^T A for Q of the range of y = A x, where z = A^T y: A^T Q is z R^-1."""
    if not y.any():
        return _of_zero(operator, k)
    q, r = orthonormalise(y)
    diagonal = np.abs(r.diagonal())
    if diagonal.min() > 1e3 * float(np.finfo(y.dtype).eps) ** 0.5 * diagonal.max():
        b = product(z, np.linalg.inv(r).astype(y.dtype))
    else:
        b = operator.adjoint(q)
    p, r = orthonormalise(b)
    right, s, left = np.linalg.svd(r)
    u = product(q, left[:k].T.astype(y.dtype))
    v = product(p, right[:, :k].astype(y.dtype))
    return Triplets(u, s[:k], v, np.zeros(k), 1)


def subspace_until(operator: Any, x: FloatArray, k: int, wanted: float) -> Triplets:
    """Subspace iteration until the residuals are small enough, 300 steps at most."""
    n_steps, is_done = 0, False
    while not is_done and n_steps < 300:
        n_steps += 1
        v = orthonormalise(x)[0]
        x, y = operator.normal(v, want_y=True)
        projected = y.T.astype(np.float64) @ y
        values, s = np.linalg.eigh(projected)
        top = s[:, ::-1][:, :k]
        rest = product(x, top.astype(x.dtype)) - product(v, top.astype(x.dtype)) * values[::-1][
            :k
        ].astype(x.dtype)
        lengths = np.linalg.norm(rest, axis=0)
        bound = 0.5 * wanted * np.sqrt(values[-1] * np.maximum(values[::-1][:k], 0))
        is_done = bool((lengths <= bound).all())
    found = triplets_from(operator, orthonormalise(x)[0], k)
    return found._replace(n_passes=n_steps + 1)


# ---- the Gram matrix ----


def gram_triplets(operator: Any, k: int, rng: Any) -> Triplets:
    array = operator.array
    return triplets_from(operator, gram_vectors(gram_of(array), k, array.dtype, rng), k)


def gram_of(array: FloatArray, mean: Small | None = None) -> FloatArray:
    """Gram matrix of array - mean; of few columns in float64, since that costs little then.

    Where rows are centred or widened, that is done a chunk at a time, which stays in the L3 cache.
    """
    n_rows, n = array.shape
    dtype = np.dtype(np.float64) if n <= WIDE_SUMS else array.dtype
    total = np.zeros((n, n), dtype)
    if mean is None and dtype == array.dtype:
        gram_plain(array, total)
        return total
    step = min(n_rows, max(CHUNK_BYTES // (n * dtype.itemsize), 1))
    if step > CHUNK_ROWS:
        step = step // CHUNK_ROWS * CHUNK_ROWS
    shift = np.zeros(n) if mean is None else mean
    rows, part = np.empty((step, n), dtype), np.empty((n, n), dtype)
    for first in range(0, n_rows, step):
        chunk = array[first : first + step]
        subtract_mean(chunk, shift, rows[: len(chunk)])
        gram_plain(rows[: len(chunk)], part)
        total += part
    return total


def gram_vectors(gram: FloatArray, k: int, dtype: np.dtype[Any], rng: Any) -> FloatArray:
    """An orthonormal basis of the k leading eigenvectors."""
    n = len(gram)
    check_finite(Dense(gram), gram[:1])
    if n > 200 and 6 * k < n:
        width = min(n, k + max(2, k // 8))
        limit = 8 * float(np.finfo(gram.dtype).eps)
        pairs = extremal_pairs(
            lambda x: product(gram, x),
            random_block(rng, n, width, gram.dtype),
            k,
            "LA",
            size=k + 8 * width,
            max_products=60,
            accept=lambda _, residuals, scale: bool(residuals.max() <= limit * scale),
            rng=rng,
        )
        return orthonormalise(pairs.vectors.astype(dtype, copy=False))[0]
    _, vectors = np.linalg.eigh(gram)
    return np.ascontiguousarray(vectors[:, : -k - 1 : -1], dtype=dtype)
