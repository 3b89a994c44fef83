from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

def linear_cross_entropy_sum(
    x: Array,
    w: Array,
    bias: Array | None,
    target: Array | None,
    probability: Array | None,
    ignore_index: int,
    hard: float,
    hard_weight: Array | None,
    base: Array | None,
    losses: Array | None,
    grad_x: Array | None,
    grad_w: Array | None,
    grad_bias: Array | None,
    scale: float,
) -> float: ...
