from typing import Any

import numpy.typing as npt

def pair_distances(
    x: npt.NDArray[Any],
    y: npt.NDArray[Any],
    indices: npt.NDArray[Any] | None,
    out: npt.NDArray[Any],
    *,
    cosine: bool = False,
    root: bool = False,
) -> None: ...
