"""The one list of cases: what each operation is measured, tested and judged on.

A case names its inputs, how the peers do the same, what the work amounts to (floating-point
operations, bytes that must be moved at least), how close to the reference a result must be, and
the bars: what the project has set itself to reach. The benchmarks, the report and the parity tests
read this list. Importing it imports NumPy and nothing else; to add an operation, add its rows to
the file of its family and its peers to the file of that name in peers/.

Bars are stated as ratios where more is better: time of the other / time of ours.
"""

from . import (
    brief,
    calculus,
    decompositions,
    information,
    losses,
    neighbors,
    optim,
    pairwise,
    products,
    small,
    special,
    stats,
)
from .base import ALL, Bar, Case, Inputs

__all__ = ["ALL", "BY_KEY", "CASES", "FAMILY_OF", "Bar", "Case", "Inputs"]

FAMILIES = (
    products,
    special,
    information,
    pairwise,
    neighbors,
    optim,
    losses,
    decompositions,
    small,
    stats,
    calculus,
    brief,
)
CASES = [case for family in FAMILIES for case in family.CASES]
BY_KEY = {case.key: case for case in CASES}
# {operation: the name of its family}; the brief cases are of operations that others list.
FAMILY_OF = {
    case.op: family.__name__.rpartition(".")[2]
    for family in reversed(FAMILIES)
    for case in family.CASES
}
