"""Passes over tall blocks of vectors: W <- W R, and the projection of W on [V, W].

What tall blocks of vectors are orthonormalised with: W <- W R in place, and the Gram matrix of the
new W from the same pass. As two products it would take a temporary of the size of W, whose page
faults alone cost more than the arithmetic. And what they are projected with: W <- W + V X with
Z = [V, W]^T W of the new W, three passes of V for the four products of a projection that is done
twice.

Threads share the rows, in segments fixed by the shape, whose sums are added up in order.
"""

from cython cimport floating as real
from libc.string cimport memcpy, memset

cimport numpy as cnp

from fastmath_ml._kernels.matvec cimport lines_ahead
from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.prefetch cimport bring_lines
from fastmath_ml._kernels.tall cimport (
    DEPTH_BLOCK, SCRATCH_X, SCRATCH_Y, Step, add_partial, product, segment_rows,
)
from fastmath_ml._kernels.tile cimport tile_cols
from fastmath_ml._kernels.transpose cimport pack_panel

cnp.import_array()

cdef extern from "tall.h" namespace "fm" nogil:
    void add_column_dots[T](const T* a, Py_ssize_t a_column, Py_ssize_t n_a, const T* b,
                            Py_ssize_t b_column, Py_ssize_t n_b, Py_ssize_t n,
                            const lines_ahead& ahead, T* z) noexcept

cdef enum:
    NEAR_BYTES = 16 << 10           # of V, or of a few vectors W, for one that is used from L1
    NEAR_ROWS = 512
    WIDE = 16                       # vectors from which on lanes lie across them
    BLOCKS_AHEAD = 4                # blocks of V, from one that is used to one that is asked for
    SLICE_COLUMNS = 16              # of V that are read side by side
    FAR_BYTES = 4 << 20             # of V, from which on its next block is brought into L2


# ---- W <- W R ----

cdef void rotate_rows(Py_ssize_t begin, Py_ssize_t end, real* gram, Step* step) noexcept nogil:
    """W[begin:end] <- W[begin:end] R; gram = W^T W of these rows, where it is wanted."""
    cdef Py_ssize_t width = step.n_vectors, n
    cdef real* w
    cdef real* turned = <real*>thread_scratch(SCRATCH_Y, step.block * width * sizeof(real))
    if turned == NULL:
        raise_flag(&step.out_of_memory)
        return
    if gram != NULL:
        memset(gram, 0, width * width * sizeof(real))
    while begin < end:
        n = min(step.block, end - begin)
        w = <real*>step.y + begin * width
        product(n, width, width, <const real*>w, width, 1, <const real*>step.x, width, turned,
                width, False)
        memcpy(w, turned, n * width * sizeof(real))
        if gram != NULL:
            product(width, width, n, <const real*>turned, 1, width, <const real*>turned, width,
                    gram, width, True)
        begin += n


cdef void rotate_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                         void* context) noexcept nogil:
    if (<Step*>context).itemsize == 4:
        rotate_rows(begin, end, <float*>partial, <Step*>context)
    else:
        rotate_rows(begin, end, <double*>partial, <Step*>context)


cdef void rotate_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    rotate_segment(begin, end, NULL, context)


