"""Arrays of dual numbers: what the caller's function gets as x.

Numba's own array with dual items: indexing, slicing, iteration, len and attributes are Numba's.
What is done with the items is in dual_elementwise.py and dual_reductions.py. (A subclass of
types.Array instead of types.Buffer would be fused into Numba's array expressions, which refuse
items that are no NumPy numbers.)
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel.models import ArrayModel
from numba.core.imputils import impl_ret_new_ref
from numba.core.typeconv import Conversion
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import (
    intrinsic,
    lower_builtin,
    lower_cast,
    models,
    overload,
    overload_attribute,
    overload_classmethod,
    overload_method,
    register_model,
)
from numba.np.arrayobj import _empty_nd_impl, intrin_alloc, make_array

from . import dual_functions  # noqa: F401  (fills RULES)
from .dual import (
    NUMBERS,
    Dual,
    Lanes,
    Value,
    as_value,
    common_type,
    dual_type,
)


class DualBuffer(types.Buffer):
    """The memory of an array of duals, in Numba's terms."""


class DualArray(types.IterableType):
    """A one-dimensional array of dual numbers."""

    ndim = 1

    def __init__(self, dtype, layout="C", mutable=True):
        self.dtype, self.layout, self.mutable = dtype, layout, mutable
        self.buffer = DualBuffer(dtype, 1, layout)
        super().__init__(name=f"DualArray({dtype}, {layout}, {mutable})")

    def can_convert_to(self, typingctx, other):
        is_like = isinstance(other, DualArray) and self.buffer == other.buffer
        return Conversion.safe if is_like and not other.mutable else None

    def unify(self, typingctx, other):
        """`y = x` followed by `y = 2 * y` makes y one that is not written to."""
        return self if other.can_convert_to(typingctx, self) else None

    @property
    def iterator_type(self):
        return self.buffer.iterator_type


register_model(DualBuffer)(ArrayModel)


@register_model(DualArray)
class DualArrayModel(models.StructModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, [("buffer", fe_type.buffer)])


@lower_cast(DualArray, DualArray)
def as_it_is(context, builder, from_type, to_type, llvm):
    return llvm


def buffer_of(context, builder, array_type, llvm):
    """Numba's structure of the array: data, shape, strides."""
    return make_array(array_type.buffer)(context, builder, builder.extract_value(llvm, 0))


def wrap(context, builder, array_type, buffer_llvm):
    empty = ir.Constant(context.get_value_type(array_type), ir.Undefined)
    return builder.insert_value(empty, buffer_llvm, 0)


def new_array(context, builder, array_type, length):
    """Numba's structure of a new array, and the array as a value."""
    buffer = _empty_nd_impl(context, builder, buffer_of_type(array_type), (length,))
    array = buffer._getvalue()
    if isinstance(array_type, DualArray):
        array = wrap(context, builder, array_type, array)
    return buffer, impl_ret_new_ref(context, builder, array_type, array)


@overload_classmethod(DualBuffer, "_allocate", target="CPU")
def allocate_duals(cls, size, align):
    return lambda cls, size, align: intrin_alloc(size, align)


# ---- indexing, iteration: mostly Numba's ----


def forward(function, array, others):
    """Numba's implementation of `function` for the buffer, and its signature."""

    def codegen(context, builder, sig, args):
        buffer_sig = signature(buffer_of_type(sig.return_type), array.buffer, *sig.args[1:])
        call = context.get_function(function, buffer_sig)
        result = call(builder, [builder.extract_value(args[0], 0), *args[1:]])
        if isinstance(sig.return_type, DualArray):
            return wrap(context, builder, sig.return_type, result)
        return result

    return codegen


def buffer_of_type(type_):
    return type_.buffer if isinstance(type_, DualArray) else type_


@infer_global(operator.getitem)
class GetItem(AbstractTemplate):
    def generic(self, args, kws):
        array, index = args
        if not isinstance(array, DualArray):
            return None
        if isinstance(index, types.Integer):
            return signature(array.dtype, array, types.intp)
        if isinstance(index, types.SliceType):
            layout = "A" if index.has_step else array.layout
            return signature(DualArray(array.dtype, layout, array.mutable), *args)
        return None


@infer_global(operator.setitem)
class SetItem(AbstractTemplate):
    def generic(self, args, kws):
        array, index, value = args
        if not isinstance(array, DualArray) or not array.mutable:
            return None
        if isinstance(index, types.Integer) and self.context.can_convert(value, array.dtype):
            return signature(types.none, array, types.intp, array.dtype)
        return None


