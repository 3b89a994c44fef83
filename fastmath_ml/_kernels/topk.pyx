"""The k nearest rows of a database without the matrix of distances.

Products of queries and database rows are made in the register tile, turned there into the value
that the search orders by, and compared with what each query still takes (search_tile.h). The
database is read once, in order, and packed into panels of tile_cols rows; a query is scaled by -2,
or by -1 / its norm, while it is packed:

    squared distance    |y|^2 - 2 x.y         cosine    -(x / |x|).y / |y|         dot    -x.y

Two ways to share the work, which give the same bits since every value is one chain of
multiply-adds and the candidates kept are the k smallest by (value, index), however they came:

    many queries    chunks of the database (CHUNK_BYTES) are packed by all threads, then each block
                    of queries is run against the chunk; between chunks its k best are kept in
                    the arrays of the result
    few queries     segments of the database are packed and searched by one thread each and their
                    results are merged in order; a single query packs nothing, but streams the
                    rows from memory (search_stream.h), which may be float16 or int8

Memory beyond the results: the chunk, and for each thread a packed block of queries and its buffers
of candidates, in all at most about 24 MiB.
"""

from cython cimport floating as real
from libc.stdint cimport int8_t, int16_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.pool cimport (
    OUT_OF_MEMORY, ordered_reduce, parallel_for, raise_flag, thread_count, thread_scratch,
)
from fastmath_ml._kernels.search_tile cimport (
    add_pairs, candidates, candidates_bytes, float16, lay_out, panel, panel_norms,
    panel_scales, query, quench_infinite, restore_row, save_row, search_panel, stream_integers,
    stream_rows, unpack_half,
)
from fastmath_ml._kernels.simd cimport ceil_div, vlanes
from fastmath_ml._kernels.tile cimport even_height, lines_asked, operands, tile_cols, tile_rows
from fastmath_ml._kernels.transpose cimport pack_panel

cnp.import_array()

cdef enum:
    # What is added to or multiplied with a product.
    ADD_NORMS = 0
    ADD_NOTHING = 1
    SCALE = 2

    CHUNK_BYTES = 8 << 20
    QUERY_BLOCK_BYTES = 256 << 10       # packed queries of a task
    THREAD_BYTES = 12 << 20             # of all threads together
    SEGMENT_BYTES = 1 << 20
    FEW_QUERIES = 64
    SCRATCH_CHUNK = 0
    SCRATCH_QUERIES = 1
    SCRATCH_FOUND = 2
    SCRATCH_PANEL = 3

    # What the rows of a database are: the dtype of the search, or one that is converted on its way
    # into a register.
    SAME = 0
    HALF = 1
    INT8 = 2
    UINT8 = 3

MAX_DEPTH = 16384                       # deeper rows would make panels of several MiB
KINDS = {"sqeuclidean": ADD_NORMS, "dot": ADD_NOTHING, "cosine": SCALE}


cdef struct Search:
    Py_ssize_t itemsize, depth, k, kind
    const void* x                       # queries; strides count elements
    Py_ssize_t n_queries, x_row, x_depth
    const void* x_scale
    const void* y                       # these rows of the database
    Py_ssize_t n_rows, y_row, y_depth
    Py_ssize_t first_index              # of y[0] in the whole database
    Py_ssize_t n_known                  # candidates of each query in keys, indices
    void* keys                          # (n_queries, k)
    int64_t* indices
    # many queries
    Py_ssize_t chunk_first, chunk_rows, block_queries
    void* chunk
    # few queries
    int source
    const int16_t* integers             # the query, for a database of integers
    void* packed_x
    Py_ssize_t height
    void* total
    bint out_of_memory


