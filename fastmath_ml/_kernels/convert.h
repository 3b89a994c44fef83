// Operands and results in other types than the one that is computed in.
//
// A product computes in float, double, uint32_t, uint64_t, pairs or quads (integers.h). Operands of
// other types are converted while they are packed, a slice of a panel at a time through a buffer in
// the L1 cache, so that one register tile serves them all; results are converted row by row.
//
// The loops are plain ones that the compiler turns into vectors, but for float16 (half.h).
#ifndef FASTMATH_ML_CONVERT_H
#define FASTMATH_ML_CONVERT_H

#include <type_traits>

#include "half.h"
#include "tile.h"
#include "transpose.h"

namespace fm {

enum element_type {
    AS_COMPUTED, FLOAT16, BFLOAT16, FLOAT32, FLOAT64,
    INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL,
};

struct boolean { uint8_t bits; };

template <class S>
constexpr bool is_half = std::is_same_v<S, float16> || std::is_same_v<S, bfloat16>;

template <class T, class S> FM_INLINE T converted(S x) {
    if constexpr (is_half<S>)
        return T(to_float(x));
    else if constexpr (std::is_same_v<S, boolean>)
        return T(x.bits != 0);
    else
        return T(x);
}

// ---- operands ----

// How many elements of the operand one step of the depth takes.
template <class T> constexpr ptrdiff_t step_elements(T = {}) {
#if FM_HAS_VNNI
    if (std::is_same_v<T, quad>) return 4;
#endif
    return std::is_same_v<T, pair> || std::is_same_v<T, fused_pair> ? 2 : 1;
}

// Packing copies bits: integers travel as the floats of their width, which have functions for it.
template <class T> using packed_as = std::conditional_t<sizeof(T) == 4, float, double>;
template <class T>
FM_INLINE void pack_as_bits(ptrdiff_t width, ptrdiff_t depth, const T *from, ptrdiff_t stride,
                            ptrdiff_t depth_stride, const T *scale, T *to, ptrdiff_t to_stride,
                            bool spill) {
    typedef packed_as<T> bits;
    pack_panel<bits>(width, depth, reinterpret_cast<const bits *>(from), stride, depth_stride,
                     reinterpret_cast<const bits *>(scale), reinterpret_cast<bits *>(to), to_stride,
                     spill);
}

// The first n <= step_elements() of a step, `stride` apart, as its bits; those that are not there are 0.
template <class T, class S> FM_INLINE uint32_t step_bits(const S *from, ptrdiff_t stride, ptrdiff_t n) {
    constexpr int elements = step_elements<T>(), width = 32 / elements;
    uint32_t bits = 0;
#pragma GCC unroll 4
    for (int k = 0; k < elements; k++)
        if (k < n) {
            const uint32_t element = uint32_t(converted<int32_t>(from[k * stride]));
            bits |= (element & (0xffffffffu >> (32 - width))) << (k * width);
        }
    return bits;
}

// One run of n steps: to[p] of from[p * stride], or of the elements of a step that are `step_stride`
// apart, of which the last step has only `last` where that is not 0.
template <class T, class S>
FM_INLINE void convert_run(ptrdiff_t n, const S *from, ptrdiff_t stride, ptrdiff_t step_stride,
                           ptrdiff_t last, T *to) {
    constexpr ptrdiff_t elements = step_elements<T>();
    if constexpr (elements > 1) {
        const ptrdiff_t whole = last ? n - 1 : n;
        if (stride == elements && step_stride == 1 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
            // Neighbours in memory stay neighbours.
            if constexpr (elements == 4) {
                memcpy(to, from, size_t(elements * whole));
            } else {
                typedef uint16_t half __attribute__((may_alias));
                half *halves = reinterpret_cast<half *>(to);
                for (ptrdiff_t q = 0; q < elements * whole; q++)
                    halves[q] = uint16_t(converted<int32_t>(from[q]));
            }
        } else {
            for (ptrdiff_t p = 0; p < whole; p++)
                to[p].bits = step_bits<T>(from + p * stride, step_stride, elements);
        }
        if (last) to[whole].bits = step_bits<T>(from + whole * stride, step_stride, last);
    } else {
        ptrdiff_t p = 0;
        if constexpr (is_half<S> && std::is_same_v<T, float>)
            for (; stride == 1 && p + vlanes(0.0f) <= n; p += vlanes(0.0f))
                vstore(to + p, vload_half(from + p));
        for (; p < n; p++) to[p] = converted<T>(from[p * stride]);
    }
}

// pack_panel of transpose.h for an operand of type S, at most as wide as a tile. `depth` counts
// steps; the last of them has only `last` elements where that is not 0.
template <class T, class S>
void pack_converted(ptrdiff_t width, ptrdiff_t depth, ptrdiff_t last, const S *from,
                    ptrdiff_t stride, ptrdiff_t depth_stride, T *to, ptrdiff_t to_stride,
                    bool spill) {
    constexpr ptrdiff_t slice = 64, elements = step_elements<T>();
    constexpr ptrdiff_t cols = tile_cols(T{}), rows = tile_rows(T{});
    T buffer[slice * (cols > rows ? cols : rows)];
    for (ptrdiff_t p = 0; p < depth; p += slice) {
        const ptrdiff_t steps = depth - p < slice ? depth - p : slice;
        const ptrdiff_t slice_last = p + steps == depth ? last : 0;
        const S *at = from + p * elements * depth_stride;
        T *panel = to + p * to_stride;
        if (depth_stride == 1) {
            for (ptrdiff_t i = 0; i < width; i++)
                convert_run(steps, at + i * stride, elements, 1, slice_last, buffer + i * slice);
            pack_as_bits<T>(width, steps, buffer, slice, 1, nullptr, panel, to_stride, spill);
        } else {
            // A step is a run along the width of the panel.
            for (ptrdiff_t q = 0; q < steps; q++, at += elements * depth_stride) {
                T *step = panel + q * to_stride;
                if (slice_last && q == steps - 1) {
                    if constexpr (elements > 1)
                        for (ptrdiff_t i = 0; i < width; i++)
                            step[i].bits = step_bits<T>(at + i * stride, depth_stride, slice_last);
                } else if (stride == 1) {
                    convert_run(width, at, 1, depth_stride, 0, step);
                } else {
                    convert_run(width, at, stride, depth_stride, 0, step);
                }
            }
        }
    }
}

template <class T, class Body> FM_INLINE void with_element_type(int type, Body body) {
    switch (type) {
    case INT8: return body((const int8_t *)nullptr);
    case UINT8: return body((const uint8_t *)nullptr);
    }
    if constexpr (step_elements<T>() <= 2) {
        switch (type) {
        case BOOL: return body((const boolean *)nullptr);
        case INT16: return body((const int16_t *)nullptr);
        case UINT16: return body((const uint16_t *)nullptr);
        }
    }
    if constexpr (step_elements<T>() == 1) {
        switch (type) {
        case INT32: return body((const int32_t *)nullptr);
        case UINT32: return body((const uint32_t *)nullptr);
        case INT64: return body((const int64_t *)nullptr);
        case UINT64: return body((const uint64_t *)nullptr);
        }
        if constexpr (std::is_floating_point_v<T>) {
            switch (type) {
            case FLOAT16: return body((const float16 *)nullptr);
            case BFLOAT16: return body((const bfloat16 *)nullptr);
            case FLOAT32: return body((const float *)nullptr);
            case FLOAT64: return body((const double *)nullptr);
            }
        }
    }
}

constexpr ptrdiff_t element_bytes[] = {0, 2, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1};

// pack_panel, or pack_converted where the operand is not AS_COMPUTED.
template <class T>
void pack_operand(int type, ptrdiff_t width, ptrdiff_t depth, ptrdiff_t last, const void *from,
                  ptrdiff_t stride, ptrdiff_t depth_stride, const T *scale, T *to,
                  ptrdiff_t to_stride, bool spill) {
    if (type == AS_COMPUTED)
        return pack_as_bits<T>(width, depth, static_cast<const T *>(from), stride, depth_stride,
                               scale, to, to_stride, spill);
    // Both kinds of pairs are the same in memory.
    typedef std::conditional_t<step_elements<T>() == 2, pair, T> converted;
    with_element_type<T>(type, [&](auto *typed) {
        pack_converted(width, depth, last, static_cast<decltype(typed)>(from), stride, depth_stride,
                       reinterpret_cast<converted *>(to), to_stride, spill);
    });
}

// Takes high, and low where that is not NULL, from `width` elements of each step of what was packed,
// `stride` apart. Of float both make up a mean: near it the first difference is exact, elsewhere both
// roundings are of half a unit of the result's last place.
template <class T>
void subtract_from_steps(T *packed, ptrdiff_t stride, ptrdiff_t width, ptrdiff_t depth,
                         const T *high, const T *low) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    for (ptrdiff_t step = 0; step < depth; step++, packed += stride) {
        ptrdiff_t i = 0;
        for (; i + lanes <= width; i += lanes) {
            const vec<T> difference = vload(packed + i) - vload(high + i);
            vstore(packed + i, low ? difference - vload(low + i) : difference);
        }
        for (; i < width; i++) {
            packed[i] -= high[i];
            if (low) packed[i] -= low[i];
        }
    }
}

