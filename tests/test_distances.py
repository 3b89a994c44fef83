"""cdist and pdist, every metric: numbers, options, layouts, hostile values, errors."""

import functools
import tracemalloc

import numpy as np
import pytest
from helpers import (
    LAYOUTS,
    OUT_LAYOUTS,
    Guarded,
    assert_same_bits,
    assert_unchanged,
    assert_within,
    eps,
    layout,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from scipy.spatial import distance as scipy_distance

import fastmath_ml as fm

BOOLEAN = ["dice", "jaccard", "rogerstanimoto", "russellrao", "sokalsneath", "yule"]
REAL = [
    "braycurtis",
    "canberra",
    "chebyshev",
    "cityblock",
    "correlation",
    "cosine",
    "euclidean",
    "hamming",
    "jensenshannon",
    "mahalanobis",
    "minkowski",
    "nan_euclidean",
    "seuclidean",
    "sqeuclidean",
]
METRICS = [*BOOLEAN, *REAL]
UNWEIGHTED = {"jensenshannon", "mahalanobis", "nan_euclidean", "seuclidean"}
EXPONENTS = [0.5, 1, 1.5, 2, 3, 4, 7.25, np.inf]


def rows(rng, n_rows, n_features, dtype, metric):
    """Rows that suit the metric: positive for all, few values where they have to coincide."""
    if metric in BOOLEAN or metric == "hamming":
        return rng.integers(0, 3, (n_rows, n_features)).astype(dtype)
    return (rng.random((n_rows, n_features)) + 0.01).astype(dtype)


def options_of(metric, n_features):
    if metric == "mahalanobis":
        return {"VI": np.eye(n_features) + 0.3 / n_features}
    if metric == "seuclidean":
        return {"V": np.linspace(0.5, 2, n_features)}
    return {}


def bound(metric, exact, n_features, dtype, weighted=False):
    """What the arithmetic may lose; sums are made in blocks of 128 features."""
    chain = min(n_features, 128) + n_features / 128
    unit = eps(dtype)
    exact = np.nan_to_num(np.abs(exact))
    if metric in ("euclidean", "sqeuclidean"):  # as the docstring says, twice for the square
        return 2 * (4 * min(n_features, 384) + n_features / 96 + 20) * unit * exact
    if metric in ("cosine", "correlation"):
        return (8 + 2 * n_features) * unit
    if metric == "mahalanobis":  # transformed in float64, rows of elements up to 1
        wide = eps("float64")
        return unit * exact + (4 * min(n_features, 256) + 20) * wide * exact + n_features * wide
    if metric == "jensenshannon":  # dividing by the sums shifts each term by its own square root
        return (chain + 16) * unit * exact + 4 * unit
    if metric in BOOLEAN and weighted:  # of float64 sums of the weights
        return 2 * unit * exact + 4 * n_features * eps("float64")
    if metric in BOOLEAN or metric == "chebyshev":
        return 4 * unit * exact
    if metric == "minkowski":
        return (chain + 32) * unit * exact
    return 2 * (chain + 8) * unit * exact


def check(result, x, y, metric, dtype=None, **options):
    dtype = np.dtype(dtype or np.result_type(x, y).newbyteorder("="))
    with np.errstate(all="ignore"):
        exact = fm.reference.cdist(x, y, metric, **options)
    assert_within(result, exact, bound(metric, exact, x.shape[1], dtype, "w" in options), dtype)


# ---- the numbers ----


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_features", [1, 2, 7, 16, 33, 64, 127, 130, 300])
def test_sizes(metric, n_features, dtype, rng):
    """The largest within the bound; a smaller one is a part of it, to the bit."""
    x, y = (rows(rng, n, n_features, dtype, metric) for n in (37, 71))
    options = options_of(metric, n_features)
    full = fm.cdist(x, y, metric, **options)
    check(full, x, y, metric, **options)
    for n_rows, n_others in ((1, 1), (1, 71), (2, 33), (5, 16), (9, 65), (37, 1)):
        part = fm.cdist(x[:n_rows], y[:n_others], metric, **options)
        assert_same_bits(part, full[:n_rows, :n_others])


@pytest.mark.parametrize("metric", METRICS)
def test_one_set(metric, dtype, rng):
    """Symmetric to the bit, 0 on the diagonal, the same as two equal sets."""
    for n_rows in (1, 2, 8, 31, 33, 64, 65, 100):
        x = rows(rng, n_rows, 19, dtype, metric)
        options = options_of(metric, 19)
        result = fm.cdist(x, x, metric, **options)
        assert_same_bits(result, result.T)
        two = fm.cdist(x, x.copy(), metric, **options)
        if metric in ("cosine", "correlation"):
            np.fill_diagonal(two, 0)
        assert_same_bits(result, two)
        if metric not in ("russellrao", "dice", "sokalsneath"):
            assert not np.diag(result).any()


@pytest.mark.parametrize("metric", METRICS)
def test_pdist_is_the_upper_triangle(metric, dtype, rng, monkeypatch):
    x = rows(rng, 43, 21, dtype, metric)
    options = options_of(metric, 21)
    wanted = fm.cdist(x, x, metric, **options)[np.triu_indices(43, 1)]
    assert_same_bits(fm.pdist(x, metric, **options), wanted)
    # Blocks of five rows.
    monkeypatch.setattr("fastmath_ml._distances.CONDENSING_BLOCK", 5 * 43 * dtype.itemsize)
    assert_same_bits(fm.pdist(x, metric, **options), wanted)
    for n_rows in (0, 1, 2):
        assert fm.pdist(x[:n_rows], metric, **options).shape == (n_rows * (n_rows - 1) // 2,)


@pytest.mark.parametrize("metric", sorted(set(METRICS) - {"nan_euclidean"}))
def test_as_scipy(metric, rng):
    x, y = (rows(rng, n, 12, np.float64, metric) for n in (23, 31))
    if metric in BOOLEAN:
        x, y = x != 0, y != 0
    result = fm.cdist(x, y, metric)
    np.testing.assert_allclose(result, scipy_distance.cdist(x, y, metric), rtol=1e-12, atol=1e-12)
    result = fm.pdist(x, metric)
    np.testing.assert_allclose(result, scipy_distance.pdist(x, metric), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("metric", sorted(set(METRICS) - UNWEIGHTED))
def test_weights(metric, dtype, rng):
    x, y = (rows(rng, n, 40, dtype, metric) for n in (13, 37))
    weights = rng.random(40)
    weights[::5] = 0
    check(fm.cdist(x, y, metric, w=weights), x, y, metric, w=weights)
    check(fm.cdist(x, y, metric, w=list(weights)), x, y, metric, w=weights)
    result = fm.cdist(x, x, metric, w=weights)
    assert_same_bits(result, result.T)
    theirs = scipy_distance.cdist(x[:5], y[:5], metric, w=weights)
    if metric not in BOOLEAN:
        loose = 1e-12 if dtype == np.float64 else 1e-5
        np.testing.assert_allclose(fm.cdist(x, y, metric, w=weights)[:5, :5], theirs, loose, loose)
    ones = fm.cdist(x, y, metric, w=np.ones(40))
    check(ones, x, y, metric)


@pytest.mark.parametrize("p", EXPONENTS)
def test_minkowski(p, dtype, rng):
    x, y = (rows(rng, n, 30, dtype, "minkowski") for n in (13, 37))
    for options in ({}, {"w": np.linspace(0, 3, 30)}):
        result = fm.cdist(x, y, "minkowski", p=p, **options)
        check(result, x, y, "minkowski", p=p, **options)
        same = fm.cdist(x, x, "minkowski", p=p, **options)
        assert_same_bits(same, same.T)
        assert not np.diag(same).any()


def test_estimated_from_the_rows(rng):
    """V and VI of both sets, as SciPy estimates them."""
    x, y = (rows(rng, n, 6, np.float64, "mahalanobis") for n in (13, 37))
    for metric in ("seuclidean", "mahalanobis"):
        wanted = scipy_distance.cdist(x, y, metric)
        np.testing.assert_allclose(fm.cdist(x, y, metric), wanted, rtol=1e-12)
        wanted = scipy_distance.pdist(x, metric)
        np.testing.assert_allclose(fm.pdist(x, metric), wanted, rtol=1e-12)


def test_mahalanobis_of_any_matrix(rng):
    """Not symmetric: its symmetric part counts. Not positive: NaN where the square is negative."""
    x, y = (rng.standard_normal((n, 4)) for n in (13, 37))
    matrix = rng.standard_normal((4, 4))
    with np.errstate(invalid="ignore"):
        exact = fm.reference.cdist(x, y, "mahalanobis", VI=matrix)
    assert np.isnan(exact).any()
    result = fm.cdist(x, y, "mahalanobis", VI=matrix)
    np.testing.assert_allclose(result, exact, rtol=1e-9)
    assert not fm.cdist(x, y, "mahalanobis", VI=np.zeros((4, 4))).any()
    rank_1 = np.ones((4, 4))
    exact = fm.reference.cdist(x, y, "mahalanobis", VI=rank_1)
    np.testing.assert_allclose(fm.cdist(x, y, "mahalanobis", VI=rank_1), exact, atol=1e-12)


def test_long_rows(dtype, rng):
    """Rows that are packed in segments."""
    x, y = (rng.random((n, 70_001)).astype(dtype) for n in (3, 35))
    for metric in ("cityblock", "braycurtis", "chebyshev", "euclidean"):
        result = fm.cdist(x, y, metric)
        check(result, x, y, metric)
        assert_same_bits(fm.cdist(y, x, metric), result.T)


def test_more_columns_than_the_packing_buffer(dtype, rng):
    x = rng.random((2500, 2048)).astype(dtype)[:, ::2][:, :1024]
    y = rng.random((5000, 1024)).astype(dtype)
    result = fm.cdist(x[:40], y, "cityblock")
    for first in (0, 2000, 4900):
        check(result[:, first : first + 60], x[:40], y[first : first + 60], "cityblock")
    assert_same_bits(fm.cdist(y, x[:40], "cityblock"), result.T)


@pytest.mark.parametrize("n_features", [1, 8, 63, 64, 65, 128, 200])
@pytest.mark.parametrize("metric", [*BOOLEAN, "hamming"])
def test_bits(metric, n_features, rng):
    x, y = (rng.random((n, n_features)) < 0.4 for n in (21, 30))
    x[0] = False
    y[:2] = [[False], [True]]
    check(fm.cdist(x, y, metric), x, y, metric, np.float64)
    floats = fm.cdist(x.astype(np.float32), y.astype(np.float32), metric)
    check(floats, x, y, metric, np.float32)
    with np.errstate(all="ignore"):
        theirs = scipy_distance.cdist(x, y, metric)
    np.testing.assert_allclose(fm.cdist(x, y, metric), theirs, rtol=1e-14)


# ---- dtypes, layouts, out, threads ----


@pytest.mark.parametrize("char", "?bhilqBHILQefd")
def test_dtypes(char, rng):
    x, y = (rng.integers(0, 5, (n, 9)).astype(char) for n in (7, 11))
    expected = np.dtype(np.float32 if char in "bBef" else np.float64)
    for metric in ("cityblock", "euclidean", "cosine", "hamming", "jaccard"):
        if char == "?" and metric in ("euclidean", "cosine"):
            x[0], y[0] = True, True
        result = fm.cdist(x, y, metric)
        check(result, x.astype(float), y.astype(float), metric, expected)
    mixed = fm.cdist(x.astype(np.float32), y.astype(np.float64), "cityblock")
    assert mixed.dtype == np.float64


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "cosine", "jensenshannon", "jaccard"])
def test_layouts(metric, name, dtype, rng):
    x, y = (rows(rng, n, 45, dtype, metric) for n in (19, 40))
    wanted = fm.cdist(x, y, metric)
    views = [layout(x, name), layout(y, name)]
    before = [view.copy() for view in views]
    assert_same_bits(fm.cdist(*views, metric), wanted)
    assert_unchanged(views, before)
    assert_same_bits(fm.cdist(views[0], views[0], metric), fm.cdist(x, x, metric))


@pytest.mark.parametrize("name", OUT_LAYOUTS)
@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "jaccard"])
def test_out(metric, name, dtype, rng):
    x, y = (rows(rng, n, 5, dtype, metric) for n in (9, 14))
    out = Guarded((9, 14), dtype, name)
    assert fm.cdist(x, y, metric, out=out.array) is out.array
    out.check()
    assert_same_bits(out.array, fm.cdist(x, y, metric))
    condensed = Guarded((36,), dtype, name) if name not in ("mixed",) else Guarded((36,), dtype)
    assert fm.pdist(x, metric, out=condensed.array) is condensed.array
    condensed.check()
    assert_same_bits(condensed.array, fm.pdist(x, metric))


