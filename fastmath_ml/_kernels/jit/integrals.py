"""Adaptive Gauss-Kronrod quadrature, an interval per problem.

The 21-point rule and its embedded 10-point Gauss rule give a value and an error; the subinterval
with the largest error is halved until the sum of the errors is small enough, as in QUADPACK's QAG,
whose error estimate and transformation of infinite intervals are used. The subintervals lie in a
heap ordered by their error. What has not converged, as where a singularity at an end that is not 0
cannot be reached by halving, is tried once more in a variable that is flat at both ends.
"""

from __future__ import annotations

import math

import numpy as np

from .cached import cached_jit
from .derivatives import items_of

# Kronrod's nodes in [0, 1] and their weights; the odd ones are Gauss's.
NODES = np.array(
    [
        0.9956571630258080807355,
        0.9739065285171717200780,
        0.9301574913557082260012,
        0.8650633666889845107321,
        0.7808177265864168970637,
        0.6794095682990244062343,
        0.5627571346686046833390,
        0.4333953941292471907993,
        0.2943928627014601981311,
        0.1488743389816312108848,
        0.0,
    ]
)
KRONROD = np.array(
    [
        0.0116946388673718742781,
        0.0325581623079647274788,
        0.0547558965743519960314,
        0.0750396748109199527670,
        0.0931254545836976055351,
        0.1093871588022976418992,
        0.1234919762620658510780,
        0.1347092173114733259281,
        0.1427759385770600807971,
        0.1477391049013384913748,
        0.1494455540029169056649,
    ]
)
GAUSS = np.array(
    [
        0.0666713443086881375936,
        0.1494513491505805931458,
        0.2190863625159820439955,
        0.2692667193099963550912,
        0.2955242247147528701739,
    ]
)
EPS = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)

# How x follows from the variable t of the rule.
FINITE, UPWARD, DOWNWARD, WHOLE_LINE = range(4)


# The heap: rows of (error, value, left, right), each with at least the error of its children.


