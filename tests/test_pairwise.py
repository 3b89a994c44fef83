"""cosine_similarity against the oracle, scikit-learn in its edge cases, and by its properties."""

import itertools

import numpy as np
import pytest
from helpers import (
    LAYOUTS,
    assert_same_bits,
    assert_unchanged,
    assert_within,
    cases_of,
    check_case,
    cosine_bound,
    eps,
    layout,
    normal,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity as sklearn_cosine

import fastmath_ml as fm


def check(x, y, result, dtype=None):
    dtype = dtype or np.result_type(x, x if y is None else y).newbyteorder("=")
    bound = cosine_bound(np.shape(x)[1], dtype)
    assert_within(result, fm.reference.cosine_similarity(x, y), bound, dtype)
    assert np.abs(result).max() <= 1


def check_one_set(x, result):
    check(x, None, result)
    assert_same_bits(result, result.T)


# ---- the numbers ----


@cases_of("cosine_similarity")
def test_cases(case):
    check_case(case)


FEATURES = (1, 2, 3, 7, 8, 15, 16, 17, 33, 100, 127, 128, 129, 257, 385)


@pytest.mark.parametrize("n_features", FEATURES)
def test_sizes(n_features, dtype, rng):
    """The largest within the bound; a smaller one is a part of it, to the bit."""
    x, y = normal(rng, (129, n_features), dtype), normal(rng, (133, n_features), dtype)
    full = fm.cosine_similarity(x, y)
    check(x, y, full)
    for n_rows, n_others in itertools.product((1, 2, 5, 8, 13, 16, 17, 33, 65), repeat=2):
        part = fm.cosine_similarity(x[:n_rows], y[:n_others])
        assert_same_bits(part, full[:n_rows, :n_others])


@pytest.mark.parametrize("n_features", [3, 3071, 3072, 3073, 6145])
def test_deep_rows(n_features, dtype, rng):
    x, y = normal(rng, (37, n_features), dtype), normal(rng, (70, n_features), dtype)
    check(x, y, fm.cosine_similarity(x, y))
    check_one_set(y, fm.cosine_similarity(y))


ONE_SET_SIZES = sorted(
    {*range(1, 36), *(n + d for n in (64, 128, 192, 256, 384) for d in (-1, 0, 1, 2)), 500}
)


@pytest.mark.parametrize("n_features", [5, 70])
def test_one_set(n_features, dtype, rng):
    """One triangle is computed and mirrored, in blocks that depend on sizes and threads."""
    for n_rows in ONE_SET_SIZES:
        x = normal(rng, (n_rows, n_features), dtype)
        result = fm.cosine_similarity(x)
        check_one_set(x, result)
        assert_same_bits(fm.cosine_similarity(x, x), result)
        assert_within(np.diag(result), np.ones(n_rows), cosine_bound(n_features, dtype))
        upper = np.triu_indices(n_rows)
        assert_same_bits(fm.cosine_similarity(x, x.copy())[upper], result[upper])


def test_one_set_larger_than_the_packing_buffer(dtype, rng):
    """16 MiB of packed rows: the columns come in several chunks that cut blocks of rows."""
    n_rows = (16 << 20) // (3072 * dtype.itemsize) + 37
    x = normal(rng, (n_rows, 3072), dtype)
    for n_threads in (1, 3):
        with fm.num_threads(n_threads):
            check_one_set(x, fm.cosine_similarity(x))


@pytest.mark.parametrize("name_x", LAYOUTS)
def test_layouts(name_x, dtype, rng):
    x, y = normal(rng, (19, 21), dtype), normal(rng, (35, 21), dtype)
    y[3] = 0
    x[5] *= dtype.type(1e-35)  # a row that is scaled before it is squared
    expected = fm.cosine_similarity(x, y), fm.cosine_similarity(x)
    for name_y in LAYOUTS:
        assert_same_bits(fm.cosine_similarity(layout(x, name_x), layout(y, name_y)), expected[0])
    assert_same_bits(fm.cosine_similarity(layout(x, name_x)), expected[1])


def test_broadcast_rows_and_features(dtype, rng):
    for shape in [(1, 33), (40, 1), (1, 1)]:
        x = np.broadcast_to(normal(rng, shape, dtype), (40, 33))
        y = normal(rng, (20, 33), dtype)
        for args in [(x,), (x, y), (y, x)]:
            result = fm.cosine_similarity(*args)
            check(args[0], args[1] if len(args) > 1 else None, result)
            assert_same_bits(result, fm.cosine_similarity(*(arg.copy() for arg in args)))


def test_mixed_dtypes_are_computed_in_float64(rng):
    x, y = normal(rng, (9, 40), "f"), normal(rng, (7, 40), "d")
    assert_same_bits(fm.cosine_similarity(x, y), fm.cosine_similarity(x.astype("d"), y))
    assert_same_bits(fm.cosine_similarity(y, x), fm.cosine_similarity(y, x.astype("d")))


@pytest.mark.parametrize("chars", list(itertools.product("?bhilqBHILQefd", repeat=2)), ids="".join)
def test_dtypes(chars, rng):
    """float32 where both fit it without loss, float64 otherwise; integers do not wrap."""
    x, y = (
        np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [100, 3, 100, 0, 7]]).astype(char)
        for char in chars
    )
    small = all(char in "efbB" for char in chars)
    result = fm.cosine_similarity(x, y)
    check(x, y, result, np.dtype(np.float32 if small else np.float64))


