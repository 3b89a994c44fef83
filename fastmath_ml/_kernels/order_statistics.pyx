"""Order statistics along any axis, histograms, and the least and largest element.

Lines are shared out among the threads; a few huge lines are sifted by all threads together, in
parts that append what they keep to one buffer. Which part comes first is chance, but the element of
a rank is the same whatever the order (order_statistics.h). Memory beyond the results: a line, or as
many columns as a vector has lanes, per thread; 8 MiB for huge lines.
"""

from cython cimport floating as real
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport (
    OUT_OF_MEMORY, ordered_reduce, parallel_for, raise_flag, thread_scratch,
)
from fastmath_ml._kernels.simd cimport ceil_div, vlanes
from fastmath_ml._kernels.sums cimport add_array

cnp.import_array()

cdef extern from "order_statistics.h" namespace "fm" nogil:
    cppclass sifted:
        Py_ssize_t below, kept
        bint has_nan

    cppclass search_range[T]:
        T low, high
        Py_ssize_t before, count

    cppclass selection:
        Py_ssize_t itemsize, n_outer, n, n_inner, n_ranks, rank_step
        const void* x
        const int64_t* ranks
        const int64_t* valid
        uint8_t* has_nan
        void* out

    const Py_ssize_t SLACK, MOST_SAMPLES
    void sift[T](const T* x, Py_ssize_t n, T low, T high, T* out, Py_ssize_t capacity,
                 sifted& found) noexcept
    void pick[T](T* x, Py_ssize_t m, Py_ssize_t k, bint with_next, T& first, T& next) noexcept
    void select_items[T](const selection&, Py_ssize_t begin, Py_ssize_t end, T* buffer,
                         T* columns) noexcept
    void start[T](search_range[T]&, Py_ssize_t n_valid) noexcept
    void next_bracket[T](const T* x, Py_ssize_t n, int at, Py_ssize_t k, const search_range[T]&,
                         T* samples, T& low, T& high) noexcept
    bint narrow[T](search_range[T]&, Py_ssize_t k, T low, T high, const sifted&,
                   Py_ssize_t capacity) noexcept
    void interpolate_pairs[T](const T* pairs, const double* weights, Py_ssize_t weight_step,
                              Py_ssize_t n_lines, Py_ssize_t n_ranks, double* out) noexcept
    void select_line[T](const T* x, Py_ssize_t n, Py_ssize_t n_valid, Py_ssize_t k,
                        bint with_next, T* buffer, T& first, T& next) noexcept

cdef extern from "histograms.h" namespace "fm" nogil:
    cppclass binning:
        Py_ssize_t itemsize, n_bins, n
        const void* x
        const void* edges
        const void* low
        const void* high
        const double* weights

    void bin_items_f "fm::bin_items<float>"(const binning&, Py_ssize_t begin, Py_ssize_t end,
                                            int64_t* counts) noexcept
    void bin_items_d "fm::bin_items<double>"(const binning&, Py_ssize_t begin, Py_ssize_t end,
                                             int64_t* counts) noexcept
    void find_extent "fm::extent"[T](const T* x, Py_ssize_t n, T& least, T& largest) noexcept

cdef extern from *:
    """
    #define FASTMATH_ML_CLAIM(p, n) __atomic_fetch_add(p, n, __ATOMIC_RELAXED)
    """
    Py_ssize_t claim "FASTMATH_ML_CLAIM"(Py_ssize_t* p, Py_ssize_t n) noexcept nogil

cdef enum:
    HUGE_LINE = 1 << 18             # elements from which on all threads share a line
    PART = 1 << 14                  # elements of a part of it
    KEPT = 1 << 19                  # elements of the buffer
    BIN_SEGMENT = 1 << 16
    EXTENT_SEGMENT = 1 << 15

HUGE = HUGE_LINE


# ---- lines ----

cdef struct Task:
    const selection* lines
    bint out_of_memory


cdef void select_range(Py_ssize_t begin, Py_ssize_t end, Task* task, real zero) noexcept nogil:
    cdef const selection* lines = task.lines
    cdef Py_ssize_t lanes = vlanes(zero)
    cdef real* buffer = <real*>thread_scratch(0, (lines.n + SLACK) * sizeof(real))
    cdef real* columns = NULL
    if lines.n_inner > 1:
        columns = <real*>thread_scratch(1, (lines.n + lanes) * lanes * sizeof(real))
    if buffer == NULL or (lines.n_inner > 1 and columns == NULL):
        raise_flag(&task.out_of_memory)
        return
    select_items(lines[0], begin, end, buffer, columns)


