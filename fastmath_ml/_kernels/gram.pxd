# Cython's view of gram.h; the header says what each function means.
cdef extern from "gram.h" namespace "fm" nogil:
    cppclass gram_product[T]:
        Py_ssize_t n, depth, depth_block
        const void* x
        bint from_float
        Py_ssize_t x_row
        const T* shift
        double* sums
        T* packed
        T* c
        Py_ssize_t c_row
        bint accumulate

    void multiply_gram[T](const gram_product[T]& g) noexcept
