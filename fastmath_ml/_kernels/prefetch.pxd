# Lines of the cache that are asked for before they are needed.
cdef extern from *:
    """
    #define FASTMATH_ML_PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
    #define FASTMATH_ML_PREFETCH_WRITE(p) __builtin_prefetch(p, 1)
    """
    void prefetch_l2 "FASTMATH_ML_PREFETCH_L2"(const void* p) noexcept nogil
    void prefetch_write "FASTMATH_ML_PREFETCH_WRITE"(const void* p) noexcept nogil
