"""Cross-entropy of a linear layer, without its logits in memory."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import as_array, contiguous
from .._kernels.cross_entropy import check_targets
from .._kernels.linear_cross_entropy import linear_cross_entropy_sum
from . import _gate as gate

__all__ = ["linear_cross_entropy", "linear_cross_entropy_with_grad"]


def linear_cross_entropy(
    input: npt.ArrayLike,
    linear_weight: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    linear_bias: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    reduction: gate.Reduction = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:
    r"""Cross-entropy of :math:`X W^T + b`, whose logits are never in memory as a whole.

    Parameters
    ----------
    input : array_like of shape (n_tokens, width) or (width,)
        The rows X.
    linear_weight : array_like of shape (C, width)
        The layer's weights W, a row for each class.
    target : array_like
        Class numbers of shape (n_tokens,), or probabilities of shape (n_tokens, C); without the
        first axis for a single row.
    linear_bias : array_like of shape (C,), optional
        The layer's bias b.
    weight, reduction, ignore_index, label_smoothing
        As for `cross_entropy`.

    Returns
    -------
    scalar or ndarray
        float64 if `input` or `linear_weight` asks for it, else float32.

    Raises
    ------
    ValueError
        A target is no class number (the message names the first such position), or a shape or an
        option does not fit.
    TypeError
        An array is masked or has a dtype that is not real.

    See Also
    --------
    linear_cross_entropy_with_grad : the three gradients.
    cross_entropy : of logits that are there.

    Notes
    -----
    Beyond the arrays themselves at most 32 MiB are used, for up to two million classes. Arrays that
    are not C-ordered or of another dtype are copied. The error is that of the logits' product,
    as from `matmul`, and that of `cross_entropy`.

    References
    ----------
    .. [1] E. Wijmans, B. Huval, A. Hertzberg, V. Koltun, P. Krähenbühl, "Cut Your Losses in
       Large-Vocabulary Language Models", ICLR, 2025.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> x, w = np.eye(2), np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    >>> round(float(fm.linear_cross_entropy(x, w, [0, 2])), 4)
    0.2047
    """
    return _linear_cross_entropy(
        *(input, linear_weight, target, linear_bias, weight),
        *(reduction, ignore_index, label_smoothing, False, None),
    )[0]


def linear_cross_entropy_with_grad(
    input: npt.ArrayLike,
    linear_weight: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    linear_bias: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    reduction: gate.Reduction = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    grad_out: Any = None,
) -> Any:
    r"""Cross-entropy of :math:`X W^T + b` and its gradients by X, W and b.

    With the gradient G of the loss by the logits, they are :math:`G W`, :math:`G^T X` and the sums
    of G's columns.

    Parameters
    ----------
    input, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing
        As for `linear_cross_entropy`. With 'none' the gradients are those of the sum of the losses.
    grad_out : tuple of three arrays, optional
        Receive the gradients: the shapes of `input`, `linear_weight` and `linear_bias` (None where
        there is none), floating dtypes.

    Returns
    -------
    loss : scalar or ndarray
        As from `linear_cross_entropy`.
    grads : tuple of three ndarrays
        By `input`, by `linear_weight` and by `linear_bias`; None for the last where that is None.

    Raises
    ------
    ValueError, TypeError
        As `linear_cross_entropy`; nothing has been written then.

    Notes
    -----
    Three products in all, in chunks of tokens whose logits take 16 MiB. With so many classes that
    these are fewer than 48 tokens the logits are computed twice, which then costs less than moving
    the weights through memory for each chunk. Beyond the arrays themselves at most 32 MiB are used,
    for up to two million classes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> x, w = np.eye(2), np.zeros((2, 2))
    >>> loss, (grad_x, grad_w, _) = fm.linear_cross_entropy_with_grad(x, w, [0, 1])
    >>> grad_w
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    return _linear_cross_entropy(
        *(input, linear_weight, target, linear_bias, weight),
        *(reduction, ignore_index, label_smoothing, True, grad_out),
    )


