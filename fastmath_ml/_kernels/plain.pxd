# Arguments in the plain case, which is recognised before any general code runs.
cimport numpy as cnp
from cpython.long cimport PyLong_AsLongAndOverflow


cdef inline bint is_plain(x, int kind) noexcept:
    """Whether x is an array of this type and no subclass: C-ordered, aligned, in native bytes."""
    return (cnp.PyArray_CheckExact(x) and cnp.PyArray_TYPE(x) == kind
            and cnp.PyArray_ISCARRAY_RO(x))


cdef inline int plain_kind(x) noexcept:
    """NPY_FLOAT32 or NPY_FLOAT64 where x is plain and of that type; else NPY_NOTYPE."""
    cdef int kind
    if cnp.PyArray_CheckExact(x) and cnp.PyArray_ISCARRAY_RO(x):
        kind = cnp.PyArray_TYPE(x)
        if kind == cnp.NPY_FLOAT32 or kind == cnp.NPY_FLOAT64:
            return kind
    return cnp.NPY_NOTYPE


cdef inline void* data_of(x) noexcept:
    return NULL if x is None else cnp.PyArray_DATA(x)


cdef inline scalar_like(cnp.ndarray x, double value):
    """The value as a NumPy scalar of the type of x, float32 or float64."""
    cdef float narrow = <float>value
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        return cnp.PyArray_ToScalar(&narrow, x)
    return cnp.PyArray_ToScalar(&value, x)


# C-ordered elements as (outer, length, inner), and the shape that is left without the axis.
cdef struct Axis:
    Py_ssize_t outer, length, inner
    int n_kept
    cnp.npy_intp kept[64]


cdef inline bint split_axis(cnp.ndarray x, axis, Axis* split) noexcept:
    """Whether axis is an integer that names an axis of x, or None for all elements as one."""
    cdef int n_axes = cnp.PyArray_NDIM(x), i, overflow = 0
    cdef long at
    split.outer = split.inner = 1
    split.n_kept = 0
    if axis is None:
        split.length = cnp.PyArray_SIZE(x)
        return True
    if type(axis) is not int:
        return False
    at = PyLong_AsLongAndOverflow(axis, &overflow)
    if at < 0:
        at += n_axes
    if overflow or at < 0 or at >= n_axes:
        return False
    split.length = cnp.PyArray_DIM(x, at)
    split.n_kept = n_axes - 1
    for i in range(at):
        split.kept[i] = cnp.PyArray_DIM(x, i)
        split.outer *= split.kept[i]
    for i in range(at + 1, n_axes):
        split.kept[i - 1] = cnp.PyArray_DIM(x, i)
        split.inner *= split.kept[i - 1]
    return True
