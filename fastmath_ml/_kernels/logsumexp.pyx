"""logsumexp along any axis: m + log1p(rest), m the maximum, rest = sum(exp(x - m)) - 1.

The array is (outer, length, inner) as in softmax.pyx and takes the same ways; memory is read once
where a line, or a block of lines that lie beside each other, stays in a cache. Nothing is written
but the results and, across lines, a maximum and a rest for each block of steps.

Where one element outweighs all others, 1 + rest rounds the rest away, and a result near 0 loses
its digits (SciPy issue 18295). So the maximal elements are counted and not summed. Along a line
this costs a third sweep, made where it matters only: the sum below 1.5 and the result below 1/2.

An infinite maximum counts as 0: the sum then is 0, inf or NaN, and so its logarithm is right.
"""

from cython cimport floating as real
from libc.math cimport INFINITY, NAN, exp, fabs, isfinite, log, log1p

cimport numpy as cnp

from fastmath_ml._kernels.lines cimport block_max, exp_and_sum, line_max, log_shift, part_of_line
from fastmath_ml._kernels.plain cimport Axis, plain_kind, split_axis
from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.simd cimport (
    ceil_div, mand, mask, mnot, mor, mtail, vec, veq, vexp, vlanes, vload, vload_partial, vlog1p,
    vmax_fast, vreduce_max, vselect, vset, vstore, vsum,
)
from fastmath_ml._kernels.softmax_across cimport SUM_STEPS
from fastmath_ml._kernels.sweeps cimport add_compensated, load_columns, store_columns
from fastmath_ml._kernels.transpose cimport load_transposed

cnp.import_array()

cdef enum:
    MAX_LANES = 16
    HUGE_LINE = 1 << 20         # bytes of a line that no longer stays in the L2 cache
    SEGMENT = 1 << 14           # elements of a segment of a huge line
    SHORT_LINE = 32             # steps up to which lines across stay in registers and L1
    STRIP = 512                 # of that many lines beside each other
    BLOCK_STEPS = 64            # steps of a block of longer lines, which stays in the L2 cache
    SEGMENT_STEPS = 1024        # steps of a segment, the unit of work
    MAX_BLOCKS = SEGMENT_STEPS // BLOCK_STEPS

# x is (outer, length, inner), C order; out and sign are (outer, inner).
cdef struct Sums:
    const void* x
    const void* weights         # like x, inner being 1, or NULL
    void* out
    void* sign                  # where there are weights
    Py_ssize_t itemsize, outer, length, inner
    # inner > 1: (outer, strips, segments, 2, step) maxima and rests
    Py_ssize_t n_segments, step
    void* statistics
    bint out_of_memory


# ---- inner == 1 ----

cdef inline double rest_of_line(const real* x, Py_ssize_t n, real maximum) noexcept nogil:
    """sum(exp(x - maximum)) - 1; the maximal elements are counted, the others summed."""
    cdef real zero = 0
    cdef Py_ssize_t lanes = vlanes(zero), i = 0, end
    cdef vec[real] shift = vset(maximum), one = vset(<real>1), nothing, term, total, count
    cdef mask[real] is_maximal
    cdef double rest = 0, n_others = -1     # maximal elements but one
    while i < n:
        end = min(i + SUM_STEPS * lanes, n)
        total = vec[real]()
        count = vec[real]()
        while i + lanes <= end:
            term = vload(x + i)
            is_maximal = veq(term, shift)
            total = total + vselect(is_maximal, nothing, vexp(term - shift))
            count = count + vselect(is_maximal, one, nothing)
            i += lanes
        if i < end:
            term = vselect(mtail(zero, end - i), vload_partial(x + i, end - i),
                           vset(<real>-INFINITY))
            is_maximal = veq(term, shift)
            total = total + vselect(is_maximal, nothing, vexp(term - shift))
            count = count + vselect(is_maximal, one, nothing)
            i = end
        rest += vsum(total)
        n_others += vsum(count)
    return rest + n_others


cdef inline double logsumexp_line(const real* x, Py_ssize_t n) noexcept nogil:
    cdef real maximum = line_max(x, n, <real>0)
    cdef double total, result
    if not isfinite(maximum):
        return log(exp_and_sum(x, <real*>NULL, n, <real>0, False))
    total = exp_and_sum(x, <real*>NULL, n, maximum, False)
    result = maximum + log(total)
    if total < 1.5 and fabs(result) < 0.5:
        result = maximum + log1p(rest_of_line(x, n, maximum))
    return result


