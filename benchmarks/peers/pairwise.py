"""Similarity and distance matrices."""

from functools import partial

import numpy as np

from .base import serial


def two_sets(inputs):
    x, *others = inputs.args
    return x, others[0] if others else x


def unit_rows(x):
    return x / np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]


def numpy_cosine(inputs):
    x, y = two_sets(inputs)
    out = np.zeros((len(x), len(y)), dtype=x.dtype)

    def call():
        unit_x = unit_rows(x)
        return np.matmul(unit_x, (unit_x if y is x else unit_rows(y)).T, out=out)

    return call


def sklearn_cosine(inputs):
    from sklearn.metrics.pairwise import cosine_similarity

    return partial(cosine_similarity, *inputs.args)


@serial
def scipy_cosine(inputs):
    from scipy.spatial.distance import cdist

    x, y = two_sets(inputs)
    out = np.zeros((len(x), len(y)))

    def call():
        cdist(x, y, "cosine", out=out)
        return np.subtract(1.0, out, out=out)

    return call


def torch_cosine(inputs):
    import torch
    from torch.nn.functional import normalize

    x, y = (torch.from_numpy(z) for z in two_sets(inputs))
    is_one_set = len(inputs.args) == 1
    out = torch.zeros((len(x), len(y)), dtype=x.dtype)

    def call(out=None):
        unit_x = normalize(x)
        return torch.mm(unit_x, (unit_x if is_one_set else normalize(y)).T, out=out)

    return {"": call, "out=": partial(call, out)}


def faiss_cosine(inputs):
    import faiss

    x, y = two_sets(inputs)

    def call():
        unit_x, unit_y = x.copy(), y.copy()
        faiss.normalize_L2(unit_x)
        faiss.normalize_L2(unit_y)
        return faiss.pairwise_distances(unit_x, unit_y, faiss.METRIC_INNER_PRODUCT)

    return call


@serial
def numkong_cosine(inputs):
    import numkong

    x, y = two_sets(inputs)
    packed = numkong.dots_pack(y)

    def call():
        return np.subtract(1.0, numkong.angulars_packed(x, packed))

    return call


# ---- Distances ----


def sklearn_function(name):
    def peer(inputs):
        from sklearn.metrics import pairwise

        return partial(getattr(pairwise, name), *inputs.args, **inputs.kwargs)

    return peer


def sklearn_metric(inputs):
    from sklearn.metrics import pairwise_distances

    return partial(pairwise_distances, *inputs.args, **inputs.kwargs)


def _scipy(inputs, metric="euclidean", **options):
    from scipy.spatial.distance import cdist

    x, y = two_sets(inputs)
    out = np.zeros((len(x), len(y)))
    return partial(cdist, x, y, metric, out=out, **options)


@serial
def scipy_cdist(inputs):
    return _scipy(inputs, **inputs.kwargs)


@serial
def scipy_cityblock(inputs):
    return _scipy(inputs, "cityblock")


@serial
def scipy_cosine_distance(inputs):
    return _scipy(inputs, "cosine")


@serial
def scipy_pdist(inputs):
    from scipy.spatial.distance import pdist

    (x,) = inputs.args
    return partial(pdist, x, out=np.zeros(inputs.out.shape))


def torch_pdist(inputs):
    import torch

    return partial(torch.pdist, torch.from_numpy(inputs.args[0]))


def _torch(inputs, p):
    import torch

    return partial(torch.cdist, *(torch.from_numpy(z) for z in two_sets(inputs)), p=p)


def torch_cdist(inputs):
    exponents = {"chebyshev": float("inf"), "minkowski": inputs.kwargs.get("p")}
    return _torch(inputs, exponents.get(inputs.kwargs.get("metric"), 2.0))


def torch_manhattan(inputs):
    return _torch(inputs, 1.0)


def faiss_euclidean(inputs):
    import faiss

    x, y = two_sets(inputs)

    def call():
        squares = faiss.pairwise_distances(x, y)
        return np.sqrt(squares, out=squares)

    return call


@serial
def numkong_euclidean(inputs):
    import numkong

    x, y = two_sets(inputs)
    packed = numkong.dots_pack(y)
    return lambda: np.asarray(numkong.euclideans_packed(x, packed))
