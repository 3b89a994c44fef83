from typing import Any

import numpy.typing as npt

KINDS: dict[str, int]

def reduce_magnitudes(x: npt.NDArray[Any], out: npt.NDArray[Any], kind: int) -> None: ...
def root_in_place(x: npt.NDArray[Any]) -> tuple[float, float]: ...
