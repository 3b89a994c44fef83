"""What may stand for a matrix: arrays, sparse matrices, linear operators, functions v -> A v.

The iterative methods see one of four small classes with the same attributes:

    shape, dtype        of the matrix; float32 or float64
    forward(x)          A x        for C-ordered blocks of vectors, shape (n, n_vectors)
    adjoint(y)          A^T y
    normal(x, want_y)   (A^T A x, A x or None)
    transposed()        the same for A^T

Whether A holds NaN or infinity shows in its product with a random block, so that nothing needs to
look at A itself: `check_finite`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ._arrays import FloatArray, as_array, computing_dtype, is_sparse, ready
from ._kernels.power import block_power
from ._kernels.products import matmul_stack, symmetric_product
from ._kernels.sparse import csr_product, csr_transpose

Block = FloatArray


def product(a: FloatArray, b: FloatArray) -> FloatArray:
    """a @ b for two matrices of one dtype as kernels take them."""
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    if out.size:
        matmul_stack(a, b, out)
    return out


class Dense:
    """An array, or the array less a row vector (`mean`)."""

    def __init__(self, a: FloatArray, mean: FloatArray | None = None) -> None:
        self.array, self.mean = a, mean
        self.shape, self.dtype = a.shape, a.dtype

    def forward(self, x: Block) -> Block:
        y = np.empty((self.shape[0], x.shape[1]), self.dtype)
        if self.mean is None:
            matmul_stack(self.array, x, y)
        else:
            block_power(self.array, x, None, y, self.mean)
        return y

    def symmetric(self, x: Block) -> Block:
        """A x where A is known, or said, to be symmetric: half of it is read where that pays."""
        width = x.shape[1]
        least = 2**20 if width <= 4 else 2**25 if width <= 16 else None
        if least is None or self.array.nbytes < least or self.mean is not None:
            return self.forward(x)
        y = np.empty((self.shape[0], width), self.dtype)
        symmetric_product(self.array, x, y)
        return y

    def adjoint(self, y: Block) -> Block:
        z = product(self.array.T, y)
        if self.mean is not None:
            z -= self.mean[:, None] * y.sum(axis=0, dtype=np.float64).astype(y.dtype)
        return z

    def normal(self, x: Block, want_y: bool = False) -> tuple[Block, Block | None]:
        y = np.empty((self.shape[0], x.shape[1]), self.dtype) if want_y else None
        z = np.empty_like(x)
        block_power(self.array, x, z, y, self.mean)
        return z, y

    def transposed(self) -> Dense:
        assert self.mean is None
        return Dense(self.array.T)

    def scaled(self, factor: float) -> Dense:
        return Dense(self.array * self.dtype.type(factor))


class Sparse:
    """A CSR matrix; its transpose is put into CSR form when it is first needed."""

    def __init__(self, csr: Any, transpose: Any = None) -> None:
        self.csr, self._transpose = csr, transpose
        self.shape, self.dtype = csr.shape, csr.dtype

    @property
    def transpose(self) -> Any:
        if self._transpose is None:
            csr, (n_rows, n_columns) = self.csr, self.shape
            data, indices = np.empty(csr.nnz, csr.dtype), np.empty(csr.nnz, csr.indices.dtype)
            indptr = np.empty(n_columns + 1, csr.indptr.dtype)
            csr_transpose(csr.data, csr.indices, csr.indptr, data, indices, indptr)
            self._transpose = type(csr)((data, indices, indptr), shape=(n_columns, n_rows))
        return self._transpose

    @staticmethod
    def _product(csr: Any, x: Block) -> Block:
        y = np.empty((csr.shape[0], x.shape[1]), x.dtype)
        csr_product(csr.data, csr.indices, csr.indptr, x, y)
        return y

    def forward(self, x: Block) -> Block:
        return self._product(self.csr, x)

    def adjoint(self, y: Block) -> Block:
        return self._product(self.transpose, y)

    def normal(self, x: Block, want_y: bool = False) -> tuple[Block, Block | None]:
        y = self.forward(x)
        return self.adjoint(y), y if want_y else None

    def transposed(self) -> Sparse:
        return Sparse(self.transpose, self.csr)

    def scaled(self, factor: float) -> Sparse:
        return Sparse(self.csr * self.dtype.type(factor))


class Linear:
    """A scipy.sparse.linalg.LinearOperator, or anything with shape, matmat and rmatmat."""

    def __init__(
        self, operator: Any, dtype: np.dtype[Any], factor: float = 1.0, is_transposed: bool = False
    ) -> None:
        self.operator, self.factor, self.is_transposed = operator, factor, is_transposed
        n_rows, n_columns = operator.shape
        self.shape = (n_columns, n_rows) if is_transposed else (n_rows, n_columns)
        self.dtype = dtype

    def _call(self, name: str, x: Block, n_rows: int) -> Block:
        """Always new memory: callers write to it, and the method may have returned x."""
        y = np.asarray(getattr(self.operator, name)(x))
        _check_real(y, f"a.{name}(x)")
        y = np.array(y, dtype=self.dtype, order="C")
        if y.shape != (n_rows, x.shape[1]):
            raise ValueError(
                f"a.{name}(x) has shape {y.shape} for x of shape {x.shape}; "
                f"expected {(n_rows, x.shape[1])}"
            )
        return y if self.factor == 1.0 else y * self.dtype.type(self.factor)

    def forward(self, x: Block) -> Block:
        return self._call("rmatmat" if self.is_transposed else "matmat", x, self.shape[0])

    def adjoint(self, y: Block) -> Block:
        return self._call("matmat" if self.is_transposed else "rmatmat", y, self.shape[1])

    def normal(self, x: Block, want_y: bool = False) -> tuple[Block, Block | None]:
        y = self.forward(x)
        return self.adjoint(y), y if want_y else None

    def transposed(self) -> Linear:
        return Linear(self.operator, self.dtype, self.factor, not self.is_transposed)

    def scaled(self, factor: float) -> Linear:
        return Linear(self.operator, self.dtype, self.factor * factor, self.is_transposed)


class Function:
    """A function v -> A v of vectors, symmetric where it matters; it has no transpose."""

    def __init__(self, function: Callable[[Any], Any], n: int) -> None:
        self.function = function
        self.shape, self.dtype = (n, n), np.dtype(np.float64)

    def forward(self, x: Block) -> Block:
        y = np.empty_like(x)
        for column in range(x.shape[1]):
            value = np.asarray(self.function(x[:, column].copy()))
            _check_real(value, "a(v)")
            if value.shape != (len(x),):
                raise ValueError(
                    f"a(v) has shape {value.shape} for v of shape ({len(x)},); expected the same"
                )
            y[:, column] = value
        return y


def _check_real(product: Any, name: str) -> None:
    if product.dtype.kind == "c":
        raise TypeError(f"{name} has dtype {product.dtype}; expected real numbers")


def as_operator(a: Any, name: str = "a", *, n: int | None = None, functions: bool = False) -> Any:
    """The operator for `a`, or an error that says what was wanted."""
    if callable(a) and not hasattr(a, "shape"):
        if not functions:
            raise TypeError(f"{name} is {type(a).__name__}; expected a matrix or a linear operator")
        if n is None:
            raise TypeError("a is a function; expected n=, the length of its argument, as well")
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"n is {n!r}; expected a positive integer")
        return Function(a, int(n))
    operator = _matrix_operator(a, name)
    if n is not None and n != operator.shape[1]:
        raise ValueError(f"n is {n} for a matrix of shape {operator.shape}; expected {n} columns")
    return operator


def square_operator(a: Any, n: int | None) -> Any:
    operator = as_operator(a, n=n, functions=True)
    if operator.shape[0] != operator.shape[1]:
        raise ValueError(f"a has shape {operator.shape}; expected a square matrix")
    return operator


def _matrix_operator(a: Any, name: str) -> Any:
    if is_sparse(a):
        return _sparse_operator(a, name)
    if hasattr(a, "matmat") and hasattr(a, "shape"):
        dtype = computing_dtype(np.dtype(getattr(a, "dtype", None) or np.float64), name)
        _check_shape(a.shape, name)
        return Linear(a, dtype)
    return Dense(as_matrix(as_array(a, name), name))


def as_matrix(array: Any, name: str) -> FloatArray:
    """A matrix of the computing dtype with a unit stride along one axis."""
    _check_shape(array.shape, name)
    matrix = ready(array, computing_dtype(array.dtype, name))
    if matrix.itemsize not in matrix.strides:
        matrix = np.ascontiguousarray(matrix)
    return matrix


def _sparse_operator(a: Any, name: str) -> Sparse:
    _check_shape(a.shape, name)
    dtype = computing_dtype(a.dtype, name)
    by_columns = a.format == "csc"
    csr = a.T if by_columns else a.tocsr()
    # Of one integer type, which row numbers fit as well, and as the kernels read them.
    is_narrow = csr.indices.dtype == csr.indptr.dtype == np.int32 and max(csr.shape) < 1 << 31
    index = np.dtype(np.int32 if is_narrow else np.int64)
    csr, given = copy.copy(csr), csr
    csr.data = np.require(given.data, dtype, ["C", "A"])
    csr.indices = np.require(given.indices, index, ["C", "A"])
    csr.indptr = np.require(given.indptr, index, ["C", "A"])
    if len(csr.indptr) != csr.shape[0] + 1 or csr.indptr[0] or (np.diff(csr.indptr) < 0).any():
        raise ValueError(
            f"{name} has row pointers that do not rise from 0; expected a valid CSR matrix"
        )
    n_stored = int(csr.indptr[-1])
    stored = csr.indices[:n_stored]
    if n_stored > min(len(csr.indices), len(csr.data)) or (
        n_stored and (stored.min() < 0 or stored.max() >= csr.shape[1])
    ):
        raise ValueError(
            f"{name} has column indices outside of its shape; expected a valid CSR matrix"
        )
    return Sparse(csr).transposed() if by_columns else Sparse(csr)


def _check_shape(shape: Any, name: str) -> None:
    if len(shape) != 2:
        raise ValueError(f"{name} has shape {tuple(shape)}; expected a matrix")
    if 0 in shape:
        raise ValueError(f"{name} has shape {tuple(shape)}; expected at least one row and column")


def check_finite(operator: Any, image: FloatArray, name: str = "a") -> bool:
    """Whether `image`, A times a random block, is finite; ValueError where A itself is not.

    False means that A is finite and its product overflowed.
    """
    if np.isfinite(image).all():
        return True
    if isinstance(operator, Dense):
        values = operator.array
    elif isinstance(operator, Sparse):
        values = operator.csr.data
    else:
        raise ValueError(f"{name} gives NaN or infinity; expected finite products")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} contains NaN or infinity; expected finite numbers")
    return False


class OutOfRange(Exception):
    """A^T A over- or underflows; A times `factor`, a power of two, does not."""

    def __init__(self, factor: float):
        super().__init__(factor)
        self.factor = factor


def check_range(operator: Any, image: FloatArray) -> FloatArray:
    """`image`, A^T A times a block of about unit length, if it is far from the ends of the range.

    ValueError where A holds NaN or infinity, OutOfRange where it is too large or too small.
    """
    exponent = 44 if operator.dtype == np.float32 else 400
    size = float(np.abs(image).max()) if check_finite(operator, image) else np.inf
    if not 2.0**-exponent < size < 2.0**exponent:
        largest = largest_entry(operator)
        factor = float(2.0 ** -np.frexp(largest)[1])
        if 0 < largest < np.inf and not 0.1 < factor < 10:
            raise OutOfRange(factor)
    return image


def largest_entry(operator: Any) -> float:
    """max |a_ij| of an array or a sparse matrix; the largest of A x for a unit x elsewhere."""
    if isinstance(operator, Dense):
        values = operator.array
    elif isinstance(operator, Sparse):
        values = operator.csr.data
    else:
        values = operator.forward(np.eye(operator.shape[1], 1, dtype=operator.dtype))
    return float(max(values.max(initial=0.0), -values.min(initial=0.0)))
