"""Distances of chosen pairs of rows, in the form that does not cancel.

A search orders by |y|^2 - 2 x.y, which loses the digits that near neighbours agree in. For the few
pairs that it returns the distance is made again from differences:

    squared distance    sum_p (x_p - y_p)^2
    cosine distance     1/2 sum_p (x_p / |x| - y_p / |y|)^2

An error of a norm changes the second in proportion to the distance itself, so that it is accurate
for near-duplicates too, and 0 for equal rows. Sums of blocks of BLOCK elements are made in the
dtype, in lanes, and added up in float64. Where a square over- or underflows (seen by the sums), the
pair is done again in float64 with the rows scaled by a power of two.
"""

from cython cimport floating as real
from libc.math cimport fabs, frexp, isfinite, isnan, ldexp, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcmp

cimport numpy as cnp

from fastmath_ml._kernels.matvec cimport without_gaps
from fastmath_ml._kernels.pool cimport parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.prefetch cimport bring_lines
from fastmath_ml._kernels.simd cimport (
    vec, vlanes, vload, vload_partial, vmul_add, vset, vsum,
)
from fastmath_ml._kernels.square_range cimport is_safe_square

cnp.import_array()

cdef enum:
    BLOCK = 1024
    AHEAD = 8                   # rows anywhere in y are asked for that many pairs ahead,
    AHEAD_BYTES = 1024          # the first bytes of them: what lies behind, hardware foresees
    SCRATCH_ROWS = 0

cdef struct Pairs:
    Py_ssize_t itemsize, n_rows, k, depth
    const void* x
    Py_ssize_t x_row, x_depth
    const void* y
    Py_ssize_t y_row, y_depth
    const int64_t* indices              # NULL: y holds the k rows of each x, one after the other
    void* out
    bint cosine, root, out_of_memory


cdef inline double scaled_difference_sq(const real* x, const real* y, Py_ssize_t n, real x_scale,
                                        real y_scale, bint scaled) noexcept nogil:
    """sum (x x_scale - y y_scale)^2; `scaled` is a constant of each call, False for factors 1."""
    cdef Py_ssize_t lanes = vlanes(<real>0), p = 0, end
    cdef vec[real] x_factor = vset(x_scale), y_factor = vset(y_scale), even, odd, first, second
    cdef double total = 0
    while p < n:
        end = min(p + BLOCK, n)
        even = vec[real]()
        odd = vec[real]()
        while p + 2 * lanes <= end:
            if scaled:
                first = vload(x + p) * x_factor - vload(y + p) * y_factor
                second = vload(x + p + lanes) * x_factor - vload(y + p + lanes) * y_factor
            else:
                first = vload(x + p) - vload(y + p)
                second = vload(x + p + lanes) - vload(y + p + lanes)
            even = vmul_add(first, first, even)
            odd = vmul_add(second, second, odd)
            p += 2 * lanes
        while p < end:
            first = vload_partial(x + p, min(lanes, end - p))
            second = vload_partial(y + p, min(lanes, end - p))
            if scaled:
                first = first * x_factor - second * y_factor
            else:
                first = first - second
            even = vmul_add(first, first, even)
            p += min(lanes, end - p)
        total += vsum(even + odd)
    return total


