"""svd_topk, randomized_svd and pca: against LAPACK and scikit-learn, and on every input."""

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import LAYOUTS, assert_same_bits, eps, layout
from scipy.sparse.linalg import aslinearoperator

import fastmath_ml as fm
from fastmath_ml import _gram
from fastmath_ml._operators import Sparse

METHODS = ["auto", "krylov", "power", "randomized"]


def with_singular_values(rng, shape, values, dtype="float64"):
    u = np.linalg.qr(rng.standard_normal((shape[0], len(values))))[0]
    v = np.linalg.qr(rng.standard_normal((shape[1], len(values))))[0]
    return ((u * values) @ v.T).astype(dtype)


def check_triplets(a, result, k, factor=1.0, rounding=100):
    """Values, orthonormal vectors, residuals true up to rounding, signs by the rule."""
    dense = np.asarray(a.toarray() if sp.issparse(a) else a, np.float64)
    dtype = result.U.dtype
    assert {part.dtype for part in result[:4]} == {dtype}
    u, s, vh = (part.astype(np.float64) for part in result[:3])
    assert (u.shape, s.shape, vh.shape) == ((len(dense), k), (k,), (k, dense.shape[1]))
    exact = np.linalg.svd(dense, compute_uv=False)
    limit = factor * eps(dtype) ** 0.5 * exact[0]
    np.testing.assert_allclose(s, exact[:k], rtol=0, atol=max(limit, 1e-300))
    assert (np.diff(s) <= 10 * eps(dtype) * exact[0]).all()
    for vectors in (u, vh.T):
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=100 * eps(dtype))
    assert (u[np.abs(u).argmax(axis=0), range(k)] > 0).all()
    residuals = np.hypot(
        np.linalg.norm(dense @ vh.T - u * s, axis=0), np.linalg.norm(dense.T @ u - vh.T * s, axis=0)
    )
    noise = rounding * eps(dtype) * exact[0]
    np.testing.assert_allclose(result.residuals, residuals, rtol=0.1, atol=max(noise, 1e-300))
    assert result.converged == bool((result.residuals <= limit / factor).all())
    assert (residuals <= limit * 1.1 + noise).all()


VALUES = {
    "decaying": lambda n: 1 / np.arange(1, n + 1.0),
    "steep": lambda n: 10.0 ** -np.arange(n),
    "repeated": lambda n: np.r_[[2.0] * 4, np.linspace(1, 0, n - 4)],
    "clustered": lambda n: np.r_[2 + 1e-5 * np.arange(4), np.linspace(1, 0, n - 4)],
    "rank 2": lambda n: np.r_[2.0, 1.0, np.zeros(n - 2)],
    "zero": np.zeros,
    "orthogonal": np.ones,
}


@pytest.mark.parametrize("shape", [(40, 20), (20, 40), (900, 150), (400, 700)])
@pytest.mark.parametrize("values", VALUES)
def test_svd_topk(rng, dtype, values, shape):
    a = with_singular_values(rng, shape, VALUES[values](min(shape)), dtype)
    for method in ("auto", "krylov"):
        for k in (1, 5):
            result = fm.svd_topk(a, k, method=method, rng=1)
            check_triplets(a, result, k)
            assert result.converged


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("n_equal", [7, 12, 25])
def test_a_value_is_found_as_often_as_it_occurs(rng, dtype, n_equal, kind):
    """More often than a block of 8, or 16, has vectors, and before values that fall fast."""
    values = np.r_[1.5, [1.0] * n_equal, 0.6 ** np.arange(1, 300 - n_equal)]
    a = kind(with_singular_values(rng, (500, 300), values, dtype))
    k = n_equal + 5
    check_triplets(a, fm.svd_topk(a, k, method="krylov", rng=0), k, rounding=1000)


@pytest.mark.parametrize("patience", [8, 10**9])
def test_crowded_eigenvalues_of_a_gram_matrix(rng, dtype, patience, monkeypatch):
    """Block Lanczos gives up for LAPACK; it would take a second for what that has in 30 ms."""
    monkeypatch.setattr(_gram, "PATIENCE", patience)
    x = rng.standard_normal((700, 300)).astype(dtype)
    result = fm.pca(x, 12, rng=0)
    centred = x - x.mean(axis=0, dtype=np.float64)
    exact = np.linalg.svd(centred, compute_uv=False)
    np.testing.assert_allclose(result.singular_values, exact[:12], rtol=eps(dtype) ** 0.5)
    v = result.components.T.astype(np.float64)
    rest = centred.T @ (centred @ v) - v * exact[:12] ** 2
    assert np.linalg.norm(rest, axis=0).max() <= eps(dtype) ** 0.5 * exact[0] ** 2


