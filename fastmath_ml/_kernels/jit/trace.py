"""The caller's function as a list of operations: its gradient backwards, in one sweep.

Dual numbers carry n derivatives forwards, which costs n times the function. Where the function does
the same operations whatever its values are, it is run once, in Python, on variables that write
down what is done with them. Backwards through that list the derivative of the result by every
operation's result follows from the next ones', for about three times the cost of the function
however many variables there are. Slopes of single operations come from the rules for dual numbers.

A function that asks for a value (a branch, an index, int) cannot be written down; neither
can one that draws random numbers, or that does more than LARGEST operations: they keep dual
numbers. Loops are unrolled, so what is compiled is straight code on packs of problems.
"""

from __future__ import annotations

import functools
import math
import operator
import types as python_types

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from .dual import RULES, Dual, Value, as_value
from .functions import NotCompilable, captured, keep, key_of, names_of, with_replaced
from .packs import PACK, pack_pointer

LARGEST = 2000  # operations: 0.5 s of compilation
# Functions whose slopes are finite where they themselves are. With others, such as the root at 0, a
# factor of 0 wins over an infinite one, as with dual numbers.
FINITE_SLOPES = {
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, operator.pos),
    *(np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive, np.square),
    *(math.sin, math.cos, math.exp, math.tanh, math.atan, math.sinh, math.cosh, math.asinh),
    *(np.sin, np.cos, np.exp, np.tanh, np.arctan, np.sinh, np.cosh, np.arcsinh),
}


class NotTraceable(TypeError):
    """The function needs to know a value."""


class Tape:
    """Operations (function, operands), in order; an operand is a number or the place of a variable
    or result. The first n places are the variables, then come those of `inputs`."""

    def __init__(self, n_variables):
        self.n_variables = n_variables
        self.inputs = []  # (number of the argument, index in it or None)
        self.operations = []
        self.n_places = n_variables
        self.result = None

    def variable(self):
        return Traced(self, self.n_places - 1)

    def new_input(self, argument, index=None):
        self.inputs.append((argument, index))
        self.n_places += 1
        return self.variable()

    def record(self, function, *operands):
        if function not in RULES or RULES[function][1] != len(operands):
            raise NotTraceable(f"{function} of a number that varies")
        if len(self.operations) == LARGEST:
            raise NotTraceable(f"more than {LARGEST} operations")
        self.operations.append((function, tuple(map(operand, operands))))
        self.n_places += 1
        return self.variable()


class Place(int):
    """A variable or a result, by its number."""


def operand(x):
    if isinstance(x, Traced):
        return Place(x.place)
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (int, float, np.integer, np.floating)):
        raise NotTraceable(f"an operation with a {type(x).__name__}")
    return int(x) if isinstance(x, (int, np.integer)) else float(x)


def refuse(self, *others):
    raise NotTraceable("a decision that depends on a value")


class Traced:
    """A number that varies: what is done with it goes onto the tape."""

    __slots__ = ("place", "tape")
    __hash__ = None

    def __init__(self, tape, place):
        self.tape, self.place = tape, place

    def __array_ufunc__(self, function, method, *operands, **options):
        if method != "__call__" or options:
            raise NotTraceable(f"{function.__name__}.{method}")
        return elementwise(function, operands)


def recorded(function):
    return lambda *operands: record(function, *operands)


def record(function, *operands):
    (tape, *_) = (x.tape for x in operands if isinstance(x, Traced))
    return tape.record(function, *operands)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _function = getattr(operator, _name)
    setattr(Traced, f"__{_name}__", recorded(_function))
    setattr(Traced, f"__r{_name}__", lambda a, b, f=_function: record(f, b, a))
for _name in ("neg", "pos"):
    setattr(Traced, f"__{_name}__", recorded(getattr(operator, _name)))
