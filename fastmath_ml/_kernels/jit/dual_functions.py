"""The rules of differentiation: what math, NumPy and Python's operators do with dual numbers.

Each rule takes the value v and returns f(v) and f'(v), written with functions that have rules
themselves; applied to dual v they give the higher derivatives. f' is written so that its relative
error stays at rounding level (1/cosh² and not 1 - tanh², which cancels).
"""

from __future__ import annotations

import builtins
import math
import operator

import numpy as np
from numba import types
from numba.core.typing import signature
from numba.extending import overload

from .dual import common_type, register

LN2, LN10 = math.log(2.0), math.log(10.0)


def apply(function, x):
    """f(x) of a plain or dual number."""
    if not x.is_dual:
        return x.call(function)
    value, slope = SLOPES[function](x.value)
    return x.dual(value, x.tangent.times_slope(slope))


def where_defined(value, slope):
    """NaN as the derivative where the value is: 1 / v looks like one for the log of -2."""
    return value, slope.choose(value.compare("==", value), slope.constant(math.nan))


def _sqrt(v):
    root = apply(math.sqrt, v)
    return root, 0.5 / root


def _exp(v):
    power = apply(math.exp, v)
    return power, power


def _exp2(v):
    power = apply(math.exp2, v)
    return power, power * LN2


def _tan(v):
    tangent = apply(math.tan, v)
    return tangent, tangent * tangent + 1.0


def _tanh(v):
    cosh = apply(math.cosh, v)
    return apply(math.tanh, v), 1.0 / (cosh * cosh)


def _cbrt(v):
    root = apply(np.cbrt, v)
    return root, 1.0 / (root * root * 3.0)


def _gauss(v):
    return apply(math.exp, -(v * v)) * (2.0 / math.sqrt(math.pi))


SLOPES = {
    math.sqrt: _sqrt,
    math.exp: _exp,
    math.exp2: _exp2,
    math.expm1: lambda v: (apply(math.expm1, v), apply(math.exp, v)),
    math.log: lambda v: where_defined(apply(math.log, v), 1.0 / v),
    math.log2: lambda v: where_defined(apply(math.log2, v), 1.0 / (v * LN2)),
    math.log10: lambda v: where_defined(apply(math.log10, v), 1.0 / (v * LN10)),
    math.log1p: lambda v: where_defined(apply(math.log1p, v), 1.0 / (v + 1.0)),
    math.sin: lambda v: (apply(math.sin, v), apply(math.cos, v)),
    math.cos: lambda v: (apply(math.cos, v), -apply(math.sin, v)),
    math.tan: _tan,
    math.asin: lambda v: (apply(math.asin, v), 1.0 / apply(math.sqrt, (1.0 - v) * (v + 1.0))),
    math.acos: lambda v: (apply(math.acos, v), -1.0 / apply(math.sqrt, (1.0 - v) * (v + 1.0))),
    math.atan: lambda v: (apply(math.atan, v), 1.0 / (v * v + 1.0)),
    math.sinh: lambda v: (apply(math.sinh, v), apply(math.cosh, v)),
    math.cosh: lambda v: (apply(math.cosh, v), apply(math.sinh, v)),
    math.tanh: _tanh,
    math.asinh: lambda v: (apply(math.asinh, v), 1.0 / apply(math.sqrt, v * v + 1.0)),
    math.acosh: lambda v: (
        apply(math.acosh, v),
        1.0 / (apply(math.sqrt, v - 1.0) * apply(math.sqrt, v + 1.0)),
    ),
    math.atanh: lambda v: where_defined(apply(math.atanh, v), 1.0 / ((1.0 - v) * (v + 1.0))),
    math.erf: lambda v: (apply(math.erf, v), _gauss(v)),
    math.erfc: lambda v: (apply(math.erfc, v), -_gauss(v)),
    np.cbrt: _cbrt,
}
# NumPy's names of the same functions.
NUMPY_NAMES = {
    math.sqrt: [np.sqrt],
    math.exp: [np.exp],
    math.exp2: [np.exp2],
    math.expm1: [np.expm1],
    math.log: [np.log],
    math.log2: [np.log2],
    math.log10: [np.log10],
    math.log1p: [np.log1p],
    math.sin: [np.sin],
    math.cos: [np.cos],
    math.tan: [np.tan],
    math.asin: [np.arcsin],
    math.acos: [np.arccos],
    math.atan: [np.arctan],
    math.sinh: [np.sinh],
    math.cosh: [np.cosh],
    math.tanh: [np.tanh],
    math.asinh: [np.arcsinh],
    math.acosh: [np.arccosh],
    math.atanh: [np.arctanh],
}


