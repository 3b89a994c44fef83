"""Principal components and scikit-learn's randomized SVD."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from ._arrays import FloatArray, as_array
from ._eigen import fix_signs, tolerance
from ._gram import gram_pairs, in_square_range
from ._kernels.moments import centre_and_scale
from ._krylov import Small, make_rng, random_block
from ._moments import features_of, moments_of, scatter_about_mean
from ._operators import Dense, as_matrix, as_operator, check_finite, largest_entry
from ._options import count, steps_or_auto
from ._svd import (
    Triplets,
    best_triplets,
    block_of,
    default_steps,
    gram_triplets,
    in_range,
)

# Up to so many features LAPACK solves the Gram matrix in less time than a product with it takes.
SMALL_ORDER = 128
# Up to so many features for each component the Gram matrix, behind which one product is left to do,
# takes less time than the products of block Lanczos.
GRAM_COLUMNS = 25


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
    The Gram matrix of the features gives the components where they are few enough, block Lanczos
    where they are not, until the residuals of the singular vectors are below the square root of
    epsilon times the largest singular value.

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
    n_rows = len(rows)
    if n_rows < 2:
        raise ValueError(f"x has shape {rows.shape}; expected at least two rows")
    k = count(k, "k", 1, min(rows.shape), f", the smaller side of {rows.shape}")
    source = make_rng(rng)
    factor = 1.0
    width = block_of(k, 0, min(rows.shape), rows.dtype)
    mean, total, gram = mean_and_squares(rows, k)
    if not in_square_range(total, rows.dtype):
        rows, factor = _rescaled(rows, mean)
        mean, total, gram = mean_and_squares(rows, k)
    scores, s, v = _components(rows, mean, total, gram, k, width, source)
    dtype = rows.dtype
    fix_signs(v, scores)
    singular_values = s / factor
    ratio = s**2 / total if total > 0 else np.zeros(k)
    with np.errstate(over="ignore", under="ignore"):  # a variance may exceed the dtype
        return PCAResult(
            np.ascontiguousarray(v.T),
            (singular_values**2 / (n_rows - 1)).astype(dtype),
            ratio.astype(dtype),
            singular_values.astype(dtype),
            (mean / factor).astype(dtype),
            scores if factor == 1.0 else scores / dtype.type(factor),
        )


def mean_and_squares(rows: FloatArray, k: int) -> tuple[Small, float, FloatArray | None]:
    """The mean of each column, the sum of the squares about it, and, where that is what the
    components come from, the Gram matrix about it.
    """
    by_features = rows.strides[1] != rows.itemsize
    n_rows, n_features = rows.shape
    x = rows.T if by_features else rows
    with np.errstate(over="ignore", invalid="ignore"):
        if n_features <= min(n_rows, max(SMALL_ORDER, GRAM_COLUMNS * k)):
            gram = np.empty((n_features, n_features), rows.dtype)
            mean = scatter_about_mean(x, by_features, gram)
            return mean, float(gram.trace(dtype=np.float64)), gram
        found = moments_of(features_of(x, by_features), True, False)
        assert found.variance is not None
        return found.mean.reshape(-1), float(found.variance.sum()) * n_rows, None


def _rescaled(rows: FloatArray, mean: Small) -> tuple[FloatArray, float]:
    """The rows times the power of two with which the largest distance from the mean is about 1.

    ValueError for NaN and infinity; rows that are all the same stay as they are.
    """
    check_finite(Dense(rows), np.array([np.inf]), "x")
    largest = largest_entry(Dense(rows))
    factor = float(2.0 ** -np.frexp(largest)[1]) if largest > 0 else 1.0
    if not np.isfinite(mean).all():
        return rows * rows.dtype.type(factor), factor
    spread = float(np.abs(rows * rows.dtype.type(factor) - (mean * factor)).max())
    if spread > 0:
        factor *= float(2.0 ** -np.frexp(spread)[1])
    return (rows * factor).astype(rows.dtype), factor


def _components(
    rows: FloatArray,
    mean: Small,
    total: float,
    gram: FloatArray | None,
    k: int,
    width: int,
    rng: Any,
) -> tuple[FloatArray, Small, FloatArray]:
    """u s, s and v of the k leading triplets of rows - mean, whose squares add up to `total`."""
    n_rows, n_features = rows.shape
    smaller = min(rows.shape)
    if not in_square_range(total, rows.dtype):
        v = np.eye(n_features, k, dtype=rows.dtype)
        return np.zeros((n_rows, k), rows.dtype), np.zeros(k), v
    wanted = tolerance(None, rows.dtype)
    is_centred = not mean.any()
    if n_rows < n_features:
        centred = rows if is_centred else np.empty(rows.shape, rows.dtype)
        if not is_centred:
            ones, dense = np.ones((1, n_features)), np.ascontiguousarray(rows)
            centre_and_scale(dense[None], mean[None], ones, centred[None], False)
        start = random_block(rng, smaller, width, rows.dtype)
        found = best_triplets(Dense(centred.T), start, k, wanted, "auto", None, rng)
        return found.v * found.s.astype(rows.dtype), found.s, found.u
    operator = Dense(rows, None if is_centred else mean.astype(rows.dtype))
    basis = None
    if gram is not None:
        values, basis = gram_pairs(gram, k, width, wanted, rng)
        exact = 1e-3 if rows.dtype == np.float32 else 1e-8
        if values[k - 1] > exact * values[0]:  # one product with the rows is left to do
            v = np.ascontiguousarray(basis[:, :k])
            fix_signs(v)  # before the many scores have them
            return operator.forward(v), np.sqrt(values[:k]), v
    start = random_block(rng, smaller, width, rows.dtype)
    found = best_triplets(operator, start, k, wanted, "auto", None, rng, basis=basis)
    return found.u * found.s.astype(rows.dtype), found.s, found.v


def randomized_svd(
    M: Any,
    n_components: int,
    *,
    n_oversamples: int = 10,
    n_iter: int | Literal["auto"] = "auto",
    power_iteration_normalizer: Literal["auto", "QR", "LU", "none"] = "auto",
    transpose: bool | Literal["auto"] = "auto",
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
        Vectors that are iterated beyond n_components; in place of those that would not fill a cache
        line a step more is taken.
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
    operator = as_operator(M, "M")
    k = count(n_components, "n_components")
    n_oversamples = count(n_oversamples, "n_oversamples", 0)
    n_steps = steps_or_auto(n_iter, "n_iter")
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
    width, n_more = _block(k, n_oversamples, smaller, operator.dtype, n_steps)
    source = _generator(random_state)

    def solve(operator: Any, start: FloatArray) -> Triplets:
        return _as_exact_as(operator, start, k, n_steps, n_more, source)

    start = random_block(source, operator.shape[1], width, operator.dtype)
    found, factor = in_range(solve, operator, start)
    u, v = (found.v, found.u) if is_transposed else (found.u, found.v)
    if flip_sign:
        fix_signs(u, v)
    dtype = operator.dtype
    return u, (found.s / factor).astype(dtype), np.ascontiguousarray(v.T)


def _generator(random_state: Any) -> np.random.Generator:
    """As scikit-learn takes it: None is NumPy's global state."""
    source = np.random.mtrand._rand if random_state is None else random_state
    return make_rng(source, "random_state")


