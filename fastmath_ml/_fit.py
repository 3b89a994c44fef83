"""Fits of linear, logistic and softmax regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from ._arrays import as_array, computing_dtype
from ._fitting import FitResult, encode_labels, fit

__all__ = ["FitResult", "fit_linear", "fit_logistic", "fit_softmax"]


def fit_linear(
    X: Any,
    y: npt.ArrayLike,
    *,
    method: str = "lbfgs",
    lr: float | None = None,
    batch_size: int | None = None,
    max_epochs: int = 100,
    l1: float = 0.0,
    l2: float = 0.0,
    tol: float = 1e-4,
    rng: Any = None,
    callback: Callable[[FitResult], Any] | None = None,
    progress: bool = False,
    warm_start: FitResult | None = None,
    fit_intercept: bool = True,
    sample_weight: npt.ArrayLike | None = None,
) -> FitResult:
    r"""Linear regression by gradients.

    .. math::
        \min_{w, b}\; \frac{1}{2n} \sum_i (x_i \cdot w + b - y_i)^2
        + \frac{\lambda_2}{2} \lVert w\rVert_2^2 + \lambda_1 \lVert w\rVert_1

    Parameters
    ----------
    X : {array_like, sparse matrix} of shape (n_rows, n_features)
        float32 is fitted in float32. Features of like scale are fitted in far fewer iterations.
        Integers, booleans, float16, bfloat16 and X of another byte order are copied as a whole.
    y : array_like of shape (n_rows,)
    method : {'lbfgs', 'sgd', 'momentum', 'rmsprop', 'adagrad', 'adam', 'adamw'}
        'lbfgs' is SciPy's on our gradient; the others are the optimizers of this module, 'momentum'
        being SGD with a Nesterov momentum of 0.9. The penalty is part of the gradient, so that
        'adamw' is 'adam'.
    lr : float, optional
        The learning rate of an optimizer; by default one that suits features of the scale of 1.
        'lbfgs' has none, and none may be given with it.
    batch_size : int, optional
        Rows of a mini-batch, drawn anew in each epoch; None for the full gradient, which 'lbfgs'
        needs.
    max_epochs : int, default 100
        Passes over the rows, or iterations of L-BFGS.
    l1, l2 : float, default 0.0
        :math:`\lambda_1, \lambda_2`; the intercept is not penalised. With l1 an optimizer takes a
        proximal step after each of its own, and elements of w become exactly 0.
    tol : float, default 1e-4
        Stop where no element of the gradient of the objective is larger than this; with l1, of
        its shortest subgradient. L-BFGS also stops where rounding keeps the objective from
        falling, in float64 at gradients of some 1e-10.
    rng : None, int or numpy.random.Generator
        For the mini-batches.
    callback : callable, optional
        Called after each epoch with a `FitResult` of what is so far; a true answer, or raising
        StopIteration, ends the fit.
    progress : bool, default False
        Show a bar by tqdm.
    warm_start : FitResult, optional
        Go on from this result: its coefficients, losses and count. The state of an optimizer begins
        anew.
    fit_intercept : bool, default True
    sample_weight : array_like of shape (n_rows,), optional
        The mean becomes a weighted one.

    Returns
    -------
    FitResult
        Named tuple (coef, intercept, classes, losses, n_iter, converged); classes is None.

    Raises
    ------
    ValueError
        Shapes do not fit, an option is out of its range or not one of the method, or the loss is
        not finite at the start.
    TypeError
        An argument is a masked array or not real, or an option has the wrong type.

    Notes
    -----
    X is read once for each loss with its gradient (see `linear_loss_with_grad`). A fit whose loss
    stops being finite ends there, not converged.

    References
    ----------
    .. [1] R. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for bound constrained
       optimization", SIAM Journal on Scientific Computing 16(5), 1995.
    .. [2] N. Parikh, S. Boyd, "Proximal algorithms", Foundations and Trends in Optimization, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import fit_linear
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> model = fit_linear(X, [1.0, 3.0, 5.0], tol=1e-9)
    >>> model.coef.round(6), round(float(model.intercept), 6)
    (array([2.]), 1.0)
    """
    target = as_array(y, "y")
    computing_dtype(target.dtype, "y")
    return fit(
        "linear",
        X,
        target,
        None,
        method,
        lr,
        batch_size,
        max_epochs,
        l1,
        l2,
        tol,
        rng,
        callback,
        progress,
        warm_start,
        fit_intercept,
        sample_weight,
    )


def fit_logistic(
    X: Any,
    y: npt.ArrayLike,
    *,
    method: str = "lbfgs",
    lr: float | None = None,
    batch_size: int | None = None,
    max_epochs: int = 100,
    l1: float = 0.0,
    l2: float = 0.0,
    tol: float = 1e-4,
    rng: Any = None,
    callback: Callable[[FitResult], Any] | None = None,
    progress: bool = False,
    warm_start: FitResult | None = None,
    fit_intercept: bool = True,
    sample_weight: npt.ArrayLike | None = None,
) -> FitResult:
    r"""Logistic regression of two classes by gradients.

    .. math::
        \min_{w, b}\; \frac{1}{n} \sum_i \left(\log(1 + e^{z_i}) - y_i z_i\right)
        + \frac{\lambda_2}{2} \lVert w\rVert_2^2 + \lambda_1 \lVert w\rVert_1,
        \quad z_i = x_i \cdot w + b

    Parameters
    ----------
    X, method, lr, batch_size, max_epochs, l1, l2, tol, rng, callback, progress, warm_start
        As for `fit_linear`. scikit-learn's C is :math:`1 / (n \lambda_2)`.
    y : array_like of shape (n_rows,)
        Labels of any kind, of two classes; a positive score stands for the greater.
    fit_intercept, sample_weight
        As for `fit_linear`.

    Returns
    -------
    FitResult
        coef is (n_features,) and intercept a number; classes are the two labels, sorted.

    Raises
    ------
    TypeError, ValueError
        As for `fit_linear`; y has another number of classes than two, or NaN.

    Notes
    -----
    As for `fit_linear`. Where the classes can be separated and there is no penalty, no minimum
    exists, and the fit ends where the gradient is small.

    References
    ----------
    .. [1] D. R. Cox, "The regression analysis of binary sequences", Journal of the Royal
       Statistical Society B 20(2), 1958.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import fit_logistic
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> model = fit_logistic(X, ["no", "no", "yes", "yes"], l2=0.1)
    >>> model.classes[(X @ model.coef + model.intercept > 0).astype(int)].tolist()
    ['no', 'no', 'yes', 'yes']
    """
    classes, numbers = encode_labels(y)
    if len(classes) != 2:
        raise ValueError(f"y has {len(classes)} classes; expected 2 (fit_softmax takes more)")
    return fit(
        "logistic",
        X,
        numbers,
        classes,
        method,
        lr,
        batch_size,
        max_epochs,
        l1,
        l2,
        tol,
        rng,
        callback,
        progress,
        warm_start,
        fit_intercept,
        sample_weight,
    )


def fit_softmax(
    X: Any,
    y: npt.ArrayLike,
    *,
    method: str = "lbfgs",
    lr: float | None = None,
    batch_size: int | None = None,
    max_epochs: int = 100,
    l1: float = 0.0,
    l2: float = 0.0,
    tol: float = 1e-4,
    rng: Any = None,
    callback: Callable[[FitResult], Any] | None = None,
    progress: bool = False,
    warm_start: FitResult | None = None,
    fit_intercept: bool = True,
    sample_weight: npt.ArrayLike | None = None,
) -> FitResult:
    r"""Softmax (multinomial logistic) regression by gradients.

    .. math::
        \min_{W, b}\; \frac{1}{n} \sum_i \left(\log \sum_k e^{z_{ik}} - z_{i y_i}\right)
        + \frac{\lambda_2}{2} \lVert W\rVert_2^2 + \lambda_1 \lVert W\rVert_1,
        \quad z_i = W x_i + b

    Parameters
    ----------
    X, method, lr, batch_size, max_epochs, l1, l2, tol, rng, callback, progress, warm_start
        As for `fit_linear`. scikit-learn's C is :math:`1 / (n \lambda_2)`.
    y : array_like of shape (n_rows,)
        Labels of any kind, of two classes at least.
    fit_intercept, sample_weight
        As for `fit_linear`.

    Returns
    -------
    FitResult
        coef is (n_classes, n_features), intercept (n_classes,); classes are the labels, sorted.

    Raises
    ------
    TypeError, ValueError
        As for `fit_linear`; y has less than two classes, or NaN.

    Notes
    -----
    As for `fit_linear`.

    References
    ----------
    .. [1] J. S. Bridle, "Probabilistic interpretation of feedforward classification network
       outputs, with relationships to statistical pattern recognition", Neurocomputing, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmath_ml.optim import fit_softmax
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0], [0.1, 0.9]])
    >>> model = fit_softmax(X, ["up", "right", "down", "up"], l2=0.01)
    >>> model.classes[(X @ model.coef.T + model.intercept).argmax(axis=1)].tolist()
    ['up', 'right', 'down', 'up']
    """
    classes, numbers = encode_labels(y)
    if len(classes) < 2:
        raise ValueError(f"y has {len(classes)} classes; expected at least 2")
    return fit(
        "softmax",
        X,
        numbers,
        classes,
        method,
        lr,
        batch_size,
        max_epochs,
        l1,
        l2,
        tol,
        rng,
        callback,
        progress,
        warm_start,
        fit_intercept,
        sample_weight,
    )
