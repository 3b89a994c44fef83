"""Derivatives, roots and integrals of the caller's functions, compiled, over arrays of problems.

The functions are compiled by Numba at their first use (0.2 to 1 s, once per function and types of
arguments) and run on all threads. A function that Numba cannot compile runs as Python, with a
RuntimeWarning that says why. What a function refers to from outside (globals, closures, arrays) is
compared at each call; when it has changed the function is compiled again.

Functions of one number (`derivative`, `newton`, `bisect`, `integrate`) are written for a single
number x; x, and the items of `args`, may be arrays, which are broadcast against each other: each
element is a problem. Functions of a vector (`gradient`, `jacobian`, `hessian`) get one
one-dimensional x; leading axes of the x that is passed are a batch, and `args` is handed on as it
is.

Derivatives are computed by dual numbers: the function is run on numbers that carry their
derivatives along. It may use arithmetic, ``**``, comparisons and branches, loops, abs, min, max,
sum, the functions of `math` and NumPy's elementwise functions, indexing and slicing of x, ``@``,
np.dot, np.sum, np.mean, np.prod, np.max, np.linalg.norm, np.array of a list, np.empty_like(x).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype

__all__ = [
    "IntegralResult",
    "RootResult",
    "bisect",
    "derivative",
    "gradient",
    "hessian",
    "integrate",
    "jacobian",
    "newton",
]

Function = Callable[..., Any]


class RootResult(NamedTuple):
    """Roots `x`, whether each `converged`, and the iterations `n_iter` that it took."""

    x: Any
    converged: Any
    n_iter: Any


class IntegralResult(NamedTuple):
    """Integrals `value`, their estimated absolute `error`, and whether each `converged`."""

    value: Any
    error: Any
    converged: Any


# ---- arguments ----


def _points(x: Any, name: str) -> tuple[npt.NDArray[Any], np.dtype[Any]]:
    """x as float64, and the dtype of the result: float32 for float16 and float32."""
    array = as_array(x, name)
    dtype = computing_dtype(array.dtype, name)
    return array.astype(np.float64), dtype


def _problems(
    names: tuple[str, ...], values: tuple[Any, ...], args: Any
) -> tuple[tuple[int, ...], np.dtype[Any], list[npt.NDArray[Any]], tuple[npt.NDArray[Any], ...]]:
    """Scalar problems: the common shape, the dtype, `values` and `args` as one line each."""
    if not isinstance(args, tuple):
        raise TypeError(f"args is a {type(args).__name__}; expected a tuple")
    pairs = [_points(value, name) for name, value in zip(names, values, strict=True)]
    extras = [as_array(arg, f"args[{i}]") for i, arg in enumerate(args)]
    for i, extra in enumerate(extras):
        if extra.dtype.kind not in "biufc":
            raise TypeError(f"args[{i}] has dtype {extra.dtype}; expected numbers")
    try:
        shape = np.broadcast_shapes(*(a.shape for a, _ in pairs), *(a.shape for a in extras))
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in [*(a for a, _ in pairs), *extras])
        raise ValueError(
            f"{' and '.join(names)} and args have the shapes {shapes}; "
            "expected shapes that broadcast against each other"
        ) from None
    lines = [np.broadcast_to(a, shape).reshape(-1) for a, _ in pairs]
    more = tuple(_native(np.broadcast_to(extra, shape).reshape(-1)) for extra in extras)
    dtype = np.result_type(*(dtype for _, dtype in pairs))
    return shape, dtype, [np.ascontiguousarray(line) for line in lines], more


def _native(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """In the machine's byte order, aligned, float16 widened: what Numba takes."""
    dtype = np.dtype(np.float64) if x.dtype == np.float16 else x.dtype.newbyteorder("=")
    return np.require(x, dtype, ["C", "A"])


def _vectors(x: Any) -> tuple[npt.NDArray[Any], tuple[int, ...], np.dtype[Any]]:
    """x as a batch of vectors, its leading shape and the dtype of the result."""
    points, dtype = _points(x, "x")
    if points.ndim == 0:
        raise ValueError("x has no axis; expected one point (n,) or a batch (..., n)")
    if points.shape[-1] == 0:
        raise ValueError(f"x has shape {points.shape}; expected at least one variable")
    n_points = points.size // points.shape[-1]
    return np.ascontiguousarray(points.reshape(n_points, -1)), points.shape[:-1], dtype


def _checked(function: Any, name: str) -> Function:
    if not callable(function):
        raise TypeError(f"{name} is a {type(function).__name__}; expected a function")
    return function  # type: ignore[no-any-return]


def _checked_method(method: Any) -> str:
    if method not in ("auto", "dual", "difference"):
        raise ValueError(f"method is {method!r}; expected 'auto', 'dual' or 'difference'")
    return str(method)


