"""Optimizers that update NumPy arrays in place, learning rates over time, fits of linear models.

The gradients of linear models and the fits are in `_linear_models` and `_fit`, the descent of the
caller's own functions in `_descent`; all are reached from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy.typing as npt

from ._descent import DescentResult, gradient_descent
from ._fit import FitResult, fit_linear, fit_logistic, fit_softmax
from ._linear_models import (
    linear_loss_with_grad,
    logistic_loss_with_grad,
    softmax_loss_with_grad,
)
from ._optimizer import Optimizer
from ._training import clip_grad_norm, cosine_schedule, step_schedule, warmup_schedule

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "DescentResult",
    "FitResult",
    "RMSprop",
    "clip_grad_norm",
    "cosine_schedule",
    "fit_linear",
    "fit_logistic",
    "fit_softmax",
    "gradient_descent",
    "linear_loss_with_grad",
    "logistic_loss_with_grad",
    "softmax_loss_with_grad",
    "step_schedule",
    "warmup_schedule",
]

Params = npt.NDArray[Any] | Iterable[npt.NDArray[Any]]


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum and Nesterov's variant of it.

    .. math::
        b_t &= \mu\, b_{t-1} + (1 - \tau)\, g_t, \quad b_1 = g_1 \\
        \theta_t &= \theta_{t-1} - \gamma\, b_t \quad\text{or, with Nesterov,}\quad
        \theta_{t-1} - \gamma\, (g_t + \mu\, b_t)

    Parameters
    ----------
    params : ndarray or iterable of ndarrays
        What is updated, in place: floating arrays of any shape and layout that share no memory.
        The state of float16 and bfloat16 arrays is float32.
    lr : float, default 1e-3
        The learning rate :math:`\gamma`. The attribute `lr` can be set at any time.
    momentum : float, default 0
        :math:`\mu`
    dampening : float, default 0
        :math:`\tau`
    weight_decay : float, default 0
        :math:`\lambda`, which adds :math:`\lambda\theta_{t-1}` to the gradient.
    nesterov : bool, default False
        Needs a momentum and no dampening.
    maximize : bool, default False
        Ascend: the gradient changes its sign.
    foreach, fused : bool, optional
        Of torch's signature. A list of arrays is always updated by one fused pass.
    differentiable : bool, default False
        Of torch's signature; True is an error.

    Raises
    ------
    TypeError
        `params` holds something else than ndarrays of a floating dtype, or an option has no number.
    ValueError
        An array is read-only or shares memory with another one, or a number is out of its range.

    Notes
    -----
    A step passes over memory once: 12 bytes per float32 element, 20 with momentum. It is
    elementwise, so that it does not depend on the number of threads; a NaN or infinite gradient
    stays in its element. Arrays that are not contiguous, not in the machine's byte order, or
    narrower than float32 are copied for each step. Pickles and deep copies have arrays of their
    own.

    References
    ----------
    .. [1] I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and
       momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import SGD
    >>> x = np.array([1.0, -2.0])
    >>> optimizer = SGD(x, lr=0.25)
    >>> for _ in range(3):
    ...     optimizer.step(2 * x)  # the gradient of the sum of x**2
    >>> x
    array([ 0.125, -0.25 ])
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, "sgd", options, foreach, fused, differentiable=differentiable)


class RMSprop(Optimizer):
    r"""Steps scaled by a running root mean square of the gradient.

    .. math::
        v_t &= \alpha\, v_{t-1} + (1 - \alpha)\, g_t^2 \\
        b_t &= \mu\, b_{t-1} + g_t / (\sqrt{v_t - m_t^2} + \epsilon) \\
        \theta_t &= \theta_{t-1} - \gamma\, b_t

    with :math:`m_t = 0`, or the running mean of the gradient where `centered`.

    Parameters
    ----------
    params, weight_decay, maximize, foreach, differentiable
        As for `SGD`.
    lr : float, default 1e-2
        The learning rate :math:`\gamma`, also an attribute.
    alpha : float, default 0.99
        How slowly the mean square forgets; at most 1.
    eps : float, default 1e-8
        :math:`\epsilon`
    momentum : float, default 0
        :math:`\mu`
    centered : bool, default False
        Divide by the standard deviation of the gradient.
    capturable : bool, default False
        Of torch's signature; True is an error.

    Raises
    ------
    TypeError, ValueError
        As for `SGD`.

    Notes
    -----
    As for `SGD`; 20 to 36 bytes per float32 element. Where rounding makes :math:`v_t - m_t^2`
    negative it counts as 0.

    References
    ----------
    .. [1] T. Tieleman, G. Hinton, "Lecture 6.5: RMSprop", Coursera, 2012.
    .. [2] A. Graves, "Generating sequences with recurrent neural networks", arXiv:1308.0850, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import RMSprop
    >>> x = np.array([1.0, -2.0])
    >>> RMSprop(x, lr=0.01).step(2 * x)
    >>> x
    array([ 0.9, -1.9])
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        options = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(
            params,
            "rmsprop",
            options,
            foreach,
            capturable=capturable,
            differentiable=differentiable,
        )


