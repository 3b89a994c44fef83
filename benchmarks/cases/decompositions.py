"""Eigenpairs, singular triplets, principal components, norms.

What an iteration returns depends on how long it goes on, so each case has a limit: the largest
residual, relative to the largest value, that a result may have. Ours and each peer are asked for
no more than that; whoever counts steps takes the fewest that suffice.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..peers import decompositions as by
from .base import Bar, Case, Inputs, eps, normal

AREA = "decomposition"
VS_ALL = (Bar(AREA, 1.8),)
VS_SCIPY = (Bar(AREA, 1.5),)


@dataclass(frozen=True)
class Iterative(Case):
    """Judged by its residuals: `residual` is a function of the inputs' matrix and the result."""

    residual: object = None
    limit: float = 0.0

    def reference(self, inputs):
        return inputs.args[0]

    def residual_of(self, result, expected) -> float:
        return float(self.residual(expected, result))

    def agrees(self, result, expected) -> bool:
        return bool(self.residual(expected, result) <= self.limit)


def decaying(rng, n_rows, n_cols, dtype, power):
    """Singular values that fall like i^-power, about sqrt(n_rows) at first."""
    a = normal(rng, (n_rows, n_cols), dtype)
    a *= np.arange(1, n_cols + 1, dtype=dtype) ** -power
    return a


# ---- singular values ----


def svd_case(op, make, shape, k, limit, label, peers, n_nonzeros=None, dtype="float32", **options):
    size = np.dtype(dtype).itemsize
    n_stored = n_nonzeros or shape[0] * shape[1]
    n_products = 8 if n_nonzeros else 4

    def call(inputs):
        import fastmath_ml as fm

        if op == "svd_topk":
            return partial(fm.svd_topk, inputs.args[0], k, tol=limit, rng=0)
        return by.fewest_steps(fm.randomized_svd, inputs.args[0], k, limit)

    return Iterative(
        op,
        f"{dtype} {label} k={k}",
        lambda rng: Inputs((make(rng),)),
        peers={name: partial(peer, k=k, limit=limit) for name, peer in peers.items()},
        flops=4.0 * n_stored * k * n_products,
        bytes=float(n_stored * (size + (4 if n_nonzeros else 0))),
        dtype=dtype,
        call=call,
        residual=by.svd_residual,
        limit=limit,
        **options,
    )


DENSE_PEERS = {"sklearn": by.sklearn_svd, "torch": by.torch_svd, "scipy": by.scipy_svds}


def dense_svd(op, n_rows, n_cols, k, limit, power=0.7, bars=VS_ALL, **options):
    """power=0: nothing but noise, the hardest; its limits are what torch reaches by default."""
    return svd_case(
        op,
        lambda rng: decaying(rng, n_rows, n_cols, "float32", power),
        (n_rows, n_cols),
        k,
        limit,
        f"{n_rows}x{n_cols}" + ("" if power else " noise"),
        DENSE_PEERS,
        bars=bars,
        **options,
    )


def sparse_svd(op, n, n_nonzeros, k, limit, **options):
    """Rows and columns of a random matrix, weighted so that they differ as those of text do."""

    def make(rng):
        import scipy.sparse as sp

        weights = np.arange(1, n + 1) ** -0.3
        weights /= weights.sum()
        rows, cols = (rng.choice(n, n_nonzeros, p=weights) for _ in range(2))
        values = rng.random(n_nonzeros, dtype=np.float32)
        return sp.csr_array((values, (rows, cols)), shape=(n, n))

    peers = {"sklearn": by.sklearn_svd, "torch": by.torch_svd, "scipy": by.scipy_svds}
    return svd_case(
        op,
        make,
        (n, n),
        k,
        limit,
        f"sparse {n}x{n}",
        peers,
        n_nonzeros,
        bars=(Bar(AREA, 1.8),),
        **options,
    )


SVD = [
    case(op, *sizes, **options)
    for op in ("svd_topk", "randomized_svd")
    for case, sizes, options in (
        (dense_svd, (20_000, 512, 16, 3e-3), {}),
        (dense_svd, (2000, 2000, 10, 3e-3), {"quick": op == "svd_topk"}),
        (dense_svd, (100_000, 100, 10, 3e-3), {}),
        (sparse_svd, (20_000, 1_000_000, 10, 1e-2), {}),
    )
]

SVD += [
    dense_svd("svd_topk", 20_000, 512, 16, 0.15, power=0.0),
    dense_svd("svd_topk", 2000, 2000, 10, 0.2, power=0.0),
]

# ---- eigenvalues ----


def eigh_case(make, n, k, which, limit, label, n_stored, bars=VS_SCIPY, **options):
    def call(inputs):
        import fastmath_ml as fm

        return partial(fm.eigh_topk, inputs.args[0], k, which=which, tol=limit, rng=0)

    return Iterative(
        "eigh_topk",
        f"float64 {label} k={k} {which}",
        lambda rng: Inputs((make(rng),)),
        peers={"scipy": partial(by.scipy_eigh, k=k, which=which, limit=limit)},
        flops=2.0 * n_stored * (k + 2) * 10,
        bytes=8.0 * n_stored,
        dtype="float64",
        call=call,
        residual=by.eigh_residual,
        limit=limit,
        bars=bars,
        **options,
    )


def covariance(rng, n):
    x = decaying(rng, 2 * n, n, "float64", 0.5)
    return x.T @ x / (2 * n)


def gaussian_symmetric(rng, n):
    """The hardest: eigenvalues crowd at both ends."""
    a = normal(rng, (n, n), "float64")
    return a + a.T


