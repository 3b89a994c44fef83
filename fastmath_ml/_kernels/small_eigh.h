// Eigenvalues and eigenvectors of a symmetric matrix in each lane (small_block.h).
//
// Householder tridiagonalisation, then the implicit QL iteration with Wilkinson's shift (Bowdler,
// Martin, Reinsch and Wilkinson, "The QR and QL algorithms for symmetric matrices", Numerische
// Mathematik 11, 1968). Cyclic Jacobi, the usual choice for small matrices, takes some 6 sweeps of
// 4 n^3 multiply-adds where this takes 4 n^3 in all.
//
// In the QL iteration all lanes work on the same eigenvalue until the slowest has it. Where a block
// begins (the first negligible off-diagonal element below) differs by lane: a lane joins a sweep at
// its own row and leaves it by a mask. Eigenvectors are kept in rows, so that a rotation runs over
// consecutive batches. Matrices are scaled to have their largest element in [1, 2), so nothing
// overflows, and what underflows is below 1e-140 of the norm.
#ifndef FASTMATH_ML_SMALL_EIGH_H
#define FASTMATH_ML_SMALL_EIGH_H

#include "small_qr.h"

namespace fm {

// The lower triangle of a (n x n) becomes tridiagonal: diagonal d, off-diagonal e[0 .. n - 2]. The
// reflections stay below the diagonal of a, their factors in tau[0 .. n - 2]. w: 2 n batches.
FM_INLINE void tridiagonalise(batch *a, ptrdiff_t n, batch *d, batch *e, batch *tau, batch *w) {
    batch *v = w + n;
    for (ptrdiff_t k = 0; k + 1 < n; k++) {
        const ptrdiff_t rest = n - k - 1;
        batch *column = a + (k + 1) * n + k, *corner = column + 1;
        for (ptrdiff_t i = 0; i < rest; i++) v[i] = column[i * n];
        const reflection made = make_reflection(v, 1, rest);
        d[k] = a[k * n + k];
        e[k] = made.beta;
        tau[k] = made.tau;
        v[0] = vset(1.0);
        for (ptrdiff_t i = 0; i < rest; i++) column[i * n] = v[i];
        // w = tau A v from the lower triangle, then w -= tau / 2 (w . v) v, then A -= v w^T + w v^T.
        for (ptrdiff_t i = 0; i < rest; i++) {
            const batch *row = corner + i * n;
            const batch v_i = v[i];
            batch sum;
            for (ptrdiff_t j = 0; j < i; j++) {
                sum = vmul_add(row[j], v[j], sum);
                w[j] = vmul_add(row[j], v_i, w[j]);
            }
            w[i] = vmul_add(row[i], v_i, sum);
        }
        batch dot;
        for (ptrdiff_t i = 0; i < rest; i++) {
            w[i] = w[i] * made.tau;
            dot = vmul_add(w[i], v[i], dot);
        }
        const batch half = vset(-0.5) * made.tau * dot;
        for (ptrdiff_t i = 0; i < rest; i++) w[i] = vmul_add(half, v[i], w[i]);
        for (ptrdiff_t i = 0; i < rest; i++) {
            batch *row = corner + i * n;
            const batch v_i = -v[i], w_i = -w[i];
            for (ptrdiff_t j = 0; j <= i; j++)
                row[j] = vmul_add(w_i, v[j], vmul_add(v_i, w[j], row[j]));
        }
    }
    d[n - 1] = a[n * n - 1];
    e[n - 1] = batch();
}

// z (n x n) = the transpose of the product of the reflections that tridiagonalise left in a.
FM_INLINE void form_basis(const batch *a, ptrdiff_t n, const batch *tau, batch *v, batch *z) {
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < n; j++) z[i * n + j] = vset(i == j ? 1.0 : 0.0);
    for (ptrdiff_t k = n - 3; k >= 0; k--) {
        const ptrdiff_t rest = n - k - 1;
        for (ptrdiff_t i = 0; i < rest; i++) v[i] = a[(k + 1 + i) * n + k];
        for (ptrdiff_t i = 0; i < rest; i++) {
            batch *row = z + (k + 1 + i) * n + k + 1, dot;
            for (ptrdiff_t j = 0; j < rest; j++) dot = vmul_add(v[j], row[j], dot);
            const batch factor = -(tau[k] * dot);
            for (ptrdiff_t j = 0; j < rest; j++) row[j] = vmul_add(factor, v[j], row[j]);
        }
    }
}

// (x, y) <- (c x - s y, s x + c y), row by row.
FM_INLINE void rotate_rows(batch c, batch s, batch *x, batch *y, ptrdiff_t length) {
    for (ptrdiff_t k = 0; k < length; k++) {
        const batch x_k = x[k], y_k = y[k];
        x[k] = vmul_add(c, x_k, -(s * y_k));
        y[k] = vmul_add(s, x_k, c * y_k);
    }
}

