"""Run the benchmarks: `python -m benchmarks.run`, from the root of the repository.

Starts one worker process per peer, one after the other (nothing else of ours runs meanwhile),
joins their answers, prints the tables and writes the report. The exit code is 1 if a result of ours
is wrong or missing. With --bars only the cases that carry a bar are run; those that fall short are
measured again, and the exit code is also 1 if any of them falls short both times.
"""

import argparse
import contextlib
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import bars as judging
from . import comparison, descents, pixels, report, spectra, table
from .cases import ALL, CASES, Case
from .footprint import import_verdicts
from .machine import available_cpus, describe_machine, machine_lines, unforced_environment
from .measure import REGIMES
from .peers import INTERNAL, is_installed
from .results import join, write_csv, write_json

ROOT = Path(__file__).parent.parent
START_UP = 4  # what starting a worker and importing a library costs, in measurements


@dataclass(frozen=True)
class Effort:
    """Seconds per case, peer and regime, the least number of rounds, and seconds for all of it."""

    budget: float
    min_rounds: int
    seconds: float = math.inf


QUICK = Effort(budget=0.1, min_rounds=2, seconds=15.0)
# Of a quick case the two of these that come first: as a rule the fastest is among them.
QUICK_PEERS = ("torch", "faiss", "numpy", "scipy", "numba", "sklearn", "numkong", "jax")
QUICK_ISOLATED = (  # the second regime takes as long as the first
    "matmul float32 256x256",
    "softmax float32 4096x1024",
    "cosine_similarity float32 2000x2000 d=128",
)
FULL = Effort(budget=0.6, min_rounds=4)
BARS = Effort(budget=1.5, min_rounds=6)

Task = tuple[str, int, list[str]]  # key of the case, our threads, regimes


def select(cases: list[Case], *, only: str, dtype: str, quick: bool, bars: str | None):
    """The cases asked for; `bars` is None, an area or '' for all areas."""
    chosen = [case for case in cases if not dtype or case.dtype == dtype]
    chosen = [case for case in chosen if re.search(only, case.key)]
    if bars is not None:
        return [case for case in chosen if any(bar.area == (bars or bar.area) for bar in case.bars)]
    return [case for case in chosen if case.quick] if quick else chosen


def tasks_of(cases: list[Case], n_threads: int, bars: str | None) -> list[Task]:
    """Each case at its thread counts; for the bars only what they ask for."""
    tasks = []
    for case in cases:
        wanted: dict[int, set[str]] = {}
        if bars is None:
            for n in case.threads:
                wanted[n_threads if n == ALL else n] = set(REGIMES)
        else:
            for bar in case.bars:
                if bar.area == (bars or bar.area):
                    threads = judging.threads_of(bar, n_threads)
                    wanted.setdefault(threads, set()).add(bar.regime)
        for threads, regimes in wanted.items():
            if case.is_overhead:
                regimes = {"steady"}
            tasks.append((case.key, threads, [r for r in REGIMES if r in regimes]))
    return tasks


def libraries_of(cases: list[Case]) -> list[str]:
    names = dict.fromkeys(name for case in cases for name in case.peers)
    return [name for name in names if name not in INTERNAL]


def quick_peers(case: Case) -> list[str]:
    installed = [n for n in QUICK_PEERS if n in case.peers and is_installed(n)]
    return installed[:2]


def jobs_of(cases: list[Case], tasks: list[Task], *, internal: bool) -> dict[str, dict]:
    """What each process does: {name: job}; a process per library, one for the machine's limits."""
    by_key = {case.key: case for case in cases}
    allowed = {
        key: set(case.peers if internal else quick_peers(case)) for key, case in by_key.items()
    }
    groups = {name: [name] for name in libraries_of(cases) if is_installed(name)}
    if internal:
        groups["machine"] = list(INTERNAL)
    jobs = {}
    for name, peers in groups.items():
        mine = [task for task in tasks if set(peers) & allowed[task[0]]]
        if mine:
            jobs[name] = {"peers": peers, "tasks": mine}
    # Cases whose peers are not installed: ours is still measured and checked.
    compared = {key for job in jobs.values() for key, *_ in job["tasks"]}
    if alone := [task for task in tasks if task[0] not in compared]:
        jobs["the reference alone"] = {"peers": [], "tasks": alone}
    return jobs


