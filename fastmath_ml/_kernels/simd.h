// The SIMD vocabulary: vec<T>, mask<T> (T is float or double) and free functions on them.
//
// Kernels are written once, against these names, and compiled once per CPU level. A vec<T> is one
// GCC/Clang vector of FASTMATH_ML_VECTOR_BYTES bytes: 64 with AVX-512, 32 with AVX, else 16. What
// the vector extension compiles well (arithmetic, sign bits) is written with it and so serves every
// CPU; what it compiles badly on x86 (partial loads, blends, mask tests, min/max, rounding) has an
// intrinsic. The three x86 widths share one text, since their intrinsics differ in the prefix only
// (FM_MM). Everything else, NEON included, takes the portable branch, and so does an x86 build with
// a width that its level lacks or with FASTMATH_ML_NO_INTRINSICS (tests use both).
//
// Semantics that callers rely on:
//   - every function is IEEE 754 arithmetic; NaN, infinity, signed zero and denormals are respected
//   - vmul_add(a, b, c) rounds once where FM_HAS_FMA, twice elsewhere: build nothing error-free on
//     it (nor on a * b + c, which the compiler may or may not contract)
//   - vmin and vmax return NaN if either argument is NaN; the _fast forms are the plain x86
//     instruction, a < b ? a : b (a > b ? a : b), and so return b when either is NaN
//   - zeros of opposite sign are equal: min and max of them return the second argument
//   - comparisons with NaN are false, except vne
//   - partial loads and stores never touch memory beyond the n lanes asked for, 0 <= n <= lanes
//   - horizontal sums fold halves, lane i with lane i + lanes/2, down to one: a fixed order
//
// Functions are always_inline: no vector crosses a call, so levels may differ in calling convention
// and no inline copy of a higher level can be picked by the linker for a lower one.
#ifndef FASTMATH_ML_SIMD_H
#define FASTMATH_ML_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12
#error "GCC 12 or newer is needed, or Clang: __builtin_shufflevector"
#endif

#ifndef FASTMATH_ML_VECTOR_BYTES
#if defined(__AVX512F__)
#define FASTMATH_ML_VECTOR_BYTES 64
#elif defined(__AVX__)
#define FASTMATH_ML_VECTOR_BYTES 32
#else
#define FASTMATH_ML_VECTOR_BYTES 16
#endif
#endif

#if !defined(FASTMATH_ML_NO_INTRINSICS)
#if FASTMATH_ML_VECTOR_BYTES == 64 && defined(__AVX512F__)
#define FM_X86 64
#define FM_MM(operation, type) _mm512_##operation##_##type
#elif FASTMATH_ML_VECTOR_BYTES == 32 && defined(__AVX2__)
#define FM_X86 32
#define FM_MM(operation, type) _mm256_##operation##_##type
#elif FASTMATH_ML_VECTOR_BYTES == 16 && defined(__SSE4_1__)
#define FM_X86 16
#define FM_MM(operation, type) _mm_##operation##_##type
#endif
#endif
#ifndef FM_X86
#define FM_X86 0
#endif

#if FM_X86
// GCC 12 takes the undefined operands inside its own AVX-512 intrinsics for mistakes of ours.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif
#if defined(__FMA__) || defined(__AVX512F__) || defined(__aarch64__)
#define FM_HAS_FMA 1
#else
#define FM_HAS_FMA 0
#endif

#define FM_INLINE static inline __attribute__((always_inline))
// For long functions: GCC otherwise makes a copy for each constant argument it sees.
#ifdef __clang__
#define FM_ONE_COPY __attribute__((noinline))
#else
#define FM_ONE_COPY __attribute__((noinline, noclone))
#endif

namespace fm {

// The vector types of one lane type. `unaligned` is the type of memory accesses: any address that
// is a multiple of the element's size, and exempt from strict aliasing.
template <class T> struct lane;
template <> struct lane<float> {
    typedef int32_t integer;
    typedef float vector __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES)));
    typedef int32_t ivector __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES)));
    typedef float unaligned
        __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES), aligned(4), may_alias));
    static constexpr integer sign_bit = INT32_MIN;
