from typing import Any

import numpy.typing as npt

KINDS: dict[str, int]

def metric_distances(
    x: npt.NDArray[Any],
    y: npt.NDArray[Any],
    weights: npt.NDArray[Any],
    kind: int,
    p: float,
    total: float,
    as_surrogate: bool,
    out: npt.NDArray[Any],
    exponent: float | None = None,
) -> None: ...
