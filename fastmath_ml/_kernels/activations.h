// The activations: what each makes of one vector, and the sweep over an array.
//
// An activation is an empty struct with `of(vec<T>)`. Each is one pass over memory, may work in
// place, and treats every element alike wherever it stands. Errors are at most 2 ulp (float) and
// 4 ulp (double); for double gelu_tanh this holds down to x = -1, below which the rounding of the
// argument of exp shows, 4 + 8 |x| + |x|^3 / 2 ulp.
//
// The two forms of gelu multiply several factors, whose errors would add up to 3 or 4 ulp of a float
// and more where exp is denormal. Floats are therefore computed in double, with polynomials of
// float's accuracy, and rounded once; so is silu without FMA. With AVX-512 the exact form has tables
// instead (normal_tail_tables), three times as fast. With FMA silu and expit are a quotient
// whose residual is known (times_sigmoid), twice as fast.
//
// gelu(x) = x (1 - c) for x >= 0, else x c, c = Phi(-|x|) = exp(-t^2 / 2) P(u) / (t + 4), t = |x|,
//   u = 1 - 8 / (t + 4): the remainder of the normal distribution keeps its relative accuracy in
//   the tail. P is a minimax fit as those of the vocabulary, 2^-28.9 and 2^-54.0 of the result.
// logit(p) = log(p) - log(1 - p), each as a sum of two numbers; 2 s + s z Q(z) with s = 2 p - 1 and
//   the polynomial of log where p is near 1/2.
#ifndef FASTMATH_ML_ACTIVATIONS_H
#define FASTMATH_ML_ACTIVATIONS_H

#include "simd.h"

