"""Does the gate see what it is there for? `python -m benchmarks.gate_selftest`.

Four slow-downs are planted in the working tree's sources, one at a time and outside of the tree
itself; the gate must fail on each and name where it lies. Then the same code is compared with
itself, `--identical` times: that must pass. Only what a plant changes is compiled again.
"""

import argparse
import contextlib
import io
import shutil
import sys
import time
from dataclasses import dataclass

from . import gate
from .gates import trees


@dataclass(frozen=True)
class Plant:
    name: str
    path: str
    old: str
    new: str
    kind: str  # of the gate that must see it
    key: str  # of a case that must be among the failures
    named: str  # what the report must name
    only: str  # the cases that are looked at


KERNELS = "fastmath_ml/_kernels"
PLANTS = (
    Plant(
        "a kernel 1.2 times slower",
        f"{KERNELS}/softmax.pyx",
        "    scale_line(out, n, <real>(1 / total))\n",
        "    scale_line(out, n, <real>(1 / total))\n"
        "    scale_line(out, n, <real>(1 + 1e-300 * total))\n"
        "    scale_line(out, n, <real>(1 + 2e-300 * total))\n",
        "instructions",
        "softmax float32 32x1000",
        "[softmax]",
        "^softmax|^logsumexp",
    ),
    Plant(
        "an extra copy in the gate",
        "fastmath_ml/_arrays.py",
        "return np.ascontiguousarray(ready(x, np.dtype(dtype)))",
        "return np.ascontiguousarray(ready(x, np.dtype(dtype))).copy()",
        "instructions",
        "losses.nll_loss float32 100x100",
        "_arrays.py:contiguous",
        "^losses.(nll|l1)|^matmul float32 48",
    ),
    Plant(
        "a lost thread",
        f"{KERNELS}/pool.pyx",
        "    this_thread.limit = limit\n",
        "    this_thread.limit = limit - 1 if limit > 1 else limit\n",
        "time",
        "cosine_similarity float32 2000x2000 d=128",
        "a thread was lost",
        "^softmax float32 4096x1024$|^cosine_similarity float32 2000x2000 d=128$",
    ),
    Plant(
        "50 MB of scratch",
        "fastmath_ml/losses/_linear.py",
        "    total = 0.0\n    if n_tokens",
        "    total = 0.0\n    scratch = np.ones(50_000_000, np.int8)\n"
        "    total += 0 * scratch[0]\n    if n_tokens",
        "memory",
        "linear_cross_entropy float32 512x128x4000",
        "_linear.py",
        "^linear_cross_entropy |^softmax float32 4096x1024$",
    ),
)
# Cheap to run, one of each kind of work.
IDENTICAL = (
    "^softmax float32 32x1000$|^matmul float32 48|^expit float32 10000$|^topk float32 1 of 4000|"
    "^softmax float32 (10 call|100000x10)$|^matmul float32 (4x4 call|256x256)$|"
    "^linalg.solve float64 3x3|^linear_cross_entropy float32 512"
)


def planted(plant: Plant) -> str:
    text = (trees.ROOT / plant.path).read_text(encoding="utf-8")
    if text.count(plant.old) != 1:
        sys.exit(f"{plant.name}: {plant.path} does not have the line to change once")
    return text.replace(plant.old, plant.new)


def is_caught(plant: Plant, base, threads: int) -> bool:
    begin = time.monotonic()
    head = trees.obtain(None, edits={plant.path: planted(plant)})
    built = time.monotonic() - begin
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        compared, everything, failures = gate.run_gate(
            base, head, kinds=gate.KINDS, only=plant.only, threads=threads, seconds=300.0
        )
        gate.print_summary(everything)
        gate.report_failures(compared, failures)
    text = output.getvalue()
    caught = any(f.kind == plant.kind and f.key == plant.key for f in failures)
    named = plant.named in text
    print(text)
    print(
        f"== {plant.name}: {'caught' if caught else 'NOT CAUGHT'}, "
        f"{'named' if named else 'NOT NAMED'}; built in {built:.0f} s, "
        f"{time.monotonic() - begin:.0f} s in all\n",
        flush=True,
    )
    return caught and named


def twin_of(base):
    """The same code once more, in a folder whose name is as long."""
    site = base.site.with_name(base.site.name[::-1])
    if not site.exists():
        shutil.copytree(base.site, site)
    return trees.Tree("the same once more", site)


def false_alarms(base, n: int, threads: int, kinds) -> int:
    alarms = 0
    twin = twin_of(base)
    for at in range(n):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            compared, everything, failures = gate.run_gate(
                *((base, twin) if at % 2 == 0 else (twin, base)),
                kinds=kinds, only=IDENTICAL, threads=threads, seconds=300.0,
            )  # fmt: skip
        del compared
        alarms += bool(failures)
        ratios = [c.ratio for c in everything if c.kind == "time" and c.ratio]
        spread = f", time {min(ratios):.3f} to {max(ratios):.3f}" if ratios else ""
        first = sum(c.is_slower for c in everything)
        print(
            f"identical code, {at + 1} of {n}: {len(everything)} cases, {first} measured twice, "
            f"{len(failures)} failures{spread}; {alarms} false alarms so far",
            flush=True,
        )
        for failure in failures:
            print(f"    {failure}")
    return alarms


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_selftest", description=__doc__)
    parser.add_argument("--identical", type=int, default=3, metavar="N")
    parser.add_argument("--kinds", default=",".join(gate.KINDS), help="for the identical code")
    parser.add_argument("--no-plants", action="store_true", help="only the identical code")
    parser.add_argument("--only", default="", help="plants whose name contains this")
    parser.add_argument("--threads", type=int, default=gate.available_cpus())
    options = parser.parse_args(arguments)
    base = trees.obtain(None, take_built=False)
    chosen = [p for p in PLANTS if options.only in p.name and not options.no_plants]
    caught = sum(is_caught(plant, base, options.threads) for plant in chosen)
    if chosen:
        print(f"{caught} of {len(chosen)} slow-downs caught and named", flush=True)
    kinds = options.kinds.split(",")
    alarms = false_alarms(base, options.identical, options.threads, kinds)
    print(f"{alarms} false alarms in {options.identical} comparisons of identical code")
    return int(caught < len(chosen) or alarms * 100 > max(options.identical, 100))


if __name__ == "__main__":
    sys.exit(main())
