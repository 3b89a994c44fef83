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

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from ._arrays import FloatArray
from ._eigen import fix_signs, tolerance
from ._gram import gram_of, gram_pairs, in_square_range
from ._kernels.projections import rotate_block
from ._krylov import (
    Pairs,
    Small,
    estimated_limit,
    gram_f64,
    leading_pairs,
    make_rng,
    orthonormalise,
    random_block,
)
from ._lapack import eigh, svd
from ._operators import Dense, OutOfRange, as_operator, check_range, product
from ._options import count, steps_or_auto

METHODS = ("auto", "randomized", "power", "krylov")
# The Gram matrix takes m n^2 operations, block Lanczos 4 m n for each of some 3 k vectors.
GRAM_COLUMNS = 16
IMAGE_BYTES = 16 << 20  # of A V that are kept along the way


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
    basis: FloatArray  # (n, width): what v was chosen from, orthonormal


def svd_topk(
    a: Any,
    k: int,
    *,
    method: Literal["auto", "randomized", "power", "krylov"] = "auto",
    n_oversamples: int | None = None,
    n_iter: int | Literal["auto"] = "auto",
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
        Vectors that are iterated beyond k, at least: 10 for 'power' and 'randomized', none for
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
    widened to a multiple of 64 bytes, which costs nothing. Work and accuracy are what `tol` asks
    for: 1e-2 takes half the steps of the default.

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
    k = count(k, "k", 1, smaller, f", the smaller side of {operator.shape}")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(map(repr, METHODS))}")
    if n_oversamples is None:
        n_oversamples = 0 if method in ("auto", "krylov") else 10
    n_oversamples = count(n_oversamples, "n_oversamples", 0)
    n_steps = steps_or_auto(n_iter, "n_iter")
    wanted = tolerance(tol, operator.dtype)
    source = make_rng(rng)
    is_wide = operator.shape[0] < operator.shape[1]
    if is_wide:
        operator = operator.transposed()
    width = block_of(k, n_oversamples, smaller, operator.dtype)

    def solve(operator: Any, start: FloatArray) -> Triplets:
        if method == "randomized" or (method == "power" and n_steps is not None):
            n = default_steps(k, operator.shape) if n_steps is None else n_steps
            return subspace_triplets(operator, start, k, n)
        if method == "power":
            return subspace_until(operator, start, k, wanted)
        return best_triplets(operator, start, k, wanted, method, n_steps, source)

    start = random_block(source, smaller, width, operator.dtype)
    found, factor = in_range(solve, operator, start)
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


def in_range(
    solve: Callable[[Any, FloatArray], Triplets], operator: Any, start: FloatArray
) -> tuple[Triplets, float]:
    """solve(operator, start), of the operator times a power of two where A^T A leaves the range."""
    try:
        return solve(operator, start.copy()), 1.0
    except OutOfRange as error:
        return solve(operator.scaled(error.factor), start), error.factor


def default_steps(k: int, shape: tuple[int, int]) -> int:
    return 7 if k < 0.1 * min(shape) else 4


