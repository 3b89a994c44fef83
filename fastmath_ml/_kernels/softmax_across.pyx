"""softmax and log_softmax along an axis that other axes lie behind.

Neighbours in memory belong to different lines.

    short lines                 a vector of neighbouring lines at a time, in registers and L1
    one block                   steps x lines that fit the L2 cache; swept for the maxima, for the
                                exponentials and sums, and for the scaling
    several blocks              each with maxima and sums of its own, found in one sweep; a second
                                one reads x again: out = exp(x - maximum) / sum

log_softmax stores no exponentials: its last sweep is out = (x - maximum) - log(sum). Nor does
softmax over several blocks: storing them and multiplying each block by its factors made every
exponential once, but read and wrote `out` once more: 4096 x 1024 took 1.2 times as long.

Blocks are whole runs of memory. Narrow strips down the whole axis, copied to scratch memory, read
less, but lines a power of two apart evict each other and nothing is prefetched: 4096 x 1024 along
axis 0 took 1.47 ms (two threads) in place of 1.06. Blocks of 128 steps x 512 lines took 1.38 ms.
"""

from cython cimport floating as real
from libc.math cimport INFINITY

from fastmath_ml._kernels.lines cimport block_max, log_shift, part_of_line
from fastmath_ml._kernels.pool cimport parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.simd cimport (
    ceil_div, many, mask, vec, veq, vexp, vgt, vlanes, vload, vlog, vmax_fast, vselect, vset,
    vstore,
)
from fastmath_ml._kernels.sweeps cimport add_compensated, load_columns, store_columns

cdef enum:
    SHORT_LINE = 32             # steps up to which lines across stay in registers and L1
    SHORT_STRIP = 512           # of that many lines
    ONE_BLOCK = 512             # steps up to which lines across are one block
    BLOCK_STEPS = 64            # steps of a block of longer ones
    BLOCK_ITEMS = 1 << 16       # steps x lines of a block, which stays in the L2 cache
    GROUP = 8                   # steps of a block that are added up in registers
    FAR_ABOVE = 8               # how far a term may be above exp(0)
    STATISTICS_BYTES = 8 << 20


cdef void softmax_lanes(vec[real]* block, Py_ssize_t n, bint logarithm) noexcept nogil:
    """Softmax, or its logarithm, over block[0 : n], each lane for itself."""
    cdef vec[real] largest = block[0], total = vec[real](), factor
    cdef Py_ssize_t j
    for j in range(1, n):
        largest = vmax_fast(largest, block[j])
    if logarithm:
        largest = log_shift(largest)
        for j in range(n):
            block[j] = block[j] - largest
            total = total + vexp(block[j])
        total = vlog(total)
        for j in range(n):
            block[j] = block[j] - total
        return
    for j in range(n):
        block[j] = vexp(block[j] - largest)
        total = total + block[j]
    factor = vset(<real>1) / total
    for j in range(n):
        block[j] = block[j] * factor


cdef inline vec[real] exp_columns(const real* x, real* out, Py_ssize_t n, vec[real] shift,
                                  bint storing) noexcept nogil:
    cdef vec[real] term = vexp(load_columns(x, n) - shift)
    if storing:
        store_columns(out, term, n)
    return term


cdef void short_range(Py_ssize_t begin, Py_ssize_t end, Lines* lines, real zero) noexcept nogil:
    """Lines of at most SHORT_LINE steps: strips [begin, end), counted over all outer indices."""
    cdef Py_ssize_t lanes = vlanes(zero), n = lines.length, stride = lines.inner
    cdef Py_ssize_t n_strips = ceil_div(lines.inner, SHORT_STRIP)
    cdef Py_ssize_t item, col, end_col, j, at
    cdef vec[real] block[SHORT_LINE]
    cdef const real* x
    cdef real* out
    for item in range(begin, end):
        col = item % n_strips * SHORT_STRIP
        end_col = min(col + SHORT_STRIP, lines.inner)
        at = item // n_strips * n * stride
        while col < end_col:
            x = <const real*>lines.x + at + col
            out = <real*>lines.out + at + col
            for j in range(n):
                block[j] = load_columns(x + j * stride, end_col - col)
            softmax_lanes(block, n, lines.logarithm)
            for j in range(n):
                store_columns(out + j * stride, block[j], end_col - col)
            col += lanes


cdef void short_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Lines*>context).itemsize == 4:
        short_range(begin, end, <Lines*>context, <float>0)
    else:
        short_range(begin, end, <Lines*>context, <double>0)