cdef void select_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Task* task = <Task*>context
    if task.lines.itemsize == 4:
        select_range(begin, end, task, <float>0)
    else:
        select_range(begin, end, task, <double>0)


# ---- one huge line ----

cdef struct Sieve:
    Py_ssize_t itemsize, n
    const void* x
    double low, high                # exact for float too
    Py_ssize_t capacity
    void* kept
    Py_ssize_t below, n_kept, has_nan
    bint out_of_memory


cdef void sift_parts(Py_ssize_t begin, Py_ssize_t end, Sieve* s, real zero) noexcept nogil:
    cdef real* own = <real*>thread_scratch(2, (PART + SLACK) * sizeof(real))
    cdef sifted found
    cdef Py_ssize_t part, first, at
    if own == NULL:
        raise_flag(&s.out_of_memory)
        return
    for part in range(begin, end):
        first = part * PART
        found.below = found.kept = 0
        found.has_nan = False
        sift(<const real*>s.x + first, min(<Py_ssize_t>PART, s.n - first), <real>s.low,
             <real>s.high, own, PART if s.capacity else 0, found)
        claim(&s.below, found.below)
        at = claim(&s.n_kept, found.kept)
        if at + found.kept <= s.capacity:
            memcpy(<real*>s.kept + at, own, found.kept * sizeof(real))
        if found.has_nan:
            claim(&s.has_nan, 1)


cdef void sift_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Sieve* s = <Sieve*>context
    if s.itemsize == 4:
        sift_parts(begin, end, s, <float>0)
    else:
        sift_parts(begin, end, s, <double>0)


cdef int select_huge(const real* x, Py_ssize_t n, Py_ssize_t n_valid, Py_ssize_t k,
                     bint with_next, Sieve* s, real* samples, real* out) except -1 nogil:
    """out = ranks k and k + 1. 1, and nothing, where NaN was met and n_valid says that there is
    none, or memory was out.
    """
    cdef search_range[real] limits
    cdef sifted found
    cdef real low = 0, high = 0
    cdef int at = 0
    start(limits, n_valid)
    while True:
        next_bracket(x, n, at, k, limits, samples, low, high)
        at += 1
        s.low = low
        s.high = high
        s.below = s.n_kept = 0
        s.capacity = 0 if low == high else KEPT
        parallel_for(ceil_div(n, PART), 1, n * sizeof(real) / 24.0, sift_body, s)
        if (n_valid == n and s.has_nan) or s.out_of_memory:
            return 1
        found.below = s.below
        found.kept = s.n_kept
        if narrow(limits, k, low, high, found, s.capacity):
            break
    out[0] = out[1] = low
    if low == high:
        out[0] = out[1] = low + <real>0
    else:
        # The next rank may lie beyond what was kept.
        select_line(<const real*>s.kept, found.kept, found.kept, k - found.below,
                    k - found.below + 1 < found.kept, samples + MOST_SAMPLES, out[0], out[1])
    if with_next and k + 1 >= found.below + found.kept:
        return select_huge(x, n, n_valid, k + 1, False, s, samples, out + 1)
    return 0


cdef int select_huge_lines(const selection* lines, real zero) except -1 nogil:
    cdef Py_ssize_t line, j, k, n_valid
    cdef Sieve s
    cdef const real* x
    cdef real* out
    cdef real pair[3]
    cdef real* samples = <real*>thread_scratch(
        1, (MOST_SAMPLES + KEPT + SLACK) * sizeof(real))
    memset(&s, 0, sizeof(s))
    s.itemsize = sizeof(real)
    s.n = lines.n
    s.kept = thread_scratch(0, (KEPT + SLACK) * sizeof(real))
    if s.kept == NULL or samples == NULL:
        return OUT_OF_MEMORY
    for line in range(lines.n_outer):
        x = <const real*>lines.x + line * lines.n
        s.x = x
        n_valid = lines.n if lines.valid == NULL else <Py_ssize_t>lines.valid[line]
        out = <real*>lines.out + line * lines.n_ranks * 2
        s.has_nan = 0
        for j in range(lines.n_ranks):
            if n_valid and not (s.has_nan and lines.valid == NULL):
                k = lines.ranks[line * lines.rank_step + j]
                select_huge(x, lines.n, n_valid, k, k + 1 < n_valid, &s, samples, pair)
                out[2 * j] = pair[0]
                out[2 * j + 1] = pair[1]
            else:
                out[2 * j] = out[2 * j + 1] = <real>NAN
        if lines.valid == NULL:
            lines.has_nan[line] = s.has_nan != 0
    return OUT_OF_MEMORY if s.out_of_memory else 0


