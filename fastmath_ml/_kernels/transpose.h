// Blocks transposed in registers: matrices on their way between rows in memory and lanes.
//
// vtranspose is the primitive: log2(lanes) rounds of two-source shuffles (16 x 16 floats that stream
// through it take 0.8 of the time of rounds that need index registers). On it stand the packing of
// operands of a product (pack_panel) and kernels that put one short row into each lane
// (load_transposed, store_transposed).
#ifndef FASTMATH_ML_TRANSPOSE_H
#define FASTMATH_ML_TRANSPOSE_H

#include <utility>

#include "integers.h"
#include "wide_sums.h"

namespace fm {

// The lower or upper half of each 16 bytes of a and b, interleaved in units of `unit` elements.
template <class T, int unit, bool upper, int... i>
FM_INLINE vec<T> interleave(vec<T> a, vec<T> b, std::integer_sequence<int, i...>) {
    constexpr int lanes = sizeof...(i), part = 16 / int(sizeof(T));
    return vec<T>(__builtin_shufflevector(
        a.v, b.v, ((i / unit & 1) * lanes + i / part * part + i % part / unit / 2 * unit + i % unit
                   + upper * part / 2)...));
}
// The even or the odd ones among the 16 bytes of a, then those of b.
template <class T, bool odd, int... i>
FM_INLINE vec<T> alternate(vec<T> a, vec<T> b, std::integer_sequence<int, i...>) {
    constexpr int lanes = sizeof...(i), part = 16 / int(sizeof(T));
    return vec<T>(__builtin_shufflevector(
        a.v, b.v,
        (2 * i / lanes * lanes + (i / part * 2 % (lanes / part) + odd) * part + i % part)...));
}

// Transposes lanes x lanes elements held in `row`: within the 16 byte parts of the vectors, then the
// parts. Each shuffle is one instruction without an index register.
template <class T> FM_INLINE void vtranspose(vec<T> *row) {
    constexpr int lanes = FASTMATH_ML_VECTOR_BYTES / int(sizeof(T)), part = 16 / int(sizeof(T));
    constexpr std::make_integer_sequence<int, lanes> all;
    static_assert(part == 2 || part == 4, "elements of 4 or 8 bytes");
    vec<T> t[lanes];
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i += 2) {
        t[i] = interleave<T, 1, false>(row[i], row[i + 1], all);
        t[i + 1] = interleave<T, 1, true>(row[i], row[i + 1], all);
    }
    if constexpr (part == 4) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i += 4) {
            const vec<T> low = t[i + 1], high = t[i + 3];
            t[i + 1] = interleave<T, 2, true>(t[i], t[i + 2], all);
            t[i] = interleave<T, 2, false>(t[i], t[i + 2], all);
            t[i + 2] = interleave<T, 2, false>(low, high, all);
            t[i + 3] = interleave<T, 2, true>(low, high, all);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < part; i++) {
        if constexpr (lanes == part) {
            row[i] = t[i];
        } else if constexpr (lanes == 2 * part) {
            row[i] = alternate<T, false>(t[i], t[part + i], all);
            row[part + i] = alternate<T, true>(t[i], t[part + i], all);
        } else {
            const vec<T> even = alternate<T, false>(t[i], t[part + i], all);
            const vec<T> odd = alternate<T, true>(t[i], t[part + i], all);
            const vec<T> even_after = alternate<T, false>(t[2 * part + i], t[3 * part + i], all);
            const vec<T> odd_after = alternate<T, true>(t[2 * part + i], t[3 * part + i], all);
            row[i] = alternate<T, false>(even, even_after, all);
            row[part + i] = alternate<T, false>(odd, odd_after, all);
            row[2 * part + i] = alternate<T, true>(even, even_after, all);
            row[3 * part + i] = alternate<T, true>(odd, odd_after, all);
        }
    }
}

// Of n vectors every two become one: of each the sum of its runs of `unit` elements with an even number
// and of those with an odd one, within parts of 16 bytes; with a unit of 0 the parts are the runs. One
// vector alone goes with itself.
template <class T, int n, int unit> FM_INLINE void add_halves(vec<T> *v) {
    static_assert(n > 0 && (n & (n - 1)) == 0, "vectors are added in twos");
    constexpr std::make_integer_sequence<int, FASTMATH_ML_VECTOR_BYTES / int(sizeof(T))> all;
#pragma GCC unroll 8
    for (int i = 0; i < (n + 1) / 2; i++) {
        const vec<T> a = v[2 * i], b = v[n > 1 ? 2 * i + 1 : 0];
        if constexpr (unit > 0)
            v[i] = interleave<T, unit, false>(a, b, all) + interleave<T, unit, true>(a, b, all);
        else
            v[i] = alternate<T, false>(a, b, all) + alternate<T, true>(a, b, all);
    }
}

// sums[i] = the sum of the lanes of v[i], n a power of two; v is overwritten. Three instructions for
// each halving of two vectors, where sums one by one take four. sums has room for n elements
// and for a whole number of vectors.
template <class T, int n> FM_INLINE void vsum_each(vec<T> *v, T *sums) {
    constexpr int lanes = FASTMATH_ML_VECTOR_BYTES / int(sizeof(T)), parts = lanes * sizeof(T) / 16;
    constexpr int pairs = (n + 1) / 2, fours = sizeof(T) == 4 ? (pairs + 1) / 2 : pairs;
    constexpr int halved = parts > 1 ? (fours + 1) / 2 : fours;
    add_halves<T, n, 1>(v);
    if constexpr (sizeof(T) == 4) add_halves<T, pairs, 2>(v);
    if constexpr (parts > 1) add_halves<T, fours, 0>(v);
    if constexpr (parts > 2) add_halves<T, halved, 0>(v);
    constexpr int pieces = int(ceil_div(n, lanes));
#pragma GCC unroll 8
    for (int i = 0; i < pieces; i++) vstore(sums + i * lanes, v[i]);
}

