// LU with partial pivoting and Cholesky for a matrix in each lane (small_block.h), and what stands
// on them: solve, inverse, determinant.
//
// Both run left-looking: an element is the sum of its products in one go and is stored once, eight
// sums at a time so that the latency of one is hidden by the others. The right-looking form, which
// updates the rest of the matrix in each step, stores n^3 / 3 batches instead of n^2.
//
// The pivot of a column differs from lane to lane. Rows are exchanged under a mask, once for each
// row that some lane wants. Backward error as that of LAPACK's getrf, whose arithmetic this is.
#ifndef FASTMATH_ML_SMALL_LU_H
#define FASTMATH_ML_SMALL_LU_H

#include "small_block.h"
#include "simd_math.h"

namespace fm {

// a = P^T L U in place, n x n; pivot[k] is the row that was exchanged with row k. `odd` becomes -1
// where the number of exchanges is odd, else 1. Returns where a pivot is exactly zero. fixed is n,
// known at compile time, or 0.
template <int fixed>
FM_INLINE batch_mask factor_lu(batch *a, ptrdiff_t n_rows, batch *pivot, batch &odd) {
    const ptrdiff_t n = fixed ? fixed : n_rows;
    batch_mask singular = no_lanes();
    odd = vset(1.0);
#pragma GCC unroll 4
    for (ptrdiff_t k = 0; k < n; k++) {
        subtract_products_down(n - k, a + k * n + k, n, a + k * n, n, a + k, n, k);
        batch largest = vabs(a[k * n + k]), row = vset(double(k));
#pragma GCC unroll 4
        for (ptrdiff_t i = k + 1; i < n; i++) {
            const batch size = vabs(a[i * n + k]);
            const batch_mask larger = vgt(size, largest);
            largest = vselect(larger, size, largest);
            row = vselect(larger, vset(double(i)), row);
        }
        pivot[k] = row;
        odd = negated_where(vne(row, vset(double(k))), odd);
#pragma GCC unroll 4
        for (ptrdiff_t i = k + 1; i < n; i++) {
            const batch_mask wanted = veq(row, vset(double(i)));
            if (fixed || many(wanted)) swap_rows_where(wanted, a + k * n, a + i * n, n);
        }
        const batch diagonal = a[k * n + k];
        const batch_mask is_zero = veq(diagonal, batch());
        singular = mor(singular, is_zero);
        subtract_products(n - k - 1, a + k * n + k + 1, a + k * n, a + k + 1, n, k);
        // A zero pivot has nothing but zeros below it.
        const reciprocal over(vselect(is_zero, vset(1.0), diagonal));
#pragma GCC unroll 4
        for (ptrdiff_t i = k + 1; i < n; i++) a[i * n + k] = over(a[i * n + k]);
    }
    return singular;
}

// x = U^-1 L^-1 P x in place for n x width right-hand sides, row-major with rows of `width`.
template <int fixed, int width>
FM_INLINE void apply_lu(const batch *lu, ptrdiff_t n_rows, const batch *pivot, batch *x) {
    const ptrdiff_t n = fixed ? fixed : n_rows;
#pragma GCC unroll 4
    for (ptrdiff_t k = 0; k < n; k++)
#pragma GCC unroll 4
        for (ptrdiff_t i = k + 1; i < n; i++) {
            const batch_mask wanted = veq(pivot[k], vset(double(i)));
            if (fixed || many(wanted)) swap_rows_where(wanted, x + k * width, x + i * width, width);
        }
#pragma GCC unroll 4
    for (ptrdiff_t i = 1; i < n; i++)
        subtract_products<width>(x + i * width, lu + i * n, x, width, i);
#pragma GCC unroll 4
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        const ptrdiff_t behind = i + 1;
        subtract_products<width>(x + i * width, lu + i * n + behind, x + behind * width, width,
                                 n - behind);
        const reciprocal over(lu[i * n + i]);
#pragma GCC unroll 8
        for (int w = 0; w < width; w++) x[i * width + w] = over(x[i * width + w]);
    }
}

// ---- groups of up to LANES matrices, from memory to memory ----

// How many batches a group needs.
inline ptrdiff_t lu_scratch(ptrdiff_t n) { return n * n + n + 8 * n + 2 * LANES; }

