from typing import Any

import numpy.typing as npt

KINDS: dict[str, int]

def is_outside(x: npt.NDArray[Any], low: float, high: float) -> bool: ...
def loss_sums(
    kind: int,
    x: npt.NDArray[Any],
    coef: npt.NDArray[Any],
    bias: npt.NDArray[Any] | None,
    y: npt.NDArray[Any],
    row_weight: npt.NDArray[Any] | None,
    n_classes: int,
    scale: float,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]: ...
def residuals(
    kind: int,
    z: npt.NDArray[Any],
    bias: npt.NDArray[Any] | None,
    y: npt.NDArray[Any],
    row_weight: npt.NDArray[Any] | None,
    n_classes: int,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]: ...
