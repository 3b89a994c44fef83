// The blocks of observations that a covariance is made of: x - mean, or x - shift and what is left.
#ifndef FASTMATH_ML_COVARIANCE_H
#define FASTMATH_ML_COVARIANCE_H

#include <type_traits>

#include "moments.h"
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

// A vector of T, or its first n elements, from float or T.
template <class T> FM_INLINE vec<T> load_as(const T *p) { return vload(p); }
template <class T> FM_INLINE vec<T> load_as(const T *p, ptrdiff_t n) { return vload_partial(p, n); }
template <class T, class = std::enable_if_t<std::is_same_v<T, double>>>
FM_INLINE wide load_as(const float *p) {
    return load_wide(p);
}
template <class T, class = std::enable_if_t<std::is_same_v<T, double>>>
FM_INLINE wide load_as(const float *p, ptrdiff_t n) {
    return load_wide(p, n);
}

// out = x - shift and sums += what the columns of out add up to, for four rows in T and then in
// double. sums has room for whole vectors.
template <class T, int rows, class X>
FM_INLINE void shift_rows(const X *x, ptrdiff_t stride, ptrdiff_t n_cols, const T *shift, T *out,
                          double *sums) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    for (ptrdiff_t col = 0; col < n_cols; col += lanes) {
        const ptrdiff_t n = n_cols - col < lanes ? n_cols - col : lanes;
        const bool whole = n == lanes;
        const vec<T> by = whole ? vload(shift + col) : vload_partial(shift + col, n);
        vec<T> sum;
#pragma GCC unroll 4
        for (int row = 0; row < rows; row++) {
            const X *from = x + row * stride + col;
            T *to = out + row * n_cols + col;
            const vec<T> shifted = (whole ? load_as<T>(from) : load_as<T>(from, n)) - by;
            if (whole)
                vstore(to, shifted);
            else
                vstore_partial(to, shifted, n);
            sum = sum + shifted;
        }
        add_to(sums + col, sum);
    }
}
// The same for a line with one shift, added up in T lane by lane and then in double.
template <class X, class T>
FM_INLINE void shift_line(const X *x, ptrdiff_t n, T shift, T *out, double *sum) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    vec<T> partial;
    ptrdiff_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        const vec<T> shifted = load_as<T>(x + i) - vset(shift);
        vstore(out + i, shifted);
        partial = partial + shifted;
    }
    for (ptrdiff_t lane = 0; lane < lanes; lane++) *sum += double(partial.v[lane]);
    for (; i < n; i++) {
        out[i] = T(x[i]) - shift;
        *sum += double(out[i]);
    }
}

// n observations of x: rows, or columns where by_features. Rows of x are `stride` apart, of out
// n_features, or out_stride where by_features.
template <class X, class T>
void shift_block(const X *x, ptrdiff_t stride, bool by_features, ptrdiff_t n, ptrdiff_t n_features,
                 const T *shift, T *out, ptrdiff_t out_stride, double *sums) {
    if (by_features) {
        for (ptrdiff_t i = 0; i < n_features; i++)
            shift_line(x + i * stride, n, shift[i], out + i * out_stride, sums + i);
        return;
    }
    ptrdiff_t row = 0;
    for (; row + 4 <= n; row += 4)
        shift_rows<T, 4>(x + row * stride, stride, n_features, shift, out + row * n_features, sums);
    for (; row < n; row++)
        shift_rows<T, 1>(x + row * stride, stride, n_features, shift, out + row * n_features, sums);
}

}  // namespace fm

#endif
