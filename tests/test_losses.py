"""Cross-entropy and negative log-likelihood against float64, in every layout, and their errors."""

import numpy as np
import pytest
from helpers import (
    LAYOUTS,
    assert_same_bits,
    assert_unchanged,
    assert_within,
    eps,
    layout,
    normal,
    softmax_exact,
)
from hypothesis import given
from hypothesis import strategies as st

import fastmath_ml as fm
from fastmath_ml import losses, reference

# Lanes of short rows, blocks of 4096 float32, segments of huge rows, and what lies around them.
LENGTHS = (1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 34, 64, 65, 100, 127, 1000)
LONG_LENGTHS = (2047, 2049, 4095, 4097, 8193, 50_257)
HUGE_LENGTHS = (131_073, 262_145, 300_001)


def log_sum_bound(x, axis, dtype):
    """Of logsumexp(x) - x_c, per line: 40 eps, and what rounding x - max costs."""
    x = np.where(np.isfinite(x), x, 0).astype(np.float64)
    return (40 + np.ptp(x, axis=axis, keepdims=True)) * eps(dtype)


def sum_bound(n_items, dtype):
    """Relative, of a sum divided by a sum.

    Each has chains of at most 4096 additions in float64, and then one over their results.
    """
    return eps(dtype) + (min(n_items, 4096) + n_items // 4096) * 2.0**-52


def check(x, target, result, *, reduction="mean", **options):
    """(loss, grad) against the reference, within the bounds of the docstrings."""
    dtype = result[1].dtype
    axis = options.get("axis")
    at = min(x.ndim - 1, 1) if axis is None else axis
    each, _ = reference.cross_entropy_with_grad(x, target, reduction="none", **options)
    exact, grad = reference.cross_entropy_with_grad(x, target, reduction=reduction, **options)
    weight = np.full(x.shape[at], 1.0)
    if options.get("weight") is not None:
        weight = np.abs(options["weight"].astype(np.float64))
    per_line = log_sum_bound(x, at, dtype)
    bound = 40 * eps(dtype) * np.abs(each) + per_line.squeeze(at) * weight.sum()
    if reduction == "mean":
        counted = np.asarray(target) != options.get("ignore_index", -100)
        hard = np.asarray(target).dtype.kind in "iu"
        divisor = weight[target[counted]].sum() if hard else each.size
        bound = bound.sum() / divisor if divisor else 0.0
    elif reduction == "sum":
        bound = bound.sum()
    if reduction != "none":
        bound = bound + sum_bound(each.size, dtype) * abs(exact)
    assert_within(result[0], exact, bound, dtype)
    # The gradient is the difference of the scaled probability and the coefficient.
    scale = 2 * weight.max() / (divisor if reduction == "mean" and divisor else 1)
    bound = per_line * softmax_exact(np.where(np.isfinite(x), x, 0), at) * scale
    tiny = float(np.finfo(dtype).smallest_normal)
    bound = bound + (4 * eps(dtype) + sum_bound(each.size, dtype)) * np.abs(grad)
    assert_within(result[1], grad, bound + 4 * tiny)


def targets(rng, shape, axis=1, ignored=-100):
    lines = tuple(np.delete(shape, axis))
    target = np.asarray(rng.integers(0, shape[axis], lines))
    target[rng.random(lines) < 0.2] = ignored
    return target


def probabilities(rng, shape, dtype, axis=1):
    values = rng.random(shape) ** 3
    return (values / values.sum(axis=axis, keepdims=True)).astype(dtype)


def both(x, target, **options):
    """Loss and gradient; the loss alone and the gradient over a copy of x have the same bits."""
    result = fm.cross_entropy_with_grad(x, target, **options)
    assert_same_bits(fm.cross_entropy(x, target, **options), result[0])
    own = np.array(x)
    loss, grad = fm.cross_entropy_with_grad(own, target, grad_out=own, **options)
    assert grad is own
    assert_same_bits(loss, result[0])
    assert_same_bits(grad, result[1])
    return result


# ---- the numbers ----


@pytest.mark.parametrize("length", LENGTHS)
def test_short_lines(length, dtype, rng):
    for n_lines in (1, 7, 16, 33):
        x = normal(rng, (n_lines, length), dtype, scale=4)
        t = targets(rng, x.shape)
        check(x, t, both(x, t))
        check(x.T.copy(), t, both(x.T.copy(), t, axis=0), axis=0)


@pytest.mark.parametrize("length", LONG_LENGTHS + HUGE_LENGTHS)
def test_long_lines(length, dtype, rng):
    x = normal(rng, (3, length), dtype, scale=4)
    x[1, length // 2] = 40
    t = np.array([length - 1, length // 2, 0])
    check(x, t, both(x, t))
    check(x.T.copy(), t, both(x.T.copy(), t, axis=0), axis=0)


SHAPES = [
    ((7,), 0), ((5000,), 0), ((300_001,), 0), ((3, 5000), 0), ((40, 4097), 0), ((600, 33), 0),
    ((2, 40, 4100), 1), ((300, 17, 3), 1), ((17, 1, 5), 1), ((2, 33, 1500), 1), ((2, 513, 1100), 1),
    ((4, 70_000, 2), 1), ((2, 3, 4, 5), 2), ((9, 8, 7, 6), 1), ((2, 21, 16, 17), 1),
]  # fmt: skip
OPTIONS = [
    {},
    {"weight": True},
    {"label_smoothing": 0.1},
    {"label_smoothing": 1.0},
    {"weight": True, "label_smoothing": 0.3, "ignore_index": 0},
    {"soft": True},
    {"soft": True, "weight": True, "label_smoothing": 0.2},
]


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_on_every_path(shape, axis, options, dtype, rng):
    reduction = ("mean", "none", "sum")[(len(shape) + len(options)) % 3]
    options = dict(options)
    x = normal(rng, shape, dtype, scale=4)
    if options.pop("soft", False):
        t = probabilities(rng, shape, dtype, axis)
    else:
        t = targets(rng, shape, axis, options.get("ignore_index", -100))
    if options.pop("weight", False):
        options["weight"] = rng.uniform(0.5, 2, shape[axis]).astype(dtype)
    options.update(axis=axis, reduction=reduction)
    before = [x.copy(), t.copy()]
    check(x, t, both(x, t, **options), **options)
    assert_unchanged([x, t], before)


@pytest.mark.parametrize("shape", [(60, 10), (5, 5000), (600, 33)])
def test_confident_rows_keep_their_digits(shape, dtype, rng):
    """m - x and log(sum) are both positive: a loss near 0 is not lost in the logits' size."""
    x = normal(rng, shape, dtype)
    t = rng.integers(0, shape[1], shape[0])
    x[np.arange(shape[0]), t] += dtype.type(9)
    each = fm.cross_entropy(x + dtype.type(1024), t, reduction="none")
    exact = reference.cross_entropy(x + dtype.type(1024), t, reduction="none")
    assert_within(each, exact, 40 * eps(dtype), dtype)


@pytest.mark.parametrize("n_rows", [3, 300_000])
def test_losses_add_up_without_drift(n_rows, dtype):
    x = np.zeros((n_rows, 3), dtype)
    t = np.ones(n_rows, np.int64)
    bound = 2 * eps(dtype) + sum_bound(n_rows, dtype)
    assert_within(fm.cross_entropy(x, t), np.log(3.0), 2 * bound, dtype)
    assert_within(losses.nll_loss(x - dtype.type(0.1), t), 0.1, bound, dtype)


# ---- what must not change a result ----


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_threads_change_no_bit(shape, axis, dtype, rng):
    x = normal(rng, shape, dtype, scale=4)
    t = targets(rng, shape, axis)
    with fm.num_threads(1):
        expected = fm.cross_entropy_with_grad(x, t, axis=axis, label_smoothing=0.1)
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            loss, grad = fm.cross_entropy_with_grad(x, t, axis=axis, label_smoothing=0.1)
            assert_same_bits(loss, expected[0])
            assert_same_bits(grad, expected[1])


@pytest.mark.parametrize("length", [3, 10, 33, 1000, 5000, 300_001])
def test_a_row_alone_and_in_a_batch(length, dtype, rng):
    x = normal(rng, (19, length), dtype, scale=4)
    t = rng.integers(0, length, 19)
    each, grad = fm.cross_entropy_with_grad(x, t, reduction="none")
    for at in (0, 7, 18):
        loss, own = fm.cross_entropy_with_grad(x[at], t[at], reduction="none")
        assert_same_bits(loss, each[at])
        assert_same_bits(own, grad[at])
    for n_columns in (3, 19):
        columns = np.ascontiguousarray(x[:n_columns].T)
        loss, own = fm.cross_entropy_with_grad(columns, t[:n_columns], axis=0, reduction="none")
        again = fm.cross_entropy_with_grad(x.T.copy(), t, axis=0, reduction="none")
        assert_same_bits(loss, again[0][:n_columns])
        assert_same_bits(own, again[1][:, :n_columns])


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, dtype, rng):
    x, t = normal(rng, (9, 35, 4), dtype), rng.integers(0, 35, (9, 4))
    weight, soft = rng.uniform(1, 2, 35).astype(dtype), probabilities(rng, x.shape, dtype)
    for target in (t, soft):
        loss, grad = fm.cross_entropy_with_grad(x, target, weight)
        with np.errstate(invalid="ignore"):  # gaps are filled with NaN, also of integers
            args = [layout(each, name) for each in (x, target, weight)]
        again = fm.cross_entropy_with_grad(*args)
        assert_same_bits(again[0], loss)
        assert_same_bits(again[1], grad)
    loss, grad = losses.nll_loss_with_grad(x, t, weight)
    with np.errstate(invalid="ignore"):
        args = [layout(each, name) for each in (x, t, weight)]
    again = losses.nll_loss_with_grad(*args)
    assert_same_bits(again[0], loss)
    assert_same_bits(again[1], grad)
    out = layout(np.zeros_like(x), name)
    if out.flags.writeable:
        assert fm.cross_entropy_with_grad(x, t, grad_out=out)[1] is out
        assert_same_bits(out, fm.cross_entropy_with_grad(x, t)[1])


def test_gradient_over_overlapping_memory(dtype, rng):
    memory = normal(rng, 700, dtype)
    x = memory[:600].reshape(60, 10)
    t = rng.integers(0, 10, 60)
    loss, grad = fm.cross_entropy_with_grad(x.copy(), t)
    result = fm.cross_entropy_with_grad(x, t, grad_out=memory[40:640].reshape(60, 10))
    assert_same_bits(result[0], loss)
    assert_same_bits(result[1], grad)
    # Over the probabilities that are still needed.
    soft = probabilities(rng, (60, 10), dtype)
    loss, grad = fm.cross_entropy_with_grad(x, soft)
    assert_same_bits(fm.cross_entropy_with_grad(x, soft, grad_out=soft)[1], grad)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "i4", "u4", "u8", ">i8"])
def test_integer_dtypes_of_targets(kind, dtype, rng):
    x, t = normal(rng, (50, 10), dtype), rng.integers(0, 10, 50)
    loss, grad = fm.cross_entropy_with_grad(x, t)
    again = fm.cross_entropy_with_grad(x, t.astype(kind))
    assert_same_bits(again[0], loss)
    assert_same_bits(again[1], grad)


def test_dtypes(rng):
    x, t = normal(rng, (5, 7), np.float32), rng.integers(0, 7, 5)
    half = x.astype(np.float16)
    loss, grad = fm.cross_entropy_with_grad(half, t)
    assert loss.dtype == grad.dtype == np.float32
    assert_same_bits(loss, fm.cross_entropy(half.astype("f"), t))
    out = np.empty_like(half)
    assert fm.cross_entropy_with_grad(half, t, grad_out=out)[1] is out
    assert_same_bits(out, grad.astype(np.float16))
    assert fm.cross_entropy(np.ones((5, 7), int), t).dtype == np.float64
    assert fm.cross_entropy(x, probabilities(rng, (5, 7), np.float64)).dtype == np.float64
    assert fm.cross_entropy(x, t, np.ones(7)).dtype == np.float32
    assert fm.cross_entropy(x.tolist(), t.tolist()).dtype == np.float64


# ---- hostile values ----


@pytest.mark.parametrize("length", [3, 16, 20, 40, 1030, 30_000, 270_000])
def test_infinities_and_nan(length, dtype):
    finite = np.linspace(-1, 1, length).astype(dtype)
    rows = np.stack([finite] * 8)
    rows[1, 0] = np.nan
    rows[2, -1] = np.inf
    rows[3] = -np.inf
    rows[4, 1:] = -np.inf
    rows[5, 0] = -np.inf
    rows[6, length // 2] = np.nan
    t = np.array([0, 1, 1, 0, 0, 0, 0, 1])
    for x, axis in ((rows, 1), (rows.T.copy(), 0)):
        each, grad = fm.cross_entropy_with_grad(x, t, axis=axis, reduction="none")
        exact, expected = reference.cross_entropy_with_grad(x, t, axis=axis, reduction="none")
        assert_within(each, exact, 50 * eps(dtype) * np.maximum(1, np.abs(exact)), dtype)
        assert_within(grad, expected, 100 * eps(dtype) * np.maximum(1e-3, np.abs(expected)))
        assert np.isnan(each[[1, 2, 3, 6]]).all()
        assert each[4] == 0
        assert each[5] == np.inf
        ignored = np.array([-100, -100, -100, -100, 0, -100, -100, 1])
        total, grad = fm.cross_entropy_with_grad(x, ignored, axis=axis, reduction="sum")
        assert np.isfinite(total)
        assert not np.moveaxis(grad, axis, -1)[[0, 1, 2, 3, 5, 6]].any()


def test_far_apart_logits(dtype):
    largest = float(np.finfo(dtype).max) / 4
    x = np.array([[largest, 0, -largest]], dtype)
    assert fm.cross_entropy(x, [0]) == 0
    assert fm.cross_entropy(x, [1]) == dtype.type(largest)
    _, grad = fm.cross_entropy_with_grad(x, [1])
    assert np.array_equal(grad, [[1, -1, 0]])


def test_a_mean_of_nothing_is_nan_and_has_no_gradient(dtype):
    for shape in [(4, 3), (2, 100), (2, 3, 5), (2, 100, 5)]:
        x = np.ones(shape, dtype)
        t = np.full((shape[0], *shape[2:]), -100)
        loss, grad = fm.cross_entropy_with_grad(x, t)
        assert np.isnan(loss)
        assert not grad.any()
        assert fm.cross_entropy(x, t, reduction="sum") == 0
    empty = np.ones((0, 3), dtype)
    none = np.ones(0, int)
    assert np.isnan(fm.cross_entropy(empty, none))
    assert np.isnan(losses.nll_loss(empty, none))
    assert fm.cross_entropy(empty, none, reduction="sum") == 0
    assert fm.cross_entropy(empty, none, reduction="none").shape == (0,)
    assert fm.cross_entropy_with_grad(empty, empty, reduction="sum")[1].shape == (0, 3)


# ---- negative log-likelihood ----


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_loss(shape, axis, reduction, dtype, rng):
    x, t = -np.abs(normal(rng, shape, dtype)), targets(rng, shape, axis)
    for weight in (None, rng.uniform(0.5, 2, shape[axis]).astype(dtype)):
        options = {"axis": axis, "reduction": reduction, "weight": weight}
        loss, grad = losses.nll_loss_with_grad(x, t, **options)
        exact, expected = reference.nll_loss_with_grad(x, t, **options)
        bound = (2 * eps(dtype) + sum_bound(t.size, dtype)) * np.abs(exact)
        assert_within(loss, exact, bound, dtype)
        bound = (2 * eps(dtype) + sum_bound(t.size, dtype)) * np.abs(expected)
        assert_within(grad, expected, bound, dtype)
        assert_same_bits(losses.nll_loss(x, t, **options), loss)
        own = x.copy()
        assert losses.nll_loss_with_grad(own, t, grad_out=own, **options)[1] is own
        assert_same_bits(own, grad)


# ---- errors ----


@pytest.mark.parametrize("function", ["cross_entropy", "cross_entropy_with_grad", "nll_loss"])
def test_the_first_bad_target_is_named(function):
    call = getattr(losses, function)
    x = np.zeros((4, 10, 5))
    t = np.zeros((4, 5), int)
    t[2, 3], t[3, 0] = 12, -1
    with pytest.raises(ValueError, match=r"target\[2, 3\] is 12; expected a class number from 0 "):
        call(x, t)
    t[2, 3] = -100
    with pytest.raises(ValueError, match=r"target\[3, 0\] is -1; .* or ignore_index \(-100\)"):
        call(x, t)
    with pytest.raises(ValueError, match=r"target\[0, 0\] is 18446744073709551516; expected a"):
        call(x, np.full((4, 5), 2**64 - 100, np.uint64))
    with pytest.raises(ValueError, match="target is 10; expected a class number from 0 to 9"):
        call(np.zeros(10), np.array(10))
    many = np.zeros(100_000, int)
    many[77_777:] = 10
    with pytest.raises(ValueError, match=r"target\[77777\] is 10"):
        call(np.zeros((100_000, 10), "f"), many)


def test_nothing_is_written_where_a_target_is_bad():
    x = np.ones((5, 3))
    with pytest.raises(ValueError, match=r"target\[4\] is 3"):
        fm.cross_entropy_with_grad(x, [0, 1, 2, 0, 3], grad_out=x)
    assert np.array_equal(x, np.ones((5, 3)))


def test_errors_name_what_came_and_what_was_wanted():
    x, t = np.ones((4, 3)), np.zeros(4, int)
    with pytest.raises(ValueError, match=r"class numbers, an integer dtype and shape \(4,\), or"):
        fm.cross_entropy(x, np.zeros(3, int))
    with pytest.raises(ValueError, match=r"target has dtype float64 and shape \(4,\); expected"):
        fm.cross_entropy(x, np.zeros(4))
    with pytest.raises(TypeError, match="target has dtype bool"):
        fm.cross_entropy(x, np.zeros(4, bool))
    with pytest.raises(TypeError, match="target has dtype float64; expected class numbers"):
        losses.nll_loss(x, np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"weight has shape \(4,\); expected \(3,\)"):
        fm.cross_entropy(x, t, np.ones(4))
    with pytest.raises(ValueError, match="reduction is 'max'; expected one of 'none', 'mean'"):
        fm.cross_entropy(x, t, reduction="max")
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.5; expected a number in \[0, 1"):
        fm.cross_entropy(x, t, label_smoothing=1.5)
    with pytest.raises(TypeError, match="label_smoothing is 'a'; expected a number"):
        fm.cross_entropy(x, t, label_smoothing="a")
    with pytest.raises(TypeError, match=r"ignore_index is 1\.5; expected an integer"):
        fm.cross_entropy(x, t, ignore_index=1.5)
    with pytest.raises(np.exceptions.AxisError, match="axis"):
        fm.cross_entropy(x, t, axis=2)
    with pytest.raises(ValueError, match="no classes along axis 1"):
        fm.cross_entropy(np.ones((4, 0)), t)
    with pytest.raises(ValueError, match=r"input has shape \(\)"):
        fm.cross_entropy(1.0, 0)
    with pytest.raises(TypeError, match="input is a masked array"):
        fm.cross_entropy(np.ma.masked_array(x), t)
    with pytest.raises(TypeError, match="input has dtype complex128"):
        fm.cross_entropy(x + 0j, t)
    with pytest.raises(ValueError, match=r"grad_out has shape \(3, 4\); expected \(4, 3\)"):
        fm.cross_entropy_with_grad(x, t, grad_out=np.ones((3, 4)))


# ---- properties ----


@st.composite
def problems(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    dtype = np.dtype(draw(st.sampled_from(["f4", "f8"])))
    shape = draw(st.tuples(st.integers(1, 40), st.integers(2, 70)))
    x = normal(rng, shape, dtype, scale=draw(st.sampled_from([0.1, 3, 20])))
    return x, rng.integers(0, shape[1], shape[0])


@given(problems())
def test_the_gradient_of_a_row_sums_to_zero(drawn):
    x, t = drawn
    _, grad = fm.cross_entropy_with_grad(x, t, reduction="sum", label_smoothing=0.1)
    sums = grad.sum(axis=1, dtype=np.float64)
    assert_within(sums, np.zeros(len(x)), (40 + np.ptp(x)) * eps(x.dtype) * 2)


@given(problems())
def test_one_hot_probabilities_are_class_numbers(drawn):
    x, t = drawn
    hard = fm.cross_entropy_with_grad(x, t)
    soft = fm.cross_entropy_with_grad(x, np.eye(x.shape[1], dtype=x.dtype)[t])
    bound = (40 + np.ptp(x)) * 2 * eps(x.dtype)
    assert_within(soft[0], hard[0].astype(np.float64), bound * max(1.0, float(hard[0])))
    assert_within(soft[1], hard[1].astype(np.float64), bound / len(x))


def test_probabilities_have_no_class_to_ignore():
    x = np.ones((3, 4))
    assert fm.cross_entropy(x, x / 4, ignore_index=-1) == fm.cross_entropy(x, x / 4)
    for call in (
        lambda: fm.cross_entropy(x, x / 4, ignore_index=1),
        lambda: fm.linear_cross_entropy(x, np.ones((4, 4)), x / 4, ignore_index=0),
    ):
        with pytest.raises(ValueError, match=r"ignore_index is \d beside probabilities"):
            call()


@pytest.mark.parametrize("n_classes", [20, 200, 1000])
@pytest.mark.parametrize("shape", ["rows", "columns", "linear"])
def test_an_infinite_loss_of_dense_targets(n_classes, shape, dtype):
    """Smoothing gives each class a share, so that a logit of -inf costs infinity, not NaN."""
    x = np.zeros((2, n_classes), dtype)
    x[:, 3] = -np.inf
    options = {"label_smoothing": 0.1, "reduction": "none"}
    if shape == "linear":
        found = fm.linear_cross_entropy(
            np.zeros((2, 5), dtype), np.zeros((n_classes, 5), dtype), [0, 1], linear_bias=x[0],
            **options,
        )  # fmt: skip
    elif shape == "columns":
        found = fm.cross_entropy(x.T[None].copy(), [[0, 1]], **options)
    else:
        found = fm.cross_entropy(x, [0, 1], **options)
    assert (found == np.inf).all()


def test_hinge_of_scalars():
    with pytest.raises(ValueError, match="target is 3"):
        fm.losses.hinge_loss(2.0, 3)


def test_an_ignore_index_beyond_64_bits():
    with pytest.raises(ValueError, match="ignore_index"):
        fm.cross_entropy(np.ones((2, 3)), [0, 1], ignore_index=2**70)


def test_gradients_that_share_memory(rng):
    a, b = rng.standard_normal((2, 6, 5))
    grad = np.empty((6, 5))
    with pytest.raises(ValueError, match="share memory"):
        fm.losses.linear_cross_entropy_with_grad(a, b, range(6), grad_out=(grad, grad, None))
    both = np.empty((6, 10))
    outs = both[:, :5], both[:, 5:], None
    _, grads = fm.losses.linear_cross_entropy_with_grad(a, b, range(6), grad_out=outs)
    exact = fm.losses.linear_cross_entropy_with_grad(a, b, range(6))[1]
    for mine, wanted in zip(grads[:2], exact[:2], strict=True):
        assert_same_bits(mine, wanted)
