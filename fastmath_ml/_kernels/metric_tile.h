// The tile of the metrics of metrics.h: a block of pairs whose sums live in vector registers.
//
// A tile is `rows` rows of X against two vectors of rows of Y. Y is packed as for a product (panels
// of tile_cols columns, features down), so that each lane holds a row of Y; for every feature two
// vectors of Y meet a broadcast of each row's element of X. With 8 rows, 11 loads feed 16 pairs of
// vectors, each of which costs two to four instructions: the loads hide behind the arithmetic.
//
// Sums of more than metric_block features are made block by block and joined, so that no chain of
// additions is long. Where the blocks lie depends on nothing but the feature: a pair's distance is
// the same whatever tile holds it.
//
// There are two heights, the full one and 1. A lower tile runs as the full one on rows of zeros:
// distances of fewer than eight rows are no case to have six more functions for.
#ifndef FASTMATH_ML_METRIC_TILE_H
#define FASTMATH_ML_METRIC_TILE_H

#include "metrics.h"

namespace fm {

constexpr ptrdiff_t metric_block = 128;
constexpr int metric_vectors = 2;

struct metric_operands {
    ptrdiff_t depth;
    const void *x;       // row i, feature p at x[p * x_depth + i], i < the height of the tile
    ptrdiff_t x_depth;
    const void *y;       // feature p, column j at y[p * metric_cols + j]
    const void *weights; // of the features; not read where the metric has none
    void *sums;          // of the features before; n_sums x height x metric_cols, or null
    bool from_zero;      // there are no features before
    bool goes_on;        // there are features behind: nothing is written but the sums
    bool as_surrogate;
    metric_options options;
};

// Writes rows x cols distances (or surrogates), out_row elements from row to row.
typedef void (*metric_function)(ptrdiff_t rows, ptrdiff_t cols, const metric_operands &x, void *out,
                                ptrdiff_t out_row);

struct metric_tiles {
    metric_function full, single; // for up to `height` rows, for one
    ptrdiff_t height;
    ptrdiff_t n_sums;
};

template <class T> FM_INLINE constexpr ptrdiff_t metric_cols(T) {
    return metric_vectors * vlanes(T{});
}

template <class Metric> constexpr int metric_height() {
#if FASTMATH_ML_VECTOR_BYTES == 64 || defined(__aarch64__)
    return Metric::is_heavy ? 2 : 8 / Metric::n_sums;
#else
    return Metric::is_heavy ? 1 : 4 / Metric::n_sums;
#endif
}

template <class T, class Metric, int height>
void metric_tile(ptrdiff_t rows, ptrdiff_t cols, const metric_operands &operands, void *to,
                 ptrdiff_t out_row) {
    constexpr int vectors = metric_vectors, n_sums = Metric::n_sums;
    const ptrdiff_t lanes = vlanes(T{});
    const T *x = static_cast<const T *>(operands.x), *y = static_cast<const T *>(operands.y);
    const T *weight = static_cast<const T *>(operands.weights);
    T *sums = static_cast<T *>(operands.sums);
    const vec<T> p_vector = vset(T(operands.options.p));
    // The lines to be written come while the sums are made: few features take less time than they.
#pragma GCC unroll 8
    for (int i = 0; i < height; i++) {
        const T *out = static_cast<T *>(to) + i * out_row;
        __builtin_prefetch(out, 1);
        __builtin_prefetch(out + lanes, 1);
    }
    vec<T> total[height][vectors][n_sums];
    if (!operands.from_zero)
        for (int i = 0; i < height * vectors * n_sums; i++)
            (&total[0][0][0])[i] = vload(sums + i * lanes);
    for (ptrdiff_t first = 0; first < operands.depth; first += metric_block) {
        vec<T> part[height][vectors][n_sums];
        const ptrdiff_t steps =
            operands.depth - first < metric_block ? operands.depth - first : metric_block;
        for (ptrdiff_t p = 0; p < steps; p++) {
            const vec<T> w = Metric::is_weighted ? vset(*weight) : vec<T>();
            vec<T> columns[vectors];
#pragma GCC unroll 2
            for (int j = 0; j < vectors; j++) columns[j] = vload(y + j * lanes);
#pragma GCC unroll 8
            for (int i = 0; i < height; i++) {
                const vec<T> element = vset(x[i]);
#pragma GCC unroll 2
                for (int j = 0; j < vectors; j++)
                    Metric::add(part[i][j], element, columns[j], w, p_vector);
            }
            x += operands.x_depth;
            y += vectors * lanes;
            if (Metric::is_weighted) weight++;
        }
#pragma GCC unroll 8
        for (int i = 0; i < height; i++)
#pragma GCC unroll 2
            for (int j = 0; j < vectors; j++) Metric::join(total[i][j], part[i][j]);
    }
    if (operands.goes_on) {
        for (int i = 0; i < height * vectors * n_sums; i++)
            vstore(sums + i * lanes, (&total[0][0][0])[i]);
        return;
    }
#pragma GCC unroll 1
    for (ptrdiff_t i = 0; i < rows; i++)
#pragma GCC unroll 1
        for (ptrdiff_t j = 0; j < cols; j += lanes) {
            vec<T> element = Metric::surrogate(total[i][j / lanes], operands.options);
            if (Metric::corrects && !operands.as_surrogate)
                element = Metric::correct(element, operands.options);
            T *out = static_cast<T *>(to) + i * out_row + j;
            if (cols - j >= lanes)
                vstore(out, element);
            else
                vstore_partial(out, element, cols - j);
        }
}

// The metrics by their numbers, for callers that are not templates. The surrogate of EUCLIDEAN is the
// squared distance.
enum metric_kind {
    CITYBLOCK, CHEBYSHEV, CANBERRA, BRAYCURTIS, EUCLIDEAN, MINKOWSKI, MINKOWSKI_3, HAMMING,
    JENSENSHANNON, NAN_EUCLIDEAN
};

template <class T, class Metric> FM_INLINE metric_tiles tiles_of() {
    constexpr int height = metric_height<Metric>();
    return {metric_tile<T, Metric, height>, metric_tile<T, Metric, 1>, height, Metric::n_sums};
}

template <class T> FM_INLINE metric_tiles select_metric(int kind, T) noexcept {
    switch (kind) {
    case CITYBLOCK: return tiles_of<T, cityblock>();
    case CHEBYSHEV: return tiles_of<T, chebyshev>();
    case CANBERRA: return tiles_of<T, canberra>();
    case BRAYCURTIS: return tiles_of<T, braycurtis>();
    case EUCLIDEAN: return tiles_of<T, euclidean>();
    case MINKOWSKI: return tiles_of<T, minkowski>();
    case MINKOWSKI_3: return tiles_of<T, minkowski_3>();
    case HAMMING: return tiles_of<T, hamming>();
    case NAN_EUCLIDEAN: return tiles_of<T, nan_euclidean>();
    default: return tiles_of<T, jensenshannon>();
    }
}

}  // namespace fm

#endif