// ---- bytes that are shifted ----
//
// A product of quads multiplies a' = a + alpha, without sign, by b' = b - beta, with it: alpha is 128
// where a has a sign, beta where b has none, else they are 0. Over n elements of the depth
//
//     sum a b = sum a' b' + beta sum a' - alpha sum b' - alpha beta n
//
// and what stands behind sum a' b' are a term of the row and one of the column, with which the sums of
// a tile begin (with_terms of tile.h).

#if FM_HAS_VNNI
// Flips the bits of `flip` in a packed panel, steps of `width` quads `stride` apart, and
// terms[i] = factor * (the sum of the bytes of row or column i) + constant.
FM_INLINE void shift_bytes(bool of_a, quad *panel, ptrdiff_t width, ptrdiff_t stride,
                           ptrdiff_t steps, uint32_t flip, uint32_t factor, uint32_t constant,
                           quad *terms) {
    const ptrdiff_t lanes = vlanes(quad{});
    const vec<quad> ones = vset(quad{0x01010101});
    if (!flip && !factor) steps = 0;
    for (ptrdiff_t i = 0; i < width; i += lanes) {
        const ptrdiff_t n = width - i < lanes ? width - i : lanes;
        vec<quad> sum;
        for (ptrdiff_t step = 0; step < steps; step++) {
            quad *at = panel + step * stride + i;
            const vec<quad> x(vload_partial(at, n).v ^ flip);
            if (flip) vstore_partial(at, x, n);
            sum = of_a ? vmul_add(x, ones, sum) : vmul_add(ones, x, sum);
        }
        vstore_partial(terms + i, vec<quad>(sum.v * factor + constant), n);
    }
}
#else
FM_INLINE void shift_bytes(bool, quad *, ptrdiff_t, ptrdiff_t, ptrdiff_t, uint32_t, uint32_t,
                           uint32_t, quad *) {}
