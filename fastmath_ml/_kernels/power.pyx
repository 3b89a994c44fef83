"""The block power step Z = A^T (A X), which reads a tall A once.

A is cut into blocks of rows that stay in the L2 cache: Y_b = A_b X, then Z += A_b^T Y_b while A_b
is still there. Two plain products would read A twice and have to keep all of Y.

Threads share the rows, in segments fixed by the shape; each has a Z of its own, and these are added
up in order. A row block is at most DEPTH_BLOCK rows, which is also the longest chain of
multiply-adds in the dtype.

With `mean` the rows are A - mean: a block is centred as it is copied to scratch memory, so that
neither a centred copy nor the cancellation of A^T A - n mean mean^T is needed.

Beside it stands what tall blocks of vectors are orthonormalised with: W <- W R in place, and the
Gram matrix of the new W from the same pass. As two products it would take a temporary of the size
of W, whose page faults alone cost more than the arithmetic. And what they are projected with:
W <- W + V X with Z = [V, W]^T W of the new W, three passes of V for the four products of a
projection that is done twice.
"""

from cython cimport floating as real
from libc.string cimport memcpy, memset

cimport numpy as cnp

from fastmath_ml._kernels.blocks cimport multiply_tile
from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for, raise_flag, thread_scratch
from fastmath_ml._kernels.prefetch cimport bring_lines
from fastmath_ml._kernels.simd cimport ceil_div, vlanes, vload, vstore
from fastmath_ml._kernels.sums cimport add_array
from fastmath_ml._kernels.tile cimport even_height, operands, tile_cols, tile_rows
from fastmath_ml._kernels.transpose cimport pack_panel

cnp.import_array()

cdef extern from "tall.h" namespace "fm" nogil:
    cdef struct lines_ahead:
        Py_ssize_t elements
        bint even, odd

    void add_column_dots[T](const T* a, Py_ssize_t a_column, Py_ssize_t n_a, const T* b,
                            Py_ssize_t b_column, Py_ssize_t n_b, Py_ssize_t n,
                            const lines_ahead& ahead, T* z) noexcept

cdef extern from "tridiagonal.h" namespace "fm" nogil:
    void reduce_to_tridiagonal(double* a, Py_ssize_t n, double* diagonal, double* beside,
                               double* tau, double* work) noexcept
    void apply_reflectors(const double* a, Py_ssize_t n, const double* tau, double* z,
                          Py_ssize_t first, Py_ssize_t end, double* strip) noexcept
    enum: reflected_columns

cdef enum:
    BLOCK_BYTES = 256 << 10         # of A, for a block of rows
    NEAR_BYTES = 16 << 10           # of V, or of a few vectors W, for one that is used from L1
    NEAR_ROWS = 512
    WIDE = 16                       # vectors from which on lanes lie across them
    BLOCKS_AHEAD = 4                # blocks of V, from one that is used to one that is asked for
    DEPTH_BLOCK = 256
    LEAST_SEGMENT = 256             # rows; below that adding up the segments shows
    SLICE_COLUMNS = 16              # of V that are read side by side
    FAR_BYTES = 4 << 20             # of V, from which on its next block is brought into L2
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


cdef void product(Py_ssize_t n_rows, Py_ssize_t n_cols, Py_ssize_t depth, const real* a,
                  Py_ssize_t a_row, Py_ssize_t a_depth, const real* b, Py_ssize_t b_depth,
                  real* c, Py_ssize_t c_row, bint accumulate) noexcept nogil:
    """C (+)= A B on one thread; nothing is packed."""
    cdef Py_ssize_t height = even_height(n_rows, tile_rows(<real>0))
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


cdef inline void centre_block(const real* a, Py_ssize_t a_row, Py_ssize_t a_col,
                              const real* mean, Py_ssize_t n_rows, Py_ssize_t n_features,
                              real* out) noexcept nogil:
    """out = A - mean, dense."""
    cdef Py_ssize_t lanes = vlanes(<real>0), _row, col
    for _row in range(n_rows):
        col = 0
        if a_col == 1:
            while col + lanes <= n_features:
                vstore(out + col, vload(a + col) - vload(mean + col))
                col += lanes
        for col in range(col, n_features):
            out[col] = a[col * a_col] - mean[col]
        a += a_row
        out += n_features


