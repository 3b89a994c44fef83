"""Moments and what is made of them: exact sums, any layout, hostile input, equal bits."""

import inspect
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from helpers import LAYOUTS, assert_same_bits, assert_unchanged, assert_within, eps, layout
from hypothesis import given
from hypothesis import strategies as st

import fastmath_ml as fm
from fastmath_ml import _moments
from fastmath_ml._kernels.moments import scatter_matrix

S, R = fm.stats, fm.reference.stats
REDUCTIONS = ["mean", "var", "std", "nanmean", "nanvar", "nanstd"]
SHAPES = [
    ((1,), None), ((10,), 0), ((2049,), None), ((300_000,), None), ((40, 7), 1), ((7, 40), 1),
    ((70, 33), 1), ((70, 33), 0), ((3000, 3), 0), ((300, 1030), 0), ((3, 140, 5), 1),
    ((2, 300, 70), (0, 2)), ((9, 4, 5), (0, 1)), ((9, 4, 5), (-1, 1)), ((20_000, 9), 0),
]  # fmt: skip


def check(name, x, axis, **options):
    result = getattr(S, name)(x, axis, **options)
    exact = np.asarray(getattr(R, name)(x, axis, **options), np.float64)
    dtype = x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.dtype("float64")
    # Sums of float64 in chains of at most 150, of float32 rounded once.
    bound = (1 if dtype.itemsize < 8 else 32) * eps(dtype) * np.abs(exact)
    if "mean" in name:
        values = np.abs(np.nan_to_num(x.astype(np.float64), posinf=0, neginf=0))
        size = values.mean(axis, keepdims=options.get("keepdims", False))
        bound = bound + 8 * eps("float64") * size * x.size
    assert_within(result, exact, bound, dtype)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_moments(rng, dtype, shape, axis, name):
    x = (rng.standard_normal(shape) + 2).astype(dtype)
    if "nan" in name and x.size > 1:
        x[rng.random(shape) < 0.2] = np.nan
        x.flat[0] = 1
    with np.errstate(all="ignore"):
        check(name, x, axis)
        check(name, x, axis, keepdims=True)
        if "mean" not in name and x.size > 200 and "nan" not in name:
            check(name, x, axis, ddof=1)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(rng, dtype, name):
    x = rng.standard_normal((37, 53)).astype(dtype)
    view = layout(x, name)
    before = np.array(view)
    for axis in (None, 0, 1):
        for reduction in ("mean", "var", "nanstd"):
            check(reduction, view, axis)
    z = S.zscore(view, 1)
    assert_within(z, R.zscore(x, 1), 32 * eps(dtype), dtype)
    for rowvar in (False, True):
        c = S.cov(view, rowvar=rowvar, dtype=dtype)
        np.testing.assert_allclose(c, R.cov(x, rowvar=rowvar), atol=50 * eps(dtype))
    np.testing.assert_array_equal(np.asarray(view), before)


@pytest.mark.parametrize("kind", ["float16", "int8", "uint32", "int64", "bool", ">f4", ">i2"])
def test_dtypes(rng, kind):
    x = rng.integers(0, 2 if kind == "bool" else 90, (40, 50)).astype(kind)
    for name in REDUCTIONS:
        result, expected = getattr(S, name)(x, 1), getattr(np, name)(x.astype("f8"), 1)
        own = x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.dtype("f8")
        assert result.dtype == own
        np.testing.assert_allclose(result, expected, rtol=2 * eps(own))
    assert S.mean(x, dtype=np.float32).dtype == np.float32
    assert S.var(x[0], dtype="f8") == pytest.approx(np.var(x[0].astype("f8")), rel=1e-14)
    np.testing.assert_allclose(S.cov(x), np.cov(x.astype("f8")), atol=1e-9)


def test_large_conversions_are_made_in_pieces(rng):
    x = rng.integers(-99, 99, 1_500_000).astype(np.int16)
    for y in (x, x.reshape(-1, 3), x.reshape(2, -1), x.reshape(3, -1)[:, ::2]):
        for axis in (None, 0, -1):
            np.testing.assert_allclose(S.var(y, axis), np.var(y.astype("f8"), axis), rtol=1e-12)
            np.testing.assert_allclose(S.mean(y, axis), np.mean(y.astype("f8"), axis), atol=1e-12)