cdef inline void exp_block(const real* x, real* out, Py_ssize_t stride, Py_ssize_t n_steps,
                           Py_ssize_t width, const real* shift, const real* factor) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(<real>0), _, col
    for _ in range(n_steps):
        col = 0
        while col < width:
            store_columns(out + col, vexp(load_columns(x + col, width - col) - vload(shift + col))
                          * vload(factor + col), width - col)
            col += lanes
        x += stride
        out += stride


cdef inline void scale_block(real* x, Py_ssize_t stride, Py_ssize_t n_steps, Py_ssize_t width,
                             const real* factor) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(<real>0), _, col
    for _ in range(n_steps):
        col = 0
        while col < width:
            store_columns(x + col, load_columns(x + col, width - col) * vload(factor + col),
                          width - col)
            col += lanes
        x += stride


cdef inline void subtract_block(const real* x, real* out, Py_ssize_t stride, Py_ssize_t n_steps,
                                Py_ssize_t width, const real* shift,
                                const real* log_total) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(<real>0), _, col
    for _ in range(n_steps):
        col = 0
        while col < width:
            store_columns(out + col, load_columns(x + col, width - col) - vload(shift + col)
                          - vload(log_total + col), width - col)
            col += lanes
        x += stride
        out += stride


cdef inline void block_as(const real* x, real* out, Py_ssize_t stride, Py_ssize_t n_steps,
                          Py_ssize_t width, real* largest, real* total, real* part,
                          bint logarithm, bint storing) noexcept nogil:
    """out = exp(x - largest) for n_steps steps of `width` lines; the maxima and sums by line.

    Steps are `stride` apart; largest, total and part hold whole vectors. For the logarithm
    infinite maxima count as 0.
    """
    cdef Py_ssize_t lanes = vlanes(<real>0), i, _, col, end, n
    cdef vec[real] low = vset(<real>-INFINITY), value, shift
    col = 0
    while col < width:
        vstore(total + col, vec[real]())
        vstore(part + col, vec[real]())
        col += lanes
    block_max(x, stride, n_steps, width, largest)
    # Lines that have nothing but -inf here may have more elsewhere: their terms are 0, not NaN.
    col = 0
    while col < width:
        value = vload(largest + col)
        if logarithm:
            vstore(largest + col, log_shift(value))
        else:
            vstore(largest + col, vselect(veq(value, low), vec[real](), value))
        col += lanes
    i = 0
    while i < n_steps:
        end = min(i + SUM_STEPS, n_steps)
        while i + 4 <= end:
            col = 0
            while col < width:
                n = width - col
                shift = vload(largest + col)
                value = exp_columns(x + col, out + col, n, shift, storing)
                value = value + exp_columns(x + stride + col, out + stride + col, n, shift,
                                            storing)
                value = value + exp_columns(x + 2 * stride + col, out + 2 * stride + col, n, shift,
                                            storing)
                value = value + exp_columns(x + 3 * stride + col, out + 3 * stride + col, n, shift,
                                            storing)
                vstore(part + col, vload(part + col) + value)
                col += lanes
            x += 4 * stride
            out += 4 * stride
            i += 4
        while i < end:
            col = 0
            while col < width:
                value = exp_columns(x + col, out + col, width - col, vload(largest + col),
                                    storing)
                vstore(part + col, vload(part + col) + value)
                col += lanes
            x += stride
            out += stride
            i += 1
        col = 0
        while col < width:
            vstore(total + col, vload(total + col) + vload(part + col))
            vstore(part + col, vec[real]())
            col += lanes
    # Any other line has the term exp(0).
    col = 0
    while col < width:
        value = vload(largest + col)
        vstore(largest + col, vselect(veq(vload(total + col), vec[real]()), low, value))
        col += lanes


cdef inline vec[real] max_of_group(const real* x, Py_ssize_t stride, Py_ssize_t n) noexcept nogil:
    return vmax_fast(
        vmax_fast(vmax_fast(load_columns(x, n), load_columns(x + stride, n)),
                  vmax_fast(load_columns(x + 2 * stride, n), load_columns(x + 3 * stride, n))),
        vmax_fast(vmax_fast(load_columns(x + 4 * stride, n), load_columns(x + 5 * stride, n)),
                  vmax_fast(load_columns(x + 6 * stride, n), load_columns(x + 7 * stride, n))))


