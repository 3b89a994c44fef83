"""topk and its relatives against sorted rows of the oracle, and by their promises."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from helpers import LAYOUTS, assert_same_bits, eps, layout, normal
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial import distance as scipy_distance
from sklearn import metrics as sklearn_metrics

import fastmath_ml as fm

PRODUCTS = ("euclidean", "sqeuclidean", "cosine", "cosine_similarity", "dot")
SIMILARITIES = ("cosine_similarity", "dot")


def whole(rng, shape, dtype, size=4):
    """Whole numbers, few enough of them that distances are exact and many are equal."""
    return rng.integers(-size, size + 1, shape).astype(dtype)


def values_bound(x, y, metric, dtype):
    """How far a value may be from the exact one, with room for a sum of n_features terms."""
    n = x.shape[1]
    sizes = [np.sqrt((np.asarray(z, np.float64) ** 2).sum(axis=1).max()) for z in (x, y)]
    scale = {"dot": sizes[0] * sizes[1], "euclidean": sum(sizes), "sqeuclidean": sum(sizes) ** 2}
    return (8 + n) * eps(dtype) * scale.get(metric, 2)


def check(x, y, k, metric, result, dtype):
    """The values are right, and each row holds k different indices whose values they are."""
    exact, _ = fm.reference.topk(x, y, k, metric)
    assert result.distances.dtype == dtype
    assert result.indices.dtype == np.int64
    assert result.distances.shape == result.indices.shape == (len(x), k)
    bound = values_bound(x, y, metric, dtype)
    np.testing.assert_allclose(result.distances, exact, rtol=0, atol=bound)
    all_values, _ = fm.reference.topk(x, y, len(y), metric, sorted=False)
    np.testing.assert_allclose(
        result.distances, np.take_along_axis(all_values, result.indices, 1), rtol=0, atol=bound
    )
    for row in result.indices:
        assert len(set(row)) == k


def check_exact(x, y, k, metric, **options):
    """Whole numbers: the same indices as the oracle, ties and all."""
    result = fm.topk(x, y, k, metric, **options)
    exact, order = fm.reference.topk(x, y, k, metric, **options)
    np.testing.assert_array_equal(result.indices, order)
    np.testing.assert_allclose(result.distances, exact, rtol=4 * eps(result.distances.dtype))
    return result


# ---- the numbers ----


@pytest.mark.parametrize("metric", PRODUCTS)
@pytest.mark.parametrize("n_features", [1, 3, 16, 17, 128, 385, 800])
def test_features(n_features, metric, dtype, rng):
    x, y = normal(rng, (31, n_features), dtype), normal(rng, (333, n_features), dtype)
    check(x, y, 7, metric, fm.topk(x, y, 7, metric), dtype)


@pytest.mark.parametrize("n_queries", [1, 2, 13, 15, 64, 65, 130])
@pytest.mark.parametrize("n_rows", [1, 7, 8, 31, 33, 500, 1401])
def test_sizes(n_queries, n_rows, dtype, rng):
    """Whole numbers in few values: every tie goes to the smaller index."""
    x, y = whole(rng, (n_queries, 5), dtype), whole(rng, (n_rows, 5), dtype)
    for k in {1, min(2, n_rows), min(10, n_rows), min(100, n_rows), n_rows}:
        for metric in ("sqeuclidean", "dot"):
            check_exact(x, y, k, metric)


@pytest.mark.parametrize("n_queries", [3, 100])
def test_many_rows(n_queries, dtype, rng):
    """Several chunks and segments of the database."""
    x, y = whole(rng, (n_queries, 133), dtype), whole(rng, (17_001, 133), dtype)
    for k in (1, 300):
        check_exact(x, y, k, "sqeuclidean")


@pytest.mark.parametrize("metric", PRODUCTS)
def test_wider_than_any_panel(metric, rng):
    """Rows so long that blocks of distances take over."""
    x, y = normal(rng, (3, 17_000), "float32"), normal(rng, (20, 17_000), "float32")
    check(x, y, 4, metric, fm.topk(x, y, 4, metric), np.float32)


def test_all_equal(dtype):
    y = np.ones((5000, 3), dtype)
    for k in (1, 2, 10, 100, 1000):
        found = fm.topk(y[:20], y, k)
        assert (found.indices == np.arange(k)).all()
        assert not found.distances.any()


@pytest.mark.parametrize("n_queries", [2, 90])
def test_descending(n_queries, dtype):
    """Each row nearer than the one before: every one of them is taken."""
    y = np.arange(4000, 0, -1).astype(dtype)[:, None]
    for k in (1, 5, 64, 500):
        found = check_exact(np.zeros((n_queries, 1), dtype), y, k, "sqeuclidean")
        assert (found.indices == np.arange(3999, 3999 - k, -1)).all()


def test_not_sorted(dtype, rng):
    x, y = whole(rng, (30, 4), dtype), whole(rng, (900, 4), dtype)
    for k in (1, 20, 300):
        check_exact(x, y, k, "sqeuclidean", sorted=False)


# ---- accuracy ----


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_equal_rows(metric, dtype, rng):
    y = normal(rng, (200, 37), dtype, 100.0)
    found = fm.topk(y, y, 1, metric)
    assert (found.indices[:, 0] == np.arange(200)).all()
    assert not found.distances.any()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_near_duplicates(metric, dtype, rng):
    """The distance to a row that agrees in most digits has almost all of its own digits."""
    y = normal(rng, (50, 40), dtype)
    x = (y * (1 + 64 * eps(dtype) * rng.standard_normal(y.shape))).astype(dtype)
    found = fm.topk(x, y, 1, metric)
    exact = np.array([[_exact_distance(a, b, metric)] for a, b in zip(x, y, strict=True)])
    np.testing.assert_allclose(found.distances, exact, rtol=0.05 if metric == "cosine" else 1e-5)


def _exact_distance(a, b, metric):
    a, b = a.astype(np.longdouble), b.astype(np.longdouble)
    if metric == "cosine":
        a, b = a / np.sqrt(a @ a), b / np.sqrt(b @ b)
        return ((a - b) @ (a - b)) / 2
    return np.sqrt((a - b) @ (a - b))


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "cosine_similarity"])
def test_tiny_and_huge_rows(metric, dtype):
    """Squares under- and overflow: the values that are returned do not."""
    info = np.finfo(dtype)
    sizes = np.array([float(info.smallest_normal), 1.0, float(info.max) / 32])
    y = (sizes[:, None, None] * np.array([[3, 4], [4, -3], [-3, -4]])).reshape(-1, 2).astype(dtype)
    for one in y:
        found = fm.topk(one[None], y, len(y), metric)
        if metric == "euclidean":
            exact = np.hypot(*(one.astype(np.longdouble) - y[found.indices[0]]).T)
            np.testing.assert_allclose(found.distances[0], exact, rtol=8 * eps(dtype))
        else:
            exact, _ = fm.reference.topk(one[None], y, len(y), metric)
            np.testing.assert_allclose(found.distances, exact, rtol=0, atol=8 * eps(dtype))


# ---- dtypes and layouts ----


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("n_features", [5, 341, 342, 3000])
def test_small_integers(kind, n_features, rng):
    info = np.iinfo(kind)
    x = rng.integers(info.min, info.max + 1, (20, n_features)).astype(kind)
    y = rng.integers(info.min, info.max + 1, (300, n_features)).astype(kind)
    x[0], y[0], y[1] = info.min, info.min, info.max
    for queries in (x, x[:1]):
        result = check_exact(queries, y, 9, "sqeuclidean")
        assert result.distances.dtype == np.float32
        check_exact(queries, y, 9, "dot")
        found = fm.topk(queries, y, 9, "cosine_similarity")
        exact = fm.topk(queries.astype("float64"), y.astype("float64"), 9, "cosine_similarity")
        np.testing.assert_array_equal(found.indices, exact.indices)
        np.testing.assert_allclose(found.distances, exact.distances, atol=4 * eps("float32"))


@pytest.mark.parametrize("n_queries", [1, 20])
def test_half(n_queries, rng):
    """float16 gives what the same numbers give in float32."""
    x, y = normal(rng, (n_queries, 24), "float16"), normal(rng, (3000, 24), "float16")
    for metric in PRODUCTS:
        half = fm.topk(x, y, 8, metric)
        single = fm.topk(x.astype("float32"), y.astype("float32"), 8, metric)
        for one, other in zip(half, single, strict=True):
            assert_same_bits(one, other)


def test_mixed_dtypes(rng):
    x, y = whole(rng, (9, 6), "float32"), whole(rng, (50, 6), "int8")
    assert check_exact(x, y, 5, "sqeuclidean").distances.dtype == np.float32
    assert check_exact(x.astype("float64"), y, 5, "sqeuclidean").distances.dtype == np.float64
    assert check_exact(x, y.astype("int32"), 5, "sqeuclidean").distances.dtype == np.float64
    assert check_exact(x.astype(bool), y.astype(bool), 5, "dot").distances.dtype == np.float64


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("n_queries", [2, 80])
def test_layouts(name, n_queries, dtype, rng):
    x, y = normal(rng, (n_queries, 19), dtype), normal(rng, (203, 19), dtype)
    for metric in PRODUCTS:
        plain = fm.topk(x, y, 6, metric)
        for one, other in zip(
            fm.topk(layout(x, name), layout(y, name), 6, metric), plain, strict=True
        ):
            assert_same_bits(one, other)


def test_memory_map(tmp_path, rng):
    y = normal(rng, (2000, 8), "float32")
    np.save(tmp_path / "y.npy", y)
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    for one, other in zip(fm.topk(y[:5], mapped, 4), fm.topk(y[:5], y, 4), strict=True):
        assert_same_bits(one, other)


# ---- promises ----


@pytest.mark.parametrize("metric", PRODUCTS)
def test_does_not_depend_on_threads_or_batch(metric, dtype, rng):
    x, y = normal(rng, (140, 50), dtype), normal(rng, (9000, 50), dtype)
    y[5000:5100] = y[:100]
    for k in (1, 12):
        with fm.num_threads(1):
            serial = fm.topk(x, y, k, metric)
        for n_threads in (2, 3, 7):
            with fm.num_threads(n_threads):
                for one, other in zip(fm.topk(x, y, k, metric), serial, strict=True):
                    assert_same_bits(one, other)
                few = fm.topk(x[37:40], y, k, metric)
                one_query = fm.topk(x[139:], y, k, metric)
            for at in range(2):
                assert_same_bits(few[at], serial[at][37:40])
                assert_same_bits(one_query[at], serial[at][139:])
    more = fm.topk(x, y, 300, metric)
    for at in range(2):
        assert_same_bits(more[at][:, :12], serial[at])


def test_memory_is_bounded():
    """Not the matrix of distances (80 MB here), and not the database once more.

    In a process of its own: buffers of threads are kept, and other tests have asked for theirs.
    """
    program = """
