"""How the fits of linear models run: L-BFGS, or an optimizer, on the one-sweep gradients.

The objective is that of the losses, mean loss + l2/2 |w|^2, and l1 |w|_1 on top of it. L-BFGS is
SciPy's, imported when it is used; with l1 it works on the positive and negative parts of w, which
makes the objective smooth. The optimizers take a proximal step after each of theirs: a soft
threshold by l1 times the step size that the optimizer gave each element, so that a point that
neither moves is a minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype, contiguous, ready
from ._krylov import make_rng
from ._linear_models import LinearLoss, feature_matrix, row_weights
from ._optimizer import Optimizer
from ._options import checked

Array = npt.NDArray[Any]

# Each method: its optimizer, options, and the learning rate where none is given. The decay of AdamW
# is part of the objective here, which makes it Adam.
METHODS: dict[str, tuple[str, dict[str, Any], float]] = {
    "sgd": ("SGD", {}, 0.1),
    "momentum": ("SGD", {"momentum": 0.9, "nesterov": True}, 0.05),
    "rmsprop": ("RMSprop", {}, 0.005),
    "adagrad": ("Adagrad", {}, 0.1),
    "adam": ("Adam", {}, 0.01),
    "adamw": ("AdamW", {"weight_decay": 0.0}, 0.01),
}


class FitResult(NamedTuple):
    """A fitted model: what the fits return, and take as `warm_start`.

    coef is (n_features,) or (n_classes, n_features), intercept a number or (n_classes,), classes
    the sorted labels, None for `fit_linear`. losses are the objective after each of the n_iter
    iterations or epochs, those before a warm start included.
    """

    coef: Array
    intercept: Any
    classes: Array | None
    losses: Array
    n_iter: int
    converged: bool


class _Problem:
    """The objective as a function of coef (n_outputs, n_features) and bias (n_outputs,)."""

    def __init__(
        self, loss: LinearLoss, n_outputs: int, l1: float, l2: float, fit_intercept: bool
    ) -> None:
        self.loss, self.l1, self.l2, self.fit_intercept = loss, l1, l2, fit_intercept
        self.shape = (n_outputs, loss.X.shape[1])
        self.n_coef = self.shape[0] * self.shape[1]

    def smooth(
        self, coef: Array, bias: Array, loss: LinearLoss | None = None
    ) -> tuple[float, Array, Array]:
        """Loss and l2 penalty, and their gradients, in float64."""
        losses, grad, bias_grad = (loss or self.loss)(coef, bias)
        if self.l2:
            grad += self.l2 * coef
            losses = losses + self.l2 / 2 * np.square(coef, dtype=np.float64).sum()
        if not self.fit_intercept:
            bias_grad = np.zeros_like(bias_grad)
        return float(losses[0]), grad, bias_grad

    def l1_penalty(self, coef: Array) -> float:
        return self.l1 * float(np.abs(coef).sum(dtype=np.float64)) if self.l1 else 0.0

    def slope(self, coef: Array, grad: Array, bias_grad: Array) -> float:
        """The largest element of the gradient, with l1 of the subgradient that is shortest."""
        if self.l1:
            shrunk = np.sign(grad) * np.maximum(np.abs(grad) - self.l1, 0)
            grad = np.where(coef != 0, grad + self.l1 * np.sign(coef), shrunk)
        return float(max(np.abs(grad).max(), np.abs(bias_grad).max()))


class _Course:
    """What happens after each iteration: losses, progress bar, callback."""

    def __init__(
        self,
        result: Callable[[Array, Array, Array, int, bool], FitResult],
        before: FitResult | None,
        callback: Callable[[FitResult], Any] | None,
        progress: bool,
        max_epochs: int,
    ) -> None:
        self.losses: list[float] = [] if before is None else list(before.losses)
        self.n_iter = 0 if before is None else before.n_iter
        self.result, self.callback = result, callback
        self.bar = None
        if progress:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise ImportError("progress=True needs the package tqdm") from None
            self.bar = tqdm(total=max_epochs)

    def passed(self, coef: Array, bias: Array, loss: float) -> bool:
        """Note an iteration; whether the callback wants to stop."""
        self.losses.append(loss)
        self.n_iter += 1
        if self.bar is not None:
            self.bar.update()
            self.bar.set_postfix(loss=f"{loss:.6g}")
        try:
            return self.callback is not None and bool(self.callback(self.finish(coef, bias, False)))
        except StopIteration:
            return True

    def finish(self, coef: Array, bias: Array, converged: bool) -> FitResult:
        return self.result(coef, bias, np.array(self.losses), self.n_iter, converged)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _fit_lbfgs(
    problem: _Problem, coef: Array, bias: Array, tol: float, max_epochs: int, course: _Course
) -> FitResult:
    from scipy.optimize import minimize

    n_coef, l1, dtype = problem.n_coef, problem.l1, coef.dtype

    def unpack(x: Array) -> tuple[Array, Array]:
        w = x[:n_coef] - x[n_coef : 2 * n_coef] if l1 else x[:n_coef]
        return w.reshape(problem.shape).astype(dtype), x[-len(bias) :].astype(dtype)

    def objective(x: Array) -> tuple[float, Array]:
        loss, grad, bias_grad = problem.smooth(*unpack(x))
        grad = grad.ravel()
        if l1:
            loss += l1 * float(x[: 2 * n_coef].sum())
            grad = np.concatenate([l1 + grad, l1 - grad])
        return loss, np.concatenate([grad, bias_grad])

    def note(intermediate_result: Any) -> None:
        if course.passed(*unpack(intermediate_result.x), float(intermediate_result.fun)):
            raise StopIteration

    w = coef.ravel().astype(np.float64)
    start = np.concatenate([np.maximum(w, 0), np.maximum(-w, 0), bias] if l1 else [w, bias])
    bounds = [(0, None)] * (2 * n_coef) + [(None, None)] * len(bias) if l1 else None
    # What ends it is the gradient, or a loss that no longer falls.
    options = {"maxiter": max_epochs, "maxfun": 20 * max_epochs, "gtol": tol, "maxls": 50}
    options["ftol"] = 0.0
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=note, options=options
    )
    return course.finish(*unpack(found.x), bool(found.success))


def _threshold(optimizer: Optimizer, l1: float) -> Any:
    """l1 times the step that the optimizer makes for a gradient of 1 in each element of coef."""
    saved = optimizer.state_dict()
    state, options, lr = saved["state"][0], saved["param_groups"][0], optimizer.lr
    if "exp_avg_sq" in state:
        square = state["exp_avg_sq"] / (1 - options["betas"][1] ** state["step"])
    elif "square_avg" in state or "sum" in state:
        square = state.get("square_avg", state.get("sum"))
    else:
        return l1 * lr / (1 - options["momentum"])  # what a gradient comes to in the end
    return l1 * lr / (np.sqrt(square) + options["eps"])


def _fit_by_steps(
    problem: _Problem,
    coef: Array,
    bias: Array,
    optimizer: Optimizer,
    batch_size: int | None,
    tol: float,
    max_epochs: int,
    rng: np.random.Generator,
    course: _Course,
) -> FitResult:
    """Epochs of mini-batches, or full gradients; the optimizer changes coef and bias in place."""
    n_rows = problem.loss.X.shape[0]
    dtype = coef.dtype
    loss, grad, bias_grad = problem.smooth(coef, bias)

    def step(grad: Array, bias_grad: Array) -> None:
        optimizer.step([grad.astype(dtype), bias_grad.astype(dtype)])
        if problem.l1:
            threshold = _threshold(optimizer, problem.l1)
            np.copyto(coef, np.sign(coef) * np.maximum(np.abs(coef) - threshold, 0))

    for _ in range(max_epochs):
        if batch_size is None or batch_size >= n_rows:
            step(grad, bias_grad)
        else:
            order = rng.permutation(n_rows)
            for begin in range(0, n_rows, batch_size):
                batch = problem.loss.rows(order[begin : begin + batch_size])
                if batch.total_weight != 0:
                    step(*problem.smooth(coef, bias, batch)[1:])
        loss, grad, bias_grad = problem.smooth(coef, bias)
        loss += problem.l1_penalty(coef)
        converged = problem.slope(coef, grad, bias_grad) <= tol
        if course.passed(coef, bias, loss) or converged or not np.isfinite(loss):
            return course.finish(coef, bias, converged)
    return course.finish(coef, bias, False)


def fit(
    kind: str,
    X: Any,
    y: Any,
    classes: Array | None,
    method: str,
    lr: float | None,
    batch_size: int | None,
    max_epochs: int,
    l1: float,
    l2: float,
    tol: float,
    rng: Any,
    callback: Any,
    progress: bool,
    warm_start: FitResult | None,
    fit_intercept: bool,
    sample_weight: Any,
) -> FitResult:
    if method not in ("lbfgs", *METHODS):
        raise ValueError(f"method is {method!r}; expected 'lbfgs' or one of {sorted(METHODS)}")
    given: dict[str, Any] = {"lr": lr, "batch_size": batch_size}
    given = checked(**{name: value for name, value in given.items() if value is not None})
    for name in given if method == "lbfgs" else ():
        raise ValueError(f"{name} is given with method 'lbfgs'; expected an optimizer with it")
    l1, l2, tol, max_epochs = checked(l1=l1, l2=l2, tol=tol, max_epochs=max_epochs).values()
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is a {type(callback).__name__}; expected a function")
    if warm_start is not None and not isinstance(warm_start, FitResult):
        raise TypeError(f"warm_start is a {type(warm_start).__name__}; expected a FitResult")
    matrix = feature_matrix(X)
    dtype = computing_dtype(matrix.dtype, "X")
    is_dense = isinstance(matrix, np.ndarray)
    matrix = ready(matrix, dtype) if is_dense else matrix.astype(dtype, copy=False)
    n_rows, n_features = matrix.shape
    if y.shape != (n_rows,):
        raise ValueError(f"y has shape {y.shape}; expected ({n_rows},), a target for each row of X")
    n_classes = len(classes) if kind == "softmax" and classes is not None else 1
    target = contiguous(y, dtype)[None]
    loss = LinearLoss(kind, matrix, target, row_weights(sample_weight, n_rows, dtype), n_classes)
    problem = _Problem(loss, n_classes, l1, l2, fit_intercept)
    coef, bias = np.zeros(problem.shape, dtype), np.zeros(n_classes, dtype)
    own_shape = problem.shape if kind == "softmax" else (n_features,)
    if warm_start is not None:
        if np.shape(warm_start.coef) != own_shape:
            raise ValueError(
                f"warm_start has a coef of shape {np.shape(warm_start.coef)}; expected {own_shape}"
            )
        if classes is not None and not np.array_equal(np.asarray(warm_start.classes), classes):
            raise ValueError(f"warm_start has classes {warm_start.classes}; y has {classes}")
        coef[...] = np.reshape(warm_start.coef, coef.shape)
        bias[...] = warm_start.intercept

    def result(coef: Array, bias: Array, losses: Array, n_iter: int, converged: bool) -> FitResult:
        own = coef.reshape(own_shape).copy()
        intercept = bias.copy() if kind == "softmax" else bias[0]
        return FitResult(own, intercept, classes, losses, n_iter, converged)

    start = problem.smooth(coef, bias)[0]
    if not np.isfinite(start):
        raise ValueError(f"the loss is {start} at the start; expected X and y to be finite")
    course = _Course(result, warm_start, callback, progress, max_epochs)
    try:
        if method == "lbfgs":
            return _fit_lbfgs(problem, coef, bias, tol, max_epochs, course)
        from . import optim  # which imports this module

        name, options, usual_lr = METHODS[method]
        optimizer = getattr(optim, name)([coef, bias], given.get("lr", usual_lr), **options)
        generator = make_rng(rng)
        return _fit_by_steps(
            problem,
            coef,
            bias,
            optimizer,
            given.get("batch_size"),
            tol,
            max_epochs,
            generator,
            course,
        )
    finally:
        course.close()


def encode_labels(y: Any) -> tuple[Array, Array]:
    """(classes, sorted; the number of each label's class), for labels of any kind."""
    labels = as_array(y, "y")
    if labels.ndim != 1:
        raise ValueError(f"y has shape {labels.shape}; expected one label for each row of X")
    if labels.dtype.kind in "fc" and np.isnan(labels).any():
        raise ValueError("y contains NaN; expected labels")
    if labels.dtype.kind in "iu" and labels.size:
        lowest, highest = int(labels.min()), int(labels.max())
        if highest - lowest < 4 * labels.size and highest < 1 << 62:
            numbers = labels.astype(np.int64) - lowest  # to count is faster than to sort
            present = np.bincount(numbers) > 0
            classes = (np.flatnonzero(present) + lowest).astype(labels.dtype)
            return classes, (np.cumsum(present) - 1)[numbers]
    try:
        classes, numbers = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"y has labels that have no order ({error}); expected one kind") from None
    return classes, numbers.reshape(labels.shape)
