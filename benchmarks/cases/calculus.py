"""Functions of the caller: descents, derivatives, roots, integrals.

The functions stand here, written as a user would write them for one problem; peers.calculus has
them as each peer wants them.
"""

from functools import partial
from operator import attrgetter

import numpy as np

from ..peers import calculus as by
from .base import Bar, Case, Inputs

N_STEPS = 1000
LR = 0.01


def rosenbrock(x):
    total = 0.0
    for i in range(len(x) - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def rosenbrock_slope(x):
    slope = np.zeros_like(x)
    for i in range(len(x) - 1):
        rise = x[i + 1] - x[i] ** 2
        slope[i] += -400.0 * x[i] * rise - 2.0 * (1.0 - x[i])
        slope[i + 1] += 200.0 * rise
    return slope


def waves(x, a):
    total = np.exp(np.dot(a, x) / 10.0)
    for i in range(len(x) - 1):
        total += np.sin(x[i] * x[i + 1])
    return total


def cubic(x, a):
    return x * x * x + x - a


def cubic_slope(x, a):
    return 3.0 * x * x + 1.0


def damped(x, a):
    return np.exp(-x) * np.sin(a * x)


def circle(x):
    return np.array([x[0] * np.cos(x[1]), x[0] * np.sin(x[1]), x[0] * x[0]])


def call_ours(name, function, inputs, part=None, **options):
    """Our function `name` of `function`; of a result with parts one of them."""
    import fastmath_ml as fm

    call = partial(attrgetter(name)(fm), function, *inputs.args, **inputs.kwargs, **options)
    return call if part is None else lambda: getattr(call(), part)


# ---- descents ----


def descent_case(batch, n, n_steps, grad, peers, bars, quick=False):
    def make(rng):
        starts = rng.uniform(-1.0, 1.0, (batch, n))
        return Inputs((starts,), {"lr": LR, "max_iter": n_steps, "tol": 0.0})

    label = f"float64 rosenbrock {batch}x{n} {n_steps} steps" + " by dual numbers" * (grad is None)
    n_evaluations = batch * n_steps
    return Case(
        "optim.gradient_descent",
        label,
        make,
        peers=peers,
        flops=n_evaluations * (11.0 * (n - 1) + 12.0 * n),  # the slope in closed form, Adam
        bytes=2.0 * batch * n * 8,
        dtype="float64",
        # In a few of 10 000 problems Adam runs along an edge: rounding errors grow to 0.008.
        atol=0.02 if n_steps >= 1000 else 1e-7,
        bars=bars,
        quick=quick,
        call=lambda inputs: call_ours("optim.gradient_descent", rosenbrock, inputs, "x", grad=grad),
        expect=by.adam_in_numpy,
    )


VECTORISED = {"numpy": by.numpy_batch_descent, "jax": by.jax_descent}
DESCENTS = [
    descent_case(
        10_000,
        10,
        N_STEPS,
        rosenbrock_slope,
        VECTORISED,
        (Bar("calculus", 3.0, against="numpy"), Bar("calculus", 1.5, against="jax")),
    ),
    descent_case(
        10_000,
        10,
        N_STEPS,
        None,
        VECTORISED,
        (Bar("calculus", 3.0, against="numpy"), Bar("calculus", 1.5, against="jax")),
    ),
    descent_case(
        64,
        10,
        50,
        rosenbrock_slope,
        {"numpy": by.numpy_descent_per_problem},
        (Bar("calculus", 200.0, against="numpy"),),
    ),
]


# ---- derivatives ----


def waves_inputs(rng):
    a, x = rng.standard_normal(50), rng.standard_normal(50)
    return Inputs((x,), {"args": (a,)})


def waves_hessian(inputs):
    """In closed form."""
    (x,), (a,) = inputs.args, inputs.kwargs["args"]
    exact = np.exp(a @ x / 10) / 100 * np.outer(a, a)
    product, i = x[:-1] * x[1:], np.arange(len(x) - 1)
    exact[i, i] -= np.sin(product) * x[1:] ** 2
    exact[i + 1, i + 1] -= np.sin(product) * x[:-1] ** 2
    off = np.cos(product) - product * np.sin(product)
    exact[i, i + 1] += off
    exact[i + 1, i] += off
    return exact


def rosenbrock_slopes(inputs):
    return np.apply_along_axis(rosenbrock_slope, 1, inputs.args[0])


DERIVATIVES = [
    Case(
        "calculus.hessian",
        "float64 50 variables",
        waves_inputs,
        peers={"scipy": by.scipy_hessian, "jax": by.jax_hessian},
        flops=50.0 * 50 * 20,
        bytes=50.0 * 50 * 8,
        dtype="float64",
        rtol=1e-9,
        atol=1e-13,
        bars=(Bar("calculus", 20.0, against="scipy"),),
        call=lambda inputs: call_ours("calculus.hessian", waves, inputs),
        expect=waves_hessian,
    ),
    Case(
        "calculus.gradient",
        "float64 rosenbrock 10000x10",
        lambda rng: Inputs((rng.uniform(-1.0, 1.0, (10_000, 10)),)),
        peers={"jax": by.jax_gradient},
        flops=10_000 * 9 * 11.0,
        bytes=2.0 * 10_000 * 10 * 8,
        dtype="float64",
        rtol=1e-11,
        atol=1e-11,
        call=lambda inputs: call_ours("calculus.gradient", rosenbrock, inputs),
        expect=rosenbrock_slopes,
    ),
    Case(
        "calculus.jacobian",
        "float64 1000x2 to 3",
        lambda rng: Inputs((rng.uniform(1.0, 2.0, (1000, 2)),)),
        peers={"scipy": by.scipy_jacobian},
        flops=1000 * 20.0,
        bytes=1000 * 8.0 * 8,
        dtype="float64",
        rtol=1e-8,  # the peer's
        atol=1e-8,
        call=lambda inputs: call_ours("calculus.jacobian", circle, inputs),
        expect=by.circle_jacobian,
    ),
    Case(
        "calculus.derivative",
        "float64 100000",
        lambda rng: Inputs((rng.uniform(0.0, 2.0, 100_000),), {"args": (3.0,)}),
        peers={"scipy": by.scipy_derivative},
        flops=100_000 * 10.0,
        bytes=2.0 * 100_000 * 8,
        dtype="float64",
        rtol=1e-7,  # the peer's
        atol=1e-7,
        call=lambda inputs: call_ours("calculus.derivative", damped, inputs),
        expect=lambda inputs: (
            np.exp(-inputs.args[0]) * (3 * np.cos(3 * inputs.args[0]) - np.sin(3 * inputs.args[0]))
        ),
    ),
]


# ---- roots and integrals ----


def roots_case(n, quick, bars):
    def make(rng):
        return Inputs((np.ones(n),), {"args": (rng.uniform(1.0, 100.0, n),)})

    return Case(
        "calculus.newton",
        f"float64 {n}",
        make,
        peers={"scipy": by.scipy_newton},
        flops=n * 8 * 8.0,
        bytes=n * 3 * 8.0,
        dtype="float64",
        rtol=1e-9,
        bars=bars,
        quick=quick,
        call=lambda inputs: call_ours("calculus.newton", cubic, inputs, "x", fprime=cubic_slope),
        expect=by.cubic_roots,
    )


ROOTS = [
    roots_case(1_000_000, False, (Bar("calculus", 10.0, against="scipy"),)),
    roots_case(10_000, True, ()),
    Case(
        "calculus.bisect",
        "float64 10000",
        lambda rng: Inputs(
            (np.zeros(10_000), np.full(10_000, 100.0)), {"args": (rng.uniform(1.0, 100.0, 10_000),)}
        ),
        peers={"scipy": by.scipy_find_root},
        flops=10_000 * 45 * 5.0,
        bytes=10_000 * 4 * 8.0,
        dtype="float64",
        atol=1e-9,
        call=lambda inputs: call_ours("calculus.bisect", cubic, inputs, "x"),
        expect=by.cubic_roots,
    ),
    Case(
        "calculus.integrate",
        "float64 1000 intervals",
        lambda rng: Inputs((0.0, 10.0), {"args": (rng.uniform(0.5, 20.0, 1000),)}),
        peers={"scipy": by.scipy_integrate},
        flops=1000 * 21 * 10 * 5.0,
        bytes=1000 * 3 * 8.0,
        dtype="float64",
        atol=1e-7,
        call=lambda inputs: call_ours("calculus.integrate", damped, inputs, "value"),
        expect=by.damped_integrals,
    ),
]

CASES = [*DESCENTS, *DERIVATIVES, *ROOTS]
