"""Stacks of small matrices: what a result may not depend on, numpy's edge cases and errors."""

import inspect

import ml_dtypes
import numpy as np
import pytest
from helpers import LAYOUTS, assert_same_bits, layout
from hypothesis import given
from hypothesis import strategies as st
from test_small import positive, svd_errors, transposed

import fastmath_ml as fm

# ---- what a result may not depend on ----

FUNCTIONS = {
    "solve": lambda a: fm.linalg.solve(a, a[..., :2]),
    "solve vector": lambda a: fm.linalg.solve(a, np.ones(a.shape[-1], a.dtype)),
    "inv": fm.linalg.inv,
    "det": fm.linalg.det,
    "slogdet": fm.linalg.slogdet,
    "cholesky": lambda a: fm.linalg.cholesky(a + transposed(a)),
    "qr": fm.linalg.qr,
    "eigh": fm.linalg.eigh,
    "eigvalsh": lambda a: fm.linalg.eigvalsh(a, "U"),
    "svd": fm.linalg.svd,
    "svdvals": lambda a: fm.linalg.svd(a, compute_uv=False),
    "pinv": fm.linalg.pinv,
}


def parts(result):
    return result if isinstance(result, tuple) else (result,)


def dominant(rng, n_matrices, n, dtype="float64"):
    """What all the functions can do: well-conditioned, with a positive definite symmetric part."""
    return (rng.uniform(-1, 1, (n_matrices, n, n)) + 3 * n * np.eye(n)).astype(dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 19])
def test_a_matrix_depends_on_nothing_but_itself(name, n, dtype, rng):
    """Alone, anywhere in a stack, among harder matrices, on any number of threads: equal bits."""
    a = dominant(rng, 3000 if n < 6 else 203, n, dtype)
    a[1::3] += dtype.type(1e-4) * np.round(a[1::3])
    a[::7] = np.diag(np.arange(1, n + 1))
    function = FUNCTIONS[name]
    whole = parts(function(a))
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            for x, y in zip(parts(function(a)), whole, strict=True):
                assert_same_bits(x, y)
    for i in (0, 1, 5, 7, 8, 14, 100, len(a) - 1):
        for x, y in zip(parts(function(a[i])), whole, strict=True):
            assert_same_bits(x, y[i])
    for x, y in zip(parts(function(a[2:9])), whole, strict=True):
        assert_same_bits(x, y[2:9])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("memory", LAYOUTS)
def test_layouts(name, memory, dtype, rng):
    a = dominant(rng, 11, 5, dtype)
    view = layout(a, memory)
    before = view.copy()
    for x, y in zip(parts(FUNCTIONS[name](view)), parts(FUNCTIONS[name](a)), strict=True):
        assert x.dtype == dtype
        assert_same_bits(x, y)
    assert_same_bits(view, before)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 20), st.randoms())
def test_svd_of_anything(n_rows, n_cols, n_matrices, random):
    values = [0.0, 0.0, 1.0, -1.0, 2.0, 1e-200, 1e200, 5e-324, 0.1]
    a = np.array([random.choice(values) for _ in range(n_matrices * n_rows * n_cols)])
    a = a.reshape(n_matrices, n_rows, n_cols)
    u, s, vh = fm.linalg.svd(a)
    if n_matrices:
        scale = np.abs(a).max(axis=(-2, -1), keepdims=True)
        scale = positive(scale)
        errors = svd_errors(a / scale, u, s / scale[..., 0], vh)
        assert all(error.max() < 1e-13 for error in errors[1:])
        rebuilt = (u[..., : s.shape[-1]] * (s / scale[..., 0])[:, None]) @ vh[:, : s.shape[-1]]
        assert np.all(np.abs(rebuilt - a / scale) < 1e-13 + 1e-322 / scale)


@given(st.integers(1, 9), st.integers(1, 20), st.randoms())
def test_eigh_of_anything(n, n_matrices, random):
    values = [0.0, 0.0, 1.0, -1.0, 2.0, 1e-200, 1e-150, 1e200, 5e-324, 0.1]
    a = np.array([random.choice(values) for _ in range(n_matrices * n * n)])
    a = np.tril(a.reshape(n_matrices, n, n))
    a = a + transposed(np.tril(a, -1))
    w, v = fm.linalg.eigh(a)
    scale = np.abs(a).max(axis=(-2, -1), keepdims=True)
    scale = positive(scale)
    assert np.abs(transposed(v) @ v - np.eye(n)).max() < 1e-13
    error = np.abs((v * (w / scale[..., 0])[:, None]) @ transposed(v) - a / scale)
    assert np.all(error < 1e-13 + 1e-322 / scale)


# ---- as numpy.linalg ----

NAMES = [
    "solve",
    "inv",
    "det",
    "slogdet",
    "cholesky",
    "qr",
    "eigh",
    "eigvalsh",
    "svd",
    "lstsq",
    "pinv",
]


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    ours, numpys = (inspect.signature(getattr(m, name)) for m in (fm.linalg, np.linalg))
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in numpys.parameters.values()
    ]


