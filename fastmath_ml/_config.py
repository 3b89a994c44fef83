"""What this installation is and what it found on this machine."""

from __future__ import annotations

import platform
import sys
from typing import Any

import numpy as np

from . import _kernels
from ._kernels import cpu
from ._threads import threads_and_reason
from ._version import __version__

__all__ = ["cpu_level", "show_config"]


def cpu_level() -> str:
    """Return the CPU level whose kernels are in use: 'base', 'v3' or 'v4'.

    Returns
    -------
    str
        On x86-64 'base' (x86-64-v2), 'v3' (AVX2 and FMA) or 'v4' (AVX-512); elsewhere 'base'. The
        best one that the processor runs, unless the environment variable ``FASTMATH_ML_CPU`` names
        another.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.cpu_level() in {"base", "v3", "v4"}
    True
    """
    return _kernels.LEVEL


def show_config() -> dict[str, Any]:
    """Return what was built, and what was found and chosen on this machine.

    Returns
    -------
    dict
        Versions, CPU level (chosen, built and runnable), cache sizes in bytes, threads and why that
        many, compiler and flags, and the state of Numba and of its vector mathematics (SVML).
        ``python -m fastmath_ml`` prints it.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.show_config()["version"] == fm.__version__
    True
    """
    n_threads, reason = threads_and_reason()
    l1, l2, l3 = cpu.cache_bytes()
    return {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_level": _kernels.LEVEL,
        "cpu_levels_available": list(_kernels.built_levels()),
        "cache_bytes": {"L1 data": l1, "L2": l2, "L3": l3},
        "threads": n_threads,
        "threads_because": reason,
        **cpu.build_info(),
        "numba": _numba_state(),
    }


def _numba_state() -> str:
    """Its version; whether it uses SVML is known, and told, only once it has been imported."""
    import importlib.metadata  # 24 ms, too much for `import fastmath_ml`

    try:
        version = importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
    if "numba" not in sys.modules:
        return f"{version}, not imported yet"
    from numba.core import config

    uses_svml = getattr(config, "USING_SVML", False)

    return f"{version}, SVML {'in use' if uses_svml else 'not in use'}"
