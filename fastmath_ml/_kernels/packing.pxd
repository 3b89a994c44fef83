# How a product is cut into blocks, and the packing of its operands: compiled into blocks.pyx.
from cython cimport floating
from libc.stdint cimport uint32_t, uint64_t

from fastmath_ml._kernels.blocks cimport Product
from fastmath_ml._kernels.convert cimport (
    INT8, UINT8, element_bytes, fused_pair, pack_operand, pair, quad, shift_bytes, step_elements,
    subtract_from_steps,
)
from fastmath_ml._kernels.prefetch cimport prefetch_l2
from fastmath_ml._kernels.tile cimport even_height, tile_cols

ctypedef fused number:
    float
    double
    uint32_t
    uint64_t
    pair
    fused_pair
    quad

cdef enum:
    # Rows of B that are packed across its panels.
    PACK_STEPS = 16
    # Memory that a thread keeps: for panels of B, and for those of A.
    SCRATCH_B = 0
    SCRATCH_A = 1

# Which `number` a product computes in.
cdef enum number_type:
    FLOAT32_NUMBER, FLOAT64_NUMBER, UINT32_NUMBER, UINT64_NUMBER
    PAIR_NUMBER, FUSED_PAIR_NUMBER, QUAD_NUMBER


# How one product is cut. The columns and the depth are those of the current chunk of B.
cdef struct Plan:
    const Product* product
    Py_ssize_t depth_block
    Py_ssize_t first_col, end_col
    Py_ssize_t origin                           # panels start at origin + k * tile_cols
    Py_ssize_t first_depth, end_depth
    Py_ssize_t max_height                       # rows of a tile
    Py_ssize_t row_block, n_row_blocks          # rows of a task
    Py_ssize_t col_group                        # columns of a task or its squares, whole panels
    void* packed_b                              # NULL: B is read in place, or:
    quad* col_terms                             # of quads: a term for each column of B,
    Py_ssize_t term_step                        # and from those of a depth block to the next's
    bint flat                                   # each task packs its part of B
    bint pack_a
    bint bring_rows                             # A is read in place, and comes from memory
    bint mirrored                               # compute one triangle and mirror it
    bint shared                                 # packed panels of B serve as A, too
    bint out_of_memory
    number_type number


cdef inline Py_ssize_t with_terms_of(Py_ssize_t depth, Py_ssize_t n_blocks,
                                     number zero) noexcept nogil:
    """Steps of packed memory: of quads there is a term behind them for each depth block."""
    return depth + n_blocks if number is quad else depth


cdef inline void shift_panel(const Product* p, Py_ssize_t first, floating* panel, Py_ssize_t width,
                             Py_ssize_t stride, Py_ssize_t depth) noexcept nogil:
    """Take the shifts from `first` on from what was packed for so many steps of the depth."""
    cdef const floating* low = NULL
    if p.low_shift != NULL:
        low = <const floating*>p.low_shift + first
    subtract_from_steps(panel, stride, width, depth, <const floating*>p.shift + first, low)


cdef inline void pack_panels(const Plan* plan, Py_ssize_t first_panel, Py_ssize_t end_panel,
                             Py_ssize_t first_depth, Py_ssize_t depth, number* to,
                             number zero) noexcept nogil:
    """Pack panels of the columns of B over a range of the depth, one panel after the other.

    Across all panels for a few rows of B, then the next rows: B is read in long runs.
    """
    cdef const Product* p = plan.product
    cdef Py_ssize_t size = element_bytes[p.b_type] if p.b_type else <Py_ssize_t>sizeof(number)
    cdef Py_ssize_t width = tile_cols(zero), elements = step_elements(zero)
    cdef Py_ssize_t slice_steps = PACK_STEPS if p.b_col == 1 else depth
    cdef Py_ssize_t step = 0, steps, panel, col, row
    cdef const char* b
    cdef const char* ahead
    cdef const number* scale = NULL
    while step < depth:
        steps = min(slice_steps, depth - step)
        b = <const char*>p.b + (first_depth + step) * elements * p.b_depth * size
        for panel in range(first_panel, end_panel):
            col = max(plan.origin + panel * width, plan.first_col)
            if p.col_scale != NULL:
                scale = <const number*>p.col_scale + col
            if plan.flat and p.b_col == 1:
                # The rows that are packed next: the hardware does not foresee where they begin.
                ahead = b + (steps * elements * p.b_depth + col * p.b_col) * size
                for row in range(min(steps, depth - step - steps)):
                    prefetch_l2(ahead + row * elements * p.b_depth * size)
                    prefetch_l2(ahead + row * elements * p.b_depth * size + 64)
            pack_operand(p.b_type, min(plan.origin + (panel + 1) * width, plan.end_col) - col,
                         steps, p.last if first_depth + step + steps == p.depth else 0,
                         b + col * p.b_col * size, p.b_col, p.b_depth, scale,
                         to + (panel - first_panel) * width * depth + step * width, width, False)
            if number is float or number is double:
                if p.shift != NULL:
                    shift_panel(p, col, to + (panel - first_panel) * width * depth + step * width,
                                min(width, plan.end_col - col), width, steps)
        step += steps