def test_blocks_of_an_attempt_that_missed_some_are_not_used(rng):
    """A V is put together from the products on the way, of the last attempt alone."""
    values = np.r_[1.5, [1.0] * 20, 0.3 ** np.arange(1, 780)]
    a = with_singular_values(rng, (1500, 800), values, "float64")
    result = fm.svd_topk(a, 24, method="krylov", rng=0, tol=1e-6)
    check_triplets(a, result, 24, factor=1e-6 / eps("float64") ** 0.5)
    assert result.n_iter > 8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 3), (60, 60), (200, 30)])
def test_all_triplets(rng, dtype, shape, method):
    a = rng.standard_normal(shape).astype(dtype)
    k = min(shape)
    check_triplets(a, fm.svd_topk(a, k, method=method, rng=0), k)


@pytest.mark.parametrize("method", METHODS)
def test_methods_tell_how_far_they_came(rng, method, dtype):
    a = rng.standard_normal((500, 400)).astype(dtype)
    result = fm.svd_topk(a, 6, method=method, n_iter=2, rng=0)
    u, s, vh = (part.astype(np.float64) for part in result[:3])
    residuals = np.hypot(
        np.linalg.norm(a @ vh.T - u * s, axis=0), np.linalg.norm(a.T @ u - vh.T * s, axis=0)
    )
    np.testing.assert_allclose(result.residuals, residuals, rtol=1e-2)
    assert not result.converged
    assert result.n_iter <= 4


class Products:
    """The least that a linear operator has."""

    def __init__(self, a):
        self.a, self.shape, self.dtype = a, a.shape, a.dtype

    def matmat(self, x):
        return self.a @ x

    def rmatmat(self, x):
        return self.a.T @ x


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array, sp.coo_matrix, sp.lil_array])
@pytest.mark.parametrize("shape", [(400, 300), (300, 400)])
def test_sparse_matrices_and_operators(rng, kind, shape, dtype):
    a = sp.random_array(shape, density=0.05, rng=rng, dtype=dtype).tocsr()
    a = sp.diags_array(np.r_[0, np.ones(shape[0] - 1)].astype(dtype)) @ a
    check_triplets(a, fm.svd_topk(kind(a), 3, rng=0), 3)
    for operator in (aslinearoperator(a), Products(a)):
        found = fm.svd_topk(operator, 3, rng=0)
        check_triplets(a, found, 3)
        np.testing.assert_allclose(found.S, fm.svd_topk(a, 3, rng=0).S, rtol=1e-5)


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("n", [4000, 100_000])
def test_the_transpose_of_a_sparse_matrix_is_scipys(rng, kind, index, n, dtype):
    """Rows without entries and with all of them, in any order, some of them twice."""
    n_rows, n_columns = 300, 170
    rows = rng.integers(20, n_rows - 20, n)
    rows[:500] = 77
    rows.sort()
    indptr = np.searchsorted(rows, np.arange(n_rows + 1)).astype(index)
    columns = rng.integers(3, n_columns, n).astype(index)
    a = kind((rng.standard_normal(n).astype(dtype), columns, indptr), shape=(n_rows, n_columns))
    a.indices, a.indptr = columns, indptr  # SciPy may have narrowed them
    for some in (a, a[:1], a[77:78], kind((4, 9), dtype=dtype)):
        want = some.T.tocsr()
        for threads in (1, 2, 7):
            with fm.num_threads(threads):
                found = Sparse(some).transpose
            assert found.shape == want.shape
            for name in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(getattr(found, name), getattr(want, name))


def test_the_arrays_of_a_sparse_matrix_may_have_gaps(rng, dtype):
    a = sp.random_array((300, 200), density=0.1, rng=rng, dtype=dtype).tocsr()
    want = fm.svd_topk(a, 2, rng=0).S
    for name in ("data", "indices", "indptr"):
        some = a.copy()
        gaps = np.repeat(getattr(some, name), 2)
        gaps[1::2] = 9
        setattr(some, name, gaps[::2])
        assert_same_bits(fm.svd_topk(some, 2, rng=0).S, want)
        getattr(some, name).flags.writeable = False
        assert_same_bits(fm.svd_topk(some, 2, rng=0).S, want)


