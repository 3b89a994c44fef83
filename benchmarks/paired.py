"""Ours beside a reference on one thread, so that the ratio of the two repeats.

Both sides run in slots of about a millisecond, in turns, the order swapped each pair. Slots are
measured in CPU time: where other processes leave a small share of a CPU, every second slot holds a
wait of a hundred times its length. Two things do not divide out. A neighbour on the core's other
thread slows one kernel more than another, for seconds, but seldom on all cores at once: so the
process moves to a CPU where a small product is as fast as it ever was, and all cases take turns, in
several sweeps. And where a process happens to have its arrays and its code changes a time by up to
a third, for as long as they stay there, so there are several processes, and arrays move from time
to time. In each visit to a case the median of the ratios of slots that stand side by side counts;
the figure is the geometric mean of the visits.
"""

import contextlib
import ctypes
import functools
import itertools
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np

from .cases import CASES, brief
from .cases.base import Inputs
from .machine import unforced_environment
from .peers import forms_of, is_installed
from .suite.common import our_call

REFERENCES = ("numpy", "scipy")
SLOT = 0.001
BUDGET = 0.75  # seconds for a case and a form of a reference
PROCESSES, SWEEPS = 6, 12
VISITS = 4  # of a case in a process, in every third sweep
VISIT = BUDGET / (PROCESSES * VISITS)
LONG = 0.004, 0.1  # seconds of a slot of each from and up to which all sweeps visit the case
MOVED = 32 << 20  # bytes of inputs up to which they move between visits
TWICE = 0.1  # seconds of a slot of each up to which a visit has two of them
TOO_SLOW = 0.2  # seconds of a slot of a reference, of which there would be too few
PROBE_SIZE = 96
DISTURBED = 1.2  # times as slow as the fastest probe
MANY_CPUS = 8
PATIENCE = 5.0  # seconds that a process looks for a quiet CPU in all


def has_reference(case) -> bool:
    return any(name in case.peers for name in REFERENCES)


PAIRED = [case for case in CASES if (case.quick or case in brief.CASES) and has_reference(case)]
# Arrays that just fill the last cache, often 32 MiB that neighbours share, are in it or are not:
# softmax of 4096 x 1024 took 0.8 ms for some seconds and 1.5 for others.
FILLED = range(30 << 20, 36 << 20)
# Beyond a slot's size a case is timed elsewhere: so many pairs of it would take too long.
SINGLE = [case for case in PAIRED if case.flops < 3e9 and int(case.bytes) not in FILLED]


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


class QuietCpu:
    """The CPU that this process is on, as long as nobody shares its core."""

    def __init__(self) -> None:
        cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        self.cpus = sorted(cpus)[:MANY_CPUS]
        self.fastest = np.inf
        self.patience = PATIENCE
        x = np.ones((PROBE_SIZE, PROBE_SIZE), np.float32)
        self.product = functools.partial(np.matmul, x, x, out=np.empty_like(x))

    def probe(self) -> float:
        seconds = min(per_call(self.product, 1) for _ in range(3))
        self.fastest = min(seconds, self.fastest)
        return seconds

    def move(self) -> None:
        self.cpus.append(self.cpus.pop(0))
        os.sched_setaffinity(0, self.cpus[:1])

    def look_around(self) -> None:
        """For the fastest probe of all CPUs."""
        for _ in self.cpus:
            self.move()
            self.probe()

    def stay_or_move(self) -> None:
        begin = time.perf_counter()
        while self.cpus and self.patience > 0 and self.probe() > DISTURBED * self.fastest:
            self.move()
            self.patience -= time.perf_counter() - begin
            begin = time.perf_counter()


@dataclass
class Side:
    call: object
    n_calls: int = 1
    slot: float = 0.0  # seconds that n_calls take

    def fill_slot(self) -> None:
        fastest = per_call(self.call, 1)
        if fastest > TOO_SLOW:
            fastest = min(fastest, per_call(self.call, 1))
        elif fastest < TWICE:
            fastest = min(fastest, per_call(self.call, 1), per_call(self.call, 1))
        self.n_calls = max(1, round(SLOT / max(fastest, 1e-8)))
        self.slot = self.n_calls * fastest

    def measure(self) -> float:
        return per_call(self.call, self.n_calls)


