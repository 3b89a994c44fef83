"""Matrix products whose elements are finished in registers: cosines and kernels; norms of rows.

Cosine similarity takes two sweeps: the squared norms (rows are packed into lanes, so that any
layout is summed vertically), then the product, whose packing multiplies each row by 1 / norm. X
against itself computes one triangle and mirrors it. Results are clipped to [-1, 1], which rounding
can leave by an ulp; cosine distances are 1 minus that. Polynomial and sigmoid kernels finish each
tile while it is in the L1 cache.
"""

from cython cimport floating as real
from libc.math cimport NAN, sqrt
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.finish cimport (
    THEN_NOTHING, THEN_POWER, THEN_TANH, affine, finish_context, finish_rows, set_affine,
)
from fastmath_ml._kernels.gemm cimport Product, multiply_or_raise
from fastmath_ml._kernels.pool cimport parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.simd cimport ceil_div, vec, vlanes, vload, vmul_add, vstore
from fastmath_ml._kernels.square_range cimport (
    least_safe_double, least_safe_float, most_safe_double, most_safe_float,
)
from fastmath_ml._kernels.tile cimport operands, tile_product
from fastmath_ml._kernels.transpose cimport pack_panel

cnp.import_array()

NOTHING, POWER, TANH = THEN_NOTHING, THEN_POWER, THEN_TANH

cdef enum:
    MAX_LANES = 16
    SUM_STEPS = 128             # squares summed in the dtype before float64 takes over

cdef struct Norms:
    const void* x
    void* scale
    Py_ssize_t itemsize, n_rows, n_features, row_stride, col_stride
    # Squared norms outside of this range may have lost bits; zero is outside.
    double smallest, largest
    bint squared                    # the squared norms are wanted, NaN where out of range
    bint extreme, out_of_memory


cdef void scales_range(Py_ssize_t begin, Py_ssize_t end, Norms* norms, real zero) noexcept nogil:
    """scale[i] = 1 / |x_i| or |x_i|^2 for the groups of `lanes` rows [begin, end)."""
    cdef Py_ssize_t lanes = vlanes(zero), group, row, rows, first, steps, p, i
    cdef double total[MAX_LANES]
    cdef real part[MAX_LANES]
    cdef vec[real] sum_sq, value
    cdef real* packed = <real*>thread_scratch(1, (SUM_STEPS + 1) * lanes * sizeof(real))
    cdef real* scale = <real*>norms.scale
    if packed == NULL:
        raise_flag(&norms.out_of_memory)
        return
    memset(packed, 0, (SUM_STEPS + 1) * lanes * sizeof(real))
    for group in range(begin, end):
        row = group * lanes
        rows = min(lanes, norms.n_rows - row)
        for i in range(lanes):
            total[i] = 0
        first = 0
        while first < norms.n_features:
            steps = min(SUM_STEPS, norms.n_features - first)
            pack_panel(rows, steps,
                       <const real*>norms.x + row * norms.row_stride + first * norms.col_stride,
                       norms.row_stride, norms.col_stride, <const real*>NULL, packed, lanes, False)
            sum_sq = vec[real]()
            for p in range(steps):
                value = vload(packed + p * lanes)
                sum_sq = vmul_add(value, value, sum_sq)
            vstore(part, sum_sq)
            for i in range(rows):
                total[i] += part[i]
            first += steps
        for i in range(rows):
            if norms.squared:
                scale[row + i] = <real>total[i]
                if not total[i] <= norms.largest:
                    scale[row + i] = <real>NAN
                    raise_flag(&norms.extreme)
            elif norms.smallest <= total[i] <= norms.largest:
                scale[row + i] = <real>(1 / sqrt(total[i]))
            else:
                scale[row + i] = 0
                raise_flag(&norms.extreme)


cdef void scales_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Norms*>context).itemsize == 4:
        scales_range(begin, end, <Norms*>context, <float>0)
    else:
        scales_range(begin, end, <Norms*>context, <double>0)


