"""What all tests share: the two dtypes, how Hypothesis runs, and the CPU level in the header.

A process tests one CPU level; `FASTMATH_ML_CPU` chooses it and nothing below depends on it.
"""

import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl
from hypothesis import HealthCheck, settings

import fastmath_ml as fm

# benchmarks/cases is the list of cases that the parity tests read too.
sys.path.append(str(Path(__file__).parents[1]))

# NumPy's products are the oracle here; its threads would only compete with those under test.
threadpoolctl.threadpool_limits(1, user_api="blas")

settings.register_profile(
    "fastmath_ml",
    deadline=None,  # the first call of a process starts threads; machines are shared
    max_examples=60,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fastmath_ml")


def pytest_configure(config):
    # Of NumPy's test suite, whose tests of matmul run here with ours in its place.
    for name in ("valgrind_error", "leaks_references", "slow", "thread_unsafe", "slow_pypy"):
        config.addinivalue_line("markers", f"{name}: a marker of NumPy's test suite")
    for name in ("xfail_xp_backends", "skip_xp_backends", "xp_capabilities", "array_api_backends"):
        config.addinivalue_line("markers", f"{name}: a marker of SciPy's test suite")


def pytest_addoption(parser):
    parser.addoption(
        "--share", type=int, default=1, metavar="N", help="one of N tests, by a hash of their names"
    )


def pytest_collection_modifyitems(config, items):
    share = config.getoption("--share")
    kept = [item for item in items if zlib.crc32(item.nodeid.encode()) % share == 0]
    config.hook.pytest_deselected(items=list(set(items) - set(kept)))
    items[:] = kept


def pytest_report_header():
    return f"fastmath_ml {fm.__version__}: CPU level {fm.cpu_level()}"


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(20)