def rotate_block(cnp.ndarray w, cnp.ndarray r, gram):
    """w <- w r in place, and gram = w^T w of the new w unless it is None.

    w (n_rows, width), r and gram (width, width), of one dtype, float32 or float64, C-ordered; none
    shares memory with another. The caller has checked all this.
    """
    cdef Step step
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(w), n_bytes = cnp.PyArray_NBYTES(r)
    cdef double work_ns
    cdef void* aligned_r
    cdef void* sum_gram = NULL
    memset(&step, 0, sizeof(step))
    step.itemsize = size
    step.n_rows = cnp.PyArray_DIM(w, 0)
    step.n_features = step.n_vectors = cnp.PyArray_DIM(w, 1)
    step.n_sums = step.n_features * step.n_vectors
    step.y = cnp.PyArray_DATA(w)
    if gram is not None:
        sum_gram = cnp.PyArray_DATA(<cnp.ndarray>gram)
        memset(sum_gram, 0, n_bytes)
    if n_bytes == 0 or step.n_rows == 0:
        return
    step.block = DEPTH_BLOCK
    work_ns = 2.0 * step.n_rows * step.n_vectors * step.n_vectors * size / 200.0
    with nogil:
        aligned_r = thread_scratch(SCRATCH_X, n_bytes)
        if aligned_r != NULL:
            memcpy(aligned_r, cnp.PyArray_DATA(r), n_bytes)
            step.x = aligned_r
            if sum_gram == NULL:
                parallel_for(step.n_rows, step.block, work_ns, rotate_body, &step)
            else:
                ordered_reduce(step.n_rows, segment_rows(step.n_rows), n_bytes, 2 * work_ns,
                               rotate_segment, add_partial, sum_gram, &step)
    if aligned_r == NULL or step.out_of_memory:
        raise MemoryError("no memory for a block of rows")


# ---- W <- W + V X, Z = [V, W]^T W ----

cdef void add_product_columns(Py_ssize_t begin, Py_ssize_t end, real* z, Step* step) noexcept nogil:
    """add_product_rows with lanes along the columns, for few vectors: those of a block of W are
    gathered in scratch memory.
    """
    cdef Py_ssize_t width = step.n_vectors, n_columns = step.n_features, v_column = step.a_col
    cdef Py_ssize_t tile = tile_cols(<real>0), size = sizeof(real), n, first, depth, col, cols
    cdef lines_ahead ahead, none
    cdef bint is_far = step.n_rows * n_columns * size >= FAR_BYTES
    cdef const real* v
    cdef const real* slice
    cdef real* w
    cdef real* columns = <real*>thread_scratch(SCRATCH_Y, step.block * width * size)
    if columns == NULL:
        raise_flag(&step.out_of_memory)
        return
    # Half of the next block of V comes beside each of the two products with this one.
    memset(&none, 0, sizeof(none))
    ahead.elements = step.block
    ahead.even = is_far
    ahead.odd = is_far and step.x == NULL
    if z != NULL:
        memset(z, 0, step.n_sums * size)
    while begin < end:
        n = min(step.block, end - begin)
        v = <const real*>step.a + begin
        w = <real*>step.y + begin * width
        pack_panel(n, width, w, width, 1, <const real*>NULL, columns, n, False)
        if step.x != NULL:
            first = 0
            while first < n_columns:
                depth = min(<Py_ssize_t>SLICE_COLUMNS, n_columns - first)
                slice = v + first * v_column
                col = 0
                while col < n:
                    cols = min(tile, n - col)
                    if is_far and z == NULL:
                        bring_lines(slice + col + step.block, depth, v_column * size, cols * size)
                    elif is_far:
                        bring_lines(slice + col + step.block + v_column, depth // 2,
                                    2 * v_column * size, cols * size)
                    product(width, cols, depth, <const real*>step.x + first * width, 1, width,
                            slice + col, v_column, columns + col, n, True)
                    col += cols
                first += depth
            pack_panel(width, n, columns, n, 1, <const real*>NULL, w, width, False)
        if z != NULL:
            add_column_dots(v, v_column, n_columns, columns, n, width, n, ahead, z)
        if step.n_sums > n_columns * width:
            add_column_dots(columns, n, width, columns, n, width, n, none,
                            z + n_columns * width)
        begin += n


