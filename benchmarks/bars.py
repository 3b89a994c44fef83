"""The bars: what each area of the project has set itself to reach, judged on measured records.

A bar looks at one case, or, where it names a group, at the geometric mean over the cases of that
group. What could not be measured counts as short: a bar is only met by a figure.
"""

from dataclasses import dataclass
from statistics import geometric_mean

from .cases import ALL, Bar, Case


@dataclass(frozen=True)
class Verdict:
    area: str
    what: str  # the case or the group, with threads and regime
    against: str
    wanted: float
    reached: float | None
    cases: tuple[str, ...]  # the keys of the cases that were looked at

    @property
    def is_met(self) -> bool:
        return self.reached is not None and self.reached >= self.wanted

    @property
    def identity(self) -> tuple:
        return (self.area, self.what, self.against, self.wanted)


def reached(bar: Bar, record: dict | None) -> float | None:
    """The figure that a bar speaks of, None where it was not measured."""
    if record is None or not record["agrees"]:
        return None
    if isinstance(bar.against, float):
        ours = record["ours"].get(bar.regime)
        return bar.against / ours if ours else None
    if bar.against == "best peer":
        return record["best"].get(bar.regime, (None, None))[1]
    return record["peers"].get(bar.against, {}).get(bar.regime, {}).get("ratio")


def describe(bar: Bar) -> str:
    return f"{bar.against * 1e6:g} µs" if isinstance(bar.against, float) else bar.against


def threads_of(bar: Bar, n_threads: int) -> int:
    return n_threads if bar.threads == ALL else bar.threads


def judge(cases: list[Case], records: list[dict], n_threads: int, area: str = "") -> list[Verdict]:
    """A verdict for every bar of the cases, of one area or of all."""
    by_task = {(f"{r['op']} {r['label']}", r["threads"]): r for r in records}
    verdicts = []
    groups: dict[tuple, list[tuple[str, float | None]]] = {}
    for case in cases:
        for bar in case.bars:
            if area and bar.area != area:
                continue
            threads = threads_of(bar, n_threads)
            figure = reached(bar, by_task.get((case.key, threads)))
            where = f"{threads} thread{'s' * (threads > 1)}, {bar.regime}"
            if bar.group:
                what = f"{case.op} {bar.group}, {where}"
                group = (bar.area, what, describe(bar), bar.at_least)
                groups.setdefault(group, []).append((case.key, figure))
            else:
                what = f"{case.key}, {where}"
                verdicts.append(
                    Verdict(bar.area, what, describe(bar), bar.at_least, figure, (case.key,))
                )
    for (group_area, what, against, wanted), members in groups.items():
        figures = [figure for _, figure in members]
        mean = None if None in figures else geometric_mean(figures)
        keys = tuple(key for key, _ in members)
        verdicts.append(Verdict(group_area, what, against, wanted, mean, keys))
    return verdicts


def short_twice(first: list[Verdict], second: list[Verdict]) -> list[Verdict]:
    """Those that fell short in both measurements; the better figure of the two is kept."""
    again = {verdict.identity: verdict for verdict in second}
    pairs = [(v, again.get(v.identity, v)) for v in first if not v.is_met]
    return [max(pair, key=lambda v: v.reached or 0.0) for pair in pairs if not pair[1].is_met]
