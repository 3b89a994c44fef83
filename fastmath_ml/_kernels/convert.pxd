# Cython's view of convert.h and integers.h; the headers say what each name means.
from libc.stdint cimport uint32_t


cdef extern from "integers.h" namespace "fm" nogil:
    cppclass pair:
        pair() noexcept

    cppclass fused_pair:
        fused_pair() noexcept

    cppclass quad:
        quad() noexcept

    bint cpu_has_vnni() noexcept


cdef extern from "convert.h" namespace "fm" nogil:
    enum element_type:
        AS_COMPUTED, FLOAT16, BFLOAT16, FLOAT32, FLOAT64
        INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL

    const Py_ssize_t* element_bytes
    void subtract_from_steps[T](T* packed, Py_ssize_t stride, Py_ssize_t width, Py_ssize_t depth,
                                const T* high, const T* low) noexcept
    void pack_operand[T](int type, Py_ssize_t width, Py_ssize_t depth, Py_ssize_t last,
                         const void* source, Py_ssize_t stride, Py_ssize_t depth_stride,
                         const T* scale, T* to, Py_ssize_t to_stride, bint spill) noexcept
    Py_ssize_t step_elements[T](T) noexcept
    void shift_bytes(bint of_a, quad* panel, Py_ssize_t width, Py_ssize_t stride,
                     Py_ssize_t steps, uint32_t flip, uint32_t factor, uint32_t constant,
                     quad* terms) noexcept
    void convert_result[T](int type, Py_ssize_t n, const T* source, void* to) noexcept
