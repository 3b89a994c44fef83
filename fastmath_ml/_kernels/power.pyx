"""The block power step Z = A^T (A X), which reads a tall A once.

A is cut into blocks of rows that stay in the L2 cache: Y_b = A_b X, then Z += A_b^T Y_b while A_b
is still there. Two plain products would read A twice and have to keep all of Y.

Threads share the rows, in segments fixed by the shape; each has a Z of its own, and these are added
up in order. A row block is at most DEPTH_BLOCK rows, which is also the longest chain of
multiply-adds in the dtype.

With `mean` the rows are A - mean: a block is centred as it is copied to scratch memory, so that
neither a centred copy nor the cancellation of A^T A - n mean mean^T is needed.

Beside it stand the ways of a symmetric matrix to tridiagonal form and back (tridiagonal.h).
"""

from cython cimport floating as real
from libc.string cimport memcpy, memset

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.simd cimport vlanes, vload, vstore
from fastmath_ml._kernels.tall cimport (
    DEPTH_BLOCK, SCRATCH_A, SCRATCH_X, SCRATCH_Y, Step, add_partial, product, segment_rows,
)

cnp.import_array()

cdef extern from "tridiagonal.h" namespace "fm" nogil:
    void reduce_to_tridiagonal(double* a, Py_ssize_t n, double* diagonal, double* beside,
                               double* tau, double* work) noexcept
    void apply_reflectors(const double* a, Py_ssize_t n, const double* tau, double* z,
                          Py_ssize_t first, Py_ssize_t end, double* strip) noexcept
    enum: reflected_columns

cdef enum:
    BLOCK_BYTES = 256 << 10         # of A, for a block of rows


cdef inline void centre_block(const real* a, Py_ssize_t a_row, Py_ssize_t a_col,
                              const real* mean, Py_ssize_t n_rows, Py_ssize_t n_features,
                              real* out) noexcept nogil:
    """out = A - mean, dense."""
    cdef Py_ssize_t lanes = vlanes(<real>0), _row, col
    for _row in range(n_rows):
        col = 0
        if a_col == 1:
            while col + lanes <= n_features:
                vstore(out + col, vload(a + col) - vload(mean + col))
                col += lanes
        for col in range(col, n_features):
            out[col] = a[col * a_col] - mean[col]
        a += a_row
        out += n_features


cdef void power_rows(Py_ssize_t begin, Py_ssize_t end, real* z, Step* step) noexcept nogil:
    """z = A[begin:end]^T (A[begin:end] X); without z only y."""
    cdef Py_ssize_t n_vectors = step.n_vectors, n_features = step.n_features, n
    cdef Py_ssize_t a_row = step.a_row, a_col = step.a_col
    cdef const real* a
    cdef real* y
    cdef real* own_y = NULL
    cdef real* centred = NULL
    if step.y == NULL:
        own_y = <real*>thread_scratch(SCRATCH_Y, step.block * n_vectors * sizeof(real))
        if own_y == NULL:
            raise_flag(&step.out_of_memory)
            return
    if step.mean != NULL:
        centred = <real*>thread_scratch(SCRATCH_A, step.block * n_features * sizeof(real))
        if centred == NULL:
            raise_flag(&step.out_of_memory)
            return
    if z != NULL:
        memset(z, 0, n_features * n_vectors * sizeof(real))
    while begin < end:
        n = min(step.block, end - begin)
        a = <const real*>step.a + begin * step.a_row
        if centred != NULL:
            centre_block(a, step.a_row, step.a_col, <const real*>step.mean, n, n_features, centred)
            a = centred
            a_row = n_features
            a_col = 1
        y = own_y if own_y != NULL else <real*>step.y + begin * n_vectors
        product(n, n_vectors, n_features, a, a_row, a_col, <const real*>step.x, n_vectors, y,
                n_vectors, False)
        if z != NULL:
            product(n_features, n_vectors, n, a, a_col, a_row, <const real*>y, n_vectors, z,
                    n_vectors, True)
        begin += n


cdef void power_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                        void* context) noexcept nogil:
    if (<Step*>context).itemsize == 4:
        power_rows(begin, end, <float*>partial, <Step*>context)
    else:
        power_rows(begin, end, <double*>partial, <Step*>context)


cdef void forward_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    power_segment(begin, end, NULL, context)