@pytest.mark.parametrize("char", "bhilqBHILQ")
def test_integers_at_the_ends_of_their_range(char):
    info = np.iinfo(char)
    x = np.array([[info.min, info.max, 1], [info.max, info.max, info.max], [0, 0, 1]], char)
    check(x, None, fm.cosine_similarity(x), np.dtype("f" if char in "bB" else "d"))


# ---- what must not change a result ----


def test_threads_and_other_rows_change_no_bit(dtype, rng):
    x, y = normal(rng, (517, 301), dtype), normal(rng, (450, 301), dtype)
    x[3] *= dtype.type(1e-30)
    with fm.num_threads(1):
        expected, one_set = fm.cosine_similarity(x, y), fm.cosine_similarity(x)
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            assert_same_bits(fm.cosine_similarity(x, y), expected)
            assert_same_bits(fm.cosine_similarity(x), one_set)
    for rows in (slice(0, 1), slice(-1, None), slice(100, 200), slice(None, None, -3)):
        assert_same_bits(fm.cosine_similarity(x[rows], y), expected[rows])
        assert_same_bits(fm.cosine_similarity(x, y[rows]), expected[:, rows])
        assert_same_bits(fm.cosine_similarity(x[rows]), one_set[rows, rows])
    assert_same_bits(fm.cosine_similarity(y, x), expected.T)


def test_rows_that_need_scaling_do_not_change_the_others(dtype, rng):
    x, y = normal(rng, (20, 50), dtype), normal(rng, (30, 50), dtype)
    expected = fm.cosine_similarity(x, y)
    extreme = x.copy()
    extreme[::2] *= dtype.type(1e30 if dtype == np.float32 else 1e200)
    assert_same_bits(fm.cosine_similarity(extreme, y)[1::2], expected[1::2])
    extreme[::2] = 0
    assert_same_bits(fm.cosine_similarity(extreme, y)[1::2], expected[1::2])


# ---- hostile values ----


@pytest.mark.parametrize("exponent", [-145, -126, -100, -70, -40, 0, 40, 62, 64, 100, 125])
@pytest.mark.parametrize("other", [-145, 0, 125])
def test_scale_of_the_rows(exponent, other, dtype, rng):
    """Squares of huge rows overflow and those of tiny ones vanish; the angle stays."""
    factor = 1 if dtype == np.float32 else 7.2
    x, y = rng.uniform(0.5, 1, (2, 8, 40))
    x *= rng.choice([-1, 1], x.shape)
    x, y = (
        np.ldexp(values, int(power * factor)).astype(dtype)
        for values, power in ((x, exponent), (y, other))
    )
    assert np.isfinite(x).all()
    assert x.any(axis=1).all()
    check(x, y, fm.cosine_similarity(x, y))
    check_one_set(x, fm.cosine_similarity(x))


def test_rows_of_very_different_sizes_in_one_set(dtype, rng):
    info = np.finfo(dtype)
    x = normal(rng, (12, 30), dtype)
    for at, scale in enumerate([info.max / 8, info.tiny, info.smallest_subnormal, 0, 1e-30, 1e30]):
        x[2 * at] = np.sign(x[2 * at]) * dtype.type(scale)
    x[1] = 0
    x[1, 3] = info.smallest_subnormal
    x[3] = info.max
    x[5, 1::2] = info.tiny
    check_one_set(x, fm.cosine_similarity(x))
    check(x, x[::-1], fm.cosine_similarity(x, x[::-1]))


def test_zero_rows_have_similarity_zero(dtype, rng):
    x = normal(rng, (9, 20), dtype)
    x[4] = 0
    x[8] = -0.0
    for result in (fm.cosine_similarity(x), fm.cosine_similarity(x, x[::2])):
        assert_same_bits(result[[4, 8]], np.zeros_like(result[[4, 8]]))
    assert not fm.cosine_similarity(np.zeros((70, 20), dtype)).any()


