"""Roots of the caller's function, for many problems at once: Newton's method and bisection.

Each problem is iterated by itself until it converges, with SciPy's rules for one problem, so that
its result does not depend on the others. What is written back after each step (x) is where an
exception of the caller's function happened.

A step waits for the one before, and a division takes longer than all else in it. Where the function
allows it (see packs.py), Newton's method therefore goes on with eight packs of eight problems in
turn: one problem after the other, a million of them took 12 times as long.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .derivatives import STEP, items_of
from .dual import NUMBERS, Lanes, Value, as_value, derivative_of, seed, value_of
from .dual_functions import absolute
from .packs import PACK, WIDTH, load_pack, pack_pointer, packs_of

BLOCK, PACKS = 16, 8  # problems or packs per item
GOING, FLAT, CONVERGED = range(3)  # how a problem stands


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
    def body(block, x, state, n_iter, tol, maxiter, args):
        for i in range(block * BLOCK, min(len(x), (block + 1) * BLOCK)):
            more = items_of(args, i)
            k = 0
            while k < maxiter and state[i] == GOING:
                at = x[i]
                y, dy = slope(at, more)
                if y == 0.0:
                    state[i] = CONVERGED
                elif dy == 0.0:
                    state[i] = FLAT
                else:
                    x[i] = at - y / dy
                    k += 1
                    if abs(x[i] - at) <= tol:
                        state[i] = CONVERGED
            n_iter[i] = k

    return body


@intrinsic
def newton_step(typingctx, x, index, y, dy, state, n_iter, tol):
    """A step of pack `index` from its values and slopes; whether any of its problems goes on.

    A problem that has ended is computed along, unheeded.
    """
    if not all(isinstance(number, (Lanes, *NUMBERS)) for number in (y, dy)):
        return None

    def codegen(context, builder, sig, args):
        integers = ir.VectorType(ir.IntType(64), WIDTH)
        flat, going, converged, one, zero = (
            ir.Constant(integers, [number] * WIDTH) for number in (FLAT, GOING, CONVERGED, 1, 0)
        )
        pointer = pack_pointer(context, builder, x, args[0], args[1])
        state_pointer, n_iter_pointer = (
            builder.bitcast(pack_pointer(context, builder, *pair, args[1]), integers.as_pointer())
            for pair in ((state, args[4]), (n_iter, args[5]))
        )
        at = Value(context, builder, PACK, builder.load(pointer, align=8))
        was = builder.load(state_pointer, align=8)
        value, slope = (
            as_value(context, builder, *pair).lift(PACK) for pair in ((y, args[2]), (dy, args[3]))
        )
        moved = at - value / slope
        is_going = builder.icmp_signed("==", was, going)
        is_no_root = value.compare("!=", 0.0)
        is_moving = builder.and_(is_going, builder.and_(is_no_root, slope.compare("!=", 0.0)))
        tolerance = Value(context, builder, types.float64, args[6])
        is_near = absolute(moved - at).compare("<=", tolerance)
        builder.store(moved.choose(is_moving, at).llvm, pointer, align=8)
        counted = builder.load(n_iter_pointer, align=8)
        counted = builder.add(counted, builder.select(is_moving, one, zero))
        builder.store(counted, n_iter_pointer, align=8)
        moving = builder.select(is_near, converged, going)
        standing = builder.select(is_no_root, flat, converged)
        now = builder.select(is_going, builder.select(is_moving, moving, standing), was)
        builder.store(now, state_pointer, align=8)
        any_going = builder.bitcast(builder.icmp_signed("==", now, going), ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", any_going, ir.Constant(any_going.type, 0))

    return types.boolean(x, types.intp, y, dy, state, n_iter, types.float64), codegen


def make_packed_slopes(f, fprime, method, jit):
    """(x, index, arguments) -> f and f' of pack `index` of x."""
    if method == "given":

        @jit
        def slopes(x, index, args):
            at, more = load_pack(x, index), packs_of(args, index)
            return f(at, *more), fprime(at, *more)

    else:

        @jit
        def slopes(x, index, args):
            y = f(seed(1, load_pack(x, index)), *packs_of(args, index))
            return value_of(y), derivative_of(1, y)

    return slopes


def make_packed_newton(f, fprime, method, jit):
    """make_newton for packs of problems; the length of x is a multiple of WIDTH."""
    slopes = make_packed_slopes(f, fprime, method, jit)

    @jit
    def body(block, x, state, n_iter, tol, maxiter, args):
        first = block * PACKS
        n_packs = min(PACKS, len(x) // WIDTH - first)
        is_going, n_going = np.ones(n_packs, np.bool_), n_packs
        k = 0
        while k < maxiter and n_going > 0:
            for p in range(n_packs):
                if is_going[p]:
                    y, dy = slopes(x, first + p, args)
                    is_going[p] = newton_step(x, first + p, y, dy, state, n_iter, tol)
                    n_going -= 0 if is_going[p] else 1
            k += 1

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
