"""Extremal eigenpairs of a symmetric operator: block Lanczos with thick restarts.

The space is spanned by V (n, m), grown by a block of `width` columns a step:

    W = A V_last                    one product with a block of vectors
    W -= V (V^T W), twice           full orthogonalisation: nothing is found twice by mistake
    V_next B = W                    Cholesky QR twice; B carries the residuals
    H = V^T A V = S diag(t) S^T     LAPACK; t are the Ritz values, |B S_last| their residuals

When V is full it is cut back to the Ritz vectors that matter (they lock themselves: one that has
converged has a coupling of zero to all that follows) and grows again behind them. A block finds
eigenvalues as often as they occur, up to its width, which is why it is wider than k where products
with wide blocks cost no more than with narrow ones.

The projected matrices are float64 for float32 too: they are small, and so is what they cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import FloatArray
from ._kernels.products import gram_plain
from ._operators import product

Small = npt.NDArray[np.float64]


def make_rng(rng: Any) -> np.random.Generator:
    """numpy.random.default_rng; a RandomState is taken as the source of a seed."""
    if isinstance(rng, np.random.RandomState):
        rng = rng.randint(0, 2**32, 4, dtype=np.uint32)
    return np.random.default_rng(rng)


def random_block(rng: np.random.Generator, n: int, width: int, dtype: np.dtype[Any]) -> FloatArray:
    """Normally distributed; the same numbers for float32, rounded."""
    return rng.standard_normal((n, width)).astype(dtype, copy=False)


def gram_f64(w: FloatArray) -> Small:
    out = np.empty((w.shape[1], w.shape[1]), w.dtype)
    gram_plain(w, out)
    return out.astype(np.float64, copy=False)


def orthonormalise(w: FloatArray) -> tuple[FloatArray, Small]:
    """Q, R with Q R = W and orthonormal Q, for any W of at least as many rows as columns.

    Cholesky QR twice on columns of unit length: two Gram matrices and two products, where
    Householder's method goes down the columns one by one. It loses orthogonality with the square of
    the condition number: one above about eps^-1/2 / 10 goes to Householder (LAPACK).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        gram = gram_f64(w)
        norms = np.sqrt(gram.diagonal())
    least = 10 * float(np.finfo(w.dtype).eps) ** 0.5
    tiny = 1e-15 if w.dtype == np.float32 else 1e-140
    if norms.min() > tiny and norms.max() < 1 / tiny:
        try:
            first = np.linalg.cholesky(gram / np.outer(norms, norms)).T
            if first.diagonal().min() > least:
                first = first * norms
                q = product(w, np.linalg.inv(first).astype(w.dtype))
                second = np.linalg.cholesky(gram_f64(q)).T
                q = product(q, np.linalg.inv(second).astype(w.dtype))
                return q, second @ first
        except np.linalg.LinAlgError:
            pass
    q, r = np.linalg.qr(w)
    return np.ascontiguousarray(q), r.astype(np.float64)


def choose(values: Small, k: int, which: str) -> npt.NDArray[np.intp]:
    """Where the k wanted ones of ascending `values` are, the most wanted first."""
    n = len(values)
    if which == "LA":
        return np.arange(n - 1, n - 1 - k, -1)
    if which == "SA":
        return np.arange(k)
    if which == "LM":
        return np.argsort(-np.abs(values), kind="stable")[:k]
    n_low = k // 2
    low, high = np.arange(n_low), np.arange(n - 1, n - 1 - (k - n_low), -1)
    order = [at for pair in zip(high, low, strict=False) for at in pair]
    return np.array([*order, *high[n_low:]], np.intp)


@dataclass
class Pairs:
    values: Small
    vectors: FloatArray  # (n, k)
    n_products: int  # with blocks of vectors
    scale: float  # of A: its largest eigenvalue in magnitude that was seen


