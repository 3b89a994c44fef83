// Histograms, and the least and the largest element.
#ifndef FASTMATH_ML_HISTOGRAMS_H
#define FASTMATH_ML_HISTOGRAMS_H

#include "simd.h"

#include <math.h>
#include <string.h>

namespace fm {

// Where the bins are equally wide but for rounding, `low` and `high` are the bounds of each bin,
// and of one bin more, for what is outside: -inf and NaN, which let nothing out of it. high of the
// last bin is inf.
struct binning {
    ptrdiff_t itemsize, n_bins, n;
    const void *x, *edges; // n_bins + 1
    const void *low, *high; // n_bins + 1 or null
    const double *weights; // or null
};

// counts (int64, or double where there are weights) += the elements begin to end.
template <class T>
void bin_items(const binning &b, ptrdiff_t begin, ptrdiff_t end, int64_t *counts) {
    constexpr ptrdiff_t block = 256, few = 512;
    const T *x = static_cast<const T *>(b.x), *edges = static_cast<const T *>(b.edges);
    const T *low = static_cast<const T *>(b.low), *high = static_cast<const T *>(b.high);
    const T first = edges[0], last = edges[b.n_bins], top = T(b.n_bins - 1);
    const T scale = T(b.n_bins) / (last - first);
    const int32_t nowhere = int32_t(b.n_bins);
    double *sums = reinterpret_cast<double *>(counts);
    int32_t at[block];
    // Several counters for a bin: an increment waits for the one before it.
    uint32_t own[4 * (few + 1)];
    const bool in_own = b.n_bins <= few && !b.weights;
    if (in_own) memset(own, 0, sizeof own);
    for (; begin < end; begin += block) {
        const ptrdiff_t n = end - begin < block ? end - begin : block;
        const T *values = x + begin;
        if (low) {
            for (ptrdiff_t i = 0; i < n; i++) {
                T place = (values[i] - first) * scale;
                place = place > 0 ? place : T(0);
                place = place < top ? place : top;
                const bool inside = values[i] >= first && values[i] <= last;
                at[i] = inside ? int32_t(place) : nowhere;
            }
            // The guess may be off by one, since edges are rounded; the edges decide.
            for (ptrdiff_t i = 0; i < n; i++) {
                const int32_t bin = at[i] - (values[i] < low[at[i]]);
                at[i] = bin + (values[i] >= high[bin]);
            }
        } else {
            for (ptrdiff_t i = 0; i < n; i++) {
                const T value = values[i];
                const T *base = edges;
                for (ptrdiff_t size = b.n_bins + 1; size > 1;) {
                    const ptrdiff_t half = size / 2;
                    base = base[half] <= value ? base + half : base;
                    size -= half;
                }
                const int32_t bin = int32_t(base - edges);
                const bool inside = value >= first && value <= last;
                at[i] = inside ? (bin < nowhere ? bin : nowhere - 1) : nowhere;
            }
        }
        if (b.weights) {
            for (ptrdiff_t i = 0; i < n; i++)
                if (at[i] < nowhere) sums[at[i]] += b.weights[begin + i];
        } else if (in_own) {
            ptrdiff_t i = 0;
            for (; i + 4 <= n; i += 4)
                for (int j = 0; j < 4; j++) own[4 * at[i + j] + j]++;
            for (; i < n; i++) own[4 * at[i]]++;
        } else {
            for (ptrdiff_t i = 0; i < n; i++)
                if (at[i] < nowhere) counts[at[i]]++;
        }
    }
    for (ptrdiff_t i = 0; in_own && i < b.n_bins; i++)
        for (int j = 0; j < 4; j++) counts[i] += own[4 * i + j];
}

// The least and the largest element; NaN where there is one.
template <class T> void extent(const T *x, ptrdiff_t n, T &least, T &largest) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    vec<T> low[4], high[4];
    for (int k = 0; k < 4; k++) low[k] = high[k] = vset(x[0]);
    mask<T> bad{};
    ptrdiff_t i = 0;
    for (; i + 4 * lanes <= n; i += 4 * lanes)
        for (int k = 0; k < 4; k++) {
            const vec<T> value = vload(x + i + k * lanes);
            low[k] = vmin_fast(value, low[k]);
            high[k] = vmax_fast(value, high[k]);
            bad = mor(bad, visnan(value));
        }
    const vec<T> l = vmin_fast(vmin_fast(low[0], low[1]), vmin_fast(low[2], low[3]));
    const vec<T> h = vmax_fast(vmax_fast(high[0], high[1]), vmax_fast(high[2], high[3]));
    least = vreduce_min(l), largest = vreduce_max(h);
    bool has_nan = many(bad) || x[0] != x[0];
    for (; i < n; i++) {
        has_nan |= x[i] != x[i];
        least = x[i] < least ? x[i] : least;
        largest = x[i] > largest ? x[i] : largest;
    }
    if (has_nan) least = largest = T(NAN);
}

}  // namespace fm

#endif
