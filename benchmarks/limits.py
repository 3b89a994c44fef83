"""The limits of this machine, and how near to them a time is.

Measured by `_kernels/probe`, on n Python threads at once: the rate of fused multiply-adds per
dtype, and the rates at which memory is read and copied for working sets of several sizes (a small
one stays in a cache and is faster). The model is the roofline: a piece of work takes at least the
time of its arithmetic at the peak and at least the time of its traffic at the copy rate.

The peak is that of the CPU level in use, which `FASTMATH_ML_CPU` can lower.
"""

import threading
import time
from functools import partial

import numpy as np

from .measure import Runner

DTYPE_CHARS = {"float32": "f", "float64": "d"}
WORKING_SETS = (1 << 18, 1 << 22, 1 << 26)  # bytes: about a core's cache, a shared one, memory
REPEATS = 8
PROBE_SECONDS = 0.01
PAUSE = 0.02  # before each repeat: a CPU of a shared machine may be away for some milliseconds


def run_on_threads(tasks) -> float:
    """Run the tasks on a thread each; seconds from the first one's start to the last one's end.

    New threads each time: the system places a new thread on an idle CPU, whereas one that is woken
    tends to land on the waker's.
    """
    spans = []
    ready = threading.Barrier(len(tasks))

    def run(task):
        ready.wait()
        begin = time.perf_counter()
        task()
        spans.append((begin, time.perf_counter()))

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks[1:]]
    for thread in threads:
        thread.start()
    run(tasks[0])
    for thread in threads:
        thread.join()
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def best_span(tasks) -> float:
    """Seconds of the fastest of some repeats."""

    def span():
        time.sleep(PAUSE)
        return run_on_threads(tasks)

    return min(span() for _ in range(REPEATS))


def rounds_for(call, seconds: float) -> int:
    """The n for which call(n) takes about `seconds`."""
    n = 1
    while True:
        begin = time.perf_counter()
        call(n)
        elapsed = time.perf_counter() - begin
        if elapsed > seconds / 4:
            return max(1, round(n * seconds / elapsed))
        n *= 4


def fma_rate(dtype: str, n_threads: int) -> float:
    """Floating-point operations per second."""
    from fastmath_ml._kernels import probe

    char = DTYPE_CHARS[dtype]
    n_rounds = rounds_for(partial(probe.fma_peak, char), PROBE_SECONDS)
    flops = n_threads * probe.fma_peak(char, n_rounds)
    tasks = [partial(probe.fma_peak, char, n_rounds)] * n_threads
    return flops / best_span(tasks)


def stream_rate(kind: str, working_set: int, n_threads: int) -> float:
    """Bytes per second; a copy counts what it reads and what it writes."""
    from fastmath_ml._kernels import probe

    share = working_set // n_threads // (1 if kind == "read" else 2)
    sources = [np.ones(share // 4, np.float32) for _ in range(n_threads)]
    if kind == "read":
        calls = [partial(probe.read_stream, source) for source in sources]
    else:
        calls = [partial(probe.copy_stream, np.zeros_like(s), s) for s in sources]
    n_rounds = rounds_for(calls[0], PROBE_SECONDS)
    n_bytes = sum(call(n_rounds) for call in calls)
    return n_bytes / best_span([partial(call, n_rounds) for call in calls])


def measure_limits(thread_counts) -> dict:
    """{'fma': {dtype: {threads: rate}}, 'read' and 'copy': {threads: [[bytes, rate], ...]}}.

    Thread counts are strings, as JSON would make them.
    """
    streams = {
        kind: {
            str(n): [[size, stream_rate(kind, size, n)] for size in WORKING_SETS]
            for n in thread_counts
        }
        for kind in ("read", "copy")
    }
    peaks = {d: {str(n): fma_rate(d, n) for n in thread_counts} for d in DTYPE_CHARS}
    return {"fma": peaks, **streams}


def stream_at(stream, n_bytes: float) -> float:
    """The rate at the working set nearest in size."""
    return min(stream, key=lambda point: abs(np.log(point[0] / max(n_bytes, 1))))[1]


def limit_time(flops, n_bytes, dtype, n_threads, limits) -> tuple[float, str]:
    """The least seconds that the work can take, and whether 'arithmetic' or 'memory' says so."""
    peak = limits["fma"].get(dtype, limits["fma"]["float32"])  # float32's serves narrower types
    arithmetic = flops / peak[str(n_threads)]
    memory = n_bytes / stream_at(limits["copy"][str(n_threads)], n_bytes)
    return (arithmetic, "arithmetic") if arithmetic >= memory else (memory, "memory")


def fma_runner(case, n_threads: int) -> Runner:
    """The arithmetic of a case at the peak, to run in the same rounds as the case itself.

    The call tells its own time, without that of starting threads.
    """
    from fastmath_ml._kernels import probe

    char = DTYPE_CHARS.get(case.dtype, "f")
    n_rounds = rounds_for(partial(probe.fma_peak, char), PROBE_SECONDS / 2)
    flops = n_threads * probe.fma_peak(char, n_rounds)
    tasks = [partial(probe.fma_peak, char, n_rounds)] * n_threads
    return Runner(
        "fma", partial(run_on_threads, tasks), work=flops / case.flops, is_limit=True, batch=1
    )


def read_runner(inputs, n_threads: int) -> Runner:
    """Reading the case's own arrays once, each in as many pieces as there are threads."""
    from fastmath_ml._kernels import probe

    arrays = [x for x in inputs.args if isinstance(x, np.ndarray)]
    pieces = [np.array_split(x.reshape(-1), n_threads) for x in arrays]
    n_bytes = sum(x.nbytes for x in arrays)
    n_rounds = max(1, (64 << 20) // n_bytes)

    def read(i):
        for piece in pieces:
            probe.read_stream(piece[i], n_rounds)

    tasks = [partial(read, i) for i in range(n_threads)]
    return Runner("read", partial(run_on_threads, tasks), work=n_rounds, is_limit=True, batch=1)