def test_out_that_is_an_input(dtype, rng):
    x = rng.random((16, 16)).astype(dtype)
    for metric in ("cityblock", "euclidean", "cosine"):
        wanted = fm.cdist(x, x, metric)
        work = x.copy()
        assert_same_bits(fm.cdist(work, work, metric, out=work), wanted)


def test_out_of_another_dtype(rng):
    x = rng.random((5, 4))
    narrow = np.empty((5, 5), np.float32)
    assert fm.cdist(x, x, out=narrow) is narrow
    assert_same_bits(narrow, fm.cdist(x, x).astype(np.float32))


@pytest.mark.parametrize("metric", METRICS)
def test_threads(metric, dtype, rng):
    x, y = (rows(rng, n, 60, dtype, metric) for n in (310, 333))
    options = options_of(metric, 60)
    results = []
    for n in (1, 2, 3, 7):
        with fm.num_threads(n):
            results.append((fm.cdist(x, y, metric, **options), fm.cdist(x, x, metric, **options)))
    for two_sets, one_set in results[1:]:
        assert_same_bits(two_sets, results[0][0])
        assert_same_bits(one_set, results[0][1])


# ---- hostile values ----


@pytest.mark.parametrize("metric", [name for name in REAL if name != "hamming"])
def test_nan_stays_in_its_rows(metric, dtype, rng):
    x, y = (rows(rng, n, 20, dtype, metric) for n in (12, 40))
    options = options_of(metric, 20)
    clean = fm.cdist(x, y, metric, **options)
    x[3, 7] = y[5, 0] = np.nan
    with np.errstate(invalid="ignore"):
        result = fm.cdist(x, y, metric, **options)
    hit = np.zeros(result.shape, bool)
    hit[3], hit[:, 5] = True, True
    assert_same_bits(result[~hit], clean[~hit])
    assert np.isnan(result[hit]).all() == (metric != "nan_euclidean")


