// Mean and variance of lines and of columns, and (x - mean) factor.
//
// Everything is added up in double, float being widened as it is loaded (one instruction that reads
// memory), so that float32 is as exact as float64 whatever the length.
//
// The variance takes one pass over memory. A block is summed about a shift near its mean, d = x - s:
//
//     mean_b = s + sum(d) / n_b        m2_b = sum(d^2) - sum(d)^2 / n_b
//
// and merged into what came before (Chan, Golub and LeVeque). The shift of a first block is its own
// mean, by a sweep of its own while it is in the L1 or L2 cache; that of any other block is the mean
// so far. If that is far from the block's mean, the difference that is taken is as far below the
// term delta^2 n_a n_b / n, which the merge adds in any case: nothing that counts is cancelled. What
// is rounded off a mean is carried along (`rest`): with data at 10^4 standard deviations from 0 the
// rounded mean alone cost 5e-14 of the variance.
#ifndef FASTMATH_ML_MOMENTS_H
#define FASTMATH_ML_MOMENTS_H

#include "flags.h"
#include "transpose.h"
#include "wide_sums.h"

#include <math.h>

namespace fm {

constexpr ptrdiff_t LINE_BLOCK = 2048;   // elements
constexpr ptrdiff_t SUM_BLOCK = 8192;    // where a sum of floats is all that is wanted
constexpr ptrdiff_t ROW_BLOCK = 128;     // rows of a strip
constexpr ptrdiff_t ROW_GROUP = 16;      // rows for each load and store of the sums
constexpr ptrdiff_t STRIP = 1024;        // columns
// Rows of floats are asked for ahead from so many bytes on: less took up to 1.4 times as long.
constexpr ptrdiff_t FAR_BYTES = 8 << 20;
constexpr ptrdiff_t FOLD = 64;           // narrower arrays: several rows are taken as one
constexpr ptrdiff_t SHORT_LINE = 32;     // lines up to that are transposed, so many at once:
constexpr ptrdiff_t SHORT_GROUP = 64;
// Strips hold STRIP columns, or FOLD + what a whole number of vectors of rows needs.
constexpr ptrdiff_t STATE = STRIP + 16;

struct moment {
    double n = 0, mean = 0, rest = 0, m2 = 0;

    FM_INLINE double over(double a, double b) { return b > 0 ? a / b : 0.0; }