#if FM_X86 == 64
    typedef __mmask16 mask_native;
#else
    typedef ivector mask_native;
#endif
};
template <> struct lane<double> {
    typedef int64_t integer;
    typedef double vector __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES)));
    typedef int64_t ivector __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES)));
    typedef double unaligned
        __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES), aligned(8), may_alias));
    static constexpr integer sign_bit = INT64_MIN;
#if FM_X86 == 64
    typedef __mmask8 mask_native;
#else
    typedef ivector mask_native;
#endif
};

#define FM_ALWAYS_INLINE inline __attribute__((always_inline))
#define FM_NOINLINE __attribute__((noinline))

template <class T> struct vec {
    typedef typename lane<T>::vector native;
    native v;
    FM_ALWAYS_INLINE vec() : v{} {}
    FM_ALWAYS_INLINE explicit vec(native x) : v(x) {}
    FM_ALWAYS_INLINE vec operator+(vec b) const { return vec(v + b.v); }
    FM_ALWAYS_INLINE vec operator-(vec b) const { return vec(v - b.v); }
    FM_ALWAYS_INLINE vec operator*(vec b) const { return vec(v * b.v); }
    FM_ALWAYS_INLINE vec operator/(vec b) const { return vec(v / b.v); }
    FM_ALWAYS_INLINE vec operator-() const { return vec(-v); }
};

// The outcome of a comparison: a k register under AVX-512, else lanes of all ones or all zeros.
template <class T> struct mask {
    typedef typename lane<T>::mask_native native;
    native m;
    FM_ALWAYS_INLINE mask() : m{} {}
    FM_ALWAYS_INLINE explicit mask(native x) : m(x) {}
};

template <class T> FM_INLINE constexpr ptrdiff_t vlanes(T) {
    return FASTMATH_ML_VECTOR_BYTES / ptrdiff_t(sizeof(T));
}
// How many pieces of b items a items make, the last one perhaps short.
FM_INLINE constexpr ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

