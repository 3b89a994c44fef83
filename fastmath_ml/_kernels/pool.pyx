"""The Python side of the thread pool: signals, forks, settings.

The pool itself is pool.h and the headers beside it. This module holds its only instance and the
others cimport it from here (each including the header would get a pool of its own). The
functions at the end let the tests and the benchmark of the pool drive it from Python.
"""

import os
from threading import get_ident

from cpython.buffer cimport Py_buffer, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from libcpp cimport bool
from libcpp.atomic cimport atomic

from fastmath_ml._kernels.sums cimport add_number

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept  # leaves its exception set for our caller

cdef extern from "unistd.h" nogil:
    int usleep(unsigned int)

cdef extern from "pool_reduce.h" namespace "fm" nogil:
    ctypedef int (*poll_function)() noexcept nogil

    enum:
        kMaxThreads
        kNoMemory

    struct ThreadState:
        int limit
        int index
        int n_cpus

    cppclass Config:
        atomic[int] fixed_threads
        atomic[int] quota_threads
        atomic[bool] spin
        atomic[poll_function] poll

    cppclass Pool:
        @staticmethod
        Pool& current()

        @staticmethod
        void start_afresh() except +
        void stop()
        void allow()
        int n_workers()
        int n_awake()
        unsigned slots_taken()

    Config config
    ThreadState this_thread
    atomic[int64_t] scratch_bytes
    int64_t now_ns()
    int cpp_parallel_for "fm::parallel_for"(
        Py_ssize_t, Py_ssize_t, double, range_body, void*)
    int cpp_ordered_reduce "fm::ordered_reduce"(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, double, segment_body, combine_body, void*, void*)
    void* cpp_thread_scratch "fm::thread_scratch"(int, Py_ssize_t)
    int cpp_thread_count "fm::thread_count"(int64_t)


cdef int parallel_for(Py_ssize_t n_items, Py_ssize_t grain, double work_ns,
                      range_body body, void* context) except -1 nogil:
    return cpp_parallel_for(n_items, grain, work_ns, body, context)


cdef int ordered_reduce(Py_ssize_t n_items, Py_ssize_t segment, Py_ssize_t partial_bytes,
                        double work_ns, segment_body body, combine_body combine,
                        void* total, void* context) except -1 nogil:
    cdef int status = cpp_ordered_reduce(n_items, segment, partial_bytes, work_ns, body, combine,
                                         total, context)
    if status == kNoMemory:
        with gil:
            raise MemoryError
    return status


cdef void* thread_scratch(int slot, Py_ssize_t n_bytes) noexcept nogil:
    return cpp_thread_scratch(slot, n_bytes)


cdef int thread_count() noexcept nogil:
    return cpp_thread_count(now_ns())


cdef int look_for_signals() noexcept nogil:
    with gil:
        return PyErr_CheckSignals()


# ---- compiled functions of the caller ----

def run_cfunc(uintptr_t address, uintptr_t context, Py_ssize_t n_items, Py_ssize_t grain,
              double work_ns):
    """`parallel_for` with the function at `address`, a Numba cfunc for instance.

    Its signature is range_body's: void (Py_ssize_t begin, Py_ssize_t end, void* context); it takes
    no GIL and raises nothing. `context` is the address of what it reads and writes. The caller
    keeps both alive, and turns what the function left in the context into an exception.
    """
    with nogil:
        parallel_for(n_items, grain, work_ns, <range_body>address, <void*>context)


# ---- for functions that Numba compiled ----

cdef struct Rest:
    range_body body
    void* context
    Py_ssize_t done


cdef void run_rest(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Rest* rest = <Rest*>context
    rest.body(rest.done + begin, rest.done + end, rest.context)


cdef int run_items(Py_ssize_t n_items, range_body body, void* context) noexcept with gil:
    """parallel_for for items of unknown cost: the first few, run alone, tell what one costs.

    Called by compiled code, which cannot pass an exception on: -1 says that a signal handler
    raised, and reraise() raises it again.
    """
    cdef Rest rest = Rest(body, context, 0)
    cdef Py_ssize_t n_now = 1
    cdef int64_t spent = 0
    cdef int64_t begin
    try:
        with nogil:
            begin = now_ns()
            while rest.done < n_items and spent < 4000:
                n_now = min(n_now, n_items - rest.done)
                body(rest.done, rest.done + n_now, context)
                rest.done += n_now
                n_now *= 2
                spent = now_ns() - begin
            if rest.done < n_items:
                parallel_for(n_items - rest.done, 1,
                             <double>spent / rest.done * (n_items - rest.done), run_rest, &rest)
    except BaseException as error:
        _raised[get_ident()] = error
        return -1
    return 0


_raised = {}
run_items_address = <uintptr_t>&run_items


def reraise():
    """Raise what interrupted the calling thread's run_items."""
    raise _raised.pop(get_ident())


# ---- settings, used by fastmath_ml._threads ----

max_threads = kMaxThreads


def configure(int fixed_threads, int quota_threads, bint spin):
    """Set what the environment and the control group say; 0 means nothing was said."""
    config.fixed_threads.store(fixed_threads)
    config.quota_threads.store(quota_threads)
    config.spin.store(spin)
    this_thread.n_cpus = 0


def get_num_threads():
    """How many threads a parallel call of this thread would use now."""
    this_thread.n_cpus = 0  # the affinity mask may have changed: count again
    return thread_count()


def set_thread_limit(int limit):
    """Bind the calling thread to `limit` threads (0: the default); returns the limit before."""
    cdef int before = this_thread.limit
    this_thread.limit = limit
    return before


def thread_limit():
    """The limit that set_thread_limit left, or 0."""
    return this_thread.limit


# ---- forks: no worker lives while the process is copied ----

def _before_fork():
    with nogil:
        Pool.current().stop()


def _after_fork_in_parent():
    Pool.current().allow()


def _after_fork_in_child():
    Pool.start_afresh()


config.poll.store(look_for_signals)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )


