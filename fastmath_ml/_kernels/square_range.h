// Which squared norms can be trusted.
#ifndef FASTMATH_ML_SQUARE_RANGE_H
#define FASTMATH_ML_SQUARE_RANGE_H

namespace fm {

// Between these no square that counts in the sum has over- or underflowed.
template <class T> constexpr T least_safe_square = T(sizeof(T) == 4 ? 1e-20 : 1e-280);
template <class T> constexpr T most_safe_square = T(sizeof(T) == 4 ? 1e36 : 1e300);

template <class T> inline bool is_safe_square(T norm_sq) {
    return norm_sq >= least_safe_square<T> && norm_sq <= most_safe_square<T>;
}

}  // namespace fm

#endif
