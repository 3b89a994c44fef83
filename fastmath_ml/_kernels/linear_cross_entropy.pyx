"""Cross-entropy of a linear layer without its logits: X W^T + b, loss and three gradients.

    for each chunk of tokens
      logits = W X^T                        (classes, tokens): a class beside the next one's
      statistics, losses, gradient G of the logits in their place     cross_entropy_across.pyx
      grad_W (+)= G X;  grad_X = G^T W;  grad_b += sums of G

The logits stand transposed: then W, the large operand, is read row by row in all three products,
X and its chunk are small enough to stay in the cache, and a class's weight and bias are one number
for a whole vector of tokens.

A chunk is as many tokens as LOGITS_BYTES hold; each product is made once. Where that would be fewer
than FEW_TOKENS, W and grad_W would be moved through memory for every few tokens, which costs more
than a product: then the chunk is CHUNK_TOKENS tokens, the classes are taken in slabs, and the
logits of each slab are computed twice, for the statistics and for the gradient. The same slabs,
once, serve the loss alone.

Working memory: the logits, PANEL_BYTES that the product packs, the statistics (1/32 of the chunk's
logits, at most STATISTICS_BYTES in general) and the packed blocks of the threads, a quarter of
their L2 cache each.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.cross_entropy_across cimport (
    BLOCK_STEPS, Loss, Slab, is_dense, slab_bytes, slab_gradient, slab_losses, slab_statistics,
)
from fastmath_ml._kernels.gemm cimport Product, multiply
from fastmath_ml._kernels.plain cimport data_of
from fastmath_ml._kernels.pool cimport OUT_OF_MEMORY, parallel_for, thread_scratch
from fastmath_ml._kernels.simd cimport ceil_div, vlanes
from fastmath_ml._kernels.transpose cimport pack_panel

cnp.import_array()

cdef enum:
    LOGITS_BYTES = 16 << 20
    STATISTICS_BYTES = 4 << 20
    PANEL_BYTES = 8 << 20       # of W, packed for the gradient of X
    INPUT_BYTES = 4 << 20       # of the tokens of a chunk
    MOST_TOKENS = 512           # of a chunk
    FEW_TOKENS = 48
    CHUNK_TOKENS = 128          # where the classes are cut into slabs
    TOKENS = 16                 # chunks are multiples of it
    SCRATCH_STATISTICS = 2      # the products have 0 and 1
    SCRATCH_LOGITS = 3

cdef struct Layer:
    const void* x               # (n_tokens, width)
    const void* w               # (n_classes, width)
    void* grad_x                # like x; NULL: no gradients
    void* grad_w                # like w
    const void* probability     # (n_tokens, n_classes), or NULL
    Py_ssize_t itemsize, n_tokens, width, n_classes
    Loss loss                   # of a chunk; target and losses begin with the first token
    # the current chunk and slab
    Py_ssize_t first_token, tokens, first_class, classes
    void* logits                # (classes, tokens)
    void* likely                # the probabilities, so too


cdef inline Py_ssize_t chunk_tokens(Py_ssize_t wanted) noexcept nogil:
    """A multiple of TOKENS, unless it is less."""
    return wanted // TOKENS * TOKENS if wanted >= TOKENS else max(wanted, 1)


cdef int product(Product* p) except -1 nogil:
    if multiply(p) == OUT_OF_MEMORY:
        with gil:
            raise MemoryError("linear_cross_entropy: no memory for a packed block")
    return 0


cdef int compute_logits(Layer* layer) except -1 nogil:
    cdef Product p
    memset(&p, 0, sizeof(p))
    p.itemsize = layer.itemsize
    p.n_rows, p.n_cols, p.depth = layer.classes, layer.tokens, layer.width
    p.a = <const char*>layer.w + layer.first_class * layer.width * layer.itemsize
    p.a_row, p.a_depth = layer.width, 1
    p.b = <const char*>layer.x + layer.first_token * layer.width * layer.itemsize
    p.b_depth, p.b_col = 1, layer.width
    p.c, p.c_row = layer.logits, layer.tokens
    product(&p)
    if layer.probability != NULL:
        parallel_for(ceil_div(layer.classes, BLOCK_STEPS), 1,
                     0.2 * layer.itemsize * layer.classes * layer.tokens, transpose_body, layer)
    return 0


cdef void transpose_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    """The probabilities of the slab as its logits stand: blocks of BLOCK_STEPS classes."""
    cdef Layer* layer = <Layer*>context
    cdef Py_ssize_t first = begin * BLOCK_STEPS
    cdef Py_ssize_t depth = min(end * BLOCK_STEPS, layer.classes) - first
    cdef Py_ssize_t at = (
        layer.first_token * layer.n_classes + layer.first_class + first)
    if layer.itemsize == 4:
        pack_panel(layer.tokens, depth, <const float*>layer.probability + at, layer.n_classes, 1,
                   <const float*>NULL, <float*>layer.likely + first * layer.tokens, layer.tokens,
                   False)
    else:
        pack_panel(layer.tokens, depth, <const double*>layer.probability + at, layer.n_classes, 1,
                   <const double*>NULL, <double*>layer.likely + first * layer.tokens, layer.tokens,
                   False)


cdef int compute_gradients(Layer* layer) except -1 nogil:
    """grad_W and grad_X from the gradient of the slab's logits."""
    cdef Product p
    cdef Py_ssize_t at = 0, depth = max(PANEL_BYTES // (layer.width * layer.itemsize), BLOCK_STEPS)
    memset(&p, 0, sizeof(p))
    p.itemsize = layer.itemsize
    p.n_rows, p.n_cols, p.depth = layer.classes, layer.width, layer.tokens
    p.a = layer.logits
    p.a_row, p.a_depth = layer.tokens, 1
    p.b = <const char*>layer.x + layer.first_token * layer.width * layer.itemsize
    p.b_depth, p.b_col = layer.width, 1
    p.c = <char*>layer.grad_w + layer.first_class * layer.width * layer.itemsize
    p.c_row = layer.width
    p.accumulate = layer.first_token > 0
    product(&p)
    p.n_rows = layer.tokens
    p.a_row, p.a_depth = 1, layer.tokens
    p.c = <char*>layer.grad_x + layer.first_token * layer.width * layer.itemsize
    while at < layer.classes:
        p.depth = min(depth, layer.classes - at)
        p.a = <const char*>layer.logits + at * layer.tokens * layer.itemsize
        p.b = <const char*>layer.w + (layer.first_class + at) * layer.width * layer.itemsize
        p.accumulate = layer.first_class + at > 0
        product(&p)
        at += p.depth
    return 0


cdef int run_layer(Layer* layer, double* total) except -1 nogil:
    """The sum of the losses of all tokens; the gradients if there is room for them."""
    cdef Loss* loss = &layer.loss
    cdef Slab slab
    cdef Py_ssize_t item = layer.itemsize, lanes = vlanes(<float>0) * 4 // item
    cdef Py_ssize_t n_copies = 1 if layer.probability == NULL else 2
    cdef Py_ssize_t n_blocks = ceil_div(layer.n_classes, BLOCK_STEPS)
    cdef Py_ssize_t tokens = LOGITS_BYTES // (layer.n_classes * item * n_copies)
    cdef Py_ssize_t slab_classes = layer.n_classes, n_parts = 4 if is_dense(loss) else 2
    cdef const int64_t* target = loss.target
    cdef void* losses = loss.losses
    cdef bint with_grad = layer.grad_x != NULL
    if tokens < min(FEW_TOKENS, layer.n_tokens):
        tokens = min(CHUNK_TOKENS, STATISTICS_BYTES // (n_blocks * n_parts * item))
        tokens = chunk_tokens(min(tokens, layer.n_tokens))
        slab_classes = LOGITS_BYTES // (tokens * item * n_copies) // BLOCK_STEPS * BLOCK_STEPS
    tokens = chunk_tokens(min(min(tokens, MOST_TOKENS),
                              INPUT_BYTES // (layer.width * item) if layer.width else tokens))
    tokens = min(tokens, layer.n_tokens)
    slab_classes = min(slab_classes, layer.n_classes)
    layer.logits = thread_scratch(SCRATCH_LOGITS, n_copies * slab_classes * tokens * item)
    slab.loss = loss
    slab.first_outer = slab.first_col = 0
    slab.n_outer = 1
    slab.n_blocks = n_blocks
    slab.padded = ceil_div(tokens, lanes) * lanes
    slab.statistics = thread_scratch(SCRATCH_STATISTICS, slab_bytes(&slab))
    if layer.logits == NULL or slab.statistics == NULL:
        with gil:
            raise MemoryError("linear_cross_entropy: no scratch memory")
    slab.columns = <char*>slab.statistics + n_blocks * n_parts * slab.padded * item
    layer.likely = <char*>layer.logits + slab_classes * tokens * item
    loss.x = loss.grad = layer.logits
    loss.probability = layer.likely if layer.probability != NULL else NULL
    layer.first_token = 0
    while layer.first_token < layer.n_tokens:
        layer.tokens = min(tokens, layer.n_tokens - layer.first_token)
        loss.inner = slab.band = layer.tokens
        if target != NULL:
            loss.target = target + layer.first_token
        if losses != NULL:
            loss.losses = <char*>losses + layer.first_token * item
        layer.first_class = 0
        while layer.first_class < layer.n_classes:
            take_slab(layer, &slab, slab_classes)
            compute_logits(layer)
            slab_statistics(&slab)
            layer.first_class += layer.classes
        slab_losses(&slab, total)
        if with_grad:
            layer.first_class = 0
            while layer.first_class < layer.n_classes:
                take_slab(layer, &slab, slab_classes)
                if slab_classes < layer.n_classes:
                    compute_logits(layer)
                slab_gradient(&slab)
                compute_gradients(layer)
                layer.first_class += layer.classes
        layer.first_token += layer.tokens
    return 0


cdef void take_slab(Layer* layer, Slab* slab, Py_ssize_t slab_classes) noexcept nogil:
    layer.classes = min(slab_classes, layer.n_classes - layer.first_class)
    slab.first_step = layer.first_class
    slab.n_steps = layer.classes


def linear_cross_entropy_sum(cnp.ndarray x, cnp.ndarray w, bias, target, probability,
                             int64_t ignore_index, double hard, hard_weight, base, losses, grad_x,
                             grad_w, grad_bias, double scale):
    """The sum of the cross-entropies of x @ w.T + bias; see Layer and Loss for the arguments.

    C-ordered arrays of one dtype, float32 or float64, but for target (int64, checked); None where
    there is none. The gradients are written, grad_bias is added to; no array shares memory with
    another. n_tokens, width and n_classes are at least 1.
    """
    cdef Layer layer
    cdef double total = 0
    memset(&layer, 0, sizeof(layer))
    layer.x = cnp.PyArray_DATA(x)
    layer.w = cnp.PyArray_DATA(w)
    layer.grad_x = data_of(grad_x)
    layer.grad_w = data_of(grad_w)
    layer.probability = data_of(probability)
    layer.itemsize = cnp.PyArray_ITEMSIZE(x)
    layer.n_tokens = cnp.PyArray_DIM(x, 0)
    layer.width = cnp.PyArray_DIM(x, 1)
    layer.n_classes = cnp.PyArray_DIM(w, 0)
    layer.loss.itemsize = layer.itemsize
    layer.loss.outer = 1
    layer.loss.length = layer.n_classes
    layer.loss.target = <const int64_t*>data_of(target)
    layer.loss.probability = layer.probability
    layer.loss.ignore_index = ignore_index
    layer.loss.hard = hard
    layer.loss.hard_weight = data_of(hard_weight)
    layer.loss.base = data_of(base)
    layer.loss.scale = scale
    layer.loss.losses = data_of(losses)
    layer.loss.bias = data_of(bias)
    layer.loss.grad_bias = data_of(grad_bias)
    with nogil:
        run_layer(&layer, &total)
    return total
