"""Vector and matrix norms: numpy.linalg.norm, without overflow and on all threads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._arrays import FloatArray, as_array, computing_dtype, floating, normalize_axes, ready
from ._kernels.norms import KINDS, reduce_magnitudes, root_in_place


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    r"""Norm of a vector or matrix, with the semantics of `numpy.linalg.norm`.

    .. math:: \lVert x \rVert_p = \Bigl(\sum_i |x_i|^p\Bigr)^{1/p}

    Parameters
    ----------
    x : array_like
    ord : {None, int, float, inf, -inf, 'fro', 'f', 'nuc'}, optional
        Of a vector: any number p; inf and -inf are the largest and smallest magnitude, 0 counts
        what is not zero, None is 2. Of a matrix: 1, -1, inf, -inf (largest and smallest sum of a
        column or row), 2, -2 (singular values), 'fro' or None, 'nuc' (sum of the singular values).
    axis : {None, int, 2-tuple of ints}, optional
        The axis of the vectors or the axes of the matrices. None: x itself, of one or two axes, or
        of any number where `ord` is None.
    keepdims : bool, default False
        Keep the axes of the norm with length 1.

    Returns
    -------
    ndarray or scalar
        float32 and float64 stay what they are, as do float16 and bfloat16; integers and booleans
        become float64.

    Raises
    ------
    ValueError
        An order that does not exist for vectors or matrices, a wrong number of axes, or the
        smallest of an empty array.
    TypeError
        A masked array.

    Notes
    -----
    No intermediate result overflows or underflows: where a sum of squares or powers would, the
    numbers are divided by the largest of them first. Sums of float32 go over to float64 in blocks.
    The orders 2, -2 and 'nuc' of matrices come from LAPACK's singular values, complex and extended
    precision from NumPy.

    References
    ----------
    .. [1] J. Blue, "A portable Fortran program to find the Euclidean norm of a vector", ACM TOMS
       4(1), 1978.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> print(f"{fm.linalg.norm(np.array([3e200, 4e200])):.3g}")
    5e+200
    >>> fm.linalg.norm(np.array([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    array([ 5., 10.])
    """
    array = as_array(x, "x")
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        return np.linalg.norm(array, ord, axis, keepdims)
    if array.dtype.itemsize > 8:
        return np.linalg.norm(array, ord, axis, keepdims)
    dtype = computing_dtype(array.dtype, "x")
    result_dtype = floating(array.dtype, "x")
    work = ready(array, dtype)
    if axis is None and (
        ord is None
        or (ord in ("f", "fro") and work.ndim == 2)
        or (not isinstance(ord, str) and ord == 2 and work.ndim == 1)
    ):
        flat = work.ravel(order="K")
        result = _vector(flat.reshape(1, -1, 1), None).reshape(())
        axes = tuple(range(work.ndim))
    else:
        axes = _axes_of(axis, work.ndim)
        if len(axes) == 1:
            if isinstance(ord, str):
                raise ValueError(f"ord is {ord!r}; expected a number for the norm of vectors")
            result = _along(work, axes[0], ord)
        elif len(axes) == 2:
            result = _matrix(work, axes[0], axes[1], ord)
        else:
            raise ValueError(f"{len(axes)} axes for a norm; expected 1 (vectors) or 2 (matrices)")
    with np.errstate(over="ignore"):
        result = np.asarray(result).astype(result_dtype, copy=False)
    if keepdims:
        shape = [1 if at in axes else n for at, n in enumerate(work.shape)]
        return result.reshape(shape)
    return result if result.ndim else result[()]


def _axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """In the order given: the first is the axis of the rows."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    try:
        given = tuple(int(at) for at in given)
    except (TypeError, ValueError):
        raise TypeError(
            f"axis is {axis!r}; expected None, an integer or a tuple of integers"
        ) from None
    normalize_axes(given, ndim)
    return tuple(at % ndim for at in given)


def _reduce(x: FloatArray, kind: str) -> FloatArray:
    """Over axis 1 of (n_outer, n, n_inner), in float64."""
    out = np.empty((x.shape[0], x.shape[2]))
    if out.size:
        reduce_magnitudes(x, out, KINDS[kind])
    return out


def _along(x: FloatArray, axis: int, order: Any) -> FloatArray:
    """The vector norm along one axis, which is left out of the result."""
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    if not x.flags.c_contiguous and x.flags.f_contiguous:
        # The same memory the other way round.
        return _along(x.T, x.ndim - 1 - axis, order).T
    x = np.ascontiguousarray(x)
    n_outer = math.prod(x.shape[:axis])
    n_inner = math.prod(x.shape[axis + 1 :])
    return _vector(x.reshape(n_outer, x.shape[axis], n_inner), order).reshape(shape)


def _vector(x: FloatArray, order: Any) -> FloatArray:
    """The vector norm over axis 1 of a C-ordered (n_outer, n, n_inner)."""
    if order == np.inf:
        return _reduce(x, "largest")
    if order == -np.inf:
        if x.shape[1] == 0:
            raise ValueError("x is empty; expected an element, to have a smallest one")
        return _reduce(x, "smallest")
    if order == 0:
        return _reduce(x, "nonzeros")
    if order == 1:
        return _reduce(x, "sum")
    if order is None or order == 2:
        result = _reduce(x, "squares")
        lowest, largest = root_in_place(result)
        info = np.finfo(x.dtype)
        low = math.sqrt(float(info.smallest_normal) / float(info.eps) * max(x.shape[1], 1))
        if lowest >= low and largest < math.inf:
            return result
        return _rescaled(x, 2.0, (result < low) | np.isinf(result), result)
    if order != order:
        return np.full((x.shape[0], x.shape[2]), np.nan)
    return _rescaled(x, float(order), None, None)


def _rescaled(x: FloatArray, order: float, where: Any, result: Any) -> FloatArray:
    """(sum of |x / m|^p)^(1/p) m, m being the largest magnitude (the smallest, nonzero one where p
    is negative), so that no power overflows; only for the vectors `where` says, if it is given.
    """
    if where is None:
        n_rows = x.shape[0] * x.shape[2]
        rows = np.ascontiguousarray(np.moveaxis(x, 1, 2)).reshape(n_rows, x.shape[1])
    else:
        rows = np.moveaxis(x, 1, 2)[where]
    magnitudes = np.abs(rows).astype(np.float64)
    with np.errstate(all="ignore"):
        if order > 0:
            scale = magnitudes.max(axis=1, initial=0.0, keepdims=True)
        else:
            scale = magnitudes.min(axis=1, initial=np.inf, keepdims=True)
        scale = np.where((scale > 0) & (scale < np.inf), scale, 1.0)
        terms = (magnitudes / scale) ** order
        norms = terms.sum(axis=1) ** (1.0 / order) * scale[:, 0]
    if where is None:
        return np.asarray(norms.reshape(x.shape[0], x.shape[2]))
    result[where] = norms
    return np.asarray(result)


def _matrix(x: FloatArray, row_axis: int, col_axis: int, order: Any) -> FloatArray:
    if order in (2, -2, "nuc"):
        values = np.linalg.svd(np.moveaxis(x, (row_axis, col_axis), (-2, -1)), compute_uv=False)
        if order == 2:
            return np.asarray(values.max(axis=-1, initial=0.0))
        if order == -2:
            return np.asarray(values.min(axis=-1))
        return np.asarray(values.sum(axis=-1, dtype=np.float64))
    if order in (None, "fro", "f"):
        first, second = sorted((row_axis, col_axis))
        inner = _along(x, second, 2)
        return _along(inner, first, 2)
    if order in (1, -1, np.inf, -np.inf):
        summed, kept = (row_axis, col_axis) if abs(order) == 1 else (col_axis, row_axis)
        sums = _along(x, summed, 1)
        at = kept - (kept > summed)
        return np.asarray(sums.max(axis=at, initial=0.0) if order > 0 else sums.min(axis=at))
    raise ValueError(
        f"ord is {order!r}; expected None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf for matrices"
    )
