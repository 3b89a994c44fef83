# What kernels over the rows of a tall matrix share (power.pyx, projections.pyx): the rows of a
# segment, products of a block with nothing packed, and the sum over the segments.
from cython cimport floating as real

from fastmath_ml._kernels.blocks cimport multiply_tile
from fastmath_ml._kernels.simd cimport ceil_div
from fastmath_ml._kernels.sums cimport add_array
from fastmath_ml._kernels.tile cimport even_height, operands, tile_cols, tile_rows

cdef enum:
    DEPTH_BLOCK = 256
    LEAST_SEGMENT = 256             # rows; below that adding up the segments shows
    SCRATCH_X = 0                   # the caller's
    SCRATCH_Y = 1                   # those of a segment
    SCRATCH_A = 2


cdef struct Step:
    Py_ssize_t itemsize
    Py_ssize_t n_rows, n_features, n_vectors
    Py_ssize_t n_sums               # numbers in what the segments add up to
    const void* a
    Py_ssize_t a_row, a_col
    const void* mean                # n_features, or NULL
    const void* x                   # n_features x n_vectors
    void* y                         # n_rows x n_vectors, or NULL where nobody wants it
    Py_ssize_t block                # rows
    bint out_of_memory


cdef inline void product(Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t depth, const real* a,
                         Py_ssize_t a_row, Py_ssize_t a_depth, const real* b, Py_ssize_t b_depth,
                         real* c, Py_ssize_t c_row, bint accumulate) noexcept nogil:
    """C (+)= A B on one thread; nothing is packed."""
    cdef inline Py_ssize_t height = even_height(n_rows, tile_rows(<real>0))
    cdef Py_ssize_t width = tile_cols(<real>0), depth_at = 0, row, col
    cdef operands[real] x
    x.a_row = a_row
    x.a_depth = a_depth
    x.b_depth = b_depth
    while depth_at < depth:
        x.depth = min(<Py_ssize_t>DEPTH_BLOCK, depth - depth_at)
        col = 0
        while col < n_cols:
            x.b = b + depth_at * b_depth + col
            x.next = x.b
            row = 0
            while row < n_rows:
                x.a = a + row * a_row + depth_at * a_depth
                multiply_tile(min(height, n_rows - row), min(width, n_cols - col), &x,
                              c + row * c_row + col, c_row, accumulate, sizeof(real))
                row += height
            col += width
        depth_at += x.depth
        accumulate = True


cdef inline void add_partial(void* total, const void* partial, void* context) noexcept nogil:
    cdef Step* step = <Step*>context
    if step.itemsize == 4:
        add_array(<float*>total, <const float*>partial, step.n_sums)
    else:
        add_array(<double*>total, <const double*>partial, step.n_sums)


cdef inline Py_ssize_t segment_rows(Py_ssize_t n_rows) noexcept nogil:
    return max(<Py_ssize_t>LEAST_SEGMENT, ceil_div(n_rows, 64))
