"""softmax against extended precision, against SciPy in its edge cases, and by its properties."""

import itertools

import numpy as np
import pytest
import scipy.special
from helpers import (
    LAYOUTS,
    assert_same_bits,
    assert_within,
    cases_of,
    check_case,
    eps,
    layout,
    normal,
    softmax_bound,
    softmax_exact,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

import fastmath_ml as fm

LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 63, 64, 65, 100, 127, 128, 129, 1000)
# Around the blocks of the sums (1024 along a line, 128 steps across) and of the cache.
LONG_LENGTHS = (1023, 1024, 1025, 2048, 4095, 4097, 50_257)
# Beyond a MiB a line is cut into segments of 16384.
HUGE_LENGTHS = ((1 << 18) + 1, (1 << 19) + 16385)


def check(x, axis, result):
    dtype = x.dtype.newbyteorder("=")
    exact = softmax_exact(x, axis)
    assert_within(result, exact, softmax_bound(x, exact, dtype, axis), dtype)


# ---- the numbers ----


@cases_of("softmax")
def test_cases(case):
    check_case(case)


@pytest.mark.parametrize("length", LENGTHS)
def test_short_lines(length, dtype, rng):
    """Lines along the last axis, the first, and all."""
    for n_lines in (*range(1, 18), 31, 32, 33, 64, 65, 129):
        x = normal(rng, (n_lines, length), dtype, scale=4)
        check(x, 1, fm.softmax(x, axis=1))
        check(x, 0, fm.softmax(x, axis=0))
        check(x, None, fm.softmax(x))


@pytest.mark.parametrize("length", LONG_LENGTHS)
@pytest.mark.parametrize("n_lines", [1, 3, 37])
def test_long_lines(length, n_lines, dtype, rng):
    x = normal(rng, (n_lines, length), dtype, scale=4)
    check(x, 1, fm.softmax(x, axis=1))
    check(x.T.copy(), 0, fm.softmax(x.T.copy(), axis=0))
    check(x, None, fm.softmax(x))


@pytest.mark.parametrize("length", HUGE_LENGTHS)
def test_huge_lines(length, dtype, rng):
    x = normal(rng, (2, length), dtype, scale=4)
    x[1, 20_000] = 60  # the maximum is in another segment than most of the sum
    check(x, 1, fm.softmax(x, axis=1))
    check(x, None, fm.softmax(x))
    check(x.T.copy(), 0, fm.softmax(x.T.copy(), axis=0))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((3, 5000), 0),  # wider than a band of lines
        ((40, 4097), 0),
        ((2, 40, 4100), 1),
        ((300, 17, 3), 1),
        ((17, 1, 5), 1),
        ((4, 70_000, 2), 1),
        ((70_000, 2), 0),
        ((1, 1, 9), 0),
        ((2, 3, 4, 5, 6), 2),
        ((2, 3, 4, 5, 6), -5),
    ],
)
def test_shapes_and_axes(shape, axis, dtype, rng):
    x = normal(rng, shape, dtype, scale=4)
    check(x, axis, fm.softmax(x, axis=axis))


@pytest.mark.parametrize(
    "axis",
    [
        None,
        (),
        *itertools.chain.from_iterable(itertools.permutations(range(3), n) for n in (1, 2, 3)),
        (-1, 0),
        (-2, -1),
        -2,
        np.int64(1),
    ],
)
@pytest.mark.parametrize("name", LAYOUTS)
def test_axis_tuples_in_every_layout(axis, name, dtype, rng):
    x = normal(rng, (4, 9, 35), dtype, scale=4)
    check(x, axis, fm.softmax(layout(x, name), axis=axis))
    assert_within(
        fm.softmax(x, axis=axis).sum(axis=axis, dtype=np.float64),
        np.ones(x.sum(axis=axis).shape),
        64 * eps(dtype),
    )


