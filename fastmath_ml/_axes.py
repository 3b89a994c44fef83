"""Arrays and axes as the kernels of the softmax family take them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


class Arranged(NamedTuple):
    """An array as the kernels take it, and the way back to the shape that the caller knows."""

    work: Any
    axis: int | None
    is_flipped: bool
    order: list[int] | None  # the axes of the caller's array, moved
    shape: tuple[int, ...]  # of the moved array

    def back(self, result: Any) -> Any:
        if self.is_flipped:
            result = result.T
        if self.order is not None:
            result = result.reshape(self.shape).transpose(np.argsort(self.order))
        return result


def arrange(work: Any, axes: tuple[int, ...]) -> Arranged:
    """C order, and one axis (None for all) in place of several; a copy where that takes one."""
    axis: int | None
    order = None
    shape = work.shape
    if 1 < len(axes) < work.ndim:
        order = [at for at in range(work.ndim) if at not in axes] + list(axes)
        moved = work.transpose(order)
        shape = moved.shape
        kept = shape[: work.ndim - len(axes)]
        work = moved.reshape([*kept, math.prod(shape[len(kept) :])])
        axis = work.ndim - 1
    else:
        axis = None if len(axes) == work.ndim else axes[0]
    is_flipped = work.flags.f_contiguous and not work.flags.c_contiguous
    if is_flipped:
        work = work.T
        axis = None if axis is None else work.ndim - 1 - axis
    return Arranged(np.ascontiguousarray(work), axis, is_flipped, order, shape)
