"""Matrix products as Python calls them: the plain case, stacks, Gram matrices.

Each function describes its arrays to the product of gemm.pyx, alone or as a stack
(product_stacks.pxd); nothing is computed here.
"""

from libc.string cimport memset

cimport numpy as cnp

import numpy as np

from fastmath_ml._kernels.blocks cimport FLOATING, INTEGERS, PAIRS, QUADS, Product
from fastmath_ml._kernels.convert cimport (
    AS_COMPUTED, BFLOAT16, BOOL, FLOAT16, FLOAT32, FLOAT64, INT8, INT16, INT32, INT64, UINT8,
    UINT16, UINT32, UINT64, cpu_has_vnni, element_bytes,
)
from fastmath_ml._kernels.gemm cimport multiply_or_raise
from fastmath_ml._kernels.matvec cimport VectorProduct, multiply_symmetric
from fastmath_ml._kernels.overlap cimport overlaps
from fastmath_ml._kernels.pool cimport OUT_OF_MEMORY
from fastmath_ml._kernels.product_stacks cimport (
    MAX_STACK_AXES, Stack, in_elements, multiply_stack,
)

cnp.import_array()

# The value with which NumPy marks an option that was not given.
NO_VALUE = np._NoValue

cdef object MATMUL = np.matmul, VECDOT = np.vecdot, MATVEC = np.matvec, VECMAT = np.vecmat

cdef int element_type_of(cnp.ndarray x) noexcept:
    """Its element_type; the only dtype here that NumPy does not know is bfloat16."""
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    cdef int number = cnp.PyArray_TYPE(x)
    if cnp.PyTypeNum_ISBOOL(number):
        return BOOL
    if cnp.PyTypeNum_ISSIGNED(number) and cnp.PyTypeNum_ISINTEGER(number):
        return INT8 if size == 1 else INT16 if size == 2 else INT32 if size == 4 else INT64
    if cnp.PyTypeNum_ISUNSIGNED(number):
        return UINT8 if size == 1 else UINT16 if size == 2 else UINT32 if size == 4 else UINT64
    if cnp.PyTypeNum_ISFLOAT(number):
        return FLOAT16 if size == 2 else FLOAT32 if size == 4 else FLOAT64
    return BFLOAT16


cdef bint fits_pair(int operand, int result) noexcept nogil:
    """Whether int16 holds the operand: by its value, or as a result of 16 bits has it."""
    return (operand == BOOL or operand == INT8 or operand == UINT8 or operand == INT16
            or (operand == UINT16 and element_bytes[result] <= 2))


cdef bint fits_quad(int operand) noexcept nogil:
    return operand == INT8 or operand == UINT8


cdef void set_types(Product* p, int a_type, int b_type, int c_type) noexcept nogil:
    """In what to compute, and what is to be converted. The depth comes in elements."""
    p.itemsize = 8 if element_bytes[c_type] == 8 else 4
    p.computed = FLOATING
    if c_type >= INT8:
        p.computed = INTEGERS
        if p.itemsize == 4 and fits_quad(a_type) and fits_quad(b_type) and cpu_has_vnni():
            p.computed = QUADS
            p.last = p.depth % 4
            p.depth = (p.depth + 3) // 4
        elif p.itemsize == 4 and fits_pair(a_type, c_type) and fits_pair(b_type, c_type):
            p.computed = PAIRS
            p.last = p.depth % 2
            p.depth = (p.depth + 1) // 2
    p.a_type, p.b_type, p.c_type = (
        as_computed(a_type, p), as_computed(b_type, p), as_computed(c_type, p))


cdef int as_computed(int type, const Product* p) noexcept nogil:
    """AS_COMPUTED for the types that the product computes in."""
    if p.computed == FLOATING:
        return AS_COMPUTED if type == (FLOAT32 if p.itemsize == 4 else FLOAT64) else type
    if p.itemsize == 4:
        return AS_COMPUTED if type == INT32 or type == UINT32 else type
    return AS_COMPUTED if type == INT64 or type == UINT64 else type


cdef inline Py_ssize_t dim(cnp.ndarray x, int from_last) noexcept:
    return cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - from_last)


