"""softmax along any axis, exp(x - max) / sum(exp(x - max)), and its logarithm.

The array is (outer, length, inner) with the axis in the middle; a *line* is the `length` elements
that one normalisation runs over. Memory is read once and written once where a line fits a cache:

    inner == 1, short lines     lanes lines at a time, transposed so that each lane holds one: the
                                reductions are vertical and every lane of every instruction works
    inner == 1                  a line stays in the L1 or L2 cache over its three passes (maximum;
                                exp and sum, stored to the result; scaling of the result in place)
    inner == 1, one huge line   segments in parallel, each with a maximum and a sum of its own; a
                                second sweep writes the result
    inner > 1                   softmax_across.pyx

No chain of additions in the dtype is longer than SUM_STEPS; their results are added up in float64
or, across lines, in few steps and then with compensation: the error does not grow with the length.
Which path a line takes depends on its length and on whether other axes lie behind it, so neither
threads nor other lines change its result.

log_softmax takes the same ways: (x - max) - log(sum(exp(x - max))), without storing exponentials.

NaN: a line with a NaN or +inf, or with nothing but -inf, is all NaN, by the arithmetic of the
definition. A maximum that overlooks a NaN is as good, since the sum then is NaN. In log_softmax
infinite maxima count as 0, as in SciPy: beside +inf finite elements give -inf.
"""

from cython cimport floating as real
from libc.math cimport INFINITY, NAN, exp, isfinite, isnan, log

cimport numpy as cnp

from fastmath_ml._kernels.lines cimport exp_and_sum, line_max
from fastmath_ml._kernels.overlap cimport overlaps
from fastmath_ml._kernels.plain cimport Axis, is_plain, plain_kind, split_axis
from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for
from fastmath_ml._kernels.simd cimport (
    mtail, vec, vexp, vlanes, vload, vload_partial, vmax, vreduce_max, vselect, vset, vstore,
    vstore_partial,
)
from fastmath_ml._kernels.softmax_across cimport Lines, softmax_across, softmax_lanes
from fastmath_ml._kernels.sweeps cimport scale_line
from fastmath_ml._kernels.transpose cimport load_transposed, store_transposed

cnp.import_array()

cdef enum:
    MAX_LANES = 16
    HUGE_LINE = 1 << 20         # bytes of a line that no longer stays in the L2 cache
    SEGMENT = 1 << 14           # elements of a segment of a huge line

# ---- inner == 1 ----

cdef inline void softmax_line(const real* x, real* out, Py_ssize_t n) noexcept nogil:
    cdef real maximum = line_max(x, n, <real>0)
    cdef double total = exp_and_sum(x, out, n, maximum, True)
    scale_line(out, n, <real>(1 / total))


cdef inline void subtract_line(const real* x, real* out, Py_ssize_t n, real shift,
                               real log_total) noexcept nogil:
    """out = (x - shift) - log_total."""
    cdef Py_ssize_t lanes = vlanes(shift), i = 0
    cdef vec[real] first = vset(shift), second = vset(log_total)
    while i + lanes <= n:
        vstore(out + i, vload(x + i) - first - second)
        i += lanes
    if i < n:
        vstore_partial(out + i, vload_partial(x + i, n - i) - first - second, n - i)


cdef inline void log_softmax_line(const real* x, real* out, Py_ssize_t n) noexcept nogil:
    cdef real shift = line_max(x, n, <real>0)
    if not isfinite(shift):
        shift = 0
    subtract_line(x, out, n, shift, <real>log(exp_and_sum(x, <real*>NULL, n, shift, False)))


