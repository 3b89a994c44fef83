"""Matrix products, products with vectors, Gram matrices."""

import math

import numpy as np

from ..peers import products as by
from .base import ALL, Bar, Case, Inputs, eps, normal

STACK_PEERS = {"numpy": by.numpy_matmul, "torch": by.torch_matmul}
BLAS_PEERS = {**STACK_PEERS, "scipy": by.scipy_matmul}
MATMUL_PEERS = {**BLAS_PEERS, "numkong": by.numkong_matmul}
QUICK_SQUARES = {("float32", 256), ("float64", 512)}


def matmul_case(shape_a, shape_b, dtype, label, *, with_out=True, transposed=False, **options):
    """`out=` is given to both sides, except where the cost of the call is the question.

    transposed: the columns of the first operand lie one after the other, as in x.T @ y.
    """
    *_, n_rows, depth = shape_a
    n_columns = shape_b[-1]
    n_products = math.prod(shape_a[:-2])
    itemsize = np.dtype(dtype).itemsize

    def make(rng):
        a, b = normal(rng, shape_a, dtype), normal(rng, shape_b, dtype)
        if transposed:
            a = np.asfortranarray(a)
        out = np.zeros((*shape_a[:-1], n_columns), dtype) if with_out else None
        return Inputs((a, b), out=out)

    n_elements = n_rows * depth + depth * n_columns + n_rows * n_columns
    options.setdefault("peers", MATMUL_PEERS)
    return Case(
        "matmul",
        f"{dtype} {label}",
        make,
        flops=2.0 * n_products * n_rows * depth * n_columns,
        bytes=float(n_products * n_elements * itemsize),
        dtype=dtype,
        atol=4 * eps(dtype) * max(depth, 8),
        takes_out=True,
        **options,
    )


def square_matmul(n, dtype):
    def bar(at_least, **options):
        return Bar("matmul", at_least, **options)

    bars = [
        bar(1.03, threads=1, group="square, geometric mean"),
        bar(1.08, group="square, geometric mean"),
        bar(1.5, regime="isolated", group="square, geometric mean"),
        bar(0.95, threads=1),
        bar(0.95),
    ]
    if n >= 1024:
        bars += [bar(0.92, against="fma", threads=1), bar(0.88, against="fma")]
    return matmul_case(
        (n, n),
        (n, n),
        dtype,
        f"{n}x{n}",
        peers={**MATMUL_PEERS, "fma": None} if n >= 64 else MATMUL_PEERS,
        bars=tuple(bars),
        threads=(1, ALL),
        quick=(dtype, n) in QUICK_SQUARES,
    )


def rectangular_matmul(n_rows, depth, n_columns, dtype="float32"):
    bars = [Bar("matmul", 1.15, group="rectangular, geometric mean"), Bar("matmul", 0.95)]
    peers = dict(MATMUL_PEERS)
    if 1 in (n_rows, n_columns):  # a matrix is read once and nothing else counts
        bars.append(Bar("matmul", 0.85, against="read"))
        peers["read"] = None
    return matmul_case(
        (n_rows, depth),
        (depth, n_columns),
        dtype,
        f"{n_rows}x{depth}x{n_columns}",
        peers=peers,
        bars=tuple(bars),
    )


def transposed_matmul(n_rows, depth, n_columns, dtype):
    """x.T @ y with few columns, as in the gradient of a linear model."""
    return matmul_case(
        (n_rows, depth),
        (depth, n_columns),
        dtype,
        f"{n_rows}x{depth}x{n_columns} of x.T",
        peers=BLAS_PEERS,
        bars=(Bar("matmul", 1.0),),
        transposed=True,
    )


def stacked_matmul(n_products, n, at_least):
    return matmul_case(
        (n_products, n, n),
        (n_products, n, n),
        "float32",
        f"{n_products} of {n}x{n}",
        peers=STACK_PEERS,
        bars=(Bar("matmul", at_least),),
    )


