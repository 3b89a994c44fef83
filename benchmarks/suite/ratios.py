"""The reference's time / ours: above 1 ours is faster. NumPy, SciPy and its BLAS.

On one thread both sides run in slots of about a millisecond, in turns, the order swapped each pair,
and the figure is the median of the pairs' ratios: a busy machine slows both sides of a pair. Slots
are measured in CPU time: where other processes leave a small share of a CPU, every second slot
holds a wait of a hundred times its length. On all threads the workers of one library would disturb
the other's slot, so there are blocks with pauses between them (`benchmarks.measure`).
"""

import itertools
import time
from statistics import median

from benchmarks.cases import CASES, brief
from benchmarks.machine import available_cpus
from benchmarks.measure import Runner, alternate, compare
from benchmarks.peers import forms_of, is_installed

from .common import case_of, classes, our_call

REFERENCES = ("numpy", "scipy")
SLOT = 0.001
BUDGET = 0.5  # seconds for a case and a reference
MIN_PAIRS, MAX_PAIRS = 9, 400
TASKS = [case for case in CASES if case.quick or case in brief.CASES]


def per_call(call, n_calls: int) -> float:
    """CPU seconds, of all threads of this process."""
    repeats = itertools.repeat(None, n_calls)
    begin = time.process_time()
    for _ in repeats:
        call()
    return (time.process_time() - begin) / n_calls


def calls_in_slot(call) -> int:
    call()
    return max(1, round(SLOT / max(min(per_call(call, 1) for _ in range(3)), 1e-8)))


def paired_ratio(ours, other, budget: float = BUDGET) -> float:
    """median(other / ours) over pairs of slots."""
    n_ours, n_other = calls_in_slot(ours), calls_in_slot(other)
    ratios: list[float] = []
    end = time.perf_counter() + budget
    while len(ratios) < MIN_PAIRS or (time.perf_counter() < end and len(ratios) < MAX_PAIRS):
        if len(ratios) % 2:
            theirs, mine = per_call(other, n_other), per_call(ours, n_ours)
        else:
            mine, theirs = per_call(ours, n_ours), per_call(other, n_other)
        ratios.append(theirs / mine)
    return median(ratios)


def one_thread_ratio(case) -> float:
    """Against the fastest form of the fastest reference."""
    from threadpoolctl import threadpool_limits

    import fastmath_ml as fm

    inputs = case.inputs()
    ours = our_call(case, inputs)
    found = []
    with fm.num_threads(1):
        for name in REFERENCES:
            if name in case.peers and is_installed(name):
                forms = forms_of(case.peers[name], inputs)
                with threadpool_limits(1):
                    found += [paired_ratio(ours, call) for call in forms.values()]
    return min(found)


def all_threads_ratio(case) -> float:
    import fastmath_ml as fm

    inputs = case.inputs()
    ours = our_call(case, inputs)
    found = []
    with fm.num_threads(available_cpus()):
        for name in REFERENCES:
            if name not in case.peers or not is_installed(name):
                continue
            runners = [Runner("ours", ours)]
            forms = forms_of(case.peers[name], inputs)
            runners += [Runner(name, call, form) for form, call in forms.items()]
            rounds = alternate(runners, "steady", budget=2 * BUDGET, min_rounds=3)
            found.append(compare(rounds, "ours", name)["ratio"])
    return min(found)


class OneThread:
    timeout = 90
    unit = "reference / ours"

    def track_ratio_one_thread(self, label):
        return one_thread_ratio(case_of(self.op, label))


class AllThreads:
    timeout = 90
    unit = "reference / ours"

    def track_ratio_all_threads(self, label):
        return all_threads_ratio(case_of(self.op, label))


def has_reference(case) -> bool:
    return any(name in case.peers for name in REFERENCES)


# Beyond a slot's size a case is timed elsewhere: so many pairs of it would take too long.
SINGLE = [case for case in TASKS if has_reference(case) and case.flops < 3e9]
THREADED = [c for c in TASKS if c.quick and has_reference(c) and not c.is_overhead]
THREADED = [c for c in THREADED if c.op in ("matmul", "softmax", "logsumexp", "gram", "svd_topk")]
classes(globals(), OneThread, SINGLE, "Ratio")
classes(globals(), AllThreads, THREADED, "ThreadedRatio")
del OneThread, AllThreads
