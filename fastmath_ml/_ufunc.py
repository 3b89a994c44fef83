"""The options of a ufunc, as NumPy understands them, for functions that are ufuncs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._arrays import as_array

CASTINGS = ("no", "equiv", "safe", "same_kind", "unsafe")


def with_options(
    compute: Callable[..., Any],
    inputs: Sequence[tuple[Any, str]],
    out: Any,
    where: Any,
    casting: Any,
    order: Any,
    dtype: Any,
    signature: Any,
) -> Any:
    """compute(*arrays, out) with the options; `inputs` are arguments and their names."""
    if casting not in CASTINGS:
        names = ", ".join(map(repr, CASTINGS))
        raise ValueError(f"casting is {casting!r}; expected one of {names}")
    if signature is not None:
        raise TypeError("signature is not supported; expected None (give dtype= instead)")
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    arrays = [as_array(x, name) for x, name in inputs]
    wanted = None if dtype is None else np.dtype(dtype)
    if wanted is not None:
        for array in arrays:
            if wanted.kind != "f" or not np.can_cast(array.dtype, wanted, casting):
                raise TypeError(f"cannot compute in {wanted} from {array.dtype} under {casting!r}")
        arrays = [array.astype(wanted, copy=False) for array in arrays]
    if where is True and (out is None or casting == "same_kind"):
        result = compute(*arrays, out)
        return np.array(result, order=order, copy=None) if out is None and result.ndim else result
    result = np.asarray(compute(*arrays, None))
    mask = np.asarray(where, dtype=bool)
    if out is None:
        shape = np.broadcast_shapes(result.shape, mask.shape)
        out = np.empty(shape, result.dtype)
    np.copyto(out, result, where=mask, casting=casting)
    return out
