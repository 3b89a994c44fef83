"""The peak of memory of one call, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from .judge import Comparison, judge_memory, not_compared
from .trees import STORE, Tree

LONGEST = 120.0  # seconds of one call in its process


def why_not() -> str | None:
    if not Path("/proc/self/clear_refs").exists():
        return "/proc/self/clear_refs is not there: peaks of memory are read from Linux"
    return None


def ask(tree: Tree, *job: str, n_threads: int | None = None) -> dict:
    """The answer of a worker that does one thing."""
    command = [sys.executable, "-P", "-m", "benchmarks.gates.worker", *job]
    done = subprocess.run(
        command,
        env=tree.environment(n_threads),
        cwd=STORE,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    lines = done.stdout.strip().splitlines()
    if lines and not done.returncode:
        return json.loads(lines[-1])
    return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}


def compare(base: Tree, head: Tree, keys: list[str], threads: int) -> list[Comparison]:
    verdicts = []
    for key in keys:
        found = [ask(tree, "peak", str(threads), key) for tree in (base, head)]
        if any("error" in answer for answer in found):
            errors = [answer.get("error") for answer in found]
            verdicts.append(not_compared("memory", key, threads, *errors))
        else:
            verdicts.append(judge_memory(key, threads, *(answer["bytes"] for answer in found)))
    return verdicts