@cached_jit()
def push(heap, n, error, value, left, right):
    """Put a subinterval into the heap of n."""
    place = n
    while place > 0 and heap[(place - 1) // 2, 0] < error:
        heap[place] = heap[(place - 1) // 2]
        place = (place - 1) // 2
    heap[place, 0], heap[place, 1], heap[place, 2], heap[place, 3] = error, value, left, right


@cached_jit()
def pop(heap, n):
    """Take the subinterval with the largest error out of the heap of n; its ends."""
    left, right = heap[0, 2], heap[0, 3]
    error = heap[n - 1, 0]
    place = 0
    while True:
        child = 2 * place + 1
        if child + 1 < n - 1 and heap[child + 1, 0] > heap[child, 0]:
            child += 1
        if child >= n - 1 or heap[child, 0] <= error:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = heap[n - 1]
    return left, right


@cached_jit()
def sums(heap, n):
    """The sum of the values and of the errors: anew each time, differences would lose digits."""
    total, total_error = 0.0, 0.0
    for k in range(n):
        total += heap[k, 1]
        total_error += heap[k, 0]
    return total, total_error


@cached_jit()
def weigh(values, half):
    """The integral of a subinterval and its error from the values at its nodes."""
    kronrod, gauss, magnitude = 0.0, 0.0, 0.0
    for i in range(21):
        weight = KRONROD[min(i, 20 - i)]
        kronrod += weight * values[i]
        magnitude += weight * abs(values[i])
        if i % 2 == 1:
            gauss += GAUSS[min(i, 20 - i) // 2] * values[i]
    mean, deviation = 0.5 * kronrod, 0.0
    for i in range(21):
        deviation += KRONROD[min(i, 20 - i)] * abs(values[i] - mean)
    error = abs((kronrod - gauss) * half)
    deviation, magnitude = deviation * half, magnitude * half
    if deviation != 0.0 and error != 0.0:
        error = deviation * min(1.0, (200.0 * error / deviation) ** 1.5)
    if magnitude > TINY / (50.0 * EPS):
        error = max(50.0 * EPS * magnitude, error)
    return kronrod * half, error


def make_integrate(f, limit, jit):
    """The caller's function stands at one place only: each further one is compiled again."""

    @jit
    def evaluate(left, right, kind, low, high, smooth, more, values):
        """The transformed integrand at the nodes, of x within (low, high) and off its finite ends.

        x = low + (1 - t) / t, or high - (1 - t) / t, for infinite ends. With `smooth` t, or x of a
        finite interval, is a cubic of the variable that is flat at both ends; what remains to the
        ends is computed from the nearer one, so that it does not cancel.
        """
        center, half = 0.5 * (left + right), 0.5 * (right - left)
        n_sides = 2 if kind == WHOLE_LINE else 1
        for i in range(21):
            node = NODES[i] if i < 11 else -NODES[20 - i]
            t = center - half * node
            rest, scale = 1.0 - t, 1.0
            if smooth:
                scale = 6.0 * t * rest
                t, rest = t * t * (3.0 - 2.0 * t), rest * rest * (3.0 - 2.0 * rest)
            if kind != FINITE:
                scale /= t * t
            values[i] = 0.0
            for side in range(n_sides):
                x = t
                if kind == FINITE and smooth:
                    x = low + (high - low) * t if t < 0.5 else high - (high - low) * rest
                elif kind == DOWNWARD:
                    x = high - rest / t
                elif kind == UPWARD:
                    x = low + rest / t
                elif kind == WHOLE_LINE:
                    x = -rest / t if side == 1 else rest / t
                if x <= low:
                    x = np.nextafter(low, high)
                elif x >= high:
                    x = np.nextafter(high, low)
                values[i] += f(x, *more) * scale
        return half * (high - low) if kind == FINITE and smooth else half

    @jit
    def halve(left, right, kind, low, high, smooth, rtol, atol, more, heap, values):
        """The integral over the variable from left to right, its error, and whether there was room
        for more subintervals."""
        n, n_new, middle = 0, 1, right
        while True:
            for part in range(n_new):
                first, last = (left, middle) if part == 0 else (middle, right)
                half = evaluate(first, last, kind, low, high, smooth, more, values)
                y, y_error = weigh(values, half)
                push(heap, n, y_error, y, first, last)
                n += 1
            total, total_error = sums(heap, n)
            if total_error <= max(atol, rtol * abs(total)) or n >= limit:
                break
            if math.isnan(total) or math.isinf(total):
                break
            left, right = heap[0, 2], heap[0, 3]
            middle = 0.5 * (left + right)
            if not left < middle < right or right - left < 100 * EPS * abs(middle):
                break  # a singularity inside: halving goes no further
            if smooth and kind != WHOLE_LINE:
                # Nearer to an end than x has numbers there: what is found would be the clamp's.
                near_low = kind == UPWARD or (kind == FINITE and middle < 0.5)
                edge = low if near_low else high
                span = high - low if kind == FINITE else 1.0
                rest = min(right, 1.0 - left)
                is_near = kind == FINITE or left >= 0.5
                if is_near and 3.0 * rest * rest * span < 100 * EPS * abs(edge):
                    break
            pop(heap, n)
            n -= 1
            n_new = 2
        return total, total_error, n < limit

    @jit
    def body(i, a, b, value, error, converged, rtol, atol, args):
        left, right, more = a[i], b[i], items_of(args, i)
        if left == right or math.isnan(left) or math.isnan(right):
            value[i] = 0.0 if left == right else math.nan
            error[i] = value[i]
            converged[i] = left == right
            return
        sign, kind = 1.0, FINITE
        if left > right:
            left, right, sign = right, left, -1.0
        if math.isinf(left) and math.isinf(right):
            kind = WHOLE_LINE
        elif math.isinf(right):
            kind = UPWARD
        elif math.isinf(left):
            kind = DOWNWARD
        low, high = left, right
        heap, values = np.empty((limit, 4)), np.empty(21)
        for attempt in range(2):
            smooth = attempt == 1
            if smooth or kind != FINITE:
                left, right = 0.0, 1.0
            total, total_error, has_room = halve(
                left, right, kind, low, high, smooth, rtol, atol, more, heap, values
            )
            if not smooth or total_error < error[i] or not math.isfinite(value[i]):
                value[i], error[i] = total, total_error
            converged[i] = math.isfinite(value[i]) and error[i] <= max(atol, rtol * abs(value[i]))
            if converged[i] or not has_room:
                break
        value[i] *= sign

    return body