// The columns [column, column + width) of the n x n_rhs right-hand sides b (null: the identity).
template <class T, int fixed, int width>
FM_INLINE void solve_columns(const batch *lu, const batch *pivot, ptrdiff_t n_rows, const T *b,
                             ptrdiff_t b_step, T *x, ptrdiff_t x_step, ptrdiff_t n_rhs,
                             ptrdiff_t column, ptrdiff_t count, batch *columns) {
    const ptrdiff_t n = fixed ? fixed : n_rows;
    if (!b)
        for (ptrdiff_t i = 0; i < n; i++)
            for (int w = 0; w < width; w++)
                columns[i * width + w] = vset(i == column + w ? 1.0 : 0.0);
    else if (width == n_rhs)
        load_block(b, b_step, count, n * width, columns);
    else
        for (ptrdiff_t i = 0; i < n; i++) {
            batch some[8 + LANES];
            load_block(b + i * n_rhs + column, b_step, count, width, some);
            for (int w = 0; w < width; w++) columns[i * width + w] = some[w];
        }
    apply_lu<fixed, width>(lu, n, pivot, columns);
    if (width == n_rhs)
        store_block(n, width, [=](ptrdiff_t i, ptrdiff_t j) { return columns[i * width + j]; }, x,
                    x_step, count);
    else
        for (ptrdiff_t i = 0; i < n; i++)
            store_block(1, width, [=](ptrdiff_t, ptrdiff_t j) { return columns[i * width + j]; },
                        x + i * n_rhs + column, x_step, count);
}

template <class T, int fixed>
static int solve_as(const T *a, ptrdiff_t a_step, const T *b, ptrdiff_t b_step, T *x,
                    ptrdiff_t n_rows, ptrdiff_t n_rhs, ptrdiff_t count, batch *scratch) {
    const ptrdiff_t n = fixed ? fixed : n_rows, x_step = n * n_rhs;
    batch local[fixed ? fixed * fixed + 9 * fixed + 2 * LANES : 1];
    batch *lu = fixed ? local : scratch, *pivot = lu + n * n + LANES, *columns = pivot + n, odd;
    load_block(a, a_step, count, n * n, lu);
    const batch_mask bad = mand(not_finite(lu, n * n), first_lanes(count));
    const batch_mask singular = mand(factor_lu<fixed>(lu, n, pivot, odd), first_lanes(count));
    int status = (many(singular) ? SMALL_SINGULAR : 0) | (many(bad) ? SMALL_NOT_FINITE : 0);
    if (status & SMALL_SINGULAR) return status;
    ptrdiff_t column = 0;
#define FM_SOLVE(width)                                                                            \
    solve_columns<T, fixed, width>(lu, pivot, n, b, b_step, x, x_step, n_rhs, column, count, columns)
    if constexpr (fixed > 1) {
        if (n_rhs == fixed) {
            FM_SOLVE(fixed);
            return status;
        }
    } else {
        for (; column + 8 <= n_rhs; column += 8) FM_SOLVE(8);
        if (n_rhs - column >= 4) {
            FM_SOLVE(4);
            column += 4;
        }
    }
    for (; column < n_rhs; column++) FM_SOLVE(1);
#undef FM_SOLVE
    return status;
}

// x = a^-1 b for `count` <= LANES matrices a (n x n) and b (n x n_rhs; null: the identity), steps
// apart in memory. Results of a singular matrix are left out.
template <class T>
static int small_solve(const T *a, ptrdiff_t a_step, const T *b, ptrdiff_t b_step, T *x,
                       ptrdiff_t n, ptrdiff_t n_rhs, ptrdiff_t count, batch *scratch) {
    switch (n_rhs <= n ? n : 0) {
    case 2: return solve_as<T, 2>(a, a_step, b, b_step, x, n, n_rhs, count, scratch);
    case 3: return solve_as<T, 3>(a, a_step, b, b_step, x, n, n_rhs, count, scratch);
    case 4: return solve_as<T, 4>(a, a_step, b, b_step, x, n, n_rhs, count, scratch);
    default: return solve_as<T, 0>(a, a_step, b, b_step, x, n, n_rhs, count, scratch);
    }
}

