"""The gate, through the public functions: what may come in, what may go out, what is refused.

Every test runs over the operations of helpers.py, so that a new function joins by one row there.
"""

import re

import numpy as np
import pytest
from helpers import (
    LAYOUTS,
    OPERATIONS,
    OUT_LAYOUTS,
    Guarded,
    assert_same_bits,
    assert_unchanged,
    assert_within,
    check_case,
    cosine_bound,
    layout,
    matmul_bound,
    normal,
    softmax_bound,
    softmax_exact,
)

import fastmath_ml as fm
from fastmath_ml import _arrays


@pytest.fixture(params=OPERATIONS)
def operation(request):
    return OPERATIONS[request.param]


# The functions that take real numbers only; matmul hands the rest to NumPy.
REAL_FUNCTIONS = {
    "softmax": lambda x: fm.softmax(x, axis=-1),
    "cosine_similarity": fm.cosine_similarity,
    "cosine_similarity Y": lambda x: fm.cosine_similarity(np.ones((2, np.shape(x)[-1])), x),
}
FUNCTIONS = {**REAL_FUNCTIONS, "matmul": lambda x: fm.matmul(x, np.ones(2))}


@pytest.fixture(params=REAL_FUNCTIONS)
def real_function(request):
    return REAL_FUNCTIONS[request.param]


@pytest.fixture(params=FUNCTIONS)
def function(request):
    return FUNCTIONS[request.param]


# ---- what comes in ----


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(operation, name, dtype, rng):
    inputs = operation.inputs(rng, dtype)
    views = [layout(x, name) for x in inputs]
    before = [view.copy() for view in views]
    result = operation(*views)
    assert_unchanged(views, before)
    operation.check(result, *inputs)
    # softmax sums a Fortran-ordered array in another order; everything else is the same to the bit
    if not (operation.name == "softmax" and name == "Fortran"):
        assert_same_bits(result, operation(*inputs))


def test_memory_maps_and_views_of_them(operation, dtype, rng, tmp_path):
    inputs = operation.inputs(rng, dtype)
    for at, x in enumerate(inputs):
        np.save(tmp_path / f"{at}.npy", x)
    maps = [np.load(tmp_path / f"{at}.npy", mmap_mode="r") for at in range(len(inputs))]
    result = operation(*maps)
    assert type(result) is np.ndarray
    assert_same_bits(result, operation(*inputs))
    assert_same_bits(operation(*(x[::-1] for x in maps)), operation(*(x[::-1] for x in inputs)))


