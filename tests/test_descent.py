"""gradient_descent: torch's formulas, the ways to the gradient, bounds, stopping, callbacks."""

import math

import numpy as np
import pytest
import scipy.optimize
from helpers import assert_same_bits

import fastmath_ml as fm
from fastmath_ml.optim import gradient_descent


def bowl(x, center, weights):
    total = 0.0
    for j in range(len(x)):
        total += weights[j] * (x[j] - center[j]) ** 2
    return total


def bowl_slope(x, center, weights):
    return 2 * weights * (x - center)


CENTER, WEIGHTS = np.array([1.0, -2.0, 0.5]), np.array([1.0, 3.0, 0.2])
ARGS = (CENTER, WEIGHTS)

METHODS = {
    "sgd": {"lr": 0.05},
    "momentum": {"lr": 0.02, "momentum": 0.8},
    "nesterov": {"lr": 0.02, "momentum": 0.8},
    "rmsprop": {"lr": 0.02, "alpha": 0.9},
    "adagrad": {"lr": 0.5},
    "adam": {"lr": 0.05, "betas": (0.8, 0.99)},
    "adamw": {"lr": 0.05, "weight_decay": 0.1},
}


def steps_in_numpy(method, x, n_steps, options):
    """The formulas, one after the other, on the bowl."""
    lr, eps = options["lr"], 1e-10 if method == "adagrad" else 1e-8
    mu, alpha = options.get("momentum", 0.9), options.get("alpha", 0.99)
    beta1, beta2 = options.get("betas", (0.9, 0.999))
    first, second = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, n_steps + 1):
        g = bowl_slope(x, *ARGS)
        if method == "sgd":
            x = x - lr * g
        elif method in ("momentum", "nesterov"):
            first = mu * first + g
            x = x - lr * (first if method == "momentum" else g + mu * first)
        elif method == "rmsprop":
            second = alpha * second + (1 - alpha) * g * g
            x = x - lr * g / (np.sqrt(second) + eps)
        elif method == "adagrad":
            second = second + g * g
            x = x - lr * g / (np.sqrt(second) + eps)
        else:
            if method == "adamw":
                x = x * (1 - lr * options["weight_decay"])
            first = beta1 * first + (1 - beta1) * g
            second = beta2 * second + (1 - beta2) * g * g
            root = np.sqrt(second) / math.sqrt(1 - beta2**t) + eps
            x = x - lr / (1 - beta1**t) * first / root
    return x


