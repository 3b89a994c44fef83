"""The activations against correctly rounded values, and what must not change a result."""

import inspect

import mpmath
import numpy as np
import pytest
import scipy.special
from helpers import LAYOUTS, OUT_LAYOUTS, Guarded, assert_same_bits, eps, layout, normal

import fastmath_ml as fm
from fastmath_ml import special


def gelu_tanh(x, **options):
    return special.gelu(x, approximate="tanh", **options)


def exact_logit(x):
    return mpmath.log(x) - mpmath.log(1 - x)


def exact_gelu_tanh(x):
    root = mpmath.sqrt(2 / mpmath.pi)
    return x / (1 + mpmath.exp(-2 * root * (x + mpmath.mpf("0.044715") * x**3)))


# name: ours, the exact function, ulp for float32 and float64, the lowest argument of the latter
ACTIVATIONS = {
    "expit": (special.expit, lambda x: 1 / (1 + mpmath.exp(-x)), 2, 2, -700),
    "log_expit": (special.log_expit, lambda x: -mpmath.log1p(mpmath.exp(-x)), 2, 2, -1e300),
    "softplus": (special.softplus, lambda x: mpmath.log1p(mpmath.exp(x)), 2, 2, -700),
    "tanh": (special.tanh, mpmath.tanh, 2, 2, -1e300),
    "silu": (special.silu, lambda x: x / (1 + mpmath.exp(-x)), 2, 4, -740),
    "gelu": (special.gelu, lambda x: x * mpmath.ncdf(x), 2, 4, -38),
    "gelu_tanh": (gelu_tanh, exact_gelu_tanh, 1, 4, -1),
    "logit": (special.logit, exact_logit, 2, 2, 0),
}
ALL = {**{name: row[0] for name, row in ACTIVATIONS.items()}, "relu": special.relu}


@pytest.fixture(params=ALL)
def activation(request):
    return ALL[request.param]


def arguments(name, dtype, lowest):
    """Both signs, all magnitudes, the neighbourhoods of 0, 1/2 and 1."""
    if name == "logit":
        tiny = np.array([1e-300, 1e-40, 1e-20, 1e-7]) if dtype == "f8" else np.array([1e-40, 1e-7])
        near_half = 0.5 + np.array([2.0**-n for n in range(2, 24)])
        x = np.concatenate([np.arange(1, 400) / 400.3, tiny, near_half, 1 - near_half])
    else:
        steps = np.arange(-400, 400) / 37.3
        tiny = np.array([s * 10.0**-n for n in range(1, 40) for s in (-1, 1)])
        large = np.array([-88.5, -100.3, -104.5, 13.9, 50.1, 88.9, 300.7])
        x = np.concatenate([steps, 10 * steps, tiny, large])
    x = x.astype(dtype)
    return x if dtype == "f4" else x[x > lowest]


def ulp_of(exact, dtype):
    """The distance of neighbouring numbers of the dtype at an mpf, as an mpf."""
    info = np.finfo(dtype)
    exponent = (
        max(int(mpmath.floor(mpmath.log(abs(exact), 2))), info.minexp) if exact else info.minexp
    )
    return mpmath.ldexp(1, exponent - info.nmant)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_against_exact_values(name, dtype):
    ours, exact, ulp_float, ulp_double, lowest = ACTIVATIONS[name]
    x = arguments(name, dtype, lowest)
    allowed = ulp_float if dtype == "f4" else ulp_double
    with mpmath.workprec(1200):
        for at, got in zip(x.tolist(), ours(x).tolist(), strict=True):
            want = exact(mpmath.mpf(at))
            error = abs(got - want) / ulp_of(want, dtype)
            assert error <= allowed, f"{name}({at!r}) is {got!r}, off by {float(error):.2f} ulp"


def test_double_gelu_tanh_below_its_domain():
    x = -np.arange(1, 20, 0.07)
    with mpmath.workprec(300):
        for at, got in zip(x.tolist(), gelu_tanh(x).tolist(), strict=True):
            want = exact_gelu_tanh(mpmath.mpf(at))
            allowed = 4 + 8 * abs(at) + abs(at) ** 3 / 2
            assert abs(got - want) <= allowed * ulp_of(want, "f8"), at


