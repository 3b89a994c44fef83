// Blocks transposed in registers: matrices on their way between rows in memory and lanes.
//
// vtranspose is the primitive: log2(lanes) rounds of two-source shuffles. On it stand the packing of
// operands of a product (pack_panel) and kernels that put one short row into each lane
// (load_transposed, store_transposed).
#ifndef FASTMATH_ML_TRANSPOSE_H
#define FASTMATH_ML_TRANSPOSE_H

#include <type_traits>
#include <utility>

#include "integers.h"

namespace fm {

// Transposes lanes x lanes elements held in `row`: log2(lanes) rounds, each of which swaps the
// off-diagonal blocks of half the size of the round before.
template <class T, int distance, int... lane_index>
FM_INLINE void swap_blocks(vec<T> &low, vec<T> &high, std::integer_sequence<int, lane_index...>) {
    constexpr int lanes = sizeof...(lane_index);
    const auto a = low.v, b = high.v;
    low.v = __builtin_shufflevector(
        a, b, (lane_index & distance ? lanes + lane_index - distance : lane_index)...);
    high.v = __builtin_shufflevector(
        a, b, (lane_index & distance ? lanes + lane_index : lane_index + distance)...);
}
template <class T, int distance, int lanes> FM_INLINE void transpose_round(vec<T> *row) {
    if constexpr (distance < lanes) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++)
            if (!(i & distance))
                swap_blocks<T, distance>(row[i], row[i + distance],
                                         std::make_integer_sequence<int, lanes>());
        transpose_round<T, 2 * distance, lanes>(row);
    }
}
template <class T> FM_INLINE void vtranspose(vec<T> *row) {
    transpose_round<T, 1, FASTMATH_ML_VECTOR_BYTES / int(sizeof(T))>(row);
}

// to[j] lane i = from[i * stride + j] for i < rows, j < cols, both at most lanes; other lanes are 0.
template <class T>
FM_INLINE void load_transposed(const T *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t cols,
                               vec<T> *to) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / ptrdiff_t(sizeof(T));
    vec<T> block[lanes];
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < lanes; i++)
        if (i < rows) block[i] = vload_partial(from + i * stride, cols);
    vtranspose(block);
#pragma GCC unroll 16
    for (ptrdiff_t j = 0; j < lanes; j++) to[j] = block[j];
}

// The way back: to[i * stride + j] = from[j] lane i.
template <class T>
FM_INLINE void store_transposed(const vec<T> *from, T *to, ptrdiff_t stride, ptrdiff_t rows,
                                ptrdiff_t cols) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / ptrdiff_t(sizeof(T));
    vec<T> block[lanes];
#pragma GCC unroll 16
    for (ptrdiff_t j = 0; j < lanes; j++) block[j] = from[j];
    vtranspose(block);
#pragma GCC unroll 16
    for (ptrdiff_t i = 0; i < lanes; i++)
        if (i < rows) vstore_partial(to + i * stride, block[i], cols);
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
