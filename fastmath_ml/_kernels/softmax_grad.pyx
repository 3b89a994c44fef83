"""Gradients of softmax and log_softmax from their results y and the gradient g of the loss in y.

    softmax        y (g - sum(g y))
    log_softmax    g - exp(y) sum(g)

The array is (outer, length, inner) with the axis in the middle. A line is swept twice, for the sum
and for the result. Lines in memory (inner == 1) stay in the L1 or L2 cache in between; lines beside
each other are taken in strips, their sums in blocks. Chains of additions in the dtype are SUM_STEPS
long, and their results are added in float64 or with the error carried along. Results that are
larger than the caches are streamed past them, if lines lie in memory and are long, and not over y
or g.
"""

from cython cimport floating as real

cimport numpy as cnp

from fastmath_ml._kernels.overlap cimport overlaps
from fastmath_ml._kernels.plain cimport Axis, is_plain, plain_kind, split_axis
from fastmath_ml._kernels.pool cimport parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.simd cimport (
    ceil_div, vec, vexp, vlanes, vload, vload_partial, vmul_add, vset, vstore, vstore_partial,
    vstream, vstream_end, vstream_start, vsum,
)
from fastmath_ml._kernels.softmax_across cimport SUM_STEPS
from fastmath_ml._kernels.sweeps cimport add_compensated, load_columns, store_columns

cnp.import_array()

cdef enum:
    STRIP = 512                 # lines beside each other that one thread takes at most
    MAX_LANES = 16
    STREAMED_BYTES = 8 << 20    # of a result from which on it is streamed past the caches
    STREAMED_LINE = 4 << 10     # bytes of a line: of shorter ones too many end amid a cache line

cdef struct Gradient:
    const void* y
    const void* grad_y
    void* out
    Py_ssize_t itemsize, outer, length, inner
    Py_ssize_t strip            # inner > 1: lines beside each other that a thread takes
    bint logarithm, streaming
    bint out_of_memory


# ---- inner == 1 ----

cdef inline double sum_of_line(const real* y, const real* g, Py_ssize_t n,
                               bint logarithm) noexcept nogil:
    """sum(g y), or sum(g) for the logarithm."""
    cdef Py_ssize_t lanes = vlanes(<real>0), i = 0, end
    cdef vec[real] s0, s1
    cdef double total = 0
    while i < n:
        end = min(i + 2 * SUM_STEPS * lanes, n)
        s0 = vec[real]()
        s1 = vec[real]()
        while i + 2 * lanes <= end:
            if logarithm:
                s0 = s0 + vload(g + i)
                s1 = s1 + vload(g + i + lanes)
            else:
                s0 = vmul_add(vload(g + i), vload(y + i), s0)
                s1 = vmul_add(vload(g + i + lanes), vload(y + i + lanes), s1)
            i += 2 * lanes
        while i < end:
            if logarithm:
                s0 = s0 + load_columns(g + i, end - i)
            else:
                s0 = vmul_add(load_columns(g + i, end - i), load_columns(y + i, end - i), s0)
            i += lanes
        i = end
        total += vsum(s0 + s1)
    return total


cdef inline vec[real] element(vec[real] y, vec[real] g, vec[real] total,
                              bint logarithm) noexcept nogil:
    if logarithm:
        return g - vexp(y) * total
    return y * (g - total)


cdef inline void gradient_line(const real* y, const real* g, real* out, Py_ssize_t n,
                               bint logarithm, bint streaming) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(<real>0), i = 0
    cdef vec[real] total = vset(<real>sum_of_line(y, g, n, logarithm))
    if streaming:
        i = vstream_start(out, n)
        if i:
            vstore_partial(out, element(vload_partial(y, i), vload_partial(g, i), total, logarithm),
                           i)
        while i + lanes <= n:
            vstream(out + i, element(vload(y + i), vload(g + i), total, logarithm))
            i += lanes
    while i + lanes <= n:
        vstore(out + i, element(vload(y + i), vload(g + i), total, logarithm))
        i += lanes
    if i < n:
        vstore_partial(out + i, element(vload_partial(y + i, n - i), vload_partial(g + i, n - i),
                                        total, logarithm), n - i)


cdef void lines_range(Py_ssize_t begin, Py_ssize_t end, const Gradient* job,
                      real zero) noexcept nogil:
    cdef Py_ssize_t line, at, n = job.length
    for line in range(begin, end):
        at = line * n
        if job.logarithm:
            gradient_line(<const real*>job.y + at, <const real*>job.grad_y + at,
                          <real*>job.out + at, n, True, job.streaming)
        else:
            gradient_line(<const real*>job.y + at, <const real*>job.grad_y + at,
                          <real*>job.out + at, n, False, job.streaming)
    if job.streaming:
        vstream_end()


cdef void lines_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Gradient*>context).itemsize == 4:
        lines_range(begin, end, <Gradient*>context, <float>0)
    else:
        lines_range(begin, end, <Gradient*>context, <double>0)


# ---- inner > 1 ----

