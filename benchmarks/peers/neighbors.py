"""Nearest rows: the k best, the best one, and by a metric of the caller."""

from functools import partial

import numpy as np

from .base import serial


def ours_float32(inputs):
    """Our own search over the same database in float32."""
    import fastmath_ml as fm

    x, y, k = (np.asarray(z, np.float32) if np.ndim(z) else z for z in inputs.args)
    return lambda: fm.topk(x, y, k, **inputs.kwargs)[0]


def faiss_topk(inputs):
    import faiss

    x, y, k = inputs.args
    index = faiss.IndexFlatL2(y.shape[1])
    index.add(y)
    return {
        "IndexFlatL2": lambda: index.search(x, k)[0],
        "knn": lambda: faiss.knn(x, y, k)[0],
    }


def sklearn_topk(inputs):
    from sklearn.metrics._pairwise_distances_reduction import ArgKmin

    x, y, k = inputs.args
    return lambda: ArgKmin.compute(x, y, k, metric="sqeuclidean", return_distance=True)[0]


def torch_topk(inputs):
    import torch

    x, y, k = inputs.args
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    norms = (y * y).sum(dim=1)
    x_norms = (x * x).sum(dim=1, keepdim=True)

    def by_products():
        best = torch.topk(torch.addmm(norms, x, y.T, alpha=-2), k, largest=False)[0]
        return best + x_norms

    return {
        "cdist": lambda: torch.topk(torch.cdist(x, y), k, largest=False)[0] ** 2,
        "addmm": by_products,
    }


def sklearn_argmin(inputs):
    from sklearn.metrics import pairwise_distances_argmin

    return partial(pairwise_distances_argmin, *inputs.args)


def sklearn_argmin_min(inputs):
    from sklearn.metrics import pairwise_distances_argmin_min

    return lambda: pairwise_distances_argmin_min(*inputs.args)[1]


def sklearn_radius(inputs):
    from sklearn.metrics._pairwise_distances_reduction import RadiusNeighbors

    x, y, radius = inputs.args

    def call():
        found, _ = RadiusNeighbors.compute(x, y, radius, return_distance=True, sort_results=True)
        return np.concatenate(found)

    return call


@serial
def scipy_custom(inputs):
    from scipy.spatial.distance import cdist

    return partial(cdist, *inputs.args)


@serial
def numba_custom(inputs):
    """What one writes without a library: a compiled double loop."""
    import numba

    x, y, metric = inputs.args
    compiled = numba.njit(metric)

    @numba.njit
    def distances(x, y):
        out = np.empty((len(x), len(y)))
        for i in range(len(x)):
            for j in range(len(y)):
                out[i, j] = compiled(x[i], y[j])
        return out

    return partial(distances, x, y)
