"""Moments, order statistics, histograms."""

from functools import partial

import numpy as np

from .base import serial


def numpy(name):
    @serial
    def peer(inputs):
        return partial(getattr(np, name), *inputs.args, **inputs.kwargs)

    return peer


def numpy_product(name):
    """np.cov and np.corrcoef: the product inside has threads."""

    def peer(inputs):
        return partial(getattr(np, name), *inputs.args, **inputs.kwargs)

    return peer


def scipy(name):
    @serial
    def peer(inputs):
        import scipy.stats

        return partial(getattr(scipy.stats, name), *inputs.args, **inputs.kwargs)

    return peer


@serial
def numpy_standardize(inputs):
    x, axis = inputs.args[0], inputs.kwargs["axis"]

    def call():
        mean, std = x.mean(axis, keepdims=True), x.std(axis, keepdims=True)
        return (x - mean) / std, mean, std

    return call


@serial
def sklearn_scale(inputs):
    from sklearn.preprocessing import StandardScaler

    return partial(StandardScaler().fit_transform, inputs.args[0])


def _torch_reduction(name, **options):
    def peer(inputs):
        import torch

        x, axis = torch.from_numpy(inputs.args[0]), inputs.kwargs.get("axis")
        return partial(getattr(torch, name), x, dim=axis, **options)

    return peer


torch_mean = _torch_reduction("mean")
torch_var = _torch_reduction("var", correction=0)
torch_std = _torch_reduction("std", correction=0)
torch_nanmean = _torch_reduction("nanmean")


def torch_product(name):
    """torch.cov and torch.corrcoef: variables are rows."""

    def peer(inputs):
        import torch

        x = torch.from_numpy(inputs.args[0].T)
        return partial(getattr(torch, name), x)

    return peer


def torch_median(inputs):
    """The lower one of two: of an odd number of elements what NumPy has."""
    import torch

    x, axis = torch.from_numpy(inputs.args[0]), inputs.kwargs.get("axis")
    return partial(torch.median, x) if axis is None else partial(torch.median, x, axis)


def torch_histogram(inputs):
    import torch

    return partial(torch.histogram, torch.from_numpy(inputs.args[0]), inputs.kwargs["bins"])
