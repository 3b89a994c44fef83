# What the kernels of the softmax family share: sweeps over the elements of one line in memory.
from cython cimport floating as real
from libc.math cimport INFINITY

from fastmath_ml._kernels.simd cimport (
    mtail, vabs, vec, veq, vexp, vlanes, vload, vload_partial, vlt, vmax_fast, vreduce_max, vselect,
    vset, vstore, vstore_partial, vsum,
)
from fastmath_ml._kernels.softmax_across cimport SUM_STEPS
from fastmath_ml._kernels.sweeps cimport load_columns


cdef inline real line_max(const real* x, Py_ssize_t n, real zero) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(zero), i = 0
    cdef vec[real] low = vset(<real>-INFINITY)
    cdef vec[real] m0 = low, m1 = low, m2 = low, m3 = low
    while i + 4 * lanes <= n:
        m0 = vmax_fast(m0, vload(x + i))
        m1 = vmax_fast(m1, vload(x + i + lanes))
        m2 = vmax_fast(m2, vload(x + i + 2 * lanes))
        m3 = vmax_fast(m3, vload(x + i + 3 * lanes))
        i += 4 * lanes
    while i + lanes <= n:
        m0 = vmax_fast(m0, vload(x + i))
        i += lanes
    if i < n:
        m1 = vmax_fast(m1, vselect(mtail(zero, n - i), vload_partial(x + i, n - i), low))
    return vreduce_max(vmax_fast(vmax_fast(m0, m1), vmax_fast(m2, m3)))


cdef inline double exp_and_sum(const real* x, real* out, Py_ssize_t n, real maximum,
                               bint storing) noexcept nogil:
    """sum of exp(x - maximum), the terms stored to `out` when storing."""
    cdef real zero = 0
    cdef Py_ssize_t lanes = vlanes(zero), i = 0, end
    cdef vec[real] shift = vset(maximum), e0, e1, s0, s1
    cdef double total = 0
    while i < n:
        end = min(i + 2 * SUM_STEPS * lanes, n)
        s0 = vec[real]()
        s1 = vec[real]()
        while i + 2 * lanes <= end:
            e0 = vexp(vload(x + i) - shift)
            e1 = vexp(vload(x + i + lanes) - shift)
            if storing:
                vstore(out + i, e0)
                vstore(out + i + lanes, e1)
            s0 = s0 + e0
            s1 = s1 + e1
            i += 2 * lanes
        if i + lanes <= end:
            e0 = vexp(vload(x + i) - shift)
            if storing:
                vstore(out + i, e0)
            s0 = s0 + e0
            i += lanes
        if i < end:
            e1 = vselect(mtail(zero, end - i), vexp(vload_partial(x + i, end - i) - shift),
                         vec[real]())
            if storing:
                vstore_partial(out + i, e1, end - i)
            s1 = s1 + e1
            i = end
        total += vsum(s0 + s1)
    return total


# What is subtracted from the elements of lines with these maxima before exp: 0 where the maximum is
# infinite, so that log(sum(exp)) is that infinity, and 0 for NaN, whose sum is NaN in any case.
cdef inline vec[real] log_shift(vec[real] largest) noexcept nogil:
    return vselect(vlt(vabs(largest), vset(<real>INFINITY)), largest, vec[real]())


# A block's sum as a part of its line's, `below` being the block's maximum less the line's. An
# infinite sum stays infinite, however far below.
cdef inline vec[real] part_of_line(vec[real] block_sum, vec[real] below) noexcept nogil:
    cdef vec[real] infinity = vset(<real>INFINITY)
    return vselect(veq(block_sum, infinity), infinity, block_sum * vexp(below))


# The maxima of `width` lines over n_steps steps, which are `stride` apart; a NaN may be overlooked.
# `largest` holds whole vectors.
cdef inline void block_max(const real* x, Py_ssize_t stride, Py_ssize_t n_steps, Py_ssize_t width,
                           real* largest) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(<real>0), _, col, n
    cdef vec[real] max0, max1
    cdef const real* source = x
    col = 0
    while col < width:
        vstore(largest + col, vset(<real>-INFINITY))
        col += lanes
    # Four steps for each load and store of the maxima.
    for _ in range(n_steps // 4):
        col = 0
        while col < width:
            n = width - col
            max0 = vmax_fast(load_columns(source + col, n), load_columns(source + stride + col, n))
            max1 = vmax_fast(load_columns(source + 2 * stride + col, n),
                             load_columns(source + 3 * stride + col, n))
            vstore(largest + col, vmax_fast(vload(largest + col), vmax_fast(max0, max1)))
            col += lanes
        source += 4 * stride
    for _ in range(n_steps % 4):
        col = 0
        while col < width:
            vstore(largest + col,
                   vmax_fast(vload(largest + col), load_columns(source + col, width - col)))
            col += lanes
        source += stride
