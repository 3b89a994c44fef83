"""Cross-entropy along a class axis that other axes lie behind, and short lines held in lanes.

    short lines     a vector of neighbouring lines at a time, in registers and L1: loss and gradient
                    in one go; cross_entropy.pyx brings short rows into this form by transposing
    middle lines    a band of columns with all its steps stays in the L2 cache over three phases
    long lines      the phases run one after the other over blocks of steps, in parallel

The phases: statistics of each block of BLOCK_STEPS steps (maximum m, sum S of exp(x - m), and where
the coefficients d are dense the sums of d (m - x) and of d); for each column the loss and the
factor of its gradient from the statistics of all its blocks, taken in order; the gradient
exp(x - M) factor - d. The exponentials are computed twice: to store them in between would move
every element once more through memory.

All terms of a loss, d log(S) and d (m - x), are positive where d is: nothing cancels.
"""

from cython cimport floating as real
from libc.math cimport INFINITY

from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.simd cimport (
    ceil_div, many, mask, mtail, vec, veq, vexp, vlanes, vload, vlog, vlt, vmax_fast, vmul_add,
    vselect, vset, vstore, vsum,
)
from fastmath_ml._kernels.sums cimport add_number
from fastmath_ml._kernels.sweeps cimport add_compensated, load_columns, store_columns

cdef enum:
    SHORT_LINE = 32             # steps up to which lines across stay in registers and L1
    SHORT_STRIP = 512           # of that many lines
    MIDDLE_LINE = 512           # steps up to which a band stays in the L2 cache
    BAND_ITEMS = 1 << 16        # steps x columns of such a band
    LONG_BAND = 1024            # columns of a band of longer lines
    STATISTICS_BYTES = 8 << 20
    MAX_LANES = 16
    SCRATCH = 2                 # packing.pxd has 0 and 1


cdef bint is_dense(const Loss* loss) noexcept nogil:
    return loss.probability != NULL or loss.base != NULL


cdef inline Py_ssize_t n_parts(const Loss* loss) noexcept nogil:
    return 4 if is_dense(loss) else 2


cdef Py_ssize_t slab_bytes(const Slab* slab) noexcept nogil:
    cdef Py_ssize_t rows = slab.n_blocks * n_parts(slab.loss) + 4
    return slab.n_outer * rows * slab.padded * slab.loss.itemsize


cdef void read_targets(const Loss* loss, Py_ssize_t at, Py_ssize_t n, real* number,
                       real* hard) noexcept nogil:
    cdef const int64_t* target = loss.target + at
    cdef const real* weight = <const real*>loss.hard_weight
    cdef Py_ssize_t i
    if loss.target == NULL:
        for i in range(n):
            number[i] = -1
            hard[i] = 0
        return
    for i in range(n):
        number[i] = <real>target[i] if target[i] != loss.ignore_index else <real>-1
    if weight == NULL:
        for i in range(n):
            hard[i] = <real>loss.hard if number[i] >= 0 else <real>0
    else:
        for i in range(n):
            hard[i] = weight[target[i]] if target[i] != loss.ignore_index else <real>0


cdef inline vec[real] coefficient(const Loss* loss, Py_ssize_t step, vec[real] probability,
                                  real zero) noexcept nogil:
    """d of one step for the columns whose probabilities are given; without those it is base."""
    cdef const real* base = <const real*>loss.base
    cdef const real* weight = <const real*>loss.hard_weight
    if loss.probability == NULL:
        return vset(base[step])
    probability = probability * vset(<real>loss.hard if weight == NULL else weight[step])
    return probability if base == NULL else probability + vset(base[step])


# ---- lines in lanes ----

