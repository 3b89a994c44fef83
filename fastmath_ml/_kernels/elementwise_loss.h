// Losses of one prediction x and one target t, with the derivative by x, and the loop over them.
//
// A loss is a struct with `terms`; the loop is written once for all. It reads each array once, adds
// up the losses in the dtype over 32 additions per lane and in float64 beyond, and writes the
// derivatives where they are wanted (over x itself if need be).
#ifndef FASTMATH_ML_ELEMENTWISE_LOSS_H
#define FASTMATH_ML_ELEMENTWISE_LOSS_H

#include "simd.h"

namespace fm {

enum loss_kind { SQUARED, ABSOLUTE, HUBER, KL, KL_LOG_TARGET, HINGE, BINARY_LOGITS };

// A range of the arrays; weight, positive, losses and grad may be null.
template <class T> struct loss_range {
    const T *x, *target, *weight, *positive;
    T *losses, *grad;
    ptrdiff_t n;
    T option, scale; // the loss's own parameter; the factor of the derivatives
};

template <class T> struct loss_terms {
    vec<T> loss, slope;
};

// (x - t)^2
struct squared {
    template <class T> FM_INLINE loss_terms<T> terms(vec<T> x, vec<T> t, vec<T>, vec<T>) {
        const vec<T> difference = x - t;
        return {difference * difference, difference + difference};
    }
};

// |x - t|, with the derivative 0 at 0
struct absolute {
    template <class T> FM_INLINE loss_terms<T> terms(vec<T> x, vec<T> t, vec<T>, vec<T>) {
        const vec<T> difference = x - t, zero;
        const vec<T> negative = vselect(vlt(difference, zero), vset(T(-1)), difference);
        return {vabs(difference), vselect(vgt(difference, zero), vset(T(1)), negative)};
    }
};

// (x - t)^2 / 2 up to |x - t| = delta, delta (|x - t| - delta / 2) beyond
struct huber {
    template <class T> FM_INLINE loss_terms<T> terms(vec<T> x, vec<T> t, vec<T>, vec<T> delta) {
        const vec<T> difference = x - t, distance = vabs(difference), half = vset(T(0.5));
        const vec<T> near = half * difference * difference;
        const vec<T> far = delta * (distance - half * delta);
        // The order of the arguments lets NaN through.
        const vec<T> slope = vmax_fast(-delta, vmin_fast(delta, difference));
        return {vselect(vle(distance, delta), near, far), slope};
    }
};

// t (log t - x), and - 0 x where t is 0
struct kl {
    template <class T> FM_INLINE loss_terms<T> terms(vec<T> x, vec<T> t, vec<T>, vec<T>) {
        const vec<T> zero;
        const vec<T> log_t = vselect(veq(t, zero), zero, vlog(t));
        return {t * (log_t - x), -t};
    }
};

// exp(t) (t - x)
struct kl_log_target {
    template <class T> FM_INLINE loss_terms<T> terms(vec<T> x, vec<T> t, vec<T>, vec<T>) {
        const vec<T> probability = vexp(t);
        return {probability * (t - x), -probability};
    }
};

// max(0, 1 - t x), with the derivative 0 where that is 0
struct hinge {
    template <class T> FM_INLINE loss_terms<T> terms(vec<T> x, vec<T> t, vec<T>, vec<T>) {
        const vec<T> margin = vset(T(1)) - t * x, zero;
        return {vmax_fast(zero, margin), vselect(vle(margin, zero), zero, -t)};
    }
};

// -p t log s(x) - (1 - t) log(1 - s(x)), s(x) = 1 / (1 + exp(-x)). With l = log(1 + exp(-|x|)),
// -log s(x) = l + max(-x, 0) and -log(1 - s(x)) = l + max(x, 0): no term is negative for 0 <= t <= 1.
struct binary_logits {
    template <class T> FM_INLINE loss_terms<T> terms(vec<T> x, vec<T> t, vec<T> p, vec<T>) {
        const vec<T> one = vset(T(1)), zero;
        const vec<T> e = vexp(-vabs(x));
        const vec<T> on = p * t, off = one - t;
        const vec<T> above = vmax_fast(zero, x), below = vmax_fast(zero, -x);
        const vec<T> larger = one / (one + e), smaller = e * larger;
        const mask<T> positive = vge(x, zero);
        const vec<T> s = vselect(positive, larger, smaller);
        const vec<T> rest = vselect(positive, smaller, larger);
        const vec<T> loss = vmul_add(on + off, vlog1p_unit(e), vmul_add(off, above, on * below));
        return {loss, off * s - on * rest};
    }
};

template <class T> FM_INLINE vec<T> load_up_to(const T *p, ptrdiff_t n) {
    return n >= vlanes(T{}) ? vload(p) : vload_partial(p, n);
}
template <class T> FM_INLINE void store_up_to(T *p, vec<T> x, ptrdiff_t n) {
    if (n >= vlanes(T{}))
        vstore(p, x);
    else
        vstore_partial(p, x, n);
}

template <class Loss, class T> double sum_losses_of(const loss_range<T> &r) {
    const ptrdiff_t lanes = vlanes(T{});
    const vec<T> option = vset(r.option), scale = vset(r.scale), one = vset(T(1));
    double total = 0;
    for (ptrdiff_t i = 0; i < r.n;) {
        const ptrdiff_t end = i + 32 * lanes < r.n ? i + 32 * lanes : r.n;
        vec<T> sum;
        for (; i < end; i += lanes) {
            const ptrdiff_t n = end - i;
            const vec<T> positive = r.positive ? load_up_to(r.positive + i, n) : one;
            loss_terms<T> found = Loss::terms(load_up_to(r.x + i, n),
                                              load_up_to(r.target + i, n), positive, option);
            if (r.weight) {
                const vec<T> weight = load_up_to(r.weight + i, n);
                found = {found.loss * weight, found.slope * weight};
            }
            if (n < lanes) found.loss = vselect(mtail(T{}, n), found.loss, vec<T>());
            sum = sum + found.loss;
            if (r.losses) store_up_to(r.losses + i, found.loss, n);
            if (r.grad) store_up_to(r.grad + i, found.slope * scale, n);
        }
        i = end;
        total += double(vsum(sum));
    }
    return total;
}

template <class T> double sum_losses(int kind, const loss_range<T> &r) {
    switch (kind) {
    case SQUARED: return sum_losses_of<squared>(r);
    case ABSOLUTE: return sum_losses_of<absolute>(r);
    case HUBER: return sum_losses_of<huber>(r);
    case KL: return sum_losses_of<kl>(r);
    case KL_LOG_TARGET: return sum_losses_of<kl_log_target>(r);
    case HINGE: return sum_losses_of<hinge>(r);
    default: return sum_losses_of<binary_logits>(r);
    }
}

// Whether all targets are 1 or -1.
template <class T> bool all_signs(const T *target, ptrdiff_t n) {
    const ptrdiff_t lanes = vlanes(T{});
    const vec<T> one = vset(T(1));
    for (ptrdiff_t i = 0; i < n; i += lanes) {
        const ptrdiff_t left = n - i < lanes ? n - i : lanes;
        const mask<T> bad = vne(vabs(load_up_to(target + i, left)), one);
        if (many(mand(bad, mtail(T{}, left)))) return false;
    }
    return true;
}

} // namespace fm

#endif
