// Metrics that no matrix product computes: what each adds up over the features.
//
// A metric is an empty struct with
//   n_sums                how many sums it keeps for a pair of rows
//   is_heavy              tens of instructions a feature: fewer pairs at once, so that they fit
//   is_weighted           whether add looks at w
//   add(sum, x, y, w, p)  one feature of a pair: w is its weight, 1 where the caller gave none,
//                         p the exponent of minkowski
//   join(sum, part)       the sums of the features so far, and of the next block of them
//   surrogate(sum, m)     the distance, or what orders pairs as the distance does and is cheaper
//   correct(s, m)         surrogate -> distance; `corrects` tells whether that is another number
// All of them are symmetric in x and y to the bit, 0 for equal finite rows, and NaN where a NaN
// comes in (0 / 0 included, where the definition says so).
//
// Every sum is weighted: with FMA the factor is free, and there is one kernel in place of two. On
// cores that add and multiply-add in different pipes it is even faster than the plain addition.
#ifndef FASTMATH_ML_METRICS_H
#define FASTMATH_ML_METRICS_H

#include "simd.h"

namespace fm {

// What a metric is given beside the rows.
struct metric_options {
    double p;           // of minkowski
    double inverse_p;   // 1 / p
    double total;       // hamming: the sum of the weights; nan_euclidean: the features
};

// The larger of two numbers whose sign bits are clear. As integers they have the same order, and
// NaN is the largest: unlike the maximum of floating-point units this one keeps it.
template <class T> FM_INLINE vec<T> max_of_positive(vec<T> a, vec<T> b) {
    typedef typename lane<T>::ivector ivector;
    const ivector x = (ivector)a.v, y = (ivector)b.v;
    return vec<T>((typename vec<T>::native)(x > y ? x : y));
}

struct summing {
    static constexpr int n_sums = 1;
    static constexpr bool is_weighted = true, is_heavy = false, corrects = false;
    template <class T> FM_INLINE void join(vec<T> *sum, const vec<T> *part) {
        sum[0] = sum[0] + part[0];
    }
    template <class T> FM_INLINE vec<T> surrogate(const vec<T> *sum, const metric_options &) {
        return sum[0];
    }
    template <class T> FM_INLINE vec<T> correct(vec<T> s, const metric_options &) { return s; }
};

// sum of w |x - y|
struct cityblock : summing {
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T> w, vec<T>) {
        sum[0] = vmul_add(w, vabs(x - y), sum[0]);
    }
};

// max of |x - y|; features of weight 0 were left out before.
struct chebyshev : summing {
    static constexpr bool is_weighted = false;
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T>, vec<T>) {
        sum[0] = max_of_positive(sum[0], vabs(x - y));
    }
    template <class T> FM_INLINE void join(vec<T> *sum, const vec<T> *part) {
        sum[0] = max_of_positive(sum[0], part[0]);
    }
};

// sum of w |x - y| / (|x| + |y|), where 0 / 0 counts 0
struct canberra : summing {
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T> w, vec<T>) {
        // Where both are 0 the smallest number divides 0. NaN passes: it stands second.
        constexpr T smallest = sizeof(T) == 4 ? T(0x1p-149) : T(0x1p-1074);
        const vec<T> size = vmax_fast(vset(smallest), vabs(x) + vabs(y));
        sum[0] = vmul_add(w, vabs(x - y) / size, sum[0]);
    }
};

// sum of w |x - y| / sum of w |x + y|
struct braycurtis : summing {
    static constexpr int n_sums = 2;
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T> w, vec<T>) {
        sum[0] = vmul_add(w, vabs(x - y), sum[0]);
        sum[1] = vmul_add(w, vabs(x + y), sum[1]);
    }
    template <class T> FM_INLINE void join(vec<T> *sum, const vec<T> *part) {
        sum[0] = sum[0] + part[0];
        sum[1] = sum[1] + part[1];
    }
    template <class T> FM_INLINE vec<T> surrogate(const vec<T> *sum, const metric_options &) {
        return sum[0] / sum[1];
    }
};

// sqrt of the sum of w (x - y)^2
struct euclidean : summing {
    static constexpr bool corrects = true;
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T> w, vec<T>) {
        const vec<T> difference = x - y;
        sum[0] = vmul_add(w * difference, difference, sum[0]);
    }
    template <class T> FM_INLINE vec<T> correct(vec<T> s, const metric_options &) {
        return vsqrt(s);
    }
};