cdef inline void gradient_strip(const real* y, const real* g, real* out, Py_ssize_t stride,
                                Py_ssize_t n, Py_ssize_t width, real* sums,
                                bint logarithm) noexcept nogil:
    """Lines of n steps, `width` of them beside each other; sums holds 2 STRIP numbers."""
    cdef Py_ssize_t lanes = vlanes(<real>0), i = 0, j, end, col, left
    cdef vec[real] part, value, so_far, lost_so_far
    cdef real* total = sums
    cdef real* lost = sums + STRIP
    col = 0
    while col < width:
        vstore(total + col, vec[real]())
        vstore(lost + col, vec[real]())
        col += lanes
    while i < n:
        end = min(i + SUM_STEPS, n)
        col = 0
        while col < width:
            left = width - col
            part = vec[real]()
            for j in range(i, end):
                value = load_columns(g + j * stride + col, left)
                if logarithm:
                    part = part + value
                else:
                    part = vmul_add(value, load_columns(y + j * stride + col, left), part)
            so_far = vload(total + col)
            lost_so_far = vload(lost + col)
            add_compensated(&so_far, &lost_so_far, part)
            vstore(total + col, so_far)
            vstore(lost + col, lost_so_far)
            col += lanes
        i = end
    for j in range(n):
        col = 0
        while col < width:
            left = width - col
            value = element(load_columns(y + j * stride + col, left),
                            load_columns(g + j * stride + col, left), vload(total + col),
                            logarithm)
            store_columns(out + j * stride + col, value, left)
            col += lanes


cdef void strips_range(Py_ssize_t begin, Py_ssize_t end, Gradient* job, real zero) noexcept nogil:
    cdef Py_ssize_t n_strips = ceil_div(job.inner, job.strip), item, first, at, width
    cdef real* sums = <real*>thread_scratch(1, 2 * STRIP * sizeof(real))
    if sums == NULL:
        raise_flag(&job.out_of_memory)
        return
    for item in range(begin, end):
        first = item % n_strips * job.strip
        width = min(job.strip, job.inner - first)
        at = item // n_strips * job.length * job.inner + first
        if job.logarithm:
            gradient_strip(<const real*>job.y + at, <const real*>job.grad_y + at,
                           <real*>job.out + at, job.inner, job.length, width, sums, True)
        else:
            gradient_strip(<const real*>job.y + at, <const real*>job.grad_y + at,
                           <real*>job.out + at, job.inner, job.length, width, sums, False)


cdef void strips_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Gradient*>context).itemsize == 4:
        strips_range(begin, end, <Gradient*>context, <float>0)
    else:
        strips_range(begin, end, <Gradient*>context, <double>0)


cdef int gradient_lines(Gradient* job) except -1 nogil:
    cdef double work_ns = 0.3 * job.outer * job.length * job.inner
    if job.logarithm:
        work_ns *= 2
    if job.inner == 1:
        return parallel_for(job.outer, 1, work_ns + 10.0 * job.outer, lines_body, job)
    # Narrower where few lines would leave threads without work; no line's bits depend on it.
    job.strip = STRIP
    while job.strip > 2 * MAX_LANES and job.outer * job.inner < 8 * job.strip:
        job.strip //= 2
    parallel_for(job.outer * ceil_div(job.inner, job.strip), 1, work_ns, strips_body,
                 job)
    if job.out_of_memory:
        with gil:
            raise MemoryError("softmax_grad: no scratch memory")
    return 0


def softmax_grad_plain(y, grad_y, axis, out, bint logarithm):
    """The gradient for C-ordered arrays of one shape, float32 or float64; None for anything else.

    axis is an integer or None (all elements); out is None or an array like y that is y or grad_y or
    shares no memory with either.
    """
    cdef cnp.ndarray a, b, c
    cdef Gradient job
    cdef Axis split
    cdef int kind = plain_kind(y)
    if kind == cnp.NPY_NOTYPE or not is_plain(grad_y, kind):
        return None
    a = y
    b = grad_y
    if (cnp.PyArray_NDIM(a) == 0 or not cnp.PyArray_SAMESHAPE(a, b)
            or not split_axis(a, axis, &split)):
        return None
    job.outer, job.length, job.inner = split.outer, split.length, split.inner
    if out is None:
        c = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), kind)
    else:
        if not is_plain(out, kind):
            return None
        c = out
        if not (cnp.PyArray_ISWRITEABLE(c) and cnp.PyArray_SAMESHAPE(a, c)
                and (cnp.PyArray_DATA(c) == cnp.PyArray_DATA(a) or not overlaps(c, a))
                and (cnp.PyArray_DATA(c) == cnp.PyArray_DATA(b) or not overlaps(c, b))):
            return None
    job.y = cnp.PyArray_DATA(a)
    job.grad_y = cnp.PyArray_DATA(b)
    job.out = cnp.PyArray_DATA(c)
    job.itemsize = cnp.PyArray_ITEMSIZE(a)
    job.logarithm = logarithm
    job.out_of_memory = False
    job.streaming = (job.out != job.y and job.out != job.grad_y
                     and cnp.PyArray_NBYTES(c) >= STREAMED_BYTES
                     and job.length * job.itemsize >= STREAMED_LINE)
    if cnp.PyArray_SIZE(a) < 512:
        gradient_lines(&job)
    else:
        with nogil:
            gradient_lines(&job)
    return c