@pytest.mark.parametrize("method", METHODS)
def test_formulas(method, rng):
    starts = rng.standard_normal((19, 3))
    result = gradient_descent(
        bowl,
        starts,
        grad=bowl_slope,
        args=ARGS,
        method=method,
        max_iter=50,
        tol=0,
        **METHODS[method],
    )
    expected = steps_in_numpy(method, starts, 50, METHODS[method])
    np.testing.assert_allclose(result.x, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(result.fun, [bowl(x, *ARGS) for x in result.x], rtol=1e-12)
    assert result.grad_method == "given"
    assert (result.n_iter[~result.converged] == 50).all()


@pytest.mark.parametrize("method", METHODS)
def test_formulas_are_torchs(method):
    torch = pytest.importorskip("torch")
    options = METHODS[method]
    x = torch.tensor([0.3, 0.4, -1.0], dtype=torch.float64, requires_grad=True)
    names = {"momentum": "SGD", "nesterov": "SGD", "sgd": "SGD", "adamw": "AdamW", "adam": "Adam"}
    names |= {"rmsprop": "RMSprop", "adagrad": "Adagrad"}
    extra = {"nesterov": True} if method == "nesterov" else {}
    optimizer = getattr(torch.optim, names[method])([x], **options, **extra)
    center, weights = map(torch.from_numpy, ARGS)
    for _ in range(20):
        optimizer.zero_grad()
        (weights * (x - center) ** 2).sum().backward()
        optimizer.step()
    result = gradient_descent(
        bowl, [0.3, 0.4, -1.0], args=ARGS, method=method, max_iter=20, tol=0, **options
    )
    np.testing.assert_allclose(result.x, x.detach().numpy(), rtol=1e-12)
    assert result.grad_method == "dual"


def test_one_start_or_a_batch_and_any_number_of_threads(rng):
    starts = rng.standard_normal((1003, 3))
    options = {"args": ARGS, "lr": 0.05, "max_iter": 300, "tol": 1e-4}
    with fm.num_threads(1):
        expected = gradient_descent(bowl, starts, **options)
    assert expected.x.shape == (1003, 3)
    assert expected.converged.any()
    assert len(set(expected.n_iter)) > 5  # each ends by itself
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            result = gradient_descent(bowl, starts, **options)
        for part, wanted in zip(result[:4], expected[:4], strict=True):
            assert_same_bits(part, wanted)
    for i in (0, 500, 1002):
        alone = gradient_descent(bowl, starts[i], **options)
        assert alone.x.shape == (3,)
        assert (alone.n_iter, alone.converged) == (expected.n_iter[i], expected.converged[i])
        np.testing.assert_allclose(alone.x, expected.x[i], rtol=1e-12)
    for n_rows in (1, 2, 7, 8, 9):
        part = gradient_descent(bowl, starts[:n_rows], **options)
        assert_same_bits(part.n_iter, expected.n_iter[:n_rows])
        np.testing.assert_allclose(part.x, expected.x[:n_rows], rtol=1e-12)
    empty = gradient_descent(bowl, starts[:0], **options)
    assert empty.x.shape == (0, 3)
    assert empty.fun.shape == (0,)


def test_branches_on_the_value_and_differences(rng):
    def kinked(x):
        if x[0] > 0.5:
            return (x[0] - 1) ** 2 + x[1] ** 2
        return (x[0] + 1) ** 2 + 2 * x[1] ** 2

    starts = np.array([[3.0, 1.0], [-3.0, 1.0]] * 9)
    result = gradient_descent(kinked, starts, lr=0.05, max_iter=2000)
    np.testing.assert_allclose(result.x[:2], [[1, 0], [-1, 0]], atol=1e-5)
    assert result.converged.all()
    assert result.grad_method == "dual"

    def holds_floats(x):
        held = np.zeros(2)
        held[0], held[1] = x[0] - 1, x[1]
        return np.sum(held * held)

    result = gradient_descent(holds_floats, [3.0, 1.0], lr=0.05, tol=1e-5, max_iter=2000)
    np.testing.assert_allclose(result.x, [1, 0], atol=1e-5)
    assert result.grad_method == "difference"


# ---- backwards through a tape ----


def helper(z):
    return math.tanh(z) * z


def numpy_names(x, a, s):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2) * s + x @ a @ x


def math_names(x, a, s):
    return math.sqrt(x[0] ** 2 + 1) + helper(x[1]) + math.exp(-(x[2] ** 2)) * s


def reductions(x, a, s):
    total = np.mean(x) * np.prod(x) + np.linalg.norm(x) + np.max(x) + abs(x[1]) + x.sum() ** 3
    return total + np.dot(x, a @ x) + (CENTER * x).sum()


def powers(x, a, s):
    total = x[0] ** 1.5 + 2 ** x[1] + x[2] ** -2 + x[2] ** s + x[2] % 0.3 + a[0, 1] / x[0]
    return total + np.sum(np.exp(-(x**2)) * 2 / (x + 10))


def pairs(x, a, s):
    total = np.logaddexp(x[0], x[1]) + np.hypot(x[0], x[2]) + np.arctan2(x[1], x[0])
    return total + np.sum(np.maximum(x, 0.5) * np.sin(x)) + np.array([x[0] * x[1], x[2]]).sum()


def own_arrays(x, a, s):
    y = np.zeros_like(x)
    y[0], y[1] = x[1] * x[0], np.log(x[0])
    for i, item in enumerate(x):
        y[2] += (item - a[i, 0]) ** 2 * (i + 1)
    return y.sum()


def zero_times_infinity(x, a, s):
    return math.sqrt(x[0] * 0) + x[1] * x[2] + np.sqrt(0 * x[1] * x[2])


def slopes_of(function, x, *args):
    """The gradient that gradient_descent computes."""
    options = {"method": "sgd", "lr": 1.0, "max_iter": 1, "tol": 0, "args": args}
    return x - gradient_descent(function, x, **options).x


def add_one(y):
    y += 1.0


def in_place(x, a, s):
    y = x * x
    add_one(y)
    part = y[1:]
    part *= s  # seen in y
    y[:-1] -= y[1:]  # overlaps: the right side as it was
    y[:1] = x[2]
    return (y * y).sum() + x[0] // 0.1 * x[1]


