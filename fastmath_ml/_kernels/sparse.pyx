"""The product of a CSR matrix with a block of vectors on all threads; SciPy's runs on one.

    Y = A X      rows are shared out; a row of Y is summed in registers while the rows of X that its
                 nonzeros name are gathered, a cache line or two of each

A^T Y is the same product with the CSR form of the transpose, made once: to scatter into a Z of its
own for each of six segments took 4.3 ms where two gathering products take 1.9 (10^6 nonzeros,
16 vectors of 20000 float32).

Sums of a row run over blocks of SUM_BLOCK nonzeros, so that the error of float32 does not grow with
the length of a row; with a single vector they are in float64.
"""

from cython cimport floating as real
from libc.stdint cimport int32_t, int64_t

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport parallel_for
from fastmath_ml._kernels.simd cimport (
    vec, vlanes, vload, vload_partial, vmul_add, vset, vstore_partial,
)

cnp.import_array()

cdef enum:
    SUM_BLOCK = 512
    STRIP = 4                   # vectors of a row of Y that are summed at a time

ctypedef fused index:
    int32_t
    int64_t


cdef struct Csr:
    Py_ssize_t itemsize, indexsize
    Py_ssize_t n_rows, n_vectors
    const void* data
    const void* indices
    const void* indptr
    const void* x               # n_cols x n_vectors
    void* y                     # n_rows x n_vectors


cdef inline void gather_row(const Csr* m, Py_ssize_t first, Py_ssize_t end, const real* x,
                            real* y, const index* indices) noexcept nogil:
    """y = sum over the nonzeros [first, end) of value * row of x; n_vectors wide."""
    cdef Py_ssize_t lanes = vlanes(<real>0), n_vectors = m.n_vectors, col = 0, width, last, i, k
    cdef Py_ssize_t n_strip, at, block_end
    cdef const real* data = <const real*>m.data
    cdef const real* source
    cdef vec[real] total[STRIP]
    cdef vec[real] block[STRIP]
    cdef vec[real] value
    cdef double sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0
    if n_vectors == 1:
        i = first
        while i + 4 <= end:
            sum0 += <double>data[i] * x[indices[i]]
            sum1 += <double>data[i + 1] * x[indices[i + 1]]
            sum2 += <double>data[i + 2] * x[indices[i + 2]]
            sum3 += <double>data[i + 3] * x[indices[i + 3]]
            i += 4
        while i < end:
            sum0 += <double>data[i] * x[indices[i]]
            i += 1
        y[0] = <real>((sum0 + sum1) + (sum2 + sum3))
        return
    while col < n_vectors:
        width = min(STRIP * lanes, n_vectors - col)
        n_strip = (width + lanes - 1) // lanes
        last = width - (n_strip - 1) * lanes
        for k in range(STRIP):
            total[k] = vec[real]()
        at = first
        while at < end:
            block_end = min(at + SUM_BLOCK, end)
            for k in range(STRIP):
                block[k] = vec[real]()
            if last == lanes and n_strip == 1:
                for i in range(at, block_end):
                    value = vset(data[i])
                    block[0] = vmul_add(value, vload(x + indices[i] * n_vectors + col), block[0])
            elif last == lanes and n_strip == 2:
                for i in range(at, block_end):
                    value = vset(data[i])
                    source = x + indices[i] * n_vectors + col
                    block[0] = vmul_add(value, vload(source), block[0])
                    block[1] = vmul_add(value, vload(source + lanes), block[1])
            elif last == lanes and n_strip == STRIP:
                for i in range(at, block_end):
                    value = vset(data[i])
                    source = x + indices[i] * n_vectors + col
                    for k in range(STRIP):
                        block[k] = vmul_add(value, vload(source + k * lanes), block[k])
            else:
                for i in range(at, block_end):
                    value = vset(data[i])
                    source = x + indices[i] * n_vectors + col
                    for k in range(STRIP):
                        if k < n_strip - 1:
                            block[k] = vmul_add(value, vload(source + k * lanes), block[k])
                        elif k == n_strip - 1:
                            block[k] = vmul_add(value, vload_partial(source + k * lanes, last),
                                                block[k])
            for k in range(STRIP):
                total[k] = total[k] + block[k]
            at = block_end
        for k in range(STRIP):
            if k < n_strip:
                vstore_partial(y + col + k * lanes, total[k], lanes if k < n_strip - 1 else last)
        col += width


cdef void gather_rows(Py_ssize_t begin, Py_ssize_t end, const Csr* m, real zero,
                      index unused) noexcept nogil:
    cdef const index* indptr = <const index*>m.indptr
    cdef Py_ssize_t row
    for row in range(begin, end):
        gather_row(m, indptr[row], indptr[row + 1], <const real*>m.x,
                   <real*>m.y + row * m.n_vectors, <const index*>m.indices)


cdef void gather_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Csr* m = <const Csr*>context
    if m.itemsize == 4:
        if m.indexsize == 4:
            gather_rows(begin, end, m, <float>0, <int32_t>0)
        else:
            gather_rows(begin, end, m, <float>0, <int64_t>0)
    elif m.indexsize == 4:
        gather_rows(begin, end, m, <double>0, <int32_t>0)
    else:
        gather_rows(begin, end, m, <double>0, <int64_t>0)


def csr_product(cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray x,
                cnp.ndarray y):
    """y = A x for a CSR matrix (data, indices, indptr) and a block of vectors.

    x (n_cols, n_vectors) and y (n_rows, n_vectors) are C-ordered and of the dtype of data, float32
    or float64; indices and indptr both int32 or both int64, all indices below n_cols. The caller
    has checked all this.
    """
    cdef Csr m
    cdef double work_ns
    m.itemsize = cnp.PyArray_ITEMSIZE(data)
    m.indexsize = cnp.PyArray_ITEMSIZE(indices)
    m.n_rows = cnp.PyArray_DIM(indptr, 0) - 1
    m.n_vectors = cnp.PyArray_DIM(x, 1)
    m.data = cnp.PyArray_DATA(data)
    m.indices = cnp.PyArray_DATA(indices)
    m.indptr = cnp.PyArray_DATA(indptr)
    m.x = cnp.PyArray_DATA(x)
    m.y = cnp.PyArray_DATA(y)
    work_ns = (cnp.PyArray_DIM(data, 0) * (0.6 + 0.01 * m.n_vectors * m.itemsize)
               + 2.0 * m.n_rows)
    with nogil:
        parallel_for(m.n_rows, 1, work_ns, gather_body, &m)
