"""Losses per element against float64, in every layout, and their errors."""

import numpy as np
import pytest
from helpers import LAYOUTS, assert_same_bits, assert_within, eps, layout, normal
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

import fastmath_ml as fm
from fastmath_ml import losses, reference

NAMES = (
    "mse_loss",
    "l1_loss",
    "huber_loss",
    "kl_div",
    "kl_div log_target",
    "hinge_loss",
    "binary_cross_entropy_with_logits",
)
SIZES = (1, 2, 7, 8, 15, 16, 17, 31, 33, 100, 511, 513, 1025, 16_383, 16_385, 70_001)
WEIGHTED = ("mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy_with_logits")


def functions(name):
    """Ours with the gradient and without, and the reference, with the options that name says."""
    name, _, log_target = name.partition(" ")
    options = {"log_target": True} if log_target else {}

    def bound_to(function):
        return lambda *args, **more: function(*args, **options, **more)

    return (
        bound_to(getattr(losses, f"{name}_with_grad")),
        bound_to(getattr(losses, name)),
        bound_to(getattr(reference, f"{name}_with_grad")),
    )


def pair(name, rng, shape, dtype, scale=1.0):
    x = normal(rng, shape, dtype, scale)
    t = normal(rng, shape, dtype)
    if name == "hinge_loss":
        t = np.where(t > 0, 1, -1).astype(dtype)
    if name in ("kl_div", "binary_cross_entropy_with_logits"):
        t = rng.random(shape).astype(dtype)
        t.flat[::5] = 0
        t.flat[1::5] = 1
    if name == "kl_div log_target":
        t = -np.abs(t)
    return x, t


def item_bounds(name, x, t, each, grad, dtype, pos_weight=1.0):
    """A few roundings of the loss, and of the numbers whose difference it is made of."""
    if "binary" in name:
        s = 1 / (1 + np.exp(-x.astype(np.float64)))
        sizes = (1 - t) * s + np.asarray(pos_weight, np.float64) * t * (1 - s)
        return 12 * eps(dtype) * np.abs(each), 12 * eps(dtype) * sizes
    x, t = np.abs(x.astype(np.float64)), np.abs(t.astype(np.float64))
    if "kl_div" in name:
        size = np.exp(-t) * (t + x) if "log" in name else t * (np.abs(np.log(t + (t == 0))) + x)
        return 8 * eps(dtype) * size, 8 * eps(dtype) * np.abs(grad)
    if name == "hinge_loss":
        return 2 * eps(dtype) * (1 + x), eps(dtype) * np.abs(grad)
    return 8 * eps(dtype) * np.abs(each), 8 * eps(dtype) * np.abs(grad)