def test_broadcast_input(dtype, rng):
    for shape in [(1, 33), (40, 1), (1, 1)]:
        x = np.broadcast_to(normal(rng, shape, dtype), (40, 33))
        for axis in (0, 1, None, (0, 1)):
            result = fm.softmax(x, axis=axis)
            check(x, axis, result)
            assert_same_bits(result, fm.softmax(x.copy(), axis=axis))


@pytest.mark.parametrize("length", [33, 128, 1024, 5000, 1 << 18])
def test_error_does_not_grow_with_the_length(length, dtype):
    """One large term and many small ones, each of which loses the same digits when it is added."""
    for low in np.linspace(0.5, 12, 40 if length < 10_000 else 3):
        column = np.full(length, -low, dtype)
        column[0] = 0
        check(column, 0, fm.softmax(column))
        x = np.repeat(column[:, None], 3, axis=1)
        check(x, 0, fm.softmax(x, axis=0))


def test_spread_values(dtype, rng):
    """From terms near 1 to denormal ones and those that vanish."""
    widest = 120 if dtype == np.float32 else 800
    for n_rows, length in [(5, 9), (3, 700), (2, 300_000), (700, 3)]:
        x = rng.uniform(-widest, 0, (n_rows, length)).astype(dtype)
        x[:, 0] = 0
        check(x, 1, fm.softmax(x, axis=1))
        check(x.T.copy(), 0, fm.softmax(x.T.copy(), axis=0))
        check(x, None, fm.softmax(x))


@pytest.mark.parametrize("per_step", [0.01, 0.99, 1.01, 3.0, 20.0])
@pytest.mark.parametrize("n_columns", [2, 19])
def test_rising_and_falling_values_across(per_step, n_columns, dtype, rng):
    """A block's terms are relative to its first steps until they are far above them."""
    steps = np.arange(1037.0)
    for line in (steps, -steps, np.abs(steps - 700), steps % 61, -(steps % 61)):
        x = (per_step * line[:, None] + rng.uniform(-1, 1, (line.size, n_columns))).astype(dtype)
        x[:, 1] = rng.permutation(x[:, 1])
        result = fm.softmax(x, axis=0)
        check(x, 0, result)
        largest = x.max(axis=0, keepdims=True)
        logarithm = fm.log_softmax(x, axis=0)
        exact = softmax_exact(x, 0)
        seen = exact > np.finfo(dtype).smallest_normal
        bound = 8 * eps(dtype) * (1 + np.abs(x - largest))
        assert (np.abs(logarithm - np.log(exact, where=seen, out=exact)) <= bound)[seen].all()


# ---- what must not change a result ----

# (shape, axis): short, usual, huge lines; across, in one block of steps and in several
PATHS = [
    ((2003, 10), 1), ((303, 1003), 1), ((3, 300_001), 1),
    ((30, 5001), 0), ((5003, 70), 0), ((20, 51, 33), 1), ((6, 3000, 40), 1),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "axis"), PATHS)
def test_threads_change_no_bit(shape, axis, dtype, rng):
    x = normal(rng, shape, dtype, scale=4)
    with fm.num_threads(1):
        expected = fm.softmax(x, axis=axis), fm.softmax(x)
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            assert_same_bits(fm.softmax(x, axis=axis), expected[0])
            assert_same_bits(fm.softmax(x), expected[1])


@pytest.mark.parametrize(("shape", "axis"), PATHS)
def test_values_of_other_lines_change_no_bit(shape, axis, dtype, rng):
    x = normal(rng, shape, dtype, scale=4)
    expected = fm.softmax(x, axis=axis)
    for value in (np.nan, np.inf, -np.inf, 1e30, 0.0):
        spoiled = x.copy()
        np.moveaxis(spoiled, axis, -1)[..., 1::2, :] = value
        result = fm.softmax(spoiled, axis=axis)
        kept = np.moveaxis(result, axis, -1)[..., ::2, :]
        assert_same_bits(kept, np.moveaxis(expected, axis, -1)[..., ::2, :])