import tracemalloc
import numpy as np
import fastmath_ml as fm
from fastmath_ml._kernels import pool

rng = np.random.default_rng(0)
x, y = (rng.standard_normal((n, 64)).astype("float32") for n in (1000, 20_000))
half = y.astype("float16")
fm.topk(x[:1], y[:100], 3)
tracemalloc.start()
fm.topk(x, y, 10)
fm.topk(x, half, 10)
print(tracemalloc.get_traced_memory()[1], pool._stats()["scratch_bytes"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    traced, scratch = map(int, done.stdout.split())
    assert 0 < traced < 16 << 20
    assert 0 < scratch < 32 << 20


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 6), st.data())
def test_any_shape(n_queries, n_rows, n_features, data):
    seed = data.draw(st.integers(0, 2**32 - 1))
    k = data.draw(st.integers(1, n_rows))
    rng = np.random.default_rng(seed)
    x, y = whole(rng, (n_queries, n_features), "float32"), whole(rng, (n_rows, n_features), "f4")
    check_exact(x, y, k, "sqeuclidean")


# ---- NaN and infinity ----


@pytest.mark.parametrize("n_queries", [3, 80])
@pytest.mark.parametrize("metric", PRODUCTS)
def test_nan_is_last(n_queries, metric, dtype, rng):
    x, y = whole(rng, (n_queries, 4), dtype), whole(rng, (300, 4), dtype) + 1
    x[:, 0] = 1
    y[::3, 1] = np.nan
    x[1] = np.nan
    good = np.setdiff1d(np.arange(300), np.arange(0, 300, 3))
    for k in (1, 50, 210, 300):
        found = fm.topk(x, y, k, metric)
        assert (found.indices[1] == np.arange(k)).all()
        assert np.isnan(found.distances[1]).all()
        n_good = min(k, 200)
        part = fm.topk(x[:1], y[good], n_good, metric)
        assert_same_bits(found.distances[:1, :n_good], part.distances)
        assert_same_bits(found.indices[:1, :n_good], good[part.indices])
        assert (found.indices[0, 200:] == np.arange(0, 300, 3)[: k - n_good]).all()
        assert np.isnan(found.distances[0, 200:]).all()