# at: -inf, inf, NaN, -0, 0, the largest number
LIMITS = {
    "expit": [0, 1, np.nan, 0.5, 0.5, 1],
    "log_expit": [-np.inf, 0, np.nan, -np.log(2), -np.log(2), 0],
    "softplus": [0, np.inf, np.nan, np.log(2), np.log(2), "largest"],
    "tanh": [-1, 1, np.nan, -0.0, 0.0, 1],
    "silu": [-0.0, np.inf, np.nan, -0.0, 0.0, "largest"],
    "gelu": [-0.0, np.inf, np.nan, -0.0, 0.0, "largest"],
    "gelu_tanh": [-0.0, np.inf, np.nan, -0.0, 0.0, "largest"],
    "relu": [0, np.inf, np.nan, None, 0.0, "largest"],
    "logit": [np.nan, np.nan, np.nan, -np.inf, -np.inf, np.nan],
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("n_others", [0, 1, 30])
def test_limits(name, n_others, dtype):
    """Alone, and among plain numbers in one vector."""
    largest = np.finfo(dtype).max
    points = np.array([-np.inf, np.inf, np.nan, -0.0, 0.0, largest], dtype)
    for at, want in zip(points, LIMITS[name], strict=True):
        x = np.full(n_others + 1, 0.25, dtype)
        x[-1] = at
        got = ALL[name](x)[-1]
        if want is None:
            assert got == 0
            continue
        want = dtype.type(largest if want == "largest" else want)
        assert got == want or (np.isnan(got) and np.isnan(want)), (at, got)
        if want == 0 and np.signbit(want):
            assert np.signbit(got)
    assert (
        np.isfinite(ALL[name](np.array([-largest, -1e3, -720], dtype))[1:]).all() or name in "logit"
    )


def test_lengths(activation, dtype, rng):
    """Around vectors and pairs of them, starting at any alignment."""
    x = rng.uniform(0.01, 0.99, 200).astype(dtype)
    whole = activation(x)
    for n in (*range(36), 63, 64, 65, 127, 128):
        for start in (0, 1, 5):
            assert_same_bits(activation(x[start : start + n]), whole[start : start + n])


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, activation, dtype, rng):
    x = rng.uniform(0.01, 0.99, (7, 5, 9)).astype(dtype)
    expected = activation(x)
    view = layout(x, name)
    before = view.tobytes()
    assert_same_bits(activation(view), expected)
    assert view.tobytes() == before


@pytest.mark.parametrize("name", OUT_LAYOUTS)
def test_out(name, activation, dtype, rng):
    x = rng.uniform(0.01, 0.99, (37, 53)).astype(dtype)
    guarded = Guarded(x.shape, dtype, name)
    assert activation(x, out=guarded.array) is guarded.array
    guarded.check()
    assert_same_bits(guarded.array, activation(x))


def test_in_place_and_overlapping_out(activation, dtype, rng):
    memory = rng.uniform(0.01, 0.99, 3000).astype(dtype)
    for source, target in [(slice(0, 2000),) * 2, (slice(0, 2000), slice(7, 2007))]:
        x = memory.copy()
        expected = activation(x[source].copy())
        assert_same_bits(activation(x[source], out=x[target]), expected)


@pytest.mark.parametrize("in_place", [False, True])
def test_threads_change_no_bit(activation, dtype, rng, in_place):
    """Of an array whose result is streamed past the caches, at an odd address."""
    n = (1 << 24) // dtype.itemsize + 1003
    x = rng.uniform(0.01, 0.99, n).astype(dtype)[3:]
    pieces = np.concatenate([activation(x[at : at + 5001]) for at in range(0, x.size, 5001)])
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            y = x.copy() if in_place else x
            out = y if in_place else np.empty(n, dtype)[n - x.size :]
            assert_same_bits(activation(y, out=out), pieces)


@pytest.mark.parametrize(
    ("given", "returned"),
    [("f2", "f2"), (">f4", "f4"), ("f8", "f8"), ("i4", "f8"), ("u1", "f8"), ("?", "f8")],
)
def test_dtypes(activation, given, returned):
    x = np.array([0, 1, 1, 0], given)
    result = activation(x)
    assert result.dtype == returned
    computed = np.float32 if given in ("f2", ">f4") else np.float64
    assert_same_bits(result, activation(x.astype(computed)).astype(returned))


def test_scalars_lists_and_empty_arrays(activation):
    assert isinstance(activation(0.25), np.float64)
    assert isinstance(activation(np.float32(0.25)), np.float32)
    assert_same_bits(activation([0.25, 0.5]), activation(np.array([0.25, 0.5])))
    out = np.array(7.0)
    assert activation(0.25, out=out) is out
    assert out == activation(0.25)
    assert activation(np.zeros((3, 0), "f")).shape == (3, 0)