# ---- functions without a slope table: pieces, and functions of two numbers ----


def absolute(x):
    """|x|, with derivative 0 at 0 (as torch and JAX have it)."""
    if not x.is_dual:
        return x.call(math.fabs)
    result = x.choose(x.compare(">", 0.0), x.constant(0.0))
    return keep_nan(x, (-x).choose(x.compare("<", 0.0), result))


def keep_nan(x, otherwise):
    """x itself where it is NaN."""
    return x.choose(x.compare("!=", x), otherwise)


def step(function):
    """A function that is constant between jumps: its derivative is 0."""
    return lambda x: x.number.call(function).lift(x.type)


def lifted(*values):
    """Operands in their common dual type."""
    dual = common_type([x.type for x in values])
    return [x.lift(dual) for x in values]


def builtin_max(*operands):
    """As Python's: the first unless a later one is larger."""
    largest, *others = lifted(*operands)
    for x in others:
        largest = x.choose(x.compare(">", largest), largest)
    return largest


def builtin_min(*operands):
    least, *others = lifted(*operands)
    for x in others:
        least = x.choose(x.compare("<", least), least)
    return least


def maximum(a, b):
    """As np.maximum: NaN if either is."""
    first, second = lifted(a, b)
    return keep_nan(first, first.choose(first.compare(">=", second), second))


def minimum(a, b):
    first, second = lifted(a, b)
    return keep_nan(first, first.choose(first.compare("<=", second), second))


def fmax(a, b):
    """As np.fmax: the other where one is NaN."""
    first, second = lifted(a, b)
    chosen = first.choose(first.compare(">=", second), second)
    return first.choose(second.compare("!=", second), chosen)


def fmin(a, b):
    first, second = lifted(a, b)
    chosen = first.choose(first.compare("<=", second), second)
    return first.choose(second.compare("!=", second), chosen)


def arctan2(y, x):
    if not y.is_dual and not x.is_dual:
        return y.call(math.atan2, x)
    y, x = lifted(y, x)
    norm_sq = y.value * y.value + x.value * x.value
    tangent = y.tangent.times_slope(x.value / norm_sq)
    tangent += x.tangent.times_slope(-(y.value / norm_sq))
    return y.dual(arctan2(y.value, x.value), tangent)


def hypot(x, y):
    if not x.is_dual and not y.is_dual:
        return x.call(math.hypot, y)
    x, y = lifted(x, y)
    norm = hypot(x.value, y.value)
    tangent = x.tangent.times_slope(x.value / norm) + y.tangent.times_slope(y.value / norm)
    return x.dual(norm, tangent)


def copysign(x, y):
    """|x| with the sign of y, which is a plain choice."""
    x, y = lifted(x, y)
    same = x.number.call(math.copysign, y.number)
    return x.choose(x.compare("==", same), -x)


def remainder(function):
    """a - n b, by Python's or C's function; n, a whole number, has no derivative."""

    def rule(a, b):
        a, b = lifted(a, b)
        value = a.number.call(function, b.number)
        whole = ((a.number - value) / b.number).call(np.rint)
        return replace_number(a - b * whole, value)

    return rule


def replace_number(x, number):
    """x with this value, which was computed more exactly."""
    if x.is_dual:
        return x.dual(replace_number(x.value, number), x.tangent)
    return number


def logaddexp(a, b):
    a, b = lifted(a, b)
    top = maximum(a, b)
    low = minimum(a, b)
    return top + apply(math.log1p, apply(math.exp, low - top))


# ---- powers ----

LARGEST_UNROLLED_EXPONENT = 64


def power(base, exponent):
    """base ** exponent; a negative base is right wherever the plain power is."""
    if exponent.literal is not None and abs(exponent.literal) <= LARGEST_UNROLLED_EXPONENT:
        return power_of_integer(base, exponent.literal)
    if not exponent.is_dual:
        return power_of_number(base, exponent)
    base, exponent = lifted(base, exponent)
    value = power(base.value, exponent.value)
    slope = exponent.value * power(base.value, exponent.value - 1.0)
    tangent = base.tangent.times_slope(slope)
    # base ** exponent * log(base): where the exponent does not vary its factor 0 wins over NaN.
    # The limit at base 0 is 0.
    logarithm = apply(math.log, base.value)
    at_zero = base.value.compare("==", 0.0)
    slope = value.constant(0.0).choose(at_zero, value * logarithm)
    return base.dual(value, tangent + exponent.tangent.times_slope(slope))


