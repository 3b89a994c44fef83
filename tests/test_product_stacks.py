"""Stacks of small matrices: the same bits as one product after the other, however they lie."""

import ctypes
import itertools
import mmap
import os

import numpy as np
import pytest
from helpers import Guarded, assert_same_bits, assert_within, matmul_bound, normal

import fastmath_ml as fm
from fastmath_ml import reference

DTYPES = [np.float32, np.float64]
SIZES = range(1, 10)


def one_by_one(a, b):
    return np.stack([fm.matmul(x, y) for x, y in zip(a, b, strict=True)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_products", [4, 13])
def test_every_small_shape(rng, dtype, n_products):
    for n_rows, depth, n_cols in itertools.product(SIZES, repeat=3):
        a = normal(rng, (n_products, n_rows, depth), dtype)
        b = normal(rng, (n_products, depth, n_cols), dtype)
        result = fm.matmul(a, b)
        assert_within(result, reference.matmul(a, b), matmul_bound(a, b, dtype), dtype)
        assert_same_bits(result, one_by_one(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 8, 14, 16, 33])
@pytest.mark.parametrize("n_products", [1, 2, 3, 5, 17, 64, 67])
def test_every_number_of_products(rng, dtype, size, n_products):
    a, b = (normal(rng, (n_products, size, size), dtype) for _ in range(2))
    assert_same_bits(fm.matmul(a, b), one_by_one(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 3, 4, 8])
def test_any_strides(rng, dtype, size):
    n = 11
    a, b = (normal(rng, (n, size, size), dtype) for _ in range(2))
    expected = fm.matmul(a, b)
    room = np.zeros((2 * n, size, 3 * size), dtype)

    def forms(x):
        yield x
        yield np.ascontiguousarray(x.mT).mT
        yield x[::-1].copy()[::-1]
        yield x[:, ::-1].copy()[:, ::-1]
        room[::2, :, size : 2 * size] = x
        yield room.copy()[::2, :, size : 2 * size]
        yield np.asfortranarray(x)

    for x, y in itertools.product(forms(a), forms(b)):
        assert_same_bits(fm.matmul(x, y), expected)
        guarded = Guarded(expected.shape, dtype)
        fm.matmul(x, y, out=guarded.array)
        assert_same_bits(guarded.array, expected)
        guarded.check()
    whole = np.full_like(room, 7)
    for out in (
        whole[::2, :, size : 2 * size],
        whole[: 2 * n : 2, :, :size],
        whole[n:][::-1][:, :, :size],
        np.full((2 * n, size, size), 7, dtype)[::2],
        np.full((n, size, size), 7, dtype)[::-1],
        np.full((n, size, size), 7, dtype).mT,
    ):
        base = out if out.base is None else out.base
        base[...] = 7
        fm.matmul(a, b, out=out)
        assert_same_bits(np.ascontiguousarray(out), expected)
        out[...] = 7
        assert np.all(base == 7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("core", [(2, 2, 2), (3, 3, 3), (3, 3, 1), (1, 4, 4), (4, 4, 4), (2, 9, 2)])
def test_broadcasting_on_either_side(rng, dtype, core):
    n_rows, depth, n_cols = core
    for a_stack, b_stack in [((9,), ()), ((), (9,)), ((5, 1), (6,)), ((4, 1, 3), (2, 1))]:
        a = normal(rng, (*a_stack, n_rows, depth), dtype)
        b = normal(rng, (*b_stack, depth, n_cols), dtype)
        stack = np.broadcast_shapes(a_stack, b_stack)
        whole = [
            np.broadcast_to(x, (*stack, *x.shape[-2:])).reshape(-1, *x.shape[-2:]) for x in (a, b)
        ]
        expected = one_by_one(*whole).reshape(*stack, n_rows, n_cols)
        for threads in (1, 2, 7):
            with fm.num_threads(threads):
                assert_same_bits(fm.matmul(a, b), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8])
@pytest.mark.skipif(os.name != "posix", reason="mprotect")
def test_nothing_behind_an_operand_is_read(rng, dtype, size):
    n, page = 7, mmap.PAGESIZE
    a, b = (normal(rng, (n, size, size), dtype) for _ in range(2))
    pages = [np.frombuffer(mmap.mmap(-1, 2 * page), np.uint8) for _ in range(2)]
    protect = ctypes.CDLL(None).mprotect
    no_access = 0
    at_end = []
    for x, whole in zip((a, b), pages, strict=True):
        assert x.nbytes <= page
        whole[page - x.nbytes : page] = x.view(np.uint8).ravel()
        at_end.append(whole[page - x.nbytes : page].view(dtype).reshape(x.shape))
        place, length = ctypes.c_void_p(whole.ctypes.data + page), ctypes.c_size_t(page)
        assert protect(place, length, no_access) == 0

    def forms(x):
        return x, x.mT, x[:, :, -1:], x[:, -1:], x[-1:], x[1::2]

    for x, y in itertools.product(forms(at_end[0]), forms(at_end[1])):
        if x.shape[2] == y.shape[1] and (len(x) == len(y) or 1 in (len(x), len(y))):
            bound = matmul_bound(x, y, dtype)
            assert_within(fm.matmul(x, y), reference.matmul(x, y), bound, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 3, 4, 8])
def test_nan_and_inf_stay_in_their_product(rng, dtype, size):
    a, b = (normal(rng, (9, size, size), dtype) for _ in range(2))
    expected = fm.matmul(a, b)
    a[4, 0, 0], b[6, -1, -1] = np.nan, np.inf
    result = fm.matmul(a, b)
    assert np.isnan(result[4, 0]).all()
    assert np.isinf(result[6, :, -1]).all()
    result[4, 0], result[6, :, -1] = expected[4, 0], expected[6, :, -1]
    assert_same_bits(result, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "stacks",
    [((100, 1), (211,)), ((211,), (100, 1)), ((20, 50, 1, 7), (20, 1, 3, 7)), ((9000, 1), (1, 1))],
)
def test_the_threads_share_a_stack(rng, dtype, stacks):
    """Their chunks begin anywhere along any axis."""
    a, b = (normal(rng, (*stack, 3, 3), dtype) for stack in stacks)
    whole = [x.reshape(-1, 3, 3) for x in np.broadcast_arrays(a, b)]
    expected = one_by_one(*whole).reshape(np.broadcast_shapes(a.shape, b.shape))
    for threads in (1, 2, 3, 7):
        with fm.num_threads(threads):
            assert_same_bits(fm.matmul(a, b), expected)
