from typing import Any

import numpy.typing as npt

def rotate_block(
    w: npt.NDArray[Any], r: npt.NDArray[Any], gram: npt.NDArray[Any] | None
) -> None: ...
def add_product(
    v: npt.NDArray[Any],
    x: npt.NDArray[Any] | None,
    w: npt.NDArray[Any],
    z: npt.NDArray[Any] | None,
) -> None: ...
