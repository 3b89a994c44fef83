"""Products of float16, bfloat16, integers and booleans: exact, or rounded as they promise to be."""

import itertools

import numpy as np
import pytest
from helpers import CASES, LAYOUTS, Guarded, assert_same_bits, layout
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastmath_ml as fm

INTEGERS = "bhilqBHILQ"
# One element, tails of panels and pairs, several tiles, more than one depth block, no depth at all.
SHAPES = [(1, 1, 1), (3, 5, 2), (17, 33, 65), (40, 801, 45), (5, 0, 3), (130, 64, 70)]


def numbers(rng, shape, char):
    """Any value of an integer dtype, normal numbers of a floating one."""
    dtype = np.dtype(char)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        return rng.integers(ends.min, ends.max, shape, dtype=dtype, endpoint=True)
    return rng.standard_normal(shape).astype(dtype)


def assert_like_numpy(a, b, **options):
    with np.errstate(all="ignore"):
        expected = np.matmul(a, b, **options)
    result = fm.matmul(a, b, **options)
    assert result.dtype == expected.dtype
    if expected.dtype.kind in "iub":
        assert_same_bits(result, expected)
        return
    wide = (np.asarray(x, np.float64) for x in (a, b))
    exact, magnitude = np.matmul(*wide), np.matmul(*map(abs, (a.astype(float), b.astype(float))))
    # The result is rounded once; the sum before it in float32 or float64.
    computed = np.float32 if expected.dtype.itemsize < 8 else np.float64
    bound = np.finfo(expected.dtype).eps * abs(exact)
    bound = bound + (a.shape[-1] + 2) * np.finfo(computed).eps * magnitude
    bound = bound + float(np.finfo(expected.dtype).smallest_subnormal)
    assert np.all(abs(result - exact) <= bound)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.op == "matmul" and case.expect and case.flops < 3e8],
    ids=lambda case: case.key,
)
def test_cases(case):
    inputs = case.inputs()
    assert case.agrees(case.ours(inputs)(), case.reference(inputs))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chars", list(itertools.product("?" + INTEGERS, repeat=2)), ids="".join)
def test_integers_are_exact_and_wrap_as_in_numpy(rng, chars, shape):
    n_rows, depth, n_cols = shape
    a, b = numbers(rng, (n_rows, depth), chars[0]), numbers(rng, (depth, n_cols), chars[1])
    assert_like_numpy(a, b)
    # Unit strides along the other axis of each.
    assert_like_numpy(np.asfortranarray(a), np.asfortranarray(b))


@pytest.mark.parametrize("chars", ["bb", "BB", "bB", "Bb"])
@pytest.mark.parametrize(
    "shape", [(20, 1541, 40), (150, 1541, 70), (30, 12_303, 70), (150, 12_302, 70), (150, 41, 1100)]
)
def test_bytes_of_several_depth_blocks_and_chunks(rng, chars, shape):
    n_rows, depth, n_cols = shape
    a, b = numbers(rng, (n_rows, depth), chars[0]), numbers(rng, (depth, n_cols), chars[1])
    for x in (a[0], b[:, 0]):  # the largest sums there can be
        x[:] = np.iinfo(x.dtype).min or np.iinfo(x.dtype).max
    a[1] = np.iinfo(a.dtype).max
    assert_like_numpy(a, b, dtype=np.int32)
    assert_like_numpy(np.asfortranarray(a), np.asfortranarray(b), dtype=np.int32)
    assert_like_numpy(a, b)  # of 8 or 16 bits
    # The first panel of columns is narrower where C begins between two cache lines.
    guarded = np.full(n_rows * n_cols + 32, 77, np.int32)
    out = guarded[3 : 3 + n_rows * n_cols].reshape(n_rows, n_cols)
    fm.matmul(a, b, out=out, dtype=np.int32)
    assert_same_bits(out, fm.matmul(a, b, dtype=np.int32))
    assert (np.delete(guarded, np.s_[3 : 3 + out.size]) == 77).all()


@pytest.mark.parametrize("function", ["matmul", "vecdot", "matvec", "vecmat"])
@pytest.mark.parametrize("out_dtype", ["b", "i", "q", "f", "d"])
@pytest.mark.parametrize("dtype", ["i", np.int64, np.dtype("f"), float, "O", "U3", "nonsense"])
def test_dtype_beside_an_out_of_another(rng, function, out_dtype, dtype):
    a, b = numbers(rng, (5, 6), "b"), numbers(rng, (6, 4), "b")
    a, b = {
        "matmul": (a, b), "vecdot": (a, b[:, 0]), "matvec": (a, b[:, 0]), "vecmat": (a[0], b)
    }[function]  # fmt: skip
    shape = getattr(np, function)(a, b).shape
    ours, theirs = np.zeros(shape, out_dtype), np.zeros(shape, out_dtype)
    try:
        getattr(np, function)(a, b, out=theirs, dtype=dtype)
    except TypeError:
        with pytest.raises(TypeError):
            getattr(fm, function)(a, b, out=ours, dtype=dtype)
        return
    assert getattr(fm, function)(a, b, out=ours, dtype=dtype) is ours
    assert_same_bits(ours, theirs)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chars", ["ee", "eb", "Be", "ef", "fe", "ed", "fh", "if", "qd", "?f"])
