"""SciPy's own tests of logsumexp, softmax and log_softmax, with ours in their place."""

import types
import warnings

import numpy as np
import pytest

import fastmath_ml as fm

NAMES = ("TestLogSumExp", "TestSoftmax", "TestLogSoftmax")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        from scipy._lib.array_api_compat import numpy as xp_numpy
        from scipy.special.tests import test_logsumexp as scipy_tests
    except ImportError:  # some distributions leave SciPy's tests out
        scipy_tests = types.SimpleNamespace(**dict.fromkeys(NAMES, object))

# Complex numbers are refused with a TypeError that says so: no kernel computes with them.
COMPLEX_ONLY = ("test_logsumexp_complex_sign", "test_gh21610", "test_gh21709_small_imaginary")


@pytest.fixture
def xp():
    return xp_numpy


@pytest.fixture
def devices():
    return ["cpu"]


@pytest.fixture(autouse=True)
def ours(request, monkeypatch):
    given = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    if request.node.originalname in COMPLEX_ONLY or any(
        isinstance(value, complex) or str(value).startswith("complex") for value in given
    ):
        pytest.skip("complex numbers are not supported")
    for name in ("logsumexp", "softmax", "log_softmax"):
        monkeypatch.setattr(scipy_tests, name, getattr(fm, name))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
class TestLogSumExp(scipy_tests.TestLogSumExp):
    @pytest.mark.parametrize("x_raw", [1.0, []])
    def test_device(self, x_raw, xp, devices):
        """Without the complex number among SciPy's parameters."""
        x = xp.asarray(x_raw)
        assert fm.logsumexp(x).dtype == fm.logsumexp(x, b=x).dtype == np.float64

    @pytest.mark.parametrize("x", [-np.inf, np.inf])
    @pytest.mark.parametrize("y", [-np.inf, np.inf])
    def test_gh22601_infinite_elements(self, x, y, xp):
        """Without the complex numbers among SciPy's parameters."""
        assert fm.logsumexp([x, y]) == max(x, y)


class TestSoftmax(scipy_tests.TestSoftmax):
    pass


class TestLogSoftmax(scipy_tests.TestLogSoftmax):
    pass
