"""Losses of linear models with their gradients, in one sweep over X.

A model is scores z = X w + b, a residual r = dloss/dz per row, and a gradient X^T r. Two products
with X would read it twice; here a block of rows stays in the cache from its scores to its share of
the gradient:

    for each segment of segment_rows, in parallel
      for each block of rows (block_rows)              X is read once from memory
        z = X_block W^T                                the register tile, or dots for one model
        r, loss = residual of z                        a row or a model in each lane
        gradient of the segment += r^T X_block         the register tile, X from the cache
      total += gradient of the segment                 in float64, in the order of the segments

Several models, or the classes of a softmax, share the sweep: with 16 of them it is bound by
arithmetic. W^T is padded to whole vectors of columns, so that no load needs a mask. Segments and
blocks depend on shape and dtype alone, so that the number of threads changes no bit. Chains of
additions in the dtype are as long as a block and the blocks of a segment (scores: 384 steps of the
depth).

Rows with stride are copied into row blocks in the cache; X as a whole never is.
"""

from cython cimport floating as real
from libc.math cimport INFINITY
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.blocks cimport multiply_tile
from fastmath_ml._kernels.matvec cimport VectorProduct, multiply_vector
from fastmath_ml._kernels.pool cimport ordered_reduce, raise_flag, thread_scratch
from fastmath_ml._kernels.prefetch cimport prefetch_l2
from fastmath_ml._kernels.simd cimport (
    ceil_div, mtail, vabs, vec, veq, vexp, vge, vlanes, vload, vlog, vlog1p, vlog1p_unit, vmax_fast,
    vmul_add, vselect, vset, vstore, vsum,
)
from fastmath_ml._kernels.sums cimport add_array
from fastmath_ml._kernels.sweeps cimport load_columns, store_columns
from fastmath_ml._kernels.tile cimport even_height, lines_asked, operands, tile_cols, tile_rows
from fastmath_ml._kernels.transpose cimport pack_panel

import numpy as np

cnp.import_array()

cdef enum:
    SEGMENT = 1008              # rows; a multiple of every block below
    DEPTH_BLOCK = 384
    BLOCK = 126                 # rows of a block of several models at most
    BLOCK_BYTES = 1 << 18       # of a block of rows, or of its scores: a quarter of L2
    LINEAR = 0
    LOGISTIC = 1
    SOFTMAX = 2
    SCRATCH_Z = 2
    SCRATCH_X = 3

KINDS = {"linear": LINEAR, "logistic": LOGISTIC, "softmax": SOFTMAX}

# n_outputs = n_models * n_classes scores per row; n_classes is 1 but for SOFTMAX.
cdef struct Sweep:
    int kind
    Py_ssize_t itemsize, n_rows, n_features, n_models, n_classes, n_outputs
    const void* x
    Py_ssize_t x_row, x_col
    const void* weights             # (n_features, padded) for several outputs, else (n_features,)
    Py_ssize_t padded
    const void* bias                # n_outputs, or NULL
    const void* y                   # the target of model m and row i at y[m * y_model + i]
    Py_ssize_t y_model
    const void* row_weight          # n_rows, or NULL
    Py_ssize_t block_rows
    void* z                         # of `residuals`: (n_outputs, n_rows), in place
    bint out_of_memory


# ---- residuals: z becomes dloss/dz, a row of X or a model in each lane ----

cdef inline vec[real] residual_of(int kind, vec[real] score, vec[real] target, vec[real]* loss,
                                  vec[real]* e) noexcept nogil:
    """LINEAR: r = z - y, loss r^2 / 2. LOGISTIC: r = sigmoid(z) - y, loss log(1 + e^z) - y z.

    The latter is max(z, 0) - y z + log(1 + e), e = e^-|z|, which neither overflows nor cancels; the
    logarithm is left to the caller.
    """
    cdef vec[real] r, inverse, zero
    cdef vec[real] one = vset(<real>1), half = vset(<real>0.5)
    if kind == LINEAR:
        r = score - target
        loss[0] = half * r * r
        return r
    e[0] = vexp(-vabs(score))
    inverse = one / (one + e[0])
    loss[0] = vmax_fast(zero, score) - target * score
    return vselect(vge(score, zero), inverse, e[0] * inverse) - target


