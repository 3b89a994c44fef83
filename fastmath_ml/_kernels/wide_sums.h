// Sums in double of vectors of either type.
#ifndef FASTMATH_ML_WIDE_SUMS_H
#define FASTMATH_ML_WIDE_SUMS_H

#include "simd.h"

namespace fm {

FM_INLINE vec<double> widened(vec<double> x) { return x; }
FM_INLINE vec<double> widened(vec<float> x) { return vwiden_low(x) + vwiden_high(x); }
FM_INLINE void add_to(double *sums, vec<double> x) { vstore(sums, vload(sums) + x); }
FM_INLINE void add_to(double *sums, vec<float> x) {
    add_to(sums, vwiden_low(x));
    add_to(sums + vlanes(0.0), vwiden_high(x));
}

}  // namespace fm

#endif
