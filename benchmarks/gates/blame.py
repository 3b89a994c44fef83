"""Which function's cost grew: by instructions, by calls from Python, by time, by memory.

Several witnesses, since none sees all: callgrind knows the kernels and the C library, but Python's
functions are one loop to it; a trace of calls knows Python's functions and what they call, and
repeats exactly; a sampling profiler sees what waits for memory; a thread shows in its own CPU time.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from . import instructions, memory
from .judge import Comparison, is_alone
from .subjects import is_compiled_later
from .trees import STORE, Tree

PROFILES = STORE / "profiles"
LEAST_SHARE = 0.25  # of the whole growth: a function that grew by less is not named
SECONDS = 2.0
LOST = 0.3  # threads
COMPILED = "code that Numba compiled"


def readable(name: str) -> str:
    """'__pyx_fuse_0__pyx_f_..._softmax_line(float const*) [softmax]' as 'softmax_line [softmax]'.

    Cython puts the lengths of the parts of a module's name in front of each of them.
    """
    function, _, library = name.rpartition(" [")
    function = re.sub(r" \[clone .*", "", function).partition("(")[0].partition("<")[0]
    mangled = re.fullmatch(r"(?:__pyx_fuse_\d+)?__pyx_\w+?_(\d+fastmath_ml.*)", function)
    if mangled:
        rest = mangled.group(1)
        while part := re.match(r"_?(\d+)(?=\D)", rest):
            rest = rest[part.end() + int(part.group(1)) :]
            if not rest.startswith("_"):
                break
        function = rest.lstrip("_") or function
    return f"{function} [{library}" if library else function


def grown(base: dict[str, float], head: dict[str, float]) -> list[tuple[str, float]]:
    """(name, growth) of what accounts for most of the growth, largest first; three at most."""
    growth = {name: cost - base.get(name, 0) for name, cost in head.items()}
    whole = sum(head.values()) - sum(base.values())
    if whole <= 0:
        return []
    large = [(n, g) for n, g in growth.items() if g >= LEAST_SHARE * whole]
    return sorted(large, key=lambda item: -item[1])[:3]


def by_instructions(base: Tree, head: Tree, key: str) -> list[str]:
    if is_compiled_later_key(key) or instructions.why_not():
        return []
    costs = instructions.count([base, head], [key], keep=PROFILES)
    if any("error" in found[key] for found in costs):
        return []
    annotate(key)
    before, after = (
        {readable(name): cost for name, cost in merge(found[key]).items()} for found in costs
    )
    if sum(after.values()) < 1.01 * sum(before.values()):
        return []
    return [f"{name} +{cost:,.0f} instructions" for name, cost in grown(before, after)]


def merge(costs: dict[str, int]) -> dict[str, int]:
    merged: dict[str, int] = {}
    for name, cost in costs.items():
        merged[readable(name)] = merged.get(readable(name), 0) + cost
    return merged


def is_compiled_later_key(key: str) -> bool:
    from ..cases import BY_KEY

    return is_compiled_later(BY_KEY[key])


def annotate(key: str) -> None:
    """What callgrind found as text, beside its files."""
    if shutil.which("callgrind_annotate") is None:
        return
    for i, side in enumerate(("base", "head")):
        source = PROFILES / f"{instructions.file_name(key)}-{i}.callgrind"
        if source.exists():
            text = subprocess.run(
                ["callgrind_annotate", "--auto=no", str(source)],
                capture_output=True,
                text=True,
                check=False,
            ).stdout
            target = PROFILES / f"{instructions.file_name(key)}-{side}.instructions.txt"
            target.write_text(text, encoding="utf-8")


def by_calls(base: Tree, head: Tree, key: str) -> list[str]:
    """Calls that head makes and base does not, or more often."""
    found = [memory.ask(tree, "trace", key, n_threads=1) for tree in (base, head)]
    if any("error" in answer for answer in found):
        return []
    before, after = (answer["calls"] for answer in found)
    more = [(n - before.get(pair, 0), pair) for pair, n in after.items() if n > before.get(pair, 0)]
    more.sort(key=lambda item: -item[0])
    return [f"{pair} called {n} times more" for n, pair in more[:3]]


def by_memory(base: Tree, head: Tree, key: str, threads: int) -> list[str]:
    found = [memory.ask(tree, "growth", str(threads), key) for tree in (base, head)]
    if any("error" in answer for answer in found):
        return []
    text = "".join(
        f"{side}\n" + "".join(f"  {size:>12,}  {name}\n" for name, size in answer["growth"].items())
        for side, answer in zip(("base", "head"), found, strict=True)
    )
    PROFILES.mkdir(parents=True, exist_ok=True)
    name = f"{instructions.file_name(key)}.memory.txt"
    (PROFILES / name).write_text(text, encoding="utf-8")
    return [
        f"{name} +{size / 2**20:.1f} MiB"
        for name, size in grown(found[0]["growth"], found[1]["growth"])
    ]


def by_sampling(base: Tree, head: Tree, comparison: Comparison) -> list[str]:
    """perf's samples, turned into seconds per call by the times that were measured."""
    if shutil.which("perf") is None:
        return []
    seconds = []
    for side, tree, total in (
        ("base", base, comparison.base),
        ("head", head, comparison.head),
    ):
        stem = PROFILES / f"{instructions.file_name(comparison.key)}-{side}"
        PROFILES.mkdir(parents=True, exist_ok=True)
        data = stem.with_suffix(".perf")
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-o", str(data), "--"]
        command += [sys.executable, "-P", "-m", "benchmarks.gates.worker", "loop"]
        command += [str(comparison.threads), str(SECONDS), comparison.key]
        environment = tree.environment()
        done = subprocess.run(command, env=environment, cwd=STORE, capture_output=True, check=False)
        if done.returncode:
            return []
        report = subprocess.run(
            [
                "perf",
                "report",
                "-i",
                str(data),
                "--stdio",
                "--no-children",
                "-F",
                "overhead,dso,sym",
            ],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        stem.with_suffix(".samples.txt").write_text(report, encoding="utf-8")
        data.unlink()
        seconds.append({n: share * total for n, share in perf_shares(report).items()})
    return [f"{name} +{cost * 1e6:.3g} µs" for name, cost in grown(*seconds)]


def perf_shares(report: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for line in report.splitlines():
        found = re.match(r"\s*([\d.]+)%\s+(\[JIT\] tid \d+|\S+)\s+\[.\]\s+(.*\S)", line)
        if found:
            library = found.group(2).partition(".")[0]
            if library.startswith("[JIT]"):  # its functions are addresses to perf
                name = COMPILED
            else:
                name = readable(f"{found.group(3)} [{library}]")
            shares[name] = shares.get(name, 0.0) + float(found.group(1)) / 100
    return shares


def by_threads(at_work: tuple[float, float] | None) -> list[str]:
    if at_work is None:
        return []
    if at_work[0] - at_work[1] < LOST and not is_alone(at_work):
        return []
    return [f"a thread was lost: {at_work[1]:.1f} share the work instead of {at_work[0]:.1f}"]


def blame(base: Tree, head: Tree, found: Comparison, at_work: tuple | None) -> list[str]:
    """What grew, most telling first; the profiles are in PROFILES."""
    if found.kind == "memory":
        return by_memory(base, head, found.key, found.threads)
    names = by_threads(at_work)
    if names:
        names += by_settings(base, head)
    names += by_calls(base, head, found.key) + by_instructions(base, head, found.key)
    if not names:
        names = by_sampling(base, head, found)
    return names


def by_settings(base: Tree, head: Tree) -> list[str]:
    """Whether the revisions disagree about how many threads a call may use."""
    found = [memory.ask(tree, "threads") for tree in (base, head)]
    numbers = [answer.get("threads") for answer in found]
    if numbers[0] == numbers[1]:
        return []
    return [f"get_num_threads() gives {numbers[1]} instead of {numbers[0]}"]


def written() -> list[Path]:
    return sorted(PROFILES.glob("*.txt"))
