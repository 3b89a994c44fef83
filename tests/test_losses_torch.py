"""Differential test: torch's losses and gradients on random options."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastmath_ml as fm
from fastmath_ml import losses

torch = pytest.importorskip("torch")
F = torch.nn.functional


def torch_result(function, x, *args, **options):
    """(loss, gradient of its sum) in float64."""

    def tensor(value):
        if not isinstance(value, np.ndarray):
            return value
        kind = value.dtype.kind
        return torch.from_numpy(value.astype(np.float64) if kind == "f" else value)

    leaf = tensor(x).requires_grad_()
    options = {name: tensor(value) for name, value in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = function(leaf, *map(tensor, args), **options)
    loss.sum().backward()
    return loss.detach().numpy(), leaf.grad.numpy()


def check(ours, theirs, dtype, units=200, least=0.0):
    """Within so many rounding units of the largest element, or within `least` of those of 1."""
    for mine, other in zip(ours, theirs, strict=True):
        assert np.shape(mine) == other.shape
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(other))
        scale = np.max(np.abs(np.nan_to_num(other)), initial=0.0)
        tolerance = max(units * scale, least) * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance)


DTYPES = st.sampled_from([np.float32, np.float64])
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def class_shapes(draw):
    # Of one class the gradient is 0, and nothing to measure rounding by.
    n_classes = draw(st.sampled_from([2, 3, 10, 16, 17, 33, 40, 513, 700]))
    if draw(st.integers(0, 9)) == 0:
        return (n_classes,)
    rest = draw(st.lists(st.integers(1, 7), max_size=2))
    return (draw(st.integers(1, 20)), n_classes, *rest)


@given(
    *(class_shapes(), DTYPES, REDUCTIONS, SEEDS),
    *(st.booleans(), st.booleans(), st.sampled_from([0.0, 0.1, 1.0])),
)
def test_cross_entropy(shape, dtype, reduction, seed, weighted, soft, smoothing):
    rng = np.random.default_rng(seed)
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    axis = min(len(shape) - 1, 1)
    lines = shape[:axis] + shape[axis + 1 :]
    options = {"reduction": reduction, "label_smoothing": smoothing}
    if weighted:
        options["weight"] = rng.uniform(0.1, 2, shape[axis]).astype(dtype)
    if soft:
        target = rng.random(shape).astype(dtype)
    else:
        target = np.asarray(rng.integers(0, shape[axis], lines))
        options["ignore_index"] = int(rng.choice([-100, 0, shape[axis] // 2]))
    theirs = torch_result(F.cross_entropy, x, target, **options)
    check(fm.cross_entropy_with_grad(x, target, **options), theirs, dtype)
    alone = fm.cross_entropy(x, target, **options)
    check((alone,), theirs[:1], dtype)


@given(class_shapes(), DTYPES, REDUCTIONS, SEEDS, st.booleans())
def test_nll_loss(shape, dtype, reduction, seed, weighted):
    rng = np.random.default_rng(seed)
    axis = min(len(shape) - 1, 1)
    x = rng.standard_normal(shape).astype(dtype)
    target = np.asarray(rng.integers(0, shape[axis], shape[:axis] + shape[axis + 1 :]))
    options = {"reduction": reduction, "ignore_index": int(rng.choice([-100, 0]))}
    if weighted:
        options["weight"] = rng.uniform(0.1, 2, shape[axis]).astype(dtype)
    theirs = torch_result(F.nll_loss, x, target, **options)
    check(losses.nll_loss_with_grad(x, target, **options), theirs, dtype, units=2000)


@given(
    st.sampled_from(["mse_loss", "l1_loss", "huber_loss"]),
    *(st.lists(st.integers(1, 9), max_size=3), DTYPES, REDUCTIONS, SEEDS, st.booleans()),
)
def test_distances(name, shape, dtype, reduction, seed, weighted):
    rng = np.random.default_rng(seed)
    x, target = (np.asarray(rng.standard_normal(shape), dtype) for _ in range(2))
    options = {"reduction": reduction}
    if name == "huber_loss":
        options["delta"] = float(rng.uniform(0.1, 3))
    if weighted:
        options["weight"] = np.asarray(rng.uniform(0.1, 2, shape), dtype)
    theirs = torch_result(getattr(F, name), x, target, **options)
    check(getattr(losses, f"{name}_with_grad")(x, target, **options), theirs, dtype)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    *(DTYPES, st.sampled_from(["mean", "sum", "none", "batchmean"]), SEEDS, st.booleans()),
)
def test_kl_div(shape, dtype, reduction, seed, log_target):
    rng = np.random.default_rng(seed)
    x = np.log(rng.dirichlet(np.ones(shape[1]), shape[0]) + 1e-3).astype(dtype)
    target = rng.dirichlet(np.ones(shape[1]), shape[0]).astype(dtype)
    if log_target:
        target = np.log(target + dtype(1e-3))
    elif seed % 2:
        target[:, 0] = 0
    options = {"reduction": reduction, "log_target": log_target}
    theirs = torch_result(F.kl_div, x, target, **options)
    check(losses.kl_div_with_grad(x, target, **options), theirs, dtype, units=20_000)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    *(DTYPES, REDUCTIONS, SEEDS, st.booleans(), st.booleans()),
)
def test_binary_cross_entropy_with_logits(shape, dtype, reduction, seed, weighted, positive):
    rng = np.random.default_rng(seed)
    x = (5 * rng.standard_normal(shape)).astype(dtype)
    target = rng.random(shape).astype(dtype)
    options = {"reduction": reduction}
    if weighted:
        options["weight"] = rng.uniform(0.1, 2, (shape[0], 1)).astype(dtype)
    if positive:
        options["pos_weight"] = rng.uniform(0.1, 9, shape[1]).astype(dtype)
    theirs = torch_result(F.binary_cross_entropy_with_logits, x, target, **options)
    ours = fm.binary_cross_entropy_with_logits_with_grad(x, target, **options)
    check(ours, theirs, dtype)


@given(
    st.sampled_from([1, 3, 40, 300]),
    *(st.sampled_from([1, 5, 33]), st.sampled_from([2, 17, 700]), DTYPES, REDUCTIONS, SEEDS),
    *(st.booleans(), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.2])),
)
def test_linear_cross_entropy(
    n_tokens, width, n_classes, dtype, reduction, seed, biased, weighted, soft, smoothing
):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_tokens, width)).astype(dtype)
    w = rng.standard_normal((n_classes, width)).astype(dtype)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    bias = rng.standard_normal(n_classes).astype(dtype) if biased else None
    if weighted:
        options["weight"] = rng.uniform(0.1, 2, n_classes).astype(dtype)
    target = rng.integers(0, n_classes, n_tokens)
    if soft:
        target = rng.random((n_tokens, n_classes)).astype(dtype)
    tensors = [torch.from_numpy(a.astype(np.float64)).requires_grad_() for a in (x, w)]
    if biased:
        tensors.append(torch.from_numpy(bias.astype(np.float64)).requires_grad_())
    theirs = F.linear_cross_entropy(
        *tensors[:2],
        torch.from_numpy(target.astype(np.float64) if soft else target),
        linear_bias=tensors[2] if biased else None,
        **{k: torch.from_numpy(v.astype("f8")) if k == "weight" else v for k, v in options.items()},
    )
    theirs.sum().backward()
    loss, grads = fm.linear_cross_entropy_with_grad(x, w, target, linear_bias=bias, **options)
    assert (grads[2] is None) != biased
    ours = (loss, *(grad for grad in grads if grad is not None))
    expected = (theirs.detach().numpy(), *(tensor.grad.numpy() for tensor in tensors))
    # A loss near 0 is the difference of logits, which are rounded, and its gradient has p - 1.
    size = float(np.abs(x @ w.T + (0 if bias is None else bias)).max())
    check(ours, expected, dtype, units=1000, least=size)
    alone = fm.linear_cross_entropy(x, w, target, linear_bias=bias, **options)
    check((alone,), expected[:1], dtype, units=1000, least=size)
