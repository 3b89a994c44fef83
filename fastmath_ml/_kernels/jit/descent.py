"""Gradient descent on many problems at once: one compiled loop per problem, from start to end.

The caller's functions, the update of the method and the test for the end are compiled into one
body; a problem stays in registers and the first-level cache for all of its iterations. Problems
stop by themselves, so a result does not depend on the other problems of the batch.

`rates` has a row per iteration, (step size, bias correction, decay), computed
beforehand: no power is taken in the loop, and stopping for a callback changes nothing.
"""

from __future__ import annotations

import math

import numpy as np

from .cached import cached_jit
from .derivatives import EPS
from .dual_arrays import new_duals, seed_item, tangents_into
from .packs import (
    WIDTH,
    new_packed_duals,
    pack_view,
    seed_pack,
    store_pack,
    store_pack_tangents,
)
from .trace import gradient_of

PACKED_LANES = 2  # directions at once, of eight problems each; 4 took 1.2 times as long, 10 twice
CENTRAL_STEP = EPS ** (1 / 3)

# ---- the updates: they know nothing of the caller's functions ----
# x, g and the moments of one problem, the row of rates, and the options: momentum or beta1, alpha
# or beta2, eps. Fused multiply-add is allowed, as in the compiled optimizers. What is stored is
# kept in a local for its further use: a vector that is read back, where it straddles two cache
# lines at that, made a step of Adam take 2.5 times as long.

update_jit = cached_jit(fastmath={"contract"})


@update_jit
def sgd(x, g, first, second, rates, options):
    rate = rates[0]
    for j in range(len(x)):
        x[j] -= rate * g[j]


@update_jit
def momentum(x, g, first, second, rates, options):
    rate, factor = rates[0], options[0]
    for j in range(len(x)):
        velocity = factor * first[j] + g[j]
        first[j] = velocity
        x[j] -= rate * velocity


@update_jit
def nesterov(x, g, first, second, rates, options):
    rate, factor = rates[0], options[0]
    for j in range(len(x)):
        velocity = factor * first[j] + g[j]
        first[j] = velocity
        x[j] -= rate * (g[j] + factor * velocity)


@update_jit
def rmsprop(x, g, first, second, rates, options):
    rate, alpha, eps = rates[0], options[1], options[2]
    for j in range(len(x)):
        square = alpha * second[j] + (1.0 - alpha) * g[j] * g[j]
        second[j] = square
        x[j] -= rate * g[j] / (math.sqrt(square) + eps)


@update_jit
def adagrad(x, g, first, second, rates, options):
    rate, eps = rates[0], options[2]
    for j in range(len(x)):
        square = second[j] + g[j] * g[j]
        second[j] = square
        x[j] -= rate * g[j] / (math.sqrt(square) + eps)


@update_jit
def adam(x, g, first, second, rates, options):
    rate, correction, decay = rates[0], rates[1], rates[2]
    beta1, beta2, eps = options[0], options[1], options[2]
    for j in range(len(x)):
        mean, square = first[j], second[j]
        mean += (1.0 - beta1) * (g[j] - mean)
        square = beta2 * square + (1.0 - beta2) * g[j] * g[j]
        first[j], second[j] = mean, square
        # The decay is 0 for Adam; AdamW's does not pass through the moments.
        at = x[j] - decay * x[j]
        x[j] = at - rate * mean / (math.sqrt(square) * correction + eps)


UPDATES = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adam": adam,
    "adamw": adam,
}


@cached_jit()
def clip(x, lower, upper):
    for j in range(len(lower)):
        x[j] = min(max(x[j], lower[j]), upper[j])


@cached_jit()
def largest_slope(x, g, n, lower, upper):
    """The largest |g_j|, without those that point out of the box; NaN if any is NaN."""
    largest = 0.0
    for j in range(n):
        slope = abs(g[j])
        if len(lower) and ((x[j] <= lower[j] and g[j] > 0) or (x[j] >= upper[j] and g[j] < 0)):
            slope = 0.0
        if not slope <= largest:
            largest = slope
            if math.isnan(slope):
                break
    return largest


# ---- the gradient, by three ways ----


def make_gradient_into(fun, grad, way, n_lanes, jit):
    """(x, g, lower, upper, args): the gradient at x, in the box, into g."""
    if way == "given":

        @jit
        def gradient_into(x, g, lower, upper, args):
            for j in range(len(x)):
                g[j] = x[j]
            slopes = grad(x, *args)
            if len(slopes) != len(x):
                raise ValueError("grad returns a gradient of another length than x")
            for j in range(len(x)):
                g[j], x[j] = slopes[j], g[j]  # grad may have written to x

    elif way == "dual":

        @jit
        def gradient_into(x, g, lower, upper, args):
            n = len(x)
            duals = new_duals(1, n_lanes, n)
            row = g.reshape(1, len(g))
            for start in range(0, n, n_lanes):
                for j in range(n):
                    seed_item(duals, j, x[j], j - start, 0.0)
                tangents_into(row, 0, start, min(n_lanes, n - start), fun(duals, *args), 1)

    else:

        @jit
        def gradient_into(x, g, lower, upper, args):
            for j in range(len(x)):
                middle = x[j]
                h = CENTRAL_STEP * max(1.0, abs(middle))
                low, high = middle - h, middle + h
                if len(lower):
                    low, high = max(low, lower[j]), min(high, upper[j])
                x[j] = high
                up = fun(x.copy(), *args)
                x[j] = low
                down = fun(x.copy(), *args)
                x[j] = middle
                g[j] = (up - down) / (high - low) if low != high else 0.0

    return gradient_into


