"""Which cases of the one list each gate looks at.

Instructions: the brief cases, what a call costs, and for an operation that has neither its cheapest
piece of work; under callgrind everything takes fifty times as long as in life. Time: the quick
subset on all threads, where threads and compiled Python functions show. Memory: what promises to
stay within a bound.
"""

from ..cases import CASES, Case, brief

# Estimated instructions, 8 operations or 16 bytes each; callgrind executes about 10^7 a second.
AFFORDABLE = 3e6
BEARABLE = 3e7  # for an operation that has nothing cheaper

# For the comparison that every change gets; what iterates costs more than the estimate.
BRIEF_COST = 4e5
SLOW_OPS = ("svd_topk", "randomized_svd", "eigh_topk", "power_iteration", "pca")

# Compiled by Numba at the first call, machine code that is not in the wheel: timed, not counted.
COMPILED_LATER = ("calculus.", "optim.gradient_descent")

MEMORY_OPS = (
    "topk",
    "pairwise_distances_argmin",
    "linear_cross_entropy",
    "linear_cross_entropy_with_grad",
    "cross_entropy_with_grad",
    "optim.logistic_loss_with_grad",
    "randomized_svd",
    "pca",
    "softmax",
    "logsumexp",
    "matmul",
    "gram",
    "euclidean_distances",
)
MEMORY_BYTES = 6e7


def is_compiled_later(case: Case) -> bool:
    return case.op.startswith(COMPILED_LATER)


def instruction_estimate(case: Case) -> float:
    return case.flops / 8 + case.bytes / 16


def counted_cases(cases=CASES, always=brief.CASES) -> list[Case]:
    """Calls and `always`; of the operations that are not among those the cheapest, per dtype."""
    chosen = {case.key: case for case in always}
    covered = {case.op for case in always}
    cheapest: dict[tuple, Case] = {}
    for case in sorted(cases, key=instruction_estimate):
        cost = instruction_estimate(case)
        if is_compiled_later(case) or cost > BEARABLE:
            continue
        if case.is_overhead and cost <= AFFORDABLE:
            chosen[case.key] = case
        elif case.op not in covered:
            is_first = all(op != case.op for op, _ in cheapest)
            if cost <= AFFORDABLE or is_first:
                cheapest.setdefault((case.op, case.dtype), case)
    return [*chosen.values(), *(case for case in cheapest.values() if case.key not in chosen)]


def brief_cases() -> list[Case]:
    """One for each operation that has a cheap one: half a minute under callgrind."""
    chosen: dict[str, Case] = {}
    for case in counted_cases():
        if case.op not in SLOW_OPS and instruction_estimate(case) <= BRIEF_COST:
            chosen.setdefault(case.op, case)
    return list(chosen.values())


def timed_cases(cases=CASES) -> list[Case]:
    """The quick ones, and of each operation that Numba compiles its cheapest."""
    chosen = {case.key: case for case in cases if case.quick}
    covered = {case.op for case in chosen.values()}
    for case in sorted(filter(is_compiled_later, cases), key=instruction_estimate):
        if case.op not in covered:
            covered.add(case.op)
            chosen[case.key] = case
    return list(chosen.values())


def memory_cases(cases=CASES) -> list[Case]:
    """For each of the operations its largest case that the machine need not be large for."""
    largest: dict[str, Case] = {}
    for case in cases:
        if case.op not in MEMORY_OPS or case.bytes > MEMORY_BYTES or case.flops > 1e10:
            continue
        if case.op not in largest or case.bytes > largest[case.op].bytes:
            largest[case.op] = case
    return list(largest.values())