@pytest.mark.parametrize(
    "function",
    [numpy_names, math_names, reductions, powers, pairs, own_arrays, zero_times_infinity, in_place],
)
def test_backwards_is_forwards(function):
    from fastmath_ml._kernels.jit.trace import tape_of

    matrix = np.array([[1.0, 2.0, 0.5], [0.5, -1.0, 1.0], [3.0, 0.0, 1.0]])
    x = np.array([[0.3, -1.2, 2.5], [0.7, 0.4, 0.9]])
    tape = tape_of(function, 3, (matrix, 0.7))
    for args in ((matrix, 0.7), (matrix.T.copy() * 1.5, 1.9)):  # arguments are not constants
        assert tape_of(function, 3, args) is tape
        exact = fm.calculus.gradient(function, x, args=args)
        np.testing.assert_allclose(slopes_of(function, x, *args), exact, rtol=1e-13, atol=1e-13)


def test_integers_are_constants_of_the_tape():
    def repeated(x, times):
        total = x[0] * 0
        for _ in range(times):
            total += x[1] * x[2]
        return total

    for times in (2, 3, 0):
        np.testing.assert_allclose(
            slopes_of(repeated, np.arange(3.0), times), [0, 2 * times, times]
        )


def noisy(x):
    return x[0] * np.random.rand()  # noqa: NPY002


def asks(x):
    return x[0] if x[0] > 0 else x[1]


def is_zero(x):
    return x[0] + (x[1] == 0.0)


def long(x):
    total = 0.0
    for i in range(1001):
        total += x[0] * i
    return total


def calls_itself(x):
    return x[0] if len(x) == 1 else x[0] * calls_itself(x[1:])


def constant(x):
    return 1.0


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (noisy, "random"),
        (asks, "decision"),
        (is_zero, "decision"),
        (long, "operations"),
        (calls_itself, "recursion"),
        (constant, "constant"),
        (abs, "Python"),
    ],
)
def test_what_cannot_be_written_down(function, reason):
    from fastmath_ml._kernels.jit.functions import NotCompilable
    from fastmath_ml._kernels.jit.trace import tape_of

    for _ in range(2):
        with pytest.raises(NotCompilable, match=reason):
            tape_of(function, 3, ())
    if function in (asks, long, constant):
        exact = {asks: [1, 0, 0], long: [500500, 0, 0], constant: [0, 0, 0]}[function]
        np.testing.assert_allclose(slopes_of(function, np.ones(3)), exact)


def test_functions_that_numba_refuses_run_as_python():
    stack = {"calls": 0}

    def counted(x):
        stack["calls"] += 1
        return (x[0] - 1) ** 2

    with pytest.warns(RuntimeWarning, match="counted runs as Python"):
        result = gradient_descent(counted, [[0.0], [2.0]], lr=0.1, max_iter=100, tol=1e-4)
    np.testing.assert_allclose(result.x, [[1], [1]], atol=1e-2)
    assert stack["calls"] > 100
    assert result.grad_method == "difference"


def test_rosenbrock_against_scipy(rng):
    def rosenbrock(x):
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    start = rng.uniform(-0.5, 0.5, 4)
    result = gradient_descent(rosenbrock, start, lr=0.02, max_iter=30_000, tol=1e-7)
    exact = scipy.optimize.minimize(rosenbrock, start, tol=1e-12)
    assert result.converged
    np.testing.assert_allclose(result.x, exact.x, atol=1e-4)


def test_bounds(rng):
    starts = rng.standard_normal((9, 3))
    box = [(None, 0.5), (-1.0, None), (-np.inf, np.inf)]
    for bounds in (box, scipy.optimize.Bounds([-np.inf, -1, -np.inf], [0.5, np.inf, np.inf])):
        result = gradient_descent(
            bowl, starts, args=ARGS, lr=0.05, bounds=bounds, max_iter=5000, tol=1e-6
        )
        assert result.converged.all()
        np.testing.assert_allclose(result.x, np.tile([0.5, -1.0, 0.5], (9, 1)), atol=1e-5)


def test_differences_stay_in_the_box():
    def rooted(x):
        held = np.zeros(3)
        held[0], held[1], held[2] = math.sqrt(x[0]), x[1] - 1, x[2]
        return np.sum(held * held) - math.log1p(-x[1])

    box = [(0, None), (0, 1 - 1e-9), (2, 2)]
    result = gradient_descent(rooted, [0.5, 0.5, 0.0], lr=0.01, bounds=box, tol=1e-4)
    assert result.grad_method == "difference"
    assert result.converged
    # In the second variable 2 (x - 1) + 1 / (1 - x) = 0.
    np.testing.assert_allclose(result.x, [0, 1 - math.sqrt(0.5), 2], atol=1e-3)


