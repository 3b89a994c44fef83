"""Losses of linear models with their gradients, from one sweep over X.

`LinearLoss` holds prepared data and is what the fits call; the public functions prepare the data
of one call. Most go through the fused kernel. Sparse X is multiplied by SciPy. X of another dtype
is converted by chunks of rows, and a gradient that is too large for a buffer per thread comes from
two matrix products over such chunks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype, contiguous, is_sparse, ready
from ._kernels.linear_models import KINDS, is_outside, loss_sums, residuals
from .linalg import matmul

__all__ = ["linear_loss_with_grad", "logistic_loss_with_grad", "softmax_loss_with_grad"]

Array = npt.NDArray[Any]

# Numbers of a gradient from which on it is computed in chunks of rows, of CHUNK_BYTES of X.
LARGE_GRADIENT = 1 << 17
CHUNK_BYTES = 8 << 20


class LinearLoss:
    """The mean loss over given rows, as a function of coefficients (n_outputs, n_features).

    y is (n_models or 1, n_rows) in the computing dtype, class numbers included.
    """

    def __init__(
        self, kind: str, X: Any, y: Array, sample_weight: Array | None, n_classes: int = 1
    ) -> None:
        self.kind, self.n_classes = KINDS[kind], n_classes
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.dtype = y.dtype
        self.total_weight = float(X.shape[0])
        if sample_weight is not None:
            self.total_weight = float(sample_weight.sum(dtype=np.float64))

    def rows(self, rows: Array) -> LinearLoss:
        """The loss over some of the rows."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        part = LinearLoss.__new__(LinearLoss)
        part.kind, part.n_classes, part.dtype = self.kind, self.n_classes, self.dtype
        part.X, part.y, part.sample_weight = self.X[rows], self.y[:, rows], weight
        part.total_weight = float(len(rows) if weight is None else weight.sum(dtype=np.float64))
        return part

    def __call__(self, coef: Array, bias: Array | None) -> tuple[Array, Array, Array]:
        """(losses, gradients of coef, of bias) in float64: (n_models,), coef's shape, (n_outputs,).

        coef and bias are of the computing dtype and in C order.
        """
        scale = 1 / self.total_weight
        if not isinstance(self.X, np.ndarray):
            losses, grad, bias_grad = self._sparse(coef, bias)
        elif coef.size > LARGE_GRADIENT or self.X.dtype != self.dtype or not self.X.flags.aligned:
            losses, grad, bias_grad = self._chunked(coef, bias)
        else:
            return loss_sums(
                *(self.kind, ready(self.X, self.dtype), coef, bias),
                *(self.y, self.sample_weight, self.n_classes, scale),
            )
        return losses * scale, grad * scale, bias_grad * scale

    def _sparse(self, coef: Array, bias: Array | None) -> tuple[Array, Array, Array]:
        z = contiguous((self.X @ coef.T).T, self.dtype)
        losses, bias_grad = residuals(
            self.kind, z, bias, self.y, self.sample_weight, self.n_classes
        )
        return losses, np.asarray((self.X.T @ z.T).T, np.float64), bias_grad

    def _chunked(self, coef: Array, bias: Array | None) -> tuple[Array, Array, Array]:
        n_rows, n_features = self.X.shape
        is_large = coef.size > LARGE_GRADIENT
        chunk = max(256 if is_large else 1, CHUNK_BYTES // (n_features * self.dtype.itemsize))
        losses: Any = 0.0
        grad: Any = np.zeros(coef.shape, self.dtype if is_large else np.float64)
        bias_grad: Any = 0.0
        for begin in range(0, n_rows, chunk):
            rows = slice(begin, begin + chunk)
            weight = None if self.sample_weight is None else self.sample_weight[rows]
            x, y = ready(self.X[rows], self.dtype), np.ascontiguousarray(self.y[:, rows])
            if is_large:
                z = matmul(coef, x.T)
                loss, bias_part = residuals(self.kind, z, bias, y, weight, self.n_classes)
                grad += matmul(z, x)
            else:
                loss, part, bias_part = loss_sums(
                    self.kind, x, coef, bias, y, weight, self.n_classes, 1.0
                )
                grad += part
            losses, bias_grad = losses + loss, bias_grad + bias_part
        return losses, grad, bias_grad


# ---- one call ----


def feature_matrix(X: Any) -> Any:
    """X as a matrix, a CSR array where it is sparse; an array is not converted."""
    if is_sparse(X):
        from scipy import sparse

        matrix = sparse.csr_array(X)
    else:
        matrix = as_array(X, "X")
    if matrix.ndim != 2:
        raise ValueError(f"X has shape {matrix.shape}; expected 2 axes, rows of features")
    if 0 in matrix.shape:
        raise ValueError(f"X has shape {matrix.shape}; expected at least one row and one feature")
    return matrix


def row_weights(sample_weight: Any, n_rows: int, dtype: np.dtype[Any]) -> Array | None:
    if sample_weight is None:
        return None
    weight = as_array(sample_weight, "sample_weight")
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight has shape {weight.shape}; expected ({n_rows},)")
    computing_dtype(weight.dtype, "sample_weight")
    if not (weight >= 0).all() or np.isinf(weight).any():
        raise ValueError("sample_weight has a number below 0, infinity or NaN; expected weights")
    if not weight.sum(dtype=np.float64) != 0:
        raise ValueError("sample_weight sums to 0; expected weights of which some are positive")
    return contiguous(weight, dtype)


def _targets(
    y: Any, n_rows: int, n_models: int | None, kind: str, n_classes: int, dtype: np.dtype[Any]
) -> Array:
    """y as (n_models or 1, n_rows) of dtype, checked against what the kind of loss takes."""
    array = as_array(y, "y")
    shapes = [(n_rows,)] if n_models is None else [(n_rows,), (n_models, n_rows)]
    if array.shape not in shapes:
        raise ValueError(
            f"y has shape {array.shape}; expected {' or '.join(map(str, shapes))}, "
            "a target for each row of X"
        )
    if kind == "softmax" and array.dtype.kind not in "iu":
        raise TypeError(f"y has dtype {array.dtype}; expected class numbers of integer dtype")
    numbers = contiguous(array, computing_dtype(array.dtype, "y"))
    if kind == "softmax":
        if is_outside(numbers, 0, n_classes - 1):
            raise ValueError(
                f"y has class numbers from {array.min()} to {array.max()}; "
                f"expected 0 to {n_classes - 1}, as coef has {n_classes} classes"
            )
    elif kind == "logistic" and is_outside(numbers, 0, 1):
        raise ValueError(
            f"y has values from {np.nanmin(numbers)} to {np.nanmax(numbers)}; "
            "expected 0, 1 or between"
        )
    return contiguous(numbers, dtype).reshape(-1, n_rows)


def _penalty(l2: Any, n_models: int | None) -> Array | None:
    """l2 as an array, with a number for each model or of one; None where nothing is added."""
    if isinstance(l2, float) and l2 == 0:
        return None
    penalty = as_array(l2, "l2")
    computing_dtype(penalty.dtype, "l2")
    penalty = penalty.astype(np.float64)
    if penalty.shape not in ((), (n_models,)) or not (penalty >= 0).all():
        raise ValueError(f"l2 is {l2!r}; expected a number >= 0, or one for each model")
    return penalty if penalty.any() else None


def _loss_with_grad(
    kind: str, X: Any, y: Any, coef: Any, intercept: Any, l2: Any, sample_weight: Any
) -> tuple[Any, Any, Any]:
    matrix = feature_matrix(X)
    weights = as_array(coef, "coef")
    n_own = 2 if kind == "softmax" else 1  # axes of one model
    n_rows, n_features = matrix.shape
    if (
        weights.ndim not in (n_own, n_own + 1)
        or weights.shape[-1] != n_features
        or not weights.size
    ):
        axes = "(n_classes, n_features)" if n_own == 2 else "(n_features,)"
        raise ValueError(
            f"coef has shape {weights.shape}; expected {axes} with {n_features} features, "
            "or with an axis of models before it"
        )
    dtype = np.promote_types(
        computing_dtype(matrix.dtype, "X"), computing_dtype(weights.dtype, "coef")
    )
    if not isinstance(matrix, np.ndarray):
        matrix = matrix.astype(dtype, copy=False)
    n_classes = weights.shape[-2] if n_own == 2 else 1
    models = None if weights.ndim == n_own else weights.shape[0]
    targets = _targets(y, n_rows, models, kind, n_classes, dtype)
    bias = None
    if intercept is not None:
        bias = as_array(intercept, "intercept")
        if bias.shape != weights.shape[:-1]:
            raise ValueError(
                f"intercept has shape {bias.shape}; expected {weights.shape[:-1]} as coef has "
                f"{weights.shape}"
            )
        computing_dtype(bias.dtype, "intercept")
        bias = contiguous(bias, dtype).ravel()
    penalty = _penalty(l2, models)
    weights = contiguous(weights, dtype)
    loss_of = LinearLoss(
        kind, matrix, targets, row_weights(sample_weight, n_rows, dtype), n_classes
    )
    flat = weights.reshape(-1, n_features)
    losses, grad, bias_grad = loss_of(flat, bias)
    if penalty is not None:
        squares = np.square(flat, dtype=np.float64).reshape(len(losses), -1).sum(axis=1)
        losses = losses + penalty / 2 * squares
        grad = grad + np.repeat(np.broadcast_to(penalty, losses.shape), n_classes)[:, None] * flat
    loss = losses.astype(dtype)
    return (
        loss[0] if models is None else loss,
        grad.astype(dtype).reshape(weights.shape),
        None if bias is None else bias_grad.astype(dtype).reshape(weights.shape[:-1])[()],
    )


def linear_loss_with_grad(
    X: Any,
    y: npt.ArrayLike,
    coef: npt.ArrayLike,
    intercept: Any = None,
    *,
    l2: Any = 0.0,
    sample_weight: npt.ArrayLike | None = None,
) -> tuple[Any, Any, Any]:
    r"""Half the mean squared error of a linear model, and its gradient.

    .. math::
        L = \frac{1}{2 \sum_i s_i} \sum_i s_i\, (x_i \cdot w + b - y_i)^2
        + \frac{\lambda}{2} \lVert w\rVert^2

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows, n_features)
        Dense in any layout, a memory map included, which is read once from front to back; sparse
        matrices are taken as CSR.
    y : array_like of shape (n_rows,) or (n_models, n_rows)
        The targets: the same for all models, or each model's own.
    coef : array_like of shape (n_features,) or (n_models, n_features)
        :math:`w`, of one model or of several independent ones that share the sweep over X.
    intercept : None, or float or array_like of shape (n_models,)
        :math:`b`; None for a model without.
    l2 : float or array_like of shape (n_models,), default 0.0
        :math:`\lambda`; the intercept is not penalised. It may differ between models.
    sample_weight : array_like of shape (n_rows,), optional
        :math:`s`; 1 by default.

    Returns
    -------
    loss : floating, or ndarray of shape (n_models,)
    grad_coef : ndarray
        The shape of `coef`.
    grad_intercept : None, floating or ndarray of shape (n_models,)
        None without `intercept`.

        All of float32 if X and `coef` are float32 or narrower, else of float64.

    Raises
    ------
    TypeError
        An argument is a masked array or not real.
    ValueError
        Shapes do not fit, X is empty, the weights sum to 0 or `l2` is negative.

    Notes
    -----
    X is read once: a block of rows stays in the cache from its scores to its share of the gradient.
    One model costs about what reading X costs; several are bound by arithmetic. In float32 the
    scores are summed in chains of at most 384 (1024 for one model), the gradient by blocks over at
    most 4032 rows, and those sums in float64: the relative error, to
    :math:`\sum_i |r_i x_{ij}| / n`, is below :math:`10^3\,\varepsilon` beside what the error of the
    scores causes, for any number of rows. NaN and infinity propagate. The number of threads does
    not change the result. Working memory: a gradient and about 2 MiB for each thread, a quarter of
    a MiB more where the features of X have strides; gradients of more than 131072 numbers take
    chunks of rows of 8 MiB through two matrix products instead. An X of another dtype than the
    result (integers, float16, float32 with a float64 `coef`), of another byte order or not aligned
    is converted by such chunks; if it is sparse, as a whole.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import linear_loss_with_grad
    >>> X = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> linear_loss_with_grad(X, [1.0, 2.0], np.zeros(2), 0.0)
    (np.float64(1.25), array([-0.5, -2. ]), np.float64(-1.5))
    """
    return _loss_with_grad("linear", X, y, coef, intercept, l2, sample_weight)


def logistic_loss_with_grad(
    X: Any,
    y: npt.ArrayLike,
    coef: npt.ArrayLike,
    intercept: Any = None,
    *,
    l2: Any = 0.0,
    sample_weight: npt.ArrayLike | None = None,
) -> tuple[Any, Any, Any]:
    r"""Mean log loss of a logistic regression, and its gradient.

    .. math::
        L = \frac{1}{\sum_i s_i} \sum_i s_i \left(\log(1 + e^{z_i}) - y_i z_i\right)
        + \frac{\lambda}{2} \lVert w\rVert^2, \quad z_i = x_i \cdot w + b

    Parameters
    ----------
    X, coef, intercept, l2, sample_weight
        As for `linear_loss_with_grad`. scikit-learn's C is :math:`1 / (n \lambda)`.
    y : array_like of shape (n_rows,) or (n_models, n_rows)
        0 or 1, or a probability between.

    Returns
    -------
    loss, grad_coef, grad_intercept
        As for `linear_loss_with_grad`.

    Raises
    ------
    TypeError, ValueError
        As for `linear_loss_with_grad`; a y below 0 or above 1.

    Notes
    -----
    As for `linear_loss_with_grad`. A row's loss is computed as
    :math:`\max(z, 0) - yz + \log(1 + e^{-|z|})`, which neither overflows nor cancels: that of a row
    far on the right side keeps its relative accuracy.

    References
    ----------
    .. [1] D. R. Cox, "The regression analysis of binary sequences", Journal of the Royal
       Statistical Society B 20(2), 1958.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import logistic_loss_with_grad
    >>> X = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> loss, gradient, _ = logistic_loss_with_grad(X, [0, 1], np.zeros(2))
    >>> loss.round(4), gradient
    (np.float64(0.6931), array([ 0.25, -0.5 ]))
    """
    return _loss_with_grad("logistic", X, y, coef, intercept, l2, sample_weight)


def softmax_loss_with_grad(
    X: Any,
    y: npt.ArrayLike,
    coef: npt.ArrayLike,
    intercept: Any = None,
    *,
    l2: Any = 0.0,
    sample_weight: npt.ArrayLike | None = None,
) -> tuple[Any, Any, Any]:
    r"""Mean cross-entropy of a softmax (multinomial logistic) regression, and its gradient.

    .. math::
        L = \frac{1}{\sum_i s_i} \sum_i s_i \left(\log \sum_k e^{z_{ik}} - z_{i y_i}\right)
        + \frac{\lambda}{2} \lVert W\rVert^2, \quad z_i = W x_i + b

    Parameters
    ----------
    X, l2, sample_weight
        As for `linear_loss_with_grad`.
    y : array_like of shape (n_rows,) or (n_models, n_rows)
        Class numbers, integers from 0 to n_classes - 1.
    coef : array_like of shape (n_classes, n_features) or (n_models, n_classes, n_features)
        :math:`W`
    intercept : None, or array_like of shape (n_classes,) or (n_models, n_classes)
        :math:`b`; None for a model without.

    Returns
    -------
    loss, grad_coef, grad_intercept
        As for `linear_loss_with_grad`.

    Raises
    ------
    TypeError, ValueError
        As for `linear_loss_with_grad`; a y that is no class number.

    Notes
    -----
    As for `linear_loss_with_grad`. The largest score of a row is subtracted from the others, so
    that nothing overflows.

    References
    ----------
    .. [1] J. S. Bridle, "Probabilistic interpretation of feedforward classification network
       outputs, with relationships to statistical pattern recognition", Neurocomputing, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import softmax_loss_with_grad
    >>> X = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> loss, gradient, _ = softmax_loss_with_grad(X, [0, 1], np.zeros((2, 2)))
    >>> loss.round(4)
    np.float64(0.6931)
    >>> gradient
    array([[-0.25,  0.5 ],
           [ 0.25, -0.5 ]])
    """
    return _loss_with_grad("softmax", X, y, coef, intercept, l2, sample_weight)
