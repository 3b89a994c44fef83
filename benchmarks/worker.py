"""One process, one peer: measures cases of ours against that peer and answers line by line.

A job comes as JSON on standard input:

    {"peers": ["torch"], "budget": 0.5, "min_rounds": 2,
     "tasks": [["softmax float32 4096x1024", 2, ["steady", "isolated"]], ...]}

where a task is a case, our number of threads and the regimes, and each task is answered by a line
of JSON on standard output. "budget" is in seconds per measurement; where the job may take no longer
than "seconds", the measurements that are left share what is left of it. Several peers in one job is
for those that need no library of their own (the machine's limits, our own other layouts). A job
{"limits": [1, 2]} measures the machine.
"""

import gc
import json
import math
import os
import pickle
import sys
import time
import zlib
from pathlib import Path
from statistics import median

from . import limits
from .cases import BY_KEY
from .machine import blas_libraries
from .measure import Runner, alternate, compare
from .peers import INTERNAL, forms_of


class PeerThreads:
    """Sets the number of threads of a peer; libraries must be loaded before this is made."""

    def __init__(self, peer: str):
        self.peer = peer
        self.current = None
        if peer != "torch":
            from threadpoolctl import ThreadpoolController

            self.controller = ThreadpoolController()

    def set(self, n_threads: int) -> None:
        if n_threads == self.current:
            return
        self.current = n_threads
        if self.peer == "torch":
            import torch

            torch.set_num_threads(n_threads)
        else:
            self.controller.limit(limits=n_threads)


def peer_runners(name: str, case, inputs, n_threads: int) -> list[Runner]:
    """The peer in each of its forms, on one thread and on all."""
    if name == "fma":
        return [limits.fma_runner(case, n_threads)]
    if name == "read":
        return [limits.read_runner(inputs, n_threads)]
    factory = case.peers[name]
    calls = forms_of(factory, inputs)
    if name in INTERNAL:
        return [Runner(name, call) for call in calls.values()]
    thread_counts = [n_threads]
    if n_threads > 1:
        thread_counts = [1] if getattr(factory, "is_serial", False) else [1, n_threads]
    threads = PeerThreads(name)
    return [
        Runner(name, call, f"{n} thread{'s' * (n > 1)} {form}".strip(), lambda n=n: threads.set(n))
        for form, call in calls.items()
        for n in thread_counts
    ]


def expected_of(case, inputs, folder: str | None) -> object:
    """What the reference gives; the workers of a run share it by a file, since it is slow."""
    if folder is None:
        return case.reference(inputs)
    path = Path(folder) / f"{zlib.crc32(case.key.encode()):08x}"
    if path.exists():
        return pickle.loads(path.read_bytes())
    expected = case.reference(inputs)
    try:
        path.write_bytes(pickle.dumps(expected, protocol=5))
    except (pickle.PicklingError, AttributeError, TypeError):
        path.unlink(missing_ok=True)
    return expected


def check(
    case, inputs, runners, folder: str | None = None, residuals: dict | None = None
) -> dict[str, bool]:
    """Whether each runner gives what the reference gives; limits give nothing.

    `residuals` gets the largest of each runner that has any.
    """
    expected = expected_of(case, inputs, folder)
    agrees: dict[str, bool] = {}
    for runner in runners:
        if runner.is_limit or runner.name in INTERNAL:
            continue
        if runner.prepare is not None:
            runner.prepare()
        result = runner.call()
        is_right = case.agrees(result, expected)
        if residuals is not None and (found := case.residual_of(result, expected)) is not None:
            residuals[runner.name] = max(found, residuals.get(runner.name, 0.0))
        agrees[runner.name] = agrees.get(runner.name, True) and is_right
    return agrees


def measure_task(case, n_threads: int, regimes, job: dict) -> dict:
    import fastmath_ml as fm

    inputs = case.inputs()
    names = [name for name in job["peers"] if name in case.peers]
    runners = [Runner("ours", case.ours(inputs))]
    for name in names:
        runners += peer_runners(name, case, inputs, n_threads)
    answer: dict = {"peers": {name: {} for name in names}, "ours": {}}
    with fm.num_threads(n_threads):
        residuals: dict[str, float] = {}
        agrees = check(case, inputs, runners, job.get("expected"), residuals)
        answer["agrees"] = agrees["ours"]
        answer["residual"] = residuals.get("ours")
        for name in names:
            answer["peers"][name]["agrees"] = agrees.get(name)
            answer["peers"][name]["residual"] = residuals.get(name)
        for regime in regimes:
            rounds = alternate(runners, regime, budget=job["budget"], min_rounds=job["min_rounds"])
            answer["ours"][regime] = median(r["ours", ""] for r in rounds)
            for name in names:
                answer["peers"][name][regime] = compare(rounds, "ours", name)
    return answer


def machine_facts(thread_counts) -> dict:
    import scipy.linalg  # noqa: F401  it brings its own BLAS

    import fastmath_ml as fm

    return {
        "limits": limits.measure_limits(thread_counts),
        "blas": blas_libraries(),
        "cpu_level": fm.cpu_level(),
        "version": fm.__version__,
    }


def answer_job(job: dict, send) -> None:
    if "limits" in job:
        send(machine_facts(job["limits"]))
        return
    end = time.perf_counter() + job.get("seconds", math.inf)
    n_left = sum(len(regimes) for _, _, regimes in job["tasks"])
    for key, n_threads, regimes in job["tasks"]:
        budget = min(job["budget"], max(0.0, end - time.perf_counter()) / n_left)
        n_left -= len(regimes)
        gc.collect()
        gc.disable()
        try:
            send(measure_task(BY_KEY[key], n_threads, regimes, {**job, "budget": budget}))
        except Exception as error:  # one failing case must not cost the others
            send({"error": f"{type(error).__name__}: {error}"})
        finally:
            gc.enable()


def main() -> None:
    # Libraries print what they like; the answers have a channel that is theirs alone.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def send(answer: dict) -> None:
        channel.write(json.dumps(answer) + "\n")
        channel.flush()

    answer_job(json.load(sys.stdin), send)


if __name__ == "__main__":
    main()
