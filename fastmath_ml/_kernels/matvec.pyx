"""Matrix times vector: the matrix is read once, in the direction in which it lies in memory.

    unit stride along the depth     dots: four outputs at a time, lanes along the depth; blocks of
                                    DOT_BLOCK products are summed in the dtype, blocks in float64
    unit stride along the outputs   sums: lanes along the outputs; SUM_STEPS steps of the depth are
                                    added to a strip of outputs that stays in the L1 cache, eight
                                    steps for each time that it is loaded and stored; the next
                                    eight are prefetched (1.1 to 2 times the speed on Zen 4,
                                    more than the nearer part of the same rows, into L2 or L1)

Threads share the outputs. Where these are few and the depth is long they share the depth instead,
in segments fixed by the shape that are added up in order.
"""

from cython cimport floating as real
from libc.string cimport memset

from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for
from fastmath_ml._kernels.prefetch cimport prefetch_l2
from fastmath_ml._kernels.simd cimport (
    vec, vlanes, vload, vload_partial, vmul_add, vset, vstore, vstore_partial, vsum,
)

cdef enum:
    DOT_BLOCK = 2048            # products of a dot summed in the dtype before float64 takes over
    SUM_STRIP = 2048            # outputs of a strip
    SUM_STEPS = 256             # steps added in the dtype before they are added to the output
    SEGMENT = 1 << 15           # depth of a segment of a long product with few outputs
    FEW_OUTPUTS = 64
    STRIP_GRAIN = 256           # outputs that one thread takes at least: 1 KiB of each row


# ---- unit stride along the depth ----

cdef inline const real* x_block(const VectorProduct* p, Py_ssize_t first, Py_ssize_t n,
                                real* copy) noexcept nogil:
    """x[first : first + n], gathered into `copy` where x has gaps."""
    cdef const real* x = <const real*>p.x + first * p.x_stride
    cdef Py_ssize_t i
    if p.x_stride == 1:
        return x
    for i in range(n):
        copy[i] = x[i * p.x_stride]
    return copy


cdef inline void dot_rows(const real* row, Py_ssize_t stride, int n_rows, const real* x,
                          Py_ssize_t n, Py_ssize_t ahead, double* total) noexcept nogil:
    """total[r] += row_r . x for n_rows rows, a constant of each call: 1 or 4."""
    cdef Py_ssize_t lanes = vlanes(<real>0), i = 0, r
    cdef vec[real] even[4]
    cdef vec[real] odd[4]
    cdef vec[real] factor
    for r in range(n_rows):
        even[r] = vec[real]()
        odd[r] = vec[real]()
    while i + 2 * lanes <= n:
        factor = vload(x + i)
        for r in range(n_rows):
            if ahead:
                prefetch_l2(row + r * stride + i + ahead)
                prefetch_l2(row + r * stride + i + lanes + ahead)
            even[r] = vmul_add(vload(row + r * stride + i), factor, even[r])
        factor = vload(x + i + lanes)
        for r in range(n_rows):
            odd[r] = vmul_add(vload(row + r * stride + i + lanes), factor, odd[r])
        i += 2 * lanes
    if i + lanes <= n:
        factor = vload(x + i)
        for r in range(n_rows):
            even[r] = vmul_add(vload(row + r * stride + i), factor, even[r])
        i += lanes
    if i < n:
        factor = vload_partial(x + i, n - i)
        for r in range(n_rows):
            odd[r] = vmul_add(vload_partial(row + r * stride + i, n - i), factor, odd[r])
    for r in range(n_rows):
        total[r] += vsum(even[r] + odd[r])


cdef void dots_over(Py_ssize_t begin, Py_ssize_t end, Py_ssize_t first_depth, Py_ssize_t end_depth,
                    const VectorProduct* p, double* totals, real zero) noexcept nogil:
    """totals[i - begin] = sum over a range of the depth; four rows share each load of x."""
    cdef real gathered[DOT_BLOCK]
    cdef Py_ssize_t i, n, at = first_depth
    cdef const real* x
    cdef const real* row
    memset(totals, 0, (end - begin) * sizeof(double))
    while at < end_depth:
        n = min(<Py_ssize_t>DOT_BLOCK, end_depth - at)
        x = x_block(p, at, n, gathered)
        i = begin
        while i + 4 <= end:
            row = <const real*>p.matrix + i * p.out_stride + at
            dot_rows(row, p.out_stride, 4, x, n, p.ahead, totals + i - begin)
            i += 4
        while i < end:
            row = <const real*>p.matrix + i * p.out_stride + at
            dot_rows(row, p.out_stride, 1, x, n, p.ahead, totals + i - begin)
            i += 1
        at += n


cdef void dots(Py_ssize_t begin, Py_ssize_t end, const VectorProduct* p, real zero) noexcept nogil:
    cdef double totals[64]
    cdef real* y = <real*>p.y
    cdef Py_ssize_t i, n
    while begin < end:
        # So few rows at a time that they read x while it is in the L1 cache, and that a short
        # matrix is still swept along its rows.
        n = min(4 if p.depth > DOT_BLOCK else 64, end - begin)
        dots_over(begin, begin + n, 0, p.depth, p, totals, zero)
        for i in range(n):
            y[(begin + i) * p.y_stride] = <real>totals[i]
        begin += n


cdef void dots_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<const VectorProduct*>context).itemsize == 4:
        dots(begin, end, <const VectorProduct*>context, <float>0)
    else:
        dots(begin, end, <const VectorProduct*>context, <double>0)