cdef inline vec[real] logsumexp_lanes(const vec[real]* block, Py_ssize_t n) noexcept nogil:
    """Of block[0 : n], each lane for itself."""
    cdef vec[real] largest = block[0], one = vset(<real>1), nothing, total = vec[real]()
    cdef vec[real] count = -one
    cdef mask[real] is_maximal
    cdef Py_ssize_t j
    for j in range(1, n):
        largest = vmax_fast(largest, block[j])
    largest = log_shift(largest)
    for j in range(n):
        is_maximal = veq(block[j], largest)
        total = total + vselect(is_maximal, nothing, vexp(block[j] - largest))
        count = count + vselect(is_maximal, one, nothing)
    return largest + vlog1p(total + count)


cdef void transposed_range(const real* x, real* out, Py_ssize_t n_lines,
                           Py_ssize_t n) noexcept nogil:
    """n <= 2 * lanes: one line in each lane."""
    cdef Py_ssize_t lanes = vlanes(<real>0), line = 0, n_here
    cdef vec[real] block[2 * MAX_LANES]
    while line < n_lines:
        n_here = min(lanes, n_lines - line)
        load_transposed(x, n, n_here, min(n, lanes), block)
        if n > lanes:
            load_transposed(x + lanes, n, n_here, n - lanes, block + lanes)
        store_columns(out + line, logsumexp_lanes(block, n), n_here)
        line += n_here
        x += n_here * n


cdef inline double weighted_line(const real* x, const real* weights, Py_ssize_t n,
                                 double* sign) noexcept nogil:
    """log|sum(w exp(x))| and the sign of the sum. Elements of weight 0 do not count, NaN or not."""
    cdef real zero = 0, maximum
    cdef Py_ssize_t lanes = vlanes(zero), i = 0, end
    cdef vec[real] low = vset(<real>-INFINITY), nothing, m = low, value, w, shift, total, maximal
    cdef mask[real] is_maximal
    cdef double sum_f64 = 0, maximal_f64 = 0
    while i < n:
        w = load_columns(weights + i, n - i)
        value = vselect(veq(w, nothing), low, load_columns(x + i, n - i))
        m = vmax_fast(m, value)
        i += lanes
    maximum = vreduce_max(m)
    if not isfinite(maximum):
        maximum = 0
    shift = vset(maximum)
    i = 0
    while i < n:
        end = min(i + SUM_STEPS * lanes, n)
        total = vec[real]()
        maximal = vec[real]()
        while i < end:
            w = load_columns(weights + i, n - i)
            value = load_columns(x + i, n - i)
            is_maximal = veq(value, shift)
            # 0 times infinity or NaN would be NaN.
            value = vselect(veq(w, nothing), nothing, w * vexp(value - shift))
            total = total + vselect(is_maximal, nothing, value)
            maximal = maximal + vselect(is_maximal, w, nothing)
            i += lanes
        i = end
        sum_f64 += vsum(total)
        maximal_f64 += vsum(maximal)
    total_f64 = maximal_f64 + sum_f64
    sign[0] = (total_f64 > 0) - (total_f64 < 0) if total_f64 == total_f64 else NAN
    if fabs(sum_f64) < 0.5 * fabs(maximal_f64):
        return maximum + (log(fabs(maximal_f64)) + log1p(sum_f64 / maximal_f64))
    return maximum + log(fabs(total_f64))


cdef void lines_range(Py_ssize_t begin, Py_ssize_t end, Sums* sums, real zero) noexcept nogil:
    cdef Py_ssize_t n = sums.length, i
    cdef const real* x = <const real*>sums.x + begin * n
    cdef real* out = <real*>sums.out + begin
    cdef double sign = 0
    if sums.weights != NULL:
        for i in range(end - begin):
            out[i] = <real>weighted_line(x + i * n, <const real*>sums.weights + (begin + i) * n, n,
                                         &sign)
            (<real*>sums.sign)[begin + i] = <real>sign
    elif n <= 2 * vlanes(zero):
        transposed_range(x, out, end - begin, n)
    else:
        for i in range(end - begin):
            out[i] = <real>logsumexp_line(x + i * n, n)