Traced.__abs__ = recorded(abs)
for _name in ("bool", "int", "float", "index", "eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Traced, f"__{_name}__", refuse)


# Options of ufuncs and their reductions that change nothing.
AS_USUAL = {"dtype": None, "keepdims": False, "where": True}


class TracedArray(np.ndarray):
    """An array of such numbers: object items, NumPy's functions item by item."""

    def __array_ufunc__(self, function, method, *operands, out=None, **options):
        axis = options.pop("axis", 0)
        if method not in ("__call__", "reduce") or any(
            value is not AS_USUAL.get(name) for name, value in options.items()
        ):
            raise NotTraceable(" ".join((f"{function.__name__}.{method}", *options)))
        if out is not None:
            along = {} if method == "__call__" else {"axis": axis}
            out[0][...] = getattr(function, method)(*operands, **along)
            return out[0]
        if method == "reduce":
            (items,) = operands
            if items.ndim != 1 or items.size == 0 or axis not in (0, -1, None):
                raise NotTraceable(f"{function.__name__}.reduce")
            return functools.reduce(lambda a, b: one(function, a, b), items.tolist())
        if function is np.matmul:
            product = np.matmul(*(np.asarray(x, object) for x in operands))
            return product.view(TracedArray) if isinstance(product, np.ndarray) else product
        return elementwise(function, operands)


def one(function, *operands):
    """The function of numbers, of which some may vary."""
    if any(isinstance(x, Traced) for x in operands):
        return record(function, *operands)
    return function(*operands)


def elementwise(function, operands):
    if not any(isinstance(x, np.ndarray) and x.ndim for x in operands):
        return one(function, *(x[()] if isinstance(x, np.ndarray) else x for x in operands))
    result = np.frompyfunc(functools.partial(one, function), len(operands), 1)(
        *(np.asarray(x, object) if isinstance(x, np.ndarray) else boxed(x) for x in operands)
    )
    return result.view(TracedArray)


def boxed(x):
    """A number as an array without dimensions, which no protocol of it gets to see."""
    box = np.empty((), object)
    box[()] = x
    return box


# ---- the caller's function with names that write down ----


def instead_of(value):
    """What stands for a value that the function refers to; its refusal if nothing can."""
    if isinstance(value, Dispatcher):
        value = value.py_func
    if isinstance(value, python_types.FunctionType):
        module = value.__module__ or ""
        if module.partition(".")[0] in ("numpy", "fastmath_ml"):
            if "random" in module:
                raise NotTraceable(value.__name__)
            return value
        return traceable(value)
    if value is math:
        names = {name: instead_of(v) for name, v in vars(math).items() if name[0] != "_"}
        return python_types.SimpleNamespace(**names)
    if value is np or isinstance(value, (np.ufunc, int, float, np.ndarray, np.generic, str, type)):
        return value
    if isinstance(value, tuple):
        return tuple(map(instead_of, value))
    if isinstance(value, python_types.BuiltinFunctionType):
        if value in RULES:
            return lambda *operands: one(value, *operands)
        if value.__module__ in ("math", "builtins"):
            return value
    raise NotTraceable(f"{value!r}")


def traceable(function):
    if any("random" in name for name in names_of(function.__code__)):
        raise NotTraceable("random numbers")
    values = captured(function)
    if any(value is function for value in values.values()):
        raise NotTraceable("a recursion")
    replaced = {name: instead_of(value) for name, value in values.items()}
    return with_replaced(function, replaced)


def as_input(tape, number, arg):
    """An argument: floating numbers may change from call to call, integers are constants."""
    if isinstance(arg, (float, np.floating)):
        return tape.new_input(number)
    if isinstance(arg, np.ndarray) and arg.dtype == np.float64 and arg.flags.c_contiguous:
        if arg.size > LARGEST:
            raise NotTraceable("a large array")
        items = [tape.new_input(number, i) for i in range(arg.size)]
        array = np.empty(arg.size, object)
        array[:] = items
        return array.reshape(arg.shape).view(TracedArray)
    if isinstance(arg, (int, np.integer)):
        return arg
    raise NotTraceable(f"an argument of type {type(arg).__name__}")


def key_of_argument(arg):
    if isinstance(arg, np.ndarray):
        return arg.dtype.str, arg.shape, arg.flags.c_contiguous
    return type(arg), None if isinstance(arg, (float, np.floating)) else key_of(arg)


def tape_of(function, n_variables, args):
    """The tape of function(x, *args), x of n_variables items; NotCompilable if there is none."""
    if isinstance(function, Dispatcher):
        function = function.py_func
    if not isinstance(function, python_types.FunctionType):
        raise NotCompilable("no function written in Python")

    def build():
        tape = Tape(n_variables)
        try:
            x = np.empty(n_variables, object)
            x[:] = [Traced(tape, place) for place in range(n_variables)]
            inputs = [as_input(tape, number, arg) for number, arg in enumerate(args)]
            with np.errstate(all="ignore"):
                result = traceable(function)(x.view(TracedArray), *inputs)
            tape.result = operand(result)
        except Exception as error:  # whatever the function does with what it does not expect
            return str(error) or type(error).__name__
        return tape if isinstance(tape.result, Place) else "a constant"

    key = tape_of, key_of(function), n_variables, tuple(map(key_of_argument, args))
    tape = keep(key, build)
    if isinstance(tape, str):
        raise NotCompilable(tape)
    return tape


# ---- code ----


def gradient_of(tape):
    """An intrinsic (x, g, args): g = the gradient at x, a pack of problems."""

    @intrinsic
    def gradient_into(typingctx, x, g, args):
        def codegen(context, builder, sig, llvm):
            places = []
            for j in range(tape.n_variables):
                at = pack_pointer(context, builder, x, llvm[0], ir.Constant(ir.IntType(64), j))
                places.append(Value(context, builder, PACK, builder.load(at, align=8)))
            arguments = cgutils.unpack_tuple(builder, llvm[2], len(args))
            for number, index in tape.inputs:
                places.append(load_input(context, builder, args[number], arguments[number], index))
            backwards = forwards(tape, context, builder, places)
            slopes = sweep(tape, places, backwards)
            for j in range(tape.n_variables):
                slope = slopes.get(j, places[0].constant(0.0)).lift(PACK)
                at = pack_pointer(context, builder, g, llvm[1], ir.Constant(ir.IntType(64), j))
                builder.store(slope.llvm, at, align=8)
            return context.get_dummy_value()

        return types.none(x, g, args), codegen

    return gradient_into


def load_input(context, builder, type_, llvm, index):
    if index is None:
        return as_value(context, builder, type_, llvm)
    data = make_array(type_)(context, builder, llvm).data
    number = builder.load(builder.gep(data, [ir.Constant(ir.IntType(64), index)]))
    return Value(context, builder, types.float64, number)


def forwards(tape, context, builder, places):
    """The results of all operations, onto `places`; for each of them [(operand, slope)]."""

    def number(x):
        if isinstance(x, Place):
            return places[x]
        value = Value(context, builder, types.float64, ir.Constant(ir.DoubleType(), float(x)))
        value.literal = x if isinstance(x, int) else None
        return value

    backwards = []
    for function, operands in tape.operations:
        rule, numbers, slopes = RULES[function][0], [number(x) for x in operands], []
        for k, x in enumerate(operands):
            if isinstance(x, Place) and places[x].type == PACK:
                # The derivative by one operand, through the rule for dual numbers.
                shell = numbers[k].like(Dual(PACK), None)
                seeded = shell.dual(numbers[k], numbers[k].constant(1.0))
                result = rule(*(seeded if i == k else y for i, y in enumerate(numbers)))
                if result.is_dual:
                    slopes.append((x, result.tangent))
        places.append(rule(*numbers))
        backwards.append(slopes)
    return backwards


def sweep(tape, places, backwards):
    """{place: the derivative of the result by it}."""
    slopes = {int(tape.result): places[0].constant(1.0)}
    slopes[int(tape.result)].is_tangent = True
    is_guarded = not all(has_finite_slope(*operation) for operation in tape.operations)
    first = tape.n_places - len(tape.operations)
    for place in range(tape.n_places - 1, first - 1, -1):
        outer = slopes.get(place)
        for x, inner in backwards[place - first] if outer is not None else ():
            product = guarded(outer, inner) if is_guarded else outer * inner
            slopes[int(x)] = slopes[int(x)] + product if int(x) in slopes else product
    return slopes


def has_finite_slope(function, operands):
    if function in (operator.pow, np.power):
        return isinstance(operands[1], int) and not isinstance(operands[1], Place)
    return function in FINITE_SLOPES


def guarded(outer, inner):
    """The product, but 0 where either is 0."""
    product = outer.times_slope(inner)
    return product.constant(0.0).choose(inner.compare("==", 0.0), product)
