"""Dual numbers as a Numba type: the value of an expression together with its derivatives.

A dual number is a pair (v, t) with t² = 0, so that f(v, t) = (f(v), f'(v) t): every operation of
the caller's function carries the exact derivative along, through branches, loops and negative
bases, where differences of values would lose half of the digits. Comparisons look at the value.

    Dual(float64, lanes)   v a number, t the derivatives in `lanes` directions: a vector register
    Dual(Dual(...), 1)     v and t dual themselves (a hyper-dual number): second derivatives,
                           and so on for higher orders

The tangents are an LLVM vector, so that one operation differentiates in up to 16 directions; with
one lane it is a plain number, which LLVM can vectorise over problems. (Jacobians of tuples of
floats would need a Numba function per operation and arity: they compile for seconds.)

Everything here emits LLVM instructions directly. `Value` is a number being compiled, of any of
these types, with Python's operators; the rules of differentiation (dual_functions.py) are written
once on it and hold for all orders, since `v` and `t` in them may themselves be dual.
"""

from __future__ import annotations

import itertools
import math
import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typeconv import Conversion
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

MAX_LANES = 16  # two registers of AVX-512: 8 lanes took 1.2 times as long per gradient
CONTRACT = ("contract",)  # a * b + c may round once; NaN and infinities stay what they are


NUMBERS = (types.Float, types.Integer, types.Boolean)


class Lanes(types.Type):
    """Several numbers, an LLVM vector: derivatives in several directions, or several problems.

    A function that is compiled for Lanes instead of numbers computes that many problems at once. It
    cannot branch on its values then: comparisons of them are not defined.
    """

    def __init__(self, n_lanes):
        self.n_lanes = n_lanes
        super().__init__(name=f"Lanes({n_lanes})")

    def can_convert_from(self, typingctx, other):
        return Conversion.safe if isinstance(other, NUMBERS) else None

    def unify(self, typingctx, other):
        return self if isinstance(other, NUMBERS) else None


class Dual(types.Type):
    def __init__(self, base, n_lanes=1):
        self.base, self.n_lanes = base, n_lanes
        self.tangent = base
        if n_lanes > 1:
            width = base.n_lanes if isinstance(base, Lanes) else 1
            self.tangent = Lanes(n_lanes * width)
        super().__init__(name=f"Dual({base}, {n_lanes})")

    def can_convert_from(self, typingctx, other):
        return Conversion.safe if self.takes(other) else None

    def takes(self, other):
        """Whether the other is a number to this one."""
        return isinstance(other, NUMBERS) or (
            isinstance(other, Lanes) and other == number_type(self)
        )

    def unify(self, typingctx, other):
        """`total = 0.0` followed by `total += x[i]` makes `total` dual from the beginning."""
        return self if self.takes(other) else None


OURS = (Dual, Lanes)


def is_packed(type_):
    """Whether a number of this type is many, for as many problems."""
    return is_packed(type_.base) if isinstance(type_, Dual) else isinstance(type_, Lanes)


def number_type(type_):
    """What a number of this type is without its derivatives."""
    if isinstance(type_, Dual):
        return number_type(type_.base)
    return type_ if isinstance(type_, Lanes) else types.float64


def dual_type(order, n_lanes=1, base=types.float64):
    """The type that carries derivatives of this order, in n_lanes directions for the innermost."""
    dual = Dual(base, n_lanes)
    for _ in range(order - 1):
        dual = Dual(dual)
    return dual


