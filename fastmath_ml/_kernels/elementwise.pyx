"""Distance matrices of the metrics that no matrix product computes: blocks over metric_tile.h.

    for each chunk of Y that fits the packing buffer (16 MiB)       one packing pass, in parallel
      for each task: a block of rows of X x a group of panels of Y  claimed by the threads
        pack the rows of X: they stay in L2
          for each panel of Y (metric_cols columns)
            for each tile of rows, or these two the other way round

A tile goes over all features of its pairs, so that a pair's sums never leave the registers for
longer than a block of features. X against itself computes the panels from the diagonal on and
mirrors each block while it is in the cache. Rows too long for the buffer are packed in segments,
tile by tile, with the sums kept in between.
"""

from cython cimport floating as real
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.finish cimport THEN_EXP, THEN_NOTHING, finish_context, finish_rows
from fastmath_ml._kernels.mirror cimport mirror_block
from fastmath_ml._kernels.pool cimport (
    OUT_OF_MEMORY, parallel_for, raise_flag, thread_count, thread_scratch,
)
from fastmath_ml._kernels.simd cimport ceil_div, vlanes
from fastmath_ml._kernels.transpose cimport pack_panel

cnp.import_array()

cdef extern from "metric_tile.h" namespace "fm" nogil:
    metric_tiles select_metric[T](int kind, T) noexcept

KINDS = {
    "cityblock": CITYBLOCK,
    "chebyshev": CHEBYSHEV,
    "canberra": CANBERRA,
    "braycurtis": BRAYCURTIS,
    "euclidean": EUCLIDEAN,
    "minkowski": MINKOWSKI,
    "minkowski_3": MINKOWSKI_3,
    "hamming": HAMMING,
    "jensenshannon": JENSENSHANNON,
    "nan_euclidean": NAN_EUCLIDEAN,
}

cdef enum:
    CHUNK_BYTES = 16 << 20
    ROW_BLOCK_BYTES = 128 << 10
    ACROSS_BYTES = 2 << 20
    MIRRORED_ROWS = 64          # of a block of a symmetric matrix
    LONG_DEPTH = 1 << 16        # rows of so many features are packed in segments
    SEGMENT = 4096              # a multiple of metric_block
    SCRATCH_Y = 0
    SCRATCH_X = 1
    SCRATCH_SUMS = 2
    SCRATCH_SEGMENT = 3

# Nanoseconds for a vector of pairs and one feature, roughly, by metric_kind.
cdef double[10] COSTS = [0.4, 0.5, 1.0, 0.8, 0.4, 12.0, 0.5, 0.5, 14.0, 0.8]

cdef struct Block:
    const void* x
    const void* y
    const void* weights
    void* out
    Py_ssize_t n_rows, n_cols, depth
    Py_ssize_t x_row, x_depth, y_row, y_depth, out_row      # strides in elements
    Py_ssize_t itemsize
    bint symmetric
    metric_tiles tiles
    metric_operands operands                                # what is the same for all tiles
    finish_context finish
    # The current chunk of Y: its columns, packed; and how the matrix is cut into tasks.
    Py_ssize_t first_col, end_col
    void* packed_y
    Py_ssize_t row_block, n_row_blocks, panel_group
    bint out_of_memory


cdef metric_tiles metric_tiles_of(int kind, Py_ssize_t itemsize) noexcept nogil:
    if itemsize == 4:
        return select_metric(kind, <float>0)
    return select_metric(kind, <double>0)


cdef void pack_rows(const real* rows, Py_ssize_t n_rows, Py_ssize_t depth, Py_ssize_t row_stride,
                    Py_ssize_t depth_stride, real* to, Py_ssize_t width) noexcept nogil:
    """to[p * width + i] = feature p of row i, zeros for the rows from n_rows to width."""
    if n_rows < width:
        memset(to, 0, depth * width * sizeof(real))
    pack_panel(n_rows, depth, rows, row_stride, depth_stride, <const real*>NULL, to, width, False)


cdef void pack_y(Py_ssize_t begin, Py_ssize_t end, Block* b, real zero) noexcept nogil:
    """Pack the panels [begin, end) of the current chunk of Y."""
    cdef Py_ssize_t width = metric_cols(zero), panel, col
    for panel in range(begin, end):
        col = b.first_col + panel * width
        pack_rows(<const real*>b.y + col * b.y_row, min(width, b.end_col - col), b.depth, b.y_row,
                  b.y_depth, <real*>b.packed_y + panel * width * b.depth, width)


cdef void pack_y_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Block*>context).itemsize == 4:
        pack_y(begin, end, <Block*>context, <float>0)
    else:
        pack_y(begin, end, <Block*>context, <double>0)


