"""Entropies and divergences: elementwise, and summed along one axis in one pass over memory.

The arithmetic is in information.h. Arrays are (n_outer, n, n_inner) and are summed over n:

    n_inner = 1         lanes along the line
    n_inner >= WIDE     lanes across strips of up to STRIP columns
    in between          several rows side by side as one of up to STRIP columns, added up at the end

An item is a line or a strip. It is cut into segments whose length depends on n_inner alone, and
their sums are added in order: so neither threads nor the other lines change a result. Where there
are fewer items than threads could use, the segments of one item are what the threads divide. Lines
whose sums say that they are not normalised are swept once more with their ratio as a factor, which
for all but the longest comes from the L2 cache.
"""

from libc.math cimport log, sqrt
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from cython cimport floating as real
cimport numpy as cnp

from fastmath_ml._kernels.overlap cimport overlaps
from fastmath_ml._kernels.plain cimport Axis, is_plain, plain_kind, split_axis
from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for, raise_flag
from fastmath_ml._kernels.simd cimport ceil_div, vlanes
from fastmath_ml._kernels.sums cimport add_array

cnp.import_array()


cdef extern from "information.h" namespace "fm" nogil:
    void map_information[T](int which, const T* x, Py_ssize_t x_step, const T* y,
                            Py_ssize_t y_step, T* out, Py_ssize_t n) noexcept
    void sum_information[T](int kind, const T* x, const T* y, Py_ssize_t stride, Py_ssize_t n_rows,
                            Py_ssize_t n_cols, const T* c, double* sums, Py_ssize_t width) noexcept
    int finish[T](int kind, bint normalised, const double* sums, Py_ssize_t width, bint again,
                  T* c, double* result) noexcept
    void count_pairs[T](const T* a, T a_first, const T* b, T b_first, Py_ssize_t n, int64_t n_b,
                        int64_t* table) noexcept
    cdef enum verdict:
        DONE
        AGAIN
        STRANGE
    cdef enum:
        N_SUMS
        SUM_TERMS
    cdef enum information_map:
        _ENTR "fm::ENTR"
        _REL_ENTR "fm::REL_ENTR"
        _KL_DIV "fm::KL_DIV"
    cdef enum information_kind:
        _ENTROPY "fm::ENTROPY"
        _RELATIVE "fm::RELATIVE"
        _JENSEN "fm::JENSEN"

ENTR = _ENTR
REL_ENTR = _REL_ENTR
KL_DIV = _KL_DIV
ENTROPY = _ENTROPY
RELATIVE = _RELATIVE
JENSEN = _JENSEN

cdef enum:
    GRAIN = 256                 # elements of a map
    STRIP = 256                 # columns, whole vectors
    WIDE = 64                   # columns that fill a strip of their own
    LINE_SEGMENT = 1 << 15      # elements
    ROW_SEGMENT = 512           # rows of a strip
    MAX_TABLE = 1 << 12         # entries of a table of counts that each thread has for itself

cdef struct Lines:
    const void* x
    const void* y               # NULL for ENTROPY
    void* out                   # (n_outer, n_inner)
    const double* scales        # (n_outer, n_inner): the sums of terms are wanted, with these c
    Py_ssize_t itemsize, n_outer, n, n_inner
    Py_ssize_t y_outer          # elements from one matrix of y to the next; 0: the same for all
    Py_ssize_t strips, segment, width
    int kind
    bint normalised, root, any_strange
    double factor               # 1 / log(base)

# One item while it is swept.
cdef struct Sweep:
    const Lines* lines
    Py_ssize_t outer, col, n_cols
    const void* c               # a factor for each column


cdef void sum_segment(const Sweep* s, Py_ssize_t first, Py_ssize_t end, double* sums,
                      const real* c) noexcept nogil:
    """sums = those of the steps [first, end) of an item, (N_SUMS, width)."""
    cdef const Lines* p = s.lines
    cdef Py_ssize_t n_inner = p.n_inner, n = end - first, side, n_rows, rest, col, k, i
    cdef const real* x = <const real*>p.x + (s.outer * p.n + first) * n_inner + s.col
    cdef const real* y = NULL
    cdef double folded[N_SUMS * STRIP]
    if p.y != NULL:
        y = <const real*>p.y + s.outer * p.y_outer + first * n_inner + s.col
    memset(sums, 0, N_SUMS * p.width * sizeof(double))
    if n_inner == 1:
        sum_information(p.kind, x, y, 1, 0, n, c, sums, 1)
        return
    if n_inner >= WIDE:
        sum_information(p.kind, x, y, n_inner, n, s.n_cols, c, sums, STRIP)
        return
    side = STRIP // n_inner
    n_rows = n // side
    rest = n - n_rows * side
    memset(folded, 0, sizeof(folded))
    if n_rows:
        sum_information(p.kind, x, y, side * n_inner, n_rows, side * n_inner, c, folded, STRIP)
    if rest:
        i = n_rows * side * n_inner
        sum_information(p.kind, x + i, y + i if y != NULL else y, n_inner, 1, rest * n_inner, c,
                        folded, STRIP)
    for k in range(N_SUMS):
        for i in range(side):
            for col in range(n_inner):
                sums[k * STRIP + col] += folded[k * STRIP + i * n_inner + col]


