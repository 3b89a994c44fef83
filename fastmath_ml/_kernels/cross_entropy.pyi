from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

def check_targets(
    target: Array, n_classes: int, ignore_index: int, weight: Array | None
) -> tuple[float, int]: ...
def cross_entropy_sum(
    x: Array,
    axis: int,
    target: Array | None,
    probability: Array | None,
    ignore_index: int,
    hard: float,
    hard_weight: Array | None,
    base: Array | None,
    losses: Array | None,
    grad: Array | None,
    scale: float,
) -> float: ...
def cross_entropy_plain(
    x: Any, target: Any, ignore_index: Any, reduction: Any, with_grad: bool, grad_out: Any
) -> Any: ...
