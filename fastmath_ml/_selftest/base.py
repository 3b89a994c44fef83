"""One check of the self-test, and how it is run.

An error is measured relative to a scale of its own for each function, so that the tolerance is a
multiple of the rounding unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

import fastmath_ml as fm
from fastmath_ml import reference

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Check:
    """One call of ours beside the oracle.

    name is the public name, with its module where the package itself does not have it.
    |result - expected| must be at most tolerance * scale for each element, both NaN or both the
    same infinity where one is. scale=None stands for |expected|.
    """

    name: str
    label: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    tolerance: float
    scale: Any = None  # for a result of several parts one for all, or a tuple
    dtype: str = ""  # of the result, where it is not that of the arguments
    # How it is called where that is more than function(*args, **options).
    run: Callable[[Any], Any] | None = None

    def call(self, function: Any) -> list[Any]:
        """The parts of the result."""
        if self.run is not None:
            return parts(self.run(function))
        return parts(function(*self.args, **self.options))


@dataclass(frozen=True)
class Outcome:
    check: Check
    error: float
    note: str

    @property
    def passed(self) -> bool:
        return self.error <= self.check.tolerance and not self.note


def largest_error(result: Any, expected: Any, scale: Array | float | None) -> float:
    """max |result - expected| / scale; infinity if the shapes or the non-finite elements differ."""
    result, expected = np.asarray(result, np.float64), np.asarray(expected, np.float64)
    if result.shape != expected.shape:
        return np.inf
    scales = np.broadcast_to(abs(expected) if scale is None else scale, expected.shape)
    finite = np.isfinite(expected)
    if not np.array_equal(result[~finite], expected[~finite], equal_nan=True):
        return np.inf
    errors, scales = abs(result[finite] - expected[finite]), scales[finite]
    if not np.isfinite(errors).all():
        return np.inf
    # Where the scale is 0 nothing but the exact number will do.
    relative = np.divide(errors, scales, out=np.full(errors.shape, np.inf), where=scales > 0)
    relative[errors == 0] = 0
    return float(relative.max(initial=0.0))


def parts(result: Any) -> list[Any]:
    if isinstance(result, tuple):
        return [part for each in result for part in parts(each)]
    return [result]


def run_check(check: Check, dtype: str) -> Outcome:
    """Compare with the oracle, one thread with several, and the dtype that came with the wanted."""
    function = attrgetter(check.name)(fm)
    try:
        result = check.call(function)
        with fm.num_threads(1):
            serial = check.call(function)
        with fm.num_threads(3):
            parallel = check.call(function)
    except Exception as error:  # whatever it is, it is a finding to be shown with the others
        return Outcome(check, np.inf, f"{type(error).__name__}: {error}")
    expected = check.call(attrgetter(check.name)(reference))
    wanted = check.dtype or dtype
    found = {str(part.dtype) for part in map(np.asarray, result) if part.dtype.kind == "f"}
    pairs = zip(serial, parallel, strict=True)
    note = ""
    if found - {wanted}:
        note = f"dtype {', '.join(found)}, expected {wanted}"
    elif not all(np.array_equal(*pair, equal_nan=True) for pair in pairs):
        note = "depends on the number of threads"
    scales = check.scale if isinstance(check.scale, tuple) else (check.scale,) * len(expected)
    largest = np.inf
    if len(result) == len(expected):
        largest = max(map(largest_error, result, expected, scales))
    return Outcome(check, largest, note)
