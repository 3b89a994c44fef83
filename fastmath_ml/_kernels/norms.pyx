"""Reductions of |x| along one axis: sum, sum of squares, largest, smallest, number of nonzeros.

An array is (n_outer, n, n_inner) and is reduced over n, in one pass at memory speed:

    n_inner = 1     lanes along the line, in blocks of SUM_BLOCK elements
    n_inner > 1     lanes across a strip of columns, in blocks of SUM_STEPS rows

Blocks are summed in the dtype, the blocks in float64, so that the error of float32 does not grow
with the length. A few long lines are cut into segments fixed by the shape.
"""

from cython cimport floating as real
from libc.math cimport INFINITY, sqrt
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for
from fastmath_ml._kernels.simd cimport (
    ceil_div, vabs, vec, vlanes, vload, vload_partial, vmax, vmin, vmul_add, vne, vreduce_max,
    vreduce_min, vselect, vset, vstore_partial, vsum,
)

cnp.import_array()

cdef enum:
    SUM_BLOCK = 1024
    SUM_STEPS = 128
    STRIP = 512                     # columns
    SEGMENT = 1 << 15               # elements of a line, or of a column times their number
    # kinds
    SUM = 0
    SQUARES = 1
    LARGEST = 2
    SMALLEST = 3
    NONZEROS = 4


cdef struct Lines:
    Py_ssize_t itemsize
    Py_ssize_t n_outer, n, n_inner
    Py_ssize_t first, end           # the part of n that is reduced, where it is not all of it
    Py_ssize_t strips
    const void* x
    double* out                     # (n_outer, n_inner)
    int kind


cdef inline double start_of(int kind) noexcept nogil:
    return INFINITY if kind == SMALLEST else 0.0


cdef inline vec[real] take(vec[real] total, vec[real] x, int kind) noexcept nogil:
    """One more element of each lane."""
    if kind == SUM:
        return total + vabs(x)
    if kind == SQUARES:
        return vmul_add(x, x, total)
    if kind == LARGEST:
        return vmax(total, vabs(x))
    if kind == SMALLEST:
        return vmin(total, vabs(x))
    return total + vselect(vne(x, vec[real]()), vset(<real>1), vec[real]())


cdef inline double merge(double total, double part, int kind) noexcept nogil:
    if kind == LARGEST:
        return part if part > total or part != part else total
    if kind == SMALLEST:
        return part if part < total or part != part else total
    return total + part


cdef inline double fold(vec[real] total, int kind) noexcept nogil:
    if kind == LARGEST:
        return <double>vreduce_max(total)
    if kind == SMALLEST:
        return <double>vreduce_min(total)
    return <double>vsum(total)


cdef inline double line(const real* x, Py_ssize_t n, int kind) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(<real>0), i = 0, end, k
    cdef double total = start_of(kind)
    cdef vec[real] part[4]
    cdef vec[real] rest
    cdef vec[real] start = vset(<real>start_of(kind))
    while i < n:
        end = min(i + SUM_BLOCK, n)
        for k in range(4):
            part[k] = start
        while i + 4 * lanes <= end:
            for k in range(4):
                part[k] = take(part[k], vload(x + i + k * lanes), kind)
            i += 4 * lanes
        while i + lanes <= end:
            part[0] = take(part[0], vload(x + i), kind)
            i += lanes
        for k in range(4):
            total = merge(total, fold(part[k], kind), kind)
        if i < end:
            if kind == SMALLEST:
                # Lanes beyond the end are 0, which would be the smallest.
                while i < end:
                    rest = vset(x[i])
                    total = merge(total, fold(vabs(rest), kind), kind)
                    i += 1
            else:
                rest = take(vec[real](), vload_partial(x + i, end - i), kind)
                total = merge(total, fold(rest, kind), kind)
                i = end
    return total


cdef inline double any_line(const real* x, Py_ssize_t n, int kind) noexcept nogil:
    """`line` with a constant for each kind."""
    if kind == SUM:
        return line(x, n, SUM)
    if kind == SQUARES:
        return line(x, n, SQUARES)
    if kind == LARGEST:
        return line(x, n, LARGEST)
    if kind == SMALLEST:
        return line(x, n, SMALLEST)
    return line(x, n, NONZEROS)


cdef inline void columns(const real* x, Py_ssize_t stride, Py_ssize_t n_rows, Py_ssize_t n_cols,
                         double* total, int kind) noexcept nogil:
    """total <- total (+) the reduction of n_rows rows, for n_cols <= STRIP columns."""
    cdef real strip[STRIP]
    cdef real* part = strip
    cdef Py_ssize_t lanes = vlanes(<real>0), row = 0, end, group, col, i, r
    cdef vec[real] value
    while row < n_rows:
        end = min(row + SUM_STEPS, n_rows)
        for col in range(n_cols):
            part[col] = <real>start_of(kind)
        # Eight rows at a time for each load and store of the part, which stays in L1.
        while row < end:
            group = min(row + 8, end)
            col = 0
            while col < n_cols:
                i = min(lanes, n_cols - col)
                value = vload_partial(part + col, i)
                if i == lanes:
                    for r in range(row, group):
                        value = take(value, vload(x + r * stride + col), kind)
                else:
                    for r in range(row, group):
                        value = take(value, vload_partial(x + r * stride + col, i), kind)
                vstore_partial(part + col, value, i)
                col += lanes
            row = group
        for col in range(n_cols):
            total[col] = merge(total[col], <double>part[col], kind)


