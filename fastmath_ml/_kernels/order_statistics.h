// Order statistics by quickselect and sifting.
//
// In a long line the element of rank k is found in one pass over memory: a sample, at places that a
// fixed generator gives, brackets it; the pass counts what lies below the bracket and keeps what
// lies in it, a few percent, among which quickselect finishes. What is found is exact whatever the
// sample was; where the bracket misses, the counts say on which side to go on. NaN fails every
// comparison and so is neither counted nor kept; ranks are among the other elements.
#ifndef FASTMATH_ML_ORDER_STATISTICS_H
#define FASTMATH_ML_ORDER_STATISTICS_H

#include "transpose.h"

#include <algorithm>
#include <limits>
#include <math.h>

namespace fm {

constexpr ptrdiff_t SLACK = 16;            // elements that may be written beyond what is kept
constexpr ptrdiff_t SIFTED_LINE = 1 << 15; // shorter lines are in the cache for `pick`
constexpr ptrdiff_t MOST_SAMPLES = 16384;  // of a huge line

template <class T> FM_INLINE T infinity(T) { return std::numeric_limits<T>::infinity(); }

// The chosen lanes side by side, `out` on, where a whole vector may be written; how many.
template <class T> FM_INLINE ptrdiff_t compress(T *out, vec<T> x, mask<T> chosen) {
    const uint64_t bits = mbits(chosen);
#if FM_X86 == 64
    // In a register: the instruction that stores straight to memory is slow on some CPUs.
    if constexpr (sizeof(T) == 4)
        _mm512_storeu_ps(out, _mm512_maskz_compress_ps(__mmask16(bits), x.v));
    else
        _mm512_storeu_pd(out, _mm512_maskz_compress_pd(__mmask8(bits), x.v));
    return __builtin_popcountll(bits);
#else
    constexpr ptrdiff_t lanes = vlanes(T{});
    T all[lanes];
    vstore(all, x);
    ptrdiff_t kept = 0;
    for (ptrdiff_t i = 0; i < lanes; i++) {
        out[kept] = all[i];
        kept += bits >> i & 1;
    }
    return kept;
#endif
}

struct sifted {
    ptrdiff_t below = 0, kept = 0;
    bool has_nan = false;
};

// Appends the elements from low to high to out, which holds `capacity` and SLACK more.
template <class T>
__attribute__((noinline)) void sift(const T *x, ptrdiff_t n, T low, T high, T *out,
                                    ptrdiff_t capacity, sifted &found) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    const vec<T> least = vset(low), most = vset(high);
    ptrdiff_t below = found.below, kept = found.kept, i = 0;
    mask<T> any_nan{};
    for (; i + lanes <= n; i += lanes) {
        const vec<T> value = vload(x + i);
        any_nan = mor(any_nan, visnan(value));
        below += __builtin_popcountll(mbits(vlt(value, least)));
        const mask<T> inside = mand(vge(value, least), vle(value, most));
        if (!many(inside)) continue;
        kept += kept < capacity ? compress(out + kept, value, inside)
                                : __builtin_popcountll(mbits(inside));
    }
    found.has_nan |= many(any_nan);
    for (; i < n; i++) {
        found.has_nan |= x[i] != x[i];
        below += x[i] < low;
        if (!(x[i] >= low && x[i] <= high)) continue;
        if (kept < capacity) out[kept] = x[i];
        kept++;
    }
    found.below = below, found.kept = kept;
}

// The elements that are not NaN, to the front of `out`; how many.
template <class T> ptrdiff_t numbers_of(const T *x, ptrdiff_t n, T *out) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    ptrdiff_t kept = 0, i = 0;
    for (; i + lanes <= n; i += lanes) {
        const vec<T> value = vload(x + i);
        kept += compress(out + kept, value, vle(value, value));
    }
    for (; i < n; i++) {
        out[kept] = x[i];
        kept += x[i] == x[i];
    }
    return kept;
}

