"""Activations and the softmax family."""

import math

import numpy as np

from ..peers import machine
from ..peers import special as by
from .base import Bar, Case, Inputs, eps, normal

SOFTMAX_PEERS = {"scipy": by.scipy_softmax, "torch": by.torch_softmax}
SOFTMAX_ROWS_PEERS = {**SOFTMAX_PEERS, "sklearn": by.sklearn_softmax}
SAME_ALONG_ANY_AXIS = Bar("foundation", 1 / 1.5, against="last axis")


def softmax_case(shape, dtype="float32", axis=-1, *, with_out=True, note="", **options):
    def make(rng):
        x = normal(rng, shape, dtype, scale=3.0)
        return Inputs((x,), {"axis": axis}, np.zeros_like(x) if with_out else None)

    label = f"{dtype} {'x'.join(map(str, shape))}"
    n_elements = math.prod(shape)
    return Case(
        "softmax",
        label + ("" if axis == -1 else f" axis={axis}") + note,
        make,
        flops=5.0 * n_elements,  # compare, subtract, exp, add, multiply
        bytes=2.0 * n_elements * np.dtype(dtype).itemsize,
        dtype=dtype,
        rtol=64 * eps(dtype),  # rounding x - max alone costs eps * |x - max|
        **options,
    )


def softmax_rows(shape, vs_torch, share_of_copy=None):
    bars = [Bar("foundation", vs_torch, against="torch")]
    if share_of_copy:
        bars.append(Bar("foundation", share_of_copy, against="copyto"))
    peers = {**SOFTMAX_ROWS_PEERS, "copyto": machine.copyto}
    return softmax_case(shape, peers=peers, bars=tuple(bars), quick=shape == (4096, 1024))


def softmax_columns(shape, axis=0, quick=False):
    peers = {**SOFTMAX_PEERS, "copyto": machine.copyto, "last axis": by.last_axis_softmax}
    return softmax_case(shape, axis=axis, peers=peers, bars=(SAME_ALONG_ANY_AXIS,), quick=quick)


CALL = (Bar("special", 1.0, against=1.2e-6),)


def call_case(op, *, peers, n_arrays=1, axis=None, note="", **options):
    """What a call of ten elements costs."""
    kwargs = {} if axis is None else {"axis": axis}

    def make(rng):
        arrays = tuple(rng.uniform(0.1, 0.9, 10).astype("float32") for _ in range(n_arrays))
        return Inputs(arrays, {**kwargs, **options})

    return Case(
        op,
        f"float32 10{note} call",
        make,
        peers,
        flops=50.0,
        bytes=80.0,
        rtol=64 * eps("float32"),
        atol=4 * eps("float32"),
        bars=CALL,
        is_overhead=True,
    )


def activation_case(op, peers, bars=(), note="", n=10_000_000, **options):
    """10^7 elements are far more than the caches hold; into an array."""

    def make(rng):
        x = normal(rng, n, "float32", scale=2.0)
        if op == "special.logit":
            x = rng.uniform(0, 1, n).astype("float32")
        return Inputs((x,), options, np.zeros_like(x))

    return Case(
        op,
        f"float32 {n}{note}",
        make,
        peers={**peers, "copyto": machine.copyto},
        flops=20.0 * n,
        bytes=8.0 * n,
        rtol=8 * eps("float32"),
        atol=eps("float32"),
        bars=bars,
    )


def reduction_case(op, shape, peers, bars=(), quick=False, axis=-1):
    def make(rng):
        x = normal(rng, shape, "float32", scale=3.0)
        return Inputs((x,), {"axis": axis}, np.zeros_like(x) if op == "log_softmax" else None)

    n = math.prod(shape)
    if op == "log_softmax":
        peers = {**peers, "copyto": machine.copyto}
    return Case(
        op,
        f"float32 {'x'.join(map(str, shape))}" + ("" if axis == -1 else f" axis={axis}"),
        make,
        peers,
        flops=4.0 * n,
        bytes=(8.0 if op == "log_softmax" else 4.0) * n,
        rtol=16 * eps("float32"),
        atol=64 * eps("float32"),
        bars=bars,
        quick=quick,
    )