@pytest.mark.parametrize("n_queries", [1, 80])
def test_infinity(n_queries, dtype, rng):
    x, y = whole(rng, (n_queries, 3), dtype), whole(rng, (100, 3), dtype)
    y[10], y[11, 0], y[12] = np.inf, -np.inf, np.nan
    found = fm.topk(x, y, 100, "euclidean")
    assert (found.indices[:, -3:] == [10, 11, 12]).all()
    assert (found.distances[:, -3:-1] == np.inf).all()
    assert np.isfinite(found.distances[:, :-3]).all()
    x[0, 1] = np.inf
    found = fm.topk(x, y, 5, "euclidean")
    assert (found.indices[0] == range(5)).all()
    assert (found.distances[0] == np.inf).all()


def test_zero_rows_have_cosine_zero(dtype, rng):
    y = normal(rng, (40, 5), dtype)
    y[7] = 0
    found = fm.topk(np.zeros((2, 5), dtype), y, 40, "cosine")
    assert (found.indices == np.arange(40)).all()
    assert (found.distances == 1).all()
    assert (fm.topk(y[:1], y, 40, "cosine").distances[0] == 1).sum() == 1


# ---- within a radius ----


@pytest.mark.parametrize("metric", PRODUCTS)
@pytest.mark.parametrize("sort", [True, False])
def test_radius_neighbors(metric, sort, dtype, rng):
    x, y = normal(rng, (30, 6), dtype), normal(rng, (5000, 6), dtype)
    y[17] = np.nan
    every = fm.reference.topk(x, np.delete(y, 17, axis=0), 4999, metric)[0]
    radius = float((every[:, 40] + every[:, 41]).mean() / 2)
    found = fm.pairwise.radius_neighbors(x, y, radius, metric, sort=sort)
    with np.errstate(invalid="ignore"):
        exact = fm.reference.radius_neighbors(x, y, radius, metric, sort=sort)
    np.testing.assert_array_equal(found.indptr, exact[0])
    np.testing.assert_array_equal(found.indices, exact[1])
    np.testing.assert_allclose(found.distances, exact[2], rtol=1e-4, atol=1e-5)
    assert found.distances.dtype == dtype
    assert found.indptr.dtype == found.indices.dtype == np.int64


