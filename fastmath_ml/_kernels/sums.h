// Partial sums, added to their totals.
#ifndef FASTMATH_ML_SUMS_H
#define FASTMATH_ML_SUMS_H

#include <stddef.h>

namespace fm {

// total[i] += partial[i] for i < n
template <class Total, class T>
inline void add_array(Total *total, const T *partial, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) total[i] += partial[i];
}

// One double, as ordered_reduce wants it.
inline void add_number(void *total, const void *partial, void *) {
    *static_cast<double *>(total) += *static_cast<const double *>(partial);
}

}  // namespace fm

#endif
