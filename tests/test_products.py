"""vecdot, matvec, vecmat and gram against the reference, in every layout and by any threads."""

import itertools

import numpy as np
import pytest
from helpers import assert_same_bits, assert_within, matmul_bound

import fastmath_ml as fm
from fastmath_ml import reference

DTYPES = [np.float32, np.float64]
# Around the vector widths, the blocks along the depth and the segments of a long depth.
DEPTHS = [1, 2, 7, 16, 33, 255, 257, 2047, 2049, 70_001]
OUTPUTS = [1, 3, 5, 64, 65, 300]


def layouts(x):
    """The same numbers C- and Fortran-ordered, reversed and with gaps."""
    yield x
    yield np.asfortranarray(x)
    yield x[..., ::-1].copy()[..., ::-1]
    gaps = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    gaps[..., ::2] = x
    yield gaps[..., ::2]


def assert_products_close(actual, expected, magnitude, depth):
    """|error| <= (depth + 2) eps |A||B|: what rounding each of the products and sums can do."""
    assert actual.dtype in DTYPES
    error = np.abs(actual.astype(np.float64) - expected)
    assert error.shape == np.shape(magnitude)
    assert np.all(error <= (depth + 2) * np.finfo(actual.dtype).eps * magnitude)


def test_the_assertion_sees_an_error():
    exact = np.array([3.0])
    with pytest.raises(AssertionError):
        assert_products_close(np.array([3.001]), exact, exact, 5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_vecdot(rng, dtype, depth):
    a = rng.standard_normal((3, depth)).astype(dtype)
    b = rng.standard_normal((3, depth)).astype(dtype)
    expected, magnitude = reference.vecdot(a, b), reference.vecdot(abs(a), abs(b))
    for x in layouts(a):
        for y in layouts(b):
            assert_products_close(fm.vecdot(x, y), expected, magnitude, depth)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("n_out", OUTPUTS)
def test_matvec_and_vecmat(rng, dtype, depth, n_out):
    matrix = rng.standard_normal((n_out, min(depth, 3000))).astype(dtype)
    depth = matrix.shape[1]
    vector = rng.standard_normal(depth).astype(dtype)
    expected = reference.matvec(matrix, vector)
    magnitude = reference.matvec(abs(matrix), abs(vector))
    for x in layouts(matrix):
        for y in layouts(vector):
            assert_products_close(fm.matvec(x, y), expected, magnitude, depth)
            assert_products_close(fm.matmul(x, y), expected, magnitude, depth)
            assert_products_close(fm.vecmat(y, x.T), expected, magnitude, depth)
            assert_products_close(fm.matmul(y, x.T), expected, magnitude, depth)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_out", [1, 64])
def test_a_long_depth_is_shared_by_the_threads(rng, dtype, n_out):
    depth = 70_001
    matrix = rng.standard_normal((n_out, depth)).astype(dtype)
    vector = rng.standard_normal(depth).astype(dtype)
    expected = reference.matvec(matrix, vector)
    magnitude = reference.matvec(abs(matrix), abs(vector))
    for x in (matrix, np.asfortranarray(matrix)):
        results = []
        for n_threads in (1, 2, 3, 7):
            with fm.num_threads(n_threads):
                results.append(fm.matvec(x, vector))
        assert_products_close(results[0], expected, magnitude, depth)
        assert all(np.array_equal(results[0], other) for other in results)


def check_gram(x):
    expected, magnitude = reference.gram(x), reference.gram(abs(x))
    for rows in layouts(x):
        results = []
        for n_threads in (1, 2, 7):
            with fm.num_threads(n_threads):
                results.append(fm.gram(rows))
        assert_products_close(results[0], expected, magnitude, len(x))
        assert np.array_equal(results[0], results[0].T)
        assert all(np.array_equal(results[0], other) for other in results)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 3), (33, 40), (300, 70), (70, 300), (7000, 65), (3500, 270)]
)
def test_gram(rng, dtype, shape):
    check_gram(rng.standard_normal(shape).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_gram_packed_in_several_pieces(rng, dtype):
    check_gram(rng.standard_normal((2000, 1100)).astype(dtype))


def test_gram_takes_what_numpy_takes_and_refuses_the_rest():
    x = np.arange(6).reshape(3, 2)
    assert np.array_equal(fm.gram(x.tolist()), x.T @ x)
    assert fm.gram(x.astype(np.float16)).dtype == np.float32
    out = np.full((2, 2), np.nan)
    assert fm.gram(x, out=out) is out
    assert np.array_equal(out, x.T @ x)
    with pytest.raises(ValueError, match=r"x is a 1D array of shape \(3,\); expected a 2D array"):
        fm.gram(x[:, 0])
    with pytest.raises(ValueError, match=r"out has shape \(2, 3\); expected \(2, 2\)"):
        fm.gram(x, out=np.zeros((2, 3)))
    with pytest.raises(TypeError, match="x has dtype complex128"):
        fm.gram(x * 1j)
    with pytest.raises(TypeError, match="x is a masked array"):
        fm.gram(np.ma.masked_array(x))


@pytest.mark.parametrize("name", ["vecdot", "matvec", "vecmat"])
def test_semantics_are_numpys(rng, name):
    core = {"vecdot": ((4,), (4,)), "matvec": ((3, 4), (4,)), "vecmat": ((4,), (4, 5))}[name]
    ours, numpys = getattr(fm, name), getattr(np, name)
    for stacks in [((), ()), ((2,), ()), ((), (2,)), ((3, 1), (2,)), ((0,), (1,))]:
        a, b = (rng.standard_normal(stack + tail) for stack, tail in zip(stacks, core, strict=True))
        expected = numpys(a, b)
        result = ours(a, b)
        assert type(result) is type(expected)
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-13)
        if expected.ndim:
            out = np.empty(expected.shape[::-1]).T
            assert ours(a, b, out=out) is out
            np.testing.assert_allclose(out, expected, rtol=1e-13, atol=1e-13)
    # No rows or columns in a stack that is not empty.
    a, b = {"vecdot": ((2, 0), (0,)), "matvec": ((2, 0, 3), (3,)), "vecmat": ((3,), (2, 3, 0))}[
        name
    ]
    assert_same_bits(ours(np.ones(a), np.ones(b)), numpys(np.ones(a), np.ones(b)))
    a, b = rng.standard_normal(core[0]), rng.standard_normal(core[1])
    # Complex numbers are NumPy's own.
    assert ours(a.astype(int), b.astype(int)).dtype == int
    np.testing.assert_array_equal(ours(a * 1j, b), numpys(a * 1j, b))
    narrow = [x.astype(np.float32) for x in (a, b)]
    # Operands that are converted take another kernel, which adds up in another order.
    converted = ours(a, b, dtype=np.float32)
    assert converted.dtype == np.float32
    np.testing.assert_allclose(converted, ours(*narrow), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=f"{name}: x1 has shape .* expected the last axis of x1"):
        ours(a[..., :3], b)
    with pytest.raises(ValueError, match=f"{name}: x1 has 0 axes"):
        ours(1.0, b)
    with pytest.raises(TypeError, match="masked"):
        ours(np.ma.masked_array(a), b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(64, 50, 160), (300, 900, 1024), (33, 4000, 640)])
