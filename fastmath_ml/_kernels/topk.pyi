from typing import Any

import numpy.typing as npt

MAX_DEPTH: int
KINDS: dict[str, int]

def search(
    x: npt.NDArray[Any],
    x_scale: npt.NDArray[Any],
    y: npt.NDArray[Any],
    kind: int,
    first_index: int,
    keys: npt.NDArray[Any],
    indices: npt.NDArray[Any],
    integers: npt.NDArray[Any] | None = None,
) -> None: ...