// The product of sign and diagonal for the lanes of `wanted`, with the powers of two apart.
static batch product_of_diagonal(batch_mask wanted, batch sign, const batch *a, ptrdiff_t n,
                                 batch otherwise) {
    double results[LANES], element[LANES];
    vstore(results, otherwise);
    const uint64_t bits = mbits(wanted);
    for (int lane = 0; lane < LANES; lane++) {
        if (!(bits >> lane & 1)) continue;
        vstore(element, sign);
        double mantissa = element[lane];
        int power = 0, exponent;
        for (ptrdiff_t i = 0; i < n; i++) {
            vstore(element, a[i * n + i]);
            mantissa *= __builtin_frexp(element[lane], &exponent);
            power += exponent;
            mantissa = __builtin_frexp(mantissa, &exponent);
            power += exponent;
        }
        results[lane] = __builtin_ldexp(mantissa, power);
    }
    return vload(results);
}

template <class T, int fixed>
static int determinant_as(const T *a, T *sign, T *log_abs, ptrdiff_t n_rows, ptrdiff_t count,
                          batch *scratch) {
    const ptrdiff_t n = fixed ? fixed : n_rows;
    batch local[fixed ? fixed * fixed + fixed + LANES : 1];
    batch *lu = fixed ? local : scratch, *pivot = lu + n * n + LANES, odd;
    load_block(a, n * n, count, n * n, lu);
    const batch_mask bad = mand(not_finite(lu, n * n), first_lanes(count));
    const batch_mask singular = factor_lu<fixed>(lu, n, pivot, odd);
    batch result = odd;
    if (log_abs) {
        batch log_sum;
        for (ptrdiff_t i = 0; i < n; i++) {
            result = negated_where(vlt(lu[i * n + i], batch()), result);
            log_sum = log_sum + vlog(vabs(lu[i * n + i]));
        }
        store_each(vselect(singular, vset(-__builtin_inf()), log_sum), log_abs, count);
    } else {
        // A product that came near the ends of the range on its way may have lost digits there.
        batch_mask extreme = no_lanes();
        for (ptrdiff_t i = 0; i < n; i++) {
            result = result * lu[i * n + i];
            const batch size = vabs(result);
            extreme = mor(extreme,
                          mor(vlt(size, vset(0x1p-960)), mnot(vlt(size, vset(0x1p960)))));
        }
        extreme = mand(mand(extreme, mnot(singular)), first_lanes(count));
        if (__builtin_expect(many(extreme), 0))
            result = product_of_diagonal(extreme, odd, lu, n, result);
    }
    store_each(vselect(singular, batch(), result), sign, count);
    return many(bad) ? SMALL_NOT_FINITE : 0;
}

// sign = det(a), or with log_abs its sign, and log_abs = log |det(a)|: `count` matrices.
template <class T>
static int small_determinant(const T *a, T *sign, T *log_abs, ptrdiff_t n, ptrdiff_t count,
                             batch *scratch) {
    switch (n) {
    case 2: return determinant_as<T, 2>(a, sign, log_abs, n, count, scratch);
    case 3: return determinant_as<T, 3>(a, sign, log_abs, n, count, scratch);
    case 4: return determinant_as<T, 4>(a, sign, log_abs, n, count, scratch);
    default: return determinant_as<T, 0>(a, sign, log_abs, n, count, scratch);
    }
}

// ---- Cholesky ----

// out = L with a = L L^T, or with `upper` its transpose U with a = U^T U; the other triangle of a is
// not read, that of out is 0.
template <class T>
static int small_cholesky(const T *a, T *out, ptrdiff_t n, bool upper, ptrdiff_t count,
                          batch *scratch) {
    batch *l = scratch;
    load_block(a, n * n, count, n * n, l);
    const batch_mask bad = mand(not_finite(l, n * n), first_lanes(count));
    batch_mask good = first_lanes(count);
    if (upper) mirror_upper(l, n);
    for (ptrdiff_t k = 0; k < n; k++) {
        // Row k times itself and the rows below.
        batch *row = l + k * n;
        subtract_products_down(n - k, row + k, n, row, n, row, 1, k);
        good = mand(good, vgt(row[k], batch()));
        row[k] = vsqrt(row[k]);
        const reciprocal over(row[k]);
        for (ptrdiff_t i = k + 1; i < n; i++) l[i * n + k] = over(l[i * n + k]);
    }
    store_block(
        n, n,
        [=](ptrdiff_t i, ptrdiff_t j) {
            return upper ? (i > j ? batch() : l[j * n + i]) : (j > i ? batch() : l[i * n + j]);
        },
        out, n * n, count);
    const batch_mask indefinite = mand(first_lanes(count), mnot(mor(good, bad)));
    return (many(indefinite) ? SMALL_SINGULAR : 0) | (many(bad) ? SMALL_NOT_FINITE : 0);
}

}  // namespace fm

#endif