def gradient_case(op, shape, peers, bars=(), axis=-1):
    def make(rng):
        y = np.abs(normal(rng, shape, "float32"))
        y /= y.sum(axis=axis, keepdims=True)
        if "log" in op:
            y = np.log(y)
        grad = normal(rng, shape, "float32")
        return Inputs((y, grad), {"axis": axis}, np.zeros_like(y))

    n = math.prod(shape)
    return Case(
        op,
        f"float32 {'x'.join(map(str, shape))}" + ("" if axis == -1 else f" axis={axis}"),
        make,
        peers,
        flops=4.0 * n,
        bytes=12.0 * n,
        rtol=64 * eps("float32"),
        atol=64 * eps("float32"),
        bars=bars,
    )


def vs_torch(at_least):
    return (Bar("special", at_least, against="torch"),)


FASTER_THAN_ALL = (Bar("special", 2.5),)
ACTIVATION = (Bar("special", 1.2, against="torch"), Bar("special", 0.7, against="copyto"))
SUMS = {"scipy": by.scipy_special("logsumexp"), "torch": by.torch_logsumexp}
LOGARITHMS = {"scipy": by.scipy_special("log_softmax"), "torch": by.torch_log_softmax}
BACKWARD = {"torch": by.torch_backward("_softmax_backward_data")}
LOG_BACKWARD = {"torch": by.torch_backward("_log_softmax_backward_data")}
SHAPES = [(4096, 1024), (64, 50257), (100_000, 10)]
ACTIVATIONS = {
    "expit": {"scipy": by.scipy_special("expit"), "torch": by.torch_activation("sigmoid")},
    "special.log_expit": {"scipy": by.scipy_special("log_expit")},
    "special.logit": {"scipy": by.scipy_special("logit"), "torch": by.torch_activation("logit")},
    "special.softplus": {"torch": by.torch_activation("softplus")},
    "special.relu": {"torch": by.torch_activation("relu")},
    "special.gelu": {"torch": by.torch_activation("gelu")},
    "special.silu": {"torch": by.torch_activation("silu")},
    "special.tanh": {"numpy": by.numpy_tanh, "torch": by.torch_activation("tanh")},
}
WITH_BARS = ("expit", "special.gelu", "special.silu", "special.tanh")
GELU_TANH = {"torch": by.torch_activation("gelu", approximate="tanh")}


CASES = [
    softmax_case(
        (10,),
        with_out=False,
        note=" call",
        peers=SOFTMAX_PEERS,
        bars=(Bar("foundation", 1.0, against=1.2e-6),),
        quick=True,
        is_overhead=True,
    ),
    softmax_rows((4096, 1024), vs_torch=1.3, share_of_copy=0.6),
    softmax_rows((64, 50257), vs_torch=1.3, share_of_copy=0.6),
    softmax_rows((100_000, 10), vs_torch=1.5),
    softmax_columns((4096, 1024)),
    softmax_columns((50257, 64)),
    softmax_columns((10, 100_000)),
    softmax_columns((64, 1024, 64), axis=1),
    softmax_case((4096, 1024), "float64", peers={**SOFTMAX_ROWS_PEERS, "copyto": machine.copyto}),
    *[
        reduction_case("log_softmax", shape, LOGARITHMS, vs_torch(at_least))
        for shape, at_least in zip(SHAPES, (1.3, 1.3, 1.5), strict=True)
    ],
    reduction_case("log_softmax", (4096, 1024), LOGARITHMS, vs_torch(1.3), axis=0),
    *[
        reduction_case("logsumexp", shape, SUMS, FASTER_THAN_ALL, shape == (4096, 1024))
        for shape in SHAPES
    ],
    reduction_case("logsumexp", (4096, 1024), SUMS, axis=0),
    *[
        gradient_case(op, shape, peers, vs_torch(1.3), axis)
        for op, peers in (
            ("special.softmax_grad", BACKWARD),
            ("special.log_softmax_grad", LOG_BACKWARD),
        )
        for shape, axis in ((SHAPES[0], -1), (SHAPES[1], -1), (SHAPES[0], 0))
    ],
    *[
        activation_case(
            op,
            peers,
            (*ACTIVATION, *([Bar("special", 4, against="scipy")] if op == "expit" else []))
            if op in WITH_BARS
            else (),
        )
        for op, peers in ACTIVATIONS.items()
    ],
    activation_case("special.gelu", GELU_TANH, ACTIVATION, note=" tanh", approximate="tanh"),
    *[call_case(op, peers=peers) for op, peers in ACTIVATIONS.items()],
    call_case("log_softmax", peers=LOGARITHMS, axis=0),
    call_case("logsumexp", peers=SUMS, axis=0),
    call_case("special.softmax_grad", peers={}, n_arrays=2, axis=0),
    call_case("special.log_softmax_grad", peers={}, n_arrays=2, axis=0),
]
