"""matmul against the oracle, and what must not change its results."""

import itertools

import numpy as np
import pytest
from helpers import (
    LAYOUTS,
    OUT_LAYOUTS,
    Guarded,
    assert_same_bits,
    assert_within,
    cases_of,
    check_case,
    eps,
    layout,
    matmul_bound,
    normal,
)
from hypothesis import given
from hypothesis import strategies as st

import fastmath_ml as fm

# Around the sizes of vectors (4 to 16 lanes), tiles (6 or 14 rows, 8 to 32 columns) and panels.
SIZES = (1, 2, 3, 5, 7, 8, 13, 14, 15, 16, 17, 28, 31, 32, 33, 64, 65, 100, 129, 385, 400)
# Around the depth blocks (256, 384) and the packed chunks (3072).
DEPTHS = (255, 256, 257, 383, 384, 385, 511, 512, 513, 768, 769, 3071, 3072, 3073, 6145)


def check(a, b, result):
    dtype = np.result_type(a, b).newbyteorder("=")
    assert_within(result, fm.reference.matmul(a, b), matmul_bound(a, b, dtype), dtype)


# ---- the numbers ----


@cases_of("matmul")
def test_cases(case):
    check_case(case)


def test_every_small_size(dtype, rng):
    """All n_rows, n_columns and depths up to 40, exactly: sums of small integers do not round."""
    n = 40
    a = rng.integers(-8, 9, (n, n)).astype(dtype)
    b = rng.integers(-8, 9, (n, n)).astype(dtype)
    for depth in range(n + 1):
        exact = a[:, :depth].astype(int) @ b[:depth].astype(int)
        for n_rows in range(1, n + 1):
            rows = a[:n_rows, :depth].copy()
            for n_columns in range(1, n + 1):
                result = fm.matmul(rows, b[:depth, :n_columns])
                # One comparison a product: an assertion with a message would take most of the time
                assert np.array_equal(result, exact[:n_rows, :n_columns]), (n_rows, n_columns)


@pytest.mark.parametrize("depth", sorted({*SIZES, 256, 257}))
def test_sizes_around_the_tiles(depth, dtype, rng):
    """The largest product within the bound; every smaller one is a part of it, to the bit.

    Not so those with one row or one column, or with a few from some depth on: they are summed in
    another order.
    """
    n = max(SIZES)
    a, b = normal(rng, (n, depth), dtype), normal(rng, (depth, n), dtype)
    full = fm.matmul(a, b)
    check(a, b, full)
    sizes = list(itertools.product(SIZES, SIZES))
    for n_rows, n_columns in rng.permutation(sizes)[:120]:
        rows, columns = a[:n_rows], np.ascontiguousarray(b[:, :n_columns])
        result = fm.matmul(rows, columns)
        if 1 in (n_rows, n_columns) or (min(n_rows, n_columns) <= 8 and depth >= 16):
            check(rows, columns, result)
        else:
            assert_same_bits(result, full[:n_rows, :n_columns])


@pytest.mark.parametrize("n_vectors", [2, 3, 5, 8, 9])
@pytest.mark.parametrize("depth", [15, 16, 17, 127, 128, 131, 515, 2050, 70_000])
def test_a_few_rows_or_columns(depth, n_vectors, dtype, rng):
    n_out = 67 if depth < 3000 else 5
    a, x = normal(rng, (n_out, depth), dtype), normal(rng, (depth, n_vectors), dtype)
    for matrix in (a, np.asfortranarray(a)):
        for vectors in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
            expected = fm.matmul(matrix, vectors)
            check(matrix, vectors, expected)
            check(vectors.T, matrix.T, fm.matmul(vectors.T, matrix.T))
            with fm.num_threads(3):
                assert_same_bits(fm.matmul(matrix, vectors), expected)
            wide = np.zeros((n_out, n_vectors + 3), dtype)
            fm.matmul(matrix, vectors, out=wide[:, 2:-1])
            assert_same_bits(wide[:, 2:-1], expected)
            assert not wide[:, :2].any()
            assert not wide[:, -1].any()