cdef inline void pack_rows(const Search* s, Py_ssize_t first, Py_ssize_t cols, real* to,
                           real* terms) noexcept nogil:
    """Pack `cols` database rows from `first` on as a panel of full width, with their terms."""
    cdef Py_ssize_t width = tile_cols(<real>0)
    if cols < width:
        memset(to, 0, s.depth * width * sizeof(real))
    if s.source == HALF:
        unpack_half(<const float16*>s.y + first * s.y_row, s.y_row, cols, s.depth, to, width)
    else:
        pack_panel(cols, s.depth, <const real*>s.y + first * s.y_row, s.y_row, s.y_depth,
                   <const real*>NULL, to, width, False)
    if s.kind == ADD_NOTHING:
        memset(terms, 0, width * sizeof(real))
        return
    panel_norms(<const real*>to, s.depth, terms)
    if s.kind == SCALE:
        panel_scales(to, s.depth, cols, terms)
    else:
        quench_infinite(to, s.depth, <const real*>terms)


cdef inline void pack_queries(const Search* s, Py_ssize_t first, Py_ssize_t end, Py_ssize_t height,
                              real* to) noexcept nogil:
    """Panels of `height` queries (the last may be lower), one after the other."""
    cdef Py_ssize_t row = first, rows
    while row < end:
        rows = min(height, end - row)
        pack_panel(rows, s.depth, <const real*>s.x + row * s.x_row, s.x_row, s.x_depth,
                   <const real*>s.x_scale + row, to + (row - first) * s.depth, rows, True)
        row += rows


cdef inline void search_queries(const Search* s, const real* packed_x, Py_ssize_t n_queries,
                                Py_ssize_t height, const real* packed_y, const panel[real]& b,
                                const candidates[real]& found) noexcept nogil:
    """One panel of the database against packed queries 0 .. n_queries - 1."""
    cdef operands[real] x
    cdef Py_ssize_t row = 0, rows, width = tile_cols(<real>0)
    x.depth = s.depth
    x.a_row = 1
    x.b = packed_y
    x.b_depth = width
    x.next = packed_y + width * s.depth
    while row < n_queries:
        rows = min(height, n_queries - row)
        x.a = packed_x + row * s.depth
        x.a_depth = rows
        search_panel(rows, x, b, row, found, s.kind == SCALE)
        x.next += lines_asked(rows, width, x) * (64 // <Py_ssize_t>sizeof(real))
        row += rows


# ---- many queries ----

cdef inline Py_ssize_t panel_stride(const Search* s, real zero) noexcept nogil:
    """Elements of a panel and the terms behind it."""
    return (s.depth + 1) * tile_cols(zero)


cdef void pack_chunk(Py_ssize_t begin, Py_ssize_t end, const Search* s, real zero) noexcept nogil:
    """The panels [begin, end) of the current chunk."""
    cdef Py_ssize_t width = tile_cols(zero), at
    cdef real* to
    for at in range(begin, end):
        to = <real*>s.chunk + at * panel_stride(s, zero)
        pack_rows(s, s.chunk_first + at * width, min(width, s.chunk_rows - at * width), to,
                  to + s.depth * width)


cdef void pack_chunk_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Search*>context).itemsize == 4:
        pack_chunk(begin, end, <Search*>context, <float>0)
    else:
        pack_chunk(begin, end, <Search*>context, <double>0)


cdef void search_block(Py_ssize_t first, Py_ssize_t end, Search* s, real zero) noexcept nogil:
    """Queries [first, end) against the current chunk."""
    cdef Py_ssize_t width = tile_cols(zero), n_queries = end - first, row, at, cols
    cdef Py_ssize_t height = even_height(n_queries, tile_rows(zero))
    cdef Py_ssize_t n_known = min(s.k, s.n_known + s.chunk_first)
    cdef const real* packed_y
    cdef candidates[real] found
    cdef panel[real] b
    cdef real* packed_x = <real*>thread_scratch(
        SCRATCH_QUERIES, (n_queries * s.depth + vlanes(zero)) * sizeof(real))
    cdef void* memory = thread_scratch(SCRATCH_FOUND, candidates_bytes(zero, n_queries, s.k))
    if packed_x == NULL or memory == NULL:
        raise_flag(&s.out_of_memory)
        return
    pack_queries(s, first, end, height, packed_x)
    found = lay_out(zero, memory, n_queries, s.k)
    for row in range(n_queries):
        restore_row(found, row, <const real*>s.keys + (first + row) * s.k,
                    <const int64_t*>s.indices + (first + row) * s.k, n_known)
    for at in range(ceil_div(s.chunk_rows, width)):
        packed_y = <const real*>s.chunk + at * panel_stride(s, zero)
        cols = min(width, s.chunk_rows - at * width)
        b.terms = packed_y + s.depth * width
        b.columns = (<uint64_t>1 << cols) - 1
        b.first = s.first_index + s.chunk_first + at * width
        search_queries(s, <const real*>packed_x, n_queries, height, packed_y, b, found)
    for row in range(n_queries):
        save_row(found, row, <real*>s.keys + (first + row) * s.k, s.indices + (first + row) * s.k)


