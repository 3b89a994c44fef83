"""Principal components and scikit-learn's randomized SVD."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._arrays import FloatArray, as_array
from ._eigen import fix_signs, positive_integer, tolerance
from ._kernels.power import subtract_mean
from ._krylov import make_rng, random_block
from ._operators import Dense, as_matrix, as_operator, check_finite, product
from ._svd import (
    CHUNK_BYTES,
    Triplets,
    best_triplets,
    block_of,
    check_count,
    default_steps,
    gram_of,
    gram_triplets,
    gram_vectors,
    in_range,
    in_square_range,
    triplets_from,
)


class PCAResult(NamedTuple):
    components: FloatArray
    explained_variance: FloatArray
    explained_variance_ratio: FloatArray
    singular_values: FloatArray
    mean: FloatArray
    scores: FloatArray


def pca(x: Any, k: int, *, rng: Any = None) -> PCAResult:
    r"""Principal components: the k directions in which the rows of x vary most.

    .. math:: x - \mu = U\,\mathrm{diag}(s)\,V^T, \qquad
              \mathrm{components} = V^T, \quad \mathrm{scores} = U\,\mathrm{diag}(s), \quad
              \mathrm{explained\ variance} = \frac{s^2}{n_{rows} - 1}

    Parameters
    ----------
    x : array_like, shape (n_rows, n_features)
        At least two rows. float32 and float64 are computed as they are, float16 in float32,
        integers and booleans in float64.
    k : int
        How many, 1 to min(n_rows, n_features).
    rng : {None, int, Generator}, optional
        Source of random blocks where the iterative methods are used, as for
        `numpy.random.default_rng`.

    Returns
    -------
    PCAResult
        ``components`` (k, n_features), orthonormal rows, the entry of largest magnitude of each
        positive (as in scikit-learn); ``explained_variance`` (k,), descending;
        ``explained_variance_ratio`` (k,), its share of the whole variance; ``singular_values`` (k,)
        of the centred x; ``mean`` (n_features,); ``scores`` (n_rows, k), the coordinates of the
        rows of x.

    Raises
    ------
    ValueError
        `x` is not two-dimensional, has less than two rows, or holds NaN or infinity; `k` is out of
        range.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    Rows are centred in blocks as they are read; only an x with more features than rows is copied.
    The Gram matrix of the features (up to 256 of them summed in float64) gives the components where
    they are few enough, block Lanczos where they are not, until the residuals of the singular
    vectors are below the square root of epsilon times the largest singular value.

    References
    ----------
    .. [1] K. Pearson, "On lines and planes of closest fit to systems of points in space",
       Philosophical Magazine 2(11), 1901.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> result = fm.pca(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), 1)
    >>> result.components
    array([[0.6, 0.8]])
    >>> result.scores[:, 0]
    array([-5.,  0.,  5.])
    """
    array = as_array(x, "x")
    if array.ndim != 2:
        raise ValueError(f"x has shape {array.shape}; expected a matrix")
    rows = as_matrix(array, "x")
    n_rows, n_features = rows.shape
    if n_rows < 2:
        raise ValueError(f"x has shape {rows.shape}; expected at least two rows")
    k = positive_integer(k, "k", min(rows.shape), f", the smaller side of {rows.shape}")
    source = make_rng(rng)
    mean, factor = column_mean(rows)
    if factor != 1.0:
        rows = rows * rows.dtype.type(factor)
        mean = mean * factor
    found, total = _components(rows, mean, k, source)
    if factor == 1.0 and not in_square_range(total, rows.dtype):
        check_finite(Dense(rows), np.array([np.inf]), "x")
        largest = float(np.abs(rows - mean.astype(rows.dtype)).max())
        if largest > 0:
            factor = float(2.0 ** -np.frexp(largest)[1])
            rows = (rows - mean.astype(rows.dtype)) * rows.dtype.type(factor)
            found, total = _components(rows, np.zeros(n_features), k, source)
            mean = mean * factor
    dtype = rows.dtype
    scores = found.u * found.s.astype(dtype)
    fix_signs(found.v, scores)
    singular_values = found.s / factor
    ratio = found.s**2 / total if total > 0 else np.zeros(k)
    with np.errstate(over="ignore", under="ignore"):  # a variance may exceed the dtype
        return PCAResult(
            np.ascontiguousarray(found.v.T),
            (singular_values**2 / (n_rows - 1)).astype(dtype),
            ratio.astype(dtype),
            singular_values.astype(dtype),
            (mean / factor).astype(dtype),
            scores if factor == 1.0 else scores / dtype.type(factor),
        )


def column_mean(rows: FloatArray) -> tuple[FloatArray, float]:
    """The mean in float64, and the power of two by which rows must be scaled for it not to
    overflow; sums in the dtype over a few thousand rows, then in float64.
    """
    n_rows, n_features = rows.shape
    step = max(4096, (1 << 20) // n_features)
    total = np.zeros(n_features)
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, n_rows, step):
            chunk = rows[first : first + step]
            total += product(np.ones((1, len(chunk)), rows.dtype), chunk)[0]
    if np.isfinite(total).all():
        return total / n_rows, 1.0
    check_finite(Dense(rows), np.array([np.inf]), "x")
    factor = 2.0**-40
    return rows.astype(np.float64).mean(axis=0, dtype=np.longdouble).astype(np.float64), factor


def _components(rows: FloatArray, mean: FloatArray, k: int, rng: Any) -> tuple[Triplets, float]:
    """The k leading triplets of rows - mean, and the sum of its squares."""
    n_rows, n_features = rows.shape
    smaller = min(rows.shape)
    wanted = tolerance(None, rows.dtype)
    width = block_of(k, 2, smaller, rows.dtype)
    is_centred = not mean.any()
    if n_rows < n_features:
        centred = rows if is_centred else np.empty(rows.shape, rows.dtype)
        if not is_centred:
            subtract_mean(rows, mean, centred)
        total = _sum_of_squares(centred)
        if not np.isfinite(total) or total == 0:
            return _nothing(rows, k), total
        start = random_block(rng, smaller, width, rows.dtype)
        found = best_triplets(Dense(centred.T), start, k, wanted, "auto", None, rng)
        return found._replace(u=found.v, v=found.u), total
    operator = Dense(rows, None if is_centred else mean.astype(rows.dtype))
    if n_features <= max(24 * width, 128):
        with np.errstate(over="ignore", invalid="ignore"):
            gram = gram_of(rows, None if is_centred else mean)
        total = float(gram.trace(dtype=np.float64))
        if not in_square_range(total, rows.dtype):
            return _nothing(rows, k), total
        found = _from_gram(operator, gram, k, width, wanted, rng)
        if (found.residuals <= wanted * found.s[0]).all():
            return found, total
    else:
        total = _sum_of_squares(rows, mean)
        if not in_square_range(total, rows.dtype):
            return _nothing(rows, k), total
    start = random_block(rng, smaller, width, rows.dtype)
    return best_triplets(operator, start, k, wanted, "krylov", None, rng), total


def _from_gram(
    operator: Dense, gram: FloatArray, k: int, width: int, wanted: float, rng: Any
) -> Triplets:
    """One product with the rows where the Gram matrix is exact enough, else one pass more."""
    if gram.dtype == np.float64 and len(gram) <= 256:
        values, vectors = np.linalg.eigh(gram)
        values, vectors = values[: -k - 1 : -1], vectors[:, : -k - 1 : -1]
        exact = 1e-6 if operator.dtype == np.float32 else 1e-4
        if values[-1] > exact**2 * values[0]:
            v = np.ascontiguousarray(vectors, dtype=operator.dtype)
            s = np.sqrt(values)
            u = operator.forward(v)
            u /= s.astype(u.dtype)
            return Triplets(u, s, v, np.zeros(k), 1, v)
    return triplets_from(operator, gram_vectors(gram, k, width, wanted, operator.dtype, rng), k)


def _nothing(rows: FloatArray, k: int) -> Triplets:
    """What constant rows have: no variance in any direction."""
    u, v = (np.eye(n, k, dtype=rows.dtype) for n in rows.shape)
    return Triplets(u, np.zeros(k), v, np.zeros(k), 0, v)


def _sum_of_squares(rows: FloatArray, mean: FloatArray | None = None) -> float:
    step = max(CHUNK_BYTES // (rows.shape[1] * rows.itemsize), 1)
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(rows), step):
            chunk = rows[first : first + step]
            if mean is not None:
                centred = np.empty(chunk.shape, rows.dtype)
                subtract_mean(chunk, mean, centred)
                chunk = centred
            total += float(np.vdot(chunk, chunk))
    return total


def randomized_svd(
    M: Any,
    n_components: int,
    *,
    n_oversamples: int = 10,
    n_iter: int | str = "auto",
    power_iteration_normalizer: str = "auto",
    transpose: bool | str = "auto",
    flip_sign: bool = True,
    random_state: Any = None,
    svd_lapack_driver: str = "gesdd",
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Truncated randomized SVD, with scikit-learn's signature.

    .. math:: M \approx U\,\mathrm{diag}(s)\,V^T

    Parameters
    ----------
    M : {array_like, sparse matrix} of shape (n_samples, n_features)
    n_components : int
        How many singular values and vectors.
    n_oversamples : int, default 10
        Vectors that are iterated beyond n_components.
    n_iter : int or 'auto', default 'auto'
        The accuracy wanted: that of so many steps of subspace iteration, which block Krylov steps
        reach with fewer products. 'auto' stands for scikit-learn's 7 steps (4 where n_components is
        more than a tenth of the smaller side), or better by the Gram matrix where that needs fewer
        operations.
    power_iteration_normalizer : {'auto', 'QR', 'LU', 'none'}, default 'auto'
        Accepted for compatibility: blocks are orthonormalised by Cholesky QR, as stable as 'QR'.
    transpose : bool or 'auto', default 'auto'
        Whether to iterate on the transpose of M; 'auto' takes what has fewer columns.
    flip_sign : bool, default True
        Make the entry of largest magnitude of each column of U positive.
    random_state : {None, int, RandomState, Generator}, optional
        Source of the random block.
    svd_lapack_driver : {'gesdd', 'gesvd'}, default 'gesdd'
        Accepted for compatibility: the projected problem has the order of the block, and both give
        the same there.

    Returns
    -------
    u : ndarray, shape (n_samples, n_components)
    s : ndarray, shape (n_components,)
        Descending.
    vh : ndarray, shape (n_components, n_features)

    Raises
    ------
    ValueError
        `M` is not a matrix, is empty, or holds NaN or infinity; an option is out of range.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    See Also
    --------
    svd_topk : goes on until the residuals are as small as wanted, and returns them.

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
    >>> u, s, vh = fm.randomized_svd(np.diag([3.0, 5.0, 1.0]), 2, random_state=0)
    >>> s
    array([5., 3.])
    """
    operator = as_operator(M)
    k = positive_integer(n_components, "n_components")
    n_oversamples = check_count(n_oversamples, "n_oversamples")
    n_steps = None if n_iter == "auto" else check_count(n_iter, "n_iter")
    for name, value, choices in (
        ("power_iteration_normalizer", power_iteration_normalizer, ("auto", "QR", "LU", "none")),
        ("svd_lapack_driver", svd_lapack_driver, ("gesdd", "gesvd")),
        ("transpose", transpose, (True, False, "auto")),
    ):
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; expected one of {choices}")
    n_samples, n_features = operator.shape
    smaller = min(operator.shape)
    k = min(k, smaller)
    is_transposed = n_samples < n_features if transpose == "auto" else bool(transpose)
    if is_transposed:
        operator = operator.transposed()
    width = block_of(k, 0 if n_steps is None else n_oversamples, smaller, operator.dtype)
    source = _generator(random_state)

    def solve(operator: Any, start: FloatArray) -> Triplets:
        return _as_exact_as(operator, start, k, n_steps, source)

    start = random_block(source, operator.shape[1], width, operator.dtype)
    found, factor = in_range(solve, operator, start)
    u, v = (found.v, found.u) if is_transposed else (found.u, found.v)
    if flip_sign:
        fix_signs(u, v)
    dtype = operator.dtype
    return u, (found.s / factor).astype(dtype), np.ascontiguousarray(v.T)


