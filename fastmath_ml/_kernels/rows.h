// Rows of a matrix, each times its factor, added up: eight at a time, so that the sums are loaded and
// stored once for eight loads of the matrix.
//
// The loop for one vector holds nothing else: what comes from memory arrives the faster the more of the
// loop's loads the core has under way, and its window is counted in instructions.
#ifndef FASTMATH_ML_ROWS_H
#define FASTMATH_ML_ROWS_H

#include "dots.h"

namespace fm {

// Eight rows of which each is found from one of two pointers and three strides: of eight pointers the
// compiler keeps some in memory.
template <class T> struct eight_rows {
    const T *low, *high;
    ptrdiff_t stride;

    FM_ALWAYS_INLINE eight_rows(const T *row, ptrdiff_t stride)
        : low(row), high(row + 4 * stride), stride(stride) {
        asm("" : "+r"(high));
    }
    template <int k> FM_ALWAYS_INLINE vec<T> load(ptrdiff_t i) const {
        return vload((k < 4 ? low : high) + k % 4 * stride + i);
    }
};

template <class T, bool brings, int... k>
FM_INLINE ptrdiff_t add_to_one(const T *row, ptrdiff_t stride, ptrdiff_t n, const T *factor,
                               ptrdiff_t factor_stride, lines_ahead ahead, T *sum,
                               std::integer_sequence<int, k...>) {
    const eight_rows<T> rows(row, stride);
    const vec<T> factors[] = {vset(factor[k * factor_stride])...};
    const ptrdiff_t lanes = vlanes(T{});
    ptrdiff_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        if (brings) prefetch_rows<8>(row + i, stride, ahead);
        vec<T> total = vload(sum + i);
        ((total = vmul_add(factors[k], rows.template load<k>(i), total)), ...);
        vstore(sum + i, total);
    }
    return i;
}

template <class T, int... k>
FM_INLINE ptrdiff_t add_to_each(const T *row, ptrdiff_t stride, ptrdiff_t n, const T *factor,
                                ptrdiff_t factor_stride, ptrdiff_t factor_vector,
                                ptrdiff_t n_vectors, const lines_ahead &ahead, T *sum,
                                ptrdiff_t sum_vector, std::integer_sequence<int, k...>) {
    const eight_rows<T> rows(row, stride);
    const ptrdiff_t lanes = vlanes(T{});
    ptrdiff_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        prefetch_rows<8>(row + i, stride, ahead);
        const vec<T> element[] = {rows.template load<k>(i)...};
        for (ptrdiff_t v = 0; v < n_vectors; v++) {
            const T *x = factor + v * factor_vector;
            vec<T> total = vload(sum + v * sum_vector + i);
            ((total = vmul_add(vset(x[k * factor_stride]), element[k], total)), ...);
            vstore(sum + v * sum_vector + i, total);
        }
    }
    return i;
}

// sum[v * sum_vector + i] += sum over the eight rows k of factor[k * factor_stride + v * factor_vector]
// row[k * stride + i] for as many of n elements as fill vectors; returns how many those are.
template <class T>
FM_NOINLINE ptrdiff_t add_eight_rows(const T *row, ptrdiff_t stride, ptrdiff_t n, const T *factor,
                                     ptrdiff_t factor_stride, ptrdiff_t factor_vector,
                                     ptrdiff_t n_vectors, const lines_ahead &ahead, T *sum,
                                     ptrdiff_t sum_vector) {
    const std::make_integer_sequence<int, 8> all;
    if (n_vectors > 1)
        return add_to_each(row, stride, n, factor, factor_stride, factor_vector, n_vectors, ahead,
                           sum, sum_vector, all);
    const auto add = ahead.even || ahead.odd ? add_to_one<T, true, 0, 1, 2, 3, 4, 5, 6, 7>
                                             : add_to_one<T, false, 0, 1, 2, 3, 4, 5, 6, 7>;
    return add(row, stride, n, factor, factor_stride, ahead, sum, all);
}

}  // namespace fm

#endif