@pytest.mark.parametrize("indptr", [[0, 3, 2, 4], [1, 2, 3, 4], [0, 2, 4], [0, -1, 2, 4]])
def test_row_pointers_of_a_sparse_matrix_are_checked(indptr):
    a = sp.csr_array((np.ones(4), [0, 1, 0, 1], [0, 2, 3, 4]), shape=(3, 2))
    a.indptr = np.array(indptr, np.int32)
    with pytest.raises(ValueError, match="row pointers"):
        fm.svd_topk(a, 1)


@pytest.mark.parametrize("n_vectors", [1, 5, 8, 16, 32])
def test_the_place_of_the_vectors_of_a_sparse_product_does_not_matter(rng, dtype, n_vectors):
    a = sp.random_array((200, 50), density=0.3, rng=rng, dtype=dtype).tocsr()
    numbers = rng.standard_normal(50 * n_vectors + 16).astype(dtype)
    products = []
    for first in range(16):
        x = np.empty_like(numbers)[first : first + 50 * n_vectors].reshape(50, n_vectors)
        x[:] = numbers[: x.size].reshape(x.shape)
        products.append(Sparse(a).forward(x))
    np.testing.assert_allclose(products[0], a @ x, atol=50 * eps(dtype) * abs(a @ abs(x)).max())
    for other in products[1:]:
        assert_same_bits(products[0], other)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(rng, dtype, name):
    a = rng.standard_normal((330, 40)).astype(dtype)
    for x in (a, a.T):
        view = layout(np.ascontiguousarray(x), name)
        check_triplets(x, fm.svd_topk(view, 3, rng=0), 3)
        check_triplets(x, fm.svd_topk(view, 3, method="krylov", rng=0), 3)
        expected = fm.reference.pca(x, 2)
        for part, exact in zip(fm.pca(view, 2), expected, strict=True):
            np.testing.assert_allclose(part, exact, atol=100 * eps(dtype) ** 0.5)


def test_bits_do_not_depend_on_the_threads(rng, dtype):
    tall = rng.standard_normal((5000, 300)).astype(dtype)
    thin = rng.standard_normal((20_000, 20)).astype(dtype)
    sparse = sp.random_array((3000, 2000), density=0.01, rng=rng, dtype=dtype)
    results = []
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            parts = [*fm.svd_topk(tall, 3, method="krylov", n_iter=3, rng=0)]
            parts += [*fm.svd_topk(thin, 3, rng=0), *fm.svd_topk(sparse, 3, n_iter=3, rng=0)]
            parts += [*fm.randomized_svd(tall, 3, n_iter=2, random_state=0), *fm.pca(thin, 3)]
            results.append(parts)
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            assert_same_bits(x, y)


def test_extreme_scales(dtype, rng):
    a = with_singular_values(rng, (300, 40), 0.5 ** np.arange(40.0), dtype)
    for scale in (np.finfo(dtype).max / 100, np.finfo(dtype).smallest_normal * 1e4):
        scaled = a * dtype.type(scale)
        result = fm.svd_topk(scaled, 3, rng=0)
        np.testing.assert_allclose(result.S / scale, [1, 0.5, 0.25], rtol=1e-4)
        s = fm.randomized_svd(scaled, 3, random_state=0)[1]
        np.testing.assert_allclose(s / scale, [1, 0.5, 0.25], rtol=1e-4)
        found = fm.pca(scaled, 2)
        expected = fm.reference.pca(a, 2)
        np.testing.assert_allclose(found.singular_values / scale, expected[3], rtol=1e-4)
        np.testing.assert_allclose(found.components, expected[0], atol=1e-3)


def test_small_singular_values_are_exact(rng):
    """Those that vanish in A^T A: below sqrt(eps) of the largest."""
    a = with_singular_values(rng, (500, 60), 10.0 ** -np.r_[0, 3, 6, 9, 11, np.full(55, 14.0)])
    for method in ("auto", "krylov"):
        s = fm.svd_topk(a, 5, method=method, tol=1e-13, rng=0).S
        np.testing.assert_allclose(s[:3], [1, 1e-3, 1e-6], rtol=1e-6)


# ---- randomized_svd: what scikit-learn's own tests ask of it ----


