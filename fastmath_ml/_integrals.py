"""Integrals of the caller's functions, each interval by itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._options import count, number
from ._problems import Function, checked, problems, returning, run, shaped

__all__ = ["IntegralResult", "integrate"]


class IntegralResult(NamedTuple):
    """Integrals `value`, their estimated absolute `error`, and whether each `converged`."""

    value: Any
    error: Any
    converged: Any


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
    Adaptive Gauss-Kronrod quadrature with 21 points, without extrapolation: a singularity at 0 is
    reached by halving (1/sqrt(x) takes about 60 subintervals). What does not converge before
    `limit` is reached is computed once more in a variable u, x = a + (b - a) u^2 (3 - 2 u), in
    which 1/sqrt(x) at either end is smooth, and the better of both is returned. Infinite ends are
    transformed to (0, 1], by x = a + (1 - t) / t. The ends themselves are never evaluated.

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

    f = checked(f, "f")
    rtol, atol, limit = number(rtol, "rtol"), number(atol, "atol"), count(limit, "limit")
    shape, dtype, (left, right), more = problems(("a", "b"), (a, b), args)
    value, error = np.empty(left.size), np.empty(left.size)
    converged = np.zeros(left.size, np.bool_)
    context = (left, right, value, error, converged, rtol, atol, more)
    plain = returning(f, "f")

    def again(i: int) -> None:
        kernels.make_integrate(plain, limit, lambda function: function)(i, *context)

    run(kernels.make_integrate, (f,), (limit,), left.size, context, again, (plain,))
    value = value.astype(dtype, copy=False)
    return IntegralResult(*shaped(shape, value, error.astype(dtype, copy=False), converged))
