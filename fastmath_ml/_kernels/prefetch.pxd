# Lines of the cache that are asked for before they are needed.
cdef extern from *:
    """
    #define FASTMATH_ML_PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
    """
    void prefetch_l2 "FASTMATH_ML_PREFETCH_L2"(const void* p) noexcept nogil
