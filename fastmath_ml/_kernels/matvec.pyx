"""Matrix times one vector or a few: the matrix is read once, in the direction in which it lies.

    unit stride along the depth     dots: eight outputs at a time, lanes along the depth; blocks of
                                    DOT_BLOCK products are summed in the dtype, blocks in float64.
                                    The order of a sum depends on whether its output is in a full
                                    group of eight, counted from the first
    unit stride along the outputs   sums: lanes along the outputs; SUM_STEPS steps of the depth are
                                    added to a strip of outputs that stays in the L1 cache, eight
                                    steps for each time that it is loaded and stored; the next
                                    eight are prefetched where the hardware does not foresee them
                                    (1.1 to 2 times the speed on Zen 4, more than the nearer part
                                    of the same rows, into L2 or L1)

Several vectors share what is loaded of the matrix. The register tile of a product would hold them
in the lanes of one vector, most of which would be idle.

A symmetric matrix is read by half (symmetric.h): threads share the rows of its lower triangle, in
segments of about equal area that are fixed by the shape; each has a y of its own, and these are
added up in order.

Otherwise threads share the outputs. Where these are few and the depth is long they share the depth
instead, in segments fixed by the shape that are added up in order; for several vectors gemm.pyx
does that.
"""

from cython cimport floating as real
from libc.math cimport sqrt
from libc.string cimport memset

from fastmath_ml._kernels.pool cimport (
    OUT_OF_MEMORY, ordered_reduce, parallel_for, raise_flag, thread_scratch,
)
from fastmath_ml._kernels.simd cimport (
    ceil_div, vec, vlanes, vload_partial, vmul_add, vset, vstore_partial,
)
from fastmath_ml._kernels.sums cimport add_array

cdef extern from "dots.h" namespace "fm" nogil:
    Py_ssize_t dot_rows(Py_ssize_t vectors) noexcept
    void add_dots[T](Py_ssize_t rows, Py_ssize_t vectors, const T* a, Py_ssize_t a_row, const T* x,
                     Py_ssize_t x_vector, Py_ssize_t n, const lines_ahead& ahead,
                     double* total, Py_ssize_t total_vector) noexcept

cdef extern from "rows.h" namespace "fm" nogil:
    Py_ssize_t add_eight_rows[T](const T* row, Py_ssize_t stride, Py_ssize_t n, const T* factor,
                                 Py_ssize_t factor_stride, Py_ssize_t factor_vector,
                                 Py_ssize_t n_vectors, const lines_ahead& ahead, T* sum,
                                 Py_ssize_t sum_vector) noexcept

cdef extern from "symmetric.h" namespace "fm" nogil:
    cppclass symmetric_product[T]:
        Py_ssize_t n, n_vectors
        const T* a
        Py_ssize_t a_row
        const T* x
        Py_ssize_t stride

    void add_symmetric_rows[T](const symmetric_product[T]& p, Py_ssize_t begin, Py_ssize_t end,
                               T* y) noexcept
    enum:
        SYMMETRIC_PANEL

cdef enum:
    SUM_STRIP = 2048            # outputs of a strip
    SUM_STEPS = 256             # steps added in the dtype before they are added to the output
    FEW_OUTPUTS = 64
    SUM_SEGMENT = 512           # of a matrix from memory: whole rows are read, not parts of them
    STRIP_GRAIN = 256           # outputs that one thread takes at least: 1 KiB of each row
    SEGMENT_ROWS = 512          # of a triangle, for two segments: adding those up takes a twentieth
    CHAIN_ROWS = 64             # of a triangle, whose products with x_i are added up in one chain
    SCRATCH_X = 0
    SCRATCH_Y = 1
    SCRATCH_PART = 2


# ---- unit stride along the depth ----

