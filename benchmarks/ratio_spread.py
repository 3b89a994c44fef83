"""How well do the ratios of the asv suite repeat? `python -m benchmarks.ratio_spread`.

`track_ratio_one_thread` of every case, again and again while other processes keep CPUs busy. Prints
each case's median and spread (largest / smallest), widest first; the exit code is 1 if a case that
takes longer than SHORT spreads by more than ALLOWED or has no ratio in some repetition.
"""

import argparse
import sys
from statistics import median

from .measure import busy_processes
from .paired import one_thread_ratios

ALLOWED = 1.10
SHORT = 5e-6  # seconds; below, a call is mostly Python


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ratio_spread", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=12, metavar="N")
    parser.add_argument("--busy", type=int, default=1, metavar="N", help="busy processes beside it")
    parser.add_argument("--only", default="", metavar="PATTERN")
    options = parser.parse_args(arguments)
    found = []
    with busy_processes(options.busy):
        for at in range(options.repetitions):
            found.append(one_thread_ratios(options.only))
            print(f"repetition {at + 1} of {options.repetitions}", file=sys.stderr, flush=True)
    rows, too_wide = [], 0
    for name in set.union(*map(set, found)):
        if not all(name in one for one in found):
            print(f"{name}: not in every repetition")
            too_wide += 1
            continue
        values = [one[name][0] for one in found]
        rows.append((max(values) / min(values), median(values), found[0][name][1], name))
    for spread, middle, seconds, name in sorted(rows, reverse=True):
        counts = seconds > SHORT
        too_wide += counts and spread > ALLOWED
        note = "" if counts else "  (short)"
        print(f"{spread:7.3f}  ratio {middle:8.2f}  {seconds * 1e6:10.1f} us  {name}{note}")
    print(f"{too_wide} cases spread by more than {ALLOWED}, of {len(rows)} with a ratio every time")
    return int(too_wide > 0)


if __name__ == "__main__":
    sys.exit(main())
