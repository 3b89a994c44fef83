"""scikit-learn's own tests of PCA, with ours for each of its decompositions.

randomized_svd takes the place of scikit-learn's, and svd_topk those of SciPy's svd and svds; the
solver 'covariance_eigh' has nothing of ours. `pca` itself is compared with PCA in test_svd.py.

Left out: the array API tests (other array libraries).
"""

import inspect
from types import SimpleNamespace

import pytest

import fastmath_ml as fm

pca_tests = pytest.importorskip("sklearn.decomposition.tests.test_pca")
pca_module = pytest.importorskip("sklearn.decomposition._pca")

for _name, _value in vars(pca_tests).items():
    if _name.startswith("test_") and inspect.isfunction(_value) and "array_api" not in _name:
        globals()[f"{_name}_of_scikit_learn"] = _value


# Covariances of full rank but for rounding, which SciPy inverts for scikit-learn.
pytestmark = pytest.mark.filterwarnings("ignore:An ill-conditioned matrix")


@pytest.fixture
def global_random_seed():
    return 42


@pytest.fixture
def global_dtype():
    return "float64"


def svd(a, full_matrices):
    assert not full_matrices
    return fm.svd_topk(a, min(a.shape), rng=0)[:3]


def svds(a, k, tol=0, v0=None):
    u, s, vh = fm.svd_topk(a, k, tol=tol, rng=0)[:3]
    return u[:, ::-1], s[::-1], vh[::-1]


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """How often each of ours was called."""
    counts = dict.fromkeys(("randomized_svd", "svd", "svds"), 0)

    def counted(name, function):
        def call(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(pca_module, "_randomized_svd", counted("randomized_svd", fm.randomized_svd))
    monkeypatch.setattr(pca_module, "svds", counted("svds", svds))
    monkeypatch.setattr(pca_module, "linalg", SimpleNamespace(svd=counted("svd", svd)))
    return counts


@pytest.mark.parametrize(
    ("solver", "name"), [("full", "svd"), ("arpack", "svds"), ("randomized", "randomized_svd")]
)
def test_ours_are_in_place(rng, calls, solver, name):
    pca_module.PCA(3, svd_solver=solver).fit(rng.standard_normal((30, 8)))
    assert calls == {**dict.fromkeys(calls, 0), name: 1}
