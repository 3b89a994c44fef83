from typing import Any

import numpy.typing as npt

NO_VALUE: Any

def gram_plain(x: npt.NDArray[Any], out: npt.NDArray[Any]) -> None: ...
def symmetric_product(a: npt.NDArray[Any], x: npt.NDArray[Any], y: npt.NDArray[Any]) -> None: ...
def matmul_stack(x1: npt.NDArray[Any], x2: npt.NDArray[Any], out: npt.NDArray[Any]) -> None: ...
def matmul(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = ...,
    axis: Any = ...,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any: ...
def vecdot(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = ...,
    axis: Any = ...,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any: ...
def matvec(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = ...,
    axis: Any = ...,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any: ...
def vecmat(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = ...,
    axis: Any = ...,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any: ...
