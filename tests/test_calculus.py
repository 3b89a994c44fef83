"""Derivatives, roots and integrals of functions: against closed forms, mpmath and SciPy.

Compiled by Numba, so independent of the CPU level. Each function that is compiled costs some tenths
of a second: problems share functions and differ in their arguments.
"""

import math
import warnings

import mpmath
import numpy as np
import pytest
import scipy.optimize
from helpers import assert_same_bits, assert_within
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmath_ml as fm
from fastmath_ml.calculus import (
    bisect,
    derivative,
    gradient,
    hessian,
    integrate,
    jacobian,
    newton,
)

EPS = float(np.finfo(np.float64).eps)


def close(result, exact, ulps=8, scale=None):
    exact = np.asarray(exact, np.float64)
    bound = ulps * EPS * np.abs(exact if scale is None else scale)
    assert_within(np.asarray(result), exact, np.where(np.isfinite(bound), bound, 0))


# ---- derivatives of functions of one number ----

KINDS = {
    "cube": (lambda z: z**3, lambda z: 3 * z**2),
    "float power": (lambda z: z**4.0, lambda z: 4 * z**3),
    "abs": (lambda z: abs(z) * z, lambda z: 2 * abs(z)),
    "log": (lambda z: math.log(z), lambda z: 1 / z if z > 0 else math.nan),
    "mod": (lambda z: (z % 0.75) * z, lambda z: z % 0.75 + z),
    "negative power": (lambda z: z**-2, lambda z: -2 * z**-3),
}


@pytest.mark.parametrize("name", KINDS)
def test_where_complex_step_or_differences_go_wrong(name):
    function, exact = KINDS[name]
    points = [-2.0, -0.3, 0.1, 1.7, 1e5]
    close(derivative(function, points), [exact(z) for z in points])


def branches(z):
    if z < -1:
        return z * z
    total = 0.0
    for i in range(4):
        if i % 2 and z > 0:
            continue
        total += i * z
    return total if z != 0.5 else 7.0


def test_branches_loops_and_constants():
    # 0.5 itself takes the branch of the constant: that is the function that was run.
    close(derivative(branches, [-2.0, -0.5, 0.25, 0.5]), [-4, 6, 2, 0])


def test_min_max_abs_at_their_kinks():
    def kinks(z):
        return max(z, 1.0, -z) + min(z, 2.0) + abs(z) + np.maximum(z, 3) + np.minimum(z, -3.0)

    close(derivative(kinks, [-4.0, -2.0, 0.0, 0.5, 1.5, 5.0]), [0, -1, 1, 2, 3, 3])


def test_zero_to_the_zero_and_roots_at_zero():
    def powers(z, p):
        return z**p

    close(derivative(powers, 0.0, args=([0, 1, 2, 3],)), [0, 1, 0, 0])
    close(derivative(powers, 0.0, args=([0.0, 1.0, 2.0],)), [0, 1, 0])
    close(derivative(powers, -2.0, args=([2.0, 3.0, -1.0],)), [-4, 12, -0.25])
    assert math.isnan(derivative(powers, -2.0, args=(0.5,)))
    # The root of a number that does not vary has no slope, though its slope at 0 is infinite.
    slopes = gradient(
        lambda x: math.sqrt(x[0] * 0) + x[1] + np.hypot(0 * x[0], 0 * x[0]), [1.0, 2.0]
    )
    close(slopes, [0, 1])


ONE = {
    "sqrt": (mpmath.sqrt, (0.01, 50)),
    "exp": (mpmath.exp, (-20, 20)),
    "exp2": (lambda z: mpmath.mpf(2) ** z, (-20, 20)),
    "expm1": (mpmath.expm1, (-5, 5)),
    "log": (mpmath.log, (0.01, 50)),
    "log2": (lambda z: mpmath.log(z, 2), (0.01, 50)),
    "log10": (mpmath.log10, (0.01, 50)),
    "log1p": (mpmath.log1p, (-0.9, 50)),
    "sin": (mpmath.sin, (-6, 6)),
    "cos": (mpmath.cos, (-6, 6)),
    "tan": (mpmath.tan, (-1.4, 1.4)),
    "arcsin": (mpmath.asin, (-0.99, 0.99)),
    "arccos": (mpmath.acos, (-0.99, 0.99)),
    "arctan": (mpmath.atan, (-50, 50)),
    "sinh": (mpmath.sinh, (-20, 20)),
    "cosh": (mpmath.cosh, (-20, 20)),
    "tanh": (mpmath.tanh, (-30, 30)),
    "arcsinh": (mpmath.asinh, (-50, 50)),
    "arccosh": (mpmath.acosh, (1.01, 50)),
    "arctanh": (mpmath.atanh, (-0.99, 0.99)),
    "erf": (mpmath.erf, (-4, 4)),
    "erfc": (mpmath.erfc, (-4, 4)),
    "cbrt": (mpmath.cbrt, (0.01, 50)),
    "reciprocal": (lambda z: 1 / z, (0.01, 50)),
}