cdef inline void one_score(const Sweep* s, Py_ssize_t model, real* z, Py_ssize_t first,
                           Py_ssize_t n, double* loss, double* bias_grad) noexcept nogil:
    """The rows [first, first + n) of one model, a row in each lane; z (n,) becomes r."""
    cdef real zero = 0
    cdef Py_ssize_t lanes = vlanes(zero), i = 0, count
    cdef const real* y = <const real*>s.y + model * s.y_model + first
    cdef const real* row_weight = NULL
    cdef real bias = 0
    cdef vec[real] r, value, e, loss_sum, r_sum, nothing
    if s.row_weight != NULL:
        row_weight = <const real*>s.row_weight + first
    if s.bias != NULL:
        bias = (<const real*>s.bias)[model]
    while i < n:
        count = min(lanes, n - i)
        r = residual_of(s.kind, load_columns(z + i, count) + vset(bias), load_columns(y + i, count),
                        &value, &e)
        if s.kind == LOGISTIC:
            value = value + vlog1p_unit(e)
        if row_weight != NULL:
            value = value * load_columns(row_weight + i, count)
            r = r * load_columns(row_weight + i, count)
        if count < lanes:
            value = vselect(mtail(zero, count), value, nothing)
            r = vselect(mtail(zero, count), r, nothing)
        store_columns(z + i, r, count)
        loss_sum = loss_sum + value
        r_sum = r_sum + r
        i += lanes
    loss[0] += vsum(loss_sum)
    bias_grad[0] += vsum(r_sum)


cdef inline void scores_of_models(const Sweep* s, real* z, real* sums, Py_ssize_t first,
                                  Py_ssize_t n, double* loss, double* bias_grad) noexcept nogil:
    """The rows [first, first + n) of all models, a model in each lane; z (n, padded) becomes r.

    sums: room for two vectors. Lanes beyond the last model hold numbers that nobody reads.

    Without weights the logarithms of 1 + e become one, of the product of at most BLOCK factors that
    are 2 at most: kept as product - 1, in which small e lose nothing.
    """
    cdef real zero = 0
    cdef Py_ssize_t lanes = vlanes(zero), model = 0, row, i, count
    cdef const real* y = <const real*>s.y + first
    cdef vec[real] bias, r, value, target, row_weight, e, product_less_one, loss_sum, r_sum
    while model < s.n_models:
        count = min(lanes, s.n_models - model)
        bias = loss_sum = r_sum = product_less_one = vset(zero)
        if s.bias != NULL:
            bias = load_columns(<const real*>s.bias + model, count)
        for row in range(n):
            if s.y_model:
                for i in range(count):
                    sums[i] = y[(model + i) * s.y_model + row]
                target = load_columns(sums, count)
            else:
                target = vset(y[row])
            r = residual_of(s.kind, vload(z + row * s.padded + model) + bias, target, &value, &e)
            if s.row_weight == NULL:
                if s.kind == LOGISTIC:
                    product_less_one = vmul_add(product_less_one, e, product_less_one) + e
            else:
                if s.kind == LOGISTIC:
                    value = value + vlog1p_unit(e)
                row_weight = vset((<const real*>s.row_weight)[first + row])
                value = value * row_weight
                r = r * row_weight
            vstore(z + row * s.padded + model, r)
            loss_sum = loss_sum + value
            r_sum = r_sum + r
        vstore(sums, loss_sum + vlog1p(product_less_one))
        vstore(sums + lanes, r_sum)
        for i in range(count):
            loss[model + i] += sums[i]
            bias_grad[model + i] += sums[lanes + i]
        model += lanes