def test_infinity(dtype):
    x = np.array([[1, np.inf, 2], [1, 2, 3], [-np.inf, 0, 0]], dtype)
    for metric in ("cityblock", "chebyshev", "euclidean", "sqeuclidean", "minkowski"):
        result = fm.cdist(x, x[:2].copy(), metric, **({"p": 3} if metric == "minkowski" else {}))
        assert_same_bits(np.isnan(result), [[True, False], [False, False], [False, False]])
        assert np.isinf(result[[0, 1, 2, 2], [1, 0, 0, 1]]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_rows_of_zeros_as_scipy(metric, dtype):
    """0 / 0 is what SciPy says, but for jensenshannon, where our answer is the function's own."""
    x = np.array([[0, 0, 0], [1, 0, 2], [0, 0, 0]], dtype)
    options = {"V": np.ones(3)} if metric == "seuclidean" else options_of(metric, 3)
    result = fm.cdist(x, x.copy(), metric, **options)
    if metric == "jensenshannon":
        assert np.isnan(result[0]).all()
        return
    name = "euclidean" if metric == "nan_euclidean" else metric
    given = x != 0 if metric in BOOLEAN else x.astype(float)
    with np.errstate(all="ignore"):
        theirs = scipy_distance.cdist(given, given.copy(), name, **options)
    np.testing.assert_allclose(result, theirs, rtol=1e-6, atol=4 * eps(dtype))


def test_negative_distributions(dtype):
    """A negative probability is infinitely far from everything, as in SciPy's relative entropy."""
    x = np.array([[0.5, -0.1, 0.6], [0.2, 0.3, 0.5]], dtype)
    result = fm.cdist(x, x, "jensenshannon")
    assert np.isinf(result[0]).all()
    assert result[1, 1] == 0


def test_close_distributions(dtype, rng):
    """The divergence of close distributions is a sum of small terms and not a difference."""
    x = rng.random((1, 50)) + 0.5
    change = rng.standard_normal((20, 50)) * np.logspace(-1, -5, 20)[:, None]
    x, y = x.astype(dtype), (x * (1 + change)).astype(dtype)
    exact = fm.reference.cdist(x, y, "jensenshannon")
    result = fm.cdist(x, y, "jensenshannon")
    assert_within(result, exact, 80 * eps(dtype) * exact + 4 * eps(dtype))


def test_tiny_and_huge_canberra(dtype):
    info = np.finfo(dtype)
    x = np.array([[info.smallest_subnormal, 0, info.max / 4]], dtype)
    y = np.array([[0, 0, -info.max / 4]], dtype)
    assert fm.cdist(x, y, "canberra") == 2
    assert fm.cdist(x, x.copy(), "canberra") == 0


def test_constant_rows_have_no_correlation(dtype):
    x = np.array([[0.1] * 7, [1, 2, 3, 4, 5, 6, 7]], dtype)
    result = fm.cdist(x, x.copy(), "correlation")
    assert np.isnan(result[0]).all()
    assert abs(result[1, 1]) <= 10 * eps(dtype)
    far = fm.cdist(x[1:] + dtype.type(1000), x[1:], "correlation")
    assert abs(far[0, 0]) <= 10 * eps(dtype)


def test_empty():
    for metric in METRICS:
        options = options_of(metric, 3)
        assert fm.cdist(np.ones((0, 3)), np.ones((4, 3)), metric, **options).shape == (0, 4)
        assert fm.cdist(np.ones((4, 3)), np.ones((0, 3)), metric, **options).shape == (4, 0)
    for metric in ("cityblock", "euclidean", "chebyshev", "sqeuclidean"):
        assert_same_bits(fm.cdist(np.ones((2, 0)), np.ones((3, 0)), metric), np.zeros((2, 3)))
    assert np.isnan(fm.cdist(np.ones((2, 0)), np.ones((3, 0)), "braycurtis")).all()


# ---- names, options, errors ----


def test_every_name_of_scipy(rng):
    x, y = rng.random((5, 3)), rng.random((6, 3))
    for alias, info in scipy_distance._METRIC_ALIAS.items():
        if info.canonical_name in BOOLEAN:
            continue
        wanted = fm.cdist(x, y, info.canonical_name)
        assert_same_bits(fm.cdist(x, y, alias.upper()), wanted)
    assert {info.canonical_name for info in scipy_distance._METRIC_INFOS} <= set(METRICS)


def test_function_of_two_rows(rng):
    x, y = rng.random((5, 3)), rng.random((6, 3))

    def weighted(a, b, factor=1.0):
        return factor * np.abs(a - b).sum()

    wanted = fm.cdist(x, y, "cityblock")
    np.testing.assert_allclose(fm.cdist(x, y, weighted), wanted, rtol=1e-14)
    np.testing.assert_allclose(fm.cdist(x, y, weighted, factor=2.0), 2 * wanted, rtol=1e-14)
    np.testing.assert_allclose(fm.pdist(x, weighted), fm.pdist(x, "cityblock"), rtol=1e-14)
    with pytest.warns(RuntimeWarning, match="runs in Python"):
        tripled = fm.cdist(x, y, functools.partial(weighted, factor=3.0))
    np.testing.assert_allclose(tripled, 3 * wanted, rtol=1e-14)


def test_errors(rng):
    x = rng.random((6, 4))
    for call in (functools.partial(fm.cdist, x, x), functools.partial(fm.pdist, x)):
        with pytest.raises(ValueError, match="metric is 'nothing'"):
            call("nothing")
        with pytest.raises(TypeError, match="metric is int"):
            call(3)
        with pytest.raises(ValueError, match="p must be greater than 0"):
            call("minkowski", p=0)
        with pytest.raises(ValueError, match=r"w has shape \(3,\)"):
            call("cityblock", w=[1, 2, 3])
        with pytest.raises(ValueError, match="non-negative"):
            call("cityblock", w=[1, 2, 3, -1])
        with pytest.raises(TypeError, match="euclidean takes no option 'p'"):
            call("euclidean", p=3)
        with pytest.raises(TypeError, match="jensenshannon takes no option 'w'"):
            call("jensenshannon", w=np.ones(4))
        with pytest.raises(ValueError, match=r"V has shape \(3,\)"):
            call("seuclidean", V=np.ones(3))
        with pytest.raises(ValueError, match=r"VI has shape \(3, 4\)"):
            call("mahalanobis", VI=np.ones((3, 4)))
        with pytest.raises(ValueError, match="out has shape"):
            call(out=np.empty((3, 3)))
        with pytest.raises(TypeError, match="out has dtype int64"):
            call(out=np.empty((6, 6) if call.func is fm.cdist else 15, np.int64))
    with pytest.raises(ValueError, match="too small"):
        fm.pdist(x[:3], "mahalanobis")
    with pytest.raises(ValueError, match="XA has 4 features and XB has 3"):
        fm.cdist(x, x[:, :3])
    with pytest.raises(ValueError, match="XB is a 1D array"):
        fm.cdist(x, x[0])
    with pytest.raises(TypeError, match="XA is a masked array"):
        fm.cdist(np.ma.array(x), x)
    with pytest.raises(TypeError, match="X has dtype complex128"):
        fm.pdist(x.astype(complex))
    with pytest.raises(TypeError, match="XB has dtype object"):
        fm.cdist(x, x.astype(object))


# ---- properties ----


@given(
    stnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 20), st.integers(1, 9)),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    st.sampled_from(["cityblock", "chebyshev", "euclidean", "canberra", "minkowski"]),
)
def test_metrics_are_metrics(x, metric):
    options = {"p": 3} if metric == "minkowski" else {}
    d = fm.cdist(x, x, metric, **options)
    assert (d >= 0).all()
    assert_same_bits(d, d.T)
    assert not np.diag(d).any()
    through = (d[:, :, None] + d[None]).min(axis=1)
    assert (d <= through * (1 + 1e-12) + 1e-300).all()


