"""Timing two revisions: a worker process each, slots in turn, and fresh processes for each pair.

What differs between two processes of the same code (where arrays and code lie in memory) is as
large as a small slow-down: so the figure is a median over pairs of processes, each of which gives
the median of its paired slots.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from .judge import Comparison, judge_time, not_compared, with_threads
from .trees import STORE, Tree

SLOT = 0.004  # seconds; of several threads longer, since the first call of a slot wakes them
THREADED_SLOT = 0.015
PAUSE = 0.003  # before a slot of several threads, whose workers spin for a while
SLOTS = 9
MAX_CALL = 0.4  # seconds: slower calls get fewer slots


class Worker:
    """A process with one revision loaded."""

    def __init__(self, tree: Tree):
        command = [sys.executable, "-P", "-m", "benchmarks.gates.worker", "slots"]
        self.errors = (STORE / "worker-errors.log").open("a")
        self.process = subprocess.Popen(
            command,
            env=tree.environment(),
            cwd=STORE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def ask(self, **job) -> dict:
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "the worker has ended"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def time_pair(workers: list, key: str, threads: int, clock=time) -> dict:
    """{'slots': (base's seconds, head's), 'workers': (threads at work)} or {'errors': ...}."""
    first = [worker.ask(prepare=key, threads=threads) for worker in workers]
    if any("error" in found for found in first):
        return {"errors": [found.get("error") for found in first]}
    seconds = min(found["seconds"] for found in first)
    n_calls = max(1, round((SLOT if threads == 1 else THREADED_SLOT) / max(seconds, 1e-8)))
    n_slots = SLOTS if seconds < MAX_CALL / SLOTS else 3
    slots: tuple[list, list] = ([], [])
    workers_of: tuple[list, list] = ([], [])
    for at in range(n_slots):
        for i in (0, 1) if at % 2 == 0 else (1, 0):
            if threads > 1:
                clock.sleep(PAUSE)
            found = workers[i].ask(slot=n_calls)
            if "error" in found:
                return {"errors": [found["error"] if i == j else None for j in (0, 1)]}
            slots[i].append(found["seconds"])
            workers_of[i].append(found["workers"])
    return {"slots": slots, "workers": tuple(median(n) for n in workers_of)}


def compare(
    base: Tree,
    head: Tree,
    tasks: list[tuple[str, int]],
    n_pairs: int,
    end: float,
    tell: Callable[[str], None],
) -> tuple[list[Comparison], dict]:
    """(verdicts, {(key, threads): threads at work in base and head}); no new pair after `end`."""
    pairs: dict[tuple, list] = {task: [] for task in tasks}
    at_work: dict[tuple, list] = {task: [] for task in tasks}
    errors: dict[tuple, list] = {}
    for at in range(n_pairs):
        if at >= 2 and time.monotonic() > end:
            tell(f"time is up after {at} of {n_pairs} pairs of processes")
            break
        tell(f"time: pair of processes {at + 1} of {n_pairs}")
        with Worker(base) as first, Worker(head) as second:
            for task in tasks:
                if task in errors:
                    continue
                found = time_pair([first, second], *task)
                if "errors" in found:
                    errors[task] = found["errors"]
                else:
                    pairs[task].append(found["slots"])
                    at_work[task].append(found["workers"])
    medians = {
        task: tuple(median(side) for side in zip(*found, strict=True))
        for task, found in at_work.items()
        if found
    }
    verdicts = []
    for (key, threads), found in pairs.items():
        if (key, threads) in errors:
            verdicts.append(not_compared("time", key, threads, *errors[key, threads]))
        elif found:
            verdict = judge_time(key, threads, found)
            verdicts.append(with_threads(verdict, medians[key, threads]))
    return verdicts, medians
