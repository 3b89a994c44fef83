"""Matrix product by blocks over the register tile of tile.h.

The three loops of C = A B are blocked so that every operand is read from the level of memory that
can feed the multiply-adds:

    for each chunk of B that fits the packing buffer (16 MiB)       one packing pass, in parallel
      for each task: a block of rows x a group of columns of C (*)  claimed by the threads
        for each depth block                                        pack the block of A: stays in L2
          for each panel of B (tile_cols columns)                   stays in L1
            for each panel of A (tile_rows rows)                    the register tile

An operand that is small, or that few tiles read, is read where it is instead of being packed. Where
C has few columns, an A that lies by steps of the depth is read in slices of it (depth_slices.h),
and one thread that has all of A A^T packs what it needs once for both sides (gram.h).
Where one task has all rows of C (A is flat), nobody else wants its columns of B, and it packs them
itself, a depth block at a time: they stay in L2. Operands of other types than the computed one are
converted while they are packed (convert.h).

(*) Of A A^T a task has a block of rows and all columns right of the diagonal, one square after the
other, each mirrored while it is in L2. Where all of B fits its buffer it serves as A as well.

The depth block is a constant of the dtype and every element of C is one chain of multiply-adds per
depth block, added to C in order: its bits depend neither on the threads, nor on the cache sizes,
nor on which other rows and columns are computed with it.

A block of rows is cut into tiles of nearly equal height: 16 rows are 8 + 8, not 14 + 2.
"""

from cython cimport floating
from libc.math cimport sqrt
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from fastmath_ml._kernels.by_steps cimport (
    MIRROR_DEPTH, is_gram, is_sliced, multiply_gram_as, multiply_sliced,
)
from fastmath_ml._kernels.convert cimport AS_COMPUTED, cpu_has_vnni, fused_pair, pair, quad
from fastmath_ml._kernels.mirror cimport mirror_block
from fastmath_ml._kernels.packing cimport (
    FLOAT32_NUMBER, FLOAT64_NUMBER, FUSED_PAIR_NUMBER, PAIR_NUMBER, QUAD_NUMBER, SCRATCH_A,
    SCRATCH_B, UINT32_NUMBER, UINT64_NUMBER, Plan, number, number_type, pack_a_block, pack_b_body,
    pack_panels, shift_panels, with_terms_of,
)
from fastmath_ml._kernels.pool cimport (
    OUT_OF_MEMORY, parallel_for, raise_flag, thread_count, thread_scratch,
)
from fastmath_ml._kernels.prefetch cimport bring_lines
from fastmath_ml._kernels.simd cimport ceil_div, vlanes
from fastmath_ml._kernels.tile cimport (
    even_height, keep, keep_packed, lines_asked, operands, tile_cols, tile_product, tile_rows,
    tile_terms, with_terms,
)
from fastmath_ml._kernels.tiny_products cimport multiply_tiny, tiny_products

from fastmath_ml._kernels import cpu

cdef enum:
    # Of a packed chunk of B.
    CHUNK_BYTES = 16 << 20
    # Panels of B that one call of its packing takes.
    PACK_PANELS = 4
    # Panels start at cache lines of C where there are so many.
    ALIGNED_PANELS = 32
    SMALL_WORK = 64 * 64 * 64
    # B is read in place while a depth block of it has at most so many bytes, A while at most so
    # many panels of B use it.
    IN_PLACE_BYTES = 320 << 10
    IN_PLACE_PANELS = 4
    # A B whose vectors straddle cache lines is packed from so many rows on, with several threads
    # only from so many nanoseconds of work on.
    STRADDLED_ROWS = 112
    STRADDLED_NS = 100_000
    # From so many bytes on A in place is prefetched, a tile ahead: 100 000 x 64 x 8 takes 2.8 ms in
    # place of 5.0. Where A is in some cache that costs up to a tenth.
    FAR_BYTES = 32 << 20
    # So many tiles of rows are one task, which packs the columns of B that it needs.
    FLAT_TILES = 8
    # Rows of A that begin at the same set of L1 crowd each other out: tiles that read it in place
    # take fewer of them than the set has ways. 4096 x 4096 x 16 takes 11.3 ms in place of 13.4.
    ALIASED_BYTES = 4096
    ALIASED_ROWS = 7