// to[j] lane i = from[i * stride + j] as a T for i < rows, j < cols, both at most lanes; other lanes
// are 0.
template <class T, class Source>
FM_INLINE void load_transposed(const Source *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t cols,
                               vec<T> *to) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / ptrdiff_t(sizeof(T));
    vec<T> block[lanes];
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < lanes; i++)
        if (i < rows) block[i] = load_as(T{}, from + i * stride, cols);
    vtranspose(block);
#pragma GCC unroll 16
    for (ptrdiff_t j = 0; j < lanes; j++) to[j] = block[j];
}

// The way back, rounded once: to[i * stride + j] = from[j] lane i.
template <class T, class Result>
FM_INLINE void store_transposed(const vec<T> *from, Result *to, ptrdiff_t stride, ptrdiff_t rows,
                                ptrdiff_t cols) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / ptrdiff_t(sizeof(T));
    vec<T> block[lanes];
#pragma GCC unroll 16
    for (ptrdiff_t j = 0; j < lanes; j++) block[j] = from[j];
    vtranspose(block);
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < lanes; i++)
        if (i < rows) store_narrow(to + i * stride, block[i], cols);
}

// The transposing copy of `width` <= span rows with unit stride along the depth, in blocks of
// lanes x lanes that are transposed in registers.
template <class T, int vectors>
FM_INLINE void pack_transposed(ptrdiff_t width, ptrdiff_t depth, const T *from, ptrdiff_t stride,
                               const T *scale, T *to, ptrdiff_t to_stride, bool spill) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / ptrdiff_t(sizeof(T));
    const ptrdiff_t last = width - (vectors - 1) * lanes;
    for (ptrdiff_t p = 0; p < depth; p += lanes) {
        const ptrdiff_t steps = depth - p < lanes ? depth - p : lanes;
        vec<T> block[vectors][lanes];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            const ptrdiff_t n_rows = v == vectors - 1 ? last : lanes;
#pragma GCC unroll 16
            for (ptrdiff_t i = 0; i < lanes; i++)
                if (i < n_rows) {
                    const T *row = from + (v * lanes + i) * stride + p;
                    __builtin_prefetch(row + width * stride, 0, 2);
                    block[v][i] = steps == lanes ? vload(row) : vload_partial(row, steps);
                    if (scale) block[v][i] = block[v][i] * vset(scale[v * lanes + i]);
                }
            vtranspose(block[v]);
        }
#pragma GCC unroll 16
        for (ptrdiff_t q = 0; q < lanes; q++)
            if (q < steps) {
                T *step = to + (p + q) * to_stride;
#pragma GCC unroll 8
                for (int v = 0; v < vectors; v++)
                    if (v < vectors - 1 || spill || last == lanes)
                        vstore(step + v * lanes, block[v][q]);
                    else
                        vstore_partial(step + v * lanes, block[v][q], last);
            }
    }
}

// to[p * to_stride + i] = scale[i] * from[i * stride + p * depth_stride] for i < width, p < depth;
// scale may be null. With `spill`, whole vectors are stored, so that each step
// may overwrite up to lanes - 1 elements after its own: right for panels that are packed front to
// back into scratch memory with that much room at its end.
template <class T>
FM_ONE_COPY void pack_panel(ptrdiff_t width, ptrdiff_t depth, const T *from, ptrdiff_t stride,
                ptrdiff_t depth_stride, const T *scale, T *to, ptrdiff_t to_stride, bool spill) {
    const ptrdiff_t lanes = vlanes(T{});
    if (depth_stride == 1 && stride != 1) {
        for (ptrdiff_t i = 0; i < width; i += 2 * lanes) {
            const T *rows = from + i * stride;
            const T *factors = scale ? scale + i : nullptr;
            const ptrdiff_t n = width - i;
            if (n > lanes)
                pack_transposed<T, 2>(n < 2 * lanes ? n : 2 * lanes, depth, rows, stride, factors,
                                      to + i, to_stride, spill && n <= 2 * lanes && i == 0);
            else
                pack_transposed<T, 1>(n, depth, rows, stride, factors, to + i, to_stride,
                                      spill && i == 0);
        }
        return;
    }
    for (ptrdiff_t p = 0; p < depth; p++, from += depth_stride, to += to_stride) {
        if (stride == 1) {
            // Short runs far apart: the hardware does not see where the next one is.
            const T *ahead = from + 12 * depth_stride;
            for (ptrdiff_t i = 0; i < width; i += lanes) {
                __builtin_prefetch(ahead + i);
                const ptrdiff_t n = width - i < lanes ? width - i : lanes;
                vec<T> x = n == lanes ? vload(from + i) : vload_partial(from + i, n);
                if (scale) x = x * (n == lanes ? vload(scale + i) : vload_partial(scale + i, n));
                if (n == lanes || spill)
                    vstore(to + i, x);
                else
                    vstore_partial(to + i, x, n);
            }
        } else {
            for (ptrdiff_t i = 0; i < width; i++) {
                to[i] = from[i * stride];
                if (scale) to[i] *= scale[i];
            }
        }
    }
}

}  // namespace fm

#endif