def _args(args: Any) -> tuple[Any, ...]:
    """Arguments of a function of a vector: arrays as Numba takes them, the rest untouched."""
    if not isinstance(args, tuple):
        raise TypeError(f"args is a {type(args).__name__}; expected a tuple")
    return tuple(_native(arg) if isinstance(arg, np.ndarray) else arg for arg in args)


def _positive(value: Any, name: str, *, zero: bool = False) -> float:
    number = float(value)
    if not (number >= 0 if zero else number > 0):
        raise ValueError(
            f"{name} is {value!r}; expected a {'non-negative' * zero or 'positive'} number"
        )
    return number


def _differentiate(
    f: Function,
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

    `again(i)` calls f in Python where item i did, to raise the exception that it raised.
    """
    from ._kernels.jit import functions

    stacklevel = 3
    refusal = ""
    if method != "difference":
        try:
            functions.run(by_dual[0], (f,), by_dual[1], n_items, context, again)
            return
        except functions.NotCompilable as error:
            refusal = str(error)
            if method == "dual":
                raise TypeError(
                    f"{functions.name_of(f)} cannot be differentiated by dual numbers: {refusal}"
                ) from error
    if compiles:
        try:
            functions.run(by_difference[0], (f,), by_difference[1], n_items, context, again)
        except functions.NotCompilable as error:
            functions.warn_python(f, str(error), stacklevel)
        else:
            if refusal:
                functions.warn_difference(f, refusal, stacklevel)
            return
    elif refusal:
        functions.warn_python(f, refusal, stacklevel)
    functions.run_python(by_difference[0], (f,), by_difference[1], n_items, context)


# ---- derivatives ----


def derivative(
    f: Function,
    x: npt.ArrayLike,
    *,
    order: int = 1,
    method: str = "auto",
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

    f, method = _checked(f, "f"), _checked_method(method)
    highest = 2 if method == "difference" else 6
    if order not in range(1, highest + 1):
        raise ValueError(f"order is {order!r}; expected an integer from 1 to {highest}")
    shape, dtype, (points,), more = _problems(("x",), (x,), args)
    result = np.empty(points.size)

    def again(block: int) -> None:
        for i in range(block * kernels.BLOCK, min(points.size, (block + 1) * kernels.BLOCK)):
            f(points[i], *(arg[i] for arg in more))

    _differentiate(
        f,
        "dual" if method == "auto" and order > 2 else method,
        (kernels.make_derivative, (int(order),)),
        (kernels.make_derivative_by_difference, (int(order),)),
        -(-points.size // kernels.BLOCK),
        (points, result, more),
        again,
    )
    return result.reshape(shape).astype(dtype, copy=False)[()]


def gradient(
    f: Function, x: npt.ArrayLike, *, method: str = "auto", args: tuple[Any, ...] = ()
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

    f, method, args = _checked(f, "f"), _checked_method(method), _args(args)
    points, batch, dtype = _vectors(x)
    result = np.empty_like(points)
    lanes = (kernels.lanes_for(points.shape[1]),)
    _differentiate(
        f,
        method,
        (kernels.make_gradient, lanes),
        (kernels.make_gradient_by_difference, lanes),
        len(points),
        (points, result, args),
        lambda i: f(points[i].copy(), *args),
    )
    return result.reshape(*batch, -1).astype(dtype, copy=False)


def jacobian(
    f: Function, x: npt.ArrayLike, *, method: str = "auto", args: tuple[Any, ...] = ()
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
        (..., m, n); float32 for float32 and float16, else float64.

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

    f, method, args = _checked(f, "f"), _checked_method(method), _args(args)
    points, batch, dtype = _vectors(x)
    if len(points) == 0:
        raise ValueError(f"x has shape {np.shape(x)}; expected at least one point")
    with np.errstate(all="ignore"):
        first = np.asarray(f(points[0].copy(), *args))
    if first.ndim != 1:
        raise ValueError(
            f"f returns shape {first.shape}; expected a vector (use gradient for numbers)"
        )
    result = np.zeros((len(points), first.size, points.shape[1]))
    lanes = (kernels.lanes_for(points.shape[1]),)
    _differentiate(
        f,
        method,
        (kernels.make_jacobian, lanes),
        (kernels.make_jacobian_by_difference, lanes),
        len(points),
        (points, result, args),
        lambda i: f(points[i].copy(), *args),
        compiles=False,
    )
    return result.reshape(*batch, *result.shape[1:]).astype(dtype, copy=False)


def hessian(
    f: Function, x: npt.ArrayLike, *, method: str = "auto", args: tuple[Any, ...] = ()
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

    f, method, args = _checked(f, "f"), _checked_method(method), _args(args)
    points, batch, dtype = _vectors(x)
    n = points.shape[1]
    result = np.empty((len(points), n, n))
    lanes = (kernels.lanes_for(n),)
    _differentiate(
        f,
        method,
        (kernels.make_hessian, lanes),
        (kernels.make_hessian_by_difference, lanes),
        len(points) * n,
        (points, result, args),
        lambda item: f(points[item // n].copy(), *args),
    )
    return result.reshape(*batch, n, n).astype(dtype, copy=False)


# ---- roots ----


def _run(
    make: Any,
    functions_of_caller: tuple[Function | None, ...],
    constants: tuple[Any, ...],
    n_items: int,
    context: tuple[Any, ...],
    again: Callable[[int], Any],
    constants_python: tuple[Any, ...] | None = None,
) -> None:
    """Run a kernel, compiled or else, with a warning, as Python."""
    from ._kernels.jit import functions

    try:
        functions.run(make, functions_of_caller, constants, n_items, context, again)
    except functions.NotCompilable as error:
        functions.warn_python(functions_of_caller[0], str(error), 3)
        constants = constants if constants_python is None else constants_python
        functions.run_python(make, functions_of_caller, constants, n_items, context)


def newton(
    f: Function,
    x0: npt.ArrayLike,
    fprime: Function | None = None,
    *,
    args: tuple[Any, ...] = (),
    tol: float = 1.48e-8,
    maxiter: int = 50,
) -> RootResult:
    r"""Roots by Newton's method, each element of `x0` being a problem of its own.

    .. math:: x_{k+1} = x_k - \frac{f(x_k)}{f'(x_k)}

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` of a number, returning a number.
    x0 : array_like
        Where to begin. Computed in float64.
    fprime : callable, optional
        The derivative, ``fprime(x, *args)``. Without it the derivative is that of dual numbers
        (where SciPy takes the secant method), or of differences where `f` takes no dual numbers.
    args : tuple, optional
        Further arguments: numbers, or arrays that are broadcast with `x0`.
    tol : float, optional
        A problem has converged when a step is at most `tol` in magnitude, or f(x) = 0.
    maxiter : int, optional
        The largest number of steps.

    Returns
    -------
    RootResult
        `x`, the mask `converged` and the number of steps `n_iter`, each of the shape of `x0`
        (broadcast with `args`). A problem whose derivative becomes 0 stops there, not converged.

    Raises
    ------
    ValueError, TypeError
        An argument has the wrong shape, dtype or value. Exceptions of the functions are passed on.

    Notes
    -----
    The rules are those of `scipy.optimize.newton` for one problem. Each problem stops by itself, so
    that its result does not depend on the others.

    References
    ----------
    .. [1] J. Nocedal and S. Wright, "Numerical Optimization", 2nd ed., Springer, 2006, ch. 11.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> a = np.array([2.0, 9.0])
    >>> fm.calculus.newton(lambda x, a: x * x - a, [1.0, 1.0], args=(a,)).x
    array([1.41421356, 3.        ])
    """
    from ._kernels.jit import roots as kernels

    f = _checked(f, "f")
    if fprime is not None:
        fprime = _checked(fprime, "fprime")
    tol = _positive(tol, "tol")
    maxiter = int(_positive(maxiter, "maxiter"))
    shape, dtype, (start,), more = _problems(("x0",), (x0,), args)
    x = start.copy()
    converged, n_iter = np.zeros(x.size, np.bool_), np.zeros(x.size, np.int64)

    def again(block: int) -> None:
        """x is where each problem stands; the one that failed is among these."""
        for i in range(block * kernels.BLOCK, min(x.size, (block + 1) * kernels.BLOCK)):
            f(x[i], *(arg[i] for arg in more))
            if fprime is not None:
                fprime(x[i], *(arg[i] for arg in more))

    context = (x, converged, n_iter, tol, maxiter, more)
    n_items = -(-x.size // kernels.BLOCK)
    if fprime is not None:
        _run(kernels.make_newton, (f, fprime), ("given",), n_items, context, again)
    else:
        from ._kernels.jit import functions

        try:
            functions.run(kernels.make_newton, (f, None), ("dual",), n_items, context, again)
        except functions.NotCompilable:
            _run(kernels.make_newton, (f, None), ("difference",), n_items, context, again)
    return RootResult(*_shaped(shape, x.astype(dtype, copy=False), converged, n_iter))


def _shaped(shape: tuple[int, ...], *lines: npt.NDArray[Any]) -> tuple[Any, ...]:
    """Arrays of that shape; numbers where it is ()."""
    return tuple(line.reshape(shape)[()] for line in lines)


def bisect(
    f: Function,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    args: tuple[Any, ...] = (),
    xtol: float = 2e-12,
    rtol: float = 8.881784197001252e-16,
    maxiter: int = 100,
) -> RootResult:
    r"""Roots by bisection between `a` and `b`, each pair of elements being a problem of its own.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` of a number, returning a number; continuous, of different signs in a and b.
    a, b : array_like
        The brackets, broadcast against each other. Computed in float64.
    args : tuple, optional
        Further arguments: numbers, or arrays that are broadcast with the brackets.
    xtol, rtol : float, optional
        A problem has converged when half of its bracket is below xtol + rtol * abs(x).
    maxiter : int, optional
        The largest number of halvings.

    Returns
    -------
    RootResult
        `x`, the mask `converged` and the number of halvings `n_iter`. Where f(a) and f(b) have the
        same sign, or one is NaN, x is NaN and has not converged (SciPy raises there, for its one
        problem).

    Raises
    ------
    ValueError, TypeError
        An argument has the wrong shape, dtype or value. Exceptions of `f` are passed on.

    References
    ----------
    .. [1] R. Burden and J. Faires, "Numerical Analysis", 9th ed., ch. 2.1.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.calculus.bisect(lambda x, a: x**3 - a, 0.0, 4.0, args=([8.0, 27.0],)).x.round(9)
    array([2., 3.])
    """
    from ._kernels.jit import roots as kernels

    f = _checked(f, "f")
    xtol, rtol = _positive(xtol, "xtol", zero=True), _positive(rtol, "rtol", zero=True)
    maxiter = int(_positive(maxiter, "maxiter"))
    shape, dtype, (lower, upper), more = _problems(("a", "b"), (a, b), args)
    x = lower.copy()
    converged, n_iter = np.zeros(x.size, np.bool_), np.zeros(x.size, np.int64)

    def again(block: int) -> None:
        for i in range(block * kernels.BLOCK, min(x.size, (block + 1) * kernels.BLOCK)):
            f(x[i], *(arg[i] for arg in more))

    context = (lower, upper, x, converged, n_iter, xtol, rtol, maxiter, more)
    _run(kernels.make_bisect, (f,), (), -(-x.size // kernels.BLOCK), context, again)
    return RootResult(*_shaped(shape, x.astype(dtype, copy=False), converged, n_iter))


# ---- integrals ----


def integrate(
    f: Function,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    args: tuple[Any, ...] = (),
    rtol: float = 1.49e-8,
    atol: float = 1.49e-8,
    limit: int = 200,
) -> IntegralResult:
    r"""Integrals from `a` to `b`, each pair of elements being a problem of its own.

    .. math:: \int_a^b f(x) \, dx

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` of a number, returning a number.
    a, b : array_like
        The ends, broadcast against each other; they may be infinite. Computed in float64.
    args : tuple, optional
        Further arguments: numbers, or arrays that are broadcast with the ends.
    rtol, atol : float, optional
        A problem has converged when its error is at most max(atol, rtol * abs(value)).
    limit : int, optional
        The largest number of subintervals of a problem.

    Returns
    -------
    IntegralResult
        `value`, the estimated absolute `error`, and the mask `converged`. An interval that contains
        a NaN gives NaN.

    Raises
    ------
    ValueError, TypeError
        An argument has the wrong shape, dtype or value. Exceptions of `f` are passed on.

    Notes
    -----
    Adaptive Gauss-Kronrod quadrature with 21 points, without extrapolation: singularities at an end
    are reached by halving (1/sqrt(x) takes about 60 subintervals). Infinite ends are transformed to
    (0, 1], by x = a + (1 - t) / t. The ends themselves are never evaluated.

    References
    ----------
    .. [1] R. Piessens et al., "QUADPACK", Springer, 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> value = fm.calculus.integrate(lambda x: np.exp(-x * x), 0, [1.0, np.inf]).value
    >>> value.round(8)
    array([0.74682413, 0.88622693])
    """
    from ._kernels.jit import integrals as kernels

    f = _checked(f, "f")
    rtol, atol = _positive(rtol, "rtol", zero=True), _positive(atol, "atol", zero=True)
    limit = int(_positive(limit, "limit"))
    shape, dtype, (left, right), more = _problems(("a", "b"), (a, b), args)
    value, error = np.empty(left.size), np.empty(left.size)
    converged = np.zeros(left.size, np.bool_)
    context = (left, right, value, error, converged, rtol, atol, more)

    def again(i: int) -> None:
        kernels.make_integrate(f, limit, lambda function: function)(i, *context)

    _run(kernels.make_integrate, (f,), (limit,), left.size, context, again)
    value = value.astype(dtype, copy=False)
    return IntegralResult(*_shaped(shape, value, error.astype(dtype, copy=False), converged))
