"""The fits against scikit-learn's solutions and by the conditions of a minimum."""

import numpy as np
import pytest
import scipy.sparse
from helpers import assert_same_bits
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.preprocessing import scale

from fastmath_ml import optim
from fastmath_ml.optim import fit_linear, fit_logistic, fit_softmax

METHODS = ("lbfgs", "sgd", "momentum", "rmsprop", "adagrad", "adam", "adamw")


def data_of(load):
    X, y = load(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="module")
def wine():
    return data_of(load_wine)


@pytest.fixture(scope="module")
def cancer():
    return data_of(load_breast_cancer)


def objective(X, y, model, l1=0.0, l2=0.0):
    numbers = np.searchsorted(model.classes, y)
    loss = optim.softmax_loss_with_grad if model.coef.ndim == 2 else optim.logistic_loss_with_grad
    value, grad, grad_intercept = loss(X, numbers, model.coef, model.intercept, l2=l2)
    return value + l1 * np.abs(model.coef).sum(), grad, grad_intercept


# ---- against scikit-learn ----


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer, load_wine])
@pytest.mark.parametrize("l2", [0.01, 0.001])
def test_sklearns_logistic_regression(load, l2):
    X, y = data_of(load)
    # Its other solvers stop some 1e-5 before the minimum.
    theirs = LogisticRegression(C=1 / (len(X) * l2), tol=1e-13, solver="newton-cholesky").fit(X, y)
    options = {"l2": l2, "tol": 3e-10, "max_epochs": 5000}
    if len(theirs.classes_) == 2:
        ours = fit_logistic(X, y, **options)
        expected = theirs.coef_[0], theirs.intercept_[0]
    else:
        ours = fit_softmax(X, y, **options)
        expected = theirs.coef_, theirs.intercept_
    assert ours.converged
    np.testing.assert_array_equal(ours.classes, theirs.classes_)
    np.testing.assert_allclose(ours.coef, expected[0], atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(ours.intercept, expected[1], atol=1e-6, rtol=1e-6)
    assert len(ours.losses) == ours.n_iter
    np.testing.assert_allclose(ours.losses[-1], objective(X, y, ours, l2=l2)[0], rtol=1e-12)


def test_ridge_and_lasso(wine):
    X, y = wine[0][:, 1:], wine[0][:, 0]
    options = {"tol": 1e-10, "max_epochs": 2000}
    ridge = fit_linear(X, y, l2=0.1, **options)
    np.testing.assert_allclose(ridge.coef, Ridge(alpha=0.1 * len(X)).fit(X, y).coef_, atol=1e-6)
    lasso = fit_linear(X, y, l1=0.1, **options)
    expected = Lasso(alpha=0.1, tol=1e-12, max_iter=100_000).fit(X, y).coef_
    np.testing.assert_allclose(lasso.coef, expected, atol=1e-6)
    assert ridge.classes is None


# ---- every method ----


@pytest.mark.parametrize("method", METHODS)
def test_every_method_descends_to_the_minimum(method, wine):
    X, y = wine
    best = fit_softmax(X, y, l2=0.05, tol=1e-9, max_epochs=1000)
    lr = None if method == "lbfgs" else 0.5 if method in ("sgd", "adagrad") else 0.02
    model = fit_softmax(X, y, l2=0.05, method=method, lr=lr, max_epochs=3000, tol=1e-3)
    assert model.converged
    assert model.losses[-1] - best.losses[-1] < 1e-4
    _, grad, grad_intercept = objective(X, y, model, l2=0.05)
    assert max(abs(grad).max(), abs(grad_intercept).max()) <= 1.001e-3


@pytest.mark.parametrize("method", METHODS)
def test_l1_gives_zeros_and_a_minimum(method, wine):
    X, y = wine
    best = fit_softmax(X, y, l1=0.05, tol=1e-9, max_epochs=2000)
    lr = None if method in ("lbfgs", "adagrad") else 0.2 if method == "sgd" else 0.01
    model = fit_softmax(X, y, l1=0.05, method=method, lr=lr, max_epochs=2000, tol=1e-5)
    assert 0 <= objective(X, y, model, l1=0.05)[0] - best.losses[-1] + 1e-12 < 2e-3
    zeros = model.coef == 0 if method != "lbfgs" else abs(model.coef) < 1e-6
    assert zeros.mean() > 0.5
    grad = objective(X, y, best)[1]
    assert (abs(grad) <= 0.05 + 1e-6).all()


@pytest.mark.parametrize("method", ["sgd", "adam", "adagrad"])
def test_mini_batches(method, cancer):
    X, y = cancer
    best = fit_logistic(X, y, l2=0.01, tol=1e-9, max_epochs=500)
    options = {"method": method, "batch_size": 32, "max_epochs": 40, "l2": 0.01}
    one, two = (fit_logistic(X, y, **options, rng=5) for _ in range(2))
    assert_same_bits(one.coef, two.coef)
    assert not np.array_equal(one.coef, fit_logistic(X, y, **options, rng=6).coef)
    assert one.losses[-1] - best.losses[-1] < 0.01
    weighted = fit_logistic(X, y, **options, rng=5, sample_weight=np.ones(len(X)))
    np.testing.assert_allclose(weighted.coef, one.coef, rtol=1e-9)


# ---- inputs ----


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], object),
        np.array([-1, 1], np.int8),
        np.array([-128, 127], np.int8),
        np.array([0, 2**63], np.uint64),
        np.array([0.5, 7.25]),
        np.array([False, True]),
    ],
    ids=repr,
)
def test_labels_of_any_kind(labels, cancer):
    X, y = cancer
    expected = fit_logistic(X, y, l2=0.1)
    model = fit_logistic(X, labels[y], l2=0.1)
    assert list(model.classes) == list(labels)
    assert_same_bits(model.coef, expected.coef)
    assert_same_bits(fit_softmax(X, labels[y], l2=0.1).coef, fit_softmax(X, y, l2=0.1).coef)


