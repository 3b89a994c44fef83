// Symmetric matrices to tridiagonal form and back, on the calling thread: LAPACK's routines wake the BLAS
// threads from an order of about 90 on, which then spin for 100 ms on the CPUs that our products need.
//
// Householder's reduction with one sweep over the matrix in each step: a row takes the rank two update of
// the step before and meets the next step's reflector while it is in registers, so that the matrix is
// read and written once a step and not read twice and written once. Both triangles are kept: half of
// the arithmetic would be saved, but every row would have to be added to as a column as well.
#ifndef FASTMATH_ML_TRIDIAGONAL_H
#define FASTMATH_ML_TRIDIAGONAL_H

#include <algorithm>
#include <cmath>

#include "simd.h"

namespace fm {

FM_INLINE double short_dot(const double *x, const double *y, ptrdiff_t n) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / 8;
    vec<double> even, odd;
    ptrdiff_t i = 0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
        even = vmul_add(vload(x + i), vload(y + i), even);
        odd = vmul_add(vload(x + i + lanes), vload(y + i + lanes), odd);
    }
    for (; i < n; i += lanes) {
        const ptrdiff_t count = std::min(lanes, n - i);
        even = vmul_add(vload_partial(x + i, count), vload_partial(y + i, count), even);
    }
    return vsum(even + odd);
}

// H = 1 - tau v v^T with H x = (beta, 0, ...) and v[0] = 1; x becomes v. tau = 0 where there is nothing
// to do: what is left counts as nothing where its squares have lost bits, below 10^-145 in a matrix
// whose largest element is about 1.
inline double make_reflector(double *x, ptrdiff_t n, double *beta) {
    const double rest = n > 1 ? short_dot(x + 1, x + 1, n - 1) : 0, alpha = x[0];
    *beta = alpha;
    x[0] = 1;
    if (rest < 1e-290) return 0;
    *beta = -std::copysign(std::sqrt(alpha * alpha + rest), alpha);
    const double factor = 1 / (alpha - *beta);
    for (ptrdiff_t i = 1; i < n; i++) x[i] *= factor;
    return (*beta - alpha) / *beta;
}

// `count` rows, at most 4: a_r -= v[r] w + w[r] v, and their products with `next`.
template <int count>
FM_INLINE void update_rows(double *a, ptrdiff_t stride, const double *v_rows, const double *w_rows,
                           const double *v, const double *w, const double *next, ptrdiff_t n,
                           double *products) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / 8;
    vec<double> sums[count], v_row[count], w_row[count];
    for (int r = 0; r < count; r++) {
        v_row[r] = vset(-v_rows[r]);
        w_row[r] = vset(-w_rows[r]);
    }
    ptrdiff_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        const vec<double> v_i = vload(v + i), w_i = vload(w + i), next_i = vload(next + i);
        for (int r = 0; r < count; r++) {
            const vec<double> element =
                vmul_add(v_row[r], w_i, vmul_add(w_row[r], v_i, vload(a + r * stride + i)));
            vstore(a + r * stride + i, element);
            sums[r] = vmul_add(element, next_i, sums[r]);
        }
    }
    if (const ptrdiff_t last = n - i; last > 0) {
        const vec<double> v_i = vload_partial(v + i, last), w_i = vload_partial(w + i, last);
        const vec<double> next_i = vload_partial(next + i, last);
        for (int r = 0; r < count; r++) {
            double *const at = a + r * stride + i;
            const vec<double> element =
                vmul_add(v_row[r], w_i, vmul_add(w_row[r], v_i, vload_partial(at, last)));
            vstore_partial(at, element, last);
            sums[r] = vmul_add(element, next_i, sums[r]);
        }
    }
    for (int r = 0; r < count; r++) products[r] = vsum(sums[r]);
}

// A (n x n, C order, both triangles) = Q T Q^T, Q = H_0 H_1 ..., T by its diagonal and what is beside it.
// Row j of A holds the reflector H_j from column j + 1 on. work: 2 n numbers.
inline void reduce_to_tridiagonal(double *a, ptrdiff_t n, double *diagonal, double *beside,
                                  double *tau, double *work) {
    double *const w = work, *const product = work + n;  // by row of A
    if (n == 0) return;
    diagonal[0] = a[0];
    if (n == 1) return;
    tau[0] = make_reflector(a + 1, n - 1, beside);
    for (ptrdiff_t i = 1; i < n; i++) product[i] = short_dot(a + i * n + 1, a + 1, n - 1);
    for (ptrdiff_t j = 0; j + 1 < n; j++) {
        // A -= v w^T + w v^T behind row j, v from row j, and the product with the next v.
        const double *const v = a + j * n;
        const ptrdiff_t first = j + 1, left = n - first;
        const double half =
            tau[j] / 2 * short_dot(product + first, v + first, left);
        for (ptrdiff_t i = first; i < n; i++) w[i] = tau[j] * (product[i] - half * v[i]);
        double *row = a + first * n;
        for (ptrdiff_t i = first; i < n; i++) row[i] -= v[first] * w[i] + w[first] * v[i];
        diagonal[first] = row[first];
        if (left == 1) break;
        double *const next = row + first + 1;
        tau[first] = make_reflector(next, left - 1, beside + first);
        const ptrdiff_t from = first + 1;
        ptrdiff_t i = from;
        for (; i + 4 <= n; i += 4)
            update_rows<4>(a + i * n + from, n, v + i, w + i, v + from, w + from, next, n - from,
                           product + i);
        for (; i < n; i++)
            update_rows<1>(a + i * n + from, n, v + i, w + i, v + from, w + from, next, n - from,
                           product + i);
    }
}

// `vectors` vectors of columns of Z <- Q Z, contiguous: row i of them at z + i * vectors * lanes.
template <int vectors>
FM_INLINE void reflect_columns(const double *a, ptrdiff_t n, const double *tau, double *z) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / 8;
    for (ptrdiff_t j = n - 2; j-- > 0;) {
        const double *const v = a + j * n;
        vec<double> sums[vectors];
        for (ptrdiff_t i = j + 1; i < n; i++)
            for (int k = 0; k < vectors; k++)
                sums[k] = vmul_add(vset(v[i]), vload(z + (i * vectors + k) * lanes), sums[k]);
        for (int k = 0; k < vectors; k++) sums[k] = sums[k] * vset(-tau[j]);
        for (ptrdiff_t i = j + 1; i < n; i++)
            for (int k = 0; k < vectors; k++) {
                double *const to = z + (i * vectors + k) * lanes;
                vstore(to, vmul_add(vset(v[i]), sums[k], vload(to)));
            }
    }
}

// Columns [first, end) of Z <- Q Z, for a C-ordered n x n matrix Z, copied side by side into `strip`
// (n * reflected_columns numbers): rows a power of two apart would evict each other.
constexpr ptrdiff_t reflected_columns = 2 * FASTMATH_ML_VECTOR_BYTES / 8;
inline void apply_reflectors(const double *a, ptrdiff_t n, const double *tau, double *z,
                             ptrdiff_t first, ptrdiff_t end, double *strip) {
    for (; first < end; first += reflected_columns) {
        const ptrdiff_t count = std::min(reflected_columns, end - first);
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t k = 0; k < reflected_columns; k++)
                strip[i * reflected_columns + k] = k < count ? z[i * n + first + k] : 0;
        reflect_columns<2>(a, n, tau, strip);
        for (ptrdiff_t i = 0; i < n; i++)
            std::copy_n(strip + i * reflected_columns, count, z + i * n + first);
    }
}

}  // namespace fm

#endif
