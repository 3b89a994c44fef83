// Integers as elements of the register tile.
//
// uint32_t and uint64_t wrap modulo their width, which is what products of integers of either sign
// and of that width do. `pair` is for integers of 8 and 16 bits: a 32-bit lane that holds two
// neighbours along the depth, a[2p] and a[2p + 1], as int16, and, as an accumulator, their sum of
// products modulo 2^32. One multiply-add of pairs makes twice as many products as one of floats:
//
//     x86-64-v4 with VNNI    vpdpwssd: multiply, add, accumulate (`fused_pair`)
//     other x86              pmaddwd and an addition
//     elsewhere              two multiplications of 32 bits
//
// `quad` is for integers of 8 bits where there is VNNI: four neighbours along the depth, bytes without
// sign as the first factor and with it as the second (vpdpbusd), which makes four times as many
// products. Operands of the other kind are shifted by 128 (convert.h).
//
// VNNI is not part of x86-64-v4, so it is asked for at run time and written as assembly: the
// compiler stays at the level of the module.
#ifndef FASTMATH_ML_INTEGERS_H
#define FASTMATH_ML_INTEGERS_H

#include "simd.h"

namespace fm {

struct pair { uint32_t bits; };

#if FM_X86 == 64
#define FM_HAS_VNNI 1
struct fused_pair { uint32_t bits; };
struct quad { uint32_t bits; };
FM_INLINE bool cpu_has_vnni() { return __builtin_cpu_supports("avx512vnni"); }
#else
// Names only: nothing is computed in them.
#define FM_HAS_VNNI 0
typedef pair fused_pair;
typedef pair quad;
FM_INLINE bool cpu_has_vnni() { return false; }
#endif

template <> struct lane<uint32_t> {
    typedef uint32_t vector __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES)));
    typedef uint32_t unaligned
        __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES), aligned(4), may_alias));
};
template <> struct lane<uint64_t> {
    typedef uint64_t vector __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES)));
    typedef uint64_t unaligned
        __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES), aligned(8), may_alias));
};
template <> struct lane<pair> : lane<uint32_t> {};

FM_INLINE vec<uint32_t> vset(uint32_t x) { return vec<uint32_t>(x - vec<uint32_t>().v); }
FM_INLINE vec<uint64_t> vset(uint64_t x) { return vec<uint64_t>(x - vec<uint64_t>().v); }
FM_INLINE vec<pair> vset(pair x) { return vec<pair>(vset(x.bits).v); }

// The bits travel as floats do.
#define FM_INTEGER_LANES(type, same_size, native_vector)                                           \
    FM_INLINE vec<type> vload_partial(const type *p, ptrdiff_t n) {                                \
        return vec<type>((lane<type>::vector)native::load_partial(                                 \
            reinterpret_cast<const same_size *>(p), n));                                           \
    }                                                                                              \
    FM_INLINE void vstore_partial(type *p, vec<type> x, ptrdiff_t n) {                             \
        native::store_partial(reinterpret_cast<same_size *>(p), (native_vector)x.v, n);            \
    }
FM_INTEGER_LANES(uint32_t, float, native::f32)
FM_INTEGER_LANES(uint64_t, double, native::f64)
FM_INTEGER_LANES(pair, float, native::f32)
#if FM_HAS_VNNI
template <> struct lane<fused_pair> : lane<uint32_t> {};
template <> struct lane<quad> : lane<uint32_t> {};
FM_INLINE vec<fused_pair> vset(fused_pair x) { return vec<fused_pair>(vset(x.bits).v); }
FM_INLINE vec<quad> vset(quad x) { return vec<quad>(vset(x.bits).v); }
FM_INTEGER_LANES(fused_pair, float, native::f32)
FM_INTEGER_LANES(quad, float, native::f32)
#endif
#undef FM_INTEGER_LANES

FM_INLINE vec<uint32_t> vmul_add(vec<uint32_t> a, vec<uint32_t> b, vec<uint32_t> c) {
    return a * b + c;
}
FM_INLINE vec<uint64_t> vmul_add(vec<uint64_t> a, vec<uint64_t> b, vec<uint64_t> c) {
    return a * b + c;
}

FM_INLINE vec<pair> vmul_add(vec<pair> a, vec<pair> b, vec<pair> c) {
#if FM_X86 == 64
    return vec<pair>(c.v + (lane<pair>::vector)_mm512_madd_epi16((__m512i)a.v, (__m512i)b.v));
#elif FM_X86 == 32
    return vec<pair>(c.v + (lane<pair>::vector)_mm256_madd_epi16((__m256i)a.v, (__m256i)b.v));
#elif FM_X86 == 16
    return vec<pair>(c.v + (lane<pair>::vector)_mm_madd_epi16((__m128i)a.v, (__m128i)b.v));
#else
    // Arithmetic shifts extend the sign; products of int16 fit 32 bits, sums wrap.
    typedef lane<float>::ivector ivector;
    typedef lane<pair>::vector vector;
    const ivector x = (ivector)a.v, y = (ivector)b.v;
    return vec<pair>(c.v + (vector)((x >> 16) * (y >> 16)) +
                     (vector)((ivector)(a.v << 16) >> 16) * (vector)((ivector)(b.v << 16) >> 16));
#endif
}
#if FM_HAS_VNNI
FM_INLINE vec<fused_pair> vmul_add(vec<fused_pair> a, vec<fused_pair> b, vec<fused_pair> c) {
    asm("vpdpwssd %2, %1, %0" : "+v"(c.v) : "v"(a.v), "v"(b.v));
    return c;
}
FM_INLINE vec<quad> vmul_add(vec<quad> a, vec<quad> b, vec<quad> c) {
    asm("vpdpbusd %2, %1, %0" : "+v"(c.v) : "v"(a.v), "v"(b.v));
    return c;
}
#endif

}  // namespace fm

#endif