@pytest.mark.parametrize("length", [1, 2, 7, 16, 17, 33, 100, 1003, 5000, 300_001])
def test_a_row_alone_and_in_a_batch(length, dtype, rng):
    x = normal(rng, (19, length), dtype, scale=4)
    expected = fm.softmax(x, axis=1)
    for at in (0, 7, 18):
        assert_same_bits(fm.softmax(x[at]), expected[at])
        assert_same_bits(fm.softmax(x[at : at + 1], axis=1), expected[at : at + 1])
    assert_same_bits(fm.softmax(x[3:11], axis=-1), expected[3:11])
    assert_same_bits(fm.softmax(x[::-3], axis=-1), expected[::-3])
    assert_same_bits(fm.softmax(np.stack([x, x]), axis=2), np.stack([expected, expected]))


@pytest.mark.parametrize("length", [2, 7, 100, 1003, 5000])
@pytest.mark.parametrize("inner", [2, 70])
def test_a_matrix_alone_and_in_a_batch_across(length, inner, dtype, rng):
    x = normal(rng, (9, length, inner), dtype, scale=4)
    expected = fm.softmax(x, axis=1)
    assert_same_bits(fm.softmax(x[4], axis=0), expected[4])
    assert_same_bits(fm.softmax(x[1::2], axis=1), expected[1::2])


@pytest.mark.parametrize("length", [2, 7, 17, 100, 1003, 5000])
def test_some_columns_of_a_batch(length, dtype, rng):
    """The number of lines beside each other changes no bit of a line either."""
    x = normal(rng, (length, 70), dtype, scale=4)
    expected = fm.softmax(x, axis=0)
    assert_same_bits(fm.softmax(x[:, :5].copy(), axis=0), expected[:, :5])
    assert_same_bits(fm.softmax(x[:, 3:67].copy(), axis=0), expected[:, 3:67])


# ---- edge cases, as SciPy has them ----


def scipy_softmax(x, axis):
    with np.errstate(all="ignore"):
        return scipy.special.softmax(x, axis=axis)


SPECIAL_ROWS = {
    "one -inf": [0.0, -np.inf, 1.0],
    "all but one -inf": [-np.inf, -np.inf, -300.0],
    "all -inf": [-np.inf, -np.inf, -np.inf],
    "+inf": [0.0, np.inf, 1.0],
    "two +inf": [np.inf, 0.0, np.inf],
    "both infinities": [np.inf, -np.inf, 0.0],
    "NaN": [0.0, np.nan, 1.0],
    "NaN first": [np.nan, 5.0, 1.0],
    "NaN and inf": [np.nan, np.inf, -np.inf],
    "all NaN": [np.nan, np.nan, np.nan],
    "NaN among -inf": [-np.inf, np.nan, -np.inf],
    "zeros": [0.0, -0.0, 0.0],
    "ties": [7.5, 7.5, 7.5],
    "huge": [3e38, 3e38, -3e38],
    "huge and opposite": [-3e38, 3e38, 0.0],
    "tiny": [1e-45, -1e-45, 1e-40],
    "far below": [-1e4, -1e4 - 1, -2e4],
}