cdef inline void lanes_as(vec[real]* block, const vec[real]* probability, const Loss* loss,
                          const real* number_at, const real* hard_at, vec[real]* losses,
                          bint dense) noexcept nogil:
    cdef real zero = 0
    cdef Py_ssize_t n = loss.length, j
    cdef vec[real] number = vload(number_at), hard = vload(hard_at), scale = vset(<real>loss.scale)
    cdef vec[real] largest, value, d, total, picked, log_total, factor, spike
    cdef vec[real] dense_loss, dense_total, none = vec[real](), live = vset(<real>1)
    cdef mask[real] ignored = vlt(number, none)
    if loss.probability == NULL and many(ignored):
        # Whatever stands there, NaN included, counts as nothing.
        live = vselect(ignored, none, live)
        for j in range(n):
            block[j] = vselect(ignored, none, block[j])
    largest = block[0]
    for j in range(1, n):
        largest = vmax_fast(largest, block[j])
    for j in range(n):
        value = block[j]
        picked = vselect(veq(number, vset(<real>j)), value, picked)
        if dense:
            d = live * coefficient(loss, j, probability[j] if probability != NULL else none, zero)
            dense_total = dense_total + d
            dense_loss = vmul_add(d, largest - value, dense_loss)
        value = vexp(value - largest)
        block[j] = value
        total = total + value
    log_total = vlog(total)
    losses[0] = hard * (log_total + (largest - picked))
    if dense:
        losses[0] = losses[0] + (dense_total * log_total + dense_loss)
    if loss.grad == NULL:
        return
    factor = (hard + dense_total) * scale / total
    spike = hard * scale
    for j in range(n):
        value = block[j] * factor - vselect(veq(number, vset(<real>j)), spike, none)
        if dense:
            d = live * coefficient(loss, j, probability[j] if probability != NULL else none, zero)
            value = value - d * scale
        block[j] = value


cdef void loss_lanes(vec[real]* block, const vec[real]* probability, const Loss* loss,
                     const real* number, const real* hard, vec[real]* losses) noexcept nogil:
    if is_dense(loss):
        lanes_as(block, probability, loss, number, hard, losses, True)
    else:
        lanes_as(block, probability, loss, number, hard, losses, False)


cdef double short_range(Py_ssize_t begin, Py_ssize_t end, const Loss* loss,
                        real zero) noexcept nogil:
    """Lines of at most SHORT_LINE steps: strips [begin, end), counted over all outer indices."""
    cdef Py_ssize_t lanes = vlanes(zero), n = loss.length, stride = loss.inner
    cdef Py_ssize_t n_strips = ceil_div(loss.inner, SHORT_STRIP)
    cdef Py_ssize_t item, outer, col, end_col, cols, j, at
    cdef vec[real] block[SHORT_LINE]
    cdef vec[real] probability[SHORT_LINE]
    cdef vec[real]* likely = NULL
    cdef vec[real] losses, sum_so_far
    cdef real number[MAX_LANES]
    cdef real hard[MAX_LANES]
    cdef double total = 0
    for j in range(MAX_LANES):
        number[j] = hard[j] = 0
    for item in range(begin, end):
        outer = item // n_strips
        col = item % n_strips * SHORT_STRIP
        end_col = min(col + SHORT_STRIP, loss.inner)
        sum_so_far = vec[real]()
        while col < end_col:
            cols = min(lanes, end_col - col)
            at = outer * n * stride + col
            for j in range(n):
                block[j] = load_columns(<const real*>loss.x + at + j * stride, cols)
            if loss.probability != NULL:
                likely = probability
                for j in range(n):
                    probability[j] = load_columns(
                        <const real*>loss.probability + at + j * stride, cols)
            read_targets(loss, outer * stride + col, cols, number, hard)
            loss_lanes(block, likely, loss, number, hard, &losses)
            sum_so_far = sum_so_far + vselect(mtail(zero, cols), losses, vec[real]())
            if loss.losses != NULL:
                store_columns(<real*>loss.losses + outer * stride + col, losses, cols)
            if loss.grad != NULL:
                for j in range(n):
                    store_columns(<real*>loss.grad + at + j * stride, block[j], cols)
            col += cols
        total += vsum(sum_so_far)
    return total


cdef void short_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                     void* context) noexcept nogil:
    if (<Loss*>context).itemsize == 4:
        (<double*>partial)[0] = short_range(begin, end, <Loss*>context, <float>0)
    else:
        (<double*>partial)[0] = short_range(begin, end, <Loss*>context, <double>0)


# ---- longer lines: one block of steps ----

cdef inline vec[real] element(const real* x, Py_ssize_t n, const real* bias,
                              Py_ssize_t step) noexcept nogil:
    return load_columns(x, n) if bias == NULL else load_columns(x, n) + vset(bias[step])


