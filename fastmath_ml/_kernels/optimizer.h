// The update rules of the optimizers: one pass over parameter, gradient and state.
//
// A rule says what happens to one vector of elements; step_range runs it along an array. Memory is
// read once and written once: SGD moves 12 bytes per float32 element (20 with momentum), RMSprop
// and Adagrad 20, Adam 28. Everything in a rule that is not the same for all options is a template
// argument, so that the loop neither branches nor loads state that the options do not have.
//
// The formulas are torch's. sqrt(v / c) is taken as sqrt(v) * (1 / sqrt(c)): the second factor is
// the same for all elements, and one division per vector is left where torch has two.
#ifndef FASTMATH_ML_OPTIMIZER_H
#define FASTMATH_ML_OPTIMIZER_H

#include "simd.h"

namespace fm {

constexpr int max_states = 3;

// Which rule, and which numbers it has in one step of one array.
struct step_rule {
    int rule;                   // rule_sgd, ...
    bool has_momentum, nesterov, centered, amsgrad;
    double sign;                // -1 to maximize
    double weight_decay;        // added to the gradient: sign g + weight_decay p
    double shrink;              // of the parameter, before the step: decoupled decay, else 1
    double lr, eps, momentum;
    double keep1, rate1;        // first moment or momentum buffer: keep1 s + rate1 g
    double keep2, rate2;        // second moment: keep2 s + rate2 g^2
    double root_scale;          // of the root of the second moment: the correction of its bias
};
enum { rule_sgd, rule_rmsprop, rule_adagrad, rule_adam };

// One array with its gradient and state, all contiguous, of one dtype.
struct step_item {
    ptrdiff_t itemsize, n, first_block;
    void *param;
    const void *grad;
    void *state[max_states];
    step_rule rule;
};

// The numbers as vectors.
template <class T> struct step_numbers {
    vec<T> sign, weight_decay, shrink, lr, eps, momentum, keep1, rate1, keep2, rate2, root_scale;
    FM_ALWAYS_INLINE explicit step_numbers(const step_rule &r)
        : sign(vset(T(r.sign))), weight_decay(vset(T(r.weight_decay))), shrink(vset(T(r.shrink))),
          lr(vset(T(r.lr))), eps(vset(T(r.eps))), momentum(vset(T(r.momentum))),
          keep1(vset(T(r.keep1))), rate1(vset(T(r.rate1))), keep2(vset(T(r.keep2))),
          rate2(vset(T(r.rate2))), root_scale(vset(T(r.root_scale))) {}
};

// ---- Rules: p and the state s of some elements, their gradient g, the numbers c. ----

// b = momentum b + (1 - dampening) g; p -= lr b, with Nesterov p -= lr (g + momentum b).
template <bool has_momentum, bool nesterov> struct sgd {
    static constexpr int n_states = has_momentum;
    template <class T> FM_INLINE void update(vec<T> &p, vec<T> g, vec<T> *s,
                                             const step_numbers<T> &c) {
        if (has_momentum) {
            s[0] = vmul_add(c.keep1, s[0], c.rate1 * g);
            g = nesterov ? vmul_add(c.momentum, s[0], g) : s[0];
        }
        p = vmul_add(-c.lr, g, p);
    }
};

// v = alpha v + (1 - alpha) g^2; u = g / (sqrt(v) + eps), of the centred v - m^2 where wanted, with
// m = alpha m + (1 - alpha) g; b = momentum b + u; p -= lr b. What rounding leaves negative of the
// centred v counts as 0.
template <bool centered, bool has_momentum> struct rmsprop {
    static constexpr int n_states = 1 + centered + has_momentum;
    template <class T> FM_INLINE void update(vec<T> &p, vec<T> g, vec<T> *s,
                                             const step_numbers<T> &c) {
        s[0] = vmul_add(c.rate2 * g, g, c.keep2 * s[0]);
        vec<T> variance = s[0];
        if (centered) {
            s[1] = vmul_add(c.rate2, g - s[1], s[1]);
            variance = vmax_fast(vec<T>(), vmul_add(-s[1], s[1], variance));  // NaN stays
        }
        vec<T> step = g / (vsqrt(variance) + c.eps);
        if (has_momentum) {
            vec<T> &buffer = s[1 + centered];
            buffer = vmul_add(c.momentum, buffer, step);
            step = buffer;
        }
        p = vmul_add(-c.lr, step, p);
    }
};

// v += g^2; p -= lr g / (sqrt(v) + eps)
struct adagrad {
    static constexpr int n_states = 1;
    template <class T> FM_INLINE void update(vec<T> &p, vec<T> g, vec<T> *s,
                                             const step_numbers<T> &c) {
        s[0] = vmul_add(g, g, s[0]);
        p = vmul_add(-c.lr, g / (vsqrt(s[0]) + c.eps), p);
    }
};

// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
// p -= lr' m / (sqrt(v) root_scale + eps), of the largest v so far with amsgrad
template <bool amsgrad> struct adam {
    static constexpr int n_states = 2 + amsgrad;
    template <class T> FM_INLINE void update(vec<T> &p, vec<T> g, vec<T> *s,
                                             const step_numbers<T> &c) {
        s[0] = vmul_add(c.rate1, g - s[0], s[0]);
        s[1] = vmul_add(c.rate2 * g, g, c.keep2 * s[1]);
        if (amsgrad) s[2] = vmax(s[2], s[1]);
        const vec<T> root = vmul_add(vsqrt(s[amsgrad ? 2 : 1]), c.root_scale, c.eps);
        p = vmul_add(-c.lr, s[0] / root, p);
    }
};

// ---- The loop. ----

// The elements [i, i + n), n <= lanes.
template <class Rule, class T, bool whole> struct step_at {
    const step_numbers<T> &c;
    bool decays;
    T *param;
    const T *grad;
    T *const *state;

    FM_ALWAYS_INLINE vec<T> load(const T *x, ptrdiff_t n) const {
        return whole ? vload(x) : vload_partial(x, n);
    }
    FM_ALWAYS_INLINE void store(T *x, vec<T> value, ptrdiff_t n) const {
        whole ? vstore(x, value) : vstore_partial(x, value, n);
    }
    FM_ALWAYS_INLINE void operator()(ptrdiff_t i, ptrdiff_t n) const {
        vec<T> s[max_states];
        vec<T> p = load(param + i, n);
        vec<T> g = c.sign * load(grad + i, n);
        for (int k = 0; k < Rule::n_states; k++) s[k] = load(state[k] + i, n);
        if (decays) g = vmul_add(c.weight_decay, p, g);
        p = p * c.shrink;
        Rule::update(p, g, s, c);
        store(param + i, p, n);
        for (int k = 0; k < Rule::n_states; k++) store(state[k] + i, s[k], n);
    }
};

// Whole vectors begin where the parameter is aligned: a store across two cache lines costs twice.
template <class Rule, class T>
void step_range(const step_item &item, ptrdiff_t begin, ptrdiff_t end, T) {
    const ptrdiff_t lanes = vlanes(T{});
    const step_numbers<T> c(item.rule);
    const bool decays = item.rule.weight_decay != 0;  // 0 * infinity must not come up
    T *param = static_cast<T *>(item.param);
    const T *grad = static_cast<const T *>(item.grad);
    T *state[max_states] = {};
    for (int k = 0; k < Rule::n_states; k++) state[k] = static_cast<T *>(item.state[k]);
    const step_at<Rule, T, true> whole{c, decays, param, grad, state};
    const step_at<Rule, T, false> partial{c, decays, param, grad, state};
    ptrdiff_t i = begin;
    const ptrdiff_t behind = ptrdiff_t(uintptr_t(param + i) / sizeof(T)) & (lanes - 1);
    if (behind) {
        const ptrdiff_t head = lanes - behind < end - i ? lanes - behind : end - i;
        partial(i, head);
        i += head;
    }
    for (; i + lanes <= end; i += lanes) whole(i, lanes);
    if (i < end) partial(i, end - i);
}

// Elements [begin, end) of an array.
template <class T>
FM_INLINE void take_step(const step_item &item, ptrdiff_t begin, ptrdiff_t end, T zero) {
    const step_rule &r = item.rule;
    switch (r.rule) {
    case rule_sgd:
        if (!r.has_momentum) step_range<sgd<false, false>>(item, begin, end, zero);
        else if (!r.nesterov) step_range<sgd<true, false>>(item, begin, end, zero);
        else step_range<sgd<true, true>>(item, begin, end, zero);
        break;
    case rule_rmsprop:
        if (r.centered)
            r.has_momentum ? step_range<rmsprop<true, true>>(item, begin, end, zero)
                           : step_range<rmsprop<true, false>>(item, begin, end, zero);
        else
            r.has_momentum ? step_range<rmsprop<false, true>>(item, begin, end, zero)
                           : step_range<rmsprop<false, false>>(item, begin, end, zero);
        break;
    case rule_adagrad:
        step_range<adagrad>(item, begin, end, zero);
        break;
    default:
        r.amsgrad ? step_range<adam<true>>(item, begin, end, zero)
                  : step_range<adam<false>>(item, begin, end, zero);
    }
}

}  // namespace fm

#endif