MATMUL = [
    matmul_case(
        (4, 4),
        (4, 4),
        "float32",
        "4x4 call",
        with_out=False,
        peers=STACK_PEERS,
        bars=(Bar("foundation", 1.0, against="numpy"), Bar("matmul", 1.25, against="numpy")),
        quick=True,
        is_overhead=True,
    ),
    *(
        square_matmul(n, dtype)
        for dtype in ("float32", "float64")
        for n in (16, 32, 64, 128, 256, 512, 1024, 2048)
    ),
    rectangular_matmul(1, 4096, 4096),
    rectangular_matmul(4096, 4096, 1),
    rectangular_matmul(4096, 1, 4096),
    rectangular_matmul(32, 4096, 4096),
    rectangular_matmul(4096, 32, 4096),
    rectangular_matmul(4096, 4096, 32),
    rectangular_matmul(100_000, 64, 64),
    rectangular_matmul(64, 100_000, 64),
    rectangular_matmul(1023, 1023, 1023),
    rectangular_matmul(517, 333, 129),
    transposed_matmul(1000, 10_000, 16, "float32"),
    transposed_matmul(1000, 10_000, 32, "float32"),
    transposed_matmul(500, 2000, 20, "float64"),
    stacked_matmul(10_000, 4, 3.0),
    stacked_matmul(10_000, 8, 2.0),
    stacked_matmul(2000, 16, 1.2),
    stacked_matmul(2000, 32, 1.4),
    stacked_matmul(500, 64, 1.4),
]

# products with vectors, gram


def vector_case(op, shapes, n_products, depth, out_shape, dtype="float32", **options):
    peers = {"numpy": by.numpy_products, "torch": by.torch_products, "read": None}
    itemsize = np.dtype(dtype).itemsize
    return Case(
        op,
        f"{dtype} {' by '.join('x'.join(map(str, shape)) for shape in shapes)}",
        lambda rng: Inputs(
            tuple(normal(rng, shape, dtype) for shape in shapes), out=np.zeros(out_shape, dtype)
        ),
        peers=peers,
        flops=2.0 * n_products * depth,
        bytes=float((sum(map(math.prod, shapes)) + n_products) * itemsize),
        dtype=dtype,
        atol=4 * eps(dtype) * depth,
        **options,
    )


def gram_case(n_rows, n_features, dtype="float32", **options):
    itemsize = np.dtype(dtype).itemsize
    return Case(
        "gram",
        f"{dtype} {n_rows}x{n_features}",
        lambda rng: Inputs(
            (normal(rng, (n_rows, n_features), dtype),),
            out=np.zeros((n_features, n_features), dtype),
        ),
        peers={"numpy": by.numpy_gram, "scipy": by.scipy_gram, "torch": by.torch_gram, "fma": None},
        flops=1.0 * n_rows * n_features * (n_features + 1),
        bytes=float((n_rows * n_features + n_features**2) * itemsize),
        dtype=dtype,
        atol=8 * eps(dtype) * n_rows,
        **options,
    )


VECTORS = [
    vector_case("vecdot", [(100_000, 64), (100_000, 64)], 100_000, 64, (100_000,)),
    vector_case("vecdot", [(1000, 1000), (1000, 1000)], 1000, 1000, (1000,), quick=True),
    vector_case("matvec", [(4096, 4096), (4096,)], 4096, 4096, (4096,)),
    vector_case("matvec", [(1000, 1000), (1000,)], 1000, 1000, (1000,), quick=True),
    vector_case("vecmat", [(4096,), (4096, 4096)], 4096, 4096, (4096,)),
    vector_case("vecmat", [(1000,), (1000, 1000)], 1000, 1000, (1000,), quick=True),
    gram_case(20_000, 256, bars=(Bar("matmul", 1.2),), quick=True),
    gram_case(300, 20),
]

# other dtypes

INTEGER_PEERS = {"numpy": by.numpy_matmul, "torch": by.torch_integer_matmul}
HALF_PEERS = {"numpy": by.numpy_matmul, "torch": by.torch_matmul, "fma": None}


