"""logsumexp, log_softmax and the gradients against wider arithmetic, SciPy and torch."""

import inspect

import mpmath
import numpy as np
import pytest
import scipy.special
from helpers import (
    LAYOUTS,
    OUT_LAYOUTS,
    Guarded,
    assert_same_bits,
    assert_within,
    eps,
    layout,
    normal,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

import fastmath_ml as fm
from fastmath_ml import reference, special

# (shape, axis): short, usual and huge lines; across, in one block or segment and in several
PATHS = [
    ((10,), 0), ((2003, 10), 1), ((303, 1003), 1), ((3, 300_001), 1), ((37, 53), None),
    ((30, 5001), 0), ((5003, 70), 0), ((20, 51, 33), 1), ((6, 3000, 40), 1), ((1100, 1030), 0),
    ((70_000, 2), 0), ((4, 1, 7), 1), ((5, 9, 11), (0, 2)), ((5, 9, 11), (2, 1, 0)), ((5, 9), ()),
]  # fmt: skip


def wide(x):
    return np.asarray(x).astype(np.float64 if np.asarray(x).dtype.itemsize <= 4 else np.longdouble)


def exact_logsumexp(x, axis, keepdims=False):
    x = wide(x)
    m = x.max(axis=axis, keepdims=True)
    m = np.where(np.isfinite(m), m, 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = m + np.log(np.exp(x - m).sum(axis=axis, keepdims=True))
    return result if keepdims or axis == () else result.squeeze(axis)


def exact_log_softmax(x, axis):
    with np.errstate(invalid="ignore"):
        return wide(x) - exact_logsumexp(x, axis, keepdims=True)


def check_logsumexp(x, axis, result):
    exact = exact_logsumexp(x, axis)
    scale = 1 + np.abs(np.where(np.isfinite(exact), exact, 0))
    assert_within(result, exact, 32 * eps(x.dtype) * scale)
    assert np.asarray(result).dtype == x.dtype


def check_log_softmax(x, axis, result):
    exact = exact_log_softmax(x, axis)
    scale = 32 + 2 * np.abs(np.where(np.isfinite(exact), exact, 0))
    assert_within(result, exact, eps(x.dtype) * scale, x.dtype)


# ---- numbers ----


@pytest.mark.parametrize(("shape", "axis"), PATHS)
@pytest.mark.parametrize("offset", [0, 1000, -3000])
def test_paths(shape, axis, offset, dtype, rng):
    x = normal(rng, shape, dtype, scale=4) + dtype.type(offset)
    check_logsumexp(x, axis, fm.logsumexp(x, axis=axis))
    check_log_softmax(x, axis, fm.log_softmax(x, axis=axis))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 127, 1025])
def test_lengths(length, dtype, rng):
    for n_lines in (1, 2, 5, 16, 17, 33):
        x = normal(rng, (n_lines, length), dtype, scale=4)
        for values, axis in ((x, 1), (x.T.copy(), 0), (x, None)):
            check_logsumexp(values, axis, fm.logsumexp(values, axis=axis))
            check_log_softmax(values, axis, fm.log_softmax(values, axis=axis))


