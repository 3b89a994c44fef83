"""The gate of products: what NumPy's options, operands and dtypes mean for the kernels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, ready
from ._kernels.products import NO_VALUE, matmul_stack


def with_options(
    function: Callable[..., Any],
    x1: Any,
    x2: Any,
    out: Any,
    axes: Any,
    axis: Any,
    keepdims: Any,
    casting: Any,
    order: Any,
    dtype: Any,
    subok: bool,
    signature: Any,
) -> Any:
    """What product_plain left: the kernels where no option but dtype is given, else NumPy's own."""
    options = {
        "axes": (axes, NO_VALUE),
        "axis": (axis, NO_VALUE),
        "keepdims": (keepdims, False),
        "casting": (casting, "same_kind"),
        "order": (order, "K"),
        "dtype": (dtype, None),
        "subok": (subok, True),
        "signature": (signature, None),
    }
    given = {name: value for name, (value, unset) in options.items() if value is not unset}
    if given.keys() <= {"dtype"}:
        result = _product(function, x1, x2, out, dtype)
        if result is not NotImplemented:
            return result
    return function(x1, x2, out=out, **given)


def _has_override(x: Any) -> bool:
    """Whether `x` brings an array function of its own, which NumPy would call."""
    kind = type(x)
    override = getattr(kind, "__array_ufunc__", np.ndarray.__array_ufunc__)
    return override is not np.ndarray.__array_ufunc__ or (
        issubclass(kind, np.ndarray) and kind is not np.ndarray and kind is not np.memmap
    )


# How many core axes the operands of each function have; 0: two, or one of a vector.
_CORE_AXES: dict[Any, tuple[int, int]] = {
    np.matmul: (0, 0),
    np.vecdot: (1, 1),
    np.matvec: (2, 1),
    np.vecmat: (1, 2),
}


def _product(
    function: Callable[..., Any], x1: Any, x2: Any, out: Any, dtype: npt.DTypeLike | None = None
) -> Any:
    """Real and boolean operands; NotImplemented where NumPy's `function` is to do it."""
    name = function.__name__
    if isinstance(out, tuple):
        if len(out) != 1:
            raise ValueError(f"out is a tuple of {len(out)}; expected one array")
        out = out[0]
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out is {type(out).__name__}; expected a numpy.ndarray")
    a, b = (
        x if _has_override(x) and not isinstance(x, np.ma.MaskedArray) else as_array(x, label)
        for x, label in ((x1, "x1"), (x2, "x2"))
    )
    if any(map(_has_override, (a, b, out))):
        return NotImplemented
    try:
        a, b, dtype = _common_types(a, b, dtype)
    except TypeError:
        return NotImplemented
    a_axes, b_axes = (
        core or min(x.ndim, 2) for core, x in zip(_CORE_AXES[function], (a, b), strict=True)
    )
    for label, x, n_axes in (("x1", a, max(a_axes, 1)), ("x2", b, max(b_axes, 1))):
        if x.ndim < n_axes:
            raise ValueError(
                f"{name}: {label} has {x.ndim} axes (shape {x.shape}); expected at least {n_axes}"
            )
    a_matrix = a if a_axes == 2 else a[..., None, :]
    b_matrix = b if b_axes == 2 else b[..., :, None]
    if a_matrix.shape[-1] != b_matrix.shape[-2]:
        raise ValueError(
            f"{name}: x1 has shape {a.shape} and x2 has shape {b.shape}; expected the last axis of "
            f"x1 ({a_matrix.shape[-1]}) to be as long as axis {-b_axes} of x2 "
            f"({b_matrix.shape[-2]})"
        )
    try:
        stack = np.broadcast_shapes(a_matrix.shape[:-2], b_matrix.shape[:-2])
    except ValueError:
        raise ValueError(
            f"{name}: x1 has shape {a.shape} and x2 has shape {b.shape}; expected the axes before "
            "those of the product to broadcast"
        ) from None
    core_shape = (a_matrix.shape[-2],) * (a_axes == 2) + (b_matrix.shape[-1],) * (b_axes == 2)
    shape = stack + core_shape
    target = check_out(out, _broadcast_to_out(out, stack, core_shape), dtype)
    result = np.empty(shape, dtype)
    if target is not None and target.shape == shape:
        full = _as_matrices(target, a_axes, b_axes)
        if _takes(full, dtype) and not any(np.may_share_memory(target, x) for x in (a, b)):
            result = target
    if result.size:
        matmul_stack(
            np.broadcast_to(_in_place(a_matrix), stack + a_matrix.shape[-2:]),
            np.broadcast_to(_in_place(b_matrix), stack + b_matrix.shape[-2:]),
            _as_matrices(result, a_axes, b_axes),
        )
    if target is None:
        return result if result.ndim else result[()]
    return as_result(result, dtype, target)


def _is_computable(dtype: np.dtype[Any]) -> bool:
    return dtype.char in "?bhilqBHILQefd" or dtype.name == "bfloat16"


def _common_types(
    a: npt.NDArray[Any], b: npt.NDArray[Any], dtype: npt.DTypeLike | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], np.dtype[Any]]:
    """The operands and the dtype of their product; TypeError where NumPy has to decide.

    The kernels convert an operand as they pack it. One that loses values on the way to the dtype
    wanted, as floats may, is converted here.
    """
    result = np.result_type(a.dtype, b.dtype) if dtype is None else np.dtype(dtype)
    if dtype is not None and not result.isnative:
        raise TypeError(f"dtype is {result!r}; expected one in the machine's byte order")
    result = result.newbyteorder("=")
    if not (_is_computable(a.dtype) and _is_computable(b.dtype) and _is_computable(result)):
        raise TypeError(f"no kernel for {a.dtype} and {b.dtype} to {result}")
    if dtype is not None:
        for x in (a, b):
            if not np.can_cast(x.dtype, result, "same_kind"):
                raise TypeError(f"{x.dtype} does not become {result}")
    if result.kind not in "iub":
        a, b = (
            x
            if np.can_cast(x.dtype, result) or (x.dtype.kind in "iub" and result.itemsize > 2)
            else x.astype(result)
            for x in (a, b)
        )
    return a, b, result


def _in_place(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return ready(x, x.dtype.newbyteorder("="))


def _as_matrices(result: npt.NDArray[Any], a_axes: int, b_axes: int) -> npt.NDArray[Any]:
    """A view of the result with both core axes."""
    full = result[..., None] if b_axes == 1 else result
    return full[..., None, :] if a_axes == 1 else full


def _broadcast_to_out(
    out: Any, stack: tuple[int, ...], core_shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The shape that `out` must have: NumPy broadcasts a stack into a larger one, and may leave out
    axes of length 1 in front of it.
    """
    if isinstance(out, np.ndarray):
        out_stack: tuple[int, ...] = out.shape[: max(out.ndim - len(core_shape), 0)]
        while len(stack) > len(out_stack) and stack[0] == 1:
            stack = stack[1:]
        with contextlib.suppress(ValueError):
            if np.broadcast_shapes(stack, out_stack) == out_stack:
                return out_stack + core_shape
    return stack + core_shape


def _takes(out: npt.NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether the kernel may write into `out`: one of its last two axes has unit stride."""
    if out.dtype != dtype or not out.dtype.isnative or not out.flags.aligned:
        return False
    if any(stride % dtype.itemsize for stride in out.strides):
        return False
    rows, cols = out.shape[-2:]
    row_stride, col_stride = out.strides[-2:]
    return (col_stride == dtype.itemsize and (rows == 1 or row_stride > 0)) or (
        row_stride == dtype.itemsize and (cols == 1 or col_stride > 0)
    )
