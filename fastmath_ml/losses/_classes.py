"""Losses of classes: cross-entropy of logits, negative log-likelihood of log-probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import as_array, computing_dtype, contiguous
from .._kernels.cross_entropy import check_targets, cross_entropy_plain, cross_entropy_sum
from .._kernels.losses import nll_sum
from . import _gate as gate

__all__ = ["cross_entropy", "cross_entropy_with_grad", "nll_loss", "nll_loss_with_grad"]


def cross_entropy(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: gate.Reduction = "mean",
) -> Any:
    r"""Cross-entropy of logits and targets.

    With class numbers :math:`y`, weights :math:`w` and smoothing :math:`\varepsilon`

    .. math::
        l = (1 - \varepsilon)\, w_y (\log\sum_j e^{x_j} - x_y)
            + \frac{\varepsilon}{C} \sum_c w_c (\log\sum_j e^{x_j} - x_c)

    and with probabilities :math:`t`

    .. math::
        l = \sum_c w_c \left((1 - \varepsilon)\, t_c + \frac{\varepsilon}{C}\right)
            (\log\sum_j e^{x_j} - x_c)

    Parameters
    ----------
    input : array_like
        Logits of any shape, the C classes along one axis. float32 and float64 are computed as they
        are, float16 and bfloat16 in float32, integers in float64.
    target : array_like
        Class numbers from 0 to C - 1, of an integer dtype and the shape of `input` without the
        class axis; or probabilities, of a floating dtype and the shape of `input`.
    weight : array_like of shape (C,), optional
        Weight of each class; computed in the dtype of `input`.
    axis : int, optional
        Axis of the classes; by default 1, or 0 where `input` has only one.
    ignore_index : int, optional
        Items with this class number count as nothing, whatever their logits. It need not be a
        valid class number; beside probabilities it has to be negative.
    label_smoothing : float, optional
        Share of the target, from 0 to 1, that is spread evenly over all classes.
    reduction : {'mean', 'sum', 'none'}, optional
        'mean' divides the sum by the weights of the targets that were not ignored; for
        probabilities by the number of items. 'none' gives the loss of each item.

    Returns
    -------
    scalar or ndarray
        float64 where `input` or the probabilities ask for it, else float32. The mean of nothing is
        NaN.

    Raises
    ------
    ValueError
        A target is no class number (the message names the first such position), or shapes,
        `reduction` or `label_smoothing` do not fit.
    TypeError
        An array is masked or has a dtype that is not real.

    See Also
    --------
    cross_entropy_with_grad : the gradient in the same pass.

    Notes
    -----
    Computed from :math:`\log\sum_j e^{x_j - m} + (m - x_c)` with :math:`m = \max_j x_j`, two terms
    that are never negative. The error of an item's loss is at most
    :math:`(40 + \max_c |x_c - m|)\,\varepsilon` times the sum of its weights, plus
    :math:`40\,\varepsilon` relative, for any number of classes; losses are added up in float64.
    NaN and infinities have the results that torch gives them: an item with NaN or +inf is NaN.

    Memory is read once, and nothing of the size of `input` is allocated if `input` is C-ordered.
    The loss of an item depends on nothing but its own logits and target.

    References
    ----------
    .. [1] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception
       Architecture for Computer Vision", CVPR, 2016 (label smoothing).

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> logits = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 3.0]])
    >>> round(float(fm.cross_entropy(logits, [0, 2])), 4)
    0.2047
    >>> fm.cross_entropy(logits, [0, -100], reduction="none").round(4)
    array([0.2395, 0.    ])
    """
    if weight is None and axis is None and label_smoothing == 0.0:
        result = cross_entropy_plain(input, target, ignore_index, reduction, False, None)
        if result is not None:
            return result
    return _cross_entropy(
        input, target, weight, axis, ignore_index, label_smoothing, reduction, False, None
    )[0]


def cross_entropy_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: gate.Reduction = "mean",
    grad_out: Any = None,
) -> Any:
    r"""Cross-entropy and its gradient with respect to the logits, in one pass.

    With the coefficients :math:`d_c` by which `cross_entropy` multiplies
    :math:`\log\sum_j e^{x_j} - x_c` for an item, and the factor :math:`s` of the reduction,

    .. math:: \frac{\partial l}{\partial x_c}
        = s \left(\operatorname{softmax}(x)_c \sum_j d_j - d_c\right)

    Parameters
    ----------
    input, target, weight, axis, ignore_index, label_smoothing, reduction
        As for `cross_entropy`. With 'none' the gradient is that of the sum of the losses.
    grad_out : ndarray, optional
        Receives the gradient: the shape of `input` and a floating dtype. It may be `input` itself,
        which is then overwritten.

    Returns
    -------
    loss : scalar or ndarray
        As from `cross_entropy`.
    grad : ndarray
        `grad_out` if that was given, else a new array of the loss's dtype and the shape of `input`.
        0 for ignored items.

    Raises
    ------
    ValueError, TypeError
        As `cross_entropy`; nothing has been written then.

    Notes
    -----
    Each logit is read from memory once and each element of the gradient written once, except for
    rows of more than 1 MiB and for more than 512 classes that other axes lie behind, which are read
    twice. The error of the gradient is at most :math:`(40 + |x_c - m|)\,\varepsilon` relative to
    the probability, plus :math:`2\,\varepsilon` of :math:`d_c`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> logits = np.array([[0.0, 0.0], [0.0, 0.0]])
    >>> loss, grad = fm.cross_entropy_with_grad(logits, [0, 1])
    >>> round(float(loss), 4)
    0.6931
    >>> grad
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    if weight is None and axis is None and label_smoothing == 0.0:
        result = cross_entropy_plain(input, target, ignore_index, reduction, True, grad_out)
        if result is not None:
            return result
    return _cross_entropy(
        input, target, weight, axis, ignore_index, label_smoothing, reduction, True, grad_out
    )


