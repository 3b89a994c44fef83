"""Derivatives of the caller's functions, by dual numbers or by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._problems import Function, checked, checked_method, problems, returning, vector_args, vectors

__all__ = ["derivative", "gradient", "hessian", "jacobian"]

Method = Literal["auto", "dual", "difference"]


def differentiate(
    f: Function,
    in_python: Function,
    method: str,
    by_dual: tuple[Any, tuple[Any, ...]],
    by_difference: tuple[Any, tuple[Any, ...]],
    n_items: int,
    context: tuple[Any, ...],
    again: Callable[[int], Any],
    *,
    compiles: bool = True,
) -> None:
    """Run the kernel for dual numbers; where f does not take them, that of differences.

    `in_python` is f with a look at what it returns; `again(i)` calls that where item i called f, to
    raise the exception that was raised there.
    """
    from ._kernels.jit import functions

    refusal = ""
    if method != "difference":
        try:
            functions.run(by_dual[0], (f,), by_dual[1], n_items, context, again)
            return
        except functions.NotCompilable as error:
            refusal = str(error)
            if method == "dual":
                if n_items:
                    again(0)
                raise TypeError(
                    f"{functions.name_of(f)} cannot be differentiated by dual numbers: {refusal}"
                ) from error
    if compiles:
        try:
            functions.run(by_difference[0], (f,), by_difference[1], n_items, context, again)
        except functions.NotCompilable as error:
            refusal = str(error)
        else:
            if refusal:
                functions.warn_difference(f, refusal, 3)
            return
    if refusal:
        if n_items:
            again(0)  # an error of the caller's comes without the warning
        functions.warn_python(f, refusal, 3)
    functions.run_python(by_difference[0], (in_python,), by_difference[1], n_items, context)


def derivative(
    f: Function,
    x: npt.ArrayLike,
    *,
    order: int = 1,
    method: Method = "auto",
    args: tuple[Any, ...] = (),
) -> Any:
    r"""Derivative of a function of one number, at each element of `x`.

    .. math:: f^{(k)}(x) = \frac{d^k f}{d x^k}(x), \quad k = \text{order}

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` of a number, returning a number.
    x : array_like
        Where. Computed in float64.
    order : int, optional
        1 to 6; by differences 1 or 2.
    method : {'auto', 'dual', 'difference'}, optional
        Dual numbers are exact up to rounding. 'auto' takes central differences where `f` does not
        take dual numbers, with a RuntimeWarning; 'dual' raises a TypeError then.
    args : tuple, optional
        Further arguments of `f`: numbers, or arrays that are broadcast with `x`.

    Returns
    -------
    ndarray or float
        The shape of `x` (broadcast with `args`); float32 for float32 and float16, else float64.

    Raises
    ------
    ValueError, TypeError
        An argument has the wrong shape, dtype or value. Exceptions of `f` are passed on.

    Notes
    -----
    The dual derivative is that of the branch that `f` takes. At a kink it is that of one side, of
    abs at 0 it is 0. Where `f` is not a number (the log of a negative one) its derivative is NaN.

    References
    ----------
    .. [1] A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM, 2008.
    .. [2] J. Fike and J. Alonso, "The Development of Hyper-Dual Numbers for Exact
       Second-Derivative Calculations", AIAA 2011-886.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.calculus.derivative(lambda z: z**3, [-2.0, 1.0])
    array([12.,  3.])
    >>> float(fm.calculus.derivative(lambda z: abs(z) * z, -2.0))
    4.0
    """
    from ._kernels.jit import derivatives as kernels

    f, method = checked(f, "f"), checked_method(method)
    highest = 2 if method == "difference" else 6
    if order not in range(1, highest + 1):
        raise ValueError(f"order is {order!r}; expected an integer from 1 to {highest}")
    plain = returning(f, "f")
    shape, dtype, (points,), more = problems(("x",), (x,), args)
    result = np.empty(points.size)

    def again(block: int) -> None:
        for i in range(block * kernels.BLOCK, min(points.size, (block + 1) * kernels.BLOCK)):
            plain(points[i], *(arg[i] for arg in more))

    differentiate(
        f,
        plain,
        "dual" if method == "auto" and order > 2 else method,
        (kernels.make_derivative, (int(order),)),
        (kernels.make_derivative_by_difference, (int(order),)),
        -(-points.size // kernels.BLOCK),
        (points, result, more),
        again,
    )
    return result.reshape(shape).astype(dtype, copy=False)[()]


def gradient(
    f: Function, x: npt.ArrayLike, *, method: Method = "auto", args: tuple[Any, ...] = ()
) -> npt.NDArray[Any]:
    r"""Gradient of a function of a vector.

    .. math:: g_j = \frac{\partial f}{\partial x_j}(x)

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` of a vector of n numbers, returning a number.
    x : array_like
        A point (n,), or a batch of points (..., n).
    method : {'auto', 'dual', 'difference'}, optional
        As for `derivative`.
    args : tuple, optional
        Further arguments of `f`, passed on as they are.

    Returns
    -------
    ndarray
        The shape of `x`; float32 for float32 and float16, else float64.

    Raises
    ------
    ValueError, TypeError
        An argument has the wrong shape, dtype or value. Exceptions of `f` are passed on.

    Notes
    -----
    The error is at rounding level. `f` is run ceil(n / 16) times on dual numbers of 16 directions.

    References
    ----------
    .. [1] A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM, 2008.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.calculus.gradient(lambda x: x[0] ** 2 * x[1], [3.0, 2.0])
    array([12.,  9.])
    """
    from ._kernels.jit import derivatives as kernels

    f, method, args = checked(f, "f"), checked_method(method), vector_args(args)
    points, batch, dtype = vectors(x)
    result, plain = np.empty_like(points), returning(f, "f")
    lanes = (kernels.lanes_for(points.shape[1]),)
    differentiate(
        f,
        plain,
        method,
        (kernels.make_gradient, lanes),
        (kernels.make_gradient_by_difference, lanes),
        len(points),
        (points, result, args),
        lambda i: plain(points[i].copy(), *args),
    )
    return result.reshape(*batch, points.shape[1]).astype(dtype, copy=False)


def jacobian(
    f: Function, x: npt.ArrayLike, *, method: Method = "auto", args: tuple[Any, ...] = ()
) -> npt.NDArray[Any]:
    r"""Jacobian matrix of a function from vectors to vectors.

    .. math:: J_{kj} = \frac{\partial f_k}{\partial x_j}(x)

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` of a vector of n numbers, returning m numbers: an array, a list or a tuple.
    x : array_like
        A point (n,), or a batch of points (..., n).
    method : {'auto', 'dual', 'difference'}, optional
        As for `derivative`.
    args : tuple, optional
        Further arguments of `f`, passed on as they are.

    Returns
    -------
    ndarray
        (..., m, n); float32 for float32 and float16, else float64. Without points m is 0.

    Raises
    ------
    ValueError, TypeError
        An argument has the wrong shape, dtype or value. Exceptions of `f` are passed on.

    Notes
    -----
    The error is at rounding level. `f` is called once in Python, to see how many numbers it
    returns.

    References
    ----------
    .. [1] A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM, 2008.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.calculus.jacobian(lambda x: (x[0] * x[1], x[0] ** 2), [3.0, 2.0])
    array([[2., 3.],
           [6., 0.]])
    """
    from ._kernels.jit import derivatives as kernels

    f, method, args = checked(f, "f"), checked_method(method), vector_args(args)
    points, batch, dtype = vectors(x)
    plain = returning(f, "f", 1)
    with np.errstate(all="ignore"):
        n_results = len(plain(points[0].copy(), *args)) if len(points) else 0
    result = np.zeros((len(points), n_results, points.shape[1]))
    lanes = (kernels.lanes_for(points.shape[1]),)
    differentiate(
        f,
        plain,
        method,
        (kernels.make_jacobian, lanes),
        (kernels.make_jacobian_by_difference, lanes),
        len(points),
        (points, result, args),
        lambda i: plain(points[i].copy(), *args),
        compiles=False,
    )
    return result.reshape(*batch, *result.shape[1:]).astype(dtype, copy=False)


def hessian(
    f: Function, x: npt.ArrayLike, *, method: Method = "auto", args: tuple[Any, ...] = ()
) -> npt.NDArray[Any]:
    r"""Matrix of the second derivatives of a function of a vector.

    .. math:: H_{ij} = \frac{\partial^2 f}{\partial x_i \partial x_j}(x)

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` of a vector of n numbers, returning a number.
    x : array_like
        A point (n,), or a batch of points (..., n).
    method : {'auto', 'dual', 'difference'}, optional
        As for `derivative`, with hyper-dual numbers.
    args : tuple, optional
        Further arguments of `f`, passed on as they are.

    Returns
    -------
    ndarray
        (..., n, n), symmetric to the bit; float32 for float32 and float16, else float64.

    Raises
    ------
    ValueError, TypeError
        An argument has the wrong shape, dtype or value. Exceptions of `f` are passed on.

    Notes
    -----
    The error is at rounding level; by differences it is about 1e-8 of the function's scale.
    `f` is run about n² / 32 times on hyper-dual numbers of 16 directions.

    References
    ----------
    .. [1] J. Fike and J. Alonso, "The Development of Hyper-Dual Numbers for Exact
       Second-Derivative Calculations", AIAA 2011-886.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.calculus.hessian(lambda x: x[0] ** 2 * x[1], [3.0, 2.0])
    array([[4., 6.],
           [6., 0.]])
    """
    from ._kernels.jit import derivatives as kernels

    f, method, args = checked(f, "f"), checked_method(method), vector_args(args)
    points, batch, dtype = vectors(x)
    n = points.shape[1]
    result, plain = np.empty((len(points), n, n)), returning(f, "f")
    lanes = (kernels.lanes_for(n),)
    differentiate(
        f,
        plain,
        method,
        (kernels.make_hessian, lanes),
        (kernels.make_hessian_by_difference, lanes),
        len(points) * n,
        (points, result, args),
        lambda item: plain(points[item // n].copy(), *args),
    )
    return result.reshape(*batch, n, n).astype(dtype, copy=False)
