# Cython's view of tile.h; the header says what each function means.
from fastmath_ml._kernels.convert cimport quad


cdef extern from "tile.h" namespace "fm" nogil:
    cppclass operands[T]:
        Py_ssize_t depth
        const T* a
        Py_ssize_t a_row
        Py_ssize_t a_depth
        const T* b
        Py_ssize_t b_depth
        const T* next
        Py_ssize_t row
        Py_ssize_t col
        const void* context

    cppclass keep:
        keep() noexcept

    cppclass keep_packed:
        keep_packed() noexcept

    cppclass with_terms:
        with_terms() noexcept

    cppclass tile_terms:
        const quad* rows
        const quad* cols

    Py_ssize_t even_height(Py_ssize_t n, Py_ssize_t max_height) noexcept
    Py_ssize_t tile_rows[T](T) noexcept
    Py_ssize_t tile_cols[T](T) noexcept
    Py_ssize_t lines_asked[T](Py_ssize_t rows, Py_ssize_t cols, const operands[T]& x) noexcept
    void tile_product[T, Finish](Py_ssize_t rows, Py_ssize_t cols, const operands[T]& x,
                                 T* c, Py_ssize_t c_row, bint accumulate, Finish) noexcept
