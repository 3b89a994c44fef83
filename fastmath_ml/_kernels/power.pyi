from typing import Any

import numpy.typing as npt

def block_power(
    a: npt.NDArray[Any],
    x: npt.NDArray[Any],
    z: npt.NDArray[Any] | None,
    y: npt.NDArray[Any] | None,
    mean: npt.NDArray[Any] | None,
) -> None: ...
def subtract_mean(a: npt.NDArray[Any], mean: npt.NDArray[Any], out: npt.NDArray[Any]) -> None: ...
def rotate_block(
    w: npt.NDArray[Any], r: npt.NDArray[Any], gram: npt.NDArray[Any] | None
) -> None: ...
def add_product(
    v: npt.NDArray[Any],
    x: npt.NDArray[Any] | None,
    w: npt.NDArray[Any],
    z: npt.NDArray[Any] | None,
) -> None: ...
def tridiagonal(a: npt.NDArray[Any], numbers: npt.NDArray[Any]) -> None: ...
def rotate_back(
    reflectors: npt.NDArray[Any], tau: npt.NDArray[Any], z: npt.NDArray[Any]
) -> None: ...
