"""`python -m fastmath_ml`: what was found on this machine, and whether the kernels compute rightly.

The exit code is 1 if a comparison with the oracle fails.
"""

from __future__ import annotations

import sys

import fastmath_ml as fm

from ._selftest import self_test


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


def main() -> int:
    """Print the configuration and the self-test; 0 if all of it passed, else 1."""
    print_config()
    print("\nself-test: the largest error beside plain NumPy in float64, and what is allowed\n")
    failures = 0
    for outcome in self_test():
        check = outcome.check
        dtype = next(arg.dtype for arg in check.args)
        verdict = "ok" if outcome.passed else f"FAILED {outcome.note}".rstrip()
        failures += not outcome.passed
        print(
            f"{check.name:18} {dtype!s:8} {check.label:32} "
            f"{outcome.error:8.1e} of {check.tolerance:7.1e}  {verdict}"
        )
    print(f"\n{failures} failed" if failures else "\nall passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