def _generator(random_state: Any) -> np.random.Generator:
    """As scikit-learn takes it: None is NumPy's global state."""
    return make_rng(np.random.mtrand._rand if random_state is None else random_state)


def _as_exact_as(
    operator: Any, start: FloatArray, k: int, n_steps: int | None, rng: Any
) -> Triplets:
    """As exact as n_steps of subspace iteration, for fewer operations.

    Where the singular values behind the block are r times the k-th, q steps of subspace iteration
    and the projection after them leave r^(2 q + 2), and p block Krylov steps at most
    2 / T_(p-1)(2 / r^2 - 1), which is less for p = (q + 5) / 2, except where both are nothing.
    """
    n_columns, width = start.shape
    if n_steps is not None:
        n_krylov = min(n_steps + 1, (n_steps + 5) // 2)
        return best_triplets(operator, start, k, 1.0, "krylov", n_krylov, rng, residuals=False)
    n_krylov = (default_steps(k, operator.shape) + 4) // 2
    # m n^2 operations against 4 m n width for each step.
    if isinstance(operator, Dense) and n_columns <= 4 * width * (n_krylov + 1):
        found = gram_triplets(operator, k, width, 1e-4, rng)
        if found.residuals.max() <= 1e-3 * found.s[0]:
            return found
        start = found.basis
    return best_triplets(operator, start, k, 1.0, "krylov", n_krylov, rng, residuals=False)