def run_worker(job: dict):
    """Start a worker and yield (task, answer) as they come.

    A worker that dies costs the task that it died of: the answer is an error, and a new worker
    goes on behind it.
    """
    tasks = list(job["tasks"])
    command = [sys.executable, "-m", "benchmarks.worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    env = unforced_environment()
    while tasks:
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(command, cwd=ROOT, env=env, stderr=errors, **pipes) as process,
        ):
            try:
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    json.dump({**job, "tasks": tasks}, process.stdin)
                for line in process.stdout:
                    yield tasks.pop(0), json.loads(line)
                process.wait()
            finally:
                process.kill()
            if tasks:
                errors.seek(0)
                last_line = (errors.read().strip().splitlines() or ["no message"])[-1]
                text = f"the worker ended with code {process.returncode}: {last_line}"
                yield tasks.pop(0), {"error": text}


def machine_limits(thread_counts: list[int]) -> dict:
    job = {"tasks": ["limits"], "limits": thread_counts}
    for _, answer in run_worker(job):
        return answer
    raise AssertionError("a worker answers or is reported dead")


class Progress:
    """A bar on a terminal; without one, a line per process. It draws only between measurements."""

    def __init__(self, total: int):
        self.bar = None
        if sys.stdout.isatty():
            try:
                from rich import progress
            except ImportError:
                return
            self.bar = progress.Progress(
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                progress.TextColumn("{task.description}"),
                auto_refresh=False,
            )
            self.task = self.bar.add_task("", total=total)

    def __enter__(self):
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.stop()

    def begin(self, name: str, n_tasks: int) -> None:
        if self.bar is None:
            print(f"measuring against {name}: {n_tasks} cases", flush=True)

    def step(self, description: str) -> None:
        if self.bar is not None:
            self.bar.update(self.task, advance=1, description=description, refresh=True)


def measure(cases: list[Case], tasks: list[Task], effort: Effort, limits, *, internal: bool):
    """The records of the tasks."""
    jobs = jobs_of(cases, tasks, internal=internal)
    answers: dict[tuple[str, int], dict[str, dict]] = {(key, n): {} for key, n, _ in tasks}
    weights = {
        name: START_UP + sum(len(regimes) for *_, regimes in job["tasks"])
        for name, job in jobs.items()
    }
    end = time.monotonic() + effort.seconds
    n_tasks = sum(len(job["tasks"]) for job in jobs.values())
    with Progress(n_tasks) as progress, tempfile.TemporaryDirectory() as folder:
        for name, job in jobs.items():
            progress.begin(name, len(job["tasks"]))
            job |= {"budget": effort.budget, "min_rounds": effort.min_rounds}
            job["expected"] = folder
            if effort.seconds < math.inf:
                share = weights[name] / sum(weights.values())
                job["seconds"] = max(0.0, end - time.monotonic()) * share
                del weights[name]
            for (key, n_threads, _), answer in run_worker(job):
                answers[key, n_threads][name] = answer
                progress.step(f"{name}: {key}")
    by_key = {case.key: case for case in cases}
    return [join(by_key[key], n, found, limits) for (key, n), found in answers.items()]


def on_real_data(module: str) -> Any:
    """What a module that works in a process of its own found, or why it found nothing."""
    if module not in ("behaviour", "descents") and not is_installed("sklearn"):
        return "scikit-learn is not installed"
    command = [sys.executable, "-m", f"benchmarks.{module}", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=unforced_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="the quick subset (default)")
    extent.add_argument("--full", action="store_true", help="every case, measured longer")
    extent.add_argument(
        "--bars",
        nargs="?",
        const="",
        metavar="AREA",
        help="every case with a bar (of that area); exit code 1 if any falls short twice",
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases whose name matches")
    parser.add_argument("--threads", type=int, default=available_cpus(), metavar="N")
    parser.add_argument("--dtype", default="", help="float32 or float64")
    parser.add_argument("--output", type=Path, default=ROOT / "bench-report", metavar="DIR")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FILE",
        help="the results.json of an earlier run: what became faster or slower since",
    )
    return parser.parse_args(arguments)


