# Cython's view of transpose.h; the header says what each function means.
from fastmath_ml._kernels.simd cimport vec


cdef extern from "transpose.h" namespace "fm" nogil:
    void load_transposed[T](const T* source, Py_ssize_t stride, Py_ssize_t rows, Py_ssize_t cols,
                            vec[T]* to) noexcept
    void store_transposed[T](const vec[T]* source, T* to, Py_ssize_t stride, Py_ssize_t rows,
                             Py_ssize_t cols) noexcept
    void pack_panel[T](Py_ssize_t width, Py_ssize_t depth, const T* source, Py_ssize_t stride,
                       Py_ssize_t depth_stride, const T* scale, T* to, Py_ssize_t to_stride,
                       bint spill) noexcept