#endif

// ---- results ----

template <class T> FM_INLINE uint64_t integer_bits(T x) {
    if constexpr (step_elements<T>() == 2)
        return x.bits;
    else
        return uint64_t(x);
}

// to[i] = from[i], i < n, in the type of the result; integers wrap, BOOL is whether it is not 0.
template <class T> void convert_result(int type, ptrdiff_t n, const T *from, void *to) {
    const auto store = [&](auto *typed, auto convert) {
        for (ptrdiff_t i = 0; i < n; i++) typed[i] = convert(from[i]);
    };
    const auto store_half = [&](auto *halves) {
        typedef std::remove_reference_t<decltype(*halves)> half;
        ptrdiff_t i = 0;
        if constexpr (std::is_same_v<T, float>)
            for (; i + vlanes(0.0f) <= n; i += vlanes(0.0f)) vstore_half(halves + i, vload(from + i));
        for (; i < n; i++) halves[i] = from_float(float(from[i]), half{});
    };
    if constexpr (std::is_floating_point_v<T>) {
        if (type == FLOAT16)
            store_half((float16 *)to);
        else if (type == BFLOAT16)
            store_half((bfloat16 *)to);
    } else if (type == BOOL) {
        store((uint8_t *)to, [](T x) { return uint8_t(integer_bits(x) != 0); });
    } else if (element_bytes[type] == 1) {
        store((uint8_t *)to, [](T x) { return uint8_t(integer_bits(x)); });
    } else {
        store((uint16_t *)to, [](T x) { return uint16_t(integer_bits(x)); });
    }
}

}  // namespace fm

#endif
