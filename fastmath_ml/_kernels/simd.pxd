# Cython's view of simd.h; the header says what each function means.
#
# Template arguments are deduced from the values, so these work with one fused type (float, double):
#     cdef vec[real] total            # zero
#     total = vmul_add(vload(x), vset(<real>2), total)
# A width is asked of a value: vlanes(<real>0). Writing vload[real](x) is an error.
from libc.stdint cimport uint64_t


cdef extern from "simd.h" namespace "fm" nogil:
    cppclass vec[T]:
        vec() noexcept
        vec[T] operator+(vec[T]) noexcept
        vec[T] operator-(vec[T]) noexcept
        vec[T] operator*(vec[T]) noexcept
        vec[T] operator/(vec[T]) noexcept
        vec[T] operator-() noexcept

    cppclass mask[T]:
        mask() noexcept

    Py_ssize_t vlanes[T](T) noexcept
    Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept
    vec[T] vset[T](T x) noexcept
    vec[T] vload[T](const T* p) noexcept
    void vstore[T](T* p, vec[T] x) noexcept
    vec[T] vload_partial[T](const T* p, Py_ssize_t n) noexcept
    void vstore_partial[T](T* p, vec[T] x, Py_ssize_t n) noexcept
    void vstream(float* p, vec[float] x) noexcept
    void vstream(double* p, vec[double] x) noexcept
    Py_ssize_t vstream_start[T](const T* p, Py_ssize_t n) noexcept
    void vstream_end() noexcept

    vec[T] vmul_add[T](vec[T] a, vec[T] b, vec[T] c) noexcept
    vec[T] vmin[T](vec[T] a, vec[T] b) noexcept
    vec[T] vmax[T](vec[T] a, vec[T] b) noexcept
    vec[T] vmin_fast[T](vec[T] a, vec[T] b) noexcept
    vec[T] vmax_fast[T](vec[T] a, vec[T] b) noexcept
    vec[T] vabs[T](vec[T] x) noexcept
    vec[T] vsqrt[T](vec[T] x) noexcept
    vec[T] vround[T](vec[T] x) noexcept
    vec[T] vexp[T](vec[T] x) noexcept
    vec[T] vlog[T](vec[T] x) noexcept
    vec[T] vexpm1[T](vec[T] x) noexcept
    vec[T] vlog1p[T](vec[T] x) noexcept
    vec[T] vlog1p_unit[T](vec[T] x) noexcept
    vec[T] vtanh[T](vec[T] x) noexcept
    vec[T] vsigmoid[T](vec[T] x) noexcept
    vec[T] verf[T](vec[T] x) noexcept
    vec[T] vpow[T](vec[T] x, vec[T] p) noexcept

    mask[T] vlt[T](vec[T] a, vec[T] b) noexcept
    mask[T] vle[T](vec[T] a, vec[T] b) noexcept
    mask[T] vgt[T](vec[T] a, vec[T] b) noexcept
    mask[T] vge[T](vec[T] a, vec[T] b) noexcept
    mask[T] veq[T](vec[T] a, vec[T] b) noexcept
    mask[T] vne[T](vec[T] a, vec[T] b) noexcept
    mask[T] visnan[T](vec[T] x) noexcept
    mask[T] mtail[T](T, Py_ssize_t n) noexcept
    mask[T] mand[T](mask[T] a, mask[T] b) noexcept
    mask[T] mor[T](mask[T] a, mask[T] b) noexcept
    mask[T] mnot[T](mask[T] a) noexcept
    bint many[T](mask[T] m) noexcept
    bint mall[T](mask[T] m) noexcept
    uint64_t mbits[T](mask[T] m) noexcept
    vec[T] vselect[T](mask[T] m, vec[T] a, vec[T] b) noexcept

    T vsum[T](vec[T] x) noexcept
    T vreduce_min[T](vec[T] x) noexcept
    T vreduce_max[T](vec[T] x) noexcept