# ---- for the tests and benchmarks/pool_latency.py ----

cdef struct Busy:
    unsigned char* times_done
    Py_ssize_t rounds
    Py_ssize_t scratch_bytes
    bint nested
    double sink
    unsigned char thread_seen[256]
    unsigned char failed[256]


cdef double churn(double x, Py_ssize_t rounds) noexcept nogil:
    """One chain of dependent operations: time in proportion to `rounds`, and no memory."""
    cdef Py_ssize_t _round
    for _round in range(rounds):
        x = x * x - 1.25
    return x


cdef void mark_inner(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Py_ssize_t* n_inner = <Py_ssize_t*>context
    n_inner[0] += end - begin


cdef void busy_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Busy* busy = <Busy*>context
    cdef int index = this_thread.index
    cdef Py_ssize_t i, n_inner
    cdef char* scratch
    cdef double x = 0.5
    busy.thread_seen[index] = 1
    for i in range(begin, end):
        x = churn(x, busy.rounds)
        if busy.times_done != NULL:
            busy.times_done[i] += 1
        if busy.nested:
            n_inner = 0
            cpp_parallel_for(1000, 1, 1e6, mark_inner, &n_inner)
            if n_inner != 1000 or thread_count() != 1:
                busy.failed[index] = 1
        if busy.scratch_bytes:
            scratch = <char*>thread_scratch(i % 3, busy.scratch_bytes)
            if scratch == NULL or <uintptr_t>scratch % 64 != 0:
                busy.failed[index] = 1
            else:
                memset(scratch, index, busy.scratch_bytes)
                if scratch[busy.scratch_bytes - 1] != <char>index:
                    busy.failed[index] = 1
    if x == 0.123:  # never; keeps churn() from being dropped
        busy.sink = x


def _busy_work(Py_ssize_t n_items, Py_ssize_t grain, Py_ssize_t rounds, double work_ns,
               bint nested=False, Py_ssize_t scratch_bytes=0):
    """One parallel call that checks itself; returns how many threads took part.

    Every item must run once, and scratch memory that the caller holds in slot 3 meanwhile must
    stay as it is.
    """
    cdef Busy busy
    cdef Py_ssize_t i, n_wrong = 0
    cdef char* held = NULL
    cdef char pattern = scratch_bytes % 127
    memset(&busy, 0, sizeof(busy))
    busy.times_done = <unsigned char*>calloc(max(n_items, 1), 1)
    if busy.times_done == NULL:
        raise MemoryError
    busy.rounds, busy.nested, busy.scratch_bytes = rounds, nested, scratch_bytes
    if scratch_bytes:
        held = <char*>thread_scratch(3, scratch_bytes)
        memset(held, pattern, scratch_bytes)
    try:
        with nogil:
            parallel_for(n_items, grain, work_ns, busy_body, &busy)
        for i in range(n_items):
            n_wrong += busy.times_done[i] != 1
    finally:
        free(busy.times_done)
        if scratch_bytes and held != thread_scratch(3, 0):
            raise AssertionError("the caller's scratch memory moved")
        for i in range(scratch_bytes):
            if held[i] != pattern:
                raise AssertionError("the caller's scratch memory changed")
    if n_wrong or any(busy.failed[i] for i in range(256)):
        raise AssertionError(f"{n_wrong} of {n_items} items not done exactly once, or a check "
                             "inside the body failed")
    return sum(busy.thread_seen[i] for i in range(256))


def _time_calls(Py_ssize_t n_calls, unsigned int pause_us, Py_ssize_t n_items,
                Py_ssize_t rounds, double work_ns):
    """Nanoseconds that each of n_calls took, with a sleep of pause_us before each."""
    cdef Busy busy
    cdef Py_ssize_t _call
    cdef int64_t start, elapsed
    memset(&busy, 0, sizeof(busy))
    busy.rounds = rounds
    times = []
    for _call in range(n_calls):
        with nogil:
            if pause_us:
                usleep(pause_us)
            start = now_ns()
            parallel_for(n_items, 1, work_ns, busy_body, &busy)
            elapsed = now_ns() - start
        times.append(elapsed)
    return times


cdef void sum_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                      void* context) noexcept nogil:
    cdef const double* values = <const double*>context
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(begin, end):
        total += values[i]
    (<double*>partial)[0] = total


def _ordered_sum(values, Py_ssize_t segment, Py_ssize_t partial_bytes=8, double work_ns=1e9):
    """The sum of a contiguous float64 buffer by segments."""
    cdef Py_buffer view
    cdef double total = 0
    PyObject_GetBuffer(values, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            ordered_reduce(view.len // 8, segment, partial_bytes, work_ns, sum_segment,
                           add_number, &total, view.buf)
    finally:
        PyBuffer_Release(&view)
    return total


def _stats():
    """What the pool holds: workers, those awake, job slots in use, bytes of scratch memory."""
    cdef Pool* pool = &Pool.current()
    return {
        "workers": pool.n_workers(),
        "awake": pool.n_awake(),
        "slots_taken": pool.slots_taken(),
        "scratch_bytes": scratch_bytes.load(),
    }
