"""Mean and variance along any axis, centring, and the covariance matrix.

An array is (n_outer, n, n_inner) and is reduced over n, in one pass at memory speed and in double
precision throughout (moments.h says how):

    n_inner = 1     along the line, in blocks; short lines are transposed, 64 at a time
    n_inner > 1     across a strip of columns; several rows are taken as one where there are few

A few long lines are cut into segments fixed by the shape, merged in their order.

The covariance matrix is the product of the centred data with itself, of which the GEMM engine
computes one triangle. Blocks of observations are centred into scratch memory, or as they are
packed, so that there is neither a centred copy nor the cancellation of X^T X - n m m^T. Segments of
the observations, fixed by the shape, are the work of the threads while the result is small; they
are added up in double. The blocks of a larger result are the work of the threads, one block of
observations after another.
"""

from libc.math cimport INFINITY
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.blocks cimport Product, multiply_blocks, multiply_gram_alone
from fastmath_ml._kernels.convert cimport AS_COMPUTED, FLOAT32
from fastmath_ml._kernels.plain cimport Axis, plain_kind, split_axis
from fastmath_ml._kernels.pool cimport (
    OUT_OF_MEMORY, ordered_reduce, parallel_for, raise_flag, thread_scratch,
)
from fastmath_ml._kernels.simd cimport ceil_div
from fastmath_ml._kernels.sums cimport add_array

cnp.import_array()

cdef extern from "moments.h" namespace "fm" nogil:
    cppclass moment:
        double n, mean, rest, m2

    cppclass moment_task:
        Py_ssize_t itemsize, n_outer, n, n_inner, first, end, strips, grouped
        const void* x
        void* mean
        void* variance
        double* count
        double ddof
        int squares, omit, root, wide_results
        int* is_short

    const Py_ssize_t STRIP, SHORT_LINE, SHORT_GROUP, ROW_BLOCK
    void moment_items(const moment_task&, Py_ssize_t begin, Py_ssize_t end,
                      moment* partial) noexcept
    void merge_moments(const moment_task&, moment* total, const moment* partial) noexcept
    void emit(const moment_task&, Py_ssize_t at, const moment&) noexcept
    void centre_row[T, Out](const T* x, Py_ssize_t n, const double* mean, Py_ssize_t mean_step,
                            const double* factor, Py_ssize_t factor_step, bint divide,
                            Out* out) noexcept

cdef extern from "covariance.h" namespace "fm" nogil:
    void centre_floats(const float* x, Py_ssize_t n, const float* high, const float* low,
                       Py_ssize_t step, float* out) noexcept
    void shift_lines[X, T](const X* x, Py_ssize_t stride, Py_ssize_t n, Py_ssize_t n_lines,
                           const T* shift, T* out, Py_ssize_t out_stride, double* sums) noexcept

cdef enum:
    SEGMENT = 1 << 16               # elements of a line, or of a column times their number
    # The largest number of features whose products are summed segment by segment.
    FEW_FEATURES = 256
    # Observations of a segment and of a block that is centred at once, and bytes of the latter.
    COVARIANCE_SEGMENT = 2048
    COVARIANCE_BLOCK = 256
    WIDE_BLOCK = 512                # observations at least, of more features
    WIDE_BLOCK_BYTES = 8 << 20
    SUM_LANES = 16                  # room behind the sums for a whole vector
    SCRATCH_CENTRED = 2
    SCRATCH_PRODUCT = 3

MOST_SHIFTED = FEW_FEATURES     # features, of data whose mean is not known before


# ---- mean and variance ----

cdef void items_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    moment_items((<moment_task*>context)[0], begin, end, NULL)


cdef void segment_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    cdef moment_task task = (<moment_task*>context)[0]
    task.first = begin
    task.end = end
    moment_items(task, 0, task.n_outer * task.strips, <moment*>partial)