@register_model(Lanes)
class LanesModel(models.DataModel):
    """A vector register; in memory an array, which needs no more than the alignment of a double."""

    def get_value_type(self):
        return ir.VectorType(ir.DoubleType(), self._fe_type.n_lanes)

    def get_data_type(self):
        return ir.ArrayType(ir.DoubleType(), self._fe_type.n_lanes)

    def as_data(self, builder, value):
        data = ir.Constant(self.get_data_type(), ir.Undefined)
        for lane in range(self._fe_type.n_lanes):
            item = builder.extract_element(value, ir.Constant(ir.IntType(32), lane))
            data = builder.insert_value(data, item, lane)
        return data

    def from_data(self, builder, data):
        value = ir.Constant(self.get_value_type(), ir.Undefined)
        for lane in range(self._fe_type.n_lanes):
            item = builder.extract_value(data, lane)
            value = builder.insert_element(value, item, ir.Constant(ir.IntType(32), lane))
        return value

    def load_from_data_pointer(self, builder, pointer, align=None):
        pointer = builder.bitcast(pointer, self.get_value_type().as_pointer())
        return builder.load(pointer, align=8)

    def as_argument(self, builder, value):
        return value

    from_argument = as_return = from_return = as_argument


@register_model(Dual)
class DualModel(models.StructModel):
    def __init__(self, manager, fe_type):
        members = [("value", fe_type.base), ("tangent", fe_type.tangent)]
        super().__init__(manager, fe_type, members)