@pytest.mark.parametrize("length", [2, 9, 40, 100, 3000, 300_000])
@pytest.mark.parametrize("below", [-1.0, -10.0, -40.0, -80.0])
def test_what_is_small_beside_the_maximum_counts(length, below, dtype):
    """The maximum 0 and another element far below (SciPy issue 18295): relative to the result."""
    x = np.full(length, -np.inf, dtype)
    x[length // 2], x[0] = 0, below
    want = np.log1p(np.exp(float(below)))
    tolerance = 8 * eps(dtype)
    assert np.isclose(fm.logsumexp(x), want, rtol=tolerance, atol=0)
    columns = np.repeat(x[:, None], 3, axis=1)
    assert np.allclose(fm.logsumexp(columns, axis=0), want, rtol=tolerance, atol=0)


def test_ten_million_elements_against_mpmath(dtype):
    """k elements of each of a few values: the exact sum has few terms."""
    values = [0.0, -1.5, -7.25, -20.0, 3.5]
    x = np.tile(np.array(values, dtype), 2_000_000)
    with mpmath.workprec(100):
        want = float(mpmath.log(2_000_000 * mpmath.fsum(map(mpmath.exp, values))))
    for got in (fm.logsumexp(x), fm.logsumexp(x.reshape(-1, 5).T.copy().reshape(-1, 1), axis=0)):
        assert abs(np.squeeze(got) - want) <= 8 * eps(dtype) * want


# ---- what must not change a result ----


@pytest.mark.parametrize(("shape", "axis"), PATHS)
def test_threads_change_no_bit(shape, axis, dtype, rng):
    x, g = normal(rng, shape, dtype, scale=4), normal(rng, shape, dtype)

    def results():
        y = fm.log_softmax(x, axis=axis)
        return (y, fm.logsumexp(x, axis=axis), fm.logsumexp(x, axis=axis, b=g),
                special.log_softmax_grad(y, g, axis), special.softmax_grad(x, g, axis))  # fmt: skip

    with fm.num_threads(1):
        expected = results()
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            for got, want in zip(results(), expected, strict=True):
                assert_same_bits(got, want)


@pytest.mark.parametrize("length", [1, 2, 7, 17, 33, 100, 1003, 5000])
def test_a_row_alone_and_in_a_batch(length, dtype, rng):
    x, g = normal(rng, (19, length), dtype, scale=4), normal(rng, (19, length), dtype)
    calls = [
        lambda x, g: fm.logsumexp(x, axis=1),
        lambda x, g: fm.log_softmax(x, axis=1),
        lambda x, g: special.softmax_grad(x, g),
        lambda x, g: special.log_softmax_grad(x, g),
    ]
    across = [
        lambda x, g: fm.logsumexp(x, axis=0),
        lambda x, g: fm.log_softmax(x, axis=0).T,
        lambda x, g: special.softmax_grad(x, g, 0).T,
        lambda x, g: special.log_softmax_grad(x, g, 0).T,
    ]
    for call, beside in zip(calls, across, strict=True):
        expected, expected_beside = call(x, g), beside(x.T.copy(), g.T.copy())
        for rows in (slice(7, 8), slice(2, 13)):
            assert_same_bits(call(x[rows], g[rows]), expected[rows])
        rows = slice(2, 13)
        got = beside(x[rows].T.copy(), g[rows].T.copy())
        assert_same_bits(got, expected_beside[rows])


# ---- edge cases ----

SPECIAL_ROWS = [
    [0.0, -np.inf, 1.0], [-np.inf, -np.inf, -300.0], [-np.inf] * 3, [0.0, np.inf, 1.0],
    [np.inf, 0.0, np.inf], [np.inf, -np.inf, 0.0], [0.0, np.nan, 1.0], [np.nan, np.inf, -np.inf],
    [-np.inf, np.nan, -np.inf], [np.nan] * 3, [0.0, -0.0, 0.0], [1e38, 1e38, -1e38],
    [1000.0, np.inf, 1e30], [-1e4, -1e4 - 1, -2e4],
]  # fmt: skip


@pytest.mark.parametrize("row", SPECIAL_ROWS, ids=str)
@pytest.mark.parametrize("length", [3, 9, 33, 40, 1030, 3000, 300_000])
def test_special_values_as_scipy(row, length, dtype):
    """At the ends and in the middle, on all paths; the others are 1000 or -inf."""
    places = [0, length // 2, -1]
    for fill in (-np.inf, -1000.0, 1000.0):
        line = np.full(length, fill, dtype)
        line[places] = row
        x = np.stack([line, line[::-1]])
        columns = np.repeat(line[:, None], 3, axis=1)
        with np.errstate(all="ignore"):
            want = scipy.special.logsumexp(x.astype(np.float64), axis=1)
            want_log = scipy.special.log_softmax(x.astype(np.float64), axis=1)
        bound = 32 * eps(dtype) * (1 + np.abs(np.nan_to_num(want, posinf=0, neginf=0)))
        assert_within(fm.logsumexp(x, axis=1), want, bound, dtype)
        assert_within(fm.logsumexp(line), want[0], bound[0])
        assert_within(fm.logsumexp(columns, axis=0)[:2], want[:1].repeat(2), bound[0], dtype)
        scale = 32 + 3 * np.abs(np.nan_to_num(want_log, posinf=0, neginf=0))
        bound = eps(dtype) * scale
        assert_within(fm.log_softmax(x, axis=1), want_log, bound, dtype)
        assert_within(fm.log_softmax(columns, axis=0)[:, 1], want_log[0], bound[0], dtype)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_signature_of_scipy(name):
    theirs = inspect.signature(getattr(scipy.special, name)).parameters
    ours = inspect.signature(getattr(fm, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for parameter in theirs.values():
        assert ours[parameter.name].default is parameter.default or parameter.default == 0
    extra = list(ours.values())[len(theirs) :]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in extra)


CALLS = [
    ([1.0, 2.0], {}), (5.0, {}), (np.float32(5), {}), ([[1, 2], [3, 4]], {"axis": 0}),
    (np.ones((2, 3, 4)), {"axis": (0, 2)}), (np.ones((2, 3, 4)), {"axis": (-1,), "keepdims": True}),
    (np.ones((2, 3)), {"keepdims": True}), (np.ones(3, "f2"), {}), (np.ones((2, 2), "i2"), {}),
    (np.ones((3, 4)), {"axis": 0, "return_sign": True}), (np.ones(4), {"return_sign": True}),
    ([1.0, 2.0], {"b": [1.0, -1.0], "return_sign": True}), ([1.0, 2.0], {"b": [1.0, -1.0]}),
    ([1.0, 1.0], {"b": [1.0, -1.0], "return_sign": True}), ([1.0, 10000.0], {"b": [1, 0]}),
    ([np.nan, 1.0], {"b": [0, 1]}), ([np.inf], {"b": [-1.0], "return_sign": True}),
    (np.zeros((4, 1, 2, 1)), {"b": np.ones((3, 1, 5))}),
    (np.zeros((4, 1, 2, 1)), {"b": np.ones((3, 1, 5)), "axis": (1, 3), "keepdims": True}),
    (np.ones(3, "f4"), {"b": np.ones(3)}), (np.ones((2, 3), "f4"), {"b": 2.5, "axis": 1}),
    ([-np.inf, -np.inf], {"return_sign": True}), (np.zeros((3, 0)), {"axis": 1}), ([], {}),
    (np.asfortranarray(np.arange(6.0).reshape(2, 3)), {"axis": 1}),
    (np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)), {"axis": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("a", "options"), CALLS, ids=str)
def test_shapes_dtypes_and_values_as_scipy(a, options):
    with np.errstate(all="ignore"):
        want = scipy.special.logsumexp(a, **options)
    got = fm.logsumexp(a, **options)
    pairs = [(got, want)]
    if options.get("return_sign"):
        assert isinstance(got, tuple)
        pairs = list(zip(got, want, strict=True))
    for ours, theirs in pairs:
        if np.size(a) == 0:
            theirs = np.full(np.shape(ours), -np.inf)  # SciPy's empty results have another shape
        assert np.shape(ours) == np.shape(theirs)
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
        assert isinstance(ours, np.generic) == (np.ndim(ours) == 0)
        assert np.allclose(ours, theirs, rtol=32 * eps(np.asarray(ours).dtype), equal_nan=True)
    wanted = reference.special.logsumexp(a, **options) if np.size(a) else -np.inf
    assert np.allclose(got, wanted, rtol=1e-2, equal_nan=True)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, dtype, rng):
    x, g = normal(rng, (5, 9, 11), dtype, scale=4), normal(rng, (5, 9, 11), dtype)
    for axis in (0, 1, 2, None, (0, 2)):
        view, grad = layout(x, name), layout(g, name)
        y = fm.log_softmax(x, axis=axis)
        # Which way an array is swept depends on its strides, and with it the order of the sums.
        near = 64 * eps(dtype)
        assert_within(fm.log_softmax(view, axis=axis), wide(y), near * (1 + abs(wide(y))), dtype)
        if axis is None:
            continue
        want = special.log_softmax_grad(y, g, axis)
        got = special.log_softmax_grad(layout(y, name), grad, axis)
        assert_within(got, wide(want), near * (1 + abs(wide(want))), dtype)
        want, got = special.softmax_grad(x, g, axis), special.softmax_grad(view, g, axis)
        assert_within(got, wide(want), near * (1 + abs(wide(want))), dtype)
        want, got = fm.logsumexp(x, axis=axis), fm.logsumexp(view, axis=axis)
        assert_within(got, wide(want), 8 * eps(dtype) * (1 + np.abs(wide(want))))
        assert_same_bits(fm.logsumexp(x, axis=axis, b=g), fm.logsumexp(view, axis=axis, b=grad))


@pytest.mark.parametrize("name", OUT_LAYOUTS)
def test_out(name, dtype, rng):
    x, g = normal(rng, (37, 53), dtype, scale=4), normal(rng, (37, 53), dtype)
    for call in (
        lambda **out: fm.log_softmax(x, axis=1, **out),
        lambda **out: special.softmax_grad(x, g, 0, **out),
        lambda **out: special.log_softmax_grad(x, g, **out),
    ):
        guarded = Guarded(x.shape, dtype, name)
        assert call(out=guarded.array) is guarded.array
        guarded.check()
        assert_same_bits(guarded.array, call())
    out = np.empty(37, dtype)
    assert fm.logsumexp(x, axis=1, out=out) is out
    assert_same_bits(out, fm.logsumexp(x, axis=1))


def test_out_may_be_an_argument(dtype, rng):
    x, g = normal(rng, (300, 1100), dtype, scale=4), normal(rng, (300, 1100), dtype)
    for axis in (0, 1):
        want = fm.log_softmax(x, axis=axis)
        assert_same_bits(fm.log_softmax(y := x.copy(), axis=axis, out=y), want)
        for call in (special.softmax_grad, special.log_softmax_grad):
            want = call(x, g, axis)
            assert_same_bits(call(y := x.copy(), g, axis, out=y), want)
            assert_same_bits(call(x, y := g.copy(), axis, out=y), want)
            shifted = np.concatenate([x.ravel(), np.zeros(5, dtype)])
            source, target = (shifted[at : at + x.size].reshape(x.shape) for at in (0, 5))
            assert_same_bits(call(source, g, axis, out=target), want)


# ---- gradients ----


def test_gradients(dtype, rng):
    for shape, axis in PATHS:
        x, g = normal(rng, shape, dtype, scale=2), normal(rng, shape, dtype)
        y, log_y = fm.softmax(x, axis=axis), fm.log_softmax(x, axis=axis)
        y_wide, g_wide, log_wide = wide(y), wide(g), wide(log_y)
        total = (y_wide * g_wide).sum(axis=axis, keepdims=True)
        size = np.abs(y_wide * g_wide).sum(axis=axis, keepdims=True)
        got = special.softmax_grad(y, g, axis)
        bound = eps(dtype) * y_wide * (48 * size + 3 * np.abs(g_wide))
        assert_within(got, y_wide * (g_wide - total), bound + 1e-43, dtype)
        total = g_wide.sum(axis=axis, keepdims=True)
        size = np.abs(g_wide).sum(axis=axis, keepdims=True)
        got = special.log_softmax_grad(log_y, g, axis)
        want = g_wide - np.exp(log_wide) * total
        bound = eps(dtype) * (np.exp(log_wide) * 48 * size + 2 * np.abs(g_wide))
        assert_within(got, want, bound + 1e-43, dtype)


def test_gradients_as_torch(dtype, rng):
    torch = pytest.importorskip("torch")
    x, g = normal(rng, (7, 13, 5), dtype, scale=2), normal(rng, (7, 13, 5), dtype)
    for axis in (0, 1, -1):
        for name in ("softmax", "log_softmax"):
            leaf = torch.from_numpy(x).requires_grad_()
            result = getattr(torch, name)(leaf, axis)
            result.backward(torch.from_numpy(g))
            got = getattr(special, f"{name}_grad")(result.detach().numpy(), g, axis)
            assert np.allclose(got, leaf.grad.numpy(), rtol=1e-4, atol=64 * eps(dtype))


def test_gradients_of_other_dtypes(rng):
    y, g = np.ones((2, 3), "f2") / 3, rng.standard_normal((2, 3))
    assert special.softmax_grad(y, g.astype("f2")).dtype == "f2"
    assert special.softmax_grad(y, g).dtype == "f8"
    assert special.log_softmax_grad([[0, 0]], [[1, 2]]).dtype == "f8"
    assert special.softmax_grad(0.5, 2.0) == 0.5
    assert special.softmax_grad(np.ones((0, 3)), np.ones((0, 3))).shape == (0, 3)


# ---- errors ----


def test_errors():
    x = np.ones((3, 4))
    with pytest.raises(TypeError, match="a has dtype complex128"):
        fm.logsumexp(x + 0j)
    with pytest.raises(TypeError, match="b is a masked array"):
        fm.logsumexp(x, b=np.ma.ones(4))
    with pytest.raises(ValueError, match=r"b has shape \(5,\); expected one that broadcasts"):
        fm.logsumexp(x, b=np.ones(5))
    with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds"):
        fm.logsumexp(x, axis=2)
    with pytest.raises(ValueError, match="expected each axis once"):
        fm.logsumexp(x, axis=(0, 0))
    with pytest.raises(ValueError, match=r"out has shape \(3, 4\); expected \(3,\)"):
        fm.logsumexp(x, axis=1, out=x)
    with pytest.raises(
        ValueError, match=r"grad_y has shape \(4, 3\); expected that of y, \(3, 4\)"
    ):
        special.softmax_grad(x, x.T)
    with pytest.raises(TypeError, match="grad_y has dtype object"):
        special.log_softmax_grad(x, x.astype(object))
    with pytest.raises(TypeError, match="x is a masked array"):
        fm.log_softmax(np.ma.ones(3))


# ---- properties ----

REAL = st.floats(-60, 60, width=32)


@given(
    stnp.arrays(np.float64, stnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=REAL)
)
def test_bounds_and_relations(x):
    result = fm.logsumexp(x, axis=1)
    assert np.all(result >= x.max(axis=1) - 1e-12)
    assert np.all(result <= x.max(axis=1) + np.log(x.shape[1]) + 1e-12)
    log_y = fm.log_softmax(x, axis=1)
    assert np.allclose(log_y, x - result[:, None], rtol=1e-13, atol=1e-13)
    assert np.all(np.abs(fm.logsumexp(log_y, axis=1)) < 1e-13)
    # Gradients lie in the plane of vectors that sum to 0.
    gradient = special.softmax_grad(np.exp(log_y), x)
    assert np.all(np.abs(gradient.sum(axis=1)) <= 1e-12 * (1 + np.abs(x).max()))