# ---- ends of the range ----


@pytest.mark.parametrize("ratio", [1.0, 1e4, 1e10, 1e100])
def test_mahalanobis_does_not_depend_on_units(ratio, rng):
    x = rng.normal(size=(60, 3)) * [1, ratio, 1 / ratio]
    np.testing.assert_allclose(
        fm.pdist(x, "mahalanobis"), scipy_distance.pdist(x, "mahalanobis"), rtol=1e-13
    )


def test_mahalanobis_of_odd_matrices():
    zeros, ones = np.zeros((1, 2)), np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    nan, inf = np.nan, np.inf
    for matrix in ([[1, 0], [0, -2]], [[nan, 0], [0, 1]], [[inf, 0], [0, 1]], [[0, 1], [1, 0]]):
        with np.errstate(invalid="ignore"):
            exact = scipy_distance.cdist(zeros, ones, "mahalanobis", VI=np.array(matrix, float))
        np.testing.assert_array_equal(fm.cdist(zeros, ones, "mahalanobis", VI=matrix), exact)
    huge = fm.cdist(zeros, ones[:1], "mahalanobis", VI=np.full((2, 2), 1e308))
    np.testing.assert_allclose(huge, 2e154)
    for options in ({}, {"VI": np.ones((0, 0))}):
        assert not fm.cdist(np.ones((2, 0)), np.ones((3, 0)), "mahalanobis", **options).any()


