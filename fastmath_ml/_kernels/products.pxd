# How arrays become a product, for kernels that add to it.
cimport numpy as cnp

from fastmath_ml._kernels.blocks cimport Product

# The product of the matrices on the last two axes. Strides are whole elements; dtypes real, boolean
# or bfloat16, those of the operands can be converted to that of `out`.
cdef void describe(Product* p, cnp.ndarray x1, cnp.ndarray x2, cnp.ndarray out) noexcept
