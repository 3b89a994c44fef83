# Products with one vector or a few, as other kernels of the same CPU level call them.

cdef extern from "dots.h" namespace "fm" nogil:
    enum:
        DOT_BLOCK
    const T* without_gaps[T](const T* x, Py_ssize_t stride, Py_ssize_t n, T* copy) noexcept
    double dot[T](const T* a, Py_ssize_t a_stride, const T* b, Py_ssize_t b_stride,
                  Py_ssize_t n) noexcept
    struct lines_ahead:
        Py_ssize_t elements
        bint even, odd

cdef enum:
    MAX_VECTORS = 8
    # The depth up to which few outputs are no work for several threads, and that of the segments
    # of longer ones.
    LONG_DOT = 1 << 16
    DOT_SEGMENT = 1 << 15

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
    lines_ahead ahead

# 0, or OUT_OF_MEMORY.
cdef int multiply_vector(const VectorProduct* product) except -1 nogil

# The same for a symmetric matrix with depth_stride 1 and any number of vectors, from 1 on: of each
# pair of elements one is read, but in squares of 32 rows on the diagonal, which are read whole.
cdef int multiply_symmetric(const VectorProduct* product) except -1 nogil