def one_of(names):
    """One function for all of them, of x and the number of the name: compiled once."""
    module = {name: "math" if name.startswith("erf") else "np" for name in names}
    lines = [
        f"    if which == {i}:\n        return {module[name]}.{name}(z)"
        for i, name in enumerate(names)
    ]
    namespace = {"np": np, "math": math}
    exec("\n".join(["def one(z, which):", *lines, "    return z"]), namespace)
    return namespace["one"]


ONE_OF_ALL = one_of(ONE)


@pytest.mark.parametrize("order", [1, 2])
def test_functions_of_one_number_against_mpmath(order, rng):
    """Derivatives such as 1 / cosh(30)² too: the rules cancel nowhere."""
    ulps = {1: 40, 2: 200}[order]
    for which, (exact, (low, high)) in enumerate(ONE.values()):
        points = rng.uniform(low, high, 40)
        with mpmath.workdps(40):
            wanted = [float(mpmath.diff(exact, mpmath.mpf(z), order)) for z in points]
            # Near a zero of the derivative the rounding of z counts.
            slack = [float(abs(mpmath.diff(exact, mpmath.mpf(z), order + 1) * z)) for z in points]
        result = derivative(ONE_OF_ALL, points, order=order, args=(which,))
        close(result, wanted, ulps, np.abs(wanted) + np.array(slack))


TWO = {
    "arctan2": lambda a, b: mpmath.atan2(a, b),
    "hypot": lambda a, b: mpmath.hypot(a, b),
    "power": lambda a, b: a**b,
    "logaddexp": lambda a, b: mpmath.log(mpmath.exp(a) + mpmath.exp(b)),
    "divide": lambda a, b: a / b,
}


def two_of_all(x, which):
    if which == 0:
        return np.arctan2(x[0], x[1])
    if which == 1:
        return np.hypot(x[0], x[1])
    if which == 2:
        return x[0] ** x[1]
    if which == 3:
        return np.logaddexp(x[0], x[1])
    return x[0] / x[1]


def test_functions_of_two_numbers_against_mpmath(rng):
    for which, exact in enumerate(TWO.values()):
        points = rng.uniform(0.1, 3, (20, 2))
        wanted, curved = np.empty((20, 2)), np.empty((20, 2, 2))
        with mpmath.workdps(40):
            for i, (a, b) in enumerate(points):
                at = mpmath.mpf(a), mpmath.mpf(b)
                wanted[i] = [mpmath.diff(exact, at, n) for n in ((1, 0), (0, 1))]
                curved[i] = [
                    [mpmath.diff(exact, at, n) for n in row]
                    for row in (((2, 0), (1, 1)), ((1, 1), (0, 2)))
                ]
        scale = np.abs(wanted).max(axis=1, keepdims=True)
        close(gradient(two_of_all, points, args=(which,)), wanted, 64, scale)
        scale = np.abs(curved).max(axis=(1, 2), keepdims=True)
        close(hessian(two_of_all, points, args=(which,)), curved, 256, scale)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_orders(order):
    close(
        derivative(lambda z: np.exp(2 * z) + z**5, 0.5, order=order),
        2**order * math.e + math.perm(5, order) * (0.5 ** (5 - order) if order < 6 else 0),
        32,
    )


def composed(z, path):
    """The functions that the digits of `path` name, one upon the other."""
    for _ in range(4):
        which = path % 8
        path //= 8
        if which == 0:
            z = np.sin(z)
        elif which == 1:
            z = np.exp(-z * z)
        elif which == 2:
            z = np.tanh(z) + z
        elif which == 3:
            z = math.atan(z) * z
        elif which == 4:
            z = np.cos(z) - z / 3
        elif which == 5:
            z = np.arcsinh(z)
        elif which == 6:
            z = np.sqrt(z * z + 1)
        else:
            z = np.log1p(z * z)
    return z


def composed_exactly(z, path):
    for _ in range(4):
        which = path % 8
        path //= 8
        z = (
            lambda v: mpmath.sin(v),
            lambda v: mpmath.exp(-v * v),
            lambda v: mpmath.tanh(v) + v,
            lambda v: mpmath.atan(v) * v,
            lambda v: mpmath.cos(v) - v / 3,
            lambda v: mpmath.asinh(v),
            lambda v: mpmath.sqrt(v * v + 1),
            lambda v: mpmath.log1p(v * v),
        )[which](z)
    return z


@settings(max_examples=100)
@given(st.floats(-3, 3), st.integers(0, 8**4 - 1))
def test_compositions(z, path):
    with mpmath.workdps(40):
        at = mpmath.mpf(z)
        for order in (1, 2):
            exact = float(mpmath.diff(lambda v: composed_exactly(v, path), at, order))
            assert abs(derivative(composed, z, args=(path,), order=order) - exact) < 1e-12


# ---- arrays of them, batches, dtypes ----


