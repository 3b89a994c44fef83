"""Losses per element, and the negative log-likelihood of given log-probabilities.

Element by element (elementwise_loss.h): one pass over memory computes the losses, adds them up and
writes the derivatives. The elements are cut into segments of SEGMENT whose sums are added up in
float64 in order, so that threads change no bit.

nll_loss picks one element a line; its gradient is zero elsewhere. It sweeps over the picked
elements, and where the gradient is wanted over that once more: zeros first, then the picked ones.
"""

from cython cimport floating as real
from libc.stdint cimport int64_t
from libc.string cimport memset

cimport numpy as cnp

from fastmath_ml._kernels.overlap cimport overlaps
from fastmath_ml._kernels.plain cimport data_of, is_plain, plain_kind, scalar_like
from fastmath_ml._kernels.pool cimport ordered_reduce, parallel_for
from fastmath_ml._kernels.sums cimport add_number

cnp.import_array()

cdef extern from "elementwise_loss.h" namespace "fm" nogil:
    cppclass loss_range[T]:
        const T* x
        const T* target
        const T* weight
        const T* positive
        T* losses
        T* grad
        Py_ssize_t n
        T option
        T scale

    double sum_losses[T](int kind, const loss_range[T]& r) noexcept
    bint all_signs[T](const T* target, Py_ssize_t n) noexcept
    enum:
        SQUARED "fm::SQUARED"
        ABSOLUTE "fm::ABSOLUTE"
        HUBER "fm::HUBER"
        KL "fm::KL"
        KL_LOG_TARGET "fm::KL_LOG_TARGET"
        HINGE "fm::HINGE"
        BINARY_LOGITS "fm::BINARY_LOGITS"

cdef enum:
    SEGMENT = 1 << 14
    PICK_SEGMENT = 1 << 12
    SMALL = 1024                # elements up to which the GIL is kept

# What elementwise_sum takes as kind.
KINDS = {
    "mse_loss": SQUARED,
    "l1_loss": ABSOLUTE,
    "huber_loss": HUBER,
    "kl_div": KL,
    "kl_div log_target": KL_LOG_TARGET,
    "hinge_loss": HINGE,
    "binary_cross_entropy_with_logits": BINARY_LOGITS,
}

cdef struct Elements:
    int kind
    Py_ssize_t itemsize, n
    const void* x
    const void* target
    const void* weight
    const void* positive
    void* losses
    void* grad
    double option, scale


cdef inline double sum_range(const Elements* e, Py_ssize_t begin, Py_ssize_t end,
                             real zero) noexcept nogil:
    cdef loss_range[real] r
    r.x = <const real*>e.x + begin
    r.target = <const real*>e.target + begin
    r.weight = <const real*>e.weight + begin if e.weight != NULL else NULL
    r.positive = <const real*>e.positive + begin if e.positive != NULL else NULL
    r.losses = <real*>e.losses + begin if e.losses != NULL else NULL
    r.grad = <real*>e.grad + begin if e.grad != NULL else NULL
    r.n = end - begin
    r.option = <real>e.option
    r.scale = <real>e.scale
    return sum_losses(e.kind, r)


cdef void elements_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                        void* context) noexcept nogil:
    if (<Elements*>context).itemsize == 4:
        (<double*>partial)[0] = sum_range(<Elements*>context, begin, end, <float>0)
    else:
        (<double*>partial)[0] = sum_range(<Elements*>context, begin, end, <double>0)


cdef double sum_elements(Elements* e) except? -1 nogil:
    cdef double total = 0
    cdef double ns_per_byte = 0.06 if e.kind == SQUARED or e.kind == ABSOLUTE else 0.15
    ordered_reduce(e.n, SEGMENT, sizeof(double), ns_per_byte * e.itemsize * e.n, elements_body,
                   add_number, &total, e)
    return total


def elementwise_sum(int kind, cnp.ndarray x, cnp.ndarray target, weight, positive, double option,
                    losses, grad, double scale):
    """The sum of the losses of two arrays; the losses themselves and scale * derivative beside.

    All arrays are C-ordered, of one shape and of one dtype, float32 or float64. weight multiplies
    losses and derivatives, positive is the factor of the positive targets' losses (BINARY_LOGITS);
    both and losses and grad may be None. grad is x or shares no memory with the others.
    """
    cdef Elements e
    cdef double total
    e.kind = kind
    e.itemsize = cnp.PyArray_ITEMSIZE(x)
    e.n = cnp.PyArray_SIZE(x)
    e.x = cnp.PyArray_DATA(x)
    e.target = cnp.PyArray_DATA(target)
    e.weight = data_of(weight)
    e.positive = data_of(positive)
    e.losses = data_of(losses)
    e.grad = data_of(grad)
    e.option = option
    e.scale = scale
    with nogil:
        total = sum_elements(&e)
    return total