@pytest.mark.parametrize("name", SPECIAL_ROWS)
@pytest.mark.parametrize("length", [3, 5, 16, 20, 33, 40, 1030, 30_000, 270_000])
def test_special_values_as_scipy(name, length, dtype):
    """The special values at the start, at the end and spread over the line; all paths."""
    special = np.array(SPECIAL_ROWS[name], dtype)
    fill = np.full(length, special.min() if np.isfinite(special).all() else -np.inf, dtype)
    for places in ([0, 1, 2], [-3, -2, -1], [0, length // 2, -1])[-1 if length > 30_000 else 0 :]:
        line = fill.copy()
        line[places] = special
        x = np.stack([line, line[::-1]])
        columns = np.repeat(line[:, None], 3, axis=1)
        expected = scipy_softmax(x.astype(np.float64), 1)
        bound = softmax_bound(x, expected, dtype, 1) + 1e-13
        assert_within(fm.softmax(x, axis=1), expected, bound, dtype)
        assert_within(fm.softmax(line), expected[0], bound[0], dtype)
        assert_within(fm.softmax(columns, axis=0)[:, 1], expected[0], bound[0], dtype)


@pytest.mark.parametrize("n_columns", [2, 33, 500, 4096, 5000])
@pytest.mark.parametrize("highest", [-1e4, -200.0, -0.5, 0.0, 80.0])
def test_minus_infinity_in_whole_blocks(highest, n_columns, dtype):
    """Blocks of steps with nothing but -inf, as a causal mask makes them, count as nothing."""
    n_steps = 3 * max((1 << 16) // n_columns, 16)
    for rest in (slice(None, None, 3), slice(0, 5), slice(-5, None)):
        x = np.full((n_steps, n_columns), -np.inf, dtype)
        x[rest] = highest
        n_rest = np.count_nonzero(x[:, 0] == dtype.type(highest))
        expected = np.where(x == -np.inf, 0.0, 1 / n_rest)
        assert_within(fm.softmax(x, axis=0), expected, 8 * eps(dtype) / n_rest, dtype)
        assert_within(fm.softmax(x.T.copy(), axis=1), expected.T, 8 * eps(dtype) / n_rest, dtype)


def test_causal_mask(dtype, rng):
    n = 130
    x = np.where(np.tri(n, dtype=bool), normal(rng, (n, n), dtype, scale=4), -np.inf).astype(dtype)
    for axis, values in [(1, x), (0, x.T.copy())]:
        result = fm.softmax(values, axis=axis)
        check(values, axis, result)
        assert np.all(result[values == -np.inf] == 0)


# fmt: off
SCIPY_CALLS = [
    ([1.0, 2.0], None), ([[1, 2], [3, 4]], 0), ([], None), ([], 0),
    (np.ones((0, 3)), 0), (np.ones((0, 3)), 1), (np.ones((3, 0)), 1), (np.ones((3, 0)), 0),
    (np.ones((2, 0, 3)), (0, 2)), (np.ones((2, 0, 3)), None),
    (5.0, None), (5.0, ()), (np.float32(5), None), (np.array(5.0), None), (7, None),
    (5.0, 0), (5.0, -1), (np.array(5.0), 0),
    (np.ones((1, 1, 1)), 1), (np.ones((3, 4), np.float16), 1), (np.ones(5, np.float16), None),
    (np.ones((3, 4), np.int64), (0, 1)), (np.ones((3, 4), np.uint64), (1, 0)),
    (np.ones((3, 4), ">f4"), 0), (np.ones((3, 4), ">f8"), ()),
    # errors
    (np.ones((3, 4)), 2), (np.ones((3, 4)), -3), (np.ones((3, 4)), (0, 0)),
    (np.ones((3, 4)), (0, -2)), (np.ones((3, 4)), 1.0), (np.ones((3, 4)), (0, 1.0)),
    (np.ones((3, 4)), "0"), (np.ones((0, 4)), 2), (5.0, 1),
]
# fmt: on


@pytest.mark.parametrize(("x", "axis"), SCIPY_CALLS, ids=str)
def test_shapes_dtypes_and_errors_as_scipy(x, axis):
    try:
        expected = scipy_softmax(x, axis)
    except Exception as error:
        # An empty maximum is a ValueError in some releases of SciPy; the empty result is right
        if np.size(x) == 0 and "zero-size" in str(error):
            expected = np.empty(np.shape(x), np.asarray(x).dtype)
        else:
            kind = next(kind for kind in (TypeError, ValueError) if isinstance(error, kind))
            with pytest.raises(kind):
                fm.softmax(x, axis=axis)
            return
    result = fm.softmax(x, axis=axis)
    assert result.dtype == np.asarray(expected).dtype.newbyteorder("=")
    assert np.shape(result) == np.shape(expected)
    assert np.ndim(x) or isinstance(result, np.generic) == isinstance(expected, np.generic)
    assert np.allclose(result, expected, rtol=4 * eps(result.dtype), atol=0)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("axis", [None, ()])
def test_one_number_that_is_not_finite(value, axis):
    for x in (value, np.array(value), np.array([value]), np.array([[value]], np.float32)):
        assert np.isnan(fm.softmax(x, axis=axis)).all()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_empty_input_with_out(shape, axis, dtype):
    for order in "CF":
        out = np.empty(shape, dtype, order=order)
        assert fm.softmax(np.empty(shape, dtype), axis=axis, out=out) is out


def test_axis_of_length_one(dtype):
    x = np.array([[3.0, -1e30, 0.0]], dtype)
    assert np.array_equal(fm.softmax(x, axis=0), np.ones((1, 3)))
    assert np.array_equal(fm.softmax(x.T, axis=1), np.ones((3, 1)))


def test_float16_is_computed_in_float32(rng):
    x = normal(rng, (7, 5000), np.float16, scale=3)
    result = fm.softmax(x, axis=1)
    assert result.dtype == np.float16
    assert_same_bits(result, fm.softmax(x.astype("f"), axis=1).astype(np.float16))


def test_errors_name_what_came_and_what_was_wanted():
    x = np.ones((3, 4))
    with pytest.raises(np.exceptions.AxisError, match="axis: axis 2 is out of bounds"):
        fm.softmax(x, axis=2)
    with pytest.raises(TypeError, match=r"axis is 1\.5; expected None, an integer or a tuple"):
        fm.softmax(x, axis=1.5)
    with pytest.raises(ValueError, match=r"out has shape \(3, 3\); expected \(3, 4\)"):
        fm.softmax(x, out=np.ones((3, 3)))
    with pytest.raises(TypeError, match="positional"):
        fm.softmax(x, 0, np.ones((3, 4)))


# ---- properties ----


@st.composite
def lines(draw, elements):
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shape = draw(stnp.array_shapes(min_dims=1, max_dims=3, max_side=35))
    x = draw(stnp.arrays(dtype, shape, elements=elements))
    return x, draw(st.integers(-len(shape), len(shape) - 1))


REAL = st.floats(-60, 60, width=32)
# Multiples of 1/8 below 2^10: sums of two of them are exact in float32.
EXACT = st.integers(-(2**12), 2**12).map(lambda n: n / 8)


@given(lines(REAL))
def test_sums_to_one_and_stays_between_zero_and_one(drawn):
    x, axis = drawn
    result = fm.softmax(x, axis=axis)
    check(x, axis, result)
    sums = result.sum(axis=axis, dtype=np.float64)
    assert_within(sums, np.ones(sums.shape), 130 * eps(x.dtype))
    assert np.all((result >= 0) & (result <= 1 + 2 * eps(x.dtype)))


@given(lines(EXACT), EXACT)
def test_shifts_change_no_bit(drawn, shift):
    """x + c - max(x + c) is x - max(x) where the sums are exact."""
    x, axis = drawn
    assert_same_bits(fm.softmax(x + x.dtype.type(shift), axis=axis), fm.softmax(x, axis=axis))


@given(lines(REAL))
def test_larger_values_get_no_less(drawn):
    """exp of the vocabulary is within an ulp, so only ties of rounding may swap: allow two."""
    x, axis = drawn
    result = fm.softmax(x, axis=axis).astype(np.float64)
    order = np.argsort(x, axis=axis, kind="stable")
    ranked = np.take_along_axis(result, order, axis)
    after, before = (
        np.take(ranked, range(start, stop), axis)
        for start, stop in ((1, x.shape[axis]), (0, x.shape[axis] - 1))
    )
    assert np.all(after >= before * (1 - 4 * eps(x.dtype)))


@given(stnp.arrays(st.sampled_from([np.float32, np.float64]), st.integers(1, 300), elements=REAL))
def test_equal_values_get_equal_bits(x):
    for n_repeats in (3, 1000):
        result = fm.softmax(np.repeat(x, n_repeats))
        for at in (1, n_repeats // 2, n_repeats - 1):
            assert_same_bits(result[at::n_repeats], result[::n_repeats])