def _block(
    k: int, n_oversamples: int, smaller: int, dtype: np.dtype[Any], n_steps: int | None
) -> tuple[int, int]:
    """How many vectors are iterated, and how many Krylov steps more for those that are not.

    One step more is worth more than the vectors of a cache line that would not be full, if some
    beyond k are left. Who asks for one step or none gets the vectors.
    """
    if n_steps is None:
        return block_of(k, 0, smaller, dtype), 0
    width, line = block_of(k, n_oversamples, smaller, dtype), 64 // dtype.itemsize
    full_lines = (k + n_oversamples) // line * line
    if n_steps >= 2 and k + 4 <= full_lines < width < smaller:
        return full_lines, 1
    return width, 0


def _as_exact_as(
    operator: Any, start: FloatArray, k: int, n_steps: int | None, n_more: int, rng: Any
) -> Triplets:
    """As exact as n_steps of subspace iteration, for fewer operations.

    Where the singular values behind the block are r times the k-th, q steps of subspace iteration
    and the projection after them leave r^(2 q + 2), and p block Krylov steps at most
    2 / T_(p-1)(2 / r^2 - 1), which is less for p = (q + 5) / 2, except where both are nothing.
    """
    n_columns, width = start.shape
    q = default_steps(k, operator.shape) if n_steps is None else n_steps
    n_krylov = min(q + 1, (q + 5) // 2) + n_more
    # m n^2 operations against 4 m n width for each step. Who asks for one step or none wants to see
    # what that gives.
    if isinstance(operator, Dense) and q >= 2 and n_columns <= 4 * width * (n_krylov + 1):
        gram_width = block_of(k, 0, n_columns, operator.dtype)
        found = gram_triplets(operator, k, gram_width, 3e-5, rng)
        if found.residuals.max() <= 1e-3 * found.s[0]:
            return found
    return best_triplets(operator, start, k, 1.0, "krylov", n_krylov, rng, residuals=False)