    // The n_b elements whose distances from `mean` add up to d and whose squares to q.
    inline void merge_shifted(double n_b, double d, double q) {
        const double off = over(d, n_b), m2_b = q - d * off;
        if (n_b > 0) merge(n_b, off - rest, m2_b < 0 ? 0 : m2_b);
    }
    inline void merge(const moment &b) {
        if (b.n == 0) return;
        if (n == 0)
            *this = b;
        else
            merge(b.n, (b.mean - mean) + (b.rest - rest), b.m2);
    }
    // n_b elements whose mean is delta away from this one.
    inline void merge(double n_b, double delta, double m2_b) {
        const double share = n_b / (n + n_b), step = rest + delta * share, old = mean;
        mean = old + step;
        rest = step - (mean - old);
        m2 += m2_b + delta * delta * (n * share);
        n += n_b;
    }
};

// ---- along a line ----

// The number, the sum and (SQUARES) the sum of squares of x - shift; OMIT leaves NaN out.
template <bool SQUARES, bool OMIT, class T>
FM_INLINE void sweep_line(const T *x, ptrdiff_t n, double shift, double &count, double &sum,
                          double &square) {
    constexpr ptrdiff_t lanes = vlanes(0.0);
    const wide s = vset(shift), zero, one = vset(1.0);
    wide d[4], q[4], c[4];
    const auto take = [&](wide value, int k) __attribute__((always_inline)) {
        const mask<double> bad = visnan(value);  // before a shift that is not finite makes NaN
        if (SQUARES) value = value - s;
        if (OMIT) {
            value = vselect(bad, zero, value);
            c[k] = c[k] + vselect(bad, zero, one);
        }
        d[k] = d[k] + value;
        if (SQUARES) q[k] = vmul_add(value, value, q[k]);
    };
    ptrdiff_t i = 0;
    for (; i + 4 * lanes <= n; i += 4 * lanes)
        for (int k = 0; k < 4; k++) take(load_wide(x + i + k * lanes), k);
    for (; i + lanes <= n; i += lanes) take(load_wide(x + i), 0);
    double tail_d = 0, tail_q = 0;
    ptrdiff_t tail_n = 0;
    for (; i < n; i++) {
        if (OMIT && x[i] != x[i]) continue;
        const double value = SQUARES ? double(x[i]) - shift : double(x[i]);
        tail_n++;
        tail_d += value;
        tail_q += value * value;
    }
    sum = vsum((d[0] + d[1]) + (d[2] + d[3])) + tail_d;
    square = SQUARES ? vsum((q[0] + q[1]) + (q[2] + q[3])) + tail_q : 0;
    count = OMIT ? vsum((c[0] + c[1]) + (c[2] + c[3])) + double(tail_n) : double(n);
}

// Without SQUARES the mean of the result is the sum: nothing is divided before the end.
template <bool SQUARES, bool OMIT, class T>
FM_NOINLINE moment line_moments(const T *x, ptrdiff_t n) {
    moment total;
    double count, sum, square;
    for (ptrdiff_t i = 0; i < n; i += LINE_BLOCK) {
        const ptrdiff_t block = n - i < LINE_BLOCK ? n - i : LINE_BLOCK;
        if (!SQUARES) {
            sweep_line<false, OMIT>(x + i, block, 0.0, count, sum, square);
            total.n += count;
            total.mean += sum;
            continue;
        }
        if (total.n == 0) {
            sweep_line<false, OMIT>(x + i, block, 0.0, count, sum, square);
            total.mean = moment::over(sum, count);
        }
        sweep_line<true, OMIT>(x + i, block, total.mean, count, sum, square);
        total.merge_shifted(count, sum, square);
    }
    return total;
}

// The sum of n floats. Two vectors are added with what rounding takes off (Knuth's two-sum), so that half
// as many are widened, which costs two cycles for each half of a vector: 89 GB/s from L2 in place of 53
// (Zen 5). The errors are added up as floats: they are 2^-24 of the sums. Not finite where a sum of
// two overflows, or where x is not.
FM_INLINE double paired_sum(const float *x, ptrdiff_t n) {
    constexpr ptrdiff_t lanes = vlanes(0.0f);
    wide sum[4];
    vec<float> error[2];
    ptrdiff_t i = 0;
    for (; i + 4 * lanes <= n; i += 4 * lanes)
#pragma GCC unroll 2
        for (int k = 0; k < 2; k++) {
            const vec<float> a = vload(x + i + 2 * k * lanes);
            const vec<float> b = vload(x + i + (2 * k + 1) * lanes);
            __builtin_prefetch(x + i + 2 * k * lanes + 2048);
            __builtin_prefetch(x + i + (2 * k + 1) * lanes + 2048);
            const vec<float> both = a + b, of_b = both - a;
            error[k] = error[k] + ((a - (both - of_b)) + (b - of_b));
            sum[2 * k] = sum[2 * k] + vwiden_low(both);
            sum[2 * k + 1] = sum[2 * k + 1] + vwiden_high(both);
        }
    double tail = 0;
    for (; i < n; i++) tail += x[i];
    return vsum((sum[0] + sum[1]) + (sum[2] + sum[3])) + vsum(error[0] + error[1]) + tail;
}

// line_moments<false, false> for results in float32.
FM_NOINLINE inline moment line_sum(const float *x, ptrdiff_t n) {
    moment total;
    for (ptrdiff_t i = 0; i < n; i += SUM_BLOCK) {
        const ptrdiff_t block = n - i < SUM_BLOCK ? n - i : SUM_BLOCK;
        const double sum = paired_sum(x + i, block);
        if (!(fabs(sum) <= 1e300)) return line_moments<false, false>(x, n);
        total.mean += sum;
    }
    total.n = double(n);
    return total;
}

// ---- across lines: columns of a strip, side by side ----

// The last vector of a row reads on into the next row, to the end of the array (x_end); what it
// finds there goes into sums that nobody looks at.

// What is known of each column; the sums of a block; without OMIT the counts are all rows.
struct column_state {
    double n[STATE], mean[STATE], rest[STATE], m2[STATE];
    double count[STATE], sum[STATE], square[STATE];
    bool brings_rows;  // they come from memory: the next group is asked for
};

template <bool SQUARES, bool OMIT, class T>
FM_INLINE void sweep_columns(const T *x, ptrdiff_t stride, ptrdiff_t n_rows, ptrdiff_t n_cols,
                             const T *x_end, const double *shift, column_state &s) {
    constexpr ptrdiff_t lanes = vlanes(0.0);
    const wide zero, one = vset(1.0);
    for (ptrdiff_t row = 0; row < n_rows; row += ROW_GROUP) {
        const ptrdiff_t rows = n_rows - row < ROW_GROUP ? n_rows - row : ROW_GROUP;
        const T *group = x + row * stride;
        const auto take = [&](ptrdiff_t col, ptrdiff_t n, auto load)
                              __attribute__((always_inline)) {
            wide sum = vload(s.sum + col), square, count;
            if (SQUARES) square = vload(s.square + col);
            if (OMIT) count = vload(s.count + col);
            const wide off = SQUARES ? vload(shift + col) : zero;
#pragma GCC unroll 4
            for (ptrdiff_t r = 0; r < n; r++) {
                wide value = load(group + r * stride + col);
                const mask<double> bad = visnan(value);
                if (SQUARES) value = value - off;
                if (OMIT) {
                    value = vselect(bad, zero, value);
                    count = count + vselect(bad, zero, one);
                }
                sum = sum + value;
                if (SQUARES) square = vmul_add(value, value, square);
            }
            vstore(s.sum + col, sum);
            if (SQUARES) vstore(s.square + col, square);
            if (OMIT) vstore(s.count + col, count);
        };
        if (rows == ROW_GROUP && group + (ROW_GROUP - 1) * stride + n_cols + lanes <= x_end) {
            for (ptrdiff_t col = 0; col < n_cols; col += lanes) {
                if (s.brings_rows && col * ptrdiff_t(sizeof(T)) % 64 == 0)
#pragma GCC unroll 16
                    for (ptrdiff_t r = 0; r < ROW_GROUP; r++)
                        __builtin_prefetch(group + (ROW_GROUP + r) * stride + col, 0, 2);
                take(col, ROW_GROUP, [](const T *at) { return load_wide(at); });
            }
        } else {
            for (ptrdiff_t col = 0; col < n_cols; col += lanes)
                take(col, rows, [x_end](const T *at) {
                    return at + lanes <= x_end ? load_wide(at) : load_wide(at, x_end - at);
                });
        }
    }
}

FM_INLINE void clear(double *values, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n + vlanes(0.0) - 1; i++) values[i] = 0;
}

