"""How well do the ratios of the asv suite repeat? `python -m benchmarks.ratio_spread`.

`track_ratio_one_thread` of every case, a new process for each repetition, while other processes
keep CPUs busy. Prints each case's median and spread (largest / smallest), widest first; the exit
code is 1 if a case that takes longer than SHORT spreads by more than ALLOWED.
"""

import argparse
import json
import re
import subprocess
import sys
from statistics import median

from .measure import busy_processes

ALLOWED = 1.10
SHORT = 5e-6  # seconds; below, a call is mostly Python


def measure(pattern: str) -> dict:
    """One repetition: {case: (ratio, seconds of ours)}."""
    import fastmath_ml as fm

    from .suite import ratios
    from .suite.common import our_call

    found = {}
    for case in ratios.SINGLE:
        name = f"{case.op} {case.label}"
        if not re.search(pattern, name):
            continue
        ours = our_call(case, case.inputs())
        with fm.num_threads(1):
            n_calls = ratios.calls_in_slot(ours)
            seconds = min(ratios.per_call(ours, n_calls) for _ in range(5))
        found[name] = (ratios.one_thread_ratio(case), seconds)
    return found


def repetition(pattern: str) -> dict:
    command = [sys.executable, "-m", "benchmarks.ratio_spread", "--once", "--only", pattern]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ratio_spread", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=12, metavar="N")
    parser.add_argument("--busy", type=int, default=1, metavar="N", help="busy processes beside it")
    parser.add_argument("--only", default="", metavar="PATTERN")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.once:
        print(json.dumps(measure(options.only)))
        return 0
    found = []
    with busy_processes(options.busy):
        for at in range(options.repetitions):
            found.append(repetition(options.only))
            print(f"repetition {at + 1} of {options.repetitions}", file=sys.stderr, flush=True)
    rows = []
    for name in found[0]:
        values = [one[name][0] for one in found]
        rows.append((max(values) / min(values), median(values), found[0][name][1], name))
    too_wide = 0
    for spread, middle, seconds, name in sorted(rows, reverse=True):
        counts = seconds > SHORT
        too_wide += counts and spread > ALLOWED
        note = "" if counts else "  (short)"
        print(f"{spread:7.3f}  ratio {middle:8.2f}  {seconds * 1e6:10.1f} us  {name}{note}")
    print(f"{too_wide} of {len(rows)} cases spread by more than {ALLOWED}")
    return int(too_wide > 0)


if __name__ == "__main__":
    sys.exit(main())