cdef inline vec[real] exp_of_group(const real* x, Py_ssize_t stride, Py_ssize_t n,
                                   vec[real] shift) noexcept nogil:
    cdef vec[real] even, odd
    cdef Py_ssize_t _
    for _ in range(GROUP // 2):
        even = even + vexp(load_columns(x, n) - shift)
        odd = odd + vexp(load_columns(x + stride, n) - shift)
        x += 2 * stride
    return even + odd


cdef inline void sum_block(const real* x, Py_ssize_t stride, Py_ssize_t n_steps,
                           Py_ssize_t width, real* largest, real* total, real* shift,
                           bint logarithm) noexcept nogil:
    """What block_as() finds of whole groups of steps, in one sweep that stores nothing.

    Terms are exp(x - shift), the shift of a line being its maximum over the first GROUP steps; what
    has been added is multiplied by exp(shift - new shift) where a later group's maximum is more
    than FAR_ABOVE above it. So the largest terms are exact to FAR_ABOVE / 2 epsilon, not one half.
    """
    cdef Py_ssize_t lanes = vlanes(<real>0), i = 0, col, n
    cdef vec[real] low = vset(<real>-INFINITY), infinity = vset(<real>INFINITY)
    cdef vec[real] above = vset(<real>FAR_ABOVE), top, own, value
    cdef mask[real] far
    while i + GROUP <= n_steps:
        col = 0
        while col < width:
            n = width - col
            top = max_of_group(x + col, stride, n)
            if i == 0:
                own = top
                value = vec[real]()
                vstore(shift + col, own)
                vstore(largest + col, top)
            else:
                own = vload(shift + col)
                value = vload(total + col)
                far = vgt(top, own + above)
                if many(far):
                    value = value * vselect(far, vexp(own - top), vset(<real>1))
                    own = vselect(far, top, own)
                    vstore(shift + col, own)
                vstore(largest + col, vmax_fast(vload(largest + col), top))
            # An infinite shift counts as 0.
            vstore(total + col, value + exp_of_group(x + col, stride, n, log_shift(own)))
            col += lanes
        x += GROUP * stride
        i += GROUP
    col = 0
    while col < width:
        top = vload(largest + col)
        own = vload(shift + col)
        value = vload(total + col)
        value = value * vexp(log_shift(own) - log_shift(top))
        vstore(total + col, value if logarithm else vselect(veq(top, infinity), top - top, value))
        if logarithm:
            top = log_shift(top)
        vstore(largest + col, vselect(veq(value, vec[real]()), low, top))
        col += lanes


cdef void blocks_range(Py_ssize_t begin, Py_ssize_t end, Lines* lines, real zero) noexcept nogil:
    """Phase one of the current band: exponentials, maxima and sums of each block of steps."""
    cdef Py_ssize_t width = lines.band, padded = lines.band_padded
    cdef Py_ssize_t item, block, n_steps, at
    cdef real* part = <real*>thread_scratch(1, padded * sizeof(real))
    cdef const real* x
    cdef real* largest
    cdef real* out
    if part == NULL:
        raise_flag(&lines.out_of_memory)
        return
    for item in range(begin, end):
        block = item % lines.n_blocks
        n_steps = min(lines.block_steps, lines.length - block * lines.block_steps)
        at = (item // lines.n_blocks * lines.length + block * lines.block_steps) * lines.inner
        at += lines.first_col
        largest = <real*>lines.statistics + item * 2 * padded
        x = <const real*>lines.x + at
        out = <real*>lines.out + at
        if lines.n_blocks > 1 and n_steps % GROUP == 0:
            sum_block(x, lines.inner, n_steps, width, largest, largest + padded, part,
                      lines.logarithm)
        elif lines.logarithm:
            block_as(x, out, lines.inner, n_steps, width, largest, largest + padded, part, True,
                     False)
        elif lines.n_blocks > 1:
            block_as(x, out, lines.inner, n_steps, width, largest, largest + padded, part, False,
                     False)
        else:
            block_as(x, out, lines.inner, n_steps, width, largest, largest + padded, part, False,
                     True)
        if lines.n_blocks == 1:
            factors_as(lines, item, zero)
            if lines.logarithm:
                subtract_block(x, out, lines.inner, n_steps, width, largest, largest + padded)
            else:
                scale_block(out, lines.inner, n_steps, width, largest)


cdef void factors_as(Lines* lines, Py_ssize_t at, real zero) noexcept nogil:
    """Phase two, for one outer index: the first block's maxima and sums become M and 1 / S of the
    lines, for the logarithm M and log(S). Of one block the maxima become 1 / S, by which its
    exponentials are multiplied.
    """
    cdef Py_ssize_t lanes = vlanes(zero), padded = lines.band_padded, col, block
    cdef Py_ssize_t step = 2 * padded
    cdef real* first = <real*>lines.statistics + at * lines.n_blocks * step
    cdef vec[real] largest, total, lost, value
    col = 0
    while col < padded:
        largest = vload(first + col)
        for block in range(1, lines.n_blocks):
            largest = vmax_fast(largest, vload(first + block * step + col))
        total = vec[real]()
        lost = vec[real]()
        for block in range(lines.n_blocks):
            value = vload(first + block * step + padded + col)
            value = part_of_line(value, vload(first + block * step + col) - largest)
            add_compensated(&total, &lost, value)
        if lines.logarithm:
            vstore(first + col, largest)
            vstore(first + padded + col, vlog(total))
            col += lanes
            continue
        total = vset(<real>1) / total
        if lines.n_blocks == 1:
            vstore(first + col, total)
        else:
            vstore(first + col, largest)
            vstore(first + padded + col, total)
        col += lanes


cdef void factors_range(Py_ssize_t begin, Py_ssize_t end, Lines* lines, real zero) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(begin, end):
        factors_as(lines, at, zero)


cdef void scale_range(Py_ssize_t begin, Py_ssize_t end, Lines* lines, real zero) noexcept nogil:
    """Phase three: exp(x - M) / S of each block, or the differences."""
    cdef Py_ssize_t item, block, n_items, at, n_steps, step = 2 * lines.band_padded
    cdef real* statistics
    # From the back: what phase one wrote last is still in cache.
    n_items = lines.n_outer * lines.n_blocks
    for item in range(n_items - end, n_items - begin):
        block = item % lines.n_blocks
        at = lines.first_col + (
            item // lines.n_blocks * lines.length + block * lines.block_steps) * lines.inner
        n_steps = min(lines.block_steps, lines.length - block * lines.block_steps)
        statistics = <real*>lines.statistics + (item - block) * step
        if lines.logarithm:
            subtract_block(<const real*>lines.x + at, <real*>lines.out + at, lines.inner, n_steps,
                           lines.band, statistics, statistics + lines.band_padded)
        else:
            exp_block(<const real*>lines.x + at, <real*>lines.out + at, lines.inner, n_steps,
                      lines.band, statistics, statistics + lines.band_padded)


cdef void blocks_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Lines*>context).itemsize == 4:
        blocks_range(begin, end, <Lines*>context, <float>0)
    else:
        blocks_range(begin, end, <Lines*>context, <double>0)


cdef void factors_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Lines*>context).itemsize == 4:
        factors_range(begin, end, <Lines*>context, <float>0)
    else:
        factors_range(begin, end, <Lines*>context, <double>0)


cdef void scale_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Lines*>context).itemsize == 4:
        scale_range(begin, end, <Lines*>context, <float>0)
    else:
        scale_range(begin, end, <Lines*>context, <double>0)