def test_floats_are_summed_in_the_wider_dtype(rng, chars, shape):
    n_rows, depth, n_cols = shape
    a, b = numbers(rng, (n_rows, depth), chars[0]), numbers(rng, (depth, n_cols), chars[1])
    assert_like_numpy(a, b)
    assert_like_numpy(np.asfortranarray(a), np.asfortranarray(b))


@pytest.mark.parametrize(
    ("chars", "dtype"),
    [
        ("bb", "i"), ("BB", "i"), ("Bb", "i"), ("bb", "h"), ("bb", "q"), ("hh", "i"), ("HH", "I"),
        ("HH", "i"), ("ii", "q"), ("??", "i"), ("??", "b"), ("bb", "f"), ("ee", "f"), ("ee", "d"),
        ("ff", "d"), ("dd", "f"), ("ff", "e"), ("ii", "b"), ("qq", "i"), ("hb", "e"), ("qq", "f"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(3, 5, 2), (40, 401, 45)], ids=str)
def test_dtype_converts_the_operands(rng, chars, dtype, shape):
    n_rows, depth, n_cols = shape
    a, b = numbers(rng, (n_rows, depth), chars[0]), numbers(rng, (depth, n_cols), chars[1])
    if dtype == "e":
        a, b = a % 8, b % 8
    with np.errstate(over="ignore"):
        small = [x.astype(dtype) for x in (a, b)]
    expected = fm.matmul(*small)
    assert_same_bits(fm.matmul(a, b, dtype=dtype), expected)
    if np.dtype(dtype).kind in "iu":
        assert_same_bits(expected, np.matmul(a, b, dtype=dtype))


@pytest.mark.parametrize("options", [{"dtype": "B"}, {"dtype": "?"}, {"dtype": "S1"}])
def test_a_dtype_that_operands_do_not_become_is_numpys_error(options):
    x = np.ones((2, 2), np.int16)
    with pytest.raises(TypeError) as numpys:
        np.matmul(x, x, **options)
    with pytest.raises(type(numpys.value)):
        fm.matmul(x, x, **options)


def test_every_float16_widens_and_narrows_exactly():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 1)
    one = np.ones((1, 1), np.float16)
    assert np.array_equal(fm.matmul(every, one), every, equal_nan=True)
    wide = fm.matmul(every, one, dtype=np.float32)
    assert np.array_equal(wide, every.astype(np.float32), equal_nan=True)
    # The sum starts from +0, so that -0 becomes 0.
    signs = np.signbit(wide) == np.signbit(every)
    assert signs[~np.isnan(every) & (every != 0)].all()


@pytest.mark.parametrize("scale", [1.0, 2.0**-9, 2.0**-18, 2.0**12])
def test_float16_is_rounded_to_nearest_even(rng, scale):
    """A product of two float16 is exact in float32: what is left is the rounding of the result."""
    values = (rng.standard_normal(600) * scale).astype(np.float16)
    values[:4] = [0, -0.0, np.finfo(np.float16).max, np.finfo(np.float16).smallest_subnormal]
    column, row = values[:, None], values[None, :]
    with np.errstate(over="ignore"):
        expected = (column.astype(np.float32) * row.astype(np.float32)).astype(np.float16)
    # The sum starts from +0: -0 + 0 is 0.
    assert np.array_equal(fm.matmul(column, row), expected)


def test_bfloat16(rng):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((37, 501), (501, 41)))
    small = [x.astype(ml_dtypes.bfloat16) for x in (a, b)]
    wide = [x.astype(np.float32) for x in small]
    result = fm.matmul(*small)
    assert result.dtype == ml_dtypes.bfloat16
    assert_same_bits(result.view(np.uint16), fm.matmul(*wide).astype(result.dtype).view(np.uint16))
    assert_same_bits(fm.matmul(*small, dtype=np.float32), fm.matmul(*wide))
    assert fm.matmul(small[0], wide[1]).dtype == np.float32
    every = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16).reshape(-1, 1)
    there_and_back = fm.matmul(every, np.ones((1, 1), ml_dtypes.bfloat16))
    with np.errstate(invalid="ignore"):  # signalling NaN
        pair = [x.astype(np.float32) for x in (there_and_back, every)]
    assert np.array_equal(*pair, equal_nan=True)