def test_functions_that_write_to_their_x():
    """They get a copy; `asks` keeps them out of packs, `held` from dual numbers."""

    def by_tape(x):
        x -= CENTER
        x[0] = x[0] * 1.0
        return (x * x).sum()

    def by_duals(x):
        x -= CENTER
        return (x * x).sum() if x[0] < 1e9 else 0.0

    def by_differences(x):
        held = np.zeros(3)
        x -= CENTER
        held += x
        return (held * held).sum()

    def slope(x):
        x -= CENTER
        x *= 2.0
        return x

    def slope_by_branch(x):
        x -= CENTER
        return 2 * x if x[0] < 1e9 else x

    starts = np.zeros((9, 3))
    for function in (by_tape, by_duals, by_differences):
        for grad in (None, slope, slope_by_branch):
            result = gradient_descent(
                function, starts, grad=grad, method="sgd", lr=0.25, max_iter=100, tol=1e-5
            )
            assert result.converged.all()
            np.testing.assert_allclose(result.x, np.tile(CENTER, (9, 1)), atol=1e-5)
            np.testing.assert_allclose(result.fun, np.zeros(9), atol=1e-9)
    assert (starts == 0).all()


def test_nan_ends_a_problem():
    result = gradient_descent(
        bowl, [[np.nan, 0, 0], [0.0, 0, 0]], args=ARGS, lr=0.05, max_iter=3000
    )
    assert result.converged.tolist() == [False, True]
    assert np.isnan(result.x[0, 0])
    assert np.isnan(result.fun[0])
    assert result.n_iter[0] <= 1


def test_callbacks_see_the_path_and_change_nothing():
    seen = []
    options = {"args": ARGS, "lr": 0.03, "tol": 0, "max_iter": 95}
    whole = gradient_descent(bowl, [0.0, 0.0, 0.0], **options)
    result = gradient_descent(
        bowl, [0.0, 0.0, 0.0], **options, callback=seen.append, callback_every=10
    )
    assert_same_bits(result.x, whole.x)
    assert [int(state.n_iter) for state in seen] == [*range(10, 100, 10), 95]
    assert_same_bits(seen[-1].x, result.x)
    assert not np.array_equal(seen[0].x, seen[1].x)

    def stop(state):
        if state.n_iter >= 30:
            raise StopIteration

    stopped = gradient_descent(bowl, [0.0, 0.0, 0.0], **options, callback=stop, callback_every=10)
    assert stopped.n_iter == 30


def test_callbacks_may_be_far_apart():
    """Farther than one compiled call goes."""
    seen = []
    options = {"method": "sgd", "lr": 1e-12, "tol": 0, "max_iter": 200_000}
    gradient_descent(
        *(bowl, [0.0, 0.0, 0.0]), args=ARGS, **options, callback=seen.append, callback_every=70_000
    )
    assert [int(state.n_iter) for state in seen] == [70_000, 140_000, 200_000]


def test_step_sizes_may_be_a_schedule():
    sizes = []

    def schedule(step):
        sizes.append(step)
        return 0.05 * 0.99**step

    result = gradient_descent(bowl, [0.0, 0, 0], args=ARGS, method="sgd", lr=schedule, max_iter=20)
    assert sizes == list(range(20))
    x = np.zeros(3)
    for step in range(20):
        x = x - 0.05 * 0.99**step * bowl_slope(x, *ARGS)
    np.testing.assert_allclose(result.x, x, rtol=1e-12)


def test_dtypes():
    single = gradient_descent(bowl, np.zeros(3, "f4"), args=ARGS, lr=0.1)
    assert single.x.dtype == np.float32
    assert gradient_descent(bowl, [0, 0, 0], args=ARGS, lr=0.1).x.dtype == np.float64
    swapped = tuple(arg.astype(">f8") for arg in ARGS)
    assert gradient_descent(bowl, [0, 0, 0], args=swapped, lr=0.1).converged


