"""Functions of the caller: each peer has them as it wants them, vectorised where it vectorises."""

from functools import partial

import numpy as np

from .base import serial


def rosenbrock_slopes(x, rises):
    """The slopes of a batch (n, batch), variables first so that NumPy's loops are long."""
    slope = np.zeros_like(x)
    np.subtract(x[1:], x[:-1] ** 2, out=rises)
    slope[:-1] += -400.0 * x[:-1] * rises - 2.0 * (1.0 - x[:-1])
    slope[1:] += 200.0 * rises
    return slope


def adam_in_numpy(inputs):
    """The whole batch at once, in place where NumPy can."""
    (starts,), options = inputs.args, inputs.kwargs
    x = np.ascontiguousarray(starts.T)
    first, second = np.zeros_like(x), np.zeros_like(x)
    rises, root = np.empty_like(x[1:]), np.empty_like(x)
    for t in range(1, options["max_iter"] + 1):
        slope = rosenbrock_slopes(x, rises)
        first *= 0.9
        first += 0.1 * slope
        second *= 0.999
        slope *= slope
        slope *= 0.001
        second += slope
        np.sqrt(second, out=root)
        root /= np.sqrt(1.0 - 0.999**t)
        root += 1e-8
        np.divide(first, root, out=root)
        root *= options["lr"] / (1.0 - 0.9**t)
        x -= root
    return np.ascontiguousarray(x.T)


@serial
def numpy_batch_descent(inputs):
    return partial(adam_in_numpy, inputs)


@serial
def numpy_descent_per_problem(inputs):
    """A loop over problems and steps: what one writes first."""
    (starts,), options = inputs.args, inputs.kwargs

    def one(x):
        first, second = np.zeros_like(x), np.zeros_like(x)
        for t in range(1, options["max_iter"] + 1):
            slope = rosenbrock_slopes(x, np.empty_like(x[1:]))
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope * slope
            root = np.sqrt(second) / np.sqrt(1.0 - 0.999**t) + 1e-8
            x = x - options["lr"] / (1.0 - 0.9**t) * first / root
        return x

    return lambda: np.array([one(x) for x in starts])


def jax_with_float64():
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def jax_descent(inputs):
    """vmap + jit + fori_loop, the batch first and, where XLA likes that better, last."""
    jax = jax_with_float64()
    jnp = jax.numpy
    (starts,), options = inputs.args, inputs.kwargs
    lr, n_steps = options["lr"], options["max_iter"]

    def rosenbrock(x):
        return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    def descend(slope, x):
        def step(k, state):
            x, first, second = state
            t, g = k + 1.0, slope(x)
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
            root = jnp.sqrt(second) / jnp.sqrt(1.0 - 0.999**t) + 1e-8
            return x - lr / (1.0 - 0.9**t) * first / root, first, second

        return jax.lax.fori_loop(0, n_steps, step, (x, jnp.zeros_like(x), jnp.zeros_like(x)))[0]

    slope = jax.grad(rosenbrock)
    rows = jax.jit(partial(descend, jax.vmap(slope)))
    each = jax.jit(jax.vmap(partial(descend, slope)))
    columns = jax.jit(partial(descend, jax.vmap(slope, 1, 1)))
    x, x_columns = jnp.asarray(starts), jnp.asarray(starts.T)
    return {
        "vmap inside": lambda: np.asarray(rows(x).block_until_ready()),
        "vmap outside": lambda: np.asarray(each(x).block_until_ready()),
        "batch last": lambda: np.asarray(columns(x_columns).block_until_ready()).T,
    }


def jax_gradient(inputs):
    jax = jax_with_float64()
    jnp = jax.numpy

    def rosenbrock(x):
        return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    call = jax.jit(jax.vmap(jax.grad(rosenbrock)))
    x = jnp.asarray(inputs.args[0])
    return lambda: call(x).block_until_ready()


def jax_hessian(inputs):
    jax = jax_with_float64()
    jnp = jax.numpy

    def waves(x, a):
        return jnp.exp(jnp.dot(a, x) / 10.0) + jnp.sum(jnp.sin(x[:-1] * x[1:]))

    call = jax.jit(jax.hessian(waves))
    x, a = jnp.asarray(inputs.args[0]), jnp.asarray(inputs.kwargs["args"][0])
    return lambda: call(x, a).block_until_ready()


@serial
def scipy_hessian(inputs):
    from scipy.differentiate import hessian

    (x,), (a,) = inputs.args, inputs.kwargs["args"]

    def waves(x):
        total = np.exp(np.tensordot(a, x, 1) / 10.0)
        return total + np.sin(x[:-1] * x[1:]).sum(axis=0)

    return lambda: hessian(waves, x).ddf


def circle_jacobian(inputs):
    radius, angle = inputs.args[0].T
    rows = [
        [np.cos(angle), -radius * np.sin(angle)],
        [np.sin(angle), radius * np.cos(angle)],
        [2 * radius, np.zeros_like(radius)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


@serial
def scipy_jacobian(inputs):
    from scipy.differentiate import jacobian

    points = np.ascontiguousarray(inputs.args[0].T)

    def circle(x):
        return np.stack([x[0] * np.cos(x[1]), x[0] * np.sin(x[1]), x[0] * x[0]])

    return lambda: np.moveaxis(jacobian(circle, points).df, 2, 0)


@serial
def scipy_derivative(inputs):
    from scipy.differentiate import derivative

    (x,), (a,) = inputs.args, inputs.kwargs["args"]
    return lambda: derivative(lambda x: np.exp(-x) * np.sin(a * x), x).df


def cubic_roots(inputs):
    """Cardano's formula for x³ + x = a."""
    (a,) = inputs.kwargs["args"]
    inner = np.sqrt(a * a / 4 + 1 / 27)
    return np.cbrt(a / 2 + inner) + np.cbrt(a / 2 - inner)


@serial
def scipy_newton(inputs):
    from scipy.optimize import newton

    (start,), (a,) = inputs.args, inputs.kwargs["args"]
    return lambda: newton(lambda x: x * x * x + x - a, start, lambda x: 3.0 * x * x + 1.0)


@serial
def scipy_find_root(inputs):
    from scipy.optimize.elementwise import find_root

    low, high = inputs.args
    return lambda: (
        find_root(lambda x, a: x * x * x + x - a, (low, high), args=inputs.kwargs["args"]).x
    )


def damped_integrals(inputs):
    (a,), end = inputs.kwargs["args"], inputs.args[1]
    decay = np.exp(-end)
    return (a - decay * (np.sin(a * end) + a * np.cos(a * end))) / (1 + a * a)


@serial
def scipy_integrate(inputs):
    from scipy.integrate import quad_vec

    (low, high), (a,) = inputs.args, inputs.kwargs["args"]
    return lambda: quad_vec(
        lambda x: np.exp(-x) * np.sin(a * x), low, high, epsabs=1.49e-8, epsrel=1.49e-8, norm="max"
    )[0]