cdef void dots_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    cdef const VectorProduct* p = <const VectorProduct*>context
    if p.itemsize == 4:
        dots_over(0, p.n_out, begin, end, p, <double*>partial, <float>0)
    else:
        dots_over(0, p.n_out, begin, end, p, <double*>partial, <double>0)


# ---- unit stride along the outputs ----

cdef void sums_over(Py_ssize_t begin, Py_ssize_t end, Py_ssize_t first_depth, Py_ssize_t end_depth,
                    const VectorProduct* p, real* y) noexcept nogil:
    """y[i - begin] = sum over a range of the depth, for at most SUM_STRIP outputs."""
    cdef Py_ssize_t lanes = vlanes(<real>0), n = end - begin, i, k, at, block_end, steps
    cdef Py_ssize_t stride = p.depth_stride
    cdef real strip[SUM_STRIP]
    cdef real* part = strip
    cdef vec[real] factor[8]
    cdef vec[real] total
    cdef const real* row
    cdef const real* x
    memset(y, 0, n * sizeof(real))
    at = first_depth
    while at < end_depth:
        block_end = min(at + SUM_STEPS, end_depth)
        memset(part, 0, n * sizeof(real))
        while at < block_end:
            steps = min(<Py_ssize_t>8, block_end - at)
            row = <const real*>p.matrix + begin + at * stride
            x = <const real*>p.x + at * p.x_stride
            for k in range(steps):
                factor[k] = vset(x[k * p.x_stride])
            i = 0
            if steps == 8:
                while i + lanes <= n:
                    total = vload(part + i)
                    for k in range(8):
                        if p.ahead:
                            prefetch_l2(row + k * stride + i + p.ahead)
                        total = vmul_add(factor[k], vload(row + k * stride + i), total)
                    vstore(part + i, total)
                    i += lanes
                if i < n:
                    total = vload_partial(part + i, n - i)
                    for k in range(8):
                        total = vmul_add(factor[k], vload_partial(row + k * stride + i, n - i),
                                         total)
                    vstore_partial(part + i, total, n - i)
            else:
                while i < n:
                    total = vload_partial(part + i, min(lanes, n - i))
                    for k in range(steps):
                        total = vmul_add(
                            factor[k], vload_partial(row + k * stride + i, min(lanes, n - i)),
                            total)
                    vstore_partial(part + i, total, min(lanes, n - i))
                    i += lanes
            at += steps
        i = 0
        while i < n:
            steps = min(lanes, n - i)
            vstore_partial(y + i, vload_partial(y + i, steps) + vload_partial(part + i, steps),
                           steps)
            i += lanes


cdef void sums(Py_ssize_t begin, Py_ssize_t end, const VectorProduct* p, real zero) noexcept nogil:
    """The groups of STRIP_GRAIN outputs [begin, end)."""
    cdef real strip[SUM_STRIP]
    cdef real* y = <real*>p.y
    cdef Py_ssize_t grain = STRIP_GRAIN, i, n
    begin *= grain
    end = min(end * grain, p.n_out)
    while begin < end:
        n = min(<Py_ssize_t>SUM_STRIP, end - begin)
        sums_over(begin, begin + n, 0, p.depth, p, strip)
        for i in range(n):
            y[(begin + i) * p.y_stride] = strip[i]
        begin += n


cdef void sums_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<const VectorProduct*>context).itemsize == 4:
        sums(begin, end, <const VectorProduct*>context, <float>0)
    else:
        sums(begin, end, <const VectorProduct*>context, <double>0)


cdef void sums_segment_as(Py_ssize_t begin, Py_ssize_t end, double* partial,
                          const VectorProduct* p, real zero) noexcept nogil:
    cdef real strip[FEW_OUTPUTS]
    cdef Py_ssize_t i
    sums_over(0, p.n_out, begin, end, p, strip)
    for i in range(p.n_out):
        partial[i] = strip[i]


cdef void sums_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    if (<const VectorProduct*>context).itemsize == 4:
        sums_segment_as(begin, end, <double*>partial, <const VectorProduct*>context, <float>0)
    else:
        sums_segment_as(begin, end, <double*>partial, <const VectorProduct*>context, <double>0)


# ---- dispatch ----

cdef void add_partial(void* total, const void* partial, void* context) noexcept nogil:
    cdef Py_ssize_t i
    for i in range((<const VectorProduct*>context).n_out):
        (<double*>total)[i] += (<const double*>partial)[i]


cdef int multiply_vector(const VectorProduct* p) except -1 nogil:
    cdef double totals[FEW_OUTPUTS]
    cdef Py_ssize_t i
    # About 16 GB/s from memory on one core.
    cdef double work_ns = <double>p.n_out * p.depth * p.itemsize / 16.0
    cdef bint along_depth = p.depth_stride == 1
    if p.n_out <= FEW_OUTPUTS and p.depth > 2 * SEGMENT:
        memset(totals, 0, sizeof(totals))
        ordered_reduce(p.depth, SEGMENT, p.n_out * sizeof(double), work_ns,
                       dots_segment if along_depth else sums_segment, add_partial, totals,
                       <void*>p)
        for i in range(p.n_out):
            if p.itemsize == 4:
                (<float*>p.y)[i * p.y_stride] = <float>totals[i]
            else:
                (<double*>p.y)[i * p.y_stride] = totals[i]
    elif along_depth:
        parallel_for(p.n_out, 4, work_ns, dots_body, <void*>p)
    else:
        parallel_for((p.n_out + STRIP_GRAIN - 1) // STRIP_GRAIN, 1, work_ns, sums_body, <void*>p)
    return 0