@pytest.mark.parametrize("normalizer", ["auto", "LU", "QR", "none"])
def test_randomized_svd_of_low_rank(dtype, normalizer):
    from sklearn.datasets import make_low_rank_matrix

    decimal = 5 if dtype == np.float32 else 7
    x = make_low_rank_matrix(100, 500, effective_rank=5, tail_strength=0.0, random_state=0)
    x = x.astype(dtype)
    k = 10
    exact = np.linalg.svd(x.astype(np.float64), full_matrices=False)
    options = {"power_iteration_normalizer": normalizer, "random_state": 0}
    for form in (x, sp.csr_array(x)):
        u, s, vh = fm.randomized_svd(form, k, **options)
        assert (u.dtype, s.dtype, vh.dtype) == (dtype,) * 3
        assert (u.shape, s.shape, vh.shape) == ((100, k), (k,), (k, 500))
        np.testing.assert_almost_equal(s, exact[1][:k], decimal=decimal)
        rebuilt = (exact[0][:, :k] * exact[1][:k]) @ exact[2][:k]
        np.testing.assert_almost_equal((u * s) @ vh, rebuilt, decimal=decimal)


def test_randomized_svd_with_noise():
    """No steps are inaccurate, five are not: the number given is the number done."""
    from sklearn.datasets import make_low_rank_matrix

    x = make_low_rank_matrix(100, 500, effective_rank=5, tail_strength=0.1, random_state=0)
    exact = np.linalg.svd(x, compute_uv=False)[:10]
    for normalizer in ("auto", "none", "LU", "QR"):
        options = {"power_iteration_normalizer": normalizer, "random_state": 0}
        without = fm.randomized_svd(x, 10, n_iter=0, **options)[1]
        assert np.abs(exact - without).max() > 0.01
        assert np.abs(exact - fm.randomized_svd(x, 10, **options)[1]).max() < 1e-3


@pytest.mark.parametrize("transpose", [True, False, "auto"])
def test_randomized_svd_either_way(rng, transpose):
    for shape in ((300, 80), (80, 300)):
        x = with_singular_values(rng, shape, 0.7 ** np.arange(80.0))
        u, s, vh = fm.randomized_svd(x, 4, transpose=transpose, random_state=1)
        np.testing.assert_allclose(s, 0.7 ** np.arange(4), rtol=1e-9)
        assert (u[np.abs(u).argmax(axis=0), range(4)] > 0).all()
        np.testing.assert_allclose(x @ vh.T, u * s, atol=1e-5)


def residual(x, result):
    u, s, vh = (part.astype(np.float64) for part in result)
    x = x.astype(np.float64)
    rest = np.r_[x @ vh.T - u * s, x.T @ u - vh.T * s]
    return np.linalg.norm(rest, axis=0).max() / s[0]


SPECTRA = {
    "slow": np.arange(1, 701.0) ** -0.3,
    "medium": np.arange(1, 701.0) ** -0.7,
    "fast": np.arange(1, 701.0) ** -1.5,
    "geometric": 0.9 ** np.arange(700.0),
    # As many as scikit-learn iterates, more than a block of ours has.
    "20, then few": np.r_[np.linspace(2, 1, 20), 0.01 * 0.99 ** np.arange(680)],
    "18 close, then flat": np.r_[np.linspace(1.05, 1, 18), np.full(682, 0.3)],
}


@pytest.mark.parametrize("name", SPECTRA)
def test_randomized_svd_is_as_exact_as_scikit_learns(rng, dtype, name):
    extmath = pytest.importorskip("sklearn.utils.extmath")
    x = with_singular_values(rng, (900, 700), SPECTRA[name], dtype)
    # Where scikit-learn's residuals are nothing but rounding errors, ours may have some more.
    slack = eps(dtype) ** 0.75 if name == "20, then few" else 20 * eps(dtype)
    for k, n_iter in ((10, "auto"), (10, 2), (12, 4)):
        theirs, ours = (
            [residual(x, svd(x, k, n_iter=n_iter, random_state=seed)) for seed in range(2)]
            for svd in (extmath.randomized_svd, fm.randomized_svd)
        )
        assert max(ours) <= max(theirs) + slack


def test_randomized_svd_random_states(rng):
    x = rng.standard_normal((60, 50))
    states = (3, np.random.RandomState(3), np.random.default_rng(3), None)
    for state in states:
        assert fm.randomized_svd(x, 2, random_state=state)[1].shape == (2,)
    assert_same_bits(*(fm.randomized_svd(x, 2, n_iter=1, random_state=3)[0] for _ in range(2)))
    assert fm.randomized_svd(x, 200, random_state=0)[1].shape == (50,)


