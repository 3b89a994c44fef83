# Cython's view of candidates.h, search_tile.h and search_stream.h; the headers say what each
# function means.
from libc.stdint cimport int16_t, int64_t, uint64_t

from fastmath_ml._kernels.tile cimport operands


cdef extern from "search_stream.h" namespace "fm" nogil:
    cppclass candidates[T]:
        Py_ssize_t k
        Py_ssize_t capacity
        T* bound
        Py_ssize_t* count

    cppclass panel[T]:
        const T* terms
        uint64_t columns
        int64_t first

    Py_ssize_t candidates_bytes[T](T, Py_ssize_t n_rows, Py_ssize_t k) noexcept
    candidates[T] lay_out[T](T, void* memory, Py_ssize_t n_rows, Py_ssize_t k) noexcept
    void take[T](const candidates[T]& found, Py_ssize_t row, const T* values, uint64_t bits,
                 int64_t first) noexcept
    void add_pairs[T](const candidates[T]& found, Py_ssize_t row, const T* keys,
                      const int64_t* indices, Py_ssize_t n) noexcept
    void restore_row[T](const candidates[T]& found, Py_ssize_t row, const T* values,
                        const int64_t* indices, Py_ssize_t n) noexcept
    Py_ssize_t save_row[T](const candidates[T]& found, Py_ssize_t row, T* values,
                           int64_t* indices) noexcept
    void order_row[T](T* values, int64_t* indices, Py_ssize_t k, bint sorted,
                      void* scratch) noexcept
    void search_panel[T](Py_ssize_t rows, const operands[T]& x, const panel[T]& b, Py_ssize_t row,
                         const candidates[T]& found, bint scaled) noexcept
    void panel_norms[T](const T* b, Py_ssize_t depth, T* norms) noexcept
    void panel_scales[T](T* b, Py_ssize_t depth, Py_ssize_t cols, T* norms) noexcept
    void quench_infinite[T](T* b, Py_ssize_t depth, const T* norms) noexcept

    cppclass float16:
        pass

    cppclass query[T]:
        const T* x
        Py_ssize_t depth
        bint scaled
        bint with_norms

    bint stream_rows[T, Source](const query[T]& q, const Source* y, Py_ssize_t stride,
                                Py_ssize_t n_rows, int64_t first, const candidates[T]& found,
                                Py_ssize_t* done) noexcept
    void stream_integers[T, I](const query[T]& q, const int16_t* x, const I* y, Py_ssize_t stride,
                               Py_ssize_t n_rows, int64_t first,
                               const candidates[T]& found) noexcept
    void unpack_half[T](const float16* y, Py_ssize_t stride, Py_ssize_t rows, Py_ssize_t depth,
                        T* to, Py_ssize_t width) noexcept