// Where an element is looked for: between low and high, of which `before` are less than low and
// `count` lie there.
template <class T> struct search_range {
    T low, high;
    ptrdiff_t before, count;
};

// A bracket for rank k in the range; `samples` is memory for MOST_SAMPLES. False where too few
// elements of the sample lie in the range.
template <class T>
bool bracket(const T *x, ptrdiff_t n, ptrdiff_t n_samples, uint64_t seed, ptrdiff_t k,
             const search_range<T> &range, T *samples, T &low, T &high) {
    ptrdiff_t m = 0;
    uint64_t state = seed * 2654435769u + 12345;
    for (ptrdiff_t i = 0; i < n_samples; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const T value = x[ptrdiff_t((state >> 32) * uint64_t(n) >> 32)];
        samples[m] = value;
        m += value >= range.low && value <= range.high;
    }
    if (m < 32) return false;
    const double share = double(k - range.before) / double(range.count);
    const double at = share * double(m), margin = 3 * sqrt(at * (1 - share)) + 2;
    const ptrdiff_t first = ptrdiff_t(at - margin), last = ptrdiff_t(at + margin + 1);
    low = range.low, high = range.high;
    if (last < m) {
        std::nth_element(samples, samples + last, samples + m);
        high = samples[last];
        m = last;
    }
    if (first > 0 && first < m) {
        std::nth_element(samples, samples + first, samples + m);
        low = samples[first];
    }
    return true;
}

// Those of m elements that are less than the pivot, or greater, to the front; how many. NaN follow.
template <bool greater, class T> ptrdiff_t keep_side(T *x, ptrdiff_t m, T pivot) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    const vec<T> p = vset(pivot);
    ptrdiff_t kept = 0;
    for (ptrdiff_t i = 0; i < m; i += lanes) {
        const vec<T> value = vload(x + i);
        kept += compress(x + kept, value, greater ? vgt(value, p) : vlt(value, p));
    }
    vstore(x + kept, vset(T(NAN)));
    return kept;
}

// Ranks k and k + 1 of m numbers, where with_next says that there is such a one; the numbers, and
// SLACK behind them, are overwritten. Quickselect, whose passes keep the side of the pivot that is
// looked for without a branch for each element: 201 floats take 0.25 us with AVX-512 and 0.8 with
// AVX2, std::nth_element 3. -0 comes out as 0: which of them stands at a rank is chance.
template <class T>
void pick(T *x, ptrdiff_t m, ptrdiff_t k, bool with_next, T &first, T &next) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    uint64_t state = 12345;
    T above = infinity(T{}); // the least of those that lie above all that are left
    vstore(x + m, vset(T(NAN)));
    for (;;) {
        T a, b, c;
        for (T *of : {&a, &b, &c}) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            *of = x[ptrdiff_t((state >> 32) * uint64_t(m) >> 32)];
        }
        const T low = a < b ? a : b, high = a < b ? b : a;
        const T pivot = c < low ? low : c < high ? c : high;
        ptrdiff_t below = 0, up_to = 0;
        const vec<T> p = vset(pivot);
        for (ptrdiff_t i = 0; i < m; i += lanes) {
            const vec<T> value = vload(x + i);
            below += __builtin_popcountll(mbits(vlt(value, p)));
            up_to += __builtin_popcountll(mbits(vle(value, p)));
        }
        if (k < below) {
            above = pivot;
            m = keep_side<false>(x, m, pivot);
        } else if (k >= up_to) {
            k -= up_to;
            m = keep_side<true>(x, m, pivot);
        } else {
            first = next = pivot + T(0);
            if (!with_next || k + 1 < up_to) return;
            m = keep_side<true>(x, m, pivot);
            for (ptrdiff_t i = 0; i < m; i++) above = x[i] < above ? x[i] : above;
            next = above + T(0);
            return;
        }
    }
}

