"""Error bounds, memory layouts and assertions of the correctness tests.

Bounds are arrays: the largest |result - exact| that an implementation may have, element by element.
They follow from the arithmetic that the docstrings promise and not from what was measured once.
The assertions are themselves tested, in test_arrays.py: each is shown to fail.
"""

import numpy as np
import pytest

import fastmath_ml as fm

try:
    from benchmarks.cases import CASES
except ModuleNotFoundError:  # the tests of an installation without the benchmarks
    CASES = []

# Longer than any kernel's block: a shorter sum is allowed the same error.
LONGEST_CHAIN = 384


def eps(dtype):
    return float(np.finfo(dtype).eps)


def normal(rng, shape, dtype, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(dtype)


# ---- oracles and bounds ----


def softmax_exact(x, axis=None):
    """softmax in the next wider precision: float64 sums of NumPy are themselves inaccurate."""
    x = np.asarray(x)
    x = x.astype(np.float64 if x.dtype.itemsize <= 4 else np.longdouble)
    if x.size == 0:
        return x
    with np.errstate(invalid="ignore", over="ignore"):
        terms = np.exp(x - x.max(axis=axis, keepdims=True))
        return terms / terms.sum(axis=axis, keepdims=True)


def softmax_bound(x, exact, dtype, axis=None):
    """(32 + |x - max|) eps relative, the second term being the rounding of x - max itself.

    Results below the smallest normal number are rounded to a multiple of the smallest denormal,
    once as an exponential and once as a quotient.
    """
    x = np.asarray(x).astype(np.float64)
    with np.errstate(invalid="ignore"):
        below = np.abs(x - x.max(axis=axis, keepdims=True)) if x.size else x
    below = np.where(np.isfinite(below), below, 0)
    exact = np.where(np.isfinite(exact), exact, 0).astype(np.float64)
    return (32 + below) * eps(dtype) * exact + 2 * float(np.finfo(dtype).smallest_subnormal)


def matmul_bound(a, b, dtype):
    """(the length of the chains of additions) * eps * |A| |B|, for matrices and their stacks.

    A chain per depth block and one over the blocks. eps is twice the unit roundoff: half of the
    bound is the kernel's, half is left to the oracle, which sums in float64 in any case.
    """
    a, b = np.abs(np.asarray(a, dtype=np.float64)), np.abs(np.asarray(b, dtype=np.float64))
    depth = a.shape[-1]
    chain = min(depth, LONGEST_CHAIN) + depth // 256 + 1
    # Products below the smallest normal number lose up to half a denormal each.
    return chain * eps(dtype) * (a @ b) + depth * float(np.finfo(dtype).smallest_subnormal)


def cosine_bound(n_features, dtype):
    return (3 + n_features) * eps(dtype)


# ---- assertions ----


def assert_within(result, exact, bound, dtype=None):
    """|result - exact| <= bound, NaN where `exact` is NaN and the same infinities."""
    result, exact = np.asarray(result), np.asarray(exact)
    if dtype is not None:
        assert result.dtype == dtype, f"dtype {result.dtype}, expected {dtype}"
    assert result.shape == exact.shape, f"shape {result.shape}, expected {exact.shape}"
    wide = result.astype(np.result_type(exact.dtype, np.float64))
    with np.errstate(invalid="ignore"):
        error = np.abs(wide - exact)
    if np.all(error <= bound):
        return
    good = (error <= bound) | (wide == exact) | (np.isnan(wide) & np.isnan(exact))
    if not good.all():
        with np.errstate(invalid="ignore", over="ignore"):
            excess = np.where(good, 0, error / np.maximum(bound, 1e-300))
        excess = np.where(~good & np.isnan(excess), np.inf, excess)
        at = np.unravel_index(np.argmax(excess), excess.shape)
        at = tuple(int(i) for i in at)
        raise AssertionError(
            f"{np.count_nonzero(~good)} of {good.size} beyond the bound; at {at} "
            f"{result[at]!r}, expected {exact[at]!r}, {excess[at]:.3g} times the bound"
        )


def assert_same_bits(result, expected):
    """Equal dtype, shape and bytes, whatever the layout; NaN equals the same NaN, 0 is not -0."""
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.dtype.newbyteorder("=") == expected.dtype.newbyteorder("="), (
        f"dtype {result.dtype}, expected {expected.dtype}"
    )
    assert result.shape == expected.shape, f"shape {result.shape}, expected {expected.shape}"
    native, bits = result.dtype.newbyteorder("="), f"u{result.dtype.itemsize}"
    both = (np.ascontiguousarray(x.astype(native, copy=False)) for x in (result, expected))
    if not np.array_equal(*(x.view(bits) for x in both)):
        differ = ~((result == expected) & (np.signbit(result) == np.signbit(expected)))
        differ &= ~(np.isnan(result) & np.isnan(expected))
        where = np.argwhere(differ)
        raise AssertionError(
            f"{len(where)} of {result.size} elements differ, the first at {where[:1].tolist()}"
        )


def assert_unchanged(arrays, before):
    """The bytes of the arrays are those of the copies made before."""
    for at, (array, copy) in enumerate(zip(arrays, before, strict=True)):
        assert np.asarray(array).tobytes() == copy.tobytes(), f"input {at} was modified"


# ---- layouts ----


def _filler(dtype):
    """What stands between the elements and must not be read."""
    return np.nan if dtype.kind == "f" else 1


def _strided(x, steps):
    """x as a view that takes every steps[i]-th element along axis i (negative: backwards)."""
    big = np.full(
        [n * abs(step) for n, step in zip(x.shape, steps, strict=True)], _filler(x.dtype), x.dtype
    )
    view = big[tuple(slice(None, None, step) for step in steps)]
    view[...] = x
    return view


def _unaligned(x):
    view = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def _odd_strides(x):
    """Strides that are no multiple of the itemsize: a field of a packed structure."""
    view = np.zeros(x.shape, np.dtype([("gap", "u1"), ("value", x.dtype)]))["value"]
    view[...] = x
    return view


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def _padded_rows(x):
    big = np.full((*x.shape[:-1], x.shape[-1] + 3), _filler(x.dtype), x.dtype)
    big[..., : x.shape[-1]] = x
    return big[..., : x.shape[-1]]


LAYOUTS = {
    "C": np.array,
    "Fortran": np.asfortranarray,
    "negative": lambda x: _strided(x, [-1] * x.ndim),
    "negative last": lambda x: _strided(x, [1] * (x.ndim - 1) + [-1]),
    "every second": lambda x: _strided(x, [1] * (x.ndim - 1) + [2]),
    "every third row": lambda x: _strided(x, [3] + [1] * (x.ndim - 1)),
    "mixed": lambda x: _strided(x, [-2, *[3] * (x.ndim - 1)]),
    "padded rows": _padded_rows,
    "Fortran, negative": lambda x: np.asfortranarray(x[::-1])[::-1],
    "read-only": _read_only,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "little-endian": lambda x: x.astype(x.dtype.newbyteorder("<")),
    "unaligned": _unaligned,
    "odd strides": _odd_strides,
}
# Those that can receive a result.
OUT_LAYOUTS = [name for name in LAYOUTS if name != "read-only"]


def layout(x, name):
    """The same values as x in the layout of that name."""
    view = LAYOUTS[name](np.asarray(x))
    assert np.array_equal(view, x, equal_nan=np.asarray(x).dtype.kind == "f")
    return view


class Guarded:
    """An array amid guard bytes: `check` fails where a byte outside of the array was written.

    The array has the layout of that name and is filled with NaN, so that an element that nobody
    writes shows too.
    """

    def __init__(self, shape, dtype, name="C", n_guard=256):
        dtype = np.dtype(dtype)
        model = layout(np.zeros(shape, dtype), name)
        low, high = np.lib.array_utils.byte_bounds(model)
        first = model.__array_interface__["data"][0]
        # The guard keeps the alignment of the model: 0 to 7 bytes past a multiple of 8.
        start = n_guard + low % 8
        self._bytes = np.full(start + high - low + n_guard, 0xA5, np.uint8)
        assert self._bytes.ctypes.data % 8 == 0
        self.array = np.ndarray(shape, model.dtype, self._bytes, start + first - low, model.strides)
        own = np.zeros(self._bytes.shape, bool)
        offset = start + first - low
        places = offset + sum(
            (np.arange(n) * stride).reshape([-1] + [1] * (model.ndim - 1 - axis))
            for axis, (n, stride) in enumerate(zip(shape, model.strides, strict=True))
        )
        for byte in range(dtype.itemsize):
            own[np.ravel(places) + byte] = True
        self._guards = ~own
        self.array[...] = np.nan

    def check(self):
        written = self._guards & (self._bytes != 0xA5)
        assert not written.any(), f"{np.count_nonzero(written)} bytes around out were written"
        assert not np.isnan(self.array).any(), "an element of out was not written"


# ---- the operations, for the tests that hold for all of them ----


class Operation:
    """A public function with its options, inputs that suit it, and how exact it must be."""

    def __init__(self, name, shapes, **options):
        self.name, self.shapes, self.options = name, shapes, options

    def inputs(self, rng, dtype, scale=1.0):
        return [normal(rng, shape, dtype, scale) for shape in self.shapes]

    def __call__(self, *args, **options):
        return getattr(fm, self.name)(*args, **self.options, **options)

    def check(self, result, *args):
        """result is what args, arrays of one dtype, must give, within the bound."""
        dtype = args[0].dtype.newbyteorder("=")
        if self.name == "softmax":
            exact = softmax_exact(*args, **self.options)
            bound = softmax_bound(*args, exact, dtype, **self.options)
        else:
            exact = getattr(fm.reference, self.name)(*args, **self.options)
            if self.name == "matmul":
                bound = matmul_bound(*args, dtype)
            else:
                bound = cosine_bound(args[0].shape[1], dtype)
        assert_within(result, exact, bound, dtype)
        return exact


# Sizes that no vector or tile divides.
OPERATIONS = {
    "matmul": Operation("matmul", [(37, 53), (53, 41)]),
    "matmul stack": Operation("matmul", [(3, 5, 19), (3, 19, 7)]),
    "softmax all": Operation("softmax", [(37, 53)]),
    "softmax rows": Operation("softmax", [(37, 53)], axis=-1),
    "softmax short rows": Operation("softmax", [(53, 7)], axis=1),
    "softmax columns": Operation("softmax", [(37, 53)], axis=0),
    "softmax middle": Operation("softmax", [(5, 9, 11)], axis=1),
    "softmax two axes": Operation("softmax", [(5, 9, 11)], axis=(0, 2)),
    "cosine two sets": Operation("cosine_similarity", [(37, 53), (41, 53)]),
    "cosine one set": Operation("cosine_similarity", [(37, 53)]),
}
# The same, large enough for several threads.
LARGE_OPERATIONS = {
    "matmul": Operation("matmul", [(315, 801), (801, 290)]),
    "matmul stack": Operation("matmul", [(150, 33, 40), (150, 40, 37)]),
    "matmul vector": Operation("matmul", [(901,), (901, 1501)]),
    "softmax all": Operation("softmax", [(1003, 701)]),
    "softmax rows": Operation("softmax", [(703, 1001)], axis=-1),
    "softmax short rows": Operation("softmax", [(50_003, 10)], axis=1),
    "softmax columns": Operation("softmax", [(703, 1001)], axis=0),
    "softmax middle": Operation("softmax", [(7, 901, 101)], axis=1),
    "cosine two sets": Operation("cosine_similarity", [(303, 401), (350, 401)]),
    "cosine one set": Operation("cosine_similarity", [(515, 401)]),
}


def cases_of(name):
    """The benchmark cases of an operation that a test has the time for, by their keys."""
    chosen = [
        case for case in CASES if case.op == name and case.flops < 3e9 and case.expect is None
    ]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.key)


def check_case(case):
    """One benchmark case: within the bound, within the case's own tolerance, into out= or not."""
    inputs = case.inputs()
    operation = Operation(case.op, (), **inputs.kwargs)
    before = [x.copy() for x in inputs.args]
    result = case.ours(inputs)()
    assert_unchanged(inputs.args, before)
    exact = operation.check(result, *inputs.args)
    assert case.agrees(result, exact), "beyond the tolerance that the case gives"
    if inputs.out is not None:
        assert result is inputs.out
        assert_same_bits(operation(*inputs.args), result)
