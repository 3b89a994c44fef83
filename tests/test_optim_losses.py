"""Gradients of linear models against their definitions, scikit-learn and finite differences."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from helpers import LAYOUTS, assert_same_bits, assert_within, eps, layout, normal

import fastmath_ml as fm
from fastmath_ml import optim
from fastmath_ml._linear_models import LARGE_GRADIENT

KINDS = ("linear", "logistic", "softmax")
N_CLASSES = 4
# Around the blocks (126, 56, 28, 14 rows, of one model 336, 112, 56, 24, 16, 8), the segments (1008
# rows, 2016 from 64513 rows on, up to 4032), the tiles and the vectors.
SIZES = [
    (1, 1),
    (5, 3),
    (17, 64),
    (126, 65),
    (127, 16),
    (300, 129),
    (1009, 20),
    (2500, 37),
    (64_513, 3),
    (57, 2100),
    (75, 750),
    (33, 3000),
]


def problem(rng, kind, n_rows, n_features, models, dtype, *, own_targets=False):
    """X, y, coef, intercept, with scores of the size of 1."""
    X = normal(rng, (n_rows, n_features), dtype)
    axes = (() if models is None else (models,)) + ((N_CLASSES,) if kind == "softmax" else ())
    coef = normal(rng, (*axes, n_features), dtype, scale=n_features**-0.5)
    intercept = normal(rng, axes, dtype)
    shape = (models, n_rows) if own_targets else (n_rows,)
    y = {
        "linear": normal(rng, shape, dtype),
        "logistic": rng.integers(0, 2, shape),
        "softmax": rng.integers(0, N_CLASSES, shape),
    }[kind]
    return X, y, coef, np.asarray(intercept, dtype)


def function_of(kind, module=optim):
    return getattr(module, f"{kind}_loss_with_grad")


def check(kind, result, X, y, coef, intercept=None, **options):
    """Scores err by about sqrt(depth) eps, sums over rows by less than 1000 eps of their terms."""
    dtype = np.result_type(X.dtype, coef.dtype).newbyteorder("=")
    expected = function_of(kind, fm.reference)(X, y, coef, intercept, **options)
    tolerance = (64 + 4 * X.shape[1] ** 0.5) * eps(dtype)
    for ours, exact in zip(result, expected, strict=True):
        if exact is None:
            assert ours is None
        else:
            scale = 1 + np.abs(exact).max() if np.isfinite(exact).all() else 1
            assert_within(ours, exact, tolerance * scale, dtype)


# ---- the numbers ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("models", [None, 1, 2, 5, 16])
def test_reference(kind, models, dtype, rng):
    for n_rows, n_features in SIZES:
        args = problem(rng, kind, n_rows, n_features, models, dtype)
        weight = rng.random(n_rows) + 0.1
        for options in ({}, {"l2": 0.3, "sample_weight": weight}):
            check(kind, function_of(kind)(*args, **options), *args, **options)
            check(kind, function_of(kind)(*args[:3], **options), *args[:3], **options)


@pytest.mark.parametrize("kind", KINDS)
def test_targets_and_penalties_of_each_model(kind, dtype, rng):
    args = problem(rng, kind, 333, 21, 3, dtype, own_targets=True)
    l2 = [0.0, 0.1, 2.0]
    check(kind, function_of(kind)(*args, l2=l2), *args, l2=l2)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_the_slope_of_the_loss(kind, rng):
    X, y, coef, intercept = problem(rng, kind, 60, 7, None, "f8")
    _, grad, grad_intercept = function_of(kind)(X, y, coef, intercept, l2=0.2)
    direction, step = normal(rng, coef.shape, "f8"), 1e-6

    def loss(t):
        return function_of(kind)(X, y, coef + t * direction, intercept + t, l2=0.2)[0]

    slope = (loss(step) - loss(-step)) / (2 * step)
    assert abs(slope - (grad * direction).sum() - np.sum(grad_intercept)) < 1e-8


def test_sklearns_losses(rng):
    from sklearn._loss import HalfBinomialLoss, HalfMultinomialLoss
    from sklearn.linear_model._linear_loss import LinearModelLoss

    X, y, coef, _ = problem(rng, "logistic", 500, 11, None, "f8")
    theirs = LinearModelLoss(HalfBinomialLoss(), fit_intercept=False)
    expected = theirs.loss_gradient(coef, X, y.astype("f8"), l2_reg_strength=0.1)
    ours = optim.logistic_loss_with_grad(X, y, coef, l2=0.1)
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-13)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-11, atol=1e-14)
    X, y, coef, _ = problem(rng, "softmax", 500, 11, None, "f8")
    theirs = LinearModelLoss(HalfMultinomialLoss(n_classes=N_CLASSES), fit_intercept=False)
    expected = theirs.loss_gradient(np.asfortranarray(coef), X, y.astype("f8"))
    ours = optim.softmax_loss_with_grad(X, y, coef)
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-13)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_too_large_for_a_buffer_per_thread(kind, dtype, rng):
    n_features = LARGE_GRADIENT // 8
    args = problem(rng, kind, 300, n_features, 12, dtype)
    check(kind, function_of(kind)(*args), *args)


def test_error_does_not_grow_with_the_number_of_rows(rng):
    """Residuals of one sign, which a single chain of float32 additions would lose."""
    X = np.ones((400_000, 2), np.float32)
    _, grad, grad_intercept = optim.linear_loss_with_grad(
        X, np.full(400_000, 0.1), np.zeros(2, "f4"), np.float32(0)
    )
    np.testing.assert_allclose([*grad, grad_intercept], -np.float32(0.1), rtol=2e-5)


# ---- what must not change a result ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("models", [None, 5])
def test_layouts(kind, models, dtype, rng):
    X, y, coef, intercept = problem(rng, kind, 150, 37, models, dtype)
    expected = function_of(kind)(X, y, coef, intercept)
    for name in LAYOUTS:
        weights = coef if name == "odd strides" else layout(coef, name)
        result = function_of(kind)(layout(X, name), y, weights, intercept)
        for ours, plain in zip(result, expected, strict=True):
            assert_same_bits(ours, plain)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("models", [None, 16])
def test_threads(kind, models, dtype, rng):
    for n_rows, n_features in ((20_001, 33), (200_001, 2)):
        args = problem(rng, kind, n_rows, n_features, models, dtype)
        results = []
        for n_threads in (1, 2, 3, 7):
            with fm.num_threads(n_threads):
                results.append(function_of(kind)(*args))
        check(kind, results[0], *args)
        for result in results[1:]:
            for ours, serial in zip(result, results[0], strict=True):
                assert_same_bits(ours, serial)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse(kind, form, dtype, rng):
    for models in (None, 3):
        X, *rest = problem(rng, kind, 90, 25, models, dtype)
        X[rng.random(X.shape) < 0.8] = 0
        weight = rng.random(90)
        result = function_of(kind)(form(X), *rest, sample_weight=weight)
        check(kind, result, X, *rest, sample_weight=weight)


def test_memory_map(tmp_path, dtype, rng):
    X, y, coef, intercept = problem(rng, "logistic", 3000, 20, None, dtype)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    result = optim.logistic_loss_with_grad(mapped, y, coef, intercept)
    for ours, plain in zip(
        result, optim.logistic_loss_with_grad(X, y, coef, intercept), strict=True
    ):
        assert_same_bits(ours, plain)


def test_dtypes(rng):
    X, y, coef, _ = problem(rng, "logistic", 50, 6, None, "f8")
    for x_dtype, coef_dtype, wanted in [
        ("f4", "f4", "f4"),
        ("f2", "f4", "f4"),
        ("f4", "f8", "f8"),
        ("f8", "f4", "f8"),
        ("i8", "f4", "f8"),
        ("?", "f4", "f8"),
    ]:
        args = (10 * X).astype(x_dtype), y, coef.astype(coef_dtype)
        result = optim.logistic_loss_with_grad(*args, 0.5)
        assert {np.asarray(part).dtype for part in result} == {np.dtype(wanted)}
        check("logistic", result, args[0].astype(wanted), y, args[2].astype(wanted), 0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x_dtype", ["i1", "f4", ">f8"])
def test_other_dtypes_are_converted_by_chunks(kind, x_dtype, rng):
    X, y, coef, intercept = problem(rng, kind, 120_001, 60, None, "f8")
    X, weight = (10 * X).astype(x_dtype), rng.random(120_001)
    converted = X.astype("f8")
    optim.linear_loss_with_grad(X[:2], [0, 1], coef.reshape(-1, 60)[0])  # imports what it needs
    tracemalloc.start()
    result = function_of(kind)(X, y, coef, intercept, sample_weight=weight)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < converted.nbytes / 2
    expected = function_of(kind)(converted, y, coef, intercept, sample_weight=weight)
    for ours, whole in zip(result, expected, strict=True):
        np.testing.assert_allclose(ours, whole, rtol=1e-10, atol=1e-13)


# ---- hostile values ----


def test_logistic_loss_is_stable(dtype):
    """Rows far on the right side keep their relative accuracy, far on the wrong side are finite."""
    z = np.array([-80.0, -30.0, -1.0, 0.0, 1.0, 30.0, 80.0, 1e30, -1e30], dtype)
    for y in (0, 1):
        for score in z:
            loss, grad, _ = optim.logistic_loss_with_grad(
                np.full((1, 1), score), [y], np.ones(1, dtype)
            )
            t = np.float64(-score if y else score)
            exact = np.log1p(np.exp(t)) if t < 30 else t + np.log1p(np.exp(-t))
            assert abs(loss - exact) <= 8 * eps(dtype) * exact
            assert np.isfinite(grad).all()


@pytest.mark.parametrize("n_rows", [1, 2, 125, 126, 127, 2000])
@pytest.mark.parametrize("weight", [None, 1.0])
def test_logistic_losses_of_several_models_and_rows(n_rows, weight, dtype):
    """Without weights rows share a logarithm: tiny losses stay relatively exact, none overflows."""
    z = np.array([-80.0, -30.0, -9.0, -1e-3, 0.0, 1e-3, 2.0, 30.0, 80.0, 1e30, -1e30], dtype)
    weights = None if weight is None else np.full(n_rows, weight)
    for y in (0, 1):
        loss, grad, _ = optim.logistic_loss_with_grad(
            np.ones((n_rows, 1), dtype), np.full(n_rows, y), z[:, None], sample_weight=weights
        )
        exact = np.logaddexp(0, np.where(y, -z, z).astype(np.float64))
        assert_within(loss, exact, 64 * eps(dtype) * exact, dtype)
        assert np.isfinite(grad).all()


@pytest.mark.parametrize("kind", KINDS)
def test_large_scores(kind, dtype, rng):
    X, y, coef, intercept = problem(rng, kind, 40, 5, None, dtype)
    check(kind, function_of(kind)(X, y, coef * 300, intercept), X, y, coef * 300, intercept)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("models", [None, 3])
def test_nan_and_infinity_propagate(kind, value, models, dtype, rng):
    X, y, coef, intercept = problem(rng, kind, 400, 9, models, dtype)
    X[133, 4] = value
    loss, grad, _ = function_of(kind)(X, y, coef, intercept)
    assert not np.isfinite(loss).any()
    assert not np.isfinite(grad[..., 4]).any()


def test_weights_count_rows(dtype, rng):
    """A weight of 2 is a row that comes twice, one of 0 a row that is not there."""
    X, y, coef, intercept = problem(rng, "softmax", 100, 8, None, dtype)
    weight = rng.integers(0, 3, 100)
    ours = optim.softmax_loss_with_grad(X, y, coef, intercept, sample_weight=weight)
    repeated = np.repeat(X, weight, axis=0), np.repeat(y, weight), coef, intercept
    for a, b in zip(ours, optim.softmax_loss_with_grad(*repeated), strict=True):
        assert_within(a, b.astype(np.float64), 64 * eps(dtype))


# ---- errors ----


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.zeros(3)}, ValueError, r"X has shape \(3,\)"),
        ({"X": np.zeros((0, 3))}, ValueError, "at least one row"),
        ({"X": np.ma.zeros((5, 3))}, TypeError, "X is a masked array"),
        ({"X": np.zeros((5, 3), complex)}, TypeError, "X has dtype complex128"),
        ({"y": np.zeros(4)}, ValueError, r"y has shape \(4,\)"),
        ({"y": np.full(5, 2.0)}, ValueError, "y has values from 2.0 to 2.0"),
        ({"y": np.full(5, "a")}, TypeError, "y has dtype <U1"),
        ({"coef": np.zeros(4)}, ValueError, r"coef has shape \(4,\)"),
        ({"coef": np.zeros((1, 1, 3))}, ValueError, "coef has shape"),
        ({"coef": np.zeros(3, object)}, TypeError, "coef has dtype object"),
        ({"intercept": [1.0]}, ValueError, r"intercept has shape \(1,\)"),
        ({"l2": -1}, ValueError, "l2 is -1"),
        ({"l2": [1, 2]}, ValueError, "l2 is"),
        ({"l2": "a"}, TypeError, "l2 has dtype <U1"),
        ({"l2": None}, TypeError, "l2 has dtype object"),
        ({"sample_weight": np.ones(4)}, ValueError, "sample_weight has shape"),
        ({"sample_weight": np.zeros(5)}, ValueError, "sample_weight sums to 0"),
    ],
)
def test_errors(change, error, message):
    good = {"X": np.zeros((5, 3)), "y": np.zeros(5), "coef": np.zeros(3)}
    with pytest.raises(error, match=message):
        optim.logistic_loss_with_grad(**{**good, **change})


def test_class_numbers_are_checked():
    X, coef = np.zeros((3, 2)), np.zeros((4, 2))
    for y, error in [([0, 1, 4], ValueError), ([-1, 0, 1], ValueError), ([0.0, 1, 2], TypeError)]:
        with pytest.raises(error, match="class numbers"):
            optim.softmax_loss_with_grad(X, y, coef)