def outcome(function, *args, **options):
    """The parts of the result, or the error."""
    try:
        with np.errstate(all="ignore"):
            result = function(*args, **options)
    except Exception as error:
        return type(error), str(error)
    return [np.asarray(part) for part in parts(result)]


def same_as_numpy(name, *args, exact=True, **options):
    ours = outcome(getattr(fm.linalg, name), *args, **options)
    numpys = outcome(getattr(np.linalg, name), *args, **options)
    if isinstance(numpys, tuple):
        assert ours == numpys
        return
    for x, y in zip(ours, numpys, strict=True):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        if exact:
            np.testing.assert_array_equal(x, y)
        else:
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


ONE_ARRAY = [name for name in NAMES if name not in ("solve", "lstsq")]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", ONE_ARRAY)
def test_other_inputs_are_numpys(name, rng):
    a = rng.standard_normal((3, 5, 5))
    a = a @ transposed(a) + np.eye(5)
    for x in (
        a + 1j,
        a.astype(np.longdouble),
        a.astype(np.float16),
        a.astype(object),
        a.astype("S8"),
        np.zeros((0, 3, 3)),
        np.zeros((3, 0, 0)),
        np.zeros((2, 3, 0)),
        np.eye(33),
        np.eye(40)[None].astype(np.float32),
        np.ones(3),
        np.float64(3.0),
        np.ones((2, 3, 4)) if name not in ("qr", "svd", "pinv") else np.ones(2),
        np.asmatrix(a[0]),
    ):
        same_as_numpy(name, x)
    assert type(parts(fm.linalg.inv(np.asmatrix(a[0])))[0]) is np.matrix


@pytest.mark.parametrize("name", ONE_ARRAY)
def test_converted_inputs(name):
    """Lists, integers and booleans in float64; signs of vectors are compared elsewhere."""
    a = np.array([[[4, 1], [1, 3]], [[9, 2], [2, 7]]])
    for x in (a.tolist(), a, a.astype(np.int8), a.astype(np.uint16), a.astype(np.float32)):
        if name in ("eigh", "svd"):
            ours, numpys = getattr(fm.linalg, name)(x), getattr(np.linalg, name)(x)
            for p, q in zip(ours, numpys, strict=True):
                assert p.dtype == q.dtype
                np.testing.assert_allclose(np.abs(p), np.abs(q), rtol=1e-6)
        else:
            same_as_numpy(name, x, exact=False)
    same_as_numpy(name, np.eye(3, dtype=bool) if name != "pinv" else np.eye(3), exact=False)


@pytest.mark.parametrize("name", NAMES)
def test_masked_arrays_are_refused(name):
    masked = np.ma.masked_array(np.eye(3), mask=np.eye(3) > 2)
    args = (masked, np.ones(3)) if name in ("solve", "lstsq") else (masked,)
    with pytest.raises(TypeError, match="a is a masked array"):
        getattr(fm.linalg, name)(*args)


@pytest.mark.parametrize("name", ONE_ARRAY)
@pytest.mark.parametrize("hostile", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_nan_and_infinity(name, hostile, n, rng):
    """As NumPy alone, and in a stack, where the other matrices keep their results.

    What iterates does not converge; LAPACK's SVD would run for ever on some of these.
    """
    clean = dominant(rng, 19, n)
    clean = clean + transposed(clean)
    for at in [(0, 0), (n - 1, 0), (n - 1, n - 1)]:
        a = clean.copy()
        a[7][at] = hostile
        if name in ("eigh", "eigvalsh", "svd", "pinv"):
            for x in (a, a[7]):
                with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
                    getattr(fm.linalg, name)(x)
            continue
        same_as_numpy(name, a[7])
        expected = outcome(getattr(np.linalg, name), a)
        ours = outcome(getattr(fm.linalg, name), a)
        if isinstance(expected, tuple):
            assert ours == expected
            continue
        others = np.arange(19) != 7
        for x, y, z in zip(ours, expected, parts(getattr(fm.linalg, name)(clean)), strict=True):
            assert_same_bits(x[7], y[7])
            assert_same_bits(x[others], z[others])


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "svd", "pinv", "lstsq"])
@pytest.mark.parametrize("char", ["f", "d", "D", "bfloat16"])
def test_nan_and_infinity_where_lapack_computes(name, char, rng):
    """Matrices beyond the kernels' size or dtype."""
    dtype = ml_dtypes.bfloat16 if char == "bfloat16" else char
    for n in (3, 40):
        clean = dominant(rng, 1, n)[0]
        clean = clean + clean.T
        for hostile in (np.nan, np.inf):
            a = clean.astype(dtype)
            a[n - 1, 0] = hostile
            args = (a, np.ones(n)) if name == "lstsq" else (a,)
            with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
                getattr(fm.linalg, name)(*args)
            if name == "svd":
                with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
                    fm.linalg.svd(a, hermitian=True)