cdef void power_rows(Py_ssize_t begin, Py_ssize_t end, real* z, Step* step) noexcept nogil:
    """z = A[begin:end]^T (A[begin:end] X); without z only y."""
    cdef Py_ssize_t n_vectors = step.n_vectors, n_features = step.n_features, n
    cdef Py_ssize_t a_row = step.a_row, a_col = step.a_col
    cdef const real* a
    cdef real* y
    cdef real* own_y = NULL
    cdef real* centred = NULL
    if step.y == NULL:
        own_y = <real*>thread_scratch(SCRATCH_Y, step.block * n_vectors * sizeof(real))
        if own_y == NULL:
            raise_flag(&step.out_of_memory)
            return
    if step.mean != NULL:
        centred = <real*>thread_scratch(SCRATCH_A, step.block * n_features * sizeof(real))
        if centred == NULL:
            raise_flag(&step.out_of_memory)
            return
    if z != NULL:
        memset(z, 0, n_features * n_vectors * sizeof(real))
    while begin < end:
        n = min(step.block, end - begin)
        a = <const real*>step.a + begin * step.a_row
        if centred != NULL:
            centre_block(a, step.a_row, step.a_col, <const real*>step.mean, n, n_features, centred)
            a = centred
            a_row = n_features
            a_col = 1
        y = own_y if own_y != NULL else <real*>step.y + begin * n_vectors
        product(n, n_vectors, n_features, a, a_row, a_col, <const real*>step.x, n_vectors, y,
                n_vectors, False)
        if z != NULL:
            product(n_features, n_vectors, n, a, a_col, a_row, <const real*>y, n_vectors, z,
                    n_vectors, True)
        begin += n


cdef void power_segment(Py_ssize_t begin, Py_ssize_t end, void* partial,
                        void* context) noexcept nogil:
    if (<Step*>context).itemsize == 4:
        power_rows(begin, end, <float*>partial, <Step*>context)
    else:
        power_rows(begin, end, <double*>partial, <Step*>context)


cdef void forward_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    power_segment(begin, end, NULL, context)


cdef void add_partial(void* total, const void* partial, void* context) noexcept nogil:
    cdef Step* step = <Step*>context
    if step.itemsize == 4:
        add_array(<float*>total, <const float*>partial, step.n_sums)
    else:
        add_array(<double*>total, <const double*>partial, step.n_sums)


def block_power(cnp.ndarray a, cnp.ndarray x, z, y, mean):
    """z = B^T (B x) and y = B x, where B is a, or a - mean where mean is given.

    Either of z and y may be None: nobody wants it. a (n_rows, n_features) of any strides of whole
    elements, x and z (n_features, n_vectors), y (n_rows, n_vectors), mean (n_features,); all of one
    dtype, float32 or float64, all but a C-ordered, and none shares memory with another. The caller
    has checked all this.
    """
    cdef Step step
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a), n_bytes = cnp.PyArray_NBYTES(x)
    cdef double work_ns
    cdef void* aligned_x
    cdef void* sum_z = NULL
    memset(&step, 0, sizeof(step))
    step.itemsize = size
    step.n_rows = cnp.PyArray_DIM(a, 0)
    step.n_features = cnp.PyArray_DIM(a, 1)
    step.n_vectors = cnp.PyArray_DIM(x, 1)
    step.n_sums = step.n_features * step.n_vectors
    step.a = cnp.PyArray_DATA(a)
    step.a_row = cnp.PyArray_STRIDE(a, 0) // size
    step.a_col = cnp.PyArray_STRIDE(a, 1) // size
    if mean is not None:
        step.mean = cnp.PyArray_DATA(<cnp.ndarray>mean)
    if y is not None:
        step.y = cnp.PyArray_DATA(<cnp.ndarray>y)
    if z is not None:
        sum_z = cnp.PyArray_DATA(<cnp.ndarray>z)
        memset(sum_z, 0, n_bytes)
    if n_bytes == 0 or step.n_rows == 0:
        return
    step.block = BLOCK_BYTES // (size * step.n_features)
    step.block = min(max(step.block, 32), <Py_ssize_t>DEPTH_BLOCK)
    work_ns = 4.0 * step.n_rows * step.n_features * step.n_vectors * size / 400.0
    with nogil:
        # Vectors of X that straddle two cache lines would be loaded twice, each time.
        aligned_x = thread_scratch(SCRATCH_X, n_bytes)
        if aligned_x != NULL:
            memcpy(aligned_x, cnp.PyArray_DATA(x), n_bytes)
            step.x = aligned_x
            if sum_z == NULL:
                parallel_for(step.n_rows, step.block, work_ns / 2, forward_body, &step)
            else:
                ordered_reduce(step.n_rows, segment_rows(step.n_rows),
                               step.n_features * step.n_vectors * size, work_ns, power_segment,
                               add_partial, sum_z, &step)
    if aligned_x == NULL or step.out_of_memory:
        raise MemoryError("no memory for a block of rows")