def _cross_entropy(
    input: Any,
    target: Any,
    weight: Any,
    axis: Any,
    ignore_index: Any,
    label_smoothing: Any,
    reduction: Any,
    with_grad: bool,
    grad_out: Any,
) -> Any:
    """Every call that the kernel does not take as it is."""
    gate.check_reduction(reduction)
    smoothing = gate.check_smoothing(label_smoothing)
    ignored = gate.check_index(ignore_index, "ignore_index")
    x, targets = as_array(input, "input"), as_array(target, "target")
    at = gate.class_axis(x.shape, axis)
    n_classes, lines = x.shape[at], gate.without_axis(x.shape, at)
    numbers = probability = None
    dtype = computing_dtype(x.dtype, "input")
    if gate.is_class_numbers(targets, x.shape, lines):
        numbers = gate.as_class_numbers(targets)
    else:
        gate.refuse_ignored(ignored)
        dtype = gate.common_dtype((x, "input"), (targets, "target"))
        probability = contiguous(targets, dtype)
    weights = gate.class_weights(weight, n_classes, dtype)
    divisor = float(math.prod(lines))
    if numbers is not None:
        divisor, first_bad = check_targets(numbers, n_classes, ignored, weights)
        gate.refuse_target(targets, first_bad, n_classes, ignored)
    hard_weight, base = gate.coefficients(weights, smoothing, n_classes, dtype)
    work = contiguous(x, dtype)
    losses = np.empty(lines, dtype) if reduction == "none" else None
    grad = gate.Gradient(grad_out, x, work, targets, weights) if with_grad else None
    total = cross_entropy_sum(
        work,
        at,
        numbers,
        probability,
        ignored,
        1 - smoothing,
        hard_weight,
        base,
        losses,
        gate.array_of(grad),
        gate.scale_of(divisor, reduction),
    )
    loss = gate.reduced(total, divisor, reduction, losses, dtype)
    return loss, gate.result_of(grad)