class _Basis:
    """V, the projected matrix H, and the block that comes next with its coupling B."""

    def __init__(self, apply: Callable[[FloatArray], FloatArray], start: FloatArray, size: int):
        self.apply = apply
        self.v = np.empty((start.shape[0], size), start.dtype)
        self.h = np.zeros((size, size))
        self.filled = 0
        self.next, _ = orthonormalise(start)
        self.coupling = np.zeros((0, 0))
        self.scale = 0.0  # of A, from the projected matrix
        self.n_products = 0

    def grow(self, rng: np.random.Generator) -> None:
        """One step: `next` joins V, its image gives H's new columns and the block after it."""
        old, width = self.filled, self.next.shape[1]
        filled = self.filled = old + width
        self.v[:, old:filled] = self.next
        w = self.apply(self.next)
        self.n_products += 1
        v = self.v[:, :filled]
        columns, w = self._project(v, w)
        self.h[:filled, old:filled] = columns
        self.h[old:filled, :filled] = columns.T
        diagonal = self.h[old:filled, old:filled]
        diagonal[...] = (diagonal + diagonal.T) / 2
        self.scale = max(self.scale, float(np.abs(columns).max()))
        room = min(width, len(v) - filled)
        self._next_block(v, w, room, rng)

    @staticmethod
    def _project(v: FloatArray, w: FloatArray) -> tuple[Small, FloatArray]:
        total = np.zeros((v.shape[1], w.shape[1]))
        for _ in range(2):
            part = product(v.T, w)
            w = w - product(v, part)
            total += part
        return total, w

    def _next_block(self, v: FloatArray, w: FloatArray, room: int, rng: Any) -> None:
        """The orthonormal block behind V; directions in which W is nothing become random ones."""
        width = w.shape[1]
        if room == 0:
            self.next, self.coupling = w[:, :0], np.zeros((0, width))
            return
        eps = float(np.finfo(w.dtype).eps)
        floor = eps * self.scale
        self.next, self.coupling = orthonormalise(w)
        left, lengths, _ = np.linalg.svd(self.coupling)
        if lengths[-1] < eps**0.5 * self.scale:
            # What little was left of W is mostly the rounding errors of the projection.
            _, again = self._project(v, self.next)
            self.next, turn = orthonormalise(again)
            self.coupling = turn @ self.coupling
            left, lengths, _ = np.linalg.svd(self.coupling)
        if room == width and lengths[-1] > floor:
            return
        n_kept = min(int((lengths > floor).sum()), room)
        kept = product(self.next, left[:, :n_kept].astype(w.dtype))
        fresh = random_block(rng, len(v), room - n_kept, w.dtype)
        for _ in range(2):
            fresh = self._project(v, fresh)[1]
            fresh -= product(kept, product(kept.T, fresh))
            if fresh.shape[1]:
                fresh, _ = orthonormalise(fresh)
        coupling = np.zeros((room, width))
        coupling[:n_kept] = left[:, :n_kept].T @ self.coupling
        self.next = np.ascontiguousarray(np.concatenate([kept, fresh], axis=1))
        self.coupling = coupling

    def ritz(self) -> tuple[Small, Small, Small]:
        """Ritz values ascending, their coordinates in V, their residuals."""
        values, s = np.linalg.eigh(self.h[: self.filled, : self.filled])
        width = self.coupling.shape[1]
        return values, s, np.linalg.norm(self.coupling @ s[-width:], axis=0)

    def cut_back(self, values: Small, s: Small) -> None:
        kept = len(values)
        self.v[:, :kept] = product(self.v[:, : self.filled], s.astype(self.v.dtype))
        self.h[...] = 0
        self.h[range(kept), range(kept)] = values
        self.filled = kept


def extremal_pairs(
    apply: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    k: int,
    which: str,
    *,
    size: int,
    max_products: int,
    accept: Callable[[Small, Small, float], bool],
    rng: np.random.Generator,
) -> Pairs:
    """The k pairs that `which` wants; as far as they got after max_products.

    `accept(values, residuals, scale)` says whether the wanted Ritz pairs will do; scale is the
    largest Ritz value in magnitude so far, an estimate of the norm of A. `start` (n, width) spans
    the first block; `size` bounds the columns of the basis and is at least k + 2 width, or n.
    """
    n, width = start.shape
    size = min(size, n)
    basis = _Basis(apply, start, size)
    check_at, scale = 0, 0.0
    while True:
        basis.grow(rng)
        is_whole = basis.filled == n
        is_full = basis.filled + basis.next.shape[1] > size
        is_last = basis.n_products >= max_products
        if basis.filled < k:
            continue
        if not (is_whole or is_full or is_last or basis.n_products >= check_at):
            continue
        values, s, residuals = basis.ritz()
        wanted = choose(values, k, which)
        scale = max(scale, float(np.abs(values).max()))
        if is_whole or is_last or accept(values[wanted], residuals[wanted], scale):
            vectors = product(basis.v[:, : basis.filled], s[:, wanted].astype(basis.v.dtype))
            return Pairs(values[wanted], vectors, basis.n_products, scale)
        # The projected problem costs as much as a product or two when it is large.
        check_at = basis.n_products + (1 if basis.filled <= 96 else 2)
        if is_full:
            n_kept = min(k + max(width, k // 2), basis.filled - width, size - width)
            kept = choose(values, max(n_kept, 1), which)
            basis.cut_back(values[kept], s[:, kept])