def test_sparse_float32_and_lists(cancer):
    X, y = cancer
    X = np.where(abs(X) > 1, X, 0)
    dense = fit_logistic(X, y, l2=0.1, tol=1e-8)
    sparse = fit_logistic(scipy.sparse.csr_matrix(X), y, l2=0.1, tol=1e-8)
    np.testing.assert_allclose(sparse.coef, dense.coef, atol=1e-7)
    single = fit_logistic(X.astype("f4"), y.tolist(), l2=0.1)
    assert single.coef.dtype == np.float32
    np.testing.assert_allclose(single.coef, dense.coef, atol=1e-3)
    batches = fit_logistic(
        scipy.sparse.csr_matrix(X), y, method="adam", batch_size=50, max_epochs=3, rng=0
    )
    np.testing.assert_allclose(
        batches.coef, fit_logistic(X, y, method="adam", batch_size=50, max_epochs=3, rng=0).coef
    )


def test_weights_and_no_intercept(cancer):
    X, y = cancer
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    options = {"l2": 0.1, "tol": 1e-9}
    weighted = fit_logistic(X, y, sample_weight=weight, **options)
    repeated = fit_logistic(np.repeat(X, weight, axis=0), np.repeat(y, weight), **options)
    np.testing.assert_allclose(weighted.coef, repeated.coef, atol=1e-7)
    for method in ("lbfgs", "adam"):
        assert fit_logistic(X, y, fit_intercept=False, method=method).intercept == 0


# ---- course ----


def test_warm_start_goes_on(cancer):
    X, y = cancer
    whole = fit_logistic(X, y, l2=0.01, method="sgd", max_epochs=30)
    first = fit_logistic(X, y, l2=0.01, method="sgd", max_epochs=12)
    second = fit_logistic(X, y, l2=0.01, method="sgd", max_epochs=18, warm_start=first)
    assert_same_bits(second.coef, whole.coef)
    assert_same_bits(second.losses, whole.losses)
    assert second.n_iter == 30
    best = fit_logistic(X, y, l2=0.01, tol=1e-8)
    again = fit_logistic(X, y, l2=0.01, tol=1e-8, warm_start=best)
    assert again.n_iter - best.n_iter <= 1
    np.testing.assert_allclose(again.coef, best.coef, atol=1e-7)


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_callback_sees_and_ends_the_fit(method, wine):
    seen = []

    def callback(model):
        seen.append(model)
        return len(seen) == 4

    model = fit_softmax(*wine, method=method, callback=callback)
    assert [m.n_iter for m in seen] == [1, 2, 3, 4]
    assert model.n_iter == 4
    assert not model.converged
    np.testing.assert_allclose(model.coef, seen[-1].coef, atol=1e-12)
    assert not np.array_equal(seen[0].coef, seen[1].coef)

    def failing(model):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit_softmax(*wine, method=method, callback=failing)

    def stopping(model):
        if model.n_iter == 4:
            raise StopIteration

    stopped = fit_softmax(*wine, method=method, callback=stopping)
    assert stopped.n_iter == 4
    assert not stopped.converged
    assert_same_bits(stopped.coef, model.coef)


