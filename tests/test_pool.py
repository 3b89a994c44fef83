"""The thread pool under everything that Python programs do to one.

Each call of `_busy_work` checks by itself that every item was done exactly once. Nothing here
measures time, with one exception that says so: the figures are benchmarks/pool_latency.py's.
"""

import array
import ctypes
import gc
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastmath_ml import _threads
from fastmath_ml._kernels import pool
from fastmath_ml._threads import num_threads

THREAD_COUNTS = (1, 2, 3, 7)
LONG_NS = 60e9  # work that takes a minute if it is not interrupted, as _busy_work arguments:
LONG_WORK = {"n_items": 600_000, "grain": 1, "rounds": 70_000, "work_ns": LONG_NS}
NATIVE = Path(__file__).parent / "native"
KERNELS = Path(__file__).parents[1] / "fastmath_ml" / "_kernels"

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@pytest.fixture(autouse=True)
def nothing_left_behind():
    yield
    assert pool._stats()["slots_taken"] == 0
    assert pool.thread_limit() == 0


def work(n_threads=2, n_items=500, **options):
    with num_threads(n_threads):
        return pool._busy_work(n_items, 1, 100, 1e6, **options)


def in_python(code, **options):
    """Run code in a fresh interpreter; returns what it printed."""
    prelude = """
        import os, signal, sys, threading, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
        from fastmath_ml import _threads
        from fastmath_ml._kernels import pool
        def tasks():  # the threads of this process; other libraries have some too
            return set(os.listdir("/proc/self/task")) if sys.platform == "linux" else set()
        before = tasks()
        def work(n_threads=2, n_items=500):
            with _threads.num_threads(n_threads):
                return pool._busy_work(n_items, 1, 100, 1e6)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- calls ----


@pytest.mark.parametrize("n_threads", THREAD_COUNTS)
def test_every_item_once(n_threads):
    for n_items in (0, 1, 2, 3, 64, 1000, 100_003):
        for grain in (1, 7, 64, sys.maxsize):
            for work_ns in (0.0, 20e3, 1e6, 1e12, float("inf"), float("nan"), -1.0):
                with num_threads(n_threads):
                    seen = pool._busy_work(n_items, grain, 0, work_ns)
                assert seen <= n_threads


def test_workers_take_part():
    with num_threads(2):
        assert 2 in (pool._busy_work(1000, 1, 10_000, 15e6) for _ in range(100))


@pytest.mark.parametrize("n_threads", THREAD_COUNTS)
def test_nested_calls_run_serially(n_threads):
    _threads.configure({"FASTMATH_ML_NUM_THREADS": "5"})  # whatever the masks of the workers
    try:
        work(n_threads, nested=True)  # each body checks the call that it makes
    finally:
        _threads.configure()


@pytest.mark.parametrize("n_callers", [8, 40])  # 40: more than there are job slots
def test_concurrent_callers(n_callers):
    n_calls = 8000 // n_callers

    def call_often(seed):
        rng = random.Random(seed)
        for _ in range(n_calls):
            with num_threads(rng.choice(THREAD_COUNTS)):
                pool._busy_work(rng.randrange(300), 1, 20, 1e6, scratch_bytes=1000)
        return n_calls

    with ThreadPoolExecutor(n_callers) as executor:
        assert sum(executor.map(call_often, range(n_callers))) == n_calls * n_callers


def test_thread_count_changes():
    rng = random.Random(0)
    for _ in range(500):
        n_threads = rng.randint(1, 12)
        assert work(n_threads) <= n_threads
    assert pool._stats()["workers"] <= 11


def test_tiny_calls_do_not_grow():
    def resident_bytes():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def call_often(n_calls):
        with num_threads(2):
            for _ in range(n_calls // 1000):
                pool._time_calls(500, 0, 4, 0, 1e3)  # serial
                pool._time_calls(500, 0, 16, 0, 1e6)  # parallel

    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc to read the memory from")
    call_often(10_000)
    before = resident_bytes(), pool._stats()
    call_often(100_000)
    after = resident_bytes(), pool._stats()
    assert after[0] - before[0] < 1 << 20
    assert after[1]["workers"] == before[1]["workers"]


def test_scratch_memory_is_freed_with_its_thread():
    work(1, scratch_bytes=5000)
    before = pool._stats()["scratch_bytes"]
    thread = threading.Thread(target=work, args=(1,), kwargs={"scratch_bytes": 1 << 20})
    thread.start()
    thread.join()
    while pool._stats()["scratch_bytes"] != before:  # join() returns before the thread has ended
        time.sleep(0.01)
    work(1, scratch_bytes=before + (1 << 20))  # this thread keeps its own
    assert pool._stats()["scratch_bytes"] > before


# ---- the ordered reduction ----


def sequential_sum(values, segment):
    total = 0.0
    for start in range(0, len(values), segment):
        partial = 0.0
        for value in values[start : start + segment]:
            partial += value
        total += partial
    return total


@pytest.mark.parametrize("partial_bytes", [8, 3 << 20, 9 << 20])  # one wave, and several
def test_ordered_reduce_gives_the_same_bits(partial_bytes):
    rng = random.Random(1)
    values = array.array("d", (rng.gauss(0, 1) * 10 ** rng.randint(-8, 8) for _ in range(10_007)))
    for segment in (1, 64, 1000, 10_007, 10**9):
        if partial_bytes > 8 and segment < 1000:
            continue
        expected = sequential_sum(values, segment)
        for n_threads in THREAD_COUNTS:
            for work_ns in (1e3, 1e8):
                with num_threads(n_threads):
                    total = pool._ordered_sum(values, segment, partial_bytes, work_ns)
                assert total == expected


def test_ordered_reduce_bounds_its_memory():
    def sum_with_big_partials():
        before = pool._stats()["scratch_bytes"]
        with num_threads(2):
            pool._ordered_sum(bytes(8 * 1000), 1, 1 << 20, 1e8)  # 1000 partials of 1 MiB
        sizes.append(pool._stats()["scratch_bytes"] - before)

    sizes = []
    thread = threading.Thread(target=sum_with_big_partials)  # a thread without scratch so far
    thread.start()
    thread.join()
    assert 0 < sizes[0] <= 8 << 20
    with pytest.raises(MemoryError):
        pool._ordered_sum(bytes(800), 1, 1 << 60)


# ---- signals and masks ----


class Interrupted(Exception):
    pass


def alarm(handler, seconds=0.05):
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)


@pytest.fixture
def alarm_restored():
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer")
@pytest.mark.usefixtures("alarm_restored")
@pytest.mark.parametrize("n_threads", [1, 2, 7])
@pytest.mark.parametrize("exception", [Interrupted, KeyboardInterrupt])
def test_handler_that_raises_ends_the_call(n_threads, exception):
    def handler(signum, frame):
        raise exception("from the handler")

    for _ in range(3):
        alarm(handler)
        with num_threads(n_threads), pytest.raises(exception, match="from the handler"):
            pool._busy_work(**LONG_WORK)
        work(n_threads)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer")
@pytest.mark.usefixtures("alarm_restored")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_handler_may_call_and_fork(n_threads):
    calls = []

    def handler(signum, frame):
        calls.append(work(7, scratch_bytes=1 << 16))
        child = os.fork()
        if child == 0:
            os._exit(0 if work(2) == 1 else 1)
        calls.append(os.waitpid(child, 0)[1])
        if len(calls) == 4:
            raise Interrupted
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    alarm(handler)
    with num_threads(n_threads), pytest.raises(Interrupted):
        pool._busy_work(**LONG_WORK, scratch_bytes=5000)
    assert calls == [1, 0, 1, 0]  # one thread each: nested in the interrupted call
    work(2)


@needs_linux
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c(n_threads):
    """The only bound on time in this file, generous: the target is 0.1 s."""
    printed = in_python(f"""
        threading.Timer(0.3, lambda: (times.append(time.monotonic()),
                                      os.kill(os.getpid(), signal.SIGINT))).start()
        times = []
        try:
            with _threads.num_threads({n_threads}):
                pool._busy_work({LONG_WORK["n_items"]}, 1, {LONG_WORK["rounds"]}, {LONG_NS})
        except KeyboardInterrupt:
            times.append(time.monotonic())
        work({n_threads})
        print(times[1] - times[0], pool._stats()["slots_taken"])
    """)
    seconds, slots_taken = printed.split()
    assert float(seconds) < 1
    assert slots_taken == "0"


@needs_linux
def test_workers_block_signals():
    printed = in_python("""
        work(3)
        for worker in tasks() - before:
            status = open(f"/proc/self/task/{worker}/status").read()
            blocked = int(status.split("SigBlk:")[1].split()[0], 16)
            print(bool(blocked >> (signal.SIGINT - 1) & 1), end=" ")
    """)
    assert printed == "True True"


@needs_linux
def test_workers_stay_within_the_mask():
    in_python("""
        work(2)
        one = {min(os.sched_getaffinity(0))}
        os.sched_setaffinity(0, one)
        while pool._stats()["awake"]:
            time.sleep(0.01)  # a change is taken up when the worker is woken next
        work(2)
        masks = [os.sched_getaffinity(int(worker)) for worker in tasks() - before]
        assert masks == [one], masks
    """)


# ---- processes ----


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_another_thread_computes():
    stop = threading.Event()
    n_calls = 0

    def compute():
        nonlocal n_calls
        while not stop.is_set():
            work(2, scratch_bytes=1000)
            n_calls += 1

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        for _ in range(30):
            work(3)
            child = os.fork()
            if child == 0:
                try:
                    work(3)
                    os._exit(0 if pool._stats()["slots_taken"] == 0 else 2)
                finally:
                    os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
            work(3)
    finally:
        stop.set()
        thread.join()
    assert n_calls > 0


@needs_fork
def test_fork_finds_one_thread_and_the_child_starts_workers():
    in_python("""
        import warnings
        warnings.simplefilter("error")  # from 3.12, forking a threaded process is warned about
        for _ in range(5):
            work(4)
            child = os.fork()
            if child == 0:
                alone = len(tasks()) <= 1
                work(4)
                os._exit(0 if alone and pool._stats()["workers"] == 3 else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert work(4) >= 1
    """)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_multiprocessing(method):
    work(2)
    with multiprocessing.get_context(method).Pool(2) as processes:
        results = processes.starmap(pool._busy_work, [(500, 1, 100, 1e6)] * 8)
    assert all(n >= 1 for n in results)
    work(2)


def test_joblib_loky():
    joblib = pytest.importorskip("joblib")
    work(2)
    calls = [joblib.delayed(pool._busy_work)(500, 1, 100, 1e6) for _ in range(8)]
    assert all(n >= 1 for n in joblib.Parallel(n_jobs=2, backend="loky")(calls))
    work(2)
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def test_exit_while_a_thread_computes():
    in_python(f"""
        long = (600_000, 1, 70_000, {LONG_NS})
        threading.Thread(target=pool._busy_work, args=long, daemon=True).start()
        time.sleep(0.2)
    """)


@pytest.mark.parametrize("flags", [[], ["-DFASTMATH_ML_PORTABLE_WAIT"]], ids=["native", "portable"])
def test_thread_sanitizer(tmp_path, flags):
    compiler = shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        pytest.skip("no C++ compiler")
    command = [compiler, "-fsanitize=thread", "-std=c++17", "-O1", "-g", "-pthread"]
    empty = tmp_path / "empty.cpp"
    empty.write_text("int main() {}")
    program = str(tmp_path / "pool_tsan")
    probe = subprocess.run([*command, str(empty), "-o", program], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("the compiler has no ThreadSanitizer")
    source = str(NATIVE / "pool_tsan.cpp")
    subprocess.run(
        [*command, "-Wall", "-Wextra", "-Werror", *flags, f"-I{KERNELS}", source, "-o", program],
        check=True,
    )
    ran = subprocess.run([program], capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "ok\n"
    assert "WARNING" not in ran.stderr


def test_run_cfunc():
    """A function compiled elsewhere: every item once, whatever the threads."""
    done = array.array("B", bytes(1000))

    @ctypes.CFUNCTYPE(None, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)
    def body(begin, end, context):
        places = (ctypes.c_uint8 * 1000).from_address(context)
        for i in range(begin, end):
            places[i] += 1

    address = ctypes.cast(body, ctypes.c_void_p).value
    context, _ = done.buffer_info()
    for n_threads in (1, 2, 3):
        with num_threads(n_threads):
            pool.run_cfunc(address, context, 1000, 7, 1e6)
    assert set(done) == {3}