// Merges n_rows rows into s.n, s.mean and s.m2, where `before` rows were merged already.
template <bool SQUARES, bool OMIT, class T>
FM_NOINLINE void add_rows(const T *x, ptrdiff_t stride, ptrdiff_t n_rows, ptrdiff_t n_cols,
                          const T *x_end, ptrdiff_t before, column_state &s) {
    for (ptrdiff_t row = 0; row < n_rows; row += ROW_BLOCK) {
        const ptrdiff_t rows = n_rows - row < ROW_BLOCK ? n_rows - row : ROW_BLOCK;
        const T *block = x + row * stride;
        bool is_first = before == 0;
        for (ptrdiff_t i = 0; OMIT && i < n_cols; i++) is_first |= s.n[i] == 0;
        if (SQUARES && is_first) {
            clear(s.sum, n_cols);
            clear(s.count, n_cols);
            sweep_columns<false, OMIT>(block, stride, rows, n_cols, x_end, nullptr, s);
            for (ptrdiff_t i = 0; i < n_cols; i++)
                if (s.n[i] == 0)
                    s.mean[i] = moment::over(s.sum[i], OMIT ? s.count[i] : double(rows));
        }
        clear(s.sum, n_cols);
        clear(s.square, n_cols);
        clear(s.count, n_cols);
        sweep_columns<SQUARES, OMIT>(block, stride, rows, n_cols, x_end, s.mean, s);
        for (ptrdiff_t i = 0; i < n_cols; i++) {
            const double n_b = OMIT ? s.count[i] : double(rows);
            const double n_a = s.n[i], n = n_a + n_b;
            s.n[i] = n;
            if (!SQUARES) {
                s.mean[i] += s.sum[i];
                continue;
            }
            // The shift is the mean so far, but for its rest.
            const double off = s.sum[i] / (n_b > 0 ? n_b : 1.0), share = n_b / (n > 0 ? n : 1.0);
            const double m2_b = s.square[i] - s.sum[i] * off, delta = n_b > 0 ? off - s.rest[i] : 0;
            const double old = s.mean[i], step = s.rest[i] + delta * share;
            s.mean[i] = old + step;
            s.rest[i] = step - (s.mean[i] - old);
            s.m2[i] += (m2_b < 0 ? 0 : m2_b) + delta * delta * (n_a * share);
        }
        before += rows;
    }
}