def scipy_of(x, metric, **options):
    """In float64, where SciPy's sums keep what float32 loses."""
    return scipy_distance.cdist(x.astype(np.float64), x.astype(np.float64), metric, **options)


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("minkowski", {"p": 1.5}),
        ("minkowski", {"p": 3}),
        ("minkowski", {"p": 5}),
        ("minkowski", {"p": 20}),
        ("minkowski", {"p": 2, "w": [1.0, 2.0, 0.0, 0.5]}),
        ("minkowski", {"p": 4, "w": [1e30, 1e-30, 0.0, 1.0]}),
        ("euclidean", {"w": [1.0, 2.0, 0.0, 0.5]}),
        ("seuclidean", {}),
    ],
)
@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e-4, 1.0, 1e8, 1e25])
def test_sums_of_powers_neither_over_nor_underflow(metric, options, scale, rng):
    x = (rng.normal(size=(9, 4)) * scale).astype(np.float32)
    x[3:5] = x[2], x[2] * np.float32(1.0001)
    result = fm.cdist(x, x, metric, **options)
    exact = scipy_of(x / np.float64(scale), metric, **options)
    exact *= 1 if metric == "seuclidean" else scale
    np.testing.assert_allclose(result, exact, rtol=1e-5)
    if metric != "seuclidean":
        assert_same_bits(fm.cdist(x[1:4], x[2:], metric, **options)[:, 0], result[1:4, 2])


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_nan_euclidean_neither_over_nor_underflows(scale):
    x = np.array([[3, np.nan, 4], [0, 1, 0], [np.nan, 5, np.nan]]) * scale
    exact = fm.cdist(x, x, "nan_euclidean")
    np.testing.assert_allclose(
        fm.cdist(x.astype(np.float32), x.astype(np.float32), "nan_euclidean"), exact, rtol=1e-6
    )


