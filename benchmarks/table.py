"""Results as text: tables with rich on a terminal, plain columns where the output is a file."""

import sys

from .peers import INTERNAL


def show_time(seconds: float | None) -> str:
    """Three significant digits and a unit."""
    if seconds is None:
        return "-"
    units = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    unit = next((u for u, size in units.items() if seconds >= 0.9995 * size), "ns")
    value = seconds / units[unit]
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {unit}"


def show_ratio(best: list | None) -> str:
    return f"{best[1]:.2f} {best[0]}" if best else "-"


def show_share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def show_agreement(agrees: bool | None) -> str:
    return {True: "yes", False: "NO", None: "-"}[agrees]


def show_peer(peer: dict | None) -> str:
    if peer is None:
        return ""
    if "error" in peer:
        return "error"
    mark = " ≠" if peer.get("agrees") is False else ""
    return show_time(peer.get("steady", {}).get("time")) + show_residual(peer) + mark


def show_residual(record: dict) -> str:
    """Beside a time, how far the iteration went in it."""
    residual = record.get("residual")
    return "" if residual is None else f" @ {residual:.0e}"


def peers_of(records: list[dict]) -> list[str]:
    """The other libraries that appear, in the order of their first appearance."""
    names = dict.fromkeys(name for record in records for name in record["peers"])
    return [name for name in names if name not in INTERNAL]


def case_table(records: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows for the records of one operation."""
    peers = peers_of(records)
    header = ["case", "threads", "ours", *peers, "steady", "isolated", "of limit", "agrees"]
    rows = [
        [
            record["label"],
            str(record["threads"]),
            show_time(record["ours"].get("steady")) + show_residual(record),
            *(show_peer(record["peers"].get(name)) for name in peers),
            show_ratio(record["best"].get("steady")),
            show_ratio(record["best"].get("isolated")),
            show_share(record["share"]),
            show_agreement(record["agrees"]),
        ]
        for record in records
    ]
    return header, rows


def show_difference(difference: float | None) -> str:
    return "-" if difference is None else f"{difference:.1e}"


def digits_table(rows: list[dict]) -> tuple[list[str], list[list[str]]]:
    header = ["digits", "accuracy", "scikit-learn", "same answers", "max. difference"]
    header += ["log loss", "scikit-learn", "ours", "theirs"]
    return header, [
        [
            row["task"],
            f"{row['accuracy']:.2%}",
            f"{row['sklearn_accuracy']:.2%}",
            f"{row['same_answers']:.2%}",
            show_difference(row["probability_difference"]),
            *([f"{loss:.4f}" for loss in row["log_losses"] or ()] or ["-", "-"]),
            show_time(row["seconds"]),
            show_time(row["sklearn_seconds"]),
        ]
        for row in rows
    ]


def bars_table(verdicts) -> tuple[list[str], list[list[str]]]:
    header = ["area", "bar", "against", "wanted", "reached"]
    return header, [
        [
            verdict.area,
            verdict.what,
            verdict.against,
            f"{verdict.wanted:.2f}",
            "not measured" if verdict.reached is None else f"{verdict.reached:.2f}",
        ]
        for verdict in verdicts
    ]


def by_operation(records: list[dict]) -> dict[str, list[dict]]:
    groups: dict[str, list[dict]] = {}
    for record in records:
        groups.setdefault(record["op"], []).append(record)
    return groups


def plain_text(title: str, header: list[str], rows: list[list[str]]) -> str:
    """Columns padded to their widest cell; the first is flush left, the others flush right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [title] if title else []
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def print_table(title: str, header: list[str], rows: list[list[str]], file=None) -> None:
    file = file or sys.stdout
    if file.isatty():
        try:
            from rich.box import SIMPLE_HEAD
            from rich.console import Console
            from rich.table import Table
        except ImportError:
            pass
        else:
            drawn = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
            for i, name in enumerate(header):
                drawn.add_column(name, justify="right" if i else "left", no_wrap=True)
            for row in rows:
                drawn.add_row(*row)
            console = Console(file=file)
            wide = console.options.update(width=10_000)
            if console.measure(drawn, options=wide).maximum <= console.width:  # else it cuts words
                console.print(drawn)
                return
    print(plain_text(title, header, rows), end="\n\n", file=file)


def print_cases(records: list[dict]) -> None:
    for op, group in by_operation(records).items():
        print_table(op, *case_table(group))
    for record in records:
        for name, peer in record["peers"].items():
            if "error" in peer:
                print(f"{record['op']} {record['label']}, {name}: {peer['error']}")


def print_digits(rows: list[dict]) -> None:
    print_table("", *digits_table(rows))
