"""Matrix and vector products, eigenpairs, singular triplets, norms; numpy.linalg for stacks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, as_result, check_out, computing_dtype, ready, receives
from ._eigen import eigh_topk, power_iteration
from ._kernels.products import gram_plain, matmul_plain, matmul_stack
from ._linear import linear
from ._norm import norm
from ._pca import pca, randomized_svd
from ._small_solve import cholesky, det, inv, slogdet, solve
from ._small_spectral import eigh, eigvalsh, lstsq, pinv, qr, svd
from ._svd import svd_topk

__all__ = [
    "cholesky",
    "det",
    "eigh",
    "eigh_topk",
    "eigvalsh",
    "gram",
    "inv",
    "linear",
    "lstsq",
    "matmul",
    "matvec",
    "norm",
    "pca",
    "pinv",
    "power_iteration",
    "qr",
    "randomized_svd",
    "slogdet",
    "solve",
    "svd",
    "svd_topk",
    "vecdot",
    "vecmat",
]

# The value with which NumPy marks an option that was not given.
_NO_VALUE: Any = np._NoValue


def matmul(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = _NO_VALUE,
    axis: Any = _NO_VALUE,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
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
    if (
        dtype is None
        and axes is _NO_VALUE
        and axis is _NO_VALUE
        and keepdims is False
        and order == "K"
        and signature is None
        and casting == "same_kind"
    ):
        result = matmul_plain(x1, x2, out)
        if result is not None:
            return result
    return _with_options(
        np.matmul, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok, signature
    )


def vecdot(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = _NO_VALUE,
    axis: Any = _NO_VALUE,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
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
    return _with_options(
        np.vecdot, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok, signature
    )


def matvec(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = _NO_VALUE,
    axis: Any = _NO_VALUE,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
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
    return _with_options(
        np.matvec, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok, signature
    )


def vecmat(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike,
    /,
    out: Any = None,
    *,
    axes: Any = _NO_VALUE,
    axis: Any = _NO_VALUE,
    keepdims: Any = False,
    casting: Any = "same_kind",
    order: Any = "K",
    dtype: npt.DTypeLike | None = None,
    subok: bool = True,
    signature: Any = None,
) -> Any:
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
    return _with_options(
        np.vecmat, x1, x2, out, axes, axis, keepdims, casting, order, dtype, subok, signature
    )


def gram(x: npt.ArrayLike, *, out: Any = None) -> Any:
    r"""Gram matrix of the columns of x, symmetric to the bit.

    .. math:: G_{ij} = \sum_p x_{pi} x_{pj}

    Parameters
    ----------
    x : array_like, shape (n_rows, n_features)
        float32 and float64 are computed as they are, float16 and bfloat16 in float32, integers and
        booleans in float64.
    out : ndarray of shape (n_features, n_features), optional
        Receives the result. May overlap `x`.

    Returns
    -------
    ndarray, shape (n_features, n_features)
        float32 or float64.

    Raises
    ------
    ValueError
        `x` is not two-dimensional, or `out` has another shape.
    TypeError
        A masked array, or a dtype that is neither real nor boolean.

    Notes
    -----
    One triangle is computed and mirrored block by block. Accuracy and memory as for `matmul`; `x`
    is read in place, whatever its layout.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.gram(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[10., 14.],
           [14., 20.]])
    """
    rows = as_array(x, "x")
    if rows.ndim != 2:
        raise ValueError(f"x is a {rows.ndim}D array of shape {rows.shape}; expected a 2D array")
    dtype = computing_dtype(rows.dtype, "x")
    shape = (rows.shape[1], rows.shape[1])
    target = check_out(out, shape, dtype)
    result = target if receives(target, dtype, rows) else np.empty(shape, dtype)
    gram_plain(ready(rows, dtype), result)
    return as_result(result, dtype, target)


def _with_options(
    function: Callable[..., Any],
    x1: Any,
    x2: Any,
    out: Any,
    axes: Any,
    axis: Any,
    keepdims: Any,
    casting: Any,
    order: Any,
    dtype: Any,
    subok: bool,
    signature: Any,
) -> Any:
    """The kernels where no option is given, else NumPy's own `function`."""
    options = {
        "axes": (axes, _NO_VALUE),
        "axis": (axis, _NO_VALUE),
        "keepdims": (keepdims, False),
        "casting": (casting, "same_kind"),
        "order": (order, "K"),
        "dtype": (dtype, None),
        "subok": (subok, True),
        "signature": (signature, None),
    }
    given = {name: value for name, (value, unset) in options.items() if value is not unset}
    if given.keys() <= {"dtype"}:
        result = _product(function, x1, x2, out, dtype)
        if result is not NotImplemented:
            return result
    return function(x1, x2, out=out, **given)


def _has_override(x: Any) -> bool:
    """Whether `x` brings an array function of its own, which NumPy would call."""
    kind = type(x)
    override = getattr(kind, "__array_ufunc__", np.ndarray.__array_ufunc__)
    return override is not np.ndarray.__array_ufunc__ or (
        issubclass(kind, np.ndarray) and kind is not np.ndarray and kind is not np.memmap
    )


# How many core axes the operands of each function have; None: a vector counts as a matrix.
_CORE_AXES: dict[Any, tuple[int | None, int | None]] = {
    np.matmul: (None, None),
    np.vecdot: (1, 1),
    np.matvec: (2, 1),
    np.vecmat: (1, 2),
}


