"""Euclidean distances where the product form is at its worst, against exact arithmetic.

The bound is that of the docstring: relative, for all data.
"""

import numpy as np
import pytest
from helpers import assert_same_bits, assert_within, eps
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

import fastmath_ml as fm


def exact_distances(x, y):
    """Differences are exact in twice the precision; longdouble sums are good to 1e-17."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        result = np.empty((len(x), len(y)))
        for i, row in enumerate(x.tolist()):
            for j, other in enumerate(y.tolist()):
                differences = [
                    mpmath.mpf(a) - mpmath.mpf(b) for a, b in zip(row, other, strict=True)
                ]
                root = mpmath.sqrt(mpmath.fsum(d * d for d in differences))
                result[i, j] = float(root) if root < 1.7e308 else np.inf
        return result


def relative_bound(n_features, dtype):
    return (4 * min(n_features, 384) + n_features / 96 + 20) * eps(dtype)


def check(x, y):
    dtype = x.dtype
    exact = exact_distances(x, y)
    limit = float(np.finfo(dtype).max)
    exact = np.where(exact > limit, np.inf, exact)
    bound = relative_bound(x.shape[1], dtype) * np.where(np.isinf(exact), 0, exact)
    result = fm.euclidean_distances(x, y)
    assert_within(result, exact, bound + float(np.finfo(dtype).smallest_subnormal), dtype)
    assert_same_bits(result, fm.cdist(x, y))
    assert_same_bits(result, fm.euclidean_distances(y, x).T)
    return result


FEATURES = [1, 2, 16, 33, 129]


@pytest.mark.parametrize("n_features", FEATURES)
@pytest.mark.parametrize("offset", [0, 1, 100, 1e4])
def test_far_from_the_origin(n_features, offset, dtype, rng):
    x, y = ((rng.standard_normal((n, n_features)) + offset).astype(dtype) for n in (9, 35))
    check(x, y)


@pytest.mark.parametrize("n_features", FEATURES)
@pytest.mark.parametrize("exponent", [-1, -3, -6, -9])
def test_near_duplicates(n_features, exponent, dtype, rng):
    x = rng.standard_normal((9, n_features))
    y = np.repeat(x, 4, axis=0) * (1 + 10.0**exponent * rng.standard_normal((36, n_features)))
    x, y = x.astype(dtype), y.astype(dtype)
    y[::4] = x
    result = check(x, y)
    assert not result[np.arange(9), 4 * np.arange(9)].any()


@pytest.mark.parametrize("ratio", [0.05, 0.0624, 0.0625, 0.0626, 0.08])
def test_on_both_sides_of_the_switch(ratio, dtype, rng):
    """|x - y|^2 / (|x|^2 + |y|^2) about 1/16, where the form changes."""
    x = rng.standard_normal((7, 40))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    side = rng.standard_normal((33, 40))
    y = x[rng.integers(0, 7, 33)]
    side -= (side * y).sum(axis=1, keepdims=True) * y
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    y = y + np.sqrt(2 * ratio / (1 - ratio)) * side
    check(x.astype(dtype), y.astype(dtype))


@pytest.mark.parametrize("n_features", [3, 40])
def test_sizes_whose_squares_do_not_fit(n_features, dtype, rng):
    """From the smallest to the largest numbers, several sizes in one matrix."""
    info = np.finfo(dtype)
    low, high = np.log10(float(info.smallest_subnormal)) + 3, np.log10(float(info.max)) - 2
    sizes = 10.0 ** np.linspace(low, high, 15)
    x = (rng.standard_normal((15, n_features)) * sizes[:, None]).astype(dtype)
    y = np.concatenate([x[::-1] * dtype.type(0.75), -x, np.zeros((3, n_features), dtype)])
    check(x, y)
    one_set = fm.euclidean_distances(x)
    assert_same_bits(one_set, one_set.T)
    assert_same_bits(one_set, fm.euclidean_distances(x, x.copy()))


@pytest.mark.parametrize("n_features", [257, 400, 769, 3073])
def test_deep_rows(n_features, dtype, rng):
    """Several blocks of features; rows of Y in place, in one packed chunk, in several."""
    x = (rng.standard_normal((17, n_features)) + 10).astype(dtype)
    y = (rng.standard_normal((35, n_features)) + 10).astype(dtype)
    y[3] = x[2]
    exact = fm.reference.euclidean_distances(x.astype(np.longdouble), y.astype(np.longdouble))
    result = fm.euclidean_distances(x, y)
    assert_within(result, exact, relative_bound(n_features, dtype) * exact, dtype)
    assert_same_bits(fm.euclidean_distances(x, np.asfortranarray(y)), result)
    assert_same_bits(fm.euclidean_distances(x[:3], y[5:8]), result[:3, 5:8])


def test_does_not_depend_on_other_rows(dtype, rng):
    """A near row makes its neighbours in the tile neither better nor worse."""
    x = rng.standard_normal((40, 20)).astype(dtype)
    y = rng.standard_normal((70, 20)).astype(dtype)
    clean = fm.euclidean_distances(x, y)
    y[::3] = x[np.arange(len(y[::3])) % 40]
    result = fm.euclidean_distances(x, y)
    kept = np.arange(70) % 3 != 0
    assert_same_bits(result[:, kept], clean[:, kept])


def test_one_set(dtype, rng):
    for n_rows, n_features in ((1, 3), (33, 70), (150, 100), (260, 65)):
        x = (rng.standard_normal((n_rows, n_features)) + 3).astype(dtype)
        x[n_rows // 2] = x[0]
        result = fm.euclidean_distances(x)
        assert_same_bits(result, result.T)
        assert_same_bits(result, fm.euclidean_distances(x, x.copy()))
        assert not np.diag(result).any()
        assert result[0, n_rows // 2] == 0


def test_one_set_packed_in_several_pieces(dtype, rng):
    """Its panels fill the packing buffer before they are as deep as a chunk."""
    n_rows, n_features = (1500 if dtype == "float32" else 800), 3100
    x = rng.standard_normal((n_rows, n_features)).astype(dtype)
    x[-1] = x[0]
    x[1] += 1e-3 * x[2]
    result = fm.euclidean_distances(x)
    assert_same_bits(result, result.T)
    assert_same_bits(result, fm.euclidean_distances(x, x.copy()))
    assert result[0, -1] == 0
    rows = [0, 1, 2, n_rows // 2]
    exact = fm.reference.euclidean_distances(x[rows], x)
    assert_within(result[rows], exact, relative_bound(n_features, dtype) * exact, dtype)


def test_squared(dtype, rng):
    x = (rng.standard_normal((20, 30)) + 1).astype(dtype)
    y = rng.standard_normal((33, 30)).astype(dtype)
    y[:3] = x[:3] * dtype.type(1.001)
    exact = fm.reference.euclidean_distances(x, y, squared=True)
    bound = 2 * relative_bound(30, dtype) * exact
    assert_within(fm.euclidean_distances(x, y, squared=True), exact, bound, dtype)
    assert_within(fm.cdist(x, y, "sqeuclidean"), exact, bound, dtype)


def test_given_norms(dtype, rng):
    """Used in float64; shapes are checked; a wrong norm shows where it is used."""
    x, y = rng.standard_normal((5, 7)).astype(dtype), rng.standard_normal((6, 7)).astype(dtype)
    wanted = fm.euclidean_distances(x, y)
    x_norms, y_norms = (x**2).sum(axis=1), (y**2).sum(axis=1)
    for shape in ((-1,), (-1, 1), (1, -1)):
        result = fm.euclidean_distances(
            x, y, X_norm_squared=x_norms.reshape(shape), Y_norm_squared=y_norms.reshape(shape)
        )
        np.testing.assert_allclose(result, wanted, rtol=100 * eps(dtype))
    wrong = fm.euclidean_distances(x, y, X_norm_squared=100 * x_norms)
    assert np.allclose(wrong, wanted) == (dtype == np.float32)
    with pytest.raises(ValueError, match="Incompatible dimensions for Y of 6 rows"):
        fm.euclidean_distances(x, y, Y_norm_squared=y_norms[:5])


@given(
    stnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 6)),
        elements=st.floats(-(2.0**127), 2.0**127, width=32),
    )
)
def test_never_negative_never_nan(x):
    result = fm.euclidean_distances(x)
    assert (result >= 0).all()
    assert not np.diag(result).any()
    exact = fm.reference.euclidean_distances(x)
    bound = relative_bound(x.shape[1], np.float32) * exact + 2e-45
    assert_within(np.minimum(result, 3e38), np.minimum(exact, 3e38), bound)
