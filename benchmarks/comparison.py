"""A run beside an earlier run's results.json: what became faster or slower, by ratios to peers.

Plain times of two runs differ with the machine's day. The ratio to a peer that was measured
alternately divides most of that out, so it is what is compared where both runs have the peer.
"""

from .peers import INTERNAL


def changes(records: list[dict], earlier: list[dict]) -> list[dict]:
    """For each case of both runs: {case, threads, ours, before, change, by}; largest first.

    `change` is how many times as fast as before; `by` the peer that it was judged by, or 'time'.
    """
    known = {(r["op"], r["label"], r["threads"]): r for r in earlier}
    found = []
    for record in records:
        before = known.get((record["op"], record["label"], record["threads"]))
        if before is None or "steady" not in record["ours"] or "steady" not in before["ours"]:
            continue
        peers = [
            name
            for name, peer in record["peers"].items()
            if name not in INTERNAL
            and "steady" in peer
            and "steady" in before["peers"].get(name, {})
        ]
        name = min(peers, key=lambda n: record["peers"][n]["steady"]["ratio"], default=None)
        if name is None:
            change = before["ours"]["steady"] / record["ours"]["steady"]
        else:
            ratios = (r["peers"][name]["steady"]["ratio"] for r in (record, before))
            change = next(ratios) / next(ratios)
        found.append(
            {
                "case": f"{record['op']} {record['label']}",
                "threads": record["threads"],
                "ours": record["ours"]["steady"],
                "before": before["ours"]["steady"],
                "change": change,
                "by": name or "time",
            }
        )
    return sorted(found, key=lambda c: -abs(c["change"] - 1))


def change_table(found: list[dict]):
    from .table import show_time

    header = ["case", "threads", "before", "now", "times as fast", "judged by"]
    return header, [
        [
            c["case"],
            str(c["threads"]),
            show_time(c["before"]),
            show_time(c["ours"]),
            f"{c['change']:.2f}",
            c["by"],
        ]
        for c in found
    ]