def test_shapes_dtypes_and_layouts(rng):
    def cube(z):
        return z**3

    x = rng.standard_normal((7, 6))
    exact = 3 * x**2
    for view in (x, np.asfortranarray(x), x[::-1, ::-2][:, ::-1], x.astype(">f8"), x.tolist()):
        array = np.asarray(view, np.float64)
        close(derivative(cube, view), 3 * array**2)
    close(derivative(cube, x), exact)
    for dtype, wanted in (("f4", "f4"), ("f2", "f4"), ("i4", "f8"), ("?", "f8"), ("f8", "f8")):
        assert derivative(cube, np.ones(3, dtype)).dtype == wanted
        assert gradient(lambda x: x[0] * x[1], np.ones(3, dtype)).dtype == wanted
    assert derivative(cube, np.empty((0, 3))).shape == (0, 3)
    assert np.ndim(derivative(cube, 2.0)) == 0


def test_equal_bits_for_any_number_of_threads(rng):
    def rough(z, a):
        return np.sin(z * a) / (1 + z * z)

    x, a = rng.standard_normal(50_000), rng.standard_normal(50_000)
    with fm.num_threads(1):
        expected = derivative(rough, x, args=(a,))
        roots = newton(rough, x, args=(a,))
        integrals = integrate(rough, x[:500], a[:500], args=(a[:500],))
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            assert_same_bits(derivative(rough, x, args=(a,)), expected)
            again = newton(rough, x, args=(a,))
            assert_same_bits(integrate(rough, x[:500], a[:500], args=(a[:500],))[0], integrals[0])
        for part, wanted in zip(again, roots, strict=True):
            assert_same_bits(part, wanted)


