"""Losses with their gradients: torch's functions, and its autograd for the gradients."""

from functools import partial


def tensors(inputs):
    import torch

    return [torch.from_numpy(x) for x in inputs.args]


def torch_loss(name, inputs):
    import torch

    function = partial(getattr(torch.nn.functional, name), *tensors(inputs), **inputs.kwargs)

    def call():
        with torch.no_grad():
            return function()

    return call


def torch_loss_with_grad(name, inputs):
    import torch

    x, *others = tensors(inputs)
    x.requires_grad_()
    function = partial(getattr(torch.nn.functional, name), x, *others, **inputs.kwargs)

    def call():
        loss = function()
        return loss.detach(), *torch.autograd.grad(loss, [x])

    return call


def torch_hinge_with_grad(inputs):
    """torch has no such function for ±1 targets: written with those that it has."""
    import torch

    x, target = tensors(inputs)
    x.requires_grad_()

    def call():
        loss = torch.clamp(1 - target * x, min=0).mean()
        return loss.detach(), *torch.autograd.grad(loss, [x])

    return call


def torch_linear_with_grads(inputs):
    """torch's two ways: its logits as a whole, and its function that takes chunks of tokens."""
    import torch
    from torch.nn.functional import cross_entropy, linear, linear_cross_entropy

    x, w, target = tensors(inputs)
    x.requires_grad_()
    w.requires_grad_()

    def call(function):
        loss = function()
        return loss.detach(), torch.autograd.grad(loss, [x, w])

    options = torch.nn.LinearCrossEntropyOptions()
    return {
        "logits": partial(call, lambda: cross_entropy(linear(x, w), target)),
        "chunks": partial(call, lambda: linear_cross_entropy(x, w, target, options=options)),
    }


def torch_linear(inputs):
    import torch

    call = partial(torch.nn.functional.linear_cross_entropy, *tensors(inputs))

    def without_grad():
        with torch.no_grad():
            return call()

    return without_grad
