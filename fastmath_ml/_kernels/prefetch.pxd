# Lines of the cache that are asked for before they are needed.
cdef extern from *:
    """
    #define FASTMATH_ML_PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
    """
    void prefetch_l2 "FASTMATH_ML_PREFETCH_L2"(const void* p) noexcept nogil


cdef inline void bring_lines(const void* first, Py_ssize_t n_lines, Py_ssize_t stride,
                             Py_ssize_t n_bytes) noexcept nogil:
    """The first n_bytes of each line, `stride` bytes from the one before it, on their way to L2."""
    cdef Py_ssize_t line, at
    for line in range(n_lines):
        at = 0
        while at < n_bytes:
            prefetch_l2(<const char*>first + line * stride + at)
            at += 64
