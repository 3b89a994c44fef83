from typing import Any

import numpy.typing as npt

ACTIVATIONS: dict[str | None, int]

def linear_rows(
    x: npt.NDArray[Any],
    weight: npt.NDArray[Any],
    bias: npt.NDArray[Any] | None,
    activation: int,
    out: npt.NDArray[Any],
) -> None: ...
