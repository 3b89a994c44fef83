# Products whose operands lie by steps of the depth: slices of it for a C of few columns, and
# A A^T on one thread. Compiled into blocks.pyx.
from cython cimport floating

from fastmath_ml._kernels.blocks cimport FLOATING, Product, depth_block_of
from fastmath_ml._kernels.convert cimport AS_COMPUTED
from fastmath_ml._kernels.depth_slices cimport multiply_slices, sliced_product
from fastmath_ml._kernels.gram cimport gram_product, multiply_gram
from fastmath_ml._kernels.mirror cimport mirror_block
from fastmath_ml._kernels.packing cimport SCRATCH_A, SCRATCH_B
from fastmath_ml._kernels.pool cimport (
    OUT_OF_MEMORY, parallel_for, raise_flag, thread_count, thread_scratch,
)
from fastmath_ml._kernels.simd cimport ceil_div
from fastmath_ml._kernels.tile cimport tile_cols, tile_rows

cdef enum:
    # From which depth on C is computed by one triangle that is mirrored.
    MIRROR_DEPTH = 64
    # Products in slices of the depth: the steps of a slice (with twice as many, rows of a power of
    # two of bytes crowd the sets of L2), the bytes of A that a task reads at each of them, and from
    # which sizes on and up to how many columns it pays.
    SLICE_STEPS = 32
    SLICE_BYTES = 8192
    SLICED_ROWS = 64
    SLICED_BYTES = 512 << 10
    SLICED_COLS = 64


cdef inline bint is_by_steps(const Product* p) noexcept nogil:
    """Whether steps of the depth are rows of memory on both sides, and nothing is done to them."""
    return (p.a_row == 1 and p.a_depth != 1 and p.b_col == 1 and p.computed == FLOATING
            and p.shift == NULL
            and p.a_type == AS_COMPUTED and p.b_type == AS_COMPUTED
            and p.row_scale == NULL and p.col_scale == NULL and p.finish == NULL)


cdef struct Slices:
    const Product* product
    Py_ssize_t task_rows
    bint out_of_memory


cdef inline void multiply_slices_as(Py_ssize_t row, Slices* slices, floating zero) noexcept nogil:
    cdef const Product* p = slices.product
    cdef sliced_product[floating] x
    x.n_rows, x.n_cols, x.depth = min(slices.task_rows, p.n_rows - row), p.n_cols, p.depth
    x.depth_block = depth_block_of(sizeof(floating))
    x.a, x.a_depth = <const floating*>p.a + row, p.a_depth
    x.b, x.b_depth = <const floating*>p.b, p.b_depth
    x.c, x.c_row = <floating*>p.c + row * p.c_row, p.c_row
    x.steps = SLICE_STEPS
    x.accumulate = p.accumulate
    x.sums = NULL
    if p.accumulate or x.depth > x.depth_block:
        x.sums = <floating*>thread_scratch(SCRATCH_A, x.n_rows * x.n_cols * sizeof(floating))
        if x.sums == NULL:
            raise_flag(&slices.out_of_memory)
            return
    multiply_slices(x)


cdef inline void slices_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Slices* slices = <Slices*>context
    cdef Py_ssize_t task
    for task in range(begin, end):
        if slices.product.itemsize == 4:
            multiply_slices_as(task * slices.task_rows, slices, <float>0)
        else:
            multiply_slices_as(task * slices.task_rows, slices, <double>0)


cdef inline bint is_sliced(const Product* p) noexcept nogil:
    """Whether multiply_sliced is for it."""
    return (not p.symmetric and is_by_steps(p)
            and p.n_cols <= SLICED_COLS and p.n_rows >= SLICED_ROWS
            and p.n_rows * p.depth * p.itemsize >= SLICED_BYTES)


cdef inline int multiply_sliced(const Product* p) except -1 nogil:
    cdef Slices slices
    cdef Py_ssize_t n_tasks = ceil_div(p.n_rows * p.itemsize, SLICE_BYTES)
    if thread_count() > 1:
        n_tasks = max(n_tasks, min(2 * thread_count(), p.n_rows // SLICED_ROWS))
    slices.product = p
    # Whole lines of the cache of rows of memory.
    slices.task_rows = ceil_div(ceil_div(p.n_rows, n_tasks), 16) * 16
    slices.out_of_memory = False
    parallel_for(ceil_div(p.n_rows, slices.task_rows), 1,
                 p.n_rows * <double>p.depth * p.n_cols * p.itemsize / 400.0, slices_body, &slices)
    return OUT_OF_MEMORY if slices.out_of_memory else 0


cdef inline int multiply_gram_as(const Product* p, bint from_float, const void* shift,
                                 double* sums, floating zero) noexcept nogil:
    cdef gram_product[floating] g
    g.n, g.depth, g.depth_block = p.n_cols, p.depth, depth_block_of(sizeof(floating))
    g.x, g.x_row, g.from_float = p.a, p.a_depth, from_float
    g.shift, g.sums = <const floating*>shift, sums
    g.packed = <floating*>thread_scratch(SCRATCH_B, ceil_div(g.n, tile_cols(zero)) * tile_cols(zero)
                                         * min(g.depth, g.depth_block) * sizeof(floating))
    g.c, g.c_row, g.accumulate = <floating*>p.c, p.c_row, p.accumulate
    if g.packed == NULL:
        return OUT_OF_MEMORY
    multiply_gram(g)
    mirror_block(g.c, g.c_row, 0, g.n, 0, g.n)
    return 0


cdef inline bint is_gram(const Product* p, Py_ssize_t l2_bytes) noexcept nogil:
    """Whether one thread has all of it, the panels of a depth block take at most so much of its
    L2, and tiles of a panel's rows are not low. The bits are those of the other ways: the depth
    blocks are the same.
    """
    cdef Py_ssize_t width = tile_cols(<float>0) if p.itemsize == 4 else tile_cols(<double>0)
    return (p.symmetric and is_by_steps(p) and p.depth > MIRROR_DEPTH and thread_count() == 1
            and p.n_cols * depth_block_of(p.itemsize) * p.itemsize <= l2_bytes
            and 2 * width > tile_rows(<float>0))
