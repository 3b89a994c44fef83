"""linear_cross_entropy against float64, its chunks and slabs, and its working memory."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import LAYOUTS, assert_same_bits, assert_within, eps, layout, normal

import fastmath_ml as fm
from fastmath_ml import reference


def problem(rng, n_tokens, width, n_classes, dtype):
    x = normal(rng, (n_tokens, width), dtype)
    w = normal(rng, (n_classes, width), dtype, scale=1 / width**0.5)
    target = rng.integers(0, n_classes, n_tokens)
    target[::7] = -100
    return x, w, target, normal(rng, n_classes, dtype)


def check(x, w, target, result, **options):
    """Errors of the logits are those of a product; they go through the loss as they are."""
    loss, grads = result
    dtype = x.dtype
    exact, expected = reference.linear_cross_entropy_with_grad(x, w, target, **options)
    norms = np.abs(x).max() * np.abs(w).sum(axis=1).max()
    logits_error = (x.shape[1] + 8) * eps(dtype) * (norms + 1)
    spread = (80 + 4 * norms) * eps(dtype)
    coefficients = 1.0 if options.get("reduction", "mean") == "mean" else x.shape[0]
    assert_within(loss, exact, coefficients * 3 * (spread + logits_error), dtype)
    for grad, right in zip(grads, expected, strict=True):
        if right is None:
            assert grad is None
            continue
        # Sums of as many terms as there are tokens or classes, of both signs.
        bound = (logits_error + spread) * 4 * np.abs(right).max() + 40 * eps(dtype) * np.abs(right)
        assert_within(grad, right, bound, dtype)


# Chunks of 512 tokens, of fewer for many classes; slabs of classes beyond 87 000 float32.
SIZES = [
    (1, 1, 1), (1, 5, 3), (7, 3, 65), (40, 16, 10), (600, 9, 100), (1100, 33, 30), (50, 40, 5000),
    (300, 8, 40_000), (3, 1, 1000), (130, 5, 90_001),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sizes(size, dtype, rng):
    x, w, target, bias = problem(rng, *size, dtype)
    target[0] = 0
    for options in ({}, {"linear_bias": bias, "reduction": "sum"}):
        result = fm.linear_cross_entropy_with_grad(x, w, target, **options)
        check(x, w, target, result, **options)
        alone = fm.linear_cross_entropy(x, w, target, **options)
        assert_within(alone, float(result[0]), 40 * eps(dtype) * abs(float(result[0])), dtype)


@pytest.mark.parametrize("size", [(40, 16, 70), (300, 8, 20_000), (130, 5, 90_001)], ids=str)
def test_options(size, dtype, rng):
    x, w, target, bias = problem(rng, *size, dtype)
    weight = rng.uniform(0.5, 2, size[2]).astype(dtype)
    soft = rng.random((size[0], size[2])).astype(dtype)
    soft /= soft.sum(axis=1, keepdims=True)
    options = {"linear_bias": bias, "weight": weight, "label_smoothing": 0.1}
    for labels in (target, soft):
        result = fm.linear_cross_entropy_with_grad(x, w, labels, **options)
        check(x, w, labels, result, **options)
    each, _ = fm.linear_cross_entropy_with_grad(x, w, target, reduction="none", linear_bias=bias)
    logits = (x.astype("f8") @ w.T.astype("f8") + bias).astype(dtype)
    apart = fm.cross_entropy(logits, target, reduction="none")
    bound = 20 * (size[1] + 8) * eps(dtype) * (1 + np.abs(logits).max())
    assert_within(each, apart.astype(np.float64), bound, dtype)


@pytest.mark.parametrize("size", [(300, 40, 3000), (130, 5, 90_001)], ids=str)
def test_threads_change_no_bit(size, dtype, rng):
    x, w, target, bias = problem(rng, *size, dtype)
    with fm.num_threads(1):
        expected = fm.linear_cross_entropy_with_grad(x, w, target, linear_bias=bias)
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            loss, grads = fm.linear_cross_entropy_with_grad(x, w, target, linear_bias=bias)
        assert_same_bits(loss, expected[0])
        for grad, right in zip(grads, expected[1], strict=True):
            assert_same_bits(grad, right)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_and_grad_out(name, dtype, rng):
    x, w, target, bias = problem(rng, 20, 9, 33, dtype)
    expected = fm.linear_cross_entropy_with_grad(x, w, target, linear_bias=bias)
    args = [layout(array, name) for array in (x, w, bias)]
    result = fm.linear_cross_entropy_with_grad(*args[:2], target, linear_bias=args[2])
    outs = tuple(layout(np.zeros_like(array), name) for array in (x, w, bias))
    if not outs[0].flags.writeable:
        outs = (None,) * 3
    filled = fm.linear_cross_entropy_with_grad(x, w, target, linear_bias=bias, grad_out=outs)
    for out, own, own_out, right in zip(outs, result[1], filled[1], expected[1], strict=True):
        assert_same_bits(own, right)
        assert_same_bits(own_out, right)
        assert out is None or own_out is out


def test_gradients_over_the_inputs_and_each_other(dtype, rng):
    x, w, target, bias = problem(rng, 33, 9, 33, dtype)
    _, expected = fm.linear_cross_entropy_with_grad(x, w, target, linear_bias=bias)
    _, grads = fm.linear_cross_entropy_with_grad(
        *(x, w, target), linear_bias=bias, grad_out=(x, w, bias)
    )
    for grad, right in zip(grads, expected, strict=True):
        assert_same_bits(grad, right)


def test_one_row_and_none(dtype, rng):
    x, w, _, bias = problem(rng, 1, 9, 33, dtype)
    loss, grads = fm.linear_cross_entropy_with_grad(x[0], w, 3, linear_bias=bias)
    again, batch = fm.linear_cross_entropy_with_grad(x, w, [3], linear_bias=bias)
    assert_same_bits(loss, again)
    assert grads[0].shape == (9,)
    assert_same_bits(grads[1], batch[1])
    loss, grads = fm.linear_cross_entropy_with_grad(x[:0], w, np.ones(0, int), linear_bias=bias)
    assert np.isnan(loss)
    assert not grads[1].any()
    assert not grads[2].any()
    assert fm.linear_cross_entropy(x[:0], w, np.ones(0, int), reduction="none").shape == (0,)


def test_ignored_tokens_count_as_nothing(dtype, rng):
    x, w, target, bias = problem(rng, 60, 9, 700, dtype)
    x[::7] = np.nan
    loss, grads = fm.linear_cross_entropy_with_grad(x, w, target, linear_bias=bias)
    kept = target != -100
    again, own = fm.linear_cross_entropy_with_grad(x[kept], w, target[kept], linear_bias=bias)
    assert_within(loss, float(again), 8 * eps(dtype) * abs(float(again)))
    assert np.isfinite(grads[2]).all()
    assert not grads[0][~kept].any()
    assert_within(grads[0][kept], own[0].astype("f8"), 8 * eps(dtype) * np.abs(own[0]).max())


def test_errors_name_what_came_and_what_was_wanted():
    x, w = np.ones((4, 3)), np.ones((5, 3))
    with pytest.raises(ValueError, match=r"target\[2\] is 5; expected a class number from 0 to 4"):
        fm.linear_cross_entropy(x, w, [0, 1, 5, 9])
    with pytest.raises(
        ValueError, match=r"linear_weight has shape \(3, 5\); expected \(classes, 3"
    ):
        fm.linear_cross_entropy(x, w.T, [0] * 4)
    with pytest.raises(ValueError, match=r"linear_bias has shape \(3,\); expected \(5,\)"):
        fm.linear_cross_entropy(x, w, [0] * 4, linear_bias=np.ones(3))
    with pytest.raises(ValueError, match=r"input has shape \(1, 4, 3\); expected \(n_tokens"):
        fm.linear_cross_entropy(x[None], w, [0] * 4)
    with pytest.raises(TypeError, match="grad_out is ndarray; expected a tuple of three arrays"):
        fm.linear_cross_entropy_with_grad(x, w, [0] * 4, grad_out=x)
    with pytest.raises(ValueError, match=r"grad_out\[1\] has shape \(4, 3\); expected \(5, 3\)"):
        fm.linear_cross_entropy_with_grad(x, w, [0] * 4, grad_out=(None, x.copy(), None))
    with pytest.raises(ValueError, match=r"grad_out\[2\] is an array; expected None without"):
        fm.linear_cross_entropy_with_grad(x, w, [0] * 4, grad_out=(None, None, np.ones(5)))


MEMORY_PROGRAM = """
import resource
import numpy as np
import fastmath_ml as fm

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

n_tokens, width, n_classes = {size}
x = np.ones((n_tokens, width), "f")
w = np.full((n_classes, width), 0.01, "f")
grads = np.ones_like(x), np.ones_like(w), np.ones(n_classes, "f")
target = np.arange(n_tokens) % n_classes
small = slice(0, 40)
with fm.num_threads(2):
    fm.matmul(x[small, :], w[:30, :].T)
before = peak()
with fm.num_threads(2):
    fm.linear_cross_entropy_with_grad(x, w, target, linear_bias=grads[2].copy(), grad_out=grads)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in KiB")
@pytest.mark.parametrize(
    "size", [(1000, 64, 32_000), (300, 64, 100_000), (300, 40, 300_000), (2000, 2304, 300)], ids=str
)
def test_working_memory(size):
    """At most 32 MiB beyond inputs and gradients; all logits would be 126, 114, 343, 2 MiB."""
    program = MEMORY_PROGRAM.format(size=size)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=None
    )
    assert int(done.stdout) < 32 << 10
