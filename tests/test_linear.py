"""linear: the product against matmul, the rest against the functions of special, torch as peer."""

import ml_dtypes
import numpy as np
import pytest
from helpers import LAYOUTS, OUT_LAYOUTS, Guarded, assert_same_bits, layout

import fastmath_ml as fm
from fastmath_ml import reference

ACTIVATIONS = [None, "relu", "gelu", "sigmoid", "tanh", "silu"]
DTYPES = [np.float32, np.float64]
# Single rows and columns, tails of tiles, several depth blocks, many tiles.
SHAPES = [(1, 5, 1), (1, 300, 70), (40, 7, 1), (3, 5, 2), (37, 53, 41), (130, 801, 97)]


def operands(rng, shape, dtype):
    n_rows, n_features, n_out = shape
    x = rng.standard_normal((n_rows, n_features)).astype(dtype)
    weight = (rng.standard_normal((n_out, n_features)) / np.sqrt(n_features)).astype(dtype)
    return x, weight, rng.standard_normal(n_out).astype(dtype)


def assert_close(result, x, weight, bias, activation):
    """Slopes of the activations are at most 1.13; their own error is a few units."""
    exact = reference.linear(x, weight, bias, activation=activation)
    magnitude = reference.linear(abs(x), abs(weight), None if bias is None else abs(bias))
    assert result.dtype == x.dtype
    eps = np.finfo(x.dtype).eps
    bound = 1.13 * (x.shape[-1] + 3) * eps * magnitude + 8 * eps * abs(exact)
    assert np.all(abs(result - exact) <= bound + np.finfo(x.dtype).smallest_subnormal)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_the_reference(rng, shape, activation, dtype):
    x, weight, bias = operands(rng, shape, dtype)
    for shift in (bias, None):
        result = fm.linear(x, weight, shift, activation=activation)
        assert_close(result, x, weight, shift, activation)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_without_activation_it_is_matmul_and_an_addition(rng, shape, dtype):
    x, weight, bias = operands(rng, shape, dtype)
    assert np.allclose(
        fm.linear(x, weight, bias), fm.matmul(x, weight.T) + bias, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_against_torch(rng, activation):
    torch = pytest.importorskip("torch")
    f = {
        None: lambda y: y,
        "gelu": torch.nn.functional.gelu,
        "silu": torch.nn.functional.silu,
    }.get(activation) or getattr(torch, activation)
    x, weight, bias = operands(rng, (37, 53, 41), np.float64)
    expected = f(torch.nn.functional.linear(*map(torch.from_numpy, (x, weight, bias))))
    result = fm.linear(x, weight, bias, activation=activation)
    assert np.allclose(result, expected.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 5), (0, 5), (2, 0, 5)], ids=str)
def test_leading_axes(rng, shape):
    x = rng.standard_normal(shape)
    weight, bias = rng.standard_normal((4, 5)), rng.standard_normal(4)
    result = fm.linear(x, weight, bias, activation="tanh")
    assert np.allclose(result, np.tanh(x @ weight.T + bias))
    one = fm.linear(x, weight[0], bias[0])
    assert np.shape(one) == shape[:-1]
    assert np.allclose(one, x @ weight[0] + bias[0])


def test_no_features_and_no_outputs():
    bias = np.array([-1.0, 2.0])
    for dtype in (np.float16, np.float32, np.float64):
        x, weight = np.zeros((3, 0), dtype), np.zeros((2, 0), dtype)
        result = fm.linear(x, weight, bias.astype(dtype), activation="relu")
        assert result.dtype == dtype
        assert np.array_equal(result, [[0, 2]] * 3)
    assert fm.linear(np.ones((3, 4)), np.ones((0, 4))).shape == (3, 0)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_the_operands(rng, name):
    x, weight, bias = operands(rng, (37, 53, 41), np.float32)
    expected = fm.linear(x, weight, bias, activation="relu")
    for args in (
        (layout(x, name), weight, bias),
        (x, layout(weight, name), bias),
        (x, weight, layout(bias, name)),
    ):
        assert_same_bits(fm.linear(*args, activation="relu"), expected)


