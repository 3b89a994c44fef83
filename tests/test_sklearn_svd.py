"""scikit-learn's own tests of randomized_svd and of what is built on it, with ours in its place.

Left out: `test_randomized_svd_sparse_warnings` (we convert lil and dok without a warning),
`test_randomized_svd_array_api_compliance` (other array libraries), and
`test_randomized_svd_power_iteration_normalizer`, which asks that 'none' be far off in the end:
ours orthonormalises the last block in any case.
"""

import inspect

import pytest

import fastmath_ml as fm

extmath_tests = pytest.importorskip("sklearn.utils.tests.test_extmath")
truncated_svd = pytest.importorskip("sklearn.decomposition._truncated_svd")
svd_tests = pytest.importorskip("sklearn.decomposition.tests.test_truncated_svd")

LEFT_OUT = {
    "test_randomized_svd_sparse_warnings",
    "test_randomized_svd_array_api_compliance",
    "test_randomized_svd_power_iteration_normalizer",
}


def _adopt(module, prefix, left_out=frozenset()):
    for name, value in vars(module).items():
        if name.startswith(prefix) and name not in left_out and inspect.isfunction(value):
            globals()[f"{name}_of_scikit_learn"] = value


_adopt(extmath_tests, "test_randomized_svd", LEFT_OUT)
_adopt(svd_tests, "test_")
X_sparse = getattr(svd_tests, "X_sparse", None)


@pytest.fixture
def global_random_seed():
    return 42


@pytest.fixture(autouse=True)
def ours_in_place(monkeypatch):
    monkeypatch.setattr(extmath_tests, "randomized_svd", fm.randomized_svd)
    for name in ("randomized_svd", "_randomized_svd"):
        if hasattr(truncated_svd, name):
            monkeypatch.setattr(truncated_svd, name, fm.randomized_svd)
