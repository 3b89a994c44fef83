"""The caller's functions: compiled once, kept in memory as long as they are in use.

Numba freezes what a function refers to (closure, globals, helper functions, arrays) when it
compiles. So the key under which a compiled function is kept holds all of that, arrays by a
checksum: a function that means something else now is compiled again, and one that is only defined
again (a lambda in a loop) is not. The last KEPT of them are kept, with every kernel built around
them; on disk goes nothing that knows the caller's code.

Helper functions that the function calls are compiled along with it. Division by zero gives infinity
or NaN, as with NumPy's numbers; an index out of range raises an IndexError.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
import types as python_types
import warnings
import weakref
from collections import OrderedDict

import numba
import numpy as np
from numba.core import config, errors
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher

from .. import pool
from .parallel import ALL_DONE, INTERRUPTED, parallel

KEPT = 64
FOREIGN = ("math", "numba", "numpy", "scipy")  # packages that stay as they are
OWNS_DATA = np.zeros(1).flags.num & ~np.zeros(2)[1:].flags.num  # a flag that is none of the type

_lock = threading.RLock()
_kept = OrderedDict()  # {key: compiled function or kernel}
_refused = weakref.WeakKeyDictionary()  # {what Numba could not compile: {types: why}}
_compiled = weakref.WeakKeyDictionary()  # {what it has compiled: {marks of arguments}}


# A fork waits for other threads: in the child what they compile would never be finished. The lock
# that is registered last is taken first.
for _each in (global_compiler_lock, _lock) if hasattr(os, "register_at_fork") else ():
    os.register_at_fork(
        before=_each.acquire, after_in_parent=_each.release, after_in_child=_each.release
    )


class NotCompilable(Exception):
    """Why Numba cannot compile a function; nothing has been computed."""


class Same:
    """A key that equals itself only, and keeps its object alive so that no other has its id."""

    def __init__(self, thing):
        self.thing = thing

    def __eq__(self, other):
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self):
        return id(self.thing)


@functools.lru_cache(KEPT)
def names_of(code):
    """Names that the code looks up outside of itself, in comprehensions and inner functions too."""
    inner = (names_of(one) for one in code.co_consts if isinstance(one, python_types.CodeType))
    return sum(inner, code.co_names)


def captured(function):
    """{name: value} of the globals and the closure that the function refers to."""
    values = {
        name: function.__globals__[name]
        for name in names_of(function.__code__)
        if name in function.__globals__
    }
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            values[name] = None
    return values


def is_own(module):
    return module.partition(".")[0] not in FOREIGN


def key_of(value, inside=(), names=()):
    """What Numba would freeze of a value, as a key; of a module, its attributes of these names."""
    if isinstance(value, python_types.FunctionType):
        if value in inside:
            return value.__code__
        names = names_of(value.__code__)
        within = (*inside, value)
        parts = sorted(captured(value).items())
        frozen = tuple((name, key_of(part, within, names)) for name, part in parts)
        defaults = tuple(key_of(part, within, names) for part in value.__defaults__ or ())
        options = (value.__kwdefaults__ or {}).items()
        named = tuple((name, key_of(part, within, names)) for name, part in options)
        return value.__code__, defaults, named, frozen
    if (
        isinstance(value, python_types.ModuleType)
        and value not in inside
        and is_own(value.__name__)
    ):
        parts = [(name, vars(value)[name]) for name in names if name in vars(value)]
        inside = (*inside, value)
        return Same(value), tuple((name, key_of(part, inside, names)) for name, part in parts)
    if isinstance(value, np.ndarray) and value.dtype != object:
        content = hashlib.blake2b(np.ascontiguousarray(value).data, digest_size=16)
        return value.dtype.str, value.shape, content.digest()
    if isinstance(value, (int, float, complex, str, bytes, bool, np.generic)):
        return type(value), repr(value)
    if isinstance(value, tuple):
        return tuple(key_of(item) for item in value)
    return Same(value)


def keep(key, build):
    """What `build` made for this key, if it is among the last KEPT, or makes now."""
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
        else:
            made = build()
            _kept[key] = made
            if len(_kept) > KEPT:
                _kept.popitem(last=False)
        return _kept[key]


def jit(function, **options):
    return numba.njit(function, error_model="numpy", **options)


def compiled(function):
    """The function as a Numba function; types are found and errors come at its first use."""
    if isinstance(function, Dispatcher):
        return function
    if isinstance(function, (np.ufunc, python_types.BuiltinFunctionType)):
        return keep(Same(function), lambda: jit(lambda *args: function(*args)))
    if not isinstance(function, python_types.FunctionType):
        raise NotCompilable(
            f"it is a {type(function).__name__} and no function written in Python or by Numba"
        )
    return keep(key_of(function), lambda: jit(with_compiled_helpers(function), boundscheck=True))


def with_compiled_helpers(function):
    """The function with the Python functions that it calls replaced by compiled ones."""
    helpers = {
        name: compiled(value)
        for name, value in captured(function).items()
        if isinstance(value, python_types.FunctionType)
        and value is not function
        and is_own(value.__module__)
    }
    return with_replaced(function, helpers) if helpers else function


def with_replaced(function, values):
    """The function with other values for what these names mean outside of it."""
    names = function.__code__.co_freevars
    cells = zip(names, function.__closure__ or (), strict=True)
    closure = tuple(
        python_types.CellType(values[name]) if name in values else cell for name, cell in cells
    )
    changed = python_types.FunctionType(
        function.__code__,
        {**function.__globals__, **values},
        function.__name__,
        function.__defaults__,
        closure or None,
    )
    changed.__kwdefaults__ = function.__kwdefaults__
    changed.__module__ = function.__module__
    return changed


def reason_of(error):
    """What a Numba error says at its heart: of nested ones the innermost."""
    lines = [line.strip() for line in str(error).splitlines()]
    starts = [i for i, line in enumerate(lines) if line.startswith("Failed in")]
    lines = [line for line in lines[starts[-1] + 1 if starts else 0 :] if line]
    if not lines:
        return type(error).__name__
    calls = [line for line in lines if line.startswith(">>>")]
    places = [line for line in lines if line.startswith("During: typing of")]
    reason = lines[0]
    if calls and reason.startswith("No implementation"):
        reason = f"no implementation of {calls[0].removeprefix('>>>').strip()}"
    return f"{reason} ({places[0].removeprefix('During: ')})" if places else reason


def mark_of(value):
    """Equal for values of one Numba type, which takes ten times as long to find; None if unsure."""
    kind = type(value)
    if kind is np.ndarray:
        return value.dtype, value.ndim, value.flags.num & ~OWNS_DATA
    if kind is tuple:
        marks = tuple(map(mark_of, value))
        return None if None in marks else marks
    if kind is int:
        return kind if -(2**63) <= value < 2**63 else None
    return kind if kind in (float, bool, np.float64, np.int64) else None


def compile_for(dispatcher, *arguments):
    """Compile for the types of these arguments, or say why it cannot be done."""
    mark = mark_of(arguments)
    if mark is not None and mark in _compiled.get(dispatcher, ()):
        return
    types = None
    try:
        types = tuple(numba.typeof(argument) for argument in arguments)
        with _lock, warnings.catch_warnings():
            if types in _refused.get(dispatcher, ()):
                raise NotCompilable(_refused[dispatcher][types])
            warnings.simplefilter("ignore", errors.NumbaWarning)
            if types not in dispatcher.overloads:
                dispatcher.compile(types)
            if mark is not None:
                _compiled.setdefault(dispatcher, set()).add(mark)
    except NotCompilable:
        raise
    except Exception as error:  # Numba fails in many ways on what it does not know
        reason = reason_of(error)
        if types is not None:
            _refused.setdefault(dispatcher, {})[types] = reason
        raise NotCompilable(reason) from error


def kernel(make, functions, constants=()):
    """The body that `make(*functions, *constants, jit)` returns, and the function of
    (n_items, context) that runs it on the pool; both compiled at their first use."""
    dispatchers = [None if f is None else compiled(f) for f in functions]
    key = (make, constants, *(None if f is None else Same(f) for f in dispatchers))

    def build():
        body = make(*dispatchers, *constants, jit)
        return body, parallel(body)

    return keep(key, build)


def run(make, functions, constants, n_items, context, explain):
    """Run a compiled kernel; NotCompilable comes before anything has been computed.

    An exception in one of the functions is raised from here: `explain(i)` runs item i in Python;
    should that succeed, the exception is Numba's.
    """
    if config.DISABLE_JIT:
        raise NotCompilable("NUMBA_DISABLE_JIT is set")
    body, run_body = kernel(make, functions, constants)
    if not run_body.overloads:
        compile_for(body, 0, *context)  # by itself first: errors come sooner and are simpler
    compile_for(run_body, n_items, context)
    status = run_body(n_items, context)
    if status == ALL_DONE:
        return
    if status == INTERRUPTED:
        pool.reraise()
    explain(status)
    body(status, *context)
    raise RuntimeError(f"item {status} failed once and succeeded when it was run again")


def run_python(make, functions, constants, n_items, context):
    """The same kernel as plain Python, item after item."""
    body = make(*functions, *constants, lambda function: function)
    for i in range(n_items):
        body(i, *context)


def name_of(function):
    return getattr(function, "__name__", None) or repr(function)


def warn_python(function, reason, stacklevel):
    """Tell that this function runs as Python, and why."""
    warnings.warn(
        f"{name_of(function)} runs as Python, since Numba cannot compile it: {reason}",
        RuntimeWarning,
        stacklevel=stacklevel + 1,
    )


def warn_difference(function, reason, stacklevel):
    """Tell that this function is differentiated by differences, and why."""
    warnings.warn(
        f"{name_of(function)} is differentiated by differences, since it does not take dual "
        f"numbers: {reason}",
        RuntimeWarning,
        stacklevel=stacklevel + 1,
    )
