"""What the losses ask of their arguments."""

from __future__ import annotations

import operator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._arrays import FloatArray, as_array, check_out, computing_dtype, contiguous, receives
from .._options import number

Array = npt.NDArray[Any]

REDUCTIONS = ("none", "mean", "sum")
Reduction = Literal["none", "mean", "sum"]


def check_reduction(reduction: Any, allowed: tuple[str, ...] = REDUCTIONS) -> str:
    if isinstance(reduction, str) and reduction in allowed:
        return reduction
    names = ", ".join(map(repr, allowed))
    raise ValueError(f"reduction is {reduction!r}; expected one of {names}")


def check_smoothing(label_smoothing: Any) -> float:
    if type(label_smoothing) is float and 0 <= label_smoothing <= 1:  # what small losses wait for
        return label_smoothing
    return number(label_smoothing, "label_smoothing", "[0, 1]")


def check_index(index: Any, name: str) -> int:
    try:
        integer = operator.index(index)
    except TypeError:
        raise TypeError(f"{name} is {index!r}; expected an integer") from None
    if not -(2**63) <= integer < 2**63:
        raise ValueError(f"{name} is {integer}; expected an integer of 64 bits")
    return integer


def class_axis(shape: tuple[int, ...], axis: Any) -> int:
    """torch's: 1, and 0 for a single vector, unless `axis` says otherwise."""
    ndim = len(shape)
    if ndim == 0:
        raise ValueError("input has shape (); expected at least one axis, that of the classes")
    at = min(ndim - 1, 1) if axis is None else check_index(axis, "axis")
    if not -ndim <= at < ndim:
        raise np.exceptions.AxisError(at, ndim, "axis")
    at %= ndim
    if shape[at] == 0:
        raise ValueError(f"input has shape {shape}, no classes along axis {at}; expected some")
    return at


def without_axis(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def is_floating(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"


def is_class_numbers(target: Array, shape: tuple[int, ...], lines: tuple[int, ...]) -> bool:
    """Whether target holds class numbers, else probabilities; anything else is an error."""
    if target.dtype.kind in "iu" and target.shape == lines:
        return True
    if is_floating(target.dtype) and target.shape == shape:
        return False
    raise (ValueError if target.dtype.kind in "iu" or is_floating(target.dtype) else TypeError)(
        f"target has dtype {target.dtype} and shape {target.shape}; expected class numbers, an "
        f"integer dtype and shape {lines}, or probabilities, a floating dtype and shape {shape}"
    )


def refuse_ignored(ignore_index: int) -> None:
    """As torch has it: probabilities have no class to ignore."""
    if ignore_index >= 0:
        raise ValueError(
            f"ignore_index is {ignore_index} beside probabilities; expected class numbers as target"
        )


def as_class_numbers(target: Array) -> npt.NDArray[np.int64]:
    """int64, C order; what int64 cannot hold stays too large."""
    if target.dtype.kind == "u" and target.dtype.itemsize == 8:
        target = np.minimum(target, np.uint64(np.iinfo(np.int64).max))
    return contiguous(target, np.int64)


def refuse_target(target: Array, first: int, n_classes: int, ignore_index: int) -> None:
    """The error of the target at flat position `first`, if that is not negative."""
    if first < 0:
        return
    position = np.unravel_index(first, target.shape)
    where = f"[{', '.join(map(str, position))}]" if position else ""
    raise ValueError(
        f"target{where} is {target[position]}; expected a class number from 0 to {n_classes - 1}, "
        f"or ignore_index ({ignore_index})"
    )


def class_weights(weight: Any, n_classes: int, dtype: np.dtype[Any]) -> FloatArray | None:
    if weight is None:
        return None
    weights = as_array(weight, "weight")
    computing_dtype(weights.dtype, "weight")
    if weights.shape != (n_classes,):
        raise ValueError(
            f"weight has shape {weights.shape}; expected {(n_classes,)}, one for each class"
        )
    return contiguous(weights, dtype)


def coefficients(
    weights: FloatArray | None, smoothing: float, n_classes: int, dtype: np.dtype[Any]
) -> tuple[FloatArray | None, FloatArray | None]:
    """What kernels call hard_weight and base: the shares of the target and of all classes."""
    hard_weight = None if weights is None else weights * dtype.type(1 - smoothing)
    if not smoothing:
        return hard_weight, None
    base = np.full(n_classes, smoothing / n_classes, dtype)
    return hard_weight, base if weights is None else base * weights


def common_dtype(*named: tuple[Array, str]) -> np.dtype[Any]:
    """The dtype that is computed in: float32, or float64 if any of the arrays asks for it.

    Integers and booleans ask for nothing where other arrays are floating.
    """
    dtypes = [(array.dtype, computing_dtype(array.dtype, name)) for array, name in named]
    floating = [computed for given, computed in dtypes if given.kind not in "biu"]
    return np.result_type(*(floating or (computed for _, computed in dtypes)))


class Gradient:
    """Where a gradient is computed, and how it gets to grad_out.

    work is what the kernel reads in place of x; the gradient is computed over it where grad_out is
    the very memory of it, in grad_out where that is apart from all inputs, else in a new array.
    """

    def __init__(
        self, grad_out: Any, x: Array, work: FloatArray, *others: Any, name: str = "grad_out"
    ) -> None:
        inputs = [other for other in others if other is not None]
        self.out = check_out(grad_out, x.shape, work.dtype, name)
        if self.out is not None and (
            receives(self.out, work.dtype, x, *inputs)
            or (same_memory(self.out, work) and receives(self.out, work.dtype, *inputs))
        ):
            self.array: FloatArray = self.out
        else:
            self.array = np.empty(x.shape, work.dtype)

    def result(self) -> Array:
        if self.out is None:
            return self.array
        if self.out is not self.array:
            np.copyto(self.out, self.array, casting="same_kind")
        return self.out


def array_of(grad: Gradient | None) -> FloatArray | None:
    return None if grad is None else grad.array


def result_of(grad: Gradient | None) -> Array | None:
    return None if grad is None else grad.result()


def same_memory(out: Array, work: Array) -> bool:
    return (
        out.__array_interface__["data"][0] == work.__array_interface__["data"][0]
        and out.dtype == work.dtype
        and out.strides == work.strides
    )


def reduced(total: float, divisor: float, reduction: str, losses: Any, dtype: np.dtype[Any]) -> Any:
    """What a loss returns: its items, their sum, or that divided."""
    if reduction == "none":
        return losses[()]
    if reduction == "sum":
        return dtype.type(total)
    return dtype.type(total / divisor if divisor else np.nan)


def scale_of(divisor: float, reduction: str) -> float:
    """The factor of the gradient. A mean of nothing has no gradient, as in torch."""
    if reduction in ("none", "sum"):
        return 1.0
    return 1 / divisor if divisor else 0.0
