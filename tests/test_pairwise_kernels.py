"""scikit-learn's distance and kernel functions: numbers, sparse rows, options, errors."""

import inspect

import numpy as np
import pytest
import sklearn.metrics.pairwise as sklearn_pairwise
from helpers import (
    LAYOUTS,
    Guarded,
    assert_same_bits,
    assert_within,
    cosine_bound,
    eps,
    layout,
    normal,
)
from scipy import sparse
from scipy.spatial import distance as scipy_distance

import fastmath_ml as fm

KERNELS = [
    "linear_kernel",
    "polynomial_kernel",
    "sigmoid_kernel",
    "rbf_kernel",
    "laplacian_kernel",
]
DISTANCES = ["cosine_distances", "euclidean_distances", "manhattan_distances"]
FUNCTIONS = [*KERNELS, *DISTANCES, "cosine_similarity"]


def ours(name):
    return getattr(fm.pairwise, name)


def bound(name, x, y, exact):
    n_features = x.shape[1]
    unit, exact = eps(x.dtype), np.abs(exact)
    if "cosine" in name:
        return cosine_bound(n_features, x.dtype) + unit
    if name == "manhattan_distances":
        return (n_features + 8) * unit * exact
    if name == "euclidean_distances":
        return (4 * n_features + 21) * unit * exact
    products = np.abs(x.astype(float)) @ np.abs(y.astype(float)).T
    if name == "linear_kernel":
        return n_features * unit * products
    if name == "polynomial_kernel":  # gamma is 1 / n_features, degree 3
        base = products / n_features + 1
        return (3 * n_features + 12) * unit * base**3
    if name == "sigmoid_kernel":
        return (n_features + 8) * unit * (products / n_features + 2)
    size = {"rbf_kernel": "sqeuclidean", "laplacian_kernel": "cityblock"}[name]
    exponent = fm.reference.cdist(x, y, size) / n_features
    return (8 * n_features + 50) * unit * (exponent + 1) * exact


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n_features", [1, 3, 16, 65, 130, 400])
def test_numbers(name, n_features, dtype, rng):
    x, y = normal(rng, (35, n_features), dtype), normal(rng, (67, n_features), dtype)
    y[:2] = x[:2]
    result = ours(name)(x, y)
    exact = getattr(fm.reference, name)(x, y)
    assert_within(result, exact, bound(name, x, y, exact), dtype)
    one_set = ours(name)(x)
    exact = getattr(fm.reference, name)(x)
    assert_within(one_set, exact, bound(name, x, x, exact), dtype)
    assert_same_bits(one_set, one_set.T)
    assert_same_bits(ours(name)(x, x), one_set)
    assert_same_bits(ours(name)(x[3:9], y[5:40]), result[3:9, 5:40])
    if name in DISTANCES:
        assert not np.diag(one_set).any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_scikit_learn(name, rng):
    x, y = rng.standard_normal((11, 6)), rng.standard_normal((7, 6))
    x[3] = 0
    theirs = getattr(sklearn_pairwise, name)
    np.testing.assert_allclose(ours(name)(x, y), theirs(x, y), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours(name)(x), theirs(x), rtol=1e-10, atol=1e-7)


