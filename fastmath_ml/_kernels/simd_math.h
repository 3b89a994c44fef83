// exp and log of the SIMD vocabulary, within 1 ulp everywhere: denormals, infinities, NaN included.
//
// One text serves float and double; they differ in `layout`, `exp_terms` and `log_terms`. Both
// functions split off a power of two through the bits of the number and evaluate a polynomial on
// what remains. There are no tables to gather from and no branches on data, but for one test of the
// whole vector in log. Where a product has to be exact, one factor has enough trailing zeros for
// it: the levels without FMA, where vmul_add rounds twice, depend on that.
//
// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2)/2. ln 2 = ln2_high + ln2_low, where
//   n * ln2_high is exact, and so is x - n * ln2_high. exp(r) = 1 + r + r^2 q(r).
//   2^n may lie outside the normal range: it is applied as two factors, the first of which is
//   harmless, so that a denormal result is rounded only once more (vscalef does both in one go).
//
// log(x) = e ln 2 + log(m), x = 2^e m, sqrt(1/2) <= m < sqrt(2). With f = m - 1, which is exact,
//   s = f / (2 + f) and z = s^2,
//   log(m) = log((1 + s) / (1 - s)) = f - f^2/2 + s (f^2/2 + z Q(z)).
//   The large terms e * ln2_high + f are added with their rounding error kept, and all else is
//   small beside them, so little more than the last rounding is lost, even where e ln 2 and log(m)
//   cancel.
//
// The polynomials are weighted minimax fits (the weight makes it the relative error of exp(r) and
// of log(m)); the coefficients were rounded one by one, lowest degree first, and the others fitted
// again after each. The intervals are 0.1 % wider than those above, as n and e may be off by a
// rounding. The relative errors (float, double) are 2^-28.2 and 2^-57.9 for exp, 2^-30.2 and
// 2^-59.4 for log.
#ifndef FASTMATH_ML_SIMD_MATH_H
#define FASTMATH_ML_SIMD_MATH_H

namespace fm {

// The bits of T and the constants that depend on them. `round_shift` added to a number of moderate
// size rounds it to an integer, which then stands in the low bits of the sum.
template <class T> struct layout;
template <> struct layout<float> {
    typedef uint32_t bits;
    typedef uint32_t bits_vector __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES)));
    static constexpr int mantissa = 23;
    static constexpr bits bias = 127, one = 0x3f800000, sqrt_half = 0x3f3504f3;
    static constexpr float smallest_normal = 0x1p-126f, round_shift = 0x1.8p23f;
    static constexpr float ln2_high = 0x1.63p-1f, ln2_low = -0x1.bd0106p-13f;
    static constexpr float inverse_ln2 = 0x1.715476p0f;
};
template <> struct layout<double> {
    typedef uint64_t bits;
    typedef uint64_t bits_vector __attribute__((vector_size(FASTMATH_ML_VECTOR_BYTES)));
    static constexpr int mantissa = 52;
    static constexpr bits bias = 1023, one = 0x3ff0000000000000, sqrt_half = 0x3fe6a09e667f3bcd;
    static constexpr double smallest_normal = 0x1p-1022, round_shift = 0x1.8p52;
    static constexpr double ln2_high = 0x1.62e42fefa4p-1, ln2_low = -0x1.8432a1b0e2634p-43;
    static constexpr double inverse_ln2 = 0x1.71547652b82fep0;
};

template <class T> FM_INLINE typename layout<T>::bits_vector to_bits(vec<T> x) {
    return (typename layout<T>::bits_vector)x.v;
}
template <class T> FM_INLINE vec<T> from_bits(typename layout<T>::bits_vector x, T) {
    return vec<T>((typename vec<T>::native)x);
}

// Coefficients from the highest degree down.
template <class T, class C, int n_terms>
FM_INLINE vec<T> polynomial(vec<T> x, const C (&coefficients)[n_terms]) {
    vec<T> sum = vset(T(coefficients[0]));
#pragma GCC unroll 32
    for (int i = 1; i < n_terms; i++) sum = vmul_add(sum, x, vset(T(coefficients[i])));
    return sum;
}

// Beyond [lowest, highest] the result is 0 or infinity.
template <class T> struct exp_terms;
template <> struct exp_terms<float> {
    static constexpr float lowest = -104, highest = 89;
    static constexpr float q[] = {0x1.6a4b88p-10f, 0x1.12399ep-7f, 0x1.5558b2p-5f, 0x1.555492p-3f,
                                  0x1.fffffcp-2f};
};
template <> struct exp_terms<double> {
    static constexpr double lowest = -746, highest = 710;
    static constexpr double q[] = {
        0x1.ad9b166206269p-26, 0x1.28ae3d839737ep-22, 0x1.71df13df99529p-19, 0x1.a0199921bb17cp-16,
        0x1.a01a013238007p-13, 0x1.6c16c1848949ep-10, 0x1.1111111126417p-7,  0x1.5555555550686p-5,
        0x1.5555555555500p-3,  0x1.000000000000ap-1};
};

#if FM_X86 == 64
FM_INLINE vec<float> times_power_of_2(vec<float> x, vec<float> n, vec<float>) {
    return vec<float>(_mm512_scalef_ps(x.v, n.v));
}
FM_INLINE vec<double> times_power_of_2(vec<double> x, vec<double> n, vec<double>) {
    return vec<double>(_mm512_scalef_pd(x.v, n.v));
}
#else
// x * 2^n, where the low bits of `shifted` are n. Whatever stands above them is shifted out. The
// factors are multiplied in (not added to the exponent), so that NaN stays NaN.
template <class T> FM_INLINE vec<T> times_power_of_2(vec<T> x, vec<T>, vec<T> shifted) {
    typedef layout<T> F;
    const auto n = to_bits(shifted);
    const auto half = n >> 1;
    const auto rest = n - half;
    return x * from_bits((half << F::mantissa) + F::one, T{}) *
           from_bits((rest << F::mantissa) + F::one, T{});
}
#endif

