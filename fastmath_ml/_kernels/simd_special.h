// expm1, log1p, tanh, sigmoid, erf and pow of the SIMD vocabulary, on the machinery of exp and log.
//
// One text serves float and double and every level; where a rounding has to be kept, that is done
// by additions whose error is exact (Dekker's fast two-sum: the first summand is the larger or 0)
// or by products of numbers with half of the bits each, never by vmul_add, which rounds twice
// without FMA. Everything respects denormals, infinities, NaN and the sign of zero. No lane depends
// on its neighbours.
//
// expm1(x) = 2^n expm1(r) + (2^n - 1), n and r as in exp. The large terms 2^n r_high and 2^n - 1
//   are added with their error kept.
//
// tanh(x) = x + x^3 p(x^2) for |x| < 5/8, else 1 - 2 / (exp(2 |x|) + 1) with the sign of x.
//
// sigmoid(x) = 1 - q or, where x < 0, q, with e = exp(-|x|) and q = e / (1 + e): nothing overflows.
//   Floats with FMA: q from a rough quotient and its residual. Else, where e < 1/2 the sum e - e q takes the place of q, since there the error of q counts little
//   and that of e can be put back.
//
// log1p(x) = log(u) + c / u, u = 1 + x rounded, c its exact error. For 0 <= x <= 1, as in
//   log(1 + exp(-|x|)), the series of log(m) serves with f = x itself: one division, not two.
//
// erf(x) = x + x p(x^2) for |x| < 1, else 1 - exp(-P(|x|)) with the sign of x.
//
// pow(x, p) = exp(p log x), x >= 0. log x comes as a sum of two numbers, its product with p is
//   made exact in the leading part, and exp takes its argument as a sum of two. What remains is
//   the error of the smaller part of the logarithm, times p: about |p| / 8 ulp beyond that of exp.
//
// The polynomials are weighted minimax fits to the relative error of the result, their coefficients
// rounded one by one as those of exp and log. Errors (float, double): tanh 2^-27.7 and 2^-56.4,
// log1p on [0, 1] 2^-27.7 and 2^-59.4, erf 2^-29.4 and 2^-56.1 below 1, 2^-29.8 and 2^-59.4 beyond.
#ifndef FASTMATH_ML_SIMD_SPECIAL_H
#define FASTMATH_ML_SIMD_SPECIAL_H

