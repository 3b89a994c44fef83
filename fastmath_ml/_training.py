"""What training needs beside an optimizer: gradient clipping, and learning rates over time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype
from ._kernels.optim import ArrayList
from ._optimizer import changeable
from ._options import number

__all__ = ["clip_grad_norm", "cosine_schedule", "step_schedule", "warmup_schedule"]

Array = npt.NDArray[Any]


def clip_grad_norm(
    grads: Array | Iterable[Array],
    max_norm: float,
    norm_type: float | str = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> float:
    r"""Scale gradients in place so that their common norm is at most `max_norm`.

    .. math::
        g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g\rVert + 10^{-6}}\right),
        \quad c = \text{max\_norm}

    Parameters
    ----------
    grads : ndarray or iterable of ndarrays
        Floating arrays of any shape and layout; the norm is that of all elements together. None
        stands for no gradient, as for `Optimizer.step`.
    max_norm : float
    norm_type : float, default 2.0
        The p of the norm; `inf` or 'inf' for the largest magnitude.
    error_if_nonfinite : bool, default False
        Refuse a norm that is NaN or infinite. Without, such a norm makes the gradients NaN or 0.
    foreach : bool, optional
        Of torch's signature. A list is always taken in one go.

    Returns
    -------
    float
        The norm before the scaling.

    Raises
    ------
    TypeError
        `grads` holds something else than ndarrays of a floating dtype, or an option is no number.
    ValueError
        An array is read-only; the norm is not finite and `error_if_nonfinite`.

    Notes
    -----
    Squares are summed in the dtype over blocks of 4096, the blocks in float64 and in their order:
    the relative error of a float32 norm stays below :math:`10^{-5}` for any length, and the
    number of threads does not change it. Where the squares over- or underflow the arrays are
    scaled first.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import clip_grad_norm
    >>> gradient = np.array([3.0, 4.0])
    >>> clip_grad_norm(gradient, 1.0)
    5.0
    >>> gradient.round(3)
    array([0.6, 0.8])
    """
    if isinstance(grads, Iterable) and not isinstance(grads, (np.ndarray, str, bytes, dict)):
        grads = [grad for grad in grads if grad is not None]
    arrays = changeable(grads, "grads")
    max_norm = number(max_norm, "max_norm", "[-inf, inf]")
    norm_type = math.inf if norm_type == "inf" else number(norm_type, "norm_type", "[-inf, inf]")
    if norm_type == 2.0:
        norm = _euclidean_norm(arrays)
    else:
        norms = [
            np.linalg.norm(as_array(x, "grads").ravel().astype(np.float64), norm_type)
            for x in arrays
            if x.size
        ]
        norm = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if error_if_nonfinite and not math.isfinite(norm):
        raise ValueError(f"grads have the norm {norm}; expected a finite one")
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:
        plain = [x for x in arrays if _is_plain(x)]
        ArrayList(plain).scale(factor)
        for x in arrays:
            if not _is_plain(x):
                np.multiply(x, factor, out=x, casting="same_kind")
    return norm


def _is_plain(x: Array) -> bool:
    """Whether kernels take x as it is: float32 or float64, native, aligned, without gaps."""
    return (
        x.dtype.char in "fd"
        and x.dtype.isnative
        and x.flags.aligned
        and (x.flags.c_contiguous or x.flags.f_contiguous)
    )


def _euclidean_norm(arrays: list[Array]) -> float:
    plain = [x if _is_plain(x) else x.astype(_wide(x.dtype), order="C") for x in arrays]
    sum_sq = ArrayList(plain).sum_of_squares()
    if 1e-20 < sum_sq < math.inf:
        return math.sqrt(sum_sq)
    # Squares that are denormal, that overflowed, or NaN.
    largest = max((float(np.abs(x).max()) for x in plain if x.size), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = [np.divide(x, largest, dtype=np.float64) for x in plain]
    return largest * math.sqrt(ArrayList(scaled).sum_of_squares())


def _wide(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    return np.float64 if dtype.itemsize == 8 else np.float32


def cosine_schedule(step: Any, lr: float, n_steps: int, *, lr_min: float = 0.0) -> Any:
    r"""Learning rate that falls from `lr` to `lr_min` along half a cosine.

    .. math:: \gamma_t = \gamma_{min} + (\gamma - \gamma_{min})\, \frac{1 + \cos(\pi t / T)}{2}

    Parameters
    ----------
    step : int or array_like
        :math:`t`, counted from 0; from `n_steps` on the rate stays at `lr_min`.
    lr : float
        :math:`\gamma`
    n_steps : int
        :math:`T`
    lr_min : float, default 0.0
        :math:`\gamma_{min}`

    Returns
    -------
    float or ndarray
        The learning rate; of the shape of `step`.

    Raises
    ------
    TypeError, ValueError
        `n_steps` is less than 1, a step or a rate is negative, or one of them is no number.

    References
    ----------
    .. [1] I. Loshchilov, F. Hutter, "SGDR: Stochastic gradient descent with warm restarts",
       ICLR 2017.

    Examples
    --------
    >>> from fastmath_ml.optim import cosine_schedule
    >>> [round(cosine_schedule(step, 0.1, 4), 4) for step in range(6)]
    [0.1, 0.0854, 0.05, 0.0146, 0.0, 0.0]
    """
    lr, lr_min = number(lr, "lr"), number(lr_min, "lr_min")
    n = number(n_steps, "n_steps", "[1, inf]")
    done = np.minimum(_steps(step), n) / n
    return _scalar_or_array(lr_min + (lr - lr_min) * (1 + np.cos(np.pi * done)) / 2)


def step_schedule(step: Any, lr: float, step_size: int, *, gamma: float = 0.1) -> Any:
    r"""Learning rate that is multiplied by `gamma` every `step_size` steps.

    .. math:: \gamma_t = \gamma_0\, g^{\lfloor t / s \rfloor}

    Parameters
    ----------
    step : int or array_like
        :math:`t`, counted from 0.
    lr : float
        :math:`\gamma_0`
    step_size : int
        :math:`s`
    gamma : float, default 0.1
        :math:`g`

    Returns
    -------
    float or ndarray
        The learning rate; of the shape of `step`.

    Raises
    ------
    TypeError, ValueError
        `step_size` is less than 1, a step or a rate is negative, or one of them is no number.

    Examples
    --------
    >>> from fastmath_ml.optim import step_schedule
    >>> [step_schedule(step, 0.5, 2, gamma=0.5) for step in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """
    lr, decay = number(lr, "lr"), np.float64(number(gamma, "gamma"))
    n_times = _steps(step) // number(step_size, "step_size", "[1, inf]")
    return _scalar_or_array(lr * decay**n_times)


def warmup_schedule(step: Any, lr: Any, n_warmup: int) -> Any:
    r"""Learning rate that rises linearly to what it is to be.

    .. math:: \gamma_t = \gamma \min\left(1, \frac{t + 1}{n}\right)

    Parameters
    ----------
    step : int or array_like
        :math:`t`, counted from 0.
    lr : float or array_like
        :math:`\gamma`: a number, or what another schedule gives for `step`.
    n_warmup : int
        :math:`n`; 0 for no warm-up.

    Returns
    -------
    float or ndarray
        The learning rate; of the shape of `step`.

    Raises
    ------
    TypeError, ValueError
        `n_warmup` or a step is negative, or one of them is no number.

    Examples
    --------
    >>> from fastmath_ml.optim import cosine_schedule, warmup_schedule
    >>> def rate(step):
    ...     return warmup_schedule(step, cosine_schedule(step, 1.0, 100), 4)
    >>> [round(rate(step), 3) for step in (0, 1, 2, 3, 50)]
    [0.25, 0.5, 0.749, 0.998, 0.5]
    """
    share = (_steps(step) + 1) / max(number(n_warmup, "n_warmup"), 1)
    return _scalar_or_array(_numbers(lr, "lr") * np.minimum(1.0, share))


def _steps(step: Any) -> Array:
    steps = _numbers(step, "step")
    if not (steps >= 0).all():
        raise ValueError(f"step is {step!r}; expected numbers of at least 0")
    return steps


def _numbers(x: Any, name: str) -> Array:
    array = as_array(x, name)
    computing_dtype(array.dtype, name)
    return array


def _scalar_or_array(x: Any) -> Any:
    return float(x) if np.ndim(x) == 0 else x