def test_what_numpy_refuses_it_refuses_with_a_nan():
    for a in (np.full((2, 3), np.nan), np.full((2, 2), np.nan, np.float16)):
        for call in ("eigh", "eigvalsh"):
            for triangle in "LU":
                with pytest.raises(Exception) as theirs:  # noqa: PT011
                    getattr(np.linalg, call)(a, triangle)
                with pytest.raises(theirs.type, match=str(theirs.value)[:20]):
                    getattr(fm.linalg, call)(a, triangle)


@pytest.mark.parametrize("n", [3, 40])
def test_the_other_triangle_is_not_read(n, rng):
    clean = dominant(rng, 1, n)[0]
    clean = clean + clean.T
    for triangle, unread in (("L", (0, n - 1)), ("U", (n - 1, 0))):
        a = clean.copy()
        a[unread] = np.nan
        assert_same_bits(fm.linalg.eigvalsh(a, triangle), fm.linalg.eigvalsh(clean, triangle))
        for x, y in zip(fm.linalg.eigh(a, triangle), fm.linalg.eigh(clean, triangle), strict=True):
            assert_same_bits(x, y)


def test_nan_and_infinity_in_two_operands(rng):
    a, b = dominant(rng, 5, 4), rng.standard_normal((5, 4, 2))
    for hostile in (np.nan, np.inf):
        x, y = a.copy(), b.copy()
        x[3, 1, 2] = y[1, 2, 1] = hostile
        with pytest.raises(np.linalg.LinAlgError, match="Least Squares"):
            fm.linalg.lstsq(x[3], b[3])
        result = fm.linalg.solve(x, y)
        assert_same_bits(result[[0, 2, 4]], fm.linalg.solve(a, b)[[0, 2, 4]])
        assert_same_bits(result[3], np.linalg.solve(x, y)[3])
        assert_same_bits(result[1, :, 0], fm.linalg.solve(a, b)[1, :, 0])
        assert not np.isfinite(result[1, :, 1]).any()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 20])
def test_singular_matrices(n, dtype, rng):
    a = dominant(rng, 30, n, dtype)
    a[17, :, n // 2] = 0
    for name in ("inv", "solve"):
        args = (a, a) if name == "solve" else (a,)
        with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
            getattr(fm.linalg, name)(*args)
    det = fm.linalg.det(a)
    assert det[17] == 0
    assert np.count_nonzero(det) == 29
    sign, log_abs = fm.linalg.slogdet(a)
    assert sign[17] == 0
    assert log_abs[17] == -np.inf
    assert np.isfinite(np.delete(log_abs, 17)).all()
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        fm.linalg.cholesky(a + transposed(a))


def test_solve_broadcasts_as_numpy(rng):
    a = rng.standard_normal((4, 3, 5, 5)) + 5 * np.eye(5)
    b = rng.standard_normal((4, 3, 5, 2))
    for x, y in (
        (a, b),
        (a[0, 0], b),
        (a, b[0, 0]),
        (a, b[0]),
        (a[0], b),
        (a[:, :1], b[:1]),
        (a, b[0, 0, :, 0]),
        (a[0, 0], b[0, 0, :, 0]),
        (a.astype("f"), b.astype("f")),
        (a.astype("f"), b),
        (a, b.astype(int)),
        (a, b[..., :0]),
        (a, b[:2]),
        (a, b[..., :4, :]),
        (a, b[0, 0, :4, 0]),
        (a, np.float64(2)),
        (a[..., :4], b),
        (a[0, 0], b[0, 0, :, 0] + 1j),
        (a[:0], b[:0]),
    ):
        same_as_numpy("solve", x, y, exact=False)


def test_options(rng):
    a = rng.standard_normal((5, 4, 4))
    for x in (a, a[0], a.astype("f")):
        same_as_numpy("svd", x, compute_uv=False, exact=False)
        same_as_numpy("svd", x + transposed(x), compute_uv=False, hermitian=True, exact=False)
        same_as_numpy("pinv", x + transposed(x), hermitian=True, exact=False)
        same_as_numpy("pinv", x, rtol=None, exact=False)
        same_as_numpy("pinv", x, rtol=0.3, exact=False)
        same_as_numpy("pinv", x, rcond=0.3, rtol=0.3)
        same_as_numpy("eigvalsh", x, UPLO="U", exact=False)
        same_as_numpy("eigvalsh", x, UPLO="u", exact=False)
        same_as_numpy("qr", x, mode="reduced", exact=False)
        same_as_numpy("qr", x, mode="complete", exact=False)
        same_as_numpy("qr", x, mode="raw", exact=False)
        same_as_numpy("qr", x, mode="other")
    with pytest.raises(ValueError, match="UPLO"):
        fm.linalg.eigh(a, "X")
    u, s, vh = fm.linalg.svd(a + transposed(a), hermitian=True)
    np.testing.assert_allclose((u * s[:, None]) @ vh, a + transposed(a), atol=1e-13)
