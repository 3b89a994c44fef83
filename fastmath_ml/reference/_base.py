"""What the references share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def float64(x: Any) -> Array:
    return np.asarray(x).astype(np.float64)