def block_of(k: int, n_oversamples: int, smaller: int, dtype: np.dtype[Any]) -> int:
    """How many vectors are iterated: whole cache lines of them where a few more do that."""
    line = 64 // dtype.itemsize
    width = k + n_oversamples
    return min(smaller, -(-width // line) * line)


def narrow_block(operator: Any) -> int:
    """Vectors that are iterated until the residuals are small: narrow blocks need fewer in all, and
    a line of the cache of them is the least that a product with an array has the time of.
    """
    return 64 // int(operator.dtype.itemsize) if isinstance(operator, Dense) else 8


class Normal:
    """X -> A^T A X for `leading_pairs`; A X is kept while that is cheaper than A V in the end."""

    def __init__(self, operator: Any, width: int):
        self.operator = operator
        n_rows, n_columns = operator.shape
        self.images: list[FloatArray] | None = None
        if isinstance(operator, Dense) and n_columns >= 40 * width:
            self.images = []
            self.most = IMAGE_BYTES // (n_rows * width * operator.dtype.itemsize)

    def __call__(self, x: FloatArray) -> FloatArray:
        if self.images is not None and len(self.images) >= self.most:
            self.images = None
        z, y = self.operator.normal(x, want_y=self.images is not None)
        if self.images is not None:
            self.images.append(y)
        return np.asarray(check_range(self.operator, z))

    def image(self, pairs: Pairs) -> FloatArray:
        """A times the vectors of the pairs."""
        if self.images is None or pairs.coordinates is None:
            return np.asarray(self.operator.forward(pairs.vectors))
        # Blocks of an earlier attempt come first.
        at, total = len(pairs.coordinates) - sum(block.shape[1] for block in self.images), None
        for block in self.images:
            end = at + block.shape[1]
            if at < 0:
                at = end
                continue
            part = product(block, pairs.coordinates[at:end].astype(block.dtype))
            total, at = part if total is None else np.add(total, part, out=total), end
        assert total is not None
        return total


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
    basis: FloatArray | None = None,
    is_near: bool = False,
) -> Triplets:
    """Gram matrix or block Lanczos, and on with the other where the first was not exact enough.

    `basis` holds the vectors that the Gram matrix tells, where they are known. `start` is random,
    or is_near: what it spans comes near to the vectors already.

    The last step takes as many vectors as the block is wide: rounding errors of A^T A that mix
    small singular values are undone in it. Without `residuals` it projects on the left, which is
    half a step more.
    """
    smaller, width = start.shape
    block = min(width, narrow_block(operator)) if n_steps is None and not is_near else width
    patience = np.inf
    if method == "auto" and n_steps is None and isinstance(operator, Dense):
        # Products with a block that cost as much as the Gram matrix.
        patience = 1 + smaller / (4 * block)
        if basis is not None or smaller <= GRAM_COLUMNS * k:
            if basis is None:
                found = gram_triplets(operator, k, width, wanted, rng)
            else:
                found = triplets_from(operator, basis, k)
            if (found.residuals <= wanted * found.s[0]).all():
                return found
            start, block, patience = found.basis, width, np.inf
    if width >= smaller:
        eye = np.eye(smaller, dtype=operator.dtype)
        return triplets_from(operator, eye, k)
    start = np.ascontiguousarray(start[:, :block])
    normal = Normal(operator, block)
    limit = estimated_limit(wanted, operator.dtype)

    def excess(values: Small, lengths: Small, scale: float) -> float:
        """|A^T A v - s^2 v| = s |A^T u - s v|."""
        if n_steps is not None:
            return np.inf
        squares = np.maximum(values[:k], 0)
        limits = limit * np.sqrt(scale * squares)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.nan_to_num(lengths[:k] / limits, nan=0.0).max())

    pairs = leading_pairs(
        normal,
        start,
        width,
        "LA",
        max_products=300 if n_steps is None else max(n_steps, 1),
        excess=excess,
        rng=rng,
        n_sure=k,
        noise=8 * float(np.finfo(start.dtype).eps),
        patience=patience,
    )
    if pairs.gave_up:
        found = gram_triplets(operator, k, width, wanted, rng)
        if (found.residuals <= wanted * found.s[0]).all():
            return found._replace(n_passes=pairs.n_products + 1)
        return best_triplets(operator, found.basis, k, wanted, "krylov", None, rng, is_near=True)
    v, y = pairs.vectors, normal.image(pairs)
    z = v * pairs.values.astype(v.dtype) + pairs.rest
    found = project_right(operator, v, y, z, k) if residuals else project_left(operator, y, z, k)
    return found._replace(n_passes=pairs.n_products)


# ---- the last step ----