// ---- What differs between x86 and elsewhere, as overloads on the native types. ----
namespace native {
typedef lane<float>::vector f32;
typedef lane<double>::vector f64;
typedef lane<float>::ivector i32;
typedef lane<double>::ivector i64;

#if FM_X86
FM_INLINE f32 set(float x) { return FM_MM(set1, ps)(x); }
FM_INLINE f64 set(double x) { return FM_MM(set1, pd)(x); }
FM_INLINE f32 min_fast(f32 a, f32 b) { return FM_MM(min, ps)(a, b); }
FM_INLINE f64 min_fast(f64 a, f64 b) { return FM_MM(min, pd)(a, b); }
FM_INLINE f32 max_fast(f32 a, f32 b) { return FM_MM(max, ps)(a, b); }
FM_INLINE f64 max_fast(f64 a, f64 b) { return FM_MM(max, pd)(a, b); }
FM_INLINE f32 sqrt(f32 x) { return FM_MM(sqrt, ps)(x); }
FM_INLINE f64 sqrt(f64 x) { return FM_MM(sqrt, pd)(x); }
#if FM_HAS_FMA
FM_INLINE f32 mul_add(f32 a, f32 b, f32 c) { return FM_MM(fmadd, ps)(a, b, c); }
FM_INLINE f64 mul_add(f64 a, f64 b, f64 c) { return FM_MM(fmadd, pd)(a, b, c); }
#endif
#else
// x - 0 is x for every x and folds away, x + 0 is not (-0) and costs an addition per use.
FM_INLINE f32 set(float x) { return x - f32{}; }
FM_INLINE f64 set(double x) { return x - f64{}; }
template <class V> FM_INLINE V min_fast(V a, V b) { return a < b ? a : b; }
template <class V> FM_INLINE V max_fast(V a, V b) { return a > b ? a : b; }
FM_INLINE f32 sqrt(f32 x) {
    for (int i = 0; i < vlanes(0.0f); i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
}
FM_INLINE f64 sqrt(f64 x) {
    for (int i = 0; i < vlanes(0.0); i++) x[i] = __builtin_sqrt(x[i]);
    return x;
}
FM_INLINE f32 round(f32 x) {
    for (int i = 0; i < vlanes(0.0f); i++) x[i] = __builtin_rintf(x[i]);
    return x;
}
FM_INLINE f64 round(f64 x) {
    for (int i = 0; i < vlanes(0.0); i++) x[i] = __builtin_rint(x[i]);
    return x;
}
#endif
#if !FM_HAS_FMA
template <class V> FM_INLINE V mul_add(V a, V b, V c) { return a * b + c; }
#elif !FM_X86
// Lane by lane, since a * b + c of vectors is contracted in most places only. GCC puts the lanes
// together again: on NEON this is one fmla, by element where one factor is a broadcast.
FM_INLINE f32 mul_add(f32 a, f32 b, f32 c) {
    for (int i = 0; i < vlanes(0.0f); i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
}
FM_INLINE f64 mul_add(f64 a, f64 b, f64 c) {
    for (int i = 0; i < vlanes(0.0); i++) c[i] = __builtin_fma(a[i], b[i], c[i]);
    return c;
}
#endif

#if FM_X86 == 64
FM_INLINE f32 round(f32 x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT); }
FM_INLINE f64 round(f64 x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEAREST_INT); }
FM_INLINE f32 select(__mmask16 m, f32 a, f32 b) { return _mm512_mask_blend_ps(m, b, a); }
FM_INLINE f64 select(__mmask8 m, f64 a, f64 b) { return _mm512_mask_blend_pd(m, b, a); }
#define FM_COMPARE(name, op, predicate)                                                            \
    FM_INLINE __mmask16 name(f32 a, f32 b) { return _mm512_cmp_ps_mask(a, b, predicate); }         \
    FM_INLINE __mmask8 name(f64 a, f64 b) { return _mm512_cmp_pd_mask(a, b, predicate); }
FM_INLINE __mmask16 tail(float, ptrdiff_t n) { return __mmask16((1u << n) - 1); }
FM_INLINE __mmask8 tail(double, ptrdiff_t n) { return __mmask8((1u << n) - 1); }
FM_INLINE uint64_t bits(float, __mmask16 m) { return m; }
FM_INLINE uint64_t bits(double, __mmask8 m) { return m; }
FM_INLINE f32 load_partial(const float *p, ptrdiff_t n) {
    return _mm512_maskz_loadu_ps(tail(0.0f, n), p);
}
FM_INLINE f64 load_partial(const double *p, ptrdiff_t n) {
    return _mm512_maskz_loadu_pd(tail(0.0, n), p);
}
FM_INLINE void store_partial(float *p, f32 x, ptrdiff_t n) {
    _mm512_mask_storeu_ps(p, tail(0.0f, n), x);
}
FM_INLINE void store_partial(double *p, f64 x, ptrdiff_t n) {
    _mm512_mask_storeu_pd(p, tail(0.0, n), x);
}

#else  // masks are lanes of all ones or all zeros
// The vector extension compares and yields such lanes. Its `mask ? a : b` would compare the mask
// with zero once more, hence the blend instruction, which looks at the sign bit, or plain bits.
#define FM_COMPARE(name, op, predicate)                                                            \
    FM_INLINE i32 name(f32 a, f32 b) { return a op b; }                                            \
    FM_INLINE i64 name(f64 a, f64 b) { return a op b; }

template <class T> FM_INLINE typename lane<T>::ivector iota(T) {
    typename lane<T>::ivector lanes{};
    for (int i = 0; i < vlanes(T{}); i++) lanes[i] = i;
    return lanes;
}
FM_INLINE i32 tail(float, ptrdiff_t n) { return iota(0.0f) < int32_t(n); }
FM_INLINE i64 tail(double, ptrdiff_t n) { return iota(0.0) < int64_t(n); }

#if FM_X86
FM_INLINE f32 round(f32 x) {
    return FM_MM(round, ps)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
FM_INLINE f64 round(f64 x) {
    return FM_MM(round, pd)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
FM_INLINE f32 select(i32 m, f32 a, f32 b) { return FM_MM(blendv, ps)(b, a, (f32)m); }
FM_INLINE f64 select(i64 m, f64 a, f64 b) { return FM_MM(blendv, pd)(b, a, (f64)m); }
FM_INLINE uint64_t bits(float, i32 m) { return uint64_t(FM_MM(movemask, ps)((f32)m)); }
FM_INLINE uint64_t bits(double, i64 m) { return uint64_t(FM_MM(movemask, pd)((f64)m)); }
#else
FM_INLINE f32 select(i32 m, f32 a, f32 b) { return (f32)((m & (i32)a) | (~m & (i32)b)); }
FM_INLINE f64 select(i64 m, f64 a, f64 b) { return (f64)((m & (i64)a) | (~m & (i64)b)); }
template <class T, class M> FM_INLINE uint64_t bits(T, M m) {
    uint64_t found = 0;
    for (int i = 0; i < vlanes(T{}); i++) found |= uint64_t(m[i] & 1) << i;
    return found;
}
// Whole words are tested faster than lanes are gathered into bits.
template <class T, class M> FM_INLINE bool any(T, M m) {
    int64_t found = 0;
    for (int i = 0; i < FASTMATH_ML_VECTOR_BYTES / 8; i++) found |= ((i64)m)[i];
    return found != 0;
}
template <class T, class M> FM_INLINE bool all(T, M m) {
    int64_t found = -1;
    for (int i = 0; i < FASTMATH_ML_VECTOR_BYTES / 8; i++) found &= ((i64)m)[i];
    return found == -1;
}
#endif

#if FM_X86 == 32
FM_INLINE f32 load_partial(const float *p, ptrdiff_t n) {
    return _mm256_maskload_ps(p, (__m256i)tail(0.0f, n));
}
FM_INLINE f64 load_partial(const double *p, ptrdiff_t n) {
    return _mm256_maskload_pd(p, (__m256i)tail(0.0, n));
}
FM_INLINE void store_partial(float *p, f32 x, ptrdiff_t n) {
    _mm256_maskstore_ps(p, (__m256i)tail(0.0f, n), x);
}
FM_INLINE void store_partial(double *p, f64 x, ptrdiff_t n) {
    _mm256_maskstore_pd(p, (__m256i)tail(0.0, n), x);
}
#elif FASTMATH_ML_VECTOR_BYTES == 16
// At most three elements: a copy of constant size per case keeps them in registers.
FM_INLINE f32 load_partial(const float *p, ptrdiff_t n) {
    f32 x{};
    if (n >= 4) memcpy(&x, p, 16);
    else if (n == 3) x = f32{p[0], p[1], p[2], 0};
    else if (n == 2) x = f32{p[0], p[1], 0, 0};
    else if (n == 1) x = f32{p[0], 0, 0, 0};
    return x;
}
FM_INLINE f64 load_partial(const double *p, ptrdiff_t n) {
    f64 x{};
    if (n >= 2) memcpy(&x, p, 16);
    else if (n == 1) x = f64{p[0], 0};
    return x;
}
FM_INLINE void store_partial(float *p, f32 x, ptrdiff_t n) {
    if (n >= 4) { memcpy(p, &x, 16); return; }
    if (n >= 1) p[0] = x[0];
    if (n >= 2) p[1] = x[1];
    if (n >= 3) p[2] = x[2];
}
FM_INLINE void store_partial(double *p, f64 x, ptrdiff_t n) {
    if (n >= 2) { memcpy(p, &x, 16); return; }
    if (n == 1) p[0] = x[0];
}
#else
template <class T> FM_INLINE typename lane<T>::vector load_partial(const T *p, ptrdiff_t n) {
    typename lane<T>::vector x{};
    memcpy(&x, p, size_t(n) * sizeof(T));
    return x;
}
template <class T, class V> FM_INLINE void store_partial(T *p, V x, ptrdiff_t n) {
    memcpy(p, &x, size_t(n) * sizeof(T));
}
#endif
#endif  // masks as lanes

#if FM_X86
template <class T, class M> FM_INLINE bool any(T, M m) { return bits(T{}, m) != 0; }
template <class T, class M> FM_INLINE bool all(T, M m) {
    return bits(T{}, m) == (uint64_t(1) << vlanes(T{})) - 1;
}
#endif

FM_COMPARE(lt, <, _CMP_LT_OQ)
FM_COMPARE(le, <=, _CMP_LE_OQ)
FM_COMPARE(gt, >, _CMP_GT_OQ)
FM_COMPARE(ge, >=, _CMP_GE_OQ)
FM_COMPARE(eq, ==, _CMP_EQ_OQ)
FM_COMPARE(ne, !=, _CMP_NEQ_UQ)
#undef FM_COMPARE

// Folding halves. The operations work on any width, so that they serve the halves too.
struct add { template <class V> FM_INLINE V of(V a, V b) { return a + b; } };
struct lesser { template <class V> FM_INLINE V of(V a, V b) { return a < b ? a : b; } };
struct greater { template <class V> FM_INLINE V of(V a, V b) { return a > b ? a : b; } };

#if FM_X86
template <class Op> FM_INLINE float fold(__m128 x) {
    x = Op::of(x, _mm_movehl_ps(x, x));
    return Op::of(x[0], x[1]);
}
template <class Op> FM_INLINE double fold(__m128d x) { return Op::of(x[0], x[1]); }
#endif
#if FM_X86 >= 32
template <class Op> FM_INLINE float fold(__m256 x) {
    return fold<Op>(__m128(Op::of(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1))));
}
template <class Op> FM_INLINE double fold(__m256d x) {
    return fold<Op>(__m128d(Op::of(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1))));
}
#endif
#if FM_X86 == 64
template <class Op> FM_INLINE float fold(__m512 x) {
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
    return fold<Op>(__m256(Op::of(_mm512_castps512_ps256(x), high)));
}
template <class Op> FM_INLINE double fold(__m512d x) {
    return fold<Op>(__m256d(Op::of(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1))));
}
#endif
#if !FM_X86
template <class Op, class T> FM_INLINE T fold_lanes(typename lane<T>::vector x) {
    for (int half = int(vlanes(T{})) / 2; half; half /= 2)
        for (int i = 0; i < half; i++) x[i] = Op::of(x[i], x[i + half]);
    return x[0];
}
template <class Op> FM_INLINE float fold(f32 x) { return fold_lanes<Op, float>(x); }
template <class Op> FM_INLINE double fold(f64 x) { return fold_lanes<Op, double>(x); }
#endif
}  // namespace native