@pytest.mark.parametrize("shape", [(1, 2100, 1100), (1, 2050, 3100), (3, 2100, 1100)])
def test_few_rows_times_a_matrix_from_memory(shape, dtype, rng):
    n_rows, depth, n_columns = shape
    a, b = normal(rng, (n_rows, depth), dtype), normal(rng, (depth, n_columns), dtype)
    with fm.num_threads(1):
        expected = fm.matmul(a, b)
    check(a, b, expected)
    for n_threads in (2, 3):
        with fm.num_threads(n_threads):
            assert_same_bits(fm.matmul(a, b), expected)


def test_tall_matrix_from_memory(rng):
    """A in place, prefetched a tile ahead, up to its last row."""
    a, b = normal(rng, (16_801, 520), "float32"), normal(rng, (520, 20), "float32")
    result = fm.matmul(a, b)
    check(a[:100], b, result[:100])
    check(a[-100:], b, result[-100:])
    assert_same_bits(fm.matmul(a[3:300], b), result[3:300])


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (70, 1), (13, 19), (65, 130)])
def test_depths_around_the_blocks(depth, shape, dtype, rng):
    a, b = normal(rng, (shape[0], depth), dtype), normal(rng, (depth, shape[1]), dtype)
    result = fm.matmul(a, b)
    check(a, b, result)
    # The packed panels of a transposed operand are cut at other places
    other = fm.matmul(np.asfortranarray(a), np.asfortranarray(b))
    check(a, b, other)
    if 1 not in shape:
        assert_same_bits(other, result)


def test_more_columns_than_the_packing_buffer_holds(dtype, rng):
    """16 MiB of packed B are 1365 float32 or 682 float64 columns of depth 3072."""
    n_columns = (16 << 20) // (3072 * dtype.itemsize) * 2 + 5
    a, b = normal(rng, (37, 3100), dtype), normal(rng, (3100, n_columns), dtype)
    result = fm.matmul(a, b)
    check(a, b, result)
    assert_same_bits(fm.matmul(b.T, a.T), result.T)


def test_error_does_not_grow_with_the_depth(rng):
    """A single chain of float32 additions is wrong by 1e-3 here."""
    depth = 1_000_000
    a = np.full((1, depth), 0.1, np.float32)
    one = np.ones((depth, 1), np.float32)
    chain = np.cumsum(a[0], dtype=np.float32)[-1]
    exact = depth * np.float64(np.float32(0.1))
    assert abs(chain - exact) > 5e-4 * exact
    result = fm.matmul(a, one)
    assert_within(result, [[exact]], matmul_bound(a, one, np.float32), np.float32)
    assert abs(result[0, 0] - exact) < 2e-4 * exact


@pytest.mark.parametrize("out_layout", [None, *OUT_LAYOUTS])
def test_layouts_of_operands_and_result(out_layout, dtype, rng):
    """Every combination, to the bit: the layout changes where a number is, not what is added."""
    a, b = normal(rng, (19, 21), dtype), normal(rng, (21, 35), dtype)
    expected = fm.matmul(a, b)
    for name_a, name_b in itertools.product(LAYOUTS, LAYOUTS):
        out = guarded = None
        if out_layout is not None:
            guarded = Guarded(expected.shape, dtype, out_layout)
            out = guarded.array
        result = fm.matmul(layout(a, name_a), layout(b, name_b), out)
        assert_same_bits(result, expected)
        if guarded is not None:
            assert result is out
            guarded.check()


