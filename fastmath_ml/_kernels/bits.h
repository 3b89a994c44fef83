// Distances of rows of bits. All of them are functions of four numbers: the features, the ones of
// either row, and the ones that they share, which alone depend on the pair: and, popcount, add, for
// 64 features at a time.
#ifndef FASTMATH_ML_BITS_H
#define FASTMATH_ML_BITS_H

#include <stddef.h>
#include <stdint.h>

namespace fm {

enum bit_metric { DICE, BIT_HAMMING, JACCARD, ROGERSTANIMOTO, RUSSELLRAO, SOKALSNEATH, YULE };

static inline int64_t ones_of(const uint64_t *words, ptrdiff_t n_words) {
    int64_t ones = 0;
    for (ptrdiff_t w = 0; w < n_words; w++) ones += __builtin_popcountll(words[w]);
    return ones;
}

// both[i][j] = ones that rows i of x and j of y share, for 4 x 2 rows (of which each may be given
// several times, at an edge).
static inline void shared_ones(const uint64_t *const x[4], const uint64_t *const y[2],
                               ptrdiff_t n_words, int64_t both[4][2]) {
    int64_t sum[4][2] = {};
    for (ptrdiff_t w = 0; w < n_words; w++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 2; j++) sum[i][j] += __builtin_popcountll(x[i][w] & y[j][w]);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 2; j++) both[i][j] = sum[i][j];
}

// 0 / 0 is NaN where the definition leaves it open.
template <int metric, class T>
static inline T bit_distance(double both, double x, double y, double n) {
    const double differ = x + y - 2 * both;
    if (metric == DICE) return T(differ / (x + y));
    if (metric == BIT_HAMMING) return T(differ / n);
    if (metric == JACCARD) return T(differ == 0 ? 0 : differ / (x + y - both));
    if (metric == ROGERSTANIMOTO) return T(2 * differ / (n + differ));
    if (metric == RUSSELLRAO) return T((n - both) / n);
    if (metric == SOKALSNEATH) return T(2 * differ / (both + 2 * differ));
    const double half = (x - both) * (y - both);
    return T(half == 0 ? 0 : 2 * half / (both * (n - x - y + both) + half));
}

template <int metric, class T>
static void bit_rows(ptrdiff_t begin, ptrdiff_t end, const uint64_t *x, const int64_t *x_ones,
                     const uint64_t *y, const int64_t *y_ones, ptrdiff_t n_cols, ptrdiff_t n_words,
                     double n_features, T *out) {
    for (ptrdiff_t row = begin; row < end; row += 4)
        for (ptrdiff_t col = 0; col < n_cols; col += 2) {
            const uint64_t *x_rows[4], *y_rows[2];
            int64_t both[4][2];
            for (int i = 0; i < 4; i++) x_rows[i] = x + (row + i < end ? row + i : row) * n_words;
            for (int j = 0; j < 2; j++)
                y_rows[j] = y + (col + j < n_cols ? col + j : col) * n_words;
            shared_ones(x_rows, y_rows, n_words, both);
            for (ptrdiff_t i = row; i < end && i < row + 4; i++)
                for (ptrdiff_t j = col; j < n_cols && j < col + 2; j++)
                    out[i * n_cols + j] =
                        bit_distance<metric, T>(double(both[i - row][j - col]), double(x_ones[i]),
                                                double(y_ones[j]), n_features);
        }
}

// Rows [begin, end) of the matrix.
template <class T>
static void bit_distances(int metric, ptrdiff_t begin, ptrdiff_t end, const uint64_t *x,
                          const int64_t *x_ones, const uint64_t *y, const int64_t *y_ones,
                          ptrdiff_t n_cols, ptrdiff_t n_words, double n_features, T *out) {
#define FM_BIT_METRIC(name)                                                                        \
    case name:                                                                                     \
        bit_rows<name>(begin, end, x, x_ones, y, y_ones, n_cols, n_words, n_features, out);        \
        break
    switch (metric) {
        FM_BIT_METRIC(DICE);
        FM_BIT_METRIC(BIT_HAMMING);
        FM_BIT_METRIC(JACCARD);
        FM_BIT_METRIC(ROGERSTANIMOTO);
        FM_BIT_METRIC(RUSSELLRAO);
        FM_BIT_METRIC(SOKALSNEATH);
        FM_BIT_METRIC(YULE);
    }
#undef FM_BIT_METRIC
}

}  // namespace fm

#endif