def make_descent(fun, grad, way, n_lanes, update, jit):
    gradient_into = make_gradient_into(fun, grad, way, n_lanes, jit)

    @jit
    def body(
        i, n, x, first, second, values, n_iter, converged, rates, tol, lower, upper, options, args
    ):
        row = x[i]
        g = np.zeros(n)
        for k in range(len(rates)):
            if converged[i]:
                break
            gradient_into(row, g, lower, upper, args)
            slope = largest_slope(row, g, n, lower, upper)
            if slope <= tol:
                converged[i] = True
                break
            update(row, g, first[i], second[i], rates[k], options)
            clip(row, lower, upper)
            if math.isnan(slope):
                break
            n_iter[i] += 1
        values[i] = fun(row.copy(), *args)

    return body


# ---- eight problems at once ----


@cached_jit()
def largest_slopes(x, g, n, lower, upper, tol, slopes):
    """largest_slope of each lane into `slopes`; whether any is at most tol, or NaN."""
    for lane in range(WIDTH):
        slopes[lane] = 0.0
    has_box = len(lower) > 0
    for j in range(n):
        for lane in range(WIDTH):
            at = WIDTH * j + lane
            slope = abs(g[at])
            if has_box and (
                (x[at] <= lower[at] and g[at] > 0) or (x[at] >= upper[at] and g[at] < 0)
            ):
                slope = 0.0
            # A NaN comes in and stays.
            slopes[lane] = slope if slope > slopes[lane] or slope != slope else slopes[lane]
    some_end = False
    for lane in range(WIDTH):
        some_end |= not slopes[lane] > tol
    return some_end


@cached_jit()
def end_lanes(x, ended_x, n, slopes, tol, n_iter, n_done, ended, converged):
    """Keep the point of each lane that ends here; whether all have ended."""
    n_left = 0
    for lane in range(WIDTH):
        if ended[lane]:
            continue
        if slopes[lane] <= tol or slopes[lane] != slopes[lane]:
            ended[lane] = True
            converged[lane] = slopes[lane] <= tol
            n_iter[lane] += n_done
            for j in range(n):
                x_end = x[WIDTH * j + lane]
                ended_x[WIDTH * j + lane] = x_end if converged[lane] else math.nan * x_end
        else:
            n_left += 1
    return n_left == 0


@cached_jit()
def copy_others(x, ended_x, n, n_iter, n_done, ended):
    """The points of the lanes that go on."""
    for lane in range(WIDTH):
        if not ended[lane]:
            n_iter[lane] += n_done
            for j in range(n):
                ended_x[WIDTH * j + lane] = x[WIDTH * j + lane]


def make_packed_gradient_into(fun, grad, way, lanes, jit):
    """(x, n, g, duals, args): the gradient of a pack into g."""
    if way == "reverse":
        gradient_of_tape = gradient_of(lanes)

        @jit
        def gradient_into(x, n, g, duals, args):
            gradient_of_tape(x, g, args)

    elif way == "given":

        @jit
        def gradient_into(x, n, g, duals, args):
            slopes = grad(pack_view(x, n), *args)
            if len(slopes) != n:
                raise ValueError("grad returns a gradient of another length than x")
            for j in range(n):
                store_pack(g, j, slopes[j])

    else:

        @jit
        def gradient_into(x, n, g, duals, args):
            for start in range(0, n, lanes):
                for j in range(n):
                    seed_pack(duals, j, x, j - start)
                y = fun(duals, *args)
                store_pack_tangents(g, start, min(lanes, n - start), y, lanes)

    return gradient_into


def make_packed_descent(fun, grad, way, lanes, update, jit):
    """make_descent for blocks of eight problems. Problems that have ended go on, unheeded.

    `lanes` is the number of directions of dual numbers, or a tape (see trace.py).
    """
    n_duals, n_directions = (0, 1) if way in ("reverse", "given") else (1, lanes)
    gradient_into = make_packed_gradient_into(fun, grad, way, lanes, jit)

    @jit
    def body(
        block,
        n,
        x,
        ended_x,
        first,
        second,
        values,
        n_iter,
        ended,
        converged,
        rates,
        tol,
        lower,
        upper,
        options,
        args,
    ):
        row, first_row, second_row = x[block], first[block], second[block]
        lane_iter, lane_ended, lane_converged = n_iter[block], ended[block], converged[block]
        g, slopes = np.zeros(len(row)), np.empty(WIDTH)
        duals = new_packed_duals(n_directions, n_duals * n)
        n_done, all_ended = 0, lane_ended.all()
        while n_done < len(rates) and not all_ended:
            gradient_into(row, n, g, duals, args)
            if largest_slopes(row, g, n, lower, upper, tol, slopes):
                all_ended = end_lanes(
                    row,
                    ended_x[block],
                    n,
                    slopes,
                    tol,
                    lane_iter,
                    n_done,
                    lane_ended,
                    lane_converged,
                )
                if all_ended:
                    break
            update(row, g, first_row, second_row, rates[n_done], options)
            clip(row, lower, upper)
            n_done += 1
        copy_others(row, ended_x[block], n, lane_iter, n_done, lane_ended)
        store_pack(values[block], 0, fun(pack_view(ended_x[block], n), *args))

    return body
