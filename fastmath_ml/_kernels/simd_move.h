// Moving data in the SIMD vocabulary: between float and double, and past the caches.
//
//   vwiden_low, vwiden_high   the lower and the upper half of a vec<float> as vec<double>, exact
//   vnarrow(low, high)        back again, rounded once
//   vpick(x, picks<T>(where)) lane where[i] of x in lane i; one instruction if FM_HAS_PICK
//   vstream                   a store of a whole, aligned vector that does not read its cache line
//                             first and does not keep it: for results larger than the caches
//   vstream_start             how many elements lie before the first aligned vector, n at most
//   vstream_end               orders the streamed stores before what other threads see next
#ifndef FASTMATH_ML_SIMD_MOVE_H
#define FASTMATH_ML_SIMD_MOVE_H

namespace fm {

#if FM_X86 == 64
FM_INLINE vec<double> vwiden_low(vec<float> x) {
    return vec<double>(_mm512_cvtps_pd(_mm512_castps512_ps256(x.v)));
}
FM_INLINE vec<double> vwiden_high(vec<float> x) {
    return vec<double>(_mm512_cvtps_pd(_mm512_extractf32x8_ps(x.v, 1)));
}
FM_INLINE vec<float> vnarrow(vec<double> low, vec<double> high) {
    return vec<float>(_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low.v)),
                                         _mm512_cvtpd_ps(high.v), 1));
}
#elif FM_X86 == 32
FM_INLINE vec<double> vwiden_low(vec<float> x) {
    return vec<double>(_mm256_cvtps_pd(_mm256_castps256_ps128(x.v)));
}
FM_INLINE vec<double> vwiden_high(vec<float> x) {
    return vec<double>(_mm256_cvtps_pd(_mm256_extractf128_ps(x.v, 1)));
}
FM_INLINE vec<float> vnarrow(vec<double> low, vec<double> high) {
    return vec<float>(_mm256_set_m128(_mm256_cvtpd_ps(high.v), _mm256_cvtpd_ps(low.v)));
}
#elif FM_X86 == 16
FM_INLINE vec<double> vwiden_low(vec<float> x) { return vec<double>(_mm_cvtps_pd(x.v)); }
FM_INLINE vec<double> vwiden_high(vec<float> x) {
    return vec<double>(_mm_cvtps_pd(_mm_movehl_ps(x.v, x.v)));
}
FM_INLINE vec<float> vnarrow(vec<double> low, vec<double> high) {
    return vec<float>(_mm_movelh_ps(_mm_cvtpd_ps(low.v), _mm_cvtpd_ps(high.v)));
}
#else
FM_INLINE vec<double> vwiden_low(vec<float> x) {
    vec<double> wide;
    for (int i = 0; i < vlanes(0.0); i++) wide.v[i] = x.v[i];
    return wide;
}
FM_INLINE vec<double> vwiden_high(vec<float> x) {
    vec<double> wide;
    for (int i = 0; i < vlanes(0.0); i++) wide.v[i] = x.v[i + vlanes(0.0)];
    return wide;
}
FM_INLINE vec<float> vnarrow(vec<double> low, vec<double> high) {
    vec<float> narrow;
    for (int i = 0; i < vlanes(0.0); i++) {
        narrow.v[i] = float(low.v[i]);
        narrow.v[i + vlanes(0.0)] = float(high.v[i]);
    }
    return narrow;
}
#endif

template <class T> struct picks {
    typename lane<T>::ivector from;
    FM_ALWAYS_INLINE explicit picks(vec<T> where)
        : from(__builtin_convertvector(where.v, typename lane<T>::ivector)) {}
};

// Whether vpick is one instruction.
#define FM_HAS_PICK (FM_X86 >= 32)

#if FM_X86 == 64
FM_INLINE vec<float> vpick(vec<float> x, picks<float> p) {
    return vec<float>(_mm512_permutexvar_ps((__m512i)p.from, x.v));
}
FM_INLINE vec<double> vpick(vec<double> x, picks<double> p) {
    return vec<double>(_mm512_permutexvar_pd((__m512i)p.from, x.v));
}
#elif FM_X86 == 32
FM_INLINE vec<float> vpick(vec<float> x, picks<float> p) {
    return vec<float>(_mm256_permutevar8x32_ps(x.v, (__m256i)p.from));
}
// As two floats each: 2 i and 2 i + 1.
FM_INLINE vec<double> vpick(vec<double> x, picks<double> p) {
    const __m256i halves = (__m256i)((2 * p.from) | (2 * p.from + 1) << 32);
    return vec<double>(
        _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(x.v), halves)));
}
#else
template <class T> FM_INLINE vec<T> vpick(vec<T> x, picks<T> p) {
    vec<T> y;
    for (ptrdiff_t i = 0; i < vlanes(T{}); i++) y.v[i] = x.v[p.from[i]];
    return y;
}
#endif

#if FM_X86
FM_INLINE void vstream(float *p, vec<float> x) { FM_MM(stream, ps)(p, x.v); }
FM_INLINE void vstream(double *p, vec<double> x) { FM_MM(stream, pd)(p, x.v); }
FM_INLINE void vstream_end() { _mm_sfence(); }
#else
template <class T> FM_INLINE void vstream(T *p, vec<T> x) { vstore(p, x); }
FM_INLINE void vstream_end() {}
#endif

template <class T> FM_INLINE ptrdiff_t vstream_start(const T *p, ptrdiff_t n) {
    const ptrdiff_t past = ptrdiff_t(uintptr_t(p) % FASTMATH_ML_VECTOR_BYTES / sizeof(T));
    const ptrdiff_t before = past ? vlanes(T{}) - past : 0;
    return before < n ? before : n;
}

}  // namespace fm

#endif
