"""numpy.linalg on stacks of small matrices, at most SMALL rows and columns.

Each function takes the raw arguments, recognises the common case (exact arrays of native float32 or
float64 in C order, right shapes) before any general code runs, and returns None where it is not.
Groups of LANES matrices go through the headers small_*.h, one matrix in each lane; the threads
share the stack. A single matrix is a group with one lane in use: the same instructions, so the same
bits as anywhere in a stack, in the time that scalar code would take.

A matrix that is singular or not positive definite raises numpy's LinAlgError. Where a matrix has a
NaN or an infinity, or an iteration does not converge, the functions return None, or with `partial`
their results, in which the caller replaces those of such matrices.
"""

from cython cimport floating as real

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport parallel_for, thread_scratch
from fastmath_ml._kernels.simd cimport ceil_div
from fastmath_ml._kernels.small_stack cimport (
    LANES, SMALL, SMALL_OUT_OF_MEMORY, SMALL_SINGULAR, batch, eigh_scratch, lstsq_scratch,
    lu_scratch, qr_scratch, small_cholesky, small_determinant, small_eigh, small_lstsq, small_pinv,
    small_qr, small_solve, small_svd, svd_scratch,
)

from numpy.linalg import LinAlgError

cnp.import_array()

LARGEST = SMALL

cdef extern from *:
    """
    static inline void fm_report(int *status, int found) {
        if (found) __atomic_fetch_or(status, found, __ATOMIC_RELAXED);
    }
    """
    void report "fm_report"(int* status, int found) noexcept nogil

ctypedef enum Operation:
    SOLVE
    DETERMINANT
    CHOLESKY
    QR
    EIGH
    SVD
    PINV
    LSTSQ

cdef struct Stack:
    Operation operation
    bint is_float
    Py_ssize_t n_matrices, n_rows, n_cols
    Py_ssize_t n_batches        # of scratch memory
    const void* a
    Py_ssize_t a_step           # elements; 0 where one matrix serves all
    const void* b
    Py_ssize_t b_step
    Py_ssize_t n_rhs
    void* first                 # the results, NULL where not wanted
    void* second
    void* third
    void* fourth
    Py_ssize_t q_cols
    bint option                 # upper or full
    double rcond
    int status


cdef inline real* item(void* results, Py_ssize_t at, real zero) noexcept nogil:
    return <real*>results + at if results != NULL else NULL


cdef int run_group(const Stack* s, Py_ssize_t at, Py_ssize_t count, batch* scratch,
                   real zero) noexcept nogil:
    cdef Py_ssize_t m = s.n_rows, n = s.n_cols, k = min(m, n)
    cdef const real* a = <const real*>s.a + at * s.a_step
    if s.operation == SOLVE:
        return small_solve(a, s.a_step, <const real*>item(<void*>s.b, at * s.b_step, zero),
                           s.b_step, item(s.first, at * n * s.n_rhs, zero), n, s.n_rhs, count,
                           scratch)
    if s.operation == DETERMINANT:
        return small_determinant(a, item(s.first, at, zero), item(s.second, at, zero), n, count,
                                 scratch)
    if s.operation == CHOLESKY:
        return small_cholesky(a, item(s.first, at * n * n, zero), n, s.option, count, scratch)
    if s.operation == QR:
        return small_qr(a, item(s.first, at * m * s.q_cols, zero),
                        item(s.second, at * s.q_cols * n, zero), item(s.third, at * m * n, zero),
                        item(s.fourth, at * k, zero), m, n, s.q_cols, count, scratch)
    if s.operation == EIGH:
        return small_eigh(a, s.option, item(s.first, at * n, zero),
                          item(s.second, at * n * n, zero), n, count, scratch)
    if s.operation == SVD:
        return small_svd(a, item(s.first, at * m * (m if s.option else k), zero),
                         item(s.second, at * k, zero),
                         item(s.third, at * (n if s.option else k) * n, zero), m, n, s.option,
                         count, scratch)
    if s.operation == LSTSQ:
        return small_lstsq(a, <const real*>s.b, <real*>s.first, <real*>s.second, <real*>s.third,
                           <real*>s.fourth, m, n, s.n_rhs, s.rcond, count, scratch)
    return small_pinv(a, item(s.first, at * m * n, zero), m, n, s.rcond, count, scratch)