cdef void dots_over(Py_ssize_t begin, Py_ssize_t end, Py_ssize_t first_depth, Py_ssize_t end_depth,
                    const VectorProduct* p, double* totals, real zero) noexcept nogil:
    """totals[FEW_OUTPUTS * v + i - begin] = sum over a range of the depth.

    Several vectors go four or two at a time: they have unit strides, and behind an odd number of
    them there is one of zeros.
    """
    cdef real gathered[DOT_BLOCK]
    cdef lines_ahead none
    cdef Py_ssize_t n, i, v, several, at = first_depth
    none.even = none.odd = False
    cdef Py_ssize_t n_vectors = p.n_vectors if p.n_vectors == 1 else even(p.n_vectors)
    cdef Py_ssize_t block = DOT_BLOCK if n_vectors == 1 else DOT_BLOCK // 2
    cdef const real* x
    memset(totals, 0, (end - begin if n_vectors == 1 else n_vectors * FEW_OUTPUTS)
           * sizeof(double))
    while at < end_depth:
        n = min(block, end_depth - at)
        x = without_gaps(<const real*>p.x + at * p.x_stride, p.x_stride, n, gathered)
        v = 0
        while v < n_vectors:
            several = 4 if n_vectors - v >= 4 else min(<Py_ssize_t>2, n_vectors - v)
            i = begin
            while i < end:
                add_dots(min(dot_rows(several), end - i), several,
                         <const real*>p.matrix + i * p.out_stride + at, p.out_stride,
                         x + v * p.x_vector, p.x_vector, n, none if v else p.ahead,
                         totals + v * FEW_OUTPUTS + i - begin, FEW_OUTPUTS)
                i += dot_rows(several)
            v += several
        at += n


cdef void dots(Py_ssize_t begin, Py_ssize_t end, const VectorProduct* p, real zero) noexcept nogil:
    cdef double totals[MAX_VECTORS * FEW_OUTPUTS]
    cdef real* y = <real*>p.y
    cdef Py_ssize_t i, n, v
    while begin < end:
        # So few rows at a time that they read x while it is in the L1 cache, and that a short
        # matrix is still swept along its rows.
        n = min(8 if p.depth > DOT_BLOCK else <Py_ssize_t>FEW_OUTPUTS, end - begin)
        dots_over(begin, begin + n, 0, p.depth, p, totals, zero)
        for v in range(p.n_vectors):
            for i in range(n):
                y[(begin + i) * p.y_stride + v * p.y_vector] = <real>totals[FEW_OUTPUTS * v + i]
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
    """y[v * n + i - begin] = sum over a range of the depth, for n = end - begin outputs of each
    vector, SUM_STRIP of all at most.
    """
    cdef Py_ssize_t lanes = vlanes(<real>0), n = end - begin, i, k, v, at, block_end, steps, size
    cdef Py_ssize_t stride = p.depth_stride
    cdef real strip[SUM_STRIP]
    cdef real* part = strip
    cdef vec[real] total
    cdef const real* row
    cdef const real* x
    cdef const real* factor
    memset(y, 0, p.n_vectors * n * sizeof(real))
    at = first_depth
    while at < end_depth:
        block_end = min(at + SUM_STEPS, end_depth)
        memset(part, 0, p.n_vectors * n * sizeof(real))
        while at < block_end:
            steps = min(<Py_ssize_t>8, block_end - at)
            row = <const real*>p.matrix + begin + at * stride
            x = <const real*>p.x + at * p.x_stride
            i = 0
            if steps == 8:
                i = add_eight_rows(row, stride, n, x, p.x_stride, p.x_vector, p.n_vectors, p.ahead,
                                   part, n)
            while i < n:
                size = min(lanes, n - i)
                for v in range(p.n_vectors):
                    factor = x + v * p.x_vector
                    total = vload_partial(part + v * n + i, size)
                    for k in range(steps):
                        total = vmul_add(vset(factor[k * p.x_stride]),
                                         vload_partial(row + k * stride + i, size), total)
                    vstore_partial(part + v * n + i, total, size)
                i += lanes
            at += steps
        i = 0
        while i < p.n_vectors * n:
            steps = min(lanes, p.n_vectors * n - i)
            vstore_partial(y + i, vload_partial(y + i, steps) + vload_partial(part + i, steps),
                           steps)
            i += lanes


cdef void sums(Py_ssize_t begin, Py_ssize_t end, const VectorProduct* p, real zero) noexcept nogil:
    """The groups of STRIP_GRAIN outputs [begin, end)."""
    cdef real strip[SUM_STRIP]
    cdef real* y = <real*>p.y
    cdef Py_ssize_t grain = STRIP_GRAIN, i, n, v
    begin *= grain
    end = min(end * grain, p.n_out)
    while begin < end:
        n = min(SUM_STRIP // p.n_vectors, end - begin)
        sums_over(begin, begin + n, 0, p.depth, p, strip)
        for v in range(p.n_vectors):
            for i in range(n):
                y[(begin + i) * p.y_stride + v * p.y_vector] = strip[v * n + i]
        begin += n


cdef void sums_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<const VectorProduct*>context).itemsize == 4:
        sums(begin, end, <const VectorProduct*>context, <float>0)
    else:
        sums(begin, end, <const VectorProduct*>context, <double>0)


