"""Test suites of SciPy and scikit-learn with our functions in place.

Each suite runs in a process of its own, in which our functions replace the names that the test
module imported; nothing else of SciPy or scikit-learn changes. What fails on purpose is listed here
with the reason, and has to fail: an entry that no longer does is an error as well.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastmath_ml as fm

# The plugin that puts ours in place. SciPy's suite holds float32 input to the accuracy of float64,
# as which SciPy computes it; it is widened for that suite (tests of our own are about float32).
PLUGIN = """
import numpy as np
import fastmath_ml as fm


def widened(function):
    def call(*args, **kwargs):
        args = [x.astype(float) if getattr(x, "dtype", None) == np.float32 else x for x in args]
        return function(*args, **kwargs)
    return call


def pytest_collection_modifyitems(items):
    for module in {item.module for item in items}:
        is_scipy = module.__name__.startswith("scipy")
        for name in fm.pairwise.__all__:
            if hasattr(module, name):
                function = getattr(fm.pairwise, name)
                setattr(module, name, widened(function) if is_scipy else function)
        for table in [v for v in vars(module).values() if type(v) is dict]:
            for key, value in table.items():
                name = getattr(value, "__name__", "")
                if name in fm.pairwise.__all__:
                    table[key] = getattr(fm.pairwise, name)
"""

# The classes stay, for tables and parameters of the suite have them as keys; what they compute is
# ours but for the haversine, which neither SciPy nor we have. Our threads follow those of the
# suite; sparse rows are ours for the metrics that take them.
REDUCTION_PLUGIN = """
import numpy as np
import scipy.sparse
from sklearn.metrics._pairwise_distances_reduction import ArgKmin, RadiusNeighbors
from threadpoolctl import threadpool_info
import fastmath_ml as fm


def in_place_of(theirs, ours):
    def compute(cls, X, Y, parameter, metric="euclidean", chunk_size=None, metric_kwargs=None,
                strategy=None, return_distance=False, **options):
        if metric == "haversine":
            return theirs(X, Y, parameter, metric, chunk_size, metric_kwargs, strategy,
                          return_distance, **options)
        if metric not in ("euclidean", "manhattan", "cityblock"):
            X, Y = (x.toarray() if scipy.sparse.issparse(x) else x for x in (X, Y))
        n_threads = min(i["num_threads"] for i in threadpool_info() if i["user_api"] == "openmp")
        with fm.num_threads(n_threads):
            distances, indices = ours(X, Y, parameter, metric, **(metric_kwargs or {}))
        return (distances, indices) if return_distance else indices
    return classmethod(compute)


def within(X, Y, radius, metric, **options):
    found = fm.pairwise.radius_neighbors(X, Y, radius, metric, **options)
    parts = [np.split(values, found.indptr[1:-1]) for values in (found.distances, found.indices)]
    return [np.array([*part, None], dtype=object)[:-1] for part in parts]


ArgKmin.compute = in_place_of(ArgKmin.compute, fm.topk)
RadiusNeighbors.compute = in_place_of(RadiusNeighbors.compute, within)
"""

# Before the test modules import the names, so that tables of functions have ours too.
INFORMATION_PLUGIN = """
import numpy as np
import scipy.stats
import sklearn.metrics.cluster
import sklearn.metrics._classification as classification
import fastmath_ml as fm

for name in ("mutual_info_score", "normalized_mutual_info_score"):
    setattr(sklearn.metrics.cluster, name, getattr(fm.information, name))


def log_loss(labels, probabilities, *, normalize=True, sample_weight=None):
    eps = np.finfo(probabilities.dtype).eps
    scores = np.log(np.clip(probabilities, eps, 1 - eps))
    losses = fm.losses.nll_loss(scores, np.argmax(labels, axis=1), reduction="none")
    weights = np.ones(len(losses)) if sample_weight is None else np.asarray(sample_weight)
    total = float(np.dot(losses, weights))
    return total / float(weights.sum()) if normalize else total


