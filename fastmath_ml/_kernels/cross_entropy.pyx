"""Cross-entropy with its gradient: each line of logits is read once and its gradient written once.

The array is (outer, length, inner) with the classes in the middle; a *line* is the `length` logits
of one target. What the target asks of a line are coefficients d (cross_entropy_across.pxd):

    loss = sum_c d_c (logsumexp(x) - x_c),      gradient_c = softmax(x)_c sum(d) - d_c

    inner == 1, short lines     lanes lines at a time, transposed so that each lane holds one
    inner == 1                  blocks of a line go through L1: maximum, exponentials (stored where
                                the gradient will stand) and their sum; then, the line being in L2,
                                each block is scaled by exp(block maximum - maximum) sum(d) / sum
    inner == 1, huge lines      segments in parallel; a second sweep over memory for the gradient
    inner > 1                   cross_entropy_across.pyx

A loss is summed up as d log(sum of exp(x - m)) + d (m - x): no term is negative where d is not, so
nothing cancels. Sums run in the dtype over SUM_STEPS additions and in float64 beyond. Losses are
added up in float64 by segments of lines that the shape fixes, so that threads change no bit.
"""

from cython cimport floating as real
from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int64_t
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.class_targets cimport Check, Checked, check_all
from fastmath_ml._kernels.cross_entropy_across cimport (
    Loss, is_dense, loss_across, loss_lanes, read_targets,
)
from fastmath_ml._kernels.lines cimport exp_and_sum, line_max
from fastmath_ml._kernels.overlap cimport overlaps
from fastmath_ml._kernels.plain cimport data_of, is_plain, plain_kind, scalar_like
from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for
from fastmath_ml._kernels.simd cimport (
    mtail, vec, vexp, vlanes, vmul_add, vselect, vset, vsum,
)
from fastmath_ml._kernels.softmax_across cimport SUM_STEPS
from fastmath_ml._kernels.sums cimport add_number
from fastmath_ml._kernels.sweeps cimport load_columns, scale_line, store_columns
from fastmath_ml._kernels.transpose cimport load_transposed, store_transposed

cnp.import_array()

cdef enum:
    MAX_LANES = 16
    BLOCK_BYTES = 1 << 14       # of a line, which stays in L1 between the maximum and the sum
    HUGE_LINE = 1 << 20         # bytes of a line that no longer stays in the L2 cache
    MAX_BLOCKS = 64             # of such a line: HUGE_LINE / BLOCK_BYTES
    SEGMENT = 1 << 14           # elements of a segment of a huge line
    SEGMENT_ITEMS = 1 << 13     # of several lines whose losses are added up together
    SEGMENT_SHORT = 512         # that many where they are short
    SMALL = 512                 # items up to which the GIL is kept


# ---- rows in lanes ----

cdef double short_range(Py_ssize_t begin, Py_ssize_t end, const Loss* loss,
                        real zero) noexcept nogil:
    """Rows [begin, end) of at most 2 * lanes classes: one in each lane."""
    cdef Py_ssize_t lanes = vlanes(zero), n = loss.length, row = begin, rows, _, j
    cdef vec[real] block[2 * MAX_LANES]
    cdef vec[real] probability[2 * MAX_LANES]
    cdef vec[real]* likely = NULL
    cdef vec[real] losses, sum_so_far
    cdef real number[MAX_LANES]
    cdef real hard[MAX_LANES]
    cdef const real* x
    cdef real* grad
    cdef double total = 0
    for j in range(MAX_LANES):
        number[j] = hard[j] = 0
    while row < end:
        sum_so_far = vec[real]()
        for _ in range(SUM_STEPS):
            if row >= end:
                break
            rows = min(lanes, end - row)
            x = <const real*>loss.x + row * n
            load_transposed(x, n, rows, min(n, lanes), block)
            if n > lanes:
                load_transposed(x + lanes, n, rows, n - lanes, block + lanes)
            if loss.probability != NULL:
                likely = probability
                x = <const real*>loss.probability + row * n
                load_transposed(x, n, rows, min(n, lanes), likely)
                if n > lanes:
                    load_transposed(x + lanes, n, rows, n - lanes, likely + lanes)
            read_targets(loss, row, rows, number, hard)
            loss_lanes(block, likely, loss, number, hard, &losses)
            sum_so_far = sum_so_far + vselect(mtail(zero, rows), losses, vec[real]())
            if loss.losses != NULL:
                store_columns(<real*>loss.losses + row, losses, rows)
            if loss.grad != NULL:
                grad = <real*>loss.grad + row * n
                store_transposed(block, grad, n, rows, min(n, lanes))
                if n > lanes:
                    store_transposed(block + lanes, grad + lanes, n, rows, n - lanes)
            row += rows
        total += vsum(sum_so_far)
    return total


