"""Eigenpairs, singular triplets, principal components, norms; and the residuals they are judged by.

Whoever counts steps takes the fewest with which the result meets the limit of the case; those that
do not meet it with any of them are run with the most.
"""

from functools import partial

import numpy as np

STEPS = (0, 1, 2, 3, 4, 5, 7, 10, 14, 20)


def _numpy(x):
    return np.asarray(x.detach() if hasattr(x, "detach") else x)


def fewest(call_of, settings, is_good):
    """The call with the first of the settings that gives a good result, else with the last."""
    for setting in settings:
        call = call_of(setting)
        if is_good(call()):
            break
    return call


# ---- residuals ----


def svd_residual(a, result):
    """max over i of |(A v - s u, A^T u - s v)| / s_1 for (U, S, Vh, ...) or torch's (U, S, V)."""
    u, s, vh = (_numpy(part) for part in result[:3])
    if vh.shape[0] != len(s) or (vh.shape[1] == len(s) and a.shape[1] != len(s)):
        vh = vh.T
    order = np.argsort(-s)
    u, s, vh = u[:, order], s[order].astype(np.float64), vh[order]
    left = np.asarray(a @ np.ascontiguousarray(vh.T)) - u * s
    right = np.asarray(a.T @ np.ascontiguousarray(u)) - vh.T * s
    return float(np.hypot(np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=0)).max() / s[0])


def eigh_residual(a, result):
    w, v = result[:2]
    largest = max(abs(w).max(), 1.0 if hasattr(a, "tocsr") else 0.0)
    return float(np.linalg.norm(a @ v - v * w, axis=0).max() / largest)


def pca_residual(x, result):
    """|C^T C v - s^2 v| / s_1^2 of the centred x for components and scores."""
    components, scores = (_numpy(part).astype(np.float64) for part in (result[0], result[-1]))
    centred = x - x.mean(axis=0, dtype=np.float64)
    s_sq = (scores**2).sum(axis=0)
    rest = centred.T @ (centred @ components.T) - components.T * s_sq
    return float(np.linalg.norm(rest, axis=0).max() / s_sq.max())


# ---- singular values ----


def fewest_steps(randomized_svd, a, k, limit):
    """randomized_svd, scikit-learn's or one like it, with the first n_iter that will do."""

    def call_of(n_iter):
        return partial(randomized_svd, a, k, n_iter=n_iter, random_state=0)

    return fewest(call_of, STEPS, lambda result: svd_residual(a, result) <= limit)


def sklearn_svd(inputs, k, limit):
    from sklearn.utils.extmath import randomized_svd

    return fewest_steps(randomized_svd, inputs.args[0], k, limit)


def torch_svd(inputs, k, limit):
    import torch

    (a,) = inputs.args
    if hasattr(a, "tocsr"):
        index = [torch.from_numpy(np.asarray(x, np.int64)) for x in (a.indptr, a.indices)]
        matrix = torch.sparse_csr_tensor(*index, torch.from_numpy(a.data), a.shape)
    else:
        matrix = torch.from_numpy(a)

    def call_of(n_iter):
        def call():
            u, s, v = torch.svd_lowrank(matrix, q=k + 6, niter=n_iter)
            return u[:, :k], s[:k], v[:, :k].T

        return call

    return fewest(call_of, STEPS, lambda result: svd_residual(a, result) <= limit)


def scipy_svds(inputs, k, limit):
    """ARPACK at the loosest tolerance that meets the limit, and LOBPCG."""
    from scipy.sparse.linalg import svds

    (a,) = inputs.args

    def call_of(tol):
        return partial(svds, a, k, tol=tol, random_state=0)

    def is_good(result):
        return svd_residual(a, result) <= limit

    return fewest(call_of, (1e-1, 1e-2, 1e-3, 0), is_good)


# ---- eigenvalues ----


def scipy_eigh(inputs, k, which, limit):
    """eigsh with small and large Krylov spaces; LAPACK's selected eigenvalues for arrays."""
    from scipy.linalg import eigh
    from scipy.sparse.linalg import eigsh

    (a,) = inputs.args
    n = a.shape[0]
    start = np.random.default_rng(0).standard_normal(n)
    forms = {}
    for ncv in (None, max(4 * k, 40)):

        def call_of(tol, ncv=ncv):
            return partial(eigsh, a, k, which=which, tol=tol, ncv=ncv, v0=start)

        def is_good(result):
            return eigh_residual(a, result) <= limit

        forms[f"ncv={ncv}"] = fewest(call_of, (1e-2, 1e-4, 1e-6, 1e-8, 0), is_good)
    if not hasattr(a, "tocsr"):
        forms["eigh"] = partial(eigh, a, subset_by_index=(n - k, n - 1))
    return forms


def plain_power(a, n_steps):
    v = np.ones(len(a), a.dtype)
    for _ in range(n_steps):
        image = a @ v
        value = float(v @ image / (v @ v))
        v = image / np.linalg.norm(image)
    return value


def power_eigenvalue(result):
    return float(result[0])


def numpy_power(inputs):
    """The loop that a user writes: a product, a quotient, a residual, a norm."""
    a, v0 = inputs.args

    def call():
        v = v0 / np.linalg.norm(v0)
        for _ in range(20):
            image = a @ v
            value = v @ image
            residual = np.linalg.norm(image - value * v)
            v = image / np.linalg.norm(image)
        return value, v, residual

    return call


def torch_power(inputs):
    import torch

    a, v0 = (torch.from_numpy(x) for x in inputs.args)

    def call():
        v = v0 / torch.linalg.norm(v0)
        for _ in range(20):
            image = a @ v
            value = v @ image
            residual = torch.linalg.norm(image - value * v)
            v = image / torch.linalg.norm(image)
        return value, v, residual

    return call


# ---- principal components ----


def sklearn_pca(inputs, k, limit):
    """Each solver that suits the shape, the randomized one with as many steps as it needs."""
    from sklearn.decomposition import PCA

    (x,) = inputs.args

    def solver(name, power="auto"):
        def call():
            model = PCA(k, svd_solver=name, iterated_power=power, random_state=0)
            scores = model.fit_transform(x)
            return model.components_, model.explained_variance_, scores

        return call

    def is_good(result):
        return pca_residual(x, result) <= limit

    forms = {"covariance_eigh": solver("covariance_eigh")}
    randomized = fewest(lambda n: solver("randomized", n), STEPS, is_good)
    if is_good(randomized()):
        forms["randomized"] = randomized
    return forms


def torch_pca(inputs, k, limit):
    import torch

    (x,) = inputs.args
    rows = torch.from_numpy(x)

    def call_of(n_iter):
        def call():
            u, s, v = torch.pca_lowrank(rows, q=k + 6, niter=n_iter)
            return v[:, :k].T, s[:k], u[:, :k] * s[:k]

        return call

    return fewest(call_of, STEPS, lambda result: pca_residual(x, result) <= limit)


# ---- norms ----


def numpy_norm(inputs):
    return partial(np.linalg.norm, *inputs.args, **inputs.kwargs)


def scipy_norm(inputs):
    from scipy.linalg import norm

    return partial(norm, *inputs.args, **inputs.kwargs)


def torch_norm(inputs):
    import torch

    x = torch.from_numpy(inputs.args[0])
    order, axis = inputs.kwargs.get("ord"), inputs.kwargs.get("axis")
    return partial(torch.linalg.norm, x, order, axis)
