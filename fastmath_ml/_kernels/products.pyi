from typing import Any

import numpy.typing as npt

def product_plain(
    x1: Any,
    x2: Any,
    out: Any,
    a_axes: int,
    b_axes: int,
    axes: Any,
    axis: Any,
    keepdims: Any,
    casting: Any,
    order: Any,
    dtype: npt.DTypeLike | None,
    signature: Any,
) -> npt.NDArray[Any] | None: ...
def gram_plain(x: npt.NDArray[Any], out: npt.NDArray[Any]) -> None: ...
def symmetric_product(a: npt.NDArray[Any], x: npt.NDArray[Any], y: npt.NDArray[Any]) -> None: ...
def matmul_stack(x1: npt.NDArray[Any], x2: npt.NDArray[Any], out: npt.NDArray[Any]) -> None: ...
