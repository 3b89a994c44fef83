// Householder reflections and QR for a matrix in each lane (small_block.h).
//
// H = I - tau v v^T with v[0] = 1, chosen as LAPACK's larfg does: H x = beta e_0 with beta of the sign
// opposite to x[0], and H = I where x[1:] is zero. x is scaled by a power of two first, so that no
// square overflows or vanishes: a tiny column gets as orthogonal a reflection as any other.
#ifndef FASTMATH_ML_SMALL_QR_H
#define FASTMATH_ML_SMALL_QR_H

#include "small_block.h"

namespace fm {

struct reflection {
    batch beta, tau;
};

// Replaces x[1:] by v[1:]; x[0] stays. Elements are `stride` batches apart.
FM_INLINE reflection make_reflection(batch *x, ptrdiff_t stride, ptrdiff_t length) {
    batch largest = vabs(x[0]), sum_sq;
    for (ptrdiff_t i = 1; i < length; i++) largest = vmax_fast(largest, vabs(x[i * stride]));
    const batch scale = inverse_power(largest), first = x[0] * scale;
    for (ptrdiff_t i = 1; i < length; i++) {
        const batch scaled = x[i * stride] * scale;
        sum_sq = vmul_add(scaled, scaled, sum_sq);
    }
    const batch_mask none = veq(sum_sq, batch());
    const batch norm = vsqrt(vmul_add(first, first, sum_sq));
    const batch beta = vselect(vlt(first, batch()), norm, -norm);
    const batch over = vset(1.0) / vselect(none, vset(1.0), first - beta);
    for (ptrdiff_t i = 1; i < length; i++)
        x[i * stride] = vselect(none, batch(), x[i * stride] * scale * over);
    reflection made;
    made.tau = vselect(none, batch(), (beta - first) / vselect(none, vset(1.0), beta));
    made.beta = vselect(none, x[0], beta / scale);
    return made;
}

// rows [0, length) of a: a -= tau v (v^T a) for n_cols columns; v[0] = 1, v[i] = v[i * stride].
// `products` holds n_cols batches.
FM_INLINE void reflect_rows(const batch *v, ptrdiff_t stride, batch tau, ptrdiff_t length, batch *a,
                            ptrdiff_t a_stride, ptrdiff_t n_cols, batch *products) {
    for (ptrdiff_t j = 0; j < n_cols; j++) products[j] = a[j];
    for (ptrdiff_t i = 1; i < length; i++) {
        const batch factor = v[i * stride], *row = a + i * a_stride;
        for (ptrdiff_t j = 0; j < n_cols; j++) products[j] = vmul_add(factor, row[j], products[j]);
    }
    for (ptrdiff_t j = 0; j < n_cols; j++) {
        products[j] = -(tau * products[j]);
        a[j] = a[j] + products[j];
    }
    for (ptrdiff_t i = 1; i < length; i++) {
        const batch factor = v[i * stride];
        batch *row = a + i * a_stride;
        for (ptrdiff_t j = 0; j < n_cols; j++) row[j] = vmul_add(factor, products[j], row[j]);
    }
}

inline ptrdiff_t qr_scratch(ptrdiff_t n_rows, ptrdiff_t n_cols) {
    return n_rows * n_cols + n_rows * n_rows + n_rows + 2 * n_cols + 2 * LANES;
}

// a (n_rows x n_cols) = Q R with k = min(n_rows, n_cols) reflections.
//   raw:  h (n_cols x n_rows) = the factored matrix transposed, tau (k), as LAPACK leaves them
//   else: r (q_cols x n_cols, upper trapezoidal) and, unless null, q (n_rows x q_cols)
// Any output may be null.
template <class T>
static int small_qr(const T *a, T *q, T *r, T *h, T *tau_out, ptrdiff_t n_rows, ptrdiff_t n_cols,
                    ptrdiff_t q_cols, ptrdiff_t count, batch *scratch) {
    const ptrdiff_t size = n_rows * n_cols, k = n_rows < n_cols ? n_rows : n_cols;
    batch *f = scratch, *tau = f + size + LANES, *products = tau + k;
    batch *basis = products + (n_rows > n_cols ? n_rows : n_cols);
    load_block(a, size, count, size, f);
    const batch_mask bad = mand(not_finite(f, size), first_lanes(count));
    clear_where(bad, f, size);
    for (ptrdiff_t p = 0; p < k; p++) {
        batch *column = f + p * n_cols + p;
        const reflection made = make_reflection(column, n_cols, n_rows - p);
        tau[p] = made.tau;
        reflect_rows(column, n_cols, made.tau, n_rows - p, column + 1, n_cols, n_cols - p - 1,
                     products);
        column[0] = made.beta;
    }
    if (h) {
        store_block(n_cols, n_rows, [=](ptrdiff_t i, ptrdiff_t j) { return f[j * n_cols + i]; }, h,
                    size, count);
        store_block(1, k, [=](ptrdiff_t, ptrdiff_t j) { return tau[j]; }, tau_out, k, count);
    }
    if (r)
        store_block(q_cols, n_cols,
                    [=](ptrdiff_t i, ptrdiff_t j) { return i > j ? batch() : f[i * n_cols + j]; },
                    r, q_cols * n_cols, count);
    if (q) {
        // Q = H_0 ... H_(k-1) times the first columns of I, from the last reflection to the first:
        // H_p changes nothing above and left of (p, p).
        for (ptrdiff_t i = 0; i < n_rows; i++)
            for (ptrdiff_t j = 0; j < q_cols; j++)
                basis[i * q_cols + j] = vset(i == j ? 1.0 : 0.0);
        for (ptrdiff_t p = k - 1; p >= 0; p--)
            reflect_rows(f + p * n_cols + p, n_cols, tau[p], n_rows - p, basis + p * q_cols + p,
                         q_cols, q_cols - p, products);
        store_block(n_rows, q_cols,
                    [=](ptrdiff_t i, ptrdiff_t j) { return basis[i * q_cols + j]; }, q,
                    n_rows * q_cols, count);
    }
    return many(bad) ? SMALL_NOT_FINITE : 0;
}

}  // namespace fm

#endif
