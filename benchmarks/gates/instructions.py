"""Counting instructions: a revision's cases under callgrind, and what is in its files.

One thread, the same environment, only what lies between two client requests: then identical code
executes the same number of instructions, to within a few parts in ten thousand (the C library and
Python hash addresses).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from math import inf
from pathlib import Path

from .judge import TIME_IS_UP
from .trees import STORE, Tree

SOURCE = Path(__file__).parent / "requests.c"
INSTALL = "apt-get install valgrind, dnf install valgrind"


def why_not() -> str | None:
    """What is missing for counting; None if nothing is."""
    if shutil.which("valgrind") is None:
        return f"valgrind is not installed ({INSTALL}); it runs on Linux"
    try:
        requests_library()
    except OSError as error:
        return str(error)
    return None


def requests_library() -> Path:
    """The client requests as a shared library, compiled once."""
    library = STORE / "requests.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        compiler = os.environ.get("CC", "cc")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[0]
            raise OSError(f"the client requests of valgrind do not compile: {last}")
    return library


def start(tree: Tree, keys: list[str], folder: Path) -> subprocess.Popen:
    command = [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--collect-atstart=no",
        "--compress-strings=no",
        "--dump-instr=no",
        "--quiet",
        f"--callgrind-out-file={folder / 'out'}",
        sys.executable,
        "-P",
        "-m",
        "benchmarks.gates.worker",
        "count",
        str(requests_library()),
        str(folder / "answers"),
        *keys,
    ]
    errors = (folder / "errors").open("w")
    with errors:
        return subprocess.Popen(
            command, env=tree.environment(1), cwd=folder, stdout=errors, stderr=errors
        )


def self_costs(text: str) -> dict[str, int]:
    """Instructions of each function itself, 'name [library]', from a file that callgrind wrote.

    A line of costs that follows `calls=` is what the callee took, and is left out.
    """
    costs: dict[str, int] = {}
    library = function = ""
    is_callee = False
    for line in text.splitlines():
        if line.startswith("ob="):
            library = line[3:].rpartition("/")[2].partition(".")[0]
        elif line.startswith("fn="):
            function = re.sub(r"'\d+$", "", line[3:])
        elif line.startswith("calls="):
            is_callee = True
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            if not is_callee:
                name = f"{function} [{library}]"
                costs[name] = costs.get(name, 0) + int(line.split()[-1])
            is_callee = False
    return costs


def dumped_case(text: str) -> str | None:
    found = re.search(r"^desc: Trigger: Client Request: (.*)$", text, flags=re.MULTILINE)
    return found.group(1) if found else None


def ends_before(process: subprocess.Popen, end: float) -> bool:
    """Waits for a process; one that is still there at `end` is stopped."""
    try:
        process.wait(None if end == inf else max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def count(
    trees: list[Tree], keys: list[str], keep: Path | None = None, end: float = inf
) -> list[dict[str, dict]]:
    """For each tree {key: {function: instructions} or {'error': text}}; the trees side by side.

    The files of callgrind are kept in `keep` as <case>-<0, 1, ...>.callgrind. What is not counted
    at `end` (of time.monotonic) is an error.
    """
    found: list[dict[str, dict]] = []
    with tempfile.TemporaryDirectory() as scratch:
        processes = []
        for i in range(len(trees)):
            folder = Path(scratch) / str(i)  # equally long: no difference in the environment
            folder.mkdir()
            processes.append((start(trees[i], keys, folder), folder))
        for i, (process, folder) in enumerate(processes):
            is_late = not ends_before(process, end)
            answers = folder / "answers"
            lines = answers.read_text(encoding="utf-8").splitlines() if answers.exists() else []
            mine: dict[str, dict] = {}
            complete = set()  # the last file of a process that was stopped may not be
            for facts in map(json.loads, lines):
                if "error" in facts:
                    mine[facts["key"]] = {"error": facts["error"]}
                else:
                    complete.add(facts["key"])
            for path in folder.glob("out.*"):
                text = path.read_text(encoding="utf-8", errors="replace")
                key = dumped_case(text)
                if key in complete:
                    mine[key] = self_costs(text)
                    if keep is not None:
                        keep.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(path, keep / f"{file_name(key)}-{i}.callgrind")
            last = (folder / "errors").read_text(errors="replace").strip().splitlines()
            reason = last[-1] if last else f"the process ended with code {process.returncode}"
            reason = TIME_IS_UP if is_late else reason
            for key in keys:
                mine.setdefault(key, {"error": reason})
            found.append(mine)
    return found


def file_name(key: str) -> str:
    return re.sub(r"[^\w.=-]+", "_", key)