def test_radius_is_included_and_may_hold_nothing():
    x = np.array([[0.0], [100.0]])
    found = fm.pairwise.radius_neighbors(x, np.arange(5.0)[:, None], 2.0)
    np.testing.assert_array_equal(found.indptr, [0, 3, 3])
    np.testing.assert_array_equal(found.indices, [0, 1, 2])
    none = fm.pairwise.radius_neighbors(x, np.arange(5.0)[:, None], -1.0)
    assert none.indptr.tolist() == [0, 0, 0]
    assert none.indices.shape == none.distances.shape == (0,)


# ---- the nearest one ----


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_argmin_as_scikit_learn(axis, metric, dtype, rng):
    x, y = normal(rng, (50, 9), dtype), normal(rng, (70, 9), dtype)
    indices, distances = fm.pairwise_distances_argmin_min(x, y, axis=axis, metric=metric)
    theirs = sklearn_metrics.pairwise_distances_argmin_min(x, y, axis=axis, metric=metric)
    np.testing.assert_array_equal(indices, theirs[0])
    np.testing.assert_allclose(distances, theirs[1], rtol=1e-4, atol=1e-5)
    only = fm.pairwise_distances_argmin(x, y, axis=axis, metric=metric)
    np.testing.assert_array_equal(only, indices)
    assert only.dtype == theirs[0].dtype


def test_argmin_squared(rng):
    x = normal(rng, (20, 3), "float64")
    squared = fm.pairwise_distances_argmin_min(x, x + 1, metric_kwargs={"squared": True})[1]
    plain = fm.pairwise_distances_argmin_min(x, x + 1)[1]
    np.testing.assert_allclose(squared, plain**2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_argmin_refuses_what_is_not_finite(bad, rng):
    x = normal(rng, (20, 3), "float32")
    x[3, 1] = bad
    for args in ((x, x[:3]), (x[:3], x)):
        with pytest.raises(ValueError, match=r"[XY] contains (NaN|infinity)"):
            fm.pairwise_distances_argmin(*args)


def test_signatures():
    import inspect

    for name in ("pairwise_distances_argmin", "pairwise_distances_argmin_min"):
        ours = inspect.signature(getattr(fm, name))
        theirs = inspect.signature(getattr(sklearn_metrics, name))
        assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
            (p.name, p.kind, p.default) for p in theirs.parameters.values()
        ]


