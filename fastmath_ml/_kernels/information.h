// Entropies and divergences: x log(x / y) without cancellation, and sums of it along lines.
//
// log(x / y) comes from one division. k is the power of two nearest to x / y, read off the bits:
//   k = round(the difference of exponent and fraction), 2/3 <= x / (2^k y) <= 3/2,
//   s = (x - 2^k y) / (x + 2^k y), |s| <= 1/5, z = s^2,
//   log(x / y) = k ln 2 + 2 s + s z Q(z),
// Q a weighted minimax fit as those of the vocabulary (2^-28.4 and 2^-62.3 of the logarithm). Where
// k = 0 the difference x - y is nearly or entirely exact, and
//   x log(x / y) - x + y = (x - y) s (1 + s (1 + s) Q(z) / 2)
// is a product: near y the logarithm's leading term, which would cancel, is not there.
//
// Sums of distributions are of this form too. Its terms are not negative, so their sum has the
// relative accuracy of a term, also where the distributions are nearly equal. With P = sum p,
// Q = sum q, c near P / Q and T = sum of (p log(p / (c q)) - p + c q),
//   sum of (p / P) log((p / P) / (q / Q)) = T / P - (u - log(1 + u)),   u = c Q / P - 1,
// whose second part vanishes as u^2 / 2. So c = 1 serves lines that add up to the same, to rounding
// and far beyond, in one sweep; `finish` asks for a second one with c = P / Q where it does not.
//
// Sums of float run over 8 vectors in float, then in double.
#ifndef FASTMATH_ML_INFORMATION_H
#define FASTMATH_ML_INFORMATION_H

#include <math.h>

#include "wide_sums.h"

