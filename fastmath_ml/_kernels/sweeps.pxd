# Lines of elements by whole vectors, and what is left of them; sums that keep what rounding loses.
from cython cimport floating as real

from fastmath_ml._kernels.simd cimport (
    vec, veq, vlanes, vload, vload_partial, vselect, vset, vstore, vstore_partial,
)


# Up to a whole vector: the first n lanes where n is less.
cdef inline vec[real] load_columns(const real* x, Py_ssize_t n) noexcept nogil:
    return vload(x) if n >= vlanes(<real>0) else vload_partial(x, n)


cdef inline void store_columns(real* x, vec[real] value, Py_ssize_t n) noexcept nogil:
    if n >= vlanes(<real>0):
        vstore(x, value)
    else:
        vstore_partial(x, value, n)


cdef inline void scale_line(real* x, Py_ssize_t n, real factor) noexcept nogil:
    cdef Py_ssize_t lanes = vlanes(factor), i = 0
    cdef vec[real] f = vset(factor)
    while i + lanes <= n:
        vstore(x + i, vload(x + i) * f)
        i += lanes
    if i < n:
        vstore_partial(x + i, vload_partial(x + i, n - i) * f, n - i)


# total += value, with what rounding took off before (Kahan). Of an infinite sum nothing is lost.
cdef inline void add_compensated(vec[real]* total, vec[real]* lost,
                                 vec[real] value) noexcept nogil:
    cdef vec[real] added, zero = vec[real]()
    value = value - lost[0]
    added = total[0] + value
    lost[0] = vselect(veq(added - added, zero), (added - total[0]) - value, zero)
    total[0] = added
