"""`python -m fastmath_ml`: what it prints, and that its self-test notices what it is there for."""

import importlib
import pkgutil

import numpy as np
import pytest

import fastmath_ml as fm
from fastmath_ml import __main__ as program
from fastmath_ml import _selftest, reference


def failures(*names):
    outcomes = list(_selftest.self_test(names))
    assert {outcome.check.name for outcome in outcomes} == set(names)
    return {outcome.check.name for outcome in outcomes if not outcome.passed}


def test_every_numeric_function_is_checked():
    """What the package itself has goes by its name alone, the rest by its module's as well."""
    names = set()
    for family in pkgutil.iter_modules(reference.__path__):
        if not family.name.startswith("_"):
            module = importlib.import_module(f"{reference.__name__}.{family.name}")
            names |= {
                name if name in fm.__all__ else f"{family.name}.{name}" for name in module.__all__
            }
    assert set(_selftest.CHECKS) == names


def spoiled_call(right, spoil):
    """Spoils the result, or the first part of one that has several."""

    def call(*args, **options):
        result = right(*args, **options)
        if isinstance(result, tuple):
            return (spoil(np.array(result[0])), *result[1:])
        return spoil(np.array(result))

    return call


def wrong_number(result):
    at = result.size // 2
    if result.dtype.kind == "i":
        result.flat[at] += 1
    else:
        result.flat[at] *= result.dtype.type(1.01)
    return result


def wrong_dtype(result):
    return result.astype(np.float32 if result.dtype == np.float64 else np.float64)


def wrong_shape(result):
    return result[..., :-1] if result.ndim else result[None]


def swallowed_nan(result):
    return np.nan_to_num(result)


@pytest.mark.parametrize("spoil", [wrong_number, wrong_dtype, wrong_shape])
@pytest.mark.parametrize("name", sorted(_selftest.CHECKS))
def test_a_wrong_result_is_noticed(monkeypatch, name, spoil):
    *module, function = name.split(".")
    owner = getattr(fm, module[0]) if module else fm
    monkeypatch.setattr(owner, function, spoiled_call(getattr(owner, function), spoil))
    assert failures(name) == {name}


def test_a_swallowed_nan_is_noticed(monkeypatch):
    right = fm.softmax
    monkeypatch.setattr(
        fm, "softmax", lambda *args, **options: swallowed_nan(right(*args, **options))
    )
    assert failures("softmax") == {"softmax"}


def test_a_result_that_depends_on_the_threads_is_noticed(monkeypatch):
    right = fm.matmul

    def matmul(*args):
        result = right(*args)
        if fm.get_num_threads() == 3:
            result.flat[0] = np.nextafter(result.flat[0], result.dtype.type(np.inf))
        return result

    monkeypatch.setattr(fm, "matmul", matmul)
    outcomes = [outcome for outcome in _selftest.self_test(["matmul"]) if not outcome.passed]
    assert {outcome.check.name for outcome in outcomes} == {"matmul"}
    assert {outcome.note for outcome in outcomes} == {"depends on the number of threads"}


def test_an_exception_is_a_failure_and_the_others_still_run(monkeypatch, capsys):
    def softmax(*args, **options):
        raise RuntimeError("no luck")

    monkeypatch.setattr(fm, "softmax", softmax)
    for options in ([], ["--verbose"]):
        assert program.main(options) == 1
        printed = capsys.readouterr().out
        assert "RuntimeError: no luck" in printed
        softmax_lines = [line for line in printed.splitlines() if line.startswith("softmax ")]
        assert softmax_lines
        assert printed.count("FAILED") == len(softmax_lines)
        others = [line for line in printed.splitlines() if line.startswith("cosine_similarity ")]
        assert len(others) > 10 if options else len(others) == 1
        assert printed.rstrip().endswith(f"{len(softmax_lines)} failed")


@pytest.mark.parametrize(
    ("result", "expected", "scale", "error"),
    [
        ([1.0, 2.5], [1.0, 2.0], None, 0.25),
        ([1.0, 2.5], [1.0, 2.0], 4.0, 0.125),
        ([0.0], [0.0], None, 0.0),
        ([1e-300], [0.0], None, np.inf),
        ([np.nan], [np.nan], None, 0.0),
        ([np.inf], [np.nan], None, np.inf),
        ([np.nan], [1.0], None, np.inf),
        ([np.inf], [-np.inf], None, np.inf),
        ([1.0], [[1.0]], None, np.inf),
        ([], [], None, 0.0),
    ],
)
def test_largest_error(result, expected, scale, error):
    assert _selftest.largest_error(result, expected, scale) == error
