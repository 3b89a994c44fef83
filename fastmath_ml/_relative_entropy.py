"""entr, rel_entr and kl_div, element by element: one pass over memory, the options of a ufunc."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import (
    FloatArray,
    as_array,
    as_result,
    check_out,
    computing_dtype,
    floating,
    ready,
    receives,
)
from ._kernels.information import ENTR, KL_DIV, REL_ENTR, map_plain
from ._ufunc import with_options

__all__ = ["entr", "kl_div", "rel_entr"]

SHORT_LINE = 256  # elements; shorter lines are repeated in memory


def apply(which: int, x: Any, y: Any, out: Any) -> Any:
    """Every pair of arrays that the kernel does not take as it is; y is x for `entr`."""
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    first, second = as_array(x, "x"), as_array(y, "y")
    for array, name in ((first, "x"), (second, "y")):
        computing_dtype(array.dtype, name)
    # Numbers of Python take the dtype of what they meet.
    promoted = np.result_type(
        *(
            given if type(given) in (bool, int, float) else array.dtype
            for given, array in ((x, first), (y, second))
        )
    )
    dtype, result_dtype = computing_dtype(promoted, "x"), floating(promoted, "x")
    try:
        shape = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        raise ValueError(
            f"y has shape {second.shape}; expected one that broadcasts with x, {first.shape}"
        ) from None
    target = check_out(out, shape, result_dtype)
    works = [ready(array, dtype) for array in (first, second)]
    is_flipped = len(shape) > 1 and all(
        work.shape == shape and work.flags.f_contiguous and not work.flags.c_contiguous
        for work in works
    )
    if is_flipped:
        works = [work.T for work in works]
    lines = [as_lines(work, works[0].shape if is_flipped else shape) for work in works]
    lines[0] = lines[0] if lines[0].size == 1 else whole(lines[0], works[0], shape, is_flipped)
    direct = bool(shape) and not is_flipped and receives(target, dtype, first, second)
    if not shape:
        result = map_plain(which, lines[0].reshape(1), lines[1].reshape(1), None)
        result = result[0] if target is None else result.reshape(())
    elif 0 in shape:
        result = np.empty(shape, dtype)
    else:
        if lines[0].size == 1 and lines[1].shape != shape and not is_flipped:
            lines[1] = np.ascontiguousarray(np.broadcast_to(lines[1], shape))
        result = map_plain(which, lines[0], lines[1], target if direct else None)
    return as_result(result.T if is_flipped else result, result_dtype, target)


def as_lines(work: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """C-ordered: one element, the last axes of the shape, or all of it."""
    if work.size == 1:
        return work.reshape(1)
    n_skipped = len(shape) - work.ndim
    lengths = work.shape
    while lengths and lengths[0] == 1 and shape[n_skipped] != 1:
        lengths, n_skipped = lengths[1:], n_skipped + 1
    if lengths == shape[n_skipped:] and (work.size >= SHORT_LINE or not n_skipped):
        return np.ascontiguousarray(work).reshape(lengths)
    return np.ascontiguousarray(np.broadcast_to(work, shape))


def whole(
    line: FloatArray, work: FloatArray, shape: tuple[int, ...], is_flipped: bool
) -> FloatArray:
    """x as an array of all of the shape."""
    if is_flipped or line.shape == shape:
        return line
    return np.ascontiguousarray(np.broadcast_to(work, shape))


def entr(
    x: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    where: Any = True,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
    r"""Terms of the entropy, as `scipy.special.entr`.

    .. math:: \operatorname{entr}(x) = -x \log x

    Parameters
    ----------
    x : array_like
        Real numbers of any shape. float32 and float64 are computed as they are, float16 and
        bfloat16 in float32, integers and booleans in float64.
    out : ndarray or tuple of one ndarray, optional
        Receives the result: the shape of `x` and a floating dtype. It may be `x` itself.
    where, casting, order, dtype, subok, signature
        As for a `numpy.ufunc`; results are plain arrays whatever `subok`, and `signature` must be
        None.

    Returns
    -------
    ndarray or scalar
        The shape of `x`; its dtype if that is floating, else float64. 0 where `x` is 0, -inf where
        it is negative, NaN where it is NaN.

    Raises
    ------
    TypeError
        `x` is a masked array or has a complex, extended or object dtype.
    ValueError
        `out` has another shape or is read-only.

    Notes
    -----
    float32 is computed in float64 and rounded once; float64 is within 2 units in the last place.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.information.entr(np.array([0.0, 0.5, -1.0])).round(4)
    array([0.    , 0.3466,   -inf])
    """
    if where is True and order == "K" and casting == "same_kind" and dtype is signature is None:
        result = map_plain(ENTR, x, x, out)
        return apply(ENTR, x, x, out) if result is None else result

    def compute(array: Any, target: Any) -> Any:
        return apply(ENTR, array, array, target)

    return with_options(compute, [(x, "x")], out, where, casting, order, dtype, signature)


def rel_entr(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    where: Any = True,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
    r"""Terms of the relative entropy, as `scipy.special.rel_entr`.

    .. math:: \operatorname{rel\_entr}(x, y) = x \log(x / y)

    Parameters
    ----------
    x, y : array_like
        Real numbers; their shapes broadcast. Dtypes as for `entr`, the wider one of both.
    out : ndarray or tuple of one ndarray, optional
        Receives the result. It may be `x` or `y` itself.
    where, casting, order, dtype, subok, signature
        As for `entr`.

    Returns
    -------
    ndarray or scalar
        0 where `x` is 0 and `y` is not negative; inf where either is negative, or `y` alone is 0;
        NaN where either is NaN.

    Raises
    ------
    TypeError
        `x` or `y` is a masked array or has a complex, extended or object dtype.
    ValueError
        The shapes do not broadcast, or `out` has another shape or is read-only.

    Notes
    -----
    float32 is computed in float64 and rounded once; float64 is within 4 units in the last place,
    for any ratio of `x` and `y`, denormal numbers included. Arrays that are neither one element,
    C-ordered nor both Fortran-ordered, or that are repeated along other than the first axes, cost a
    copy.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.information.rel_entr(np.array([0.5, 0.0, 0.5]), np.array([0.25, 0.5, 0.0])).round(4)
    array([0.3466, 0.    ,    inf])
    """
    if where is True and order == "K" and casting == "same_kind" and dtype is signature is None:
        result = map_plain(REL_ENTR, x, y, out)
        return apply(REL_ENTR, x, y, out) if result is None else result
    compute, inputs = partial(apply, REL_ENTR), [(x, "x"), (y, "y")]
    return with_options(compute, inputs, out, where, casting, order, dtype, signature)


def kl_div(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    where: Any = True,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
    r"""Terms of the Kullback-Leibler divergence that are never negative, as `scipy.special.kl_div`.

    .. math:: \operatorname{kl\_div}(x, y) = x \log(x / y) - x + y

    Another function than the loss `fastmath_ml.losses.kl_div`.

    Parameters
    ----------
    x, y : array_like
        Real numbers; their shapes broadcast. Dtypes as for `entr`, the wider one of both.
    out : ndarray or tuple of one ndarray, optional
        Receives the result. It may be `x` or `y` itself.
    where, casting, order, dtype, subok, signature
        As for `entr`.

    Returns
    -------
    ndarray or scalar
        `y` where `x` is 0 and `y` is not negative; inf where either is negative, or `y` alone is 0;
        NaN where either is NaN.

    Raises
    ------
    TypeError, ValueError
        As for `rel_entr`.

    Notes
    -----
    float32 is computed in float64 and rounded once. float64 is within 4 units in the last place
    for :math:`x / y` between 0.8 and 1.25, however near to 1, where the terms of the definition
    cancel; elsewhere it is within 12. Memory as for `rel_entr`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> print(f"{fm.information.kl_div(1.0, 1.0 + 2.0**-40):.6e}")
    4.135903e-25
    """
    if where is True and order == "K" and casting == "same_kind" and dtype is signature is None:
        result = map_plain(KL_DIV, x, y, out)
        return apply(KL_DIV, x, y, out) if result is None else result
    compute, inputs = partial(apply, KL_DIV), [(x, "x"), (y, "y")]
    return with_options(compute, inputs, out, where, casting, order, dtype, signature)
