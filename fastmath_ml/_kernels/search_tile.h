// The register tile of a search: products of queries with database rows that are compared with what
// each query still takes, and never leave the registers unless they are taken.
//
// Rows of a tile are queries, its columns database rows, packed in panels of full width. A product
// becomes the value that the search orders by, product * factor + term: factor 1 and the squared norm
// of the database row, or 0, as the term; or 1 / its norm and 0, which round as the product and the
// sum alone do. It is compared with the query's bound. Where no value of a query is below it, which
// is the rule, the row costs two operations, two comparisons and a branch.
#ifndef FASTMATH_ML_SEARCH_TILE_H
#define FASTMATH_ML_SEARCH_TILE_H

#include "candidates.h"
#include "square_range.h"
#include "tile.h"

namespace fm {

// Steps of the depth that are one chain of multiply-adds; chains are added up in order. The same
// for the squared norms: a row's product with itself is its squared norm to the bit.
template <class T> FM_INLINE constexpr ptrdiff_t chain_length(T) { return 384; }

template <class T> struct panel {
    const T *terms;       // one for each column, or factors
    uint64_t columns;     // a bit for each column that is a row of the database
    int64_t first;        // index of the first
};

// Several chains, added up in memory. A function of its own: sums kept in variables beside those of the
// tile took registers from its loop, 3 to 8 % of its speed.
template <class T, int rows>
__attribute__((noinline)) void sum_chains(const operands<T> &x, T *sums) {
    constexpr ptrdiff_t chain = chain_length(T{});
    operands<T> part = x;
    for (ptrdiff_t left = x.depth; left > 0; left -= part.depth) {
        part.depth = left < chain ? left : chain;
        product_tile<T, keep_packed, rows, 2, true, false>(part, sums, 2 * vlanes(T{}), 0,
                                                           left < x.depth);
        part.a += part.depth * part.a_depth;
        part.b += part.depth * part.b_depth;
        part.next += lines_asked(rows, 2 * vlanes(T{}), part) * (64 / ptrdiff_t(sizeof(T)));
    }
}

template <class T, int rows>
void search_tile(const operands<T> &x, const panel<T> &b, const T *factors, const T *terms,
                 ptrdiff_t row, const candidates<T> &found) {
    const ptrdiff_t lanes = vlanes(T{});
    tile<T, rows, 2> t;
    if (x.depth <= chain_length(T{})) {
        t.template multiply<true, false>(x, 0, found.bound, 0);
    } else {
        T sums[rows * 2 * FASTMATH_ML_VECTOR_BYTES / sizeof(T)];
        sum_chains<T, rows>(x, sums);
        t.template load<false>(sums, 2 * lanes, 0, std::make_integer_sequence<int, rows>{});
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
        const vec<T> bound = vset(found.bound[row + i]);
        const vec<T> first = vmul_add(vec<T>(t.sum[i][0]), vload(factors), vload(terms));
        const vec<T> second =
            vmul_add(vec<T>(t.sum[i][1]), vload(factors + lanes), vload(terms + lanes));
        const mask<T> out = vge(first, bound), out_too = vge(second, bound);
        if (__builtin_expect(!mall(mand(out, out_too)), 0)) {
            const uint64_t bits = b.columns & ~(mbits(out) | mbits(out_too) << lanes);
            if (bits) {
                T values[2 * FASTMATH_ML_VECTOR_BYTES / sizeof(T)];
                vstore(values, first);
                vstore(values + lanes, second);
                take(found, row + i, values, bits, b.first);
            }
        }
    }
}

template <class T, int... index>
FM_INLINE void search_rows(ptrdiff_t rows, const operands<T> &x, const panel<T> &b,
                           const T *factors, const T *terms, ptrdiff_t row,
                           const candidates<T> &found, std::integer_sequence<int, index...>) {
    typedef void (*function)(const operands<T> &, const panel<T> &, const T *, const T *, ptrdiff_t,
                             const candidates<T> &);
    static constexpr function table[] = {search_tile<T, index + 1>...};
    table[rows - 1](x, b, factors, terms, row, found);
}

// rows queries from `row` on, at most tile_rows, against a panel; a_row is 1.
template <class T>
FM_INLINE void search_panel(ptrdiff_t rows, const operands<T> &x, const panel<T> &b, ptrdiff_t row,
                            const candidates<T> &found, bool scaled) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / ptrdiff_t(sizeof(T));
    T constant[2 * lanes];
    vstore(constant, vset(T(!scaled)));
    vstore(constant + lanes, vset(T(!scaled)));
    search_rows<T>(rows, x, b, scaled ? b.terms : constant, scaled ? constant : b.terms, row, found,
                   std::make_integer_sequence<int, max_rows>());
}