def test_complex_extended_and_where_are_numpys(rng):
    z = rng.standard_normal((4, 5)) + 1j * rng.standard_normal((4, 5))
    for x in (z, z.real.astype(np.longdouble)):
        np.testing.assert_allclose(S.var(x, 0), np.var(x, 0))
        assert S.mean(x).dtype == x.dtype
    np.testing.assert_allclose(S.cov(z), np.cov(z))
    x = z.real.astype(np.float32)
    where = x > 0
    result = S.var(x, where=where)
    assert result.dtype == np.float32
    assert result == pytest.approx(np.var(x[where].astype("f8")), rel=1e-7)
    assert S.var(x, 1, mean=x.mean(1, keepdims=True)).shape == (4,)
    np.testing.assert_array_equal(S.var(x, correction=1), S.var(x, ddof=1))


@pytest.mark.parametrize("n", [3, 700, 300_000])
@pytest.mark.parametrize("order", ["C", "F"])
def test_far_from_the_origin(n, order):
    """Two numbers a unit apart: the variance is 1/4 whatever lies below them."""
    for dtype, far in (("float32", 2.0**23), ("float64", 2.0**52)):
        x = np.full((2 * n, 2), far, dtype, order=order)
        x[::2] += 1
        for axis in (0, None):
            np.testing.assert_allclose(S.var(x, axis), 0.25, rtol=1e-14)
        np.testing.assert_allclose(S.var(np.sort(x, axis=0), 0), 0.25, rtol=1e-14)
        outlier = np.array(x[:, 0])
        outlier[0] = 0
        exact = float(R.var(outlier))
        assert S.var(outlier) == pytest.approx(exact, rel=32 * eps(dtype))


def test_long_float32_is_rounded_once():
    x = np.full(5_000_001, 0.1, np.float32)
    assert S.mean(x) == np.float32(0.1)
    assert S.mean(x[:5_000_000].reshape(-1, 2), 0).tolist() == [np.float32(0.1)] * 2
    assert S.var(x) < 1e-17


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=60))
def test_against_fractions(values):
    exact = [Fraction(v) for v in values]
    mean = sum(exact) / len(exact)
    var = sum((v - mean) ** 2 for v in exact) / len(exact)
    for dtype in ("float32", "float64"):
        x = np.array(values, dtype)
        size = float(max(map(abs, exact)))
        assert abs(float(S.mean(x)) - float(mean)) <= 2 * eps(dtype) * (size + 1e-30)
        bound = 4 * eps(dtype) * float(var) + 64 * eps("float64") * float(var) + 1e-300
        assert abs(float(S.var(x)) - float(var)) <= bound + np.finfo(dtype).smallest_subnormal


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(rng, dtype, bad):
    x = rng.standard_normal((40, 3000)).astype(dtype)
    x[7, 2999] = bad
    with np.errstate(invalid="ignore"):
        for axis in (0, 1, None):
            expected = np.mean(x.astype("f8"), axis)
            np.testing.assert_allclose(S.mean(x, axis), expected, rtol=1e-4, atol=1e-6)
            expected = np.var(x.astype("f8"), axis)
            np.testing.assert_allclose(S.var(x, axis), expected, rtol=1e-5)
            np.testing.assert_allclose(
                S.nanvar(x, axis), np.nanvar(x.astype("f8"), axis), rtol=1e-5
            )
    assert np.isnan(S.mean(np.array([np.inf, -np.inf], dtype)))
    columns = np.full((300, 2), np.nan, dtype)
    columns[200:, 0] = 1e6 + np.arange(100) % 2
    with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
        np.testing.assert_array_equal(S.nanmean(columns, 0), np.array([1e6 + 0.5, np.nan], dtype))
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        np.testing.assert_allclose(S.nanvar(columns, 0), [0.25, np.nan], rtol=1e-14)


def test_huge_and_tiny_numbers(dtype):
    info = np.finfo(dtype)
    assert S.mean(np.full(1000, info.max / 2048, dtype)) == info.max / 2048
    if dtype == np.float32:
        assert S.mean(np.full(1000, info.max, dtype)) == info.max
    tiny = np.array([0, 2, 4, 6] * 5, dtype) * dtype.type(info.smallest_subnormal)
    assert S.mean(tiny) == 3 * info.smallest_subnormal