def test_progress(cancer, capsys):
    pytest.importorskip("tqdm")
    fit_logistic(*cancer, method="adam", max_epochs=3, progress=True)
    assert "loss=" in capsys.readouterr().err


def test_divergence_ends_the_fit(wine):
    X, y = wine[0][:, 1:], wine[0][:, 0]
    with np.errstate(all="ignore"):
        model = fit_linear(X, y, method="sgd", lr=1e30, max_epochs=1000)
    assert not model.converged
    assert model.n_iter < 100


# ---- errors ----


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.full((4, 2), np.nan)}, "the loss is nan at the start"),
        ({"X": np.zeros(4)}, "X has shape"),
        ({"y": [0, 1, 0]}, r"y has shape \(3,\)"),
        ({"y": [0, 1, 2, 0]}, "y has 3 classes; expected 2"),
        ({"y": [0.0, 1.0, np.nan, 0.0]}, "y contains NaN"),
        ({"y": np.zeros((4, 1))}, "one label for each row"),
        ({"method": "newton"}, "method is 'newton'"),
        ({"batch_size": 3}, "batch_size"),
        ({"batch_size": 0, "method": "sgd"}, "batch_size is 0"),
        ({"l1": -1}, "l1 is -1"),
        ({"l2": np.nan}, "l2 is nan"),
        ({"max_epochs": 0}, "max_epochs is 0"),
        ({"sample_weight": [1, 2]}, "sample_weight has shape"),
        ({"method": ["adam"]}, r"method is \['adam'\]"),
        ({"lr": 0.1}, "lr is given with method 'lbfgs'"),
        ({"lr": "a", "method": "adam"}, "lr is 'a'"),
        ({"lr": -1, "method": "adam"}, "lr is -1"),
        ({"batch_size": 2.5, "method": "sgd"}, "batch_size is 2.5; expected an integer"),
        ({"max_epochs": None}, "max_epochs is None; expected an integer"),
        ({"tol": None}, "tol is None; expected a number"),
        ({"l1": "a"}, "l1 is 'a'; expected a number"),
        ({"l2": None}, "l2 is None; expected a number"),
        ({"callback": 3}, "callback is a int; expected a function"),
        ({"warm_start": 3}, "warm_start is a int; expected a FitResult"),
    ],
)
def test_errors(change, message):
    good = {"X": np.arange(8.0).reshape(4, 2), "y": [0, 1, 1, 0]}
    with pytest.raises((TypeError, ValueError), match=message):
        fit_logistic(**{**good, **change})


def test_warm_start_of_another_problem():
    X, y = np.arange(8.0).reshape(4, 2), [0, 1, 1, 0]
    other = fit_logistic(X[:, :1], y)
    with pytest.raises(ValueError, match=r"warm_start has a coef of shape \(1,\)"):
        fit_logistic(X, y, warm_start=other)
    other = fit_logistic(X, [0, 2, 2, 0])
    with pytest.raises(ValueError, match="warm_start has classes"):
        fit_logistic(X, y, warm_start=other)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_sample_weights_that_are_none(bad, rng):
    x, weight = rng.standard_normal((20, 3)), np.ones(20)
    weight[3] = bad
    with pytest.raises(ValueError, match="sample_weight"):
        fit_linear(x, x[:, 0], sample_weight=weight)


def test_errors_of_fits_name_the_argument(rng):
    x = rng.standard_normal((20, 3))
    with pytest.raises(TypeError, match="rng is"):
        fit_linear(x, x[:, 0], method="adam", rng="a")
    with pytest.raises(TypeError, match="y has labels"):
        fit_logistic(x, np.array([1, "a"] * 10, dtype=object))