@pytest.mark.parametrize("name", OUT_LAYOUTS)
def test_layouts_of_out(rng, name):
    x, weight, bias = operands(rng, (37, 53, 41), np.float32)
    guarded = Guarded((37, 41), np.float32, name)
    assert fm.linear(x, weight, bias, activation="silu", out=guarded.array) is guarded.array
    guarded.check()
    assert_same_bits(guarded.array, fm.linear(x, weight, bias, activation="silu"))


def test_out_may_overlap(rng):
    x, weight, bias = operands(rng, (53, 53, 53), np.float32)
    expected = fm.linear(x, weight, bias)
    copies = [z.copy() for z in (x, weight, bias)]
    assert_same_bits(fm.linear(*copies, out=copies[0]), expected)
    copies = [z.copy() for z in (x, weight, bias)]
    assert_same_bits(fm.linear(*copies, out=copies[1]), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float16_is_computed_in_float32_and_rounded_once(rng, activation):
    for shape in SHAPES:
        args = [z.astype(np.float16) for z in operands(rng, shape, np.float32)]
        wide = fm.linear(*(z.astype(np.float32) for z in args), activation=activation)
        result = fm.linear(*args, activation=activation)
        assert result.dtype == np.float16
        ulp = np.spacing(abs(wide.astype(np.float16))).astype(np.float32)
        assert np.all(abs(result - wide) <= 0.501 * ulp + 1e-6)


def test_results_of_several_blocks_get_their_own_bias(rng):
    x = rng.integers(-3, 4, (4500, 5)).astype(np.float16)
    weight = rng.integers(-3, 4, (900, 5)).astype(np.float16)
    bias = rng.integers(-100, 100, 900).astype(np.float16)
    assert np.array_equal(fm.linear(x, weight, bias), x @ weight.T + bias)


def test_dtypes_promote():
    x, weight = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    assert fm.linear(x, weight, np.ones(4)).dtype == np.float64
    assert fm.linear(x.astype(int), weight.astype(int)).dtype == np.float64
    assert fm.linear(x.astype(np.float16), weight).dtype == np.float32
    for kind, result in (("int16", "f4"), ("int64", "f8"), ("float16", "f4"), ("float64", "f8")):
        assert fm.linear(x.astype(ml_dtypes.bfloat16), weight.astype(kind)).dtype == result


@pytest.mark.parametrize("shape", [(203, 900, 317), (1, 4000, 1000), (5000, 64, 1)], ids=str)
def test_threads_change_no_bit(rng, shape):
    args = operands(rng, shape, np.float32)
    with fm.num_threads(1):
        expected = fm.linear(*args, activation="gelu")
    for n_threads in (2, 3, 7):
        with fm.num_threads(n_threads):
            assert_same_bits(fm.linear(*args, activation="gelu"), expected)


def test_nan_and_infinity():
    x = np.array([[np.nan, 1.0], [np.inf, 1.0], [-np.inf, 1.0]])
    weight = np.eye(2)
    assert np.array_equal(
        fm.linear(x, weight, activation="relu"),
        [[np.nan, np.nan], [np.inf, np.nan], [0, np.nan]],
        equal_nan=True,
    )
    assert np.array_equal(
        fm.linear(x[:, :1], weight[:1, :1], activation="sigmoid").ravel()[1:], [1, 0]
    )


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        ((1.0, np.ones((2, 3))), {}, ValueError, "input is a scalar"),
        ((np.ones((2, 4)), np.ones((2, 3))), {}, ValueError, "weight has shape"),
        ((np.ones((2, 3)), np.ones((2, 2, 3))), {}, ValueError, "weight has shape"),
        ((np.ones((2, 3)), np.ones((2, 3)), np.ones(3)), {}, ValueError, "bias has shape"),
        ((np.ones((2, 3)), np.ones((2, 3))), {"activation": "swish"}, ValueError, "swish"),
        ((np.ones((2, 3)), np.ones((2, 3))), {"activation": ["relu"]}, ValueError, "activation"),
        ((np.ones((2, 3)), np.ones((2, 3))), {"out": np.ones(3)}, ValueError, "out has shape"),
        ((np.ones((2, 3)) * 1j, np.ones((2, 3))), {}, TypeError, "input has dtype complex"),
        ((np.ma.ones((2, 3)), np.ones((2, 3))), {}, TypeError, "input is a masked array"),
    ],
)
def test_errors_name_the_argument(args, options, error, words):
    with pytest.raises(error, match=words):
        fm.linear(*args, **options)
