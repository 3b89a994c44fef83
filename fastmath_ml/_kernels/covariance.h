// The blocks of observations that a covariance is made of: x - mean, or x - shift and what is left.
#ifndef FASTMATH_ML_COVARIANCE_H
#define FASTMATH_ML_COVARIANCE_H

#include "wide_sums.h"

namespace fm {

// x - (high + low), the mean in two floats, an array (step 1) or one number each (step 0). Near the
// mean the first difference is exact; elsewhere both roundings are of half a unit of the result's
// last place. Widening and narrowing a row takes longer.
inline void centre_floats(const float *x, ptrdiff_t n, const float *high, const float *low,
                          ptrdiff_t step, float *out) {
    constexpr ptrdiff_t lanes = vlanes(0.0f);
    float same_high[lanes], same_low[lanes];
    if (!step) {
        vstore(same_high, vset(*high));
        vstore(same_low, vset(*low));
        high = same_high, low = same_low;
    }
    ptrdiff_t i = 0;
    for (; i + lanes <= n; i += lanes)
        vstore(out + i, (vload(x + i) - vload(high + i * step)) - vload(low + i * step));
    for (; i < n; i++) out[i] = (x[i] - high[i * step]) - low[i * step];
}

// out = x - shift, line by line of n elements, and sums += what each line of out adds up to, in T
// lane by lane and then in double.
template <class X, class T>
void shift_lines(const X *x, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t n_lines, const T *shift,
                 T *out, ptrdiff_t out_stride, double *sums) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    for (ptrdiff_t line = 0; line < n_lines; line++, x += stride, out += out_stride) {
        vec<T> partial;
        ptrdiff_t i = 0;
        for (; i + lanes <= n; i += lanes) {
            const vec<T> shifted = load_as(T{}, x + i, lanes) - vset(shift[line]);
            vstore(out + i, shifted);
            partial = partial + shifted;
        }
        for (ptrdiff_t lane = 0; lane < lanes; lane++) sums[line] += double(partial.v[lane]);
        for (; i < n; i++) {
            out[i] = T(x[i]) - shift[line];
            sums[line] += double(out[i]);
        }
    }
}

}  // namespace fm

#endif
