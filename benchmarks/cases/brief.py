"""Small pieces of work, one at least for each operation, from the families' own rows.

The gate counts their instructions: under valgrind a call takes fifty times as long as in life, so
that the sizes of the other files are out of reach. The arrays fit the L2 cache. They carry no bars.
"""

from functools import partial

import numpy as np

from ..peers import losses as losses_by
from ..peers import neighbors as neighbors_by
from ..peers import optim as optim_by
from ..peers import products as products_by
from . import (
    decompositions,
    information,
    losses,
    neighbors,
    optim,
    pairwise,
    products,
    special,
    stats,
)
from .base import Case, Inputs, eps, normal

ROWS, FEATURES = 96, 64


def forward_case(name, flops):
    """A loss without its gradient."""
    n_rows, n_columns = 100, 100

    def make(rng):
        x, target = normal(rng, (n_rows, n_columns), "float32"), rng.random((n_rows, n_columns))
        target = target.astype(np.float32)
        if name == "nll_loss":
            x, target = -np.abs(x), rng.integers(0, n_columns, n_rows)
        if name == "hinge_loss":
            target = np.where(target > 0.5, np.float32(1), np.float32(-1))
        # torch warns at each mean of kl_div.
        return Inputs((x, target), {"reduction": "sum"} if name == "kl_div" else {})

    n_elements = n_rows * n_columns
    return Case(
        f"losses.{name}",
        f"float32 {n_rows}x{n_columns}",
        make,
        peers={} if name == "hinge_loss" else {"torch": partial(losses_by.torch_loss, name)},
        flops=flops * n_elements,
        bytes=8.0 * n_elements,
        rtol=64 * eps("float32"),
        atol=32 * eps("float32"),
    )


def radius_case(n_queries, n_rows, n_features, radius):
    """Compared by their distances, nearest first: their number tells whether rows are missing."""

    def make(rng):
        sets = (normal(rng, (n, n_features), "float32") for n in (n_queries, n_rows))
        return Inputs((*sets, radius))

    def expect(inputs):
        x, y = (rows.astype(np.float64) for rows in inputs.args[:2])
        distances = np.sort(np.sqrt(((x[:, None] - y) ** 2).sum(axis=2)), axis=1)
        return distances[distances <= radius]

    return Case(
        "pairwise.radius_neighbors",
        f"float32 {n_queries} of {n_rows} d={n_features} within {radius}",
        make,
        peers={},
        flops=2.0 * n_queries * n_rows * n_features,
        bytes=4.0 * (n_queries + n_rows) * n_features,
        rtol=1e-5,
        call=neighbors.distances_of("pairwise.radius_neighbors"),
        expect=expect,
    )


def brief_matmul(dtype):
    return products.matmul_case(
        (48, 40), (40, 33), dtype, "48x40x33", peers={"numpy": products_by.numpy_matmul}
    )


PRODUCTS = [
    *map(brief_matmul, ("float32", "float64")),
    products.vector_case("vecdot", ((500, 64), (500, 64)), 500, 64, (500,)),
    products.linear_case(ROWS, FEATURES, 80, "relu"),
]

SPECIAL = [
    special.softmax_case((32, 1000), peers=special.SOFTMAX_PEERS),
    special.softmax_case((32, 1000), "float64", peers=special.SOFTMAX_PEERS),
    special.softmax_case((2000, 10), peers=special.SOFTMAX_PEERS),
    special.softmax_case((512, 1024), peers=special.SOFTMAX_PEERS),
    special.softmax_case((200, 100), axis=0, peers=special.SOFTMAX_PEERS),
    special.reduction_case("log_softmax", (32, 1000), special.LOGARITHMS),
    special.reduction_case("logsumexp", (32, 1000), special.SUMS),
    special.reduction_case("logsumexp", (200, 100), special.SUMS, axis=0),
    special.gradient_case("special.softmax_grad", (32, 1000), special.BACKWARD),
    special.gradient_case("special.log_softmax_grad", (32, 1000), special.LOG_BACKWARD),
    *[special.activation_case(op, peers, n=10_000) for op, peers in special.ACTIVATIONS.items()],
]

METRICS = ("chebyshev", "canberra", "braycurtis", "jensenshannon", "hamming")
PAIRWISE = [
    pairwise.cosine_case(FEATURES, n_rows=ROWS, bars=()),
    pairwise.cosine_case(FEATURES, n_rows=ROWS, bars=(), dtype="float64"),
    pairwise.euclidean_case(FEATURES, n_rows=ROWS),
    pairwise.euclidean_case(FEATURES, n_rows=ROWS, dtype="float64"),
    pairwise.rows_case(
        "manhattan_distances", "", FEATURES, n_rows=ROWS, peers=pairwise.MANHATTAN_PEERS
    ),
    *[
        pairwise.rows_case(
            "cdist", metric, FEATURES, n_rows=ROWS, positive=True, kwargs={"metric": metric},
            peers={"scipy": pairwise.by.scipy_cdist},
        )
        for metric in METRICS
    ],
    pairwise.rows_case(
        "cdist", "jaccard", FEATURES, n_rows=ROWS, dtype="bool", kwargs={"metric": "jaccard"},
        peers={"scipy": pairwise.by.scipy_cdist},
    ),
    pairwise.rows_case(
        "cosine_distances", "", FEATURES, n_rows=ROWS, cost=2.0,
        peers={"sklearn": pairwise.by.sklearn_function("cosine_distances")},
    ),
    pairwise.rows_case(
        "pairwise_distances", "cosine", FEATURES, n_rows=ROWS, cost=2.0,
        kwargs={"metric": "cosine"},
        peers={"sklearn": pairwise.by.sklearn_function("pairwise_distances")},
    ),
    pairwise.pdist_case(ROWS),
    *[
        pairwise.kernel_case(name, 2.0, n_rows=60)
        for name in ("linear_kernel", "polynomial_kernel", "sigmoid_kernel", "rbf_kernel",
                     "laplacian_kernel")
    ],
]  # fmt: skip