def test_sums_of_two_rows_may_overflow():
    x = np.array([[3e38, 1], [1e38, 2], [5, 3e38], [np.inf, 1], [1, 2]], np.float32)
    for metric in ("canberra", "braycurtis"):
        with np.errstate(invalid="ignore"):
            exact = scipy_of(x, metric)
        np.testing.assert_allclose(fm.cdist(x, x, metric), exact, rtol=1e-6)


@pytest.mark.parametrize("weight", [1e-100, 1e-46, 1e39, 1e100])
def test_weights_that_float32_does_not_hold(weight):
    x = np.array([[1, 2, 5], [1, 3, 1], [2, 2, 0]], np.float32)
    for metric in ("hamming", "cosine", "correlation", "canberra", "minkowski"):
        with np.errstate(over="ignore"):
            exact = scipy_of(x, metric, w=np.full(3, weight)).astype(np.float32)
        result = fm.cdist(x, x, metric, w=np.full(3, weight))
        np.testing.assert_allclose(result, exact, rtol=1e-5, atol=1e-7)


def test_boolean_rows_with_weights():
    """Sums of weights that no row differs in are exactly 0, whoever else is computed."""
    x = np.ones((3, 6), bool)
    x[1, :3] = False
    weights = [0.8, 0.3, 0.1, 0.3, 0.4, 0.8]
    for metric in [*BOOLEAN, "hamming"]:
        result = fm.cdist(x, x, metric, w=weights)
        exact = scipy_distance.cdist(x, x, metric, w=weights)
        np.testing.assert_allclose(result, exact, rtol=1e-14)
        assert not result.diagonal().any() or metric == "russellrao"
        assert_same_bits(fm.cdist(x[:1], x[1:2], metric, w=weights), result[:1, 1:2])
        assert_same_bits(fm.pdist(x, metric, w=weights)[:1], result[0, 1:2])


