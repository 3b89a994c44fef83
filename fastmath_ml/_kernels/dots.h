// Dots of vectors, and of several rows with one vector or several: what is loaded of either is used
// for all of the other.
//
// The sums have constant indices everywhere and are no objects with constructors, so that they stay
// in registers beside masked loads (see tile.h).
#ifndef FASTMATH_ML_DOTS_H
#define FASTMATH_ML_DOTS_H

#include <utility>

#include "transpose.h"

namespace fm {

template <class T, int rows, int vectors> struct dot_tile {
    typename vec<T>::native sum[rows][vectors] = {};

    template <int i, int... j>
    FM_ALWAYS_INLINE void add_row(vec<T> a, const vec<T> (&x)[vectors],
                                  std::integer_sequence<int, j...>) {
        ((sum[i][j] = vmul_add(a, x[j], vec<T>(sum[i][j])).v), ...);
    }

    // A vector of elements of each; tail: the first n.
    template <bool tail, int... i>
    FM_ALWAYS_INLINE void step(const T *a, ptrdiff_t a_row, const T *x, ptrdiff_t x_vector,
                               ptrdiff_t n, std::integer_sequence<int, i...>) {
        const std::make_integer_sequence<int, vectors> all{};
        vec<T> factor[vectors];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            factor[j] = tail ? vload_partial(x + j * x_vector, n) : vload(x + j * x_vector);
        (add_row<i>(tail ? vload_partial(a + i * a_row, n) : vload(a + i * a_row), factor, all),
         ...);
    }

    template <int... index>
    FM_ALWAYS_INLINE void add_to(double *total, ptrdiff_t total_vector,
                                 std::integer_sequence<int, index...>) const {
        vec<T> each[] = {vec<T>(sum[index / vectors][index % vectors])...};
        T sums[rows * vectors + FASTMATH_ML_VECTOR_BYTES / sizeof(T)];
        vsum_each<T, rows * vectors>(each, sums);
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) total[j * total_vector + i] += sums[i * vectors + j];
    }
};

// What to bring into L2 beside the rows that are read, eight at a time: what lies `elements` further on
// in the even ones, the odd ones, or both.
struct lines_ahead {
    ptrdiff_t elements;
    bool even, odd;
};

template <int rows, class T>
FM_ALWAYS_INLINE void prefetch_rows(const T *a, ptrdiff_t a_row, const lines_ahead &ahead) {
    const T *line = a + ahead.elements;
    if (ahead.even)
#pragma GCC unroll 4
        for (int i = 0; i < rows; i += 2) __builtin_prefetch(line + i * a_row, 0, 2);
    if (ahead.odd)
#pragma GCC unroll 4
        for (int i = 1; i < rows; i += 2) __builtin_prefetch(line + i * a_row, 0, 2);
}

// total[j * total_vector + i] += row i of A . vector j of X, n elements each.
template <class T, int rows, int vectors>
void add_dots(const T *a, ptrdiff_t a_row, const T *x, ptrdiff_t x_vector, ptrdiff_t n,
              const lines_ahead &ahead, double *total, ptrdiff_t total_vector) {
    const std::make_integer_sequence<int, rows> all{};
    const ptrdiff_t lanes = vlanes(T{});
    dot_tile<T, rows, vectors> t;
    ptrdiff_t p = 0;
    // A loop of its own where nothing is brought: the shorter it is, the more of its loads the core has
    // under way.
    if (ahead.even || ahead.odd)
        for (; p + lanes <= n; p += lanes) {
            prefetch_rows<rows>(a + p, a_row, ahead);
            t.template step<false>(a + p, a_row, x + p, x_vector, 0, all);
        }
    for (; p + lanes <= n; p += lanes)
        t.template step<false>(a + p, a_row, x + p, x_vector, 0, all);
    if (p < n) t.template step<true>(a + p, a_row, x + p, x_vector, n - p, all);
    t.add_to(total, total_vector, std::make_integer_sequence<int, rows * vectors>{});
}