// Ranks k and, with_next, k + 1 among the n_valid numbers of a line. `buffer` holds n + SLACK.
template <class T>
void select_line(const T *x, ptrdiff_t n, ptrdiff_t n_valid, ptrdiff_t k, bool with_next,
                 T *buffer, T &first, T &next) {
    if (n >= SIFTED_LINE) {
        constexpr ptrdiff_t n_samples = 1024;
        T samples[n_samples], low, high;
        const search_range<T> whole{-infinity(T{}), infinity(T{}), 0, n_valid};
        sifted found;
        if (bracket(x, n, n_samples, 1, k, whole, samples, low, high)) {
            sift(x, n, low, high, buffer, n, found);
            const ptrdiff_t at = k - found.below;
            if (at >= 0 && at + with_next < found.kept)
                return pick(buffer, found.kept, at, with_next, first, next);
        }
    }
    pick(buffer, numbers_of(x, n, buffer), k, with_next, first, next);
}

// ---- lines of an array ----

// x is (n_outer, n, n_inner), C order. Ranks are those of line (outer, inner), or of all lines
// where rank_step is 0; n_ranks for each, ascending or not. out is (n_outer n_inner, n_ranks, 2).
struct selection {
    ptrdiff_t itemsize, n_outer, n, n_inner, n_ranks, rank_step;
    const void *x;
    const int64_t *ranks;
    const int64_t *valid; // numbers in each line, or null: then a NaN is told in has_nan
    uint8_t *has_nan;
    void *out;
};

template <class T>
void select_ranks(const selection &s, const T *x, ptrdiff_t line, T *buffer) {
    const int64_t *ranks = s.ranks + line * s.rank_step;
    T *out = static_cast<T *>(s.out) + line * s.n_ranks * 2;
    ptrdiff_t n_valid = s.n;
    if (s.valid) {
        n_valid = s.valid[line];
    } else {
        ptrdiff_t i = 0;
        constexpr ptrdiff_t lanes = vlanes(T{});
        mask<T> bad{};
        for (; i + lanes <= s.n; i += lanes) bad = mor(bad, visnan(vload(x + i)));
        bool has_nan = many(bad);
        for (; i < s.n; i++) has_nan |= x[i] != x[i];
        s.has_nan[line] = has_nan;
        if (has_nan) n_valid = 0;
    }
    if (n_valid == 0) {
        for (ptrdiff_t j = 0; j < 2 * s.n_ranks; j++) out[j] = T(NAN);
        return;
    }
    if (s.n_ranks > 4) {
        const ptrdiff_t m = numbers_of(x, s.n, buffer);
        std::sort(buffer, buffer + m);
        for (ptrdiff_t j = 0; j < s.n_ranks; j++) {
            const ptrdiff_t k = ranks[j];
            out[2 * j] = buffer[k] + T(0);
            out[2 * j + 1] = buffer[k + 1 < m ? k + 1 : k] + T(0);
        }
        return;
    }
    for (ptrdiff_t j = 0; j < s.n_ranks; j++)
        select_line(x, s.n, n_valid, ranks[j], ranks[j] + 1 < n_valid, buffer, out[2 * j],
                    out[2 * j + 1]);
}

// Items are lines, or groups of as many neighbouring columns as a vector has lanes; `columns` then
// is memory for those.
template <class T>
void select_items(const selection &s, ptrdiff_t begin, ptrdiff_t end, T *buffer, T *columns) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    const T *x = static_cast<const T *>(s.x);
    const ptrdiff_t groups = ceil_div(s.n_inner, lanes), step = s.n + lanes;
    for (ptrdiff_t item = begin; item < end; item++) {
        if (s.n_inner == 1) {
            select_ranks(s, x + item * s.n, item, buffer);
            continue;
        }
        const ptrdiff_t outer = item / groups, col = item % groups * lanes;
        const ptrdiff_t n_cols = s.n_inner - col < lanes ? s.n_inner - col : lanes;
        vec<T> block[lanes];
        for (ptrdiff_t row = 0; row < s.n; row += lanes) {
            const ptrdiff_t rows = s.n - row < lanes ? s.n - row : lanes;
            load_transposed(x + (outer * s.n + row) * s.n_inner + col, s.n_inner, rows, n_cols,
                            block);
            for (ptrdiff_t j = 0; j < n_cols; j++) vstore(columns + j * step + row, block[j]);
        }
        for (ptrdiff_t j = 0; j < n_cols; j++)
            select_ranks(s, columns + j * step, outer * s.n_inner + col + j, buffer);
    }
}

