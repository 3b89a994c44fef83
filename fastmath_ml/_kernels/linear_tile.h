// activation(C + bias) behind a matrix product, on each tile as it is finished.
//
// The tile goes from its registers into C and is read back from the L1 cache: one function for each
// activation, where finishing in registers would take one for each activation, height and edge of
// the tile.
#ifndef FASTMATH_ML_LINEAR_TILE_H
#define FASTMATH_ML_LINEAR_TILE_H

#include "activations.h"
#include "tile.h"

namespace fm {

struct identity {
    template <class T> FM_INLINE vec<T> of(vec<T> x) { return x; }
};

// c[i, j] = activation(c[i, j] + bias[j]); bias may be null. C has unit column stride.
template <class T, class Activation>
void finish_rows(ptrdiff_t n_rows, ptrdiff_t n_cols, const void *bias, void *c, ptrdiff_t c_row) {
    const ptrdiff_t lanes = vlanes(T{});
    for (ptrdiff_t col = 0; col < n_cols; col += lanes) {
        const ptrdiff_t n = n_cols - col < lanes ? n_cols - col : lanes;
        const vec<T> shift =
            bias ? vload_partial(static_cast<const T *>(bias) + col, n) : vec<T>();
        T *at = static_cast<T *>(c) + col;
        if (n == lanes)
            for (ptrdiff_t row = 0; row < n_rows; row++, at += c_row)
                vstore(at, Activation::of(vload(at) + shift));
        else
            for (ptrdiff_t row = 0; row < n_rows; row++, at += c_row)
                vstore_partial(at, Activation::of(vload_partial(at, n) + shift), n);
    }
}

// The context of a linear_tile: `multiply` computes the tile (multiply_tile of blocks.pxd), so that
// this module has none of its own.
struct linear_context {
    void (*multiply)(ptrdiff_t, ptrdiff_t, const void *, void *, ptrdiff_t, int, ptrdiff_t);
    const void *bias;
};

// The finishing_tile of blocks.pxd.
template <class T, class Activation>
void linear_tile(ptrdiff_t rows, ptrdiff_t cols, const void *operands_of_tile, void *c,
                 ptrdiff_t c_row, int accumulate) {
    const operands<T> &x = *static_cast<const operands<T> *>(operands_of_tile);
    const linear_context &context = *static_cast<const linear_context *>(x.context);
    const T *bias = static_cast<const T *>(context.bias);
    context.multiply(rows, cols, &x, c, c_row, accumulate, sizeof(T));
    finish_rows<T, Activation>(rows, cols, bias ? bias + x.col : nullptr, c, c_row);
}

enum linear_activation {
    LINEAR_IDENTITY, LINEAR_RELU, LINEAR_GELU, LINEAR_SIGMOID, LINEAR_TANH, LINEAR_SILU
};

typedef void (*finishing_rows)(ptrdiff_t, ptrdiff_t, const void *, void *, ptrdiff_t);

struct linear_finish {
    void (*tile)(ptrdiff_t, ptrdiff_t, const void *, void *, ptrdiff_t, int);
    finishing_rows rows;
};

template <class T> linear_finish select_linear_finish(int activation, T) {
    switch (activation) {
    case LINEAR_RELU: return {linear_tile<T, relu>, finish_rows<T, relu>};
    case LINEAR_GELU: return {linear_tile<T, gelu>, finish_rows<T, gelu>};
    case LINEAR_SIGMOID: return {linear_tile<T, expit>, finish_rows<T, expit>};
    case LINEAR_TANH: return {linear_tile<T, tanh>, finish_rows<T, tanh>};
    case LINEAR_SILU: return {linear_tile<T, silu>, finish_rows<T, silu>};
    default: return {linear_tile<T, identity>, finish_rows<T, identity>};
    }
}

}  // namespace fm

#endif