@pytest.mark.parametrize("n", [63, 64, 1000, 20_000, 100_001])
def test_means_of_float32_are_rounded_once(rng, n):
    # Of both signs and 60 powers of two, so that what rounding takes off a sum of two counts.
    wild = (rng.standard_normal(n) * 2.0 ** rng.integers(-30, 30, n)).astype(np.float32)
    for x in (wild, np.concatenate([wild, -wild[::-1]]), wild + np.float32(3e7)):
        exact = float(sum(map(Fraction, x.tolist())) / x.size)
        size = float(np.abs(x.astype(np.float64)).mean())
        for got in (S.mean(x), S.mean(x[None], axis=1)[0]):
            assert abs(float(got) - exact) <= abs(exact) * 2.0**-24 + size * 2.0**-44


@pytest.mark.parametrize("at", [0, 17, 3000, 19_999])
def test_means_of_float32_whose_pairs_overflow(at):
    # The sum of two is infinite, that in double is not; and what is not finite stays what it is.
    info = np.finfo(np.float32)
    x = np.full(20_000, info.max, np.float32)
    assert S.mean(x) == info.max
    x[::2] *= -1
    assert S.mean(x) == 0
    for value in (np.inf, -np.inf, np.nan):
        x[at] = value
        np.testing.assert_array_equal(S.mean(x), np.float32(value))
    x[at], x[at - 1] = np.inf, -np.inf
    assert np.isnan(S.mean(x))


def test_empty_and_no_degrees_of_freedom():
    with pytest.warns(RuntimeWarning, match="Mean of empty slice"), np.errstate(invalid="ignore"):
        assert np.isnan(S.mean([]))
    assert S.mean(np.zeros((0, 3)), axis=1).shape == (0,)
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        assert np.isnan(S.var(np.ones(1), ddof=1))
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        assert np.isposinf(S.var(np.array([1.0, 2.0]), ddof=2))
    assert S.mean(3.0) == 3.0
    assert isinstance(S.mean(np.ones(3, np.float32)), np.float32)
    np.testing.assert_array_equal(S.mean(np.ones((2, 3)), axis=()), np.ones((2, 3)))


def test_out(rng, dtype):
    x = rng.standard_normal((30, 40)).astype(dtype)
    for axis, n in ((0, 40), (1, 30)):
        for out in (np.empty(n, dtype), np.empty(2 * n)[::2], np.empty(n, ">f8")):
            assert S.var(x, axis, out=out) is out
            np.testing.assert_allclose(out, S.var(x, axis), rtol=1e-6)
    expected = S.mean(x, 0)
    assert_same_bits(S.mean(x, 0, out=x[3]), expected)
    with pytest.raises(ValueError, match="out has shape"):
        S.mean(x, 0, out=np.empty(3))
    with pytest.raises(TypeError, match="out has dtype int64"):
        S.mean(x, 0, out=np.empty(40, np.int64))


def test_bits_do_not_depend_on_the_threads(rng, dtype):
    x = rng.standard_normal((3001, 130)).astype(dtype)
    x[5, 5] = np.nan
    results = []
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            found = [getattr(S, name)(x, axis) for name in REDUCTIONS for axis in (None, 0, 1)]
            found += [S.zscore(x, axis, nan_policy="omit") for axis in (0, 1)]
            clean = np.nan_to_num(x)
            found += [S.cov(clean, rowvar=False, dtype=dtype), S.cov(clean[:600], dtype=dtype)]
            found += [S.average(clean, 0, weights=clean[:, 0] ** 2)]
            results.append(found)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_same_bits(a, b)


def test_errors():
    with pytest.raises(TypeError, match="masked array"):
        S.mean(np.ma.masked_array([1.0], [True]))
    with pytest.raises(np.exceptions.AxisError):
        S.var(np.zeros(3), axis=1)
    with pytest.raises(ValueError, match="each axis once"):
        S.var(np.zeros((2, 2)), axis=(0, 0))
    with pytest.raises(ValueError, match="ddof and correction"):
        S.var(np.zeros(3), ddof=1, correction=1)
    with pytest.raises(ValueError, match="nan_policy"):
        S.zscore([1.0], nan_policy="x")
    with pytest.raises(ValueError, match="contains nan"):
        S.describe([1.0, np.nan], nan_policy="raise")
    with pytest.raises(ValueError, match="empty"):
        S.describe([])
    with pytest.raises(ValueError, match="3 axes"):
        S.cov(np.zeros((2, 2, 2)))
    with pytest.raises(ZeroDivisionError):
        S.average([1.0, 2.0], weights=[1, -1])


# ---- covariance ----


