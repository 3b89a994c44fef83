"""Medians, quantiles and histograms: the very elements and counts, whatever the data."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import LAYOUTS, assert_same_bits, assert_within, eps, layout
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastmath_ml as fm

S, R = fm.stats, fm.reference.stats
METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf",
    "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher",
    "midpoint", "nearest",
]  # fmt: skip
HUGE = (1 << 18) + 77

rng_of = np.random.default_rng
# What a sample misjudges, or what all look alike.
HOSTILE = {
    "normal": lambda n: rng_of(0).standard_normal(n),
    "sorted": lambda n: np.arange(n) - n / 3,
    "backwards": lambda n: np.arange(n)[::-1],
    "same": lambda n: np.full(n, 7.0),
    "two values": lambda n: (np.arange(n) % 3 > 0) * 1.0,
    "few values": lambda n: rng_of(1).integers(-4, 4, n),
    "periodic": lambda n: np.arange(n) % 16,
    "one outlier": lambda n: np.where(np.arange(n) == 5, 1e30, np.arange(n) % 101),
    "infinities": lambda n: np.where(np.arange(n) % 3 == 0, np.inf, -np.inf),
    "mostly infinite": lambda n: np.where(np.arange(n) % 100 == 0, np.arange(n), np.inf),
    "denormal": lambda n: rng_of(2).integers(-9, 9, n) * 1e-44,
    "all sizes": lambda n: np.exp(rng_of(3).uniform(-80, 80, n)) * rng_of(4).choice([-1, 1], n),
    "zeros of both signs": lambda n: np.where(np.arange(n) % 2, 0.0, -0.0),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("n", [1, 2, 15, 17, 63, 65, 201, 511, 600, 5000, 40_000, HUGE])
def test_hostile_lines(dtype, name, n):
    x = np.asarray(HOSTILE[name](n)).astype(dtype)
    ordered = np.sort(x)
    for q in (0.0, 0.01, 0.5, 0.73, 1.0):
        lower, higher = (S.quantile(x, q, method=m) for m in ("lower", "higher"))
        assert lower == ordered[int(np.floor((n - 1) * q))]
        assert higher == ordered[int(np.ceil((n - 1) * q))]
    expected = ordered[(n - 1) // 2 : n // 2 + 1].astype(np.longdouble)
    if np.isfinite(expected).all():
        assert S.median(x) == pytest.approx(float(expected.mean()), rel=eps(dtype), abs=1e-300)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 63, 64, 1000])
def test_methods(rng, method, n):
    x = rng.standard_normal((n, 3))
    q = np.array([0, 1e-3, 0.1, 0.25, 0.5, 0.7, 0.9, 0.999, 1])
    result = S.quantile(x, q, 0, method=method)
    assert_within(result, R.quantile(x, q, 0, method=method), 1e-12)
    np.testing.assert_allclose(result, np.quantile(x, q, 0, method=method), atol=1e-12)
    x[rng.random((n, 3)) < 0.3] = np.nan
    x[0] = 1
    result = S.nanquantile(x, q[3:], 0, method=method)
    assert_within(result, R.nanquantile(x, q[3:], 0, method=method), 1e-12)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((40, 7), 0), ((40, 7), 1), ((3, 900, 21), 1), ((900, 3, 5), (0, 2)), ((33_000, 3), 0),
     ((2, HUGE), 1), ((1, 2000, 2), None), ((5, 6, 7), (1, 2))],
)  # fmt: skip
def test_axes(rng, dtype, shape, axis):
    x = rng.standard_normal(shape).astype(dtype)
    for keepdims in (False, True):
        result = S.median(x, axis, keepdims=keepdims)
        expected = np.median(x.astype("f8"), axis, keepdims=keepdims)
        assert_within(result, expected, eps(dtype) * np.abs(expected), dtype)
    x[rng.random(shape) < 0.1] = np.nan
    assert_within(S.median(x, axis), np.median(x.astype("f8"), axis), 1e-6)
    expected = np.nanquantile(x.astype("f8"), [0.2, 0.6], axis)
    result = S.nanquantile(x, [0.2, 0.6], axis)
    assert_within(result, expected, 4 * eps("float64") * (1 + np.abs(expected)))


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(rng, dtype, name):
    x = rng.standard_normal((37, 53)).astype(dtype)
    view = layout(x, name)
    before = np.array(view)
    for axis in (None, 0, 1):
        assert_same_bits(S.median(view, axis), S.median(x, axis))
        assert_same_bits(S.nanquantile(view, 0.3, axis), S.quantile(x, 0.3, axis))
    counts, edges = S.histogram(view, 7)
    expected = np.histogram(x, 7)
    np.testing.assert_array_equal(counts, expected[0])
    np.testing.assert_array_equal(edges, expected[1])
    np.testing.assert_array_equal(np.asarray(view), before)


@pytest.mark.parametrize("kind", ["float16", "int8", "int64", "uint64", "bool", ">f8"])
def test_dtypes(rng, kind):
    x = rng.integers(0, 2 if kind == "bool" else 90, (40, 51)).astype(kind)
    for name in ("median", "nanmedian"):
        result, expected = getattr(S, name)(x, 1), getattr(np, name)(x, 1)
        assert result.dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(result, expected)
    if kind == "bool":
        return
    for q in (0.3, [0.3], np.float32(0.3), 1, np.array([[0.1, 0.2]])):
        for method in ("linear", "lower"):
            result, expected = (f.quantile(x, q, 0, method=method) for f in (S, np))
            assert result.dtype == expected.dtype.newbyteorder("=")
            tolerance = 2e-3 if kind == "float16" else 1e-5
            np.testing.assert_allclose(result, expected, rtol=tolerance)


def test_integers_beyond_float64():
    x = np.array([2**62 + 1, 2**62 + 3, 2**62 + 5])
    assert S.quantile(x, 0.5, method="lower") == 2**62 + 3


def test_nan(dtype):
    for n in (5, 700, HUGE):
        x = np.ones((2, n), dtype)
        x[1, n - 1] = np.nan
        np.testing.assert_array_equal(S.median(x, 1), [1, np.nan])
        np.testing.assert_array_equal(S.nanmedian(x, 1), [1, 1])
        x[1] = np.nan
        with pytest.warns(RuntimeWarning, match="All-NaN"):
            np.testing.assert_array_equal(S.nanquantile(x, 0.2, 1), [1, np.nan])


def test_many_quantiles_of_a_huge_line(rng, dtype):
    x = rng.standard_normal(HUGE).astype(dtype)
    q = np.linspace(0, 1, 21)
    assert_within(S.quantile(x, q), np.quantile(x.astype("f8"), q), 1e-12)
    x[::7] = np.nan
    assert_within(S.nanquantile(x, q), np.nanquantile(x.astype("f8"), q), 1e-12)
    assert np.isnan(S.quantile(x, q)).all()


def test_interpolation_at_the_ends_of_the_range():
    big = np.finfo(np.float64).max
    assert S.median([-big, big]) == 0
    assert S.median([big, big]) == big
    assert S.median([1.0, np.inf]) == np.inf
    assert S.quantile([1.0, np.inf], 0.0) == 1
    assert np.isnan(S.median([-np.inf, np.inf]))


def test_out_and_errors(rng):
    x = rng.standard_normal((6, 7))
    out = np.empty((2, 7))[:, ::-1]
    assert S.quantile(x, [0.2, 0.4], 0, out) is out
    np.testing.assert_allclose(out, np.quantile(x, [0.2, 0.4], 0))
    with pytest.raises(ValueError, match=r"range \[0, 1\]"):
        S.quantile(x, 1.5)
    with pytest.raises(ValueError, match="not a valid method"):
        S.quantile(x, 0.5, method="x")
    with pytest.raises(TypeError, match="masked array"):
        S.median(np.ma.masked_array([1.0], [True]))
    with pytest.raises(ValueError, match="out has shape"):
        S.median(x, 0, out=np.empty(3))


def test_bits_do_not_depend_on_the_threads(rng, dtype):
    x = rng.standard_normal((3, HUGE)).astype(dtype)
    weights = rng.random(x.shape)
    results = []
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            found = [S.median(x), S.quantile(x, [0.1, 0.9], 1), S.median(x[:, :300], 0)]
            found += [*S.histogram(x), S.histogram(x, 3000, weights=weights)[0]]
            results.append(found)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_same_bits(a, b)


# ---- histograms ----


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "int16", "uint8", "int64"])
@pytest.mark.parametrize("bins", [1, 10, 700, "fd", [0, 50, 50, 99, 100.5], [-np.inf, 3, np.inf]])
def test_histograms_are_numpys(rng, kind, bins):
    x = (rng.standard_normal(30_000) * 30 + 90).astype(kind)
    if kind == "float16" and (bins == "fd" or bins == 700):
        return
    for limits in (None, (50, 120), (50.3, 99.9)):
        for weights in (None, rng.random(x.shape), rng.integers(-3, 9, x.shape).astype("i2")):
            if weights is not None and bins == "fd":
                continue
            for density in (False, True):
                with np.errstate(all="ignore"):
                    ours, theirs = (f.histogram(x, bins, limits, density, weights) for f in (S, np))
                assert ours[0].dtype == theirs[0].dtype
                assert_same_bits(ours[1], theirs[1])
                if weights is None or weights.dtype.kind == "i":
                    np.testing.assert_array_equal(ours[0], theirs[0])
                else:
                    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-11, atol=1e-11)


@given(
    hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-1e3, 1e3, width=32)),
    st.integers(1, 40),
)
def test_every_element_is_between_the_edges_of_its_bin(x, bins):
    try:
        expected, edges = np.histogram(x, bins)
    except ValueError:
        with pytest.raises(ValueError, match="Too many bins"):
            S.histogram(x, bins)
        return
    counts, own = S.histogram(x, bins)
    np.testing.assert_array_equal(own, edges)
    np.testing.assert_array_equal(counts, R.histogram(x, bins)[0])
    np.testing.assert_array_equal(counts, expected)


def test_elements_on_the_edges(dtype):
    for low, high, bins in ((0, 1, 10), (1e6, 1e6 + 8, 16), (-1e-30, 3e-30, 7), (0.1, 0.7, 13)):
        edges = np.linspace(low, high, bins + 1, dtype=dtype)
        x = np.concatenate([edges, np.nextafter(edges, dtype.type(-np.inf)),
                            np.nextafter(edges, dtype.type(np.inf))])  # fmt: skip
        limits = (dtype.type(low), dtype.type(high))
        counts, own = S.histogram(x, bins, limits)
        exact = [np.sum((x >= a) & (x < b)) for a, b in pairwise(own)]
        exact[-1] += np.sum(x == own[-1])
        assert counts.tolist() == exact


def test_histograms_of_what_is_not_finite(dtype):
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="is not finite"):
            S.histogram(np.array([0, bad, 1], dtype))
    x = np.array([0, np.nan, 1, np.inf, -np.inf, 0.5], dtype)
    for bins in (4, 511, 512, 513, [0, 0.5, 1]):
        np.testing.assert_array_equal(
            S.histogram(x, bins, (0, 1))[0], np.histogram(x[[0, 2, 5]], bins, (0, 1))[0]
        )
    big = np.finfo(dtype).max
    values = np.array([-big, 0, big], dtype)
    with np.errstate(all="ignore"):
        assert S.histogram(values, [-big, 0, big])[0].tolist() == [1, 2]
    assert S.histogram(np.full(9, 3, dtype))[0].sum() == 9
    assert S.histogram([])[0].tolist() == [0] * 10


@pytest.mark.parametrize("method", sorted({*fm._quantiles.DISCRETE, *fm._quantiles.CONTINUOUS}))
@pytest.mark.parametrize("kind", ["int8", "int64", "float16", "float32", "float64"])
def test_dtypes_are_numpys(method, kind):
    x = np.array([1, 2, 4, 7], kind)
    for q in (0, 1, [0, 1], 0.25, np.float32(0.25), np.array([0.25], "f4"), [0.25, 1], np.int64(1)):
        exact = np.quantile(x, q, method=method)
        result = S.quantile(x, q, method=method)
        assert result.dtype == exact.dtype
        np.testing.assert_allclose(result, exact, rtol=1e-3)