def test_never_beyond_one(dtype, rng):
    """Parallel rows: rounding alone would give 1 + eps in many places."""
    x = normal(rng, (1, 37), dtype) * rng.uniform(0.1, 10, (200, 1)).astype(dtype)
    x[::2] *= -1
    for result in (fm.cosine_similarity(x), fm.cosine_similarity(x, x.copy())):
        assert np.abs(result).max() <= 1
        assert_within(np.abs(result), np.ones_like(result), cosine_bound(37, dtype))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [(0, 0), (-1, -1), (20, 7)])
def test_values_that_are_not_finite_are_refused(value, at, dtype, rng):
    good, bad = normal(rng, (41, 19), dtype), normal(rng, (41, 19), dtype)
    bad[at] = value
    what = "NaN" if np.isnan(value) else "infinity"
    for args, name in [((bad,), "X"), ((bad, good), "X"), ((good, bad), "Y"), ((bad, bad), "X")]:
        with pytest.raises(ValueError, match=f"{name} contains {what}"):
            fm.cosine_similarity(*args)
        with pytest.raises(ValueError, match=f"{name} contains {what}"):
            fm.cosine_similarity(*(layout(arg, "Fortran") for arg in args))
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            sklearn_cosine(*args)


def test_infinity_beside_nan_and_zeros_is_refused(dtype):
    for row in ([np.inf, -np.inf], [np.nan, np.inf], [0.0, np.nan]):
        for scale in (1, 1e-30):
            x = np.array([row, [scale, 0]], dtype)
            with pytest.raises(ValueError, match="X contains"):
                fm.cosine_similarity(x)


# ---- as scikit-learn ----

SHAPES_REFUSED = [
    ((3,), None),
    ((), None),
    ((2, 3, 4), None),
    ((2, 3), (3,)),
    ((2, 3), (2, 3, 1)),
    ((2, 3), (2, 4)),
    ((2, 3), (3, 2)),
    ((0, 3), None),
    ((3, 0), None),
    ((0, 0), None),
    ((2, 3), (0, 3)),
    ((2, 0), (2, 0)),
]


@pytest.mark.parametrize("shapes", SHAPES_REFUSED, ids=str)
def test_shapes_refused(shapes, dtype):
    x, y = (None if shape is None else np.ones(shape, dtype) for shape in shapes)
    with pytest.raises(ValueError, match=r"[XY] (is|has)"):
        fm.cosine_similarity(x, y)
    with pytest.raises(ValueError, match=r"\w"):
        sklearn_cosine(x, y)


# fmt: off
SKLEARN_CALLS = [
    ([[1.0, 2.0], [0.0, 0.0]], None),
    ([[1, 2], [3, 4]], [[0, 1]]),
    ([[True, False]], [[True, True]]),
    (np.ones((3, 4), "f"), None), (np.ones((3, 4), "f"), np.ones((2, 4), "d")),
    (np.ones((3, 4), ">f8"), None), (np.ones((3, 4), ">f8"), np.ones((2, 4), "f")),
    (np.arange(12).reshape(3, 4), np.ones((1, 4), "f")),
    (np.ones((1, 1)), np.ones((1, 1))), (np.ones((5, 1)), -np.ones((2, 1))),
]
# fmt: on


@pytest.mark.parametrize(("x", "y"), SKLEARN_CALLS, ids=str)
def test_dtypes_and_shapes_as_sklearn(x, y):
    expected = sklearn_cosine(x, y)
    result = fm.cosine_similarity(x, y)
    assert result.dtype == expected.dtype
    assert_within(result, expected, 16 * eps(result.dtype))


SPARSE_KINDS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


@pytest.fixture(params=SPARSE_KINDS)
def as_sparse(request):
    """Makes a sparse array and a sparse matrix of that kind."""
    kinds = [getattr(sparse, f"{request.param}_{what}") for what in ("array", "matrix")]
    return lambda x: [kind(x) for kind in kinds]


def some_zeros(rng, shape, dtype):
    return normal(rng, shape, dtype) * (rng.random(shape) < 0.3).astype(dtype)


def test_sparse_input(as_sparse, dtype, rng):
    x, y = some_zeros(rng, (13, 20), dtype), some_zeros(rng, (17, 20), dtype)
    x[4] = 0
    y[0] *= dtype.type(1e-30)
    y[1] *= dtype.type(1e30)
    for sparse_x, sparse_y in zip(as_sparse(x), as_sparse(y), strict=True):
        before = sparse_x.toarray(), sparse_y.toarray()
        for args in [(sparse_x, sparse_y), (sparse_x, y), (x, sparse_y)]:
            for dense_output in (True, False):
                result = fm.cosine_similarity(*args, dense_output=dense_output)
                expected_type = sklearn_cosine(*args, dense_output=dense_output)
                assert sparse.issparse(result) == sparse.issparse(expected_type)
                check(x, y, result.toarray() if sparse.issparse(result) else result)
        for args in [(sparse_x,), (sparse_x, sparse_x)]:
            result = fm.cosine_similarity(*args)
            assert type(result) is np.ndarray
            check(x, None, result)
            result = fm.cosine_similarity(*args, dense_output=False)
            assert sparse.issparse(result)
            check(x, None, result.toarray())
        assert_unchanged([sparse_x.toarray(), sparse_y.toarray()], before)


