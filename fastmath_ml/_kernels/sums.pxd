# Cython's view of sums.h; the header says what each function means.
cdef extern from "sums.h" namespace "fm" nogil:
    void add_array[Total, T](Total* total, const T* partial, Py_ssize_t n) noexcept
    void add_number(void* total, const void* partial, void* context) noexcept