cdef void search_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Search* s = <Search*>context
    cdef Py_ssize_t block, first, last
    for block in range(begin, end):
        first = block * s.block_queries
        last = min(first + s.block_queries, s.n_queries)
        if s.itemsize == 4:
            search_block(first, last, s, <float>0)
        else:
            search_block(first, last, s, <double>0)


cdef int search_many(Search* s, real zero) except -1 nogil:
    cdef Py_ssize_t width = tile_cols(zero), height = tile_rows(zero), n_threads = thread_count()
    cdef Py_ssize_t stride = panel_stride(s, zero) * sizeof(real)
    cdef Py_ssize_t n_panels = min(max(CHUNK_BYTES // stride, 1), ceil_div(s.n_rows, width))
    cdef Py_ssize_t n_blocks, memory_rows
    cdef double work_ns
    s.chunk = thread_scratch(SCRATCH_CHUNK, n_panels * stride)
    if s.chunk == NULL:
        return OUT_OF_MEMORY
    # Queries of a task: their packed block stays in L2, the threads' buffers are bounded, and
    # there are four tasks for each thread, of whole tiles where that is possible.
    memory_rows = THREAD_BYTES // n_threads // (
        candidates_bytes(zero, 1, s.k) + s.depth * <Py_ssize_t>sizeof(real))
    s.block_queries = min(ceil_div(s.n_queries, 4 * n_threads),
                          QUERY_BLOCK_BYTES // (s.depth * <Py_ssize_t>sizeof(real)))
    s.block_queries = min(max(s.block_queries, height), max(memory_rows, 1))
    n_blocks = ceil_div(s.n_queries, s.block_queries)
    if n_blocks > n_threads:
        n_blocks = ceil_div(n_blocks, n_threads) * n_threads
    s.block_queries = ceil_div(s.n_queries, n_blocks)
    if s.block_queries > height:
        s.block_queries = ceil_div(s.block_queries, height) * height
    n_blocks = ceil_div(s.n_queries, s.block_queries)
    s.chunk_first = 0
    while s.chunk_first < s.n_rows:
        s.chunk_rows = min(n_panels * width, s.n_rows - s.chunk_first)
        parallel_for(ceil_div(s.chunk_rows, width), 1,
                     s.chunk_rows * s.depth * <double>sizeof(real) / 12, pack_chunk_body, s)
        work_ns = 2.0 * s.n_queries * s.chunk_rows * (s.depth + 6) / (6.0 * width)
        parallel_for(n_blocks, 1, work_ns, search_body, s)
        if s.out_of_memory:
            return OUT_OF_MEMORY
        s.chunk_first += s.chunk_rows
    return 0


# ---- few queries ----

cdef inline Py_ssize_t stream(const Search* s, Py_ssize_t first, Py_ssize_t end,
                              const candidates[real]& found) noexcept nogil:
    """Take rows [first, end) as far as they need no care; where the next that does starts."""
    cdef query[real] q
    cdef Py_ssize_t done = 0, n_rows = end - first
    cdef int64_t index = s.first_index + first
    q.x = <const real*>s.packed_x
    q.depth = s.depth
    q.scaled = s.kind == SCALE
    q.with_norms = s.kind == ADD_NORMS
    if s.source == INT8:
        stream_integers(q, s.integers, <const int8_t*>s.y + first * s.y_row, s.y_row, n_rows,
                        index, found)
        return end
    if s.source == UINT8:
        stream_integers(q, s.integers, <const uint8_t*>s.y + first * s.y_row, s.y_row, n_rows,
                        index, found)
        return end
    if s.source == HALF:
        stream_rows(q, <const float16*>s.y + first * s.y_row, s.y_row, n_rows, index, found, &done)
    else:
        stream_rows(q, <const real*>s.y + first * s.y_row, s.y_row, n_rows, index, found, &done)
    return first + done


cdef void search_segment_as(Py_ssize_t begin, Py_ssize_t end, void* partial, Search* s,
                            real zero) noexcept nogil:
    """partial: (n_queries, k) indices, then keys, then n_queries counts, of rows [begin, end)."""
    cdef Py_ssize_t width = tile_cols(zero), row, first = begin, cols
    cdef int64_t* indices = <int64_t*>partial
    cdef int64_t* counts = indices + s.n_queries * s.k
    cdef real* keys = <real*>(counts + s.n_queries)
    cdef candidates[real] found
    cdef panel[real] b
    cdef real* packed_y = <real*>thread_scratch(
        SCRATCH_PANEL, (panel_stride(s, zero) + vlanes(zero)) * sizeof(real))
    cdef void* memory = thread_scratch(SCRATCH_FOUND, candidates_bytes(zero, s.n_queries, s.k))
    memset(counts, 0, s.n_queries * sizeof(int64_t))
    if packed_y == NULL or memory == NULL:
        raise_flag(&s.out_of_memory)
        return
    found = lay_out(zero, memory, s.n_queries, s.k)
    for row in range(s.n_queries):
        restore_row(found, row, <const real*>NULL, <const int64_t*>NULL, 0)
    b.terms = packed_y + s.depth * width
    while first < end:
        if s.n_queries == 1 and s.y_depth == 1:
            first = stream(s, first, end, found)
            if first == end:
                break
        cols = min(width, end - first)
        pack_rows(s, first, cols, packed_y, packed_y + s.depth * width)
        b.columns = (<uint64_t>1 << cols) - 1
        b.first = s.first_index + first
        search_queries(s, <const real*>s.packed_x, s.n_queries, s.height, <const real*>packed_y, b,
                       found)
        first += cols
    for row in range(s.n_queries):
        counts[row] = save_row(found, row, keys + row * s.k, indices + row * s.k)


cdef void search_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                         void* context) noexcept nogil:
    if (<Search*>context).itemsize == 4:
        search_segment_as(begin, end, partial, <Search*>context, <float>0)
    else:
        search_segment_as(begin, end, partial, <Search*>context, <double>0)


cdef void merge_segment_as(const void* partial, Search* s, real zero) noexcept nogil:
    cdef const int64_t* indices = <const int64_t*>partial
    cdef const int64_t* counts = indices + s.n_queries * s.k
    cdef const real* keys = <const real*>(counts + s.n_queries)
    cdef candidates[real] found = lay_out(zero, s.total, s.n_queries, s.k)
    cdef Py_ssize_t row
    for row in range(s.n_queries):
        add_pairs(found, row, keys + row * s.k, indices + row * s.k, counts[row])


cdef void merge_segment(void* total, const void* partial, void* context) noexcept nogil:
    if (<Search*>context).itemsize == 4:
        merge_segment_as(partial, <Search*>context, <float>0)
    else:
        merge_segment_as(partial, <Search*>context, <double>0)


cdef int search_few(Search* s, real zero) except -1 nogil:
    cdef Py_ssize_t width = tile_cols(zero), row, segment
    cdef candidates[real] found
    s.height = even_height(s.n_queries, tile_rows(zero))
    s.packed_x = thread_scratch(SCRATCH_QUERIES,
                                (s.n_queries * s.depth + vlanes(zero)) * sizeof(real))
    s.total = thread_scratch(SCRATCH_CHUNK, candidates_bytes(zero, s.n_queries, s.k))
    if s.packed_x == NULL or s.total == NULL:
        return OUT_OF_MEMORY
    pack_queries(s, 0, s.n_queries, s.height, <real*>s.packed_x)
    found = lay_out(zero, s.total, s.n_queries, s.k)
    for row in range(s.n_queries):
        restore_row(found, row, <const real*>s.keys + row * s.k,
                    <const int64_t*>s.indices + row * s.k, min(s.k, s.n_known))
    segment = max(SEGMENT_BYTES // (s.depth * <Py_ssize_t>sizeof(real)), 4 * s.k)
    segment = ceil_div(segment, width) * width
    ordered_reduce(s.n_rows, segment, s.n_queries * (s.k * (8 + <Py_ssize_t>sizeof(real)) + 8),
                   s.n_rows * s.depth * (<double>sizeof(real) / 16
                                         + 2.0 * s.n_queries / (6.0 * width)),
                   search_segment, merge_segment, NULL, s)
    if s.out_of_memory:
        return OUT_OF_MEMORY
    for row in range(s.n_queries):
        save_row(found, row, <real*>s.keys + row * s.k, s.indices + row * s.k)
    return 0


cdef int search_as(Search* s, real zero) except -1 nogil:
    # The buffers of all queries fit each thread's share of the memory.
    if s.n_queries <= FEW_QUERIES and (
            candidates_bytes(zero, s.n_queries, s.k) <= THREAD_BYTES // (2 * thread_count() + 1)):
        return search_few(s, zero)
    return search_many(s, zero)


def search(cnp.ndarray x, cnp.ndarray x_scale, cnp.ndarray y, Py_ssize_t kind,
           Py_ssize_t first_index, cnp.ndarray keys, cnp.ndarray indices, integers=None):
    """Take the rows of y, the database's from first_index on, into the candidates of each query.

    keys (n_queries, k) hold what is known from rows before first_index: min(k, first_index) pairs
    in the order of the indices. Call with all the database's rows in order, then `finish`.

    Assumes: x, y (n_rows, depth), x_scale (n_queries,) and keys float32 or all float64, aligned,
    native, strides of whole elements; x_scale, keys and indices (int64) in C order; nothing empty;
    depth at most MAX_DEPTH. For a single query, and rows that are contiguous each, y may be float16
    (the others float32), or int8 or uint8 with the query as int16 `integers` beside x (C order,
    zeros behind it up to a multiple of 32).
    """
    cdef Search s
    cdef int status
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(keys), y_size = cnp.PyArray_ITEMSIZE(y)
    memset(&s, 0, sizeof(s))
    if y_size == 2:
        s.source = HALF
    elif y_size == 1:
        s.source = UINT8 if cnp.PyArray_TYPE(y) == cnp.NPY_UINT8 else INT8
        s.integers = <const int16_t*>cnp.PyArray_DATA(<cnp.ndarray>integers)
    s.itemsize = size
    s.kind = kind
    s.depth = cnp.PyArray_DIM(x, 1)
    s.k = cnp.PyArray_DIM(keys, 1)
    s.x = cnp.PyArray_DATA(x)
    s.n_queries = cnp.PyArray_DIM(x, 0)
    s.x_row = cnp.PyArray_STRIDE(x, 0) // size
    s.x_depth = cnp.PyArray_STRIDE(x, 1) // size
    s.x_scale = cnp.PyArray_DATA(x_scale)
    s.y = cnp.PyArray_DATA(y)
    s.n_rows = cnp.PyArray_DIM(y, 0)
    s.y_row = cnp.PyArray_STRIDE(y, 0) // y_size
    s.y_depth = cnp.PyArray_STRIDE(y, 1) // y_size
    s.first_index = s.n_known = first_index
    s.keys = cnp.PyArray_DATA(keys)
    s.indices = <int64_t*>cnp.PyArray_DATA(indices)
    with nogil:
        if size == 4:
            status = search_as(&s, <float>0)
        else:
            status = search_as(&s, <double>0)
    if status:
        raise MemoryError("topk: no scratch memory")