// sqrt of the mean of (x - y)^2 over the features that neither row lacks (NaN), times the features
struct nan_euclidean : braycurtis {
    static constexpr bool is_weighted = false, corrects = true;
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T>, vec<T>) {
        const vec<T> zero, difference = x - y;
        const mask<T> missing = visnan(difference);
        const vec<T> present = vselect(missing, zero, difference);
        sum[0] = vmul_add(present, present, sum[0]);
        sum[1] = sum[1] + vselect(missing, zero, vset(T(1)));
    }
    template <class T> FM_INLINE vec<T> surrogate(const vec<T> *sum, const metric_options &m) {
        return sum[0] / sum[1] * vset(T(m.total));
    }
    template <class T> FM_INLINE vec<T> correct(vec<T> s, const metric_options &) {
        return vsqrt(s);
    }
};

// sum of (x - y)^2, for euclidean.h
struct distance_sq : summing {
    static constexpr bool is_weighted = false;
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T>, vec<T>) {
        const vec<T> difference = x - y;
        sum[0] = vmul_add(difference, difference, sum[0]);
    }
};

// (sum of w |x - y|^p)^(1/p)
struct minkowski : summing {
    static constexpr bool is_heavy = true, corrects = true;
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T> w, vec<T> p) {
        sum[0] = vmul_add(w, power(vabs(x - y), p), sum[0]);
    }
    template <class T> FM_INLINE vec<T> correct(vec<T> s, const metric_options &m) {
        return power(s, vset(T(m.inverse_p)));
    }
    // x^p for x >= 0
    template <class T> FM_INLINE vec<T> power(vec<T> x, vec<T> p) { return vpow(x, p); }
};

struct minkowski_3 : summing {
    static constexpr bool corrects = true;
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T> w, vec<T>) {
        const vec<T> difference = vabs(x - y);
        sum[0] = vmul_add(w * difference, difference * difference, sum[0]);
    }
    template <class T> FM_INLINE vec<T> correct(vec<T> s, const metric_options &m) {
        return minkowski::correct(s, m);
    }
};

// sum of w [x != y] / sum of w
struct hamming : summing {
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T> w, vec<T>) {
        sum[0] = vselect(vne(x, y), sum[0] + w, sum[0]);
    }
    template <class T> FM_INLINE vec<T> surrogate(const vec<T> *sum, const metric_options &m) {
        return sum[0] / vset(T(m.total));
    }
};

// sqrt of the Jensen-Shannon divergence of rows that add up to 1, as they come from the caller.
//
// With m = (x + y) / 2 and t = |x - y| / (x + y) in [0, 1], a feature contributes
//     (x log(x / m) + y log(y / m)) / 2 = (x + y) / 4 ((1 + t) log(1 + t) + (1 - t) log(1 - t)).
// The bracket is t^2 + t^4 / 6 + ..., small beside its terms where x and y are close: there a
// polynomial in t^2 takes its place, and no accuracy is lost.
template <class T> struct bracket_terms;
template <> struct bracket_terms<float> {
    // 1 / ((k + 1)(2 k + 1)) from k = 7 down to 0; t^2 <= 1/9.
    static constexpr float q[] = {1.0f / 120, 1.0f / 91, 1.0f / 66, 1.0f / 45,
                                  1.0f / 28,  1.0f / 15, 1.0f / 6,  1.0f};
};
template <> struct bracket_terms<double> {
    static constexpr double q[] = {
        1.0 / 496, 1.0 / 435, 1.0 / 378, 1.0 / 325, 1.0 / 276, 1.0 / 231, 1.0 / 190, 1.0 / 153,
        1.0 / 120, 1.0 / 91,  1.0 / 66,  1.0 / 45,  1.0 / 28,  1.0 / 15,  1.0 / 6,   1.0};
};

struct jensenshannon : summing {
    static constexpr bool is_weighted = false, is_heavy = true, corrects = true;
    template <class T> FM_INLINE void add(vec<T> *sum, vec<T> x, vec<T> y, vec<T>, vec<T>) {
        const vec<T> zero, one = vset(T(1)), total = x + y;
        const vec<T> t = vabs(x - y) / total, t_sq = t * t;
        const vec<T> near = t_sq * polynomial(t_sq, bracket_terms<T>::q);
        const vec<T> more = one + t, less = one - t;
        const vec<T> far = vmul_add(more, vlog(more), vselect(veq(less, zero), zero,
                                                              less * vlog(less)));
        const vec<T> bracket = vselect(vgt(t_sq, vset(T(1) / 9)), far, near);
        sum[0] = vselect(veq(total, zero), sum[0], vmul_add(total, bracket, sum[0]));
    }
    template <class T> FM_INLINE vec<T> surrogate(const vec<T> *sum, const metric_options &) {
        return sum[0] * vset(T(0.25));
    }
    template <class T> FM_INLINE vec<T> correct(vec<T> s, const metric_options &) {
        return vsqrt(s);
    }
};

}  // namespace fm

#endif
