"""Activations of neural networks: one pass over memory, torch's definitions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._activations import activate
from ._arrays import as_array, as_result, check_out, computing_dtype, floating
from ._kernels.activations import GELU, GELU_TANH, RELU, SILU, SOFTPLUS, activation_plain
from ._options import number

__all__ = ["gelu", "relu", "silu", "softplus"]


def relu(x: npt.ArrayLike, *, out: Any = None) -> Any:
    r"""Rectified linear unit, as `torch.nn.functional.relu`.

    .. math:: \operatorname{relu}(x) = \max(x, 0)

    Parameters
    ----------
    x : array_like
        Real numbers of any shape; dtypes as for `expit`.
    out : ndarray, optional
        Receives the result: the shape of `x` and a floating dtype. It may be `x` itself.

    Returns
    -------
    ndarray or scalar
        The shape of `x`; its dtype if that is floating, else float64. Exact. NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        As for `expit`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.special.relu(np.array([-2.0, 3.0]))
    array([0., 3.])
    """
    result = activation_plain(RELU, x, out)
    return activate(RELU, x, out) if result is None else result


def silu(x: npt.ArrayLike, *, out: Any = None) -> Any:
    r"""Sigmoid linear unit or swish, as `torch.nn.functional.silu`.

    .. math:: \operatorname{silu}(x) = \frac{x}{1 + e^{-x}}

    Parameters
    ----------
    x : array_like
        Real numbers of any shape; dtypes as for `expit`.
    out : ndarray, optional
        Receives the result: the shape of `x` and a floating dtype. It may be `x` itself.

    Returns
    -------
    ndarray or scalar
        The shape of `x`; its dtype if that is floating, else float64. -inf gives -0, the limit.

    Raises
    ------
    TypeError, ValueError
        As for `expit`.

    Notes
    -----
    Within 2 units in the last place in float32 and 4 in float64, for every x.

    References
    ----------
    .. [1] S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for neural network
       function approximation in reinforcement learning", Neural Networks 107, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.special.silu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    result = activation_plain(SILU, x, out)
    return activate(SILU, x, out) if result is None else result


def gelu(
    x: npt.ArrayLike, *, approximate: Literal["none", "tanh"] = "none", out: Any = None
) -> Any:
    r"""Gaussian error linear unit, as `torch.nn.functional.gelu`.

    .. math::

        \operatorname{gelu}(x) = x\,\Phi(x) = \frac{x}{2}
        \Bigl(1 + \operatorname{erf}\frac{x}{\sqrt 2}\Bigr)

    or, with `approximate='tanh'`,

    .. math:: \frac{x}{2} \Bigl(1 + \tanh\bigl(\sqrt{2 / \pi}\,(x + 0.044715\,x^3)\bigr)\Bigr)

    Parameters
    ----------
    x : array_like
        Real numbers of any shape; dtypes as for `expit`.
    approximate : {'none', 'tanh'}, optional
        Which of the two forms.
    out : ndarray, optional
        Receives the result: the shape of `x` and a floating dtype. It may be `x` itself.

    Returns
    -------
    ndarray or scalar
        The shape of `x`; its dtype if that is floating, else float64. -inf gives -0, the limit.

    Raises
    ------
    TypeError, ValueError
        As for `expit`; `approximate` is neither of its values.

    Notes
    -----
    Within 1 unit in the last place in float32, for every x: the tail keeps its relative accuracy,
    where :math:`1 + \operatorname{erf}` would lose all of it. In float64 within 4 units for every
    x; the tanh form within 4 for x >= -1 and
    :math:`4 + 8 |x| + |x|^3 / 2` below, where the rounding of the exponent shows.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.special.gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    >>> fm.special.gelu(np.array([-1.0, 0.0, 1.0]), approximate="tanh").round(4)
    array([-0.1588,  0.    ,  0.8412])
    """
    if approximate == "none":
        which = GELU
    elif approximate == "tanh":
        which = GELU_TANH
    else:
        raise ValueError(f"approximate is {approximate!r}; expected 'none' or 'tanh'")
    result = activation_plain(which, x, out)
    return activate(which, x, out) if result is None else result


def softplus(
    x: npt.ArrayLike, beta: float = 1.0, threshold: float | None = None, *, out: Any = None
) -> Any:
    r"""Smooth form of `relu`, as `torch.nn.functional.softplus`.

    .. math:: \operatorname{softplus}(x) = \frac{1}{\beta} \log(1 + e^{\beta x})

    Parameters
    ----------
    x : array_like
        Real numbers of any shape; dtypes as for `expit`.
    beta : float, optional
        How sharp the bend is.
    threshold : float, optional
        Where beta * x is larger, the result is x itself. torch's default is 20, because its formula
        overflows; ours does not, and is more exact without.
    out : ndarray, optional
        Receives the result: the shape of `x` and a floating dtype. It may be `x` itself.

    Returns
    -------
    ndarray or scalar
        The shape of `x`; its dtype if that is floating, else float64.

    Raises
    ------
    TypeError, ValueError
        As for `expit`; `beta` is 0 or not finite.

    Notes
    -----
    With beta = 1 within 2 units in the last place for every x. Another `beta` or a `threshold` take
    further passes, and the rounding of beta * x adds :math:`|\beta x|` units where it is negative.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.special.softplus(np.array([-50.0, 0.0, 50.0]))
    array([1.92874985e-22, 6.93147181e-01, 5.00000000e+01])
    """
    if beta == 1 and threshold is None:
        result = activation_plain(SOFTPLUS, x, out)
        return activate(SOFTPLUS, x, out) if result is None else result
    if number(beta, "beta", "(-inf, inf)") == 0:
        raise ValueError(f"beta is {beta!r}; expected a finite number that is not 0")
    array = as_array(x, "x")
    dtype = computing_dtype(array.dtype, "x")
    result_dtype = floating(array.dtype, "x")
    target = check_out(out, array.shape, result_dtype)
    scaled = np.multiply(array, dtype.type(beta), dtype=dtype)
    result = np.asarray(activate(SOFTPLUS, scaled, None)) / dtype.type(beta)
    if threshold is not None:
        result = np.where(scaled > threshold, array.astype(dtype, copy=False), result)
    return as_result(result if array.ndim else result[()], result_dtype, target)
