"""power_iteration and eigh_topk: against LAPACK, on hard spectra, and on every kind of input."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import LAYOUTS, assert_same_bits, eps, layout
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import fastmath_ml as fm
from fastmath_ml import _lapack
from fastmath_ml._kernels.products import symmetric_product
from fastmath_ml._kernels.projections import add_product
from fastmath_ml._krylov import extremal_pairs, orthonormalise, room_for_columns
from fastmath_ml._operators import Dense


def symmetric(rng, values, dtype="float64"):
    """A symmetric matrix with these eigenvalues."""
    n = len(values)
    q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    a = (q * np.asarray(values)) @ q.T
    return ((a + a.T) / 2).astype(dtype)


def wanted_values(values, k, which):
    values = np.sort(np.asarray(values, np.float64))
    if which == "LM":
        return values[np.argsort(-abs(values), kind="stable")][:k]
    if which == "BE":
        return np.r_[values[: k // 2], values[len(values) - (k - k // 2) :]]
    return values[:k] if which == "SA" else values[::-1][:k]


def check_pairs(a, result, k, which="LM", values=None, tol=None):
    """Values within the residual's reach, orthonormal vectors, true residuals, the sign rule."""
    dense = np.asarray(a.toarray() if sp.issparse(a) else a, np.float64)
    dtype = result.eigenvectors.dtype
    exact = wanted_values(np.linalg.eigvalsh(dense) if values is None else values, k, which)
    norm = max(np.abs(np.linalg.eigvalsh(dense)).max(), np.finfo(dtype).tiny)
    v, w = result.eigenvectors.astype(np.float64), result.eigenvalues.astype(np.float64)
    assert v.shape == (len(dense), k)
    assert w.shape == result.residuals.shape == (k,)
    # A residual of r bounds the distance to some eigenvalue by r.
    limit = (eps(dtype) ** 0.5 if tol is None else tol) * norm
    np.testing.assert_allclose(w, exact, rtol=0, atol=limit)
    np.testing.assert_allclose(v.T @ v, np.eye(k), atol=50 * eps(dtype))
    residuals = np.linalg.norm(dense @ v - v * w, axis=0)
    np.testing.assert_allclose(result.residuals, residuals, atol=60 * eps(dtype) * norm, rtol=0.1)
    assert (v[np.abs(v).argmax(axis=0), range(k)] > 0).all()
    assert result.converged
    assert (residuals <= limit * (1 + 1e-3)).all()


SPECTRA = {
    "decaying": lambda n: 1 / np.arange(1, n + 1.0),
    "both signs": lambda n: (-1.0) ** np.arange(n) / np.arange(1, n + 1.0) ** 0.7,
    "repeated": lambda n: np.r_[[5.0] * 4, [-4.0] * 3, np.linspace(-1, 1, n - 7)],
    "clustered": lambda n: np.r_[
        3 + 1e-7 * np.arange(5), -2.9 - 1e-6 * np.arange(4), np.zeros(n - 9)
    ],
    "rank 3": lambda n: np.r_[3.0, -2.0, 1.0, np.zeros(n - 3)],
    "zero": np.zeros,
    "identity": np.ones,
}


@pytest.mark.parametrize("which", ["LM", "LA", "SA", "BE"])
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("n", [30, 250])
def test_eigh_topk(rng, dtype, spectrum, which, n):
    values = SPECTRA[spectrum](n)
    a = symmetric(rng, values, dtype)
    if which in ("SA", "BE") and spectrum == "decaying" and n > 30:
        pytest.skip("the small ones of 1/i are a cluster at 0 for a Krylov space")
    for k in (1, 4):
        check_pairs(a, fm.eigh_topk(a, k, which=which, rng=1), k, which)