cdef void add_product_rows(Py_ssize_t begin, Py_ssize_t end, real* z, Step* step) noexcept nogil:
    """W += V X and z = [V, W]^T W of the rows [begin, end), what of both is wanted."""
    cdef Py_ssize_t width = step.n_vectors, n_columns = step.n_features, n, ahead
    cdef const real* v
    cdef real* w
    if width < WIDE:
        add_product_columns(begin, end, z, step)
        return
    if z != NULL:
        memset(z, 0, step.n_sums * sizeof(real))
    while begin < end:
        n = min(step.block, end - begin)
        v = <const real*>step.a + begin
        w = <real*>step.y + begin * width
        ahead = min(n, step.n_rows - begin - BLOCKS_AHEAD * step.block)
        bring_lines(v + BLOCKS_AHEAD * step.block, n_columns,
                    step.a_col * <Py_ssize_t>sizeof(real), ahead * <Py_ssize_t>sizeof(real))
        if step.x != NULL:
            product(n, width, n_columns, v, 1, step.a_col, <const real*>step.x, width, w,
                    width, True)
        if z != NULL:
            product(n_columns, width, n, v, step.a_col, 1, <const real*>w, width, z, width,
                    True)
        if step.n_sums > n_columns * width:
            product(width, width, n, <const real*>w, 1, width, <const real*>w, width,
                    z + n_columns * width, width, True)
        begin += n


cdef void add_product_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                              void* context) noexcept nogil:
    if (<Step*>context).itemsize == 4:
        add_product_rows(begin, end, <float*>partial, <Step*>context)
    else:
        add_product_rows(begin, end, <double*>partial, <Step*>context)


cdef void add_product_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    add_product_segment(begin, end, NULL, context)


def add_product(cnp.ndarray v, x, cnp.ndarray w, z):
    """w += v x, and z = [v, w]^T w of the new w; v is read once.

    Either of x and z may be None: left out; of z the last rows may be missing, w^T w. v (n_rows,
    n_columns), at least one column, with a unit stride along the columns; w (n_rows, width),
    x (n_columns, width) and z (n_columns or n_columns + width, width) C-ordered; all of one dtype,
    float32 or float64, and none shares memory with another. The caller has checked all this.
    """
    cdef Step step
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(v), n_bytes
    cdef double work_ns
    cdef void* sum_z = NULL
    memset(&step, 0, sizeof(step))
    step.itemsize = size
    step.n_rows = cnp.PyArray_DIM(v, 0)
    step.n_features = cnp.PyArray_DIM(v, 1)
    step.n_vectors = cnp.PyArray_DIM(w, 1)
    step.a = cnp.PyArray_DATA(v)
    step.a_col = cnp.PyArray_STRIDE(v, 1) // size
    step.y = cnp.PyArray_DATA(w)
    if x is not None:
        step.x = cnp.PyArray_DATA(<cnp.ndarray>x)
    n_bytes = step.n_features * step.n_vectors * size
    if z is not None:
        sum_z = cnp.PyArray_DATA(<cnp.ndarray>z)
        n_bytes = cnp.PyArray_NBYTES(<cnp.ndarray>z)
        step.n_sums = n_bytes // size
        memset(sum_z, 0, n_bytes)
    if n_bytes == 0 or step.n_rows == 0:
        return
    # Whole cache lines of each column.
    if step.n_vectors < WIDE:
        step.block = min(max(NEAR_BYTES // (size * step.n_vectors), <Py_ssize_t>64),
                         <Py_ssize_t>NEAR_ROWS) // 16 * 16
    else:
        step.block = min(max(NEAR_BYTES // (size * step.n_features), <Py_ssize_t>16),
                         <Py_ssize_t>DEPTH_BLOCK) // 16 * 16
    work_ns = 2.0 * step.n_rows * n_bytes / 200.0
    with nogil:
        if sum_z == NULL:
            parallel_for(step.n_rows, step.block, work_ns, add_product_body, &step)
        else:
            ordered_reduce(step.n_rows, segment_rows(step.n_rows), n_bytes, 2 * work_ns,
                           add_product_segment, add_partial, sum_z, &step)
    if step.out_of_memory:
        raise MemoryError("no memory for a block of rows")
