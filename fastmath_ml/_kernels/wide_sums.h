// Float and double as double, and sums in double.
#ifndef FASTMATH_ML_WIDE_SUMS_H
#define FASTMATH_ML_WIDE_SUMS_H

#include "simd.h"

namespace fm {

typedef vec<double> wide;
typedef float half_floats
    __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES / 2), aligned(4), may_alias));
typedef float own_half_floats __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES / 2)));

// vlanes(0.0) elements as doubles.
FM_INLINE wide load_wide(const double *p) { return vload(p); }
FM_INLINE wide load_wide(const float *p) {
    const own_half_floats x = *reinterpret_cast<const half_floats *>(p);
    return wide(__builtin_convertvector(x, wide::native));
}
FM_INLINE wide load_wide(const double *p, ptrdiff_t n) { return vload_partial(p, n); }
FM_INLINE wide load_wide(const float *p, ptrdiff_t n) { return vwiden_low(vload_partial(p, n)); }
FM_INLINE void store_narrow(double *p, wide x) { vstore(p, x); }
FM_INLINE void store_narrow(float *p, wide x) {
    *reinterpret_cast<half_floats *>(p) = __builtin_convertvector(x.v, own_half_floats);
}
// The first n elements.
FM_INLINE void store_narrow(float *p, vec<float> x, ptrdiff_t n) { vstore_partial(p, x, n); }
FM_INLINE void store_narrow(double *p, wide x, ptrdiff_t n) { vstore_partial(p, x, n); }
FM_INLINE void store_narrow(float *p, wide x, ptrdiff_t n) { vstore_partial(p, vnarrow(x, x), n); }

// n elements of a vector of the first argument's type, other lanes 0.
FM_INLINE vec<float> load_as(float, const float *p, ptrdiff_t n) {
    return n == vlanes(0.0f) ? vload(p) : vload_partial(p, n);
}
FM_INLINE wide load_as(double, const double *p, ptrdiff_t n) {
    return n == vlanes(0.0) ? vload(p) : vload_partial(p, n);
}
FM_INLINE wide load_as(double, const float *p, ptrdiff_t n) {
    return n == vlanes(0.0) ? load_wide(p) : load_wide(p, n);
}

FM_INLINE void add_to(double *sums, vec<double> x) { vstore(sums, vload(sums) + x); }
FM_INLINE void add_to(double *sums, vec<float> x) {
    add_to(sums, vwiden_low(x));
    add_to(sums + vlanes(0.0), vwiden_high(x));
}

}  // namespace fm

#endif