cdef void softmax_transposed(const real* x, real* out, Py_ssize_t n_lines, Py_ssize_t n,
                             bint logarithm) noexcept nogil:
    """n <= 2 * lanes: one line in each lane."""
    cdef Py_ssize_t lanes = vlanes(<real>0), line = 0, lines
    cdef vec[real] block[2 * MAX_LANES]
    while line < n_lines:
        lines = min(lanes, n_lines - line)
        load_transposed(x, n, lines, min(n, lanes), block)
        if n > lanes:
            load_transposed(x + lanes, n, lines, n - lanes, block + lanes)
        softmax_lanes(block, n, logarithm)
        store_transposed(block, out, n, lines, min(n, lanes))
        if n > lanes:
            store_transposed(block + lanes, out + lanes, n, lines, n - lanes)
        line += lines
        x += lines * n
        out += lines * n


cdef void lines_range(Py_ssize_t begin, Py_ssize_t end, Lines* lines, real zero) noexcept nogil:
    cdef Py_ssize_t n = lines.length, i
    cdef const real* x = <const real*>lines.x + begin * n
    cdef real* out = <real*>lines.out + begin * n
    if n <= 2 * vlanes(zero):
        softmax_transposed(x, out, end - begin, n, lines.logarithm)
        return
    if lines.logarithm:
        for i in range(end - begin):
            log_softmax_line(x + i * n, out + i * n, n)
        return
    for i in range(end - begin):
        softmax_line(x + i * n, out + i * n, n)


cdef void lines_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Lines*>context).itemsize == 4:
        lines_range(begin, end, <Lines*>context, <float>0)
    else:
        lines_range(begin, end, <Lines*>context, <double>0)


# ---- one huge line ----

# The sum is that of exp(x - maximum).
cdef struct Partial:
    double maximum
    double sum


cdef void segment_as(const real* x, Py_ssize_t n, Partial* partial) noexcept nogil:
    cdef real zero = 0
    cdef Py_ssize_t lanes = vlanes(zero), i = 0
    cdef vec[real] low = vset(<real>-INFINITY), m = low
    # Unlike above a NaN must not be overlooked: the terms of another segment do not show it.
    while i + lanes <= n:
        m = vmax(m, vload(x + i))
        i += lanes
    if i < n:
        m = vmax(m, vselect(mtail(zero, n - i), vload_partial(x + i, n - i), low))
    partial.maximum = vreduce_max(m)
    partial.sum = 0
    if partial.maximum != -INFINITY:
        partial.sum = exp_and_sum(x, <real*>NULL, n, <real>partial.maximum, False)


cdef void segment_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    cdef Lines* lines = <Lines*>context
    if lines.itemsize == 4:
        segment_as(<const float*>lines.x + begin, end - begin, <Partial*>partial)
    else:
        segment_as(<const double*>lines.x + begin, end - begin, <Partial*>partial)


cdef void combine(void* total, const void* partial, void* context) noexcept nogil:
    cdef Partial* sum_so_far = <Partial*>total
    cdef const Partial* new = <const Partial*>partial
    if new.maximum == -INFINITY:
        return
    if new.maximum <= sum_so_far.maximum:
        sum_so_far.sum += new.sum * exp(new.maximum - sum_so_far.maximum)
    else:
        sum_so_far.sum = new.sum + sum_so_far.sum * exp(sum_so_far.maximum - new.maximum)
        sum_so_far.maximum = new.maximum


cdef void write_as(const real* x, real* out, Py_ssize_t n, Lines* lines) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(<real>0), i = 0
    cdef vec[real] shift, factor
    if lines.logarithm:
        subtract_line(x, out, n, <real>lines.line_max, <real>log(lines.line_sum))
        return
    shift = vset(<real>lines.line_max)
    factor = vset(<real>(1 / lines.line_sum))
    while i + lanes <= n:
        vstore(out + i, vexp(vload(x + i) - shift) * factor)
        i += lanes
    if i < n:
        vstore_partial(out + i, vexp(vload_partial(x + i, n - i) - shift) * factor, n - i)


cdef void write_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Lines* lines = <Lines*>context
    if lines.itemsize == 4:
        write_as(<const float*>lines.x + begin, <float*>lines.out + begin, end - begin, lines)
    else:
        write_as(<const double*>lines.x + begin, <double*>lines.out + begin, end - begin, lines)