@pytest.mark.parametrize("shape", [(2, 1), (50, 3), (600, 128), (5000, 37), (700, 300), (40, 257)])
def test_covariance(rng, dtype, shape):
    x = (rng.standard_normal(shape) @ rng.standard_normal((shape[1], shape[1]))).astype(dtype)
    x += 100
    exact = R.cov(x, rowvar=False)
    scale = np.sqrt(np.outer(*[np.atleast_1d(np.diag(np.atleast_2d(exact)))] * 2)).squeeze()
    for options in ({"rowvar": False}, {"rowvar": True}):
        data = x if not options["rowvar"] else np.ascontiguousarray(x.T)
        before = data.copy()
        result = S.cov(data, dtype=dtype, **options)
        assert_unchanged([data], [before])
        assert_within(result, exact, 100 * eps(dtype) * scale, dtype)
        assert_same_bits(result, result.T)
        wide = S.cov(data, **options)
        assert_within(wide, exact, 1e-12 * scale, np.dtype("float64"))
        r = S.corrcoef(data, dtype=dtype, **options)
        np.testing.assert_allclose(r, R.corrcoef(x, rowvar=False), atol=100 * eps(dtype))
        assert np.abs(r).max() <= 1


@pytest.mark.parametrize("rowvar", [True, False])
@pytest.mark.parametrize("n_variables", [20, 300])
def test_covariance_of_float32_far_from_zero(rng, rowvar, n_variables):
    """Half a unit in the last place of such a mean is 0.03."""
    x = (rng.standard_normal((3000, n_variables)) + 1e6).astype(np.float32)
    exact = R.cov(x, rowvar=False)
    result = S.cov(np.ascontiguousarray(x.T) if rowvar else x, rowvar=rowvar, dtype=np.float32)
    assert_within(result, exact, 100 * eps("float32") * np.diag(exact).max(), np.dtype("float32"))


@pytest.mark.parametrize("types", [("float32", "float32"), ("float32", None), ("float64", None)])
@pytest.mark.parametrize("n_variables", [65, 256, 300])
def test_covariance_of_large_data(rng, types, n_variables):
    """Read once, about the mean of a few observations: those may be anything."""
    n = 1 + (1 << 20) // n_variables
    dtype, wanted = np.dtype(types[0]), types[1]
    result = np.dtype(wanted or "float64")
    x = rng.standard_normal((n, n_variables)).astype(dtype) + dtype.type(3)
    x[:, 1] += np.linspace(-1e3, 1e3, n)  # drifts
    x[:, 2] = 7.1  # does not vary
    x[:, 3] *= 1e4  # far from 0
    x[:, 4] = np.abs(x[:, 4]) ** -1.5  # has no variance to speak of
    x[0, 5] = 1e5  # one of the few is far from all others
    exact = R.cov(x, rowvar=False)
    variances, mean_errors = exact.diagonal(), 32 * eps("float64") * abs(x).mean(axis=0)
    bound = 100 * eps(result) * np.sqrt(np.outer(variances, variances))
    bound += np.outer(mean_errors, mean_errors)
    for columns in (slice(None), slice(6, None), [0, 1, 2, 3], [2]):
        part = np.tile(x[:, columns], (1, 4))[:, :n_variables]  # as large as the whole
        for rows, rowvar in ((part, False), (np.ascontiguousarray(part.T), True)):
            found = S.cov(rows, rowvar=rowvar, dtype=wanted)
            at = np.resize(np.arange(n_variables)[columns], len(found))
            assert_within(found, exact[np.ix_(at, at)], bound[np.ix_(at, at)], result)
            assert_same_bits(found, found.T.copy())
    for lost in (np.nan, np.inf):
        x[11, 8] = lost
        found = S.cov(x, rowvar=False, dtype=wanted)
        assert np.isnan(found[8]).all()
        assert np.isnan(found[:, 8]).all()
        assert np.isfinite(np.delete(np.delete(found, 8, 0), 8, 1)).all()
    huge = np.finfo(dtype).max ** 0.52 * rng.standard_normal((n, n_variables)).astype(dtype)
    squares = S.cov(huge, rowvar=False, dtype=wanted).diagonal()
    assert (np.isinf(squares) == (dtype == result)).all()


