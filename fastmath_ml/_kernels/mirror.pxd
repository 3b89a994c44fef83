cdef extern from "mirror.h" namespace "fm" nogil:
    void mirror_block[T](T* c, Py_ssize_t c_row, Py_ssize_t first_row, Py_ssize_t end_row,
                         Py_ssize_t first_col, Py_ssize_t end_col) noexcept
