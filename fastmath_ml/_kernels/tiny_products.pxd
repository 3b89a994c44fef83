# Cython's view of tiny_products.h; the header says what each function means.
cdef extern from "tiny_products.h" namespace "fm" nogil:
    cppclass tiny_products[T]:
        Py_ssize_t n, n_rows, n_cols, depth
        const T* a
        Py_ssize_t a_row, a_depth, a_step
        const T* b
        Py_ssize_t b_depth, b_step
        T* c
        Py_ssize_t c_row, c_step

    bint multiply_tiny[T](const tiny_products[T]& x) noexcept
