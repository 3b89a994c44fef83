"""Operators and NumPy's functions of arrays of duals, item by item, for one dimension.

They emit their loops directly: written as Numba overloads, np.sum(100 * (x[1:] - x[:-1]**2)**2)
took 30 s to compile. Importing this registers them with Numba.
"""

from __future__ import annotations

import itertools
import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin, overload

from . import dual_functions  # noqa: F401  (fills RULES)
from .dual import COMPARISONS, OURS, RULES, is_packed, patterns
from .dual_arrays import (
    ARRAYS,
    DualArray,
    Operand,
    dual_of,
    empty_duals,
    new_array,
    store_dual,
)


def common_length(context, builder, operands):
    """The length of the result; an error of the compiled function where lengths do not fit."""
    length = None
    for operand in operands:
        if not operand.is_array:
            continue
        if length is None:
            length = operand.length
            continue
        one = ir.Constant(length.type, 1)
        is_one = builder.icmp_signed("==", length, one)
        fits = builder.or_(
            builder.icmp_signed("==", length, operand.length),
            builder.or_(is_one, builder.icmp_signed("==", operand.length, one)),
        )
        check_lengths(context, builder, fits)
        length = builder.select(is_one, operand.length, length)
    return length


def check_lengths(context, builder, fit):
    with builder.if_then(builder.not_(fit), likely=False):
        message = "operands could not be broadcast together"
        context.call_conv.return_user_exc(builder, ValueError, (message,))


def assign(array, value):
    """array[:] = value"""


IN_PLACE = {
    *(operator.iadd, operator.isub, operator.imul, operator.itruediv),
    *(operator.imod, operator.ifloordiv, operator.ipow, assign),
}


def elementwise(function, rule, n_operands, prefer_literal=False, returns=None):
    """`function` of arrays of duals by the rule for their items; `returns`: what is not dual."""

    def generic(self, args, kws):
        if len(args) != n_operands or kws:
            return None
        is_vector = [getattr(x, "ndim", 0) == 1 for x in args]
        dual = dual_of(*args)
        if dual is None or not any(is_vector) or any(getattr(x, "ndim", 0) > 1 for x in args):
            return None
        if returns is not None:
            return None if is_packed(dual) else signature(types.Array(returns, 1, "C"), *args)
        if function in IN_PLACE and is_vector[0]:
            # An array of floats cannot hold derivatives.
            is_ours = isinstance(args[0], DualArray) and args[0].dtype == dual
            return signature(args[0], *args) if is_ours and args[0].mutable else None
        return signature(DualArray(dual), *args)

    name = f"DualArray_{function.__name__}"
    members = {"key": function, "generic": generic, "prefer_literal": prefer_literal}
    infer_global(function, types.Function(type(name, (AbstractTemplate,), members)))

    def lower(context, builder, sig, args):
        operands = [Operand(context, builder, *pair) for pair in zip(sig.args, args, strict=True)]
        length = common_length(context, builder, operands)
        array_type, dtype = sig.return_type, sig.return_type.dtype
        if function in IN_PLACE:
            array_type = DualArray(dtype)
            check_lengths(context, builder, builder.icmp_signed("==", length, operands[0].length))
        buffer, result = new_array(context, builder, array_type, length)
        with cgutils.for_range(builder, length) as loop:
            value = rule(*(operand[loop.index] for operand in operands))
            pointer = builder.gep(buffer.data, [loop.index])
            if returns is None:
                store_dual(builder, pointer, value.lift(dtype))
            else:
                context.pack_value(builder, dtype, value, pointer)
        if function in IN_PLACE:  # at the end: the operands may overlap
            values = Operand(context, builder, array_type, result)
            with cgutils.for_range(builder, length) as loop:
                store_dual(builder, operands[0].pointer(loop.index), values[loop.index])
            context.nrt.decref(builder, array_type, result)
            result = impl_ret_borrowed(context, builder, sig.return_type, args[0])
        return result

    for pattern in patterns(DualArray, n_operands):
        lower_builtin(function, *pattern)(lower)
    if n_operands == 2:
        # Numba has patterns with Array of its own: without these two would fit equally well.
        for array, other in ((types.Array, DualArray), *itertools.product(ARRAYS, OURS)):
            lower_builtin(function, array, other)(lower)
            lower_builtin(function, other, array)(lower)
        lower_builtin(function, DualArray, types.IntegerLiteral)(lower)


for _function, (_rule, _n_operands, _prefer_literal) in RULES.items():
    if _function not in (max, min, float):  # of an array: its largest item; not at all
        elementwise(_function, _rule, _n_operands, _prefer_literal)
for _function, _rule in COMPARISONS.items():  # no functions of NumPy: Numba would fuse them
    elementwise(_function, _rule, 2, returns=types.boolean)
elementwise(assign, lambda a, b: b, 2)


@overload(operator.setitem)
def set_slice(array, index, value):
    if not isinstance(array, DualArray) or not isinstance(index, types.SliceType):
        return None

    def fill(array, index, value):
        assign(array[index], value)

    return fill


@overload(np.where)
def overload_where(condition, x, y):
    if dual_of(x, y) is None:
        return None
    if isinstance(condition, types.Boolean):
        return lambda condition, x, y: x if condition else y

    def choose(condition, x, y):
        chosen, others = empty_duals(x, y, len(condition)), empty_duals(x, y, len(condition))
        chosen[:] = x
        others[:] = y
        for i in range(len(condition)):
            if condition[i]:
                others[i] = chosen[i]
        return others

    return choose