// Eigenvalues of the tridiagonal (d, e) into d; rows of z (unless null) become the eigenvectors.
// Returns the lanes that did not converge.
FM_INLINE batch_mask iterate_ql(ptrdiff_t n, batch *d, batch *e, batch *z) {
    const batch zero, one = vset(1.0), eps = vset(0x1p-52), floor = vset(0x1p-480);
    for (ptrdiff_t l = 0; l + 1 < n; l++) {
        for (int iteration = 0;; iteration++) {
            // The block ends at `last`, the first row below whose off-diagonal is negligible.
            batch last = vset(double(n - 1)), d_last = d[n - 1];
            ptrdiff_t end = n - 1;
            for (ptrdiff_t i = n - 2; i >= l; i--) {
                const batch size = vmul_add(eps, vabs(d[i]) + vabs(d[i + 1]), floor);
                const batch_mask negligible = vle(vabs(e[i]), size);
                last = vselect(negligible, vset(double(i)), last);
                d_last = vselect(negligible, d[i], d_last);
                if (mall(negligible)) end = i;
            }
            batch_mask active = vgt(last, vset(double(l)));
            if (!many(active)) break;
            if (iteration == 40) return active;
            // Wilkinson's shift. The divisor is not zero where it matters.
            const batch e_l = vselect(active, e[l], one);
            batch g = (d[l + 1] - d[l]) / (e_l + e_l);
            const batch_mask g_negative = vlt(g, zero);
            batch r = vsqrt(vmul_add(g, g, one));
            g = (d_last - d[l]) + e_l / (g + negated_where(g_negative, r));
            batch s = one, c = one, p;
            for (ptrdiff_t i = end - 1; i >= l; i--) {
                const batch at = vset(double(i));
                const batch_mask inside = mand(active, vgt(last, at));
                if (!many(inside)) continue;
                const batch f = s * e[i], b = c * e[i];
                const batch r_sq = vmul_add(f, f, g * g);
                // Both parts of the rotation vanish beside the norm: the matrix splits here.
                const batch_mask splits = mand(inside, vlt(r_sq, vset(0x1p-960)));
                r = vsqrt(r_sq);
                const batch_mask joins = veq(last, vset(double(i + 1)));
                const batch below = vselect(mor(joins, splits), zero, r);
                e[i + 1] = vselect(inside, below, e[i + 1]);
                const batch_mask turns = mand(inside, mnot(splits));
                const batch over = one / vselect(turns, r, one);
                const batch d_below = d[i + 1] - p;
                if (__builtin_expect(many(splits), 0)) {
                    d[i + 1] = vselect(splits, d_below, d[i + 1]);
                    active = mand(active, mnot(splits));
                }
                s = vselect(turns, f * over, s);
                c = vselect(turns, g * over, c);
                r = vmul_add(d[i] - d_below, s, (c + c) * b);
                p = vselect(turns, s * r, p);
                d[i + 1] = vselect(turns, d_below + p, d[i + 1]);
                g = vselect(turns, vmul_add(c, r, -b), g);
                if (z)
                    rotate_rows(vselect(turns, c, one), vselect(turns, s, zero), z + i * n,
                                z + (i + 1) * n, n);
            }
            d[l] = vselect(active, d[l] - p, d[l]);
            e[l] = vselect(active, g, e[l]);
        }
    }
    return no_lanes();
}

// Ascending d; rows of z (unless null) follow.
FM_INLINE void sort_eigenvalues(ptrdiff_t n, batch *d, batch *z) {
    for (ptrdiff_t k = 0; k + 1 < n; k++) {
        batch smallest = d[k], row = vset(double(k));
        for (ptrdiff_t i = k + 1; i < n; i++) {
            const batch_mask smaller = vlt(d[i], smallest);
            smallest = vselect(smaller, d[i], smallest);
            row = vselect(smaller, vset(double(i)), row);
        }
        for (ptrdiff_t i = k + 1; i < n; i++) {
            const batch_mask wanted = veq(row, vset(double(i)));
            if (!many(wanted)) continue;
            swap_rows_where(wanted, d + k, d + i, 1);
            if (z) swap_rows_where(wanted, z + k * n, z + i * n, n);
        }
    }
}

inline ptrdiff_t eigh_scratch(ptrdiff_t n) { return 2 * n * n + 5 * n + 2 * LANES; }

// Eigenvalues w (n, ascending) and, unless null, eigenvectors v (n x n, in columns) of `count`
// symmetric matrices, of which the lower (or upper) triangle is read. NaN where not finite.
template <class T>
static int small_eigh(const T *a, bool upper, T *w, T *v, ptrdiff_t n, ptrdiff_t count,
                      batch *scratch) {
    batch *x = scratch, *d = x + n * n + LANES, *e = d + n, *tau = e + n, *work = tau + n;
    batch *z = v ? work + 2 * n : nullptr;
    load_block(a, n * n, count, n * n, x);
    if (upper) mirror_upper(x, n);
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = i + 1; j < n; j++) x[i * n + j] = batch();
    batch_mask bad = mand(not_finite(x, n * n), first_lanes(count));
    int status = many(bad) ? SMALL_NOT_FINITE : 0;
    clear_where(bad, x, n * n);
    const batch scale = scale_to_one(x, n * n);
    tridiagonalise(x, n, d, e, tau, work);
    if (z) form_basis(x, n, tau, work, z);
    const batch_mask lost = mand(iterate_ql(n, d, e, z), first_lanes(count));
    if (many(lost)) status |= SMALL_NOT_CONVERGED;
    bad = mor(bad, lost);
    sort_eigenvalues(n, d, z);
    const batch nan = vset(__builtin_nan(""));
    const bool any_bad = status != 0;
    for (ptrdiff_t i = 0; i < n; i++) d[i] = vselect(bad, nan, one_zero(d[i] / scale));
    store_block(1, n, [=](ptrdiff_t, ptrdiff_t j) { return d[j]; }, w, n, count);
    if (!z) return status;
    if (any_bad)
        for (ptrdiff_t i = 0; i < n * n; i++) z[i] = vselect(bad, nan, z[i]);
    store_block(n, n, [=](ptrdiff_t i, ptrdiff_t j) { return one_zero(z[j * n + i]); }, v, n * n,
                count);
    return status;
}

}  // namespace fm

#endif
