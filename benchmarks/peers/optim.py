"""Optimizer steps, gradients of linear models, fits."""

import numpy as np

FIT_TOL = 1e-6  # of the gradient, for both sides


def torch_step(name, inputs):
    """The fused implementation; RMSprop has none and takes the better of the others."""
    import torch

    arrays, grads = inputs.args

    def stepper(**form):
        params = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in arrays]
        for param, grad in zip(params, grads, strict=True):
            param.grad = torch.from_numpy(grad)
        step = getattr(torch.optim, name)(params, **inputs.kwargs, **form).step

        def call():
            step()
            return params[0].detach().numpy()

        return call

    if name == "RMSprop":
        return {"foreach": stepper(foreach=True), "one by one": stepper(foreach=False)}
    return {"fused": stepper(fused=True)}


def torch_clip_grad_norm(inputs):
    import torch

    arrays, max_norm = inputs.args
    params = [torch.nn.Parameter(torch.from_numpy(x.copy())) for x in arrays]
    for param, grad in zip(params, arrays, strict=True):
        param.grad = torch.from_numpy(grad.copy())
    return lambda: torch.nn.utils.clip_grad_norm_(params, max_norm).item()


# losses with gradients


def numpy_linear(inputs):
    X, y, coef = inputs.args

    def call():
        r = X @ coef - y
        return r @ r / (2 * len(X)), r @ X / np.float32(len(X))

    return call


def numpy_logistic(inputs):
    X, y, coef = inputs.args

    def call():
        z = X @ coef
        loss = (np.logaddexp(0, z) - y * z).mean()
        r = 1 / (1 + np.exp(-z)) - y
        return loss, r @ X / np.float32(len(X))

    return call


def torch_logistic(inputs):
    """autograd, and the two products written out."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    X, y, coef = map(torch.from_numpy, inputs.args)

    def by_autograd():
        w = coef.clone().requires_grad_()
        loss = binary_cross_entropy_with_logits(X @ w, y)
        loss.backward()
        return loss.item(), w.grad.numpy()

    def by_hand():
        z = torch.mv(X, coef)
        loss = binary_cross_entropy_with_logits(z, y)
        r = torch.sigmoid_(z).sub_(y)
        return loss.item(), (torch.mv(X.T, r) / len(X)).numpy()

    return {"autograd": by_autograd, "by hand": by_hand}


def torch_softmax_loss(inputs):
    import torch
    from torch.nn.functional import cross_entropy

    X, y, coef = map(torch.from_numpy, inputs.args)

    def by_autograd():
        w = coef.clone().requires_grad_()
        loss = cross_entropy(X @ w.T, y)
        loss.backward()
        return loss.item(), w.grad.numpy()

    return by_autograd


def _sklearn_loss(loss, inputs):
    from sklearn.linear_model._linear_loss import LinearModelLoss

    X, y, coef = inputs.args
    function = LinearModelLoss(loss, fit_intercept=False).loss_gradient
    coef, y = np.asfortranarray(coef), y.astype(X.dtype)
    return {f"{n} threads": lambda n=n: function(coef, X, y, n_threads=n) for n in (1, 2)}


def sklearn_logistic(inputs):
    """What LogisticRegression evaluates."""
    from sklearn._loss import HalfBinomialLoss

    return _sklearn_loss(HalfBinomialLoss(), inputs)


def sklearn_softmax_loss(inputs):
    from sklearn._loss import HalfMultinomialLoss

    return _sklearn_loss(HalfMultinomialLoss(n_classes=len(inputs.args[2])), inputs)


# fits


class LossOf:
    """The loss of a fitted model, computed where somebody looks at it: no part of the timing."""

    def __init__(self, model, inputs):
        self.model, self.inputs = model, inputs

    def __array__(self, dtype=None, copy=None):
        from fastmath_ml import reference

        X, y = self.inputs.args
        coef, intercept = self.model.coef_, self.model.intercept_
        if y.dtype.kind == "f":
            loss, intercept = reference.linear_loss_with_grad, float(intercept)
        elif y.max() == 1:
            loss, coef, intercept = reference.logistic_loss_with_grad, coef[0], intercept[0]
        else:
            loss = reference.softmax_loss_with_grad
        return np.asarray(loss(X, y, coef, intercept, **self.inputs.kwargs)[0])


def sklearn_fit(inputs):
    from sklearn.linear_model import LogisticRegression, Ridge

    X, y = inputs.args
    l2 = inputs.kwargs["l2"]
    if y.dtype.kind == "f":
        model = Ridge(alpha=l2 * len(X), solver="cholesky")
    else:
        model = LogisticRegression(C=1 / (l2 * len(X)), tol=FIT_TOL, max_iter=1000)
    return lambda: LossOf(model.fit(X, y), inputs)