cdef void compute_task(Py_ssize_t first_row, Py_ssize_t end_row, Py_ssize_t first_panel,
                       Py_ssize_t end_panel, Block* b, real zero) noexcept nogil:
    """Rows [first_row, end_row) against panels of the current chunk."""
    cdef Py_ssize_t width = metric_cols(zero), height = b.tiles.height
    cdef Py_ssize_t group, group_row, group_end, row, rows, col, cols, panel
    cdef Py_ssize_t n_tiles = ceil_div(end_row - first_row, height)
    cdef real* packed = <real*>thread_scratch(SCRATCH_X, n_tiles * height * b.depth * sizeof(real))
    cdef real* out
    cdef metric_operands x = b.operands
    if packed == NULL:
        raise_flag(&b.out_of_memory)
        return
    x.x_depth = height
    row = first_row
    while row < end_row:
        pack_rows(<const real*>b.x + row * b.x_row, min(height, end_row - row), b.depth, b.x_row,
                  b.x_depth, packed + (row - first_row) * b.depth, height)
        row += height
    # Panels of Y that stay in cache are gone across by one row of tiles after the other, which
    # writes `out` in long runs. Wider ones stay in L1, and the tiles go down the rows.
    group = end_row - first_row
    if (end_panel - first_panel) * width * b.depth * <Py_ssize_t>sizeof(real) <= ACROSS_BYTES:
        group = height
    group_row = first_row
    while group_row < end_row:
        group_end = min(group_row + group, end_row)
        for panel in range(first_panel, end_panel):
            col = b.first_col + panel * width
            cols = min(width, b.end_col - col)
            x.y = <real*>b.packed_y + panel * width * b.depth
            row = group_row
            while row < group_end and not (b.symmetric and row >= col + cols):
                rows = min(height, group_end - row)
                x.x = packed + (row - first_row) * b.depth
                out = <real*>b.out + row * b.out_row + col
                if rows == 1:
                    b.tiles.single(rows, cols, x, out, b.out_row)
                else:
                    b.tiles.full(rows, cols, x, out, b.out_row)
                finish_rows(rows, cols, out, b.out_row, b.finish)
                row += rows
        group_row = group_end
    if b.symmetric:
        mirror_block(<real*>b.out, b.out_row, first_row, end_row, b.first_col + first_panel * width,
                     b.end_col)


cdef void compute(Py_ssize_t begin, Py_ssize_t end, Block* b, real zero) noexcept nogil:
    """Tasks [begin, end): all row blocks of the first group of panels, then of the next."""
    cdef Py_ssize_t n_panels = ceil_div(b.end_col - b.first_col, metric_cols(zero))
    cdef Py_ssize_t task, first_row, first_panel
    for task in range(begin, end):
        first_row = task % b.n_row_blocks * b.row_block
        first_panel = task // b.n_row_blocks * b.panel_group
        if b.symmetric:
            first_panel = max(first_panel, (first_row - b.first_col) // metric_cols(zero))
        compute_task(first_row, min(first_row + b.row_block, b.n_rows), first_panel,
                     min(first_panel + b.panel_group, n_panels), b, zero)


cdef void compute_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Block*>context).itemsize == 4:
        compute(begin, end, <Block*>context, <float>0)
    else:
        compute(begin, end, <Block*>context, <double>0)


