# The groups of small_*.h as Cython sees them, and what small.pyx hands to the threads.
cdef extern from "small_lu.h" namespace "fm" nogil:
    cppclass batch:
        pass

    enum:
        LANES "fm::LANES"
        SMALL "fm::SMALL"
        SMALL_NOT_FINITE "fm::SMALL_NOT_FINITE"
        SMALL_SINGULAR "fm::SMALL_SINGULAR"
        SMALL_NOT_CONVERGED "fm::SMALL_NOT_CONVERGED"
        SMALL_OUT_OF_MEMORY "fm::SMALL_OUT_OF_MEMORY"

    Py_ssize_t lu_scratch(Py_ssize_t n) noexcept
    int small_solve[T](const T* a, Py_ssize_t a_step, const T* b, Py_ssize_t b_step, T* x,
                       Py_ssize_t n, Py_ssize_t n_rhs, Py_ssize_t count, batch* scratch) noexcept
    int small_determinant[T](const T* a, T* sign, T* log_abs, Py_ssize_t n, Py_ssize_t count,
                             batch* scratch) noexcept
    int small_cholesky[T](const T* a, T* out, Py_ssize_t n, bint upper, Py_ssize_t count,
                          batch* scratch) noexcept


cdef extern from "small_qr.h" namespace "fm" nogil:
    Py_ssize_t qr_scratch(Py_ssize_t n_rows, Py_ssize_t n_cols) noexcept
    int small_qr[T](const T* a, T* q, T* r, T* h, T* tau, Py_ssize_t n_rows, Py_ssize_t n_cols,
                    Py_ssize_t q_cols, Py_ssize_t count, batch* scratch) noexcept


cdef extern from "small_eigh.h" namespace "fm" nogil:
    Py_ssize_t eigh_scratch(Py_ssize_t n) noexcept
    int small_eigh[T](const T* a, bint upper, T* w, T* v, Py_ssize_t n, Py_ssize_t count,
                      batch* scratch) noexcept


cdef extern from "small_svd.h" namespace "fm" nogil:
    Py_ssize_t svd_scratch(Py_ssize_t n_rows, Py_ssize_t n_cols) noexcept
    int small_svd[T](const T* a, T* u, T* s, T* vh, Py_ssize_t n_rows, Py_ssize_t n_cols,
                     bint full, Py_ssize_t count, batch* scratch) noexcept
    int small_pinv[T](const T* a, T* out, Py_ssize_t n_rows, Py_ssize_t n_cols, double rcond,
                      Py_ssize_t count, batch* scratch) noexcept
    Py_ssize_t lstsq_scratch(Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_rhs) noexcept
    int small_lstsq[T](const T* a, const T* b, T* x, T* residual_sq, T* rank, T* s,
                       Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t n_rhs, double rcond,
                       Py_ssize_t count, batch* scratch) noexcept
