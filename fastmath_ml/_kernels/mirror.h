// The other half of a symmetric matrix: a block right of the diagonal is copied to its place left of it.
#ifndef FASTMATH_ML_MIRROR_H
#define FASTMATH_ML_MIRROR_H

#include "transpose.h"

namespace fm {

// c[j, i] = c[i, j] for first_row <= i < end_row, first_col <= j < end_col, i < j.
template <class T>
void mirror_block(T *c, ptrdiff_t c_row, ptrdiff_t first_row, ptrdiff_t end_row,
                  ptrdiff_t first_col, ptrdiff_t end_col) {
    const ptrdiff_t lanes = vlanes(T{}), line = 64 / ptrdiff_t(sizeof(T));
    // Down the rows within a few columns, so that the lines of c left of the diagonal fill up while
    // they are in the L1 cache.
    for (ptrdiff_t col = std::max(first_col, first_row); col < end_col; col += lanes) {
        const ptrdiff_t cols = std::min(lanes, end_col - col), above = std::min(end_row, col);
        for (ptrdiff_t i = col + cols; i < std::min(col + 2 * cols, end_col); i++)
            for (ptrdiff_t row = first_row; row < above; row += line)
                __builtin_prefetch(c + i * c_row + row, 1);
        for (ptrdiff_t row = first_row; row < above; row += 2 * lanes)
            pack_panel(std::min(2 * lanes, above - row), cols, c + row * c_row + col, c_row,
                       ptrdiff_t(1), static_cast<const T *>(nullptr), c + col * c_row + row, c_row,
                       false);
        for (ptrdiff_t i = col; i < std::min(col + cols, end_row); i++)
            for (ptrdiff_t j = i + 1; j < col + cols; j++) c[j * c_row + i] = c[i * c_row + j];
    }
}

}  // namespace fm

#endif