# ---- one row in memory ----

# Of part of a line. sum: of exp(x - maximum); the others of d (maximum - x) and of d.
cdef struct Sums:
    double maximum, sum, sum_dense, sum_d


cdef inline void merge(Sums* total, const Sums* part) noexcept nogil:
    """total <- total (+) part. Nothing but -inf has the maximum -inf and the sum 0."""
    cdef double above = part.maximum - total.maximum
    if part.maximum > total.maximum:
        total.sum = total.sum * exp(-above) + part.sum
        if total.maximum > -INFINITY:
            total.sum_dense += total.sum_d * above
        total.sum_dense += part.sum_dense
        total.maximum = part.maximum
    elif part.maximum > -INFINITY:
        total.sum += part.sum * exp(above)
        total.sum_dense += part.sum_dense - part.sum_d * above
    else:
        total.sum += part.sum
        total.sum_dense += part.sum_dense
    total.sum_d += part.sum_d


cdef inline vec[real] coefficient(const Loss* loss, const real* probability, Py_ssize_t i,
                                  Py_ssize_t n, real zero) noexcept nogil:
    """d of the classes from i on, n or a whole vector of them; without probabilities it is base."""
    cdef const real* base = <const real*>loss.base
    cdef const real* weight = <const real*>loss.hard_weight
    cdef vec[real] d
    if probability == NULL:
        return load_columns(base + i, n)
    d = load_columns(probability + i, n)
    d = d * (vset(<real>loss.hard) if weight == NULL else load_columns(weight + i, n))
    return d if base == NULL else d + load_columns(base + i, n)


cdef inline void dense_sums(const Loss* loss, const real* x, const real* probability,
                            Py_ssize_t first, Py_ssize_t n, real shift, Sums* sums) noexcept nogil:
    """The sums of d (shift - x) and of d over the classes [first, first + n) of a row."""
    cdef Py_ssize_t lanes = vlanes(shift), i = first, end = first + n, stop, left
    cdef vec[real] shifts = vset(shift), d, sum_dense, sum_d
    sums.sum_dense = sums.sum_d = 0
    while i < end:
        stop = min(i + SUM_STEPS * lanes, end)
        sum_dense = vec[real]()
        sum_d = vec[real]()
        while i < stop:
            left = stop - i
            d = coefficient(loss, probability, i, left, shift)
            # The lanes behind the last class hold 0 of everything, but not of the shift.
            sum_dense = vmul_add(d, vselect(mtail(shift, min(left, lanes)),
                                            shifts - load_columns(x + i, left), vec[real]()),
                                 sum_dense)
            sum_d = sum_d + d
            i += lanes
        i = min(i, end)
        sums.sum_dense += vsum(sum_dense)
        sums.sum_d += vsum(sum_d)


