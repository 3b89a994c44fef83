"""Roots of the caller's functions, each problem by itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._options import count, number
from ._problems import Function, checked, filled, packs, problems, returning, run, shaped

__all__ = ["RootResult", "bisect", "newton"]

WIDTH = 8  # problems in a vector, that of _kernels.jit.packs


class RootResult(NamedTuple):
    """Roots `x`, whether each `converged`, and the iterations `n_iter` that it took."""

    x: Any
    converged: Any
    n_iter: Any


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
    from ._kernels.jit import functions
    from ._kernels.jit import roots as kernels

    f = checked(f, "f")
    if fprime is not None:
        fprime = checked(fprime, "fprime")
    tol, maxiter = number(tol, "tol", "(0, inf]"), count(maxiter, "maxiter")
    shape, dtype, (start,), more = problems(("x0",), (x0,), args)
    plain = (returning(f, "f"), fprime and returning(fprime, "fprime"))
    n, n_filled = start.size, -(-start.size // WIDTH) * WIDTH
    way, packed = "dual" if fprime is None else "given", packs(args, more, n_filled)
    # From the fastest form to the last resort.
    forms = [(kernels.make_newton, way, kernels.BLOCK, start, more)]
    if packed is not None:
        per_item = kernels.PACKS * WIDTH
        forms.insert(
            0, (kernels.make_packed_newton, way, per_item, filled(start, n_filled), packed)
        )
    if fprime is None:
        forms.append((kernels.make_newton, "difference", kernels.BLOCK, start, more))

    def again(item: int) -> None:
        """x is where each problem stands; the one that failed is among these."""
        for i in range(item * per_item, min(n, (item + 1) * per_item)):
            for function in filter(None, plain):
                function(x[i], *(arg[i] for arg in more))

    for form in forms:
        make, way, per_item, starts, arguments = form
        x, state = starts.copy(), np.full(starts.size, kernels.GOING)
        n_iter = np.zeros(starts.size, np.int64)
        context = (x, state, n_iter, tol, maxiter, arguments)
        n_items = -(-starts.size // per_item)
        if form is forms[-1]:
            run(make, (f, fprime), (way,), n_items, context, again, plain)
            break
        try:
            functions.run(make, (f, fprime), (way,), n_items, context, again)
            break
        except functions.NotCompilable:
            pass  # nothing has been computed yet
    x, converged, n_iter = (
        x[:n].astype(dtype, copy=False),
        state[:n] == kernels.CONVERGED,
        n_iter[:n],
    )
    return RootResult(*shaped(shape, x, converged, n_iter))


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

    f = checked(f, "f")
    xtol, rtol, maxiter = number(xtol, "xtol"), number(rtol, "rtol"), count(maxiter, "maxiter")
    shape, dtype, (lower, upper), more = problems(("a", "b"), (a, b), args)
    x, plain = lower.copy(), returning(f, "f")
    converged, n_iter = np.zeros(x.size, np.bool_), np.zeros(x.size, np.int64)

    def again(block: int) -> None:
        for i in range(block * kernels.BLOCK, min(x.size, (block + 1) * kernels.BLOCK)):
            plain(x[i], *(arg[i] for arg in more))

    context = (lower, upper, x, converged, n_iter, xtol, rtol, maxiter, more)
    n_items = -(-x.size // kernels.BLOCK)
    run(kernels.make_bisect, (f,), (), n_items, context, again, (plain,))
    return RootResult(*shaped(shape, x.astype(dtype, copy=False), converged, n_iter))