cdef int run_chunks(Block* b, double work_ns, Py_ssize_t width) except -1 nogil:
    """The matrix, one chunk of Y after the other."""
    cdef Py_ssize_t panel_bytes = width * b.depth * b.itemsize, height = b.tiles.height
    cdef Py_ssize_t chunk_panels = max(1, CHUNK_BYTES // panel_bytes), n_panels, tasks_wanted
    cdef double chunk_ns
    chunk_panels = min(chunk_panels, ceil_div(b.n_cols, width))
    b.packed_y = thread_scratch(SCRATCH_Y, chunk_panels * panel_bytes)
    if b.packed_y == NULL:
        return OUT_OF_MEMORY
    b.row_block = max(1, ROW_BLOCK_BYTES // (b.depth * b.itemsize) // height) * height
    # Four tasks for each thread, none under about 20 us.
    tasks_wanted = min(4 * thread_count(), <Py_ssize_t>(work_ns / 20e3) + 1)
    b.row_block = min(b.row_block, ceil_div(ceil_div(b.n_rows, tasks_wanted), height) * height)
    if b.symmetric:
        # Few rows, which are in the L2 cache when they are mirrored; and blocks start where panels
        # do, so that no panel reaches into another block's mirror.
        b.row_block = ceil_div(min(b.row_block, <Py_ssize_t>MIRRORED_ROWS), width) * width
    b.n_row_blocks = ceil_div(b.n_rows, b.row_block)
    b.first_col = 0
    while b.first_col < b.n_cols:
        b.end_col = min(b.first_col + chunk_panels * width, b.n_cols)
        n_panels = ceil_div(b.end_col - b.first_col, width)
        b.panel_group = n_panels
        if b.n_row_blocks < tasks_wanted and not b.symmetric:
            b.panel_group = ceil_div(n_panels, ceil_div(tasks_wanted, b.n_row_blocks))
        chunk_ns = work_ns * (b.end_col - b.first_col) / b.n_cols
        parallel_for(n_panels, 1, 0.5 * n_panels * width * b.depth, pack_y_body, b)
        parallel_for(b.n_row_blocks * ceil_div(n_panels, b.panel_group), 1, chunk_ns,
                     compute_body, b)
        b.first_col = b.end_col
    return b.out_of_memory


# ---- Rows too long to be packed whole ----

cdef void long_tile(Py_ssize_t row, Py_ssize_t col, Block* b, real zero) noexcept nogil:
    cdef Py_ssize_t width = metric_cols(zero), height = b.tiles.height, first = 0, steps
    cdef Py_ssize_t rows = min(height, b.n_rows - row), cols = min(width, b.n_cols - col)
    cdef metric_operands x = b.operands
    cdef real* packed_x = <real*>thread_scratch(SCRATCH_X, height * SEGMENT * sizeof(real))
    cdef real* packed_y = <real*>thread_scratch(SCRATCH_SEGMENT, width * SEGMENT * sizeof(real))
    cdef real* out = <real*>b.out + row * b.out_row + col
    x.sums = thread_scratch(SCRATCH_SUMS, b.tiles.n_sums * height * width * sizeof(real))
    if packed_x == NULL or packed_y == NULL or x.sums == NULL:
        raise_flag(&b.out_of_memory)
        return
    x.x = packed_x
    x.x_depth = height
    x.y = packed_y
    while first < b.depth:
        steps = min(SEGMENT, b.depth - first)
        pack_rows(<const real*>b.x + row * b.x_row + first * b.x_depth, rows, steps, b.x_row,
                  b.x_depth, packed_x, height)
        pack_rows(<const real*>b.y + col * b.y_row + first * b.y_depth, cols, steps, b.y_row,
                  b.y_depth, packed_y, width)
        x.depth = steps
        x.weights = <const real*>b.operands.weights + first
        x.from_zero = first == 0
        x.goes_on = first + steps < b.depth
        b.tiles.full(rows, cols, x, out, b.out_row)
        first += steps
    finish_rows(rows, cols, out, b.out_row, b.finish)


cdef void long_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Block* b = <Block*>context
    cdef Py_ssize_t tile, row
    for tile in range(begin, end):
        row = tile % b.n_row_blocks * b.tiles.height
        if b.itemsize == 4:
            long_tile(row, tile // b.n_row_blocks * metric_cols(<float>0), b, <float>0)
        else:
            long_tile(row, tile // b.n_row_blocks * metric_cols(<double>0), b, <double>0)


cdef int run(Block* b, double work_ns) except -1 nogil:
    cdef Py_ssize_t width = metric_cols(<float>0) if b.itemsize == 4 else metric_cols(<double>0)
    if b.n_rows == 0 or b.n_cols == 0:
        return 0
    if b.depth < LONG_DEPTH:
        return run_chunks(b, work_ns, width)
    b.n_row_blocks = ceil_div(b.n_rows, b.tiles.height)
    parallel_for(b.n_row_blocks * ceil_div(b.n_cols, width), 1, work_ns, long_body, b)
    return b.out_of_memory


def metric_distances(cnp.ndarray x, cnp.ndarray y, cnp.ndarray weights, int kind, double p,
                     double total, bint as_surrogate, cnp.ndarray out, exponent=None):
    """out[i, j] = distance of x_i and y_j; y may be x itself, then symmetric to the bit.

    exp(exponent * distance) where an exponent is given, the surrogate with `as_surrogate`.
    float32 or float64 throughout, sums in that dtype over blocks of 128 features; x and y aligned,
    in the machine's byte order, strides whole elements; weights (n_features,) and out C-ordered.
    `p` is the exponent of MINKOWSKI, `total` the sum of the weights for HAMMING and the number of
    features for NAN_EUCLIDEAN.
    """
    cdef Block b
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(out)
    cdef double work_ns
    cdef int failed
    memset(&b, 0, sizeof(b))
    b.itemsize = size
    b.x, b.y = cnp.PyArray_DATA(x), cnp.PyArray_DATA(y)
    b.out = cnp.PyArray_DATA(out)
    b.n_rows, b.n_cols = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(y, 0)
    b.depth = cnp.PyArray_DIM(x, 1)
    b.x_row, b.x_depth = cnp.PyArray_STRIDE(x, 0) // size, cnp.PyArray_STRIDE(x, 1) // size
    b.y_row, b.y_depth = cnp.PyArray_STRIDE(y, 0) // size, cnp.PyArray_STRIDE(y, 1) // size
    b.out_row = b.n_cols
    b.symmetric = x is y
    b.tiles = metric_tiles_of(kind, size)
    b.operands.depth = b.depth
    b.operands.weights = cnp.PyArray_DATA(weights)
    b.operands.from_zero = True
    b.operands.as_surrogate = as_surrogate
    b.operands.options.p = p
    b.operands.options.inverse_p = 1 / p
    b.operands.options.total = total
    b.finish.then = THEN_NOTHING
    if exponent is not None:
        b.finish.then = THEN_EXP
        b.finish.power = exponent
    work_ns = (COSTS[kind] * b.n_rows * b.n_cols * (b.depth + 4)
               / (vlanes(<float>0) * 4 // size) * (0.5 if b.symmetric else 1.0))
    with nogil:
        failed = run(&b, work_ns)
    if failed:
        raise MemoryError("no memory for a packed block of rows")
