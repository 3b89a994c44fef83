from typing import Any

import numpy.typing as npt

def block_power(
    a: npt.NDArray[Any],
    x: npt.NDArray[Any],
    z: npt.NDArray[Any] | None,
    y: npt.NDArray[Any] | None,
    mean: npt.NDArray[Any] | None,
) -> None: ...
def tridiagonal(a: npt.NDArray[Any], numbers: npt.NDArray[Any]) -> None: ...
def rotate_back(
    reflectors: npt.NDArray[Any], tau: npt.NDArray[Any], z: npt.NDArray[Any]
) -> None: ...