# ---- errors ----


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (([[1.0]], [[1.0]], 0), ValueError, "k is 0; expected 1 to 1"),
        (([[1.0]], [[1.0]], 2), ValueError, "k is 2; expected 1 to 1"),
        (([[1.0]], [[1.0]], 1.0), TypeError, "k is 1.0; expected an integer"),
        (([1.0], [[1.0]], 1), ValueError, "X is a 1D array"),
        (([[1.0]], [[[1.0]]], 1), ValueError, "Y is a 3D array"),
        (([[1.0]], [[1.0, 2.0]], 1), ValueError, "X has 1 features and Y has 2"),
        ((np.ones((0, 2)), [[1.0, 2.0]], 1), ValueError, r"X has shape \(0, 2\)"),
        (([[1.0]], np.ma.ones((3, 1)), 1), TypeError, "Y is a masked array"),
        (([[1j]], [[1.0]], 1), TypeError, "X has dtype complex128"),
        (([["a"]], [[1.0]], 1), TypeError, "X has dtype <U1"),
        (([[1.0]], [[1.0]], 1, 3), TypeError, "metric is 3"),
        (([[1.0]], [[1.0]], 1, "seuclidean"), ValueError, "seuclidean.* without V"),
    ],
)
def test_errors(args, error, message):
    with pytest.raises(error, match=message):
        fm.topk(*args)
    if "k is" not in message:
        with pytest.raises(error, match=message):
            fm.pairwise.radius_neighbors(*args)


def test_other_errors():
    with pytest.raises(TypeError, match="takes no parameters; got p"):
        fm.topk([[1.0]], [[1.0]], 1, "dot", p=2)
    with pytest.raises(TypeError, match="euclidean takes no option 'p'"):
        fm.topk([[1.0]], [[1.0]], 1, "euclidean", p=2)
    for name in ("seuclidean", "se", "SEuclidean", "mah"):
        with pytest.raises(ValueError, match=r"without VI?; expected"):
            fm.topk([[1.0]], [[1.0]], 1, name)
    with pytest.raises(ValueError, match="axis is 2; expected 0 or 1"):
        fm.pairwise_distances_argmin([[1.0]], [[1.0]], axis=2)
    with pytest.raises(ValueError, match="a similarity; expected a distance"):
        fm.pairwise_distances_argmin([[1.0]], [[1.0]], metric="dot")
    with pytest.raises(ValueError, match="radius is nan"):
        fm.pairwise.radius_neighbors([[1.0]], [[1.0]], np.nan)


def test_rows_near_zero(dtype):
    small = {"float32": 1e-25, "float64": 1e-170}[dtype.name]
    y = np.array([[3, 0], [1, 0], [1e20, 0], [0, 0]], dtype) * dtype.type(small)
    for metric in ("euclidean", "sqeuclidean"):
        for x in (y, y[:1]):
            found = fm.topk(x, y, 1, metric)
            assert (found.indices[:, 0] == np.arange(len(x))).all()
            assert not found.distances.any()


def test_what_is_near_zero_does_not_depend_on_k(rng):
    y = (rng.standard_normal((6, 5)) * 1e-30).astype(np.float32)
    x = (rng.standard_normal((1, 5)) * 1e-30).astype(np.float32)
    database = np.vstack([y, np.ones((1, 5), np.float32)])
    for k in range(1, 8):
        found = fm.topk(x, database, k)
        exact = fm.cdist(x, database)[0]
        assert_same_bits(found.indices[0], np.argsort(exact, kind="stable")[:k])
        assert_same_bits(found.distances[0], np.sort(exact)[:k])


@pytest.mark.parametrize("kind", ["int8", "uint8", "bool", "int64", "float16"])
def test_products_of_narrow_numbers(kind):
    rows = np.full((2, 16385), 100).astype(kind)
    exact = rows[:1].astype(float) @ rows[0].astype(float)
    assert fm.topk(rows, rows, 1, "dot").distances[0, 0] == exact
    assert (fm.pairwise.radius_neighbors(rows, rows, 0.0, "dot").distances == exact).all()


