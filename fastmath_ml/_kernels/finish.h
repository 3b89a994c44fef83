// What becomes of the elements of a product: an affine map and a clip in registers, then possibly a
// function, which goes over the finished tile while it is in the L1 cache.
#ifndef FASTMATH_ML_FINISH_H
#define FASTMATH_ML_FINISH_H

#include "tile.h"

namespace fm {

enum { THEN_NOTHING, THEN_POWER, THEN_TANH, THEN_EXP };

// factor * element + offset, clipped to [low, high]; NaN stays.
template <class T> struct affine_map {
    T factor, offset, low, high;
};

struct finish_context {
    affine_map<float> map32;    // for elements of either type, so that no tile converts constants
    affine_map<double> map64;
    int then;
    double power;               // a whole number, of THEN_POWER; the factor of THEN_EXP: exp(power x)
};

static inline void set_affine(finish_context &context, double factor, double offset, double low,
                              double high) {
    context.map32 = {float(factor), float(offset), float(low), float(high)};
    context.map64 = {factor, offset, low, high};
}

FM_INLINE const affine_map<float> &map_of(const finish_context &x, float) { return x.map32; }
FM_INLINE const affine_map<double> &map_of(const finish_context &x, double) { return x.map64; }

struct affine {
    static constexpr bool packed_only = true;
    template <class T> struct on {
        const affine_map<T> map;
        FM_ALWAYS_INLINE explicit on(const operands<T> &x)
            : map(map_of(*static_cast<const finish_context *>(x.context), T{})) {}
        FM_ALWAYS_INLINE vec<T> finish(vec<T> element, int, int) {
            element = vmul_add(vset(map.factor), element, vset(map.offset));
            return vmin_fast(vset(map.high), vmax_fast(vset(map.low), element));
        }
        FM_ALWAYS_INLINE void done() {}
    };
};

template <class T> FM_INLINE vec<T> whole_power(vec<T> x, int64_t n) {
    vec<T> result = vset(T(1));
    for (; n; n >>= 1, x = x * x)
        if (n & 1) result = result * x;
    return result;
}

template <class T> FM_INLINE vec<T> then_function(vec<T> x, int then, double power) {
    if (then == THEN_POWER) return whole_power(x, int64_t(power));
    if (then == THEN_EXP) return vexp(x * vset(T(power)));
    return vtanh(x);
}

template <class T>
void finish_rows(ptrdiff_t rows, ptrdiff_t cols, T *c, ptrdiff_t c_row, const finish_context &context) {
    if (context.then == THEN_NOTHING) return;
    const ptrdiff_t lanes = vlanes(T{});
    for (ptrdiff_t i = 0; i < rows; i++, c += c_row)
        for (ptrdiff_t j = 0; j < cols; j += lanes) {
            const ptrdiff_t n = cols - j < lanes ? cols - j : lanes;
            const vec<T> x = n == lanes ? vload(c + j) : vload_partial(c + j, n);
            const vec<T> y = then_function(x, context.then, context.power);
            if (n == lanes)
                vstore(c + j, y);
            else
                vstore_partial(c + j, y, n);
        }
}

}  // namespace fm

#endif
