"""Activations that are ufuncs elsewhere: one pass over memory, the options of a ufunc."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, computing_dtype, floating, ready, receives
from ._kernels.activations import EXPIT, LOG_EXPIT, LOGIT, TANH, activation_plain
from ._ufunc import with_options

__all__ = ["expit", "log_expit", "logit", "tanh"]


def activate(which: int, x: Any, out: Any) -> Any:
    """Every array that the kernel does not take as it is."""
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    array = as_array(x, "x")
    dtype = computing_dtype(array.dtype, "x")
    result_dtype = floating(array.dtype, "x")
    target = check_out(out, array.shape, result_dtype)
    work = ready(array, dtype)
    if not (work.flags.c_contiguous or work.flags.f_contiguous):
        work = np.ascontiguousarray(work)
    is_scalar = array.ndim == 0
    if is_scalar:
        work = work.reshape(1)
    direct = not is_scalar and work.flags.c_contiguous and receives(target, dtype, array)
    result = activation_plain(which, work, target if direct else None)
    if is_scalar:
        result = result[0] if target is None else result.reshape(())
    return as_result(result, result_dtype, target)


def expit(
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
    r"""Logistic sigmoid, as `scipy.special.expit`.

    .. math:: \operatorname{expit}(x) = \frac{1}{1 + e^{-x}}

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
        The shape of `x`; its dtype if that is floating, else float64. NaN gives NaN.

    Raises
    ------
    TypeError
        `x` is a masked array or has a complex, extended or object dtype.
    ValueError
        `out` has another shape or is read-only.

    Notes
    -----
    Within 2 units in the last place for every x, results below the smallest normal number included.
    Memory is read once and written once; input that is neither C nor Fortran ordered costs a copy.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.expit(np.array([-1.0, 0.0, 1.0])).round(4)
    array([0.2689, 0.5   , 0.7311])
    """
    if where is True and order == "K" and casting == "same_kind" and dtype is signature is None:
        result = activation_plain(EXPIT, x, out)
        return activate(EXPIT, x, out) if result is None else result
    compute = partial(activate, EXPIT)
    return with_options(compute, [(x, "x")], out, where, casting, order, dtype, signature)


def log_expit(
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
    r"""Logarithm of the logistic sigmoid, as `scipy.special.log_expit`.

    .. math:: \log \frac{1}{1 + e^{-x}} = \min(x, 0) - \log(1 + e^{-|x|})

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    out, where, casting, order, dtype, subok, signature
        As for `expit`.

    Returns
    -------
    ndarray or scalar
        The shape of `x`; its dtype if that is floating, else float64.

    Raises
    ------
    TypeError, ValueError
        As for `expit`.

    Notes
    -----
    Within 2 units in the last place for every x.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.special.log_expit(np.array([-1000.0, 0.0, 50.0]))
    array([-1.00000000e+03, -6.93147181e-01, -1.92874985e-22])
    """
    if where is True and order == "K" and casting == "same_kind" and dtype is signature is None:
        result = activation_plain(LOG_EXPIT, x, out)
        return activate(LOG_EXPIT, x, out) if result is None else result
    compute = partial(activate, LOG_EXPIT)
    return with_options(compute, [(x, "x")], out, where, casting, order, dtype, signature)


def logit(
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
    r"""Log-odds, the inverse of `expit`, as `scipy.special.logit`.

    .. math:: \operatorname{logit}(x) = \log \frac{x}{1 - x}

    Parameters
    ----------
    x : array_like
        Probabilities, of any shape.
    out, where, casting, order, dtype, subok, signature
        As for `expit`.

    Returns
    -------
    ndarray or scalar
        The shape of `x`; its dtype if that is floating, else float64. -inf at 0, inf at 1, NaN
        outside of [0, 1].

    Raises
    ------
    TypeError, ValueError
        As for `expit`.

    Notes
    -----
    Within 2 units in the last place on all of (0, 1), also near 1/2 where the result is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.special.logit(np.array([0.0, 0.25, 0.5, 1.0]))
    array([       -inf, -1.09861229,  0.        ,         inf])
    """
    if where is True and order == "K" and casting == "same_kind" and dtype is signature is None:
        result = activation_plain(LOGIT, x, out)
        return activate(LOGIT, x, out) if result is None else result
    compute = partial(activate, LOGIT)
    return with_options(compute, [(x, "x")], out, where, casting, order, dtype, signature)


def tanh(
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
    r"""Hyperbolic tangent, as `numpy.tanh`.

    .. math:: \tanh(x) = \frac{e^{2x} - 1}{e^{2x} + 1}

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    out, where, casting, order, dtype, subok, signature
        As for `expit`.

    Returns
    -------
    ndarray or scalar
        The shape of `x`; its dtype if that is floating, else float64. The sign of zero is kept.

    Raises
    ------
    TypeError, ValueError
        As for `expit`.

    Notes
    -----
    Within 2 units in the last place for every x.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.special.tanh(np.array([-1.0, 0.0, 50.0])).round(4)
    array([-0.7616,  0.    ,  1.    ])
    """
    if where is True and order == "K" and casting == "same_kind" and dtype is signature is None:
        result = activation_plain(TANH, x, out)
        return activate(TANH, x, out) if result is None else result
    compute = partial(activate, TANH)
    return with_options(compute, [(x, "x")], out, where, casting, order, dtype, signature)
