from typing import Any

import numpy.typing as npt

def logsumexp_plain(a: Any, axis: Any) -> Any: ...
def logsumexp_weighted(
    x: npt.NDArray[Any], weights: npt.NDArray[Any], out: npt.NDArray[Any], sign: npt.NDArray[Any]
) -> None: ...
