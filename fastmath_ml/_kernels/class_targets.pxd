# Class numbers are looked at before anything is written: which is none, and what all of them weigh.
# Compiled into cross_entropy.pyx.
from cython cimport floating as real
from libc.stdint cimport int64_t, uint64_t

from fastmath_ml._kernels.pool cimport ordered_reduce

cdef enum:
    CHECK_SEGMENT = 1 << 12     # targets that are looked at together


cdef struct Check:
    const int64_t* target
    Py_ssize_t n_classes, itemsize
    int64_t ignore_index
    const void* weight

cdef struct Checked:
    double weight               # of the targets that are not ignored
    Py_ssize_t first_bad        # -1: none


cdef inline double target_weights(const Check* check, Py_ssize_t begin, Py_ssize_t end,
                                  real zero) noexcept nogil:
    cdef const real* weight = <const real*>check.weight
    cdef inline double total = 0
    cdef Py_ssize_t i
    for i in range(begin, end):
        if check.target[i] != check.ignore_index:
            total += weight[check.target[i]]
    return total


cdef inline void check_body(Py_ssize_t begin, Py_ssize_t end, void* partial,
                            void* context) noexcept nogil:
    cdef const Check* check = <const Check*>context
    cdef Checked* checked = <Checked*>partial
    cdef const int64_t* target = check.target
    cdef int64_t ignore_index = check.ignore_index
    cdef uint64_t n_classes = check.n_classes
    cdef Py_ssize_t i, n_counted = 0, n_bad = 0
    for i in range(begin, end):
        n_counted += target[i] != ignore_index
        n_bad += (target[i] != ignore_index) & (<uint64_t>target[i] >= n_classes)
    checked.first_bad = -1
    checked.weight = n_counted
    if n_bad:
        for i in range(begin, end):
            if target[i] != ignore_index and <uint64_t>target[i] >= n_classes:
                checked.first_bad = i
                return
    if check.weight != NULL:
        if check.itemsize == 4:
            checked.weight = target_weights(check, begin, end, <float>0)
        else:
            checked.weight = target_weights(check, begin, end, <double>0)


cdef inline void check_combine(void* total, const void* partial, void* context) noexcept nogil:
    cdef Checked* so_far = <Checked*>total
    so_far.weight += (<const Checked*>partial).weight
    if so_far.first_bad < 0:
        so_far.first_bad = (<const Checked*>partial).first_bad


cdef inline int check_all(Check* check, Py_ssize_t n_targets, Checked* checked) except -1 nogil:
    checked.weight = 0
    checked.first_bad = -1
    return ordered_reduce(n_targets, CHECK_SEGMENT, sizeof(Checked), 0.5 * n_targets, check_body,
                          check_combine, checked, check)