@pytest.mark.parametrize("char", "bBhielq?d")
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(rng, char, name):
    a, b = numbers(rng, (37, 53), char), numbers(rng, (53, 41), char)
    expected = fm.matmul(a, b)
    for x in (layout(a, name), a):
        for y in (layout(b, name), b):
            result = fm.matmul(x, y)
            if np.dtype(char).kind in "iub":
                assert_same_bits(result, expected)
            else:
                assert np.allclose(result, expected, rtol=1e-2, atol=1e-1)


@pytest.mark.parametrize("char", "bhieq")
def test_nothing_around_out_is_written(rng, char):
    a, b = numbers(rng, (37, 53), char), numbers(rng, (53, 41), char)
    expected = fm.matmul(a, b)
    for name in ("C", "Fortran", "padded rows", "negative", "every second"):
        if np.dtype(char).kind == "f":
            guarded = Guarded((37, 41), char, name)
            fm.matmul(a, b, out=guarded.array)
            guarded.check()
            result = guarded.array
        else:
            whole = np.full((41, 90), 77, char)
            result = whole[2:39, 3:85:2] if name == "every second" else whole[2:39, 3:44]
            fm.matmul(a, b, out=result)
            assert_same_bits(result, expected)
            result[...] = 77
            assert np.all(whole == 77)
            continue
        assert_same_bits(result, expected)


@pytest.mark.parametrize("char", "bBhHiqe?")
def test_stacks_vectors_and_overlaps(rng, char):
    a, b = numbers(rng, (5, 1, 7, 9), char), numbers(rng, (3, 9, 8), char)
    assert_like_numpy(a, b)
    vector = numbers(rng, 9, char)
    assert_like_numpy(a, vector)
    assert_like_numpy(vector, b)
    for ours, numpys, args in (
        (fm.vecdot, np.vecdot, (a, vector)),
        (fm.matvec, np.matvec, (a, vector)),
        (fm.vecmat, np.vecmat, (vector, b)),
    ):
        with np.errstate(over="ignore"):
            expected = numpys(*args)
        result = ours(*args)
        assert result.dtype == expected.dtype
        if np.dtype(char).kind in "iub":
            assert_same_bits(result, expected)
        else:
            assert np.allclose(result, expected, rtol=1e-2, atol=1e-1)
    square = numbers(rng, (20, 20), char)
    expected = fm.matmul(square, square)
    assert_same_bits(fm.matmul(square, square, out=square), expected)


@pytest.mark.parametrize("char", "bie")
def test_results_larger_than_the_buffer(rng, char):
    """Blocks of the result in both directions: more than 12 MiB as float32 or int32."""
    a, b = numbers(rng, (4500, 5), char), numbers(rng, (5, 900), char)
    assert_like_numpy(a, b)


@pytest.mark.parametrize("char", "bhiqe")
def test_threads_change_no_bit(rng, char):
    a, b = numbers(rng, (203, 900), char), numbers(rng, (900, 317), char)
    with fm.num_threads(1):
        expected = fm.matmul(a, b)
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            assert_same_bits(fm.matmul(a, b), expected)


def test_special_values_of_float16():
    x = np.array([[np.inf, 1.0], [np.nan, 0.0], [-np.inf, -0.0]], np.float16)
    y = np.array([[0.0, 1.0], [1.0, -1.0]], np.float16)
    with np.errstate(invalid="ignore"):
        expected = np.matmul(x.astype(np.float32), y.astype(np.float32)).astype(np.float16)
    assert np.array_equal(fm.matmul(x, y), expected, equal_nan=True)
    # Sums that leave the range on the way come back: they are float32.
    big = np.full((1, 4), 60_000, np.float16)
    signs = np.array([[1], [1], [-1], [-1]], np.float16)
    assert fm.matmul(big, signs)[0, 0] == 0
    assert fm.matmul(big, abs(signs))[0, 0] == np.inf
    # A sum of ones in float16 itself would stay at 2048.
    assert fm.matmul(np.ones((1, 5000), np.float16), np.ones((5000, 1), np.float16))[0, 0] == 5000


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_integers(data):
    """Against Python's integers, modulo the width of the result."""
    chars = [data.draw(st.sampled_from(INTEGERS)) for _ in range(2)]
    n_rows, depth, n_cols = (data.draw(st.integers(1, 20)) for _ in range(3))
    a = data.draw(hnp.arrays(chars[0], (n_rows, depth)))
    b = data.draw(hnp.arrays(chars[1], (depth, n_cols)))
    result = fm.matmul(a, b)
    if result.dtype.kind == "f":  # int64 and uint64
        return
    exact = a.astype(object) @ b.astype(object)
    modulus = 1 << 8 * result.dtype.itemsize
    assert np.all(result.astype(object) % modulus == exact % modulus)
