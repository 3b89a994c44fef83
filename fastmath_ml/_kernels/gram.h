// Symmetric products of few columns and many rows: C = X^T X, or (X - shift)^T (X - shift).
//
// A block of rows is packed once, in panels as wide as a tile; they are both operands, and should
// stay in L2. Full tiles ask for some of the next block meanwhile. The shift is subtracted
// as the rows are packed, and costs nothing but that.
#ifndef FASTMATH_ML_GRAM_H
#define FASTMATH_ML_GRAM_H

#include <algorithm>

#include "tile.h"
#include "wide_sums.h"

namespace fm {

template <class T> struct gram_product {
    ptrdiff_t n;                    // rows and columns of C: it is computed right of the diagonal
    ptrdiff_t depth, depth_block;
    const void *x;
    bool from_float;                // x is of floats, whatever T is
    ptrdiff_t x_row;                // from one row of x, a step of the depth, to the next
    const T *shift;                 // n numbers, or NULL where x is of T
    double *sums;                   // += the sums of the columns of x - shift, where there is one;
                                    // room for whole vectors
    T *packed;                      // room for depth_block rows of whole panels
    T *c;
    ptrdiff_t c_row;
    bool accumulate;                // C += in place of C =
};

// `rows` rows into panels, `panel` elements from one to the next; their sums are added up in T and
// then in double.
template <bool shifted, int rows, class X, class T>
FM_INLINE void pack_gram_rows(const gram_product<T> &g, const X *x, T *to, ptrdiff_t panel) {
    constexpr ptrdiff_t lanes = vlanes(T{}), vectors = tile_cols(T{}) / lanes;
    for (ptrdiff_t col = 0; col < g.n; col += lanes) {
        const ptrdiff_t n = std::min(lanes, g.n - col), at = col / lanes;
        T *const out = to + at / vectors * panel + at % vectors * lanes;
        vec<T> by, sum;
        if (shifted) by = n == lanes ? vload(g.shift + col) : vload_partial(g.shift + col, n);
#pragma GCC unroll 4
        for (int row = 0; row < rows; row++) {
            const X *from = x + row * g.x_row + col;
            vec<T> value = load_as(T{}, from, n);
            if (shifted) value = value - by, sum = sum + value;
            vstore(out + row * tile_cols(T{}), value);
        }
        if (shifted) add_to(g.sums + col, sum);
    }
}
template <bool shifted, class X, class T>
FM_INLINE void pack_gram_block(const gram_product<T> &g, ptrdiff_t first, ptrdiff_t depth) {
    const ptrdiff_t width = tile_cols(T{}), panel = depth * width;
    const X *x = static_cast<const X *>(g.x) + first * g.x_row;
    ptrdiff_t step = 0;
    for (; step + 4 <= depth; step += 4)
        pack_gram_rows<shifted, 4>(g, x + step * g.x_row, g.packed + step * width, panel);
    for (; step < depth; step++)
        pack_gram_rows<shifted, 1>(g, x + step * g.x_row, g.packed + step * width, panel);
}

template <class T>
FM_INLINE void pack_gram(const gram_product<T> &g, ptrdiff_t first, ptrdiff_t depth) {
    if (g.shift && g.from_float)
        pack_gram_block<true, float>(g, first, depth);
    else if (g.shift)
        pack_gram_block<true, T>(g, first, depth);
    else
        pack_gram_block<false, T>(g, first, depth);
}

template <class T> FM_ONE_COPY void multiply_gram(const gram_product<T> &g) {
    const ptrdiff_t width = tile_cols(T{}), lanes = vlanes(T{});
    const ptrdiff_t height = even_height(width, tile_rows(T{}));
    const ptrdiff_t x_size = g.from_float ? sizeof(float) : sizeof(T);
    const bool in_place = g.n <= width && !g.shift;     // x is a panel as it is
    operands<T> tile;
    tile.a_row = 1;
    tile.a_depth = tile.b_depth = in_place ? g.x_row : width;
    for (ptrdiff_t block = 0; block < g.depth; block += g.depth_block) {
        tile.depth = std::min(g.depth_block, g.depth - block);
        const char *x = static_cast<const char *>(g.x) + block * g.x_row * x_size;
        const T *panels = in_place ? reinterpret_cast<const T *>(x) : g.packed;
        if (!in_place) pack_gram(g, block, tile.depth);
        // Full tiles ask for the next block, unless there are gaps between its rows.
        tile.next = panels;
        if (g.x_row == g.n)
            tile.next = reinterpret_cast<const T *>(x + tile.depth * g.x_row * x_size);
        for (ptrdiff_t run = 0; run < g.n; run += width) {
            const ptrdiff_t run_end = std::min(run + width, g.n);
            for (ptrdiff_t row = run; row < run_end; row += height) {
                const ptrdiff_t rows = std::min(height, run_end - row);
                tile.a = panels + run * tile.depth + row - run;
                // What is left of the diagonal by whole vectors is left out.
                ptrdiff_t col = run + (row - run) / lanes * lanes, end;
                for (ptrdiff_t edge = run + width; col < g.n; col = end, edge += width) {
                    end = std::min(edge, g.n);
                    tile.b = panels + (edge - width) * tile.depth + col - (edge - width);
                    tile_product(rows, end - col, tile, g.c + row * g.c_row + col, g.c_row,
                                 g.accumulate || block, keep());
                    tile.next += lines_asked(rows, end - col, tile) * (64 / ptrdiff_t(sizeof(T)));
                }
            }
        }
    }
}

}  // namespace fm

#endif