@pytest.mark.parametrize("name", [*FUNCTIONS, "pairwise_distances"])
def test_signature_is_scikit_learns(name):
    """Ours is theirs, with out= behind."""
    mine = inspect.signature(ours(name)).parameters
    theirs = inspect.signature(getattr(sklearn_pairwise, name)).parameters
    assert [p for p in mine if p != "out"] == list(theirs)
    for parameter in theirs.values():
        own = mine[parameter.name]
        assert (own.kind, own.default) == (parameter.kind, parameter.default)
    assert mine["out"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("name", ["cdist", "pdist"])
def test_signature_is_scipys(name):
    mine = inspect.signature(getattr(fm, name)).parameters
    theirs = inspect.signature(getattr(scipy_distance, name)).parameters
    assert [(p.name, p.kind, p.default) for p in mine.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_sparse(name, container, dtype, rng):
    dense = [normal(rng, (n, 30), dtype) * (rng.random((n, 30)) < 0.2) for n in (12, 23)]
    x, y = (np.asarray(rows, dtype) for rows in dense)
    y[1] = x[1]
    wanted = ours(name)(x, y)
    # Equal rows: float64's cancellation, under a square root.
    atol = 1e-7 if name == "euclidean_distances" else 200 * eps(dtype)
    loose = {"rtol": 200 * eps(dtype), "atol": atol}
    for a, b in ((container(x), container(y)), (container(x), y), (x, container(y))):
        result = ours(name)(a, b)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, wanted, **loose)
    one_set = ours(name)(container(x))
    np.testing.assert_allclose(one_set, ours(name)(x), **loose)
    if name in DISTANCES:
        assert not np.diag(one_set).any()
    out = np.empty_like(wanted)
    assert ours(name)(container(x), container(y), out=out) is out


@pytest.mark.parametrize("name", ["linear_kernel", "cosine_similarity"])
def test_sparse_output(name, rng):
    x = sparse.csr_array(rng.random((9, 5)) * (rng.random((9, 5)) < 0.3))
    result = ours(name)(x, dense_output=False)
    assert sparse.issparse(result)
    np.testing.assert_allclose(result.toarray(), ours(name)(x))
    with pytest.raises(ValueError, match="out was given"):
        ours(name)(x, dense_output=False, out=np.empty((9, 9)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_refuses(name, dtype, rng):
    good = normal(rng, (4, 3), dtype)
    for value, what in ((np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")):
        bad = good.copy()
        bad[2, 1] = value
        for args, argument in (((bad,), "X"), ((good, bad), "Y"), ((bad, good), "X")):
            with pytest.raises(ValueError, match=f"{argument} contains {what}"):
                ours(name)(*args)
            with pytest.raises(ValueError, match=f"contains {what}"):
                ours(name)(*(sparse.csr_array(a) for a in args))
    with pytest.raises(ValueError, match="Incompatible dimension"):
        ours(name)(good, good[:, :2])
    with pytest.raises(ValueError, match="X is a 1D"):
        ours(name)(good[0])
    with pytest.raises(ValueError, match="X has shape"):
        ours(name)(good[:0])
    with pytest.raises(TypeError, match="X is a masked array"):
        ours(name)(np.ma.array(good))
    with pytest.raises(ValueError, match="out has shape"):
        ours(name)(good, out=np.empty((4, 5), dtype))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("function", ["rbf_kernel", "polynomial_kernel", "laplacian_kernel"])
def test_layouts(function, name, dtype, rng):
    x, y = normal(rng, (19, 40), dtype), normal(rng, (33, 40), dtype)
    out = Guarded((19, 33), dtype, "C" if name == "read-only" else name)
    result = ours(function)(layout(x, name), layout(y, name), out=out.array)
    out.check()
    assert_same_bits(result, ours(function)(x, y))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("char", "?bhBlef")
def test_dtypes(name, char, rng):
    x, y = (rng.integers(0, 3, (n, 9)).astype(char) for n in (7, 11))
    result = ours(name)(x, y)
    wide = np.float32 if char in "bBef" else np.float64
    assert result.dtype == wide
    assert_same_bits(result, ours(name)(x.astype(wide), y.astype(wide)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_threads(name, dtype, rng):
    x, y = normal(rng, (310, 90), dtype), normal(rng, (333, 90), dtype)
    results = []
    for n in (1, 2, 3, 7):
        with fm.num_threads(n):
            results.append((ours(name)(x, y), ours(name)(x)))
    for two_sets, one_set in results[1:]:
        assert_same_bits(two_sets, results[0][0])
        assert_same_bits(one_set, results[0][1])


def test_options_of_the_kernels(dtype, rng):
    x, y = normal(rng, (5, 4), dtype), normal(rng, (6, 4), dtype)
    calls = [
        ("polynomial_kernel", {"degree": 2, "gamma": 0.5, "coef0": -1}),
        ("polynomial_kernel", {"degree": 0}),
        ("polynomial_kernel", {"degree": 11, "gamma": 0.1}),
        ("polynomial_kernel", {"degree": 1.5, "coef0": 30}),
        ("polynomial_kernel", {"degree": 70, "gamma": 0.01}),
        ("sigmoid_kernel", {"gamma": 2.0, "coef0": 0}),
        ("rbf_kernel", {"gamma": 3.0}),
        ("rbf_kernel", {"gamma": 0}),
        ("laplacian_kernel", {"gamma": 3.0}),
    ]
    for name, options in calls:
        exact = getattr(fm.reference, name)(x, y, **options)
        result = ours(name)(x, y, **options)
        np.testing.assert_allclose(result, exact, rtol=2000 * eps(dtype), atol=2000 * eps(dtype))
    with pytest.raises(ValueError, match="gamma is -1"):
        fm.pairwise.rbf_kernel(x, y, gamma=-1)
    with pytest.raises(ValueError, match="degree is -1"):
        fm.pairwise.polynomial_kernel(x, y, degree=-1)


def test_huge_and_tiny_rows(dtype):
    """Squares that over- or underflow."""
    info = np.finfo(dtype)
    x = np.array([[info.max / 16, 0], [0, float(info.smallest_normal) * 8]], dtype)
    assert_same_bits(fm.pairwise.rbf_kernel(x), np.eye(2, dtype=dtype))
    result = fm.euclidean_distances(x)
    assert result[0, 1] == info.max / 16
    assert np.isfinite(fm.manhattan_distances(x)).all()
    np.testing.assert_allclose(fm.cosine_distances(x), [[0, 1], [1, 0]])


# ---- pairwise_distances ----


@pytest.mark.parametrize("metric", ["euclidean", "l2", "l1", "manhattan", "cosine", "haversine"])
def test_named_metrics(metric, dtype, rng):
    x, y = normal(rng, (8, 2), dtype), normal(rng, (9, 2), dtype)
    loose = {"rtol": 50 * eps(dtype), "atol": 500 * eps(dtype)}
    result = fm.pairwise_distances(x, y, metric)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, sklearn_pairwise.pairwise_distances(x, y, metric), **loose)
    result = fm.pairwise_distances(x, metric=metric)
    np.testing.assert_allclose(
        result, sklearn_pairwise.pairwise_distances(x, metric=metric), rtol=1e-4, atol=1e-3
    )
    out = np.empty_like(result)
    assert fm.pairwise_distances(x, metric=metric, out=out) is out
    assert_same_bits(out, result)


def test_nan_euclidean(dtype, rng):
    x, y = normal(rng, (8, 10), dtype), normal(rng, (9, 10), dtype)
    x[rng.random(x.shape) < 0.3] = np.nan
    y[0] = np.nan
    exact = sklearn_pairwise.nan_euclidean_distances(x.astype(float), y.astype(float))
    result = fm.pairwise_distances(x, y, "nan_euclidean")
    np.testing.assert_allclose(result, exact, rtol=100 * eps(dtype))
    squared = fm.pairwise_distances(x, y, "nan_euclidean", squared=True)
    np.testing.assert_allclose(squared, exact**2, rtol=200 * eps(dtype))
    coded = fm.pairwise_distances(
        np.nan_to_num(x, nan=-9), np.nan_to_num(y, nan=-9), "nan_euclidean", missing_values=-9
    )
    assert_same_bits(coded, result)


def test_precomputed(rng):
    x = rng.random((4, 4))
    assert fm.pairwise_distances(x, metric="precomputed") is x
    with pytest.raises(ValueError, match="non-negative"):
        fm.pairwise_distances(-x, metric="precomputed")
    with pytest.raises(ValueError, match="n_queries"):
        fm.pairwise_distances(x[:, :3], metric="precomputed")


def test_options_of_pairwise_distances(rng):
    x, y = rng.random((5, 3)), rng.random((6, 3))
    wanted = fm.cdist(x, y, "minkowski", p=3)
    for n_jobs in (None, -1, 1, 2):
        result = fm.pairwise_distances(x, y, "minkowski", n_jobs=n_jobs, p=3)
        assert_same_bits(result, wanted)
    for metric in ("seuclidean", "mahalanobis"):
        with pytest.raises(ValueError, match="required"):
            fm.pairwise_distances(x, y, metric)
        condensed = scipy_distance.squareform(fm.pdist(x, metric))
        assert_same_bits(fm.pairwise_distances(x, metric=metric), condensed)
        exact = scipy_distance.cdist(x, x, metric)
        np.testing.assert_allclose(fm.cdist(x, x, metric), exact, atol=1e-7)
        for name in (metric, metric.upper(), f"test_{metric}"):
            assert_same_bits(fm.cdist(x, x, name), fm.cdist(x, x.copy(), metric))
    x[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fm.pairwise_distances(x, y, "chebyshev")
    for metric in ("chebyshev", "euclidean", "cosine"):
        result = fm.pairwise_distances(x, y, metric, ensure_all_finite="allow-nan")
        assert np.isnan(result[0]).all()
        assert np.isfinite(result[1:]).all()
    rows = sparse.csr_array(x)
    for finite in (False, "allow-nan"):
        for metric in ("euclidean", "cosine", "manhattan"):
            result = fm.pairwise_distances(rows, y, metric, ensure_all_finite=finite)
            exact = fm.cdist(x, y, "cityblock" if metric == "manhattan" else metric)
            np.testing.assert_allclose(result, exact, rtol=1e-7, atol=1e-12)
    rows.data[0] = np.inf
    with pytest.raises(ValueError, match="X contains infinity"):
        fm.pairwise_distances(rows, ensure_all_finite="allow-nan")
    with pytest.raises(TypeError, match="takes no sparse rows"):
        fm.pairwise_distances(sparse.csr_array(y), metric="chebyshev")
    with pytest.raises(ValueError, match="ensure_all_finite is 'x'"):
        fm.pairwise_distances(y, ensure_all_finite="x")
    with pytest.raises(ValueError, match="n_jobs is 0"):
        fm.pairwise_distances(y, n_jobs=0)
    with pytest.raises(TypeError, match="n_jobs is 'x'"):
        fm.pairwise_distances(y, n_jobs="x")
    assert fm.pairwise_distances(y, n_jobs=10**6).shape == (6, 6)


def test_callable(rng):
    x, y = rng.random((5, 3)), rng.random((6, 3))
    result = fm.pairwise_distances(x, y, lambda a, b: np.abs(a - b).max())
    np.testing.assert_allclose(result, fm.cdist(x, y, "chebyshev"))


def test_sparse_rows_as_their_arrays(rng):
    """What is stored twice adds up in its own dtype; NaN stays NaN."""
    twice = sparse.csr_array(([True, True, True], [0, 0, 1], [0, 2, 3]), shape=(2, 2))
    small = sparse.csr_array(([np.int8(100), np.int8(100)], [0, 0], [0, 2, 2]), shape=(2, 2))
    bad = sparse.csr_array([[np.nan, 1.0], [2.0, 0.0]])
    for rows in (twice, small, bad):
        before = rows.data.copy()
        for metric in ("euclidean", "manhattan", "cosine"):
            result = fm.pairwise_distances(rows, metric=metric, ensure_all_finite=False)
            dense = fm.pairwise_distances(rows.toarray(), metric=metric, ensure_all_finite=False)
            np.testing.assert_allclose(result, dense, rtol=1e-6)
        assert_same_bits(rows.data, before)
    with pytest.raises(TypeError, match="'euclidean' with w takes no sparse rows"):
        fm.pairwise_distances(bad, w=[1, 1])


def test_an_exponent_beyond_float32():
    x = np.eye(2, dtype=np.float32)
    for rows in (x, sparse.csr_array(x)):
        np.testing.assert_array_equal(fm.pairwise.laplacian_kernel(rows, gamma=1e39), x)
