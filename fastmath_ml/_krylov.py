"""Extremal eigenpairs of a symmetric operator: block Lanczos with thick restarts.

The space is spanned by V (n, m), grown by a block of `width` columns a step:

    W = A V_last                    one product with a block of vectors
    W -= V (V^T W), once or twice   full orthogonalisation: nothing is found twice by mistake
    V_next B = W                    Cholesky QR, mostly once; B carries the residuals
    H = V^T A V = S diag(t) S^T     _lapack.eigh; t are the Ritz values, |B S_last| their residuals

When V is full it is cut back to the Ritz vectors that matter (they lock themselves: one that has
converged has a coupling of zero to all that follows) and grows again behind them. A block finds
eigenvalues as often as they occur, up to its width, which is why it is wider than k where products
with wide blocks cost no more than with narrow ones.

The projected matrices are float64 for float32 too: they are small, and so is what they cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import FloatArray
from ._kernels.products import gram_plain, matmul_stack
from ._kernels.projections import add_product, rotate_block
from ._lapack import cholesky, eigh, inverse_of_triangle, svd
from ._operators import product

Small = npt.NDArray[np.float64]

TURNED_ROWS = 4096  # of V at a time in cut_back: as much as stays in the cache
ORTHONORMAL = 16  # times epsilon: entries of Q^T Q - I that are rounding errors


def make_rng(rng: Any, name: str = "rng") -> np.random.Generator:
    """numpy.random.default_rng; a RandomState is taken as the source of a seed."""
    if isinstance(rng, np.random.RandomState):
        rng = rng.randint(0, 2**32, 4, dtype=np.uint32)
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name} is {rng!r}; expected None, a seed or a numpy.random.Generator"
        ) from None


def random_block(rng: np.random.Generator, n: int, width: int, dtype: np.dtype[Any]) -> FloatArray:
    """Uniform in [-1, 1), the same numbers in float32 and float64.

    16 bits of each: normal numbers cost ten times as much, which was a tenth of some calls, and the
    space that a few products span from either is as good.
    """
    numbers = np.frombuffer(rng.bytes(2 * n * width), np.int16)
    return np.asarray(numbers.astype(dtype) * dtype.type(2.0**-15)).reshape(n, width)


def room_for_columns(n: int, n_columns: int, dtype: np.dtype[Any]) -> FloatArray:
    """Room for so many columns of length n, each a row of memory that begins at another set of the
    cache than the one before it.
    """
    line = 64 // dtype.itemsize
    length = (-(-n // line) | 1) * line
    return np.asarray(np.empty((n_columns, length), dtype)[:, :n].T)


def gram_f64(w: FloatArray) -> Small:
    out = np.empty((w.shape[1], w.shape[1]), w.dtype)
    gram_plain(w, out)
    return out.astype(np.float64, copy=False)


class Factor(NamedTuple):
    """R of W = Q R as W^T W tells it."""

    r: Small
    inverse: Small
    least: float  # on the diagonal for columns of unit length; about 1 / condition number


def factor_of(w: FloatArray, gram: Small) -> Factor | None:
    """From W^T W; None where it is not positive definite, or near the ends of the range of W."""
    tiny = 1e-15 if w.dtype == np.float32 else 1e-140
    with np.errstate(invalid="ignore"):
        lengths = np.sqrt(gram.diagonal())
    if not (lengths.min() > tiny and lengths.max() < 1 / tiny):
        return None
    r = cholesky(gram / np.outer(lengths, lengths))
    inverse = None if r is None else inverse_of_triangle(r)
    if r is None or inverse is None:
        return None
    return Factor(r * lengths, inverse / lengths[:, None], float(r.diagonal().min()))


def orthonormalise(w: FloatArray, factor: Factor | None = None) -> tuple[FloatArray, Small]:
    """Q, R with Q R = W and orthonormal Q, for any W of at least as many rows as columns; W itself,
    which is C-ordered and nobody else's, becomes Q. `factor` is that of W where it is known.

    Cholesky QR on columns of unit length, once more where the Gram matrix of the first Q, which
    comes with it, is not that of orthonormal columns: each time a product in place, where
    Householder's method goes down the columns one by one. It loses orthogonality with the
    square of the condition number: one above about eps^-1/2 / 10 goes to Householder (LAPACK).
    """
    eps = float(np.finfo(w.dtype).eps)
    if factor is None:
        with np.errstate(over="ignore", invalid="ignore"):
            factor = factor_of(w, gram_f64(w))
    if factor is not None and factor.least > 10 * eps**0.5:
        again = np.empty(factor.r.shape, w.dtype)
        rotate_block(w, factor.inverse.astype(w.dtype), again)
        gram = again.astype(np.float64)
        if np.abs(gram - np.eye(len(gram))).max() <= ORTHONORMAL * eps:
            return w, factor.r
        second = factor_of(w, gram)
        if second is not None:
            rotate_block(w, second.inverse.astype(w.dtype), None)
            return w, product(second.r, factor.r)
        w = product(w, factor.r.astype(w.dtype))
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
    lengths: Small  # of the residuals, as the projected problem tells them
    vectors: FloatArray  # (n, k)
    rest: FloatArray  # (n, k): A vectors - vectors values
    coordinates: Small | None  # in the blocks that A was applied to; None after a restart
    n_products: int  # with blocks of vectors
    scale: float  # of A: its largest eigenvalue in magnitude that was seen
    gave_up: bool = False


class _Basis:
    """V, the projected matrix H, and the block that comes next with its coupling B."""

    def __init__(
        self,
        apply: Callable[[FloatArray], FloatArray],
        start: FloatArray,
        size: int,
        loss: float,
    ):
        self.apply, self.loss = apply, loss
        self.v = room_for_columns(start.shape[0], size, start.dtype)
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
        # A transposing copy, in a third of the time of NumPy's.
        matmul_stack(np.eye(width, dtype=self.v.dtype), self.next.T, self.v.T[old:filled])
        w = self.apply(self.next)
        self.n_products += 1
        v = self.v[:, :filled]
        columns, factor = self._project(v, w)
        self.h[:filled, old:filled] = columns
        self.h[old:filled, :filled] = columns.T
        diagonal = self.h[old:filled, old:filled]
        diagonal[...] = (diagonal + diagonal.T) / 2
        self.scale = max(self.scale, float(np.abs(columns).max()))
        room = min(width, len(v) - filled)
        self._next_block(v, w, factor, room, rng)

    def _project(self, v: FloatArray, w: FloatArray) -> tuple[FloatArray, Factor | None]:
        """What V holds of W, which is taken from W, and the factor of the rest where it is known.

        Twice where once leaves more than `loss`: errors of V would grow by |W| / |rest| in each
        step.
        """
        n_columns, width = v.shape[1], w.shape[1]
        part = np.empty((n_columns, width), w.dtype)
        add_product(v, None, w, part)
        if not np.isfinite(part).all():
            raise ValueError("a gives NaN or infinity; expected finite products")
        sums = np.empty((n_columns + width, width), w.dtype)
        add_product(v, -part, w, sums)
        again, gram = sums[:n_columns], sums[n_columns:].astype(np.float64)
        if self.loss > 0:
            # V^T Q, Q being the orthonormal block that W becomes.
            factor = factor_of(w, gram)
            if factor is not None:
                left = product(again.astype(np.float64, copy=False), factor.inverse)
                if np.abs(left).max() <= self.loss:
                    return part + again, factor
        add_product(v, -again, w, None)
        return part + again, None

    def _next_block(
        self, v: FloatArray, w: FloatArray, factor: Factor | None, room: int, rng: Any
    ) -> None:
        """The orthonormal block behind V; directions in which W is nothing become random ones."""
        width = w.shape[1]
        if room == 0:
            self.next, self.coupling = w[:, :0], np.zeros((0, width))
            return
        eps = float(np.finfo(w.dtype).eps)
        floor = eps * self.scale
        self.next, self.coupling = orthonormalise(w, factor)
        if room == width and _least_singular_value(self.coupling) > eps**0.5 * self.scale:
            return
        # What little was left of W is mostly the rounding errors of the projection.
        _, factor = self._project(v, self.next)
        self.next, turn = orthonormalise(self.next, factor)
        self.coupling = product(turn, self.coupling)
        if room == width and _least_singular_value(self.coupling) > floor:
            return
        left, lengths, _ = svd(self.coupling)
        n_kept = min(int((lengths > floor).sum()), room)
        kept = product(self.next, left[:, :n_kept].astype(w.dtype))
        fresh = random_block(rng, len(v), room - n_kept, w.dtype)
        for _ in range(2 if fresh.shape[1] else 0):
            self._project(v, fresh)
            fresh -= product(kept, product(kept.T, fresh))
            fresh, _ = orthonormalise(fresh)
        coupling = np.zeros((room, width))
        coupling[:n_kept] = product(left[:, :n_kept].T, self.coupling)
        self.next = np.ascontiguousarray(np.concatenate([kept, fresh], axis=1))
        self.coupling = coupling

    def ritz(self) -> tuple[Small, Small, Small]:
        """Ritz values ascending, their coordinates in V, their residuals."""
        values, s = eigh(self.h[: self.filled, : self.filled])
        width = self.coupling.shape[1]
        return values, s, np.linalg.norm(product(self.coupling, s[-width:]), axis=0)

    def pairs(self, s: Small) -> tuple[FloatArray, FloatArray]:
        """Ritz vectors, and what A makes of them beyond themselves."""
        dtype = self.v.dtype
        vectors = product(self.v[:, : self.filled], s.astype(dtype))
        if not self.next.shape[1]:
            return vectors, np.zeros_like(vectors)
        last = product(self.coupling, s[-self.coupling.shape[1] :])
        return vectors, product(self.next, last.astype(dtype))

    def cut_back(self, values: Small, s: Small) -> None:
        kept, turn = len(values), np.ascontiguousarray(s.T, self.v.dtype)
        columns, part = self.v.T, np.empty((kept, TURNED_ROWS), self.v.dtype)
        for first in range(0, columns.shape[1], TURNED_ROWS):
            rows = columns[:, first : first + TURNED_ROWS]
            turned = part[:, : rows.shape[1]]
            matmul_stack(turn, rows[: self.filled], turned)
            rows[:kept] = turned
        self.h[...] = 0
        self.h[range(kept), range(kept)] = values
        self.filled = kept


def _least_singular_value(r: Small) -> float:
    """A lower bound for that of an upper triangular matrix, within the root of its order."""
    inverse = inverse_of_triangle(r)
    return 0.0 if inverse is None else float(1 / np.linalg.norm(inverse))


class _Schedule:
    """When to solve the projected problem, which costs as much as a product or two if it is large.

    Residuals fall by about the same factor in each step, or faster: two of them tell how many more
    it takes, and the next look is half way.
    """

    def __init__(self) -> None:
        self.at, self.excess = 0, 0.0  # of the last look: after how many products, and how far off
        self.next = 0
        self.n_more = 0.0  # steps that it still takes

    def plan(self, n_products: int, excess: float) -> None:
        """excess: the logarithm of the largest residual over what is wanted, as it is now."""
        if self.at:
            gain = (self.excess - excess) / (n_products - self.at)
            self.n_more = excess / gain if gain > 0 else math.inf
        self.at, self.excess = n_products, excess
        half = 0.5 * self.n_more if self.n_more < math.inf else 1
        self.next = n_products + round(min(max(half, 1), 4))


def extremal_pairs(
    apply: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    k: int,
    which: str,
    *,
    size: int,
    max_products: int,
    excess: Callable[[Small, Small, float], float],
    rng: np.random.Generator,
    patience: float = math.inf,
    loss: float = 0.0,
) -> Pairs:
    """The k pairs that `which` wants; as far as they got after max_products.

    `excess(values, residuals, scale)` is the largest ratio of the residuals of the wanted Ritz
    pairs to what they may be; scale is the largest Ritz value in magnitude so far, an estimate of
    the norm of A. `start` (n, width), which is used up, spans the first block; `size` bounds the
    columns of the basis and is at least k + 2 width, or n. From the third product on it gives up
    where more than `patience` are still to come. Blocks are orthogonal to rounding, or within
    `loss`: below the root of epsilon nothing is found twice, but residuals are no better known
    than that.
    """
    n, width = start.shape
    size = min(size, n)
    basis = _Basis(apply, start, size, loss)
    schedule, scale, was_cut = _Schedule(), 0.0, False
    while True:
        basis.grow(rng)
        is_whole = basis.filled == n
        is_full = basis.filled + basis.next.shape[1] > size
        is_last = basis.n_products >= max_products
        if basis.filled < k:
            continue
        if not (is_whole or is_full or is_last or basis.n_products >= schedule.next):
            continue
        values, s, residuals = basis.ritz()
        wanted = choose(values, k, which)
        scale = max(scale, float(np.abs(values).max()))
        off = excess(values[wanted], residuals[wanted], scale)
        if is_whole or is_last or off <= 1:
            vectors, rest = basis.pairs(s[:, wanted])
            coordinates = None if was_cut else s[:, wanted]
            found = values[wanted], residuals[wanted]
            return Pairs(*found, vectors, rest, coordinates, basis.n_products, scale)
        schedule.plan(basis.n_products, math.log(off) if off < math.inf else math.inf)
        if basis.n_products >= 3 and schedule.n_more > patience:
            nothing = basis.v[:, :0]
            empty = values[:0]
            return Pairs(empty, empty, nothing, nothing, None, basis.n_products, scale, True)
        if is_full:
            # About half of the basis: what has been found of the pairs behind those that are wanted
            # speeds these up.
            n_kept = min(max(k + 2 * width, size // 2 - width), basis.filled - width, size - width)
            kept = choose(values, max(n_kept, 1), which)
            basis.cut_back(values[kept], s[:, kept])
            was_cut = True


def estimated_limit(wanted: float, dtype: np.dtype[Any]) -> float:
    """For residuals as the projected problem tells them: up to rounding errors they are true."""
    return 0.97 * wanted - 4 * float(np.finfo(dtype).eps)


def basis_size(k: int, width: int) -> int:
    """More columns mean fewer restarts, and a projected problem that costs more to solve."""
    return max(2 * k + 9 * width, 48)


def _may_be_missing(values: Small, width: int, residual: float, rounding: float) -> bool:
    """Whether `width` of the values found, the most wanted first, are the same and more of them
    would be wanted before some others.

    Copies of a value differ by the square of their residuals over the gap to the next value. Where
    that is no gap to speak of, what was found in place of a missing one is as good.
    """
    ascending = np.sort(values)
    ends = np.flatnonzero(np.diff(ascending) > 4 * residual + rounding) + 1
    for cluster in np.split(ascending, ends):
        if len(cluster) >= width and not cluster[0] <= values[-1] <= cluster[-1]:
            spans = cluster[width - 1 :] - cluster[: len(cluster) - width + 1]
            if spans.min() <= 0.5 * residual + rounding:
                return True
    return False


def leading_pairs(
    apply: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    k: int,
    which: str,
    *,
    max_products: int,
    excess: Callable[[Small, Small, float], float],
    rng: np.random.Generator,
    n_sure: int | None = None,
    noise: float = 0.0,
    patience: float = math.inf,
    loss: float = 0.0,
) -> Pairs:
    """extremal_pairs by blocks narrower than k, of which the first n_sure (all) are not missing.

    A block of w random vectors holds w vectors of an eigenvalue that occurs as often: where fewer
    than w of the values found are the same, all of them were found. Else it begins anew with wider
    blocks. What is below `noise`, in magnitude and relative to the largest, does not count.
    """
    n_sure = k if n_sure is None else n_sure
    n, width = start.shape
    eps = float(np.finfo(start.dtype).eps)
    n_products = 0
    while True:
        pairs = extremal_pairs(
            apply,
            start,
            k,
            which,
            size=basis_size(k, width),
            max_products=max_products - n_products,
            excess=excess,
            rng=rng,
            patience=patience,
            loss=loss,
        )
        n_products += pairs.n_products
        pairs.n_products = n_products
        counted = np.flatnonzero(np.abs(pairs.values[:n_sure]) > noise * pairs.scale)
        rounding = 64 * eps * pairs.scale
        is_sure = width >= n_sure or n_products >= max_products or len(counted) < width
        if is_sure or not _may_be_missing(
            pairs.values[counted], width, pairs.lengths[counted].max(), rounding
        ):
            return pairs
        width = min(2 * width, n_sure)
        start = random_block(rng, n, width, start.dtype)