cdef inline Py_ssize_t stride(cnp.ndarray x, int from_last) noexcept:
    """In elements: aligned arrays of the dtypes here have strides of whole ones."""
    return in_elements(cnp.PyArray_STRIDE(x, cnp.PyArray_NDIM(x) - from_last),
                       cnp.PyArray_ITEMSIZE(x))


cdef inline void set_operands(Product* p, cnp.ndarray a, cnp.ndarray b, int a_axes,
                              int b_axes) noexcept:
    """All of p but the result and the types, from the matrices or vectors on the last axes."""
    memset(p, 0, sizeof(Product))
    p.itemsize = cnp.PyArray_ITEMSIZE(a)
    p.a = cnp.PyArray_DATA(a)
    p.b = cnp.PyArray_DATA(b)
    p.depth = dim(a, 1)
    p.a_depth = stride(a, 1)
    p.b_depth = stride(b, b_axes)
    # The stride of an axis of length 1 says nothing; 1 opens the paths for unit strides.
    p.n_rows = p.n_cols = p.b_col = 1
    if a_axes == 2:
        p.n_rows = dim(a, 2)
        p.a_row = stride(a, 2)
    if b_axes == 2 and dim(b, 1) != 1:
        p.n_cols = dim(b, 1)
        p.b_col = stride(b, 1)


cdef void describe(Product* p, cnp.ndarray x1, cnp.ndarray x2, cnp.ndarray out) noexcept:
    """The product of the matrices on the last two axes; row strides in elements."""
    set_operands(p, x1, x2, 2, 2)
    set_types(p, element_type_of(x1), element_type_of(x2), element_type_of(out))
    p.c = cnp.PyArray_DATA(out)
    p.c_row = stride(out, 2)


cdef void transpose(Product* p) noexcept nogil:
    """The operands of C^T = B^T A^T."""
    p.n_rows, p.n_cols = p.n_cols, p.n_rows
    p.a, p.b = p.b, p.a
    p.a_type, p.b_type = p.b_type, p.a_type
    p.a_row, p.b_col = p.b_col, p.a_row
    p.a_depth, p.b_depth = p.b_depth, p.a_depth


cdef bint has_whole_rows(cnp.ndarray out) noexcept:
    """Whether it can be written and its rows lie in memory without gaps, apart from each other."""
    cdef Py_ssize_t row = cnp.PyArray_ITEMSIZE(out)
    if cnp.PyArray_ISCARRAY(out):
        return True
    if cnp.PyArray_NDIM(out) != 2 or not cnp.PyArray_ISBEHAVED(out):
        return False
    row *= cnp.PyArray_DIM(out, 1)
    return (cnp.PyArray_STRIDE(out, 1) == cnp.PyArray_ITEMSIZE(out)
            and cnp.PyArray_STRIDE(out, 0) >= row)


def matmul_stack(cnp.ndarray x1, cnp.ndarray x2, cnp.ndarray out):
    """out = x1 @ x2 for stacks of matrices.

    The dtypes are real, boolean or bfloat16; that of `out` is the one that the operands promote to,
    or one that all of them can be cast to without a change of value. All three arrays have the same
    number of axes, at least 2, and broadcast stacks have stride 0. Aligned, in the machine's byte
    order, strides whole elements; out has a unit stride along one of its last two axes and shares
    no memory with the others. The caller has checked all this.
    """
    cdef Stack stack
    cdef int i
    describe(&stack.first, x1, x2, out)
    if cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1) != cnp.PyArray_ITEMSIZE(out) and (
            stack.first.n_cols > 1):
        # C^T = B^T A^T has the unit stride along its columns.
        x1, x2 = x2, x1
        transpose(&stack.first)
        stack.first.c_row = stride(out, 1)
    stack.n_axes = cnp.PyArray_NDIM(out) - 2
    for i in range(stack.n_axes):
        stack.a_stride[i] = cnp.PyArray_STRIDE(x1, i)
        stack.b_stride[i] = cnp.PyArray_STRIDE(x2, i)
    multiply_stack(&stack, out)


cdef inline bint is_real(int kind) noexcept:
    """Whether it is the number of a boolean, integer or floating dtype up to float64."""
    return 0 <= kind <= cnp.NPY_DOUBLE or kind == cnp.NPY_FLOAT16