@dataclass
class Pair:
    """Ours and one form of one reference."""

    case: str
    against: str  # the reference and its form
    ours: Side
    other: Side
    ratios: list[float] = field(default_factory=list)  # of each visit
    seconds: list[float] = field(default_factory=list)  # of ours

    def period(self) -> int:
        """It takes part in one of so many sweeps: the slowest once in each process.

        A slot of one call of some milliseconds, which reads memory that neighbours read too, is
        not even as steady as one of many short calls.
        """
        if LONG[0] < self.slots() < LONG[1]:
            return 1
        return SWEEPS // VISITS * min(1 + int(self.slots() / (8 * VISIT)), VISITS)

    def slots(self) -> float:
        """Seconds of a slot of each."""
        return self.ours.slot + self.other.slot

    def visit(self, cpu: QuietCpu) -> None:
        for side in (self.ours, self.other):
            if side.slot < 10 * SLOT:
                side.call()  # its arrays are not in the caches
        end = time.perf_counter() + VISIT
        pairs = []
        while time.perf_counter() < end or (len(pairs) < 2 and self.slots() < TWICE):
            cpu.stay_or_move()
            if len(pairs) % 2:
                theirs, own = self.other.measure(), self.ours.measure()
            else:
                own, theirs = self.ours.measure(), self.other.measure()
            pairs.append((own, theirs))
        self.ratios.append(median(theirs / own for own, theirs in pairs))
        self.seconds.append(median(own for own, _ in pairs))


def calls_of(case, inputs) -> dict[str, tuple]:
    """{reference and form: (our call, the reference's)}."""
    ours = our_call(case, inputs)
    return {
        f"{name} {form}": (ours, call)
        for name in REFERENCES
        if name in case.peers and is_installed(name)
        for form, call in forms_of(case.peers[name], inputs).items()
    }


def moved(x):
    return x.copy(order="K") if isinstance(x, np.ndarray) else x


class PairsOfCase:
    def __init__(self, case) -> None:
        self.case = case
        inputs = case.inputs()
        self.pairs = [
            Pair(case.key, against, Side(ours), Side(other))
            for against, (ours, other) in calls_of(case, inputs).items()
        ]
        self.inputs = inputs
        arrays = [x for x in (*inputs.args, *inputs.kwargs.values()) if isinstance(x, np.ndarray)]
        self.moves = sum(x.nbytes for x in arrays) < MOVED and all(x.flags.forc for x in arrays)

    def move(self) -> None:
        """The same inputs at other addresses."""
        args = tuple(map(moved, self.inputs.args))
        kwargs = {name: moved(x) for name, x in self.inputs.kwargs.items()}
        self.inputs = Inputs(args, kwargs, moved(self.inputs.out))
        calls = calls_of(self.case, self.inputs)
        for pair in self.pairs:
            pair.ours.call, pair.other.call = calls[pair.against]

    def fill_slots(self) -> None:
        for pair in self.pairs:
            pair.other.fill_slot()
        self.pairs = [pair for pair in self.pairs if pair.other.slot < TOO_SLOW]
        try:
            for pair in self.pairs:
                pair.ours.call()  # it may have to be compiled
                pair.ours.fill_slot()
        except (AttributeError, TypeError):  # an older version of ours
            self.pairs = []


def cases_with_pairs(pattern: str) -> list[PairsOfCase]:
    found = []
    for case in SINGLE:
        if re.search(pattern, case.key):
            with contextlib.suppress(NotImplementedError):  # an older version of ours
                found.append(PairsOfCase(case))
    return found


def one_process(pattern: str) -> list:
    """[case, against, the ratio of each visit, its seconds of ours] for each pair."""
    import scipy.linalg  # noqa: F401  its BLAS has to be there for its threads to be limited
    from threadpoolctl import threadpool_limits

    import fastmath_ml as fm

    keep_freed_memory()
    cases = cases_with_pairs(pattern)
    rng = np.random.default_rng()
    gaps = []
    with fm.num_threads(1), threadpool_limits(1):
        cpu = QuietCpu()
        for case in cases:
            case.fill_slots()
            cpu.look_around()
        for at in range(SWEEPS):
            for case in cases:
                if at and at % (SWEEPS // VISITS) == 0 and case.moves:
                    gaps.append(bytearray(16 * int(rng.integers(1, 256))))
                    case.move()
                for pair in case.pairs:
                    if at % pair.period() == 0:
                        pair.visit(cpu)
    return [
        [pair.case, pair.against, pair.ratios, pair.seconds]
        for case in cases
        for pair in case.pairs
    ]


def in_new_process(pattern: str) -> list:
    """The package to measure may be installed elsewhere: this folder comes behind it."""
    root = str(Path(__file__).resolve().parents[1])
    code = "import sys; sys.path.append(sys.argv[1]); from benchmarks import paired; paired.main()"
    command = [sys.executable, "-P", "-c", code, root, pattern]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=unforced_environment())
    return json.loads(done.stdout)


def one_thread_ratios(pattern: str = "") -> dict[str, tuple[float, float]]:
    """{case's key: (ratio to the fastest form of the fastest reference, seconds of ours)}."""
    visits: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for _ in range(PROCESSES):
        for case, against, ratios, seconds in in_new_process(pattern):
            all_ratios, all_seconds = visits.setdefault((case, against), ([], []))
            all_ratios += ratios
            all_seconds += seconds
    found: dict[str, tuple[float, float]] = {}
    for (case, _against), (ratios, seconds) in visits.items():
        one = geometric_mean(ratios), median(seconds)
        found[case] = min(one, found.get(case, (np.inf, 0.0)))
    return found


def main() -> None:
    print(json.dumps(one_process(sys.argv[2])))
