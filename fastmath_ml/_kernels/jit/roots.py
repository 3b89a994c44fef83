"""Roots of the caller's function, for many problems at once: Newton's method and bisection.

Each problem is iterated by itself until it converges, with SciPy's rules for one problem, so that
its result does not depend on the others. What is written back after each step (x) is where an
exception of the caller's function happened.
"""

from __future__ import annotations

import math

from .derivatives import STEP, items_of
from .dual import derivative_of, seed, value_of

BLOCK = 16


def make_slope(f, fprime, method, jit):
    """(x, arguments) -> f(x), f'(x)."""
    if method == "given":

        @jit
        def slope(x, more):
            return f(x, *more) * 1.0, fprime(x, *more) * 1.0

    elif method == "dual":

        @jit
        def slope(x, more):
            y = f(seed(1, x), *more)
            return value_of(y), derivative_of(1, y)

    else:

        @jit
        def slope(x, more):
            h = (x + STEP * max(1.0, abs(x))) - x
            near = f(x + h, *more) - f(x - h, *more)
            far = f(x + 2 * h, *more) - f(x - 2 * h, *more)
            return f(x, *more) * 1.0, (8 * near - far) / (12 * h)

    return slope


def make_newton(f, fprime, method, jit):
    slope = make_slope(f, fprime, method, jit)

    @jit
    def body(block, x, converged, n_iter, tol, maxiter, args):
        for i in range(block * BLOCK, min(len(x), (block + 1) * BLOCK)):
            more = items_of(args, i)
            done = False
            k = 0
            while k < maxiter and not done:
                at = x[i]
                y, dy = slope(at, more)
                if y == 0.0:
                    done = True
                    break
                if dy == 0.0:
                    break
                x[i] = at - y / dy
                k += 1
                done = abs(x[i] - at) <= tol
            converged[i] = done
            n_iter[i] = k

    return body


def make_bisect(f, jit):
    @jit
    def body(block, lower, upper, x, converged, n_iter, xtol, rtol, maxiter, args):
        for i in range(block * BLOCK, min(len(x), (block + 1) * BLOCK)):
            more = items_of(args, i)
            x[i] = lower[i]
            y_lower = f(x[i], *more) * 1.0
            if y_lower == 0.0:
                converged[i] = True
                continue
            x[i] = upper[i]
            y_upper = f(x[i], *more) * 1.0
            if y_upper == 0.0:
                converged[i] = True
                continue
            if (y_lower < 0.0) == (y_upper < 0.0) or math.isnan(y_lower + y_upper):
                x[i] = math.nan
                continue
            left, width = lower[i], upper[i] - lower[i]
            for k in range(1, maxiter + 1):
                width *= 0.5
                x[i] = left + width
                y = f(x[i], *more) * 1.0
                if (y < 0.0) == (y_lower < 0.0):
                    left = x[i]
                n_iter[i] = k
                if y == 0.0 or abs(width) < xtol + rtol * abs(x[i]):
                    converged[i] = True
                    break

    return body
