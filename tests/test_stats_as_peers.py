"""The test suites of NumPy's and SciPy's statistics, with our functions in place.

Each suite runs in a process of its own, in which our functions replace the peer's where the tests
find them; nothing else changes. What fails on purpose is listed here with the reason, and has to
fail: an entry that no longer does is an error as well.
"""

import pytest
from test_peer_suites import run_suite

# np.mean and its kin are attributes that the tests look up on the module np itself: a copy of the
# namespace has ours in their place.
PLUGIN = """
import types
import numpy as np
import fastmath_ml as fm

NAMES = [name for name in fm.stats.__all__ if not name[0].isupper()]


def replaced(function):
    name = getattr(function, "__name__", "")
    if name in NAMES and function is getattr(np, name, None):
        return getattr(fm.stats, name)
    return function


def pytest_collection_modifyitems(items):
    for group in {item.cls for item in items} - {None}:
        for name, value in list(vars(group).items()):
            if type(value) is list:
                setattr(group, name, [replaced(item) for item in value])
            elif type(value) is dict:
                changed = {replaced(key): replaced(item) for key, item in value.items()}
                setattr(group, name, changed)
    for module in {item.module for item in items}:
        ours = types.ModuleType("numpy")
        ours.__dict__.update(np.__dict__)
        for name in NAMES:
            if hasattr(np, name):
                setattr(ours, name, getattr(fm.stats, name))
            if hasattr(module, name):
                setattr(module, name, getattr(fm.stats, name))
        if hasattr(module, "np"):
            module.np = ours
        if hasattr(module, "stats"):
            own = types.ModuleType("scipy.stats")
            own.__dict__.update(module.stats.__dict__)
            own.zscore, own.describe = fm.stats.zscore, fm.stats.describe
            module.stats = own
"""


SUBCLASSES = "an array that is not np.ndarray itself is taken as one"
NANFUNCTIONS = {
    r"MeanVarStd::test_subclass$": SUBCLASSES,
    r"Median::test_allnans\[[efd]-[01]\]": "one warning for all lines, not one for each",
}
FUNCTION_BASE = {
    r"::TestAverage::test_subclasses$": SUBCLASSES,
    r"::TestMedian::test_subclass": SUBCLASSES,
}
STATS = {
    r"::TestZscore::test_zscore_constant_input": "NaN says it, without a warning",
    r"::TestZscore::test_zscore_masked_element": "a masked array is refused",
}
SELECTED = "Cov or Corr or Median or Quantile or Percentile or Average"


@pytest.mark.parametrize("case", ["nan", "histogram", "function_base"])
def test_numpy(tmp_path, case):
    module, expected, only = {
        "nan": ("numpy.lib.tests.test_nanfunctions", NANFUNCTIONS, ""),
        "histogram": ("numpy.lib.tests.test_histograms", {}, ""),
        "function_base": ("numpy.lib.tests.test_function_base", FUNCTION_BASE, SELECTED),
    }[case]
    run_suite(module, tmp_path, expected, plugin=PLUGIN, select=only)


def test_scipy(tmp_path):
    run_suite(
        "scipy.stats.tests.test_stats",
        tmp_path,
        STATS,
        plugin=PLUGIN,
        select="TestZscore or Describe",
    )