cdef inline void class_scores(const Sweep* s, Py_ssize_t model, real* z, Py_ssize_t z_class,
                              Py_ssize_t first, Py_ssize_t n, double* loss,
                              double* bias_grad) noexcept nogil:
    """SOFTMAX: r_k = p_k - [y = k], loss log(sum of e^(z_k - m)) + m - z_y, m = max over k of z_k.

    A NaN among the scores is overlooked by the maximum, but not by the sum.
    """
    cdef real zero = 0
    cdef Py_ssize_t lanes = vlanes(zero), i = 0, k, count
    cdef const real* y = <const real*>s.y + model * s.y_model + first
    cdef const real* bias = NULL
    cdef vec[real] top, total, target, e, own, row_weight, scale, value, loss_sum, nothing
    if s.bias != NULL:
        bias = <const real*>s.bias + model * s.n_classes
    while i < n:
        count = min(lanes, n - i)
        top = vset(<real>-INFINITY)
        for k in range(s.n_classes):
            e = load_columns(z + k * z_class + i, count)
            if bias != NULL:
                e = e + vset(bias[k])
                store_columns(z + k * z_class + i, e, count)
            top = vmax_fast(e, top)
        target = load_columns(y + i, count)
        row_weight = vset(<real>1)
        if s.row_weight != NULL:
            row_weight = load_columns(<const real*>s.row_weight + first + i, count)
        if count < lanes:
            row_weight = vselect(mtail(zero, count), row_weight, nothing)
        total = nothing
        own = nothing
        for k in range(s.n_classes):
            e = load_columns(z + k * z_class + i, count) - top
            own = vselect(veq(target, vset(<real>k)), e, own)
            e = vexp(e)
            total = total + e
            store_columns(z + k * z_class + i, e, count)
        value = (vlog(total) - own) * row_weight
        if count < lanes:
            value = vselect(mtail(zero, count), value, nothing)
        loss_sum = loss_sum + value
        scale = row_weight / total
        for k in range(s.n_classes):
            e = load_columns(z + k * z_class + i, count) * scale
            e = vselect(veq(target, vset(<real>k)), e - row_weight, e)
            if count < lanes:
                e = vselect(mtail(zero, count), e, nothing)
            store_columns(z + k * z_class + i, e, count)
        i += lanes
    loss[0] += vsum(loss_sum)
    for k in range(s.n_classes):
        value = nothing
        i = 0
        while i < n:
            value = value + load_columns(z + k * z_class + i, min(lanes, n - i))
            i += lanes
        bias_grad[k] += vsum(value)


cdef void residual_rows(const Sweep* s, real* z, Py_ssize_t z_output, Py_ssize_t first,
                        Py_ssize_t n, double* loss, double* bias_grad) noexcept nogil:
    """The rows [first, first + n) of all models; z is (n_outputs, n), its rows z_output apart."""
    cdef Py_ssize_t model
    for model in range(s.n_models):
        if s.kind == SOFTMAX:
            class_scores(s, model, z + model * s.n_classes * z_output, z_output, first, n,
                         loss + model, bias_grad + model * s.n_classes)
        else:
            one_score(s, model, z + model * z_output, first, n, loss + model, bias_grad + model)


# ---- one block of rows ----

# The next block of rows comes into L2 meanwhile, as evenly as can be: what a tile asks for by
# itself, and before a tile of the gradient its share of the rest. Scores that wait for memory made
# the whole sweep 1.3 times as slow, lines all asked for before tiles of the gradient 1.3 to
# 1.6 times.
cdef struct Ahead:
    const char* line                # the next one
    Py_ssize_t left                 # how many


cdef inline Py_ssize_t own_lines(Ahead* ahead, Py_ssize_t rows, Py_ssize_t cols,
                                 operands[real]* t) noexcept nogil:
    """How many lines the tile will ask for, which from here on count as asked for."""
    cdef Py_ssize_t n
    if ahead.left <= 0:
        t.next = t.b
        return 0
    n = lines_asked(rows, cols, t[0])
    t.next = <const real*>ahead.line
    ahead.line += 64 * n
    ahead.left -= n
    return n


cdef inline void scores_of_block(const Sweep* s, const real* x, Py_ssize_t x_row, Py_ssize_t n,
                                 real* z, Ahead* ahead) noexcept nogil:
    """z = X_block W^T, (n, padded)."""
    cdef Py_ssize_t height = even_height(n, tile_rows(<real>0)), width = tile_cols(<real>0)
    cdef Py_ssize_t depth_at = 0, col, row
    cdef Py_ssize_t rows, cols
    cdef operands[real] t
    t.a_row = x_row
    t.a_depth = 1
    t.b_depth = s.padded
    while depth_at < s.n_features:
        t.depth = min(<Py_ssize_t>DEPTH_BLOCK, s.n_features - depth_at)
        col = 0
        while col < s.padded:
            t.b = <const real*>s.weights + depth_at * s.padded + col
            row = 0
            while row < n:
                rows, cols = min(height, n - row), min(width, s.padded - col)
                t.a = x + row * x_row + depth_at
                own_lines(ahead, rows, cols, &t)
                multiply_tile(rows, cols, &t,
                              z + row * s.padded + col, s.padded, depth_at != 0, sizeof(real))
                row += height
            col += width
        depth_at += t.depth