def test_weights_of_zero():
    x = np.ones((2, 3))
    assert np.isnan(fm.cdist(x, x, "correlation", w=[0, 0, 0])[0, 1])
    assert np.isnan(fm.cdist(np.ones((1, 0)), np.ones((1, 0)), "correlation")).all()


def test_large_weights_of_small_powers():
    """A power may lose its bits before a weight makes it count."""
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((30, 4)) * 1e-5).astype(np.float32)
    y = x + (rng.standard_normal(x.shape) * 3e-7).astype(np.float32)
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    for p, w in ((7, 1e35), (7, 1e10), (4, 1e36), (3, 1e30)):
        weights = np.full(4, w)
        exact = scipy_distance.cdist(wide_x, wide_y, "minkowski", p=p, w=weights)
        result = fm.cdist(x, y, "minkowski", p=p, w=weights)
        np.testing.assert_allclose(result, exact, rtol=1e-5)
    found = fm.cdist([[0.0]], [[-7.5e-202]], "euclidean", w=[9.2e59])
    np.testing.assert_allclose(found, np.sqrt(9.2e59) * 7.5e-202, rtol=1e-14)
    assert fm.cdist([[5e-324, 0]], [[0, 0]], "euclidean", w=[1, 1]) == 5e-324
    with np.errstate(over="ignore"):
        assert fm.cdist([[98.0, 1e200]], [[0.0, 0.0]], "euclidean", w=[np.inf, 1]) == np.inf


def test_features_of_weight_zero_do_not_count(rng):
    x = rng.standard_normal((3, 5))
    for first in (1e18, 2.0):
        x[:, 0] = first
        exact = scipy_distance.cdist(x[:, 1:], x[::-1, 1:], "correlation", w=[1, 2, 1, 1])
        result = fm.cdist(x, x[::-1], "correlation", w=[0, 1, 2, 1, 1])
        np.testing.assert_allclose(result, exact, rtol=1e-13, atol=1e-15)
    x[1, 1:] = -1
    assert np.isnan(fm.cdist(x, x, "correlation", w=[0, 0.7, 0.16, 0.6, 0.3])[1]).all()


def test_sums_of_many_features_may_overflow(rng):
    x = (rng.uniform(-1, 1, (3, 64)) * 8e37).astype(np.float32)
    np.testing.assert_allclose(
        fm.cdist(x, x / 2, "braycurtis"),
        fm.cdist(x.astype(np.float64), x.astype(np.float64) / 2, "braycurtis"),
        rtol=1e-6,
    )
    x = rng.uniform(-1, 1, (3, 4)).astype(np.float32)
    weights = [1e38, 1e38, 3e38, 3e38]
    for metric in ("braycurtis", "hamming", "canberra"):
        exact = fm.cdist(x.astype(np.float64), -x.astype(np.float64), metric, w=weights)
        with np.errstate(over="ignore"):
            exact = exact.astype(np.float32)
        np.testing.assert_allclose(fm.cdist(x, -x, metric, w=weights), exact, rtol=1e-6)


def test_what_is_mended_takes_little_memory():
    x = np.full((2000, 4), 1e-30, np.float32) * np.arange(2000, dtype=np.float32)[:, None]
    out = np.empty((2000, 2000), np.float32)
    tracemalloc.start()
    try:
        fm.cdist(x, x[::-1], "euclidean", w=np.ones(4), out=out)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(out[5, 0], 2 * 1994e-30, rtol=1e-6)


# ---- the ends of the range ----


