from typing import Any

import numpy.typing as npt

def euclidean_products(
    x: npt.NDArray[Any],
    x_norms: npt.NDArray[Any],
    y: npt.NDArray[Any],
    y_norms: npt.NDArray[Any],
    out: npt.NDArray[Any],
    root: bool,
    exponent: float | None = None,
) -> None: ...