cdef int type_number(object dtype):
    """Of whatever NumPy takes for one; -1 for another byte order and where there is none."""
    cdef cnp.dtype described
    if isinstance(dtype, cnp.dtype):
        described = dtype
    else:
        try:
            described = np.dtype(dtype)
        except TypeError:
            return -1
    return described.type_num if described.isnative else -1


cdef object product_plain(object x1, object x2, object out, int a_axes, int b_axes, object axes,
                          object axis, object keepdims, object casting, object order,
                          object dtype, object subok, object signature):
    """The product of two operands of one real or boolean dtype, with any strides; else None.

    The common case, recognised before any general code runs, with no option of NumPy's but a dtype
    to which the operands' is cast safely. a_axes and b_axes: on how many of the last axes an
    operand's matrix or vector lies; 0: on two, or on one if there are no more. `out`: None or an
    array of the result's dtype and shape, with whole rows in memory, that shares no memory with the
    others; else None too.
    """
    cdef cnp.ndarray a, b, c
    cdef int kind, result_kind, n_axes
    cdef Stack stack
    cdef Product* p = &stack.first
    cdef cnp.npy_intp shape[64]
    if not (cnp.PyArray_CheckExact(x1) and cnp.PyArray_CheckExact(x2)):
        return None
    if not (axes is NO_VALUE and axis is NO_VALUE and keepdims is False and signature is None
            and casting == "same_kind" and order == "K" and (subok is True or subok is False)):
        return None
    a = x1
    b = x2
    kind = cnp.PyArray_TYPE(a)
    if kind != cnp.PyArray_TYPE(b) or not is_real(kind):
        return None
    result_kind = kind
    if dtype is not None:
        result_kind = type_number(dtype)
        if not (is_real(result_kind) and cnp.PyArray_CanCastSafely(kind, result_kind)):
            return None
    if not (cnp.PyArray_ISBEHAVED_RO(a) and cnp.PyArray_ISBEHAVED_RO(b)):
        return None
    if a_axes == 0:
        a_axes = min(cnp.PyArray_NDIM(a), 2)
    if b_axes == 0:
        b_axes = min(cnp.PyArray_NDIM(b), 2)
    if not (0 < a_axes <= cnp.PyArray_NDIM(a) and 0 < b_axes <= cnp.PyArray_NDIM(b)):
        return None
    if dim(a, 1) != dim(b, b_axes):
        return None
    set_operands(p, a, b, a_axes, b_axes)
    if not broadcast(&stack, a, b, a_axes, b_axes, shape):
        return None
    n_axes = stack.n_axes
    if a_axes == 2:
        shape[n_axes] = p.n_rows
        n_axes += 1
    if b_axes == 2:
        shape[n_axes] = p.n_cols
        n_axes += 1
    if out is None:
        c = cnp.PyArray_SimpleNew(n_axes, shape, result_kind)
    else:
        if not cnp.PyArray_CheckExact(out):
            return None
        c = out
        if not (cnp.PyArray_TYPE(c) == result_kind and has_whole_rows(c)
                and cnp.PyArray_NDIM(c) == n_axes
                and cnp.PyArray_CompareLists(cnp.PyArray_DIMS(c), shape, n_axes)
                and not overlaps(c, a) and not overlaps(c, b)):
            return None
    p.c = cnp.PyArray_DATA(c)
    p.c_row = p.n_cols
    if a_axes == 2 and b_axes == 2:
        p.c_row = stride(c, 2)
    if result_kind != kind or (kind != cnp.NPY_FLOAT32 and kind != cnp.NPY_FLOAT64):
        kind = element_type_of(a)
        set_types(p, kind, kind, element_type_of(c))
    multiply_stack(&stack, c)
    if n_axes == 0 and out is None:
        return c[()]
    return c


# Here and not in linalg.py: a Python function around product_plain takes 80 ns, two thirds of a
# 16 x 16 product.

cdef object product(object function, int a_axes, int b_axes, object x1, object x2, object out,
                    object axes, object axis, object keepdims, object casting, object order,
                    object dtype, object subok, object signature):
    """What NumPy's `function` gives."""
    result = product_plain(x1, x2, out, a_axes, b_axes, axes, axis, keepdims, casting, order, dtype,
                           subok, signature)
    if result is not None:
        return result
    from fastmath_ml._products import with_options  # which imports this module

    return with_options(function, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok,
                        signature)


