"""activation(x @ weight.T + bias): the product of gemm.pyx with a finish (linear_tile.h).

Products with one vector are finished in a second pass over the result: what they cost is the
reading of the weights.
"""

cimport numpy as cnp

from fastmath_ml._kernels.blocks cimport finishing_tile, multiply_tile
from fastmath_ml._kernels.gemm cimport Product, multiply_or_raise
from fastmath_ml._kernels.pool cimport parallel_for
from fastmath_ml._kernels.products cimport describe

cnp.import_array()

cdef extern from "linear_tile.h" namespace "fm" nogil:
    ctypedef void (*finishing_rows)(Py_ssize_t n_rows, Py_ssize_t n_cols, const void* bias, void* c,
                                    Py_ssize_t c_row) noexcept nogil
    cppclass linear_finish:
        finishing_tile tile
        finishing_rows rows
    cdef enum:
        LINEAR_IDENTITY
        LINEAR_RELU
        LINEAR_GELU
        LINEAR_SIGMOID
        LINEAR_TANH
        LINEAR_SILU

    linear_finish select_linear_finish[T](int activation, T) noexcept
    cppclass linear_context:
        void (*multiply)(Py_ssize_t, Py_ssize_t, const void*, void*, Py_ssize_t, bint,
                         Py_ssize_t) noexcept nogil
        const void* bias

ACTIVATIONS = {
    None: LINEAR_IDENTITY,
    "relu": LINEAR_RELU,
    "gelu": LINEAR_GELU,
    "sigmoid": LINEAR_SIGMOID,
    "tanh": LINEAR_TANH,
    "silu": LINEAR_SILU,
}

cdef struct Rows:
    finishing_rows finish
    const void* bias
    char* c
    Py_ssize_t n_cols, c_row, itemsize


cdef void rows_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Rows* rows = <Rows*>context
    rows.finish(end - begin, rows.n_cols, rows.bias, rows.c + begin * rows.c_row * rows.itemsize,
                rows.c_row)


def linear_rows(cnp.ndarray x, cnp.ndarray weight, bias, int activation, cnp.ndarray out):
    """out = activation(x @ weight.T + bias).

    x (n_rows, n_features) and weight (n_out, n_features) of any strides of whole elements and of
    any floating dtype; out (n_rows, n_out), C-ordered, apart from the others. bias is None or
    contiguous, n_out elements, float64 for a float64 result, else float32. activation is one
    of ACTIVATIONS. The caller has checked all this.
    """
    cdef Product p
    cdef linear_finish finish
    cdef linear_context context
    cdef Rows rows
    describe(&p, x, weight.T, out)
    if p.itemsize == 4:
        finish = select_linear_finish(activation, <float>0)
    else:
        finish = select_linear_finish(activation, <double>0)
    rows.bias = cnp.PyArray_DATA(bias) if bias is not None else NULL
    if (p.n_rows > 1 and p.n_cols > 1) or p.c_type:
        p.finish = finish.tile
        context.multiply, context.bias = multiply_tile, rows.bias
        p.context = &context
        multiply_or_raise(&p, False)
        return
    multiply_or_raise(&p, False)
    rows.finish, rows.c, rows.itemsize = finish.rows, <char*>p.c, p.itemsize
    rows.n_cols, rows.c_row = p.n_cols, p.c_row
    with nogil:
        parallel_for(p.n_rows, 1, 1.0 * p.n_rows * p.n_cols, rows_body, &rows)
