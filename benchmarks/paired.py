"""Ours beside a reference on one thread, so that the ratio of the two repeats.

Both sides run in slots of about a millisecond, in turns, the order swapped each pair. Slots are
measured in CPU time: where other processes leave a small share of a CPU, every second slot holds a
wait of a hundred times its length. Two things do not divide out. A neighbour on the core's other
thread stays for seconds to minutes and slows one kernel more than another, so all cases take turns,
in many sweeps. And where a process happens to have its arrays and its code changes a time by up to
a third, for as long as it lives, so there are several processes. The figure is the ratio of the
tenth percentiles of all slots: both of an undisturbed core and a good place.
"""

import ctypes
import itertools
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .cases import CASES, brief
from .peers import forms_of, is_installed
from .suite.common import our_call

REFERENCES = ("numpy", "scipy")
SLOT = 0.001
BUDGET = 0.5  # seconds for a case and a form of a reference
PROCESSES, SWEEPS = 4, 4
VISIT = BUDGET / (PROCESSES * SWEEPS)
QUANTILE = 0.1


def has_reference(case) -> bool:
    return any(name in case.peers for name in REFERENCES)


TASKS = [case for case in CASES if (case.quick or case in brief.CASES) and has_reference(case)]
# Beyond a slot's size a case is timed elsewhere: so many pairs of it would take too long.
SINGLE = [case for case in TASKS if case.flops < 3e9]


def per_call(call, n_calls: int) -> float:
    """CPU seconds, of all threads of this process."""
    repeats = itertools.repeat(None, n_calls)
    begin = time.process_time()
    for _ in repeats:
        call()
    return (time.process_time() - begin) / n_calls


def keep_freed_memory() -> None:
    """Temporaries of some MB come from memory that this process has had before.

    Otherwise the kernel clears new pages for each, in large pages or small ones as it happens to
    have them: SciPy's logsumexp of 4096 x 1024 took 28 ms in one process and 75 in the next.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim_threshold, mmap_max = -1, -4  # as malloc.h has them
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)


@dataclass
class Side:
    call: object
    n_calls: int = 1
    slot: float = 0.0  # seconds that n_calls take
    seconds: list[float] = field(default_factory=list)

    def fill_slot(self) -> None:
        self.call()
        fastest = per_call(self.call, 1)
        if fastest < SLOT:
            fastest = min(fastest, per_call(self.call, 1), per_call(self.call, 1))
        self.n_calls = max(1, round(SLOT / max(fastest, 1e-8)))
        self.slot = self.n_calls * fastest

    def measure(self) -> None:
        self.seconds.append(per_call(self.call, self.n_calls))


@dataclass
class Pair:
    """Ours and one form of one reference."""

    case: str
    against: str  # the reference and its form
    ours: Side
    other: Side

    def period(self) -> int:
        """It takes part in one of so many sweeps: the slowest once in each process."""
        return min(1 + int((self.ours.slot + self.other.slot) / (8 * VISIT)), SWEEPS)

    def visit(self) -> None:
        for side in (self.ours, self.other):
            if side.slot < 10 * SLOT:
                side.call()  # its arrays are not in the caches
        end = time.perf_counter() + VISIT
        for at in itertools.count():
            sides = (self.ours, self.other)
            for side in sides[:: -1 if at % 2 else 1]:
                side.measure()
            if time.perf_counter() > end:
                return


def pairs_of(pattern: str) -> list[Pair]:
    pairs = []
    for case in SINGLE:
        key = f"{case.op} {case.label}"
        if not re.search(pattern, key):
            continue
        inputs = case.inputs()
        try:
            ours = our_call(case, inputs)
        except NotImplementedError:
            continue
        for name in REFERENCES:
            if name in case.peers and is_installed(name):
                for form, call in forms_of(case.peers[name], inputs).items():
                    pairs.append(Pair(key, f"{name} {form}", Side(ours), Side(call)))
    return pairs


def one_process(pattern: str) -> list:
    """[case, against, seconds of ours, seconds of the other] for each pair."""
    import scipy.linalg  # noqa: F401  its BLAS has to be there for its threads to be limited
    from threadpoolctl import threadpool_limits

    import fastmath_ml as fm

    keep_freed_memory()
    pairs = pairs_of(pattern)
    with fm.num_threads(1), threadpool_limits(1):
        for pair in pairs:
            pair.ours.fill_slot()
            pair.other.fill_slot()
        for at in range(SWEEPS):
            for pair in pairs:
                if at % pair.period() == 0:
                    pair.visit()
    return [[pair.case, pair.against, pair.ours.seconds, pair.other.seconds] for pair in pairs]


def in_new_process(pattern: str) -> list:
    """The package to measure may be installed elsewhere: this folder comes behind it."""
    root = str(Path(__file__).resolve().parents[1])
    code = "import sys; sys.path.append(sys.argv[1]); from benchmarks import paired; paired.main()"
    command = [sys.executable, "-P", "-c", code, root, pattern]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def one_thread_ratios(pattern: str = "") -> dict[str, tuple[float, float]]:
    """{case: (ratio to the fastest form of the fastest reference, seconds of ours)}."""
    slots: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for _ in range(PROCESSES):
        for case, against, mine, theirs in in_new_process(pattern):
            ours, other = slots.setdefault((case, against), ([], []))
            ours += mine
            other += theirs
    found: dict[str, tuple[float, float]] = {}
    for (case, _against), (mine, theirs) in slots.items():
        seconds, other = (float(np.quantile(side, QUANTILE)) for side in (mine, theirs))
        found[case] = min((other / seconds, seconds), found.get(case, (np.inf, 0.0)))
    return found


def main() -> None:
    print(json.dumps(one_process(sys.argv[2])))