def matmul(x1, x2, /, out=None, *, axes=NO_VALUE, axis=NO_VALUE, keepdims=False,
           casting="same_kind", order="K", dtype=None, subok=True, signature=None):
    r"""Matrix product of two arrays, with the semantics of `numpy.matmul`.

    .. math:: C_{ij} = \sum_p A_{ip} B_{pj}

    Parameters
    ----------
    x1 : array_like, shape (..., n_rows, depth) or (depth,)
    x2 : array_like, shape (..., depth, n_cols) or (depth,)
        Matrices on the last two axes; the axes before them are broadcast against each other. A
        vector counts as one row (`x1`) or one column (`x2`), and that axis is left out of the
        result.
    out : ndarray or tuple of one ndarray, optional
        Receives the result. May overlap the inputs.
    dtype : dtype, optional
        Of the result; the operands are converted to it, by the rule 'same_kind'.
    axes, axis, keepdims, casting, order, subok, signature
        As for `numpy.matmul`, which is called where one of them is given.

    Returns
    -------
    ndarray or scalar
        Of shape (..., n_rows, n_cols); a scalar for two vectors. dtypes promote as in NumPy:
        float16 (summed in float32), float32, float64, all integers (exact modulo 2 to the number of
        bits of the result, as in NumPy; `dtype=` widens) and bool. bfloat16 (of the package
        ml_dtypes) gives bfloat16, summed in float32. Every other dtype goes to `numpy.matmul`.

    Raises
    ------
    ValueError
        The depths of `x1` and `x2` differ, their stacks do not broadcast, one of them is a scalar,
        or `out` has another shape.
    TypeError
        An argument is a masked array, or the result cannot be cast to the dtype of `out`.

    Notes
    -----
    Each element is summed in blocks of a fixed length along the depth, so the result does not
    depend on the number of threads. Componentwise, for a depth of d, the error is at most
    :math:`(d + 2)\,\varepsilon\,|A||B|`; in practice :math:`\sqrt d` takes the place of d.
    Operands of any strides are packed in blocks and never copied as a whole; working memory is
    at most 16 MiB plus a quarter of the L2 cache for each thread.

    References
    ----------
    .. [1] K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM
       Transactions on Mathematical Software 34(3), 2008.
    .. [2] F. Van Zee and R. van de Geijn, "BLIS: A framework for rapidly instantiating BLAS
       functionality", ACM Transactions on Mathematical Software 41(3), 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    return product(MATMUL, 0, 0, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok,
                   signature)


def vecdot(x1, x2, /, out=None, *, axes=NO_VALUE, axis=NO_VALUE, keepdims=False,
           casting="same_kind", order="K", dtype=None, subok=True, signature=None):
    r"""Dot products of vectors, with the semantics of `numpy.vecdot`.

    .. math:: c = \sum_p a_p b_p

    Parameters
    ----------
    x1, x2 : array_like, shape (..., depth)
        Vectors on the last axis; the axes before it are broadcast against each other.
    out, axes, axis, keepdims, casting, order, dtype, subok, signature
        As for `matmul`.

    Returns
    -------
    ndarray or scalar
        The shape of `x1` and `x2` without the last axis. dtypes as for `matmul`.

    Raises
    ------
    ValueError, TypeError
        As for `matmul`.

    Notes
    -----
    Products are summed in blocks of 2048 by lanes, the blocks in float64: the error of float32 does
    not grow with the depth beyond that of a block.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    return product(VECDOT, 1, 1, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok,
                   signature)


