"""Stacks of small matrices: numpy.linalg and torch.linalg."""

from functools import partial

import numpy as np


def numpy_linalg(name):
    def peer(inputs):
        return partial(getattr(np.linalg, name), *inputs.args, **inputs.kwargs)

    return peer


def torch_linalg(name):
    def peer(inputs):
        import torch

        return partial(getattr(torch.linalg, name), *map(torch.from_numpy, inputs.args))

    return peer