class Value:
    """A number of the function being compiled: float64, Lanes or Dual, with its LLVM value."""

    literal = None  # an integer that the source code has at this place

    def __init__(self, context, builder, type_, llvm, is_tangent=False):
        self.context, self.builder, self.type, self.llvm = context, builder, type_, llvm
        # Only tangents may be fused: values are to the bit those of the caller's plain function.
        self.is_tangent = is_tangent

    # ---- parts ----

    def like(self, type_, llvm):
        return Value(self.context, self.builder, type_, llvm, self.is_tangent)

    @property
    def is_dual(self):
        return isinstance(self.type, Dual)

    @property
    def value(self):
        return self.like(self.type.base, self.builder.extract_value(self.llvm, 0))

    @property
    def tangent(self):
        llvm = self.builder.extract_value(self.llvm, 1)
        return Value(self.context, self.builder, self.type.tangent, llvm, True)

    @property
    def number(self):
        """The value without any derivative."""
        return self.value.number if self.is_dual else self

    def dual(self, value, tangent):
        """(value, tangent) as a number of this one's dual type."""
        llvm = ir.Constant(self.context.get_value_type(self.type), ir.Undefined)
        llvm = self.builder.insert_value(llvm, value.llvm, 0)
        return self.like(self.type, self.builder.insert_value(llvm, tangent.llvm, 1))

    def constant(self, number, type_=None):
        """The number as a constant of this type; its derivatives are 0."""
        type_ = self.type if type_ is None else type_
        if isinstance(type_, Dual):
            shell = self.like(type_, None)
            base = self.constant(number, type_.base)
            return shell.dual(base, self.constant(0.0, type_.tangent))
        if isinstance(type_, Lanes):
            vector = ir.VectorType(ir.DoubleType(), type_.n_lanes)
            return self.like(type_, ir.Constant(vector, [float(number)] * type_.n_lanes))
        return self.like(type_, ir.Constant(ir.DoubleType(), float(number)))

    def lift(self, type_):
        """This number with derivatives 0."""
        if type_ == self.type:
            return self
        shell = self.like(type_, None)
        if isinstance(type_, Dual):
            return shell.dual(self.lift(type_.base), self.constant(0.0, type_.tangent))
        vector = self.llvm
        if not isinstance(self.type, Lanes):
            one = ir.Constant(ir.VectorType(ir.DoubleType(), 1), ir.Undefined)
            vector = self.builder.insert_element(one, vector, ir.Constant(ir.IntType(32), 0))
        return self.like(type_, repeated(self.builder, vector, type_.n_lanes))

    # ---- arithmetic ----

    def depth(self):
        return 1 + self.value.depth() if self.is_dual else 0

    def operand(self, other):
        return other if isinstance(other, Value) else self.constant(other, types.float64)

    def emit(self, instruction, other):
        """One instruction for two plain numbers or vectors; the shorter one is repeated."""
        wider = max(self.type, other.type, key=lambda type_: getattr(type_, "n_lanes", 1))
        a, b = self.lift(wider), other.lift(wider)
        is_tangent = self.is_tangent or other.is_tangent
        flags = CONTRACT if is_tangent else ()
        llvm = getattr(self.builder, instruction)(a.llvm, b.llvm, flags=flags)
        return Value(self.context, self.builder, a.type, llvm, is_tangent)

    def __add__(self, other):
        other = self.operand(other)
        if self.depth() < other.depth():
            return other + self
        if self.depth() > other.depth():
            return self.dual(self.value + other, self.tangent)
        if self.is_dual:
            return self.dual(self.value + other.value, self.tangent + other.tangent)
        return self.emit("fadd", other)

    def __neg__(self):
        if self.is_dual:
            return self.dual(-self.value, -self.tangent)
        return self.like(self.type, self.builder.fneg(self.llvm))

    def __sub__(self, other):
        other = self.operand(other)
        if self.depth() < other.depth():
            return other.dual(self - other.value, -other.tangent)
        if self.depth() > other.depth():
            return self.dual(self.value - other, self.tangent)
        if self.is_dual:
            return self.dual(self.value - other.value, self.tangent - other.tangent)
        return self.emit("fsub", other)

    def __mul__(self, other):
        other = self.operand(other)
        if self.depth() < other.depth():
            return other * self
        if self.depth() > other.depth():
            return self.dual(self.value * other, self.tangent * other)
        if self.is_dual:
            tangent = other.tangent * self.value + self.tangent * other.value
            return self.dual(self.value * other.value, tangent)
        return self.emit("fmul", other)

    def __truediv__(self, other):
        other = self.operand(other)
        if self.depth() < other.depth():
            quotient = self / other.value
            return other.dual(quotient, -(other.tangent * (quotient / other.value)))
        if self.depth() > other.depth():
            return self.dual(self.value / other, self.tangent / other)
        if self.is_dual:
            quotient = self.value / other.value
            tangent = (self.tangent - other.tangent * quotient) / other.value
            return self.dual(quotient, tangent)
        return self.emit("fdiv", other)

    def __radd__(self, number):
        return self + number

    def __rmul__(self, number):
        return self * number

    def __rsub__(self, number):
        return self.constant(number, types.float64) - self

    def __rtruediv__(self, number):
        return self.constant(number, types.float64) / self

    def times_slope(self, slope):
        """slope * self, but 0 where self is 0 and the slope infinite or NaN.

        The square root of a number that does not depend on a direction has derivative 0 there,
        also at 0 where its slope is infinite.
        """
        if self.depth() > slope.depth():
            return self.dual(self.value.times_slope(slope), self.tangent.times_slope(slope))
        if self.depth() < slope.depth():
            return slope.dual(self.times_slope(slope.value), self.times_slope(slope.tangent))
        if self.is_dual:
            tangent = self.tangent.times_slope(slope.value) + self.value.times_slope(slope.tangent)
            return self.dual(self.value.times_slope(slope.value), tangent)
        product = self * slope
        factor, zero = self.lift(product.type), product.constant(0.0)
        is_zero = self.builder.fcmp_ordered("==", factor.llvm, zero.llvm)
        return zero.like(zero.type, self.builder.select(is_zero, zero.llvm, product.llvm))

    # ---- comparisons and choices, by value ----

    def compare(self, symbol, other):
        """An LLVM truth value; as in IEEE 754 all but != are false for NaN."""
        a, b = self.number, self.operand(other).number
        a, b = (a.lift(b.type), b) if isinstance(b.type, Lanes) else (a, b.lift(a.type))
        compare = self.builder.fcmp_unordered if symbol == "!=" else self.builder.fcmp_ordered
        return compare(symbol, a.llvm, b.llvm)

    def choose(self, condition, other):
        """self where the condition holds, else other; both of one type."""
        if self.is_dual:
            return self.dual(
                self.value.choose(condition, other.value),
                self.tangent.choose(condition, other.tangent),
            )
        if isinstance(condition.type, ir.VectorType):
            condition = repeated(self.builder, condition, self.type.n_lanes)
        return self.like(self.type, self.builder.select(condition, self.llvm, other.llvm))

    # ---- functions of plain numbers ----

    def call(self, function, *others):
        """Numba's own function of float64 numbers."""
        operands = [self, *others]
        if any(isinstance(x.type, Lanes) for x in operands):
            return self.call_lanes(function, operands)
        call = self.context.get_function(
            function, signature(types.float64, *[types.float64] * len(operands))
        )
        return self.like(types.float64, call(self.builder, [x.llvm for x in operands]))

    def call_lanes(self, function, operands):
        """The function of each lane."""
        n_lanes = max(getattr(x.type, "n_lanes", 1) for x in operands)
        operands = [x.lift(Lanes(n_lanes)) for x in operands]
        result = operands[0].constant(0.0)
        if function in VECTOR_FUNCTIONS:
            kind = result.llvm.type
            name = f"{VECTOR_FUNCTIONS[function]}.v{n_lanes}f64"
            module = self.builder.module
            intrinsic = cgutils.get_or_insert_function(module, ir.FunctionType(kind, [kind]), name)
            return result.like(result.type, self.builder.call(intrinsic, [operands[0].llvm]))
        for lane in range(n_lanes):
            at = ir.Constant(ir.IntType(32), lane)
            parts = [
                x.like(types.float64, self.builder.extract_element(x.llvm, at)) for x in operands
            ]
            item = parts[0].call(function, *parts[1:])
            result.llvm = self.builder.insert_element(result.llvm, item.llvm, at)
        return result