def nll_loss(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    reduction: gate.Reduction = "mean",
) -> Any:
    r"""Negative log-likelihood: the loss of given log-probabilities, :math:`l = -w_y x_y`.

    Parameters
    ----------
    input : array_like
        Log-probabilities of any shape, the C classes along one axis.
    target : array_like of integers
        Class numbers from 0 to C - 1, of the shape of `input` without the class axis.
    weight : array_like of shape (C,), optional
        Weight of each class.
    axis : int, optional
        Axis of the classes; by default 1, or 0 where `input` has only one.
    ignore_index : int, optional
        Items with this class number count as nothing.
    reduction : {'mean', 'sum', 'none'}, optional
        'mean' divides by the weights of the targets that were not ignored.

    Returns
    -------
    scalar or ndarray
        float64 for float64 and integers, else float32. The mean of nothing is NaN.

    Raises
    ------
    ValueError
        A target is no class number (the message names the first such position), or a shape or
        `reduction` does not fit.
    TypeError
        An array is masked or has a dtype that does not suit it.

    See Also
    --------
    cross_entropy : from logits, without the log-probabilities in memory.

    Notes
    -----
    One element of each item is read. Products are rounded once, and added up in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml import losses
    >>> losses.nll_loss(np.log([[0.5, 0.5], [0.2, 0.8]]), [0, 1], reduction="none").round(4)
    array([0.6931, 0.2231])
    """
    return _nll_loss(input, target, weight, axis, ignore_index, reduction, False, None)[0]


def nll_loss_with_grad(
    input: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    reduction: gate.Reduction = "mean",
    grad_out: Any = None,
) -> Any:
    """Negative log-likelihood and its gradient, which is -w of the target class and 0 elsewhere.

    Parameters
    ----------
    input, target, weight, axis, ignore_index, reduction
        As for `nll_loss`. With 'none' the gradient is that of the sum of the losses.
    grad_out : ndarray, optional
        Receives the gradient: the shape of `input`, a floating dtype. It may be `input` itself.

    Returns
    -------
    loss : scalar or ndarray
        As from `nll_loss`.
    grad : ndarray
        `grad_out` if that was given, else a new array.

    Raises
    ------
    ValueError, TypeError
        As `nll_loss`; nothing has been written then.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml import losses
    >>> losses.nll_loss_with_grad(np.log([[0.5, 0.5], [0.2, 0.8]]), [0, 1])[1]
    array([[-0.5,  0. ],
           [ 0. , -0.5]])
    """
    return _nll_loss(input, target, weight, axis, ignore_index, reduction, True, grad_out)


def _nll_loss(
    input: Any,
    target: Any,
    weight: Any,
    axis: Any,
    ignore_index: Any,
    reduction: Any,
    with_grad: bool,
    grad_out: Any,
) -> Any:
    gate.check_reduction(reduction)
    ignored = gate.check_index(ignore_index, "ignore_index")
    x, targets = as_array(input, "input"), as_array(target, "target")
    at = gate.class_axis(x.shape, axis)
    n_classes, lines = x.shape[at], gate.without_axis(x.shape, at)
    if targets.dtype.kind not in "iu":
        raise TypeError(f"target has dtype {targets.dtype}; expected class numbers, integers")
    if targets.shape != lines:
        raise ValueError(f"target has shape {targets.shape}; expected {lines}")
    dtype = computing_dtype(x.dtype, "input")
    numbers = gate.as_class_numbers(targets)
    weights = gate.class_weights(weight, n_classes, dtype)
    divisor, first_bad = check_targets(numbers, n_classes, ignored, weights)
    gate.refuse_target(targets, first_bad, n_classes, ignored)
    work = contiguous(x, dtype)
    losses = np.empty(lines, dtype) if reduction == "none" else None
    grad = gate.Gradient(grad_out, x, work, targets, weights) if with_grad else None
    scale = gate.scale_of(divisor, reduction)
    total = nll_sum(work, at, numbers, ignored, weights, losses, gate.array_of(grad), scale)
    return gate.reduced(total, divisor, reduction, losses, dtype), gate.result_of(grad)