namespace fm {

// magnitude's bits with the sign of x; magnitude is not negative.
template <class T> FM_INLINE vec<T> with_sign(vec<T> magnitude, vec<T> x) {
    typedef typename layout<T>::bits bits;
    return from_bits(to_bits(magnitude) | (to_bits(x) & (bits(1) << (8 * sizeof(T) - 1))), T{});
}

// The upper half of x's mantissa: products of two such numbers are exact.
template <class T> FM_INLINE vec<T> upper_half(vec<T> x) {
    typedef typename layout<T>::bits bits;
    return from_bits(to_bits(x) & ~((bits(1) << (layout<T>::mantissa / 2 + 1)) - 1), T{});
}

// Beyond `lowest` expm1 is -1; below `tiny` in magnitude it is its argument.
template <class T> struct expm1_terms;
template <> struct expm1_terms<float> {
    static constexpr float lowest = -20, tiny = 0x1p-24f;
};
template <> struct expm1_terms<double> {
    static constexpr double lowest = -40, tiny = 0x1p-53;
};

template <class T> FM_INLINE vec<T> vexpm1(vec<T> x) {
    typedef layout<T> F;
    const vec<T> unit = vset(T(0.5)), bounded = vmax_fast(vset(expm1_terms<T>::lowest), exp_range(x));
    const vec<T> shifted = vmul_add(bounded, vset(F::inverse_ln2), vset(F::round_shift));
    const vec<T> n = shifted - vset(F::round_shift);
    const vec<T> r_high = vmul_add(n, vset(-F::ln2_high), bounded);
    const vec<T> r_low = n * vset(-F::ln2_low);
    const vec<T> r = r_high + r_low;
    const vec<T> curved = vmul_add(r * r, polynomial(r, exp_terms<T>::q), r_low);
    // Half of everything, since 2^n itself may overflow. Denormal results would lose a bit.
    const vec<T> scale = from_bits((to_bits(shifted) << F::mantissa) + to_bits(unit), T{});
    const vec<T> offset = scale - unit;
    const vec<T> linear = scale * r_high;
    const vec<T> large = offset + linear;
    const vec<T> large_error = linear - (large - offset);
    const vec<T> half = large + vmul_add(scale, curved, large_error);
    return vselect(vlt(vabs(x), vset(expm1_terms<T>::tiny)), x, half + half);
}

// p(z), z = x^2, up to x = turn; from `saturated` on tanh rounds to 1.
template <class T> struct tanh_terms;
template <> struct tanh_terms<float> {
    static constexpr float turn = 0.625f, saturated = 9.5f;
    static constexpr float p[] = {-0x1.751a2cp-8f, 0x1.51fad4p-6f, -0x1.b835cap-5f,
                                  0x1.1106f6p-3f, -0x1.555532p-2f};
};
template <> struct tanh_terms<double> {
    static constexpr double turn = 0.625, saturated = 20;
    static constexpr double p[] = {
        -0x1.0d4c0c31389aap-16, 0x1.4362acae19eebp-14, -0x1.df4117e7b987p-13,
        0x1.33638ef224447p-11,  -0x1.7d68410a844e7p-10, 0x1.d6cf1e8482acdp-9,
        -0x1.226e15e07c83ap-7,  0x1.664f4777fd033p-6,   -0x1.ba1ba1b4f66edp-5,
        0x1.111111110ab77p-3,   -0x1.55555555554fep-2};
};

template <class T> FM_INLINE vec<T> vtanh(vec<T> x) {
    typedef tanh_terms<T> terms;
    const vec<T> one = vset(T(1)), two = vset(T(2));
    const vec<T> t = vmin_fast(vset(terms::saturated), vabs(x)), z = t * t;
    const vec<T> near_zero = vmul_add(t * z, polynomial(z, terms::p), t);
    const vec<T> beyond = one - two / (vexp(t + t) + one);
    return with_sign(vselect(vlt(t, vset(terms::turn)), near_zero, beyond), x);
}

// exp(x + x_low) = 2^n (1 + less_one), for x in the range of exp and x_low small beside 1. `shifted`
// belongs to n, as times_power_of_2 wants it.
template <class T> struct reduced_exp {
    vec<T> less_one, n, shifted;
};
template <class T> FM_INLINE reduced_exp<T> exp_reduced(vec<T> x, vec<T> x_low) {
    typedef layout<T> F;
    const vec<T> shifted = vmul_add(x, vset(F::inverse_ln2), vset(F::round_shift));
    const vec<T> n = shifted - vset(F::round_shift);
    const vec<T> r_high = vmul_add(n, vset(-F::ln2_high), x);
    const vec<T> r_low = vmul_add(n, vset(-F::ln2_low), x_low);
    const vec<T> r = r_high + r_low;
    return {r_high + vmul_add(r * r, polynomial(r, exp_terms<T>::q), r_low), n, shifted};
}

// exp(x + x_low), a little more exact than vexp.
template <class T> FM_INLINE vec<T> exp_of_sum(vec<T> x, vec<T> x_low) {
    const reduced_exp<T> e = exp_reduced(x, x_low);
    return times_power_of_2(vset(T(1)) + e.less_one, e.n, e.shifted);
}

#if FM_HAS_FMA
// 1 / x within 2^-14, for a quotient whose residual is added.
#if FM_X86 == 64
FM_INLINE vec<float> rough_reciprocal(vec<float> x) { return vec<float>(_mm512_rcp14_ps(x.v)); }
#else
FM_INLINE vec<float> rough_reciprocal(vec<float> x) { return vset(1.0f) / x; }
#endif

// a e / (1 + e), e = exp(y), for y from -112 to 0: the quotient's own error is below 0.01 ulp, that of
// exp remains, and the last rounding, which is the only one where the result is denormal.
//   e = 2^n w; v = a w / (1 + e) is made from a rough quotient and its residual, whose products are
//   rounded once with the subtraction, and 2^n comes last.
FM_INLINE vec<float> times_sigmoid(vec<float> a, vec<float> y) {
    typedef layout<float> F;
    const vec<float> one = vset(1.0f);
    const vec<float> shifted = vmul_add(y, vset(F::inverse_ln2), vset(F::round_shift));
    const vec<float> n = shifted - vset(F::round_shift);
    const vec<float> r_high = vmul_add(n, vset(-F::ln2_high), y);
    const vec<float> r = vmul_add(n, vset(-F::ln2_low), r_high);
    const vec<float> q = polynomial(r, exp_terms<float>::q);
    const vec<float> w = vmul_add(vmul_add(q, r, one), r, one);
    const vec<float> e = times_power_of_2(w, n, shifted);
    const vec<float> reciprocal = rough_reciprocal(one + e);
    const vec<float> rough = (a * w) * reciprocal;
    const vec<float> residual = vmul_add(-rough, e, vmul_add(a, w, -rough));
    return times_power_of_2(vmul_add(residual, reciprocal, rough), n, shifted);
}
// -|x|, not beyond -112; NaN stays.
FM_INLINE vec<float> sigmoid_range(vec<float> x) {
    typedef lane<float>::ivector ivector;
    const vec<float> below_zero((vec<float>::native)((ivector)x.v | lane<float>::sign_bit));
    return vmax_fast(vset(-112.0f), below_zero);
}
#endif

template <class T> FM_INLINE vec<T> vsigmoid(vec<T> x) {
#if FM_HAS_FMA
    if constexpr (sizeof(T) == 4) {
        const vec<T> one = vset(T(1)), below_zero = times_sigmoid(one, sigmoid_range(x));
        return vselect(vlt(x, vec<T>()), below_zero, one - below_zero);
    }
#endif
    const vec<T> zero, one = vset(T(1));
    // -|x|, from where on exp is 0; NaN stays.
    const vec<T> y = vmax_fast(vset(exp_terms<T>::lowest), -vabs(x));
    const reduced_exp<T> parts = exp_reduced(y, zero);
    const vec<T> high = one + parts.less_one, low = parts.less_one - (high - one);
    const vec<T> e = times_power_of_2(high, parts.n, parts.shifted);
    const vec<T> e_low = times_power_of_2(low, parts.n, parts.shifted);
    const vec<T> quotient = e / (one + e);
    const vec<T> below_zero = vselect(vlt(e, vset(T(0.5))), e + (e_low - e * quotient), quotient);
    return vselect(vlt(x, zero), below_zero, one - quotient);
}

template <class T> FM_INLINE vec<T> vlog1p(vec<T> x) {
    const vec<T> zero, one = vset(T(1)), infinity = vset(T(__builtin_inf()));
    const vec<T> u = one + x;
    // Either of them may be the larger.
    const vec<T> x_part = u - one;
    const vec<T> error = (x - x_part) + (one - (u - x_part));
    const mask<T> plain = mand(vgt(u, zero), vlt(u, infinity));
    const high_low<T> log = log_parts(vselect(plain, u, one), zero);
    vec<T> result = log.high + (log.low + error / u);
    result = vselect(veq(x, zero), x, result);  // the sign of zero
    if (__builtin_expect(mall(plain), 1)) return result;
    result = vselect(vlt(u, infinity), result, x);  // infinity and NaN
    result = vselect(vlt(u, zero), vset(T(__builtin_nan(""))), result);
    return vselect(veq(u, zero), -infinity, result);
}

// Q(z) as in log_terms, for s <= 1/3.
template <class T> struct log1p_unit_terms;
template <> struct log1p_unit_terms<float> {
    static constexpr float q[] = {0x1.1f183cp-2f, 0x1.1eb0f6p-2f, 0x1.99d2b4p-2f, 0x1.5555p-1f};
};
template <> struct log1p_unit_terms<double> {
    static constexpr double q[] = {
        0x1.5c8db0935bebdp-3, 0x1.559bd18234ddap-4, 0x1.efdcdd191b33ep-4, 0x1.10678052bddc9p-3,
        0x1.3b1de03ee4b2dp-3, 0x1.745cb3cc7f3f8p-3, 0x1.c71c741db490dp-3, 0x1.249249208a517p-2,
        0x1.99999999a0779p-2, 0x1.5555555555535p-1};
};

// log1p(x) for 0 <= x <= 1; NaN stays.
template <class T> FM_INLINE vec<T> vlog1p_unit(vec<T> x) {
    const vec<T> half_x = vset(T(0.5)) * x;
    const vec<T> s = x / (x + vset(T(2)));
    const vec<T> z = s * s;
    const vec<T> curved = vmul_add(z, polynomial(z, log1p_unit_terms<T>::q), half_x * x);
    return x + vmul_add(-half_x, x, s * curved);
}

// p(z), z = x^2 < 1; P(t) for 1 <= t <= highest, where erf rounds to 1.
template <class T> struct erf_terms;
template <> struct erf_terms<float> {
    static constexpr float highest = 3.95f;
    static constexpr float p[] = {0x1.4771fcp-14f, -0x1.a3515ep-11f, 0x1.53f224p-8f,
                                  -0x1.b7f71ap-6f, 0x1.ce2ce6p-4f,   -0x1.81273ep-2f,
                                  0x1.06eba8p-3f};
    static constexpr float P[] = {-0x1.871ac4p-13f, 0x1.8282c8p-9f, -0x1.65e076p-6f,
                                  0x1.a65ec6p-4f,   0x1.46b93p-1f,  0x1.208976p0f,
                                  0x1.63e278p-12f};
};
template <> struct erf_terms<double> {
    static constexpr double highest = 5.95;
    static constexpr double p[] = {
        0x1.3db6f4edd3c3bp-33,  -0x1.c6121d44a3658p-30, 0x1.134fb826efc37p-26,
        -0x1.6397e58e1d20ap-23, 0x1.ba69bba76141p-20,   -0x1.f4dcfade15a95p-17,
        0x1.f9a3b9a8fa591p-14,  -0x1.c02db934e6dd1p-11, 0x1.565bcd2c684adp-8,
        -0x1.b82ce31354ddfp-6,  0x1.ce2f21a0458d9p-4,   -0x1.812746b037a25p-2,
        0x1.06eba8214db69p-3};
    static constexpr double P[] = {
        -0x1.284c38db77fe2p-40, 0x1.a6fd9323f917fp-35,  -0x1.1aa214b4a3bf7p-30,
        0x1.d541f0276f28ep-27,  -0x1.0e800aa9bb09bp-23, 0x1.c98069403096ep-21,
        -0x1.22e3114628738p-18, 0x1.1585db72b683cp-16,  -0x1.7a7ab68f23059p-15,
        0x1.27ed85ba4bddap-14,  0x1.7511ad7b6f1a5p-15,  -0x1.4fe36b358cf7ep-11,
        0x1.cf931197acffcp-10,  -0x1.2588f73f5b2e7p-12, -0x1.389532aebcc12p-6,
        0x1.a4da8291cbaa7p-4,   0x1.45f428fa4a626p-1,   0x1.20dd56716b14bp0,
        0x1.7e4e29f3188f4p-23};
};

template <class T> FM_INLINE vec<T> verf(vec<T> x) {
    const vec<T> one = vset(T(1)), t = vmin_fast(vset(erf_terms<T>::highest), vabs(x));
    const vec<T> near_zero = vmul_add(t, polynomial(t * t, erf_terms<T>::p), t);
    const vec<T> beyond = one - vexp(-polynomial(t, erf_terms<T>::P));
    return with_sign(vselect(vlt(t, one), near_zero, beyond), x);
}

// x^p for x >= 0 and finite p, |p| < 2^60; NaN for negative x, 1 for p = 0.
template <class T> FM_INLINE vec<T> vpow(vec<T> x, vec<T> p) {
    const vec<T> zero, one = vset(T(1)), infinity = vset(T(__builtin_inf()));
    const mask<T> denormal = vlt(x, vset(layout<T>::smallest_normal));
    const mask<T> plain = mand(vgt(x, zero), vlt(x, infinity));
    const vec<T> scaled = vselect(denormal, x * vset(log_terms<T>::denormal_scale), x);
    const high_low<T> log = log_parts(vselect(plain, scaled, one),
                                      vselect(denormal, vset(-log_terms<T>::denormal_shift), zero));
    const vec<T> p_high = upper_half(p), log_high = upper_half(log.high);
    const vec<T> exact = p_high * log_high;
    const vec<T> rest = vmul_add(p - p_high, log.high,
                                 vmul_add(p_high, log.high - log_high, p * log.low));
    const vec<T> sum = exact + rest;
    const vec<T> bounded = exp_range(sum);
    const vec<T> low = vselect(veq(bounded, sum), rest - (sum - exact), zero);
    const vec<T> result = exp_of_sum(bounded, low);
    if (__builtin_expect(mall(plain), 1)) return result;
    // 0, infinity, NaN and negative numbers.
    const vec<T> at_zero = vselect(vlt(p, zero), infinity, zero);
    const vec<T> at_infinity = vselect(vlt(p, zero), zero, infinity);
    vec<T> special = vselect(veq(x, infinity), at_infinity, vset(T(__builtin_nan(""))));
    special = vselect(veq(x, zero), at_zero, special);
    return vselect(mor(plain, veq(p, zero)), result, special);
}

}  // namespace fm

#endif