def repeated(builder, vector, n_lanes):
    """The vector as often as it goes into n_lanes."""
    width = vector.type.count
    if width == n_lanes:
        return vector
    mask = ir.Constant(
        ir.VectorType(ir.IntType(32), n_lanes), [lane % width for lane in range(n_lanes)]
    )
    return builder.shuffle_vector(vector, vector, mask)


# Functions that are one instruction for a whole vector.
VECTOR_FUNCTIONS = {
    math.sqrt: "llvm.sqrt",
    math.fabs: "llvm.fabs",
    np.floor: "llvm.floor",
    np.ceil: "llvm.ceil",
    np.trunc: "llvm.trunc",
    np.rint: "llvm.rint",
}


def as_value(context, builder, type_, llvm):
    """An operand as Value: duals as they are, other numbers as float64."""
    if isinstance(type_, OURS):
        return Value(context, builder, type_, llvm)
    number = context.cast(builder, llvm, type_, types.float64)
    value = Value(context, builder, types.float64, number)
    if isinstance(type_, types.IntegerLiteral):
        value.literal = type_.literal_value
    return value


def common_type(operands):
    """The dual type of a result of these operand types, None if no rule here applies."""
    duals = {x for x in operands if isinstance(x, OURS)}
    if len(duals) > 1:
        # A pack is a number to duals of packs.
        duals = {x for x in duals if isinstance(x, Dual)} if are_of_packs(duals) else ()
    if len(duals) != 1 or not all(isinstance(x, (*OURS, *NUMBERS)) for x in operands):
        return None
    return duals.pop()


def are_of_packs(types_):
    return len({number_type(x) for x in types_}) == 1


def patterns(kind, n_operands):
    """Operand types with `kind` at one place at least, for lower_builtin."""
    every = itertools.product((kind, types.Any), repeat=n_operands)
    return [pattern for pattern in every if kind in pattern]


RULES = {}  # {function: (rule, number of operands, literals matter)}, of those that return duals


