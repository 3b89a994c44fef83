"""`python -m fastmath_ml`: what was found on this machine, and whether the kernels compute rightly.

The exit code is 1 if a comparison with the oracle fails.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence

import fastmath_ml as fm

from ._selftest import Outcome, self_test


def print_config() -> None:
    for name, value in fm.show_config().items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_bytes(item)}" for key, item in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        print(f"{name.replace('_', ' '):22} {value}")


def _bytes(size: int) -> str:
    """A cache size in KiB; 0 stands for unknown."""
    return f"{size / 1024:g} KiB" if size else "unknown"


def print_case(outcome: Outcome) -> None:
    check = outcome.check
    dtype = next(arg.dtype for arg in check.args)
    verdict = "ok" if outcome.passed else f"FAILED {outcome.note}".rstrip()
    print(
        f"{check.name:42} {dtype!s:8} {check.label:36} "
        f"{outcome.error:8.1e} of {check.tolerance:7.1e}  {verdict}"
    )


def print_function(name: str, outcomes: Sequence[Outcome]) -> None:
    """A line for what passed, and one for each case that did not."""
    passed = [outcome for outcome in outcomes if outcome.passed]
    for outcome in outcomes:
        if not outcome.passed:
            print_case(outcome)
    if passed:
        worst = max(outcome.error / (outcome.check.tolerance or 1) for outcome in passed)
        print(f"{name:42} {len(passed):4} cases, the largest error {worst:4.0%} of what is allowed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the configuration and the self-test; 0 if all of it passed, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmath_ml",
        description="What was found on this machine, and every function beside plain NumPy.",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each case")
    options = parser.parse_args(arguments)
    print_config()
    print("\nself-test: results beside plain NumPy in float64\n", flush=True)
    n_failed = 0
    for name, group in itertools.groupby(self_test(), lambda outcome: outcome.check.name):
        outcomes = list(group)
        n_failed += sum(not outcome.passed for outcome in outcomes)
        if options.verbose:
            for outcome in outcomes:
                print_case(outcome)
        else:
            print_function(name, outcomes)
    print(f"\n{n_failed} failed" if n_failed else "\nall passed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
