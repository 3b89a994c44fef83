from typing import Any

RELU: int
TANH: int
EXPIT: int
LOG_EXPIT: int
SOFTPLUS: int
SILU: int
LOGIT: int
GELU: int
GELU_TANH: int

def activation_plain(which: int, x: Any, out: Any) -> Any: ...
