from typing import Any

import numpy.typing as npt

NOTHING: int
POWER: int
TANH: int

def row_scales(x: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], bool]: ...
def squared_norms(x: npt.NDArray[Any], norms: npt.NDArray[Any]) -> bool: ...
def finished_products(
    x: npt.NDArray[Any],
    x_scales: npt.NDArray[Any] | None,
    y: npt.NDArray[Any],
    y_scales: npt.NDArray[Any] | None,
    out: npt.NDArray[Any],
    factor: float,
    offset: float,
    low: float,
    high: float,
    then: int,
    power: float,
) -> None: ...