cdef bint has_nan(const Lines* lines) noexcept nogil:
    """Whether the current huge line has a NaN: its sum does not tell NaN from +inf."""
    cdef Py_ssize_t i
    for i in range(lines.length):
        if isnan((<const float*>lines.x)[i] if lines.itemsize == 4
                 else (<const double*>lines.x)[i]):
            return True
    return False


cdef int softmax_huge(Lines* lines, double ns_per_item) except -1 nogil:
    cdef Py_ssize_t _, line_bytes = lines.length * lines.itemsize
    cdef double work_ns = lines.length * ns_per_item
    cdef Partial total
    for _ in range(lines.outer):
        total.maximum = -INFINITY
        total.sum = 0
        ordered_reduce(lines.length, SEGMENT, sizeof(Partial), work_ns, segment_body, combine,
                       &total, lines)
        lines.line_max = total.maximum
        lines.line_sum = total.sum
        if lines.logarithm and not isfinite(total.sum - total.maximum):
            lines.line_max = 0
            if total.sum != 0:
                lines.line_sum = NAN if has_nan(lines) else INFINITY
        parallel_for(lines.length, SEGMENT, work_ns, write_body, lines)
        lines.x = <const char*>lines.x + line_bytes
        lines.out = <char*>lines.out + line_bytes
    return 0


# ---- dispatch ----

cdef int softmax_lines(Lines* lines, Py_ssize_t lanes) except -1 nogil:
    cdef Py_ssize_t n_items = lines.outer * lines.length * lines.inner
    cdef double ns_per_item = 6.0 / lanes
    if n_items == 0:
        return 0
    if lines.inner > 1:
        softmax_across(lines, lanes, ns_per_item)
        if lines.out_of_memory:
            with gil:
                raise MemoryError("softmax: no scratch memory")
        return 0
    if lines.length * lines.itemsize > HUGE_LINE:
        return softmax_huge(lines, ns_per_item)
    # Whole vectors of lines in a chunk, for the transposed path.
    return parallel_for(lines.outer, lanes if lines.length <= 2 * lanes else 1,
                        n_items * ns_per_item + 10.0 * lines.outer, lines_body, lines)


def softmax_plain(x, axis, out, bint logarithm=False):
    """softmax of a C-ordered float32 or float64 array; None where x, axis or out is not so plain.

    The common case, recognised before any general code runs. axis is None (all elements) or an
    integer; out is None or a C-ordered array like x that is x itself or shares no memory with it.
    """
    cdef cnp.ndarray a, c
    cdef Lines lines
    cdef Axis split
    cdef int kind = plain_kind(x)
    if kind == cnp.NPY_NOTYPE:
        return None
    a = x
    if cnp.PyArray_NDIM(a) == 0 or not split_axis(a, axis, &split):
        return None
    lines.outer, lines.length, lines.inner = split.outer, split.length, split.inner
    if out is None:
        c = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), kind)
    else:
        if not is_plain(out, kind):
            return None
        c = out
        if not (cnp.PyArray_ISWRITEABLE(c) and cnp.PyArray_SAMESHAPE(a, c)):
            return None
        if cnp.PyArray_DATA(a) != cnp.PyArray_DATA(c) and overlaps(a, c):
            return None
    lines.x = cnp.PyArray_DATA(a)
    lines.out = cnp.PyArray_DATA(c)
    lines.itemsize = cnp.PyArray_ITEMSIZE(a)
    lines.logarithm = logarithm
    lines.out_of_memory = False
    if cnp.PyArray_SIZE(a) < 512:
        softmax_lines(&lines, vlanes(<float>0) * 4 // lines.itemsize)
    else:
        with nogil:
            softmax_lines(&lines, vlanes(<float>0) * 4 // lines.itemsize)
    return c
