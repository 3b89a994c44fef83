# The thread pool as the kernels see it. All functions are called without the GIL.

# body runs items [begin, end); it touches no Python object and raises nothing.
ctypedef void (*range_body)(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil

# As range_body, and leaves the result of its items in `partial` (uninitialised when it comes).
ctypedef void (*segment_body)(Py_ssize_t begin, Py_ssize_t end, void* partial,
                              void* context) noexcept nogil

# total <- total (+) partial. Called in the order of the segments, by the calling thread.
ctypedef void (*combine_body)(void* total, const void* partial, void* context) noexcept nogil

# Runs body over [0, n_items) in chunks of whole multiples of `grain` items (the last may be
# short). work_ns is the rough serial cost of the whole call: it decides between serial and
# parallel and sets the length of the chunks. -1 with the exception set when a signal handler
# raised; what body writes is then undefined.
cdef int parallel_for(Py_ssize_t n_items, Py_ssize_t grain, double work_ns,
                      range_body body, void* context) except -1 nogil

# Segments of exactly `segment` items (the last may be short), each reduced into a 64-byte
# aligned buffer of partial_bytes, combined into `total` in index order. The bits do not
# depend on the number of threads; the buffers take at most 8 MiB, or one per thread.
cdef int ordered_reduce(Py_ssize_t n_items, Py_ssize_t segment, Py_ssize_t partial_bytes,
                        double work_ns, segment_body body, combine_body combine,
                        void* total, void* context) except -1 nogil

# 64-byte aligned scratch memory of the calling thread, one live block per slot 0..3, kept
# between calls, grown on demand, contents undefined. NULL when memory is out: functions then return
# OUT_OF_MEMORY, and bodies raise a flag in their context for the caller of parallel_for.
cdef void* thread_scratch(int slot, Py_ssize_t n_bytes) noexcept nogil

cdef enum:
    OUT_OF_MEMORY = 1

cdef extern from "flags.h" namespace "fm" nogil:
    void raise_flag(bint* flag) noexcept

# How many threads a parallel call of this thread would use now (1 inside a body).
cdef int thread_count() noexcept nogil
