// Dots of the columns of tall matrices, whose columns are contiguous.
#ifndef FASTMATH_ML_TALL_H
#define FASTMATH_ML_TALL_H

#include <algorithm>

#include "dots.h"

namespace fm {

// z[i * n_b + j] += column i of A . column j of B, n elements each. The lines `ahead` of those of A
// come into L2.
template <class T>
FM_ONE_COPY void add_column_dots(const T *a, ptrdiff_t a_column, ptrdiff_t n_a, const T *b,
                                 ptrdiff_t b_column, ptrdiff_t n_b, ptrdiff_t n,
                                 const lines_ahead &ahead, T *z) {
    for (ptrdiff_t i = 0; i < n_a; i += 4) {
        const ptrdiff_t rows = std::min<ptrdiff_t>(4, n_a - i);
        for (ptrdiff_t j = 0, vectors; j < n_b; j += vectors) {
            vectors = n_b - j >= 4 ? 4 : n_b - j >= 2 ? 2 : 1;
            double total[4][4] = {};
            add_dots(rows, vectors, a + i * a_column, a_column, b + j * b_column, b_column, n,
                     j ? lines_ahead{} : ahead, total[0], 4);
            for (ptrdiff_t v = 0; v < vectors; v++)
                for (ptrdiff_t row = 0; row < rows; row++)
                    z[(i + row) * n_b + j + v] += T(total[v][row]);
        }
    }
}

}  // namespace fm

#endif