cdef inline void row_sums(const Loss* loss, const real* x, const real* probability,
                          Py_ssize_t first, Py_ssize_t n, real* terms, Sums* sums) noexcept nogil:
    """The sums of the classes [first, first + n) of a row; exp(x - maximum) to terms, or NULL."""
    cdef real maximum = line_max(x + first, n, <real>0)
    cdef real shift = maximum if maximum != -INFINITY else <real>0
    sums.maximum = maximum
    sums.sum_dense = sums.sum_d = 0
    if is_dense(loss):
        dense_sums(loss, x, probability, first, n, shift, sums)
    # Last, since the terms may take the place of x.
    if terms == NULL:
        sums.sum = exp_and_sum(x + first, terms, n, shift, False)
    else:
        sums.sum = exp_and_sum(x + first, terms + first, n, shift, True)


cdef inline void subtract_dense(const Loss* loss, const real* probability, real* grad,
                                Py_ssize_t first, Py_ssize_t n, real factor) noexcept nogil:
    """grad = factor grad - scale d for the classes [first, first + n) of a row."""
    cdef Py_ssize_t lanes = vlanes(factor), i = first, end = first + n
    cdef vec[real] factors = vset(factor), scale = vset(<real>loss.scale), value
    while i < end:
        value = load_columns(grad + i, end - i) * factors
        value = value - coefficient(loss, probability, i, end - i, factor) * scale
        store_columns(grad + i, value, end - i)
        i += lanes


cdef inline double row_hard(const Loss* loss, Py_ssize_t row, real zero) noexcept nogil:
    """The coefficient of the target's own class beside base; 0 without class numbers."""
    if loss.target == NULL:
        return 0
    if loss.hard_weight == NULL:
        return loss.hard
    return (<const real*>loss.hard_weight)[loss.target[row]]


cdef inline double row_value(const Loss* loss, const Sums* sums, double hard,
                             double picked) noexcept nogil:
    cdef double log_sum = log(sums.sum), value = 0
    if loss.target != NULL:
        value = hard * (log_sum + (sums.maximum - picked))
    if is_dense(loss):
        value += sums.sum_d * log_sum + sums.sum_dense
    return value


cdef double row_loss(const Loss* loss, Py_ssize_t row, real zero) noexcept nogil:
    """The loss of one row that stays in the L2 cache, and its gradient if there is one."""
    cdef Py_ssize_t n = loss.length, n_block = BLOCK_BYTES // sizeof(real), first, block, left
    cdef const real* x = <const real*>loss.x + row * n
    cdef const real* probability = NULL
    cdef real* grad = NULL
    cdef double maxima[MAX_BLOCKS]
    cdef double hard, factor, scaled, value, picked = 0
    cdef Sums sums, part
    if loss.grad != NULL:
        grad = <real*>loss.grad + row * n
    if loss.probability != NULL:
        probability = <const real*>loss.probability + row * n
    if loss.target != NULL:
        if loss.target[row] == loss.ignore_index:
            if loss.losses != NULL:
                (<real*>loss.losses)[row] = 0
            if grad != NULL:
                memset(grad, 0, n * sizeof(real))
            return 0
        picked = x[loss.target[row]]
    hard = row_hard(loss, row, zero)
    sums.maximum = -INFINITY
    sums.sum = sums.sum_dense = sums.sum_d = 0
    first = block = 0
    while first < n:
        left = min(n_block, n - first)
        row_sums(loss, x, probability, first, left, grad, &part)
        merge(&sums, &part)
        maxima[block] = part.maximum
        block += 1
        first += left
    value = row_value(loss, &sums, hard, picked)
    if loss.losses != NULL:
        (<real*>loss.losses)[row] = <real>value
    if grad != NULL:
        factor = (hard + sums.sum_d) * loss.scale / sums.sum
        first = block = 0
        while first < n:
            left = min(n_block, n - first)
            scaled = factor
            if maxima[block] != sums.maximum:
                scaled = factor * exp(maxima[block] - sums.maximum)
            if is_dense(loss):
                subtract_dense(loss, probability, grad, first, left, <real>scaled)
            else:
                scale_line(grad + first, left, <real>scaled)
            block += 1
            first += left
        if loss.target != NULL:
            grad[loss.target[row]] -= <real>(hard * loss.scale)
    return value


