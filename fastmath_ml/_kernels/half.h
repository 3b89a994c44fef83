// float16 and bfloat16 in memory, float in registers.
//
// Both widen exactly and are rounded to nearest, ties to even. The formulas are written once for a
// scalar and for a vector of bit patterns; with F16C there is an instruction that widens float16.
#ifndef FASTMATH_ML_HALF_H
#define FASTMATH_ML_HALF_H

#include <type_traits>

#include "integers.h"

namespace fm {

struct float16 { uint16_t bits; };
struct bfloat16 { uint16_t bits; };

typedef lane<uint32_t>::vector bits_vector;

FM_INLINE float from_float_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
FM_INLINE uint32_t float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
FM_INLINE native::f32 from_float_bits(bits_vector bits) { return (native::f32)bits; }
FM_INLINE bits_vector float_bits(native::f32 x) { return (bits_vector)x; }

// ---- bits of 16 <-> bits of 32; Bits is uint32_t or bits_vector ----

template <class Bits> FM_INLINE Bits widen_bits(Bits half, float16) {
    const Bits magnitude = (half & 0x7fffu) << 13;
    // Scaled by 2^(127 - 15) the exponent is float's, and denormals come out as normal numbers;
    // infinity and NaN (exponent all ones) keep theirs.
    const Bits scaled = float_bits(from_float_bits(magnitude) * 0x1p112f);
    return (magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : scaled) | (half & 0x8000u) << 16;
}
template <class Bits> FM_INLINE Bits widen_bits(Bits half, bfloat16) { return half << 16; }

template <class Bits> FM_INLINE Bits narrow_bits(Bits bits, float16) {
    const Bits magnitude = bits & 0x7fffffffu;
    // Normal: move the exponent, round the 13 bits that go to nearest even; a carry may reach
    // infinity. Below 2^-14: adding 1/2 puts the rounded multiple of 2^-24 in the low bits.
    const Bits normal = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    const Bits tiny = float_bits(from_float_bits(magnitude) + 0.5f) - 0x3f000000u;
    // Above all finite numbers: infinity, or a quiet NaN.
    const Bits special = 0x7c00u + (magnitude > 0x7f800000u ? magnitude * 0u + 0x200u
                                                             : magnitude * 0u);
    const Bits finite = magnitude < (113u << 23) ? tiny : normal;
    return (magnitude >= (143u << 23) ? special : finite) | (bits >> 16 & 0x8000u);
}
template <class Bits> FM_INLINE Bits narrow_bits(Bits bits, bfloat16) {
    const Bits rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return (bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16 | 0x40u) : rounded;
}

// ---- scalars ----

template <class Half> FM_INLINE float to_float(Half x) {
    return from_float_bits(widen_bits(uint32_t(x.bits), Half{}));
}
template <class Half> FM_INLINE Half from_float(float x, Half) {
    return {uint16_t(narrow_bits(float_bits(x), Half{}))};
}

// ---- vectors: vlanes(0.0f) elements ----

typedef uint16_t half_lanes
    __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES / 2), aligned(2), may_alias));

template <class Half> FM_INLINE vec<float> vload_half(const Half *p) {
#if FM_X86 == 64
    if constexpr (std::is_same_v<Half, float16>)
        return vec<float>(
            _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p))));
#elif FM_X86 == 32 && defined(__F16C__)
    if constexpr (std::is_same_v<Half, float16>)
        return vec<float>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p))));
#endif
    const half_lanes halves = *reinterpret_cast<const half_lanes *>(p);
    return vec<float>(
        from_float_bits(widen_bits(__builtin_convertvector(halves, bits_vector), Half{})));
}
template <class Half> FM_INLINE vec<float> vload_half_partial(const Half *p, ptrdiff_t n) {
    Half copy[FASTMATH_ML_VECTOR_BYTES / 4] = {};
    memcpy(copy, p, size_t(n) * sizeof(Half));
    return vload_half(copy);
}
template <class Half> FM_INLINE void vstore_half(Half *p, vec<float> x) {
    *reinterpret_cast<half_lanes *>(p) =
        __builtin_convertvector(narrow_bits(float_bits(x.v), Half{}), half_lanes);
}

}  // namespace fm

#endif