cdef void groups_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Stack* s = <Stack*>context
    cdef Py_ssize_t count
    cdef int status = 0
    cdef batch* scratch = <batch*>thread_scratch(0, s.n_batches * <Py_ssize_t>sizeof(batch))
    if scratch == NULL:
        report(&s.status, SMALL_OUT_OF_MEMORY)
        return
    while begin < end:
        count = min(<Py_ssize_t>LANES, end - begin)
        if s.is_float:
            status |= run_group(s, begin, count, scratch, <float>0)
        else:
            status |= run_group(s, begin, count, scratch, <double>0)
        begin += count
    report(&s.status, status)


cdef bint run(Stack* s, double group_ns, bint partial) except -1:
    """Whether the results are to be returned. group_ns: the cost of LANES matrices."""
    cdef Py_ssize_t n_groups = ceil_div(s.n_matrices, LANES)
    s.status = 0
    if n_groups == 0:
        return True
    if n_groups * group_ns < 10000:
        groups_body(0, s.n_matrices, s)
    else:
        with nogil:
            parallel_for(s.n_matrices, LANES, n_groups * group_ns, groups_body, s)
    if s.status & SMALL_OUT_OF_MEMORY:
        raise MemoryError("no memory for a group of matrices")
    if s.status & SMALL_SINGULAR:
        raise LinAlgError("Matrix is not positive definite" if s.operation == CHOLESKY
                          else "Singular matrix")
    return partial or s.status == 0


cdef bint is_small_stack(x) noexcept:
    """A stack of matrices of native float32 or float64 in C order, neither empty nor large."""
    cdef cnp.ndarray a
    cdef int kind, n_axes
    if not cnp.PyArray_CheckExact(x):
        return False
    a = x
    kind = cnp.PyArray_TYPE(a)
    n_axes = cnp.PyArray_NDIM(a)
    return ((kind == cnp.NPY_FLOAT64 or kind == cnp.NPY_FLOAT32) and n_axes >= 2
            and cnp.PyArray_ISCARRAY_RO(a)
            and 0 < cnp.PyArray_DIM(a, n_axes - 1) <= SMALL
            and 0 < cnp.PyArray_DIM(a, n_axes - 2) <= SMALL)


cdef bint describe(Stack* s, x, Operation operation, bint square) noexcept:
    cdef cnp.ndarray a
    cdef int n_axes, i
    if not is_small_stack(x):
        return False
    a = x
    n_axes = cnp.PyArray_NDIM(a)
    s.operation = operation
    s.is_float = cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32
    s.n_rows = cnp.PyArray_DIM(a, n_axes - 2)
    s.n_cols = cnp.PyArray_DIM(a, n_axes - 1)
    if square and s.n_rows != s.n_cols:
        return False
    s.n_matrices = 1
    for i in range(n_axes - 2):
        s.n_matrices *= cnp.PyArray_DIM(a, i)
    s.a = cnp.PyArray_DATA(a)
    s.a_step = s.n_rows * s.n_cols
    s.b = s.first = s.second = s.third = s.fourth = NULL
    s.option = False
    return True


cdef cnp.ndarray result(cnp.ndarray a, int n_core, Py_ssize_t rows, Py_ssize_t cols):
    """A new array: the stack of a, then the last n_core of (rows, cols)."""
    cdef cnp.npy_intp shape[64]
    cdef int n_axes = cnp.PyArray_NDIM(a) - 2, i
    for i in range(n_axes):
        shape[i] = cnp.PyArray_DIM(a, i)
    if n_core == 2:
        shape[n_axes] = rows
        n_axes += 1
    if n_core:
        shape[n_axes] = cols
        n_axes += 1
    return cnp.PyArray_SimpleNew(n_axes, shape, cnp.PyArray_TYPE(a))