cdef void segment_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    cdef const Sweep* s = <const Sweep*>context
    if s.lines.itemsize == 4:
        sum_segment(s, begin, end, <double*>partial, <const float*>s.c)
    else:
        sum_segment(s, begin, end, <double*>partial, <const double*>s.c)


cdef void add_segment(void* total, const void* partial, void* context) noexcept nogil:
    add_array(<double*>total, <const double*>partial, N_SUMS * (<const Sweep*>context).lines.width)


cdef int sum_item(Sweep* s, double* sums, double work_ns) except -1 nogil:
    """The sums of an item; its segments in parallel where work_ns is not 0."""
    cdef const Lines* p = s.lines
    cdef double part[N_SUMS * STRIP]
    cdef Py_ssize_t first = p.segment
    if work_ns > 0:
        memset(sums, 0, N_SUMS * p.width * sizeof(double))
        return ordered_reduce(p.n, p.segment, N_SUMS * p.width * sizeof(double), work_ns,
                              segment_body, add_segment, sums, s)
    segment_body(0, min(p.n, p.segment), sums, s)
    while first < p.n:
        segment_body(first, min(p.n, first + p.segment), part, s)
        add_segment(sums, part, s)
        first += p.segment
    return 0


cdef int compute_item(Py_ssize_t item, Lines* p, double work_ns, real zero) except -1 nogil:
    """The results of a line or of a strip of columns."""
    cdef Sweep s
    cdef double sums[N_SUMS * STRIP]
    cdef real c[STRIP]
    cdef bint swept_twice[STRIP]
    cdef Py_ssize_t col, i, at
    cdef double result = 0
    cdef int found
    cdef bint again = False
    s.lines = p
    s.outer = item // p.strips
    s.col = item % p.strips * STRIP
    s.n_cols = min(<Py_ssize_t>STRIP, p.n_inner - s.col)
    s.c = c
    at = s.outer * p.n_inner + s.col
    for col in range(s.n_cols):
        c[col] = 1 if p.scales == NULL else <real>p.scales[at + col]
    for col in range(s.n_cols, p.width):
        c[col] = c[col - s.n_cols]
    sum_item(&s, sums, work_ns)
    if p.scales != NULL:
        for col in range(s.n_cols):
            (<real*>p.out)[at + col] = <real>sums[SUM_TERMS * p.width + col]
        return 0
    for i in range(2):
        for col in range(s.n_cols):
            if i == 0:
                swept_twice[col] = False
            found = finish(p.kind, p.normalised, sums + col, p.width, swept_twice[col], &c[col],
                           &result)
            if found == AGAIN:
                swept_twice[col] = again = True
            elif found == STRANGE:
                raise_flag(&p.any_strange)
            result = result * p.factor
            (<real*>p.out)[at + col] = <real>(sqrt(result) if p.root else result)
        if not again or i == 1:
            break
        for col in range(s.n_cols, p.width):
            c[col] = c[col - s.n_cols]
        sum_item(&s, sums, work_ns)
    return 0


cdef int compute(Py_ssize_t item, Lines* p, double work_ns) except -1 nogil:
    if p.itemsize == 4:
        return compute_item(item, p, work_ns, <float>0)
    return compute_item(item, p, work_ns, <double>0)


cdef void items_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Py_ssize_t item
    for item in range(begin, end):
        compute(item, <Lines*>context, 0)