cdef inline uint32_t row_shift(const Product* p) noexcept nogil:
    """What is added to the elements of A, and alpha in convert.h."""
    return 128 if p.a_type == INT8 else 0


cdef inline uint32_t col_shift(const Product* p) noexcept nogil:
    """What is taken from the elements of B, and beta in convert.h."""
    return 128 if p.b_type == UINT8 else 0


cdef inline uint32_t flipped_bits(uint32_t shift) noexcept nogil:
    return shift * 0x01010101


cdef inline void shift_panels(const Plan* plan, Py_ssize_t first_panel, Py_ssize_t end_panel,
                              Py_ssize_t depth, quad* packed, quad* terms) noexcept nogil:
    """Shift the bytes of panels of B that were packed for so many steps; their terms."""
    cdef const Product* p = plan.product
    cdef uint32_t alpha = row_shift(p), beta = col_shift(p)
    cdef Py_ssize_t width = tile_cols(quad()), panel, cols, block, steps
    for panel in range(end_panel - first_panel):
        cols = plan.origin + (first_panel + panel) * width
        cols = min(cols + width, plan.end_col) - max(cols, plan.first_col)
        block = 0
        while block < depth:
            steps = min(plan.depth_block, depth - block)
            shift_bytes(False, packed + (panel * depth + block) * width, cols, width, steps,
                        flipped_bits(beta), -alpha, -alpha * beta * 4 * <uint32_t>steps,
                        terms + block // plan.depth_block * plan.term_step + panel * width)
            block += steps


cdef inline void pack_b(Py_ssize_t begin, Py_ssize_t end, Plan* plan, number zero) noexcept nogil:
    """Pack the panels [begin, end) of the current chunk of B."""
    cdef Py_ssize_t depth = plan.end_depth - plan.first_depth, width = tile_cols(zero)
    cdef number* to = <number*>plan.packed_b + begin * width * depth
    pack_panels(plan, begin, end, plan.first_depth, depth, to, zero)
    if number is quad:
        shift_panels(plan, begin, end, depth, to, plan.col_terms + begin * width)


cdef inline void pack_b_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Plan* plan = <Plan*>context
    if plan.number == FLOAT32_NUMBER:
        pack_b(begin, end, plan, <float>0)
    elif plan.number == FLOAT64_NUMBER:
        pack_b(begin, end, plan, <double>0)
    elif plan.number == UINT32_NUMBER:
        pack_b(begin, end, plan, <uint32_t>0)
    elif plan.number == UINT64_NUMBER:
        pack_b(begin, end, plan, <uint64_t>0)
    elif plan.number == PAIR_NUMBER:
        pack_b(begin, end, plan, pair())
    elif plan.number == FUSED_PAIR_NUMBER:
        pack_b(begin, end, plan, fused_pair())
    else:
        pack_b(begin, end, plan, quad())


cdef inline void pack_a_block(Plan* plan, Py_ssize_t first_row, Py_ssize_t end_row,
                              Py_ssize_t first_depth, Py_ssize_t depth, number* to, quad* terms,
                              number zero) noexcept nogil:
    """Pack rows of A over a depth block, one after the other in panels of the tiles' heights.

    terms: of quads, for each row.
    """
    cdef const Product* p = plan.product
    cdef Py_ssize_t size = element_bytes[p.a_type] if p.a_type else <Py_ssize_t>sizeof(number)
    cdef Py_ssize_t steps = first_depth * step_elements(zero), row = first_row, rows
    cdef const number* scale = NULL
    while row < end_row:
        rows = even_height(end_row - row, plan.max_height)
        if p.row_scale != NULL:
            scale = <const number*>p.row_scale + row
        pack_operand(p.a_type, rows, depth, p.last if first_depth + depth == p.depth else 0,
                     <const char*>p.a + (row * p.a_row + steps * p.a_depth) * size,
                     p.a_row, p.a_depth, scale, to + (row - first_row) * depth, rows, True)
        if number is float or number is double:
            if p.shift != NULL:
                shift_panel(p, row, to + (row - first_row) * depth, rows, rows, depth)
        if number is quad:
            shift_bytes(True, to + (row - first_row) * depth, rows, rows, depth,
                        flipped_bits(row_shift(p)), col_shift(p), 0, terms + row - first_row)
        row += rows