# What is left of scikit-learn's log_loss is the examination of its arguments.
classification._log_loss = log_loss


def pytest_collection_modifyitems():
    # SciPy's tests look up its own function while they are collected.
    scipy.stats.entropy = fm.entropy
"""

SCIPY = {
    # out= may have any layout; a dtype that does not fit is a TypeError, as in NumPy.
    r"::test_[cp]dist_out\[.*": "out= is less restricted",
    # Numbers other than 0 and 1: every number but 0 is true.
    # SciPy looks at a function's name and gives it the VI that it estimates for the metric.
    r"_calling_conventions\[(mahalanobis|seuclidean)": "functions get the options that are given",
    r"::test_gh_17703$": "dice of numbers is dice of booleans",
}
SCIKIT_LEARN = {
    # The metric's documentation says it; a warning per call says nothing more.
    r"::test_pairwise_boolean_distance\[": "no warning where numbers are taken for booleans",
    # The test passes zeros for norms and wants a wrong answer. Pairs for which the product form
    # would be inaccurate (or negative, as here) are summed from the differences.
    r"::test_euclidean_distances_with_norms\[float64": "wrong norms do less harm",
    # A compiled metric gets rows of floating numbers, of booleans as well.
    r"::test_pairwise_dist_custom_metric_for_bool$": "x & y of floating numbers",
}


def run_suite(module, tmp_path, expected, plugin=PLUGIN, select=""):
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        pytest.skip(f"{module} is not installed")
    (tmp_path / "ours_in_place.py").write_text(plugin)
    options = ["-p", "ours_in_place", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore"]
    options += ["--tb=line", "-rfE", "--no-header", "--rootdir", str(tmp_path), spec.origin]
    options += ["-k", select] if select else []
    path = [str(tmp_path), str(Path(fm.__file__).parents[1])]
    program = f"import sys; sys.path[:0] = {path}; import pytest; sys.exit(pytest.main({options}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
    )
    assert re.search(r"\d+ passed", done.stdout), done.stdout[-3000:] + done.stderr[-3000:]
    failed = re.findall(r"^(?:FAILED|ERROR) \S*?(::\S+)", done.stdout, re.MULTILINE)
    unexpected = [name for name in failed if not any(re.search(p, name) for p in expected)]
    assert not unexpected, done.stdout[-6000:]
    for pattern, reason in expected.items():
        assert any(re.search(pattern, name) for name in failed), f"passes now: {reason}"


def test_scipy(tmp_path):
    pytest.importorskip("scipy")
    run_suite("scipy.spatial.tests.test_distance", tmp_path, SCIPY)


def test_scikit_learn(tmp_path):
    pytest.importorskip("sklearn")
    run_suite("sklearn.metrics.tests.test_pairwise", tmp_path, SCIKIT_LEARN)


def test_scikit_learns_reductions(tmp_path):
    pytest.importorskip("sklearn")
    module = "sklearn.metrics.tests.test_pairwise_distances_reduction"
    # The rest is about which arguments scikit-learn itself can take, and labels of classes.
    select = "agnosticism or strategies or _argkmin[ or _radius_neighbors[ or memmap"
    run_suite(module, tmp_path, {}, REDUCTION_PLUGIN, select)


def test_scipys_entropy(tmp_path):
    pytest.importorskip("scipy")
    pytest.importorskip("sklearn")
    module = "scipy.stats.tests.test_entropy"
    run_suite(module, tmp_path, {}, INFORMATION_PLUGIN, "TestEntropy")


def test_scikit_learns_clusterings(tmp_path):
    pytest.importorskip("sklearn")
    module = "sklearn.metrics.cluster.tests.test_supervised"
    run_suite(module, tmp_path, {}, INFORMATION_PLUGIN)


def test_scikit_learns_log_loss(tmp_path):
    pytest.importorskip("sklearn")
    module = "sklearn.metrics.tests.test_classification"
    run_suite(module, tmp_path, {}, INFORMATION_PLUGIN, "log_loss")