// ---- what is asked for ----

// x is (n_outer, n, n_inner), C order, of which steps first to end of n are taken. Results are
// (n_outer, n_inner), floats or doubles as x or as `wide_results` says; pointers may be null.
struct moment_task {
    ptrdiff_t itemsize, n_outer, n, n_inner, first, end, strips, grouped;
    const void *x;
    void *mean, *variance;
    double *count;
    double ddof;
    int squares, omit, root, wide_results;
    int *is_short; // set where a result has no degree of freedom left (no element for the mean)
};

inline void put(void *to, ptrdiff_t at, double value, bool is_double) {
    if (is_double)
        static_cast<double *>(to)[at] = value;
    else
        static_cast<float *>(to)[at] = float(value);
}

inline void emit(const moment_task &t, ptrdiff_t at, const moment &m) {
    const bool is_double = t.wide_results || t.itemsize == 8;
    if (t.count) t.count[at] = m.n;
    if (t.mean) {
        const bool empty = m.n == 0;
        put(t.mean, at, t.squares ? (empty ? NAN : m.mean) : m.mean / m.n, is_double);
        if (empty && !t.variance) raise_flag(t.is_short);
    }
    if (t.variance) {
        const double freedom = m.n - t.ddof;
        double variance = m.m2 / (freedom < 0 ? 0 : freedom);
        if (freedom <= 0) {
            raise_flag(t.is_short);
            if (t.omit) variance = NAN;
        }
        put(t.variance, at, t.root ? sqrt(variance) : variance, is_double);
    }
}

// The sweeps of a kind of moments.
template <class T> struct sweeps {
    moment (*line)(const T *, ptrdiff_t);
    void (*rows)(const T *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const T *, ptrdiff_t, column_state &);
    template <bool SQUARES, bool OMIT> static sweeps of() {
        return {line_moments<SQUARES, OMIT, T>, add_rows<SQUARES, OMIT, T>};
    }
};

// n_lines lines of n elements become n rows of SHORT_GROUP elements.
template <class T> void turn(const T *x, ptrdiff_t n_lines, ptrdiff_t n, T *rows) {
    constexpr ptrdiff_t lanes = vlanes(T{});
    vec<T> block[lanes];
    for (ptrdiff_t i = 0; i < n_lines; i += lanes)
        for (ptrdiff_t j = 0; j < n; j += lanes) {
            const ptrdiff_t steps = n - j < lanes ? n - j : lanes;
            load_transposed(x + i * n + j, n, n_lines - i < lanes ? n_lines - i : lanes, steps,
                            block);
            for (ptrdiff_t k = 0; k < steps; k++)
                vstore(rows + (j + k) * SHORT_GROUP + i, block[k]);
        }
}