def test_the_callers_exceptions_arrive():
    def fails(x):
        if x[0] > 0.5:
            raise KeyError("mine")
        return (x[0] - 1) ** 2

    with pytest.raises(KeyError, match="mine"):
        gradient_descent(fails, [[0.0], [-1.0]] * 20, lr=0.05)

    def too_short(x):
        return np.zeros(1)

    with pytest.raises(ValueError, match="another length"):
        gradient_descent(lambda x: x[0], np.zeros((2, 3)), grad=too_short)
    for function in (lambda x: x[5] * 1.0 if x[0] > -9 else 0.0, lambda x: x[5] * x[0] * x[1]):
        for start in ([0.0, 0.0, 0.0], np.zeros((9, 3))):
            with pytest.raises(IndexError):
                gradient_descent(function, start, max_iter=3)
            with pytest.raises(IndexError):
                gradient_descent(lambda x: x[0] ** 2, start, grad=lambda x: x[1:4] * x[3])


def test_functions_that_return_no_number():
    for function, error, match in (
        (lambda x: x * x, ValueError, r"fun returns shape \(3,\); expected a number"),
        (lambda x: x[0] * 1j, TypeError, "fun returns complex128; expected real numbers"),
    ):
        with pytest.raises(error, match=match):
            gradient_descent(function, np.ones(3))
    for grad, error, match in (
        (lambda x: x[0], ValueError, r"grad returns shape \(\); expected a vector"),
        (lambda x: x * 1j, TypeError, "grad returns complex128"),
    ):
        with pytest.raises(error, match=match):
            gradient_descent(lambda x: x[0] ** 2, np.ones(3), grad=grad)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": "newton"}, ValueError, "method is 'newton'"),
        ({"grad": 3}, TypeError, "grad is a int"),
        ({"args": [1]}, TypeError, "args is a list"),
        ({"bounds": [(0, 1)]}, ValueError, r"bounds is \[\(0, 1\)\]; expected"),
        ({"bounds": 3}, TypeError, "bounds is 3; expected"),
        ({"bounds": [(0, 1), (0, 1, 2)]}, ValueError, "bounds is"),
        ({"bounds": [(0, 1), (0, "a")]}, ValueError, "bounds is"),
        ({"bounds": scipy.optimize.Bounds([0] * 3, [1] * 3)}, ValueError, "bounds is Bounds"),
        ({"bounds": [(1, 0), (0, 1)]}, ValueError, "at most the upper one"),
        ({"max_iter": -1}, ValueError, "max_iter"),
        ({"max_iter": 10.5}, TypeError, "max_iter is 10.5; expected an integer"),
        ({"callback_every": 0}, ValueError, "callback_every is 0"),
        ({"betas": (1.0, 0.9)}, ValueError, r"betas\[0\] is 1.0; expected a number in \[0, 1\)"),
        ({"betas": None}, TypeError, "betas is None"),
        ({"lr": -1}, ValueError, r"lr is -1; expected a number in \[0, inf\]"),
        ({"lr": np.nan}, ValueError, "lr is nan"),
        ({"lr": "a"}, TypeError, "lr is 'a'; expected a number"),
        ({"lr": lambda step: -step}, ValueError, r"lr\(1\) is -1"),
        ({"lr": lambda step: "a"}, TypeError, r"lr\(0\) is 'a'"),
        ({"tol": np.nan}, ValueError, "tol is nan"),
        ({"tol": -1}, ValueError, "tol is -1"),
        ({"eps": -1}, ValueError, "eps is -1"),
        ({"eps": "a"}, TypeError, "eps is 'a'"),
        ({"alpha": 2}, ValueError, "alpha is 2"),
        ({"weight_decay": -1}, ValueError, "weight_decay is -1"),
        ({"momentum": -1}, ValueError, "momentum is -1"),
        ({"callback": 3}, TypeError, "callback is a int"),
    ],
)
def test_bad_arguments(options, error, match):
    with pytest.raises(error, match=match):
        gradient_descent(lambda x: x[0], [0.0, 0.0], **options)


def test_bad_starts():
    for start, match in ((1.0, "x0 has shape"), (np.zeros((2, 2, 2)), "x0 has shape")):
        with pytest.raises(ValueError, match=match):
            gradient_descent(lambda x: x[0], start)


def test_a_true_return_value_of_the_callback_ends_the_descent():
    seen = []

    def callback(result):
        seen.append(result.n_iter)
        return True

    result = fm.optim.gradient_descent(
        lambda x: (x * x).sum(), [3.0, 4.0], lr=0.01, max_iter=50, callback=callback,
        callback_every=5,
    )  # fmt: skip
    assert len(seen) == 1
    assert result.n_iter == 5
