"""What a case is: its inputs, what the work amounts to, how exact it must be, and the bars."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

import numpy as np

ALL = 0  # as a number of threads: those that the run uses


@dataclass(frozen=True)
class Inputs:
    """What a call gets; `out` goes to ours as out= and to peers that take one."""

    args: tuple
    kwargs: dict = field(default_factory=dict)
    out: np.ndarray | None = None


@dataclass(frozen=True)
class Bar:
    """A figure to reach.

    area: the part of the project that set it. at_least: the ratio wanted. against: 'best peer', one
    peer, a limit of the machine ('copyto', 'fma', 'read': the ratio is then the share reached) or
    seconds. The bars of one `group` are judged together by their geometric mean.
    """

    area: str
    at_least: float
    against: str | float = "best peer"
    regime: str = "steady"
    threads: int = ALL
    group: str = ""


@dataclass(frozen=True)
class Case:
    op: str  # the public name, with its module where the package itself does not have it
    label: str  # dtype and sizes
    make: Callable[[np.random.Generator], Inputs]
    peers: dict[str, Callable]
    flops: float  # exp, division and square root count as one
    bytes: float  # every input read once, every output written once
    dtype: str = "float32"
    rtol: float = 0.0  # |result - reference| <= rtol * |reference| + atol
    atol: float = 0.0
    bars: tuple[Bar, ...] = ()
    threads: tuple[int, ...] = (ALL,)
    quick: bool = False
    is_overhead: bool = False  # measures the cost of a call, not of the work
    takes_out: bool = False  # as the next argument: partial() takes 80 ns to add a named one
    # How ours is called where it is more than op(*args, **kwargs), and what the reference gives
    # then: functions of the inputs.
    call: Callable[[Inputs], Callable] | None = None
    expect: Callable[[Inputs], object] | None = None

    @property
    def key(self) -> str:
        return f"{self.op} {self.label}"

    def inputs(self) -> Inputs:
        """The same numbers in every process."""
        return self.make(np.random.default_rng(zlib.crc32(self.key.encode())))

    def ours(self, inputs: Inputs) -> Callable[[], object]:
        import fastmath_ml as fm

        if self.call is not None:
            return self.call(inputs)
        function = partial(attrgetter(self.op)(fm), *inputs.args, **inputs.kwargs)
        if inputs.out is None:
            return function
        if self.takes_out:
            return partial(function, inputs.out)
        return partial(function, out=inputs.out)

    def reference(self, inputs: Inputs) -> object:
        """The oracle's answer, from the slow functions in float64."""
        from fastmath_ml import reference

        if self.expect is not None:
            return self.expect(inputs)
        return attrgetter(self.op)(reference)(*inputs.args, **inputs.kwargs)

    def residual_of(self, result, expected) -> float | None:
        """How far an iteration went, for the cases that are judged by it; reported beside times."""
        return None

    def agrees(self, result, expected) -> bool:
        """Shapes and numbers; results of several parts are tuples, compared part by part."""
        if isinstance(expected, tuple):
            return len(result) == len(expected) and all(map(self.agrees, result, expected))
        result = np.asarray(result)
        if result.shape != np.shape(expected):
            return False
        return bool(np.allclose(result, expected, rtol=self.rtol, atol=self.atol, equal_nan=True))


def normal(rng, shape, dtype, scale=1.0):
    return rng.standard_normal(shape, dtype=dtype) * np.dtype(dtype).type(scale)


def eps(dtype):
    return float(np.finfo(dtype).eps)