class HasArray:
    """An object that np.asarray takes by its __array__ method."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


@pytest.mark.parametrize("wrap", [np.ndarray.tolist, lambda x: tuple(map(tuple, x)), HasArray])
def test_array_likes(function, wrap):
    x = np.array([[1.0, 2.0], [-3.5, 0.25], [0.0, 4.0]])
    assert_same_bits(function(wrap(x)), function(x))


def test_subclasses_give_plain_arrays(real_function):
    class Labelled(np.ndarray):
        pass

    x = np.array([[1.0, 2.0], [3.0, 0.5]])
    result = real_function(x.view(Labelled))
    assert type(result) is np.ndarray
    assert_same_bits(result, real_function(x))


@pytest.mark.parametrize("char", "?bhilqBHILQ")
def test_integers_are_computed_as_floating_point(real_function, char):
    x = np.array([[0, 1, 1], [1, 1, 0]], dtype=char)
    result = real_function(x)
    # The similarity of two small integers fits float32; with float64 it is float64.
    small = real_function is fm.cosine_similarity and char in "bB"
    assert result.dtype == (np.float32 if small else np.float64)
    assert_same_bits(result, real_function(x.astype(np.float32 if small else np.float64)))


@pytest.mark.parametrize(
    "values",
    [
        np.ones((2, 2), np.complex64),
        np.ones((2, 2), np.complex128),
        np.ones((2, 2), object),
        np.ones((2, 2), np.longdouble),
        np.array([["a", "b"], ["c", "d"]]),
        np.array([[b"a", b"b"]]),
        np.zeros((2, 2), "datetime64[s]"),
        np.zeros((2, 2), "timedelta64[s]"),
        np.zeros((2, 2), [("a", "f4"), ("b", "f4")]),
        [[None, 1.0]],
        [[1j, 1.0]],
        [["1", "2"]],
    ],
    ids=lambda x: str(np.asarray(x).dtype),
)
def test_other_dtypes_are_refused(real_function, values):
    if np.asarray(values).dtype == np.longdouble and np.dtype(np.longdouble).itemsize == 8:
        pytest.skip("long double is double here")
    with pytest.raises(TypeError, match=r"[xXY] has dtype .*; expected"):
        real_function(values)


def test_ragged_lists_are_refused(function):
    with pytest.raises(ValueError, match="inhomogeneous"):
        function([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize("mask", [False, True, np.ma.nomask])
def test_masked_arrays_are_refused(function, mask):
    x = np.ma.array(np.ones((2, 2)), mask=mask)
    with pytest.raises(TypeError, match="masked array, whose mask would be lost"):
        function(x)


def test_masked_second_operand_is_refused():
    with pytest.raises(TypeError, match="x2 is a masked array"):
        fm.matmul(np.ones((2, 2)), np.ma.ones((2, 2)))


# ---- what goes out ----


@pytest.mark.parametrize("name", OUT_LAYOUTS)
def test_out_layouts(operation, name, dtype, rng):
    """Every element of out and no byte beside it is written."""
    inputs = operation.inputs(rng, dtype)
    expected = operation(*inputs)
    guarded = Guarded(expected.shape, dtype, name)
    assert operation(*inputs, out=guarded.array) is guarded.array
    assert_same_bits(guarded.array, expected)
    guarded.check()


@pytest.mark.parametrize("name", ["Fortran", "mixed", "unaligned", "big-endian"])
def test_out_of_inputs_that_are_no_plain_arrays(operation, name, dtype, rng):
    inputs = [layout(x, name) for x in operation.inputs(rng, dtype)]
    expected = operation(*inputs)
    guarded = Guarded(expected.shape, dtype)
    assert operation(*inputs, out=guarded.array) is guarded.array
    assert_same_bits(guarded.array, expected)
    guarded.check()


def test_out_of_another_precision(operation, dtype, rng):
    inputs = operation.inputs(rng, dtype)
    other = np.dtype("float32" if dtype == "float64" else "float64")
    expected = operation(*inputs)
    guarded = Guarded(expected.shape, other)
    assert operation(*inputs, out=guarded.array) is guarded.array
    assert_same_bits(guarded.array, expected.astype(other))
    guarded.check()


def test_out_that_cannot_receive_is_refused(operation, dtype, rng):
    inputs = operation.inputs(rng, dtype)
    shape = operation(*inputs).shape
    read_only = np.zeros(shape, dtype)
    read_only.flags.writeable = False
    refused = [
        (TypeError, np.zeros(shape, dtype).tolist()),
        (TypeError, "out"),
        (TypeError, np.zeros(shape, np.int64)),
        (TypeError, np.zeros(shape, bool)),
        (ValueError, read_only),
        (ValueError, np.zeros(shape[::-1] if shape[0] != shape[-1] else (1,), dtype)),
        (ValueError, np.zeros((shape[0] + 1, *shape[1:]), dtype)),
        (ValueError, np.zeros((shape[0] - 1, *shape[1:]), dtype)),
        (ValueError, np.zeros(shape[1:], dtype)),
        (ValueError, np.zeros((1,) * len(shape), dtype)),
        (ValueError, np.zeros((), dtype)),
    ]
    before = [x.copy() for x in inputs]
    for error, out in refused:
        copy = np.array(out)
        with pytest.raises(error, match="out"):
            operation(*inputs, out=out)
        assert np.array_equal(copy, np.array(out))
    assert_unchanged(inputs, before)


def test_masked_out_is_refused(operation, dtype, rng):
    inputs = operation.inputs(rng, dtype)
    with pytest.raises(TypeError, match="out is MaskedArray"):
        operation(*inputs, out=np.ma.zeros(operation(*inputs).shape, dtype))


def overlapping_views(shape, dtype):
    """(a, out): views of that shape into one array, overlapping in every awkward way."""
    n_rows, n_columns = shape
    big = np.empty((n_rows + 1, n_columns + 1), dtype)
    yield "one row further", big[:-1, :-1], big[1:, :-1]
    yield "one row before", big[1:, :-1], big[:-1, :-1]
    yield "one column further", big[:-1, :-1], big[:-1, 1:]
    flat = np.empty(n_rows * n_columns + 1, dtype)
    yield "one element further", flat[:-1].reshape(shape), flat[1:].reshape(shape)
    yield "one element before", flat[1:].reshape(shape), flat[:-1].reshape(shape)
    plain = np.empty(shape, dtype)
    yield "backwards", plain, plain[::-1]
    yield "both backwards", plain[::-1], plain[::-1]
    bytes_ = np.empty(plain.nbytes + 4, np.uint8)
    yield (
        "four bytes further",
        bytes_[:-4].view(dtype).reshape(shape),
        bytes_[4:].view(dtype).reshape(shape),
    )
    if n_rows == n_columns:
        yield "transposed", plain, plain.T
        fortran = np.empty(shape, dtype, order="F")
        yield "both Fortran", fortran, fortran


OVERLAPS = [name for name, *_ in overlapping_views((4, 4), np.float64)]
SQUARE_CALLS = {
    "matmul first": lambda x, other, **out: fm.matmul(x, other, **out),
    "matmul second": lambda x, other, **out: fm.matmul(other, x, **out),
    "matmul both": lambda x, other, **out: fm.matmul(x, x, **out),
    "softmax rows": lambda x, other, **out: fm.softmax(x, axis=1, **out),
    "softmax columns": lambda x, other, **out: fm.softmax(x, axis=0, **out),
    "softmax all": lambda x, other, **out: fm.softmax(x, **out),
    "cosine one set": lambda x, other, **out: fm.cosine_similarity(x, **out),
    "cosine first": lambda x, other, **out: fm.cosine_similarity(x, other, **out),
    "cosine second": lambda x, other, **out: fm.cosine_similarity(other, x, **out),
}


@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("call", SQUARE_CALLS)
@pytest.mark.parametrize("n", [5, 40])
def test_out_overlapping_an_input(call, name, dtype, rng, n):
    call = SQUARE_CALLS[call]
    values, other = normal(rng, (n, n), dtype), normal(rng, (n, n), dtype)
    ((x, out),) = ((x, out) for at, x, out in overlapping_views((n, n), dtype) if at == name)
    x[...] = values
    expected = call(x.copy(order="K"), other)
    assert call(x, other, out=out) is out
    assert_same_bits(out, expected)


@pytest.mark.parametrize("call", SQUARE_CALLS)
@pytest.mark.parametrize("name", OUT_LAYOUTS)
def test_out_is_the_input(call, name, dtype, rng):
    call = SQUARE_CALLS[call]
    values, other = normal(rng, (23, 23), dtype), normal(rng, (23, 23), dtype)
    x = layout(values, name)
    expected = call(layout(values, name), other)
    assert call(x, other, out=x) is x
    assert_same_bits(x, expected)


def test_results_do_not_contain_what_memory_held_before(operation, dtype, rng):
    """Neither the new array nor the scratch memory shows through, whatever it held."""
    inputs = operation.inputs(rng, dtype)
    expected = operation(*inputs)
    out = np.full_like(expected, np.nan)
    for _ in range(2):
        if operation.name != "cosine_similarity":  # which refuses NaN
            operation(*(np.full_like(x, np.nan) for x in inputs))
        operation(*(np.full_like(x, 7e8) for x in inputs))
        assert_same_bits(operation(*inputs), expected)
        assert_same_bits(operation(*inputs, out=out), expected)
        out[...] = np.nan


def test_results_are_new_arrays(operation, dtype, rng):
    inputs = operation.inputs(rng, dtype)
    result = operation(*inputs)
    assert result.flags.owndata or result.base.flags.owndata
    assert result.flags.writeable
    assert not any(np.may_share_memory(result, x) for x in inputs)


# ---- axes ----


def test_normalize_axes():
    normalize = _arrays.normalize_axes
    assert normalize(None, 3) == (0, 1, 2)
    assert normalize(-1, 3) == (2,)
    assert normalize(np.int8(1), 3) == (1,)
    assert normalize((2, -3), 3) == (0, 2)
    assert normalize([1], 3) == (1,)
    assert normalize((), 3) == ()
    for axis in (1, -2, (0, 5)):
        with pytest.raises(np.exceptions.AxisError, match="out of bounds"):
            normalize(axis, 1)
    for axis in ((0, 0), (1, -1)):
        with pytest.raises(ValueError, match="expected each axis once"):
            normalize(axis, 2)
    for axis in (1.0, "0", (0, 1.0), (None,)):
        with pytest.raises(TypeError, match="expected None, an integer or a tuple of integers"):
            normalize(axis, 2)


def test_ready_copies_only_where_it_must(dtype):
    x = np.ones((4, 6), dtype)
    as_they_are = ["C", "Fortran", "negative", "every second", "mixed", "padded rows", "read-only"]
    for name in LAYOUTS:
        view = layout(x, name)
        taken = _arrays.ready(view, dtype)
        assert taken.dtype.isnative
        assert taken.flags.aligned
        assert np.array_equal(taken, x)
        if name in as_they_are:
            assert taken is view
    assert all(stride % dtype.itemsize == 0 for stride in taken.strides)


# ---- the assertions of these tests can fail ----


def test_assert_within_fails_beyond_the_bound():
    exact = np.array([1.0, np.inf, np.nan, 0.0])
    assert_within(exact, exact, 0, np.float64)
    assert_within([1.001, np.inf, np.nan, 0.0], exact, 1.1e-3)
    wrong = [
        [1.001, np.inf, np.nan, 0.0],
        [1.0, -np.inf, np.nan, 0.0],
        [1.0, 1e300, np.nan, 0.0],
        [1.0, np.inf, 0.0, 0.0],
        [np.nan, np.inf, np.nan, 0.0],
        [1.0, np.inf, np.nan, np.inf],
    ]
    for result in wrong:
        with pytest.raises(AssertionError, match=r"^1 of 4 beyond the bound; at"):
            assert_within(result, exact, 0.9e-3)
    with pytest.raises(AssertionError, match="shape"):
        assert_within(exact[:3], exact, 1)
    with pytest.raises(AssertionError, match="dtype"):
        assert_within(exact.astype("f"), exact, 1, np.float64)


def test_assert_same_bits_fails_at_one_bit():
    x = np.array([[1.0, 0.0, np.nan], [2.0, np.inf, 5e-324]])
    assert_same_bits(x.copy(), x)
    assert_same_bits(x.astype(">f8", order="F"), x)
    for at, value in {(0, 0): np.nextafter(1, 2), (0, 1): -0.0, (0, 2): 1, (1, 2): 0}.items():
        y = x.copy()
        y[at] = value
        with pytest.raises(AssertionError, match=rf"^1 of 6 elements .*{re.escape(str(list(at)))}"):
            assert_same_bits(y, x)
    with pytest.raises(AssertionError, match="shape"):
        assert_same_bits(x.T, x)
    with pytest.raises(AssertionError, match="dtype"):
        assert_same_bits(np.float32(1), np.float64(1))


def test_assert_unchanged_fails_at_one_byte():
    x, y = np.zeros(3), np.ones(3)
    before = [x.copy(), y.copy()]
    assert_unchanged([x, y], before)
    y[1] = np.nextafter(1, 2)
    with pytest.raises(AssertionError, match="input 1 was modified"):
        assert_unchanged([x, y], before)


def test_checks_of_the_operations_fail(operation, dtype, rng):
    inputs = operation.inputs(rng, dtype)
    result = operation(*inputs)
    operation.check(result, *inputs)
    at = np.unravel_index(np.argmax(result), result.shape)
    result[at] *= dtype.type(1 - 1e-3)
    with pytest.raises(AssertionError, match=r"^1 of .* beyond the bound"):
        operation.check(result, *inputs)


def test_check_case_fails(monkeypatch):
    cases = pytest.importorskip("benchmarks.cases")
    inputs = cases.Inputs((np.full((2, 3), 0.1, "f"), np.full((3, 2), 0.1, "f")))
    options = {"peers": {}, "flops": 1.0, "bytes": 1.0, "dtype": "float32", "atol": 1e-6}
    case = cases.Case("matmul", "of a test", lambda rng: inputs, **options)
    check_case(case)
    tight = cases.Case("matmul", "of a test", lambda rng: inputs, **{**options, "atol": 0.0})
    with pytest.raises(AssertionError, match="beyond the tolerance"):
        check_case(tight)
    monkeypatch.setattr(fm, "matmul", lambda a, b: np.matmul(a, b) * np.float32(1.0001))
    with pytest.raises(AssertionError, match="beyond the bound"):
        check_case(case)


@pytest.mark.parametrize("name", OUT_LAYOUTS)
def test_guards_see_every_byte_around_out(name, dtype):
    shape = (3, 5)
    guarded = Guarded(shape, dtype, name)
    assert np.isnan(guarded.array).all()
    assert guarded.array.strides == layout(np.zeros(shape, dtype), name).strides
    assert guarded.array.flags.aligned == (name not in ("unaligned", "odd strides"))
    with pytest.raises(AssertionError, match="an element of out was not written"):
        guarded.check()
    guarded.array[...] = 1
    guarded.check()
    n_guards = np.count_nonzero(guarded._guards)
    assert n_guards == guarded._bytes.size - guarded.array.nbytes
    low, high = np.lib.array_utils.byte_bounds(guarded.array)
    start = guarded._bytes.__array_interface__["data"][0]
    for place in (0, low - start - 1, high - start, guarded._bytes.size - 1):
        guarded._bytes[place] ^= 1
        with pytest.raises(AssertionError, match=r"^1 bytes around out were written"):
            guarded.check()
        guarded._bytes[place] ^= 1
    guarded.check()


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_what_they_say(name, dtype):
    x = np.arange(15, dtype=dtype).reshape(3, 5)
    view = layout(x, name)
    flags = view.flags
    row, column = (stride // dtype.itemsize for stride in view.strides)
    assert {
        "C": flags.c_contiguous,
        "Fortran": flags.f_contiguous,
        "negative": (row, column) == (-5, -1),
        "negative last": (row, column) == (5, -1),
        "every second": (row, column) == (10, 2),
        "every third row": (row, column) == (15, 1),
        "mixed": row < 0 and column == 3,
        "padded rows": (row, column) == (8, 1),
        "Fortran, negative": (row, column) == (-1, 3),
        "read-only": not flags.writeable,
        "big-endian": view.dtype.str[0] == ">",
        "little-endian": view.dtype.str[0] == "<",
        "unaligned": not flags.aligned,
        "odd strides": view.strides[1] % dtype.itemsize == 1,
    }[name]


def test_bounds_are_close_to_what_they_bound(dtype):
    """A result in the next lower precision is beyond them, one correctly rounded is within."""
    lower = {"float32": "float16", "float64": "float32"}[dtype.name]
    rng = np.random.default_rng(4)
    a, b = normal(rng, (20, 30), dtype), normal(rng, (30, 25), dtype)
    wide_a, wide_b = a.astype(np.longdouble), b.astype(np.longdouble)
    unit = [x / np.sqrt((x * x).sum(axis=1, keepdims=True)) for x in (wide_a, wide_b.T)]
    for exact, bound in (
        (wide_a @ wide_b, matmul_bound(a, b, dtype)),
        (softmax_exact(a, axis=1), softmax_bound(a, softmax_exact(a, axis=1), dtype, axis=1)),
        (unit[0] @ unit[1].T, cosine_bound(30, dtype)),
    ):
        assert_within(exact.astype(dtype), exact, bound, dtype)
        with pytest.raises(AssertionError, match="beyond the bound"):
            assert_within(exact.astype(lower), exact, bound)