cdef double rows_range(Py_ssize_t begin, Py_ssize_t end, const Loss* loss,
                       real zero) noexcept nogil:
    cdef Py_ssize_t row
    cdef double total = 0
    if loss.length <= 2 * vlanes(zero):
        return short_range(begin, end, loss, zero)
    for row in range(begin, end):
        total += row_loss(loss, row, zero)
    return total


cdef void rows_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                    void* context) noexcept nogil:
    if (<Loss*>context).itemsize == 4:
        (<double*>partial)[0] = rows_range(begin, end, <Loss*>context, <float>0)
    else:
        (<double*>partial)[0] = rows_range(begin, end, <Loss*>context, <double>0)


# ---- huge rows ----

cdef struct HugeRow:
    const Loss* loss
    Py_ssize_t row
    Sums sums
    double factor


cdef inline void huge_sums(const HugeRow* huge, Py_ssize_t begin, Py_ssize_t end, Sums* sums,
                           real zero) noexcept nogil:
    cdef const Loss* loss = huge.loss
    cdef Py_ssize_t at = huge.row * loss.length
    cdef const real* probability = NULL
    if loss.probability != NULL:
        probability = <const real*>loss.probability + at
    row_sums(loss, <const real*>loss.x + at, probability, begin, end - begin, <real*>NULL, sums)


cdef void huge_sums_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                         void* context) noexcept nogil:
    if (<HugeRow*>context).loss.itemsize == 4:
        huge_sums(<HugeRow*>context, begin, end, <Sums*>partial, <float>0)
    else:
        huge_sums(<HugeRow*>context, begin, end, <Sums*>partial, <double>0)


cdef void merge_body(void* total, const void* partial, void* context) noexcept nogil:
    merge(<Sums*>total, <const Sums*>partial)


cdef inline void huge_gradient(const HugeRow* huge, Py_ssize_t begin, Py_ssize_t end,
                               real zero) noexcept nogil:
    cdef const Loss* loss = huge.loss
    cdef Py_ssize_t at = huge.row * loss.length, lanes = vlanes(zero), i = begin
    cdef const real* x = <const real*>loss.x + at
    cdef const real* probability = NULL
    cdef real* grad = <real*>loss.grad + at
    cdef vec[real] shift = vset(<real>huge.sums.maximum), factor = vset(<real>huge.factor), value
    cdef vec[real] scale = vset(<real>loss.scale)
    if loss.probability != NULL:
        probability = <const real*>loss.probability + at
    while i < end:
        value = vexp(load_columns(x + i, end - i) - shift) * factor
        if is_dense(loss):
            value = value - coefficient(loss, probability, i, end - i, zero) * scale
        store_columns(grad + i, value, end - i)
        i += lanes


cdef void huge_gradient_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<HugeRow*>context).loss.itemsize == 4:
        huge_gradient(<HugeRow*>context, begin, end, <float>0)
    else:
        huge_gradient(<HugeRow*>context, begin, end, <double>0)