def power_of_number(base, exponent):
    """The exponent a plain float64."""
    if not base.is_dual:
        return base.call(operator.pow, exponent)
    value = power_of_number(base.value, exponent)
    slope = power_of_number(base.value, exponent - 1.0) * exponent
    # x ** 0 is constant, at 0 too, where 0 * 0 ** -1 would be NaN.
    is_constant = exponent.compare("==", 0.0)
    slope = slope.constant(0.0).choose(is_constant, slope)
    return base.dual(value, base.tangent.times_slope(slope))


def power_of_integer(base, exponent):
    """The exponent an integer of the compiler: multiplications."""
    if exponent < 0:
        return 1.0 / power_of_integer(base, -exponent)
    result, square = None, base
    while exponent:
        if exponent & 1:
            result = square if result is None else result * square
        exponent >>= 1
        if exponent:
            square = square * square
    return base.constant(1.0) if result is None else result


# ---- registration ----

for _function in SLOPES:
    for _name in [_function, *NUMPY_NAMES.get(_function, [])]:
        register(_name, lambda x, function=_function: apply(function, x), 1)

for _names, _rule in {
    (abs, math.fabs, np.abs, np.fabs): absolute,
    (np.floor,): step(np.floor),
    (np.ceil,): step(np.ceil),
    (np.trunc,): step(np.trunc),
    (np.rint,): step(np.rint),
    (np.sign,): step(np.sign),
    (np.square,): lambda x: x * x,
    (np.negative,): lambda x: -x,
    (np.positive, float): lambda x: x,
    (np.reciprocal,): lambda x: 1.0 / x,
    (math.radians, np.radians, np.deg2rad): lambda x: x * (math.pi / 180.0),
    (math.degrees, np.degrees, np.rad2deg): lambda x: x * (180.0 / math.pi),
}.items():
    for _function in _names:
        register(_function, _rule, 1)

for _function in (math.floor, math.ceil, math.trunc, int, round):
    register(
        _function,
        lambda x, function=math.trunc if _function is int else _function: x.context.get_function(
            function, signature(types.int64, types.float64)
        )(x.builder, [x.number.llvm]),
        1,
        returns=types.int64,
    )

for _names in ((math.isnan, np.isnan), (math.isinf, np.isinf), (math.isfinite, np.isfinite)):
    for _function in _names:
        register(
            _function,
            lambda x, function=_names[0]: x.context.get_function(
                function, signature(types.boolean, types.float64)
            )(x.builder, [x.number.llvm]),
            1,
            returns=types.boolean,
        )

for _names, _rule in {
    (np.maximum,): maximum,
    (np.minimum,): minimum,
    (np.fmax,): fmax,
    (np.fmin,): fmin,
    (math.atan2, np.arctan2): arctan2,
    (math.hypot, np.hypot): hypot,
    (math.copysign, np.copysign): copysign,
    (operator.mod, operator.imod, np.remainder, np.mod): remainder(operator.mod),
    (math.fmod, np.fmod): remainder(np.fmod),
    (operator.floordiv, operator.ifloordiv, np.floor_divide): lambda a, b: a.number.call(
        operator.floordiv, b.number
    ),
    (np.logaddexp,): logaddexp,
    (np.add,): lambda a, b: a + b,
    (np.subtract,): lambda a, b: a - b,
    (np.multiply,): lambda a, b: a * b,
    (np.divide, np.true_divide): lambda a, b: a / b,
}.items():
    for _function in dict.fromkeys(_names):
        register(_function, _rule, 2)


for _n_operands in (2, 3, 4):
    register(builtins.max, builtin_max, _n_operands)
    register(builtins.min, builtin_min, _n_operands)

# With a literal integer exponent ** becomes multiplications, as LLVM does for numbers.
for _function in (operator.pow, operator.ipow, pow, math.pow, np.power, np.float_power):
    register(_function, power, 2, prefer_literal=True)


@overload(divmod)
def divmod_of_duals(a, b):
    return None if common_type([a, b]) is None else lambda a, b: (a // b, a % b)
