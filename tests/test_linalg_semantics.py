"""matmul does what np.matmul does: shapes, dtypes, options, out=, subclasses, errors.

Values are small whole numbers, so that every dtype is exact and equal means equal.
"""

import itertools
import operator
import types
import warnings

import numpy as np
import pytest

import fastmath_ml as fm


def outcome(function, args, options):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            return function(*args, **options)
    except Exception as error:
        return error


def assert_like_numpy(*args, **options):
    """Equal values, type, dtype and shape; or an exception that is one of NumPy's kind."""
    ours = {**options, "out": options["out"].copy(order="K")} if "out" in options else options
    expected = outcome(np.matmul, args, options)
    result = outcome(fm.matmul, args, ours)
    if isinstance(expected, Exception):
        kind = next(kind for kind in (TypeError, ValueError) if isinstance(expected, kind))
        assert isinstance(result, kind), f"{result!r}, NumPy: {expected!r}"
        return
    assert not isinstance(result, Exception), f"{result!r}, NumPy: {expected!r}"
    assert type(result) is type(expected)
    assert np.shape(result) == np.shape(expected)
    assert np.asarray(result).dtype == np.asarray(expected).dtype
    assert np.array_equal(result, expected)
    if "out" in options:
        assert result is ours["out"]
        assert ours["out"].flags.f_contiguous == options["out"].flags.f_contiguous


def whole_numbers(shape, dtype):
    """Small integers: products and sums are exact in every dtype, so that equal means equal."""
    return (np.arange(np.prod(shape, dtype=int)) % 7 - 3).reshape(shape).astype(dtype)


WRONG = {
    "another value": lambda *args, **options: np.matmul(*args, **options) + 1,
    "another dtype": lambda *args, **options: np.matmul(*args, **options).astype("f"),
    "another shape": lambda *args, **options: np.matmul(*args, **options)[None],
    "another type": lambda *args, **options: np.matmul(*args, **options).tolist(),
    "out of its own": lambda *args, **options: np.matmul(*args),
    "nothing": lambda *args, **options: None,
    "no error": lambda *args, **options: np.zeros((2, 2)),
    "another error": lambda *args, **options: operator.index("no number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_assert_like_numpy_fails(name, monkeypatch):
    a = np.ones((2, 2))
    call = [(a, np.ones(3))] if "error" in name else [(a, a), {"out": np.zeros((2, 2))}]
    assert_like_numpy(*call[0], **dict(*call[1:]))
    monkeypatch.setattr(fm, "matmul", WRONG[name])
    with pytest.raises(AssertionError):
        assert_like_numpy(*call[0], **dict(*call[1:]))


# fmt: off
SHAPES = [
    # vectors
    ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)),
    ((1,), (1,)),
    # stacks
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)), ((6, 5, 2, 3), (1, 5, 3, 4)), ((2, 1, 2, 2), (1, 3, 2, 2)),
    ((2, 1, 3, 1, 2, 2), (3, 1, 4, 2, 1)),
    # zero sizes
    ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)), ((0,), (0,)), ((0,), (0, 4)),
    ((2, 0), (0,)),
    ((0, 2, 3), (3, 4)), ((0, 2, 3), (1, 3, 4)), ((5, 2, 0), (0, 4)), ((0, 0), (0, 0)),
    ((3, 0, 2, 3), (1, 3, 4)), ((5, 0, 3), (3, 0)), ((0,), (5, 0, 4)), ((5, 2, 0), (5, 0, 0)),
    ((5, 0, 3), (3, 4)), ((5, 0, 3), (5, 3, 4)), ((5, 0, 3), (3,)), ((5, 2, 3), (3, 0)),
    ((3,), (5, 3, 0)), ((5, 0, 3), (5, 3, 1)),
    # errors
    ((), ()), ((), (3,)), ((3,), ()), ((2, 3), ()), ((), (3, 4)), ((2,), (3,)), ((2,), (3, 4)),
    ((2, 3), (4,)), ((2, 3), (4, 3)), ((5, 2, 3), (4, 3, 4)), ((5, 2, 3), (5, 4, 3)),
    ((0,), (1,)), ((2, 0), (1, 2)), ((0, 2, 3), (2, 3, 4)), ((2, 3), (3, 2, 4)),
]
# fmt: on