// Items are lines, groups of short lines, or strips of columns. Without `partial` results are
// written; else the moments go there, (n_outer, n_inner) of them.
template <class T>
void items(const moment_task &t, const sweeps<T> &sweep, ptrdiff_t begin, ptrdiff_t end,
           moment *partial) {
    const ptrdiff_t n = t.end - t.first;
    const T *x = static_cast<const T *>(t.x), *x_end = x + t.n_outer * t.n * t.n_inner;
    column_state s;
    s.brings_rows = sizeof(T) == 4 && t.n * t.n_inner * ptrdiff_t(sizeof(T)) >= FAR_BYTES;
    const auto done = [&](ptrdiff_t at, const moment &m) {
        if (partial)
            partial[at] = m;
        else
            emit(t, at, m);
    };
    for (ptrdiff_t item = begin; item < end; item++) {
        if (t.n_inner == 1 && !t.grouped) {
            done(item, sweep.line(x + item * t.n + t.first, n));
            continue;
        }
        ptrdiff_t first, n_cols, wide_cols, rows = n;
        if (t.grouped) {
            first = item * SHORT_GROUP;
            n_cols = wide_cols = t.n_outer - first < SHORT_GROUP ? t.n_outer - first : SHORT_GROUP;
        } else {
            const ptrdiff_t col = item % t.strips * STRIP;
            first = item / t.strips * t.n_inner + col;
            n_cols = wide_cols = t.n_inner - col < STRIP ? t.n_inner - col : STRIP;
            const ptrdiff_t unit = vlanes(0.0) * t.n_inner;
            const ptrdiff_t fold = ceil_div(FOLD, unit) * vlanes(0.0);
            if (t.n_inner < FOLD && n >= 4 * fold) wide_cols = fold * t.n_inner, rows = n / fold;
        }
        clear(s.n, wide_cols);
        clear(s.mean, wide_cols);
        clear(s.rest, wide_cols);
        clear(s.m2, wide_cols);
        if (t.grouped) {
            T turned[SHORT_LINE * SHORT_GROUP];
            turn(x + first * n, n_cols, n, turned);
            sweep.rows(turned, SHORT_GROUP, n, n_cols, turned + n * SHORT_GROUP, 0, s);
        } else {
            const ptrdiff_t folded = wide_cols / n_cols, done_rows = rows * folded;
            const T *source = x + (item / t.strips * t.n + t.first) * t.n_inner
                              + item % t.strips * STRIP;
            sweep.rows(source, folded * t.n_inner, rows, wide_cols, x_end, 0, s);
            if (n > done_rows)
                sweep.rows(source + done_rows * t.n_inner, t.n_inner, n - done_rows, n_cols, x_end,
                           rows, s);
        }
        for (ptrdiff_t i = 0; i < n_cols; i++) {
            moment m{s.n[i], s.mean[i], s.rest[i], s.m2[i]};
            for (ptrdiff_t j = i + n_cols; j < wide_cols; j += n_cols) {
                if (t.squares) {
                    m.merge({s.n[j], s.mean[j], s.rest[j], s.m2[j]});
                } else {
                    m.n += s.n[j];
                    m.mean += s.mean[j];
                }
            }
            done(first + i, m);
        }
    }
}

template <class T>
void moment_items_as(const moment_task &t, ptrdiff_t begin, ptrdiff_t end, moment *partial) {
    typedef sweeps<T> all;
    all sweep = t.squares ? (t.omit ? all::template of<true, true>()
                                    : all::template of<true, false>())
                          : (t.omit ? all::template of<false, true>()
                                    : all::template of<false, false>());
    if constexpr (sizeof(T) == 4)
        if (!(t.squares || t.omit || t.wide_results)) sweep.line = line_sum;
    items(t, sweep, begin, end, partial);
}

inline void moment_items(const moment_task &t, ptrdiff_t begin, ptrdiff_t end, moment *partial) {
    if (t.itemsize == 4)
        moment_items_as<float>(t, begin, end, partial);
    else
        moment_items_as<double>(t, begin, end, partial);
}

inline void merge_moments(const moment_task &t, moment *total, const moment *partial) {
    for (ptrdiff_t i = 0; i < t.n_outer * t.n_inner; i++) {
        if (t.squares) {
            total[i].merge(partial[i]);
        } else {
            total[i].n += partial[i].n;
            total[i].mean += partial[i].mean;
        }
    }
}

// ---- (x - mean) factor ----

// One row; mean and factor are arrays (step 1) or one number each (step 0). With `divide` it is
// (x - mean) / factor.
template <class T, class Out>
FM_NOINLINE void centre_row(const T *x, ptrdiff_t n, const double *mean, ptrdiff_t mean_step,
                            const double *factor, ptrdiff_t factor_step, bool divide, Out *out) {
    constexpr ptrdiff_t lanes = vlanes(0.0);
    // One number is read as a vector again and again: one loop for all.
    double same_mean[lanes], same_factor[lanes];
    const double *m = mean, *f = factor;
    if (!mean_step) vstore(same_mean, vset(*mean)), m = same_mean;
    if (!factor_step) vstore(same_factor, vset(*factor)), f = same_factor;
    ptrdiff_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        const wide centred = load_wide(x + i) - vload(m + i * mean_step);
        const wide by = vload(f + i * factor_step);
        store_narrow(out + i, divide ? centred / by : centred * by);
    }
    for (; i < n; i++) {
        const double centred = double(x[i]) - mean[i * mean_step], by = factor[i * factor_step];
        out[i] = Out(divide ? centred / by : centred * by);
    }
}

}  // namespace fm

#endif