namespace fm {

template <class T> struct ratio_terms;
template <> struct ratio_terms<float> {
    static constexpr float q[] = {0x1.36ee3ap-2f, 0x1.992a96p-2f, 0x1.5555b4p-1f};
};
template <> struct ratio_terms<double> {
    static constexpr double q[] = {0x1.1b81dee28d5d2p-3, 0x1.0dcb83a649351p-3, 0x1.3b35c2672fafep-3,
                                   0x1.745c4ac9875a4p-3, 0x1.c71c74902c347p-3, 0x1.24924921e3a26p-2,
                                   0x1.999999999c189p-2, 0x1.555555555554fp-1};
};

template <class T> struct log_ratio {
    vec<T> log, k, s, q;
};

// log(x / y) + extra ln 2 for positive, normal, finite x and y; k includes the integer `extra`.
template <class T> FM_INLINE log_ratio<T> log_ratio_of(vec<T> x, vec<T> y, vec<T> extra) {
    typedef layout<T> F;
    typedef typename F::bits bits;
    // 2^(bits of the exponent): k + offset is positive and stays in the word.
    constexpr bits offset = 2 * (F::bias + 1);
    constexpr bits half = bits(1) << (F::mantissa - 1);
    constexpr bits exponent_field = (2 * F::bias + 1) << F::mantissa;
    const auto x_bits = to_bits(x), y_bits = to_bits(y);
    const auto k_offset = (x_bits - y_bits + ((offset << F::mantissa) + half)) >> F::mantissa;
    constexpr T power = T(bits(1) << F::mantissa);
    const vec<T> k = from_bits(k_offset + ((F::bias + F::mantissa) << F::mantissa), T{}) -
                     vset(power + T(offset)) + extra;
    // Both with the exponent of x taken away: x in [1, 2), so that nothing leaves the range.
    const auto lowered = F::one - (x_bits & exponent_field);
    const vec<T> x_near = from_bits(x_bits + lowered, T{});
    const vec<T> y_near = from_bits(y_bits + lowered + ((k_offset - offset) << F::mantissa), T{});
    const vec<T> s = (x_near - y_near) / (x_near + y_near), z = s * s;
    const vec<T> q = polynomial(z, ratio_terms<T>::q);
    const vec<T> small = vmul_add(k, vset(F::ln2_low), s * (z * q));
    return {vmul_add(k, vset(F::ln2_high), (s + s) + small), k, s, q};
}

// The two functions, as scipy.special has them: infinity outside of their domain.
struct rel_entr {
    template <class T> FM_INLINE vec<T> inside(vec<T> x, vec<T>, const log_ratio<T> &ratio) {
        return x * ratio.log;
    }
    template <class T> FM_INLINE vec<T> at_zero(vec<T>) { return vec<T>(); }
    // One of them is infinite, the other too or positive.
    template <class T> FM_INLINE vec<T> at_infinity(vec<T> x, vec<T> y) { return x - y; }
};
struct kl_div {
    template <class T> FM_INLINE vec<T> inside(vec<T> x, vec<T> y, const log_ratio<T> &ratio) {
        const vec<T> one = vset(T(1)), difference = x - y;
        const vec<T> rest = (ratio.s * (one + ratio.s)) * (vset(T(0.5)) * ratio.q);
        const vec<T> near = (difference * ratio.s) * (one + rest);
        const vec<T> far = x * ratio.log - difference;
        return vselect(veq(ratio.k, vec<T>()), near, far);
    }
    template <class T> FM_INLINE vec<T> at_zero(vec<T> y) { return y; }
    template <class T> FM_INLINE vec<T> at_infinity(vec<T>, vec<T>) {
        return vset(T(__builtin_nan("")));
    }
};

template <class Op, class T> FM_INLINE vec<T> of_pair(vec<T> x, vec<T> y) {
    const vec<T> zero, normal = vset(layout<T>::smallest_normal);
    const vec<T> infinity = vset(T(__builtin_inf()));
    const mask<T> finite = mand(vlt(x, infinity), vlt(y, infinity));
    const mask<T> plain = mand(mand(vge(x, normal), vge(y, normal)), finite);
    if (__builtin_expect(mall(plain), 1)) return Op::inside(x, y, log_ratio_of(x, y, zero));

    const vec<T> one = vset(T(1)), scale = vset(log_terms<T>::denormal_scale);
    const vec<T> shift = vset(log_terms<T>::denormal_shift);
    const mask<T> x_denormal = vlt(x, normal), y_denormal = vlt(y, normal);
    const mask<T> positive = mand(vgt(x, zero), vgt(y, zero)), inside = mand(positive, finite);
    const vec<T> x_normal = vselect(inside, vselect(x_denormal, x * scale, x), one);
    const vec<T> y_normal = vselect(inside, vselect(y_denormal, y * scale, y), one);
    const vec<T> extra = vselect(y_denormal, shift, zero) - vselect(x_denormal, shift, zero);
    const log_ratio<T> ratio = log_ratio_of(x_normal, y_normal, extra);
    vec<T> result = vselect(positive, Op::at_infinity(x, y), infinity);
    result = vselect(mand(veq(x, zero), vge(y, zero)), Op::at_zero(y), result);
    result = vselect(inside, Op::inside(x, y, ratio), result);
    return vselect(mor(visnan(x), visnan(y)), x + y, result);
}

// -x log x, and -infinity for negative x
struct entr {
    FM_INLINE vec<double> of(vec<double> x, vec<double>) {
        const vec<double> zero;
        const vec<double> outside = vselect(veq(x, zero), zero, vset(-__builtin_inf()));
        return vselect(vle(x, zero), outside, -(x * vlog(x)));
    }
};
template <class Op> struct pairwise {
    FM_INLINE vec<double> of(vec<double> x, vec<double> y) { return of_pair<Op>(x, y); }
};

// ---- elementwise: float is computed in double and rounded once ----

template <class Op> FM_INLINE vec<double> apply(vec<double> x, vec<double> y) {
    return Op::of(x, y);
}
template <class Op> FM_INLINE vec<float> apply(vec<float> x, vec<float> y) {
    return vnarrow(Op::of(vwiden_low(x), vwiden_low(y)), Op::of(vwiden_high(x), vwiden_high(y)));
}

// A step of 0 stands for one element that belongs to all of the other array.
template <class Op, class T>
void map_pairs(const T *x, ptrdiff_t x_step, const T *y, ptrdiff_t y_step, T *out, ptrdiff_t n) {
    const ptrdiff_t lanes = vlanes(T{});
    const vec<T> x_only = vset(*x), y_only = vset(*y);
    ptrdiff_t i = 0;
    for (; i + lanes <= n; i += lanes)
        vstore(out + i, apply<Op>(x_step ? vload(x + i) : x_only, y_step ? vload(y + i) : y_only));
    if (i < n) {
        const vec<T> x_rest = x_step ? vload_partial(x + i, n - i) : x_only;
        const vec<T> y_rest = y_step ? vload_partial(y + i, n - i) : y_only;
        vstore_partial(out + i, apply<Op>(x_rest, y_rest), n - i);
    }
}

enum information_map { ENTR, REL_ENTR, KL_DIV };

template <class T>
void map_information(int which, const T *x, ptrdiff_t x_step, const T *y, ptrdiff_t y_step, T *out,
                     ptrdiff_t n) {
    switch (which) {
    case ENTR: return map_pairs<entr>(x, x_step, x, x_step, out, n);
    case REL_ENTR: return map_pairs<pairwise<rel_entr>>(x, x_step, y, y_step, out, n);
    case KL_DIV: return map_pairs<pairwise<kl_div>>(x, x_step, y, y_step, out, n);
    }
}

// ---- sums ----

enum information_kind { ENTROPY, RELATIVE, JENSEN };
enum sum_name { SUM_P, SUM_TERMS, SUM_Q, SUM_DIFFERENCE, SUM_SECOND, N_SUMS };

// Each adds the terms of a vector to `sums`; y is scaled by c first.
struct entropy_terms {
    // The sum of p is added up in double throughout: an entropy near 0 is 1 less the largest p.
    static constexpr bool exact_p = true;
    static constexpr int n_sums = SUM_TERMS + 1;
    template <class T> FM_INLINE void add(vec<T> x, vec<T>, vec<T> c, vec<T> *sums) {
        sums[SUM_TERMS] = sums[SUM_TERMS] + of_pair<rel_entr>(x, c);
    }
};
struct relative_terms {
    static constexpr bool exact_p = false;
    static constexpr int n_sums = SUM_DIFFERENCE + 1;
    template <class T> FM_INLINE void add(vec<T> x, vec<T> y, vec<T> c, vec<T> *sums) {
        const vec<T> scaled = y * c;
        sums[SUM_P] = sums[SUM_P] + x;
        sums[SUM_TERMS] = sums[SUM_TERMS] + of_pair<kl_div>(x, scaled);
        sums[SUM_Q] = sums[SUM_Q] + y;
        sums[SUM_DIFFERENCE] = sums[SUM_DIFFERENCE] + (x - scaled);
    }
};
struct jensen_terms {
    static constexpr bool exact_p = false;
    static constexpr int n_sums = SUM_SECOND + 1;
    template <class T> FM_INLINE void add(vec<T> x, vec<T> y, vec<T> c, vec<T> *sums) {
        const vec<T> half = vset(T(0.5)), scaled = y * c, middle = half * x + half * scaled;
        sums[SUM_P] = sums[SUM_P] + x;
        sums[SUM_TERMS] = sums[SUM_TERMS] + of_pair<kl_div>(x, middle);
        sums[SUM_Q] = sums[SUM_Q] + y;
        sums[SUM_DIFFERENCE] = sums[SUM_DIFFERENCE] + (x - scaled);
        sums[SUM_SECOND] = sums[SUM_SECOND] + of_pair<kl_div>(scaled, middle);
    }
};

FM_INLINE vec<double> widened(vec<double> x) { return x; }
FM_INLINE vec<double> widened(vec<float> x) { return vwiden_low(x) + vwiden_high(x); }

// Sums of lanes in double.
template <class T> struct wide_sum;
template <> struct wide_sum<double> {
    vec<double> sum;
    FM_ALWAYS_INLINE void add(vec<double> x) { sum = sum + x; }
    FM_ALWAYS_INLINE void add_to(double *sums) const { fm::add_to(sums, sum); }
};
template <> struct wide_sum<float> {
    vec<double> low, high;
    FM_ALWAYS_INLINE void add(vec<float> x) {
        low = low + vwiden_low(x);
        high = high + vwiden_high(x);
    }
    FM_ALWAYS_INLINE void add_to(double *sums) const {
        fm::add_to(sums, low);
        fm::add_to(sums + vlanes(0.0), high);
    }
};

constexpr ptrdiff_t sum_steps = 8;    // vectors that are added up in the dtype itself
constexpr ptrdiff_t sum_chunk = 4096; // elements that are added up lane by lane

// sums[k * width] += the sums of n elements that follow each other. Zeros beyond the end add nothing.
template <class Terms, class T>
void sum_line(const T *x, const T *y, ptrdiff_t n, T c, double *sums, ptrdiff_t width) {
    const ptrdiff_t lanes = vlanes(T{});
    const vec<T> scale = vset(c);
    for (ptrdiff_t i = 0; i < n;) {
        const ptrdiff_t chunk_end = i + sum_chunk < n ? i + sum_chunk : n;
        vec<double> total[N_SUMS];
        while (i < chunk_end) {
            vec<T> part[N_SUMS];
            const ptrdiff_t wanted = i + sum_steps * lanes;
            const ptrdiff_t end = wanted < chunk_end ? wanted : chunk_end;
            for (; i + lanes <= end; i += lanes) {
                const vec<T> p = vload(x + i);
                Terms::add(p, y ? vload(y + i) : scale, scale, part);
                if (Terms::exact_p) total[SUM_P] = total[SUM_P] + widened(p);
            }
            if (i < end) {
                const vec<T> p = vload_partial(x + i, end - i);
                Terms::add(p, y ? vload_partial(y + i, end - i) : scale, scale, part);
                if (Terms::exact_p) total[SUM_P] = total[SUM_P] + widened(p);
                i = end;
            }
            for (int k = 0; k < Terms::n_sums; k++) total[k] = total[k] + widened(part[k]);
        }
        for (int k = 0; k < Terms::n_sums; k++) sums[k * width] += vsum(total[k]);
    }
}

// sums[k * width + col] += the sums of column col of n_rows rows that are `stride` apart. c is a
// number for each column; c and sums have room for whole vectors.
template <class Terms, class T>
void sum_columns(const T *x, const T *y, ptrdiff_t stride, ptrdiff_t n_rows, ptrdiff_t n_cols,
                 const T *c, double *sums, ptrdiff_t width) {
    const ptrdiff_t lanes = vlanes(T{});
    for (ptrdiff_t row = 0; row < n_rows; row += sum_steps) {
        const ptrdiff_t end = row + sum_steps < n_rows ? row + sum_steps : n_rows;
        for (ptrdiff_t col = 0; col < n_cols; col += lanes) {
            const ptrdiff_t n = n_cols - col;
            const vec<T> scale = vload(c + col);
            vec<T> part[N_SUMS];
            wide_sum<T> exact;
            for (ptrdiff_t i = row; i < end; i++) {
                const ptrdiff_t at = i * stride + col;
                const vec<T> p = n >= lanes ? vload(x + at) : vload_partial(x + at, n);
                vec<T> q = scale;
                if (y) q = n >= lanes ? vload(y + at) : vload_partial(y + at, n);
                Terms::add(p, q, scale, part);
                if (Terms::exact_p) exact.add(p);
            }
            if (Terms::exact_p) exact.add_to(sums + SUM_P * width + col);
            for (int k = 0; k < Terms::n_sums; k++) add_to(sums + k * width + col, part[k]);
        }
    }
}

// n_rows = 0: a line of n_cols elements, its one number c.
template <class Terms, class T>
void sum_some(const T *x, const T *y, ptrdiff_t stride, ptrdiff_t n_rows, ptrdiff_t n_cols,
              const T *c, double *sums, ptrdiff_t width) {
    if (n_rows)
        sum_columns<Terms>(x, y, stride, n_rows, n_cols, c, sums, width);
    else
        sum_line<Terms>(x, y, n_cols, *c, sums, width);
}
template <class T>
void sum_information(int kind, const T *x, const T *y, ptrdiff_t stride, ptrdiff_t n_rows,
                     ptrdiff_t n_cols, const T *c, double *sums, ptrdiff_t width) {
    switch (kind) {
    case ENTROPY:
        return sum_some<entropy_terms>(x, y, stride, n_rows, n_cols, c, sums, width);
    case RELATIVE:
        return sum_some<relative_terms>(x, y, stride, n_rows, n_cols, c, sums, width);
    case JENSEN:
        return sum_some<jensen_terms>(x, y, stride, n_rows, n_cols, c, sums, width);
    }
}

// ---- what the sums of a line say ----

enum verdict { DONE, AGAIN, STRANGE };

// The range of sums in which no term underflows that counts.
template <class T> struct sums_range;
template <> struct sums_range<float> {
    static constexpr double low = 0x1p-90, high = 0x1p100, epsilon = 0x1p-23;
};
template <> struct sums_range<double> {
    static constexpr double low = 0x1p-900, high = 0x1p1000, epsilon = 0x1p-52;
};

// DONE with the result, AGAIN with the next c, or STRANGE: sums that are 0, negative, infinite.
// `sums` has the step `width`. Normalised or not; a second time there is no third.
template <class T>
verdict finish(int kind, bool normalised, const double *sums, ptrdiff_t width, bool again, T *c,
               double *result) {
    typedef sums_range<T> range;
    const double p = sums[SUM_P * width], t = sums[SUM_TERMS * width];
    *result = __builtin_nan("");
    if (kind == ENTROPY) {
        if (isnan(p) || (p == 0 && t == 0)) return DONE;
        if (!(p > range::low && p < range::high)) return STRANGE;
        const double shift = log(p / double(*c)), entropy = shift - t / p;
        if (!again && fabs(shift) > 0.25 * entropy) {
            *c = T(p);
            return AGAIN;
        }
        *result = entropy < 0 && t < INFINITY ? 0.0 : entropy;
        return DONE;
    }
    const double q = sums[SUM_Q * width], difference = sums[SUM_DIFFERENCE * width];
    if (isnan(p) || isnan(q)) return DONE;
    if (!normalised) {
        if (isinf(p) || isinf(q)) return STRANGE;
        *result = kind == RELATIVE ? t + difference : 0.5 * (t + sums[SUM_SECOND * width]);
        return DONE;
    }
    if (!(p > range::low && p < range::high && q > range::low && q < range::high)) return STRANGE;
    const double ratio = p / q;
    if (!(ratio > range::low && ratio < range::high)) return STRANGE;
    const double u = -difference / p;
    if (kind == RELATIVE) {
        if (t == INFINITY) {
            *result = t;
            return DONE;
        }
        const double correction = u > -1 ? u - log1p(u) : INFINITY;
        if (!again && correction > 0.125 * (t / p)) {
            *c = T(ratio);
            return AGAIN;
        }
        *result = fmax(t / p - correction, 0.0);
        return DONE;
    }
    // The derivative by c carries small deviations along, and leaves their square behind.
    const double second = sums[SUM_SECOND * width], off = ratio / double(*c) - 1;
    if (!again && off * off * p > range::epsilon * (t + second)) {
        *c = T(ratio);
        return AGAIN;
    }
    const double divergence = (t + second + off * (second - 0.5 * difference)) / (2 * p);
    *result = divergence < 0 ? 0.0 : divergence;
    return DONE;
}

// ---- counting ----

// table[(a_i - a_first) * n_b + b_i - b_first] += 1
template <class Label>
void count_pairs(const Label *a, Label a_first, const Label *b, Label b_first, ptrdiff_t n,
                 int64_t n_b, int64_t *table) {
    for (ptrdiff_t i = 0; i < n; i++)
        table[int64_t(a[i] - a_first) * n_b + int64_t(b[i] - b_first)]++;
}

}  // namespace fm

#endif
