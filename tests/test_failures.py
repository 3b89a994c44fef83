"""Failures that other libraries had, each tried here on every operation that could have it.

Those that concern one function (0 * NaN, norms that overflow in the square, ...) or the arrays that
come in (negative strides, masked arrays, ...) stand in that function's tests and in test_arrays.py.
"""

import contextlib
import gc
import itertools
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import LARGE_OPERATIONS, LAYOUTS, OPERATIONS, assert_same_bits, layout, normal

import fastmath_ml as fm

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def in_python(code, timeout=120):
    """Run code in a fresh interpreter, in which a crash harms nobody; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def test_in_python_fails_where_the_code_does():
    assert in_python("print(1)") == "1"
    with pytest.raises(AssertionError, match=r"exit status 3\n"):
        in_python("import sys; sys.exit(3)")
    with pytest.raises(AssertionError, match="exit status -"):
        in_python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")


# ---- threads ----


@pytest.mark.parametrize("layout_name", ["C", "Fortran", "mixed"])
@pytest.mark.parametrize("name", LARGE_OPERATIONS)
def test_parallel_and_serial_results_are_the_same(name, layout_name, dtype, rng):
    operation = LARGE_OPERATIONS[name]
    inputs = [layout(x, layout_name) for x in operation.inputs(rng, dtype)]
    with fm.num_threads(1):
        expected = operation(*inputs)
    operation.check(expected, *inputs)
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            assert_same_bits(operation(*inputs), expected)


def test_concurrent_callers_on_arrays_of_any_layout(dtype, rng):
    """Eight Python threads, each with its own thread count, on shared inputs."""
    names = list(LAYOUTS)
    work = []
    for operations in (OPERATIONS, LARGE_OPERATIONS):
        for at, operation in enumerate(operations.values()):
            inputs = operation.inputs(rng, dtype)
            views = [layout(x, names[at % len(names)]) for x in inputs]
            work.append((operation, views, operation(*views)))
    barrier = threading.Barrier(8)

    def call_often(seed):
        order = np.random.default_rng(seed)
        barrier.wait()
        n_wrong = 0
        for at in order.permutation(len(work) * 2) % len(work):
            operation, views, expected = work[at]
            out = np.full_like(expected, np.nan) if order.random() < 0.5 else None
            with fm.num_threads(int(order.integers(1, 5))):
                result = operation(*views, out=out)
            n_wrong += not np.array_equal(result, expected)
        return n_wrong

    with ThreadPoolExecutor(8) as executor:
        assert sum(executor.map(call_often, range(8))) == 0


@needs_fork
@needs_linux
def test_fork_while_another_thread_computes():
    """The child computes too, whatever the threads of its parent were doing."""
    printed = in_python(
        """
        import os, signal, threading, warnings
        import numpy as np
        import fastmath_ml as fm

        warnings.simplefilter("ignore", DeprecationWarning)
        rng = np.random.default_rng(0)
        a = rng.standard_normal((300, 300))

        def compute():
            with fm.num_threads(2):
                return fm.matmul(a, a), fm.softmax(a, axis=0), fm.cosine_similarity(a)

        def same(results):
            return all(map(np.array_equal, results, expected))

        expected = compute()
        stop = False
        wrong = []

        def keep_computing():
            while not stop:
                if not same(compute()):
                    wrong.append(1)

        thread = threading.Thread(target=keep_computing)
        thread.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(30)  # a child that hangs ends
                os._exit(0 if same(compute()) else 1)
            _, status = os.waitpid(child, 0)
            assert status == 0, status
            assert same(compute())
        stop = True
        thread.join()
        assert not wrong
        print("all right")
        """
    )
    assert printed == "all right"


# Each takes minutes or hours when nothing ends it.
LONG_CALLS = {
    "product": "fm.matmul(broad((2000, 10**10)), broad((10**10, 2000)))",
    "many products": "fm.matmul(broad((3000, 150, 10**5)), broad((3000, 10**5, 150)))",
    "two large products": "fm.matmul(broad((2, 2000, 10**10)), broad((2, 10**10, 2000)))",
    "similarities": "fm.cosine_similarity(broad((20_000, 10**7)))",
}


@needs_linux
@pytest.mark.parametrize("call", LONG_CALLS)
def test_interrupt_of_a_long_call(call):
    """Ctrl-C ends it with KeyboardInterrupt, and the next calls are right."""
    printed = in_python(
        f"""
        import os, signal, threading
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
        import numpy as np
        import fastmath_ml as fm

        def broad(shape):
            return np.broadcast_to(np.float64(1), shape)

        a = np.random.default_rng(0).standard_normal((300, 300))
        expected = fm.matmul(a, a), fm.cosine_similarity(a)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            {LONG_CALLS[call]}
        except KeyboardInterrupt:
            print("interrupted")
        assert np.array_equal(fm.matmul(a, a), expected[0])
        assert np.array_equal(fm.cosine_similarity(a), expected[1])
        """,
        timeout=15,
    )
    assert printed == "interrupted"


# ---- memory ----


@needs_linux
def test_nothing_is_read_or_written_beyond_the_ends():
    """Arrays against the border of an unreadable page, for every length of a tail."""
    printed = in_python(
        """
        import ctypes, itertools, mmap
        import numpy as np
        import fastmath_ml as fm

        libc = ctypes.CDLL(None, use_errno=True)
        PAGE = mmap.PAGESIZE
        rng = np.random.default_rng(0)
        kept = []

        class Area:
            '''Pages between two unreadable ones.'''
            def __init__(self, n_pages):
                self.memory = mmap.mmap(-1, (n_pages + 2) * PAGE)
                self.bytes = np.frombuffer(self.memory, np.uint8)
                start = self.bytes.ctypes.data
                for page in (start, start + (n_pages + 1) * PAGE):
                    assert libc.mprotect(ctypes.c_void_p(page), PAGE, 0) == 0
                self.inside = self.bytes[PAGE:-PAGE]

            def place(self, x, at_end, order):
                n = x.nbytes
                part = self.inside[self.inside.size - n :] if at_end else self.inside[:n]
                view = part.view(x.dtype)
                view = view.reshape(x.shape, order=order)
                view[...] = x
                return view

        areas = [Area(16) for _ in range(3)]
        for dtype, n in itertools.product(("f4", "f8"), range(1, 41)):
            for rows in (1, 3, 17):
                a, b = rng.standard_normal((rows, n)), rng.standard_normal((n, n))
                c = rng.standard_normal((n, rows))
                calls = [
                    (fm.matmul, (a, b), (rows, n)), (fm.matmul, (a, c), (rows, rows)),
                    (fm.matmul, (c, a), (n, n)), (fm.matmul, (b[0], b), (n,)),
                    (fm.cosine_similarity, (a, b), (rows, n)),
                    (fm.cosine_similarity, (a,), (rows, rows)),
                    (lambda x, out: fm.softmax(x, axis=1, out=out), (a,), a.shape),
                    (lambda x, out: fm.softmax(x, axis=0, out=out), (a,), a.shape),
                    (lambda x, out: fm.softmax(x, axis=0, out=out), (c,), c.shape),
                    (lambda x, out: fm.softmax(x, out=out), (c,), c.shape),
                ]
                for function, args, shape in calls:
                    args = [x.astype(dtype) for x in args]
                    expected = function(*args, out=np.zeros(shape, dtype))
                    for at_end, order in itertools.product((True, False), "CF"):
                        placed = [area.place(x, at_end, order) for area, x in zip(areas, args)]
                        out = areas[2].place(np.zeros(shape, dtype), at_end, "C")
                        result = function(*placed, out=out)
                        assert np.allclose(result, expected, rtol=1e-4, atol=1e-4)
        print("all right")
        """
    )
    assert printed == "all right"


def rows_far_apart(path, n_rows, dtype):
    """Rows that are more than 2^31 elements apart, in a file that is empty but for what is used."""
    row = 2**31 + 24
    try:
        array = np.memmap(path, dtype, "w+", shape=(n_rows, row))
    except OSError as error:
        pytest.skip(f"no sparse file of {n_rows * row * np.dtype(dtype).itemsize} bytes: {error}")
    return array[:, -70:]


@pytest.mark.skipif(sys.maxsize < 2**32, reason="64-bit only")
@needs_linux
def test_strides_beyond_2_to_the_31(tmp_path, rng):
    a, b = normal(rng, (3, 70), "f"), normal(rng, (4, 70), "f")
    far_a, far_b = rows_far_apart(tmp_path / "a", 3, "f"), rows_far_apart(tmp_path / "b", 4, "f")
    far_a[...], far_b[...] = a, b
    out = rows_far_apart(tmp_path / "out", 3, "f")
    expected = fm.matmul(a, b.T)
    assert_same_bits(fm.matmul(far_a, far_b.T), expected)
    assert_same_bits(fm.matmul(far_a, far_b.T, out=out[:, 3:7]), expected)
    assert_same_bits(fm.matmul(far_b, far_a.T, out=out[:, 3:7].T), expected.T)
    assert_same_bits(fm.cosine_similarity(far_a, far_b), fm.cosine_similarity(a, b))
    assert_same_bits(fm.cosine_similarity(far_a), fm.cosine_similarity(a))
    for axis in (0, 1):
        assert_same_bits(fm.softmax(far_a, axis=axis, out=out), fm.softmax(a, axis=axis))


def test_products_of_dimensions_beyond_2_to_the_31(rng):
    """43000 x 50000 elements in 200 kB: the rows are the same one."""
    row = rng.integers(-4, 5, 50_000).astype("f")
    matrix = np.broadcast_to(row, (43_000, 50_000))
    weights = np.ones(43_000, "f")
    weights[::2] = -1
    weights[:3] = 2
    assert matrix.size > 2**31
    assert np.array_equal(fm.matmul(weights, matrix), weights.sum() * row)
    assert np.array_equal(fm.matmul(matrix.T, weights), weights.sum() * row)


def test_memory_does_not_grow_over_many_calls(rng):
    """10^4 calls of everything, successful or not; a pointer kept by each would be 80 kB."""
    small = {"matmul": [(3, 5), (5, 4)], "softmax": [(3, 5)], "cosine_similarity": [(3, 5), (4, 5)]}
    calls = []
    for name, shapes in small.items():
        function = getattr(fm, name)
        for view in (np.asarray, np.asfortranarray, np.ndarray.tolist):
            args = [view(normal(rng, shape, "f")) for shape in shapes]
            calls += [(function, args, None), (function, args, np.zeros((2, 2), "f"))]
        out = np.zeros_like(function(*(np.asarray(arg, "f") for arg in args)))
        calls += [(function, args, np.zeros(out.shape)), (function, [None] * len(args), None)]
        calls.append((function, [np.ma.ones(shape) for shape in shapes], None))
    shared = [np.dtype("f"), np.dtype("d"), None, (), *(x for call in calls for x in call[1])]

    def call_all(n_times):
        for _ in range(n_times):
            for function, args, out in calls:
                with contextlib.suppress(TypeError, ValueError):
                    function(*args, out=out)
        gc.collect()

    tracemalloc.start()
    try:
        call_all(30)
        before, counts = tracemalloc.get_traced_memory()[0], [sys.getrefcount(x) for x in shared]
        call_all(10_000 // len(calls))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000, f"{grown} bytes"
    for x, count in zip(shared, counts, strict=True):
        assert abs(sys.getrefcount(x) - count) < 100, repr(x)


@needs_linux
@pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps freed memory"
)
def test_scratch_memory_does_not_grow_over_many_calls(rng):
    """Memory that Python does not see: the size of the process."""
    inputs = [(op, op.inputs(rng, "f")) for op in map(OPERATIONS.get, OPERATIONS)]

    def resident_bytes():
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def call_all(n_times):
        with fm.num_threads(2):
            for _ in range(n_times):
                for operation, args in inputs:
                    operation(*args)

    call_all(100)
    before = resident_bytes()
    call_all(1000)
    assert resident_bytes() - before < 2 << 20


# ---- the state of the floating-point unit ----

# What is done, and the values at the negative and at the other places of each operand
SILENT_CALLS = {
    "softmax of far apart values": (lambda x: fm.softmax(x, axis=1), (-1e4, 1e4)),
    "softmax of huge values": (fm.softmax, (-3e38, 3e38)),
    "softmax of NaN and infinities": (lambda x: fm.softmax(x, axis=0), (np.nan, np.inf)),
    "softmax of -inf": (lambda x: fm.softmax(x, axis=0), (-np.inf, -np.inf)),
    "softmax in Fortran order": (lambda x: fm.softmax(np.asfortranarray(x), axis=0), (-1e4, 1e4)),
    "matmul that overflows": (fm.matmul, (3e38, 3e38), (3e38, -3e38)),
    "matmul that underflows": (fm.matmul, (1e-38, -1e-38), (1e-38, 1e-38)),
    "matmul of NaN and infinities": (fm.matmul, (np.nan, np.inf), (0, 1)),
    "cosine of ordinary values": (lambda x, y: fm.cosine_similarity(x, y.T), (1, 2), (-3, 4)),
    "cosine of zeros": (lambda x, y: fm.cosine_similarity(x, y.T), (0, 0), (1, 0)),
    "cosine of huge values": (lambda x, y: fm.cosine_similarity(x, y.T), (3e38, -3e38), (1, 2)),
    "cosine of tiny values": (lambda x, y: fm.cosine_similarity(x, y.T), (1e-45, 0), (1e-38, 1)),
    "cosine of far apart values": (
        lambda x, y: fm.cosine_similarity(x, y.T),
        (1e-38, 3e38),
        (1e-38, 1e-45),
    ),
}


@pytest.mark.parametrize("name", SILENT_CALLS)
def test_no_floating_point_warnings(name, dtype, rng):
    """Neither from masked lanes nor from steps of a computation whose result is right."""
    call, *values = SILENT_CALLS[name]
    for shape in [(3, 5), (33, 70), (2, 1)]:
        with np.errstate(all="ignore"):
            operands = [
                np.where(rng.standard_normal(at) < 0, *pair).astype(dtype)
                for at, pair in zip((shape, shape[::-1]), values, strict=False)
            ]
            expected = call(*operands)
        with np.errstate(all="raise"):
            assert np.array_equal(call(*operands), expected, equal_nan=True)


def test_denormals_are_not_flushed(rng):
    """Neither by loading the kernels nor by running them, on any thread."""

    def flushes(_=None):
        smallest = np.array([5e-324]), np.array([1e-45], "f")
        return any(float((x * x.dtype.type(1)).sum()) == 0 for x in smallest)

    assert not flushes()
    for operation in LARGE_OPERATIONS.values():
        operation(*operation.inputs(rng, "f"))
    assert not flushes()
    with ThreadPoolExecutor(2) as executor:
        assert not any(executor.map(flushes, range(4)))


# ---- the rest ----


def test_an_error_leaves_nothing_behind(dtype, rng):
    x = normal(rng, (40, 40), dtype)
    calls = [
        lambda: fm.matmul(x, x),
        lambda: fm.softmax(x, axis=0),
        lambda: fm.cosine_similarity(x),
    ]
    expected = [call() for call in calls]
    failing = [
        lambda: fm.matmul(x, x[:3]),
        lambda: fm.matmul(x, x, out=x[:3]),
        lambda: fm.softmax(x, axis=5),
        lambda: fm.softmax(x, out=x[:3]),
        lambda: fm.cosine_similarity(x * np.nan),
        lambda: fm.cosine_similarity(x, x[:, :3]),
    ]
    for call in failing:
        with pytest.raises(ValueError, match=r"\w"):
            call()
        for right, result in zip(expected, (call() for call in calls), strict=True):
            assert_same_bits(result, right)


@pytest.mark.parametrize("name", ["matmul", "softmax", "cosine_similarity"])
def test_functions_can_be_sent_to_another_process(name):
    function = getattr(fm, name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert function.__module__.startswith("fastmath_ml.")
    assert function.__doc__


def test_float16_sums_do_not_stick_at_2048(rng):
    """Adding 1 to 2048 in float16 gives 2048."""
    ones = np.ones((2, 10_000), np.float16)
    assert np.array_equal(fm.cosine_similarity(ones), np.ones((2, 2)))
    assert_same_bits(fm.softmax(ones, axis=1), np.full_like(ones, 1e-4))


def test_lengths_one_by_one_in_place(dtype, rng):
    """Every tail, in place and with neighbours on both sides: nothing else changes."""
    for n_rows, n in itertools.product((1, 2, 17), range(1, 70)):
        big = normal(rng, (n_rows + 2, n + 2), dtype)
        before = big.copy()
        x = big[1:-1, 1:-1]
        expected = fm.softmax(x.copy(), axis=1)
        fm.softmax(x, axis=1, out=x)
        assert_same_bits(x, expected)
        before[1:-1, 1:-1] = expected
        assert_same_bits(big, before)
