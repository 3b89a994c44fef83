"""Stacks of small matrices: backward errors beside LAPACK's, hostile matrices, independence.

The measure is the backward error, in units of the rounding of the dtype: how far the matrix lies
from the one that the result is exact for. It may be ten times LAPACK's on the same matrices, or the
few units that any algorithm needs.
"""

import numpy as np
import pytest
from helpers import assert_same_bits, eps

import fastmath_ml as fm

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32)
SHAPES = ((1, 4), (4, 1), (3, 8), (8, 3), (7, 6), (32, 5), (9, 32))
N_MATRICES = 21


def transposed(x):
    return np.swapaxes(x, -1, -2)


def norms(x):
    """Frobenius norms that do not overflow."""
    largest = np.abs(x).max(axis=(-2, -1))
    scale = np.where(largest > 0, largest, 1)[..., None, None]
    return np.sqrt(((x / scale) ** 2).sum(axis=(-2, -1))) * scale[..., 0, 0]


def positive(x):
    return np.where(x > 0, x, 1)


def make(kind, rng, n_rows, n_cols):
    a = rng.standard_normal((N_MATRICES, n_rows, n_cols))
    if kind == "graded":
        a *= np.logspace(0, -12, n_rows)[:, None] * np.logspace(0, -12, n_cols)
    elif kind == "graded upwards":
        a *= np.logspace(-12, 0, n_rows)[:, None] * np.logspace(-12, 0, n_cols)
    elif kind == "ill-conditioned":
        k = min(n_rows, n_cols)
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        a = (u * np.logspace(0, -15, k)) @ vh
    elif kind == "rank-deficient":
        k = max(1, min(n_rows, n_cols) // 2)
        a = a[:, :, :k] @ rng.standard_normal((N_MATRICES, k, n_cols))
    elif kind == "clustered":
        a = np.eye(n_rows, n_cols) + 1e-9 * a
    elif kind == "integers":
        a = np.round(a)
    elif kind == "tiny":
        a *= 1e-306
    elif kind == "huge":
        a *= 1e304
    elif kind == "wide range":
        a *= 10.0 ** rng.uniform(-140, 140, a.shape)
    return a


KINDS = [
    "normal",
    "graded",
    "ill-conditioned",
    "rank-deficient",
    "clustered",
    "integers",
    "tiny",
    "huge",
    "graded upwards",
    "wide range",
]


def eigh_errors(a, w, v):
    """Of A = V diag(w) V^T and of V^T V = I."""
    rebuilt = (v * w[..., None, :]) @ transposed(v)
    return (
        norms(rebuilt - a) / positive(norms(a)),
        norms(transposed(v) @ v - np.eye(a.shape[-1])),
    )


def svd_errors(a, u, s, vh):
    k = s.shape[-1]
    rebuilt = (u[..., :k] * s[..., None, :]) @ vh[..., :k, :]
    return (
        norms(rebuilt - a) / positive(norms(a)),
        norms(transposed(u) @ u - np.eye(u.shape[-1])),
        norms(vh @ transposed(vh) - np.eye(vh.shape[-2])),
    )


def qr_errors(a, q, r):
    return (
        norms(q @ r - a) / positive(norms(a)),
        norms(transposed(q) @ q - np.eye(q.shape[-1])),
    )


def solve_errors(a, b, x):
    return (norms(a @ x - b) / positive(norms(a) * norms(x) + norms(b)),)


def assert_as_small(ours, lapacks, n, floor=4):
    """At most ten times the largest of LAPACK's, or floor * n roundings of float64."""
    for mine, other in zip(ours, lapacks, strict=True):
        bound = max(10 * other.max(), floor * n * eps("float64"))
        assert np.all(mine <= bound), f"{mine.max():.3g}, LAPACK's {other.max():.3g}"


# ---- backward errors ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_eigh(kind, n, rng):
    a = make(kind, rng, n, n)
    a = a + transposed(a)
    result = fm.linalg.eigh(a)
    assert isinstance(result, type(np.linalg.eigh(np.eye(1))))
    assert_as_small(eigh_errors(a, *result), eigh_errors(a, *np.linalg.eigh(a)), n)
    assert np.all(np.diff(result.eigenvalues) >= 0)
    scale = positive(np.abs(a).sum(axis=-1).max(axis=-1))[:, None]
    error = np.abs(result.eigenvalues - np.linalg.eigvalsh(a)) / scale
    assert np.all(error <= 8 * n * eps("float64"))
    assert_same_bits(fm.linalg.eigvalsh(a), result.eigenvalues)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [*((n, n) for n in SIZES), *SHAPES])
