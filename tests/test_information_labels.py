"""Mutual information: of labels of any kind and of tables; scikit-learn's values and rules."""

import math

import numpy as np
import pytest
from helpers import LAYOUTS, assert_within, eps, layout
from hypothesis import given
from hypothesis import strategies as st

import fastmath_ml as fm
from fastmath_ml import information

KINDS = ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool", "float64", "<U4"]


def close(x, y):
    return x == pytest.approx(y, rel=1e-11, abs=1e-15)


def related(rng, n, n_first, n_second):
    first = rng.integers(0, n_first, n)
    return first, (first + rng.integers(0, max(n_second // 2, 1), n)) % n_second


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", ["int64", "int32", "<U4"])
def test_labels_of_any_kind(rng, kind, other):
    first, second = related(rng, 3000, 7, 5)
    expected = fm.reference.mutual_info_score(first != 0 if kind == "bool" else first, second)
    a = first.astype(kind) if kind != "<U4" else first.astype(str)
    b = second.astype(other) if other != "<U4" else second.astype(str)
    assert close(fm.mutual_info_score(a, b), expected)
    assert close(fm.mutual_info_score(b, a), expected)
    assert close(fm.mutual_info_score(list(a), tuple(b)), expected)


@pytest.mark.parametrize(
    ("n_first", "n_second", "factor", "offset"),
    [
        (2, 2, 1, 0),
        (64, 64, 1, -30),  # a table for each thread
        (65, 64, 1, 10**9),  # one for all
        (900, 800, 1, 0),
        (40, 30, 1001, -5),  # numbered through a table of the range
        (3000, 2000, 1, 0),  # cells that are not 0
        (500, 400, 10**15, 0),  # numbered by sorting
        (50, 4, -(2**55), 2**62),
    ],
)
def test_every_way_to_count(rng, n_first, n_second, factor, offset):
    """Renaming labels changes nothing, whatever way is taken to count them."""
    first, second = related(rng, 200_000, n_first, n_second)
    expected = fm.reference.mutual_info_score(first, second)
    result = fm.mutual_info_score(first * factor + offset, second * factor + offset)
    assert close(result, expected)
    for n_threads in (1, 3):
        with fm.num_threads(n_threads):
            assert fm.mutual_info_score(first * factor + offset, second * factor + offset) == result
    normalised = information.normalized_mutual_info_score(first * factor + offset, second)
    assert close(normalised, fm.reference.normalized_mutual_info_score(first, second))


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(rng, name):
    first, second = related(rng, 1000, 6, 9)
    expected = fm.reference.mutual_info_score(first, second)
    assert close(fm.mutual_info_score(layout(first, name), layout(second, name)), expected)
    table = rng.integers(0, 9, (13, 17)).astype(np.float64)
    exact = fm.reference.mutual_information(table)
    assert close(information.mutual_information(layout(table, name)), exact)
    counts = layout(table.astype(np.int64), name)
    assert close(fm.mutual_info_score(None, None, contingency=counts), exact)


def test_small_information_keeps_its_digits():
    """Where the terms of the definition cancel."""
    for deviation in (10**3, 10, 1):
        n = 10**8
        table = np.array([[n + deviation, n - deviation], [n - deviation, n + deviation]])
        t = deviation / n
        exact = ((1 + t) * math.log1p(t) + (1 - t) * math.log1p(-t)) / 2
        exact = t * t / 2 + t**4 / 12 if t < 1e-3 else exact
        assert fm.mutual_info_score(None, None, contingency=table) == pytest.approx(exact, rel=1e-7)
    independent = np.outer([1, 2, 3], [5, 7, 11, 13])
    assert fm.mutual_info_score(None, None, contingency=independent) == 0


def test_edges():
    score, normalised = fm.mutual_info_score, information.normalized_mutual_info_score
    assert score([], []) == 0
    assert normalised([], []) == 1
    assert normalised([3, 3], [5, 5]) == 1
    assert score([3, 3], [5, 6]) == score([5, 6], [3, 3]) == normalised([3, 3], [5, 6]) == 0
    assert score(["a", "b"], [0, 1]) == pytest.approx(math.log(2))
    assert normalised(["a", "b", "c"], [7, 5, 1]) == pytest.approx(1)
    assert score([2**63, 0], np.array([2**64 - 1, 5], np.uint64)) == pytest.approx(math.log(2))
    assert score([-(2**63), 2**63 - 1], [0, 1]) == pytest.approx(math.log(2))
    assert type(score([0, 1], [0, 1])) is float


def test_contingency(rng):
    sparse = pytest.importorskip("scipy.sparse")
    table = rng.integers(0, 4, (20, 30)) * (rng.random((20, 30)) < 0.3)
    exact = fm.reference.mutual_information(table)
    for form in (table, table.tolist(), table.astype(float)):
        assert close(fm.mutual_info_score(None, None, contingency=form), exact)
    for kind in ("csr", "csc", "coo"):
        for form in (
            getattr(sparse, f"{kind}_array")(table),
            getattr(sparse, f"{kind}_matrix")(table.astype(float)),
        ):
            assert close(fm.mutual_info_score(None, None, contingency=form), exact)
    twice = sparse.coo_array(([1, 1, 2], ([0, 0, 1], [0, 0, 1])), shape=(2, 2))
    assert close(fm.mutual_info_score(None, None, contingency=twice), math.log(2))


@pytest.mark.parametrize("method", ["arithmetic", "geometric", "min", "max"])
def test_averages(rng, method):
    first, second = related(rng, 500, 4, 9)
    expected = fm.reference.normalized_mutual_info_score(first, second, average_method=method)
    result = information.normalized_mutual_info_score(first, second, average_method=method)
    assert close(result, expected)


def test_information_gain(rng):
    labels, split = related(rng, 800, 5, 3)
    for base in (2, None, 10):
        result = information.information_gain(labels, split, base=base)
        assert close(result, fm.reference.information_gain(labels, split, base=base))
    assert information.information_gain(labels, np.zeros(800)) == 0


def test_tables(rng, dtype):
    for shape in ((1, 1), (2, 3), (40, 50), (3, 7, 9), (2, 3, 4, 5), (0, 4, 5)):
        joint = rng.random(shape).astype(dtype)
        exact = np.asarray(fm.reference.mutual_information(joint))
        bound = 16 * eps(dtype) * np.abs(exact) + 4 * eps("float64")
        assert_within(information.mutual_information(joint), exact, bound, dtype)
        unit = math.log(2)
        in_bits = information.mutual_information(joint, base=2)
        assert_within(in_bits, exact / unit, 2 * bound / unit, dtype)
    assert information.mutual_information(np.float16([[1, 0], [0, 1]])).dtype == "float16"
    stack = np.array([[[0, 0], [0, 0]], [[np.nan, 1], [1, 1]], [[np.inf, 1], [1, 1]]])
    assert np.isnan(information.mutual_information(stack)).all()
    assert information.mutual_information(np.eye(4, dtype=int)) == pytest.approx(math.log(4))


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 200)), max_size=60))
def test_properties(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    score = fm.mutual_info_score(first, second)
    assert score >= 0
    assert close(score, fm.mutual_info_score(second, first))
    assert close(score, fm.reference.mutual_info_score(first, second) if pairs else 0.0)
    assert score <= math.log(7) + 1e-12
    assert 0 <= information.normalized_mutual_info_score(first, second) <= 1 + 1e-12


def test_errors():
    score = fm.mutual_info_score
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[2, 3\]"):
        score([0, 1], [1, 1, 1])
    with pytest.raises(ValueError, match=r"labels_pred must be 1D: shape is \(1, 2\)"):
        score([0, 1], [[0, 1]])
    with pytest.raises(ValueError, match=r"split must be 1D"):
        information.information_gain([0, 1], [[0, 1]])
    with pytest.raises(ValueError, match="labels_true has NaN"):
        score([np.nan, 1.0], [0, 1])
    with pytest.warns(UserWarning, match="discrete values"):
        score([0.5, 1.0], [0, 1])
    with pytest.raises(TypeError, match="masked array"):
        score(np.ma.masked_array([1], [True]), [1])
    with pytest.raises(TypeError, match="complex128"):
        score([1j], [1])
    with pytest.raises(ValueError, match="average_method is 'mean'"):
        information.normalized_mutual_info_score([0], [0], average_method="mean")
    for bad in ([1, 2], np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match="contingency has shape"):
            score(None, None, contingency=bad)
    for bad in ([[1, -1]], [[np.nan, 1]], [[np.inf, 1]]):
        with pytest.raises(ValueError, match="expected counts"):
            score(None, None, contingency=bad)
    with pytest.raises(TypeError, match="contingency has dtype"):
        score(None, None, contingency=[["a", "b"]])
    with pytest.raises(ValueError, match="joint has shape"):
        information.mutual_information([1, 2])
    with pytest.raises(ValueError, match="joint has a negative"):
        information.mutual_information([[1, -2]])
    with pytest.raises(ValueError, match="positive number"):
        information.mutual_information([[1, 2]], base=0)


def test_a_contingency_table_of_fractions():
    with pytest.raises(ValueError, match="contingency has fractions"):
        fm.mutual_info_score(None, None, contingency=np.array([[0.4, 0.1], [0.1, 0.4]]))