def check(name, x, t, **options):
    with_grad, alone, exact = functions(name)
    dtype = x.dtype.newbyteorder("=")
    each, slope = exact(x, t, reduction="none", **options)
    weight = np.abs(options.get("weight", np.ones(())).astype(np.float64))
    positive = options.get("pos_weight", 1.0)
    bound, slope_bound = item_bounds(name, x, t, each, slope, dtype, positive)
    if "binary" in name:
        slope_bound = slope_bound * weight
    result = with_grad(x, t, reduction="none", **options)
    tiny = float(np.finfo(dtype).smallest_normal)
    bound = bound + 2 * tiny
    assert_within(result[0], each, bound, dtype)
    assert_within(result[1], slope, slope_bound + 2 * tiny, dtype)
    additions = (40 + 2 * (x.size // 16384) + 32) * eps(dtype) * np.abs(each).sum()
    for reduction in ("mean", "sum"):
        loss, expected = exact(x, t, reduction=reduction, **options)
        ratio = np.abs(loss / each.sum()) if each.sum() else 1.0
        result = with_grad(x, t, reduction=reduction, **options)
        assert_within(result[0], loss, ratio * (bound.sum() + additions), dtype)
        factor = 1.0 if reduction == "sum" else ratio
        limit = (slope_bound + 8 * eps(dtype) * np.abs(slope)) * factor
        assert_within(result[1], expected, limit + 2 * tiny, dtype)
        assert_same_bits(alone(x, t, reduction=reduction, **options), result[0])
        own = np.array(x)
        loss, grad = with_grad(own, t, reduction=reduction, grad_out=own, **options)
        assert grad is own
        assert_same_bits(loss, result[0])
        assert_same_bits(grad, result[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_sizes(name, size, dtype, rng):
    check(name, *pair(name, rng, size, dtype))


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights(name, dtype, rng):
    x, t = pair(name, rng, (37, 53), dtype)
    check(name, x, t, weight=rng.uniform(0.1, 3, x.shape).astype(dtype))


def test_binary_weights_are_broadcast(dtype, rng):
    name = "binary_cross_entropy_with_logits"
    x, t = pair(name, rng, (37, 53), dtype, scale=4)
    rows, columns = rng.uniform(0.1, 3, (37, 1)).astype(dtype), rng.uniform(1, 9, 53).astype(dtype)
    check(name, x, t, weight=rows, pos_weight=columns)
    check(name, x, t, pos_weight=np.asarray(3, dtype))
    plain = fm.binary_cross_entropy_with_logits(x, t)
    assert_within(
        fm.binary_cross_entropy_with_logits(x, t, pos_weight=[1.0] * 53), plain, 4 * eps(dtype)
    )


@pytest.mark.parametrize("name", NAMES)
def test_layouts(name, dtype, rng):
    with_grad, alone, _ = functions(name)
    x, t = pair(name, rng, (37, 20), dtype)
    loss, grad = with_grad(x, t)
    for kind in LAYOUTS:
        again = with_grad(layout(x, kind), layout(t, kind))
        assert_same_bits(again[0], loss)
        assert_same_bits(again[1], grad)
        out = layout(np.zeros_like(x), kind)
        if out.flags.writeable:
            assert with_grad(x, t, grad_out=out)[1] is out
            assert_same_bits(out, grad)
    shifted = np.concatenate([t.ravel(), t.ravel()])
    again = with_grad(
        x, shifted[: t.size].reshape(t.shape), grad_out=shifted[5:-735].reshape(37, 20)
    )
    assert_same_bits(again[1], grad)
    half, t = x.astype(np.float16), t.astype(np.float32)
    assert_same_bits(alone(half, t), alone(half.astype(np.float32), t))


@pytest.mark.parametrize("name", NAMES)
def test_threads_change_no_bit(name, dtype, rng):
    with_grad, _, _ = functions(name)
    x, t = pair(name, rng, 300_007, dtype)
    with fm.num_threads(1):
        expected = with_grad(x, t)
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            loss, grad = with_grad(x, t)
        assert_same_bits(loss, expected[0])
        assert_same_bits(grad, expected[1])


@pytest.mark.parametrize("name", NAMES)
def test_special_values(name, dtype):
    with_grad, _, exact = functions(name)
    values = np.array([0, -0.0, 1, -1, 0.5, 3e4, -3e4, np.inf, -np.inf, np.nan], dtype)
    x, t = (each.ravel() for each in np.meshgrid(values, values))
    if name == "hinge_loss":
        t = np.where(t > 0, 1, -1).astype(dtype)
    if name == "binary_cross_entropy_with_logits":
        t = np.clip(t, 0, 1)
    with np.errstate(all="ignore"):
        each, grad = exact(x, t, reduction="none")
        each, grad = each.astype(dtype).astype(np.float64), grad.astype(dtype).astype(np.float64)
    result = with_grad(x, t, reduction="none")
    assert_within(result[0], each, 8 * eps(dtype) * np.abs(each), dtype)
    finite = np.isfinite(x) & np.isfinite(t)
    assert_within(result[1][finite], grad[finite], 8 * eps(dtype) * np.abs(grad[finite]), dtype)


def test_binary_logits_far_from_zero(dtype):
    x = np.array([-1e4, -100, -30, 30, 100, 1e4], dtype)
    one, zero = np.ones_like(x), np.zeros_like(x)
    for t in (one, zero):
        each, _ = fm.binary_cross_entropy_with_logits_with_grad(x, t, reduction="none")
        exact = np.logaddexp(0.0, np.where(t, -x, x).astype(np.float64))
        assert_within(each, exact, 4 * eps(dtype) * exact + float(np.finfo(dtype).smallest_normal))


def test_edge_sizes_and_dtypes(dtype):
    empty = np.ones((0, 3), dtype)
    for name in NAMES:
        with_grad, alone, _ = functions(name)
        assert np.isnan(alone(empty, empty))
        assert alone(empty, empty, reduction="sum") == 0
        assert with_grad(empty, empty)[1].shape == (0, 3)
        assert alone(np.ones((), dtype), np.ones((), dtype)).dtype == dtype
    half = np.ones(5, np.float16)
    assert losses.mse_loss(half, half).dtype == np.float32
    assert losses.mse_loss(half, np.ones(5, int)).dtype == np.float32
    assert losses.mse_loss(np.ones(5, int), np.ones(5, int)).dtype == np.float64
    assert losses.hinge_loss(half, np.ones(5, int)).dtype == np.float32
    both = np.linspace(-1, 1, 50).astype(dtype)
    assert losses.mse_loss_with_grad(both, both, grad_out=both)[0] == 0
    assert not both.any()
    table = np.ones((4, 5), dtype)
    assert losses.kl_div(table * 0, table, reduction="batchmean") == 0
    assert losses.kl_div(-table, table, reduction="batchmean") == 5


def test_errors_name_what_came_and_what_was_wanted():
    x = np.ones((4, 3))
    for name in NAMES:
        _, alone, _ = functions(name)
        with pytest.raises(ValueError, match=r"target has shape \(4, 1\); expected that of"):
            alone(x, np.ones((4, 1)))
        with pytest.raises(ValueError, match="reduction is 'max'; expected one of 'none'"):
            alone(x, x, reduction="max")
        with pytest.raises(TypeError, match="masked array"):
            alone(x, np.ma.masked_array(x))
        with pytest.raises(TypeError, match="has dtype complex128"):
            alone(x + 0j, x)
    with pytest.raises(ValueError, match=r"target\[1, 2\] is 0\.0; expected 1 or -1"):
        losses.hinge_loss(x, np.array([[1] * 3, [1, -1, 0], [1] * 3, [0] * 3]).astype(float))
    with pytest.raises(ValueError, match=r"delta is 0\.0; expected a number in \(0, inf"):
        losses.huber_loss(x, x, delta=0.0)
    with pytest.raises(TypeError, match="delta is 'a'; expected a number"):
        losses.huber_loss(x, x, delta="a")
    with pytest.raises(ValueError, match=r"weight has shape \(3,\); expected that of input, \(4"):
        losses.mse_loss(x, x, weight=np.ones(3))
    with pytest.raises(ValueError, match=r"pos_weight has shape \(4,\); expected one that broad"):
        fm.binary_cross_entropy_with_logits(x, x, pos_weight=np.ones(4))
    with pytest.raises(ValueError, match=r"grad_out has shape \(3,\); expected \(4, 3\)"):
        losses.mse_loss_with_grad(x, x, grad_out=np.ones(3))
    with pytest.raises(ValueError, match="reduction is 'batchmean'; expected one of 'none'"):
        losses.mse_loss(x, x, reduction="batchmean")


PAIRS = stnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.tuples(st.just(2), st.integers(1, 80)),
    elements=st.floats(-50, 50, width=32),
)


@given(PAIRS)
def test_losses_are_not_negative_and_vanish_at_the_target(drawn):
    x, t = drawn
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        with_grad, _, _ = functions(name)
        each, slope = with_grad(x, t, reduction="none")
        assert np.all(each >= 0)
        assert np.all(np.sign(slope) == np.sign(x - t))
        assert with_grad(x, x)[0] == 0


@given(PAIRS)
def test_binary_questions_are_symmetric(drawn):
    """The answer yes to x is the answer no to -x."""
    x, t = drawn[0], (drawn[1] > 0).astype(drawn.dtype)
    loss, grad = fm.binary_cross_entropy_with_logits_with_grad(x, t, reduction="none")
    mirrored, slope = fm.binary_cross_entropy_with_logits_with_grad(-x, 1 - t, reduction="none")
    assert_same_bits(loss, mirrored)
    assert np.array_equal(grad, -slope)
