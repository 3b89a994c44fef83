"""The machine: what no code can do faster."""

from functools import partial

import numpy as np

from .base import serial


@serial
def copyto(inputs):
    """np.copyto on the case's own arrays: what reading the input and writing the output costs."""
    return partial(np.copyto, inputs.out, inputs.args[0])
