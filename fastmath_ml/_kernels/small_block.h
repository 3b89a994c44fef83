// Stacks of small matrices, a matrix in each lane.
//
// A *block* holds the same element of LANES matrices side by side: a batch is one element of each,
// and a matrix of n_rows x n_cols is n_rows * n_cols batches in row-major order. An algorithm written
// for one matrix of batches then works on LANES matrices at once, and every lane of every
// instruction is used, which no vectorisation inside of a 3 x 3 matrix can reach. What differs
// between matrices (pivots, convergence) is a mask; a lane that is done stays as it is. A lane never
// depends on its neighbours, so neither the place in the stack nor the rest of it changes a result.
//
// Everything is computed in double: float32 is widened on the way in and rounded once on the way
// out, as numpy.linalg does it. Where the rounding matters vmul_add is written out, so that two
// inlined copies of a function agree.
#ifndef FASTMATH_ML_SMALL_BLOCK_H
#define FASTMATH_ML_SMALL_BLOCK_H

#include "transpose.h"

namespace fm {

typedef vec<double> batch;
typedef mask<double> batch_mask;
constexpr int LANES = FASTMATH_ML_VECTOR_BYTES / int(sizeof(double));
// Largest number of rows and of columns. Above, LAPACK fills its vectors by itself.
constexpr int SMALL = 32;

// What a group of matrices reports; a set bit stands for at least one of them.
enum small_status {
    SMALL_NOT_FINITE = 1,     // a NaN or an infinity in the input; the results are NaN
    SMALL_SINGULAR = 2,       // an exactly zero pivot, or a matrix that is not positive definite
    SMALL_NOT_CONVERGED = 4,  // the results are NaN
    SMALL_OUT_OF_MEMORY = 8,
};

FM_INLINE batch_mask first_lanes(ptrdiff_t count) { return mtail(0.0, count); }
FM_INLINE batch_mask no_lanes() { return vlt(batch(), batch()); }
FM_INLINE batch negated_where(batch_mask m, batch x) { return vselect(m, -x, x); }
// -0 becomes 0: a rotation by nothing turns the one into the other, and which lanes are rotated by
// nothing depends on their neighbours.
FM_INLINE batch one_zero(batch x) { return x + batch(); }

// ---- between memory and blocks ----

// to[i] lane l = from[l * step + i] for l < count, i < size; the other lanes are 0. Up to LANES - 1
// batches behind the last are overwritten.
template <class T>
static void load_block(const T *from, ptrdiff_t step, ptrdiff_t count, ptrdiff_t size, batch *to) {
    ptrdiff_t i = 0;
    for (; i + LANES <= size; i += LANES) load_transposed(from + i, step, count, LANES, to + i);
    if (i < size) load_transposed(from + i, step, count, size - i, to + i);
}

// The way back for n_rows x n_cols elements, element(i, j) being a batch: transposes on the way.
template <class T, class Element>
FM_INLINE void store_block(ptrdiff_t n_rows, ptrdiff_t n_cols, Element element, T *to,
                           ptrdiff_t step, ptrdiff_t count) {
    batch some[LANES];
    ptrdiff_t filled = 0;
    for (ptrdiff_t i = 0; i < n_rows; i++)
        for (ptrdiff_t j = 0; j < n_cols; j++) {
            some[filled++] = element(i, j);
            if (filled == LANES) {
                store_transposed(some, to, step, count, LANES);
                to += LANES;
                filled = 0;
            }
        }
    if (filled) store_transposed(some, to, step, count, filled);
}

// One number of each matrix: to[l] = x lane l for l < count.
template <class T> FM_INLINE void store_each(batch x, T *to, ptrdiff_t count) {
    double wide[LANES];
    vstore(wide, x);
    for (ptrdiff_t lane = 0; lane < count; lane++) to[lane] = T(wide[lane]);
}

// The upper triangle onto the lower.
FM_INLINE void mirror_upper(batch *a, ptrdiff_t n) {
    for (ptrdiff_t i = 1; i < n; i++)
        for (ptrdiff_t j = 0; j < i; j++) a[i * n + j] = a[j * n + i];
}

// The lanes of a matrix with a NaN or an infinity.
FM_INLINE batch_mask not_finite(const batch *a, ptrdiff_t size) {
    batch zeros;
    for (ptrdiff_t i = 0; i < size; i++) zeros = vmul_add(a[i], batch(), zeros);
    return visnan(zeros);
}
FM_INLINE void clear_where(batch_mask m, batch *a, ptrdiff_t size) {
    if (!many(m)) return;
    for (ptrdiff_t i = 0; i < size; i++) a[i] = vselect(m, batch(), a[i]);
}

// ---- scaling ----

// A power of two s with s * x in [1, 2) for normal x (in [1, 4) for the largest, below 1 for zero
// and denormals): products with it are exact and no square of them overflows.
FM_INLINE batch inverse_power(batch x) {
    typedef lane<double>::ivector bits;
    const bits none{};
    const bits exponent = (bits)x.v & (none + (int64_t(0x7ff) << 52));
    bits inverse = (none + (int64_t(2046) << 52)) - exponent;
    inverse |= (bits)(inverse == none) & (none + (int64_t(1) << 52));
    return batch((batch::native)inverse);
}

// Scales each matrix by a power of two so that its largest element lies in [1, 2). Returns the
// factor, which is to be divided by.
FM_INLINE batch scale_to_one(batch *a, ptrdiff_t size) {
    batch largest;
    for (ptrdiff_t i = 0; i < size; i++) largest = vmax_fast(largest, vabs(a[i]));
    const batch factor = inverse_power(largest);
    for (ptrdiff_t i = 0; i < size; i++) a[i] = a[i] * factor;
    return factor;
}

// ---- pieces that several factorisations use ----

// Exchanges rows k and i in the lanes of m.
FM_INLINE void swap_rows_where(batch_mask m, batch *row, batch *other, ptrdiff_t length) {
    for (ptrdiff_t j = 0; j < length; j++) {
        const batch x = row[j], y = other[j];
        row[j] = vselect(m, y, x);
        other[j] = vselect(m, x, y);
    }
}

// x / divisor by a product, but where the reciprocal would lose digits or overflow by a division.
struct reciprocal {
    batch divisor, inverse;
    batch_mask tiny;
    bool any_tiny;
    FM_ALWAYS_INLINE explicit reciprocal(batch x)
        : divisor(x), inverse(vset(1.0) / x), tiny(vlt(vabs(x), vset(0x1p-1000))),
          any_tiny(many(tiny)) {}
    FM_ALWAYS_INLINE batch operator()(batch x) const {
        batch quotient = x * inverse;
        if (__builtin_expect(any_tiny, 0)) quotient = vselect(tiny, x / divisor, quotient);
        return quotient;
    }
};

// x[0] - sum over p < depth of a[p] * b[p * stride], for `width` neighbours at once: x[w] with
// b[p * stride + w] (a shared) in the order of p. Independent sums hide the latency. Unrolled, so
// that for matrices of a fixed size the compiler sees where the depth ends.
template <int width>
FM_INLINE void subtract_products(batch *x, const batch *a, const batch *b, ptrdiff_t stride,
                                 ptrdiff_t depth) {
    batch sum[width];
#pragma GCC unroll 8
    for (int w = 0; w < width; w++) sum[w] = x[w];
#pragma GCC unroll 4
    for (ptrdiff_t p = 0; p < depth; p++) {
        const batch factor = -a[p];
#pragma GCC unroll 8
        for (int w = 0; w < width; w++) sum[w] = vmul_add(factor, b[p * stride + w], sum[w]);
    }
#pragma GCC unroll 8
    for (int w = 0; w < width; w++) x[w] = sum[w];
}
// The same for a row of any width.
FM_INLINE void subtract_products(ptrdiff_t width, batch *x, const batch *a, const batch *b,
                                 ptrdiff_t stride, ptrdiff_t depth) {
    ptrdiff_t w = 0;
    for (; w + 8 <= width; w += 8) subtract_products<8>(x + w, a, b + w, stride, depth);
    if (width - w >= 4) {
        subtract_products<4>(x + w, a, b + w, stride, depth);
        w += 4;
    }
    for (; w < width; w++) subtract_products<1>(x + w, a, b + w, stride, depth);
}

// x[w * step] - sum over p < depth of a[w * a_step + p] * b[p * stride], w < width: a column.
template <int width>
FM_INLINE void subtract_products_down(batch *x, ptrdiff_t step, const batch *a, ptrdiff_t a_step,
                                      const batch *b, ptrdiff_t stride, ptrdiff_t depth) {
    batch sum[width];
#pragma GCC unroll 8
    for (int w = 0; w < width; w++) sum[w] = x[w * step];
    for (ptrdiff_t p = 0; p < depth; p++) {
        const batch factor = -b[p * stride];
#pragma GCC unroll 8
        for (int w = 0; w < width; w++) sum[w] = vmul_add(factor, a[w * a_step + p], sum[w]);
    }
#pragma GCC unroll 8
    for (int w = 0; w < width; w++) x[w * step] = sum[w];
}
FM_INLINE void subtract_products_down(ptrdiff_t width, batch *x, ptrdiff_t step, const batch *a,
                                      ptrdiff_t a_step, const batch *b, ptrdiff_t stride,
                                      ptrdiff_t depth) {
    ptrdiff_t w = 0;
    for (; w + 8 <= width; w += 8)
        subtract_products_down<8>(x + w * step, step, a + w * a_step, a_step, b, stride, depth);
    if (width - w >= 4) {
        subtract_products_down<4>(x + w * step, step, a + w * a_step, a_step, b, stride, depth);
        w += 4;
    }
    for (; w < width; w++)
        subtract_products_down<1>(x + w * step, step, a + w * a_step, a_step, b, stride, depth);
}

}  // namespace fm

#endif