// Squared norms of the columns of a packed panel of full width.
template <class T> void panel_norms(const T *b, ptrdiff_t depth, T *norms) {
    constexpr ptrdiff_t chain = chain_length(T{});
    const ptrdiff_t lanes = vlanes(T{}), width = 2 * lanes;
    vec<T> low, high;
    for (ptrdiff_t p = 0; p < depth;) {
        const ptrdiff_t end = depth - p < chain ? depth : p + chain;
        vec<T> low_part, high_part;
        for (; p < end; p++) {
            const vec<T> first = vload(b + p * width), second = vload(b + p * width + lanes);
            low_part = vmul_add(first, first, low_part);
            high_part = vmul_add(second, second, high_part);
        }
        low = low + low_part;
        high = high + high_part;
    }
    vstore(norms, low);
    vstore(norms + lanes, high);
}

// Columns with an infinite squared norm become zero, so that their distance comes out infinite and
// not as the difference of two infinities. NaN stays.
template <class T> void quench_infinite(T *b, ptrdiff_t depth, const T *norms) {
    const ptrdiff_t lanes = vlanes(T{}), width = 2 * lanes;
    const vec<T> infinity = vset(T(__builtin_inf()));
    const mask<T> low = veq(vload(norms), infinity), high = veq(vload(norms + lanes), infinity);
    if (__builtin_expect(!many(mor(low, high)), 1)) return;
    for (ptrdiff_t p = 0; p < depth; p++) {
        T *to = b + p * width;
        vstore(to, vselect(low, vec<T>(), vload(to)));
        vstore(to + lanes, vselect(high, vec<T>(), vload(to + lanes)));
    }
}

// 1 / norm of the columns, from their squared norms. Columns whose squares over- or underflow are
// scaled by a power of two in the panel itself. Zero columns get 0, those with NaN or infinity NaN.
template <class T> void panel_scales(T *b, ptrdiff_t depth, ptrdiff_t cols, T *norms) {
    const ptrdiff_t lanes = vlanes(T{}), width = 2 * lanes;
    for (ptrdiff_t j = 0; j < cols; j++) {
        if (is_safe_square(norms[j])) continue;
        T largest = 0;
        bool finite = true;
        for (ptrdiff_t p = 0; p < depth; p++) {
            const T size = __builtin_fabs(b[p * width + j]);
            finite &= size <= (sizeof(T) == 4 ? T(3.4028234e38f) : T(1.7976931348623157e308));
            largest = size > largest ? size : largest;
        }
        norms[j] = finite ? __builtin_inf() : __builtin_nan("");
        if (!finite || largest == 0) continue;
        int exponent;
        __builtin_frexp(double(largest), &exponent);
        for (ptrdiff_t p = 0; p < depth; p++)
            b[p * width + j] = T(__builtin_ldexp(double(b[p * width + j]), -exponent));
        T again[2 * FASTMATH_ML_VECTOR_BYTES / sizeof(T)];
        panel_norms(b, depth, again);
        norms[j] = again[j];
    }
    for (ptrdiff_t j = 0; j < width; j += lanes)
        vstore(norms + j, vset(T(1)) / vsqrt(vload(norms + j)));
}

}  // namespace fm

#endif
