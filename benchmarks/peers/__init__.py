"""How other libraries do the work of a case, each in the form that suits it best.

A peer is a function that takes the case's `Inputs` and returns a call without arguments; or a dict
of such calls, {form: call}, of which the fastest counts. Libraries are imported inside, so that
this module can be read where none is installed. What a user would prepare once (layout, dtype, a
packed operand, an output array where the library takes one) is prepared outside of the call.

The names under which cases.py lists them are those of the modules that they need.
"""

from collections.abc import Callable
from importlib.util import find_spec

# Peers that are ourselves or the machine: they need no other library and share one process.
INTERNAL = ("copyto", "fma", "read", "last axis", "ours float32")


def is_installed(name: str) -> bool:
    return name in INTERNAL or find_spec(name) is not None


def forms_of(factory, inputs) -> dict[str, Callable]:
    """{form: call} of a peer; a call without a choice is the one form ""."""
    calls = factory(inputs)
    return calls if isinstance(calls, dict) else {"": calls}
