"""From figures of two revisions to a verdict: pure arithmetic, no process is started here."""

from dataclasses import dataclass, field, replace
from statistics import median, quantiles

INSTRUCTIONS_GROWTH = 0.02
TIME_GROWTH = 0.05
MEMORY_GROWTH = 0.10
MEMORY_SLACK = 2 << 20  # bytes: what the allocator may round up to
TIME_IS_UP = "time is up"  # why a case was not measured, and no fault of its revision
SURE_GROWTH = 0.02  # a slow-down is only believed if three quarters of the pairs exceed this


@dataclass(frozen=True)
class Comparison:
    """One case at two revisions. `ratio` is head / base: above 1 head costs more."""

    kind: str  # 'instructions', 'time', 'memory'
    key: str  # of the case
    threads: int
    base: float | None  # instructions, seconds, bytes; None: not to be had, `note` says why
    head: float | None
    ratio: float | None
    is_slower: bool
    note: str = ""
    pairs: tuple[float, ...] = field(default=(), repr=False)  # ratios of the process pairs

    @property
    def is_broken(self) -> bool:
        """It ran on base and does not on head."""
        return self.ratio is None and self.is_slower

    @property
    def identity(self) -> tuple[str, str, int]:
        return (self.kind, self.key, self.threads)


def not_compared(
    kind: str, key: str, threads: int, base: str | None, head: str | None
) -> Comparison:
    """`base` and `head` are errors, None where there was none. What only head cannot do fails."""
    broken = base is None and head is not None and head != TIME_IS_UP
    return Comparison(kind, key, threads, None, None, None, broken, str(base or head))


def judge_instructions(key: str, base: int, head: int, slack: int = 0) -> Comparison:
    """`slack` instructions beyond the percentage are no failure: an argument more is looked at."""
    is_slower = head > base * (1 + INSTRUCTIONS_GROWTH) + slack
    return Comparison("instructions", key, 1, base, head, head / base, is_slower)


def judge_memory(key: str, threads: int, base: int, head: int) -> Comparison:
    """Peak bytes beyond what the process held before the call."""
    ratio = (head + MEMORY_SLACK) / (base + MEMORY_SLACK)
    is_slower = head > base * (1 + MEMORY_GROWTH) + MEMORY_SLACK
    return Comparison("memory", key, threads, base, head, ratio, is_slower)


def paired_ratio(base: list[float], head: list[float]) -> float:
    """Of slots that ran side by side: what the machine did in between divides out."""
    return median(h / b for b, h in zip(base, head, strict=True))


def judge_time(key: str, threads: int, pairs: list[tuple[list[float], list[float]]]) -> Comparison:
    """`pairs`: for each pair of processes the seconds of base's and of head's slots."""
    ratios = sorted(paired_ratio(base, head) for base, head in pairs)
    ratio = median(ratios)
    lower = quantiles(ratios, n=4)[0] if len(ratios) > 1 else ratio
    return Comparison(
        "time",
        key,
        threads,
        median(median(base) for base, _ in pairs),
        median(median(head) for _, head in pairs),
        ratio,
        ratio > 1 + TIME_GROWTH and lower > 1 + SURE_GROWTH,
        pairs=tuple(ratios),
    )


def is_alone(at_work: tuple[float, float]) -> bool:
    """Whether a single thread does in head what several did in base.

    On a busy machine a second thread gets little to do, but never nothing.
    """
    base, head = at_work
    return head < 1.01 and base > 1.04


def with_threads(found: Comparison, at_work: tuple[float, float]) -> Comparison:
    """A lost thread costs nothing on a machine with no CPU to spare: it fails all the same.

    Unless head is faster: then it is a choice.
    """
    if found.ratio is None or found.ratio < 0.97 or not is_alone(at_work):
        return found
    return replace(found, is_slower=True)


def slower_twice(first: list[Comparison], second: list[Comparison]) -> list[Comparison]:
    """Those that were slower in both; what there was no time to measure again stays a suspect."""
    again = {found.identity: found for found in second}
    found = []
    for suspect in (one for one in first if one.is_slower):
        latest = again.get(suspect.identity)
        if latest is None or (latest.ratio is None and not latest.is_broken):
            found.append(replace(suspect, note="not measured again"))
        elif latest.is_slower:
            found.append(latest)
    return found


def show_value(kind: str, value: float | None) -> str:
    if value is None:
        return "-"
    if kind == "memory":
        return f"{value / 2**20:.1f} MiB"
    units = {"instructions": ((1e9, "G"), (1e6, "M"), (1e3, "k")), "time": ()}[kind]
    if kind == "time":
        units = ((1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns"))
    size, unit = next(((s, u) for s, u in units if value >= s), (1.0, ""))
    return f"{value / size:.4g}{unit}"


def comparison_table(found: list[Comparison], blames: dict | None = None):
    """Headings and rows, the largest growth first."""
    header = ["case", "gate", "threads", "base", "head", "head / base"]
    if blames is not None:
        header.append("what grew")
    ordered = sorted(found, key=lambda c: -(c.ratio or 0.0))
    rows = []
    for c in ordered:
        row = [c.key, c.kind, str(c.threads), show_value(c.kind, c.base)]
        row += [show_value(c.kind, c.head), c.note if c.ratio is None else f"{c.ratio:.3f}"]
        if blames is not None:
            row.append("; ".join(blames.get(c.identity, [])) or "not found")
        rows.append(row)
    return header, rows