cdef void block_statistics(const Slab* slab, Py_ssize_t outer, Py_ssize_t block,
                           real zero) noexcept nogil:
    """The maxima and sums of one block of the slab, column by column."""
    cdef const Loss* loss = slab.loss
    cdef Py_ssize_t lanes = vlanes(zero), stride = loss.inner, width = slab.band
    cdef Py_ssize_t padded = slab.padded, col, step, end, n, at
    cdef Py_ssize_t first = block * BLOCK_STEPS
    cdef Py_ssize_t n_steps = min(BLOCK_STEPS, slab.n_steps - first)
    cdef Py_ssize_t slot = outer * slab.n_blocks + slab.first_step // BLOCK_STEPS + block
    cdef real* largest = <real*>slab.statistics + slot * n_parts(loss) * padded
    cdef real* total = largest + padded
    cdef const real* bias = <const real*>loss.bias
    cdef const real* x
    cdef const real* probability
    cdef bint dense = is_dense(loss)
    cdef vec[real] low = vset(<real>-INFINITY), none = vec[real](), shift, below
    cdef vec[real] sum_exp, sum_dense, sum_d, d
    at = ((slab.first_outer + outer) * slab.n_steps + first) * stride + slab.first_col
    x = <const real*>loss.x + at
    probability = <const real*>loss.probability + at if loss.probability != NULL else NULL
    if bias != NULL:
        bias += slab.first_step + first
    for col in range(padded // lanes):
        vstore(largest + col * lanes, low)
    # Four steps at a time, and columns within, so that memory is read in long runs.
    step = 0
    while step < n_steps:
        end = min(step + 4, n_steps)
        col = 0
        while col < width:
            shift = vload(largest + col)
            for at in range(step, end):
                shift = vmax_fast(shift, element(x + at * stride + col, width - col, bias, at))
            vstore(largest + col, shift)
            col += lanes
        step = end
    for col in range(padded // lanes * (n_parts(loss) - 1)):
        vstore(total + col * lanes, none)
    step = 0
    while step < n_steps:
        end = min(step + 4, n_steps)
        col = 0
        while col < width:
            n = width - col
            shift = vload(largest + col)
            # Columns that have nothing but -inf here may have more elsewhere: their terms are 0.
            shift = vselect(veq(shift, low), none, shift)
            sum_exp = none
            for at in range(step, end):
                sum_exp = sum_exp + vexp(element(x + at * stride + col, n, bias, at) - shift)
            vstore(total + col, vload(total + col) + sum_exp)
            if dense:
                sum_dense = sum_d = none
                for at in range(step, end):
                    d = none
                    if probability != NULL:
                        d = load_columns(probability + at * stride + col, n)
                    d = coefficient(loss, slab.first_step + first + at, d, zero)
                    below = shift - element(x + at * stride + col, n, bias, at)
                    sum_dense = vmul_add(d, below, sum_dense)
                    sum_d = sum_d + d
                vstore(total + padded + col, vload(total + padded + col) + sum_dense)
                vstore(total + 2 * padded + col, vload(total + 2 * padded + col) + sum_d)
            col += lanes
        step = end


cdef double column_losses(const Slab* slab, Py_ssize_t outer, real zero) noexcept nogil:
    """The losses of one band from the statistics of all its blocks; returns their sum."""
    cdef const Loss* loss = slab.loss
    cdef Py_ssize_t lanes = vlanes(zero), padded = slab.padded, col, block, n, i
    cdef Py_ssize_t parts = n_parts(loss), line = (slab.first_outer + outer) * loss.inner
    cdef bint dense = is_dense(loss)
    cdef const real* first = <const real*>slab.statistics + outer * slab.n_blocks * parts * padded
    cdef const real* at
    cdef real* shift = <real*>slab.columns + outer * 4 * padded
    cdef real* factor = shift + padded
    cdef real* spike = shift + 2 * padded       # comes with the elements of the targets
    cdef real* scale = shift + 3 * padded
    cdef vec[real] largest, total, lost, sum_dense, lost_dense, sum_d, lost_d, value, losses
    cdef vec[real] none = vec[real](), log_total, live
    cdef mask[real] ignored
    cdef real number[MAX_LANES]
    cdef real hard[MAX_LANES]
    cdef real stored[MAX_LANES]
    cdef double sum_f64 = 0
    for i in range(MAX_LANES):
        number[i] = hard[i] = 0
    line += slab.first_col
    col = 0
    while col < slab.band:
        n = min(lanes, slab.band - col)
        read_targets(loss, line + col, n, number, hard)
        largest = vload(first + col)
        for block in range(1, slab.n_blocks):
            largest = vmax_fast(largest, vload(first + block * parts * padded + col))
        total = lost = sum_dense = lost_dense = sum_d = lost_d = none
        for block in range(slab.n_blocks):
            at = first + block * parts * padded + col
            value = vload(at)
            add_compensated(&total, &lost, vload(at + padded) * vexp(value - largest))
            if dense:
                add_compensated(&sum_d, &lost_d, vload(at + 3 * padded))
                # Below a maximum of -inf the terms were taken from 0, and are infinite or NaN.
                add_compensated(&sum_dense, &lost_dense,
                                vmul_add(vload(at + 3 * padded), largest - value,
                                         vload(at + 2 * padded)))
        log_total = vlog(total)
        ignored = vlt(vload(&number[0]), none)
        losses = vload(&hard[0]) * (log_total + (largest - vload(spike + col)))
        if loss.probability != NULL:
            ignored = mask[real]()
            losses = none
        if dense:
            losses = losses + (sum_d * log_total + sum_dense)
        losses = vselect(ignored, none, losses)
        live = vselect(ignored, none, vset(<real>loss.scale))
        vstore(stored, losses)
        for i in range(n):
            sum_f64 += stored[i]
        if loss.losses != NULL:
            store_columns(<real*>loss.losses + line + col, losses, n)
        vstore(shift + col, largest)
        vstore(factor + col, vselect(ignored, none, (vload(&hard[0]) + sum_d) * live / total))
        vstore(spike + col, vload(&hard[0]) * live)
        vstore(scale + col, live)
        col += lanes
    return sum_f64


cdef void pick_targets(const Slab* slab, Py_ssize_t outer, real zero) noexcept nogil:
    """Into the third row of the columns: the elements of the targets that lie in the slab."""
    cdef const Loss* loss = slab.loss
    cdef real* picked = <real*>slab.columns + (outer * 4 + 2) * slab.padded
    cdef const int64_t* target = loss.target + (
        (slab.first_outer + outer) * loss.inner + slab.first_col)
    cdef const real* x = <const real*>loss.x + (
        (slab.first_outer + outer) * slab.n_steps * loss.inner + slab.first_col)
    cdef const real* bias = <const real*>loss.bias
    cdef Py_ssize_t col, step
    for col in range(slab.band):
        if target[col] == loss.ignore_index:
            picked[col] = 0
            continue
        step = target[col] - slab.first_step
        if 0 <= step < slab.n_steps:
            picked[col] = x[step * loss.inner + col]
            if bias != NULL:
                picked[col] += bias[target[col]]


cdef void block_gradient(const Slab* slab, Py_ssize_t outer, Py_ssize_t block,
                         real zero) noexcept nogil:
    cdef const Loss* loss = slab.loss
    cdef Py_ssize_t lanes = vlanes(zero), stride = loss.inner, width = slab.band
    cdef Py_ssize_t padded = slab.padded, col, step, n, at
    cdef Py_ssize_t first = block * BLOCK_STEPS
    cdef Py_ssize_t n_steps = min(BLOCK_STEPS, slab.n_steps - first)
    cdef const real* shift = <const real*>slab.columns + outer * 4 * padded
    cdef const real* factor = shift + padded
    cdef const real* spike = shift + 2 * padded
    cdef const real* scale = shift + 3 * padded
    cdef const real* bias = <const real*>loss.bias
    cdef const real* probability
    cdef const real* x
    cdef real* grad
    cdef const int64_t* target
    cdef real* grad_bias = <real*>loss.grad_bias
    cdef vec[real] none = vec[real](), value, f, total
    cdef bint dense = is_dense(loss)
    at = ((slab.first_outer + outer) * slab.n_steps + first) * stride + slab.first_col
    x = <const real*>loss.x + at
    grad = <real*>loss.grad + at
    probability = <const real*>loss.probability + at if loss.probability != NULL else NULL
    if bias != NULL:
        bias += slab.first_step + first
    for step in range(n_steps):
        col = 0
        while col < width:
            n = width - col
            f = vload(factor + col)
            value = element(x + step * stride + col, n, bias, step)
            # Ignored columns may hold anything.
            value = vselect(veq(f, none), none, vexp(value - vload(shift + col)) * f)
            if dense:
                f = none
                if probability != NULL:
                    f = load_columns(probability + step * stride + col, n)
                value = value - coefficient(loss, slab.first_step + first + step, f, zero) * (
                    vload(scale + col))
            store_columns(grad + step * stride + col, value, n)
            col += lanes
    if loss.target != NULL:
        target = loss.target + (slab.first_outer + outer) * stride + slab.first_col
        for col in range(width):
            if target[col] == loss.ignore_index:
                continue
            step = target[col] - slab.first_step - first
            if 0 <= step < n_steps:
                grad[step * stride + col] -= spike[col]
    if grad_bias != NULL:
        grad_bias += slab.first_step + first
        for step in range(n_steps):
            total = vec[real]()
            col = 0
            while col < width:
                total = total + load_columns(grad + step * stride + col, width - col)
                col += lanes
            grad_bias[step] += vsum(total)


# ---- the phases over many blocks ----

cdef inline Py_ssize_t blocks_of(const Slab* slab) noexcept nogil:
    return ceil_div(slab.n_steps, BLOCK_STEPS)


cdef void statistics_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Slab* slab = <Slab*>context
    cdef Py_ssize_t item, n_blocks = blocks_of(slab)
    for item in range(begin, end):
        if slab.loss.itemsize == 4:
            block_statistics(slab, item // n_blocks, item % n_blocks, <float>0)
        else:
            block_statistics(slab, item // n_blocks, item % n_blocks, <double>0)


cdef void losses_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                      void* context) noexcept nogil:
    cdef Slab* slab = <Slab*>context
    cdef Py_ssize_t outer
    cdef double total = 0
    for outer in range(begin, end):
        if slab.loss.itemsize == 4:
            total += column_losses(slab, outer, <float>0)
        else:
            total += column_losses(slab, outer, <double>0)
    (<double*>partial)[0] = total


cdef void gradient_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Slab* slab = <Slab*>context
    cdef Py_ssize_t item, n_blocks = blocks_of(slab)
    for item in range(begin, end):
        if slab.loss.itemsize == 4:
            block_gradient(slab, item // n_blocks, item % n_blocks, <float>0)
        else:
            block_gradient(slab, item // n_blocks, item % n_blocks, <double>0)


cdef inline double ns_of(const Slab* slab) noexcept nogil:
    """Of one sweep over the slab, roughly."""
    return 0.03 * slab.loss.itemsize * slab.n_outer * slab.n_steps * slab.band


cdef int slab_statistics(Slab* slab) except -1 nogil:
    cdef Py_ssize_t outer
    parallel_for(slab.n_outer * blocks_of(slab), 1, ns_of(slab), statistics_body, slab)
    if slab.loss.target != NULL:
        for outer in range(slab.n_outer):
            if slab.loss.itemsize == 4:
                pick_targets(slab, outer, <float>0)
            else:
                pick_targets(slab, outer, <double>0)
    return 0


cdef int slab_losses(Slab* slab, double* total) except -1 nogil:
    return ordered_reduce(slab.n_outer, 1, sizeof(double),
                          1.0 * slab.n_outer * slab.n_blocks * slab.band, losses_body, add_number,
                          total, slab)


cdef int slab_gradient(Slab* slab) except -1 nogil:
    return parallel_for(slab.n_outer * blocks_of(slab), 1, ns_of(slab), gradient_body, slab)


# ---- dispatch ----

cdef double middle_range(Py_ssize_t begin, Py_ssize_t end, Slab* shared, real zero) noexcept nogil:
    """Bands [begin, end), counted over all outer indices, each with all of its steps."""
    cdef Slab slab = shared[0]
    cdef Py_ssize_t lanes = vlanes(zero), item, block
    cdef Py_ssize_t n_bands = ceil_div(slab.loss.inner, slab.band)
    cdef double total = 0
    slab.statistics = thread_scratch(SCRATCH, slab_bytes(&slab))
    if slab.statistics == NULL:
        raise_flag(&shared.out_of_memory)
        return 0
    slab.columns = <real*>slab.statistics + slab.n_blocks * n_parts(slab.loss) * slab.padded
    for item in range(begin, end):
        slab.first_outer = item // n_bands
        slab.first_col = item % n_bands * shared.band
        slab.band = min(shared.band, slab.loss.inner - slab.first_col)
        slab.padded = ceil_div(slab.band, lanes) * lanes
        for block in range(slab.n_blocks):
            block_statistics(&slab, 0, block, zero)
        if slab.loss.target != NULL:
            pick_targets(&slab, 0, zero)
        total += column_losses(&slab, 0, zero)
        if slab.loss.grad != NULL:
            for block in range(slab.n_blocks):
                block_gradient(&slab, 0, block, zero)
    return total


cdef void middle_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                      void* context) noexcept nogil:
    cdef Slab* slab = <Slab*>context
    if slab.loss.itemsize == 4:
        (<double*>partial)[0] = middle_range(begin, end, slab, <float>0)
    else:
        (<double*>partial)[0] = middle_range(begin, end, slab, <double>0)


cdef int loss_long(Slab* slab, Py_ssize_t lanes, double* total) except -1 nogil:
    cdef const Loss* loss = slab.loss
    cdef Py_ssize_t rows = slab.n_blocks * n_parts(loss)
    slab.first_col = 0
    while slab.first_col < loss.inner:
        slab.band = min(loss.inner - slab.first_col, LONG_BAND)
        slab.padded = ceil_div(slab.band, lanes) * lanes
        slab.n_outer = 1
        slab.n_outer = max(STATISTICS_BYTES // slab_bytes(slab), 1)
        slab.first_outer = 0
        while slab.first_outer < loss.outer:
            slab.n_outer = min(slab.n_outer, loss.outer - slab.first_outer)
            slab.statistics = thread_scratch(SCRATCH, slab_bytes(slab))
            if slab.statistics == NULL:
                raise_flag(&slab.out_of_memory)
                return 0
            slab.columns = (<char*>slab.statistics
                            + slab.n_outer * rows * slab.padded * loss.itemsize)
            slab_statistics(slab)
            slab_losses(slab, total)
            if loss.grad != NULL:
                slab_gradient(slab)
            slab.first_outer += slab.n_outer
        slab.first_col += slab.band
    return 0


cdef int loss_across(const Loss* loss, Py_ssize_t lanes, double* total) except -1 nogil:
    cdef Slab slab
    cdef Py_ssize_t n_strips = ceil_div(loss.inner, SHORT_STRIP), n_bands
    cdef double work_ns = 0.06 * loss.itemsize * loss.outer * loss.length * loss.inner
    if loss.length <= SHORT_LINE:
        # Strips are of one outer index: many narrow ones make a segment.
        return ordered_reduce(loss.outer * n_strips,
                              max(8192 // (loss.length * min(loss.inner, SHORT_STRIP)), 1),
                              sizeof(double), work_ns, short_body, add_number, total, <void*>loss)
    slab.loss = loss
    slab.first_step = 0
    slab.n_steps = loss.length
    slab.n_blocks = blocks_of(&slab)
    slab.n_outer = 1
    slab.out_of_memory = False
    if loss.length <= MIDDLE_LINE:
        slab.band = min(loss.inner, BAND_ITEMS // loss.length)
        slab.padded = ceil_div(slab.band, lanes) * lanes
        n_bands = ceil_div(loss.inner, slab.band)
        ordered_reduce(loss.outer * n_bands, max(8192 // (loss.length * slab.band), 1),
                       sizeof(double), work_ns, middle_body, add_number, total, &slab)
    else:
        loss_long(&slab, lanes, total)
    if slab.out_of_memory:
        with gil:
            raise MemoryError("cross_entropy: no scratch memory")
    return 0