def _linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    linear_bias: Any,
    weight: Any,
    reduction: Any,
    ignore_index: Any,
    label_smoothing: Any,
    with_grad: bool,
    grad_out: Any,
) -> Any:
    gate.check_reduction(reduction)
    smoothing = gate.check_smoothing(label_smoothing)
    ignored = gate.check_index(ignore_index, "ignore_index")
    x, w = as_array(input, "input"), as_array(linear_weight, "linear_weight")
    targets = as_array(target, "target")
    bias = None if linear_bias is None else as_array(linear_bias, "linear_bias")
    _check_shapes(x, w, bias)
    dtype = gate.common_dtype((x, "input"), (w, "linear_weight"))
    n_classes, lines = w.shape[0], x.shape[:-1]
    n_tokens = len(x) if lines else 1
    numbers = probability = None
    if gate.is_class_numbers(targets, (*lines, n_classes), lines):
        numbers = gate.as_class_numbers(targets)
    else:
        gate.refuse_ignored(ignored)
        probability = contiguous(targets, dtype)
    weights = gate.class_weights(weight, n_classes, dtype)
    divisor = float(n_tokens)
    if numbers is not None:
        divisor, first_bad = check_targets(numbers, n_classes, ignored, weights)
        gate.refuse_target(targets, first_bad, n_classes, ignored)
    hard_weight, base = gate.coefficients(weights, smoothing, n_classes, dtype)
    losses = np.empty(lines, dtype) if reduction == "none" else None
    work = [contiguous(array, dtype) for array in (x, w)]
    biases = None if bias is None else contiguous(bias, dtype)
    grads = None
    if with_grad:
        grads = _gradients(grad_out, (x, w, bias), (*work, biases), targets, weights)
    arrays = [gate.array_of(grad) for grad in grads or (None, None, None)]
    if arrays[2] is not None:
        arrays[2][...] = 0
    total = 0.0
    if n_tokens and x.shape[-1]:
        grad_x = None if arrays[0] is None else arrays[0].reshape(n_tokens, -1)
        total = linear_cross_entropy_sum(
            work[0].reshape(n_tokens, -1),
            work[1],
            biases,
            numbers,
            probability,
            ignored,
            1 - smoothing,
            hard_weight,
            base,
            losses,
            grad_x,
            arrays[1],
            arrays[2],
            gate.scale_of(divisor, reduction),
        )
    elif arrays[1] is not None:
        arrays[1][...] = 0
    loss = gate.reduced(total, divisor, reduction, losses, dtype)
    return loss, grads and tuple(gate.result_of(grad) for grad in grads)


def _check_shapes(x: gate.Array, w: gate.Array, bias: gate.Array | None) -> None:
    if x.ndim not in (1, 2):
        raise ValueError(f"input has shape {x.shape}; expected (n_tokens, width) or (width,)")
    if w.ndim != 2 or w.shape[1] != x.shape[-1] or not w.size:
        raise ValueError(
            f"linear_weight has shape {w.shape}; expected (classes, {x.shape[-1]}), at least (1, 1)"
        )
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(f"linear_bias has shape {bias.shape}; expected {w.shape[:1]}")


def _gradients(
    grad_out: Any, inputs: tuple[Any, ...], work: tuple[Any, ...], *others: Any
) -> list[gate.Gradient | None]:
    """For each input its gradient; unlike elsewhere all inputs are needed to the end."""
    given = (None, None, None) if grad_out is None else grad_out
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise TypeError(
            f"grad_out is {type(grad_out).__name__}; expected a tuple of three arrays or None, for "
            "input, weight and bias"
        )
    arrays = [out for out in given if isinstance(out, np.ndarray)]
    if any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2)):
        raise ValueError("grad_out has arrays that share memory; expected arrays apart")
    grads: list[gate.Gradient | None] = []
    for at, out in enumerate(given):
        if inputs[at] is None:
            if out is not None:
                raise ValueError("grad_out[2] is an array; expected None without linear_bias")
            grads.append(None)
            continue
        name = f"grad_out[{at}]"
        grads.append(gate.Gradient(out, inputs[at], work[at], *inputs, *others, name=name))
    return grads