def matvec(x1, x2, /, out=None, *, axes=NO_VALUE, axis=NO_VALUE, keepdims=False,
           casting="same_kind", order="K", dtype=None, subok=True, signature=None):
    r"""Products of matrices and vectors, with the semantics of `numpy.matvec`.

    .. math:: c_i = \sum_p A_{ip} b_p

    Parameters
    ----------
    x1 : array_like, shape (..., n_rows, depth)
    x2 : array_like, shape (..., depth)
        The axes before are broadcast against each other.
    out, axes, axis, keepdims, casting, order, dtype, subok, signature
        As for `matmul`.

    Returns
    -------
    ndarray, shape (..., n_rows)
        dtypes as for `matmul`.

    Raises
    ------
    ValueError, TypeError
        As for `matmul`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.matvec(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    return product(MATVEC, 2, 1, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok,
                   signature)


def vecmat(x1, x2, /, out=None, *, axes=NO_VALUE, axis=NO_VALUE, keepdims=False,
           casting="same_kind", order="K", dtype=None, subok=True, signature=None):
    r"""Products of vectors and matrices, with the semantics of `numpy.vecmat`.

    .. math:: c_j = \sum_p a_p B_{pj}

    Parameters
    ----------
    x1 : array_like, shape (..., depth)
    x2 : array_like, shape (..., depth, n_cols)
        The axes before are broadcast against each other.
    out, axes, axis, keepdims, casting, order, dtype, subok, signature
        As for `matmul`.

    Returns
    -------
    ndarray, shape (..., n_cols)
        dtypes as for `matmul`.

    Raises
    ------
    ValueError, TypeError
        As for `matmul`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.vecmat(np.array([1.0, 10.0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([31., 42.])
    """
    return product(VECMAT, 1, 2, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok,
                   signature)


cdef bint broadcast(Stack* stack, cnp.ndarray a, cnp.ndarray b, int a_axes, int b_axes,
                    cnp.npy_intp* shape) noexcept:
    """The stack's axes, lengths and strides of the operands; False where they do not broadcast."""
    cdef int a_stack = cnp.PyArray_NDIM(a) - a_axes, b_stack = cnp.PyArray_NDIM(b) - b_axes
    cdef int n_axes = max(a_stack, b_stack), i
    cdef Py_ssize_t a_dim, b_dim
    stack.n_axes = n_axes
    if n_axes > MAX_STACK_AXES:
        return False
    for i in range(n_axes):
        a_dim = cnp.PyArray_DIM(a, i - n_axes + a_stack) if i >= n_axes - a_stack else 1
        b_dim = cnp.PyArray_DIM(b, i - n_axes + b_stack) if i >= n_axes - b_stack else 1
        if a_dim != b_dim and a_dim != 1 and b_dim != 1:
            return False
        shape[i] = b_dim if a_dim == 1 else a_dim
        stack.a_stride[i] = 0 if a_dim == 1 else cnp.PyArray_STRIDE(a, i - n_axes + a_stack)
        stack.b_stride[i] = 0 if b_dim == 1 else cnp.PyArray_STRIDE(b, i - n_axes + b_stack)
    return True


def gram_plain(cnp.ndarray x, cnp.ndarray out):
    """out = x.T @ x for a float32 or float64 matrix; out is C-ordered and apart from x."""
    cdef Product p
    memset(&p, 0, sizeof(p))
    p.itemsize = cnp.PyArray_ITEMSIZE(x)
    p.n_rows = p.n_cols = cnp.PyArray_DIM(x, 1)
    p.depth = cnp.PyArray_DIM(x, 0)
    p.a = p.b = cnp.PyArray_DATA(x)
    p.a_row = p.b_col = stride(x, 1)
    p.a_depth = p.b_depth = stride(x, 2)
    p.c = cnp.PyArray_DATA(out)
    p.c_row = p.n_cols
    p.symmetric = True
    multiply_or_raise(&p, False)


def symmetric_product(cnp.ndarray a, cnp.ndarray x, cnp.ndarray y):
    """y = a x for a symmetric matrix with a unit stride along one axis, of which half is read.

    x and y are C-ordered, (n, n_vectors) with n_vectors >= 1; all are of one dtype, float32 or
    float64, and y shares memory with neither. The caller has checked all this.
    """
    cdef VectorProduct p
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a)
    cdef int status
    memset(&p, 0, sizeof(p))
    p.itemsize = size
    p.n_out = p.depth = cnp.PyArray_DIM(a, 0)
    p.n_vectors = cnp.PyArray_DIM(x, 1)
    p.matrix = cnp.PyArray_DATA(a)
    p.out_stride = cnp.PyArray_STRIDE(a, 0 if cnp.PyArray_STRIDE(a, 1) == size else 1) // size
    p.depth_stride = 1
    p.x = cnp.PyArray_DATA(x)
    p.y = cnp.PyArray_DATA(y)
    p.x_stride = p.y_stride = p.n_vectors
    p.x_vector = p.y_vector = 1
    with nogil:
        status = multiply_symmetric(&p)
    if status == OUT_OF_MEMORY:
        raise MemoryError("no scratch memory for the vectors of a product")