@pytest.mark.parametrize("types", [("float32", "float32"), ("float32", None), ("float64", None)])
@pytest.mark.parametrize("n_variables", [1, 3, 7, 17, 40])
def test_covariance_in_one_pass_of_any_layout(rng, monkeypatch, types, n_variables):
    monkeypatch.setattr(_moments, "ONE_PASS_SIZE", 1)
    x = (rng.standard_normal((5003, n_variables)) + 2).astype(types[0])
    x[:, 0] *= 10
    exact = R.cov(x, rowvar=False)
    bound = 50 * eps(types[1] or "float64") * exact.max()
    by_rows = [x, np.pad(x, ((0, 0), (1, 2)))[:, 1:-2], np.asfortranarray(x)]
    for some in by_rows:
        results = []
        for threads in (1, 2, 3):
            with fm.num_threads(threads):
                results.append(S.cov(some, rowvar=False, dtype=types[1]))
        np.testing.assert_allclose(results[0], exact, rtol=0, atol=bound)
        for other in results[1:]:
            assert_same_bits(results[0], other)
    found = S.cov(x[::-1], rowvar=False, dtype=types[1])
    np.testing.assert_allclose(found, exact, rtol=0, atol=bound)


def test_a_shift_far_from_the_mean_is_seen(rng, dtype):
    """Every observation that a shift is taken from is another than the rest."""
    x = rng.standard_normal((1 << 16, 16)).astype(dtype)
    out, sums = np.empty((16, 16), dtype), np.empty(16)
    assert scatter_matrix(x, False, np.full(16, 0.25), None, out, sums)
    np.testing.assert_allclose(sums, (x - 0.25).sum(axis=0, dtype=np.float64), rtol=1e-5)
    exact = R.cov(x, rowvar=False, bias=True) * len(x)
    np.testing.assert_allclose(out, exact, atol=100 * eps(dtype) * len(x))
    assert not scatter_matrix(x, False, np.full(16, 1.5), None, out, sums)
    x[:: len(x) // 64] += 300
    exact = R.cov(x, rowvar=False)
    found = S.cov(x, rowvar=False, dtype=dtype)
    assert_within(found, exact, 20 * eps(dtype) * exact.max(), dtype)


def test_pca_of_large_data(rng, dtype):
    x = (rng.standard_normal((20_000, 60)) * np.linspace(5, 1, 60) + 30).astype(dtype)
    centred = x - x.mean(axis=0, dtype=np.float64)
    s = np.linalg.svd(centred, compute_uv=False)
    results = []
    for threads in (1, 3):
        with fm.num_threads(threads):
            results.append(fm.pca(x, 4))
    found = results[0]
    for one, other in zip(*results, strict=True):
        assert_same_bits(one, other)
    np.testing.assert_allclose(found.singular_values, s[:4], rtol=50 * eps(dtype))
    np.testing.assert_allclose(found.explained_variance_ratio, s[:4] ** 2 / (s**2).sum(), rtol=1e-4)
    mean = x.mean(axis=0, dtype=np.longdouble).astype(np.float64)
    np.testing.assert_allclose(found.mean, mean, rtol=2 * eps(dtype))
    scores = centred @ found.components.T.astype(np.float64)
    np.testing.assert_allclose(found.scores, scores, atol=100 * eps(dtype) * s[0] / len(x) ** 0.5)
    tiny = fm.pca(x * dtype.type(1e-30), 4)
    np.testing.assert_allclose(tiny.singular_values, s[:4] * 1e-30, rtol=1e-4)


def test_covariance_options(rng):
    x, y = rng.standard_normal((2, 5, 60))
    f, a = rng.integers(0, 4, 60), rng.random(60)
    cases = [
        {"y": y}, {"y": y[0]}, {"bias": True}, {"ddof": 3}, {"fweights": f}, {"aweights": a},
        {"fweights": f, "aweights": a, "ddof": 0}, {"rowvar": False}, {"y": y, "rowvar": False},
    ]  # fmt: skip
    for options in cases:
        np.testing.assert_allclose(S.cov(x, **options), np.cov(x, **options), atol=1e-12)
    np.testing.assert_allclose(S.cov(x[0]), np.cov(x[0]))
    assert S.cov(x[0]).shape == ()
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        S.cov(x[:, :1])
    with pytest.raises(ValueError, match="negative"):
        S.cov(x, aweights=-a)


# ---- scores ----


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_scores(rng, dtype, axis):
    x = (rng.standard_normal((70, 41)) * 3 + 5).astype(dtype)
    assert_within(S.zscore(x, axis), R.zscore(x, axis), 32 * eps(dtype), dtype)
    z, mean, std = S.standardize(x, axis)
    assert_same_bits(z, S.zscore(x, axis))
    np.testing.assert_allclose(mean, S.mean(x, axis), rtol=8 * eps(dtype))
    np.testing.assert_allclose(std, S.std(x, axis), rtol=2 * eps(dtype))
    constant = np.full((5, 3), 7, dtype)
    assert np.isnan(S.zscore(constant)).all()
    assert not S.standardize(constant).z.any()


@pytest.mark.parametrize("bias", [True, False])
def test_describe(rng, dtype, bias):
    x = rng.standard_normal((300, 4)).astype(dtype) ** 3
    for axis in (0, 1, None):
        ours, exact = S.describe(x, axis, bias=bias), R.describe(x, axis, bias=bias)
        assert ours.nobs == exact.nobs
        np.testing.assert_array_equal(ours.minmax, exact.minmax)
        for a, b in zip(ours[2:], exact[2:], strict=True):
            np.testing.assert_allclose(a, b, rtol=64 * eps(dtype), atol=64 * eps(dtype))
    x[3, 1] = np.nan
    ours, exact = S.describe(x, nan_policy="omit"), R.describe(x, nan_policy="omit")
    assert ours.nobs.tolist() == [300, 299, 300, 300]
    np.testing.assert_allclose(ours.kurtosis, exact.kurtosis, rtol=64 * eps(dtype))
    assert np.isnan(S.describe(x).skewness[1])


def test_infinities_are_not_left_out(dtype):
    """A mean that is not finite takes no element for a missing one."""
    for spread, axis in ((1, None), (5, 0)):
        x = np.arange(2050.0 * spread).reshape(2050, spread).astype(dtype)
        x[:2] = [[np.inf], [-np.inf]]
        x[7] = np.nan
        with np.errstate(invalid="ignore"):
            assert np.isnan(S.nanvar(x, axis)).all()
            assert np.isnan(S.nanstd(x, axis)).all()
            z = S.zscore(x, axis, nan_policy="omit")
        assert np.isnan(z).all()
    with np.errstate(invalid="ignore"):
        assert np.isnan(S.nanvar(np.array([np.inf], dtype), ddof=-1))


def test_degrees_of_freedom_that_are_no_number():
    assert np.isnan(S.var([1.0, 2.0, 4.0], ddof=np.nan))
    with np.errstate(all="ignore"):
        assert np.isnan(S.zscore([1.0, 2.0], ddof=2)).all()


def test_average_near_the_end_of_the_range():
    a = np.full(10_000, 3e-308)
    np.testing.assert_allclose(S.average(a, weights=np.ones(10_000)), 3e-308, rtol=1e-14)


def test_average_by_tiny_weights():
    for weights in ([1e-310, 1e-310], [1e-320, 3e-320]):
        expected = np.average([1.0, 2.0], weights=weights)
        np.testing.assert_allclose(S.average([1.0, 2.0], weights=weights), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["mean", "var", "nanstd"])
def test_dtypes_in_another_byte_order(name):
    for function in (getattr(S, name), getattr(np, name)):
        with pytest.raises(TypeError, match="byte"):
            function(np.ones(3), dtype=np.dtype("f4").newbyteorder())


def test_average(rng, dtype):
    a = rng.random((4, 5, 6)).astype(dtype)
    cases = [(None, a * 2), (1, a[0, :, 0]), ((0, 2), a[:, 0]), ((2, 0), a[:, 0].T), (-1, None)]
    for axis, w in cases:
        ours, theirs = (f.average(a, axis, w, True) for f in (S, np))
        for x, y in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(x, y, rtol=8 * eps(dtype))
            assert x.dtype == dtype


@pytest.mark.parametrize("name", [name for name in S.__all__ if name.islower()])
def test_signatures(name):
    if name == "standardize":
        return
    peer = getattr(np, name, None)
    if peer is None:
        peer = getattr(pytest.importorskip("scipy.stats"), name)
    ours, theirs = (inspect.signature(f).parameters.values() for f in (getattr(S, name), peer))
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in theirs
    ]


def test_bfloat16():
    x = np.array([1, 2, 4], ml_dtypes.bfloat16)
    exact = S.zscore(x.astype(np.float64))
    assert_within(S.zscore(x).astype(np.float64), exact, 2.0**-8, np.float64)
    assert_same_bits(S.standardize(x)[0].view(np.uint16), S.zscore(x).view(np.uint16))
    assert S.describe(x).mean == np.array(7 / 3, x.dtype)