def judge_bars(cases, tasks, records, limits, options) -> list[judging.Verdict]:
    """Print the bars that fall short in this and in a second measurement; return them."""
    first = judging.judge(cases, records, options.threads, options.bars)
    if options.bars in ("", "foundation") and re.search(options.only, "import"):
        first += import_verdicts()
    short = [verdict for verdict in first if not verdict.is_met]
    if short:
        keys = {key for verdict in short for key in verdict.cases}
        again = [case for case in cases if case.key in keys]
        print(f"{len(short)} of {len(first)} bars fall short; measuring their cases again")
        repeated = measure(
            again, [task for task in tasks if task[0] in keys], BARS, limits, internal=True
        )
        second = judging.judge(again, repeated, options.threads, options.bars)
        short = judging.short_twice(first, second)
    if short:
        table.print_table(f"{len(short)} of {len(first)} bars fall short", *table.bars_table(short))
    else:
        print(f"all {len(first)} bars are met")
    return short


def write_report(folder: Path, result: dict, short) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", result)
    write_csv(folder / "results.csv", result)
    page = folder / "index.html"
    page.write_text(report.html_page(result, short), encoding="utf-8")
    print(f"report: {page}")


def main(arguments=None) -> int:
    options = parse(arguments)
    quick = not options.full and options.bars is None
    cases = select(CASES, only=options.only, dtype=options.dtype, quick=quick, bars=options.bars)
    if not cases:
        print("no case matches" + ("; --full looks at all of them" if quick else ""))
        return 2
    tasks = tasks_of(cases, options.threads, options.bars)
    if quick and not options.only:
        tasks = [
            (key, n, regimes if key in QUICK_ISOLATED else ["steady"]) for key, n, regimes in tasks
        ]
    facts = machine_limits(sorted({threads for _, threads, _ in tasks} | {options.threads}))
    if "error" in facts:
        print(facts["error"])
        return 2
    limits = facts["limits"]
    machine = describe_machine(facts, options.threads, libraries_of(CASES))
    print(*machine_lines(machine, limits), "", sep="\n", flush=True)
    result: dict = {"machine": machine, "limits": limits, "digits": None, "bars": None}
    if options.bars is None:
        result["digits"] = on_real_data("digits")
        if isinstance(result["digits"], str):
            print(f"digits: {result['digits']}")
        else:
            table.print_digits(result["digits"])
        result["training"] = on_real_data("training")
        result["descents"] = on_real_data("descents")
        descents.print_descents(result["descents"])
        result["pixels"] = on_real_data("pixels")
        pixels.print_pixels(result["pixels"])
        result["spectra"] = on_real_data("spectra")
        spectra.print_spectra(result["spectra"])
        if not options.only:
            result["behaviour"] = on_real_data("behaviour")
    effort = QUICK if quick else FULL if options.bars is None else BARS
    result["cases"] = measure(cases, tasks, effort, limits, internal=not quick)
    table.print_cases(result["cases"])
    if options.compare:
        earlier = json.loads(options.compare.read_text(encoding="utf-8"))
        result["changes"] = comparison.changes(result["cases"], earlier["cases"])
        table.print_table("since the earlier run", *comparison.change_table(result["changes"]))
    short = None
    if options.bars is not None:
        short = judge_bars(cases, tasks, result["cases"], limits, options)
        result["bars"] = [vars(verdict) for verdict in short]
    write_report(options.output, result, short)
    wrong = [record for record in result["cases"] if not record["agrees"]]
    return 1 if short or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