# ---- pca ----


@pytest.mark.parametrize("shape", [(400, 12), (90, 60), (500, 420), (30, 200), (2, 5), (7, 1)])
def test_pca_beside_scikit_learn(rng, dtype, shape):
    decomposition = pytest.importorskip("sklearn.decomposition")
    k = min(3, min(shape) - (shape[0] <= shape[1]) or 1, min(shape))
    values = 0.6 ** np.arange(float(min(shape)))
    x = (with_singular_values(rng, shape, values) + rng.uniform(-2, 2, shape[1])).astype(dtype)
    theirs = decomposition.PCA(k, svd_solver="full").fit(x.astype(np.float64))
    ours = fm.pca(x, k, rng=0)
    assert {part.dtype for part in ours} == {dtype}
    tight = 300 * eps(dtype)
    loose = 30 * eps(dtype) ** 0.5
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=tight)
    np.testing.assert_allclose(ours.components, theirs.components_, atol=loose)
    np.testing.assert_allclose(ours.singular_values, theirs.singular_values_, atol=loose)
    np.testing.assert_allclose(ours.explained_variance, theirs.explained_variance_, atol=loose)
    ratio = theirs.explained_variance_ratio_
    np.testing.assert_allclose(ours.explained_variance_ratio, ratio, atol=loose)
    scores = theirs.transform(x.astype(np.float64))
    np.testing.assert_allclose(ours.scores, scores, atol=loose)


def test_pca_far_from_the_origin(rng):
    """Nothing cancels: rows are centred before they are multiplied."""
    x = with_singular_values(rng, (500, 10), 0.5 ** np.arange(10.0)) * 10
    exact = fm.reference.pca(x, 4)
    found = fm.pca(x + 1e7, 4)
    np.testing.assert_allclose(found.singular_values, exact[3], rtol=1e-5)
    np.testing.assert_allclose(found.components, exact[0], atol=1e-5)


def test_pca_of_constant_rows():
    found = fm.pca(np.full((5, 3), 7.0), 2)
    assert found.singular_values.tolist() == [0, 0]
    assert found.explained_variance_ratio.tolist() == [0, 0]
    assert found.mean.tolist() == [7, 7, 7]
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(2))
    assert not found.scores.any()


# ---- errors ----


@pytest.mark.parametrize(
    "function",
    [fm.svd_topk, fm.randomized_svd, fm.pca],
    ids=lambda function: function.__name__,
)
def test_errors(function):
    for bad in (np.nan, np.inf, -np.inf):
        for shape in ((150, 30), (30, 150), (700, 600)):
            a = np.ones(shape)
            a[20, 7] = bad
            with pytest.raises(ValueError, match="NaN or infinity"):
                function(a, 2)
    for shape in ((3,), (2, 2, 2)):
        with pytest.raises(ValueError, match="has shape"):
            function(np.zeros(shape), 1)
    for shape in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match="has shape"):
            function(np.zeros(shape), 1)
    with pytest.raises(TypeError, match="has dtype complex128"):
        function(np.eye(3) * 1j, 1)
    with pytest.raises(TypeError, match="masked array"):
        function(np.ma.masked_array(np.eye(3), np.eye(3)), 1)
    with pytest.raises(ValueError, match="is 0; expected"):
        function(np.eye(3), 0)
    with pytest.raises(TypeError, match="expected an integer"):
        function(np.eye(3), 1.0)


def test_errors_of_options():
    a = np.eye(4)
    with pytest.raises(ValueError, match="k is 5"):
        fm.svd_topk(a, 5)
    with pytest.raises(ValueError, match="method is 'x'"):
        fm.svd_topk(a, 1, method="x")
    with pytest.raises(ValueError, match="n_oversamples is -1"):
        fm.svd_topk(a, 1, n_oversamples=-1)
    with pytest.raises(TypeError, match=r"n_iter is 1\.5"):
        fm.svd_topk(a, 1, n_iter=1.5)
    with pytest.raises(TypeError, match="expected a matrix"):
        fm.svd_topk(lambda v: v, 1)
    with pytest.raises(ValueError, match="at least two rows"):
        fm.pca([[1.0, 2.0]], 1)
    for name in ("power_iteration_normalizer", "svd_lapack_driver", "transpose"):
        with pytest.raises(ValueError, match=f"{name} is 'x'"):
            fm.randomized_svd(a, 1, **{name: "x"})
