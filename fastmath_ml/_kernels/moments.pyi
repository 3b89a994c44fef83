from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

MOST_SHIFTED: int

def moments_plain(x: Any, axis: Any, kind: int, ddof: float) -> Any: ...
def moments(
    x: Array,
    mean: Array | None,
    variance: Array | None,
    count: Array | None,
    ddof: float,
    root: bool,
    omit: bool,
) -> bool: ...
def centre_and_scale(x: Array, mean: Array, factor: Array, out: Array, divide: bool) -> None: ...
def scatter_matrix(
    x: Array,
    by_features: bool,
    mean: Array,
    weights: Array | None,
    out: Array,
    sums: Array | None = None,
) -> bool: ...
