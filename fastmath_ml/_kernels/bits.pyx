"""Distances of rows of bits, 64 features a word; bits.h has the arithmetic.

Also the copying of blocks of a distance matrix into its condensed form.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport parallel_for

cnp.import_array()

cdef extern from "bits.h" namespace "fm" nogil:
    cdef enum:
        DICE
        BIT_HAMMING
        JACCARD
        ROGERSTANIMOTO
        RUSSELLRAO
        SOKALSNEATH
        YULE

    int64_t ones_of(const uint64_t* words, Py_ssize_t n_words) noexcept
    void bit_distances[T](int metric, Py_ssize_t begin, Py_ssize_t end, const uint64_t* x,
                          const int64_t* x_ones, const uint64_t* y, const int64_t* y_ones,
                          Py_ssize_t n_cols, Py_ssize_t n_words, double n_features,
                          T* out) noexcept

KINDS = {
    "dice": DICE,
    "hamming": BIT_HAMMING,
    "jaccard": JACCARD,
    "rogerstanimoto": ROGERSTANIMOTO,
    "russellrao": RUSSELLRAO,
    "sokalsneath": SOKALSNEATH,
    "yule": YULE,
}

cdef struct Bits:
    const uint64_t* x
    const uint64_t* y
    const int64_t* x_ones
    const int64_t* y_ones
    void* out
    Py_ssize_t n_cols, n_words, itemsize
    double n_features
    int metric


cdef void bits_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Bits* b = <const Bits*>context
    if b.itemsize == 4:
        bit_distances(b.metric, begin, end, b.x, b.x_ones, b.y, b.y_ones, b.n_cols, b.n_words,
                      b.n_features, <float*>b.out)
    else:
        bit_distances(b.metric, begin, end, b.x, b.x_ones, b.y, b.y_ones, b.n_cols, b.n_words,
                      b.n_features, <double*>b.out)


def count_ones(cnp.ndarray words, cnp.ndarray ones):
    """ones[i] = ones of row i of a C-ordered uint64 array, as int64."""
    cdef Py_ssize_t row, n_words = cnp.PyArray_DIM(words, 1)
    cdef const uint64_t* bits = <const uint64_t*>cnp.PyArray_DATA(words)
    cdef int64_t* counts = <int64_t*>cnp.PyArray_DATA(ones)
    for row in range(cnp.PyArray_DIM(words, 0)):
        counts[row] = ones_of(bits + row * n_words, n_words)


def boolean_distances(cnp.ndarray x, cnp.ndarray x_ones, cnp.ndarray y, cnp.ndarray y_ones,
                      Py_ssize_t n_features, int metric, cnp.ndarray out):
    """out[i, j] = the metric of bits.h of rows i of x and j of y: uint64 words, int64 counts.

    All C-ordered; out float32 or float64, computed in float64.
    """
    cdef Bits b
    cdef Py_ssize_t n_rows = cnp.PyArray_DIM(x, 0)
    b.x, b.y = <const uint64_t*>cnp.PyArray_DATA(x), <const uint64_t*>cnp.PyArray_DATA(y)
    b.x_ones = <const int64_t*>cnp.PyArray_DATA(x_ones)
    b.y_ones = <const int64_t*>cnp.PyArray_DATA(y_ones)
    b.out = cnp.PyArray_DATA(out)
    b.itemsize = cnp.PyArray_ITEMSIZE(out)
    b.n_cols, b.n_words = cnp.PyArray_DIM(y, 0), cnp.PyArray_DIM(x, 1)
    b.n_features = n_features
    b.metric = metric
    with nogil:
        parallel_for(n_rows, 4, n_rows * b.n_cols * (2.0 + 0.3 * b.n_words), bits_body, &b)


def condense(cnp.ndarray block, Py_ssize_t first_row, Py_ssize_t n_rows, cnp.ndarray out):
    """Copy rows [first_row, ...) of a distance matrix, right of the diagonal, to condensed form.

    block[i, j] = d(first_row + i, first_row + j), C-ordered, n_rows - first_row columns; out has
    the n_rows (n_rows - 1) / 2 distances of the same dtype.
    """
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(out), n_cols = cnp.PyArray_DIM(block, 1), i, row
    cdef const char* source = <const char*>cnp.PyArray_DATA(block)
    cdef char* target = <char*>cnp.PyArray_DATA(out)
    with nogil:
        for i in range(cnp.PyArray_DIM(block, 0)):
            row = first_row + i
            memcpy(target + (n_rows * row - row * (row + 1) // 2) * size,
                   source + (i * n_cols + i + 1) * size, (n_cols - i - 1) * size)
