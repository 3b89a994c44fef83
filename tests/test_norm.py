"""norm: NumPy's values for every order and axis, and its own tests; nothing overflows."""

import numpy as np
import pytest
from helpers import LAYOUTS, assert_same_bits, assert_within, eps, layout

import fastmath_ml as fm

ORDERS = [None, 0, 1, 2, 3, 0.5, -1, -2, np.inf, -np.inf]
MATRIX_ORDERS = [None, "fro", "f", "nuc", 1, -1, 2, -2, np.inf, -np.inf]
norm = fm.linalg.norm


def check(x, *args, **options):
    result = norm(x, *args, **options)
    exact = np.asarray(fm.reference.norm(x, *args, **options), np.float64)
    dtype = x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.dtype("float64")
    assert_within(result, exact, 40 * eps(dtype) * np.abs(exact), dtype)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "shape", [(1,), (7,), (4000,), (200_003,), (5, 1030), (1030, 5), (3, 4, 5), (70_000, 3)]
)
def test_vectors(rng, dtype, shape, order):
    x = rng.standard_normal(shape).astype(dtype)
    x.flat[0] = 0.0
    if len(shape) == 1:
        check(x, order)
        check(x, order, keepdims=True)
    for axis in range(-1, len(shape)):
        check(x, order, axis)
        check(x, order, axis, keepdims=True)


@pytest.mark.parametrize("order", MATRIX_ORDERS)
def test_matrices(rng, dtype, order):
    x = rng.standard_normal((6, 9)).astype(dtype)
    check(x, order)
    check(x, order, keepdims=True)
    stack = rng.standard_normal((3, 6, 4)).astype(dtype)
    for axis in ((0, 1), (1, 0), (-1, 0), (1, 2)):
        check(stack, order, axis)
        check(stack, order, axis, keepdims=True)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(rng, dtype, name):
    x = rng.standard_normal((37, 53)).astype(dtype)
    view = layout(x, name)
    for axis in (None, 0, 1):
        check(view, None, axis)
        check(view, np.inf, axis)


def test_dtypes(rng):
    for kind in ("float16", "int8", "uint32", "int64", "bool", "longdouble"):
        x = rng.integers(0, 2, (4, 5)).astype(kind)
        expected = np.linalg.norm(x, axis=1)
        np.testing.assert_allclose(norm(x, axis=1), expected, rtol=1e-3)
        assert norm(x, axis=1).dtype == expected.dtype
    z = np.array([3 + 4j, 0])
    assert norm(z) == 5.0
    assert isinstance(norm([3.0, 4.0]), np.float64)
    assert norm(5.0) == 5.0
    assert norm(np.zeros((2, 2, 2)) + 1) == pytest.approx(8**0.5)


@pytest.mark.parametrize("order", [None, 2, 3, 0.7, -2, "fro", 1, np.inf])
def test_nothing_overflows(dtype, order):
    info = np.finfo(dtype)
    for scale in (info.max / 64, info.smallest_normal * 8, info.max**0.5, info.tiny**0.5 / 8):
        x = (np.arange(1, 9, dtype=dtype) * dtype.type(scale / 8)).reshape(2, 4)
        kwargs = {} if order == "fro" else {"axis": 1}
        result = norm(x, order, **kwargs)
        exact = np.asarray(norm(np.arange(1, 9, dtype=np.float64).reshape(2, 4), order, **kwargs))
        exact = exact * (float(x[0, 0]))
        fits = exact < info.max
        np.testing.assert_allclose(np.asarray(result)[fits], exact[fits], rtol=50 * eps(dtype))
        assert np.isinf(np.asarray(result)[~fits]).all()


@pytest.mark.parametrize("order", [None, 1, np.inf, -np.inf, 0, 3])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity(rng, dtype, order, bad):
    x = rng.standard_normal((5, 2050)).astype(dtype)
    x[2, 2049] = bad
    for axis in (0, 1):
        with np.errstate(invalid="ignore"):
            expected = np.linalg.norm(x.astype(np.float64), order, axis)
        np.testing.assert_allclose(norm(x, order, axis), expected, rtol=1e-5)


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, 3, -0.5, -1, -2, np.inf, np.nan])
def test_vectors_without_elements(order):
    for x, axis in (([], None), (np.zeros((3, 0)), 1), (np.zeros((0, 3)), 1)):
        with np.errstate(divide="ignore"):
            exact = np.linalg.norm(x, order, axis=axis)
        np.testing.assert_array_equal(fm.linalg.norm(x, order, axis=axis), exact)
    np.testing.assert_array_equal(fm.linalg.norm([2.0], np.nan), np.nan)


def test_empty():
    assert norm(np.zeros(0)) == 0
    assert norm(np.zeros((3, 0)), axis=1).tolist() == [0, 0, 0]
    assert norm(np.zeros((0, 3)), np.inf, axis=0).tolist() == [0, 0, 0]
    assert norm(np.zeros((0, 0)), "fro") == 0
    assert norm(np.zeros((3, 0)), axis=0).shape == (0,)
    with pytest.raises(ValueError, match="empty"):
        norm(np.zeros((3, 0)), -np.inf, axis=1)


def test_long_float32_sums_are_exact():
    """Chains of at most 256 additions in float32 at any length; the root halves the error."""
    x = np.full((1_000_001, 3), 0.1, np.float32)
    exact = np.linalg.norm(x[:, 0].astype(np.float64))
    bound = 256 / 2 / 2 * eps("float32")
    assert abs(norm(x) / (exact * 3**0.5) - 1) < bound
    assert (abs(norm(x, axis=0) / exact - 1) < bound).all()


def test_bits_do_not_depend_on_the_threads(rng, dtype):
    x = rng.standard_normal((700, 903)).astype(dtype)
    results = []
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            results.append([norm(x), norm(x, 1, 0), norm(x, None, 1), norm(x[:, :3].copy(), 2, 0)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_same_bits(a, b)


def test_errors():
    with pytest.raises(ValueError, match="ord is 'fro'"):
        norm(np.zeros(3), "fro")
    with pytest.raises(ValueError, match="ord is 3"):
        norm(np.zeros((3, 3)), 3)
    with pytest.raises(ValueError, match="3 axes"):
        norm(np.zeros((2, 2, 2)), 1)
    with pytest.raises(np.exceptions.AxisError):
        norm(np.zeros(3), axis=1)
    with pytest.raises(ValueError, match="each axis once"):
        norm(np.zeros((2, 2)), axis=(0, 0))
    with pytest.raises(TypeError, match="axis is 'x'"):
        norm(np.zeros(3), axis="x")
    with pytest.raises(TypeError, match="masked array"):
        norm(np.ma.masked_array([1.0], [True]))


# ---- NumPy's own tests, with ours in place ----

numpy_tests = pytest.importorskip("numpy.linalg.tests.test_linalg")


@pytest.fixture
def ours_in_numpys_tests(monkeypatch):
    monkeypatch.setattr(numpy_tests, "norm", norm)


def _norm_tests():
    for name in ("TestNorm_NonSystematic", "TestNormDouble", "TestNormSingle", "TestNormInt64"):
        group = getattr(numpy_tests, name)
        for method in dir(group):
            if method.startswith("test"):
                yield pytest.param(group, method, id=f"{name}.{method}")


@pytest.mark.usefixtures("ours_in_numpys_tests")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("group", "method"), list(_norm_tests()))
def test_numpys_tests(group, method):
    # The original checks the message for a duplicate axis; longdouble and complex go to NumPy.
    getattr(group(), method)()