// low (1 - weight) + high weight, low <= high.
inline double between(double low, double high, double weight) {
    if (weight == 0 || low == high) return low;
    if (weight == 1) return high;
    const double both = low + high, step = high - low;
    if (weight == 0.5 && isfinite(both)) return both * 0.5;
    // The difference may overflow, or be infinite as one of them is.
    if (isinf(step)) return low * (1 - weight) + high * weight;
    return weight >= 0.5 ? high - step * (1 - weight) : low + step * weight;
}

// out (n_lines, n_ranks) from pairs (n_lines, n_ranks, 2); weights of each line, or of all lines
// where weight_step is 0.
template <class T>
void interpolate_pairs(const T *pairs, const double *weights, ptrdiff_t weight_step,
                       ptrdiff_t n_lines, ptrdiff_t n_ranks, double *out) {
    for (ptrdiff_t line = 0; line < n_lines; line++, weights += weight_step)
        for (ptrdiff_t j = 0; j < n_ranks; j++, pairs += 2)
            *out++ = between(pairs[0], pairs[1], weights[j]);
}

// ---- one huge line: what happens between the passes, which the threads share ----

// The number in the middle of low and high, in the order of their bits.
template <class T, class Bits> T middle(T low, T high) {
    const auto key = [](T x) {
        Bits bits;
        memcpy(&bits, &x, sizeof x);
        const Bits sign = Bits(1) << (8 * sizeof(Bits) - 1);
        return bits & sign ? Bits(~bits) : Bits(bits | sign);
    };
    const Bits a = key(low), b = key(high), sign = Bits(1) << (8 * sizeof(Bits) - 1);
    const Bits mid = a + (b - a) / 2, bits = mid & sign ? Bits(mid ^ sign) : Bits(~mid);
    T x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
FM_INLINE float middle(float low, float high) { return middle<float, uint32_t>(low, high); }
FM_INLINE double middle(double low, double high) { return middle<double, uint64_t>(low, high); }

template <class T> void start(search_range<T> &range, ptrdiff_t n_valid) {
    range = {-infinity(T{}), infinity(T{}), 0, n_valid};
}

// What the next pass keeps: a bracket from a sample, or after some passes the middle alone.
template <class T>
void next_bracket(const T *x, ptrdiff_t n, int pass, ptrdiff_t k, const search_range<T> &range,
                  T *samples, T &low, T &high) {
    if (pass < 4 && bracket(x, n, MOST_SAMPLES, uint64_t(pass + 1), k, range, samples, low, high))
        return;
    low = high = middle(range.low, range.high);
}

// Whether rank k was among those kept (all of them: kept <= capacity, or all the same number);
// if not, the range becomes what the counts leave.
template <class T>
bool narrow(search_range<T> &range, ptrdiff_t k, T low, T high, const sifted &found,
            ptrdiff_t capacity) {
    const ptrdiff_t end = range.before + range.count;
    if (k < found.below) {
        range.high = nextafter(low, -infinity(T{}));
        range.count = found.below - range.before;
        return false;
    }
    if (k >= found.below + found.kept) {
        range.low = nextafter(high, infinity(T{}));
        range.before = found.below + found.kept;
        range.count = end - range.before;
        return false;
    }
    if (found.kept <= capacity || low == high) return true;
    range = {low, high, found.below, found.kept};
    return false;
}

}  // namespace fm

#endif
