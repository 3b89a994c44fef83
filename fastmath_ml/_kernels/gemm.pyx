"""The matrix product: which of the kernels does it.

    small                       the register tile on the operands where they lie (blocks.pyx)
    one vector, or a few        the matrix is read once (matvec.pyx)
    few results, long depth     the threads share the depth, in segments fixed by the shape
    a result of another type    blocks of C are computed in a buffer and converted row by row
    all others                  blocks over the register tile (blocks.pyx)

What decides is the shape and the types, never the number of threads: bits repeat.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from fastmath_ml._kernels.blocks cimport (
    FLOATING, Steps, is_small, multiply_blocks, multiply_small,
)
from fastmath_ml._kernels.convert cimport (
    AS_COMPUTED, convert_result, element_bytes,
)
from fastmath_ml._kernels.matvec cimport (
    DOT_SEGMENT, LONG_DOT, MAX_VECTORS, VectorProduct, dot, multiply_vector,
)
from fastmath_ml._kernels.pool cimport (
    OUT_OF_MEMORY, ordered_reduce, parallel_for, raise_flag, thread_scratch,
)
from fastmath_ml._kernels.simd cimport vlanes
from fastmath_ml._kernels.sums cimport add_array, add_number

from fastmath_ml._kernels import cpu

cdef bint brings_rows = not cpu.foresees_rows()

cdef enum:
    # Products with at most so many results and a depth of several segments share out the depth.
    LONG_RESULTS = 256 * 256
    SEGMENT = 3072
    # Results to be converted: bytes of the buffer, and the rows of a block where there are many.
    RESULT_BYTES = 12 << 20
    RESULT_ROWS = 4096
    FAR_BYTES = 8 << 20         # a matrix of so many bytes times a vector is prefetched
    # The depth from which on dots are worth their sums across lanes, even of a small matrix: with
    # one vector, and for each of a few.
    DOT_DEPTH = 5
    FEW_DEPTH = 8
    SCRATCH_RESULT = 2


# ---- few results and a long depth ----

cdef void segment_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                       void* context) noexcept nogil:
    """partial = A[:, begin:end] B[begin:end, :], dense."""
    cdef Long* long_product = <Long*>context
    cdef Product p = long_product.whole[0]
    p.a = <const char*>p.a + begin * p.a_depth * p.itemsize
    p.b = <const char*>p.b + begin * p.b_depth * p.itemsize
    p.depth = end - begin
    p.c = partial
    p.c_row = p.n_cols
    if multiply(&p) != 0:
        raise_flag(&long_product.out_of_memory)


cdef void add_segment(void* total, const void* partial, void* context) noexcept nogil:
    cdef const Product* p = (<Long*>context).whole
    cdef Py_ssize_t row, n = p.n_cols
    for row in range(p.n_rows):
        if p.itemsize == 4:
            add_array(<float*>total + row * p.c_row, <const float*>partial + row * n, n)
        else:
            add_array(<double*>total + row * p.c_row, <const double*>partial + row * n, n)


cdef struct Long:
    const Product* whole
    bint out_of_memory


cdef int multiply_long(const Product* p) except -1 nogil:
    """The threads share the depth, in segments that are added to C in order."""
    cdef Long long_product
    cdef Py_ssize_t row
    long_product.whole = p
    long_product.out_of_memory = False
    for row in range(p.n_rows):
        memset(<char*>p.c + row * p.c_row * p.itemsize, 0, p.n_cols * p.itemsize)
    ordered_reduce(p.depth, SEGMENT, p.n_rows * p.n_cols * p.itemsize,
                   p.n_rows * <double>p.n_cols * p.depth * p.itemsize / 400.0,
                   segment_body, add_segment, p.c, &long_product)
    return OUT_OF_MEMORY if long_product.out_of_memory else 0


# ---- results of another type ----

cdef void convert_rows(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Converted* block = <const Converted*>context
    cdef const Product* p = &block.product
    cdef Py_ssize_t row
    cdef const char* source
    cdef char* to
    for row in range(begin, end):
        source = <const char*>p.c + row * p.c_row * p.itemsize
        to = <char*>block.c + row * block.c_row * element_bytes[block.c_type]
        if p.computed == FLOATING:
            if p.itemsize == 4:
                convert_result(block.c_type, p.n_cols, <const float*>source, to)
            else:
                convert_result(block.c_type, p.n_cols, <const double*>source, to)
        elif p.itemsize == 4:
            convert_result(block.c_type, p.n_cols, <const uint32_t*>source, to)
        else:
            convert_result(block.c_type, p.n_cols, <const uint64_t*>source, to)


cdef struct Converted:
    Product product                 # of one block of C, into the buffer
    int c_type
    void* c
    Py_ssize_t c_row


cdef int multiply_converted(const Product* p) except -1 nogil:
    """C in a type that is not computed in."""
    cdef Converted block
    cdef Py_ssize_t rows = min(p.n_rows, <Py_ssize_t>RESULT_ROWS)
    cdef Py_ssize_t cols = min(p.n_cols, RESULT_BYTES // (rows * p.itemsize))
    cdef Py_ssize_t row = 0, col
    cdef Py_ssize_t a_bytes = element_bytes[p.a_type] if p.a_type else p.itemsize
    cdef Py_ssize_t b_bytes = element_bytes[p.b_type] if p.b_type else p.itemsize
    cdef int status
    rows = min(p.n_rows, RESULT_BYTES // (cols * p.itemsize))
    block.product = p[0]
    block.product.c_type = AS_COMPUTED
    block.product.c = thread_scratch(SCRATCH_RESULT, rows * cols * p.itemsize)
    if block.product.c == NULL:
        return OUT_OF_MEMORY
    block.c_type, block.c_row = p.c_type, p.c_row
    while row < p.n_rows:
        block.product.n_rows = min(rows, p.n_rows - row)
        block.product.a = <const char*>p.a + row * p.a_row * a_bytes
        block.product.first_row = p.first_row + row
        col = 0
        while col < p.n_cols:
            block.product.n_cols = block.product.c_row = min(cols, p.n_cols - col)
            block.product.b = <const char*>p.b + col * p.b_col * b_bytes
            block.product.first_col = p.first_col + col
            block.c = <char*>p.c + (row * p.c_row + col) * element_bytes[p.c_type]
            status = multiply_blocks(&block.product)
            if status:
                return status
            parallel_for(block.product.n_rows, 1,
                         <double>block.product.n_rows * block.product.n_cols * 0.2,
                         convert_rows, &block)
            col += cols
        row += rows
    return 0


# ---- dispatch ----

cdef inline bint is_number(const Product* p) noexcept nogil:
    """Whether the product is one number, from two vectors."""
    return (p.n_rows == 1 and p.n_cols == 1 and p.computed == FLOATING
            and p.a_type == AS_COMPUTED and p.b_type == AS_COMPUTED and p.c_type == AS_COMPUTED
            and p.row_scale == NULL and p.col_scale == NULL and p.finish == NULL
            and not p.accumulate)


cdef bint is_dot(const Product* p) noexcept nogil:
    """Whether it is one number, from two vectors too short to be shared."""
    return p.depth <= LONG_DOT and is_number(p)


cdef inline double dot_over(const Product* p, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    if p.itemsize == 4:
        return dot(<const float*>p.a + begin * p.a_depth, p.a_depth,
                   <const float*>p.b + begin * p.b_depth, p.b_depth, end - begin)
    return dot(<const double*>p.a + begin * p.a_depth, p.a_depth,
               <const double*>p.b + begin * p.b_depth, p.b_depth, end - begin)


cdef inline void store_number(const Product* p, double value) noexcept nogil:
    if p.itemsize == 4:
        (<float*>p.c)[0] = <float>value
    else:
        (<double*>p.c)[0] = value


cdef void multiply_dot(const Product* p) noexcept nogil:
    store_number(p, dot_over(p, 0, p.depth))


cdef void dot_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                      void* context) noexcept nogil:
    (<double*>partial)[0] = dot_over(<const Product*>context, begin, end)


cdef int multiply_long_dot(const Product* p) except -1 nogil:
    """The threads share the vectors, in segments that are added in order."""
    cdef double total = 0
    ordered_reduce(p.depth, DOT_SEGMENT, sizeof(double), dot_ns(p), dot_segment, add_number, &total,
                   <void*>p)
    store_number(p, total)
    return 0


cdef inline bint is_worth_dots(Py_ssize_t n_vectors, Py_ssize_t depth) noexcept nogil:
    return depth >= (DOT_DEPTH if n_vectors == 1 else FEW_DEPTH * n_vectors)


cdef inline bint takes_no_dots(const Product* p) noexcept nogil:
    cdef Py_ssize_t n_vectors = min(p.n_rows, p.n_cols)
    return n_vectors > MAX_VECTORS or not is_worth_dots(n_vectors, p.depth)


cdef bint is_small_tile(const Product* p) noexcept nogil:
    return is_small(p) and takes_no_dots(p)


cdef int multiply(const Product* product) except -1 nogil:
    cdef VectorProduct v
    cdef Steps alone
    cdef bint small, is_long
    if product.n_rows == 0 or product.n_cols == 0:
        return 0
    if product.c_type != AS_COMPUTED:
        return multiply_converted(product)
    if is_number(product):
        if product.depth > LONG_DOT:
            return multiply_long_dot(product)
        multiply_dot(product)
        return 0
    small = is_small(product)
    alone.a = alone.b = alone.c = 0
    if small and takes_no_dots(product):
        multiply_small(product, 1, &alone)
        return 0
    if (product.computed == FLOATING and product.a_type == AS_COMPUTED
            and product.b_type == AS_COMPUTED):
        is_long = (product.depth >= 2 * SEGMENT and product.finish == NULL
                   and not product.accumulate
                   and product.n_rows * product.n_cols <= LONG_RESULTS)
        # The tile adds up a few rows of a small matrix as fast, but takes no dots.
        if as_vector_product(product, &v) and not (
                (small and v.depth_stride != 1) or (is_long and v.n_vectors > 1)):
            return multiply_vector(&v)
        if small:
            multiply_small(product, 1, &alone)
            return 0
        if is_long:
            return multiply_long(product)
    return multiply_blocks(product)


cdef bint as_vector_product(const Product* p, VectorProduct* v) noexcept nogil:
    """Whether one operand is a vector or a few and the other has a unit stride; the product put so.
    """
    cdef Py_ssize_t half_lanes = (vlanes(<float>0) if p.itemsize == 4 else vlanes(<double>0)) // 2
    if p.depth == 0 or p.row_scale != NULL or p.col_scale != NULL or p.finish != NULL or (
            p.accumulate):
        return False
    v.itemsize = p.itemsize
    v.depth = p.depth
    v.y = p.c
    # With as many rows as columns, the operand whose vectors give dots: the transposed product is
    # computed alike.
    if p.n_cols == 1 or (p.n_cols <= MAX_VECTORS and (
            p.n_rows > p.n_cols or (p.n_rows == p.n_cols and p.a_depth == 1))):
        v.n_out, v.n_vectors = p.n_rows, p.n_cols
        v.matrix, v.out_stride, v.depth_stride = p.a, p.a_row, p.a_depth
        v.x, v.x_stride, v.x_vector = p.b, p.b_depth, p.b_col
        v.y_stride, v.y_vector = p.c_row, 1
    elif p.n_rows <= MAX_VECTORS:
        v.n_out, v.n_vectors = p.n_cols, p.n_rows
        v.matrix, v.out_stride, v.depth_stride = p.b, p.b_col, p.b_depth
        v.x, v.x_stride, v.x_vector = p.a, p.a_depth, p.a_row
        v.y_stride, v.y_vector = 1, p.c_row
    else:
        return False
    # A matrix that comes from memory: the rows behind those that are read together.
    v.ahead.elements = 8 * max(v.out_stride, v.depth_stride)
    v.ahead.even = v.ahead.odd = brings_rows and v.n_out * v.depth * v.itemsize > FAR_BYTES
    if v.n_vectors > 1:
        # The tile does as many vectors as a register has lanes in the time of one.
        if v.depth_stride == 1:
            return is_worth_dots(v.n_vectors, v.depth) and v.n_vectors <= half_lanes
        return v.out_stride == 1 and v.depth >= 16
    return v.depth_stride == 1 or v.out_stride == 1


cdef int multiply_or_raise(const Product* product, bint keep_gil) except -1:
    cdef int status
    if keep_gil:
        status = multiply(product)
    else:
        with nogil:
            status = multiply(product)
    if status:
        raise MemoryError("no memory for a packed block of an operand")
    return 0
