"""Activations and the softmax family."""

from functools import partial

import numpy as np

from .base import own_out, serial


@serial
def scipy_softmax(inputs):
    from scipy.special import softmax

    return partial(softmax, *inputs.args, **inputs.kwargs)


@serial
def sklearn_softmax(inputs):
    """scikit-learn's works along the last axis of a matrix only, and can overwrite its input."""
    from sklearn.utils.extmath import softmax

    return partial(softmax, inputs.args[0])


def torch_softmax(inputs):
    import torch

    x = torch.from_numpy(inputs.args[0])
    axis = inputs.kwargs["axis"]
    if inputs.out is None:
        return partial(torch.softmax, x, axis)
    out = torch.from_numpy(own_out(inputs))
    return {
        "": partial(torch.softmax, x, axis),
        "out=": partial(torch.softmax, x, axis, out=out),
    }


def last_axis_softmax(inputs):
    """Our own softmax of the same numbers with the axis laid out last."""
    import fastmath_ml as fm

    x = np.ascontiguousarray(np.moveaxis(inputs.args[0], inputs.kwargs["axis"], -1))
    return partial(fm.softmax, x, axis=-1, out=np.empty_like(x))


def scipy_special(name):
    """The function of scipy.special of this name, into an array of its own where it is a ufunc."""

    @serial
    def peer(inputs):
        import scipy.special

        function = getattr(scipy.special, name)
        forms = {"": partial(function, *inputs.args, **inputs.kwargs)}
        if inputs.out is not None and isinstance(function, np.ufunc):
            forms["out="] = partial(function, *inputs.args, out=own_out(inputs))
        return forms

    return peer


def torch_log_softmax(inputs):
    import torch

    x, axis = torch.from_numpy(inputs.args[0]), inputs.kwargs["axis"]
    forms = {"": partial(torch.log_softmax, x, axis)}
    if inputs.out is not None:
        out = torch.from_numpy(own_out(inputs))
        forms["out="] = partial(torch.log_softmax, x, axis, out=out)
    return forms


def torch_logsumexp(inputs):
    import torch

    x, axis = torch.from_numpy(inputs.args[0]), inputs.kwargs["axis"]
    return partial(torch.logsumexp, x, axis)


def torch_backward(name):
    """The backward function that autograd calls: no graph, nothing but the work."""

    def peer(inputs):
        import torch

        y, grad = map(torch.from_numpy, inputs.args)
        axis, out = inputs.kwargs["axis"], torch.from_numpy(own_out(inputs))
        data = getattr(torch.ops.aten, name)
        return {
            "": partial(data.default, grad, y, axis, y.dtype),
            "out=": partial(data.out, grad, y, axis, y.dtype, out=grad.new_empty(y.shape))
            if "log" in name
            else partial(data.out, grad, y, axis, y.dtype, grad_input=out),
        }

    return peer


def torch_activation(name, **options):
    """New, in place where torch can, and into an array of its own."""

    def peer(inputs):
        import torch

        x = torch.from_numpy(inputs.args[0])
        function = getattr(torch.nn.functional, name, None) or getattr(torch, name)
        forms = {"": partial(function, x, **options)}
        if inputs.out is not None:
            out = torch.from_numpy(own_out(inputs))
            into = getattr(torch.ops.aten, name).out
            forms["out="] = partial(into, x, **options, out=out)
        return forms

    return peer


@serial
def numpy_tanh(inputs):
    return partial(np.tanh, *inputs.args, out=None if inputs.out is None else own_out(inputs))
