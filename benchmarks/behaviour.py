"""How ours behaves: more threads, larger sizes, a busy machine, a first call.

`python -m benchmarks.behaviour --json` takes about twenty seconds and answers

    scaling       {case: {threads: seconds}}
    sizes         {operation: [[elements, seconds], ...]}, one thread
    load          {case: [seconds, seconds beside a busy process, 95th percentile of those]}
    first_calls   {function: [seconds of the first call, of the second]} of what Numba compiles
"""

import json
import time
from math import log
from statistics import median

import numpy as np

from .cases import BY_KEY
from .machine import available_cpus
from .measure import busy_processes, calls_per_sample, time_calls

BUDGET = 0.06  # seconds for a figure
SCALED = (
    "matmul float32 1024x1024",
    "softmax float32 4096x1024",
    "cosine_similarity float32 2000x2000 d=128",
    "topk float32 1000 of 100000 d=16 k=10",
    "cross_entropy_with_grad float32 4096x1024",
    "optim.Adam float32 100 of 10000",
)


def samples_of(call, budget: float = BUDGET) -> list[float]:
    """Seconds per call, sample by sample."""
    call()
    n_calls = calls_per_sample(call)
    samples: list[float] = []
    end = time.perf_counter() + budget
    while not samples or time.perf_counter() < end:
        samples.append(time_calls(call, n_calls) / n_calls)
    return samples


def thread_counts(n_cpus: int) -> list[int]:
    """1, 2, 4, ... and all."""
    counts = [1]
    while counts[-1] * 2 < n_cpus:
        counts.append(counts[-1] * 2)
    return [*counts, n_cpus] if n_cpus > 1 else counts


def scaling() -> dict[str, dict[str, float]]:
    import fastmath_ml as fm

    found = {}
    for key in SCALED:
        case = BY_KEY[key]
        call = case.ours(case.inputs())
        found[key] = {}
        for n in thread_counts(available_cpus()):
            with fm.num_threads(n):
                found[key][str(n)] = median(samples_of(call))
    return found


def sized_calls(rng):
    """{operation: [(elements, call), ...]}."""
    import fastmath_ml as fm

    def matrix(n):
        return rng.standard_normal((n, n), dtype=np.float32)

    def rows(n):
        return rng.standard_normal((n // 10 + 1, 10), dtype=np.float32)

    def call(function, *args, **kwargs):
        return lambda: function(*args, **kwargs)

    lengths = [10**p for p in range(1, 8)]
    vectors = {n: rng.standard_normal(n, dtype=np.float32) for n in lengths}
    outs = {n: np.zeros_like(x) for n, x in vectors.items()}
    edges = (8, 16, 32, 64, 128, 256, 512)
    return {
        "matmul n×n": [(n, call(fm.matmul, matrix(n), matrix(n))) for n in edges],
        "cosine_similarity n rows": [(n, call(fm.cosine_similarity, matrix(n))) for n in edges],
        "softmax": [(n, call(fm.softmax, vectors[n], out=outs[n])) for n in lengths],
        "logsumexp": [(n, call(fm.logsumexp, vectors[n])) for n in lengths],
        "gelu": [(n, call(fm.special.gelu, vectors[n], out=outs[n])) for n in lengths],
        "topk, one query": [
            (n, call(fm.topk, rows(10), rows(n)[: max(n // 10, 5)], 5)) for n in lengths[1:-1]
        ],
    }


def sizes() -> dict[str, list[list[float]]]:
    import fastmath_ml as fm

    with fm.num_threads(1):
        return {
            op: [[n, median(samples_of(call, BUDGET / 4))] for n, call in calls]
            for op, calls in sized_calls(np.random.default_rng(0)).items()
        }


def slope(points: list[list[float]]) -> float:
    """Of the last three points in log-log: 1 is linear."""
    xs, ys = zip(*((log(n), log(seconds)) for n, seconds in points[-3:]), strict=True)
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    top = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return top / sum((x - x_mean) ** 2 for x in xs)


def load() -> dict[str, list[float]]:
    """On all threads, and the same while one process keeps a CPU busy."""
    found: dict[str, list[float]] = {}
    calls = {}
    for key in SCALED:
        case = BY_KEY[key]
        calls[key] = case.ours(case.inputs())
        found[key] = [median(samples_of(calls[key], 2 * BUDGET))]
    with busy_processes(1):
        for key, call in calls.items():
            samples = sorted(samples_of(call, 4 * BUDGET))
            found[key] += [median(samples), samples[int(0.95 * (len(samples) - 1))]]
    return found


def sphere(x):
    return np.sum((x - 1.0) ** 2)


def square_minus_two(x):
    return x * x - 2.0


def weighted_manhattan(x, y):
    total = 0.0
    for i in range(x.shape[0]):
        total += abs(x[i] - y[i]) * (1 + i)
    return total


def calls_to_compile() -> dict:
    import fastmath_ml as fm

    rows = np.random.default_rng(0).standard_normal((50, 8))
    calculus = fm.calculus
    return {
        "calculus.gradient": lambda: calculus.gradient(sphere, rows[0]),
        "calculus.hessian": lambda: calculus.hessian(sphere, rows[0]),
        "calculus.newton": lambda: calculus.newton(square_minus_two, 1 + rows[0] ** 2),
        "calculus.integrate": lambda: calculus.integrate(square_minus_two, 0.0, 1.0),
        "optim.gradient_descent": lambda: fm.optim.gradient_descent(sphere, rows, max_iter=10),
        "cdist, own metric": lambda: fm.cdist(rows, rows, weighted_manhattan),
    }


def first_calls(calls: dict) -> dict[str, list[float]]:
    """One after the other in this process, which has imported Numba before the first."""
    import numba  # noqa: F401

    return {name: [time_calls(call, 1), time_calls(call, 1)] for name, call in calls.items()}


def main() -> None:
    answer = {
        "scaling": scaling(),
        "sizes": sizes(),
        "load": load(),
        "first_calls": first_calls(calls_to_compile()),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