@lower_builtin(operator.getitem, DualArray, types.Any)
def get_item(context, builder, sig, args):
    if isinstance(sig.args[1], types.Integer):
        # Numba's check of the range takes two comparisons: descents were 9 % slower for it.
        operand, i = Operand(context, builder, sig.args[0], args[0]), args[1]
        is_negative = builder.icmp_signed("<", i, ir.Constant(i.type, 0))
        i = builder.select(is_negative, builder.add(i, operand.length), i)
        if context.enable_boundscheck:
            is_outside = builder.icmp_unsigned(">=", i, operand.length)
            with builder.if_then(is_outside, likely=False):
                context.call_conv.return_user_exc(builder, IndexError, ("index out of range",))
        return context.unpack_value(builder, sig.return_type, operand.pointer(i))
    return forward(operator.getitem, sig.args[0], sig.args[1:])(context, builder, sig, args)


@lower_builtin(operator.setitem, DualArray, types.Any, types.Any)
def set_item(context, builder, sig, args):
    return forward(operator.setitem, sig.args[0], sig.args[1:])(context, builder, sig, args)


@lower_builtin("getiter", DualArray)
def get_iterator(context, builder, sig, args):
    return forward("getiter", sig.args[0], ())(context, builder, sig, args)


@intrinsic
def length_of(typingctx, array):
    def codegen(context, builder, sig, args):
        return cgutils.unpack_tuple(builder, buffer_of(context, builder, array, args[0]).shape, 1)[
            0
        ]

    return types.intp(array), codegen


@overload(len)
def length(x):
    return (lambda x: length_of(x)) if isinstance(x, DualArray) else None


ARRAYS = (DualArray, types.Array)


class Operand:
    """An array or a number as a sequence of Values."""

    def __init__(self, context, builder, type_, llvm):
        self.context, self.builder, self.type, self.llvm = context, builder, type_, llvm
        self.is_array = isinstance(type_, ARRAYS)
        if isinstance(type_, DualArray):
            self.array = buffer_of(context, builder, type_, llvm)
            self.type = type_.buffer
        elif self.is_array:
            self.array = make_array(type_)(context, builder, llvm)
        if self.is_array:
            (self.length,) = cgutils.unpack_tuple(builder, self.array.shape, 1)

    def pointer(self, i):
        return cgutils.get_item_pointer(
            self.context, self.builder, self.type, self.array, [i], wraparound=False
        )

    def __getitem__(self, i):
        if not self.is_array:
            return as_value(self.context, self.builder, self.type, self.llvm)
        # An array of one item goes with every length.
        zero = ir.Constant(i.type, 0)
        is_one = self.builder.icmp_signed("==", self.length, ir.Constant(i.type, 1))
        i = self.builder.select(is_one, zero, i)
        item = self.context.unpack_value(self.builder, self.type.dtype, self.pointer(i))
        return as_value(self.context, self.builder, self.type.dtype, item)


def dual_of(*operands):
    """The dual type that goes with the operand types, numbers or sequences of them."""
    return common_type([getattr(x, "dtype", x) for x in operands])


@intrinsic
def item_like(typingctx, a, b, number):
    """The number as an item of `empty_duals(a, b, length)`."""
    dual = dual_of(a, b)

    def codegen(context, builder, sig, args):
        return as_value(context, builder, sig.args[2], args[2]).lift(dual).llvm

    return dual(a, b, number), codegen


@intrinsic
def empty_duals(typingctx, a, b, length):
    """An array of `length` items of the type that goes with a and b."""
    array_type = DualArray(dual_of(a, b))

    def codegen(context, builder, sig, args):
        return new_array(context, builder, array_type, args[2])[1]

    return array_type(a, b, types.intp), codegen


@intrinsic
def new_duals(typingctx, order, n_lanes, length):
    """An array for `seed_item`: derivatives of this order in n_lanes directions (literals)."""
    if not isinstance(order, types.IntegerLiteral) or not isinstance(n_lanes, types.IntegerLiteral):
        return None
    array_type = DualArray(dual_type(order.literal_value, n_lanes.literal_value))

    def codegen(context, builder, sig, args):
        return new_array(context, builder, array_type, args[2])[1]

    return array_type(order, n_lanes, types.intp), codegen


def unit(x, lane):
    """A tangent of the type of x with 1 in the lane of that number (an LLVM i32), else 0."""
    one, zero = (ir.Constant(ir.DoubleType(), number) for number in (1.0, 0.0))
    if isinstance(x.type, types.Float):
        is_it = x.builder.icmp_signed("==", lane, ir.Constant(lane.type, 0))
        return x.like(x.type, x.builder.select(is_it, one, zero))
    n_lanes = x.type.n_lanes
    lanes = ir.Constant(ir.VectorType(lane.type, n_lanes), list(range(n_lanes)))
    spread = ir.Constant(ir.VectorType(lane.type, n_lanes), ir.Undefined)
    spread = x.builder.insert_element(spread, lane, ir.Constant(lane.type, 0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), n_lanes), [0] * n_lanes)
    spread = x.builder.shuffle_vector(spread, spread, first)
    is_it = x.builder.icmp_signed("==", lanes, spread)
    ones, zeros = (x.constant(number).llvm for number in (1.0, 0.0))
    return x.like(x.type, x.builder.select(is_it, ones, zeros))


