"""The self-test of `python -m fastmath_ml`.

Every numeric function is compared with its namesake in `reference`, on sizes that take its
different paths (one row, tails, several blocks, several threads). A file for each family lists its
checks by the public names of the functions; a new function gets its checks there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from . import (
    decompositions,
    information,
    linalg,
    losses,
    neighbors,
    optim,
    pairwise,
    small,
    special,
    stats,
)
from .base import Check, Outcome, largest_error, run_check

__all__ = ["CHECKS", "DTYPES", "Check", "Outcome", "largest_error", "run_check", "self_test"]

DTYPES = ("float32", "float64")

CHECKS: dict[str, Callable[[np.random.Generator, str], Iterator[Check]]] = {
    **linalg.CHECKS,
    **decompositions.CHECKS,
    **small.CHECKS,
    **special.CHECKS,
    **information.CHECKS,
    **losses.CHECKS,
    **pairwise.CHECKS,
    **neighbors.CHECKS,
    **optim.CHECKS,
    **stats.CHECKS,
}


def self_test(names: Iterable[str] = tuple(CHECKS)) -> Iterator[Outcome]:
    """Run every check of the functions of these names."""
    for name in names:
        for dtype in DTYPES:
            rng = np.random.default_rng(len(name))
            for check in CHECKS[name](rng, dtype):
                yield run_check(check, dtype)
