"""Which machine, which versions: the facts a figure is worthless without."""

import datetime
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# By these an environment may tell OpenBLAS to compute as on another CPU, at half the speed.
FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
DISTRIBUTIONS = {"sklearn": "scikit-learn", "faiss": "faiss-cpu"}  # where the name differs


def available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def unforced_environment() -> dict[str, str]:
    """This process's environment for one that measures: every library chooses its own kernels."""
    return {name: value for name, value in os.environ.items() if name not in FORCED}


def blas_libraries() -> list[str]:
    """Those of this process, with the kernels that they have chosen."""
    from threadpoolctl import threadpool_info

    found = [one for one in threadpool_info() if one["user_api"] == "blas"]
    keys = ("internal_api", "version", "architecture")
    return sorted({" ".join(one[key] for key in keys if one.get(key)) for one in found})


def processor_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found.group(1) if found else platform.machine()


def installed_version(name: str) -> str | None:
    try:
        return version(DISTRIBUTIONS.get(name, name))
    except PackageNotFoundError:
        return None


def describe_machine(facts: dict, n_threads: int, libraries: list[str]) -> dict:
    """`facts` are those that a worker found; the version of a library that is absent is None."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": processor_name(),
        "n_cpus": available_cpus(),
        "threads": n_threads,
        "cpu_level": facts["cpu_level"],
        "fastmath_ml": facts["version"],
        "python": platform.python_version(),
        "blas": facts["blas"],
        "peers": {name: installed_version(name) for name in libraries},
    }


def machine_lines(machine: dict, limits: dict) -> list[str]:
    """The facts in sentences, for the terminal and the report."""
    lines = [
        f"fastmath_ml {machine['fastmath_ml']} at CPU level {machine['cpu_level']}, "
        f"{machine['threads']} threads, Python {machine['python']}, on {machine['processor']} "
        f"({machine['n_cpus']} CPUs), {machine['date']}"
    ]
    for n_threads in limits["copy"]:
        peaks = ", ".join(
            f"{dtype} {rates[n_threads] / 1e9:.0f} GFLOP/s"
            for dtype, rates in limits["fma"].items()
        )
        copies, reads = (
            " / ".join(f"{rate / 1e9:.0f}" for _, rate in limits[kind][n_threads])
            for kind in ("copy", "read")
        )
        sizes = " / ".join(f"{n_bytes / 2**20:g}" for n_bytes, _ in limits["copy"][n_threads])
        plural = "s" if n_threads != "1" else ""
        lines.append(
            f"limits of {n_threads} thread{plural}: {peaks}; "
            f"copy {copies}, read {reads} GB/s in {sizes} MiB"
        )
    peers = machine["peers"].items()
    present = ", ".join(f"{name} {found}" for name, found in peers if found)
    absent = ", ".join(name for name, found in peers if not found)
    lines.append(f"compared with {present or 'nothing'}")
    if machine.get("blas"):
        lines.append(f"BLAS of NumPy and SciPy: {', '.join(machine['blas'])}")
    if absent:
        lines.append(f"not installed, therefore not compared: {absent}")
    return lines
