# Stacks of matrix products, which the threads share product by product or each by itself: compiled
# into products.pyx.
cimport numpy as cnp

from fastmath_ml._kernels.blocks cimport Product, Steps, multiply_small
from fastmath_ml._kernels.gemm cimport (
    dot_ns, is_dot, is_small_tile, multiply, multiply_dot, multiply_or_raise,
)
from fastmath_ml._kernels.pool cimport OUT_OF_MEMORY, parallel_for, raise_flag

cdef enum:
    # Stacks of products from this size on: the threads share each product, not the stack.
    SHARED_PRODUCT_NS = 1000000
    MAX_STACK_AXES = 62


cdef inline Py_ssize_t in_elements(Py_ssize_t n_bytes, Py_ssize_t itemsize) noexcept nogil:
    """n_bytes / itemsize, which is 1, 2, 4 or 8: a division takes longer than a small product."""
    return n_bytes >> ((itemsize > 1) + (itemsize > 2) + (itemsize > 4))


cdef struct Stack:
    Product first
    int n_axes
    Py_ssize_t shape[64]
    Py_ssize_t a_stride[64]         # bytes; 0: broadcast
    Py_ssize_t b_stride[64]
    Py_ssize_t c_stride[64]
    bint out_of_memory


cdef inline void move(Product* p, const Stack* stack, int axis, Py_ssize_t n) noexcept nogil:
    """n products further on along an axis of the stack."""
    p.a = <const char*>p.a + n * stack.a_stride[axis]
    p.b = <const char*>p.b + n * stack.b_stride[axis]
    p.c = <char*>p.c + n * stack.c_stride[axis]


cdef inline int multiply_items(Py_ssize_t begin, Py_ssize_t end,
                               const Stack* stack) except -1 nogil:
    """The products [begin, end) of a stack, counted in C order."""
    cdef Product p = stack.first
    cdef Py_ssize_t index[64]
    cdef Py_ssize_t rest = begin, run, _item
    cdef inline int i, last = stack.n_axes - 1, status
    cdef bint dots = is_dot(&p), small = is_small_tile(&p) and not dots
    cdef Steps steps
    steps.a = in_elements(stack.a_stride[last], p.itemsize)
    steps.b = in_elements(stack.b_stride[last], p.itemsize)
    steps.c = in_elements(stack.c_stride[last], p.itemsize)
    for i in range(last, -1, -1):
        index[i] = rest % stack.shape[i]
        rest //= stack.shape[i]
        move(&p, stack, i, index[i])
    while begin < end:
        run = min(end - begin, stack.shape[last] - index[last])
        if small:
            multiply_small(&p, run, &steps)
            move(&p, stack, last, run)
        else:
            for _item in range(run):
                if dots:
                    multiply_dot(&p)
                else:
                    status = multiply(&p)
                    if status:
                        return status
                move(&p, stack, last, 1)
        begin += run
        index[last] += run
        i = last
        while i > 0 and index[i] == stack.shape[i]:
            move(&p, stack, i, -index[i])
            index[i] = 0
            i -= 1
            move(&p, stack, i, 1)
            index[i] += 1
    return 0


cdef inline void merge_axes(Stack* stack) noexcept nogil:
    """Axes through which one stride leads become one, for longer runs along the last."""
    cdef inline int i, n = 0
    for i in range(1, stack.n_axes):
        if stack.shape[n] == 1 or (
                stack.a_stride[n] == stack.shape[i] * stack.a_stride[i]
                and stack.b_stride[n] == stack.shape[i] * stack.b_stride[i]
                and stack.c_stride[n] == stack.shape[i] * stack.c_stride[i]):
            stack.shape[n] *= stack.shape[i]
        elif stack.shape[i] == 1:
            continue
        else:
            n += 1
            stack.shape[n] = stack.shape[i]
        stack.a_stride[n] = stack.a_stride[i]
        stack.b_stride[n] = stack.b_stride[i]
        stack.c_stride[n] = stack.c_stride[i]
    stack.n_axes = n + 1


cdef inline void multiply_body(Py_ssize_t begin, Py_ssize_t end, void* context) noexcept nogil:
    if multiply_items(begin, end, <const Stack*>context):
        raise_flag(&(<Stack*>context).out_of_memory)


cdef inline int multiply_stack(Stack* stack, cnp.ndarray out) except -1:
    """All products of a stack whose axes are the first of `out`, or the one without axes."""
    cdef const Product* p = &stack.first
    cdef Py_ssize_t n_products = 1
    cdef double work = <double>p.n_rows * p.n_cols * p.depth, product_ns
    cdef bint small = is_small_tile(p)
    cdef inline int i
    if stack.n_axes == 0:
        # Giving the interpreter's lock back takes 50 ns; others wait a few microseconds at most.
        return multiply_or_raise(p, small or work < 4096)
    # The call, the arithmetic, and 10 bytes a nanosecond: stacks come from memory.
    product_ns = (2.0 if small else 200.0) + p.itemsize * (
        work / 400.0
        + 0.1 * (p.n_rows * p.depth + p.depth * p.n_cols + p.n_rows * p.n_cols))
    stack.out_of_memory = False
    for i in range(stack.n_axes):
        stack.shape[i] = cnp.PyArray_DIM(out, i)
        stack.c_stride[i] = cnp.PyArray_STRIDE(out, i)
        n_products *= stack.shape[i]
    if n_products == 0 or p.n_rows == 0 or p.n_cols == 0:
        return 0
    merge_axes(stack)
    if is_dot(p):
        product_ns = dot_ns(p)
    with nogil:
        # Large products are cut up one by one, which also looks for signals inside of them.
        if n_products == 1 or product_ns > SHARED_PRODUCT_NS:
            stack.out_of_memory = multiply_items(0, n_products, stack) == OUT_OF_MEMORY
        else:
            parallel_for(n_products, 1, n_products * product_ns, multiply_body, stack)
    if stack.out_of_memory:
        raise MemoryError("no memory for a packed block of an operand")
    return 0