def test_sparse_rows_on_both_sides():
    rows = sparse.csr_array([[1.0, 0.0], [0.0, 2.0]])
    assert fm.topk(rows, rows, 1, "dot").distances.ravel().tolist() == [1, 4]
    assert fm.topk(rows, rows, 1, "sqeuclidean").distances.ravel().tolist() == [0, 0]
    squared = {"squared": True}
    found = fm.pairwise_distances_argmin_min(rows, rows, metric="euclidean", metric_kwargs=squared)
    assert found[1].tolist() == [0, 0]


def test_a_row_is_its_own_neighbour(rng):
    x = rng.normal(size=(5000, 7))
    found = fm.pairwise.radius_neighbors(x, x, 0.0, "cosine")
    assert_same_bits(found.indices, np.arange(5000))


def test_zeros_have_no_direction():
    """Distance 1 from everything, and where that is NaN at the end."""
    y = np.array([[1, 2], [np.nan, 1], [3, 4], [0, 0]], float)
    wide = np.zeros((4, 16385))
    wide[:, :2] = y
    for rows in (y, wide):
        found = fm.topk(np.zeros((1, rows.shape[1])), rows, 4, "cosine")
        assert found.indices.tolist() == [[0, 2, 3, 1]]
        assert found.distances[0, :3].tolist() == [1, 1, 1]
        assert np.isnan(found.distances[0, 3])


def test_weights(rng):
    x, w = rng.normal(size=(20, 5)), [1, 0, 2, 3, 0.5]
    for metric in ("euclidean", "cosine", "sqeuclidean"):
        found = fm.topk(x, x, 3, metric, w=w)
        order = np.argsort(scipy_distance.cdist(x, x, metric, w=w), axis=1)[:, :3]
        assert_same_bits(found.indices, order)


def test_no_weights_are_no_option():
    x = np.array([[1.0, 2.0], [0.0, 0.0]])
    result = fm.pairwise_distances(x, metric="cosine", w=None)
    assert_same_bits(result, fm.pairwise_distances(x, metric="cosine"))


def test_zeros_are_as_far_from_themselves_however_they_are_searched():
    x = np.array([[1.0, 2.0], [0.0, 0.0]])
    for rows in (x, sparse.csr_array(x)):
        for options in ({}, {"w": None}):
            found = fm.topk(rows, rows, 2, "cosine", **options)
            np.testing.assert_allclose(found.distances, [[0, 1], [1, 1]], atol=1e-15)
            assert_same_bits(found.indices, np.array([[0, 1], [0, 1]]))
    assert fm.pairwise.radius_neighbors(x, x, 0.5, "cosine").indices.tolist() == [0]


def test_nan_of_any_dtype():
    bad = np.array([[np.nan]], ml_dtypes.bfloat16)
    with pytest.raises(ValueError, match="X contains NaN"):
        fm.pairwise_distances_argmin_min(bad, np.ones((1, 1)))


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_rows_near_zero_beside_nan(metric):
    y = np.array([[1e-266], [1e-295], [np.nan], [1.0]])
    for k in range(1, 5):
        found = fm.topk([[0.0]], y, k, metric)
        assert found.indices[0].tolist() == [1, 0, 3, 2][:k]


def test_names_of_a_metric_are_one_metric():
    x, y = [[0.0, 0.0]], [[1.0, 2.0]]
    for name in ("cos", "cosine", "Cosine"):
        assert fm.topk(x, y, 1, name).distances[0, 0] == 1


def test_sparse_rows_depend_on_no_others():
    """Rows of very different size, in one set and in two."""
    x = np.array([[1.0, 2.0], [4.0, 6.0], [0.0, 0.0], [1e-170, 0.0], [0.0, 2e-170], [0.0, 1e200]])
    exact = fm.euclidean_distances(x, x.copy())
    rows = sparse.csr_array(x)
    for y in (rows, rows.copy()):
        np.testing.assert_allclose(fm.euclidean_distances(rows, y), exact, rtol=1e-14)
    assert fm.topk(rows, rows[[5, 0]], 1).indices[:, 0].tolist() == [1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", ">i4"])
def test_dense_rows_beside_sparse_ones(dtype):
    rows, y = sparse.csr_array(np.eye(3)), np.eye(3, dtype=dtype)
    np.testing.assert_array_equal(fm.pairwise.linear_kernel(rows, y), np.eye(3))
    np.testing.assert_array_equal(fm.euclidean_distances(rows, y) == 0, np.eye(3) == 1)
    assert fm.topk(rows, y, 1).indices[:, 0].tolist() == [0, 1, 2]
