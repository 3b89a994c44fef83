// Singular value decomposition of a matrix in each lane (small_block.h): one-sided Jacobi.
//
// Rotations J from the left make the rows of W (the matrix, or its transpose where it is tall)
// orthogonal: J W = diag(s) V, so W = J^T diag(s) V. Each rotation also exchanges the rows where the
// second is the longer one (de Rijk, SIAM J. Sci. Stat. Comput. 10, 1989), by the same multiply-adds
// with other coefficients: this halves the sweeps of ill-conditioned matrices and leaves the singular
// values in descending order. Rows are orthogonal relative to their own lengths, so that small
// singular values keep the relative accuracy that the input has (Demmel and Veselic, SIAM J. Matrix
// Anal. Appl. 13, 1992).
//
// W and J lie side by side in rows of `width` batches: one loop rotates both.
#ifndef FASTMATH_ML_SMALL_SVD_H
#define FASTMATH_ML_SMALL_SVD_H

#include "small_block.h"

namespace fm {

// Below this a squared length has lost digits to underflow. The largest element is about 1.
constexpr double SVD_ZERO_SQ = 0x1p-900;

struct products {
    batch xx, xy, yy;
};

// x . x, x . y and y . y; two sums each to hide the latency.
FM_INLINE products row_products(const batch *x, const batch *y, ptrdiff_t length) {
    products even, odd;
    ptrdiff_t k = 0;
    for (; k + 2 <= length; k += 2) {
        even.xx = vmul_add(x[k], x[k], even.xx);
        even.xy = vmul_add(x[k], y[k], even.xy);
        even.yy = vmul_add(y[k], y[k], even.yy);
        odd.xx = vmul_add(x[k + 1], x[k + 1], odd.xx);
        odd.xy = vmul_add(x[k + 1], y[k + 1], odd.xy);
        odd.yy = vmul_add(y[k + 1], y[k + 1], odd.yy);
    }
    if (k < length) {
        even.xx = vmul_add(x[k], x[k], even.xx);
        even.xy = vmul_add(x[k], y[k], even.xy);
        even.yy = vmul_add(y[k], y[k], even.yy);
    }
    even.xx = even.xx + odd.xx;
    even.xy = even.xy + odd.xy;
    even.yy = even.yy + odd.yy;
    return even;
}

// Makes rows 0 .. n_rows - 1 of w orthogonal over their first n_cols batches, longest first, and
// gives their squared lengths. Returns the lanes that did not converge.
FM_INLINE batch_mask orthogonalise_rows(batch *w, ptrdiff_t n_rows, ptrdiff_t n_cols,
                                        ptrdiff_t width, batch *length_sq) {
    const batch zero, one = vset(1.0);
    // Rounding of a product of two unit rows: beyond it a rotation turns noise.
    const batch tolerance = vset(0x1p-52 * __builtin_sqrt(double(n_cols)));
    batch_mask turned = no_lanes();
    for (int sweep = 0; sweep < 40; sweep++) {
        turned = no_lanes();
        for (ptrdiff_t i = 0; i + 1 < n_rows; i++)
            for (ptrdiff_t j = i + 1; j < n_rows; j++) {
                batch *x = w + i * width, *y = w + j * width;
                const products of = row_products(x, y, n_cols);
                const batch bound = tolerance * vsqrt(of.xx) * vsqrt(of.yy);
                // Rows too short to be judged are as good as zero.
                const batch_mask alive = mand(vgt(of.xx, vset(SVD_ZERO_SQ)),
                                              vgt(of.yy, vset(SVD_ZERO_SQ)));
                const batch_mask turns = mand(alive, vgt(vabs(of.xy), bound));
                const batch_mask swaps = vlt(of.xx, of.yy);
                const batch_mask moves = mor(turns, swaps);
                if (!many(moves)) continue;
                turned = mor(turned, moves);
                // tan of the smaller angle: t^2 + 2 zeta t - 1 = 0.
                const batch zeta = (of.yy - of.xx) / vselect(turns, of.xy + of.xy, one);
                const batch size = vabs(zeta);
                const batch root = vselect(vgt(size, vset(0x1p500)), size,
                                           vsqrt(vmul_add(size, size, one)));
                const batch t = vselect(turns, negated_where(vlt(zeta, zero), one / (size + root)),
                                        zero);
                const batch c = one / vsqrt(vmul_add(t, t, one)), s = c * t;
                const batch x_of_x = vselect(swaps, s, c), x_of_y = vselect(swaps, c, -s);
                const batch y_of_x = vselect(swaps, c, s), y_of_y = vselect(swaps, -s, c);
                for (ptrdiff_t k = 0; k < width; k++) {
                    const batch x_k = x[k], y_k = y[k];
                    x[k] = vmul_add(x_of_x, x_k, x_of_y * y_k);
                    y[k] = vmul_add(y_of_x, x_k, y_of_y * y_k);
                }
            }
        if (!many(turned)) break;
    }
    for (ptrdiff_t i = 0; i < n_rows; i++)
        length_sq[i] = row_products(w + i * width, w + i * width, n_cols).xx;
    return turned;
}

// Orthonormal vectors number known .. wanted - 1 beside those before them. Each starts as the unit
// vector that is farthest from the span of those before.
template <class T>
static void complete_basis(T *x, ptrdiff_t vector_stride, ptrdiff_t stride, ptrdiff_t known,
                           ptrdiff_t wanted, ptrdiff_t length) {
    double rest[SMALL];
    for (; known < wanted; known++) {
        ptrdiff_t best = 0;
        double least = 2;
        for (ptrdiff_t k = 0; k < length; k++) {
            double within = 0;
            for (ptrdiff_t i = 0; i < known; i++) {
                const double value = x[i * vector_stride + k * stride];
                within += value * value;
            }
            if (within < least) {
                least = within;
                best = k;
            }
        }
        for (ptrdiff_t k = 0; k < length; k++) rest[k] = k == best;
        for (int pass = 0; pass < 2; pass++)
            for (ptrdiff_t i = 0; i < known; i++) {
                const T *vector = x + i * vector_stride;
                double dot = 0;
                for (ptrdiff_t k = 0; k < length; k++) dot += rest[k] * vector[k * stride];
                for (ptrdiff_t k = 0; k < length; k++) rest[k] -= dot * vector[k * stride];
            }
        double sum_sq = 0;
        for (ptrdiff_t k = 0; k < length; k++) sum_sq += rest[k] * rest[k];
        const double over = 1 / __builtin_sqrt(sum_sq);
        for (ptrdiff_t k = 0; k < length; k++)
            x[known * vector_stride + k * stride] = T(rest[k] * over);
    }
}

inline ptrdiff_t svd_scratch(ptrdiff_t n_rows, ptrdiff_t n_cols) {
    const ptrdiff_t k = n_rows < n_cols ? n_rows : n_cols;
    return n_rows * n_cols + k * (n_rows + n_cols + 2) + 2 * LANES;
}
inline ptrdiff_t lstsq_scratch(ptrdiff_t n_rows, ptrdiff_t n_cols, ptrdiff_t n_rhs) {
    return svd_scratch(n_rows, n_cols) + (n_rows + n_cols) * n_rhs + n_rhs + LANES;
}

struct small_factors {
    ptrdiff_t k, length, width;  // singular values; columns of W; of W and J
    bool tall;
    batch *w, *s;                // rows of W (orthonormal, 0 where s is 0) and J; the singular values
    batch scale;                 // of the matrix that is left at the start of the scratch memory
    batch_mask bad, deficient;
    int status;
};

// The decomposition of `count` matrices; s is 0 below 1e-135 of the largest and NaN where bad.
template <class T>
FM_INLINE small_factors small_factorise(const T *a, ptrdiff_t n_rows, ptrdiff_t n_cols,
                                        bool with_vectors, ptrdiff_t count, batch *scratch) {
    small_factors f;
    const ptrdiff_t size = n_rows * n_cols;
    f.tall = n_rows > n_cols;
    f.k = f.tall ? n_cols : n_rows;
    f.length = f.tall ? n_rows : n_cols;
    f.width = f.length + (with_vectors ? f.k : 0);
    batch *x = scratch;
    f.w = x + size + LANES;
    f.s = f.w + f.k * f.width;
    load_block(a, size, count, size, x);
    f.bad = mand(not_finite(x, size), first_lanes(count));
    f.status = many(f.bad) ? SMALL_NOT_FINITE : 0;
    clear_where(f.bad, x, size);
    const batch scale = f.scale = scale_to_one(x, size);
    for (ptrdiff_t i = 0; i < f.k; i++) {
        batch *row = f.w + i * f.width;
        for (ptrdiff_t j = 0; j < f.length; j++)
            row[j] = f.tall ? x[j * n_cols + i] : x[i * n_cols + j];
        for (ptrdiff_t j = f.length; j < f.width; j++)
            row[j] = vset(j - f.length == i ? 1.0 : 0.0);
    }
    const batch_mask lost =
        mand(orthogonalise_rows(f.w, f.k, f.length, f.width, f.s), first_lanes(count));
    if (many(lost)) f.status |= SMALL_NOT_CONVERGED;
    f.bad = mor(f.bad, lost);
    f.deficient = no_lanes();
    const batch nan = vset(__builtin_nan(""));
    for (ptrdiff_t i = 0; i < f.k; i++) {
        batch *row = f.w + i * f.width;
        const batch_mask none = mnot(vgt(f.s[i], vset(SVD_ZERO_SQ)));
        f.deficient = mor(f.deficient, none);
        const batch length = vsqrt(f.s[i]);
        f.s[i] = vselect(f.bad, nan, vselect(none, batch(), length / scale));
        if (!with_vectors) continue;
        const batch over = vselect(none, batch(), vset(1.0) / length);
        for (ptrdiff_t j = 0; j < f.length; j++) row[j] = row[j] * over;
    }
    return f;
}

// Singular values s (k = min(n_rows, n_cols), descending) and, unless null, u (n_rows x u_cols, in
// columns) and vh (vh_rows x n_cols, in rows), u_cols and vh_rows being k or n_rows and n_cols.
template <class T>
static int small_svd(const T *a, T *u, T *s, T *vh, ptrdiff_t n_rows, ptrdiff_t n_cols, bool full,
                     ptrdiff_t count, batch *scratch) {
    const small_factors f =
        small_factorise(a, n_rows, n_cols, u != nullptr, count, scratch);
    const ptrdiff_t k = f.k, width = f.width;
    const batch *values = f.s;
    store_block(1, k, [=](ptrdiff_t, ptrdiff_t j) { return values[j]; }, s, k, count);
    if (!u) return f.status;
    const ptrdiff_t u_cols = full ? n_rows : k, vh_rows = full ? n_cols : k;
    const ptrdiff_t u_size = n_rows * u_cols, vh_size = vh_rows * n_cols;
    const batch *left = f.w + (f.tall ? 0 : f.length), *right = f.w + (f.tall ? f.length : 0);
    store_block(
        n_rows, u_cols,
        [=](ptrdiff_t i, ptrdiff_t j) { return j < k ? one_zero(left[j * width + i]) : batch(); },
        u, u_size, count);
    store_block(
        vh_rows, n_cols,
        [=](ptrdiff_t i, ptrdiff_t j) { return i < k ? one_zero(right[i * width + j]) : batch(); },
        vh, vh_size, count);
    const ptrdiff_t wanted = full ? f.length : k;
    const uint64_t deficient = mbits(f.deficient);
    if (!deficient && wanted == k) return f.status;
    for (ptrdiff_t lane = 0; lane < count; lane++) {
        if (!(deficient >> lane & 1) && wanted == k) continue;
        ptrdiff_t known = k;
        while (known > 0 && !(s[lane * k + known - 1] > 0)) known--;
        if (f.tall)
            complete_basis(u + lane * u_size, 1, u_cols, known, wanted, n_rows);
        else
            complete_basis(vh + lane * vh_size, n_cols, 1, known, wanted, n_cols);
    }
    return f.status;
}

// out (n_cols x n_rows) = the pseudo-inverse of a, singular values up to rcond times the largest
// taken for zero.
template <class T>
static int small_pinv(const T *a, T *out, ptrdiff_t n_rows, ptrdiff_t n_cols, double rcond,
                      ptrdiff_t count, batch *scratch) {
    const small_factors f = small_factorise(a, n_rows, n_cols, true, count, scratch);
    const batch *left = f.w + (f.tall ? 0 : f.length), *right = f.w + (f.tall ? f.length : 0);
    const batch cutoff = vset(rcond) * f.s[0];
    batch *x = scratch;
    for (ptrdiff_t i = 0; i < n_rows * n_cols; i++) x[i] = batch();
    for (ptrdiff_t p = 0; p < f.k; p++) {
        const batch_mask large = vgt(f.s[p], cutoff);
        const batch over = vselect(large, vset(1.0) / f.s[p], batch());
        for (ptrdiff_t i = 0; i < n_cols; i++) {
            const batch factor = right[p * f.width + i] * over;
            for (ptrdiff_t j = 0; j < n_rows; j++)
                x[i * n_rows + j] = vmul_add(factor, left[p * f.width + j], x[i * n_rows + j]);
        }
    }
    const batch_mask bad = f.bad;
    const batch nan = vset(__builtin_nan(""));
    store_block(n_cols, n_rows,
                [=](ptrdiff_t i, ptrdiff_t j) { return vselect(bad, nan, x[i * n_rows + j]); }, out,
                n_rows * n_cols, count);
    return f.status;
}

// x (n_cols x n_rhs) = the solution of least |a x - b| and least |x|; s as for small_svd; rank: the
// number of singular values above rcond times the largest; residual_sq (n_rhs): |a x - b|^2.
template <class T>
static int small_lstsq(const T *a, const T *b, T *x, T *residual_sq, T *rank, T *s,
                       ptrdiff_t n_rows, ptrdiff_t n_cols, ptrdiff_t n_rhs, double rcond,
                       ptrdiff_t count, batch *scratch) {
    const small_factors f = small_factorise(a, n_rows, n_cols, true, count, scratch);
    const batch *left = f.w + (f.tall ? 0 : f.length), *right = f.w + (f.tall ? f.length : 0);
    const batch cutoff = vset(rcond) * f.s[0], *values = f.s;
    batch *solution = scratch + svd_scratch(n_rows, n_cols);
    batch *dots = solution + n_cols * n_rhs, *rhs = dots + n_rhs, n_large;
    load_block(b, n_rows * n_rhs, count, n_rows * n_rhs, rhs);
    for (ptrdiff_t i = 0; i < n_cols * n_rhs; i++) solution[i] = batch();
    for (ptrdiff_t p = 0; p < f.k; p++) {
        const batch_mask large = vgt(f.s[p], cutoff);
        const batch over = vselect(large, vset(1.0) / f.s[p], batch());
        n_large = n_large + vselect(large, vset(1.0), batch());
        for (ptrdiff_t r = 0; r < n_rhs; r++) dots[r] = batch();
        for (ptrdiff_t i = 0; i < n_rows; i++)
            for (ptrdiff_t r = 0; r < n_rhs; r++)
                dots[r] = vmul_add(left[p * f.width + i], rhs[i * n_rhs + r], dots[r]);
        for (ptrdiff_t r = 0; r < n_rhs; r++) dots[r] = dots[r] * over;
        for (ptrdiff_t i = 0; i < n_cols; i++)
            for (ptrdiff_t r = 0; r < n_rhs; r++)
                solution[i * n_rhs + r] =
                    vmul_add(right[p * f.width + i], dots[r], solution[i * n_rhs + r]);
    }
    for (ptrdiff_t r = 0; r < n_rhs; r++) {
        dots[r] = batch();
        for (ptrdiff_t i = 0; i < n_rows; i++) {
            batch rest = rhs[i * n_rhs + r];
            for (ptrdiff_t j = 0; j < n_cols; j++)
                rest = vmul_add(-(scratch[i * n_cols + j] / f.scale), solution[j * n_rhs + r], rest);
            dots[r] = vmul_add(rest, rest, dots[r]);
        }
    }
    store_block(n_cols, n_rhs, [=](ptrdiff_t i, ptrdiff_t r) { return solution[i * n_rhs + r]; }, x,
                n_cols * n_rhs, count);
    store_block(1, n_rhs, [=](ptrdiff_t, ptrdiff_t r) { return dots[r]; }, residual_sq, n_rhs,
                count);
    store_block(1, f.k, [=](ptrdiff_t, ptrdiff_t j) { return values[j]; }, s, f.k, count);
    store_each(n_large, rank, count);
    return f.status;
}

}  // namespace fm

#endif