BROADCAST = {
    "rows of a": ((1, 50), (33, 50), (50, 40), (50, 40)),
    "columns of a": ((33, 1), (33, 50), (50, 40), (50, 40)),
    "a": ((1, 1), (33, 50), (50, 40), (50, 40)),
    "rows of b": ((33, 50), (33, 50), (1, 40), (50, 40)),
    "columns of b": ((33, 50), (33, 50), (50, 1), (50, 40)),
    "both": ((1, 1), (33, 50), (1, 1), (50, 40)),
    "stacks": ((1, 3, 5), (4, 3, 5), (2, 1, 5, 6), (2, 4, 5, 6)),
    "inside of stacks": ((4, 1, 5), (4, 3, 5), (4, 5, 1), (4, 5, 6)),
    "vectors": ((1,), (50,), (50, 1), (50, 6)),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_broadcast_operands(name, dtype, rng):
    shape_a, full_a, shape_b, full_b = BROADCAST[name]
    a = np.broadcast_to(normal(rng, shape_a, dtype), full_a)
    b = np.broadcast_to(normal(rng, shape_b, dtype), full_b)
    result = fm.matmul(a, b)
    check(a, b, result)
    if name != "vectors":
        assert_same_bits(result, fm.matmul(a.copy(), b.copy()))


def test_the_transposed_product_is_the_product_of_the_transposes(dtype, rng):
    for n_rows, depth, n_columns in [
        (5, 7, 3), (1, 4, 4), (1, 9, 4), (2, 18, 2), (5, 70, 5), (64, 385, 65), (200, 100, 30),
    ]:  # fmt: skip
        a, b = normal(rng, (n_rows, depth), dtype), normal(rng, (depth, n_columns), dtype)
        assert_same_bits(fm.matmul(b.T, a.T).T, fm.matmul(a, b))
        result = fm.matmul(b.T.copy(), a.T.copy()).T
        if n_rows > 1 or depth < 5:
            assert_same_bits(result, fm.matmul(a, b))
        else:  # columns of such a length take dots where they lie along the depth
            check(a, b, result)


# Matrices, few results of a long depth, and vectors along and across the rows of a matrix
THREADED = [
    (700, 500, 300), (50, 3100, 45), (20, 20_000, 30), (2, 100_000, 3),
    (1, 2000, 3000), (3000, 2000, 1), (1, 300_000, 7), (7, 300_000, 1), (1, 1_000_000, 1),
]  # fmt: skip


@pytest.mark.parametrize("shape", THREADED)
@pytest.mark.parametrize("orders", ["CC", "FF"])
def test_threads_change_no_bit(shape, orders, dtype, rng):
    n_rows, depth, n_columns = shape
    a = np.asarray(normal(rng, (n_rows, depth), dtype), order=orders[0])
    b = np.asarray(normal(rng, (depth, n_columns), dtype), order=orders[1])
    with fm.num_threads(1):
        expected = fm.matmul(a, b)
    check(a, b, expected)
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            assert_same_bits(fm.matmul(a, b), expected)


@pytest.mark.parametrize("shape", [(700, 500, 300), (50, 3100, 45), (24, 6000, 26)])
def test_other_rows_and_columns_change_no_bit(shape, dtype, rng):
    """As long as there are more than eight, which are summed in another order."""
    n_rows, depth, n_columns = shape
    a, b = normal(rng, (n_rows, depth), dtype), normal(rng, (depth, n_columns), dtype)
    expected = fm.matmul(a, b)
    for rows in (slice(0, 9), slice(-11, None), slice(1, n_rows, 2), slice(n_rows // 2, None)):
        assert_same_bits(fm.matmul(a[rows], b), expected[rows])
    for columns in (slice(0, 9), slice(-11, None), slice(None, None, -2)):
        assert_same_bits(fm.matmul(a, b[:, columns]), expected[:, columns])
    assert_same_bits(fm.matmul(np.stack([a, -a]), b), np.stack([expected, -expected]))
    spoiled = np.full_like(a, np.nan)
    spoiled[3] = a[3]
    assert_same_bits(fm.matmul(spoiled, b)[3], expected[3])


def _one(at, value):
    def spoil(x):
        x[at] = value

    return spoil


def _scaled(factor):
    def spoil(x):
        x *= x.dtype.type(factor)

    return spoil


HOSTILE = {
    "NaN": _one((3, 4), np.nan),
    "inf": _one((0, 0), np.inf),
    "-inf in the last element": _one((-1, -1), -np.inf),
    "a row of zeros": _one(2, 0.0),
    "negative zeros": _one(slice(None), -0.0),
    "infinite row": _one(1, np.inf),
    "row of NaN": _one(-1, np.nan),
    "huge": _scaled(1e15),
    "tiny": _scaled(1e-21),
    "ties": _one(slice(None), 0.1),
}


@pytest.mark.parametrize("for_a", HOSTILE)
@pytest.mark.parametrize("for_b", HOSTILE)
def test_hostile_values(for_a, for_b, dtype, rng):
    """0 * NaN and 0 * inf are NaN, in every tile; products of tiny numbers become denormal."""
    for shape in [(5, 6, 7), (33, 40, 50)]:
        a, b = normal(rng, shape[:2], dtype), normal(rng, shape[1:], dtype)
        HOSTILE[for_a](a)
        HOSTILE[for_b](b.T)
        with np.errstate(invalid="ignore"):
            exact = np.matmul(a.astype(np.longdouble), b.astype(np.longdouble))
        finite_a, finite_b = (np.where(np.isfinite(x), x, 0) for x in (a, b))
        bound = matmul_bound(finite_a, finite_b, dtype)
        assert_within(fm.matmul(a, b), exact, bound, dtype)


def test_overflow_is_infinite(dtype):
    a = np.full((33, 40), np.finfo(dtype).max / 30, dtype)
    b = np.ones((40, 50), dtype)
    b[:, ::2] = -1
    b[20:, 1::3] = 0
    exact = np.where(np.arange(50) % 2 == 0, -np.inf, np.inf)
    exact = np.where(np.arange(50) % 3 == 1, np.sign(exact) * 20 * np.float64(a[0, 0]), exact)
    result = fm.matmul(a, b)
    assert_within(result, np.tile(exact, (33, 1)), 40 * eps(dtype) * np.finfo(dtype).max)


def test_denormal_products_are_kept(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    a = np.full((3, 40), tiny, dtype)
    assert np.array_equal(fm.matmul(a, np.ones((40, 5), dtype)), np.full((3, 5), 40 * tiny))
    a = np.full((3, 1), np.finfo(dtype).smallest_normal / 4, dtype)
    assert np.array_equal(fm.matmul(a, np.ones((1, 5), dtype)), np.repeat(a, 5, axis=1))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 20, 5), (70, 500, 90), (1, 50, 70)])
def test_nan_in_out_does_not_matter(shape, dtype, rng):
    n_rows, depth, n_columns = shape
    a, b = normal(rng, (n_rows, depth), dtype), normal(rng, (depth, n_columns), dtype)
    out = np.full((n_rows, n_columns), np.nan, dtype)
    assert_same_bits(fm.matmul(a, b, out=out), fm.matmul(a, b))


# ---- properties ----

FINITE = st.floats(-(2.0**40), 2.0**40, width=32)


@st.composite
def operands(draw, n_pairs=1):
    n_rows, depth, n_columns = (draw(st.integers(1, 20)) for _ in range(3))
    dtype = draw(st.sampled_from([np.float32, np.float64]))

    def matrix(rows, columns):
        values = draw(st.lists(FINITE, min_size=rows + columns, max_size=rows + columns))
        # An outer sum has every element differ at a fraction of the draws
        return np.add.outer(values[:rows], values[rows:]).astype(dtype)

    return [matrix(n_rows, depth) for _ in range(n_pairs)], matrix(depth, n_columns)


@given(operands(2))
def test_linear_in_the_first_operand(drawn):
    (a1, a2), b = drawn
    total = a1.astype(np.float64) + a2
    together = fm.matmul(total, b.astype(np.float64))
    apart = fm.matmul(a1, b).astype(np.float64) + fm.matmul(a2, b)
    bound = sum(matmul_bound(x, b, a1.dtype) for x in (a1, a2))
    assert_within(apart, together, 2 * bound)


@given(operands(), st.integers(-30, 30))
def test_powers_of_two_factor_out_exactly(drawn, exponent):
    (a,), b = drawn
    factor = a.dtype.type(2.0**exponent)
    tiny = np.float64(np.finfo(a.dtype).smallest_normal) * 2.0**60
    if np.any((a != 0) & (np.abs(a) < tiny)) or np.any((b != 0) & (np.abs(b) < tiny)):
        return
    assert_same_bits(fm.matmul(a * factor, b), fm.matmul(a, b) * factor)


@given(operands())
def test_any_matrix_against_the_oracle(drawn):
    (a,), b = drawn
    check(a, b, fm.matmul(a, b))
    if 1 not in (len(a), b.shape[1]):
        assert_same_bits(fm.matmul(b.T, a.T).T, fm.matmul(a, b))
    assert_same_bits(fm.matmul(a, np.eye(a.shape[1], dtype=a.dtype)), a + a.dtype.type(0))