def _product(
    function: Callable[..., Any], x1: Any, x2: Any, out: Any, dtype: npt.DTypeLike | None = None
) -> Any:
    """Real and boolean operands; NotImplemented where NumPy's `function` is to do it."""
    name = function.__name__
    if isinstance(out, tuple):
        if len(out) != 1:
            raise ValueError(f"out is a tuple of {len(out)}; expected one array")
        out = out[0]
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out is {type(out).__name__}; expected a numpy.ndarray")
    a, b = (
        x if _has_override(x) and not isinstance(x, np.ma.MaskedArray) else as_array(x, label)
        for x, label in ((x1, "x1"), (x2, "x2"))
    )
    if any(map(_has_override, (a, b, out))):
        return NotImplemented
    try:
        a, b, dtype = _common_types(a, b, dtype)
    except TypeError:
        return NotImplemented
    a_axes, b_axes = (
        core or min(x.ndim, 2) for core, x in zip(_CORE_AXES[function], (a, b), strict=True)
    )
    for label, x, n_axes in (("x1", a, max(a_axes, 1)), ("x2", b, max(b_axes, 1))):
        if x.ndim < n_axes:
            raise ValueError(
                f"{name}: {label} has {x.ndim} axes (shape {x.shape}); expected at least {n_axes}"
            )
    a_matrix = a if a_axes == 2 else a[..., None, :]
    b_matrix = b if b_axes == 2 else b[..., :, None]
    if a_matrix.shape[-1] != b_matrix.shape[-2]:
        raise ValueError(
            f"{name}: x1 has shape {a.shape} and x2 has shape {b.shape}; expected the last axis of "
            f"x1 ({a_matrix.shape[-1]}) to be as long as axis {-b_axes} of x2 "
            f"({b_matrix.shape[-2]})"
        )
    try:
        stack = np.broadcast_shapes(a_matrix.shape[:-2], b_matrix.shape[:-2])
    except ValueError:
        raise ValueError(
            f"{name}: x1 has shape {a.shape} and x2 has shape {b.shape}; expected the axes before "
            "those of the product to broadcast"
        ) from None
    core_shape = (a_matrix.shape[-2],) * (a_axes == 2) + (b_matrix.shape[-1],) * (b_axes == 2)
    shape = stack + core_shape
    target = check_out(out, _broadcast_to_out(out, stack, core_shape), dtype)
    result = np.empty(shape, dtype)
    if target is not None and target.shape == shape:
        full = _as_matrices(target, a_axes, b_axes)
        if _takes(full, dtype) and not any(np.may_share_memory(target, x) for x in (a, b)):
            result = target
    if result.size:
        matmul_stack(
            np.broadcast_to(_in_place(a_matrix), stack + a_matrix.shape[-2:]),
            np.broadcast_to(_in_place(b_matrix), stack + b_matrix.shape[-2:]),
            _as_matrices(result, a_axes, b_axes),
        )
    if target is None:
        return result if result.ndim else result[()]
    return as_result(result, dtype, target)


def _is_computable(dtype: np.dtype[Any]) -> bool:
    return dtype.char in "?bhilqBHILQefd" or dtype.name == "bfloat16"


def _common_types(
    a: npt.NDArray[Any], b: npt.NDArray[Any], dtype: npt.DTypeLike | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], np.dtype[Any]]:
    """The operands and the dtype of their product; TypeError where NumPy has to decide.

    The kernels convert an operand as they pack it. One that loses values on the way to the dtype
    wanted, as floats may, is converted here.
    """
    result = np.result_type(a.dtype, b.dtype) if dtype is None else np.dtype(dtype)
    result = result.newbyteorder("=")
    if not (_is_computable(a.dtype) and _is_computable(b.dtype) and _is_computable(result)):
        raise TypeError(f"no kernel for {a.dtype} and {b.dtype} to {result}")
    if dtype is not None:
        for x in (a, b):
            if not np.can_cast(x.dtype, result, "same_kind"):
                raise TypeError(f"{x.dtype} does not become {result}")
    if result.kind not in "iub":
        a, b = (
            x
            if np.can_cast(x.dtype, result) or (x.dtype.kind in "iub" and result.itemsize > 2)
            else x.astype(result)
            for x in (a, b)
        )
    return a, b, result


def _in_place(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return ready(x, x.dtype.newbyteorder("="))


def _as_matrices(result: npt.NDArray[Any], a_axes: int, b_axes: int) -> npt.NDArray[Any]:
    """A view of the result with both core axes."""
    full = result[..., None] if b_axes == 1 else result
    return full[..., None, :] if a_axes == 1 else full


def _broadcast_to_out(
    out: Any, stack: tuple[int, ...], core_shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The shape that `out` must have: NumPy broadcasts a stack into a larger one, and may leave out
    axes of length 1 in front of it.
    """
    if isinstance(out, np.ndarray):
        out_stack: tuple[int, ...] = out.shape[: max(out.ndim - len(core_shape), 0)]
        while len(stack) > len(out_stack) and stack[0] == 1:
            stack = stack[1:]
        with contextlib.suppress(ValueError):
            if np.broadcast_shapes(stack, out_stack) == out_stack:
                return out_stack + core_shape
    return stack + core_shape


def _takes(out: npt.NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether the kernel may write into `out`: one of its last two axes has unit stride."""
    if out.dtype != dtype or not out.dtype.isnative or not out.flags.aligned:
        return False
    if any(stride % dtype.itemsize for stride in out.strides):
        return False
    rows, cols = out.shape[-2:]
    row_stride, col_stride = out.strides[-2:]
    return (col_stride == dtype.itemsize and (rows == 1 or row_stride > 0)) or (
        row_stride == dtype.itemsize and (cols == 1 or col_stride > 0)
    )