namespace fm {

// x / (1 + exp(y)). Beyond y = highest_y the quotient is 0 for any x this is called with; from 2^64
// on, exp(y) is scaled down by 2^-128 lest it overflow where the quotient is still a number.
FM_INLINE vec<double> over_one_plus_exp(vec<double> x, vec<double> y) {
    const vec<double> one = vset(1.0);
    y = vmax_fast(vset(-746.0), vmin_fast(vset(780.0), y));
    const mask<double> scaled = vgt(y, vset(45.0));
    const vec<double> shift = vselect(scaled, vset(-128.0), vec<double>());
    const vec<double> unit = vselect(scaled, vset(0x1p-128), one);
    const reduced_exp<double> e = exp_reduced(y, vec<double>());
    const vec<double> sum =
        unit + times_power_of_2(one + e.less_one, e.n + shift, e.shifted + shift);
    return x / sum * unit;
}

// exp(x) to float's accuracy, |x| <= 700.
FM_INLINE vec<double> short_exp(vec<double> x) {
    typedef layout<double> F;
    const vec<double> shifted = vmul_add(x, vset(F::inverse_ln2), vset(F::round_shift));
    const vec<double> n = shifted - vset(F::round_shift);
    const vec<double> r = vmul_add(n, vset(-0.69314718055994531), x), one = vset(1.0);
    const vec<double> q = polynomial(r, exp_terms<float>::q);
    return times_power_of_2(vmul_add(vmul_add(q, r, one), r, one), n, shifted);
}
FM_INLINE vec<double> short_over_one_plus_exp(vec<double> x, vec<double> y) {
    y = vmax_fast(vset(-200.0), vmin_fast(vset(200.0), y));
    return x / (vset(1.0) + short_exp(y));
}

// An activation of floats that is computed in double by Op::short_of.
template <class Op> FM_INLINE vec<float> in_double(vec<float> x) {
    return vnarrow(Op::short_of(vwiden_low(x)), Op::short_of(vwiden_high(x)));
}

struct relu {
    template <class T> FM_INLINE vec<T> of(vec<T> x) { return vmax_fast(vec<T>(), x); }
};

struct tanh {
    template <class T> FM_INLINE vec<T> of(vec<T> x) { return vtanh(x); }
};

struct expit {
    template <class T> FM_INLINE vec<T> of(vec<T> x) { return vsigmoid(x); }
};

// log(1 + exp(-|x|)), which log_expit and softplus add to or take from the linear part.
template <class T> FM_INLINE vec<T> log_of_bend(vec<T> x) {
    const vec<T> y = vmax_fast(vset(exp_terms<T>::lowest), -vabs(x));
    return vlog1p_unit(exp_of_sum(y, vec<T>()));
}

struct log_expit {
    template <class T> FM_INLINE vec<T> of(vec<T> x) {
        return vmin_fast(vec<T>(), x) - log_of_bend(x);
    }
};

struct softplus {
    template <class T> FM_INLINE vec<T> of(vec<T> x) {
        return vmax_fast(vec<T>(), x) + log_of_bend(x);
    }
};

struct silu {
    FM_INLINE vec<double> short_of(vec<double> x) {
        x = vmax_fast(vset(-200.0), x);     // the result is 0 below, -infinity included
        return short_over_one_plus_exp(x, -x);
    }
#if FM_HAS_FMA
    // x + silu(-x) for x > 0. The zeros keep their sign.
    FM_INLINE vec<float> of(vec<float> x) {
        const vec<float> y = sigmoid_range(x);
        return with_sign(vmax_fast(vec<float>(), x) + times_sigmoid(y, y), x);
    }
#else
    FM_INLINE vec<float> of(vec<float> x) { return in_double<silu>(x); }
#endif
    FM_INLINE vec<double> of(vec<double> x) {
        x = vmax_fast(vset(-780.0), x);
        return over_one_plus_exp(x, -x);
    }
};

struct logit {
    template <class T> FM_INLINE vec<T> of(vec<T> p) {
        const vec<T> zero, one = vset(T(1)), infinity = vset(T(__builtin_inf()));
        const vec<T> s = (p + p) - one, z = s * s, q = one - p;
        const vec<T> middle = vmul_add(s * z, polynomial(z, log_terms<T>::q), s + s);
        const mask<T> inside = mand(vgt(p, zero), vlt(p, one));
        const mask<T> denormal = vlt(p, vset(layout<T>::smallest_normal));
        const vec<T> scaled = vselect(denormal, p * vset(log_terms<T>::denormal_scale), p);
        const vec<T> extra = vselect(denormal, vset(-log_terms<T>::denormal_shift), zero);
        const high_low<T> log_p = log_parts(vselect(inside, scaled, one), extra);
        const high_low<T> log_q = log_parts(vselect(inside, q, one), zero);
        // 1 - p is rounded where p < 1/2; its logarithm is small there.
        const vec<T> q_error = (one - q) - p;
        const vec<T> high = log_p.high - log_q.high;
        const mask<T> first = vgt(vabs(log_p.high), vabs(log_q.high));
        const vec<T> larger = vselect(first, log_p.high, -log_q.high);
        const vec<T> smaller = vselect(first, -log_q.high, log_p.high);
        const vec<T> high_error = smaller - (high - larger);
        const vec<T> outer = high + (high_error + ((log_p.low - log_q.low) - q_error / q));
        vec<T> result = vselect(vlt(vabs(s), vset(T(0.125))), middle, outer);
        if (__builtin_expect(mall(inside), 1)) return result;
        const vec<T> nan = vset(T(__builtin_nan("")));
        const vec<T> ends = vselect(veq(p, zero), -infinity, vselect(veq(p, one), infinity, nan));
        return vselect(inside, result, ends);
    }
};

// P(u). From `last` on gelu of negative numbers rounds to 0.
template <class T> struct normal_tail_terms;
template <> struct normal_tail_terms<float> {
    static constexpr double last = 14.6;
    static constexpr double P[] = {
        -0x1.c7dff54b9013cp-15, -0x1.ecb0462c55ecdp-13, 0x1.6c67cfa2c2e57p-13,
        0x1.b00601bd04308p-10,  -0x1.c9889f10e8093p-9,  -0x1.ee8c0fa889064p-8,
        0x1.eec7962cc00eap-5,   -0x1.7dfecfc2f9b1bp-3,  0x1.8c6dba7eeaddp-2,
        -0x1.373e3b359ee95p-1,  0x1.82b4bb9336a5ap-1};
};
template <> struct normal_tail_terms<double> {
    static constexpr double last = 39;
    static constexpr double P[] = {
        -0x1.509a31fbace8ap-30, -0x1.2fea04d368bf2p-32, 0x1.ffd24e9288bfep-27,
        0x1.114d17e4e8108p-26, -0x1.4eff9bcb02078p-24, -0x1.4ffb0d4a24fb2p-23,
        0x1.1cd36df30b042p-22, 0x1.124c6ad9955b9p-20, -0x1.5028e38c0bd32p-21,
        -0x1.8d49eb1e7e575p-18, 0x1.801ad1b8d9aa7p-21, 0x1.26d0793103f1bp-15,
        -0x1.00166a5736557p-19, -0x1.e4a42384f1cfap-13, 0x1.17a4aa70f6ab5p-13,
        0x1.ab825fba90ad5p-10, -0x1.c81719d2265a7p-9, -0x1.ee2761046e619p-8,
        0x1.eec4cc3e4d689p-5, -0x1.7dff2bff683afp-3, 0x1.8c6dbf2cfc289p-2,
        -0x1.373e3a893c28ap-1, 0x1.82b4bb8c94dcep-1};
};

template <class Precision> FM_INLINE vec<double> normal_tail_factor(vec<double> t) {
    const vec<double> r = vset(1.0) / (t + vset(4.0));
    const vec<double> u = vmul_add(vset(-8.0), r, vset(1.0));
    return r * polynomial(u, normal_tail_terms<Precision>::P);
}

#if FM_X86 == 64
// W(t) = t Phi(-t) exp(t^2 / 2), t in [0, 15), as a polynomial in t - centre on each of 16 intervals,
// four of equal length in each octave of 1 + t, so that bits of 1 + t number them (the first four
// come last). t - centre is exact; the centres are numbers whose W is nearly a float.
struct normal_tail_tables {
    static constexpr float centre[16] = {
        0x1.40155ap+0f, 0x1.c0061ep+0f, 0x1.2006cep+1f, 0x1.5fec3ep+1f, 0x1.c00b72p+1f,
        0x1.2006bp+2f, 0x1.5fffd8p+2f, 0x1.9ffecap+2f, 0x1.fff978p+2f, 0x1.40161cp+3f,
        0x1.7fee7ap+3f, 0x1.c015bep+3f, 0, 0x1.800ee6p-2f, 0x1.401386p-1f, 0x1.bfe1d8p-1f};
    // W = t / 2 + ... in the first interval: what is exact is added last.
    static constexpr float exact_slope[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5f, 0, 0, 0};
    static constexpr float w[7][16] = {
        {
        -0x1.45ff5ap-10f, -0x1.c31076p-12f, -0x1.521db6p-13f, -0x1.14d8c2p-14f, -0x1.4b518ap-16f,
        -0x1.38cc98p-18f, -0x1.61aa2cp-20f, -0x1.d1441ap-22f, -0x1.c30874p-24f, -0x1.61214cp-26f,
        -0x1.693b16p-28f, -0x1.b94454p-30f, -0x1.4875f6p-6f, -0x1.407eb2p-7f, -0x1.56ce84p-8f,
        -0x1.7a91eap-9f},
        {
        0x1.e0a222p-9f, 0x1.6c68c2p-10f, 0x1.2c6044p-11f, 0x1.09258ep-12f, 0x1.6449fp-14f,
        0x1.8615bp-16f, 0x1.fbcfdap-18f, 0x1.78abd6p-19f, 0x1.ab5b8ep-21f, 0x1.93da12p-23f,
        0x1.e4d73ep-25f, 0x1.573a2ep-26f, 0x1.f20734p-5f, 0x1.98bb6cp-6f, 0x1.ca1586p-7f,
        0x1.07387ep-7f},
        {
        -0x1.44361ep-7f, -0x1.0edc52p-8f, -0x1.e908b4p-10f, -0x1.d95bf6p-11f, -0x1.62d008p-12f,
        -0x1.c791aap-14f, -0x1.55847ep-15f, -0x1.21108ap-16f, -0x1.7bc492p-18f, -0x1.b75cf2p-20f,
        -0x1.3866dep-21f, -0x1.003e8p-22f, -0x1.0feb4cp-3f, -0x1.d23c72p-5f, -0x1.121368p-5f,
        -0x1.4afb8ep-6f},
        {
        0x1.8fb72ep-6f, 0x1.720e56p-7f, 0x1.70a714p-8f, 0x1.87fe9p-9f, 0x1.4f856cp-10f,
        0x1.f9ff9cp-12f, 0x1.b63cdp-13f, 0x1.a677b6p-14f, 0x1.49c6d2p-15f, 0x1.d0464cp-17f,
        0x1.85ccb4p-18f, 0x1.716dc6p-19f, 0x1.fffa22p-3f, 0x1.dc2364p-4f, 0x1.27a164p-4f,
        0x1.78ccf8p-5f},
        {
        -0x1.ae9cp-5f, -0x1.be072ep-6f, -0x1.ee7ae4p-7f, -0x1.22d69cp-7f, -0x1.1ecb2cp-8f,
        -0x1.003932p-9f, -0x1.02000cp-10f, -0x1.1c8ac6p-11f, -0x1.093394p-12f, -0x1.c807e6p-14f,
        -0x1.c51f9p-15f, -0x1.f0fecap-16f, -0x1.988446p-2f, -0x1.a0a35p-3f, -0x1.12dc9cp-3f,
        -0x1.73d8e8p-4f},
        {
        0x1.7b55e8p-4f, 0x1.bd3b4ep-5f, 0x1.159d48p-5f, 0x1.6c8b1ep-6f, 0x1.a2856ep-7f,
        0x1.bfa02cp-8f, 0x1.07e43cp-8f, 0x1.4ea7b8p-9f, 0x1.763376p-10f, 0x1.8aa376p-11f,
        0x1.d1396ap-12f, 0x1.27bdccp-12f, 0, 0x1.222914p-2f, 0x1.9a30bcp-3f, 0x1.28d4d4p-3f},
        {
        0x1.276774p-2f, 0x1.4bf0bap-2f, 0x1.620572p-2f, 0x1.701b6cp-2f, 0x1.7d2546p-2f,
        0x1.86c6e2p-2f, 0x1.8c2b86p-2f, 0x1.8f76d2p-2f, 0x1.92694cp-2f, 0x1.948cf6p-2f,
        0x1.95bc74p-2f, 0x1.9676eap-2f, 0, 0x1.2391b6p-3f, 0x1.9df4fep-3f, 0x1.f547d4p-3f},
    };
    FM_INLINE vec<float> at(const float (&table)[16], __m512i interval) {
        return vec<float>(_mm512_permutexvar_ps(interval, _mm512_loadu_ps(table)));
    }
    FM_INLINE vec<float> value(vec<float> t) {
        const vec<float> numbered = t + vset(1.0f);
        const __m512i interval = _mm512_srli_epi32(_mm512_castps_si512(numbered.v), 21);
        const vec<float> d = t - at(centre, interval);
        vec<float> sum = at(w[0], interval);
        for (int k = 1; k < 6; k++) sum = vmul_add(sum, d, at(w[k], interval));
        return vmul_add(sum, d, vmul_add(d, at(exact_slope, interval), at(w[6], interval)));
    }
};
#endif

struct gelu {
    // t is |x|, at most `last`; e factor is Phi(-t).
    FM_INLINE vec<double> of_parts(vec<double> x, vec<double> t, vec<double> e,
                                   vec<double> factor) {
        // Past the range of e the product of the others comes first: it is no denormal.
        const vec<double> below_zero = -(e * (t * factor));
        const vec<double> above_zero = x * vmul_add(-e, factor, vset(1.0));
        return vselect(vlt(x, vec<double>()), below_zero, above_zero);
    }
    FM_INLINE vec<double> short_of(vec<double> x) {
        const vec<double> t = vmin_fast(vset(normal_tail_terms<float>::last), vabs(x));
        return of_parts(x, t, short_exp(vset(-0.5) * t * t), normal_tail_factor<float>(t));
    }
#if FM_X86 == 64
    // max(x, 0) - exp(-t^2 / 2) W(t), the exponential as 2^n (1 + less_one). The first difference is
    // exact where it matters: W is x / 2 near 0.
    FM_INLINE vec<float> of(vec<float> x) {
        typedef layout<float> F;
        const vec<float> t = vmin_fast(vset(float(normal_tail_terms<float>::last)), vabs(x));
        const vec<float> square = t * t, square_error = vmul_add(t, t, -square);
        const vec<float> shifted =
            vmul_add(square, vset(-0.5f * F::inverse_ln2), vset(F::round_shift));
        const vec<float> n = shifted - vset(F::round_shift);
        vec<float> r = vmul_add(n, vset(-F::ln2_high), vset(-0.5f) * square);
        r = vmul_add(n, vset(-F::ln2_low), r);
        r = vmul_add(square_error, vset(-0.5f), r);
        const vec<float> less_one = vmul_add(polynomial(r, exp_terms<float>::q) * r, r, r);
        const vec<float> scaled = times_power_of_2(normal_tail_tables::value(t), n, shifted);
        return with_sign(vmul_add(-scaled, less_one, vmax_fast(vec<float>(), x) - scaled), x);
    }
#else
    FM_INLINE vec<float> of(vec<float> x) { return in_double<gelu>(x); }
#endif
    FM_INLINE vec<double> of(vec<double> x) {
        const vec<double> t = vmin_fast(vset(normal_tail_terms<double>::last), vabs(x));
        // t^2 in two parts, of which the first is exact.
        const vec<double> t_high = upper_half(t), half = vset(-0.5);
        const vec<double> y = vmax_fast(vset(exp_terms<double>::lowest), half * (t_high * t_high));
        const vec<double> e = exp_of_sum(y, half * ((t - t_high) * (t + t_high)));
        return of_parts(x, t, e, normal_tail_factor<double>(t));
    }
};

// x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)).
struct gelu_tanh {
    FM_INLINE vec<double> exponent(vec<double> x, double limit) {
        const vec<double> bounded = vmin_fast(vset(limit), x);
        const vec<double> cubic = vmul_add(bounded * bounded, vset(0.044715), vset(1.0));
        return vset(-1.5957691216057308) * bounded * cubic;
    }
    FM_INLINE vec<double> short_of(vec<double> x) {
        x = vmax_fast(vset(-14.0), x);
        return short_over_one_plus_exp(x, exponent(x, 14.0));
    }
    FM_INLINE vec<float> of(vec<float> x) { return in_double<gelu_tanh>(x); }
    FM_INLINE vec<double> of(vec<double> x) {
        x = vmax_fast(vset(-22.0), x);
        return over_one_plus_exp(x, exponent(x, 22.0));
    }
};

// ---- the sweep ----

// out_i = Op(x_i). `streaming` is for results larger than the caches, apart from x.
template <class Op, class T> void map_array(const T *x, T *out, ptrdiff_t n, bool streaming) {
    const ptrdiff_t lanes = vlanes(T{});
    ptrdiff_t i = 0;
    if (streaming) {
        i = vstream_start(out, n);
        if (i) vstore_partial(out, Op::of(vload_partial(x, i)), i);
        for (; i + 2 * lanes <= n; i += 2 * lanes) {
            const vec<T> first = Op::of(vload(x + i)), second = Op::of(vload(x + i + lanes));
            vstream(out + i, first);
            vstream(out + i + lanes, second);
        }
        vstream_end();
    } else {
        for (; i + 2 * lanes <= n; i += 2 * lanes) {
            const vec<T> first = Op::of(vload(x + i)), second = Op::of(vload(x + i + lanes));
            vstore(out + i, first);
            vstore(out + i + lanes, second);
        }
    }
    for (; i + lanes <= n; i += lanes) vstore(out + i, Op::of(vload(x + i)));
    if (i < n) vstore_partial(out + i, Op::of(vload_partial(x + i, n - i)), n - i);
}

enum activation { RELU, TANH, EXPIT, LOG_EXPIT, SOFTPLUS, SILU, LOGIT, GELU, GELU_TANH };

template <class T> void activate(int which, const T *x, T *out, ptrdiff_t n, bool streaming) {
    switch (which) {
    case RELU: return map_array<relu>(x, out, n, streaming);
    case TANH: return map_array<tanh>(x, out, n, streaming);
    case EXPIT: return map_array<expit>(x, out, n, streaming);
    case LOG_EXPIT: return map_array<log_expit>(x, out, n, streaming);
    case SOFTPLUS: return map_array<softplus>(x, out, n, streaming);
    case SILU: return map_array<silu>(x, out, n, streaming);
    case LOGIT: return map_array<logit>(x, out, n, streaming);
    case GELU: return map_array<gelu>(x, out, n, streaming);
    case GELU_TANH: return map_array<gelu_tanh>(x, out, n, streaming);
    }
}

}  // namespace fm

#endif