SEARCH_PEERS = {"sklearn": neighbors_by.sklearn_topk, "torch": neighbors_by.torch_topk}
NEIGHBORS = [
    neighbors.topk_case(20, 1000, 32, 10, peers=SEARCH_PEERS),
    neighbors.topk_case(1, 4000, 32, 10, peers=SEARCH_PEERS),
    neighbors.topk_case(1, 4000, 32, 10, dtype="int8", peers={}),
    neighbors.argmin_case(150, 32, with_distances=True),
    neighbors.argmin_case(150, 32, with_distances=False),
    radius_case(20, 1000, 8, 2.0),
]

OPTIM = [
    *[
        optim.step_case(name, 4, 2500, 28, options=options)
        for name, options in (
            ("Adam", None),
            ("AdamW", None),
            ("SGD", {"momentum": 0.9}),
            ("RMSprop", None),
            ("Adagrad", None),
        )
    ],
    optim.loss_case("logistic", 500, FEATURES, peers={"numpy": optim_by.numpy_logistic}),
    optim.loss_case("linear", 500, FEATURES, peers={"numpy": optim_by.numpy_linear}),
    optim.loss_case("softmax", 500, FEATURES, 10, peers={"torch": optim_by.torch_softmax_loss}),
]

ELEMENT_LOSSES = {
    "mse_loss": 4.0,
    "l1_loss": 4.0,
    "huber_loss": 8.0,
    "kl_div": 20.0,
    "hinge_loss": 4.0,
}
LOSSES = [
    losses.cross_entropy_case((32, 1000), with_grad=True),
    losses.cross_entropy_case((32, 1000), with_grad=False),
    losses.cross_entropy_case((2000, 10), with_grad=True),
    losses.cross_entropy_case((4, 21, 16, 16), with_grad=True),
    losses.linear_case(ROWS, FEATURES, 200, with_grad=True),
    losses.linear_case(ROWS, FEATURES, 200, with_grad=False),
    losses.nll_case(100, 100, bars=()),
    forward_case("nll_loss", 1.0),
    *[losses.element_case(name, (100, 100), cost, ()) for name, cost in ELEMENT_LOSSES.items()],
    losses.element_case("binary_cross_entropy_with_logits", (100, 100), 40.0, ()),
    *[forward_case(name, cost) for name, cost in ELEMENT_LOSSES.items()],
]

DECOMPOSITIONS = [
    decompositions.dense_svd("svd_topk", 300, 80, 4, 3e-3, bars=()),
    decompositions.dense_svd("randomized_svd", 300, 80, 4, 3e-3, bars=()),
    decompositions.eigh_case(
        lambda rng: decompositions.covariance(rng, 100), 100, 2, "LM", 1e-8,
        "covariance 100x100", 100**2, bars=(),
    ),
    decompositions.power_case(200, "float32", bars=()),
    decompositions.pca_case(300, 20, 4, "float32", 1e-3, bars=()),
    decompositions.norm_case((100, 300), "100x300 rows", axis=1),
]  # fmt: skip

ELEMENTS = {"entr": 1, "rel_entr": 2, "kl_div": 2}
INFORMATION = [
    *[information.elements_case(f"information.{n}", k, {}, 10_000) for n, k in ELEMENTS.items()],
    information.distributions_case("entropy", (100, 100), 1, 1, information.ENTROPY),
    information.distributions_case("entropy", (100, 100), 1, 2, information.ENTROPY),
    information.distributions_case("kl_divergence", (100, 100), -1, 2, information.KL),
    information.distributions_case("js_divergence", (100, 100), -1, 2, information.JS),
    information.distributions_case(
        "information.jensenshannon", (100, 100), 1, 2, information.DISTANCE
    ),
    information.labels_case("mutual_info_score", 10_000, 10, 12, information.MUTUAL_INFO),
    information.labels_case(
        "information.normalized_mutual_info_score", 10_000, 10, 12, information.NORMALIZED
    ),
]

ROOM = {"atol": 16 * eps("float32")}
STATS = [
    *[
        stats.case(name, (100, 100), stats.MOMENTS[name], axis=axis)
        for name in ("mean", "var")
        for axis in (0, 1)
    ],
    *[
        stats.case(name, (100, 100), {}, axis=0)
        for name in ("std", "nanmean", "nanvar", "nanstd", "average")
    ],
    stats.case("median", (50, 201), {"numpy": stats.by.numpy("median")}, axis=1),
    stats.case("nanmedian", (10_000,), {}),
    *[stats.case(name, (10_000,), {}, args=(0.9,)) for name in ("quantile", "nanquantile")],
    stats.case("histogram", (10_000,), {"numpy": stats.by.numpy("histogram")}, bins=50),
    *[stats.case(name, (100, 100), {}, axis=0, **ROOM) for name in ("zscore", "standardize")],
    stats.case("describe", (10_000,), {}, rtol=100 * eps("float32"), atol=100 * eps("float32")),
    *[stats.covariance(name, (1000, 16), "float32", ()) for name in ("cov", "corrcoef")],
]

CASES = [*PRODUCTS, *SPECIAL, *INFORMATION, *PAIRWISE, *NEIGHBORS, *OPTIM, *LOSSES]
CASES += [*DECOMPOSITIONS, *STATS]