@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_shapes(shapes, char):
    a, b = (whole_numbers(shape, char) for shape in shapes)
    assert_like_numpy(a, b)
    assert_like_numpy(a, whole_numbers(shapes[1], "d" if char == "f" else "f"))
    assert_like_numpy(np.asfortranarray(a), b[..., ::-1] if b.ndim else b)


# fmt: off
OUT_SHAPES = [
    *(((2, 3), (3, 4), out) for out in (
        (2, 4), (4, 2), (2, 5), (1, 4), (2,), (4,), (), (8,), (5, 2, 4), (1, 2, 4), (0, 2, 4),
        (6, 5, 2, 4), (5, 4, 2), (2, 4, 1), (2, 4, 5))),
    *(((5, 2, 3), (3, 4), out) for out in (
        (5, 2, 4), (1, 2, 4), (2, 4), (6, 5, 2, 4), (5, 1, 4), (6, 2, 4), (1, 5, 2, 4))),
    *(((1, 2, 3), (3, 4), out) for out in ((1, 2, 4), (5, 2, 4), (2, 4), (0, 2, 4), (6, 5, 2, 4))),
    *(((5, 1, 2, 3), (1, 6, 3, 4), out) for out in ((5, 6, 2, 4), (5, 1, 2, 4), (7, 5, 6, 2, 4))),
    *(((3,), (3, 4), out) for out in ((4,), (2, 4), (5, 2, 4), (1, 4), (4, 1), (), (3,))),
    *(((2, 3), (3,), out) for out in ((2,), (5, 2), (2, 1), (1,), (6, 5, 2))),
    *(((3,), (3,), out) for out in ((), (2,), (1,), (2, 3))),
    *(((0, 2, 3), (3, 4), out) for out in ((0, 2, 4), (1, 2, 4), (5, 0, 2, 4))),
    *(((2, 0), (0, 4), out) for out in ((2, 4), (5, 2, 4), (1, 4))),
]
# fmt: on


@pytest.mark.parametrize("shapes", OUT_SHAPES, ids=str)
def test_out_shapes(shapes):
    """What np.matmul makes of an out of each shape, which it may broadcast into, or refuses."""
    *operands, out = shapes
    a, b = (whole_numbers(shape, "d") for shape in operands)
    for order in "CF":
        assert_like_numpy(a, b, out=np.full(out, np.nan, order=order))


@pytest.mark.parametrize("out_char", "?iefdgFDO")
@pytest.mark.parametrize("chars", ["ff", "fd", "dd"])
def test_out_dtypes(chars, out_char):
    a, b = whole_numbers((3, 5), chars[0]), whole_numbers((5, 4), chars[1])
    assert_like_numpy(a, b, out=np.zeros((3, 4), out_char))


ALL_DTYPES = "?bhilqBHILQefdgFDGO"


@pytest.mark.parametrize("chars", list(itertools.product(ALL_DTYPES, repeat=2)), ids="".join)
def test_dtypes(chars):
    for shapes in [((3, 5), (5, 4)), ((2, 3, 5), (5,)), ((5,), (5,)), ((2, 0), (0, 3))]:
        assert_like_numpy(*(whole_numbers(s, char) for s, char in zip(shapes, chars, strict=True)))


def test_dtypes_that_have_no_product():
    words = np.array([["a", "b"], ["c", "d"]])
    dates = np.zeros((2, 2), "datetime64[s]")
    for a, b in itertools.product([words, dates, np.ones((2, 2))], repeat=2):
        assert_like_numpy(a, b)


def test_array_likes():
    assert_like_numpy([[1.0, 2.0]], ((3.0,), (4.0,)))
    assert_like_numpy([1.5, 2], [2.0, 1])
    assert_like_numpy([[1, 2]], [[True], [False]])
    assert_like_numpy(2.0, [1.0])
    assert_like_numpy([[1.0], [2.0, 3.0]], [1.0])
    assert_like_numpy(None, None)