cdef int softmax_across(Lines* lines, Py_ssize_t lanes, double ns_per_item) except -1 nogil:
    cdef Py_ssize_t outer = lines.outer, at, n_outer, statistics_bytes
    cdef const void* x = lines.x
    cdef void* out = lines.out
    cdef double work_ns
    if lines.length <= SHORT_LINE:
        parallel_for(outer * ceil_div(lines.inner, SHORT_STRIP), 1,
                     ns_per_item * outer * lines.length * lines.inner, short_body, lines)
        return 0
    # By the length alone, as everything that changes the bits of a line.
    lines.block_steps = lines.length if lines.length <= ONE_BLOCK else BLOCK_STEPS
    lines.n_blocks = ceil_div(lines.length, lines.block_steps)
    lines.first_col = 0
    while lines.first_col < lines.inner:
        lines.band = min(lines.inner - lines.first_col, BLOCK_ITEMS // lines.block_steps)
        lines.band_padded = ceil_div(lines.band, lanes) * lanes
        statistics_bytes = lines.n_blocks * 2 * lines.band_padded * lines.itemsize
        n_outer = max(STATISTICS_BYTES // statistics_bytes, 1)
        at = 0
        while at < outer:
            n_outer = min(n_outer, outer - at)
            lines.n_outer = n_outer
            lines.x = <const char*>x + at * lines.length * lines.inner * lines.itemsize
            lines.out = <char*>out + at * lines.length * lines.inner * lines.itemsize
            lines.statistics = thread_scratch(0, n_outer * statistics_bytes)
            if lines.statistics == NULL:
                raise_flag(&lines.out_of_memory)
                return 0
            work_ns = ns_per_item * n_outer * lines.length * lines.band
            parallel_for(n_outer * lines.n_blocks, 1, work_ns, blocks_body, lines)
            if lines.n_blocks > 1:
                parallel_for(n_outer, 1, ns_per_item * 2 * n_outer * lines.n_blocks * lines.band,
                             factors_body, lines)
                parallel_for(n_outer * lines.n_blocks, 1, work_ns / 2, scale_body, lines)
            at += n_outer
        lines.first_col += lines.band
    return 0
