"""Entropies, divergences, mutual information."""

from functools import partial

from .base import own_out, serial


def scipy_function(module, name):
    """The function of this module of SciPy, into an array of its own where it takes one."""

    @serial
    def peer(inputs):
        import importlib

        function = getattr(importlib.import_module(f"scipy.{module}"), name)
        forms = {"": partial(function, *inputs.args, **inputs.kwargs)}
        if inputs.out is not None:
            forms["out="] = partial(function, *inputs.args, out=own_out(inputs))
        return forms

    return peer


@serial
def scipy_kl_divergence(inputs):
    from scipy.special import rel_entr

    p, q = inputs.args
    return lambda: rel_entr(p, q).sum(**inputs.kwargs)


@serial
def scipy_js_divergence(inputs):
    from scipy.special import rel_entr

    p, q = inputs.args

    def call():
        middle = (p + q) / 2
        return (rel_entr(p, middle) + rel_entr(q, middle)).sum(**inputs.kwargs) / 2

    return call


def torch_kl_divergence(inputs):
    """torch's loss wants the logarithm of q, which is part of the work here."""
    import torch

    p, q = map(torch.from_numpy, inputs.args)
    axis = inputs.kwargs["axis"]
    return lambda: torch.nn.functional.kl_div(q.log(), p, reduction="none").sum(axis)


def torch_entr(inputs):
    import torch

    x = torch.from_numpy(inputs.args[0])
    forms = {"": partial(torch.special.entr, x)}
    if inputs.out is not None:
        forms["out="] = partial(torch.special.entr, x, out=torch.from_numpy(own_out(inputs)))
    return forms


def torch_entropy(inputs):
    import torch

    x = torch.from_numpy(inputs.args[0])
    axis = inputs.kwargs["axis"]
    return lambda: torch.special.entr(x / x.sum(axis, keepdim=True)).sum(axis)


def sklearn_metric(name):
    @serial
    def peer(inputs):
        import sklearn.metrics

        return partial(getattr(sklearn.metrics, name), *inputs.args, **inputs.kwargs)

    return peer