cdef inline double norm_sq(const real* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(<real>0), p = 0, end
    cdef vec[real] even, odd, value
    cdef double total = 0
    while p < n:
        end = min(p + BLOCK, n)
        even = vec[real]()
        odd = vec[real]()
        while p + 2 * lanes <= end:
            value = vload(x + p)
            even = vmul_add(value, value, even)
            value = vload(x + p + lanes)
            odd = vmul_add(value, value, odd)
            p += 2 * lanes
        while p < end:
            value = vload_partial(x + p, min(lanes, end - p))
            even = vmul_add(value, value, even)
            p += min(lanes, end - p)
        total += vsum(even + odd)
    return total


cdef inline int exponent_of(const real* x, Py_ssize_t n) noexcept nogil:
    """The exponent of the largest magnitude; NaN is passed over, infinity gives 0."""
    cdef double largest = 0
    cdef Py_ssize_t p
    cdef int exponent
    for p in range(n):
        if fabs(x[p]) > largest:
            largest = fabs(x[p])
    frexp(largest, &exponent)
    return exponent if isfinite(largest) else 0


cdef double careful_distance(const real* x, const real* y, Py_ssize_t n, bint root) noexcept nogil:
    cdef double total = 0, difference
    cdef Py_ssize_t p
    cdef int exponent = max(exponent_of(x, n), exponent_of(y, n)) + 1
    # The larger of the rows may hide a small difference, which then decides about the scale.
    cdef double largest = 0
    for p in range(n):
        difference = fabs(ldexp(x[p], -exponent) - ldexp(y[p], -exponent))
        if difference > largest:
            largest = difference
        total += difference * difference
    if isnan(total) or largest == 0 or not isfinite(largest):
        return sqrt(total) if root else total
    total = 0
    for p in range(n):
        difference = (ldexp(x[p], -exponent) - ldexp(y[p], -exponent)) / largest
        total += difference * difference
    if root:
        return ldexp(sqrt(total) * largest, exponent)
    return ldexp(ldexp(total * largest, exponent) * largest, exponent)


cdef double careful_cosine(const real* x, const real* y, Py_ssize_t n) noexcept nogil:
    cdef double x_norm = 0, y_norm = 0, total = 0, difference, value
    cdef int x_exponent = exponent_of(x, n), y_exponent = exponent_of(y, n)
    cdef Py_ssize_t p
    for p in range(n):
        value = ldexp(x[p], -x_exponent)
        x_norm += value * value
        value = ldexp(y[p], -y_exponent)
        y_norm += value * value
    if x_norm == 0 or y_norm == 0:
        return x_norm + y_norm + 1 if isnan(x_norm + y_norm) else 1
    x_norm = sqrt(x_norm)
    y_norm = sqrt(y_norm)
    for p in range(n):
        difference = ldexp(x[p], -x_exponent) / x_norm - ldexp(y[p], -y_exponent) / y_norm
        total += difference * difference
    return 0.5 * total


cdef inline double pair_distance(const Pairs* s, const real* x, double x_norm_sq,
                                 const real* y) noexcept nogil:
    cdef double total, y_norm_sq
    if s.cosine:
        # The two products of a difference may be rounded differently (one is fused).
        if isfinite(x_norm_sq) and x_norm_sq > 0 and (
                memcmp(x, y, s.depth * sizeof(real)) == 0):
            return 0
        y_norm_sq = norm_sq(y, s.depth)
        if not (is_safe_square(<real>x_norm_sq) and is_safe_square(<real>y_norm_sq)):
            total = careful_cosine(x, y, s.depth)
        else:
            total = 0.5 * scaled_difference_sq(x, y, s.depth, <real>(1 / sqrt(x_norm_sq)),
                                               <real>(1 / sqrt(y_norm_sq)), True)
        return 2 if total > 2 else total
    total = scaled_difference_sq(x, y, s.depth, <real>1, <real>1, False)
    if not is_safe_square(<real>total):
        if total == 0 and memcmp(x, y, s.depth * sizeof(real)) == 0:
            return 0
        return careful_distance(x, y, s.depth, s.root)
    return sqrt(total) if s.root else total


cdef void pairs_range(Py_ssize_t begin, Py_ssize_t end, Pairs* s, real zero) noexcept nogil:
    cdef Py_ssize_t row, j, at, seen = min(s.depth * <Py_ssize_t>sizeof(real), AHEAD_BYTES)
    cdef bint seeks = s.indices != NULL and s.y_depth == 1
    cdef double x_norm_sq = 0
    cdef const real* x
    cdef const real* y
    cdef real* copies = <real*>thread_scratch(SCRATCH_ROWS, 2 * s.depth * sizeof(real))
    if copies == NULL:
        raise_flag(&s.out_of_memory)
        return
    for row in range(begin, end):
        x = without_gaps(<const real*>s.x + row * s.x_row, s.x_depth, s.depth, copies)
        if s.cosine:
            x_norm_sq = norm_sq(x, s.depth)
        for j in range(row * s.k, (row + 1) * s.k):
            if seeks and j + AHEAD < end * s.k:
                bring_lines(<const real*>s.y + s.indices[j + AHEAD] * s.y_row, 1, 0, seen)
            at = j if s.indices == NULL else s.indices[j]
            y = without_gaps(<const real*>s.y + at * s.y_row, s.y_depth, s.depth, copies + s.depth)
            (<real*>s.out)[j] = <real>pair_distance(s, x, x_norm_sq, y)


cdef void pairs_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Pairs*>context).itemsize == 4:
        pairs_range(begin, end, <Pairs*>context, <float>0)
    else:
        pairs_range(begin, end, <Pairs*>context, <double>0)


def pair_distances(cnp.ndarray x, cnp.ndarray y, indices, cnp.ndarray out, *, bint cosine=False,
                   bint root=False):
    """out[i, j] = distance of x[i] and y[indices[i, j]], squared unless `root`, or cosine distance.

    Without indices y holds the rows of out[i, 0], out[i, 1], ... one after the other.

    Assumes: x, y and out float32 or all float64, x and y aligned, native, strides of whole
    elements; out and indices (int64) of one shape in C order.
    """
    cdef Pairs s
    s.itemsize = cnp.PyArray_ITEMSIZE(out)
    s.n_rows = cnp.PyArray_DIM(out, 0)
    s.k = cnp.PyArray_DIM(out, 1)
    s.depth = cnp.PyArray_DIM(x, 1)
    s.x = cnp.PyArray_DATA(x)
    s.x_row = cnp.PyArray_STRIDE(x, 0) // s.itemsize
    s.x_depth = cnp.PyArray_STRIDE(x, 1) // s.itemsize
    s.y = cnp.PyArray_DATA(y)
    s.y_row = cnp.PyArray_STRIDE(y, 0) // s.itemsize
    s.y_depth = cnp.PyArray_STRIDE(y, 1) // s.itemsize
    s.indices = NULL
    if indices is not None:
        s.indices = <const int64_t*>cnp.PyArray_DATA(<cnp.ndarray>indices)
    s.out = cnp.PyArray_DATA(out)
    s.cosine = cosine
    s.root = root
    s.out_of_memory = False
    with nogil:
        parallel_for(s.n_rows, 1, s.n_rows * s.k * (40.0 + 0.2 * s.depth), pairs_body, &s)
    if s.out_of_memory:
        raise MemoryError("topk: no scratch memory")