def test_svd(kind, shape, rng):
    a = make(kind, rng, *shape)
    n = max(shape)
    for full in (False, True):
        result = fm.linalg.svd(a, full_matrices=full)
        lapacks = np.linalg.svd(a, full_matrices=full)
        assert isinstance(result, type(lapacks))
        assert [x.shape for x in result] == [x.shape for x in lapacks]
        assert_as_small(svd_errors(a, *result), svd_errors(a, *lapacks), n, floor=8)
        assert np.all(np.diff(result.S) <= 0)
        assert np.all(result.S >= 0)
        error = np.abs(result.S - lapacks.S) / positive(norms(a))[:, None]
        assert np.all(error <= 8 * n * eps("float64"))
    values = fm.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(values, result.S, rtol=4 * n * eps("float64"), atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("n_rhs", [1, 3, 4, 8, 13])
def test_solve_and_inv(kind, n, n_rhs, rng):
    a = make(kind, rng, n, n)
    if kind in ("rank-deficient", "integers"):
        a = a + 3 * n * np.eye(n)
    if kind == "tiny":
        a = a * 1e6  # the inverse of a denormal overflows
    if kind == "wide range":
        a = np.sign(a) * np.abs(a) ** 0.03  # beyond 1e16 an exactly zero pivot is right too
    b = rng.standard_normal((N_MATRICES, n, n_rhs))
    with np.errstate(all="ignore"):
        expected = np.linalg.solve(a, b)
        can_judge = np.isfinite(expected).all(axis=(-2, -1)) & (norms(expected) < 1e300)
        ours, lapacks = fm.linalg.solve(a, b)[can_judge], expected[can_judge]
    if can_judge.any():
        a, b = a[can_judge], b[can_judge]
        scale = 2.0 ** -np.round(np.log2(np.abs(a).max(axis=(-2, -1))))[:, None, None]
        a, ours, lapacks = a * scale, ours / scale, lapacks / scale
        assert_as_small(solve_errors(a, b, ours), solve_errors(a, b, lapacks), n)
        if n_rhs == 1:
            eye = np.broadcast_to(np.eye(n), a.shape)
            errors = (solve_errors(a, eye, f(a)) for f in (fm.linalg.inv, np.linalg.inv))
            assert_as_small(*errors, n)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [*((n, n) for n in SIZES), *SHAPES])
