"""The linear layer: a matrix product that is finished while it is in the cache."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, computing_dtype, contiguous, ready, receives
from ._kernels.linear import ACTIVATIONS, linear_rows

__all__ = ["linear"]


def linear(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    *,
    activation: Literal["relu", "gelu", "sigmoid", "tanh", "silu"] | None = None,
    out: Any = None,
) -> Any:
    r"""Linear layer, with the orientation of `torch.nn.functional.linear`.

    .. math:: y = f(x W^T + b)

    Parameters
    ----------
    input : array_like, shape (..., in_features)
    weight : array_like, shape (out_features, in_features) or (in_features,)
        A vector counts as one output, whose axis is left out of the result.
    bias : array_like, shape (out_features,), or () beside a vector as `weight`, optional
        Zero if not given.
    activation : {None, 'relu', 'gelu', 'sigmoid', 'tanh', 'silu'}
        f; None is the identity, 'gelu' the exact form, x times the normal distribution function.
    out : ndarray of the shape of the result, optional
        Receives the result. May overlap the other arguments.

    Returns
    -------
    ndarray, shape (..., out_features) or (...)
        dtypes promote as in `matmul`, over `input`, `weight` and `bias`: float16 and bfloat16 are
        computed in float32 and come out as they came. Integers and booleans become float64.

    Raises
    ------
    ValueError
        Shapes that do not fit each other, or an unknown `activation`.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    Bias and activation are applied to each tile of the product before it leaves the cache: beside
    `matmul` no pass over the result is added. Accuracy and memory as for `matmul`, of f as for the
    functions of `fastmath_ml.special`. An `input` of more than two axes is copied if its leading
    axes cannot be seen as one.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.linear(np.array([[1.0, 2.0]]), np.eye(2), np.array([-5.0, 0.5]), activation="relu")
    array([[0. , 2.5]])
    """
    x, weights = as_array(input, "input"), as_array(weight, "weight")
    if x.ndim == 0:
        raise ValueError("input is a scalar; expected at least one axis, the features")
    if weights.ndim not in (1, 2) or weights.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"weight has shape {weights.shape}; expected (out_features, {x.shape[-1]}) or "
            f"({x.shape[-1]},) for input of shape {x.shape}"
        )
    if not isinstance(activation, str | None) or activation not in ACTIVATIONS:
        names = ", ".join(map(repr, ACTIVATIONS))
        raise ValueError(f"activation is {activation!r}; expected one of {names}")
    arrays = [x, weights]
    shift = None
    if bias is not None:
        shift = as_array(bias, "bias")
        if shift.shape != weights.shape[:-1]:
            raise ValueError(f"bias has shape {shift.shape}; expected {weights.shape[:-1]}")
        arrays.append(shift)
    for name, array in zip(("input", "weight", "bias"), arrays, strict=False):
        computing_dtype(array.dtype, name)
    try:
        dtype = np.result_type(*(array.dtype for array in arrays)).newbyteorder("=")
    except TypeError:  # bfloat16 beside what it does not promote with
        dtype = np.result_type(
            *(np.float32 if x.dtype.name == "bfloat16" else x.dtype for x in arrays)
        )
    if dtype.kind in "biu":
        dtype = np.dtype(np.float64)
    computed = computing_dtype(dtype, "input")
    shape = x.shape[:-1] + weights.shape[:-1]
    target = check_out(out, shape, dtype)
    result = target if receives(target, dtype, *arrays) else np.empty(shape, dtype)
    n_features = x.shape[-1]
    n_rows = x.size // n_features if n_features else int(np.prod(x.shape[:-1]))
    n_out = weights.shape[0] if weights.ndim == 2 else 1
    if result.size:
        x = x.reshape(n_rows, n_features)
        weights = weights.reshape(n_out, n_features)
        if n_features == 0:
            x, weights = np.zeros((n_rows, 1), computed), np.zeros((n_out, 1), computed)
        linear_rows(
            ready(x, x.dtype.newbyteorder("=")),
            ready(weights, weights.dtype.newbyteorder("=")),
            None if shift is None else contiguous(shift, computed).reshape(n_out),
            ACTIVATIONS[activation],
            result.reshape(n_rows, n_out),
        )
    if target is None:
        return result if result.ndim else result[()]
    return as_result(result, dtype, target)
