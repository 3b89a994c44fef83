# The matrix product by blocks, and what a product is.

# Computes a tile of C and finishes its elements in registers or in the L1 cache: tile_product of
# tile.h and what comes behind it. `x` is a const operands[real]*.
ctypedef void (*finishing_tile)(Py_ssize_t rows, Py_ssize_t cols, const void* x, void* c,
                                Py_ssize_t c_row, bint accumulate) noexcept nogil

# What the elements are while they are multiplied: float32 and float64; unsigned integers of 32 or
# 64 bits, which wrap; or pairs of int16 or quads of bytes whose products are summed modulo 2^32
# (integers.h).
cdef enum computed_type:
    FLOATING, INTEGERS, PAIRS, QUADS

# C = finish((row_scale A) (B col_scale)). Strides count elements; C has unit column stride.
# A product of zeroed memory with sizes, pointers and strides filled in is one of plain float
# matrices.
cdef struct Product:
    Py_ssize_t itemsize             # of the computed elements: 4 or 8
    computed_type computed
    int a_type, b_type, c_type      # element_type of convert.h; 0 (AS_COMPUTED): nothing to convert
    Py_ssize_t n_rows, n_cols
    Py_ssize_t depth                # for pairs and quads: the number of them
    Py_ssize_t last                 # elements of the last of them, where it is not whole; else 0
    const void* a
    Py_ssize_t a_row, a_depth       # a_depth: from one element to the next, in pairs or not
    const void* b
    Py_ssize_t b_depth, b_col
    void* c
    Py_ssize_t c_row
    const void* row_scale           # n_rows factors for the rows of A, or NULL
    const void* col_scale           # n_cols factors for the columns of B, or NULL
    # Of a symmetric product of floating numbers: n_rows numbers that are taken from the rows of A,
    # and as many after them, or NULL.
    const void* shift
    const void* low_shift
    bint symmetric                  # B = A^T with the same scales: one triangle may be mirrored
    finishing_tile finish           # for the last depth block, or NULL; A is packed then
    bint whole_panels               # the finish reads packed panels of B from their first step on
    const void* context             # of the finish
    bint accumulate                 # C += in place of C =; c_type AS_COMPUTED
    Py_ssize_t first_row, first_col     # added to the place of a tile that the finish is told

cdef enum:
    # Steps of the depth that stay in registers before they are added to C.
    DEPTH_BLOCK_FLOAT32 = 384
    DEPTH_BLOCK_FLOAT64 = 256
    # Most steps of the depth that B is packed for at once.
    CHUNK_DEPTH = 3072

cdef inline Py_ssize_t depth_block_of(Py_ssize_t itemsize) noexcept nogil:
    return DEPTH_BLOCK_FLOAT32 if itemsize == 4 else DEPTH_BLOCK_FLOAT64

# 0; OUT_OF_MEMORY where memory for packing was not to be had; -1 with an exception set where a
# signal handler raised. Inside of a body of the pool, where no handler runs, it is never -1.
# Assumes n_rows and n_cols of at least 1 and c_type AS_COMPUTED.
cdef int multiply_blocks(const Product* p) except -1 nogil

# C = (A - shift) (A - shift)^T by one thread, for an A^T of rows of memory (a_row 1), and sums +=
# the sums of A - shift along its rows (gram.h; room for 16 more), or A A^T where shift is NULL. A
# is of floats, where from_float, or of what is computed in, as the shift is. The panels of a depth
# block should stay in L2. 0 or OUT_OF_MEMORY.
cdef int multiply_gram_alone(const Product* p, bint from_float, const void* shift,
                             double* sums) noexcept nogil

# tile_product of tile.h with nothing to finish, for float (itemsize 4) or double: `x` is a const
# operands[real]*. Modules that go through it have no tiles of their own compiled into them.
cdef void multiply_tile(Py_ssize_t rows, Py_ssize_t cols, const void* x, void* c, Py_ssize_t c_row,
                        bint accumulate, Py_ssize_t itemsize) noexcept nogil

# Elements from the operands and the result of one product to those of the next.
cdef struct Steps:
    Py_ssize_t a, b, c

# Whether multiply_small will do: n products with an overhead of a few nanoseconds each.
cdef bint is_small(const Product* p) noexcept nogil
cdef void multiply_small(const Product* p, Py_ssize_t n, const Steps* steps) noexcept nogil