def triplets_from(operator: Any, v: FloatArray, k: int) -> Triplets:
    """The best k triplets with right vectors in the span of v, in one pass."""
    z, y = operator.normal(v, want_y=True)
    assert y is not None
    return project_right(operator, v, y, check_range(operator, z), k)


def project_right(operator: Any, v: FloatArray, y: FloatArray, z: FloatArray, k: int) -> Triplets:
    """The same from y = A v and z = A^T y; all three are used up."""
    if not y.any():
        return _of_zero(operator, k)
    dtype = y.dtype
    basis, turn = orthonormalise(v)
    inverse = np.linalg.inv(turn).astype(dtype)
    if np.abs(inverse - np.eye(len(inverse))).max() > np.finfo(dtype).eps:
        for block in (y, z):
            rotate_block(block, inverse, None)
    q, r = orthonormalise(y)
    left, s, right = svd(r)
    left, s, right = left[:, :k], s[:k], right[:k].T
    u = product(q, left.astype(dtype))
    v = product(basis, right.astype(dtype))
    is_steep = s[-1] <= s[0] / 30  # A^T Y / s has the rounding errors of s_1^2 / s then
    back = operator.adjoint(u) if is_steep else product(z, (right / s).astype(dtype))
    residuals = np.linalg.norm(back - v * s.astype(dtype), axis=0).astype(np.float64)
    return Triplets(u, s, v, residuals, 1, basis)


def _of_zero(operator: Any, k: int) -> Triplets:
    """LAPACK's choice for the matrix of zeros: the first unit vectors."""
    u, v = (np.eye(n, k, dtype=operator.dtype) for n in operator.shape)
    return Triplets(u, np.zeros(k), v, np.zeros(k), 1, v)


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
        check_range(operator, x)
    z, y = operator.normal(orthonormalise(x)[0], want_y=True)
    check_range(operator, z)
    found = project_left(operator, y, z, k)
    if residuals:
        rest = operator.forward(found.v) - found.u * found.s.astype(x.dtype)
        found = found._replace(residuals=np.linalg.norm(rest, axis=0).astype(np.float64))
    return found._replace(n_passes=n_steps + 1)


def project_left(operator: Any, y: FloatArray, z: FloatArray, k: int) -> Triplets:
    """A ~ Q Q^T A for Q of the range of y = A x, where z = A^T y: A^T Q is z R^-1."""
    if not y.any():
        return _of_zero(operator, k)
    q, r = orthonormalise(y)
    diagonal = np.abs(r.diagonal())
    if diagonal.min() > 1e3 * float(np.finfo(y.dtype).eps) ** 0.5 * diagonal.max():
        rotate_block(z, np.linalg.inv(r).astype(y.dtype), None)
    else:
        z = operator.adjoint(q)
    p, r = orthonormalise(z)
    right, s, left = svd(r)
    u = product(q, left[:k].T.astype(y.dtype))
    v = product(p, right[:, :k].astype(y.dtype))
    return Triplets(u, s[:k], v, np.zeros(k), 1, p)


def subspace_until(operator: Any, x: FloatArray, k: int, wanted: float) -> Triplets:
    """Subspace iteration until the residuals are small enough, 300 steps at most."""
    n_steps, is_done = 0, False
    while not is_done and n_steps < 300:
        n_steps += 1
        v = orthonormalise(x)[0]
        x, y = operator.normal(v, want_y=True)
        projected = gram_f64(y.astype(np.float64, copy=False))
        values, s = eigh(projected)
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


def gram_triplets(operator: Any, k: int, width: int, wanted: float, rng: Any) -> Triplets:
    with np.errstate(over="ignore", invalid="ignore"):
        gram = gram_of(operator.array, operator.mean)
    if not in_square_range(float(gram.trace(dtype=np.float64)), gram.dtype):
        check_range(operator, np.array([[np.inf]]))
    return triplets_from(operator, gram_pairs(gram, k, width, wanted, rng)[1], k)