cdef void lines_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Sums*>context).itemsize == 4:
        lines_range(begin, end, <Sums*>context, <float>0)
    else:
        lines_range(begin, end, <Sums*>context, <double>0)


# ---- one huge line ----

cdef struct Partial:
    double maximum              # inf also for NaN; `rest` tells
    double rest


cdef void segment_as(const real* x, Py_ssize_t n, Partial* partial) noexcept nogil:
    cdef real maximum = line_max(x, n, <real>0)
    if isfinite(maximum):
        partial.maximum = maximum
        partial.rest = rest_of_line(x, n, maximum)
    elif maximum == -INFINITY:
        # Or NaN beside nothing but -inf.
        partial.rest = exp_and_sum(x, <real*>NULL, n, <real>0, False) - 1
        partial.maximum = -INFINITY if partial.rest == -1 else INFINITY
    else:
        partial.maximum = INFINITY
        partial.rest = exp_and_sum(x, <real*>NULL, n, <real>0, False)


cdef void segment_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    cdef Sums* sums = <Sums*>context
    if sums.itemsize == 4:
        segment_as(<const float*>sums.x + begin, end - begin, <Partial*>partial)
    else:
        segment_as(<const double*>sums.x + begin, end - begin, <Partial*>partial)


cdef void combine(void* total, const void* partial, void* context) noexcept nogil:
    cdef Partial* so_far = <Partial*>total
    cdef const Partial* new = <const Partial*>partial
    if new.maximum == -INFINITY:
        return
    if so_far.maximum == -INFINITY:
        so_far[0] = new[0]
    elif new.maximum == INFINITY or so_far.maximum == INFINITY:
        so_far.maximum = INFINITY
        so_far.rest += new.rest
    elif new.maximum <= so_far.maximum:
        so_far.rest += (new.rest + 1) * exp(new.maximum - so_far.maximum)
    else:
        so_far.rest = new.rest + (so_far.rest + 1) * exp(so_far.maximum - new.maximum)
        so_far.maximum = new.maximum


cdef int logsumexp_huge(Sums* sums, double ns_per_item) except -1 nogil:
    cdef Py_ssize_t i
    cdef Partial total
    cdef double result
    for i in range(sums.outer):
        total.maximum = -INFINITY
        total.rest = -1
        ordered_reduce(sums.length, SEGMENT, sizeof(Partial), sums.length * ns_per_item,
                       segment_body, combine, &total, sums)
        result = total.rest if total.maximum == INFINITY else total.maximum + log1p(total.rest)
        if sums.itemsize == 4:
            (<float*>sums.out)[i] = <float>result
        else:
            (<double*>sums.out)[i] = result
        sums.x = <const char*>sums.x + sums.length * sums.itemsize
    return 0


# ---- inner > 1 ----

cdef inline void rest_of_block(const real* x, Py_ssize_t stride, Py_ssize_t n_steps,
                               Py_ssize_t width, real* largest, real* rest) noexcept nogil:
    """The maxima and rests of `width` lines over n_steps <= BLOCK_STEPS steps, `stride` apart.

    The maximum is -inf where there is nothing else, and 0 where it is +inf.
    """
    cdef Py_ssize_t lanes = vlanes(<real>0), i, col = 0
    cdef vec[real] one = vset(<real>1), low = vset(<real>-INFINITY), nothing
    cdef vec[real] shift, value, total, part, count
    cdef mask[real] is_maximal
    block_max(x, stride, n_steps, width, largest)
    while col < width:
        shift = log_shift(vload(largest + col))
        total = vec[real]()
        part = vec[real]()
        count = -one
        for i in range(n_steps):
            value = load_columns(x + i * stride + col, width - col)
            is_maximal = veq(value, shift)
            part = part + vselect(is_maximal, nothing, vexp(value - shift))
            count = count + vselect(is_maximal, one, nothing)
            if i % SUM_STEPS == SUM_STEPS - 1:
                total = total + part
                part = vec[real]()
        total = total + part + count
        vstore(largest + col, vselect(veq(total, -one), low, shift))
        vstore(rest + col, total)
        col += lanes


