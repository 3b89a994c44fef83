"""Each quick case beside its references, a group each: `make speed`.

    make speed ARGS="-k softmax"
    make speed ARGS="--benchmark-save=before"      and after a change
    make speed ARGS="--benchmark-compare"          against the last that was saved

One process holds all libraries, which disturb each other on several threads; so everything runs on
one thread here, and min and median are the figures. `make bench` compares on all threads.
"""

import sys
from pathlib import Path

import pytest

pytest.importorskip("pytest_benchmark")
sys.path.append(str(Path(__file__).parent.parent))

from benchmarks.cases import CASES
from benchmarks.peers import INTERNAL, forms_of, is_installed

REFERENCES = ("numpy", "scipy", "sklearn")  # without threads of their own that outlive a limit


def sides_of(case):
    return ["ours", *(p for p in case.peers if p in REFERENCES and is_installed(p))]


PAIRS = [(case, side) for case in CASES if case.quick for side in sides_of(case)]
assert not set(REFERENCES) & set(INTERNAL)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    from threadpoolctl import threadpool_limits

    import fastmath_ml as fm

    with threadpool_limits(1), fm.num_threads(1):
        yield


def fastest(calls):
    """Of a reference's forms the one that takes least in one call."""
    import time

    def seconds(call):
        call()
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    return min(calls, key=seconds)


@pytest.mark.parametrize(("case", "side"), PAIRS, ids=[f"{c.key}-{s}" for c, s in PAIRS])
def test_speed(benchmark, case, side):
    inputs = case.inputs()
    benchmark.group = case.key
    if side == "ours":
        call = case.ours(inputs)
    else:
        call = fastest(list(forms_of(case.peers[side], inputs).values()))
    benchmark(call)
