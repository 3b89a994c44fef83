"""The mathematics of machine learning on NumPy arrays, close to the limit of the CPU.

Every function takes anything that `np.asarray` takes and follows the signature and the edge cases
of the function of NumPy, SciPy or scikit-learn whose name it has.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import (
    _kernels,  # noqa: F401  chooses the CPU level, or says why it cannot
    _threads,  # noqa: F401  tells the pool what the environment and the quota allow
)
from ._version import __version__

if TYPE_CHECKING:
    from . import calculus, information, linalg, losses, optim, pairwise, reference, special, stats
    from ._config import cpu_level, show_config
    from ._threads import get_num_threads, num_threads
    from ._warmup import warmup
    from .information import (
        entropy,
        js_divergence,
        kl_divergence,
        mutual_info_score,
    )
    from .linalg import (
        eigh_topk,
        gram,
        linear,
        matmul,
        matvec,
        pca,
        power_iteration,
        randomized_svd,
        svd_topk,
        vecdot,
        vecmat,
    )
    from .losses import (
        binary_cross_entropy_with_logits,
        binary_cross_entropy_with_logits_with_grad,
        cross_entropy,
        cross_entropy_with_grad,
        linear_cross_entropy,
        linear_cross_entropy_with_grad,
    )
    from .pairwise import (
        cdist,
        cosine_distances,
        cosine_similarity,
        euclidean_distances,
        manhattan_distances,
        pairwise_distances,
        pairwise_distances_argmin,
        pairwise_distances_argmin_min,
        pdist,
        topk,
    )
    from .special import expit, log_softmax, logsumexp, softmax

# Names are imported when they are first asked for: who uses one family does not wait for all.
_NAMES = {
    "_config": ("cpu_level", "show_config"),
    "_threads": ("get_num_threads", "num_threads"),
    "_warmup": ("warmup",),
    "information": (
        "entropy",
        "js_divergence",
        "kl_divergence",
        "mutual_info_score",
    ),
    "linalg": (
        "eigh_topk",
        "gram",
        "linear",
        "matmul",
        "matvec",
        "pca",
        "power_iteration",
        "randomized_svd",
        "svd_topk",
        "vecdot",
        "vecmat",
    ),
    "losses": (
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy_with_logits_with_grad",
        "cross_entropy",
        "cross_entropy_with_grad",
        "linear_cross_entropy",
        "linear_cross_entropy_with_grad",
    ),
    "pairwise": (
        "cdist",
        "cosine_distances",
        "cosine_similarity",
        "euclidean_distances",
        "manhattan_distances",
        "pairwise_distances",
        "pairwise_distances_argmin",
        "pairwise_distances_argmin_min",
        "pdist",
        "topk",
    ),
    "special": (
        "expit",
        "log_softmax",
        "logsumexp",
        "softmax",
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
_MODULES = (
    "calculus",
    "information",
    "linalg",
    "losses",
    "optim",
    "pairwise",
    "reference",
    "special",
    "stats",
)

__all__ = [
    "__version__",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_grad",
    "calculus",
    "cdist",
    "cosine_distances",
    "cosine_similarity",
    "cpu_level",
    "cross_entropy",
    "cross_entropy_with_grad",
    "eigh_topk",
    "entropy",
    "euclidean_distances",
    "expit",
    "get_num_threads",
    "gram",
    "information",
    "js_divergence",
    "kl_divergence",
    "linalg",
    "linear",
    "linear_cross_entropy",
    "linear_cross_entropy_with_grad",
    "log_softmax",
    "logsumexp",
    "losses",
    "manhattan_distances",
    "matmul",
    "matvec",
    "mutual_info_score",
    "num_threads",
    "optim",
    "pairwise",
    "pairwise_distances",
    "pairwise_distances_argmin",
    "pairwise_distances_argmin_min",
    "pca",
    "pdist",
    "power_iteration",
    "randomized_svd",
    "reference",
    "show_config",
    "softmax",
    "special",
    "stats",
    "svd_topk",
    "topk",
    "vecdot",
    "vecmat",
    "warmup",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
