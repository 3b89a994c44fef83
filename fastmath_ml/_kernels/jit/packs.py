"""Eight problems at once: the caller's function on vectors of numbers, a lane per problem.

x is then an array whose items are vectors (or dual numbers of vectors): the compiler's vector units
are filled whatever the function does, where its own loops are short or hold recurrences. A function
that branches on its values cannot be compiled so and runs problem by problem.

The numbers of eight problems lie variable by variable: row[8 j + lane].
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array, populate_array

from . import dual_elementwise, dual_reductions  # noqa: F401  (for what they register)
from .dual import NUMBERS, Dual, Lanes, Value, as_value, repeated
from .dual_arrays import DualArray, buffer_of, new_array, store_dual, wrap

WIDTH = 8  # doubles in the widest vector; shorter registers take two or four instructions
PACK = Lanes(WIDTH)


def pack_pointer(context, builder, row_type, row, index):
    """A pointer to pack `index` of a row of numbers."""
    data = make_array(row_type)(context, builder, row).data
    at = builder.mul(index, ir.Constant(index.type, WIDTH))
    vector = context.get_value_type(PACK).as_pointer()
    return builder.bitcast(builder.gep(data, [at]), vector)


@intrinsic
def load_pack(typingctx, row, index):
    """Pack `index` of a row of numbers."""

    def codegen(context, builder, sig, args):
        return builder.load(pack_pointer(context, builder, row, *args), align=8)

    return PACK(row, types.intp), codegen


def packs_of(values, index):
    """(pack `index` of each row of numbers): the arguments of eight problems. A number that all
    problems have in common stays one."""


@overload(packs_of)
def overload_packs_of(values, index):
    if len(values) == 0:
        return lambda values, index: ()
    if isinstance(values[0], types.Array):
        return lambda values, index: (load_pack(values[0], index), *packs_of(values[1:], index))
    return lambda values, index: (values[0], *packs_of(values[1:], index))


@intrinsic
def pack_view(typingctx, row, n):
    """The row of 8 n numbers as an array of n packs: the same memory, which the row keeps alive.

    It is not to be written to; functions that do so are given one problem, and a copy, at a time.
    """
    array_type = DualArray(PACK, mutable=False)

    def codegen(context, builder, sig, args):
        buffer = make_array(array_type.buffer)(context, builder)
        data = make_array(row)(context, builder, args[0]).data
        itemsize = ir.Constant(args[1].type, 8 * WIDTH)
        populate_array(
            buffer,
            data=builder.bitcast(data, buffer.data.type),
            shape=[args[1]],
            strides=[itemsize],
            itemsize=itemsize,
            meminfo=None,
        )
        return wrap(context, builder, array_type, buffer._getvalue())

    return array_type(row, types.intp), codegen


@intrinsic
def new_packed_duals(typingctx, n_lanes, length):
    """An array for `seed_pack`: derivatives in n_lanes directions (a literal)."""
    if not isinstance(n_lanes, types.IntegerLiteral):
        return None
    array_type = DualArray(Dual(PACK, n_lanes.literal_value))

    def codegen(context, builder, sig, args):
        return new_array(context, builder, array_type, args[1])[1]

    return array_type(n_lanes, types.intp), codegen


@intrinsic
def seed_pack(typingctx, array, i, row, direction):
    """array[i] = pack i of the row, with tangent 1 in that direction, or none if out of range."""

    def codegen(context, builder, sig, args):
        dual = array.dtype
        vector = builder.load(pack_pointer(context, builder, row, args[2], args[1]), align=8)
        x = Value(context, builder, PACK, vector)
        n = dual.tangent.n_lanes
        integers = ir.VectorType(args[3].type, n)
        own = ir.Constant(integers, [lane // WIDTH for lane in range(n)])
        first = ir.Constant(ir.VectorType(args[3].type, 1), ir.Undefined)
        first = builder.insert_element(first, args[3], ir.Constant(ir.IntType(32), 0))
        is_it = builder.icmp_signed("==", own, repeated(builder, first, n))
        one, zero = (x.constant(number, dual.tangent) for number in (1.0, 0.0))
        tangent = one.choose(is_it, zero)
        data = buffer_of(context, builder, array, args[0]).data
        item = x.like(dual, None).dual(x, tangent)
        store_dual(builder, builder.gep(data, [args[1]]), item)
        return context.get_dummy_value()

    return types.none(array, types.intp, row, types.intp), codegen


@intrinsic
def store_pack(typingctx, row, index, y):
    """Pack `index` of the row = the value of y, a pack or a number."""
    if not isinstance(y, (Lanes, *NUMBERS)):
        return None

    def codegen(context, builder, sig, args):
        pack = as_value(context, builder, sig.args[2], args[2]).lift(PACK)
        builder.store(pack.llvm, pack_pointer(context, builder, row, args[0], args[1]), align=8)
        return context.get_dummy_value()

    return types.none(row, types.intp, y), codegen


@intrinsic
def store_pack_tangents(typingctx, row, start, count, y, n_lanes):
    """Packs start .. start + count - 1 of the row = the derivatives of y in those directions."""
    if not isinstance(y, (Dual, *NUMBERS)) or not isinstance(n_lanes, types.IntegerLiteral):
        return None

    def codegen(context, builder, sig, args):
        y_value = as_value(context, builder, sig.args[3], args[3])
        whole = Lanes(WIDTH * n_lanes.literal_value)
        tangent = y_value.tangent if y_value.is_dual else y_value.constant(0.0, whole)
        for direction in range(n_lanes.literal_value):
            number = ir.Constant(args[1].type, direction)
            with builder.if_then(builder.icmp_signed("<", number, args[2])):
                lanes = [WIDTH * direction + lane for lane in range(WIDTH)]
                mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), lanes)
                part = builder.shuffle_vector(tangent.llvm, tangent.llvm, mask)
                at = builder.add(args[1], number)
                builder.store(part, pack_pointer(context, builder, row, args[0], at), align=8)
        return context.get_dummy_value()

    return types.none(row, types.intp, types.intp, y, n_lanes), codegen