cdef inline void add_gradient_of_block(const Sweep* s, const real* x, Py_ssize_t x_row,
                                       Py_ssize_t n, const real* r, real* grad,
                                       bint accumulate, Ahead* ahead) noexcept nogil:
    """grad (+)= r^T X_block, (n_outputs, n_features), for r of (n, padded)."""
    cdef Py_ssize_t height = even_height(s.n_outputs, tile_rows(<real>0))
    cdef Py_ssize_t width = tile_cols(<real>0), col = 0, output, rows, cols, _, share = 0
    cdef Py_ssize_t n_tiles = ceil_div(s.n_outputs, height) * ceil_div(s.n_features, width)
    cdef operands[real] t
    t.depth = n
    t.a_row = 1
    t.a_depth = s.padded
    t.b_depth = x_row
    while col < s.n_features:
        t.b = x + col
        output = 0
        while output < s.n_outputs:
            rows, cols = min(height, s.n_outputs - output), min(width, s.n_features - col)
            t.a = r + output
            share = ceil_div(ahead.left, n_tiles)
            share -= own_lines(ahead, rows, cols, &t)
            n_tiles -= 1
            for _ in range(share):
                prefetch_l2(ahead.line)
                ahead.line += 64
                ahead.left -= 1
            multiply_tile(rows, cols, &t, grad + output * s.n_features + col, s.n_features,
                          accumulate, sizeof(real))
            output += height
        col += width


cdef void one_model_block(const Sweep* s, const real* x, Py_ssize_t x_row, Py_ssize_t first,
                          Py_ssize_t n, real* z, real* strip, real* grad, double* loss,
                          double* bias_grad, bint next_block) noexcept nogil:
    """Scores, residuals and grad += r^T X_block of a single output."""
    cdef Py_ssize_t lanes = vlanes(<real>0), i, count
    cdef VectorProduct p
    p.itemsize, p.n_vectors = sizeof(real), 1
    p.n_out, p.depth = n, s.n_features
    p.matrix, p.out_stride, p.depth_stride = x, x_row, 1
    p.x, p.x_stride, p.x_vector = s.weights, 1, 0
    p.y, p.y_stride, p.y_vector = z, 1, 0
    # The even rows of the next block with the scores, the odd ones with the gradient: memory has
    # the time of both to bring them.
    p.ahead.elements = n * x_row
    p.ahead.even, p.ahead.odd = next_block, False
    multiply_vector(&p)
    residual_rows(s, z, n, first, n, loss, bias_grad)
    p.n_out, p.depth = s.n_features, n
    p.out_stride, p.depth_stride = 1, x_row
    p.x, p.y = z, strip
    p.ahead.even, p.ahead.odd = False, next_block
    multiply_vector(&p)
    i = 0
    while i < s.n_features:
        count = min(lanes, s.n_features - i)
        store_columns(grad + i, load_columns(grad + i, count) + load_columns(strip + i, count),
                      count)
        i += lanes


# ---- segments ----