// a . b; four sums, since a multiply-add waits four cycles for the one before it.
template <class T> FM_INLINE double dot_of(const T *a, const T *b, ptrdiff_t n) {
    const ptrdiff_t lanes = vlanes(T{});
    vec<T> first, second, third, fourth;
    ptrdiff_t p = 0;
    for (; p + 4 * lanes <= n; p += 4 * lanes) {
        first = vmul_add(vload(a + p), vload(b + p), first);
        second = vmul_add(vload(a + p + lanes), vload(b + p + lanes), second);
        third = vmul_add(vload(a + p + 2 * lanes), vload(b + p + 2 * lanes), third);
        fourth = vmul_add(vload(a + p + 3 * lanes), vload(b + p + 3 * lanes), fourth);
    }
    for (; p + lanes <= n; p += lanes) first = vmul_add(vload(a + p), vload(b + p), first);
    if (p < n)
        second = vmul_add(vload_partial(a + p, n - p), vload_partial(b + p, n - p), second);
    return vsum((first + second) + (third + fourth));
}

// n elements of x: x itself, or `copy`, which has room for n, where it has gaps.
template <class T>
FM_INLINE const T *without_gaps(const T *x, ptrdiff_t stride, ptrdiff_t n, T *copy) {
    if (stride == 1) return x;
    for (ptrdiff_t i = 0; i < n; i++) copy[i] = x[i * stride];
    return copy;
}

// Products of a dot that are summed in their own type before float64 takes over.
enum { DOT_BLOCK = 2048 };

// Not inline: the room for copies, 32 KiB of stack, doubles the time of a short dot.
template <class T>
FM_NOINLINE double dot_in_blocks(const T *a, ptrdiff_t a_stride, const T *b, ptrdiff_t b_stride,
                                 ptrdiff_t n) {
    T a_copy[DOT_BLOCK], b_copy[DOT_BLOCK];
    double total = 0;
    for (ptrdiff_t at = 0; at < n; at += DOT_BLOCK) {
        const ptrdiff_t size = n - at < DOT_BLOCK ? n - at : ptrdiff_t(DOT_BLOCK);
        total += dot_of(without_gaps(a + at * a_stride, a_stride, size, a_copy),
                        without_gaps(b + at * b_stride, b_stride, size, b_copy), size);
    }
    return total;
}

// a . b, the same bits for any strides.
template <class T>
FM_NOINLINE double dot(const T *a, ptrdiff_t a_stride, const T *b, ptrdiff_t b_stride, ptrdiff_t n) {
    if (a_stride == 1 && b_stride == 1 && n <= DOT_BLOCK) return dot_of(a, b, n);
    return dot_in_blocks(a, a_stride, b, b_stride, n);
}

// As many rows at a time: with one vector so many that their sums do not wait for each other.
FM_INLINE constexpr ptrdiff_t dot_rows(ptrdiff_t vectors) { return vectors == 1 ? 8 : 4; }

// add_dots for up to dot_rows(vectors) rows and 1, 2 or 4 vectors.
template <class T>
FM_INLINE void add_dots(ptrdiff_t rows, ptrdiff_t vectors, const T *a, ptrdiff_t a_row, const T *x,
                        ptrdiff_t x_vector, ptrdiff_t n, const lines_ahead &ahead,
                        double *total, ptrdiff_t total_vector) {
    if (rows == dot_rows(vectors)) {
        const auto whole = vectors == 4   ? add_dots<T, 4, 4>
                           : vectors == 2 ? add_dots<T, 4, 2>
                                          : add_dots<T, 8, 1>;
        whole(a, a_row, x, x_vector, n, ahead, total, total_vector);
        return;
    }
    if (vectors == 1) {
        for (ptrdiff_t i = 0; i < rows; i++) total[i] += dot_of(a + i * a_row, x, n);
        return;
    }
    const auto one = vectors == 4 ? add_dots<T, 1, 4> : add_dots<T, 1, 2>;
    for (ptrdiff_t i = 0; i < rows; i++)
        one(a + i * a_row, a_row, x, x_vector, n, ahead, total + i, total_vector);
}

}  // namespace fm

#endif
