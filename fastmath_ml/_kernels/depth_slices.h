// Products whose operands lie by steps of the depth: C = A B with few columns, where the columns of
// A have unit stride (A is the transpose of a C-ordered matrix), and C = A A^T of few rows.
//
// A tile that goes down a long depth reads a few elements of each row of memory and comes back for
// the next few when the row has left the caches. Here the depth is cut into slices: all tiles of C
// take one slice while it is in L2, then the next one, which has been asked for meanwhile, row of
// memory by row. A slice of A A^T stays in L1, where it is both operands. Nothing is packed. Between
// slices the sums lie in C, and those of later depth blocks beside it: every element is the same
// chain of multiply-adds as in other products.
#ifndef FASTMATH_ML_DEPTH_SLICES_H
#define FASTMATH_ML_DEPTH_SLICES_H

#include <algorithm>

#include "sums.h"
#include "tile.h"

namespace fm {

template <class T> struct sliced_product {
    ptrdiff_t n_rows, n_cols, depth, depth_block;
    ptrdiff_t steps;     // of a slice
    const T *a;          // element (i, p) of A at a[i + p * a_depth]
    ptrdiff_t a_depth;
    const T *b;          // element (p, j) of B at b[p * b_depth + j]
    ptrdiff_t b_depth;
    T *c;
    ptrdiff_t c_row;
    T *sums;             // room for n_rows x n_cols, where there is more than one depth block
    bool accumulate;     // C += in place of C =; then there must be room for sums
    ptrdiff_t diagonal;  // the column where row 0 meets the diagonal of a symmetric C, of which
                         // the half right of it is computed; negative: all of C is
};

// The first column of a row that is computed, a whole number of vectors.
template <class T> FM_INLINE ptrdiff_t first_col(const sliced_product<T> &x, ptrdiff_t row) {
    return x.diagonal < 0 ? 0 : (x.diagonal + row) / vlanes(T{}) * vlanes(T{});
}

// C += sums
template <class T> FM_INLINE void add_sums(const sliced_product<T> &x) {
    for (ptrdiff_t row = 0; row < x.n_rows; row++) {
        const ptrdiff_t col = first_col(x, row);
        add_array(x.c + row * x.c_row + col, x.sums + row * x.n_cols + col, x.n_cols - col);
    }
}

template <class T> FM_ONE_COPY void multiply_slices(const sliced_product<T> &x) {
    const ptrdiff_t max_height = tile_rows(T{}), width = tile_cols(T{}), lanes = vlanes(T{});
    // Low tiles leave out more of what is left of the diagonal.
    const ptrdiff_t run = x.diagonal >= 0 && lanes >= 8 && max_height > 8 ? lanes : x.n_rows;
    const ptrdiff_t tiles_of_run = (run + max_height - 1) / max_height;
    const ptrdiff_t height = (run + tiles_of_run - 1) / tiles_of_run;
    const ptrdiff_t n_tiles = (x.n_rows + height - 1) / height;
    operands<T> tile;
    tile.a_row = 1;
    tile.a_depth = x.a_depth;
    tile.b_depth = x.b_depth;
    for (ptrdiff_t block = 0; block < x.depth; block += x.depth_block) {
        const ptrdiff_t block_end = std::min(block + x.depth_block, x.depth);
        const bool beside = block || x.accumulate;
        T *const sums = beside ? x.sums : x.c;
        const ptrdiff_t sums_row = beside ? x.n_cols : x.c_row;
        for (ptrdiff_t step = block; step < block_end; step += x.steps) {
            tile.depth = std::min(x.steps, block_end - step);
            const ptrdiff_t after = step + tile.depth;
            const ptrdiff_t n_after = std::min(x.steps, x.depth - after);
            for (ptrdiff_t at = 0, row = 0; row < x.n_rows; at++, row += height) {
                const ptrdiff_t rows = std::min(height, x.n_rows - row);
                for (ptrdiff_t q = at * n_after / n_tiles; q < (at + 1) * n_after / n_tiles; q++)
                    for (ptrdiff_t i = 0; i < x.n_rows; i += 64 / ptrdiff_t(sizeof(T)))
                        __builtin_prefetch(x.a + (after + q) * x.a_depth + i, 0, 2);
                for (ptrdiff_t col = first_col(x, row); col < x.n_cols; col += width) {
                    tile.a = x.a + row + step * x.a_depth;
                    tile.b = tile.next = x.b + step * x.b_depth + col;
                    tile_product(rows, std::min(width, x.n_cols - col), tile,
                                 sums + row * sums_row + col, sums_row, step > block, resume());
                }
            }
        }
        if (beside) add_sums(x);
    }
}

}  // namespace fm

#endif