def register(function, rule, n_operands, returns=None, prefer_literal=False):
    """`rule(*values)` compiles `function` for operands of which at least one is dual."""
    if returns is None:
        RULES[function] = rule, n_operands, prefer_literal

    def generic(self, args, kws):
        dual = common_type(args)
        if dual is None or len(args) != n_operands or kws:
            return None
        if returns is not None and is_packed(dual):
            return None  # a branch that would be another one for each problem
        return signature(returns or dual, *args)

    members = {"key": function, "generic": generic, "prefer_literal": prefer_literal}
    template = type(f"Dual_{function.__name__}", (AbstractTemplate,), members)
    infer_global(function, types.Function(template))

    def lower(context, builder, sig, args):
        values = [as_value(context, builder, *pair) for pair in zip(sig.args, args, strict=True)]
        result = rule(*values)
        if isinstance(result, Value):
            result = result.lift(sig.return_type).llvm
        return result

    for kind in OURS:
        for pattern in patterns(kind, n_operands):
            lower_builtin(function, *pattern)(lower)
        if prefer_literal:
            lower_builtin(function, kind, types.IntegerLiteral)(lower)
    if n_operands == 2:
        lower_builtin(function, Dual, Lanes)(lower)
        lower_builtin(function, Lanes, Dual)(lower)


for _operator, _rule in {
    operator.add: lambda a, b: a + b,
    operator.sub: lambda a, b: a - b,
    operator.mul: lambda a, b: a * b,
    operator.truediv: lambda a, b: a / b,
}.items():
    register(_operator, _rule, 2)
    register(getattr(operator, f"i{_operator.__name__}"), _rule, 2)

register(operator.neg, lambda a: -a, 1)
register(operator.pos, lambda a: a, 1)

COMPARISONS = {
    operator.lt: lambda a, b: a.compare("<", b),
    operator.le: lambda a, b: a.compare("<=", b),
    operator.gt: lambda a, b: a.compare(">", b),
    operator.ge: lambda a, b: a.compare(">=", b),
    operator.eq: lambda a, b: a.compare("==", b),
    operator.ne: lambda a, b: a.compare("!=", b),
}
for _operator, _rule in COMPARISONS.items():
    register(_operator, _rule, 2, returns=types.boolean)

register(bool, lambda a: a.compare("!=", 0.0), 1, returns=types.boolean)
register(operator.truth, lambda a: a.compare("!=", 0.0), 1, returns=types.boolean)


@lower_cast(types.Integer, Dual)
@lower_cast(types.Float, Dual)
@lower_cast(types.Boolean, Dual)
@lower_cast(types.Integer, Lanes)
@lower_cast(types.Float, Lanes)
@lower_cast(types.Boolean, Lanes)
@lower_cast(Lanes, Dual)
def number_to_dual(context, builder, from_type, to_type, llvm):
    return as_value(context, builder, from_type, llvm).lift(to_type).llvm


# ---- between duals and plain numbers, for the kernels ----


@intrinsic
def value_of(typingctx, x):
    """The value of a dual or plain number."""

    def codegen(context, builder, sig, args):
        return as_value(context, builder, sig.args[0], args[0]).number.llvm

    return (number_type(x)(x), codegen) if isinstance(x, (*OURS, *NUMBERS)) else None


@intrinsic
def derivative_of(typingctx, order, x):
    """The derivative of this order (a literal) of a number that `seed` began; 0 of a constant."""

    def codegen(context, builder, sig, args):
        result = as_value(context, builder, sig.args[1], args[1])
        for _ in range(order.literal_value):
            result = result.tangent if result.is_dual else result.constant(0.0)
        return result.number.llvm

    if isinstance(x, (*OURS, *NUMBERS)) and isinstance(order, types.IntegerLiteral):
        return number_type(x)(order, x), codegen
    return None


@intrinsic
def seed(typingctx, order, x):
    """x, a number or a pack, as the variable of a derivative of this order (a literal)."""
    if not isinstance(order, types.IntegerLiteral):
        return None
    base = number_type(x)

    def codegen(context, builder, sig, args):
        result = Value(context, builder, base, args[1])
        for level in range(1, order.literal_value + 1):
            shell = result.like(dual_type(level, base=base), None)
            result = shell.dual(result, result.constant(1.0))
        return result.llvm

    return dual_type(order.literal_value, base=base)(order, base), codegen