def dtype_case(n, dtype, result_dtype="", *, peers, **options):
    """Random bits for integers: all of the range, so that results wrap."""

    def make(rng):
        if np.dtype(dtype).kind == "f":
            a, b = (rng.standard_normal((n, n)).astype(dtype) for _ in range(2))
        else:
            ends = np.iinfo(dtype)
            a, b = (rng.integers(ends.min, ends.max, (n, n), dtype) for _ in range(2))
        kwargs = {"dtype": np.dtype(result_dtype)} if result_dtype else {}
        return Inputs((a, b), kwargs, np.zeros((n, n), result_dtype or dtype))

    def expect(inputs):
        a, b = inputs.args
        if np.dtype(dtype).kind == "f":
            return a.astype(np.float64) @ b.astype(np.float64)
        # Exact: wrapped sums of wrapped products, a row at a time.
        wide = a.astype(inputs.out.dtype), b.astype(inputs.out.dtype)
        return np.array(
            [(row[:, None] * wide[1]).sum(axis=0, dtype=inputs.out.dtype) for row in wide[0]]
        )

    label = f"{dtype} {n}x{n}" + (f" to {result_dtype}" if result_dtype else "")
    n_bytes = (2 * np.dtype(dtype).itemsize + np.dtype(result_dtype or dtype).itemsize) * n * n
    is_float = np.dtype(dtype).kind == "f"
    return Case(
        "matmul",
        label,
        make,
        peers=peers,
        flops=2.0 * n**3,
        bytes=float(n_bytes),
        dtype="float32",  # whose FMA peak the bars speak of
        rtol=float(np.finfo(dtype).eps) if is_float else 0.0,
        atol=4e-7 * n if is_float else 0.0,
        expect=expect,
        **options,
    )


OTHER_DTYPES = [
    dtype_case(512, "float16", peers=HALF_PEERS, bars=(Bar("matmul", 0.75, against="fma"),)),
    dtype_case(2048, "float16", peers={"fma": None}, bars=(Bar("matmul", 0.75, against="fma"),)),
    dtype_case(
        512,
        "int8",
        "int32",
        peers={**INTEGER_PEERS, "fma": None},
        bars=(Bar("matmul", 1.3, against="fma"),),
    ),
    dtype_case(
        2048, "int8", "int32", peers={"fma": None}, bars=(Bar("matmul", 1.3, against="fma"),)
    ),
    dtype_case(512, "int64", peers=INTEGER_PEERS, bars=(Bar("matmul", 12.0, against="numpy"),)),
    dtype_case(256, "int32", peers=INTEGER_PEERS),
    dtype_case(256, "int8", peers=INTEGER_PEERS),
]

# linear


def linear_case(n_rows, n_features, n_out, activation=None, dtype="float32", **options):
    def make(rng):
        x = normal(rng, (n_rows, n_features), dtype)
        weight = normal(rng, (n_out, n_features), dtype, scale=n_features**-0.5)
        out = np.zeros((n_rows, n_out), dtype)
        return Inputs((x, weight, normal(rng, n_out, dtype)), {"activation": activation}, out)

    n_elements = n_rows * n_features + n_out * n_features + n_rows * n_out
    peers = {"torch": by.torch_linear, "fma": None}
    if activation != "gelu":
        peers["numpy"] = by.numpy_linear
    return Case(
        "linear",
        f"{dtype} {n_rows}x{n_features} to {n_out}" + (f" {activation}" if activation else ""),
        make,
        peers=peers,
        flops=2.0 * n_rows * n_features * n_out,
        bytes=float(n_elements * np.dtype(dtype).itemsize),
        dtype=dtype,
        atol=32 * eps(dtype),
        **options,
    )


LINEAR = [
    linear_case(512, 768, 768, "relu", quick=True),
    linear_case(512, 768, 3072, "gelu"),
    linear_case(4096, 64, 64),
]

CASES = [*MATMUL, *VECTORS, *OTHER_DTYPES, *LINEAR]
