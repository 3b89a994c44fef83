# Softmax along an axis that other axes lie behind, and what it shares with its relatives.
from cython cimport floating as real

from fastmath_ml._kernels.simd cimport vec

cdef enum:
    SUM_STEPS = 32              # longest chain of additions in the dtype

# x and out are (outer, length, inner), C order.
cdef struct Lines:
    const void* x
    void* out
    Py_ssize_t itemsize, outer, length, inner
    # inner > 1: columns first_col .. first_col + band, in blocks of block_steps steps, and for each
    # block its maxima (later: factors) and its sums
    Py_ssize_t first_col, band, band_padded, block_steps, n_blocks, n_outer
    void* statistics
    double line_max, line_sum   # of the current huge line
    bint logarithm              # log_softmax
    bint out_of_memory

# Softmax, or its logarithm, over block[0 : n], each lane for itself.
cdef void softmax_lanes(vec[real]* block, Py_ssize_t n, bint logarithm) noexcept nogil

# For inner > 1; sets lines.out_of_memory where there was no scratch memory.
cdef int softmax_across(Lines* lines, Py_ssize_t lanes, double ns_per_item) except -1 nogil