# Bytes of the packed block of A, and of a square of C that is mirrored: a quarter of the L2 cache
# of one core.
cdef Py_ssize_t row_block_bytes = max(64 << 10, (cpu.cache_bytes()[1] or (512 << 10)) // 4)


cdef inline Py_ssize_t tile_height(const Plan* plan, Py_ssize_t row, Py_ssize_t end,
                                   Py_ssize_t width) noexcept nogil:
    """Rows of the tile at `row`: within one panel where those of B serve as A."""
    if plan.shared:
        end = min(end, row // width * width + width)
    return even_height(end - row, plan.max_height)


cdef void compute_task(Py_ssize_t first_row, Py_ssize_t end_row, Py_ssize_t first_col,
                       Py_ssize_t end_col, Plan* plan, number zero) noexcept nogil:
    """C[first_row:end_row, first_col:end_col] over the depth of the current chunk."""
    cdef const Product* p = plan.product
    cdef Py_ssize_t width = tile_cols(zero), lanes = vlanes(zero)
    cdef Py_ssize_t n_rows = end_row - first_row
    cdef Py_ssize_t chunk_depth = plan.end_depth - plan.first_depth
    cdef Py_ssize_t first_panel, end_panel, panel_step = 0
    cdef Py_ssize_t depth_at, row, col, rows, cols, panel, group_row, group_end
    cdef bint finishing, adding, across
    cdef operands[number] x
    cdef number* packed_a = NULL
    cdef number* packed_b = NULL
    cdef number* c
    cdef quad* row_terms = NULL
    cdef quad* col_terms = NULL
    cdef tile_terms terms
    if first_col >= end_col:
        return
    first_panel = (first_col - plan.origin) // width
    end_panel = ceil_div(end_col - plan.origin, width)
    if plan.pack_a:
        packed_a = <number*>thread_scratch(
            SCRATCH_A,
            (n_rows * with_terms_of(min(plan.depth_block, chunk_depth), 1, zero) + lanes)
            * sizeof(number))
    if plan.flat:
        packed_b = <number*>thread_scratch(
            SCRATCH_B, (end_panel - first_panel) * width
            * with_terms_of(min(plan.depth_block, chunk_depth), 1, zero) * sizeof(number))
    if (plan.pack_a and packed_a == NULL) or (plan.flat and packed_b == NULL):
        raise_flag(&plan.out_of_memory)
        return
    x.context = p.context
    if number is quad:
        # Behind what is packed.
        row_terms = packed_a + n_rows * min(plan.depth_block, chunk_depth) + lanes
        x.context = &terms
    depth_at = plan.first_depth
    while depth_at < plan.end_depth:
        x.depth = min(plan.depth_block, plan.end_depth - depth_at)
        finishing = p.finish != NULL and depth_at + x.depth == p.depth
        adding = p.accumulate or depth_at != 0
        if plan.pack_a:
            pack_a_block(plan, first_row, end_row, depth_at, x.depth, packed_a, row_terms, zero)
        # Where panel k of B starts at this depth: packed_b + k * panel_step.
        if plan.flat:
            pack_panels(plan, first_panel, end_panel, depth_at, x.depth, packed_b, zero)
            panel_step = width * x.depth
            if number is quad:
                col_terms = packed_b + (end_panel - first_panel) * panel_step
                shift_panels(plan, first_panel, end_panel, x.depth, packed_b, col_terms)
        elif plan.packed_b != NULL:
            packed_b = <number*>plan.packed_b + (depth_at - plan.first_depth) * width
            panel_step = width * chunk_depth
            if number is quad:
                col_terms = (plan.col_terms + first_panel * width
                             + (depth_at - plan.first_depth) // plan.depth_block * plan.term_step)
        # Deep products keep a panel of B in L1 and go down the rows. Where all panels of B stay in
        # L2 one row of tiles goes across them instead, which writes C in long runs.
        across = x.depth * (end_col - first_col) * <Py_ssize_t>sizeof(number) <= row_block_bytes
        group_row = first_row
        while group_row < end_row:
            group_end = end_row
            if across:
                group_end = group_row + tile_height(plan, group_row, end_row, width)
            col = first_col
            while col < end_col:
                panel = (col - plan.origin) // width
                cols = min(plan.origin + (panel + 1) * width, end_col) - col
                if packed_b != NULL:
                    x.b_depth = width
                    x.b = packed_b + (panel - (first_panel if plan.flat else 0)) * panel_step
                    x.next = x.b + panel_step
                else:
                    x.b_depth = p.b_depth
                    x.b = <const number*>p.b + depth_at * p.b_depth + col
                    x.next = x.b + width
                # The next panel of B comes into L2 in slices, one a tile.
                row = group_row
                while row < group_end:
                    rows = tile_height(plan, row, group_end, width)
                    if plan.mirrored:
                        if col + cols <= row:
                            break
                        if col + lanes <= row and cols > lanes:
                            # The panel's first vector is left of the diagonal from here on.
                            x.b += lanes
                            col += lanes
                            cols -= lanes
                    if plan.shared:
                        x.a = packed_b + row // width * panel_step + row % width
                        x.a_row = 1
                        x.a_depth = width
                    elif plan.pack_a:
                        x.a = packed_a + (row - first_row) * x.depth
                        x.a_row = 1
                        x.a_depth = rows
                    else:
                        x.a = <const number*>p.a + row * p.a_row + depth_at * p.a_depth
                        x.a_row = p.a_row
                        x.a_depth = p.a_depth
                        if p.a_row != 1:
                            x.next = x.b  # the rows of A are what has to come, not B
                        if plan.bring_rows:
                            bring_lines(x.a + rows * x.a_row, min(rows, end_row - row - rows),
                                        x.a_row * <Py_ssize_t>sizeof(number),
                                        x.depth * <Py_ssize_t>sizeof(number))
                    c = <number*>p.c + row * p.c_row + col
                    if number is float or number is double:
                        if finishing:
                            x.row = p.first_row + row
                            x.col = p.first_col + col
                            p.finish(rows, cols, &x, c, p.c_row, adding)
                        else:
                            tile_product(rows, cols, x, c, p.c_row, adding, keep())
                    elif number is quad:
                        terms.rows = row_terms + row - first_row
                        terms.cols = col_terms + (panel - first_panel) * width
                        tile_product(rows, cols, x, c, p.c_row, adding, with_terms())
                    else:
                        tile_product(rows, cols, x, c, p.c_row, adding, keep_packed())
                    x.next += lines_asked(rows, cols, x) * (64 // <Py_ssize_t>sizeof(number))
                    row += rows
                col += cols
            group_row = group_end
        depth_at += x.depth
    if number is float or number is double:
        if plan.mirrored and plan.end_depth == p.depth:
            mirror_block(<number*>p.c, p.c_row, first_row, end_row, first_col, end_col)


cdef void compute(Py_ssize_t begin, Py_ssize_t end, Plan* plan, number zero) noexcept nogil:
    """Tasks [begin, end): all row blocks of the first group of columns, then of the next.

    Mirrored, a task is a row block with all groups of columns.
    """
    cdef Py_ssize_t task, first_row, end_row, first_col, end_col
    for task in range(begin, end):
        first_row = task % plan.n_row_blocks * plan.row_block
        end_row = min(first_row + plan.row_block, plan.product.n_rows)
        if plan.mirrored:
            first_col = max(plan.first_col, first_row)
            while first_col < plan.end_col:
                end_col = min(first_col + plan.col_group, plan.end_col)
                compute_task(first_row, end_row, first_col, end_col, plan, zero)
                first_col = end_col
        else:
            first_col = plan.origin + task // plan.n_row_blocks * plan.col_group
            end_col = min(first_col + plan.col_group, plan.end_col)
            compute_task(first_row, end_row, max(first_col, plan.first_col), end_col, plan, zero)


cdef void compute_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Plan* plan = <Plan*>context
    if plan.number == FLOAT32_NUMBER:
        compute(begin, end, plan, <float>0)
    elif plan.number == FLOAT64_NUMBER:
        compute(begin, end, plan, <double>0)
    elif plan.number == UINT32_NUMBER:
        compute(begin, end, plan, <uint32_t>0)
    elif plan.number == UINT64_NUMBER:
        compute(begin, end, plan, <uint64_t>0)
    elif plan.number == PAIR_NUMBER:
        compute(begin, end, plan, pair())
    elif plan.number == FUSED_PAIR_NUMBER:
        compute(begin, end, plan, fused_pair())
    else:
        compute(begin, end, plan, quad())


cdef int run_chunk(Plan* plan, double work_ns, double chunk_bytes,
                   Py_ssize_t width) except -1 nogil:
    """Pack the current chunk of B if it is to be packed, cut C into tasks and run them."""
    cdef Py_ssize_t max_height = plan.max_height
    cdef const Product* p = plan.product
    cdef Py_ssize_t n_threads = thread_count()
    cdef Py_ssize_t n_cols = plan.end_col - plan.origin
    cdef Py_ssize_t n_tasks, tasks_wanted
    cdef Py_ssize_t block_rows = row_block_bytes // (
        min(plan.depth_block, p.depth) * p.itemsize)
    # As many row blocks as the packed block of A asks for, more when the threads need them (four
    # tasks for each, none under about 20 us), then groups of columns.
    if plan.mirrored:
        # Squares of C that stay in L2 until they are mirrored.
        block_rows = min(block_rows, <Py_ssize_t>sqrt(row_block_bytes // p.itemsize))
    block_rows = max(max_height, block_rows // max_height * max_height)
    tasks_wanted = 1
    if n_threads > 1:
        tasks_wanted = min(4 * n_threads, <Py_ssize_t>(work_ns / 20e3) + 1)
    plan.n_row_blocks = max(ceil_div(p.n_rows, block_rows),
                            min(tasks_wanted, ceil_div(p.n_rows, 2 * max_height)))
    if plan.flat:
        plan.n_row_blocks = 1
    elif plan.n_row_blocks > n_threads:
        plan.n_row_blocks = ceil_div(plan.n_row_blocks, n_threads) * n_threads
    plan.row_block = ceil_div(p.n_rows, plan.n_row_blocks)
    if plan.mirrored:
        # Blocks start where panels of columns do: no tile reaches into another block's mirror.
        plan.row_block = ceil_div(plan.row_block, width) * width
    plan.n_row_blocks = ceil_div(p.n_rows, plan.row_block)
    plan.col_group = n_cols
    if plan.mirrored:
        plan.col_group = max(1, row_block_bytes // (plan.row_block * p.itemsize) // width) * width
    elif plan.n_row_blocks < tasks_wanted:
        plan.col_group = ceil_div(ceil_div(n_cols, ceil_div(tasks_wanted, plan.n_row_blocks)),
                                  width) * width
    if plan.flat:
        # What a task packs of A and B for a depth block takes half of L2.
        plan.col_group = min(plan.col_group, max(
            1, (2 * row_block_bytes // (min(plan.depth_block, p.depth) * p.itemsize) - p.n_rows)
            // width) * width)
    n_tasks = plan.n_row_blocks
    if not plan.mirrored:
        n_tasks *= ceil_div(n_cols, plan.col_group)
    if plan.packed_b != NULL:
        parallel_for(ceil_div(n_cols, width), PACK_PANELS, chunk_bytes / 8.0, pack_b_body, plan)
    parallel_for(n_tasks, 1, work_ns, compute_body, plan)
    return OUT_OF_MEMORY if plan.out_of_memory else 0


cdef Py_ssize_t aligned_origin(const Product* p, Py_ssize_t width) noexcept nogil:
    """Where panels have to start for tiles of C to begin at cache lines: from 1 - width to 0.

    NumPy aligns arrays to 16 bytes only, and a vector that straddles two lines is stored twice:
    2000 x 128 x 2000 took 2.7 ms in place of 2.4. The first panel is the narrower for it, and there
    is one more: with few panels that costs more than it saves.
    """
    cdef Py_ssize_t behind = <Py_ssize_t>(<uintptr_t>p.c % 64), lead
    if behind % p.itemsize or p.c_row * p.itemsize % 64 or p.n_cols < ALIGNED_PANELS * width:
        return 0
    lead = (64 - behind) // p.itemsize % width
    return lead - width if lead else 0


cdef bint straddles(const Product* p, Py_ssize_t vector_bytes) noexcept nogil:
    """Whether all or many vectors of B, where it lies, reach into two cache lines.

    NumPy aligns arrays to 16 bytes. Loaded once for each tile of rows they cost more than packing:
    256 x 256 x 256 on one thread takes 340 us in place and 293 packed, with AVX2 790 and 550.
    """
    return (<uintptr_t>p.b % vector_bytes != 0
            or p.b_depth * p.itemsize % vector_bytes != 0)


cdef int multiply_as(const Product* p, number_type computed, number zero) except -1 nogil:
    cdef Py_ssize_t width = tile_cols(zero), max_height = tile_rows(zero)
    cdef Py_ssize_t row, chunk_depth, chunk_cols, n_col_panels, whole_depth
    cdef double work_ns
    cdef int status
    cdef bint in_place
    cdef Plan plan
    memset(&plan, 0, sizeof(plan))
    plan.product = p
    plan.number = computed
    plan.depth_block = depth_block_of(sizeof(number))
    if p.depth == 0:
        if p.accumulate:
            return 0
        for row in range(p.n_rows):
            memset(<number*>p.c + row * p.c_row, 0, p.n_cols * sizeof(number))
        return 0
    n_col_panels = ceil_div(p.n_cols, width)
    plan.pack_a = (p.row_scale != NULL or p.shift != NULL or p.finish != NULL
                   or n_col_panels > IN_PLACE_PANELS
                   or (p.a_row != 1 and p.a_depth != 1)
                   or computed >= UINT32_NUMBER or p.a_type != AS_COMPUTED)
    # Either way C is symmetric to the bit: a b + c is b a + c. Shallow products wait for the
    # writing of C and not for arithmetic, and mirroring writes less evenly.
    plan.mirrored = p.symmetric and p.depth > MIRROR_DEPTH
    # A core does about six vector multiply-adds of two per nanosecond.
    work_ns = 2.0 * p.n_rows * p.n_cols * p.depth / (6.0 * width)
    chunk_depth = p.depth
    chunk_cols = p.n_cols + width
    in_place = (p.b_col == 1 and p.col_scale == NULL and p.shift == NULL
                and p.b_type == AS_COMPUTED
                and min(p.depth, plan.depth_block) * p.n_cols * <Py_ssize_t>sizeof(number)
                <= IN_PLACE_BYTES)
    if (in_place and not p.symmetric and p.n_rows >= STRADDLED_ROWS
            and (work_ns >= STRADDLED_NS or thread_count() == 1)):
        in_place = not straddles(p, width // 2 * <Py_ssize_t>sizeof(number))
    # The depth for which the packing buffer holds all of B, in whole blocks.
    whole_depth = (CHUNK_BYTES // ((n_col_panels + 1) * width * <Py_ssize_t>sizeof(number))
                   // plan.depth_block * plan.depth_block)
    plan.shared = (plan.mirrored and (number is float or number is double)
                   and (plan.pack_a or not in_place) and 2 * width > max_height
                   and whole_depth >= (min(p.depth, <Py_ssize_t>CHUNK_DEPTH) if p.whole_panels
                                       else 1))
    if plan.shared:
        # What is packed once serves on both sides, to tiles of no more rows than a panel has.
        plan.pack_a = in_place = False
    plan.bring_rows = (not plan.pack_a and not plan.shared and p.a_depth == 1
                       and p.n_rows * p.depth * <Py_ssize_t>sizeof(number) >= FAR_BYTES)
    plan.max_height = max_height
    if not (plan.pack_a or plan.shared) and p.a_row and p.a_row * p.itemsize % ALIASED_BYTES == 0:
        plan.max_height = min(max_height, <Py_ssize_t>ALIASED_ROWS)
    plan.flat = not (in_place or plan.mirrored or p.whole_panels) and (
        p.n_rows <= FLAT_TILES * max_height)
    if not (in_place or plan.flat):
        chunk_depth = min(p.depth, CHUNK_DEPTH)
        if plan.shared and not p.whole_panels:
            # Where a depth block of B fits into L2 it is used before the next one is packed.
            chunk_depth = min(chunk_depth, whole_depth)
            if plan.depth_block * p.n_cols * <Py_ssize_t>sizeof(number) <= 2 * row_block_bytes:
                chunk_depth = min(p.depth, plan.depth_block)
        chunk_cols = min((n_col_panels + 1) * width,
                         CHUNK_BYTES // (chunk_depth * <Py_ssize_t>sizeof(number)) // width * width)
        plan.packed_b = thread_scratch(
            SCRATCH_B, with_terms_of(chunk_depth, ceil_div(chunk_depth, plan.depth_block), zero)
            * chunk_cols * sizeof(number))
        if plan.packed_b == NULL:
            return OUT_OF_MEMORY
        if number is quad:
            plan.col_terms = <quad*>plan.packed_b + chunk_depth * chunk_cols
            plan.term_step = chunk_cols
    plan.origin = 0 if plan.mirrored else aligned_origin(p, width)
    while plan.first_col < p.n_cols:
        plan.end_col = min(plan.origin + chunk_cols, p.n_cols)
        plan.first_depth = 0
        while plan.first_depth < p.depth:
            plan.end_depth = min(plan.first_depth + chunk_depth, p.depth)
            status = run_chunk(&plan,
                               work_ns * (plan.end_col - plan.first_col) / p.n_cols
                               * (plan.end_depth - plan.first_depth) / p.depth,
                               <double>(plan.end_col - plan.first_col) * chunk_depth
                               * sizeof(number), width)
            if status:
                return status
            plan.first_depth = plan.end_depth
        plan.first_col = plan.origin = plan.end_col
    return 0


cdef int multiply_gram_alone(const Product* p, bint from_float, const void* shift,
                             double* sums) noexcept nogil:
    if p.itemsize == 4:
        return multiply_gram_as(p, from_float, shift, sums, <float>0)
    return multiply_gram_as(p, from_float, shift, sums, <double>0)


cdef int multiply_blocks(const Product* p) except -1 nogil:
    if is_sliced(p):
        return multiply_sliced(p)
    if is_gram(p, 2 * row_block_bytes):
        return multiply_gram_alone(p, False, NULL, NULL)
    if p.computed == FLOATING:
        if p.itemsize == 4:
            return multiply_as(p, FLOAT32_NUMBER, <float>0)
        return multiply_as(p, FLOAT64_NUMBER, <double>0)
    if p.computed == QUADS:
        return multiply_as(p, QUAD_NUMBER, quad())
    if p.computed == PAIRS:
        if cpu_has_vnni():
            return multiply_as(p, FUSED_PAIR_NUMBER, fused_pair())
        return multiply_as(p, PAIR_NUMBER, pair())
    if p.itemsize == 4:
        return multiply_as(p, UINT32_NUMBER, <uint32_t>0)
    return multiply_as(p, UINT64_NUMBER, <uint64_t>0)


cdef void multiply_tile(Py_ssize_t rows, Py_ssize_t cols, const void* x, void* c, Py_ssize_t c_row,
                        bint accumulate, Py_ssize_t itemsize) noexcept nogil:
    if itemsize == 4:
        tile_product(rows, cols, (<const operands[float]*>x)[0], <float*>c, c_row, accumulate,
                     keep())
    else:
        tile_product(rows, cols, (<const operands[double]*>x)[0], <double*>c, c_row, accumulate,
                     keep())


cdef bint multiply_tiny_as(const Product* p, Py_ssize_t n, const Steps* steps,
                           floating zero) noexcept nogil:
    cdef tiny_products[floating] x
    x.n, x.n_rows, x.n_cols, x.depth = n, p.n_rows, p.n_cols, p.depth
    x.a, x.a_row, x.a_depth, x.a_step = <const floating*>p.a, p.a_row, p.a_depth, steps.a
    x.b, x.b_depth, x.b_step = <const floating*>p.b, p.b_depth, steps.b
    x.c, x.c_row, x.c_step = <floating*>p.c, p.c_row, steps.c
    return multiply_tiny(x)


cdef void multiply_small_as(const Product* p, Py_ssize_t n, const Steps* steps,
                            floating zero) noexcept nogil:
    """Whole products from operands in place: nothing packed, one depth block, one thread."""
    cdef Py_ssize_t width = tile_cols(zero), height, item, row, col
    cdef operands[floating] x
    if n > 1 and multiply_tiny_as(p, n, steps, zero):
        return
    height = even_height(p.n_rows, tile_rows(zero))
    x.depth = p.depth
    x.a_row = p.a_row
    x.a_depth = p.a_depth
    x.b_depth = p.b_depth
    for item in range(n):
        col = 0
        while col < p.n_cols:
            x.b = <const floating*>p.b + item * steps.b + col
            x.next = x.b
            row = 0
            while row < p.n_rows:
                x.a = <const floating*>p.a + item * steps.a + row * p.a_row
                tile_product(min(height, p.n_rows - row), min(width, p.n_cols - col), x,
                             <floating*>p.c + item * steps.c + row * p.c_row + col, p.c_row,
                             False, keep())
                row += height
            col += width


cdef void multiply_small(const Product* p, Py_ssize_t n, const Steps* steps) noexcept nogil:
    if p.itemsize == 4:
        multiply_small_as(p, n, steps, <float>0)
    else:
        multiply_small_as(p, n, steps, <double>0)


cdef bint is_small(const Product* p) noexcept nogil:
    return (p.computed == FLOATING and p.a_type == AS_COMPUTED and p.b_type == AS_COMPUTED
            and p.b_col == 1 and p.depth <= DEPTH_BLOCK_FLOAT64
            and p.n_rows * p.n_cols * p.depth <= SMALL_WORK
            and p.row_scale == NULL and p.col_scale == NULL and p.finish == NULL
            and not p.accumulate)