cdef void segment_of(Py_ssize_t begin, Py_ssize_t end, Sweep* s, double* partial,
                     real zero) noexcept nogil:
    """partial: n_models losses and n_outputs gradients of the biases in float64, the gradient."""
    cdef double* loss = partial
    cdef double* bias_grad = partial + s.n_models
    cdef real* grad = <real*>(bias_grad + s.n_outputs)
    cdef Py_ssize_t block = s.block_rows, row = begin, n, x_row = s.x_row
    cdef Py_ssize_t z_size = block * s.padded
    cdef bint next_block
    cdef Ahead ahead
    cdef real* z
    cdef real* by_output
    cdef real* packed = NULL
    cdef const real* x
    memset(partial, 0, (s.n_models + s.n_outputs) * sizeof(double))
    memset(grad, 0, s.n_outputs * s.n_features * sizeof(real))
    z = <real*>thread_scratch(SCRATCH_Z, (2 * z_size + s.n_features + 64) * sizeof(real))
    if s.x_col != 1:
        packed = <real*>thread_scratch(SCRATCH_X, block * s.n_features * sizeof(real))
    if z == NULL or (s.x_col != 1 and packed == NULL):
        raise_flag(&s.out_of_memory)
        return
    by_output = z + z_size
    while row < end:
        n = min(block, end - row)
        x = <const real*>s.x + row * s.x_row
        next_block = packed == NULL and row + 2 * n <= s.n_rows
        if packed != NULL:
            pack_panel(s.n_features, n, x, s.x_col, s.x_row, <const real*>NULL, packed,
                       s.n_features, False)
            x = packed
            x_row = s.n_features
        if s.n_outputs == 1:
            one_model_block(s, x, x_row, row, n, z, by_output, grad, loss, bias_grad, next_block)
        else:
            ahead.line = <const char*>(x + n * x_row)
            ahead.left = n * s.n_features * <Py_ssize_t>sizeof(real) // 64
            if not next_block or s.x_row != s.n_features:
                ahead.left = 0
            scores_of_block(s, x, x_row, n, z, &ahead)
            if s.kind == SOFTMAX:
                pack_panel(n, s.n_outputs, z, s.padded, 1, <const real*>NULL, by_output, n, False)
                residual_rows(s, by_output, n, row, n, loss, bias_grad)
                pack_panel(s.n_outputs, n, by_output, n, 1, <const real*>NULL, z, s.padded, False)
            else:
                scores_of_models(s, z, by_output, row, n, loss, bias_grad)
            add_gradient_of_block(s, x, x_row, n, z, grad, row != begin, &ahead)
        row += n


cdef Py_ssize_t segment_rows(Py_ssize_t n_rows) noexcept nogil:
    """Few segments, since what one adds up goes from one core to the other twice: at most 64, until
    they are so long that float32 would lose the sums of their blocks.
    """
    return min(ceil_div(n_rows, 64 * SEGMENT), <Py_ssize_t>4) * SEGMENT


cdef void segment_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    if (<Sweep*>context).itemsize == 4:
        segment_of(begin, end, <Sweep*>context, <double*>partial, <float>0)
    else:
        segment_of(begin, end, <Sweep*>context, <double*>partial, <double>0)


cdef void add_segment(void* total, const void* partial, void* context) noexcept nogil:
    cdef const Sweep* s = <Sweep*>context
    cdef Py_ssize_t n_numbers = s.n_models + s.n_outputs, n_weights = s.n_outputs * s.n_features
    cdef double* grad = <double*>total + n_numbers
    cdef const double* part = <const double*>partial + n_numbers
    add_numbers(total, partial, context)
    if s.itemsize == 4:
        add_array(grad, <const float*>part, n_weights)
    else:
        add_array(grad, part, n_weights)


cdef void residual_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                           void* context) noexcept nogil:
    cdef Sweep* s = <Sweep*>context
    cdef double* loss = <double*>partial
    memset(partial, 0, (s.n_models + s.n_outputs) * sizeof(double))
    if s.itemsize == 4:
        residual_rows(s, <float*>s.z + begin, s.n_rows, begin, end - begin, loss,
                      loss + s.n_models)
    else:
        residual_rows(s, <double*>s.z + begin, s.n_rows, begin, end - begin, loss,
                      loss + s.n_models)


cdef void add_numbers(void* total, const void* partial, void* context) noexcept nogil:
    cdef Sweep* s = <Sweep*>context
    add_array(<double*>total, <const double*>partial, s.n_models + s.n_outputs)


# ---- as Python calls them ----

cdef void describe(Sweep* s, int kind, Py_ssize_t n_classes, Py_ssize_t n_outputs, bias,
                   cnp.ndarray y, row_weight):
    memset(s, 0, sizeof(Sweep))
    s.kind = kind
    s.n_classes = n_classes
    s.n_outputs = n_outputs
    s.n_models = n_outputs // n_classes
    s.itemsize = cnp.PyArray_ITEMSIZE(y)
    s.n_rows = cnp.PyArray_DIM(y, 1)
    s.y = cnp.PyArray_DATA(y)
    s.y_model = s.n_rows if cnp.PyArray_DIM(y, 0) > 1 else 0
    if bias is not None:
        s.bias = cnp.PyArray_DATA(<cnp.ndarray>bias)
    if row_weight is not None:
        s.row_weight = cnp.PyArray_DATA(<cnp.ndarray>row_weight)