def solve_plain(x, y, bint partial=False):
    """x^-1 y. y: one vector for all, or matrices.

    x and y have one dtype, and their stacks are equal or one of them is a single matrix.
    """
    cdef Stack s
    cdef cnp.ndarray b, out
    cdef int n_axes, a_axes, kind
    cdef Py_ssize_t i, b_matrices = 1
    if not describe(&s, x, SOLVE, True) or not cnp.PyArray_CheckExact(y):
        return None
    b = y
    kind = cnp.PyArray_TYPE(b)
    n_axes = cnp.PyArray_NDIM(b)
    a_axes = cnp.PyArray_NDIM(x)
    if kind != cnp.PyArray_TYPE(x) or n_axes == 0 or not cnp.PyArray_ISCARRAY_RO(b):
        return None
    s.n_rhs = 1 if n_axes == 1 else cnp.PyArray_DIM(b, n_axes - 1)
    if cnp.PyArray_DIM(b, 0 if n_axes == 1 else n_axes - 2) != s.n_rows or s.n_rhs == 0:
        return None
    for i in range(n_axes - 2):
        b_matrices *= cnp.PyArray_DIM(b, i)
    s.b_step = s.n_rows * s.n_rhs
    if n_axes <= 2:
        out = result(x, min(n_axes, 2), s.n_rows, s.n_rows if n_axes == 1 else s.n_rhs)
        if a_axes > 2:
            s.b_step = 0
    elif a_axes == 2:
        out = result(b, 2, s.n_rows, s.n_rhs)
        s.a_step = 0
        s.n_matrices = b_matrices
    elif n_axes == a_axes and cnp.PyArray_CompareLists(
            cnp.PyArray_DIMS(b), cnp.PyArray_DIMS(x), n_axes - 2):
        out = result(b, 2, s.n_rows, s.n_rhs)
    else:
        return None
    s.b = cnp.PyArray_DATA(b)
    s.first = cnp.PyArray_DATA(out)
    s.n_batches = lu_scratch(s.n_rows)
    return out if run(&s, solve_ns(s.n_rows, s.n_rhs), partial) else None


cdef double solve_ns(Py_ssize_t n, Py_ssize_t n_rhs) noexcept:
    return 50 + 10.0 * n * n + 0.15 * n * n * n + 0.3 * n * n * n_rhs


def inv_plain(x, bint partial=False):
    """x^-1, from the factors and the columns of the identity."""
    cdef Stack s
    cdef cnp.ndarray out
    if not describe(&s, x, SOLVE, True):
        return None
    out = result(x, 2, s.n_rows, s.n_rows)
    s.n_rhs = s.n_rows
    s.b_step = 0
    s.first = cnp.PyArray_DATA(out)
    s.n_batches = lu_scratch(s.n_rows)
    return out if run(&s, solve_ns(s.n_rows, s.n_rows), partial) else None


def det_plain(x, bint partial=False):
    cdef Stack s
    cdef cnp.ndarray out
    if not describe(&s, x, DETERMINANT, True):
        return None
    out = result(x, 0, 0, 0)
    s.first = cnp.PyArray_DATA(out)
    s.n_batches = lu_scratch(s.n_rows)
    if not run(&s, solve_ns(s.n_rows, 0), partial):
        return None
    return out if cnp.PyArray_NDIM(out) else out[()]


def slogdet_plain(x, bint partial=False):
    cdef Stack s
    cdef cnp.ndarray sign, log_abs
    if not describe(&s, x, DETERMINANT, True):
        return None
    sign = result(x, 0, 0, 0)
    log_abs = result(x, 0, 0, 0)
    s.first = cnp.PyArray_DATA(sign)
    s.second = cnp.PyArray_DATA(log_abs)
    s.n_batches = lu_scratch(s.n_rows)
    if not run(&s, solve_ns(s.n_rows, 0), partial):
        return None
    return (sign, log_abs) if cnp.PyArray_NDIM(sign) else (sign[()], log_abs[()])


def cholesky_plain(x, bint upper, bint partial=False):
    cdef Stack s
    cdef cnp.ndarray out
    if not describe(&s, x, CHOLESKY, True):
        return None
    out = result(x, 2, s.n_rows, s.n_rows)
    s.option = upper
    s.first = cnp.PyArray_DATA(out)
    s.n_batches = s.n_rows * s.n_rows + LANES
    return out if run(&s, solve_ns(s.n_rows, 0), partial) else None


def qr_plain(x, str mode, bint partial=False):
    """(Q, R) for 'reduced' and 'complete', R for 'r', (h, tau) for 'raw'."""
    cdef Stack s
    cdef cnp.ndarray q, r
    cdef Py_ssize_t k
    cdef double group_ns
    if not describe(&s, x, QR, False):
        return None
    k = min(s.n_rows, s.n_cols)
    s.q_cols = s.n_rows if mode == "complete" else k
    s.n_batches = qr_scratch(s.n_rows, s.n_cols)
    group_ns = 100 + 1.0 * s.n_rows * k * (s.n_cols + s.q_cols)
    if mode == "raw":
        q = result(x, 2, s.n_cols, s.n_rows)
        r = result(x, 1, 0, k)
        s.third = cnp.PyArray_DATA(q)
        s.fourth = cnp.PyArray_DATA(r)
        return (q, r) if run(&s, group_ns, partial) else None
    r = result(x, 2, s.q_cols, s.n_cols)
    s.second = cnp.PyArray_DATA(r)
    if mode == "r":
        return r if run(&s, group_ns, partial) else None
    q = result(x, 2, s.n_rows, s.q_cols)
    s.first = cnp.PyArray_DATA(q)
    return (q, r) if run(&s, group_ns, partial) else None