cdef inline void join(const real* statistics, Py_ssize_t n_parts, Py_ssize_t step, real* largest_at,
                      real* rest_at) noexcept nogil:
    """Maxima and rests of one vector of lines from those of their parts.

    `statistics` is (n_parts, 2, step). The part that has the maximum gives its rest, any other its
    whole sum; additions carry their error along.
    """
    cdef vec[real] one = vset(<real>1), low = vset(<real>-INFINITY), nothing, below, value
    cdef vec[real] largest = vload(statistics), total = vec[real](), lost = vec[real]()
    cdef mask[real] is_first, taken = mask[real]()
    cdef Py_ssize_t part
    for part in range(1, n_parts):
        largest = vmax_fast(largest, vload(statistics + 2 * part * step))
    largest = log_shift(largest)
    for part in range(n_parts):
        below = vload(statistics + 2 * part * step) - largest
        value = vload(statistics + (2 * part + 1) * step)
        is_first = mand(veq(below, nothing), mnot(taken))
        taken = mor(taken, is_first)
        value = vselect(is_first, value, part_of_line(value + one, below))
        add_compensated(&total, &lost, value)
    total = total - vselect(taken, nothing, one)
    vstore(largest_at, vselect(veq(total, -one), low, largest))
    vstore(rest_at, total)


cdef inline vec[real] result_of(const real* largest, const real* rest) noexcept nogil:
    return log_shift(vload(largest)) + vlog1p(vload(rest))


cdef void strips_range(Py_ssize_t begin, Py_ssize_t end, Sums* sums, real zero) noexcept nogil:
    """Items [begin, end) of (outer, segments of the steps, strips of lines beside each other)."""
    cdef Py_ssize_t lanes = vlanes(zero), stride = sums.inner, n_segments = sums.n_segments
    cdef Py_ssize_t n_strips = ceil_div(stride, STRIP), step = sums.step
    cdef Py_ssize_t item, col, width, j, block, n_blocks, n, at, first, segment
    cdef vec[real] lines[SHORT_LINE]
    cdef const real* x
    cdef real* out
    cdef real* to
    cdef real* blocks = <real*>thread_scratch(1, 2 * MAX_BLOCKS * STRIP * sizeof(real))
    if blocks == NULL:
        raise_flag(&sums.out_of_memory)
        return
    for item in range(begin, end):
        first = item % n_strips * STRIP
        at = item // n_strips
        segment = at % n_segments
        at = at // n_segments
        width = min(STRIP, stride - first)
        n = min(SEGMENT_STEPS, sums.length - segment * SEGMENT_STEPS)
        x = <const real*>sums.x + (at * sums.length + segment * SEGMENT_STEPS) * stride + first
        out = <real*>sums.out + at * stride + first
        if sums.length <= SHORT_LINE:
            col = 0
            while col < width:
                for j in range(n):
                    lines[j] = load_columns(x + j * stride + col, width - col)
                store_columns(out + col, logsumexp_lanes(lines, n), width - col)
                col += lanes
            continue
        n_blocks = ceil_div(n, BLOCK_STEPS)
        for block in range(n_blocks):
            rest_of_block(x + block * BLOCK_STEPS * stride, stride,
                          min(BLOCK_STEPS, n - block * BLOCK_STEPS), width,
                          blocks + 2 * block * step, blocks + (2 * block + 1) * step)
        to = blocks
        if n_segments > 1:
            to = <real*>sums.statistics + ((at * n_strips + item % n_strips) * n_segments
                                           + segment) * 2 * step
        col = 0
        while col < width:
            join(blocks + col, n_blocks, step, to + col, to + step + col)
            if n_segments == 1:
                store_columns(out + col, result_of(to + col, to + step + col), width - col)
            col += lanes


cdef void strips_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Sums*>context).itemsize == 4:
        strips_range(begin, end, <Sums*>context, <float>0)
    else:
        strips_range(begin, end, <Sums*>context, <double>0)


cdef void join_range(Py_ssize_t begin, Py_ssize_t end, Sums* sums, real zero) noexcept nogil:
    """Items [begin, end) of (outer, strips): the segments of each become the results."""
    cdef Py_ssize_t lanes = vlanes(zero), step = sums.step
    cdef Py_ssize_t n_strips = ceil_div(sums.inner, STRIP), item, first, width, col
    cdef real* statistics
    cdef real* out
    for item in range(begin, end):
        first = item % n_strips * STRIP
        width = min(STRIP, sums.inner - first)
        statistics = <real*>sums.statistics + item * sums.n_segments * 2 * step
        out = <real*>sums.out + item // n_strips * sums.inner + first
        col = 0
        while col < width:
            join(statistics + col, sums.n_segments, step, statistics + col,
                 statistics + step + col)
            store_columns(out + col, result_of(statistics + col, statistics + step + col),
                          width - col)
            col += lanes


