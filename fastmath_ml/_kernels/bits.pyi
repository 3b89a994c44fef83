from typing import Any

import numpy.typing as npt

KINDS: dict[str, int]

def count_ones(words: npt.NDArray[Any], ones: npt.NDArray[Any]) -> None: ...
def boolean_distances(
    x: npt.NDArray[Any],
    x_ones: npt.NDArray[Any],
    y: npt.NDArray[Any],
    y_ones: npt.NDArray[Any],
    n_features: int,
    metric: int,
    out: npt.NDArray[Any],
) -> None: ...
def condense(
    block: npt.NDArray[Any], first_row: int, n_rows: int, out: npt.NDArray[Any]
) -> None: ...
