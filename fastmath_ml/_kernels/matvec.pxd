# Products with one vector or a few, as other kernels of the same CPU level call them.

from cython cimport floating as real

cdef enum:
    MAX_VECTORS = 8
    LONG_DOT = 1 << 16          # depth up to which few outputs are no work for several threads

# y_iv = sum over p of matrix_ip x_pv, for float32 (itemsize 4) or float64 (8), and at most
# MAX_VECTORS vectors. Strides count elements; the matrix has unit stride along one of its axes.
cdef struct VectorProduct:
    Py_ssize_t itemsize
    Py_ssize_t n_out, depth, n_vectors
    const void* matrix
    Py_ssize_t out_stride, depth_stride
    const void* x
    Py_ssize_t x_stride, x_vector
    void* y
    Py_ssize_t y_stride, y_vector
    Py_ssize_t ahead            # from an element to the one to prefetch with it; 0: none

# 0, or OUT_OF_MEMORY.
cdef int multiply_vector(const VectorProduct* product) except -1 nogil

# a . b, the same bits for any strides.
cdef double dot(const real* a, Py_ssize_t a_stride, const real* b, Py_ssize_t b_stride,
                Py_ssize_t n) noexcept nogil


cdef inline const real* without_gaps(const real* x, Py_ssize_t stride, Py_ssize_t n,
                                     real* copy) noexcept nogil:
    """n elements of x, gathered into `copy` where it has gaps."""
    cdef Py_ssize_t i
    if stride == 1:
        return x
    for i in range(n):
        copy[i] = x[i * stride]
    return copy
