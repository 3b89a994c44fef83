from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

KINDS: dict[str, int]

def elementwise_sum(
    kind: int,
    x: Array,
    target: Array,
    weight: Array | None,
    positive: Array | None,
    option: float,
    losses: Array | None,
    grad: Array | None,
    scale: float,
) -> float: ...
def elementwise_plain(
    kind: int,
    x: Any,
    target: Any,
    option: float,
    reduction: Any,
    with_grad: bool,
    grad_out: Any,
) -> Any: ...
def are_signs(target: Array) -> bool: ...
def nll_sum(
    x: Array,
    axis: int,
    target: Array,
    ignore_index: int,
    weight: Array | None,
    losses: Array | None,
    grad: Array | None,
    scale: float,
) -> float: ...
