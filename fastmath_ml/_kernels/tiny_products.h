// Stacks of products of matrices so small that a register holds several rows of one result, or
// several results: 2 x 2 to 6 x 6 in float32 with AVX-512, to 4 x 4 in float64 or with AVX2.
//
// A lane stands for one element of C: product q, row i, column j. For each step p of the depth one
// register has A[i, p] of product q in its lanes and another one B[p, j], each by a load and a
// permutation. The loads begin where step p does, so that the permutations are the same for all p.
//
// The register tile holds one row of C in a register, and most of it is empty. An element is the
// same chain of multiply-adds here and there.
#ifndef FASTMATH_ML_TINY_PRODUCTS_H
#define FASTMATH_ML_TINY_PRODUCTS_H

#include <utility>

#include "simd.h"

namespace fm {

// C = A B for n products of one shape. Strides count elements, steps lead from one product to the
// next; B and C have unit column stride.
template <class T> struct tiny_products {
    ptrdiff_t n, n_rows, n_cols, depth;
    const T *a;
    ptrdiff_t a_row, a_depth, a_step;
    const T *b;
    ptrdiff_t b_depth, b_step;
    T *c;
    ptrdiff_t c_row, c_step;
};

#if FM_HAS_PICK

constexpr int deepest_tiny = 6, fewest_tiny = 4;
static_assert(deepest_tiny == 6, "as the loops over the depth are unrolled");

// x.n / products groups of so many products, by so many rows of each at a time.
template <class T, int depth>
void multiply_groups(const tiny_products<T> &x, ptrdiff_t products, ptrdiff_t rows) {
    const ptrdiff_t lanes = vlanes(T{});
    T a_lane[vlanes(T{})] = {}, b_lane[vlanes(T{})] = {};
    ptrdiff_t lane = 0;
    for (ptrdiff_t q = 0; q < products; q++)
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < x.n_cols; j++, lane++) {
                a_lane[lane] = T(q * x.a_step + i * x.a_row);
                b_lane[lane] = T(q * x.b_step + j);
            }
    const picks<T> pick_a(vload(a_lane)), pick_b(vload(b_lane));
    const ptrdiff_t b_elements = (products - 1) * x.b_step + x.n_cols;
    const T *a = x.a, *b = x.b;
    T *c = x.c;
    for (ptrdiff_t at = products; at <= x.n; at += products) {
        vec<T> b_rows[depth];
#pragma GCC unroll 6
        for (int p = 0; p < depth; p++)
            b_rows[p] = vpick(vload_partial(b + p * x.b_depth, b_elements), pick_b);
        for (ptrdiff_t row = 0; row < x.n_rows; row += rows) {
            const ptrdiff_t here = x.n_rows - row < rows ? x.n_rows - row : rows;
            const ptrdiff_t a_elements = (products - 1) * x.a_step + (here - 1) * x.a_row + 1;
            const ptrdiff_t c_elements = products * here * x.n_cols;
            const T *a_rows = a + row * x.a_row;
            vec<T> sum;
#pragma GCC unroll 6
            for (int p = 0; p < depth; p++)
                sum = vmul_add(vpick(vload_partial(a_rows + p * x.a_depth, a_elements), pick_a),
                               b_rows[p], sum);
            if (c_elements == lanes)
                vstore(c + row * x.n_cols, sum);
            else
                vstore_partial(c + row * x.n_cols, sum, c_elements);
        }
        a += products * x.a_step, b += products * x.b_step, c += products * x.c_step;
    }
}

template <class T, int... index>
FM_INLINE void select_depth(const tiny_products<T> &x, ptrdiff_t products, ptrdiff_t rows,
                            std::integer_sequence<int, index...>) {
    static constexpr void (*of_depth[])(const tiny_products<T> &, ptrdiff_t, ptrdiff_t) = {
        multiply_groups<T, index + 1>...};
    of_depth[x.depth - 1](x, products, rows);
}

// Whether it was done. Not for a row that is longer than half of a register, a deeper or a single
// product, rows of C with gaps, negative steps: the register tile takes any.
template <class T> bool multiply_tiny(const tiny_products<T> &x) {
    const ptrdiff_t lanes = vlanes(T{});
    if (2 * x.n_cols > lanes || x.depth < 1 || x.depth > deepest_tiny || x.n < fewest_tiny)
        return false;
    if (x.c_row != x.n_cols || x.a_row < 0 || x.a_step < 0 || x.b_step < 0) return false;
    ptrdiff_t rows = x.n_rows < lanes / x.n_cols ? x.n_rows : lanes / x.n_cols, products = 1;
    while (rows > 1 && (rows - 1) * x.a_row >= lanes) rows--;
    if (rows == x.n_rows && x.c_step == rows * x.n_cols)
        while ((products + 1) * x.c_step <= lanes && products * x.b_step + x.n_cols <= lanes
               && products * x.a_step + (rows - 1) * x.a_row < lanes)
            products++;
    if (products * rows == 1) return false;
    constexpr std::make_integer_sequence<int, deepest_tiny> depths;
    select_depth(x, products, rows, depths);
    const ptrdiff_t rest = x.n % products, done = x.n - rest;
    if (rest) {
        tiny_products<T> last = x;
        last.n = rest;
        last.a += done * x.a_step, last.b += done * x.b_step, last.c += done * x.c_step;
        select_depth(last, rest, rows, depths);
    }
    return true;
}

#else
template <class T> FM_INLINE bool multiply_tiny(const tiny_products<T> &) { return false; }
#endif

}  // namespace fm

#endif