cdef void sums_segment_as(Py_ssize_t begin, Py_ssize_t end, double* partial,
                          const VectorProduct* p, real zero) noexcept nogil:
    cdef real strip[SUM_STRIP]
    cdef Py_ssize_t first = 0, n, i
    while first < p.n_out:
        n = min(<Py_ssize_t>SUM_STRIP, p.n_out - first)
        sums_over(first, first + n, begin, end, p, strip)
        for i in range(n):
            partial[first + i] = strip[i]
        first += n


cdef void sums_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    if (<const VectorProduct*>context).itemsize == 4:
        sums_segment_as(begin, end, <double*>partial, <const VectorProduct*>context, <float>0)
    else:
        sums_segment_as(begin, end, <double*>partial, <const VectorProduct*>context, <double>0)


# ---- dispatch ----

cdef inline Py_ssize_t even(Py_ssize_t n) noexcept nogil:
    return n + n % 2


cdef void add_partial(void* total, const void* partial, void* context) noexcept nogil:
    add_array(<double*>total, <const double*>partial, (<const VectorProduct*>context).n_out)


cdef void gather_vectors(VectorProduct* p, real* to, Py_ssize_t stride) noexcept nogil:
    """Copies of the vectors, `stride` elements apart; behind an odd number of them one of zeros."""
    cdef Py_ssize_t v, i
    cdef const real* x
    for v in range(even(p.n_vectors)):
        if v == p.n_vectors:
            memset(to + v * stride, 0, p.depth * sizeof(real))
            break
        x = <const real*>p.x + v * p.x_vector
        for i in range(p.depth):
            to[v * stride + i] = x[i * p.x_stride]
    p.x = to
    p.x_stride, p.x_vector = 1, stride


cdef int multiply_vector(const VectorProduct* product) except -1 nogil:
    cdef VectorProduct copy = product[0]
    cdef VectorProduct* p = &copy
    # About 16 GB/s from memory on one core, and two multiply-adds of a vector in a nanosecond.
    cdef double work_ns = <double>p.n_out * p.depth * p.itemsize * max(
        1 / 16.0, p.n_vectors / 128.0)
    cdef bint along_depth = p.depth_stride == 1
    cdef Py_ssize_t i, segment = 0, n_bytes = p.n_out * sizeof(double)
    cdef void* scratch = NULL
    if p.n_vectors == 1 and p.n_out <= FEW_OUTPUTS and p.depth > LONG_DOT:
        segment = DOT_SEGMENT
    elif p.n_vectors == 1 and not along_depth and p.ahead.elements and p.depth >= 4 * SUM_SEGMENT:
        segment = SUM_SEGMENT
    elif along_depth and p.n_vectors > 1:
        n_bytes = even(p.n_vectors) * p.depth * p.itemsize
    if segment or (along_depth and p.n_vectors > 1):
        scratch = thread_scratch(SCRATCH_X, n_bytes)
        if scratch == NULL:
            return OUT_OF_MEMORY
    if segment:
        memset(scratch, 0, n_bytes)
        ordered_reduce(p.depth, segment, n_bytes, work_ns,
                       dots_segment if along_depth else sums_segment, add_partial, scratch, p)
        for i in range(p.n_out):
            if p.itemsize == 4:
                (<float*>p.y)[i * p.y_stride] = <float>(<double*>scratch)[i]
            else:
                (<double*>p.y)[i * p.y_stride] = (<double*>scratch)[i]
        return 0
    if along_depth:
        if p.n_vectors > 1 and p.itemsize == 4:
            gather_vectors(p, <float*>scratch, p.depth)
        elif p.n_vectors > 1:
            gather_vectors(p, <double*>scratch, p.depth)
        parallel_for(p.n_out, 8, work_ns, dots_body, p)
    else:
        parallel_for(ceil_div(p.n_out, STRIP_GRAIN), 1, work_ns, sums_body, p)
    return 0