def test_errors(activation):
    with pytest.raises(TypeError, match="x is a masked array"):
        activation(np.ma.ones(3))
    with pytest.raises(TypeError, match="x has dtype complex128"):
        activation(np.ones(3, complex))
    with pytest.raises(TypeError, match="x has dtype object"):
        activation(np.array([1, None], object))
    with pytest.raises(ValueError, match=r"out has shape \(2,\); expected \(3,\)"):
        activation(np.ones(3), out=np.ones(2))
    with pytest.raises(TypeError, match="out has dtype int64"):
        activation(np.ones(3), out=np.ones(3, int))


@pytest.mark.parametrize("name", ["expit", "log_expit", "logit", "tanh"])
def test_signature_and_options_of_a_ufunc(name):
    peer = np.tanh if name == "tanh" else getattr(scipy.special, name)
    ours = getattr(special, name)
    try:
        signature = inspect.signature(peer)
    except ValueError:
        pytest.skip("this release does not tell the signature")
    assert list(signature.parameters) == list(inspect.signature(ours).parameters)
    x = np.array([[0.1, 0.2], [0.3, 0.9]], np.float32)
    mask = np.array([True, False])
    assert np.allclose(ours(x, dtype="f8"), peer(x.astype("f8")))
    assert ours(x, dtype="f8").dtype == "f8"
    out = np.full((2, 2), 7, "f4")
    assert ours(x, out, where=mask) is out
    assert np.allclose(out[:, 0], peer(x[:, 0]))
    assert np.all(out[:, 1] == 7)
    assert ours(x, order="F").flags.f_contiguous
    assert ours(x, (np.empty_like(x),)).shape == x.shape
    with pytest.raises(TypeError):
        ours(x.astype("f8"), dtype="f4", casting="safe")
    with pytest.raises(TypeError, match="signature"):
        ours(x, signature="d->d")


def test_options_of_softplus_and_gelu(dtype, rng):
    x = normal(rng, 300, dtype, scale=4)
    for beta in (0.5, 3.0, -2.0):
        want = fm.reference.special.softplus(x, beta)
        assert np.allclose(special.softplus(x, beta), want, rtol=100 * eps(dtype), atol=0)
    got = special.softplus(x, 2.0, threshold=4.0)
    assert_same_bits(got[2 * x > 4], x[2 * x > 4])
    assert np.allclose(got, fm.reference.special.softplus(x, 2.0, 4.0), rtol=1e-4)
    with pytest.raises(ValueError, match="beta is 0"):
        special.softplus(x, 0)
    with pytest.raises(ValueError, match="approximate is 'erf'; expected 'none' or 'tanh'"):
        special.gelu(x, approximate="erf")


@pytest.mark.parametrize("name", ["gelu", "silu", "relu", "softplus", "logsigmoid"])
def test_as_torch(name, dtype, rng):
    torch = pytest.importorskip("torch")
    x = normal(rng, 1003, dtype, scale=3)
    ours = special.log_expit if name == "logsigmoid" else getattr(special, name)
    want = getattr(torch.nn.functional, name)(torch.from_numpy(x)).numpy()
    assert np.allclose(ours(x), want, rtol=16 * eps(dtype), atol=16 * eps(dtype))
    if name == "gelu":
        want = torch.nn.functional.gelu(torch.from_numpy(x), approximate="tanh").numpy()
        assert np.allclose(gelu_tanh(x), want, rtol=16 * eps(dtype), atol=16 * eps(dtype))


@pytest.mark.parametrize("casting", ["no", "equiv", "safe", "same_kind", "unsafe", "bogus"])
@pytest.mark.parametrize("kind", [None, "float16", "float32", "float64", "int64"])
def test_casting_is_scipys(casting, kind):
    x = np.linspace(0.1, 0.9, 12, dtype=np.float32).reshape(3, 4)

    def outcome(function):
        out = None if kind is None else np.zeros(x.shape, kind)
        try:
            return function(x, out=out, casting=casting)
        except (TypeError, ValueError) as error:
            return TypeError if isinstance(error, TypeError) else ValueError

    for name in ("expit", "log_expit", "logit", "entr"):
        ours = getattr(fm.information if name == "entr" else fm.special, name)
        result, expected = outcome(ours), outcome(getattr(scipy.special, name))
        if isinstance(expected, type):
            assert result is expected
        else:
            assert result.dtype == expected.dtype
            np.testing.assert_allclose(result, expected, rtol=1e-3)
