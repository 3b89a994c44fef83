"""What the thread pool costs and gains: the figures that docs/dev/threads.md quotes.

    python -m benchmarks.pool_latency [--threads N] [--rounds N]

Work is arithmetic that touches no memory, so a perfect pool halves its time on two threads. One
thread and several alternate in blocks within one run; a share of the machine's noise then falls on
both. Run it on a quiet machine, and more than once: what it measures is also the scheduler.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time

from fastmath_ml._kernels import pool
from fastmath_ml._threads import get_num_threads, num_threads

from .measure import busy_processes

STEADY, ISOLATED = 0, 5000  # microseconds of sleep before each call
N_ITEMS = 256


def percentile(times, share):
    return sorted(times)[int(len(times) * share)] / 1e3


def ns_per_round():
    with num_threads(1):
        return min(pool._time_calls(50, 0, 1, 100_000, 0.0)) / 100_000


def dispatch(n_threads, pause_us):
    """Calls whose body does nothing, but that are large enough by their own account."""
    n_calls = 20_000 if pause_us == STEADY else 300
    with num_threads(n_threads):
        pool._time_calls(1, 0, 16, 0, 1e6)
        return pool._time_calls(n_calls, pause_us, 16, 0, 20e3 if pause_us == STEADY else 200e3)


def one_and_many(n_threads, work_us, pause_us, n_blocks, round_ns):
    """Times of calls on one thread and on n_threads, in alternating blocks."""
    n_items = max(N_ITEMS, int(work_us / 5))
    n_rounds = int(work_us * 1e3 / n_items / round_ns)
    n_calls = max(int(40e3 / (work_us + pause_us)), 2)  # 40 ms a block
    times = {1: [], n_threads: []}
    for block in range(n_blocks):
        for n in (1, n_threads) if block % 2 else (n_threads, 1):
            with num_threads(n):
                pool._time_calls(1, pause_us, n_items, n_rounds, work_us * 1e3)  # not counted
                times[n] += pool._time_calls(n_calls, pause_us, n_items, n_rounds, work_us * 1e3)
    return times[1], times[n_threads]


def table(title, n_threads, works_us, n_blocks, round_ns):
    print(f"\n{title}: one thread / {n_threads} threads, microseconds")
    print(f"{'':24}{'median':>20}{'ratio':>8}{'p95':>22}{'ratio':>8}")
    for pause_us, regime in ((STEADY, "steady"), (ISOLATED, "after 5 ms")):
        for work_us in works_us:
            one, many = one_and_many(n_threads, work_us, pause_us, n_blocks, round_ns)
            line = f"{regime:>12} {work_us:6d} us  "
            for share in (0.5, 0.95):
                a, b = percentile(one, share), percentile(many, share)
                line += f"{a:10.1f} /{b:9.1f}{b / a:8.2f}  "
            print(line, flush=True)


def ctrl_c_ms(n_threads, round_ns):
    """How long after SIGINT a call that would take a minute returns."""
    code = f"""
import time
from fastmath_ml._kernels import pool
from fastmath_ml._threads import num_threads
print("ready", flush=True)
try:
    with num_threads({n_threads}):
        pool._busy_work(600_000, 1, {int(1e5 / round_ns)}, 60e9)
except KeyboardInterrupt:
    print(time.monotonic())
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    time.sleep(0.3)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    return (float(process.communicate()[0]) - sent) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=max(get_num_threads(), 2))
    parser.add_argument("--rounds", type=int, default=20, help="blocks per case")
    args = parser.parse_args()
    round_ns = ns_per_round()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.2f}, {round_ns:.2f} ns a round")

    for pause_us, name, target in ((STEADY, "awake", 1), (ISOLATED, "asleep", 15)):
        times = dispatch(args.threads, pause_us)
        print(
            f"dispatch, workers {name:7} median {percentile(times, 0.5):6.2f} us, "
            f"p95 {percentile(times, 0.95):6.2f} us   (target {target} us)"
        )
    works_us = (16, 30, 60, 100, 200, 400, 1000, 4000)
    table("quiet", args.threads, works_us, args.rounds, round_ns)

    with busy_processes(1):
        table(
            "beside one busy process (target: ratios of at most 1.3)",
            args.threads,
            (100, 400, 1000, 4000, 16000),
            args.rounds,
            round_ns,
        )
    for n in (1, args.threads):
        times = [ctrl_c_ms(n, round_ns) for _ in range(7)]
        print(
            f"\nCtrl-C on {n} threads: median {statistics.median(times):.0f} ms, "
            f"slowest {max(times):.0f} ms   (target 100 ms)"
        )


if __name__ == "__main__":
    main()
