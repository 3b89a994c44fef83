# Cython's view of depth_slices.h; the header says what each function means.
cdef extern from "depth_slices.h" namespace "fm" nogil:
    cppclass sliced_product[T]:
        Py_ssize_t n_rows, n_cols, depth, depth_block, steps
        const T* a
        Py_ssize_t a_depth
        const T* b
        Py_ssize_t b_depth
        T* c
        Py_ssize_t c_row
        T* sums
        bint accumulate

    void multiply_slices[T](const sliced_product[T]& x) noexcept