cdef void join_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Sums*>context).itemsize == 4:
        join_range(begin, end, <Sums*>context, <float>0)
    else:
        join_range(begin, end, <Sums*>context, <double>0)


cdef int logsumexp_across(Sums* sums, double work_ns) except -1 nogil:
    cdef Py_ssize_t n_strips = sums.outer * ceil_div(sums.inner, STRIP)
    sums.n_segments = ceil_div(sums.length, SEGMENT_STEPS)
    sums.step = min(STRIP, ceil_div(sums.inner, MAX_LANES) * MAX_LANES)
    if sums.n_segments > 1:
        sums.statistics = thread_scratch(
            0, n_strips * sums.n_segments * 2 * sums.step * sums.itemsize)
        if sums.statistics == NULL:
            raise_flag(&sums.out_of_memory)
            return 0
    parallel_for(n_strips * sums.n_segments, 1, work_ns, strips_body, sums)
    if sums.n_segments > 1 and not sums.out_of_memory:
        parallel_for(n_strips, 1, work_ns / 256, join_body, sums)
    return 0


# ---- dispatch ----

cdef int logsumexp_lines(Sums* sums) except -1 nogil:
    cdef Py_ssize_t lanes = vlanes(<float>0) * 4 // sums.itemsize
    cdef Py_ssize_t n_items = sums.outer * sums.length * sums.inner
    cdef double ns_per_item = 4.0 / lanes
    if sums.inner > 1:
        logsumexp_across(sums, ns_per_item * n_items)
        if sums.out_of_memory:
            with gil:
                raise MemoryError("logsumexp: no scratch memory")
        return 0
    if sums.length * sums.itemsize > HUGE_LINE and sums.weights == NULL:
        return logsumexp_huge(sums, ns_per_item)
    return parallel_for(sums.outer, lanes if sums.length <= 2 * lanes else 1,
                        n_items * ns_per_item + 20.0 * sums.outer, lines_body, sums)


def logsumexp_plain(a, axis):
    """logsumexp of a C-ordered float32 or float64 array that is not empty, `axis` left out.

    None where a or axis is not so plain: axis is an integer or None.
    """
    cdef cnp.ndarray x, c
    cdef Sums sums
    cdef Axis split
    cdef int kind = plain_kind(a)
    if kind == cnp.NPY_NOTYPE:
        return None
    x = a
    if (cnp.PyArray_NDIM(x) == 0 or cnp.PyArray_SIZE(x) == 0
            or not split_axis(x, axis, &split)):
        return None
    sums.outer, sums.length, sums.inner = split.outer, split.length, split.inner
    c = cnp.PyArray_SimpleNew(split.n_kept, split.kept, kind)
    sums.x = cnp.PyArray_DATA(x)
    sums.weights = sums.sign = NULL
    sums.out = cnp.PyArray_DATA(c)
    sums.itemsize = cnp.PyArray_ITEMSIZE(x)
    sums.out_of_memory = False
    if cnp.PyArray_SIZE(x) < 512:
        logsumexp_lines(&sums)
    else:
        with nogil:
            logsumexp_lines(&sums)
    return c if cnp.PyArray_NDIM(c) else c[()]


def logsumexp_weighted(cnp.ndarray x, cnp.ndarray weights, cnp.ndarray out, cnp.ndarray sign):
    """log|sum(weights exp(x))| and the sign of the sum, for each row.

    x and weights are C-ordered (n_rows, n) arrays, out and sign (n_rows,), all float32 or all
    float64. The caller has checked all this.
    """
    cdef Sums sums
    sums.x = cnp.PyArray_DATA(x)
    sums.weights = cnp.PyArray_DATA(weights)
    sums.out = cnp.PyArray_DATA(out)
    sums.sign = cnp.PyArray_DATA(sign)
    sums.itemsize = cnp.PyArray_ITEMSIZE(x)
    sums.outer = cnp.PyArray_DIM(x, 0)
    sums.length = cnp.PyArray_DIM(x, 1)
    sums.inner = 1
    sums.out_of_memory = False
    with nogil:
        logsumexp_lines(&sums)