cdef Py_ssize_t n_outside(const real* x, Py_ssize_t n, real low, real high) noexcept nogil:
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        count += (x[i] < low) | (x[i] > high)
    return count


def is_outside(cnp.ndarray x, double low, double high):
    """Whether any number of x, of float32 or float64 and in C order, is < low or > high."""
    if cnp.PyArray_ITEMSIZE(x) == 4:
        return n_outside(<const float*>cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x), <float>low,
                         <float>high) > 0
    return n_outside(<const double*>cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x), low, high) > 0


def loss_sums(int kind, cnp.ndarray x, cnp.ndarray coef, bias, cnp.ndarray y, row_weight,
              Py_ssize_t n_classes, double scale):
    """`scale` times float64 sums over the rows: of losses (n_models,), of gradients of coef
    (n_outputs, n_features) and of biases (n_outputs,).

    x (n_rows, n_features) of any strides of whole elements; coef (n_outputs, n_features); bias
    (n_outputs,) or None; y (n_models or 1, n_rows); row_weight (n_rows,) or None. One dtype,
    float32 or float64; all but x in C order. The caller has checked all this.
    """
    cdef Sweep s
    cdef Py_ssize_t d, block = 0, n_numbers, lanes, i, n_outputs = cnp.PyArray_DIM(coef, 0)
    cdef cnp.npy_intp n_all
    cdef double work_ns
    cdef double* number
    cdef cnp.ndarray total, weights = coef
    describe(&s, kind, n_classes, n_outputs, bias, y, row_weight)
    d = s.n_features = cnp.PyArray_DIM(x, 1)
    s.x = cnp.PyArray_DATA(x)
    s.x_row = cnp.PyArray_STRIDE(x, 0) // s.itemsize
    s.x_col = cnp.PyArray_STRIDE(x, 1) // s.itemsize if d > 1 else 1
    s.padded = 1
    if n_outputs > 1:
        lanes = vlanes(<float>0) * 4 // s.itemsize
        s.padded = ceil_div(n_outputs, lanes) * lanes
        weights = np.zeros((d, s.padded), coef.dtype)
        weights[:, :n_outputs] = coef.T
    s.weights = cnp.PyArray_DATA(weights)
    if n_outputs > 1:
        for block in (BLOCK, 56, 28, 14):
            if block * max(d, 2 * s.padded) * s.itemsize <= BLOCK_BYTES:
                break
    else:
        for block in (336, 112, 56, 24, 16, 8):
            if block * d * s.itemsize <= BLOCK_BYTES:
                break
    s.block_rows = block
    n_numbers = s.n_models + n_outputs
    n_all = n_numbers + n_outputs * d
    total = cnp.PyArray_ZEROS(1, &n_all, cnp.NPY_FLOAT64, False)
    number = <double*>cnp.PyArray_DATA(total)
    work_ns = s.n_rows * (d * max(s.itemsize / 16.0, n_outputs * s.itemsize / 160.0)
                          + 2.0 * n_outputs)
    with nogil:
        ordered_reduce(s.n_rows, segment_rows(s.n_rows),
                       n_numbers * sizeof(double) + n_outputs * d * s.itemsize,
                       work_ns, segment_body, add_segment, number, &s)
        for i in range(n_all):
            number[i] *= scale
    if s.out_of_memory:
        raise MemoryError("no memory for a block of rows")
    return (total[:s.n_models], total[n_numbers:].reshape(n_outputs, d),
            total[s.n_models:n_numbers])


def residuals(int kind, cnp.ndarray z, bias, cnp.ndarray y, row_weight, Py_ssize_t n_classes):
    """z (n_outputs, n_rows), C-ordered, becomes dloss/dz; float64 sums of losses and of z's rows.

    The others as for loss_sums.
    """
    cdef Sweep s
    cdef cnp.ndarray total
    describe(&s, kind, n_classes, cnp.PyArray_DIM(z, 0), bias, y, row_weight)
    s.z = cnp.PyArray_DATA(z)
    total = np.zeros(s.n_models + s.n_outputs)
    with nogil:
        ordered_reduce(s.n_rows, SEGMENT, (s.n_models + s.n_outputs) * sizeof(double),
                       2.0 * s.n_rows * s.n_outputs, residual_segment, add_numbers,
                       cnp.PyArray_DATA(total), &s)
    return total[:s.n_models], total[s.n_models:]
