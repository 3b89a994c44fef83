"""The list of cases: complete, measurable, repeatable, and able to tell a wrong result."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not part of this installation", allow_module_level=True)
sys.path.append(str(ROOT))

import benchmarks.cases  # noqa: E402
from benchmarks.cases import BY_KEY, CASES  # noqa: E402
from benchmarks.cases.decompositions import Iterative  # noqa: E402
from benchmarks.peers import INTERNAL  # noqa: E402

NOT_KERNELS = {"num_threads", "get_num_threads", "cpu_level", "show_config", "warmup"}


def test_every_public_kernel_has_a_case():
    import fastmath_ml as fm

    public = {
        name
        for name in fm.__all__
        if callable(getattr(fm, name)) and not inspect.ismodule(getattr(fm, name))
    }
    assert public - NOT_KERNELS == {case.op for case in CASES if "." not in case.op}


# What computes nothing on arrays: formulas of one number.
NOT_MEASURED = {"optim.cosine_schedule", "optim.step_schedule", "optim.warmup_schedule"}
OPS = {case.op for case in CASES}


def public_modules():
    """All but the oracle, which nobody calls for its speed."""
    import fastmath_ml as fm

    names = (module.name for module in pkgutil.iter_modules(fm.__path__))
    return [name for name in names if not name.startswith("_") and name != "reference"]


def is_measurable(value):
    """Functions and optimizers; not the named tuples that functions return."""
    return callable(value) and not (inspect.isclass(value) and issubclass(value, tuple))


def without_case(module, ops):
    members = importlib.import_module(f"fastmath_ml.{module}")
    missing = {
        f"{module}.{name}"
        for name in members.__all__
        if is_measurable(getattr(members, name)) and not {name, f"{module}.{name}"} & ops
    }
    return missing - NOT_MEASURED


@pytest.mark.parametrize("module", public_modules())
def test_every_function_of_every_module_has_a_case(module):
    assert without_case(module, OPS) == set()


def test_a_function_without_a_case_is_noticed():
    assert {"linalg", "stats", "calculus"} <= set(public_modules())
    assert without_case("stats", OPS - {"stats.mean"}) == {"stats.mean"}
    assert without_case("linalg", OPS - {"gram"}) == {"linalg.gram"}


def test_every_family_has_a_quick_case():
    for family in pkgutil.iter_modules(benchmarks.cases.__path__):
        module = importlib.import_module(f"benchmarks.cases.{family.name}")
        cases = getattr(module, "CASES", None)
        if family.name == "brief":  # small pieces of the others, for the gate
            continue
        assert cases is None or any(case.quick for case in cases), family.name


def test_keys_are_unique():
    assert len(BY_KEY) == len(CASES)


def test_every_bar_can_be_measured():
    """Its thread count is run, and what it is held against is among the peers of its case."""
    for case in CASES:
        for bar in case.bars:
            assert bar.threads in case.threads, case.key
            if isinstance(bar.against, str) and bar.against != "best peer":
                assert bar.against in case.peers, case.key


@pytest.mark.parametrize("case", [case for case in CASES if case.bytes < 1e6], ids=lambda c: c.key)
def test_ours_gives_what_the_reference_gives_and_the_check_would_notice(case):
    inputs, again = case.inputs(), case.inputs()
    for x, y in zip(inputs.args, again.args, strict=True):
        np.testing.assert_array_equal(x, y)
    expected = case.reference(inputs)
    result = case.ours(inputs)()
    assert case.agrees(result, expected)
    if isinstance(case, Iterative):  # judged by residuals
        assert not case.agrees(result, expected * 1.1)
        return

    def is_taken(part):
        return case.agrees(joined(result, part), expected)

    wanted, last = last_part(expected), np.array(last_part(result))
    beyond = 10 * (case.atol + case.rtol * abs(np.ravel(wanted)[-1])) or 1
    last.flat[-1] += beyond if last.dtype.kind == "f" else 1
    assert not is_taken(last)
    assert not is_taken(last[..., :-1] if last.ndim else last[None])


def last_part(result):
    return last_part(result[-1]) if isinstance(result, tuple) else result


def joined(result, part):
    """The result with another last part."""
    return (*result[:-1], joined(result[-1], part)) if isinstance(result, tuple) else part


def test_reading_the_list_imports_no_peer():
    program = "import sys, benchmarks.cases; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    roots = {name.partition(".")[0] for name in ast.literal_eval(done.stdout)}
    assert "numpy" in roots
    libraries = {name for case in CASES for name in case.peers} - {*INTERNAL, "numpy"}
    assert not roots & {*libraries, "fastmath_ml"}