class Adagrad(Optimizer):
    r"""Steps scaled by the root of the sum of all squared gradients so far.

    .. math::
        v_t &= v_{t-1} + g_t^2 \\
        \theta_t &= \theta_{t-1} -
        \frac{\gamma}{1 + (t - 1)\,\eta}\, \frac{g_t}{\sqrt{v_t} + \epsilon}

    Parameters
    ----------
    params, weight_decay, maximize, foreach, fused, differentiable
        As for `SGD`.
    lr : float, default 1e-2
        The learning rate :math:`\gamma`, also an attribute.
    lr_decay : float, default 0
        :math:`\eta`
    initial_accumulator_value : float, default 0
        :math:`v_0`
    eps : float, default 1e-10
        :math:`\epsilon`

    Raises
    ------
    TypeError, ValueError
        As for `SGD`.

    Notes
    -----
    As for `SGD`; 20 bytes per float32 element.

    References
    ----------
    .. [1] J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and
       stochastic optimization", Journal of Machine Learning Research 12, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import Adagrad
    >>> x = np.array([1.0, -2.0])
    >>> Adagrad(x, lr=0.1).step(2 * x)
    >>> x
    array([ 0.9, -1.9])
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        options = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, "adagrad", options, foreach, fused, differentiable=differentiable)


class Adam(Optimizer):
    r"""Adaptive moments: a running mean of the gradient over a running root mean square.

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \quad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2 \\
        \theta_t &= \theta_{t-1} - \gamma\,
        \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params, maximize, foreach, fused, differentiable
        As for `SGD`.
    lr : float, default 1e-3
        The learning rate :math:`\gamma`, also an attribute.
    betas : pair of floats, default (0.9, 0.999)
        :math:`\beta_1, \beta_2`
    eps : float, default 1e-8
        :math:`\epsilon`
    weight_decay : float, default 0
        :math:`\lambda`, which adds :math:`\lambda\theta_{t-1}` to the gradient.
    amsgrad : bool, default False
        Divide by the largest :math:`v` so far.
    capturable : bool, default False
        Of torch's signature; True is an error.
    decoupled_weight_decay : bool, default False
        Shrink the parameter by :math:`1 - \gamma\lambda` instead, which makes it `AdamW`.

    Raises
    ------
    TypeError, ValueError
        As for `SGD`.

    Notes
    -----
    As for `SGD`; 28 bytes per float32 element, 36 with `amsgrad`.

    References
    ----------
    .. [1] D. Kingma, J. Ba, "Adam: A method for stochastic optimization", ICLR 2015.
    .. [2] S. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import Adam
    >>> x = np.array([1.0, -2.0])
    >>> optimizer = Adam(x, lr=0.1)
    >>> for _ in range(500):
    ...     optimizer.step(2 * (x - 3))
    >>> x.round(3)
    array([3., 3.])
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(
            params,
            "adam",
            options,
            foreach,
            fused,
            capturable=capturable,
            differentiable=differentiable,
        )


class AdamW(Adam):
    r"""Adam whose weight decay does not pass through the moments.

    .. math::
        \theta_t = (1 - \gamma\lambda)\,\theta_{t-1} - \gamma\,
        \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize, foreach, capturable, differentiable, fused
        As for `Adam`.
    weight_decay : float, default 1e-2
        :math:`\lambda`

    Raises
    ------
    TypeError, ValueError
        As for `SGD`.

    Notes
    -----
    As for `Adam`.

    References
    ----------
    .. [1] I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import AdamW
    >>> x = np.array([1.0, -2.0])
    >>> AdamW(x, lr=0.1, weight_decay=0.5).step(2 * x)
    >>> x
    array([ 0.85, -1.8 ])
    """

    _fixed: ClassVar[dict[str, Any]] = {"decoupled_weight_decay": True}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
