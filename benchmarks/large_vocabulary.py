"""linear_cross_entropy at the vocabulary of a large language model, with its peak memory.

    python -m benchmarks.large_vocabulary [--tokens N] [--width N] [--classes N]

With 256 000 classes of width 2304 the weights are 2.4 GB, and so is their gradient; the logits of
8192 tokens would be another 8.4 GB, which are never there. Prints the seconds of one call, the
arithmetic that this is, and how far the peak of the process's memory rose during the call.
"""

import argparse
import resource
import time

import numpy as np


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    import fastmath_ml as fm

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("tokens", 512), ("width", 2304), ("classes", 256_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    n_tokens, width, n_classes = options.tokens, options.width, options.classes
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_tokens, width), dtype=np.float32)
    w = np.empty((n_classes, width), np.float32)
    w[:] = rng.standard_normal(width, dtype=np.float32) / width
    w[:, 0] += np.arange(n_classes, dtype=np.float32) / n_classes
    grads = np.zeros_like(x), np.zeros_like(w), None
    for grad in grads[:2]:
        grad[...] = 1  # so that its pages are there
    target = rng.integers(0, n_classes, n_tokens)
    fm.linear_cross_entropy_with_grad(x[:2], w[:3], target[:2] % 3)  # code and threads are loaded
    before = peak_bytes()
    begin = time.perf_counter()
    loss, _ = fm.linear_cross_entropy_with_grad(x, w, target, grad_out=grads)
    seconds = time.perf_counter() - begin
    flops = 3 * 2.0 * n_tokens * width * n_classes
    print(f"{n_tokens} tokens, width {width}, {n_classes} classes: loss {loss:.4f}")
    print(f"{seconds:.2f} s, {flops / seconds / 1e9:.0f} GFLOP/s of three products")
    print(f"peak memory rose by {(peak_bytes() - before) / 2**20:.1f} MiB", end="")
    print(f"; the logits would take {4 * n_tokens * n_classes / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