cdef void merge_segment(void* total, const void* partial, void* context) noexcept nogil:
    merge_moments((<moment_task*>context)[0], <moment*>total, <const moment*>partial)


cdef int run(moment_task* task) except -1 nogil:
    """Assumes n_outer, n and n_inner of at least 1."""
    cdef Py_ssize_t n_items, n_results = task.n_outer * task.n_inner, i
    cdef double work_ns = <double>n_results * task.n * task.itemsize / 24.0
    cdef moment* total
    task.first = 0
    task.end = task.n
    task.strips = 1 if task.n_inner == 1 else ceil_div(task.n_inner, STRIP)
    task.grouped = task.n_inner == 1 and task.n <= SHORT_LINE and task.n_outer >= 8
    n_items = task.n_outer * task.strips
    if n_items <= 16 and task.n * task.n_inner >= 4 * SEGMENT and task.n >= 2 * ROW_BLOCK:
        total = <moment*>thread_scratch(0, n_results * sizeof(moment))
        if total == NULL:
            return OUT_OF_MEMORY
        memset(<void*>total, 0, n_results * sizeof(moment))
        ordered_reduce(task.n, max(SEGMENT // task.n_inner, ROW_BLOCK),
                       n_results * sizeof(moment), work_ns, segment_body, merge_segment, total,
                       task)
        for i in range(n_results):
            emit(task[0], i, total[i])
        return 0
    if task.grouped:
        n_items = ceil_div(task.n_outer, SHORT_GROUP)
        work_ns *= 4
    return parallel_for(n_items, 1, work_ns + 5.0 * n_items, items_body, task)


cdef run_or_raise(moment_task* task):
    cdef int status
    if task.n_outer * task.n * task.n_inner < 512:
        status = run(task)
    else:
        with nogil:
            status = run(task)
    if status:
        raise MemoryError("no scratch memory for the moments")


def moments_plain(x, axis, int kind, double ddof):
    """Mean (kind 0), variance (1) or standard deviation (2); None where x or axis is not so plain.

    The common case, recognised before any general code runs: a C-ordered float32 or float64 array,
    axis None or an integer, a degree of freedom left.
    """
    cdef cnp.ndarray a, c
    cdef moment_task task
    cdef Axis split
    cdef int dtype = plain_kind(x), is_short = 0
    if dtype == cnp.NPY_NOTYPE:
        return None
    a = x
    if not split_axis(a, axis, &split):
        return None
    task.n_outer, task.n, task.n_inner = split.outer, split.length, split.inner
    if task.n == 0 or task.n_outer * task.n_inner == 0 or task.n <= ddof:
        return None
    c = cnp.PyArray_SimpleNew(split.n_kept, split.kept, dtype)
    task.x = cnp.PyArray_DATA(a)
    task.itemsize = cnp.PyArray_ITEMSIZE(a)
    task.mean = NULL if kind else cnp.PyArray_DATA(c)
    task.variance = cnp.PyArray_DATA(c) if kind else NULL
    task.count = NULL
    task.ddof = ddof
    task.squares = kind > 0
    task.omit = task.wide_results = 0
    task.root = kind == 2
    task.is_short = &is_short
    run_or_raise(&task)
    return c if split.n_kept else cnp.PyArray_ToScalar(cnp.PyArray_DATA(c), c)


def moments(cnp.ndarray x, mean, variance, count, double ddof, bint root, bint omit):
    """Mean, variance (its root) and number of elements over axis 1; what is None is not wanted.

    x is C-ordered (n_outer, n, n_inner), float32 or float64, and not empty; mean and variance are
    C-ordered (n_outer, n_inner), both float64 or both as x; count is float64. omit leaves NaN out.
    True where a result has no degree of freedom left. The caller has checked all this.
    """
    cdef moment_task task
    cdef int is_short = 0
    cdef cnp.ndarray result = variance if mean is None else mean
    task.x = cnp.PyArray_DATA(x)
    task.itemsize = cnp.PyArray_ITEMSIZE(x)
    task.n_outer = cnp.PyArray_DIM(x, 0)
    task.n = cnp.PyArray_DIM(x, 1)
    task.n_inner = cnp.PyArray_DIM(x, 2)
    task.mean = NULL if mean is None else cnp.PyArray_DATA(mean)
    task.variance = NULL if variance is None else cnp.PyArray_DATA(variance)
    task.count = NULL
    if count is not None:
        task.count = <double*>cnp.PyArray_DATA(count)
    task.ddof = ddof
    task.squares = variance is not None
    task.omit = omit
    task.root = root
    task.wide_results = cnp.PyArray_ITEMSIZE(result) == 8
    task.is_short = &is_short
    run_or_raise(&task)
    return is_short != 0


# ---- (x - mean) factor ----

cdef struct Centring:
    Py_ssize_t n, n_inner
    int types                       # bytes of x and of out: 44, 48, 88 or 84
    const void* x
    void* out
    const double* mean
    const double* factor
    bint divide


cdef void centre(int types, const void* x, Py_ssize_t at, Py_ssize_t n, const double* mean,
                 Py_ssize_t mean_step, const double* factor, Py_ssize_t factor_step, bint divide,
                 void* out, Py_ssize_t out_at) noexcept nogil:
    """out[out_at:] = (x[at:] - mean) factor, n elements."""
    if types == 44:
        centre_row(<const float*>x + at, n, mean, mean_step, factor, factor_step, divide,
                   <float*>out + out_at)
    elif types == 88:
        centre_row(<const double*>x + at, n, mean, mean_step, factor, factor_step, divide,
                   <double*>out + out_at)
    elif types == 48:
        centre_row(<const float*>x + at, n, mean, mean_step, factor, factor_step, divide,
                   <double*>out + out_at)
    else:
        centre_row(<const double*>x + at, n, mean, mean_step, factor, factor_step, divide,
                   <float*>out + out_at)


cdef void centre_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    """Items are the rows of (n_outer n, n_inner), or elements where n_inner is 1."""
    cdef const Centring* p = <const Centring*>context
    cdef Py_ssize_t item, outer, n
    if p.n_inner == 1:
        while begin < end:
            outer = begin // p.n
            n = min(end, (outer + 1) * p.n) - begin
            centre(p.types, p.x, begin, n, p.mean + outer, 0, p.factor + outer, 0, p.divide,
                   p.out, begin)
            begin += n
        return
    for item in range(begin, end):
        outer = item // p.n * p.n_inner
        centre(p.types, p.x, item * p.n_inner, p.n_inner, p.mean + outer, 1, p.factor + outer, 1,
               p.divide, p.out, item * p.n_inner)


def centre_and_scale(cnp.ndarray x, cnp.ndarray mean, cnp.ndarray factor, cnp.ndarray out,
                     bint divide):
    """out = (x - mean) factor, or (x - mean) / factor, along axis 1.

    x and out are C-ordered (n_outer, n, n_inner), float32 or float64; mean and factor float64
    (n_outer, n_inner); out is x or apart from it. The caller has checked all this.
    """
    cdef Centring p
    cdef Py_ssize_t n_items = cnp.PyArray_DIM(x, 0) * cnp.PyArray_DIM(x, 1)
    p.n = cnp.PyArray_DIM(x, 1)
    p.n_inner = cnp.PyArray_DIM(x, 2)
    p.types = 10 * cnp.PyArray_ITEMSIZE(x) + cnp.PyArray_ITEMSIZE(out)
    p.x = cnp.PyArray_DATA(x)
    p.out = cnp.PyArray_DATA(out)
    p.mean = <const double*>cnp.PyArray_DATA(mean)
    p.factor = <const double*>cnp.PyArray_DATA(factor)
    p.divide = divide
    with nogil:
        parallel_for(n_items, 1, <double>cnp.PyArray_SIZE(x) * (p.types % 10) / 12.0, centre_body,
                     &p)


# ---- covariance ----

# x has one feature per column, or, where by_features, one per row. `roots` are the square roots of
# the weights of the observations.
cdef struct Covariance:
    const void* x
    Py_ssize_t stride               # elements from one row to the next
    Py_ssize_t n, n_features
    bint by_features
    int types                       # bytes of an element of x and of the products
    const double* mean
    const float* high               # mean = high + low for float32 without weights, or NULL
    const float* low
    const double* roots
    double* sums                    # of x - mean, where that is not the mean but a number near it
    void* centred                   # a block that is being filled by all threads
    Py_ssize_t first, block
    bint failed


cdef void centre_part(const Covariance* p, Py_ssize_t first, Py_ssize_t n, void* out,
                      Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Rows begin to end of the block of the observations first to first + n: observations, or
    features of n observations each.
    """
    cdef double one = 1.0
    cdef const double* factor = &one
    cdef Py_ssize_t i
    for i in range(begin, end):
        if p.high != NULL and p.by_features:
            centre_floats(<const float*>p.x + i * p.stride + first, n, p.high + i, p.low + i, 0,
                          <float*>out + i * p.block)
        elif p.high != NULL:
            centre_floats(<const float*>p.x + (first + i) * p.stride, p.n_features, p.high, p.low,
                          1, <float*>out + i * p.n_features)
        elif p.by_features:
            if p.roots != NULL:
                factor = p.roots + first
            centre(p.types, p.x, i * p.stride + first, n, p.mean + i, 0, factor, p.roots != NULL,
                   False, out, i * p.block)
        else:
            if p.roots != NULL:
                factor = p.roots + first + i
            centre(p.types, p.x, (first + i) * p.stride, p.n_features, p.mean, 1, factor, 0,
                   False, out, i * p.n_features)


cdef inline Py_ssize_t product_bytes(const Covariance* p) noexcept nogil:
    """Of what a segment gives before the sums begin, whole cache lines."""
    return (p.n_features * p.n_features * (p.types % 10) + 63) // 64 * 64


cdef inline Py_ssize_t sum_bytes(const Covariance* p) noexcept nogil:
    return (p.n_features + SUM_LANES) * sizeof(double) if p.sums != NULL else 0


cdef void product_of(const Covariance* p, const void* centred, Py_ssize_t n, void* out,
                     bint accumulate, Product* q) noexcept nogil:
    """q becomes out (+)= C^T C for the block C of n observations."""
    memset(q, 0, sizeof(Product))
    q.itemsize = p.types % 10
    q.n_rows = q.n_cols = q.c_row = p.n_features
    q.depth = n
    q.a = q.b = centred
    q.a_row = q.b_col = p.block if p.by_features else 1
    q.a_depth = q.b_depth = 1 if p.by_features else p.n_features
    q.c = out
    q.symmetric = True
    q.accumulate = accumulate


cdef void covariance_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                             void* context) noexcept nogil:
    cdef Covariance* p = <Covariance*>context
    cdef Py_ssize_t n, first = begin, size = p.types % 10, x_size = p.types // 10
    cdef const char* x = <const char*>p.x
    cdef double* sums = <double*>(<char*>partial + product_bytes(p))
    cdef const void* shift
    cdef void* centred
    cdef Product q
    memset(sums, 0, sum_bytes(p))
    if p.sums != NULL and not p.by_features:
        product_of(p, x + begin * p.stride * x_size, end - begin, partial, False, &q)
        q.a_depth = q.b_depth = p.stride
        shift = p.high if size == 4 else <const void*>p.mean
        if multiply_gram_alone(&q, x_size == 4, shift, sums):
            raise_flag(&p.failed)
        return
    centred = thread_scratch(SCRATCH_CENTRED, p.block * p.n_features * size)
    if centred == NULL:
        raise_flag(&p.failed)
        return
    while begin < end:
        n = min(p.block, end - begin)
        if p.sums == NULL:
            centre_part(p, begin, n, centred, 0, p.n_features if p.by_features else n)
        elif p.types == 44:
            shift_lines(<const float*>x + begin, p.stride, n, p.n_features, p.high,
                        <float*>centred, p.block, sums)
        elif p.types == 48:
            shift_lines(<const float*>x + begin, p.stride, n, p.n_features, p.mean,
                        <double*>centred, p.block, sums)
        else:
            shift_lines(<const double*>x + begin, p.stride, n, p.n_features, p.mean,
                        <double*>centred, p.block, sums)
        product_of(p, centred, n, partial, begin > first, &q)
        if multiply_blocks(&q):
            raise_flag(&p.failed)
            return
        begin += n


cdef void add_product(void* total, const void* partial, void* context) noexcept nogil:
    cdef const Covariance* p = <const Covariance*>context
    cdef const double* sums = <const double*>(<const char*>partial + product_bytes(p))
    cdef Py_ssize_t n_products = p.n_features * p.n_features
    if p.sums != NULL:
        add_array(<double*>p.sums, sums, p.n_features)
    if p.types % 10 == 4:
        add_array(<double*>total, <const float*>partial, n_products)
    else:
        add_array(<double*>total, <const double*>partial, n_products)


cdef void centre_shared(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Covariance* p = <const Covariance*>context
    centre_part(p, p.first, min(p.block, p.n - p.first), p.centred, begin, end)


cdef int wide_covariance(Covariance* p, void* out) except -1 nogil:
    """Centred while it is packed; where it is weighted or narrowed, too, all threads do that for a
    block of observations, then share its product.
    """
    cdef Py_ssize_t n, size = p.types % 10
    cdef int status = 0
    cdef Product q
    if p.roots == NULL and p.types != 84:
        product_of(p, p.x, p.n, out, False, &q)
        q.a_row = q.b_col = p.stride if p.by_features else 1
        q.a_depth = q.b_depth = 1 if p.by_features else p.stride
        q.a_type = q.b_type = FLOAT32 if p.types == 48 else AS_COMPUTED
        q.shift = p.high if size == 4 else <const void*>p.mean
        q.low_shift = p.low
        return multiply_blocks(&q)
    p.block = max(WIDE_BLOCK, WIDE_BLOCK_BYTES // (p.n_features * size) // 16 * 16)
    p.block = min(p.block, p.n)
    p.centred = thread_scratch(SCRATCH_PRODUCT, p.block * p.n_features * size)
    if p.centred == NULL:
        return OUT_OF_MEMORY
    p.first = 0
    while p.first < p.n:
        n = min(p.block, p.n - p.first)
        parallel_for(p.n_features if p.by_features else n, 1,
                     <double>n * p.n_features * size / 12.0, centre_shared, p)
        product_of(p, p.centred, n, out, p.first > 0, &q)
        status = multiply_blocks(&q)
        if status:
            return status
        p.first += n
    return 0


cdef bint move_to_mean(const Covariance* p, double* total) noexcept nogil:
    """From the products about a shift to those about the mean; whether that cost a bit at most.

    It takes n (mean - shift)^2 from each square. What is not finite is for two passes, too.
    """
    cdef Py_ssize_t i, j
    cdef double square
    for i in range(p.n_features):
        square = total[i * p.n_features + i]
        if not (p.sums[i] * p.sums[i] / p.n <= 0.5 * square and square < INFINITY):
            return False
    for i in range(p.n_features):
        for j in range(p.n_features):
            total[i * p.n_features + j] -= p.sums[i] * p.sums[j] / p.n
    return True


def scatter_matrix(cnp.ndarray x, bint by_features, cnp.ndarray mean, weights, cnp.ndarray out,
                   sums=None):
    """out = sum over observations of w (x - mean) (x - mean)^T, symmetric to the bit.

    With `sums`, float64 (n_features,), `mean` is only near it, numbers of out's dtype: out is about
    the true mean all the same, which is mean + sums / n. False, and nothing to be used, where it
    was not near enough. With `sums` there are no weights, at most MOST_SHIFTED features and no out
    narrower than x.

    x is (n, n_features) or, by_features, (n_features, n), float32 or float64, with unit stride
    along its last axis; mean float64 (n_features,), weights float64 (n,) square roots of the
    weights or None. out is C-ordered: float64, or float32, which the products are computed in
    then. Neither n nor n_features is 0. The caller has checked all this.
    """
    cdef Covariance p
    cdef cnp.ndarray two_floats
    cdef cnp.npy_intp shape[1]
    cdef float* high
    cdef Py_ssize_t n_results, segment, i
    cdef int status = 0
    cdef double work_ns
    cdef double* total
    cdef bint is_exact = True
    memset(&p, 0, sizeof(p))
    p.x = cnp.PyArray_DATA(x)
    p.stride = cnp.PyArray_STRIDE(x, 0) // cnp.PyArray_ITEMSIZE(x)
    p.by_features = by_features
    p.n = cnp.PyArray_DIM(x, 1 if by_features else 0)
    p.n_features = cnp.PyArray_DIM(x, 0 if by_features else 1)
    p.types = 10 * cnp.PyArray_ITEMSIZE(x) + cnp.PyArray_ITEMSIZE(out)
    p.mean = <const double*>cnp.PyArray_DATA(mean)
    if weights is not None:
        p.roots = <const double*>cnp.PyArray_DATA(weights)
    elif p.types == 44:
        shape[0] = 2 * p.n_features
        two_floats = cnp.PyArray_SimpleNew(1, shape, cnp.NPY_FLOAT32)
        high = <float*>cnp.PyArray_DATA(two_floats)
        for i in range(p.n_features):
            high[i] = <float>p.mean[i]
            high[p.n_features + i] = <float>(p.mean[i] - high[i])
        p.high = high
        p.low = high + p.n_features
    n_results = p.n_features * p.n_features
    if sums is not None:
        p.sums = <double*>cnp.PyArray_DATA(sums)
        memset(p.sums, 0, p.n_features * sizeof(double))
    if p.n_features > FEW_FEATURES:
        with nogil:
            status = wide_covariance(&p, cnp.PyArray_DATA(out))
    else:
        p.block = min(<Py_ssize_t>COVARIANCE_BLOCK, p.n)
        work_ns = <double>p.n * n_results * (p.types % 10) / 800.0 + 1.0 * p.n * p.n_features
        with nogil:
            total = <double*>thread_scratch(SCRATCH_PRODUCT, n_results * sizeof(double))
            if total == NULL:
                status = OUT_OF_MEMORY
            else:
                memset(total, 0, n_results * sizeof(double))
                # Four segments or more, whose sums are not much beside their products.
                segment = min(max((p.n + 63) // 64 * 16, COVARIANCE_BLOCK), COVARIANCE_SEGMENT)
                ordered_reduce(p.n, segment, product_bytes(&p) + sum_bytes(&p),
                               work_ns, covariance_segment, add_product, total, &p)
                if p.sums != NULL:
                    is_exact = move_to_mean(&p, total)
        if status == 0:
            copy_total(total, cnp.PyArray_DATA(out), n_results, p.types % 10 == 4)
    if status or p.failed:
        raise MemoryError("no scratch memory for a block of the centred data")
    return is_exact


cdef void copy_total(const double* total, void* out, Py_ssize_t n, bint narrow) noexcept:
    cdef Py_ssize_t i
    for i in range(n):
        if narrow:
            (<float*>out)[i] = <float>total[i]
        else:
            (<double*>out)[i] = total[i]
