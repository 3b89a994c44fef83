"""What importing the package costs, beside what importing NumPy costs anyway.

Each measurement is a fresh interpreter that has NumPy loaded, imports the package under the clock
and tells which of the heavy libraries came along.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from .bars import Verdict

IMPORT_SECONDS = 0.030
HEAVY = ("numba", "scipy", "sklearn", "matplotlib", "rich")
REPEATS = 7

SCRIPT = f"""
import json, sys, time
import numpy
begin = time.perf_counter()
import fastmath_ml
seconds = time.perf_counter() - begin
print(json.dumps([seconds, [name for name in {HEAVY!r} if name in sys.modules]]))
"""


def import_once() -> tuple[float, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, heavy = json.loads(done.stdout)
    return seconds, heavy


def import_verdicts() -> list[Verdict]:
    """Two bars of the foundation; the first import, which may write bytecode, is not counted."""
    import_once()
    times, heavy = zip(*(import_once() for _ in range(REPEATS)), strict=True)
    cost = f"import, {median(times) * 1e3:.0f} ms beyond NumPy's"
    loaded = f"import, heavy libraries loaded: {', '.join(heavy[0]) or 'none'}"
    return [
        Verdict("foundation", cost, "30 ms", 1.0, IMPORT_SECONDS / median(times), ()),
        Verdict("foundation", loaded, "none", 1.0, float(not heavy[0]), ()),
    ]