def test_the_place_of_out_in_memory_does_not_matter(rng, dtype, shape):
    """Panels of columns begin at cache lines of the result, wherever those are."""
    n_rows, depth, n_cols = shape
    a = rng.standard_normal((n_rows, depth)).astype(dtype)
    b = rng.standard_normal((depth, n_cols)).astype(dtype)
    itemsize = np.dtype(dtype).itemsize
    memory = np.empty(n_rows * n_cols + 128 // itemsize, dtype)
    to_line = -memory.ctypes.data % 64 // itemsize
    results = []
    for offset in range(0, 64 // itemsize, 3):
        memory[:] = np.nan
        out = memory[to_line + offset :][: n_rows * n_cols].reshape(n_rows, n_cols)
        for right in (b, np.asfortranarray(b)):
            fm.matmul(a, right, out=out)
            results.append(out.copy())
        assert np.isnan(memory[: to_line + offset]).all()
        assert np.isnan(memory[to_line + offset + n_rows * n_cols :]).all()
    magnitude = reference.matmul(abs(a), abs(b))
    assert_products_close(results[0], reference.matmul(a, b), magnitude, depth)
    assert all(np.array_equal(results[0], other) for other in results)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_rows", [111, 112, 200])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_place_of_an_operand_in_memory_does_not_matter(rng, dtype, n_rows, threads):
    """Where its vectors straddle cache lines it is packed, on one thread from 112 rows on."""
    depth, n_cols = 400, 160
    a = rng.standard_normal((n_rows, depth)).astype(dtype)
    b = rng.standard_normal((depth, n_cols)).astype(dtype)
    memory = np.empty(b.size + 32, dtype)
    to_line = -memory.ctypes.data % 64 // b.itemsize
    results = []
    for offset in range(0, 64 // b.itemsize, 3):
        moved = memory[to_line + offset :][: b.size].reshape(b.shape)
        moved[:] = b
        with fm.num_threads(threads):
            results.append(fm.matmul(a, moved))
    magnitude = reference.matmul(abs(a), abs(b))
    assert_products_close(results[0], reference.matmul(a, b), magnitude, depth)
    assert all(np.array_equal(results[0], other) for other in results)


# Depths below, at and above a slice and a depth block; the first ones with several tasks of rows.
SLICED = [(5000, 31, 10), (3000, 70, 33), (700, 257, 64), (500, 900, 9), (68, 2050, 17)]


@pytest.mark.parametrize("shape", SLICED)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_transposed_matrix_times_a_few_columns(rng, dtype, shape, threads):
    """Read in slices of the depth; the same bits as of the matrix in the other order."""
    n_rows, depth, n_cols = shape
    rows = rng.standard_normal((depth, 2 * n_rows)).astype(dtype)
    b = rng.standard_normal((depth, 2 * n_cols)).astype(dtype)[:, :n_cols]
    wide = np.full((n_rows, n_cols + 3), np.nan, dtype)
    for some in (rows[:, :n_rows], rows[::-1, 5 : 5 + n_rows], rows[:, :n_rows].copy()):
        a = some.T
        with fm.num_threads(threads):
            found = fm.matmul(a, b)
            fm.matmul(a, b, out=wide[:, :n_cols])
        assert_within(found, reference.matmul(a, b), matmul_bound(a, b, dtype))
        assert_same_bits(wide[:, :n_cols].copy(), found)
        assert np.isnan(wide[:, n_cols:]).all()
        assert_same_bits(found, fm.matmul(np.ascontiguousarray(a), b))
        assert_same_bits(found[:, :9].copy(), fm.matmul(a, b[:, :9]))


@pytest.mark.parametrize("n", [9, 16, 17, 64, 65, 128, 129, 256])
@pytest.mark.parametrize("depth", [65, 257, 385, 6200])
def test_a_gram_matrix_has_the_same_bits_from_any_layout(rng, dtype, n, depth):
    """Packed once as both operands where its columns are few and lie in rows of memory."""
    x = rng.standard_normal((depth, n)).astype(dtype)
    found = fm.gram(x)
    assert_within(found, reference.gram(x), matmul_bound(x.T, x, dtype))
    assert_same_bits(found, found.T)
    for threads in (1, 3):
        with fm.num_threads(threads):
            assert_same_bits(found, fm.gram(x))
            assert_same_bits(found, fm.gram(np.asfortranarray(x)))
            assert_same_bits(found, fm.gram(np.pad(x, ((0, 0), (3, 5)))[:, 3:-5]))


def test_what_is_not_finite_stays_in_its_rows_of_a_sliced_product(rng):
    rows, b = rng.standard_normal((300, 1000)), rng.standard_normal((300, 12))
    rows[[3, 40, 299], [0, 70, 999]] = np.nan, np.inf, -np.inf
    found, want = fm.matmul(rows.T, b), reference.matmul(rows.T, b)
    assert np.isnan(found[0]).all()
    assert_same_bits(np.isinf(found), np.isinf(want))
    np.testing.assert_array_equal(found[[70, 999]], want[[70, 999]])
    assert np.isfinite(found[1:70]).all()
    assert_same_bits(fm.matmul(np.zeros((300, 1000)).T, -abs(b)), np.zeros((1000, 12)))


def test_rows_a_multiple_of_4_kib_apart(rng, dtype):
    """Tiles that read them in place are lower; the bits stay."""
    depth = 8192 // dtype.itemsize
    a = rng.standard_normal((50, depth)).astype(dtype)
    b = rng.standard_normal((depth, 20)).astype(dtype)
    apart = np.zeros((50, depth + 24), dtype)[:, :depth]
    apart[:] = a
    assert_within(fm.matmul(a, b), reference.matmul(a, b), matmul_bound(a, b, dtype))
    assert_same_bits(fm.matmul(a, b), fm.matmul(apart, b))


def test_a_vecdot_is_the_same_however_it_is_called(rng, dtype):
    """As a stack, as a row, as lists, out into a gap, longer than what one thread takes."""
    for n in (1, 5, 15, 16, 100, 70_000, 200_000):
        a, b = rng.standard_normal((2, 3, n)).astype(dtype)
        want = np.array([fm.vecdot(x, y) for x, y in zip(a, b, strict=True)])
        assert want.dtype == dtype
        assert_same_bits(fm.vecdot(a, b), want)
        assert_same_bits(fm.vecdot(a[:, None], b[:, None])[:, 0], want)
        products = [fm.matmul(x[None], y[:, None]) for x, y in zip(a, b, strict=True)]
        assert_same_bits(np.ravel(products), want)
        for x, y in itertools.product(layouts(a), layouts(b)):
            assert_same_bits(fm.vecdot(x, y), want)
        wide = np.full((3, 2), np.nan, dtype)
        fm.vecdot(a, b, out=wide[:, 0])
        assert_same_bits(wide[:, 0].copy(), want)
        assert np.isnan(wide[:, 1]).all()
        np.testing.assert_allclose(
            want, np.sum(a.astype(np.longdouble) * b, axis=1).astype(float),
            atol=60 * np.finfo(dtype).eps * n**0.5,
        )  # fmt: skip


def test_out_that_overlaps_an_operand(rng):
    a = rng.standard_normal((4, 4))
    for function, x, y in ((fm.vecdot, a.copy(), a), (fm.matvec, a.copy(), a[0].copy())):
        want = function(x, y)
        assert np.shares_memory(function(x, y, out=x[0]), x)
        assert_same_bits(x[0].copy(), want)
