"""Metrics of the caller: numbers, what is compiled and what is not, and whose exception it is."""

import functools
import types
import warnings

import numba
import numpy as np
import pytest
from helpers import LAYOUTS, assert_same_bits, eps, layout, normal
from scipy.spatial.distance import cdist as scipy_cdist
from scipy.spatial.distance import pdist as scipy_pdist
from scipy.spatial.distance import squareform

import fastmath_ml as fm
from fastmath_ml._custom import custom_distances

WEIGHTS = np.linspace(0.5, 2, 7)


def manhattan(x, y):
    total = 0.0
    for i in range(x.shape[0]):
        total += abs(x[i] - y[i])
    return total


def weighted(x, y, w, p=1.0):
    return np.sum(w * np.abs(x - y) ** p)


def one_sided(x, y):
    """Not symmetric."""
    return x[0] - 2 * y[0]


def check(result, exact, dtype):
    assert result.dtype == dtype
    np.testing.assert_allclose(result, exact, rtol=64 * eps(dtype), atol=64 * eps(dtype))


@pytest.mark.filterwarnings("error")
def test_two_sets(dtype, rng):
    x, y = normal(rng, (65, 7), dtype), normal(rng, (517, 7), dtype)
    check(custom_distances(x, y, manhattan), scipy_cdist(x, y, "cityblock"), dtype)
    check(custom_distances(x, y, one_sided), x[:, :1] - 2 * y[:, 0], dtype)


def test_one_set(dtype, rng):
    """Each pair once, i <= j, and mirrored."""
    x = normal(rng, (300, 7), dtype)
    full = custom_distances(x, None, one_sided)
    upper = np.triu(x[:, :1] - 2 * x[:, 0])
    check(full, upper + np.triu(upper, 1).T, dtype)
    condensed = custom_distances(x, None, manhattan, condensed=True)
    check(condensed, scipy_pdist(x.astype(float), "cityblock"), dtype)
    assert_same_bits(squareform(condensed), custom_distances(x, None, manhattan))
    assert custom_distances(x[:1], None, manhattan, condensed=True).shape == (0,)
    check(custom_distances(x[:2], None, manhattan, condensed=True), condensed[:1], dtype)


def test_parameters(rng):
    x, y = normal(rng, (9, 7), "float64"), normal(rng, (11, 7), "float64")
    for p in (1.0, 2.0, 1.0):
        exact = scipy_cdist(x, y, weighted, w=WEIGHTS, p=p)
        check(custom_distances(x, y, weighted, {"w": WEIGHTS, "p": p}), exact, np.float64)
    again = custom_distances(x, y, weighted, {"w": 2 * WEIGHTS})
    check(again, scipy_cdist(x, y, "cityblock", w=2 * WEIGHTS), np.float64)


def test_what_is_captured_may_change(rng):
    x, y = normal(rng, (5, 3), "float64"), normal(rng, (6, 3), "float64")
    factor, shift = 1.0, np.zeros(3)

    def metric(a, b):
        return factor * abs(a[0] - b[0]) + shift[0]

    first = custom_distances(x, y, metric)
    factor = 2.0
    assert_same_bits(custom_distances(x, y, metric), 2 * first)
    shift[0] = 1.0
    assert_same_bits(custom_distances(x, y, metric), 2 * first + 1)


SCALE = 1.0
options = types.ModuleType("options_of_a_test")
options.scale = 1.0


def absolute(x):
    return abs(x)


def scaled(a, b):
    return options.scale * np.sum(np.array([SCALE * absolute(x) for x in a - b]))


@pytest.mark.filterwarnings("error")
def test_what_it_refers_to_may_change(rng, monkeypatch):
    """In comprehensions and modules, too; functions that it calls are compiled along."""
    x, y = normal(rng, (5, 3), "float64"), normal(rng, (6, 3), "float64")
    first = custom_distances(x, y, scaled)
    check(first, scipy_cdist(x, y, "cityblock"), np.float64)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert_same_bits(custom_distances(x, y, scaled), 2 * first)
    monkeypatch.setattr(options, "scale", 4.0)
    assert_same_bits(custom_distances(x, y, scaled), 8 * first)