# More of the same value than a block has vectors (8 of arrays, 6 of the others). The others fall so
# fast that few products find them, in which rounding errors do not find what is missing.
FALLING = 0.4 ** np.arange(1, 271)
REPEATED = {
    "largest": ("LA", np.r_[[1.0] * 30, FALLING], 12),
    "some are not wanted": ("LM", np.r_[[-1.0] * 28, [1.4, -1.2], FALLING], 18),
    "smallest": ("SA", np.r_[[1.0] * 12, 2 - FALLING, [2.0] * 18], 13),
    "at one end": ("BE", np.r_[-FALLING[:135], [1.0] * 30, FALLING[:135]], 18),
}


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array, aslinearoperator])
@pytest.mark.parametrize("name", REPEATED)
def test_a_value_is_found_as_often_as_it_occurs(rng, dtype, name, kind):
    which, values, k = REPEATED[name]
    a = symmetric(rng, values, dtype)
    result = fm.eigh_topk(kind(a), k, which=which, rng=0)
    check_pairs(a, result, k, which)


@pytest.mark.parametrize("n", [1, 2, 3, 17, 130])
def test_all_pairs_of_a_matrix(rng, n):
    a = symmetric(rng, rng.standard_normal(n))
    for which in ("LM", "BE"):
        check_pairs(a, fm.eigh_topk(a, n, which=which, rng=0), n, which)


def sparse_laplacian(n_side):
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n_side, n_side))
    eye = sp.eye_array(n_side)
    return (sp.kron(line, eye) + sp.kron(eye, line)).tocsr()


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix, sp.coo_array, sp.bsr_matrix])
def test_eigh_topk_of_sparse_matrices(kind, dtype):
    a = kind(sparse_laplacian(14).astype(dtype))
    check_pairs(a, fm.eigh_topk(a, 6, which="LA", rng=0), 6, "LA")
    # The two smallest apart from the smallest are equal, as are many others.
    check_pairs(a, fm.eigh_topk(a, 6, which="SA", rng=0), 6, "SA")


def test_wide_indices_and_integers():
    a = sparse_laplacian(12)
    wide = a.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    expected = fm.eigh_topk(a, 2, rng=0)
    for other in (wide, a.astype(np.int16)):
        assert_same_bits(fm.eigh_topk(other, 2, rng=0).eigenvalues, expected.eigenvalues)
    broken = a.copy()
    broken.indices[3] = 10**6
    with pytest.raises(ValueError, match="column indices outside"):
        fm.eigh_topk(broken, 2)


def test_operators_and_functions_give_the_same():
    a = sparse_laplacian(12)
    expected = fm.eigh_topk(a, 3, rng=0).eigenvalues
    operators = [aslinearoperator(a), LinearOperator(a.shape, matvec=lambda v: a @ v)]
    for operator in operators:
        np.testing.assert_allclose(fm.eigh_topk(operator, 3, rng=0).eigenvalues, expected)
    by_function = fm.eigh_topk(lambda v: a @ v, 3, n=a.shape[0], rng=0)
    np.testing.assert_allclose(by_function.eigenvalues, expected)
    found = fm.power_iteration(lambda v: a @ v, n=a.shape[0], rng=0, tol=1e-3)
    assert found.eigenvalue == pytest.approx(expected[0], rel=1e-3)
    assert found.converged


def test_what_an_operator_returns_is_not_written_to(dtype):
    """Neither its own memory nor the vectors that it was given, given back or not."""
    values = np.r_[5.0, 4.0, np.linspace(-1, 1, 298)].astype(dtype)
    kept = []

    class Diagonal:
        shape = (300, 300)

        def __init__(self, is_identity):
            self.dtype, self.is_identity = dtype, is_identity

        def matmat(self, x):
            y = x if self.is_identity else values[:, None] * x
            kept.extend((each, each.copy()) for each in (x, y))
            return y

    result = fm.eigh_topk(Diagonal(False), 2, rng=0)
    np.testing.assert_allclose(result.eigenvalues, [5, 4], rtol=100 * eps(dtype))
    same = fm.eigh_topk(Diagonal(True), 2, rng=0)
    assert (same.residuals <= 10 * eps(dtype)).all()
    np.testing.assert_allclose(same.eigenvalues, 1, rtol=10 * eps(dtype))
    fm.power_iteration(Diagonal(False), rng=0)
    assert len(kept) > 20
    assert all(np.array_equal(each, copy) for each, copy in kept)