def eigh_plain(x, bint upper, bint with_vectors, bint partial=False):
    """(w, v), or w alone."""
    cdef Stack s
    cdef cnp.ndarray w, v
    cdef double n
    if not describe(&s, x, EIGH, True):
        return None
    n = s.n_rows
    s.option = upper
    w = result(x, 1, 0, s.n_rows)
    s.first = cnp.PyArray_DATA(w)
    s.n_batches = eigh_scratch(s.n_rows)
    if not with_vectors:
        return w if run(&s, 50 + 50 * n * n + 0.5 * n * n * n, partial) else None
    v = result(x, 2, s.n_rows, s.n_rows)
    s.second = cnp.PyArray_DATA(v)
    return (w, v) if run(&s, 50 + 50 * n * n + 2 * n * n * n, partial) else None


def svd_plain(x, bint full, bint with_vectors, bint partial=False):
    """(u, s, vh), or s alone."""
    cdef Stack s
    cdef cnp.ndarray u, values, vh
    cdef Py_ssize_t k
    cdef double group_ns
    if not describe(&s, x, SVD, False):
        return None
    k = min(s.n_rows, s.n_cols)
    s.option = full
    values = result(x, 1, 0, k)
    s.second = cnp.PyArray_DATA(values)
    s.n_batches = svd_scratch(s.n_rows, s.n_cols)
    group_ns = 100 + 3.0 * k * k * (40 + 2 * s.n_rows + 2 * s.n_cols)
    if not with_vectors:
        return values if run(&s, group_ns / 2, partial) else None
    u = result(x, 2, s.n_rows, s.n_rows if full else k)
    vh = result(x, 2, s.n_cols if full else k, s.n_cols)
    s.first = cnp.PyArray_DATA(u)
    s.third = cnp.PyArray_DATA(vh)
    return (u, values, vh) if run(&s, group_ns, partial) else None


def pinv_plain(x, double rcond, bint partial=False):
    cdef Stack s
    cdef cnp.ndarray out
    cdef Py_ssize_t k
    if not describe(&s, x, PINV, False):
        return None
    k = min(s.n_rows, s.n_cols)
    out = result(x, 2, s.n_cols, s.n_rows)
    s.rcond = rcond
    s.first = cnp.PyArray_DATA(out)
    s.n_batches = svd_scratch(s.n_rows, s.n_cols)
    return out if run(&s, 100 + 3.0 * k * k * (40 + 2 * s.n_rows + 2 * s.n_cols), partial) else None


def lstsq_plain(x, y, double rcond):
    """(solution, squared residuals, rank, singular values) of one matrix; y as x in dtype."""
    cdef Stack s
    cdef cnp.ndarray a, b, out, residual_sq, values
    cdef double rank
    cdef float rank_float
    cdef Py_ssize_t n_rhs
    if not describe(&s, x, LSTSQ, False) or not is_small_stack(y):
        return None
    a = x
    b = y
    s.n_rhs = n_rhs = cnp.PyArray_DIM(b, 1)
    if (cnp.PyArray_NDIM(a) != 2 or cnp.PyArray_NDIM(b) != 2
            or cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(b) or cnp.PyArray_DIM(b, 0) != s.n_rows):
        return None
    out = result(a, 2, s.n_cols, n_rhs)
    residual_sq = result(a, 1, 0, n_rhs)
    values = result(a, 1, 0, min(s.n_rows, s.n_cols))
    s.b = cnp.PyArray_DATA(b)
    s.first = cnp.PyArray_DATA(out)
    s.second = cnp.PyArray_DATA(residual_sq)
    s.third = <void*>&rank_float if s.is_float else <void*>&rank
    s.fourth = cnp.PyArray_DATA(values)
    s.rcond = rcond
    s.n_batches = lstsq_scratch(s.n_rows, s.n_cols, n_rhs)
    if not run(&s, 0, False):
        return None
    return out, residual_sq, <int>(rank_float if s.is_float else rank), values