// x within the range where exp is neither 0 nor infinity. The order of the arguments lets NaN through.
template <class T> FM_INLINE vec<T> exp_range(vec<T> x) {
    return vmax_fast(vset(exp_terms<T>::lowest), vmin_fast(vset(exp_terms<T>::highest), x));
}

template <class T> FM_INLINE vec<T> vexp(vec<T> x) {
    typedef layout<T> F;
    x = exp_range(x);
    const vec<T> shifted = vmul_add(x, vset(F::inverse_ln2), vset(F::round_shift));
    const vec<T> n = shifted - vset(F::round_shift);
    const vec<T> r_high = vmul_add(n, vset(-F::ln2_high), x);
    const vec<T> r = vmul_add(n, vset(-F::ln2_low), r_high);
    const vec<T> q = polynomial(r, exp_terms<T>::q);
    const vec<T> one = vset(T(1));
#if FM_HAS_FMA
    const vec<T> exp_r = vmul_add(vmul_add(q, r, one), r, one);
#else
    // The form above would lose 1.17 ulp where its products are rounded. Here the rounding of r is
    // kept out of the large terms, which makes up for that; with FMA it would cost three operations
    // for nothing.
    const vec<T> r_low = n * vset(-F::ln2_low);
    const vec<T> exp_r = one + (r_high + (q * (r * r) + r_low));
#endif
    return times_power_of_2(exp_r, n, shifted);
}

// Q(z). Denormal arguments are multiplied by 2^denormal_shift first.
template <class T> struct log_terms;
template <> struct log_terms<float> {
    static constexpr float denormal_scale = 0x1p24f, denormal_shift = 24;
    static constexpr float q[] = {0x1.31e3aap-2f, 0x1.995ec4p-2f, 0x1.55557ap-1f};
};
template <> struct log_terms<double> {
    static constexpr double denormal_scale = 0x1p54, denormal_shift = 54;
    static constexpr double q[] = {0x1.2f12c7be1185ap-3, 0x1.39a07a8b1b335p-3,
                                   0x1.74664a82f1d29p-3, 0x1.c71c51d4de8dcp-3,
                                   0x1.249249422c91fp-2, 0x1.999999997f9e5p-2,
                                   0x1.5555555555593p-1};
};

// An unevaluated sum: high carries the full precision, low what it lacks.
template <class T> struct high_low {
    vec<T> high, low;
};

// log of 2^extra x for a positive, normal, finite x; |low| is at most a quarter of |high|.
template <class T> FM_INLINE high_low<T> log_parts(vec<T> x, vec<T> extra) {
    typedef layout<T> F;
    // An exponent field that steps at sqrt(1/2) instead of 1, and the rest of the bits as m.
    const auto shifted = to_bits(x) + (F::one - F::sqrt_half);
    const auto e_biased = shifted >> F::mantissa;
    const auto fraction = shifted & ((typename F::bits(1) << F::mantissa) - 1);
    const vec<T> m = from_bits(fraction + F::sqrt_half, T{});
    // The integer in the low bits of 2^mantissa, read as a number.
    constexpr T power = T(typename F::bits(1) << F::mantissa);
    const vec<T> e =
        from_bits(e_biased + (typename F::bits(F::bias + F::mantissa) << F::mantissa), T{}) -
        vset(power + T(F::bias)) + extra;

    const vec<T> f = m - vset(T(1));
    const vec<T> s = f / (f + vset(T(2)));
    const vec<T> half_f = vset(T(0.5)) * f;
    const vec<T> z = s * s;
    const vec<T> curved = vmul_add(z, polynomial(z, log_terms<T>::q), half_f * f);

    const vec<T> large = vmul_add(e, vset(F::ln2_high), f);
    const vec<T> large_error = f - vmul_add(e, vset(-F::ln2_high), large);
    const vec<T> small = vmul_add(s, curved, vmul_add(e, vset(F::ln2_low), large_error));
    return {large, vmul_add(-half_f, f, small)};
}

template <class T> FM_INLINE vec<T> log_normal(vec<T> x, vec<T> extra) {
    const high_low<T> log = log_parts(x, extra);
    return log.high + log.low;
}

template <class T> FM_INLINE vec<T> vlog(vec<T> x) {
    const vec<T> zero, infinity = vset(T(__builtin_inf()));
    const vec<T> smallest_normal = vset(layout<T>::smallest_normal);
    const mask<T> plain = mand(vge(x, smallest_normal), vlt(x, infinity));
    if (__builtin_expect(mall(plain), 1)) return log_normal(x, zero);

    const mask<T> denormal = vlt(x, smallest_normal);
    const vec<T> scaled = vselect(denormal, x * vset(log_terms<T>::denormal_scale), x);
    const vec<T> extra = vselect(denormal, vset(-log_terms<T>::denormal_shift), zero);
    vec<T> result = log_normal(scaled, extra);
    result = vselect(vlt(x, infinity), result, x);  // infinity and NaN
    result = vselect(vlt(x, zero), vset(T(__builtin_nan(""))), result);
    return vselect(veq(x, zero), -infinity, result);
}

}  // namespace fm

#endif
