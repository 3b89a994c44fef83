// Products whose operands lie by steps of the depth: C = A B with few columns, where the columns of
// A have unit stride (A is the transpose of a C-ordered matrix).
//
// A tile that goes down a long depth reads a few elements of each row of memory and comes back for
// the next few when the row has left the caches. Here the depth is cut into slices: all tiles of C
// take one slice while it is in L2, then the next one, which has been asked for meanwhile, row of
// memory by row. Nothing is packed. Between slices the sums lie in C, and those of later depth
// blocks beside it: every element is the same chain of multiply-adds as in other products.
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
};

template <class T> FM_ONE_COPY void multiply_slices(const sliced_product<T> &x) {
    const ptrdiff_t width = tile_cols(T{}), height = even_height(x.n_rows, tile_rows(T{}));
    const ptrdiff_t n_tiles = ceil_div(x.n_rows, height);
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
                for (ptrdiff_t col = 0; col < x.n_cols; col += width) {
                    tile.a = x.a + row + step * x.a_depth;
                    tile.b = tile.next = x.b + step * x.b_depth + col;
                    tile_product(rows, std::min(width, x.n_cols - col), tile,
                                 sums + row * sums_row + col, sums_row, step > block, resume());
                }
            }
        }
        if (beside)
            for (ptrdiff_t row = 0; row < x.n_rows; row++)
                add_array(x.c + row * x.c_row, x.sums + row * x.n_cols, x.n_cols);
    }
}

}  // namespace fm

#endif
