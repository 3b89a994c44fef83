"""Activations: one pass over memory, in place where the caller wishes, any number of threads.

The arithmetic is in activations.h. An element's result depends on nothing but the element. Results
that are larger than the caches and apart from the input are streamed past them: otherwise every
line of the result would be read before it is overwritten.
"""

cimport numpy as cnp

from fastmath_ml._kernels.overlap cimport overlaps
from fastmath_ml._kernels.pool cimport parallel_for
from fastmath_ml._kernels.simd cimport vlanes

cnp.import_array()


cdef extern from "activations.h" namespace "fm" nogil:
    void activate[T](int which, const T* x, T* out, Py_ssize_t n, bint streaming) noexcept
    cdef enum activation:
        _RELU "fm::RELU"
        _TANH "fm::TANH"
        _EXPIT "fm::EXPIT"
        _LOG_EXPIT "fm::LOG_EXPIT"
        _SOFTPLUS "fm::SOFTPLUS"
        _SILU "fm::SILU"
        _LOGIT "fm::LOGIT"
        _GELU "fm::GELU"
        _GELU_TANH "fm::GELU_TANH"

RELU = _RELU
TANH = _TANH
EXPIT = _EXPIT
LOG_EXPIT = _LOG_EXPIT
SOFTPLUS = _SOFTPLUS
SILU = _SILU
LOGIT = _LOGIT
GELU = _GELU
GELU_TANH = _GELU_TANH

cdef enum:
    GRAIN = 256                 # elements; whole cache lines of the result for each thread
    STREAMED = 1 << 24          # bytes of a result from which on it is streamed


cdef struct Map:
    const void* x
    void* out
    Py_ssize_t itemsize
    int which
    bint streaming


cdef void map_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    cdef const Map* job = <const Map*>context
    if job.itemsize == 4:
        activate(job.which, <const float*>job.x + begin, <float*>job.out + begin, end - begin,
                 job.streaming)
    else:
        activate(job.which, <const double*>job.x + begin, <double*>job.out + begin, end - begin,
                 job.streaming)


def activation_plain(int which, x, out):
    """The activation of a contiguous float32 or float64 array; None where x or out is not so plain.

    The common case, recognised before any general code runs. out is None or an array of the same
    layout that is x itself or shares no memory with it.
    """
    cdef cnp.ndarray a, c
    cdef Map job
    cdef int kind
    cdef Py_ssize_t n, n_bytes
    cdef bint is_fortran = False
    cdef double ns_per_item
    if not cnp.PyArray_CheckExact(x):
        return None
    a = x
    kind = cnp.PyArray_TYPE(a)
    if kind != cnp.NPY_FLOAT32 and kind != cnp.NPY_FLOAT64:
        return None
    if cnp.PyArray_NDIM(a) == 0 or not cnp.PyArray_ISBEHAVED_RO(a):
        return None
    if not cnp.PyArray_IS_C_CONTIGUOUS(a):
        if not cnp.PyArray_IS_F_CONTIGUOUS(a):
            return None
        is_fortran = True
    n = cnp.PyArray_SIZE(a)
    n_bytes = cnp.PyArray_NBYTES(a)
    if out is None:
        c = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), kind, is_fortran)
    else:
        if not cnp.PyArray_CheckExact(out):
            return None
        c = out
        if not (cnp.PyArray_TYPE(c) == kind and cnp.PyArray_ISBEHAVED(c)
                and cnp.PyArray_SAMESHAPE(a, c)):
            return None
        if not (cnp.PyArray_IS_F_CONTIGUOUS(c) if is_fortran else cnp.PyArray_IS_C_CONTIGUOUS(c)):
            return None
        if cnp.PyArray_DATA(a) != cnp.PyArray_DATA(c) and overlaps(a, c):
            return None
    job.x = cnp.PyArray_DATA(a)
    job.out = cnp.PyArray_DATA(c)
    job.itemsize = cnp.PyArray_ITEMSIZE(a)
    job.which = which
    job.streaming = n_bytes >= STREAMED and job.x != job.out
    if n < 512:
        map_body(0, n, &job)
    else:
        ns_per_item = (1.0 if which == _RELU else 6.0) / vlanes(<float>0) * (job.itemsize // 4)
        with nogil:
            parallel_for(n, GRAIN, ns_per_item * n, map_body, &job)
    return c