def test_qr(kind, shape, rng):
    a = make(kind, rng, *shape)
    for mode in ("reduced", "complete"):
        result, lapacks = fm.linalg.qr(a, mode), np.linalg.qr(a, mode)
        assert isinstance(result, type(lapacks))
        assert [x.shape for x in result] == [x.shape for x in lapacks]
        assert_as_small(qr_errors(a, *result), qr_errors(a, *lapacks), max(shape))
        assert not np.tril(result.R, -1).any()
    assert_same_bits(fm.linalg.qr(a, "r"), fm.linalg.qr(a).R)
    h, tau = fm.linalg.qr(a, "raw")
    assert_same_bits(np.triu(transposed(h))[:, : min(shape)], fm.linalg.qr(a, "r"))
    if kind == "normal":
        wanted = np.linalg.qr(a, "raw")
        np.testing.assert_allclose(h, wanted[0], rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(tau, wanted[1], rtol=1e-11)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("upper", [False, True])
def test_cholesky(n, upper, rng):
    for exponent in (0, 12):
        q, _ = np.linalg.qr(rng.standard_normal((N_MATRICES, n, n)))
        a = (q * np.logspace(0, -exponent, n)) @ transposed(q)
        factor = fm.linalg.cholesky(a, upper=upper)
        lower = transposed(factor) if upper else factor
        assert not np.triu(lower, 1).any()
        triangle = np.triu(a) if upper else np.tril(a)
        a = triangle + transposed(triangle) - a * np.eye(n)
        assert np.all(norms(lower @ transposed(lower) - a) <= 2 * n * eps("float64") * norms(a))
        # The other triangle is not read.
        assert_same_bits(fm.linalg.cholesky(triangle, upper=upper), factor)


@pytest.mark.parametrize("n", SIZES)
def test_determinants(n, rng):
    """Products of integers are exact; triangular matrices have their pivots on the diagonal."""
    pivots = rng.integers(1, 4, (N_MATRICES, n)) * rng.choice([-1.0, 1.0], (N_MATRICES, n))
    a = np.triu(rng.integers(-3, 4, (N_MATRICES, n, n))).astype(float)
    a[:, range(n), range(n)] = pivots
    rows = np.array([rng.permutation(n) for _ in range(N_MATRICES)])
    signs = np.round(np.linalg.det(np.eye(n)[rows]))
    shuffled = np.take_along_axis(a, rows[:, :, None], axis=1)
    exact = signs * np.prod(pivots, axis=-1)
    np.testing.assert_allclose(fm.linalg.det(shuffled), exact, rtol=1e-13 * n)
    sign, log_abs = fm.linalg.slogdet(shuffled)
    np.testing.assert_array_equal(sign, np.sign(exact))
    np.testing.assert_allclose(log_abs, np.log(np.abs(exact)), rtol=1e-13, atol=1e-13 * n)


def test_determinants_at_the_ends_of_the_range():
    for diagonal in ([1e200, 1e200, 1e-200, 1e-200], [1e-200, 1e-200, 1e200, 1e200]):
        np.testing.assert_allclose(fm.linalg.det(np.diag(diagonal)), 1, rtol=1e-14)
    assert fm.linalg.det(np.diag([1e200, 1e200, 1.0])) == np.inf
    assert fm.linalg.det(np.diag([1e-200, 1e-200, 1.0])) == 0
    assert fm.linalg.det(np.diag([3e-300, 1e-15, 1.0])) == pytest.approx(3e-315, rel=1e-6)


@pytest.mark.parametrize("shape", [*((n, n) for n in SIZES), *SHAPES])
def test_pinv_and_lstsq(shape, rng):
    for kind in ("normal", "rank-deficient", "graded"):
        a = make(kind, rng, *shape) + (0 if kind != "graded" else np.eye(*shape))
        inverse = fm.linalg.pinv(a, 1e-12)
        np.testing.assert_allclose(inverse, np.linalg.pinv(a, 1e-12), rtol=1e-8, atol=1e-8)
        cutoffs = np.full(N_MATRICES, 1e-12)
        np.testing.assert_allclose(fm.linalg.pinv(a, cutoffs), inverse, rtol=1e-8, atol=1e-8)
        b = rng.standard_normal((shape[0], 3))
        for rhs in (b, b[:, 0]):
            ours = fm.linalg.lstsq(a[0], rhs, 1e-12)
            lapacks = np.linalg.lstsq(a[0], rhs, 1e-12)
            assert ours[2] == lapacks[2]
            for mine, other in zip(ours, lapacks, strict=True):
                assert np.shape(mine) == np.shape(other)
                np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-8)


def test_lstsq_without_a_positive_cutoff():
    """Rank up to half the machine epsilon, as LAPACK's gelsd counts it."""
    a = np.diag([1.0, 1e-15, 1e-17])
    for rcond, rank in ((-1, 2), (0, 2), (1e-16, 2), (1e-18, 3), (None, 2), (1e-3, 1)):
        assert fm.linalg.lstsq(a, np.ones(3), rcond)[2] == rank == np.linalg.lstsq(a, a, rcond)[2]
