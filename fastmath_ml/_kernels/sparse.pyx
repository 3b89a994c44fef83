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
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy, memset

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport parallel_for, thread_count, thread_scratch
from fastmath_ml._kernels.prefetch cimport prefetch_l2
from fastmath_ml._kernels.simd cimport (
    ceil_div, vec, vlanes, vload, vload_partial, vmul_add, vset, vstore_partial,
)

cnp.import_array()

cdef enum:
    SUM_BLOCK = 512
    COPIED_BYTES = 16 << 20     # of X at most
    SCRATCH_X = 0
    AHEAD = 16                  # nonzeros before it is placed, a place is asked for
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
        n_strip = ceil_div(width, lanes)
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
    cdef Py_ssize_t x_bytes
    cdef void* aligned_x
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
    x_bytes = cnp.PyArray_NBYTES(x)
    work_ns = (cnp.PyArray_DIM(data, 0) * (0.6 + 0.01 * m.n_vectors * m.itemsize)
               + 2.0 * m.n_rows)
    with nogil:
        # Rows that lie across lines of the cache cost two of them each time they are gathered.
        if (m.n_vectors * m.itemsize % 64 == 0 and <uintptr_t>m.x % 64 and x_bytes <= COPIED_BYTES
                and cnp.PyArray_DIM(data, 0) >= 4 * cnp.PyArray_DIM(x, 0)):
            aligned_x = thread_scratch(SCRATCH_X, x_bytes)
            if aligned_x != NULL:
                memcpy(aligned_x, m.x, x_bytes)
                m.x = aligned_x
        parallel_for(m.n_rows, 1, work_ns, gather_body, &m)


# ---- the transpose ----

cdef struct Transposition:
    Py_ssize_t itemsize, indexsize, n_rows, n_cols, n_parts
    const void* data
    const void* indices
    const void* indptr
    void* places                # n_parts x n_cols: how many, then where the next one goes
    void* to_data
    void* to_indices


cdef Py_ssize_t first_row(const Transposition* t, Py_ssize_t part, index unused) noexcept nogil:
    """Where a part begins that has its share of the nonzeros."""
    cdef const index* indptr = <const index*>t.indptr
    cdef Py_ssize_t low = 0, high = t.n_rows, middle
    cdef Py_ssize_t wanted = indptr[t.n_rows] // t.n_parts * part
    if part == t.n_parts:
        return t.n_rows
    while low < high:
        middle = (low + high) // 2
        if indptr[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


cdef void count_part(const Transposition* t, Py_ssize_t part, index unused) noexcept nogil:
    cdef const index* indptr = <const index*>t.indptr
    cdef const index* indices = <const index*>t.indices
    cdef index* count = <index*>t.places + part * t.n_cols
    cdef Py_ssize_t i
    memset(count, 0, t.n_cols * sizeof(index))
    for i in range(indptr[first_row(t, part, unused)], indptr[first_row(t, part + 1, unused)]):
        count[indices[i]] += 1


cdef void count_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Transposition* t = <const Transposition*>context
    cdef Py_ssize_t part
    for part in range(begin, end):
        if t.indexsize == 4:
            count_part(t, part, <int32_t>0)
        else:
            count_part(t, part, <int64_t>0)


cdef void begin_rows(const Transposition* t, index* to_indptr) noexcept nogil:
    """Counts become places: of the rows of the transpose, and in them of the parts."""
    cdef Py_ssize_t col, part
    cdef index* place
    cdef index n, total = 0
    for col in range(t.n_cols):
        to_indptr[col] = total
        for part in range(t.n_parts):
            place = <index*>t.places + part * t.n_cols + col
            n = place[0]
            place[0] = total
            total += n
    to_indptr[t.n_cols] = total


cdef void place_part(const Transposition* t, Py_ssize_t part, real zero,
                     index unused) noexcept nogil:
    cdef const index* indptr = <const index*>t.indptr
    cdef const index* indices = <const index*>t.indices
    cdef index* place = <index*>t.places + part * t.n_cols
    cdef index at
    cdef Py_ssize_t row, i, n_stored = indptr[t.n_rows]
    for row in range(first_row(t, part, unused), first_row(t, part + 1, unused)):
        for i in range(indptr[row], indptr[row + 1]):
            if i + AHEAD < n_stored:
                at = place[indices[i + AHEAD]]
                prefetch_l2(<index*>t.to_indices + at)
                prefetch_l2(<real*>t.to_data + at)
            at = place[indices[i]]
            place[indices[i]] = at + 1
            (<index*>t.to_indices)[at] = <index>row
            (<real*>t.to_data)[at] = (<const real*>t.data)[i]


cdef void place_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Transposition* t = <const Transposition*>context
    cdef Py_ssize_t part
    for part in range(begin, end):
        if t.itemsize == 4 and t.indexsize == 4:
            place_part(t, part, <float>0, <int32_t>0)
        elif t.itemsize == 4:
            place_part(t, part, <float>0, <int64_t>0)
        elif t.indexsize == 4:
            place_part(t, part, <double>0, <int32_t>0)
        else:
            place_part(t, part, <double>0, <int64_t>0)


def csr_transpose(cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray to_data,
                  cnp.ndarray to_indices, cnp.ndarray to_indptr):
    """The transpose of a CSR matrix in CSR form, entries of a row in the order of their columns.

    Types and what the caller has checked as for csr_product; indptr begins with 0, and to_data and
    to_indices have room for the nonzeros. Each thread has some of the rows, and its own places for
    them in the rows of the transpose.
    """
    cdef Transposition t
    cdef cnp.npy_intp n_bytes
    cdef cnp.ndarray places
    cdef Py_ssize_t n_stored = cnp.PyArray_DIM(to_data, 0)
    cdef double work_ns = 4.0 * n_stored
    t.itemsize = cnp.PyArray_ITEMSIZE(data)
    t.indexsize = cnp.PyArray_ITEMSIZE(indices)
    t.n_rows = cnp.PyArray_DIM(indptr, 0) - 1
    t.n_cols = cnp.PyArray_DIM(to_indptr, 0) - 1
    t.data = cnp.PyArray_DATA(data)
    t.indices = cnp.PyArray_DATA(indices)
    t.indptr = cnp.PyArray_DATA(indptr)
    t.to_data = cnp.PyArray_DATA(to_data)
    t.to_indices = cnp.PyArray_DATA(to_indices)
    # The places of a part are to be few beside its nonzeros.
    t.n_parts = max(<Py_ssize_t>1, min(<Py_ssize_t>thread_count(), n_stored // (4 * t.n_cols)))
    n_bytes = t.n_parts * t.n_cols * t.indexsize
    places = cnp.PyArray_SimpleNew(1, &n_bytes, cnp.NPY_INT8)
    t.places = cnp.PyArray_DATA(places)
    with nogil:
        parallel_for(t.n_parts, 1, work_ns / 4, count_body, &t)
        if t.indexsize == 4:
            begin_rows(&t, <int32_t*>cnp.PyArray_DATA(to_indptr))
        else:
            begin_rows(&t, <int64_t*>cnp.PyArray_DATA(to_indptr))
        parallel_for(t.n_parts, 1, work_ns, place_body, &t)
