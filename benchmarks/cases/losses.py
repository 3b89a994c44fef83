"""Losses with their gradients."""

import math
from functools import partial
from operator import attrgetter

import numpy as np

from ..peers import losses as by
from ..peers import machine
from .base import Bar, Case, Inputs, eps, normal

AREA = "losses"
VS_TORCH = (Bar(AREA, 1.3, against="torch"),)
AS_TORCH = (Bar(AREA, 1.0, against="torch"),)
TEN_ELEMENT_CALL = (Bar(AREA, 1.0, against=1.2e-6),)


def with_grad_out(op, inputs):
    """Ours with the gradient written into an array that is there; torch's autograd allocates."""
    import fastmath_ml as fm

    return partial(attrgetter(op)(fm), *inputs.args, **inputs.kwargs, grad_out=inputs.out)


def cross_entropy_case(shape, at_least=None, *, with_grad, soft=False, note="", bars=(), **options):
    def make(rng):
        x = normal(rng, shape, "float32", scale=3.0)
        if soft:
            target = rng.random(shape, np.float32)
            target /= target.sum(axis=1, keepdims=True)
        else:
            target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
        return Inputs((x, target), out=np.zeros_like(x) if with_grad else None)

    op = "cross_entropy_with_grad" if with_grad else "cross_entropy"
    n_elements = math.prod(shape)
    if at_least:
        bars = (Bar(AREA, at_least, against="torch"), *bars)
    peer = by.torch_loss_with_grad if with_grad else by.torch_loss
    return Case(
        op,
        f"float32 {'x'.join(map(str, shape))}{' probabilities' * soft}{note}",
        make,
        peers={"torch": partial(peer, "cross_entropy")}
        | ({"copyto": machine.copyto} if with_grad else {}),
        flops=(5.0 + 2 * soft) * n_elements,
        bytes=4.0 * (1 + with_grad + soft) * n_elements + 8.0 * n_elements / shape[1],
        rtol=128 * eps("float32"),
        atol=64 * eps("float32") * shape[1] / n_elements,
        bars=bars,
        call=partial(with_grad_out, op) if with_grad else None,
        **options,
    )


def element_case(name, shape, flops, bars=VS_TORCH, **options):
    """A loss per element with its gradient, beside a copy: each reads one array more."""
    is_public = name == "binary_cross_entropy_with_logits"
    op = f"{name}_with_grad" if is_public else f"losses.{name}_with_grad"

    def make(rng):
        x, target = normal(rng, shape, "float32"), rng.random(shape, np.float32)
        if name == "hinge_loss":
            target = np.where(target > 0.5, np.float32(1), np.float32(-1))
        # torch warns at each mean of kl_div.
        options = {"reduction": "sum"} if name == "kl_div" else {}
        return Inputs((x, target), options, out=np.zeros_like(x))

    n_elements = math.prod(shape)
    torch_peer = partial(by.torch_loss_with_grad, name)
    return Case(
        op,
        f"float32 {'x'.join(map(str, shape))}",
        make,
        peers={"torch": by.torch_hinge_with_grad if name == "hinge_loss" else torch_peer},
        flops=flops * n_elements,
        bytes=12.0 * n_elements,
        rtol=32 * eps("float32"),
        atol=32 * eps("float32") / n_elements,
        bars=bars,
        call=partial(with_grad_out, op),
        **options,
    )


def nll_case(n_rows=4096, n_classes=1000, bars=AS_TORCH, **options):
    def make(rng):
        x = -np.abs(normal(rng, (n_rows, n_classes), "float32"))
        return Inputs((x, rng.integers(0, n_classes, n_rows)), out=np.zeros_like(x))

    op = "losses.nll_loss_with_grad"
    return Case(
        op,
        f"float32 {n_rows}x{n_classes}",
        make,
        peers={"torch": partial(by.torch_loss_with_grad, "nll_loss")},
        flops=float(n_rows),
        bytes=4.0 * n_rows * n_classes,
        rtol=32 * eps("float32"),
        bars=bars,
        call=partial(with_grad_out, op),
        **options,
    )