cdef inline void any_columns(const real* x, Py_ssize_t stride, Py_ssize_t n_rows,
                             Py_ssize_t n_cols, double* total, int kind) noexcept nogil:
    if kind == SUM:
        columns(x, stride, n_rows, n_cols, total, SUM)
    elif kind == SQUARES:
        columns(x, stride, n_rows, n_cols, total, SQUARES)
    elif kind == LARGEST:
        columns(x, stride, n_rows, n_cols, total, LARGEST)
    elif kind == SMALLEST:
        columns(x, stride, n_rows, n_cols, total, SMALLEST)
    else:
        columns(x, stride, n_rows, n_cols, total, NONZEROS)


cdef void reduce_items(Py_ssize_t begin, Py_ssize_t end, const Lines* p, double* out,
                       real zero) noexcept nogil:
    """Items are lines, or strips of columns; those of p.first to p.end of each."""
    cdef Py_ssize_t item, outer, col, n_cols, i, n = p.end - p.first
    cdef const real* x
    for item in range(begin, end):
        if p.n_inner == 1:
            x = <const real*>p.x + item * p.n + p.first
            out[item] = any_line(x, n, p.kind)
            continue
        outer = item // p.strips
        col = item % p.strips * STRIP
        n_cols = min(<Py_ssize_t>STRIP, p.n_inner - col)
        for i in range(n_cols):
            out[outer * p.n_inner + col + i] = start_of(p.kind)
        x = <const real*>p.x + (outer * p.n + p.first) * p.n_inner + col
        any_columns(x, p.n_inner, n, n_cols, out + outer * p.n_inner + col, p.kind)


cdef void items_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Lines* p = <const Lines*>context
    if p.itemsize == 4:
        reduce_items(begin, end, p, p.out, <float>0)
    else:
        reduce_items(begin, end, p, p.out, <double>0)


cdef void segment_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    cdef Lines p = (<const Lines*>context)[0]
    p.first = begin
    p.end = end
    if p.itemsize == 4:
        reduce_items(0, p.n_outer * p.strips, &p, <double*>partial, <float>0)
    else:
        reduce_items(0, p.n_outer * p.strips, &p, <double*>partial, <double>0)


cdef void merge_segment(void* total, const void* partial, void* context) noexcept nogil:
    cdef const Lines* p = <const Lines*>context
    cdef Py_ssize_t i
    for i in range(p.n_outer * p.n_inner):
        (<double*>total)[i] = merge((<double*>total)[i], (<const double*>partial)[i], p.kind)


def reduce_magnitudes(cnp.ndarray x, cnp.ndarray out, int kind):
    """out = the reduction of |x| over axis 1; kind as in KINDS.

    x C-ordered (n_outer, n, n_inner), float32 or float64; out float64 (n_outer, n_inner). The
    caller has checked all this.
    """
    cdef Lines p
    cdef Py_ssize_t i
    cdef double work_ns
    memset(&p, 0, sizeof(p))
    p.itemsize = cnp.PyArray_ITEMSIZE(x)
    p.n_outer = cnp.PyArray_DIM(x, 0)
    p.n = p.end = cnp.PyArray_DIM(x, 1)
    p.n_inner = cnp.PyArray_DIM(x, 2)
    p.strips = 1 if p.n_inner == 1 else ceil_div(p.n_inner, STRIP)
    p.x = cnp.PyArray_DATA(x)
    p.out = <double*>cnp.PyArray_DATA(out)
    p.kind = kind
    work_ns = <double>p.n_outer * p.n * p.n_inner * p.itemsize / 24.0
    with nogil:
        if p.n_outer * p.strips <= 16 and p.n * p.n_inner >= 4 * SEGMENT and p.n >= 64:
            for i in range(p.n_outer * p.n_inner):
                p.out[i] = start_of(kind)
            ordered_reduce(p.n, max(SEGMENT // p.n_inner, <Py_ssize_t>1),
                           p.n_outer * p.n_inner * sizeof(double), work_ns, segment_body,
                           merge_segment, p.out, &p)
        else:
            parallel_for(p.n_outer * p.strips, 1, work_ns, items_body, &p)


def root_in_place(cnp.ndarray x):
    """The smallest and the largest square root of x, float64 and C-ordered, which they replace.

    NaN is neither; of none at all, infinity and 0.
    """
    cdef double* to = <double*>cnp.PyArray_DATA(x)
    cdef double lowest = INFINITY, largest = 0
    cdef Py_ssize_t i, n = cnp.PyArray_SIZE(x)
    with nogil:
        for i in range(n):
            to[i] = sqrt(to[i])
            if to[i] < lowest:
                lowest = to[i]
            if to[i] > largest:
                largest = to[i]
    return lowest, largest


KINDS = {"sum": SUM, "squares": SQUARES, "largest": LARGEST, "smallest": SMALLEST,
         "nonzeros": NONZEROS}