@pytest.mark.filterwarnings("error")
def test_abs_of_rows(rng):
    x, y = normal(rng, (20, 7), "float64"), normal(rng, (30, 7), "float64")
    exact = scipy_cdist(x, y, "cityblock")
    check(custom_distances(x, y, lambda a, b: abs(a - b).sum()), exact, np.float64)
    check(custom_distances(x, y, lambda a, b: np.sum(abs(a - b)) + abs(0)), exact, np.float64)


def test_jitted_as_it_is(rng):
    x, y = normal(rng, (20, 7), "float64"), normal(rng, (30, 7), "float64")
    jitted = numba.njit(manhattan)
    for _ in range(2):
        check(custom_distances(x, y, jitted), scipy_cdist(x, y, "cityblock"), np.float64)


def test_compiled_once(monkeypatch, rng):
    from fastmath_ml._kernels.jit import metric as jit

    calls = []
    compile_loop = jit.compile_loop
    monkeypatch.setattr(jit, "compile_loop", lambda *args: calls.append(1) or compile_loop(*args))

    def metric(a, b):
        return a[0] + b[0]

    x = normal(rng, (5, 3), "float64")
    for _ in range(3):
        custom_distances(x, x, metric)
    assert len(calls) == 1
    custom_distances(x.astype("float32"), x.astype("float32"), metric)
    assert len(calls) == 2


class Callable:
    def __call__(self, a, b):
        return manhattan(a, b)


def uses_eval(a, b):
    return eval("abs(a - b).sum()")


def keyword_only(a, b, *, factor=1.0):
    return factor * np.abs(a - b).sum()


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (Callable(), "it is a Callable, expected a plain function"),
        (functools.partial(weighted, w=WEIGHTS), "it is a partial"),
        (uses_eval, "TypingError.*eval"),
        (keyword_only, "keyword-only"),
    ],
)
def test_python_with_a_warning(metric, why, rng):
    x, y = normal(rng, (4, 7), "float64"), normal(rng, (5, 7), "float64")
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match=f"runs in Python.*{why}"):
            result = custom_distances(x, y, metric)
        check(result, scipy_cdist(x, y, metric), np.float64)
    with pytest.warns(RuntimeWarning, match="runs in Python"):
        one = custom_distances(x, None, metric, condensed=True)
    check(one, scipy_pdist(x, metric), np.float64)


class OwnError(Exception):
    pass


def picky(a, b):
    if a[0] + b[0] > 3:
        raise OwnError("too large", 7)
    return a[0]


def picky_with_data(a, b):
    if a[0] > 0.5:
        raise ValueError(f"a is {float(a[0]):.3f}")
    return a[0]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("as_given", [picky, numba.njit(picky)])
def test_exceptions_are_the_caller_s(as_given, n_threads, rng):
    x = normal(rng, (600, 3), "float64")
    x[:, 0] = 1
    x[400, 0] = 5
    out = np.full((600, 600), -1.0)
    with fm.num_threads(n_threads):
        with pytest.raises(OwnError, match="too large") as caught:
            custom_distances(x, x.copy(), as_given, out=out)
        assert (custom_distances(x[:300], x[:300].copy(), as_given) == 1).all()
    assert caught.value.args == ("too large", 7)
    assert (out == -1).all()


def test_the_first_failing_pair_is_run_again(rng):
    """Formatting a message is nothing Numba can do for floats of a width: it runs in Python."""
    x = np.zeros((500, 2))
    x[123, 0], x[456, 0] = 0.625, 0.875
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"a is 0\.625"):
            custom_distances(x, x.copy(), picky_with_data)


def test_returns_no_number():
    x = np.ones((3, 2))
    with (
        pytest.warns(RuntimeWarning, match="runs in Python"),
        pytest.raises((TypeError, ValueError)),
    ):
        custom_distances(x, x.copy(), lambda a, b: "near")


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, dtype, rng):
    x, y = normal(rng, (12, 7), dtype), normal(rng, (13, 7), dtype)
    result = custom_distances(layout(x, name), layout(y, name), manhattan)
    assert_same_bits(result, custom_distances(x, y, manhattan))


def test_other_dtypes(rng):
    x = rng.integers(-9, 9, (6, 4))
    for kind, result in (("int8", "float32"), ("float16", "float32"), ("int64", "float64")):
        check(
            custom_distances(x.astype(kind), x.astype(kind), manhattan),
            scipy_cdist(x, x, "cityblock"),
            np.dtype(result),
        )


