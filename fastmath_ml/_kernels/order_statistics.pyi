from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

HUGE: int  # elements from which on all threads share a line

def select(x: Array, ranks: Array, valid: Array | None, has_nan: Array, out: Array) -> None: ...
def interpolate(pairs: Array, weights: Array) -> Array: ...
def histogram_counts(
    x: Array, edges: Array, bounds: Array | None, weights: Array | None, out: Array
) -> None: ...
def extent(x: Array) -> tuple[float, float]: ...