cdef int huge_rows(const Loss* loss, double row_ns, double* total, real zero) except -1 nogil:
    cdef HugeRow huge
    cdef int64_t target = 0
    cdef real* grad
    cdef double hard, value, picked
    huge.loss = loss
    for huge.row in range(loss.outer):
        grad = NULL
        picked = 0
        if loss.grad != NULL:
            grad = <real*>loss.grad + huge.row * loss.length
        if loss.target != NULL:
            target = loss.target[huge.row]
            if target == loss.ignore_index:
                if loss.losses != NULL:
                    (<real*>loss.losses)[huge.row] = 0
                if grad != NULL:
                    memset(grad, 0, loss.length * sizeof(real))
                continue
            picked = (<const real*>loss.x)[huge.row * loss.length + target]
        hard = row_hard(loss, huge.row, zero)
        huge.sums.maximum = -INFINITY
        huge.sums.sum = huge.sums.sum_dense = huge.sums.sum_d = 0
        ordered_reduce(loss.length, SEGMENT, sizeof(Sums), row_ns, huge_sums_body, merge_body,
                       &huge.sums, &huge)
        value = row_value(loss, &huge.sums, hard, picked)
        total[0] += value
        if loss.losses != NULL:
            (<real*>loss.losses)[huge.row] = <real>value
        if grad != NULL:
            huge.factor = (hard + huge.sums.sum_d) * loss.scale / huge.sums.sum
            parallel_for(loss.length, SEGMENT, row_ns, huge_gradient_body, &huge)
            if loss.target != NULL:
                grad[target] -= <real>(hard * loss.scale)
    return 0


# ---- dispatch ----