// ---- The vocabulary. ----

template <class T> FM_INLINE vec<T> vset(T x) { return vec<T>(native::set(x)); }
template <class T> FM_INLINE vec<T> vload(const T *p) {
    return vec<T>(*reinterpret_cast<const typename lane<T>::unaligned *>(p));
}
template <class T> FM_INLINE void vstore(T *p, vec<T> x) {
    *reinterpret_cast<typename lane<T>::unaligned *>(p) = x.v;
}
template <class T> FM_INLINE vec<T> vload_partial(const T *p, ptrdiff_t n) {
    return vec<T>(native::load_partial(p, n));
}
template <class T> FM_INLINE void vstore_partial(T *p, vec<T> x, ptrdiff_t n) {
    native::store_partial(p, x.v, n);
}

template <class T> FM_INLINE vec<T> vmul_add(vec<T> a, vec<T> b, vec<T> c) {
    return vec<T>(native::mul_add(a.v, b.v, c.v));
}
template <class T> FM_INLINE vec<T> vsqrt(vec<T> x) { return vec<T>(native::sqrt(x.v)); }
// To the nearest integer, ties to even; keeps the sign of zero.
template <class T> FM_INLINE vec<T> vround(vec<T> x) { return vec<T>(native::round(x.v)); }
template <class T> FM_INLINE vec<T> vabs(vec<T> x) {
    typedef typename lane<T>::ivector ivector;
    return vec<T>((typename vec<T>::native)((ivector)x.v & ~lane<T>::sign_bit));
}

