"""Stacks of small matrices, and the cost of a call on a single one."""

import numpy as np

from ..peers import small as by
from .base import Bar, Case, Inputs, eps, normal


class Factors(Case):
    """Whose result has free signs: right if the product is, and the vectors are orthonormal."""

    def agrees(self, result, expected):
        parts, wanted = ([np.asarray(part, np.float64) for part in x] for x in (result, expected))
        if [part.shape for part in parts] != [part.shape for part in wanted]:
            return False
        vectors = parts[1:] if self.op.endswith("eigh") else parts[::2]
        products = [x @ x.swapaxes(-1, -2) for x in vectors]
        ones = [np.broadcast_to(np.eye(x.shape[-1]), x.shape) for x in products]
        pairs = zip((self.product(parts), *products), (self.product(wanted), *ones), strict=True)
        return all(Case.agrees(self, x, y) for x, y in pairs)

    def product(self, parts):
        if self.op.endswith("eigh"):
            w, v = parts
            return (v * w[..., None, :]) @ v.swapaxes(-1, -2)
        u, s, vh = parts
        return (u * s[..., None, :]) @ vh


# Multiply-adds for a matrix of n rows, about: those of LAPACK's algorithms.
WORK = {
    "solve": 1 / 3,
    "inv": 1.0,
    "det": 1 / 3,
    "slogdet": 1 / 3,
    "cholesky": 1 / 6,
    "qr": 4 / 3,
    "eigh": 4.5,
    "eigvalsh": 2 / 3,
    "svd": 11.0,
    "pinv": 12.0,
    "lstsq": 11.0,
}
# How many matrices' worth of numbers the results have.
OUTPUTS = {"inv": 1, "cholesky": 1, "qr": 2, "eigh": 1, "svd": 2, "pinv": 1}


def small_case(name, n_matrices, n, dtype, at_least=None, **options):
    """n_matrices = 0: a single one, and what counts is the call."""

    def make(rng):
        shape = (n_matrices, n, n) if n_matrices else (n, n)
        a = normal(rng, shape, dtype)
        if name in ("eigh", "eigvalsh"):
            a = a + a.swapaxes(-1, -2)
        elif name == "cholesky":
            a = a @ a.swapaxes(-1, -2) + np.eye(n, dtype=dtype)
        elif name in ("solve", "inv", "det", "slogdet"):
            # Well-conditioned, so that every peer can be held to the reference.
            a = a / np.array(3 * n**0.5, dtype) + np.eye(n, dtype=dtype)
        args = [np.ascontiguousarray(a)]
        if name in ("solve", "lstsq"):
            args.append(normal(rng, (*shape[:-1], 1), dtype))
        return Inputs(tuple(args))

    is_call = n_matrices == 0
    kind = Factors if name in ("eigh", "svd") else Case
    count = max(n_matrices, 1)
    peers = {"numpy": by.numpy_linalg(name), "torch": by.torch_linalg(name)}
    if name == "lstsq":
        del peers["torch"]  # other defaults: QR, no ranks
    bars = (
        (Bar("stacks", at_least, against="numpy" if is_call else "best peer"),) if at_least else ()
    )
    scale = 100.0 if name in ("pinv", "lstsq") else 1.0
    return kind(
        f"linalg.{name}",
        f"{dtype} {n}x{n} call" if is_call else f"{dtype} {n_matrices} of {n}x{n}",
        make,
        peers=peers,
        flops=2.0 * WORK[name] * n**3 * count,
        bytes=float((1 + OUTPUTS.get(name, 0)) * n * n * count * np.dtype(dtype).itemsize),
        dtype=dtype,
        rtol=64 * n * eps(dtype) * scale,
        atol=64 * n * eps(dtype) * scale,
        bars=bars,
        is_overhead=is_call,
        **options,
    )


# name: (of 3x3, of 8x8, of 32x32)
BARS = {
    "eigh": (12.0, 6.0, 1.5),
    "svd": (10.0, 6.0, 1.5),
    "solve": (4.0, 5.0, 1.5),
    "inv": (4.0, 5.0, 1.5),
    "det": (4.0, None, None),
}
SIZES = ((10_000, 3), (10_000, 8), (1000, 32))

CASES = [
    *(
        small_case(name, n_matrices, n, dtype, bar)
        for name, bars in BARS.items()
        for dtype in ("float32", "float64")
        for (n_matrices, n), bar in zip(SIZES, bars, strict=True)
    ),
    # At most 0.3 of NumPy's time.
    *(small_case(name, 0, 3, "float64", 1 / 0.3, quick=name == "solve") for name in BARS),
    *(small_case(name, 2000, 4, "float64") for name in ("slogdet", "cholesky", "qr", "eigvalsh")),
    small_case("pinv", 500, 4, "float64"),
    small_case("lstsq", 0, 4, "float64"),
    *(
        small_case(name, 1000, 32, "float64")
        for name in ("slogdet", "cholesky", "qr", "eigvalsh", "pinv")
    ),
    # A single matrix of the largest size that is ours: one lane of each vector is used.
    *(small_case(name, 0, 32, "float64") for name in (*BARS, "qr")),
]
