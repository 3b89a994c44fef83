# Cross-entropy: what its kernels share, and the class axis that other axes lie behind.
from cython cimport floating as real
from libc.stdint cimport int64_t

from fastmath_ml._kernels.simd cimport vec

# The loss of a line is the sum over classes c of d_c (logsumexp(x) - x_c), its gradient
# softmax(x)_c sum(d) - d_c. The coefficients d are what the target says:
#     class numbers       d_c = hard weight_c [c is the target] + base_c
#     probabilities       d_c = hard weight_c probability_c + base_c
cdef struct Loss:
    const void* x               # (outer, length, inner), C order
    void* grad                  # like x, or x itself; NULL: no gradient
    Py_ssize_t itemsize, outer, length, inner
    const int64_t* target       # (outer, inner) class numbers, or NULL
    const void* probability     # like x, or NULL
    int64_t ignore_index        # lines with this target count as nothing
    double hard                 # 1 - label_smoothing
    const void* hard_weight     # hard times the weight of each class, or NULL
    const void* base            # label_smoothing / length times the weight of each class, or NULL
    double scale                # of the gradient
    void* losses                # (outer, inner), or NULL
    const void* bias            # added to x class by class, or NULL; for inner > 1 only
    void* grad_bias             # grows by the sums of the gradient over the columns, or NULL

# Classes first_step .. first_step + n_steps of a band of columns, for n_outer outer indices. Each
# block of steps has statistics of its own: maxima and sums, and with dense coefficients their sums.
cdef struct Slab:
    const Loss* loss
    Py_ssize_t first_outer, n_outer, first_col, band, padded
    Py_ssize_t first_step, n_steps, n_blocks    # n_blocks: of all steps, not only those of the slab
    void* statistics            # (n_outer, n_blocks, parts, padded)
    void* columns               # (n_outer, 4, padded): shift, factor, spike, scale
    bint out_of_memory

cdef enum:
    BLOCK_STEPS = 64            # steps of a block of long lines

cdef bint is_dense(const Loss* loss) noexcept nogil

# Bytes of statistics and columns together.
cdef Py_ssize_t slab_bytes(const Slab* slab) noexcept nogil

# The three phases of long lines. Statistics of the slab's own steps; losses (their sum is added to
# `total`) and what the gradient needs, from the statistics of all steps; the gradient, in place.
cdef int slab_statistics(Slab* slab) except -1 nogil
cdef int slab_losses(Slab* slab, double* total) except -1 nogil
cdef int slab_gradient(Slab* slab) except -1 nogil

# Class numbers (-1: ignored, or none) and their coefficients, of the n lines from `at` on.
cdef void read_targets(const Loss* loss, Py_ssize_t at, Py_ssize_t n, real* number,
                       real* hard) noexcept nogil

# block[0 : length], a line in each lane: the losses; block becomes the gradient if there is one.
cdef void loss_lanes(vec[real]* block, const vec[real]* probability, const Loss* loss,
                     const real* number, const real* hard, vec[real]* losses) noexcept nogil

# For inner > 1; adds the sum of the losses to `total`.
cdef int loss_across(const Loss* loss, Py_ssize_t lanes, double* total) except -1 nogil