def select(cnp.ndarray x, cnp.ndarray ranks, valid, cnp.ndarray has_nan, cnp.ndarray out):
    """out[line, j] = elements of ranks[line, j] and of the next rank along axis 1; last: itself.

    x is C-ordered (n_outer, n, n_inner), float32 or float64, n at least 1; a line is a pair (outer,
    inner). ranks is int64 (1 or n_lines, n_ranks); out (n_lines, n_ranks, 2) as x. valid is int64
    (n_lines,), the number of elements that are not NaN, among which ranks count; or None: then
    has_nan, bool (n_lines,), tells the lines with NaN, whose results mean nothing. The caller has
    checked all this.
    """
    cdef selection lines
    cdef Task task
    cdef Py_ssize_t n_items, lanes = vlanes(<float>0)
    cdef int status = 0
    cdef double work_ns = 2.0 * cnp.PyArray_SIZE(x)
    lines.x = cnp.PyArray_DATA(x)
    lines.itemsize = cnp.PyArray_ITEMSIZE(x)
    lines.n_outer = cnp.PyArray_DIM(x, 0)
    lines.n = cnp.PyArray_DIM(x, 1)
    lines.n_inner = cnp.PyArray_DIM(x, 2)
    lines.ranks = <const int64_t*>cnp.PyArray_DATA(ranks)
    lines.n_ranks = cnp.PyArray_DIM(ranks, 1)
    lines.rank_step = 0 if cnp.PyArray_DIM(ranks, 0) == 1 else lines.n_ranks
    lines.valid = NULL
    if valid is not None:
        lines.valid = <const int64_t*>cnp.PyArray_DATA(valid)
    lines.has_nan = <uint8_t*>cnp.PyArray_DATA(has_nan)
    lines.out = cnp.PyArray_DATA(out)
    task.lines = &lines
    task.out_of_memory = False
    with nogil:
        if lines.n_inner == 1 and lines.n >= HUGE_LINE:
            if lines.itemsize == 4:
                status = select_huge_lines(&lines, <float>0)
            else:
                status = select_huge_lines(&lines, <double>0)
        else:
            n_items = lines.n_outer
            if lines.n_inner > 1:
                lanes = lanes * 4 // lines.itemsize
                n_items *= ceil_div(lines.n_inner, lanes)
            parallel_for(n_items, 1, work_ns, select_body, &task)
    if status or task.out_of_memory:
        raise MemoryError("no scratch memory for the elements to choose from")


def interpolate(cnp.ndarray pairs, cnp.ndarray weights):
    """pairs[..., 0] (1 - weights) + pairs[..., 1] weights, float64 (n_lines, n_ranks).

    pairs is (n_lines, n_ranks, 2), float32 or float64, C-ordered; weights float64 (1 or n_lines,
    n_ranks), C-ordered, from 0 to 1. The caller has checked this.
    """
    cdef Py_ssize_t n_lines = cnp.PyArray_DIM(pairs, 0), n_ranks = cnp.PyArray_DIM(pairs, 1)
    cdef Py_ssize_t weight_step = 0 if cnp.PyArray_DIM(weights, 0) == 1 else n_ranks
    cdef cnp.ndarray out = cnp.PyArray_EMPTY(2, cnp.PyArray_DIMS(pairs), cnp.NPY_FLOAT64, 0)
    cdef const double* factors = <const double*>cnp.PyArray_DATA(weights)
    cdef double* to = <double*>cnp.PyArray_DATA(out)
    if cnp.PyArray_ITEMSIZE(pairs) == 4:
        interpolate_pairs(<const float*>cnp.PyArray_DATA(pairs), factors, weight_step, n_lines,
                          n_ranks, to)
    else:
        interpolate_pairs(<const double*>cnp.PyArray_DATA(pairs), factors, weight_step, n_lines,
                          n_ranks, to)
    return out


