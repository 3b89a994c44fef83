cdef extern from "square_range.h" namespace "fm" nogil:
    const float least_safe_float "fm::least_safe_square<float>"
    const float most_safe_float "fm::most_safe_square<float>"
    const double least_safe_double "fm::least_safe_square<double>"
    const double most_safe_double "fm::most_safe_square<double>"

    bint is_safe_square[T](T norm_sq) noexcept