def communities(rng, n, n_groups=6, degree=10):
    """The normalised Laplacian of a random graph of communities."""
    import scipy.sparse as sp

    n_edges = n * degree // 2
    tail = rng.integers(0, n, n_edges)
    inside = rng.random(n_edges) < 0.8
    head = rng.integers(0, n, n_edges)
    head = np.where(inside, head - head % n_groups + tail % n_groups, head) % n
    edges = sp.coo_array((np.ones(n_edges), (tail, head)), shape=(n, n)).tocsr()
    graph = edges + edges.T + sp.csr_array(sp.diags_array(np.full(n, 1e-3)))
    scale = sp.diags_array(1 / np.sqrt(graph.sum(axis=1)))
    return (sp.eye_array(n) - scale @ graph @ scale).tocsr()


EIGH = [
    eigh_case(
        lambda rng: covariance(rng, 1500), 1500, 1, "LM", 1e-8, "covariance 1500x1500", 1500**2
    ),
    eigh_case(
        lambda rng: covariance(rng, 1500),
        1500,
        10,
        "LM",
        1e-8,
        "covariance 1500x1500",
        1500**2,
    ),
    eigh_case(
        lambda rng: gaussian_symmetric(rng, 1500), 1500, 1, "LA", 1e-8, "normal 1500x1500", 1500**2
    ),
    eigh_case(
        lambda rng: gaussian_symmetric(rng, 1500), 1500, 10, "LA", 1e-8, "normal 1500x1500", 1500**2
    ),
    eigh_case(
        lambda rng: communities(rng, 100_000), 100_000, 6, "SA", 1e-6, "Laplacian 1e5", 1_100_000
    ),
]

# ---- power iteration: a given number of steps, as fast as memory gives the matrix ----

N_STEPS = 20


# The limit reads A once.
READS_EVERY_STEP = (Bar(AREA, 0.8 / N_STEPS, against="read"),)


def power_case(n, dtype, bars=READS_EVERY_STEP, **options):
    def call(inputs):
        import fastmath_ml as fm

        a, v0 = inputs.args
        return partial(fm.power_iteration, a, v0=v0, max_iter=N_STEPS, tol=0.0)

    def residual(a, result):
        """How far it came; 0 if as far as the plain iteration."""
        return abs(by.power_eigenvalue(result) / by.plain_power(a, N_STEPS) - 1)

    size = np.dtype(dtype).itemsize

    def make(rng):
        a = normal(rng, (n, n), dtype)
        a += np.dtype(dtype).type(2 / n**0.5)
        return Inputs((a, np.ones(n, dtype)))

    return Iterative(
        "power_iteration",
        f"{dtype} {n}x{n} {N_STEPS} steps",
        make,
        peers={"numpy": by.numpy_power, "torch": by.torch_power, "read": None},
        flops=2.0 * n * n * N_STEPS,
        bytes=float(n * n * size * N_STEPS),
        dtype=dtype,
        call=call,
        residual=residual,
        limit=1e-3,
        bars=bars,
        **options,
    )


POWER = [power_case(4096, "float32"), power_case(2000, "float64")]

# ---- principal components ----


VS_SKLEARN = (Bar(AREA, 2.0, against="sklearn"),)


def pca_case(n_rows, n_features, k, dtype, limit, make=None, label="", bars=VS_SKLEARN, **options):
    def call(inputs):
        import fastmath_ml as fm

        return partial(fm.pca, inputs.args[0], k, rng=0)

    size = np.dtype(dtype).itemsize
    return Iterative(
        "pca",
        f"{dtype} {label}{n_rows}x{n_features} k={k}",
        lambda rng: Inputs(
            (make(rng) if make else decaying(rng, n_rows, n_features, dtype, 0.7) + 1,)
        ),
        peers={
            "sklearn": partial(by.sklearn_pca, k=k, limit=limit),
            "torch": partial(by.torch_pca, k=k, limit=limit),
        },
        flops=1.0 * n_rows * n_features**2 + 2.0 * n_rows * n_features * k,
        bytes=float((n_rows * n_features + n_rows * k) * size),
        dtype=dtype,
        call=call,
        residual=by.pca_residual,
        limit=limit,
        bars=bars,
        **options,
    )


def digits(rng):
    """Stand-ins of the same size for the 1797 handwritten digits: grey levels 0 to 16."""
    pixels = normal(rng, (1797, 12), "float64") @ normal(rng, (12, 64), "float64")
    return np.clip(np.round(pixels * 2 + 5), 0, 16)


PCA = [
    pca_case(1797, 64, 10, "float64", 1e-6, digits, "like the digits ", quick=True),
    pca_case(10_000, 1000, 50, "float32", 1e-3),
    pca_case(100_000, 100, 10, "float32", 1e-3),
]

# ---- norms ----


def norm_case(shape, label, dtype="float32", **kwargs):
    options = {name: kwargs.pop(name) for name in ("quick", "bars") if name in kwargs}
    return Case(
        "linalg.norm",
        f"{dtype} {label}",
        lambda rng: Inputs((normal(rng, shape, dtype),), kwargs),
        peers={"numpy": by.numpy_norm, "scipy": by.scipy_norm, "torch": by.torch_norm},
        flops=2.0 * np.prod(shape),
        bytes=float(np.prod(shape) * np.dtype(dtype).itemsize),
        dtype=dtype,
        rtol=40 * eps(dtype),
        **options,
    )


NORM = [
    norm_case((10_000_000,), "10000000"),
    norm_case((1000, 1000), "1000x1000 rows", axis=1),
    norm_case((1000, 10_000), "1000x10000 columns", axis=0),
    norm_case((1000, 10_000), "1000x10000 ord=1", ord=1),
]

CASES = [*SVD, *EIGH, *POWER, *PCA, *NORM]