# ---- histograms ----

cdef void bin_body(Py_ssize_t begin, Py_ssize_t end, void* partial, void* context) noexcept nogil:
    cdef const binning* b = <const binning*>context
    memset(partial, 0, b.n_bins * 8)
    if b.itemsize == 4:
        bin_items_f(b[0], begin, end, <int64_t*>partial)
    else:
        bin_items_d(b[0], begin, end, <int64_t*>partial)


cdef void add_bins(void* total, const void* partial, void* context) noexcept nogil:
    cdef const binning* b = <const binning*>context
    if b.weights != NULL:
        add_array(<double*>total, <const double*>partial, b.n_bins)
    else:
        add_array(<int64_t*>total, <const int64_t*>partial, b.n_bins)


def histogram_counts(cnp.ndarray x, cnp.ndarray edges, bounds, weights, cnp.ndarray out):
    """out[i] += the number, or the sum of the weights, of edges[i] <= x < edges[i + 1]; the last
    edge belongs to the last bin.

    x (n,) and edges (n_bins + 1,), increasing, are both float32 or both float64. bounds is None, or
    where the bins are equally wide but for rounding (2, n_bins + 1) as x: their lower edges and
    -inf; their upper edges, the last one inf, and NaN. weights float64 (n,) or None; out int64
    (n_bins,), or float64 with weights. All C-ordered; n_bins below 2^31. The caller has checked
    all this.
    """
    cdef binning b
    b.x = cnp.PyArray_DATA(x)
    b.n = cnp.PyArray_DIM(x, 0)
    b.itemsize = cnp.PyArray_ITEMSIZE(x)
    b.edges = cnp.PyArray_DATA(edges)
    b.n_bins = cnp.PyArray_DIM(out, 0)
    b.weights = NULL
    if weights is not None:
        b.weights = <const double*>cnp.PyArray_DATA(weights)
    b.low = b.high = NULL
    if bounds is not None:
        b.low = cnp.PyArray_DATA(bounds)
        b.high = <const char*>b.low + (b.n_bins + 1) * b.itemsize
    with nogil:
        ordered_reduce(b.n, max(<Py_ssize_t>BIN_SEGMENT, 4 * b.n_bins), b.n_bins * 8,
                       2.0 * b.n, bin_body, add_bins, cnp.PyArray_DATA(out), &b)


# ---- the least and the largest ----

cdef struct Extent:
    const void* x
    Py_ssize_t itemsize


cdef void extent_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                      void* context) noexcept nogil:
    cdef const Extent* p = <const Extent*>context
    cdef double* found = <double*>partial
    cdef float least = 0, largest = 0
    if p.itemsize == 4:
        find_extent(<const float*>p.x + begin, end - begin, least, largest)
        found[0] = least
        found[1] = largest
    else:
        find_extent(<const double*>p.x + begin, end - begin, found[0], found[1])


cdef void extend(void* total, const void* partial, void* context) noexcept nogil:
    cdef double* a = <double*>total
    cdef const double* b = <const double*>partial
    if b[0] < a[0] or b[0] != b[0]:
        a[0] = b[0]
    if b[1] > a[1] or b[1] != b[1]:
        a[1] = b[1]


def extent(cnp.ndarray x):
    """(least, largest) of a C-ordered float32 or float64 (n,), n at least 1; NaN if it has one."""
    cdef Extent p
    cdef double total[2]
    cdef Py_ssize_t n = cnp.PyArray_DIM(x, 0)
    p.x = cnp.PyArray_DATA(x)
    p.itemsize = cnp.PyArray_ITEMSIZE(x)
    total[0] = total[1] = (<const float*>p.x)[0] if p.itemsize == 4 else (<const double*>p.x)[0]
    with nogil:
        ordered_reduce(n, EXTENT_SEGMENT, 2 * sizeof(double), n * p.itemsize / 24.0, extent_body,
                       extend, total, &p)
    return total[0], total[1]
