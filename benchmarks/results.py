"""From the workers' answers to one record per case.

A record is a plain dict, as it goes to results.json:

    op, label, dtype, threads, flops, bytes   the case
    ours       {regime: seconds}
    peers      {name: {regime: {time, ratio, setting, n_rounds}, agrees}} or {name: {error}}
    best       {regime: [name, ratio]} of the peer that is fastest against ours
    share      the roofline's time / ours, steady; `bound` says which roof ('arithmetic', 'memory')
    agrees     whether ours equals the reference within the case's tolerance
    residual   of ours where the case is judged by it, else None; peers have theirs

A ratio is the peer's time / ours.
"""

import csv
import json
from statistics import median

from .limits import limit_time
from .measure import REGIMES
from .peers import INTERNAL


def join(case, threads: int, answers: dict[str, dict], limits: dict | None) -> dict:
    """One record from the answers of the workers, {peer or group of peers: answer}."""
    record: dict = {
        "op": case.op,
        "label": case.label,
        "dtype": case.dtype,
        "threads": threads,
        "flops": case.flops,
        "bytes": case.bytes,
        "is_overhead": case.is_overhead,
        "peers": {},
        "ours": {},
        "best": {},
        "share": None,
        "bound": None,
        "agrees": None,
        "residual": None,
    }
    for name, answer in answers.items():
        if "error" in answer:
            record["peers"][name] = {"error": answer["error"]}
        else:
            record["peers"].update(answer["peers"])
    verdicts = [answer["agrees"] for answer in answers.values() if "agrees" in answer]
    if verdicts:
        record["agrees"] = all(verdicts)
    residuals = [answer.get("residual") for answer in answers.values()]
    record["residual"] = max((r for r in residuals if r is not None), default=None)
    for regime in REGIMES:
        found = {
            name: peer[regime]
            for name, peer in record["peers"].items()
            if regime in peer and name not in INTERNAL
        }
        times = [peer[regime]["ours"] for peer in record["peers"].values() if regime in peer]
        if not times:  # no peer is installed
            alone = (answer.get("ours", {}) for answer in answers.values())
            times = [ours[regime] for ours in alone if regime in ours]
        if times:
            record["ours"][regime] = median(times)
        if found:
            best = min(found, key=lambda name: found[name]["ratio"])
            record["best"][regime] = [best, found[best]["ratio"]]
    if limits and not case.is_overhead and "steady" in record["ours"]:
        least, record["bound"] = limit_time(case.flops, case.bytes, case.dtype, threads, limits)
        record["share"] = least / record["ours"]["steady"]
    return record


def csv_rows(records):
    """One row per case, peer and regime."""
    for record in records:
        for name, peer in record["peers"].items():
            for regime in REGIMES:
                if regime not in peer and "error" not in peer:
                    continue
                found = peer.get(regime, {})
                yield {
                    **{field: record[field] for field in ("op", "label", "dtype", "threads")},
                    "peer": name,
                    "regime": regime,
                    "ours_seconds": found.get("ours"),
                    "peer_seconds": found.get("time"),
                    "ratio": found.get("ratio"),
                    "setting": found.get("setting"),
                    "n_rounds": found.get("n_rounds"),
                    "share": record["share"] if regime == "steady" else None,
                    "bound": record["bound"],
                    "agrees": record["agrees"],
                    "peer_agrees": peer.get("agrees"),
                    "residual": record["residual"],
                    "peer_residual": peer.get("residual"),
                    "error": peer.get("error"),
                }


def write_json(path, result: dict) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def write_csv(path, result: dict) -> None:
    rows = list(csv_rows(result["cases"]))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
