"""Optimizer steps, gradients of linear models, fits."""

from functools import partial

import numpy as np

from ..peers import optim as by
from .base import Bar, Case, Inputs, normal

TINY_LR = 1e-6  # a step moves little, so that repeated calls stay within the tolerance


def take_steps(name, inputs):
    """A step of ours on copies of the parameters; gives the first of them."""
    import fastmath_ml as fm

    params = [p.copy() for p in inputs.args[0]]
    grads = inputs.args[1]
    step = getattr(fm.optim, name)(params, **inputs.kwargs).step

    def call():
        step(grads)
        return params[0]

    return call


def first_step(name, inputs):
    from fastmath_ml import reference

    params = [p.astype(np.float64) for p in inputs.args[0]]
    getattr(reference, name)(params, **inputs.kwargs).step(inputs.args[1])
    return params[0]


def step_case(name, n_arrays, n_elements, bytes_per_element, *, options=None, **case_options):
    """One step of a list of float32 arrays."""

    def make(rng):
        params, grads = (
            [normal(rng, (n_elements,), "float32") for _ in range(n_arrays)] for _ in range(2)
        )
        return Inputs((params, grads), {"lr": TINY_LR, **(options or {})})

    n_total = n_arrays * n_elements
    what = f"{n_arrays} of {n_elements}" if n_arrays > 1 else f"{n_elements}"
    return Case(
        f"optim.{name}",
        f"float32 {what}" + "".join(f" {key}" for key in options or {}),
        make,
        peers={"torch": partial(by.torch_step, name)},
        flops=10.0 * n_total,
        bytes=float(bytes_per_element * n_total),
        atol=20 * TINY_LR,
        call=partial(take_steps, name),
        expect=partial(first_step, name),
        **case_options,
    )


STEPS = [
    case
    for name, options, n_bytes in (
        ("Adam", None, 28),
        ("AdamW", None, 28),
        ("SGD", {"momentum": 0.9}, 20),
        ("RMSprop", None, 20),
    )
    for case in (
        step_case(name, 1, 10_000_000, n_bytes, options=options, bars=(Bar("optim", 0.97),)),
        step_case(
            name,
            100,
            10_000,
            n_bytes,
            options=options,
            bars=(Bar("optim", 1.5),),
            quick=name == "Adam",
        ),
        step_case(
            name,
            1,
            100,
            n_bytes,
            options=options,
            bars=(Bar("optim", 1.0, against=2e-6),),
            is_overhead=True,
        ),
    )
]
STEPS.append(step_case("Adagrad", 100, 10_000, 20))

STEPS.append(
    Case(
        "optim.clip_grad_norm",
        "float32 100 of 10000",
        lambda rng: Inputs(
            ([normal(rng, (10_000,), "float32") for _ in range(100)], 1e6),
        ),
        peers={"torch": by.torch_clip_grad_norm},
        flops=2e6,
        bytes=4e6,
        rtol=1e-5,
    )
)

# losses with gradients


def loss_case(kind, n_rows, n_features, n_outputs=1, **options):
    """One model, several that share y, or the classes of a softmax; float32, no intercept."""

    def make(rng):
        X = normal(rng, (n_rows, n_features), "float32")
        shape = (n_features,) if n_outputs == 1 else (n_outputs, n_features)
        coef = normal(rng, shape, "float32", scale=n_features**-0.5)
        y = rng.integers(0, n_outputs if kind == "softmax" else 2, n_rows)
        return Inputs((X, y if kind == "softmax" else y.astype(np.float32), coef))

    outputs = (
        "" if n_outputs == 1 else f" {n_outputs} {'classes' if kind == 'softmax' else 'models'}"
    )
    return Case(
        f"optim.{kind}_loss_with_grad",
        f"float32 {n_rows}x{n_features}{outputs}",
        make,
        flops=4.0 * n_rows * n_features * n_outputs,
        bytes=4.0 * n_rows * n_features,
        atol=1e-5,
        call=partial(loss_and_grad, kind),
        expect=partial(reference_loss_and_grad, kind),
        **options,
    )


def loss_and_grad(kind, inputs):
    import fastmath_ml as fm

    function = getattr(fm.optim, f"{kind}_loss_with_grad")
    return lambda: function(*inputs.args)[:2]


