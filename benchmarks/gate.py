"""Has this change made anything slower or hungrier? `make gate BASE=<revision>`.

Two revisions of the package are built at one CPU level, installed side by side and compared:

    instructions   of one-thread calls, counted by callgrind: more than 2 % is a failure
    time           of the quick cases on all threads, side by side in fresh processes: more than 5 %
    memory         peak of what works in bounded memory: more than 10 %

A failure is measured a second time before it counts, unless time is up by then; then the function
whose cost grew is named and profiles of both revisions are written. So is a case a failure that ran
on the base and does not now. A change that is meant to cost more says so in the message
of its commit, `Costs-more: PATTERN -- reason`. The exit code is 1 after a failure, 2 where the
comparison could not be made at all (with --if-possible: 0, and the reason is printed).

--brief, for every change: the instructions of a few cheap cases, a minute, and 3000 instructions a
call beyond the 2 %, so that an argument more is no failure.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .gates import accepted, blame, instructions, memory, subjects, timing, trees
from .gates.judge import (
    TIME_IS_UP,
    Comparison,
    comparison_table,
    judge_instructions,
    not_compared,
    slower_twice,
)
from .gates.trees import Tree, Unavailable
from .machine import available_cpus
from .table import print_table

KINDS = ("instructions", "memory", "time")
PAIRS = 5
RETRY_PAIRS = 8
BLAME_SECONDS = 120.0  # for all failures, beyond the time that is given for the comparison
BRIEF_SLACK = 3000  # instructions of a call
MEANT = "is it meant? A line of the commit's message accepts it: Costs-more: <pattern> -- <reason>"


def tell(text: str) -> None:
    print(f"gate: {text}", flush=True)


def compare_instructions(base: Tree, head: Tree, keys: list[str], end: float, slack: int):
    before, after = instructions.count([base, head], keys, end=end)
    verdicts = []
    for key in keys:
        errors = [found[key].get("error") for found in (before, after)]
        if any(errors):
            verdicts.append(not_compared("instructions", key, 1, *errors))
        else:
            counts = (sum(before[key].values()), sum(after[key].values()))
            verdicts.append(judge_instructions(key, *counts, slack))
    return verdicts


class Gate:
    """What is compared, with how much time for it."""

    def __init__(
        self, base: Tree, head: Tree, only: str, threads: int, seconds: float, brief: bool = False
    ):
        self.base, self.head = base, head
        self.only, self.threads, self.brief = only, threads, brief
        self.end = time.monotonic() + seconds
        self.at_work: dict[tuple, tuple[float, float]] = {}

    def wanted(self, cases) -> list[str]:
        return [case.key for case in cases if re.search(self.only, case.key)]

    def tasks(self, kind: str) -> list[tuple[str, int]]:
        """(case, threads) of everything that this gate looks at."""
        if kind == "instructions":
            cases = subjects.brief_cases() if self.brief else subjects.counted_cases()
            return [(key, 1) for key in self.wanted(cases)]
        if kind == "memory":
            return [(key, self.threads) for key in self.wanted(subjects.memory_cases())]
        return [(key, self.threads) for key in self.wanted(subjects.timed_cases())]

    def measure(self, kind: str, tasks, n_pairs: int = PAIRS) -> list[Comparison]:
        if kind == "instructions":
            slack = BRIEF_SLACK if self.brief else 0
            keys = [key for key, _ in tasks]
            return compare_instructions(self.base, self.head, keys, self.end, slack)
        if kind == "memory":
            return memory.compare(self.base, self.head, [key for key, _ in tasks], self.threads)
        found, at_work = timing.compare(self.base, self.head, tasks, n_pairs, self.end, tell)
        self.at_work |= at_work
        return found

    def run(self, kind: str) -> tuple[list[Comparison], list[Comparison]]:
        """All comparisons of a kind, and those that are slower in a second measurement as well."""
        tasks = self.tasks(kind)
        tell(f"{kind}: {len(tasks)} cases")
        first = self.measure(kind, tasks) if tasks else []
        suspects = [found for found in first if found.is_slower]
        if not suspects:
            return first, []
        tell(f"{kind}: {len(suspects)} of {len(first)} look worse; measuring those again")
        again = self.measure(kind, [(c.key, c.threads) for c in suspects], RETRY_PAIRS)
        return first, slower_twice(suspects, again)


def why_not(kind: str) -> str | None:
    if kind == "instructions":
        return instructions.why_not()
    return memory.why_not() if kind == "memory" else None


def not_accepted(failures: list[Comparison], acceptances) -> list[Comparison]:
    """Failures that no commit accounts for; the others are told with their reasons."""
    left = []
    for found in failures:
        reason = accepted.reason_for(found, acceptances)
        if reason is None:
            left.append(found)
        else:
            cost = found.note if found.ratio is None else f"{found.ratio:.3f}"
            tell(f"{found.kind}, {found.key}: {cost} is accepted, {reason}")
    return left


def report_failures(gate: Gate, failures: list[Comparison]) -> None:
    shutil.rmtree(blame.PROFILES, ignore_errors=True)
    blames = {}
    end = time.monotonic() + BLAME_SECONDS
    for found in failures:
        if time.monotonic() > end:
            blames[found.identity] = ["not looked at: time is up"]
            continue
        at_work = gate.at_work.get((found.key, found.threads)) if found.kind == "time" else None
        if found.is_broken:
            blames[found.identity] = [f"ran on the base, and now: {found.note}"]
            continue
        blames[found.identity] = blame.blame(gate.base, gate.head, found, at_work)
    print_table("worse than the base", *comparison_table(failures))
    for found in failures:
        print(f"{found.kind}, {found.key}:")
        for line in blames[found.identity] or ["nothing that stands out was found"]:
            print(f"    {line}")
    for path in blame.written():
        print(f"profile: {path.relative_to(trees.ROOT)}")


def run_gate(
    base: Tree, head: Tree, *, kinds, only: str, threads: int, seconds: float, brief: bool = False
):
    """(the gate, all comparisons, failures); prints what it finds."""
    gate = Gate(base, head, only, threads, seconds, brief)
    everything: list[Comparison] = []
    failures: list[Comparison] = []
    for kind in kinds:
        reason = why_not(kind)
        if reason:
            tell(f"{kind}: not compared, {reason}")
            continue
        if time.monotonic() > gate.end:
            tell(f"{kind}: not compared, time is up")
            continue
        found, worse = gate.run(kind)
        everything += found
        failures += worse
    return gate, everything, failures


def print_summary(everything: list[Comparison]) -> None:
    for kind in KINDS:
        measured = [c for c in everything if c.kind == kind and c.ratio is not None]
        if measured:
            ratios = sorted(c.ratio for c in measured)
            tell(
                f"{kind}: {len(measured)} cases compared, head / base from {ratios[0]:.3f} "
                f"to {ratios[-1]:.3f}"
            )
    notes = [c for c in everything if c.ratio is None]
    for c in notes[:10]:
        tell(f"{c.kind}, {c.key}: not compared, {c.note}")
    if len(notes) > 10:
        tell(f"... and {len(notes) - 10} more")


def parse(arguments) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", default="HEAD", help="revision to compare with (default: HEAD)")
    parser.add_argument("--head", default=None, help="revision to judge (default: working tree)")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases whose name matches")
    parser.add_argument("--threads", type=int, default=available_cpus(), metavar="N")
    parser.add_argument("--seconds", type=float, default=540.0, help="for all but the building")
    parser.add_argument("--build-seconds", type=float, default=900.0, help="for each revision")
    parser.add_argument("--brief", action="store_true", help="instructions of a few cases")
    parser.add_argument("--if-possible", action="store_true", help="0 where it cannot be done")
    parser.add_argument(
        "--take-built", action="store_true", help="use the kernels that `make build` has built"
    )
    return parser.parse_args(arguments)


def compare(options: argparse.Namespace) -> int:
    kinds = ["instructions"] if options.brief else options.kinds.split(",")
    reasons = [why_not(kind) for kind in kinds]
    if all(reasons):
        raise Unavailable(reasons[0])
    if trees.is_same(options.base, options.head):
        tell(f"the same sources as {options.base}: nothing to compare")
        return 0
    # The head first: what the checkout has built serves it, and the base then builds what differs.
    head = trees.obtain(options.head, options.build_seconds, take_built=options.take_built)
    base = trees.obtain(options.base, options.build_seconds)
    tell(f"{head.label} against {base.label}, CPU level {trees.LEVEL}")
    gate, everything, failures = run_gate(
        base,
        head,
        kinds=kinds,
        only=options.only,
        threads=options.threads,
        seconds=options.seconds,
        brief=options.brief,
    )
    print_summary(everything)
    if not failures and all(found.ratio is None for found in everything):
        reasons = [found.note for found in everything] or [TIME_IS_UP]
        raise Unavailable(f"no case ran on both revisions ({reasons[0]})")
    failures = not_accepted(failures, accepted.between(options.base, options.head))
    if failures:
        report_failures(gate, failures)
        tell(MEANT)
        return 1
    tell("passed")
    return 0


def main(arguments=None) -> int:
    options = parse(arguments)
    try:
        return compare(options)
    except (Unavailable, OSError, subprocess.SubprocessError) as reason:
        tell(f"no comparison with {options.base}: {reason}")
        return 0 if options.if_possible else 2


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main())
