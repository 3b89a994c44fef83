from typing import Any

import numpy.typing as npt

def take_values(
    values: npt.NDArray[Any],
    largest: bool,
    first_index: int,
    keys: npt.NDArray[Any],
    indices: npt.NDArray[Any],
) -> None: ...
def finish(keys: npt.NDArray[Any], indices: npt.NDArray[Any], sorted: bool) -> None: ...
def has_odd_rows(
    values: npt.NDArray[Any], x: npt.NDArray[Any], least: float, least_sq: float
) -> bool: ...
