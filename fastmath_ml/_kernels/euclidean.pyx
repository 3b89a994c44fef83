"""Euclidean distances on the matrix product; euclidean.h tells how they come out right.

Functions of the squared distance (the Gaussian kernel) are applied to each tile while it is in the
L1 cache.
"""

from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.blocks cimport CHUNK_DEPTH, depth_block_of
from fastmath_ml._kernels.finish cimport THEN_EXP, THEN_NOTHING, finish_context, finish_rows
from fastmath_ml._kernels.gemm cimport Product, multiply_or_raise
from fastmath_ml._kernels.pool cimport thread_scratch
from fastmath_ml._kernels.tile cimport operands

cnp.import_array()

cdef extern from "euclidean.h" namespace "fm" nogil:
    ctypedef struct euclidean_context:
        const void* x
        const void* y
        Py_ssize_t x_row
        Py_ssize_t x_depth
        Py_ssize_t y_row
        Py_ssize_t y_depth
        Py_ssize_t depth
        const void* x_norms
        const void* y_norms
        bint root
        bint x_packed
        bint y_packed
        void* (*scratch)(int slot, Py_ssize_t n_bytes) noexcept nogil
        int* out_of_memory

    void euclidean_tile[T](Py_ssize_t rows, Py_ssize_t cols, const operands[T]& x, T* c,
                           Py_ssize_t c_row, bint accumulate) noexcept

cdef struct Task:
    euclidean_context distances     # first: tiles take the address of a Task for that of this
    finish_context finish


cdef void tile_float32(Py_ssize_t rows, Py_ssize_t cols, const void* x, void* c, Py_ssize_t c_row,
                       bint accumulate) noexcept nogil:
    cdef const operands[float]* tile = <const operands[float]*>x
    euclidean_tile(rows, cols, tile[0], <float*>c, c_row, accumulate)
    finish_rows(rows, cols, <float*>c, c_row, (<const Task*>tile.context).finish)


cdef void tile_float64(Py_ssize_t rows, Py_ssize_t cols, const void* x, void* c, Py_ssize_t c_row,
                       bint accumulate) noexcept nogil:
    cdef const operands[double]* tile = <const operands[double]*>x
    euclidean_tile(rows, cols, tile[0], <double*>c, c_row, accumulate)
    finish_rows(rows, cols, <double*>c, c_row, (<const Task*>tile.context).finish)


def euclidean_products(cnp.ndarray x, cnp.ndarray x_norms, cnp.ndarray y, cnp.ndarray y_norms,
                       cnp.ndarray out, bint root, exponent=None):
    """out[i, j] = |x_i - y_j| with `root`, else its square; exp(exponent * that) if one is given.

    The norms are squared, NaN where they are out of range, and have room for 32 elements more than
    there are rows. y may be x itself, then symmetric to the bit with a diagonal of exact zeros.
    float32 or float64 throughout; x and y aligned, in the machine's byte order, strides whole
    elements; out C-ordered, sharing no memory with the others.
    """
    cdef Product p
    cdef Task task
    cdef int out_of_memory = 0
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(out)
    memset(&p, 0, sizeof(p))
    memset(&task, 0, sizeof(task))
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
    p.c_row = p.n_cols
    p.symmetric = x is y
    p.finish = tile_float32 if size == 4 else tile_float64
    p.context = &task
    task.distances.x, task.distances.x_row, task.distances.x_depth = p.a, p.a_row, p.a_depth
    task.distances.y, task.distances.y_row, task.distances.y_depth = p.b, p.b_col, p.b_depth
    task.distances.depth = p.depth
    task.distances.x_norms = cnp.PyArray_DATA(x_norms)
    task.distances.y_norms = cnp.PyArray_DATA(y_norms)
    task.distances.root = root
    # Rows of Y come to a tile whole up to the depth of a chunk, rows of X of one depth block.
    p.whole_panels = True
    task.distances.y_packed = p.b_col != 1 and p.depth <= CHUNK_DEPTH
    task.distances.x_packed = task.distances.y_packed and p.depth <= depth_block_of(size)
    task.distances.scratch = thread_scratch
    task.distances.out_of_memory = &out_of_memory
    task.finish.then = THEN_NOTHING
    if exponent is not None:
        task.finish.then = THEN_EXP
        task.finish.power = exponent
    multiply_or_raise(&p, False)
    if out_of_memory:
        raise MemoryError("no scratch memory for near rows")
