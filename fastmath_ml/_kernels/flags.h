// Flags that any of the threads of a call may raise, and that its caller reads when all are done.
#ifndef FASTMATH_ML_FLAGS_H
#define FASTMATH_ML_FLAGS_H

namespace fm {

inline void raise_flag(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

}  // namespace fm

#endif