cdef int run(Lines* p) except -1 nogil:
    cdef Py_ssize_t item, n_items
    cdef double ns_per_item = (30.0 if p.kind == _JENSEN else 15.0) / vlanes(<float>0)
    p.strips = 1 if p.n_inner == 1 else ceil_div(p.n_inner, STRIP)
    p.width = 1 if p.n_inner == 1 else STRIP
    p.segment = LINE_SEGMENT if p.n_inner == 1 else ROW_SEGMENT
    if p.n_inner > 1 and p.n_inner < WIDE:
        p.segment *= STRIP // p.n_inner
    p.any_strange = False
    n_items = p.n_outer * p.strips
    ns_per_item *= p.n * min(p.n_inner, <Py_ssize_t>STRIP) * (p.itemsize // 4)
    if n_items < 16 and p.n > 2 * p.segment:
        for item in range(n_items):
            compute(item, p, ns_per_item)
        return 0
    return parallel_for(n_items, 1, (ns_per_item + 30) * n_items, items_body, p)


def information_plain(int kind, bint normalised, bint root, p, q, base, axis):
    """The information of C-ordered float32 or float64 arrays along an axis, which is left out.

    None where anything is not so plain: p and q (None for ENTROPY) have the same dtype and shape,
    base is None or a positive number, axis an integer; or where the sums of a line are strange.
    """
    cdef cnp.ndarray a, b, c
    cdef Lines lines
    cdef Axis split
    cdef int dtype = plain_kind(p)
    if dtype == cnp.NPY_NOTYPE or axis is None:
        return None
    a = p
    if cnp.PyArray_SIZE(a) == 0 or not split_axis(a, axis, &split):
        return None
    lines.y = NULL
    if q is not None:
        if not is_plain(q, dtype):
            return None
        b = q
        if not cnp.PyArray_SAMESHAPE(a, b):
            return None
        lines.y = cnp.PyArray_DATA(b)
    lines.factor = 1
    if base is not None:
        if type(base) is not int and type(base) is not float:
            return None
        lines.factor = base
        if not lines.factor > 0 or lines.factor == 1:
            return None
        lines.factor = 1 / log(lines.factor)
    lines.n_outer, lines.n, lines.n_inner = split.outer, split.length, split.inner
    c = cnp.PyArray_SimpleNew(split.n_kept, split.kept, dtype)
    lines.x = cnp.PyArray_DATA(a)
    lines.out = cnp.PyArray_DATA(c)
    lines.scales = NULL
    lines.itemsize = cnp.PyArray_ITEMSIZE(a)
    lines.y_outer = lines.n * lines.n_inner
    lines.kind = kind
    lines.normalised = normalised
    lines.root = root
    if cnp.PyArray_SIZE(a) < 512:
        run(&lines)
    else:
        with nogil:
            run(&lines)
    if lines.any_strange:
        return None
    return c if split.n_kept else c[()]


def information_lines(int kind, bint normalised, bint root, cnp.ndarray x, y, double factor,
                      cnp.ndarray out, scales=None):
    """out = factor times the information of each line; whether the sums of any were strange.

    x is C-ordered (n_outer, n, n_inner), y too or None, or (1, n, n_inner) for all of x; out is
    (n_outer, n_inner), all of one dtype, float32 or float64. With scales, float64 like out, it is
    the sum of terms with these factors of y. The caller has checked all this.
    """
    cdef Lines lines
    cdef cnp.ndarray b
    lines.y = lines.scales = NULL
    lines.y_outer = 0
    lines.x = cnp.PyArray_DATA(x)
    lines.n_outer, lines.n, lines.n_inner = (cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1),
                                             cnp.PyArray_DIM(x, 2))
    if y is not None:
        b = y
        lines.y = cnp.PyArray_DATA(b)
        if cnp.PyArray_DIM(b, 0) > 1:
            lines.y_outer = lines.n * lines.n_inner
    if scales is not None:
        b = scales
        lines.scales = <const double*>cnp.PyArray_DATA(b)
    lines.out = cnp.PyArray_DATA(out)
    lines.itemsize = cnp.PyArray_ITEMSIZE(x)
    lines.kind = kind
    lines.normalised = normalised
    lines.root = root
    lines.factor = factor
    if cnp.PyArray_SIZE(x) == 0:
        return False
    with nogil:
        run(&lines)
    return lines.any_strange


# ---- elementwise ----

cdef struct Map:
    const void* x
    const void* y
    void* out
    Py_ssize_t x_period, y_period       # elements after which an array begins again
    Py_ssize_t itemsize
    int which


cdef void map_range(Py_ssize_t begin, Py_ssize_t end, const Map* m, real zero) noexcept nogil:
    cdef Py_ssize_t i = begin, stop, x_at, y_at
    while i < end:
        stop = end
        x_at = y_at = 0
        if m.x_period > 1:
            x_at = i % m.x_period
            stop = min(stop, i + m.x_period - x_at)
        if m.y_period > 1:
            y_at = i % m.y_period
            stop = min(stop, i + m.y_period - y_at)
        map_information(m.which, <const real*>m.x + x_at, m.x_period > 1, <const real*>m.y + y_at,
                        m.y_period > 1, <real*>m.out + i, stop - i)
        i = stop


cdef void map_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<const Map*>context).itemsize == 4:
        map_range(begin, end, <const Map*>context, <float>0)
    else:
        map_range(begin, end, <const Map*>context, <double>0)