// vlt, vle, vgt, vge, veq, vne
#define FM_COMPARISON(name)                                                                        \
    template <class T> FM_INLINE mask<T> v##name(vec<T> a, vec<T> b) {                             \
        return mask<T>(native::name(a.v, b.v));                                                    \
    }
FM_COMPARISON(lt)
FM_COMPARISON(le)
FM_COMPARISON(gt)
FM_COMPARISON(ge)
FM_COMPARISON(eq)
FM_COMPARISON(ne)
#undef FM_COMPARISON
template <class T> FM_INLINE mask<T> visnan(vec<T> x) { return mask<T>(native::ne(x.v, x.v)); }

template <class T> FM_INLINE mask<T> mand(mask<T> a, mask<T> b) {
    return mask<T>(typename mask<T>::native(a.m & b.m));
}
template <class T> FM_INLINE mask<T> mor(mask<T> a, mask<T> b) {
    return mask<T>(typename mask<T>::native(a.m | b.m));
}
template <class T> FM_INLINE mask<T> mnot(mask<T> a) {
    return mask<T>(typename mask<T>::native(~a.m));
}
// Bit i is lane i.
template <class T> FM_INLINE uint64_t mbits(mask<T> m) { return native::bits(T{}, m.m); }
template <class T> FM_INLINE bool many(mask<T> m) { return native::any(T{}, m.m); }
template <class T> FM_INLINE bool mall(mask<T> m) { return native::all(T{}, m.m); }
// The first n lanes.
template <class T> FM_INLINE mask<T> mtail(T, ptrdiff_t n) {
    return mask<T>(native::tail(T{}, n));
}
template <class T> FM_INLINE vec<T> vselect(mask<T> m, vec<T> a, vec<T> b) {
    return vec<T>(native::select(m.m, a.v, b.v));
}

