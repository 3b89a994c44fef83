// Y = A X for a symmetric A, of which one triangle is read, and a few vectors X.
//
// An element a_ij below the diagonal adds a_ij x_j to y_i and a_ij x_i to y_j while it is in a
// register: half of the memory, as much arithmetic. Lanes lie along the rows of A. Four rows meet
// two vectors at a time, over as many columns as let the parts of X and Y stay in L1.
#ifndef FASTMATH_ML_SYMMETRIC_H
#define FASTMATH_ML_SYMMETRIC_H

#include <algorithm>

#include "dots.h"

namespace fm {

template <class T> struct symmetric_product {
    ptrdiff_t n, n_vectors;     // an even number of vectors
    const T *a;                 // unit stride along the columns
    ptrdiff_t a_row;
    const T *x;                 // a vector in each row
    ptrdiff_t stride;           // from one vector to the next, of X and of Y
};

enum {
    SYMMETRIC_PANEL = 32,       // rows whose square on the diagonal is read whole
    SYMMETRIC_CHUNK = 64,       // vectors of a row whose products are added up in one chain
};

// y_rows += A[rows, :n] x[:n] and y[:n] += A[rows, :n]^T x_rows for two vectors, `stride` apart, n
// whole vectors of lanes. In `lines` rows from `next` on, as much is asked for as is read in one.
template <class T, int rows, int lines, int... i>
FM_ALWAYS_INLINE void mirrored_strip(const T *a, const T *next, ptrdiff_t a_row, ptrdiff_t n,
                                     const T *x, const T *x_rows, T *y, T *y_rows,
                                     ptrdiff_t stride, std::integer_sequence<int, i...>) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    typename vec<T>::native sum[2][rows] = {};
    const vec<T> factor[2][rows] = {{vset(x_rows[i])...}, {vset(x_rows[stride + i])...}};
    for (ptrdiff_t p = 0; p < n; p += lanes) {
#pragma GCC unroll 4
        for (int line = 0; line < lines; line++)
            __builtin_prefetch(next + line * a_row + p, 0, 2);
        const vec<T> element[rows] = {vload(a + i * a_row + p)...};
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            const vec<T> near = vload(x + j * stride + p);
            vec<T> mirrored = vload(y + j * stride + p);
            ((sum[j][i] = vmul_add(element[i], near, vec<T>(sum[j][i])).v,
              mirrored = vmul_add(element[i], factor[j][i], mirrored)),
             ...);
            vstore(y + j * stride + p, mirrored);
        }
    }
    vec<T> each[2 * rows] = {vec<T>(sum[0][i])..., vec<T>(sum[1][i])...};
    T sums[2 * rows + FASTMATH_ML_VECTOR_BYTES / sizeof(T)];
    vsum_each<T, 2 * rows>(each, sums);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++)
#pragma GCC unroll 4
        for (int row = 0; row < rows; row++) y_rows[j * stride + row] += sums[j * rows + row];
}
template <class T, int rows, int lines>
FM_ONE_COPY void add_mirrored(const T *a, const T *next, ptrdiff_t a_row, ptrdiff_t n, const T *x,
                              const T *x_rows, T *y, T *y_rows, ptrdiff_t stride) {
    mirrored_strip<T, rows, lines>(a, next, a_row, n, x, x_rows, y, y_rows, stride,
                                   std::make_integer_sequence<int, rows>{});
}

// Rows [row, end) of a panel, whose columns from the first row on are its own.
template <class T>
void add_diagonal(const symmetric_product<T> &p, ptrdiff_t first, ptrdiff_t end, T *y) {
    const lines_ahead none{0, false, false};
    for (ptrdiff_t v = 0; v < p.n_vectors; v += 2)
        for (ptrdiff_t row = first; row < end; row += dot_rows(2)) {
            const ptrdiff_t rows = std::min(dot_rows(2), end - row);
            double total[2][4] = {};
            add_dots(rows, 2, p.a + row * p.a_row + first, p.a_row, p.x + v * p.stride + first,
                     p.stride, end - first, none, total[0], 4);
            for (ptrdiff_t j = 0; j < 2; j++)
                for (ptrdiff_t i = 0; i < rows; i++)
                    y[(v + j) * p.stride + row + i] += T(total[j][i]);
        }
}

// Y += what the rows [begin, end) of the lower triangle say; begin is a multiple of the panel's
// height. Blocks of a panel stay in L2 while pairs of vectors pass over them, and ask for the next
// block meanwhile, each pair for an equal part.
template <class T>
void add_symmetric_rows(const symmetric_product<T> &p, ptrdiff_t begin, ptrdiff_t end, T *y) {
    constexpr ptrdiff_t chunk = SYMMETRIC_CHUNK * vlanes(T{});
    const ptrdiff_t lines = p.n_vectors <= 2 ? 4 : p.n_vectors <= 6 ? 2 : 1;
    const auto bring = lines == 4   ? add_mirrored<T, 4, 4>
                       : lines == 2 ? add_mirrored<T, 4, 2>
                                    : add_mirrored<T, 4, 1>;
    for (ptrdiff_t first = begin; first < end; first += SYMMETRIC_PANEL) {
        const ptrdiff_t panel_end = std::min<ptrdiff_t>(first + SYMMETRIC_PANEL, end);
        for (ptrdiff_t col = 0; col < first; col += chunk) {
            const ptrdiff_t n = std::min(chunk, first - col);
            const bool is_last = col + chunk >= first;
            const ptrdiff_t rows_left = std::min<ptrdiff_t>(SYMMETRIC_PANEL, p.n - panel_end);
            const ptrdiff_t next = is_last ? rows_left * p.a_row - col : chunk;
            for (ptrdiff_t v = 0, asked = 0; v < p.n_vectors; v += 2, asked += lines) {
                const T *const x = p.x + v * p.stride;
                T *const to = y + v * p.stride;
                for (ptrdiff_t row = first, rows; row < panel_end; row += rows) {
                    rows = panel_end - row < 4 ? 1 : 4;
                    const T *const a = p.a + row * p.a_row + col;
                    const auto add = rows == 1   ? add_mirrored<T, 1, 0>
                                     : asked < 4 ? bring
                                                 : add_mirrored<T, 4, 0>;
                    add(a, a + asked * p.a_row + next, p.a_row, n, x + col, x + row, to + col,
                        to + row, p.stride);
                }
            }
        }
        add_diagonal(p, first, panel_end, y);
    }
}

}  // namespace fm

#endif