OPTIONS = [
    {"axes": [(0, 1), (0, 1), (0, 1)]},
    {"axes": [(-1, -2), (-2, -1), (-1, -2)]},
    {"axes": [(0, 5), (0, 1), (0, 1)]},
    {"axes": [(0, 1)]},
    {"axis": 0},
    {"keepdims": True},
    {"dtype": np.float32},
    {"dtype": np.float64},
    {"dtype": "f4", "casting": "unsafe"},
    {"dtype": np.complex64},
    {"dtype": int},
    {"dtype": int, "casting": "unsafe"},
    {"casting": "no"},
    {"casting": "safe"},
    {"casting": "nonsense"},
    {"order": "F"},
    {"order": "C"},
    {"order": "X"},
    {"subok": False},
    {"subok": True},
    {"subok": None},
    {"dtype": ">f8"},
    {"signature": "dd->d"},
    {"signature": "ii->i"},
    {"where": True},
    {"nonsense": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("chars", ["ff", "fd", "dd", "ii"])
def test_options(options, chars):
    a, b = whole_numbers((4, 4), chars[0]), whole_numbers((4, 4), chars[1])
    assert_like_numpy(a, b, **options)
    result = outcome(fm.matmul, (a, b), options)
    if not isinstance(result, Exception):
        assert result.strides == np.matmul(a, b, **options).strides
        assert_like_numpy(a, b, out=np.zeros((4, 4)), **options)


def test_arguments_by_position_and_name():
    a, b = whole_numbers((2, 3), "d"), whole_numbers((3, 4), "d")
    out = np.zeros((2, 4))
    assert fm.matmul(a, b, out) is out
    out_by_name = np.zeros((2, 4))
    assert fm.matmul(a, b, out=(out_by_name,)) is out_by_name
    assert np.array_equal(out, np.matmul(a, b))
    assert np.array_equal(out_by_name, out)
    for wrong in ((), (np.zeros((2, 4)),) * 2):
        with pytest.raises(ValueError, match="out"):
            fm.matmul(a, b, out=wrong)
    with pytest.raises(TypeError, match="positional"):
        fm.matmul(a, b, out, None)
    with pytest.raises(TypeError, match=r"positional|missing"):
        fm.matmul(x1=a, x2=b)


def test_errors_name_what_came_and_what_was_wanted():
    with pytest.raises(ValueError, match=r"x1 has shape \(2, 3\) and x2 has shape \(4, 5\)"):
        fm.matmul(np.ones((2, 3)), np.ones((4, 5)))
    with pytest.raises(ValueError, match=r"x1 has shape \(2, 1, 3\) .* \(3, 3, 5\).*broadcast"):
        fm.matmul(np.ones((2, 1, 3)), np.ones((3, 3, 5)))
    with pytest.raises(ValueError, match=r"x2 has .*; expected at least"):
        fm.matmul(np.ones(3), 2.0)
    with pytest.raises(ValueError, match=r"out has shape \(2, 2\); expected \(2, 5\)"):
        fm.matmul(np.ones((2, 3)), np.ones((3, 5)), out=np.ones((2, 2)))


class Overriding:
    """Takes part in ufuncs, as a sparse or a distributed array does."""

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return "overridden", ufunc, method, len(inputs), sorted(options)


class Refusing:
    __array_ufunc__ = None


class Tracking(np.ndarray):
    """A subclass that remembers what it came from."""

    def __array_finalize__(self, source):
        self.unit = getattr(source, "unit", None)


def test_operands_with_a_ufunc_override_decide():
    x, plain = Overriding(), np.ones((2, 2))
    expected = ("overridden", np.matmul, "__call__", 2)
    assert fm.matmul(x, plain)[:4] == expected
    assert fm.matmul(plain, x)[:4] == expected
    assert fm.matmul([[1.0, 2.0]], x)[:4] == expected
    assert fm.matmul(plain, plain, out=x)[:4] == expected
    assert fm.matmul(np.ma.ones((2, 2)).data, x)[:4] == expected
    for args in [(Refusing(), plain), (plain, Refusing())]:
        with pytest.raises(TypeError, match="does not support ufuncs"):
            fm.matmul(*args)


def test_subclasses_stay_what_they_are():
    x = np.ones((2, 2)).view(Tracking)
    x.unit = "m"
    plain = np.ones((2, 2))
    for args in [(x, plain), (plain, x), (x, x)]:
        result = fm.matmul(*args)
        assert type(result) is Tracking
        assert np.array_equal(result, np.full((2, 2), 2.0))
    assert fm.matmul(x, plain).unit == np.matmul(x, plain).unit
    assert type(fm.matmul(x, plain, subok=False)) is np.ndarray
    out = np.zeros((2, 2)).view(Tracking)
    assert fm.matmul(plain, plain, out=out) is out
    assert np.array_equal(out, np.full((2, 2), 2.0))
    assert fm.matmul(x, plain, out=np.zeros((2, 2))).sum() == 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        assert_like_numpy(np.matrix([[1.0, 2.0]]), plain)


# ---- NumPy's own tests ----

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        from numpy._core.tests import test_multiarray as numpy_tests
    except ImportError:  # some distributions leave NumPy's tests out
        numpy_tests = types.SimpleNamespace(TestMatmul=object)

# Those that are about np.matmul's own texts.
OTHER_TEXTS = {
    "test_out_arg": "expects 'Cannot cast ufunc', the text of ufuncs",
    "test_empty_out": "expects 'non-broadcastable', the text of the array iterator",
}


class NumPyWithOurMatmul(types.ModuleType):
    matmul = staticmethod(fm.matmul)

    def __getattr__(self, name):
        return getattr(np, name)


class TestAsNumPyTestsItself(numpy_tests.TestMatmul):
    """NumPy's tests of matmul, with ours in its place where they say self.matmul or np.matmul."""

    matmul = staticmethod(fm.matmul)

    @pytest.fixture(autouse=True)
    def ours(self, request, monkeypatch):
        if reason := OTHER_TEXTS.get(request.node.originalname):
            pytest.skip(reason)
        monkeypatch.setattr(numpy_tests, "np", NumPyWithOurMatmul("numpy"))


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        from numpy._core.tests import test_ufunc as numpy_ufunc_tests
    except ImportError:
        numpy_ufunc_tests = types.SimpleNamespace(TestUfunc=object)

OURS = {name: getattr(fm, name) for name in ("matmul", "vecdot", "matvec", "vecmat")}


class NumPyWithOurProducts(types.ModuleType):
    def __getattr__(self, name):
        return OURS.get(name) or getattr(np, name)


@pytest.mark.skipif(numpy_ufunc_tests.TestUfunc is object, reason="NumPy's tests are not installed")
class TestAsNumPyTestsItsProducts:
    """NumPy's tests of vecdot, matvec and vecmat, with ours in their place.

    Left out: test_params_common_gufunc, which asks for the attributes of a ufunc.
    """

    @pytest.fixture(autouse=True)
    def theirs(self, monkeypatch):
        monkeypatch.setattr(numpy_ufunc_tests, "np", NumPyWithOurProducts("numpy"))
        return numpy_ufunc_tests.TestUfunc()

    @pytest.mark.parametrize(
        "name",
        [
            "test_vecdot",
            "test_matvec",
            "test_vecdot_subclass",
            "test_vecdot_object_no_conjugate",
            "test_vecdot_object_breaks_outer_loop_on_error",
        ],
    )
    def test_plain(self, theirs, name):
        getattr(theirs, name)()

    @pytest.mark.parametrize("dtype", [None, complex, object])
    @pytest.mark.parametrize(
        "matrix", [None, np.array([[1 + 1j, 0.5, -0.5j], [0.25, 2j, 0.0], [4.0, 0.0, -1j]])]
    )
    def test_identity(self, theirs, matrix, dtype):
        theirs.test_vecmatvec_identity(matrix, np.array([[1, 2, 3], [4, 5, 6]], dtype or float))

    @pytest.mark.parametrize(
        ("name", "shape1", "shape2", "conj"),
        [
            ("vecdot", (3,), (3,), True),
            ("vecmat", (3,), (3, 1), True),
            ("matvec", (1, 3), (3,), False),
            ("matmul", (1, 3), (3, 1), False),
        ],
    )
    def test_complex(self, theirs, name, shape1, shape2, conj):
        theirs.test_vecdot_matvec_vecmat_complex(OURS[name], shape1, shape2, conj)

    def test_out(self, theirs):
        theirs.test_matvec_vecmat_out(fm.matvec)
        theirs.test_matvec_vecmat_out(lambda matrix, vector, **kw: fm.vecmat(vector, matrix, **kw))
