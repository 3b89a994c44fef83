from typing import Any

import numpy.typing as npt

RULES: dict[str, int]

class Stepper:
    params: list[npt.NDArray[Any]]
    states: list[list[npt.NDArray[Any]]]
    is_direct: bool
    lr: float
    lr_decay: float
    beta1: float
    beta2: float
    weight_decay: float
    dampening: float
    def __init__(
        self,
        params: list[npt.NDArray[Any]],
        states: list[list[npt.NDArray[Any]]],
        is_direct: bool,
        numbers: dict[str, Any],
    ) -> None: ...
    def get_steps(self, i: int) -> int: ...
    def set_steps(self, i: int, n_steps: int) -> None: ...
    def step(self, grads: Any, is_ready: bool = False) -> bool: ...

class ArrayList:
    def __init__(self, arrays: list[npt.NDArray[Any]]) -> None: ...
    def sum_of_squares(self) -> float: ...
    def scale(self, factor: float) -> None: ...