@pytest.mark.parametrize(
    "spoil", [lambda y: y[:3], lambda y: y[:, :1], lambda y: y[:, 0], lambda y: np.r_[y, y]]
)
def test_an_operator_that_returns_another_shape(spoil):
    class Broken:
        shape, dtype = (300, 300), np.dtype("float64")

        def matmat(self, x):
            return spoil(np.linspace(1, 2, 300)[:, None] * x)

        rmatmat = matmat

    for function in (fm.eigh_topk, fm.svd_topk):
        with pytest.raises(ValueError, match=r"a\.r?matmat\(x\) has shape .*; expected \(300, "):
            function(Broken(), 2, rng=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_operator_that_returns_nan_later(value):
    class Broken:
        shape, dtype, n_calls = (300, 300), np.dtype("float64"), 0

        def matmat(self, x):
            self.n_calls += 1
            return np.full_like(x, value) if self.n_calls == 3 else x * np.arange(300.0)[:, None]

    with pytest.raises(ValueError, match="NaN or infinity"):
        fm.eigh_topk(Broken(), 2, rng=0)


def test_blocks_whose_columns_are_nearly_dependent():
    """What a projection leaves of a block counts for the orthonormal block that it becomes."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        leading = np.resize([1, 0.5, -1, 1 + 1e-5, 1 - 1e-9], 24)
        a = symmetric(rng, np.r_[leading, rng.uniform(-1, 1, 276) * 1e-8])
        result = fm.eigh_topk(a, 8, which="LA", tol=1e-9, max_iter=60, rng=0)
        assert result.converged
        assert (result.residuals <= 1e-9).all()
        blocks = []

        def apply(x, a=a, blocks=blocks):
            blocks.append(x)
            return a @ x

        extremal_pairs(
            apply, rng.standard_normal((300, 8)), 8, "LA",
            size=84, max_products=8, excess=lambda *_: np.inf, rng=rng, loss=1e-11,
        )  # fmt: skip
        v = np.concatenate(blocks, axis=1)
        assert v.shape == (300, 64)
        assert np.abs(v.T @ v - np.eye(64)).max() < 1e-9


def test_numbers_whose_squares_overflow():
    a = (np.random.default_rng(0).standard_normal((600, 300)) * 1e9).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fm.svd_topk(a, 17, rng=0)
    exact = np.linalg.svd(a.astype(np.float64), compute_uv=False)[:17]
    np.testing.assert_allclose(result.S, exact, rtol=1e-5)


@pytest.mark.parametrize("width", [1, 3, 6, 12, 20])
@pytest.mark.parametrize("n_columns", [1, 7, 16, 50, 300])
def test_add_product(rng, dtype, n_columns, width):
    for n_rows in (1, 31, 257, 1300 if n_columns < 100 else 300):
        whole = room_for_columns(n_rows, n_columns + 5, np.dtype(dtype))
        whole[...] = rng.standard_normal(whole.shape)
        v, w = whole[:, :n_columns], rng.standard_normal((n_rows, width)).astype(dtype)
        x = rng.standard_normal((n_columns, width)).astype(dtype)
        z = np.full((n_columns + width, width), np.nan, dtype)
        before = whole.copy()
        for given, sums in ((None, z), (x, z), (x, z[:n_columns]), (x, None)):
            if sums is not None:
                sums[...] = np.nan
            want, size = w.astype(np.float64), np.abs(w)
            if given is not None:
                want, size = want + v.astype(np.float64) @ given, size + np.abs(v) @ np.abs(x)
            again, other = w.copy(), np.empty_like(z)
            add_product(v, given, w, sums)
            with fm.num_threads(1):
                add_product(v, given, again, None if sums is None else other[: len(sums)])
            assert_same_bits(again, w)
            assert (np.abs(w - want) <= (n_columns + 2) * eps(dtype) * size).all()
            if sums is not None:
                assert_same_bits(other[: len(sums)], sums)
                both = np.concatenate([v, w], axis=1).astype(np.float64)[:, : len(sums)]
                bound = (min(n_rows, 300) + 64) * eps(dtype) * (np.abs(both).T @ np.abs(w))
                assert (np.abs(sums - both.T @ w) <= bound).all()
        assert_same_bits(whole, before)


@pytest.mark.parametrize("width", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("n", [1, 5, 32, 35, 97, 530, 1100])
def test_symmetric_product(rng, dtype, n, width):
    a = rng.standard_normal((n, n)).astype(dtype)
    a += a.T
    x = rng.standard_normal((n, width)).astype(dtype)
    want, size = a.astype(np.float64) @ x, np.abs(a) @ np.abs(x)
    y, again = np.full_like(x, np.nan), np.empty_like(x)
    symmetric_product(a, x, y)
    assert (np.abs(y - want) <= 0.5 * (n + 8) * eps(dtype) * size).all()
    half = a.copy()  # what is not to be read: above the squares on the diagonal
    half[np.add.outer(np.arange(n) // 32, -(np.arange(n) // 32)) < 0] = np.nan
    upwards = half[::-1].copy()[::-1]
    with fm.num_threads(1):
        for view in (half, half.T, layout(half, "padded rows"), upwards, upwards.T):
            again[...] = np.nan
            symmetric_product(view, x, again)
            assert_same_bits(again, y)


def test_long_sums_of_a_symmetric_product():
    """What is added to rows above is no chain over all rows: one of 256 loses 44 units here."""
    a, x = np.full((3000, 3000), 0.1, np.float32), np.ones((3000, 2), np.float32)
    y = np.empty_like(x)
    symmetric_product(a, x, y)
    np.testing.assert_allclose(y, 300.0, rtol=12 * eps(np.float32))


def test_large_arrays_are_read_by_half(rng):
    n = 2100  # more than 32 MiB
    a = symmetric(rng, np.r_[[4.0] * 3, [-3.0, 2.5], np.linspace(-1, 1, n - 5)])
    result = fm.eigh_topk(a, 5, rng=0)
    np.testing.assert_allclose(result.eigenvalues, [4, 4, 4, -3, 2.5], rtol=1e-10)
    operator = Dense(a)
    x = rng.standard_normal((n, 8))
    a[np.triu_indices(n, 64)] = np.nan
    assert np.isfinite(operator.symmetric(x)).all()
    assert not np.isfinite(operator.forward(x)).all()


@pytest.mark.parametrize(("n", "k"), [(230, 50), (205, 50), (257, 60)])
def test_a_basis_without_room_for_more(rng, capfd, n, k):
    a = rng.standard_normal((n, n))
    a += a.T
    result = fm.eigh_topk(a, k, rng=0)
    assert capfd.readouterr() == ("", "")  # LAPACK says there what it did not like
    check_pairs(a, result, k)


def test_orthonormalise_at_the_ends_of_the_range(rng, dtype):
    for scale in (1e-30, 1.0, 1e30) if dtype == np.float32 else (1e-200, 1.0, 1e200):
        w = (rng.standard_normal((300, 4)) * [1, 1e-3, 1, 1e3] * scale).astype(dtype)
        q, r = orthonormalise(w.copy())
        np.testing.assert_allclose(q.T.astype(np.float64) @ q, np.eye(4), atol=20 * eps(dtype))
        np.testing.assert_allclose(q @ r / scale, w / scale, atol=1e3 * 20 * eps(dtype))


@pytest.mark.parametrize("n", [300, 600])
def test_what_is_not_symmetric_shows_in_the_residuals(rng, n):
    a = rng.standard_normal((n, n))
    result = fm.eigh_topk(a, 3, rng=0, max_iter=30)
    assert not result.converged
    v, w = result.eigenvectors, result.eigenvalues
    np.testing.assert_allclose(result.residuals, np.linalg.norm(a @ v - v * w, axis=0))


def test_too_few_products_are_reported(rng):
    a = symmetric(rng, np.linspace(0, 1, 400))
    result = fm.eigh_topk(a, 3, rng=0, max_iter=2)
    assert not result.converged
    assert result.n_iter <= 2
    v, w = result.eigenvectors, result.eigenvalues
    np.testing.assert_allclose(result.residuals, np.linalg.norm(a @ v - v * w, axis=0))


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_any_scale(rng, scale):
    a = symmetric(rng, 2.0 ** -np.arange(220.0))
    result = fm.eigh_topk(a * scale, 2, rng=0)
    np.testing.assert_allclose(result.eigenvalues / scale, [1, 0.5], rtol=1e-7)
    assert result.converged
    found = fm.power_iteration(a * scale, rng=0)
    assert found.eigenvalue / scale == pytest.approx(1.0)
    triplets = fm.svd_topk(a * scale, 2, rng=0)
    np.testing.assert_allclose(triplets.S / scale, [1, 0.5], rtol=1e-7)
    assert triplets.converged


# ---- power_iteration ----


def test_power_iteration(rng, dtype):
    a = symmetric(rng, np.r_[-3.0, np.linspace(-2, 2, 99)], dtype)
    result = fm.power_iteration(a, rng=0)
    v = result.eigenvector.astype(np.float64)
    assert result.converged
    assert result.eigenvector.dtype == dtype
    assert isinstance(result.eigenvalue, float)
    assert result.eigenvalue == pytest.approx(-3, rel=1e-5)
    assert np.linalg.norm(v) == pytest.approx(1, rel=1e-5)
    assert v[np.abs(v).argmax()] > 0
    residual = np.linalg.norm(a.astype(np.float64) @ v - result.eigenvalue * v)
    assert result.residual == pytest.approx(residual, abs=20 * eps(dtype) * 3)
    assert result.residual <= eps(dtype) ** 0.5 * 3


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_power_iteration_stops_at_the_first_small_residual(rng, dtype, shift):
    a = symmetric(rng, np.r_[2.0, np.linspace(-1, 1.5, 99)], dtype)
    tol = 1e-3
    found = fm.power_iteration(a, rng=0, tol=tol, shift=shift)
    before = fm.power_iteration(a, rng=0, tol=tol, shift=shift, max_iter=found.n_iter - 1)
    for result in (found, before):
        rest = a @ result.eigenvector - result.eigenvalue * result.eigenvector
        assert result.residual == pytest.approx(np.linalg.norm(rest), rel=0.05)
        assert result.converged == (result.residual <= tol * result.eigenvalue)
    assert found.converged
    assert not before.converged


def test_power_iteration_from_a_start_that_hides_how_large_a_is(dtype):
    # Squares of what the second product gives overflow.
    big = dtype.type(2) ** (100 if dtype == np.float32 else 700)
    result = fm.power_iteration(np.array([[1, 1], [1, big]], dtype), v0=[1, 0])
    assert result.converged
    assert result.eigenvalue == pytest.approx(float(big))
    most = np.finfo(dtype).max
    result = fm.power_iteration(np.full((4, 4), most), v0=[1, 0, 0, 0])
    assert result.converged
    assert result.eigenvalue == pytest.approx(4 * float(most))  # infinite in float64


def test_a_shift_speeds_it_up_and_picks_the_other_end(rng):
    a = symmetric(rng, np.r_[1.0, np.linspace(-0.7, 0.5, 98), -0.9])
    plain = fm.power_iteration(a, rng=0)
    shifted = fm.power_iteration(a, rng=0, shift=-0.2)
    assert shifted.eigenvalue == pytest.approx(plain.eigenvalue)
    assert shifted.n_iter < 0.5 * plain.n_iter
    assert fm.power_iteration(a, rng=0, shift=2.0).eigenvalue == pytest.approx(-0.9)


def test_pairs_of_the_same_magnitude_are_reported():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    for a in (turn, np.diag([1.0, -1.0, 0.5])):
        result = fm.power_iteration(a, rng=0, max_iter=50)
        assert not result.converged
        assert result.n_iter == 50
        assert result.residual > 0.1


def test_power_iteration_from_a_start_and_of_small_matrices():
    one = fm.power_iteration([[4]], v0=[-2])
    assert (one.eigenvalue, one.residual, one.converged) == (4.0, 0.0, True)
    assert one.eigenvector.tolist() == [1.0]
    zero = fm.power_iteration(np.zeros((3, 3)))
    assert (zero.eigenvalue, zero.residual, zero.converged) == (0.0, 0.0, True)
    pagerank = sp.csr_array(np.array([[0, 0, 1.0], [0.5, 0, 0], [0.5, 1.0, 0]]))
    result = fm.power_iteration(0.85 * pagerank.toarray() + 0.05, v0=np.ones(3), tol=1e-12)
    assert result.eigenvalue == pytest.approx(1)
    shares = result.eigenvector / result.eigenvector.sum()
    np.testing.assert_allclose(shares, [0.387790, 0.214811, 0.397400], atol=1e-6)


# ---- any input ----


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(rng, dtype, name):
    a = symmetric(rng, 0.9 ** np.arange(220), dtype)
    view = layout(a, name)
    before = a.copy()
    check_pairs(a, fm.eigh_topk(view, 2, rng=0), 2)
    assert fm.power_iteration(view, rng=0).eigenvalue == pytest.approx(1, rel=1e-3)
    assert np.array_equal(view, before)


@pytest.mark.parametrize("kind", ["float16", "int8", "uint16", "int64", "bool"])
def test_dtypes(kind):
    a = np.eye(5).astype(kind)
    dtype = "float32" if kind == "float16" else "float64"
    assert fm.eigh_topk(a, 2).eigenvectors.dtype == dtype
    assert fm.power_iteration(a).eigenvector.dtype == dtype
    assert fm.eigh_topk(a, 2).eigenvalues.tolist() == [1, 1]


def test_bits_do_not_depend_on_the_threads(rng, dtype):
    a = symmetric(rng, 0.95 ** np.arange(400), dtype)
    s = sp.random_array((3000, 3000), density=0.003, rng=rng, dtype=dtype)
    s = (s + s.T).tocsr()
    results = []
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            results.append([*fm.eigh_topk(a, 3, rng=0), *fm.eigh_topk(s, 3, rng=0, max_iter=12)])
            results[-1] += [*fm.power_iteration(a, rng=0), *fm.power_iteration(s, rng=0)]
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            assert_same_bits(x, y)


def test_seeds(rng):
    a = symmetric(rng, 0.95 ** np.arange(250))
    assert_same_bits(fm.eigh_topk(a, 2, rng=5)[1], fm.eigh_topk(a, 2, rng=5)[1])
    generator = np.random.default_rng(5)
    assert_same_bits(fm.eigh_topk(a, 2, rng=generator)[1], fm.eigh_topk(a, 2, rng=5)[1])
    assert fm.eigh_topk(a, 2, rng=generator)[1].tobytes() != fm.eigh_topk(a, 2, rng=5)[1].tobytes()


@pytest.mark.parametrize("function", [lambda a: fm.eigh_topk(a, 1), fm.power_iteration])
def test_errors(function):
    for bad in (np.nan, np.inf):
        a = np.eye(150)
        a[3, 70] = bad
        for form in (a, sp.csr_array(a), aslinearoperator(a)):
            with pytest.raises(ValueError, match="NaN or infinity"):
                function(form)
    for shape in ((3,), (2, 3), (2, 2, 2), (0, 0)):
        with pytest.raises(ValueError, match="a has shape"):
            function(np.zeros(shape))
    with pytest.raises(TypeError, match="a has dtype complex128"):
        function(np.eye(3) * 1j)
    with pytest.raises(TypeError, match="masked array"):
        function(np.ma.masked_array(np.eye(3), np.eye(3)))
    with pytest.raises(TypeError, match="expected n="):
        function(lambda v: v)


def test_errors_of_options():
    a = np.eye(3)
    for k in (0, -1, 4):
        with pytest.raises(ValueError, match="k is"):
            fm.eigh_topk(a, k)
    with pytest.raises(TypeError, match="k is"):
        fm.eigh_topk(a, 1.5)
    with pytest.raises(ValueError, match="which is 'XX'"):
        fm.eigh_topk(a, 1, which="XX")
    for tol in (-1.0, np.nan, "x"):
        with pytest.raises(ValueError, match="tol is"):
            fm.power_iteration(a, tol=tol)
    with pytest.raises(ValueError, match="max_iter is 0"):
        fm.power_iteration(a, max_iter=0)
    with pytest.raises(ValueError, match="v0 has shape"):
        fm.power_iteration(a, v0=np.ones(2))
    with pytest.raises(ValueError, match="v0 is zero"):
        fm.power_iteration(a, v0=np.zeros(3))
    with pytest.raises(ValueError, match="shift is nan"):
        fm.power_iteration(a, shift=np.nan)
    with pytest.raises(ValueError, match=r"a\(v\) has shape"):
        fm.power_iteration(lambda v: v[:2], n=3)


SYMMETRIC = {
    "covariance": lambda x: x.T @ x,
    "negative": lambda x: -(x.T @ x),
    "normal": lambda x: x + x.T,
    "low rank": lambda x: x[:, :2] @ x[:, :2].T,
    "diagonal": lambda x: np.diag(np.diag(x)),
    "bipartite": lambda x: np.kron([[0, 1], [1, 0]], (x + x.T)[::2, ::2]),
    "below": lambda x: 2 * np.eye(len(x)) - 1,  # 2 - n once, and 2
}


@pytest.mark.parametrize("kind", SYMMETRIC)
@pytest.mark.parametrize("n", [20, 60, 200])
def test_a_few_pairs_of_a_small_matrix(rng, dtype, kind, n):
    """LAPACK is asked for these alone where it can tell which they are."""
    a = SYMMETRIC[kind](rng.standard_normal((n, n))).astype(dtype)
    every = np.linalg.eigvalsh(a.astype(np.float64))
    bound = 100 * np.finfo(dtype).eps * abs(every).max()
    for k in (1, 2, n // 10, n // 10 + 1):
        for which, key in (("LM", -abs(every)), ("LA", -every), ("SA", every)):
            found = fm.eigh_topk(a, k, which=which, rng=0)
            want = every[np.argsort(key, kind="stable")][:k]
            np.testing.assert_allclose(abs(found.eigenvalues), abs(want), atol=bound)
            v, w = found.eigenvectors.astype(np.float64), found.eigenvalues
            np.testing.assert_allclose(a @ v, v * w, atol=bound)
            np.testing.assert_allclose(v.T @ v, np.eye(k), atol=100 * np.finfo(dtype).eps)
            assert found.converged


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 18, 50, 127, 128, 129, 200, 256, 512, 513])
def test_small_problems_are_solved_as_by_lapack(rng, n):
    x = rng.standard_normal((n, n))
    graded = 10.0 ** -np.linspace(0, 12, n)
    for a in (
        x + x.T,
        (x + x.T) * np.outer(graded, graded),
        symmetric(rng, np.r_[np.ones(n - 1), 2.0]),
        np.diag(np.arange(n) % 3.0),
        np.ones((n, n)),
        np.zeros((n, n)),
        np.kron(np.eye(n // 2 + 1), [[2.0, 1.0], [1.0, 2.0]])[:n, :n],
        np.diag(abs(np.arange(n) - n // 2) * 1.0) + np.eye(n, k=1) + np.eye(n, k=-1),
        *(np.diag(np.arange(n) + 1.0) + 10.0**-e * (x + x.T) for e in (150, 155, 158, 160, 162)),
        np.kron([[1, 1e-157], [1e-157, 1]], np.ones((n // 2 + 1, n // 2 + 1)))[:n, :n],
        2e-140 * np.outer(x[0], x[0]),
        1e-160 * (x + x.T),
        1e160 * (x + x.T),
    ):
        before = a.copy()
        values, vectors = _lapack.eigh(a)
        bound = 100 * max(n, 10) * np.finfo(np.float64).eps
        size = max(np.abs(a).max(), 1e-300)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(a), rtol=0, atol=bound * size * n)
        np.testing.assert_allclose(a @ vectors, vectors * values, rtol=0, atol=bound * size)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), rtol=0, atol=bound)
        assert np.array_equal(a, before)


def test_which_small_problems_are_solved_in_part(rng):
    x = rng.standard_normal((60, 60))
    covariance, normal = x.T @ x, x + x.T
    assert all(_lapack.eigh_some(covariance, 6, which) for which in ("LM", "LA", "SA"))
    assert _lapack.eigh_some(normal, 2, "LA")
    assert not any(_lapack.eigh_some(normal, 2, which) for which in ("LM", "BE"))
    assert not _lapack.eigh_some(covariance, 7, "LA")
    assert not _lapack.eigh_some(SYMMETRIC["below"](x), 1, "LM")


def test_operators_that_turn_out_complex():
    h = np.array([[0, 1j], [-1j, 0]])
    for a in (lambda v: h @ v, LinearOperator((2, 2), matvec=lambda v: h @ v, dtype=float)):
        options = {} if hasattr(a, "shape") else {"n": 2}
        with pytest.raises(TypeError, match="complex"):
            fm.linalg.eigh_topk(a, 1, **options)
        with pytest.raises(TypeError, match="complex"):
            fm.linalg.power_iteration(a, **options)