def test_out(rng):
    x = normal(rng, (6, 4), "float32")
    out = np.empty((6, 6), np.float64)
    assert custom_distances(x, x.copy(), manhattan, out=out) is out
    assert_same_bits(out, custom_distances(x, x.copy(), manhattan).astype(float))
    with pytest.raises(ValueError, match="out has shape"):
        custom_distances(x, x.copy(), manhattan, out=out[:5])


def test_threads(rng):
    x, y = normal(rng, (300, 9), "float32"), normal(rng, (700, 9), "float32")
    results = []
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            results.append(custom_distances(x, y, manhattan))
    for result in results[1:]:
        assert_same_bits(result, results[0])


def writes(a, b):
    a[0] = 99.0
    return 0.0


def test_what_is_read_only_stays_as_it_is(tmp_path):
    """As in Python, which a metric that writes runs in."""
    np.zeros((5, 3)).tofile(tmp_path / "rows")
    rows = np.memmap(tmp_path / "rows", mode="r", dtype=float, shape=(5, 3))
    with (
        pytest.warns(RuntimeWarning, match=r"runs in Python.*TypingError"),
        pytest.raises(ValueError, match="read-only"),
    ):
        fm.cdist(rows, rows, writes)
    assert not fm.cdist(rows, rows, numba.njit(writes)).any()  # on a copy
    assert not rows.any()


# ---- in searches ----


@pytest.mark.parametrize("n_queries", [1, 40])
def test_topk(n_queries, rng):
    x, y = rng.integers(-3, 4, (n_queries, 3)) * 1.0, rng.integers(-3, 4, (5000, 3)) * 1.0
    found = fm.topk(x, y, 9, manhattan)
    exact, order = fm.reference.topk(x, y, 9, "cityblock")
    assert_same_bits(found.indices, order)
    assert_same_bits(found.distances, exact)


def test_radius_neighbors(rng):
    x, y = rng.integers(-3, 4, (20, 3)) * 1.0, rng.integers(-3, 4, (900, 3)) * 1.0
    found = fm.pairwise.radius_neighbors(x, y, 2.0, manhattan)
    exact = fm.reference.radius_neighbors(x, y, 2.0, "cityblock")
    for ours, theirs in zip(found, exact, strict=True):
        assert_same_bits(ours, theirs)


def test_argmin(rng):
    x, y = normal(rng, (20, 7), "float64"), normal(rng, (90, 7), "float64")
    ours = fm.pairwise_distances_argmin(x, y, metric=weighted, metric_kwargs={"w": WEIGHTS})
    assert_same_bits(ours, scipy_cdist(x, y, "cityblock", w=WEIGHTS).argmin(axis=1))


# ---- in matrices ----


def test_matrices(dtype, rng):
    x, y = normal(rng, (20, 7), dtype), normal(rng, (90, 7), dtype)
    full = custom_distances(x, y, manhattan)
    assert_same_bits(fm.cdist(x, y, manhattan), full)
    assert_same_bits(fm.pairwise_distances(x, y, manhattan), full)
    assert_same_bits(fm.pdist(x, manhattan), custom_distances(x, None, manhattan, condensed=True))
    upper = np.triu(x[:, :1] - 2 * x[:, 0])
    check(fm.pairwise_distances(x, metric=one_sided), upper + np.triu(upper, 1).T, dtype)
    out = np.empty_like(full)
    assert fm.cdist(x, y, manhattan, out=out) is out
    assert_same_bits(out, full)


def test_parameters_of_a_metric_have_any_name(rng):
    def metric(a, b, condensed=1, out=2, Y=3):
        return (condensed + out + Y) * abs(a[0] - b[0])

    x, y = rng.standard_normal((5, 3)), rng.standard_normal((4, 3))
    exact = 12 * np.abs(x[:, :1] - y[:, 0])
    options = {"condensed": 5, "Y": 5}
    np.testing.assert_allclose(fm.cdist(x, y, metric, **options), exact)
    np.testing.assert_allclose(
        fm.pairwise.pdist(x, metric, **options), 12 * scipy_pdist(x[:, :1], "cityblock")
    )
    found = fm.topk(x, y, 1, metric, condensed=5)
    np.testing.assert_array_equal(found.indices[:, 0], exact.argmin(axis=1))
