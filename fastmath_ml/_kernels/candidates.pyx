"""What a search keeps of each query: values from elsewhere taken in, candidates made a result.

Both go over the rows of the result once, shared by the threads; candidates.h does the work.
"""

from cython cimport floating as real
from libc.stdint cimport int64_t, uint64_t

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.search_tile cimport (
    candidates, candidates_bytes, lay_out, order_row, restore_row, save_row, take,
)
from fastmath_ml._kernels.simd cimport (
    mand, mbits, mnot, mtail, vec, vge, vlanes, vload_partial, vset, vstore,
)

cnp.import_array()

cdef enum:
    SCRATCH_FOUND = 2


# ---- values that were computed elsewhere ----

cdef struct Values:
    const void* values
    Py_ssize_t itemsize, n_queries, n_cols, row_stride, first_index, k
    bint largest
    void* keys
    int64_t* indices
    bint out_of_memory


cdef void take_range(Py_ssize_t begin, Py_ssize_t end, Values* v, real zero) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(zero), row, col, n, n_known = min(v.k, v.first_index)
    cdef candidates[real] found
    cdef const real* values
    cdef real group[64]
    cdef uint64_t bits
    cdef void* memory = thread_scratch(SCRATCH_FOUND, candidates_bytes(zero, 1, v.k))
    if memory == NULL:
        raise_flag(&v.out_of_memory)
        return
    found = lay_out(zero, memory, 1, v.k)
    for row in range(begin, end):
        values = <const real*>v.values + row * v.row_stride
        restore_row(found, 0, <const real*>v.keys + row * v.k,
                    <const int64_t*>v.indices + row * v.k, n_known)
        col = 0
        while col < v.n_cols:
            n = min(lanes, v.n_cols - col)
            bits = outside(values + col, n, found.bound[0], v.largest, group)
            if bits:
                take(found, 0, <const real*>group, bits, v.first_index + col)
            col += n
        save_row(found, 0, <real*>v.keys + row * v.k, v.indices + row * v.k)


cdef inline uint64_t outside(const real* values, Py_ssize_t n, real bound, bint negate,
                             real* group) noexcept nogil:
    """The first n values, negated or not, to `group`; a bit for each that is not >= bound."""
    cdef vec[real] value = vload_partial(values, n)
    if negate:
        value = -value
    cdef uint64_t bits = mbits(mand(mnot(vge(value, vset(bound))), mtail(<real>0, n)))
    if bits:
        vstore(group, value)
    return bits


cdef void take_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Values*>context).itemsize == 4:
        take_range(begin, end, <Values*>context, <float>0)
    else:
        take_range(begin, end, <Values*>context, <double>0)


def take_values(cnp.ndarray values, bint largest, Py_ssize_t first_index, cnp.ndarray keys,
                cnp.ndarray indices):
    """As `search`, for values (n_queries, n_rows) that were computed already.

    Assumes: values and keys of one dtype, C order; `largest`: the search is for the largest.
    """
    cdef Values v
    v.values = cnp.PyArray_DATA(values)
    v.itemsize = cnp.PyArray_ITEMSIZE(keys)
    v.n_queries = cnp.PyArray_DIM(values, 0)
    v.n_cols = cnp.PyArray_DIM(values, 1)
    v.row_stride = v.n_cols
    v.first_index = first_index
    v.k = cnp.PyArray_DIM(keys, 1)
    v.largest = largest
    v.keys = cnp.PyArray_DATA(keys)
    v.indices = <int64_t*>cnp.PyArray_DATA(indices)
    v.out_of_memory = False
    with nogil:
        parallel_for(v.n_queries, 1, 0.15 * v.n_queries * v.n_cols, take_body, &v)
    if v.out_of_memory:
        raise MemoryError("topk: no scratch memory")


# ---- from candidates to the result ----

cdef struct Finish:
    void* values
    int64_t* indices
    Py_ssize_t itemsize, n_queries, k
    bint sorted, out_of_memory


cdef void finish_range(Py_ssize_t begin, Py_ssize_t end, Finish* f, real zero) noexcept nogil:
    cdef Py_ssize_t row
    cdef void* scratch = thread_scratch(SCRATCH_FOUND, 24 * f.k)
    if scratch == NULL:
        raise_flag(&f.out_of_memory)
        return
    for row in range(begin, end):
        order_row(<real*>f.values + row * f.k, f.indices + row * f.k, f.k, f.sorted, scratch)


cdef void finish_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Finish*>context).itemsize == 4:
        finish_range(begin, end, <Finish*>context, <float>0)
    else:
        finish_range(begin, end, <Finish*>context, <double>0)


def finish(cnp.ndarray keys, cnp.ndarray indices, bint sorted):
    """The keys that `search` or `take_values` left become the values that were ordered by.

    `sorted`: by value and index; else in the order of the indices.
    """
    cdef Finish f
    f.values = cnp.PyArray_DATA(keys)
    f.indices = <int64_t*>cnp.PyArray_DATA(indices)
    f.itemsize = cnp.PyArray_ITEMSIZE(keys)
    f.n_queries = cnp.PyArray_DIM(keys, 0)
    f.k = cnp.PyArray_DIM(keys, 1)
    f.sorted = sorted
    f.out_of_memory = False
    with nogil:
        parallel_for(f.n_queries, 1, f.n_queries * (20.0 + 10.0 * f.k), finish_body, &f)
    if f.out_of_memory:
        raise MemoryError("topk: no scratch memory")


# ---- rows of the result that need care ----

cdef bint is_odd(const real* values, Py_ssize_t k, const char* x, Py_ssize_t n_features,
                 Py_ssize_t step, double least, double least_sq) noexcept:
    cdef Py_ssize_t i
    cdef bint is_near = False
    cdef double element
    for i in range(k):
        if values[i] != values[i]:
            return True
        is_near |= values[i] < least
    if is_near:
        for i in range(n_features):
            element = (<const real*>(x + i * step))[0]
            if element * element >= least_sq:
                return False
    return is_near


def has_odd_rows(cnp.ndarray values, cnp.ndarray x, double least, double least_sq):
    """Whether a row of values (n_queries, k), C-ordered, has a NaN, or a value below least where
    the query, a row of x of the same dtype, has no element whose square is at least least_sq.
    """
    cdef Py_ssize_t row, k = cnp.PyArray_DIM(values, 1), n_features = cnp.PyArray_DIM(x, 1)
    cdef Py_ssize_t x_row = cnp.PyArray_STRIDE(x, 0), step = cnp.PyArray_STRIDE(x, 1)
    cdef const char* at = <const char*>cnp.PyArray_DATA(values)
    cdef const char* query = <const char*>cnp.PyArray_DATA(x)
    cdef bint is_float = cnp.PyArray_ITEMSIZE(values) == 4
    for row in range(cnp.PyArray_DIM(values, 0)):
        if is_float:
            if is_odd(<const float*>at + row * k, k, query + row * x_row, n_features, step, least,
                      least_sq):
                return True
        elif is_odd(<const double*>at + row * k, k, query + row * x_row, n_features, step, least,
                    least_sq):
            return True
    return False