cdef Py_ssize_t segment_rows(Py_ssize_t n_rows) noexcept nogil:
    return max(<Py_ssize_t>LEAST_SEGMENT, ceil_div(n_rows, 64))


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


# ---- a - mean ----

ctypedef fused source_real:
    float
    double


cdef struct Shift:
    Py_ssize_t n_features
    const void* a
    Py_ssize_t a_row, a_col
    int a_size, out_size
    const double* mean
    void* out


cdef void shift_rows(Py_ssize_t begin, Py_ssize_t end, const Shift* s, source_real a_zero,
                     real zero) noexcept nogil:
    cdef Py_ssize_t row, col
    cdef const source_real* a
    cdef real* out
    for row in range(begin, end):
        a = <const source_real*>s.a + row * s.a_row
        out = <real*>s.out + row * s.n_features
        if s.a_col == 1:
            for col in range(s.n_features):
                out[col] = <real>(a[col] - s.mean[col])
        else:
            for col in range(s.n_features):
                out[col] = <real>(a[col * s.a_col] - s.mean[col])


cdef void shift_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Shift* s = <const Shift*>context
    if s.a_size == 8:
        shift_rows(begin, end, s, <double>0, <double>0)
    elif s.out_size == 8:
        shift_rows(begin, end, s, <float>0, <double>0)
    else:
        shift_rows(begin, end, s, <float>0, <float>0)


def subtract_mean(cnp.ndarray a, cnp.ndarray mean, cnp.ndarray out):
    """out = a - mean, the difference formed in float64.

    a (n_rows, n_features) of any strides of whole elements, float32 or float64; mean float64,
    (n_features,), dense; out C-ordered, float64, or float32 where a is float32. The caller has
    checked all this.
    """
    cdef Shift shift
    cdef Py_ssize_t n_rows = cnp.PyArray_DIM(a, 0)
    shift.n_features = cnp.PyArray_DIM(a, 1)
    shift.a_size = cnp.PyArray_ITEMSIZE(a)
    shift.out_size = cnp.PyArray_ITEMSIZE(out)
    shift.a = cnp.PyArray_DATA(a)
    shift.a_row = cnp.PyArray_STRIDE(a, 0) // shift.a_size
    shift.a_col = cnp.PyArray_STRIDE(a, 1) // shift.a_size
    shift.mean = <const double*>cnp.PyArray_DATA(mean)
    shift.out = cnp.PyArray_DATA(out)
    with nogil:
        parallel_for(n_rows, 1, 0.3 * n_rows * shift.n_features, shift_body, &shift)


# ---- symmetric matrices to tridiagonal form and back ----

def tridiagonal(cnp.ndarray a, cnp.ndarray numbers):
    """T of a = Q T Q^T into the rows of `numbers` (5, n): its diagonal, what is beside it, the
    factors tau of the reflectors, and room. The rows of a become the reflectors.

    a (n, n), float64, C-ordered, symmetric, its largest element of the size of 1.
    """
    cdef Py_ssize_t n = cnp.PyArray_DIM(a, 0)
    cdef double* diagonal = <double*>cnp.PyArray_DATA(numbers)
    with nogil:
        reduce_to_tridiagonal(<double*>cnp.PyArray_DATA(a), n, diagonal, diagonal + n,
                              diagonal + 2 * n, diagonal + 3 * n)


cdef struct Reflection:
    Py_ssize_t n
    const double* reflectors
    const double* tau
    double* z
    bint out_of_memory


cdef void reflect_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Reflection* r = <Reflection*>context
    cdef double* strip = <double*>thread_scratch(
        SCRATCH_Y, r.n * reflected_columns * sizeof(double))
    if strip == NULL:
        raise_flag(&r.out_of_memory)
        return
    apply_reflectors(r.reflectors, r.n, r.tau, r.z, begin, end, strip)


def rotate_back(cnp.ndarray reflectors, cnp.ndarray tau, cnp.ndarray z):
    """z <- Q z in place, Q being that of `tridiagonal`; all float64, C-ordered."""
    cdef Reflection r
    r.n = cnp.PyArray_DIM(z, 0)
    r.reflectors = <double*>cnp.PyArray_DATA(reflectors)
    r.tau = <double*>cnp.PyArray_DATA(tau)
    r.z = <double*>cnp.PyArray_DATA(z)
    r.out_of_memory = False
    with nogil:
        parallel_for(r.n, reflected_columns, 0.04 * r.n * r.n * r.n, reflect_body, &r)
    if r.out_of_memory:
        raise MemoryError("no memory for some columns of the matrix")
