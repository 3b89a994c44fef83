# Whether the arrays of a call share memory.
cimport numpy as cnp


cdef inline const char* end_of(cnp.ndarray x, int direction) noexcept:
    """The lowest byte of an array (direction -1), or the first behind it (1)."""
    cdef const char* end = <const char*>cnp.PyArray_DATA(x)
    cdef int i
    if direction > 0:
        end += cnp.PyArray_ITEMSIZE(x)
    for i in range(cnp.PyArray_NDIM(x)):
        if direction * cnp.PyArray_STRIDE(x, i) > 0:
            end += (cnp.PyArray_DIM(x, i) - 1) * cnp.PyArray_STRIDE(x, i)
    return end


cdef inline bint overlaps(cnp.ndarray x, cnp.ndarray y) noexcept:
    """Whether the memory that two arrays span overlaps."""
    return end_of(x, -1) < end_of(y, 1) and end_of(y, -1) < end_of(x, 1)
