# The matrix product as other kernels of the same CPU level call it.
from libc.stdlib cimport llabs

from fastmath_ml._kernels.blocks cimport Product

# C = finish((row_scale A) (B col_scale)); the result as that of multiply_blocks.
cdef int multiply(const Product* product) except -1 nogil

# multiply, for callers with the GIL: MemoryError in place of OUT_OF_MEMORY.
cdef int multiply_or_raise(const Product* product, bint keep_gil) except -1

# For stacks, whether a product of it is a small one that the register tile does best, for
# multiply_small, or the dot of two short vectors.
cdef bint is_small_tile(const Product* p) noexcept nogil
cdef bint is_dot(const Product* p) noexcept nogil
cdef void multiply_dot(const Product* p) noexcept nogil


cdef inline double dot_ns(const Product* p) noexcept nogil:
    """About 20 GB/s from memory on one core, whole cache lines, and five nanoseconds a call."""
    cdef Py_ssize_t a_bytes = min(<Py_ssize_t>llabs(p.a_depth) * p.itemsize, <Py_ssize_t>64)
    cdef Py_ssize_t b_bytes = min(<Py_ssize_t>llabs(p.b_depth) * p.itemsize, <Py_ssize_t>64)
    return 5.0 + p.depth * <double>(a_bytes + b_bytes) / 20.0
