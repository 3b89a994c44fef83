"""How many threads a call uses.

In this order: ``num_threads(n)`` around the call, for the calling thread only; then
``FASTMATH_ML_NUM_THREADS``, then ``OMP_NUM_THREADS``, read at import; then the CPUs of the calling
thread's affinity mask, capped by the CPU quota of the control group. The mask is followed when it
changes, the quota is read once. A quota that is not a whole number of CPUs is rounded down, and
idle workers then sleep at once instead of spinning: spinning would use up the quota.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from fastmath_ml._kernels import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

__all__ = ["get_num_threads", "num_threads"]

MAX_THREADS: int = pool.max_threads

# What configure() found: threads that the environment asks for and the variable that does (0 and
# '' when none does), CPUs' worth of time that the control groups allow (None: all).
_fixed: int
_fixed_by: str
_quota: float | None


class num_threads:
    """Limit the calling thread's calls to `n` threads inside a ``with`` block.

    Other threads of the process, and libraries such as SciPy's LAPACK, keep their settings.
    The numbers that a function returns do not depend on `n`.

    Parameters
    ----------
    n : int
        Threads per call, 1 to 256, the calling thread included. May exceed the number of CPUs.

    Raises
    ------
    TypeError, ValueError
        If `n` is no integer, or out of range.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> with fm.num_threads(2):
    ...     fm.get_num_threads()
    2
    """

    def __init__(self, n: int) -> None:
        if isinstance(n, bool) or not hasattr(n, "__index__"):
            raise TypeError(f"num_threads: n must be an integer, got {type(n).__name__}")
        n = n.__index__()
        if not 1 <= n <= MAX_THREADS:
            raise ValueError(f"num_threads: n must be between 1 and {MAX_THREADS}, got {n}")
        self._n = n
        self._before: list[int] = []  # a stack: the same object may be entered again

    def __enter__(self) -> None:
        self._before.append(pool.set_thread_limit(self._n))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pool.set_thread_limit(self._before.pop())


def get_num_threads() -> int:
    """Return how many threads a call made here and now would use at most.

    Returns
    -------
    int
        1 to 256.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.get_num_threads() >= 1
    True
    """
    return pool.get_num_threads()


def threads_and_reason() -> tuple[int, str]:
    """Return what `get_num_threads` does, and in words where the number comes from."""
    n = get_num_threads()
    if pool.thread_limit():
        return n, "num_threads() is in force"
    if _fixed:
        return n, f"{_fixed_by} is set"
    n_cpus = _affinity_count()
    if _quota is not None and int(_quota) < n_cpus:
        return n, f"CPU quota of the control group: {_quota:g} of {n_cpus} CPUs"
    return n, "CPUs of the affinity mask"


def threads_from_environment(environ: Mapping[str, str]) -> tuple[int, str]:
    """Return the number that the environment asks for and the variable, or (0, '').

    ``OMP_NUM_THREADS`` may be a list (one number per nesting level): the first counts. Text that
    is no such number is passed over, with a warning where the variable is ours.
    """
    for name in ("FASTMATH_ML_NUM_THREADS", "OMP_NUM_THREADS"):
        text = environ.get(name, "").strip()
        first = text.split(",")[0].strip() if name.startswith("OMP") else text
        if first.isascii() and first.isdigit() and int(first) > 0:
            return min(int(first), MAX_THREADS), name
        if text and not name.startswith("OMP"):
            warnings.warn(
                f"{name} must be a whole number of at least 1, got {text!r}; it is ignored",
                RuntimeWarning,
                stacklevel=2,
            )
    return 0, ""


def cpu_quota(root: str = "/") -> float | None:
    """Return the CPUs' worth of time that the control groups allow this process, or None.

    The limits of all groups from the process's own up to the root apply; the smallest counts.
    `root` is the directory that holds ``proc`` and ``sys``.
    """
    limits: list[float] = []
    mount = os.path.join(root, "sys/fs/cgroup")
    for line in _read(os.path.join(root, "proc/self/cgroup")).splitlines():
        # hierarchy:controllers:path; version 2 is hierarchy 0 and names no controllers
        hierarchy, controllers, path = [*line.split(":", 2), "", ""][:3]
        if hierarchy == "0" and not controllers:
            for base in (mount, os.path.join(mount, "unified")):
                limits += _limits(base, path, _limit_v2)
        elif "cpu" in controllers.split(","):
            for base in (os.path.join(mount, "cpu"), os.path.join(mount, "cpu,cpuacct")):
                limits += _limits(base, path, _limit_v1)
    return min(limits, default=None)


def _limits(base: str, path: str, limit_of: Callable[[str], float | None]) -> Iterator[float]:
    """Yield the limits of the group `path` under the mount `base` and of those above it.

    In a container the path may be the host's, which is not there; the mount's root then is the
    container's own group.
    """
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for n_parts in range(len(parts), -1, -1):
        limit = limit_of(os.path.join(base, *parts[:n_parts]))
        if limit is not None:
            yield limit


def _limit_v2(group: str) -> float | None:
    quota, period = (*_read(os.path.join(group, "cpu.max")).split(), "", "")[:2]
    return _ratio(quota, period or "100000")


def _limit_v1(group: str) -> float | None:
    quota = _read(os.path.join(group, "cpu.cfs_quota_us"))
    return _ratio(quota.strip(), _read(os.path.join(group, "cpu.cfs_period_us")).strip())


def _ratio(quota: str, period: str) -> float | None:
    # 'max' and -1 say that there is no limit
    if not (quota.isdigit() and period.isdigit() and int(quota) and int(period)):
        return None
    return int(quota) / int(period)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _affinity_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def configure(environ: Mapping[str, str] = os.environ, root: str = "/") -> None:
    """Read the environment and the control group, and tell the pool; runs at import."""
    global _fixed, _fixed_by, _quota
    _fixed, _fixed_by = threads_from_environment(environ)
    _quota = cpu_quota(root)
    whole_cpus = 0 if _quota is None else max(int(_quota), 1)
    pool.configure(_fixed, whole_cpus, _quota is None or _quota == whole_cpus)


configure()