def reference_loss_and_grad(kind, inputs):
    from fastmath_ml import reference

    return getattr(reference, f"{kind}_loss_with_grad")(*inputs.args)[:2]


LOGISTIC_PEERS = {
    "numpy": by.numpy_logistic,
    "torch": by.torch_logistic,
    "sklearn": by.sklearn_logistic,
}
LOSSES = [
    loss_case(
        "logistic",
        100_000,
        256,
        peers={**LOGISTIC_PEERS, "read": None},
        bars=(Bar("optim", 2.5),),
    ),
    loss_case("logistic", 10_000, 256, peers=LOGISTIC_PEERS, quick=True),
    loss_case(
        "logistic",
        100_000,
        256,
        16,
        peers={"fma": None},
        bars=(Bar("optim", 0.7, against="fma"),),
    ),
    loss_case(
        "softmax",
        100_000,
        256,
        10,
        peers={"torch": by.torch_softmax_loss, "sklearn": by.sklearn_softmax_loss},
        bars=(Bar("optim", 1.5, against="torch"),),
    ),
    loss_case("softmax", 10_000, 64, 10, peers={"torch": by.torch_softmax_loss}),
    loss_case("linear", 10_000, 256, peers={"numpy": by.numpy_linear}),
]

# fits


def classification(rng, n_rows, n_features, n_classes):
    """Gaussian classes that overlap."""
    centres = rng.standard_normal((n_classes, n_features)) / n_features**0.25
    y = rng.integers(0, n_classes, n_rows)
    return centres[y] + rng.standard_normal((n_rows, n_features)), y


def fit_case(name, n_rows, n_features, n_classes, **options):
    """To the loss of scikit-learn's lbfgs with C = 1; float64."""

    def make(rng):
        X, y = classification(rng, n_rows, n_features, max(n_classes, 2))
        if n_classes == 1:
            y = X @ rng.standard_normal(n_features) + rng.standard_normal(n_rows)
        return Inputs((X, y), {"l2": 1 / n_rows})

    return Case(
        f"optim.{name}",
        f"float64 {n_rows}x{n_features}" + (f" {n_classes} classes" if n_classes > 1 else ""),
        make,
        peers={"sklearn": by.sklearn_fit},
        flops=4.0 * n_rows * n_features * max(1, n_classes * (n_classes > 2)) * 20,
        bytes=8.0 * n_rows * n_features * 20,
        dtype="float64",
        rtol=1e-6,
        call=partial(fitted_loss, name),
        expect=least_loss,
        **options,
    )


def fitted_loss(name, inputs):
    import fastmath_ml as fm

    fit = getattr(fm.optim, name)
    return lambda: fit(*inputs.args, **inputs.kwargs, tol=by.FIT_TOL).losses[-1]


def least_loss(inputs):
    """The minimum, by SciPy on the reference's loss."""
    from scipy.optimize import minimize

    from fastmath_ml import reference

    X, y = inputs.args
    kinds = {"f": "linear", "i": "logistic" if y.max() == 1 else "softmax"}
    loss = getattr(reference, f"{kinds[y.dtype.kind]}_loss_with_grad")
    n_outputs = y.max() + 1 if y.dtype.kind == "i" and y.max() > 1 else 1
    n_coef = n_outputs * X.shape[1]

    def objective(x):
        coef, bias = x[:n_coef], x[n_coef:]
        coef, bias = (coef, bias[0]) if n_outputs == 1 else (coef.reshape(n_outputs, -1), bias)
        value, grad, bias_grad = loss(X, y, coef, bias, **inputs.kwargs)
        return value, np.concatenate([grad.ravel(), np.atleast_1d(bias_grad)])

    start = np.zeros(n_coef + n_outputs)
    return minimize(objective, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-7}).fun


FITS = [
    fit_case("fit_logistic", 200_000, 100, 2, bars=(Bar("optim", 2.0),)),
    fit_case("fit_softmax", 200_000, 100, 5, bars=(Bar("optim", 2.0),)),
    fit_case("fit_logistic", 2000, 20, 2, quick=True),
    fit_case("fit_softmax", 2000, 20, 5),
    fit_case("fit_linear", 2000, 20, 1),
]

CASES = [*STEPS, *LOSSES, *FITS]