# ---- a symmetric matrix ----

cdef struct Triangle:
    VectorProduct product           # with vectors that stand in rows
    Py_ssize_t n_segments
    bint out_of_memory


cdef inline Py_ssize_t first_row(const Triangle* t, Py_ssize_t segment) noexcept nogil:
    """The triangles above the segments have areas in equal steps."""
    cdef Py_ssize_t n = t.product.n_out
    cdef Py_ssize_t panels = <Py_ssize_t>(
        sqrt(<double>segment / t.n_segments) * n / SYMMETRIC_PANEL + 0.5)
    return n if segment == t.n_segments else panels * SYMMETRIC_PANEL


cdef void triangle_segment_as(Py_ssize_t segment, real* y, Triangle* t) noexcept nogil:
    cdef Py_ssize_t row = first_row(t, segment), end = first_row(t, segment + 1), stop, v
    cdef symmetric_product[real] p
    cdef real* part
    p.n, p.n_vectors = t.product.n_out, even(t.product.n_vectors)
    p.a, p.a_row = <const real*>t.product.matrix, t.product.out_stride
    p.x, p.stride = <const real*>t.product.x, t.product.x_vector
    part = <real*>thread_scratch(SCRATCH_PART, p.n_vectors * p.stride * sizeof(real))
    if part == NULL:
        raise_flag(&t.out_of_memory)
        return
    memset(y, 0, p.n_vectors * p.stride * sizeof(real))
    while row < end:
        stop = min(row + CHAIN_ROWS, end)
        for v in range(p.n_vectors):
            memset(part + v * p.stride, 0, stop * sizeof(real))
        add_symmetric_rows(p, row, stop, part)
        for v in range(p.n_vectors):
            add_array(y + v * p.stride, <const real*>part + v * p.stride, stop)
        row = stop


cdef void triangle_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                           void* context) noexcept nogil:
    if (<Triangle*>context).product.itemsize == 4:
        triangle_segment_as(begin, <float*>partial, <Triangle*>context)
    else:
        triangle_segment_as(begin, <double*>partial, <Triangle*>context)


cdef void add_rows(void* total, const void* partial, void* context) noexcept nogil:
    cdef const VectorProduct* p = &(<const Triangle*>context).product
    cdef Py_ssize_t n = even(p.n_vectors) * p.x_vector
    if p.itemsize == 4:
        add_array(<float*>total, <const float*>partial, n)
    else:
        add_array(<double*>total, <const double*>partial, n)


cdef int multiply_triangle(Triangle* t, real zero) except -1 nogil:
    cdef VectorProduct* p = &t.product
    cdef Py_ssize_t n = p.n_out, line = 64 // sizeof(real), v, i
    # Each vector in a row that begins at another set of the cache.
    cdef Py_ssize_t stride = (ceil_div(n, line) | 1) * line
    cdef Py_ssize_t n_bytes = even(p.n_vectors) * stride * sizeof(real)
    cdef real* x = <real*>thread_scratch(SCRATCH_X, n_bytes)
    cdef real* y = <real*>thread_scratch(SCRATCH_Y, n_bytes)
    cdef double work_ns
    if x == NULL or y == NULL:
        return OUT_OF_MEMORY
    memset(y, 0, n_bytes)
    gather_vectors(p, x, stride)
    # 16 GB/s from memory on one core, and two multiply-adds of a vector in a nanosecond.
    work_ns = 1.0 * n * n * sizeof(real) * max(1 / 32.0, p.n_vectors / 128.0)
    ordered_reduce(t.n_segments, 1, n_bytes, work_ns, triangle_segment, add_rows, y, t)
    for i in range(n):
        for v in range(p.n_vectors):
            (<real*>p.y)[i * p.y_stride + v * p.y_vector] = y[v * stride + i]
    return OUT_OF_MEMORY if t.out_of_memory else 0


cdef int multiply_symmetric(const VectorProduct* product) except -1 nogil:
    cdef Triangle t
    t.product = product[0]
    t.n_segments = max(<Py_ssize_t>1, min(<Py_ssize_t>64, product.n_out // SEGMENT_ROWS * 2))
    t.out_of_memory = False
    if product.itemsize == 4:
        return multiply_triangle(&t, <float>0)
    return multiply_triangle(&t, <double>0)
