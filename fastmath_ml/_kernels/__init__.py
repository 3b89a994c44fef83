"""The compiled kernels, each built once per CPU level.

`fastmath_ml._kernels.gemm` is a file of one of the folders `base`, `v3` and `v4`. The best level
that this processor runs is chosen here, once, and its folder put in front of this package's
search path: whoever imports (or cimports) a kernel gets that level's and never names it. A module
of a higher level is never loaded, since its start-up code alone could raise SIGILL.

`FASTMATH_ML_CPU=base|v3|v4` overrides the choice.
"""

import os
from importlib.machinery import EXTENSION_SUFFIXES

from . import cpu


def built_levels() -> tuple[str, ...]:
    """The CPU levels that were built for this interpreter and that this processor runs."""
    return tuple(
        level
        for level in cpu.supported_levels()
        if any(
            os.path.exists(os.path.join(__path__[-1], level, f"gemm{suffix}"))
            for suffix in EXTENSION_SUFFIXES
        )
    )


def _choose_level() -> str:
    available = built_levels()
    if not available:
        raise ImportError(
            "fastmath_ml has no kernels for this processor: it needs SSE4.2 and POPCNT "
            f"(built: {available}, supported: {cpu.supported_levels()})"
        )
    wanted = os.environ.get("FASTMATH_ML_CPU")
    if not wanted:
        return available[-1]
    if wanted not in available:
        raise ImportError(
            f"FASTMATH_ML_CPU={wanted!r}: expected one of {', '.join(available)}, "
            "the levels that are built and that this processor runs"
        )
    return wanted


LEVEL = _choose_level()
__path__.insert(0, os.path.join(__path__[-1], LEVEL))