def elementwise_plain(int kind, x, target, double option, reduction, bint with_grad, grad_out):
    """The mean or sum of the losses of two C-ordered float32 or float64 arrays of one shape.

    The common case, recognised before any general code runs; None where anything is not so plain.
    grad_out is None, x itself, or an array like x apart from both. With the gradient the result is
    a tuple.
    """
    cdef cnp.ndarray a, b, c = None
    cdef Elements e
    cdef double total
    cdef bint is_mean = reduction == "mean"
    cdef int dtype = plain_kind(x)
    if not (dtype != cnp.NPY_NOTYPE and is_plain(target, dtype)
            and (is_mean or reduction == "sum")):
        return None
    a = x
    b = target
    if not cnp.PyArray_SAMESHAPE(a, b):
        return None
    e.n = cnp.PyArray_SIZE(a)
    if e.n == 0:
        return None
    if with_grad:
        if grad_out is None:
            c = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), dtype)
        elif is_plain(grad_out, dtype):
            c = grad_out
            if not (cnp.PyArray_ISWRITEABLE(c) and cnp.PyArray_SAMESHAPE(a, c)
                    and not overlaps(c, b)
                    and (cnp.PyArray_DATA(c) == cnp.PyArray_DATA(a) or not overlaps(c, a))):
                return None
        else:
            return None
    e.kind = kind
    e.itemsize = cnp.PyArray_ITEMSIZE(a)
    e.x = cnp.PyArray_DATA(a)
    e.target = cnp.PyArray_DATA(b)
    e.weight = e.positive = e.losses = e.grad = NULL
    if with_grad:
        e.grad = cnp.PyArray_DATA(c)
    e.option = option
    e.scale = 1.0 / e.n if is_mean else 1.0
    if e.n < SMALL:
        total = sum_elements(&e)
    else:
        with nogil:
            total = sum_elements(&e)
    if is_mean:
        total /= e.n
    value = scalar_like(a, total)
    return (value, c) if with_grad else value


def are_signs(cnp.ndarray target):
    """Whether all elements of a C-ordered float32 or float64 array are 1 or -1."""
    cdef Py_ssize_t n = cnp.PyArray_SIZE(target)
    cdef bint result
    with nogil:
        if cnp.PyArray_ITEMSIZE(target) == 4:
            result = all_signs(<const float*>cnp.PyArray_DATA(target), n)
        else:
            result = all_signs(<const double*>cnp.PyArray_DATA(target), n)
    return result


# ---- negative log-likelihood ----

cdef struct Picks:
    const void* x               # (outer, length, inner)
    void* grad
    Py_ssize_t itemsize, length, inner, n_items
    const int64_t* target       # (outer, inner)
    int64_t ignore_index
    const void* weight          # length of them, or NULL
    void* losses
    double scale


cdef inline double pick_range(const Picks* picks, Py_ssize_t begin, Py_ssize_t end,
                              real zero) noexcept nogil:
    """The losses of the lines [begin, end)."""
    cdef const real* weight = <const real*>picks.weight
    cdef real* losses = <real*>picks.losses
    cdef int64_t target
    cdef Py_ssize_t line, at
    cdef real value
    cdef double total = 0
    for line in range(begin, end):
        target = picks.target[line]
        value = 0
        if target != picks.ignore_index:
            at = (line // picks.inner * picks.length + target) * picks.inner + line % picks.inner
            value = -(<const real*>picks.x)[at]
            if weight != NULL:
                value *= weight[target]
        if losses != NULL:
            losses[line] = value
        total += value
    return total


cdef void pick_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                    void* context) noexcept nogil:
    if (<Picks*>context).itemsize == 4:
        (<double*>partial)[0] = pick_range(<Picks*>context, begin, end, <float>0)
    else:
        (<double*>partial)[0] = pick_range(<Picks*>context, begin, end, <double>0)


cdef void zero_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef Picks* picks = <Picks*>context
    memset(<char*>picks.grad + begin * picks.itemsize, 0, (end - begin) * picks.itemsize)


cdef inline void put_range(const Picks* picks, Py_ssize_t begin, Py_ssize_t end,
                           real zero) noexcept nogil:
    cdef const real* weight = <const real*>picks.weight
    cdef int64_t target
    cdef Py_ssize_t line, at
    for line in range(begin, end):
        target = picks.target[line]
        if target != picks.ignore_index:
            at = (line // picks.inner * picks.length + target) * picks.inner + line % picks.inner
            (<real*>picks.grad)[at] = <real>(
                -picks.scale * (weight[target] if weight != NULL else <real>1))


cdef void put_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if (<Picks*>context).itemsize == 4:
        put_range(<Picks*>context, begin, end, <float>0)
    else:
        put_range(<Picks*>context, begin, end, <double>0)


def nll_sum(cnp.ndarray x, int axis, cnp.ndarray target, int64_t ignore_index, weight, losses,
            grad, double scale):
    """The sum of -weight[target] x[target] along an axis, and its gradient times scale.

    C-ordered arrays of one dtype, float32 or float64, but for target (int64, checked); weight,
    losses and grad may be None. grad is x or shares no memory with the others.
    """
    cdef Picks picks
    cdef double total = 0
    cdef Py_ssize_t n_lines = cnp.PyArray_SIZE(target)
    cdef int i
    picks.x = cnp.PyArray_DATA(x)
    picks.grad = data_of(grad)
    picks.itemsize = cnp.PyArray_ITEMSIZE(x)
    picks.length = cnp.PyArray_DIM(x, axis)
    picks.inner = 1
    for i in range(axis + 1, cnp.PyArray_NDIM(x)):
        picks.inner *= cnp.PyArray_DIM(x, i)
    picks.target = <const int64_t*>cnp.PyArray_DATA(target)
    picks.ignore_index = ignore_index
    picks.weight = data_of(weight)
    picks.losses = data_of(losses)
    picks.scale = scale
    picks.n_items = cnp.PyArray_SIZE(x)
    with nogil:
        ordered_reduce(n_lines, PICK_SEGMENT, sizeof(double), 4.0 * n_lines, pick_body, add_number,
                       &total, &picks)
        if picks.grad != NULL:
            parallel_for(picks.n_items, SEGMENT, 0.03 * picks.itemsize * picks.n_items, zero_body,
                         &picks)
            parallel_for(n_lines, PICK_SEGMENT, 4.0 * n_lines, put_body, &picks)
    return total