@intrinsic
def seed_item(typingctx, array, i, number, lane, is_row):
    """array[i] = number with tangent 1 in direction `lane` (no direction: a lane out of range).

    Of duals of second order `is_row` (a float, 1 or 0) is the outer tangent.
    """
    if not isinstance(array, DualArray):
        return None

    def codegen(context, builder, sig, args):
        dual = array.dtype
        x = Value(context, builder, types.float64, args[2])
        lane = builder.trunc(args[3], ir.IntType(32))
        inner = dual if dual.base == types.float64 else dual.base
        shell = x.like(inner, None)
        item = shell.dual(x, unit(x.like(inner.tangent, None), lane))
        if inner is not dual:
            outer = Value(context, builder, types.float64, args[4])
            item = x.like(dual, None).dual(item, outer.lift(dual.tangent))
        data = buffer_of(context, builder, array, args[0]).data
        pointer = builder.gep(data, [args[1]])
        store_dual(builder, pointer, item)
        return context.get_dummy_value()

    sig = types.none(array, types.intp, types.float64, types.intp, types.float64)
    return sig, codegen


def store_dual(builder, pointer, x):
    """Store part by part; vectors at the alignment of their numbers."""
    if x.is_dual:
        for member, part in enumerate((x.value, x.tangent)):
            store_dual(builder, cgutils.gep_inbounds(builder, pointer, 0, member), part)
    else:
        builder.store(x.llvm, builder.bitcast(pointer, x.llvm.type.as_pointer()), align=8)


@intrinsic
def tangents_into(typingctx, matrix, row, start, count, y, level):
    """matrix[row, start : start + count] = the derivatives of y in its first `count` directions.

    y is a number or, where row is None, a sequence: item k goes to row k. level (a literal)
    1 takes the tangent, 2 (of duals of second order) the tangent's tangent. A plain number has
    derivatives 0.
    """
    items = y.types if isinstance(y, types.BaseTuple) else [getattr(y, "dtype", y)]
    if not all(isinstance(item, (Dual, *NUMBERS)) for item in items):
        return None
    if getattr(y, "ndim", 1) != 1 or not isinstance(level, types.IntegerLiteral):
        return None

    def codegen(context, builder, sig, args):
        matrix_array = make_array(matrix)(context, builder, args[0])

        def store_row(row, number):
            for _ in range(level.literal_value):
                number = number.tangent if number.is_dual else number.constant(0.0, types.float64)
            number = number if isinstance(number.type, Lanes) else number.number
            with cgutils.for_range(builder, args[3]) as loop:
                at = [row, builder.add(args[2], loop.index)]
                pointer = cgutils.get_item_pointer(context, builder, matrix, matrix_array, at)
                llvm = number.llvm
                if isinstance(number.type, Lanes):
                    llvm = builder.extract_element(llvm, builder.trunc(loop.index, ir.IntType(32)))
                builder.store(llvm, pointer)

        def check_length(length):
            n_rows = cgutils.unpack_tuple(builder, matrix_array.shape, 2)[0]
            differs = builder.icmp_signed("!=", length, n_rows)
            with builder.if_then(differs, likely=False):
                message = "the length of the function's result is not the same everywhere"
                context.call_conv.return_user_exc(builder, ValueError, (message,))

        intp = args[2].type
        if isinstance(y, types.BaseTuple):
            check_length(ir.Constant(intp, len(y)))
            for k, item in enumerate(y.types):
                llvm = builder.extract_value(args[4], k)
                store_row(ir.Constant(intp, k), as_value(context, builder, item, llvm))
        elif isinstance(y, ARRAYS):
            sequence = Operand(context, builder, y, args[4])
            check_length(sequence.length)
            with cgutils.for_range(builder, sequence.length) as loop:
                store_row(loop.index, sequence[loop.index])
        else:
            store_row(args[1], as_value(context, builder, y, args[4]))
        return context.get_dummy_value()

    is_sequence = isinstance(row, types.NoneType)
    if not isinstance(y, (types.BaseTuple, *ARRAYS) if is_sequence else (Dual, *NUMBERS)):
        return None
    row = row if is_sequence else types.intp
    return types.none(matrix, row, types.intp, types.intp, y, level), codegen


def as_sequence(y):
    """A list of the caller's as an array; anything else as it is."""
    return y


@overload(as_sequence)
def overload_as_sequence(y):
    return (lambda y: np.array(y)) if isinstance(y, types.List) else (lambda y: y)


overload_attribute(DualArray, "shape")(lambda x: lambda x: (len(x),))
overload_attribute(DualArray, "size")(lambda x: lambda x: len(x))
overload_attribute(DualArray, "ndim")(lambda x: lambda x: 1)
overload_attribute(DualArray, "T")(lambda x: lambda x: x)
overload_method(DualArray, "copy")(lambda x: lambda x: +x)