def map_plain(int which, x, y, out):
    """entr of x, or rel_entr or kl_div of x and y; None where an argument is not so plain.

    C-ordered float32 or float64 arrays of one dtype. x has the shape of the result, and so has y
    or its last axes or a single element; or x is a single element. `out` is None or an array of
    that shape that is x or y itself or shares no memory with them.
    """
    cdef cnp.ndarray a, b, c, whole
    cdef Map m
    cdef int dtype = plain_kind(x), i, skipped
    cdef Py_ssize_t n
    if dtype == cnp.NPY_NOTYPE or not is_plain(y, dtype):
        return None
    a = x
    b = y
    whole = a
    if cnp.PyArray_SIZE(a) == 1 and cnp.PyArray_NDIM(a) <= cnp.PyArray_NDIM(b):
        whole = b
    elif not (cnp.PyArray_SIZE(b) == 1 and cnp.PyArray_NDIM(b) <= cnp.PyArray_NDIM(a)):
        skipped = cnp.PyArray_NDIM(a) - cnp.PyArray_NDIM(b)
        if skipped < 0:
            return None
        for i in range(cnp.PyArray_NDIM(b)):
            if cnp.PyArray_DIM(b, i) != cnp.PyArray_DIM(a, skipped + i):
                return None
    n = cnp.PyArray_SIZE(whole)
    if cnp.PyArray_NDIM(whole) == 0 or n == 0:
        return None
    if out is None:
        c = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(whole), cnp.PyArray_DIMS(whole), dtype, False)
    else:
        if not is_plain(out, dtype):
            return None
        c = out
        if not (cnp.PyArray_ISWRITEABLE(c) and cnp.PyArray_SAMESHAPE(c, whole)):
            return None
        if shares_part(a, c) or shares_part(b, c):
            return None
    m.x = cnp.PyArray_DATA(a)
    m.y = cnp.PyArray_DATA(b)
    m.out = cnp.PyArray_DATA(c)
    m.x_period = cnp.PyArray_SIZE(a)
    m.y_period = cnp.PyArray_SIZE(b)
    m.itemsize = cnp.PyArray_ITEMSIZE(a)
    m.which = which
    if n < 512:
        map_body(0, n, &m)
    else:
        with nogil:
            parallel_for(n, GRAIN, 40.0 / vlanes(<float>0) * n, map_body, &m)
    return c


cdef bint shares_part(cnp.ndarray a, cnp.ndarray c) noexcept:
    """Whether a shares memory with c, which may only be a itself."""
    if (cnp.PyArray_DATA(a) == cnp.PyArray_DATA(c)
            and cnp.PyArray_NBYTES(a) == cnp.PyArray_NBYTES(c)):
        return False
    return overlaps(a, c)


# ---- counting ----

cdef struct Counts:
    const void* a
    const void* b
    int64_t a_first, b_first, n_b
    Py_ssize_t n_entries
    Py_ssize_t itemsize


cdef void count_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                     void* context) noexcept nogil:
    cdef const Counts* p = <const Counts*>context
    memset(partial, 0, p.n_entries * sizeof(int64_t))
    count_into(begin, end, <int64_t*>partial, p)


cdef void count_into(Py_ssize_t begin, Py_ssize_t end, int64_t* table,
                     const Counts* p) noexcept nogil:
    if p.itemsize == 4:
        count_pairs(<const int32_t*>p.a + begin, <int32_t>p.a_first, <const int32_t*>p.b + begin,
                    <int32_t>p.b_first, end - begin, p.n_b, table)
    else:
        count_pairs(<const int64_t*>p.a + begin, p.a_first, <const int64_t*>p.b + begin, p.b_first,
                    end - begin, p.n_b, table)


cdef void add_counts(void* total, const void* partial, void* context) noexcept nogil:
    add_array(<int64_t*>total, <const int64_t*>partial, (<const Counts*>context).n_entries)


def count_table(cnp.ndarray a, cnp.ndarray b, int64_t a_first, int64_t b_first,
                cnp.ndarray table):
    """table[a_i - a_first, b_i - b_first] += 1 for contiguous labels, both int32 or both int64.

    table is C-ordered int64 and has a place for each pair. The caller has checked all this.
    """
    cdef Counts p
    cdef int64_t* counts = <int64_t*>cnp.PyArray_DATA(table)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(a)
    p.a = cnp.PyArray_DATA(a)
    p.b = cnp.PyArray_DATA(b)
    p.a_first = a_first
    p.b_first = b_first
    p.n_b = cnp.PyArray_DIM(table, 1)
    p.n_entries = cnp.PyArray_SIZE(table)
    p.itemsize = cnp.PyArray_ITEMSIZE(a)
    with nogil:
        if p.n_entries <= MAX_TABLE:
            ordered_reduce(n, 1 << 16, p.n_entries * sizeof(int64_t), 1.5 * n, count_body,
                           add_counts, counts, &p)
        else:
            count_into(0, n, counts, &p)
