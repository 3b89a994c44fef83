"""Alternating measurement: blocks of calls, rounds of blocks, medians of ratios.

Two libraries in one process disturb each other (worker threads spin for a while after their
work), and a machine's speed drifts from second to second. So each library gets a *block* of calls
to itself, after a pause that lets the other's threads fall asleep; a *round* is one block of each,
in an order that is reversed from round to round; only times of one round are divided by each
other, and the median of those ratios is the figure.

Two regimes, because a user's script has both: 'steady', calls in a row, and 'isolated', where
every call follows a sleep and finds its worker threads asleep.
"""

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

PAUSE = 0.005  # seconds before each block, and before each isolated call
# Seconds before a block that follows another library's. Idle workers of OpenBLAS were seen to keep
# a core busy for 50 to 100 ms after a call: after less of a pause our calls took 1.7 times as long.
SETTLE = 0.12
# Behind ours, whose workers fall asleep much sooner.
SETTLE_AFTER_OURS = 0.02
BLOCK = 0.020  # seconds of calls in a steady block, at least
SAMPLE = 50e-6  # shorter calls are timed several at once, so that the clock does not count
CALLS_PER_ISOLATED_BLOCK = 4
HOPELESS = 1.25  # a setting this much slower than the peer's best one is dropped

REGIMES = ("steady", "isolated")


@contextlib.contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """That many other processes keep a CPU busy each, from about now on, while this one lives."""
    with contextlib.ExitStack() as stack:
        for _ in range(n):
            code = f"import os\nwhile os.getppid() == {os.getpid()}:\n    sum(range(100_000))"
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", code]))
            stack.callback(process.kill)
        time.sleep(0.1 if n else 0)
        yield


@dataclass
class Runner:
    """Something to time: one library's call at one setting."""

    name: str
    call: Callable[[], object]
    setting: str = ""  # for a peer: its thread count and the form of the call
    prepare: Callable[[], object] | None = None  # runs before each block, outside of the timing
    work: float = 1.0  # how often the case's work is done by one call
    is_limit: bool = False  # what the machine can do: the best call counts, and tells its seconds
    batch: int = 0  # calls per sample, found at the first block

    @property
    def key(self) -> tuple[str, str]:
        return (self.name, self.setting)


def time_calls(call: Callable[[], object], n_calls: int, clock=time) -> float:
    """Seconds that `n_calls` calls take, looped as timeit does."""
    repeats = itertools.repeat(None, n_calls)
    begin = clock.perf_counter()
    for _ in repeats:
        call()
    return clock.perf_counter() - begin


def calls_per_sample(call: Callable[[], object], clock=time) -> int:
    n_calls = 1
    while time_calls(call, n_calls, clock) < SAMPLE and n_calls < 1 << 16:
        n_calls *= 2
    return n_calls


def time_sample(runner: Runner, n_calls: int, clock=time) -> float:
    return runner.call() if runner.is_limit else time_calls(runner.call, n_calls, clock)


def time_block(runner: Runner, regime: str, clock=time) -> float:
    """Pause, one call that is not counted, then a block of calls; median seconds per work."""
    if runner.prepare is not None:
        runner.prepare()
    clock.sleep(PAUSE)
    runner.call()
    samples: list[float] = []
    total = 0.0
    if regime == "isolated":
        while len(samples) < CALLS_PER_ISOLATED_BLOCK and total < 5 * BLOCK:
            clock.sleep(PAUSE)
            samples.append(time_sample(runner, 1, clock))
            total += samples[-1]
    else:
        runner.batch = runner.batch or calls_per_sample(runner.call, clock)
        while total < BLOCK:
            seconds = time_sample(runner, runner.batch, clock)
            samples.append(seconds / runner.batch)
            total += seconds
    return (min if runner.is_limit else median)(samples) / runner.work


def contenders(runners: list[Runner], rounds: list[dict]) -> list[Runner]:
    """The runners without those settings of a peer that another setting of it leaves behind."""
    times = {key: median(r[key] for r in rounds) for key in rounds[-1]}
    best: dict[str, float] = {}
    for (name, _), seconds in times.items():
        best[name] = min(seconds, best.get(name, seconds))
    return [r for r in runners if times[r.key] <= HOPELESS * best[r.name]]


def alternate(
    runners: list[Runner], regime: str, *, budget: float, min_rounds: int, clock=time
) -> list[dict]:
    """Rounds of blocks until `budget` seconds are used: for each round {runner key: seconds}.

    At least `min_rounds`, unless the calls are so slow that four times the budget does not suffice.
    Settings of a peer that are clearly behind its best leave after half of those.
    """
    begin = clock.perf_counter()
    rounds: list[dict] = []
    used = 0.0
    previous = None
    while not rounds or used < (4 * budget if len(rounds) < min_rounds else budget):
        order = runners if len(rounds) % 2 == 0 else runners[::-1]
        times = {}
        for runner in order:
            if previous not in (None, runner.name):
                clock.sleep(SETTLE_AFTER_OURS if previous == "ours" else SETTLE)
            previous = runner.name
            times[runner.key] = time_block(runner, regime, clock)
        rounds.append(times)
        if len(rounds) == max(1, min_rounds // 2):
            runners = contenders(runners, rounds)
        used = clock.perf_counter() - begin
    return rounds


def compare(rounds: list[dict], ours: str, other: str) -> dict:
    """How `other` at its best setting stands to `ours`; a ratio above 1 says that ours is faster.

    Only settings that stayed to the last round are considered.
    """
    our_key = (ours, "")

    def ratio(key):
        return median(r[key] / r[our_key] for r in rounds if key in r)

    best = min((key for key in rounds[-1] if key[0] == other), key=ratio)
    return {
        "ours": median(r[our_key] for r in rounds),
        "time": median(r[best] for r in rounds if best in r),
        "ratio": ratio(best),
        "setting": best[1],
        "n_rounds": sum(best in r for r in rounds),
    }