def block_power(cnp.ndarray a, cnp.ndarray x, z, y, mean):
    """z = B^T (B x) and y = B x, where B is a, or a - mean where mean is given.

    Either of z and y may be None: nobody wants it. a (n_rows, n_features) of any strides of whole
    elements, x and z (n_features, n_vectors), y (n_rows, n_vectors), mean (n_features,); all of one
    dtype, float32 or float64, all but a C-ordered, and none shares memory with another. The caller
    has checked all this.
    """
    cdef Step step
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a), n_bytes = cnp.PyArray_NBYTES(x)
    cdef double work_ns
    cdef void* aligned_x
    cdef void* sum_z = NULL
    memset(&step, 0, sizeof(step))
    step.itemsize = size
    step.n_rows = cnp.PyArray_DIM(a, 0)
    step.n_features = cnp.PyArray_DIM(a, 1)
    step.n_vectors = cnp.PyArray_DIM(x, 1)
    step.n_sums = step.n_features * step.n_vectors
    step.a = cnp.PyArray_DATA(a)
    step.a_row = cnp.PyArray_STRIDE(a, 0) // size
    step.a_col = cnp.PyArray_STRIDE(a, 1) // size
    if mean is not None:
        step.mean = cnp.PyArray_DATA(<cnp.ndarray>mean)
    if y is not None:
        step.y = cnp.PyArray_DATA(<cnp.ndarray>y)
    if z is not None:
        sum_z = cnp.PyArray_DATA(<cnp.ndarray>z)
        memset(sum_z, 0, n_bytes)
    if n_bytes == 0 or step.n_rows == 0:
        return
    step.block = BLOCK_BYTES // (size * step.n_features)
    step.block = min(max(step.block, 32), <Py_ssize_t>DEPTH_BLOCK)
    work_ns = 4.0 * step.n_rows * step.n_features * step.n_vectors * size / 400.0
    with nogil:
        # Vectors of X that straddle two cache lines would be loaded twice, each time.
        aligned_x = thread_scratch(SCRATCH_X, n_bytes)
        if aligned_x != NULL:
            memcpy(aligned_x, cnp.PyArray_DATA(x), n_bytes)
            step.x = aligned_x
            if sum_z == NULL:
                parallel_for(step.n_rows, step.block, work_ns / 2, forward_body, &step)
            else:
                ordered_reduce(step.n_rows, segment_rows(step.n_rows),
                               step.n_features * step.n_vectors * size, work_ns, power_segment,
                               add_partial, sum_z, &step)
    if aligned_x == NULL or step.out_of_memory:
        raise MemoryError("no memory for a block of rows")


# ---- symmetric matrices to tridiagonal form and back ----

def tridiagonal(cnp.ndarray a, cnp.ndarray numbers):
    """T of a = Q T Q^T into the rows of `numbers` (5, n): its diagonal, what is beside it, the
    factors tau of the reflectors, and room. The rows of a become the reflectors.

    a (n, n), float64, C-ordered, symmetric, its largest element of the size of 1.
    """
    cdef Py_ssize_t n = cnp.PyArray_DIM(a, 0)
    cdef double* diagonal = <double*>cnp.PyArray_DATA(numbers)
    with nogil:
        reduce_to_tridiagonal(<double*>cnp.PyArray_DATA(a), n, diagonal, diagonal + n,
                              diagonal + 2 * n, diagonal + 3 * n)


cdef struct Reflection:
    Py_ssize_t n
    const double* reflectors
    const double* tau
    double* z
    bint out_of_memory


cdef void reflect_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Reflection* r = <Reflection*>context
    cdef double* strip = <double*>thread_scratch(
        SCRATCH_Y, r.n * reflected_columns * sizeof(double))
    if strip == NULL:
        raise_flag(&r.out_of_memory)
        return
    apply_reflectors(r.reflectors, r.n, r.tau, r.z, begin, end, strip)


def rotate_back(cnp.ndarray reflectors, cnp.ndarray tau, cnp.ndarray z):
    """z <- Q z in place, Q being that of `tridiagonal`; all float64, C-ordered."""
    cdef Reflection r
    r.n = cnp.PyArray_DIM(z, 0)
    r.reflectors = <double*>cnp.PyArray_DATA(reflectors)
    r.tau = <double*>cnp.PyArray_DATA(tau)
    r.z = <double*>cnp.PyArray_DATA(z)
    r.out_of_memory = False
    with nogil:
        parallel_for(r.n, reflected_columns, 0.04 * r.n * r.n * r.n, reflect_body, &r)
    if r.out_of_memory:
        raise MemoryError("no memory for some columns of the matrix")