cdef int sum_losses(const Loss* loss, double* total) except -1 nogil:
    """The sum of the losses of all lines, the gradient beside."""
    cdef Py_ssize_t lanes = vlanes(<float>0) * 4 // loss.itemsize, segment
    cdef double row_ns = (0.01 if loss.grad == NULL else 0.015) * loss.itemsize * loss.length * (
        64 // (lanes * loss.itemsize))
    total[0] = 0
    if loss.outer * loss.length * loss.inner == 0:
        return 0
    if loss.inner > 1:
        return loss_across(loss, lanes, total)
    if loss.length * loss.itemsize > HUGE_LINE:
        if loss.itemsize == 4:
            return huge_rows(loss, 2 * row_ns, total, <float>0)
        return huge_rows(loss, 2 * row_ns, total, <double>0)
    segment = SEGMENT_SHORT
    if loss.length > 2 * lanes:
        segment = max(SEGMENT_ITEMS // loss.length, 1)
    return ordered_reduce(loss.outer, segment, sizeof(double), (row_ns + 4) * loss.outer,
                          rows_body, add_number, total, <void*>loss)


# ---- targets ----

def check_targets(cnp.ndarray target, Py_ssize_t n_classes, int64_t ignore_index, weight):
    """(the sum of the targets' weights, the first position that is no class number or -1).

    target is int64 and C-ordered; weight is None or float32 or float64, n_classes of them. Targets
    that are ignore_index count as nothing.
    """
    cdef Check check
    cdef Checked checked
    cdef Py_ssize_t n_targets = cnp.PyArray_SIZE(target)
    check.target = <const int64_t*>cnp.PyArray_DATA(target)
    check.n_classes = n_classes
    check.ignore_index = ignore_index
    check.weight = NULL
    check.itemsize = 4
    if weight is not None:
        check.weight = cnp.PyArray_DATA(weight)
        check.itemsize = cnp.PyArray_ITEMSIZE(weight)
    with nogil:
        check_all(&check, n_targets, &checked)
    return checked.weight, checked.first_bad


# ---- from Python ----

cdef void describe(Loss* loss, cnp.ndarray x, int axis) noexcept:
    """x as (outer, length, inner), everything else empty."""
    cdef int i
    memset(loss, 0, sizeof(Loss))
    loss.x = cnp.PyArray_DATA(x)
    loss.itemsize = cnp.PyArray_ITEMSIZE(x)
    loss.outer = loss.inner = 1
    for i in range(axis):
        loss.outer *= cnp.PyArray_DIM(x, i)
    loss.length = cnp.PyArray_DIM(x, axis)
    for i in range(axis + 1, cnp.PyArray_NDIM(x)):
        loss.inner *= cnp.PyArray_DIM(x, i)
    loss.hard = loss.scale = 1


def cross_entropy_sum(cnp.ndarray x, int axis, target, probability, int64_t ignore_index,
                      double hard, hard_weight, base, losses, grad, double scale):
    """The sum of the cross-entropies along an axis; see Loss for what the arguments mean.

    All arrays are C-ordered, of the dtype of x (float32 or float64) but for target (int64), and
    None where there are none. grad is x itself or shares no memory with the others. The targets
    have been checked.
    """
    cdef Loss loss
    cdef double total
    describe(&loss, x, axis)
    loss.target = <const int64_t*>data_of(target)
    loss.probability = data_of(probability)
    loss.ignore_index = ignore_index
    loss.hard = hard
    loss.hard_weight = data_of(hard_weight)
    loss.base = data_of(base)
    loss.losses = data_of(losses)
    loss.grad = data_of(grad)
    loss.scale = scale
    with nogil:
        sum_losses(&loss, &total)
    return total


def cross_entropy_plain(x, target, ignore_index, reduction, bint with_grad, grad_out):
    """The mean or sum of the cross-entropies of C-ordered float32 or float64 logits, axis 1 or 0.

    The common case, recognised before any general code runs; None where anything is not so plain:
    target is an int64 array of valid class numbers, grad_out is None, x itself, or an array like x
    that shares no memory with x or the target. With the gradient the result is a tuple.
    """
    cdef cnp.ndarray logits, numbers, grad = None
    cdef Loss loss
    cdef Check check
    cdef Checked checked
    cdef double total
    cdef bint is_mean = reduction == "mean"
    cdef int kind = plain_kind(x), n_axes, axis, i
    if not (kind != cnp.NPY_NOTYPE and is_plain(target, cnp.NPY_INT64)
            and type(ignore_index) is int and (is_mean or reduction == "sum")):
        return None
    logits = x
    numbers = target
    n_axes = cnp.PyArray_NDIM(logits)
    if n_axes == 0 or cnp.PyArray_NDIM(numbers) != n_axes - 1:
        return None
    axis = 1 if n_axes > 1 else 0
    for i in range(n_axes - 1):
        if cnp.PyArray_DIM(numbers, i) != cnp.PyArray_DIM(logits, i if i < axis else i + 1):
            return None
    if cnp.PyArray_DIM(logits, axis) == 0:
        return None
    describe(&loss, logits, axis)
    if with_grad:
        if grad_out is None:
            grad = cnp.PyArray_SimpleNew(n_axes, cnp.PyArray_DIMS(logits), kind)
        elif is_plain(grad_out, kind) and cnp.PyArray_ISWRITEABLE(grad_out):
            grad = grad_out
            if not cnp.PyArray_SAMESHAPE(grad, logits) or overlaps(grad, numbers) or (
                    cnp.PyArray_DATA(grad) != cnp.PyArray_DATA(logits) and overlaps(grad, logits)):
                return None
        else:
            return None
        loss.grad = cnp.PyArray_DATA(grad)
    check.target = loss.target = <const int64_t*>cnp.PyArray_DATA(numbers)
    check.n_classes = loss.length
    check.ignore_index = loss.ignore_index = ignore_index
    check.weight = NULL
    if cnp.PyArray_SIZE(logits) < SMALL:
        total = checked_sum(&loss, &check, &checked, is_mean)
    else:
        with nogil:
            total = checked_sum(&loss, &check, &checked, is_mean)
    if checked.first_bad >= 0:
        return None
    value = scalar_like(logits, total)
    return (value, grad) if with_grad else value


cdef double checked_sum(Loss* loss, Check* check, Checked* checked, bint is_mean) except? -1 nogil:
    """The reduced loss; nothing has been written where a target is bad."""
    cdef double total = 0
    check_all(check, loss.outer * loss.inner, checked)
    if checked.first_bad >= 0:
        return 0
    if is_mean:
        loss.scale = 1 / checked.weight if checked.weight != 0 else 0
    sum_losses(loss, &total)
    return total / checked.weight if is_mean else total
