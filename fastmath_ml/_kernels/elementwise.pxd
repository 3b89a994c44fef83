# The tiles of metrics that no matrix product computes, for kernels of the same CPU level.

cdef extern from "metric_tile.h" namespace "fm" nogil:
    ctypedef struct metric_options:
        double p
        double inverse_p
        double total

    ctypedef struct metric_operands:
        Py_ssize_t depth
        const void* x
        Py_ssize_t x_depth
        const void* y
        const void* weights
        void* sums
        bint from_zero
        bint goes_on
        bint as_surrogate
        metric_options options

    ctypedef void (*metric_function)(Py_ssize_t rows, Py_ssize_t cols, const metric_operands& x,
                                     void* out, Py_ssize_t out_row) noexcept nogil

    ctypedef struct metric_tiles:
        metric_function full
        metric_function single
        Py_ssize_t height
        Py_ssize_t n_sums

    Py_ssize_t metric_cols[T](T) noexcept

    cdef enum metric_kind:
        CITYBLOCK
        CHEBYSHEV
        CANBERRA
        BRAYCURTIS
        EUCLIDEAN
        MINKOWSKI
        MINKOWSKI_3
        HAMMING
        JENSENSHANNON
        NAN_EUCLIDEAN

# The tiles of a metric for float32 (itemsize 4) or float64 (8).
cdef metric_tiles metric_tiles_of(int kind, Py_ssize_t itemsize) noexcept nogil
