# Cython's view of finish.h; the header says what each name means.
cdef extern from "finish.h" namespace "fm" nogil:
    cdef enum:
        THEN_NOTHING
        THEN_EXP
        THEN_POWER
        THEN_TANH

    ctypedef struct finish_context:
        int then
        double power

    cppclass affine:
        affine() noexcept

    void set_affine(finish_context& context, double factor, double offset, double low,
                    double high) noexcept

    void finish_rows[T](Py_ssize_t rows, Py_ssize_t cols, T* c, Py_ssize_t c_row,
                        const finish_context& context) noexcept