@pytest.mark.parametrize(
    ("x", "y", "metric", "options", "exact"),
    [
        ([[0, 0]], [[1e13, 1e-150]], "seuclidean", {"V": [1e26, 1e-300]}, 2**0.5),
        ([[0, 0]], [[1e13, 1e-150]], "euclidean", {"w": [1e-26, 1e300]}, 2**0.5),
        ([[0, 0]], [[1e150, 1e60]], "minkowski", {"p": 4, "w": [1e-320, 1e300]}, 1e135),
        ([[1e16, 1]], [[0, 0]], "minkowski", {"p": 20, "w": [1e-200, 1e200]}, 1e10),
        ([[1] * 4], [[0] * 4], "euclidean", {"w": [1e308] * 4}, 2e154),
        ([[1, 1e250]], [[1, 0]], "minkowski", {"p": 3, "w": [1, 0]}, 0),
        ([[1, 2e20]], [[3, 5e20]], "mahalanobis", {"VI": [[1, 1e-17], [1e-17, 0]]}, 12004**0.5),
        ([[1, 0, 1, 0]], [[1, 1, 0, 0]], "yule", {"w": [1e-200] * 4}, 1),
    ],
)
def test_weights_and_differences_far_from_each_other(x, y, metric, options, exact):
    kind = bool if metric == "yule" else float
    result = fm.cdist(np.array(x, kind), np.array(y, kind), metric, **options)
    np.testing.assert_allclose(result, [[exact]], rtol=1e-13)


@pytest.mark.parametrize(
    ("x", "y", "metric", "options", "exact"),
    [
        ([1, 1e30], [1, 0], "minkowski", {"p": 3, "w": [1, 0]}, 0),
        ([1, 3e38], [2, -3e38], "cityblock", {"w": [1, 0]}, 1),
        ([1, 3e38], [2, -3e38], "cityblock", {"w": [0.1, 0.1]}, 6e37),
        ([3e38, -3e38, 3e38], [1, 2, 4], "correlation", {}, 0.8110177615),
        ([1e-44, 0, 1e-45], [1, 2, 4], "correlation", {}, 1.6628490),
        ([3, 0, 0], [2, 0, 0], "cosine", {"w": [1e-100, 1, 1]}, 0),
        ([0, 1, 2], [0, 1, 3], "cosine", {"w": [1, 1e-100, 1e-100]}, 0.0100505063),
        ([0, 1, 2], [0, 2, 1], "correlation", {"w": [1, 1e-100, 1e-100]}, 0.2),
        ([1e-30, 3e-30], [3e-30, 1.5e-30], "braycurtis", {"w": [1e-13] * 2}, 0.4117647059),
    ],
)
def test_the_range_of_float32_does_not_show(x, y, metric, options, exact):
    x, y = np.array([x], np.float32), np.array([y], np.float32)
    result = fm.cdist(x, y, metric, **options)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[exact]], rtol=4e-7, atol=1e-7 * (exact < 1))


def test_units_of_features_do_not_change_standardised_distances(rng):
    z = rng.standard_normal((6, 2))
    for units in ([1e-150, 1e13], [1e-148, 1e20], [1e150, 1e-20]):
        np.testing.assert_allclose(
            fm.pairwise.pdist(z * units, "seuclidean"),
            fm.pairwise.pdist(z, "seuclidean"),
            rtol=1e-14,
        )


def test_no_features():
    x = np.zeros((2, 0))
    assert not fm.cdist(x, x, "seuclidean").any()
    assert not fm.cdist(x, x.copy(), "seuclidean", V=[]).any()


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("euclidean", {"w": np.ma.array([1.0, 2.0], mask=[0, 1])}),
        ("euclidean", {"w": ["1", "2"]}),
        ("seuclidean", {"V": np.ma.array([1.0, 2.0])}),
        ("mahalanobis", {"VI": 1j * np.eye(2)}),
        ("minkowski", {"p": "3"}),
    ],
)
def test_options_that_are_no_real_arrays(metric, options):
    (name,) = options
    with pytest.raises(TypeError, match=f"^{name} "):
        fm.cdist([[0.0, 1.0]], [[1.0, 3.0]], metric, **options)


@pytest.mark.parametrize(
    ("metric", "options"), [("manhattan", {"exponent": -1.0}), ("sqeuclidean", {"squared": False})]
)
def test_inner_options_stay_inside(metric, options):
    with pytest.raises(TypeError, match="unexpected keyword"):
        fm.pairwise_distances([[0.0, 1.0]], [[1.0, 1.0]], metric, **options)


def test_correlation_of_huge_rows_beside_nan():
    x = np.array([[1e308, -1e308, 5e307], [1, 2, 4], [np.nan, 1, 2]])
    y = np.array([[1.0, 3, 2]])
    result = fm.cdist(x, y, "correlation")
    assert_same_bits(result[:2], fm.cdist(x[:2], y, "correlation"))
    np.testing.assert_allclose(result[0, 0], fm.cdist(x[:1] / 1e307, y, "correlation")[0, 0])
    assert np.isnan(result[2, 0])