template <class T> FM_INLINE vec<T> vmin_fast(vec<T> a, vec<T> b) {
    return vec<T>(native::min_fast(a.v, b.v));
}
template <class T> FM_INLINE vec<T> vmax_fast(vec<T> a, vec<T> b) {
    return vec<T>(native::max_fast(a.v, b.v));
}
// The fast form returns b on NaN, so only a NaN in a has to be put back.
template <class T> FM_INLINE vec<T> vmin(vec<T> a, vec<T> b) {
    return vselect(visnan(a), a, vmin_fast(a, b));
}
template <class T> FM_INLINE vec<T> vmax(vec<T> a, vec<T> b) {
    return vselect(visnan(a), a, vmax_fast(a, b));
}

template <class T> FM_INLINE T vsum(vec<T> x) { return native::fold<native::add>(x.v); }
template <class T> FM_INLINE T vreduce_min(vec<T> x) {
    return many(visnan(x)) ? T(__builtin_nan("")) : native::fold<native::lesser>(x.v);
}
template <class T> FM_INLINE T vreduce_max(vec<T> x) {
    return many(visnan(x)) ? T(__builtin_nan("")) : native::fold<native::greater>(x.v);
}

}  // namespace fm

#include "simd_math.h"
#include "simd_special.h"
#include "simd_move.h"

#endif