def binary_case():
    def make(rng):
        return Inputs((normal(rng, (10,), "float32"), rng.random(10, np.float32)))

    return Case(
        "binary_cross_entropy_with_logits",
        "float32 10 call",
        make,
        peers={"torch": partial(by.torch_loss, "binary_cross_entropy_with_logits")},
        flops=100.0,
        bytes=80.0,
        rtol=32 * eps("float32"),
        bars=TEN_ELEMENT_CALL,
        is_overhead=True,
    )


def linear_with_grad_out(inputs):
    import fastmath_ml as fm

    x, w, _ = inputs.args
    outs = np.zeros_like(x), np.zeros_like(w), None

    def call():
        loss, grads = fm.linear_cross_entropy_with_grad(*inputs.args, grad_out=outs)
        return loss, grads[:2]

    return call


def linear_reference(inputs):
    """In chunks of tokens: in float64 the logits as a whole would take gigabytes."""
    from fastmath_ml import reference

    x, w, target = inputs.args
    wide = w.astype(np.float64)
    loss, grad_x, grad_w = 0.0, np.zeros(x.shape), np.zeros(w.shape)
    for first in range(0, len(x), 256):
        rows = slice(first, first + 256)
        part = x[rows].astype(np.float64)
        share, grad = reference.cross_entropy_with_grad(
            part @ wide.T, target[rows], reduction="sum"
        )
        loss += share / len(x)
        grad_x[rows] = grad @ wide / len(x)
        grad_w += grad.T @ part / len(x)
    return loss, (grad_x, grad_w)


def linear_case(n_tokens, width, n_classes, *, with_grad, **options):
    """One product without the gradients, three with them."""

    def make(rng):
        x = normal(rng, (n_tokens, width), "float32")
        w = normal(rng, (n_classes, width), "float32", scale=width**-0.5)
        return Inputs((x, w, rng.integers(0, n_classes, n_tokens)))

    n_arrays = 2 if with_grad else 1
    return Case(
        "linear_cross_entropy_with_grad" if with_grad else "linear_cross_entropy",
        f"float32 {n_tokens}x{width}x{n_classes}",
        make,
        peers={"torch": by.torch_linear_with_grads if with_grad else by.torch_linear},
        flops=2.0 * n_tokens * width * n_classes * (3 if with_grad else 1),
        bytes=4.0 * n_arrays * width * (n_tokens + n_classes),
        rtol=1e-4,
        atol=2e-5 / n_tokens,
        call=linear_with_grad_out if with_grad else None,
        expect=linear_reference if with_grad else None,
        **options,
    )


CASES = [
    cross_entropy_case(
        (1, 10), with_grad=False, note=" call", bars=TEN_ELEMENT_CALL, is_overhead=True
    ),
    cross_entropy_case(
        (1, 10), with_grad=True, note=" call", bars=TEN_ELEMENT_CALL, is_overhead=True
    ),
    cross_entropy_case((256, 50257), 6.0, with_grad=True),
    cross_entropy_case((4096, 1024), 2.5, with_grad=True, quick=True),
    cross_entropy_case((65536, 10), 2.5, with_grad=True),
    cross_entropy_case((256, 50257), 6.0, with_grad=False),
    cross_entropy_case((4096, 1024), 2.0, with_grad=False),
    cross_entropy_case((65536, 10), 2.0, with_grad=False),
    cross_entropy_case((256, 50257), 2.5, with_grad=True, soft=True),
    cross_entropy_case((4096, 1024), 2.5, with_grad=True, soft=True),
    cross_entropy_case((65536, 10), 2.5, with_grad=True, soft=True),
    cross_entropy_case((8, 21, 256, 256), 2.5, with_grad=True),
    cross_entropy_case((16, 1000, 1024), 2.5, with_grad=True),
    linear_case(512, 128, 4000, with_grad=True, quick=True),
    linear_case(512, 128, 4000, with_grad=False),
    linear_case(4096, 512, 32000, with_grad=True, bars=(Bar(AREA, 1.3, against="torch"),)),
    nll_case(),
    binary_case(),
    element_case("mse_loss", (1000, 1000), 4.0),
    element_case("l1_loss", (1000, 1000), 4.0),
    element_case("huber_loss", (1000, 1000), 8.0),
    element_case("kl_div", (1000, 1000), 20.0),
    element_case("hinge_loss", (1000, 1000), 4.0),
    element_case("binary_cross_entropy_with_logits", (1000, 1000), 40.0),
]