# ---- vectors ----


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_by_loop(x):
    total = 0.0
    for i in range(len(x) - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


@pytest.mark.parametrize("n", [2, 3, 5, 17, 40])
def test_gradient_of_rosenbrock(n, rng):
    x = rng.standard_normal((3, n))
    exact = np.array([scipy.optimize.rosen_der(point) for point in x])
    scale = 1000 * (1 + np.abs(x)) ** 3
    close(gradient(rosenbrock_by_loop, x), exact, 16, scale)
    if n == 40:
        close(gradient(rosenbrock, x), exact, 16, scale)


@pytest.mark.parametrize("n", [2, 7, 33])
def test_hessian_of_rosenbrock(n, rng):
    x = rng.standard_normal((2, n))
    result = hessian(rosenbrock_by_loop, x)
    exact = np.array([scipy.optimize.rosen_hess(point) for point in x])
    close(result, exact, 16, 10_000 * (1 + np.abs(x).max()) ** 2)
    assert_same_bits(result, np.swapaxes(result, 1, 2).copy())


def test_hessian_of_50_variables_to_1e_9(rng):
    """exp(a.x / 10) + sum sin(x_i x_(i+1)): every entry of the matrix, in closed form."""
    a, x = rng.standard_normal(50), rng.standard_normal(50)

    def analytic(x, a):
        total = np.exp(np.dot(a, x) / 10)
        for i in range(len(x) - 1):
            total += np.sin(x[i] * x[i + 1])
        return total

    exact = np.exp(a @ x / 10) / 100 * np.outer(a, a)
    product = x[:-1] * x[1:]
    i = np.arange(49)
    exact[i, i] -= np.sin(product) * x[1:] ** 2
    exact[i + 1, i + 1] -= np.sin(product) * x[:-1] ** 2
    off = np.cos(product) - product * np.sin(product)
    exact[i, i + 1] += off
    exact[i + 1, i] += off
    result = hessian(analytic, x, args=(a,))
    assert np.max(np.abs(result - exact) / np.abs(exact)) < 1e-9
    assert np.max(np.abs(result - exact)) / np.max(np.abs(exact)) < 1e-14


def test_what_the_vector_may_be_used_for():
    a = np.array([[1.0, 2.0, 0.5], [0.5, -1.0, 1.0], [3.0, 0.0, 1.0]])
    x = np.array([0.3, -1.2, 2.5])

    def everything(x, a):
        first, second, third = x
        parts = [first * second, third]
        made = np.array(parts)
        total = 0
        for item in x:
            total = total + item * item
        total += x @ a @ x + np.dot(x, a[0]) + (a @ x).sum() + np.mean(x) + np.prod(x)
        total += np.max(x) * np.min(x) + np.linalg.norm(x) + made.sum() + sum(parts)
        total += x[::2].sum() + x[-1] + x.size + x.shape[0] + np.sum(np.exp(-(x**2)) * 2 / (x + 10))
        total += np.sum(np.where(x[0] > 0, x[0], x[1]) * np.maximum(x, 0.0) + abs(x) + (-x) ** 3.0)
        return total

    def by_steps(j):
        h = 1e-5
        up, down = x.copy(), x.copy()
        up[j] += h
        down[j] -= h
        return (everything(up, a) - everything(down, a)) / (2 * h)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = gradient(everything, x, args=(a,))
    np.testing.assert_allclose(result, [by_steps(j) for j in range(3)], rtol=1e-7)


def test_jacobian_of_every_kind_of_result(rng):
    x = rng.standard_normal((4, 2))
    exact = np.array([[[b, a], [2 * a, 0], [0, 0]] for a, b in x])

    def in_array(x):
        return np.array([x[0] * x[1], x[0] ** 2, x[0] * 0.0])

    def in_tuple(x):
        return x[0] * x[1], x[0] ** 2, 3.0

    def in_list(x):
        return [x[0] * x[1], x[0] * x[0], 0.0 * x[0]]

    for function in (in_array, in_tuple, in_list):
        close(jacobian(function, x), exact)
    assert jacobian(in_tuple, x[0]).shape == (3, 2)
    matrix = rng.standard_normal((20, 18))
    close(jacobian(lambda x: matrix @ x, rng.standard_normal(18)), matrix)
    with pytest.raises(ValueError, match="f returns shape"):
        jacobian(lambda x: x[0], x)


def cholesky_like(x, lower):
    """Each item less what the ones before it predict: the first has none before it."""
    total = 0.0
    for k in range(len(x)):
        total += (x[k] - k - np.dot(lower[k, :k], x[:k])) ** 2
    return total


def test_reductions_of_nothing(rng):
    x = np.array([1.0, 2.0, 3.0])

    def sums(x):
        none = x[:0]
        total = x[0] + np.dot(none, none) + np.sum(none) + sum(none) + np.linalg.norm(none)
        return total * np.prod(none) + np.array([x[1]])[:0].sum() + len(np.zeros_like(none))

    close(gradient(sums, x), [1, 0, 0])
    matrix = rng.standard_normal((3, 3))
    close(gradient(lambda x: np.sum(x * 2 + matrix[:, :0] @ x[:0]), x), [2, 2, 2])
    lower = np.tril(matrix, -1)
    errors = x - np.arange(3) - lower @ x
    for call in (gradient, gradient_by_steps):
        close(call(cholesky_like, x, args=(lower,)), 2 * (errors - lower.T @ errors), 64)
    for function in (lambda x: np.max(x[:0]), lambda x: min(x[:0])):
        with pytest.raises(ValueError, match=r"empty|zero-size"):
            gradient(function, x)
    assert np.isnan(gradient(lambda x: np.mean(x[:0]) + 0 * x[0], x)).all()


def gradient_by_steps(function, x, args=()):
    """The slopes that gradient_descent goes down."""
    step = fm.optim.gradient_descent(
        function, x, args=args, method="sgd", lr=1.0, max_iter=1, tol=0
    )
    return x - step.x


def test_sums_with_infinite_items():
    x = [math.inf, 1.0, 2.0]
    close(gradient(lambda x: x[1] if np.sum(x) > 0 else 5 * x[1], x), [0, 1, 0])
    close(gradient(lambda x: x[1] if np.prod(x) > 0 else 5 * x[1], x), [0, 1, 0])
    close(gradient(lambda x: np.sum(np.zeros_like(x) + np.ones_like(x)) * x[1], x), [0, 3, 0])


def add_one(y):
    y += 1.0


def in_place(x):
    y = x.copy()
    add_one(y)
    part = y[1:]
    part *= 2  # seen in y
    y[:-1] -= y[1:]  # overlaps: the right side as it was
    same = y
    same /= x[0]
    y **= 2
    y[::2] = x[1]
    y[1:2] = x[2:] * np.array([3.0])
    return (y * y).sum() * x[0]


def out_of_place(x):
    y = x + 1.0
    y = np.array([y[0], y[1] * 2, y[2] * 2])
    y = np.array([y[0] - y[1], y[1] - y[2], y[2]])
    y = (y / x[0]) ** 2
    y = np.array([x[1], x[2] * 3.0, x[1]])
    return (y * y).sum() * x[0]


def test_operators_in_place_write():
    x = np.array([1.0, 2.0, 3.0])

    def square(x):
        y = x.copy()
        add_one(y)
        return (y * y).sum()

    for call in (gradient, gradient_by_steps):
        close(call(square, x), [4, 6, 8])
        close(call(in_place, x), gradient(out_of_place, x))
    close(hessian(square, x), 2 * np.eye(3))
    close(hessian(in_place, x), hessian(out_of_place, x))

    def views(x):
        y = x * 1.0
        for k in range(len(y)):
            part = y[k:]
            part += x[k]
        return y.prod()

    # y = (2 x0, 2 x1 + x0, 2 x2 + x1 + x0)
    close(gradient(views, x), [118, 46, 20])
    for count in (1, 2):
        with pytest.raises(ValueError, match="broadcast"):
            gradient(lambda x, count=count: add_three(x[:count].copy()), x)

    def into_floats(x):
        held = np.zeros(3)
        held += x
        return held.sum()

    with pytest.warns(RuntimeWarning, match="by differences"):
        np.testing.assert_allclose(gradient(into_floats, x), [1, 1, 1])


def add_three(y):
    y += np.array([1.0, 2.0, 3.0])
    return y.sum()


def test_functions_that_write_to_their_x():
    def shifting(x):
        x -= 1.0
        x[0] = 2 * x[0]
        return (x * x).sum()

    x = np.array([2.0, 3.0])
    for method in ("dual", "difference"):
        np.testing.assert_allclose(gradient(shifting, x, method=method), [8, 4], rtol=1e-9)
        np.testing.assert_allclose(
            hessian(shifting, x, method=method), [[8, 0], [0, 2]], rtol=1e-5, atol=1e-5
        )
    assert x.tolist() == [2.0, 3.0]


def test_indices_out_of_range():
    x = np.array([1.0, 2.0])
    table = np.array([1.0, 2.0])
    for function in (
        lambda x: x[5] * 1.0 if x[0] > -9 else 0.0,
        lambda x: x[0] * table[int(x[1])],
        lambda x: x[-3] * x[0],
        lambda x: third_of(x) * 2,
    ):
        for call in (gradient, hessian):
            with pytest.raises(IndexError):
                call(function, x)
        with pytest.raises(IndexError):
            gradient(function, x, method="difference")
    with pytest.raises(IndexError):
        derivative(lambda z: table[int(z)] * z, [1.0, 2.0])
    with pytest.raises(IndexError):
        integrate(lambda z: table[int(z)] * z, 0.0, 3.0)


def third_of(x):
    return x[2]


@pytest.mark.parametrize(
    ("function", "shape"),
    [(lambda x: x * x, r"\(3,\)"), (lambda x: (x[0],), r"\(1,\)"), (lambda x: x[:1], r"\(1,\)")],
)
def test_functions_that_return_no_number(function, shape):
    x = np.ones((3, 3))
    for call in (gradient, hessian):
        for method in ("auto", "dual", "difference"):
            with pytest.raises(ValueError, match=f"f returns shape {shape}; expected a number"):
                call(function, x, method=method)
    namespace = {"function": function, "object": object()}

    def in_python(x):
        return function(x) if namespace["object"] else None

    with pytest.raises(ValueError, match=f"f returns shape {shape}; expected a number"):
        gradient(in_python, x)


def test_functions_of_one_number_that_return_no_number():
    def pair(z):
        return np.array([z, z])

    for call in (
        derivative,
        newton,
        lambda f, x: bisect(f, 0.0, x),
        lambda f, x: integrate(f, 0.0, x),
        lambda f, x: newton(lambda z: z, x, f),
    ):
        with pytest.raises(ValueError, match=r"returns shape \(2,\); expected a number"):
            call(pair, 1.0)
        with pytest.raises(TypeError, match="returns complex128; expected real numbers"):
            call(lambda z: z * (1 + 2j), 1.0)
    with pytest.raises(TypeError, match="f returns complex128"):
        jacobian(lambda x: x * 1j, [1.0])
    with pytest.raises(TypeError, match="f returns object"):
        gradient(lambda x: None, [1.0])


def test_batches_without_points():
    x = np.ones((0, 3), np.float32)
    assert gradient(lambda x: x[0], x).shape == (0, 3)
    assert gradient(lambda x: x[0], np.ones((2, 0, 3))).shape == (2, 0, 3)
    assert jacobian(lambda x: x, x).shape == (0, 0, 3)
    assert hessian(lambda x: x[0], x).shape == (0, 3, 3)
    assert hessian(lambda x: x[0], x).dtype == np.float32
    assert derivative(lambda z: z, np.ones(0)).shape == (0,)


def test_whole_quotients_and_remainders():
    def divided(z, w, kind):
        if kind == 0:
            return z // w * z + z % w
        if kind == 1:
            whole, rest = divmod(z, w)
            return whole * z + rest * w
        if kind == 2:
            return math.fmod(z, w) * 3 + np.fmod(z, 2.0) + np.floor_divide(z, w)
        return z % (w * z) + int(z) * z + round(z) * z + float(z) * z

    z, w = np.array([7.3, -7.3, 0.4, -0.4]), 1.5
    close(derivative(divided, z, args=(w, 0)), z // w + 1)
    close(derivative(divided, z, args=(w, 1)), z // w + w)
    close(derivative(divided, z, args=(w, 2)), [4] * 4)
    exact = 1 - w * (z // (w * z)) + np.trunc(z) + np.rint(z) + 2 * z
    close(derivative(divided, z, args=(w, 3)), exact, 16)
    # By the divisor: of z - floor(z / w) w.
    close(gradient(lambda x: x[0] % x[1], [7.3, -1.5]), [1, 5])
    close(gradient(lambda x: np.sum(x // 2 + x % 2), z), [1] * 4)


def test_more_of_numpy(rng):
    x = rng.uniform(-2, 2, 7)

    def chosen(x):
        total = np.sum(np.where(x > 0, x * x, -3 * x)) + np.where(x[0] > 9, x, 2 * x)[1]
        between = (x[0] >= x) & ~(x == x[3])
        return total + np.sum(np.where(between, x[2], np.where(x != x[4], 1.0, x)))

    between = (x[0] >= x) & (x != x[3])
    exact = np.where(x > 0, 2 * x, -3)
    exact[1] += 2
    exact[2] += between.sum()
    exact[4] += not between[4]
    close(gradient(chosen, x), exact)

    def clipped(x):
        return np.clip(x, -1.0, x[0]).sum() + np.clip(x[1], 0.0, 9.0) + np.clip(x, -9, 1).sum()

    y = np.append(0.5, x)
    close(gradient(clipped, y), gradient(clipped_by_loop, y))

    def spread(x):
        return np.var(x) + 2 * x.std() + np.amax(x) * np.amin(x)

    slope = 2 * (x - x.mean()) / 7 * (1 + 1 / x.std())
    slope[x.argmax()] += x.min()
    slope[x.argmin()] += x.max()
    close(gradient(spread, x), slope, 64, 1.0)


def clipped_by_loop(x):
    total = max(x[1], 0.0)
    for item in x:
        total += min(max(item, -1.0), x[0]) + min(item, 1.0)
    return total


# ---- differences ----


def test_differences_are_close_and_right_at_their_kind(rng):
    x = rng.uniform(-2, 2, 30)

    def smooth(z):
        return np.sin(z) * z

    close(derivative(smooth, x, method="difference"), np.sin(x) + x * np.cos(x), 1, 1e-10 / EPS)
    second = 2 * np.cos(x) - x * np.sin(x)
    close(derivative(smooth, x, order=2, method="difference"), second, 1, 1e-8 / EPS)
    point = rng.standard_normal(5)
    exact = scipy.optimize.rosen_der(point)
    close(gradient(rosenbrock, point, method="difference"), exact, 1, 1e-8 / EPS)
    close(
        hessian(rosenbrock_by_loop, point, method="difference"),
        scipy.optimize.rosen_hess(point),
        1,
        1e-4 / EPS,
    )


def test_functions_that_take_no_duals_say_so():
    def into_floats(z):
        held = np.zeros(1)
        held[0] = z * z
        return held[0]

    with pytest.warns(RuntimeWarning, match="into_floats is differentiated by differences"):
        result = derivative(into_floats, 3.0)
    assert abs(result - 6) < 1e-9
    with pytest.raises(TypeError, match="into_floats cannot be differentiated by dual numbers"):
        derivative(into_floats, 3.0, method="dual")


def test_functions_that_numba_refuses_run_as_python():
    class Scale:
        factor = 3.0

    scale = Scale()

    def refused(z):
        return scale.factor * z * z

    with pytest.warns(
        RuntimeWarning, match="refused runs as Python, since Numba cannot compile it"
    ):
        assert abs(derivative(refused, 2.0) - 12) < 1e-9
    with pytest.warns(RuntimeWarning, match="runs as Python"):
        assert abs(gradient(lambda x: scale.factor * x[0] ** 2, [2.0, 1.0])[0] - 12) < 1e-9
    with pytest.warns(RuntimeWarning, match="runs as Python"):
        close(jacobian(lambda x: [scale.factor * x[0]], [2.0]), [[3]], 1, 1e-10 / EPS)
    with pytest.warns(RuntimeWarning, match="runs as Python"):
        assert abs(newton(lambda z: refused(z) - 12, 1.0).x - 2) < 1e-8
    with pytest.warns(RuntimeWarning, match="runs as Python"):
        assert abs(bisect(lambda z: refused(z) - 12, 0.0, 5.0).x - 2) < 1e-8
    with pytest.warns(RuntimeWarning, match="runs as Python"):
        assert abs(integrate(refused, 0, 1).value - 1) < 1e-12


# ---- roots ----


def quadratic(x, a):
    return x * x - a


def test_newton_has_scipys_conventions(rng):
    a = rng.uniform(0.5, 100, 200)
    result = newton(quadratic, np.ones(200), args=(a,))
    close(result.x, np.sqrt(a), 4)
    assert result.converged.all()
    given_slope = newton(quadratic, np.ones(200), lambda x, a: 2 * x, args=(a,))
    assert_same_bits(given_slope.x, result.x)
    for i in (0, 17):
        root, report = scipy.optimize.newton(
            quadratic, 1.0, lambda x, a: 2 * x, args=(a[i],), full_output=True
        )
        close(result.x[i], root, 2)
        assert result.n_iter[i] == report.iterations
    alone = newton(quadratic, 1.0, args=(a[5],))
    assert (alone.x, alone.n_iter) == (result.x[5], result.n_iter[5])


def test_newton_tells_what_did_not_converge():
    result = newton(quadratic, [1.0, 0.0, 3.0, 1.0], args=([-1.0, -1.0, 9.0, math.nan],))
    assert result.converged.tolist() == [False, False, True, False]
    assert result.x[1] == 0  # the slope is 0 there
    assert result.n_iter[1:3].tolist() == [0, 0]
    assert not newton(quadratic, 1.0, args=(2.0,), maxiter=2).converged


def branched(x, a):
    """The quadratic for problem by problem: packs cannot branch."""
    return x * x - a if x < 1e300 else x


def test_newton_of_packs_is_newton_of_each(rng, monkeypatch):
    a = rng.uniform(0.5, 100, 203)
    a[[3, 50, 202]] = -1.0, math.nan, math.inf
    start = rng.uniform(0.1, 20, 203)
    start[7], a[8] = 0.0, start[8] ** 2
    for n in (1, 7, 8, 9, 64, 65, 203):
        with monkeypatch.context() as without:
            without.setattr("fastmath_ml._kernels.jit.roots.make_newton", None)
            packed = newton(quadratic, start[:n], args=(a[:n],))
        single = newton(branched, start[:n], args=(a[:n],))
        for part, wanted in zip(packed, single, strict=True):
            assert_same_bits(part, wanted)
    assert_same_bits(newton(quadratic, np.tile(start, (2, 1)), args=(a,)).x[1], packed.x)
    # Numbers that all problems share, of any type, and rows that are not float64.
    shared = newton(lambda x, p, a: x**p - a, start[:3], args=(2, 9.0))
    close(shared.x, [3, 3, 3], 2)
    for rows in (np.array([4, 9]), np.array([4, 9], "f4"), np.array([4.0, 9.0], ">f8")):
        close(newton(quadratic, 1.0, args=(rows,)).x, [2, 3], 2)
    read_only = np.broadcast_to(1.0, 3)
    close(newton(quadratic, read_only, args=(4.0,)).x, [2, 2, 2], 2)
    assert read_only[0] == 1.0
    assert newton(quadratic, np.empty(0), args=(4.0,)).x.shape == (0,)
    assert newton(lambda x: 1.0, [1.0, 2.0]).n_iter.tolist() == [0, 0]


def test_bisect(rng):
    a = rng.uniform(0.5, 100, 200)
    result = bisect(quadratic, 0.0, 100.0, args=(a,))
    assert result.converged.all()
    assert_within(result.x, np.sqrt(a), np.full(200, 4e-12))
    root, report = scipy.optimize.bisect(quadratic, 0, 100, args=(a[3],), full_output=True)
    assert result.x[3] == root
    assert result.n_iter[3] == report.iterations
    edge = bisect(quadratic, [2.0, 0.0, 3.0, 0.0], [5.0, 2.0, 5.0, math.nan], args=(4.0,))
    assert edge.x[:2].tolist() == [2.0, 2.0]
    assert edge.converged.tolist() == [True, True, False, False]
    assert np.isnan(edge.x[2:]).all()


# ---- integrals ----


def integrand(x, kind, a):
    if kind == 0:
        return np.exp(-a * x * x)
    if kind == 1:
        return 1 / (a * a + x * x)
    if kind == 2:
        return math.sin(a * x)
    if kind == 3:
        return abs(x - a)
    if kind == 4:
        return 1 / math.sqrt(abs(x))
    return x ** int(a)


INTEGRALS = [
    (0, 2.0, -math.inf, math.inf, math.sqrt(math.pi / 2)),
    (0, 1.0, 0, math.inf, math.sqrt(math.pi) / 2),
    (0, 1.0, -math.inf, 0, math.sqrt(math.pi) / 2),
    (0, 1.0, math.inf, 0, -math.sqrt(math.pi) / 2),
    (1, 2.0, -math.inf, math.inf, math.pi / 2),
    (1, 1e-3, -1, 1, 2e3 * math.atan(1e3)),
    (2, 100.0, 0, 10, (1 - math.cos(1000)) / 100),
    (2, 1.0, 10, 0, math.cos(10) - 1),
    (3, 0.3, -1, 1, 1.09),
    (4, 0.0, 0, 1, 2.0),
    (5, 20.0, -1, 1, 2 / 21),
    (5, 31.0, 0, 1, 1 / 32),
    (5, 3.0, 2, 2, 0.0),
]


def test_integrals_in_closed_form():
    kind, a, low, high, exact = map(np.array, zip(*INTEGRALS, strict=True))
    result = integrate(integrand, low, high, args=(kind, a))
    assert result.converged.all()
    assert (np.abs(result.value - exact) <= np.maximum(result.error, 1e-14)).all()
    assert (result.error <= np.maximum(1.49e-8, 1.49e-8 * np.abs(exact))).all()
    tight = integrate(integrand, low, high, args=(kind, a), rtol=1e-12, atol=1e-13)
    smooth = kind != 4
    assert (np.abs(tight.value - exact)[smooth] < 1e-11 * (1 + np.abs(exact[smooth]))).all()


def test_the_rule_is_exact_for_polynomials():
    """31 is the degree of the 21-point rule: one subinterval, error at rounding level."""
    result = integrate(integrand, -1, 2, args=(5, [28.0, 30.0, 31.0]), limit=1, rtol=1e-3)
    exact = [(2.0 ** (p + 1) - (-1.0) ** (p + 1)) / (p + 1) for p in (28, 30, 31)]
    close(result.value, exact, 16)


@pytest.mark.parametrize(
    ("f", "low", "high", "exact"),
    [
        (lambda x: 1 / math.sqrt(1 - x), 0, 1, 2.0),
        (lambda x: 1 / math.sqrt(1 - x * x), -1, 1, math.pi),
        (lambda x: math.exp(x) / math.sqrt(-x), -math.inf, 0, math.sqrt(math.pi)),
        (lambda x: math.exp(-x) / math.sqrt(x), 0, math.inf, math.sqrt(math.pi)),
        (lambda x: math.exp(2 - x) / math.sqrt(x - 2), 2, math.inf, math.sqrt(math.pi)),
        (lambda x: 1 / math.sqrt(x - 1000), 1000, 1001, 2.0),
    ],
)
def test_singularities_at_the_ends(f, low, high, exact):
    """Also at ends that are not 0, which are never evaluated: Python's division would raise."""
    result = integrate(f, low, high)
    assert result.converged
    np.testing.assert_allclose(result.value, exact, rtol=2e-9)
    np.testing.assert_allclose(integrate(f, high, low).value, -exact, rtol=2e-9)


@pytest.mark.parametrize("rtol", [1.49e-8, 1e-3, 1e-2])
@pytest.mark.parametrize(
    ("f", "low", "high"),
    [
        (lambda x: 1 / (1 - x), 0, 1),
        (lambda x: 1 / (math.pi - x), 0, math.pi),
        (lambda x: (x - 1) ** -1.5, 1, 2),
        (lambda x: math.exp(1 - x) / (x - 1), 1, math.inf),
        (lambda x: math.exp(x + 1) / (x + 1), -math.inf, -1),
    ],
)
def test_divergent_integrals_are_not_called_converged(f, low, high, rtol):
    """The numbers of x end before the singularity does."""
    assert not integrate(f, low, high, rtol=rtol).converged


def test_integrals_that_do_not_converge():
    # 1 / x² from 0, a NaN as end, and a pole in the middle, on which the rule has a node.
    low, high = [0.0, math.nan, 0.0, -1.0], [1.0, 1.0, 1.0, 1.0]
    result = integrate(integrand, low, high, args=([1, 0, 2, 4], 0.0))
    assert result.converged.tolist() == [False, False, True, False]
    assert np.isnan(result.value[1])
    assert not integrate(integrand, 0, 10, args=(2, 1e4), limit=2).converged


# ---- errors ----


def test_the_callers_exceptions_arrive():
    def fails(z):
        if z > 40_000:
            raise KeyError("mine")
        return z * z

    x = np.arange(50_000.0)
    with pytest.raises(KeyError, match="mine"):
        derivative(fails, x)
    with pytest.raises(KeyError, match="mine"):
        newton(lambda z: fails(z) + 1e9, x + 1)
    with pytest.raises(KeyError, match="mine"):
        bisect(lambda z: fails(z) - 50_000.0**2, x, 1e5)

    def fails_always(z, kind):
        if kind == 1:
            raise KeyError("mine")
        return z * z

    with pytest.raises(KeyError, match="mine"):
        newton(fails_always, x, args=(1,))
    with pytest.raises(KeyError, match="mine"):
        integrate(fails, 0, x)

    def fails_too(x):
        if x[0] > 2:
            raise ZeroDivisionError("mine too")
        return x[0]

    for function in (gradient, hessian):
        with pytest.raises(ZeroDivisionError, match="mine too"):
            function(fails_too, [[1.0], [2.0], [3.0]])
    # And what was good before is good afterwards.
    close(derivative(fails, [1.0, 2.0]), [2, 4])


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda f: derivative(3, 1.0), TypeError, "f is a int"),
        (lambda f: derivative(f, 1.0, order=0), ValueError, "order is 0"),
        (lambda f: derivative(f, 1.0, order=3, method="difference"), ValueError, "order is 3"),
        (lambda f: derivative(f, 1.0, method="magic"), ValueError, "method is 'magic'"),
        (lambda f: derivative(f, 1j), TypeError, "x has dtype complex128"),
        (lambda f: derivative(f, np.ma.array([1.0])), TypeError, "x is a masked array"),
        (lambda f: derivative(f, [1.0, 2.0], args=([1, 2, 3],)), ValueError, "shapes"),
        (lambda f: derivative(f, 1.0, args=2), TypeError, "args is a int"),
        (lambda f: derivative(f, np.array([None])), TypeError, "x has dtype object"),
        (lambda f: derivative(f, 1.0, args=("a",)), TypeError, r"args\[0\] has dtype"),
        (lambda f: gradient(f, 1.0), ValueError, "x has no axis"),
        (lambda f: hessian(f, np.empty((3, 0))), ValueError, "at least one variable"),
        (lambda f: jacobian(lambda x: x[0], [1.0]), ValueError, "f returns shape"),
        (lambda f: newton(f, 1.0, 3), TypeError, "fprime is a int"),
        (lambda f: newton(f, 1.0, tol=0), ValueError, "tol is 0"),
        (lambda f: newton(f, 1.0, maxiter=0), ValueError, "maxiter is 0"),
        (lambda f: bisect(f, [1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, "a and b and args"),
        (lambda f: integrate(f, 0, 1, rtol=-1), ValueError, "rtol is -1"),
        (lambda f: newton(f, 1.0, tol="a"), TypeError, "tol is 'a'; expected a number"),
        (lambda f: newton(f, 1.0, maxiter="a"), TypeError, "maxiter is 'a'; expected an integer"),
        (lambda f: newton(f, 1.0, maxiter=2.5), TypeError, "maxiter is 2.5; expected an integer"),
        (lambda f: bisect(f, 0, 1, xtol="a"), TypeError, "xtol is 'a'"),
        (lambda f: bisect(f, 0, 1, maxiter=2.5), TypeError, "maxiter is 2.5"),
        (lambda f: integrate(f, 0, 1, atol="a"), TypeError, "atol is 'a'"),
        (lambda f: integrate(f, 0, 1, limit=2.5), TypeError, "limit is 2.5; expected an integer"),
    ],
)
def test_bad_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call(lambda z: z)
