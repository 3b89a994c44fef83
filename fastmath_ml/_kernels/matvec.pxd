# Products with one vector, as other kernels of the same CPU level call them.

# y_i = sum over p of matrix_ip x_p, for float32 (itemsize 4) or float64 (8). Strides count
# elements; the matrix has unit stride along one of its axes.
cdef struct VectorProduct:
    Py_ssize_t itemsize
    Py_ssize_t n_out, depth
    const void* matrix
    Py_ssize_t out_stride, depth_stride
    const void* x
    Py_ssize_t x_stride
    void* y
    Py_ssize_t y_stride
    Py_ssize_t ahead            # from an element to the one to prefetch with it; 0: none

cdef int multiply_vector(const VectorProduct* product) except -1 nogil