def test_sparse_input_that_is_not_canonical(dtype, rng):
    """Duplicate entries are added up, explicit zeros and unsorted indices change nothing."""
    data = np.array([1, 2, -3, 0, 5, 5, -10, 7], dtype)
    indices = np.array([3, 0, 3, 1, 2, 2, 2, 2])
    indptr = np.array([0, 4, 4, 7, 8])
    for kind in (sparse.csr_array, sparse.csr_matrix):
        x = kind((data.copy(), indices.copy(), indptr.copy()), shape=(4, 5))
        dense = kind((data, indices, indptr), shape=(4, 5)).toarray()
        result = fm.cosine_similarity(x)
        check(dense, None, result)
        assert np.array_equal(x.data, data)
        assert np.array_equal(x.indices, indices)
    coo = sparse.coo_array((data, (np.array([0, 0, 0, 1, 1, 2, 2, 2]), indices)), shape=(4, 5))
    check(coo.toarray(), None, fm.cosine_similarity(coo))


def test_sparse_input_with_out(dtype, rng):
    x = some_zeros(rng, (6, 9), dtype)
    out = np.full((6, 6), np.nan, dtype)
    assert fm.cosine_similarity(sparse.csr_array(x), out=out) is out
    check(x, None, out)
    with pytest.raises(ValueError, match="out"):
        fm.cosine_similarity(sparse.csr_array(x), dense_output=False, out=out)
    with pytest.raises(ValueError, match="out has shape"):
        fm.cosine_similarity(sparse.csr_array(x), out=out[:5])


def test_sparse_input_refused(dtype):
    good = sparse.csr_array(np.eye(3, dtype=dtype))
    for value in (np.nan, np.inf):
        bad = sparse.csr_array(np.diag([1, value, 0]).astype(dtype))
        for args in [(bad,), (good, bad), (bad, np.eye(3)), (np.eye(3), bad)]:
            with pytest.raises(ValueError, match=r"contains"):
                fm.cosine_similarity(*args)
    with pytest.raises(TypeError, match="X has dtype complex"):
        fm.cosine_similarity(good.astype(complex))
    for shape in [(0, 3), (3, 0)]:
        with pytest.raises(ValueError, match="X has shape"):
            fm.cosine_similarity(sparse.csr_array(shape, dtype=dtype))
    with pytest.raises(ValueError, match="X has 3 features and Y has 4"):
        fm.cosine_similarity(good, sparse.csr_array((2, 4), dtype=dtype))
    with pytest.raises(ValueError, match=r"[XY] is a 1D"):
        fm.cosine_similarity(good, np.ones(3, dtype))


@pytest.mark.parametrize("char", "?bhilqBHILQ")
def test_sparse_integers(char):
    x = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]], char)
    check(
        x, None, fm.cosine_similarity(sparse.csr_array(x)), np.dtype("f" if char in "bB" else "d")
    )


# ---- properties ----


@st.composite
def row_sets(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    n_features = draw(st.integers(1, 40))
    elements = st.floats(-(2.0**60), 2.0**60, width=32)
    return [
        draw(stnp.arrays(dtype, (draw(st.integers(1, 40)), n_features), elements=elements))
        for _ in range(2)
    ]


@given(row_sets())
def test_bounded_and_symmetric_with_one_on_the_diagonal(sets):
    x, y = sets
    result = fm.cosine_similarity(x)
    check_one_set(x, result)
    assert_within(np.diag(result), x.any(axis=1), cosine_bound(x.shape[1], x.dtype))
    check(x, y, fm.cosine_similarity(x, y))
    assert_same_bits(fm.cosine_similarity(y, x), fm.cosine_similarity(x, y).T)


@given(row_sets(), st.integers(-20, 20))
def test_scale_of_rows_does_not_matter(sets, exponent):
    x, y = sets
    factor = x.dtype.type(2.0**exponent)
    largest = np.abs(x).max(axis=1)
    assume(np.all((largest == 0) | (largest > 1e-20)))
    bound = 2 * cosine_bound(x.shape[1], x.dtype)
    assert_within(fm.cosine_similarity(x * factor, y), fm.cosine_similarity(x, y), bound)
    assert_within(fm.cosine_similarity(x, -y), -fm.cosine_similarity(x, y), 0)