def row_scales(cnp.ndarray x):
    """(1 / norm of each row, whether any is out of range and left 0) of a 2-D float array.

    Aligned, in the machine's byte order, strides whole elements. Rows of zeros, rows whose squared
    norm may have over- or underflowed, and rows with NaN or infinity are left 0.
    """
    scales = cnp.PyArray_SimpleNew(1, cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    return scales, norms_into(x, scales, False)


def squared_norms(cnp.ndarray x, cnp.ndarray norms):
    """norms[i] = |x_i|^2, NaN where that is too large; whether there is such a row. As above."""
    return norms_into(x, norms, True)


cdef bint norms_into(cnp.ndarray x, cnp.ndarray scales, bint squared) except *:
    cdef Norms norms
    cdef Py_ssize_t lanes
    norms.x = cnp.PyArray_DATA(x)
    norms.scale = cnp.PyArray_DATA(scales)
    norms.itemsize = cnp.PyArray_ITEMSIZE(x)
    norms.n_rows = cnp.PyArray_DIM(x, 0)
    norms.n_features = cnp.PyArray_DIM(x, 1)
    norms.row_stride = cnp.PyArray_STRIDE(x, 0) // norms.itemsize
    norms.col_stride = cnp.PyArray_STRIDE(x, 1) // norms.itemsize
    if norms.itemsize == 4:
        norms.smallest, norms.largest = least_safe_float, most_safe_float
    else:
        norms.smallest, norms.largest = least_safe_double, most_safe_double
    norms.squared = squared
    norms.extreme = norms.out_of_memory = False
    lanes = vlanes(<float>0) * 4 // norms.itemsize
    with nogil:
        parallel_for(ceil_div(norms.n_rows, lanes), 1,
                     0.25 * norms.n_rows * norms.n_features, scales_body, &norms)
    if norms.out_of_memory:
        raise MemoryError("no scratch memory for the norms of rows")
    return norms.extreme


cdef void finished_tile_float32(Py_ssize_t rows, Py_ssize_t cols, const void* x, void* c,
                                Py_ssize_t c_row, bint accumulate) noexcept nogil:
    tile_product(rows, cols, (<const operands[float]*>x)[0], <float*>c, c_row, accumulate, affine())
    finish_rows(rows, cols, <float*>c, c_row,
                (<const finish_context*>(<const operands[float]*>x).context)[0])


cdef void finished_tile_float64(Py_ssize_t rows, Py_ssize_t cols, const void* x, void* c,
                                Py_ssize_t c_row, bint accumulate) noexcept nogil:
    tile_product(rows, cols, (<const operands[double]*>x)[0], <double*>c, c_row, accumulate,
                 affine())
    finish_rows(rows, cols, <double*>c, c_row,
                (<const finish_context*>(<const operands[double]*>x).context)[0])


def finished_products(cnp.ndarray x, x_scales, cnp.ndarray y, y_scales, cnp.ndarray out,
                      double factor, double offset, double low, double high, int then,
                      double power):
    """out[i, j] = then(clip(factor * (x_scales[i] x_i) . (y_scales[j] y_j) + offset, low, high)).

    `then` is a function of finish.h: 0 none, 1 the integer power, 2 tanh. The scales may be None;
    y may be x itself, then symmetric to the bit. float32 or float64 throughout; x and y as for
    row_scales; out C-ordered, sharing no memory with the others.
    """
    cdef Product p
    cdef finish_context context
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(out)
    memset(&p, 0, sizeof(p))
    p.itemsize = size
    p.n_rows = cnp.PyArray_DIM(x, 0)
    p.n_cols = cnp.PyArray_DIM(y, 0)
    p.depth = cnp.PyArray_DIM(x, 1)
    p.a = cnp.PyArray_DATA(x)
    p.a_row = cnp.PyArray_STRIDE(x, 0) // size
    p.a_depth = cnp.PyArray_STRIDE(x, 1) // size
    p.b = cnp.PyArray_DATA(y)
    p.b_depth = cnp.PyArray_STRIDE(y, 1) // size
    p.b_col = cnp.PyArray_STRIDE(y, 0) // size
    p.c = cnp.PyArray_DATA(out)
    p.c_row = cnp.PyArray_DIM(y, 0)
    if x_scales is not None:
        p.row_scale = cnp.PyArray_DATA(x_scales)
        p.col_scale = cnp.PyArray_DATA(y_scales)
    p.symmetric = x is y
    p.finish = finished_tile_float32 if size == 4 else finished_tile_float64
    set_affine(context, factor, offset, low, high)
    context.then = then
    context.power = power
    p.context = &context
    multiply_or_raise(&p, False)
