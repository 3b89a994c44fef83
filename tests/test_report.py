"""What a run shows beyond its tables: pictures, behaviour, an earlier run; and asv's suites."""

import importlib
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not part of this installation", allow_module_level=True)
sys.path.append(str(ROOT))

from benchmarks import behaviour, behaviour_pictures, comparison, machine, pictures  # noqa: E402
from benchmarks.cases import CASES, FAMILIES, FAMILY_OF  # noqa: E402

LIMITS = {
    "fma": {"float32": {"2": 200e9}, "float64": {"2": 100e9}},
    "copy": {"2": [[2**18, 160e9], [2**26, 20e9]]},
}


def record(case, **others):
    seconds = case.flops / 50e9 + case.bytes / 10e9 + 1e-7
    return {
        "op": case.op,
        "label": case.label,
        "dtype": case.dtype,
        "threads": 2,
        "flops": case.flops or 1.0,
        "bytes": case.bytes or 1.0,
        "is_overhead": case.is_overhead,
        "ours": {"steady": seconds},
        "best": {"steady": ["numpy", 1.5]},
        **others,
    }


# pictures ---------------------------------------------------------------------------------------


def axes_of(draw_picture, monkeypatch):
    """The axes that a picture was drawn on, laid out, and its SVG text."""
    kept = []

    def keep(draw_on, *arguments):
        def draw_and_keep(axes, colours):
            kept.append(axes)
            draw_on(axes, colours)

        return draw(draw_and_keep, *arguments)

    draw = pictures.draw
    monkeypatch.setattr(pictures, "draw", keep)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "axes sizes collapsed to zero"
        text = draw_picture()
    return kept[0], text


@pytest.mark.parametrize("theme", pictures.THEMES)
def test_a_roofline_of_every_operation_has_room_for_its_points(theme, monkeypatch):
    pytest.importorskip("matplotlib")
    records = [record(case) for case in CASES]
    axes, text = axes_of(lambda: pictures.draw_roofline(records, LIMITS, 2, theme), monkeypatch)
    drawn = [r for r in records if not r["is_overhead"]]
    assert sum(len(line.get_xdata()) == 1 for line in axes.lines) == len(drawn) > 100
    assert axes.get_position().height > 0.6
    (legend,) = axes.figure.legends
    names = [entry.get_text() for entry in legend.get_texts()]
    assert names == sorted({FAMILY_OF[r["op"]] for r in drawn})
    assert text.startswith("<?xml")


def test_a_bar_for_each_ratio(monkeypatch):
    pytest.importorskip("matplotlib")
    records = [record(CASES[0]), record(CASES[1], best={"steady": ["scipy", 0.5]})]
    axes, _ = axes_of(lambda: pictures.draw_ratios(records, "light"), monkeypatch)
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.5, -0.5])
    written = {text.get_text() for text in axes.texts}
    assert {f"{CASES[0].op} {CASES[0].label}", "1.50× numpy", "0.50× scipy"} <= written


def test_every_operation_has_a_family_and_each_family_a_colour():
    assert set(FAMILY_OF) == {case.op for case in CASES}
    assert set(FAMILY_OF.values()) == set(pictures.FAMILY_COLOURS)
    assert len(set(pictures.FAMILY_COLOURS.values())) == len(pictures.FAMILY_COLOURS)
    assert len(FAMILIES) >= len(pictures.FAMILY_COLOURS)


# behaviour --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_cpus", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_numbers_of_threads(n_cpus, counts):
    assert behaviour.thread_counts(n_cpus) == counts


@pytest.mark.parametrize("power", [1, 3])
def test_the_slope_is_the_power_of_the_last_points(power):
    points = [[n, 1e-6 + 1e-9 * n**power] for n in (10, 10**5, 10**6, 10**7)]
    assert behaviour.slope(points) == pytest.approx(power, abs=0.01)


def test_what_is_compiled_at_the_first_call_is_of_every_kind():
    names = behaviour.calls_to_compile()
    assert {name.partition(".")[0] for name in names} == {"calculus", "optim", "cdist, own metric"}
    first, second = behaviour.first_calls({"calculus.newton": names["calculus.newton"]})[
        "calculus.newton"
    ]
    assert first > second > 0


def test_the_sections_of_the_page_hold_what_was_found():
    found = {
        "scaling": {},
        "sizes": {},
        "load": {"softmax": [1e-3, 2e-3, 3e-3]},
        "first_calls": {"calculus.newton": [1.5, 2e-6]},
    }

    def html_table(header, rows):
        return " ".join([*header, *(cell for row in rows for cell in row)])

    text = "\n".join(behaviour_pictures.sections(found, html_table, None, has_pictures=False))
    assert "softmax 1.00 ms 2.00 ms" in text
    assert "calculus.newton 1.50 s 2.00 µs" in text


# an earlier run ---------------------------------------------------------------------------------


def measured(seconds, **ratios):
    peers = {name: {"steady": {"ratio": ratio}} for name, ratio in ratios.items()}
    return {"op": "softmax", "label": "float32 8", "threads": 2, "ours": {"steady": seconds},
            "peers": peers}  # fmt: skip


@pytest.mark.parametrize(
    ("now", "before", "change", "by"),
    [
        # The machine is half as fast today: the peer says so.
        (measured(2e-3, torch=1.5), measured(1e-3, torch=1.5), 1.0, "torch"),
        (measured(1e-3, torch=3.0), measured(1e-3, torch=1.5), 2.0, "torch"),
        # Another function of ours, or the machine's limit, is no peer.
        (measured(2e-3, torch=1.0, fma=0.5, **{"last axis": 0.4}),
         measured(1e-3, torch=2.0, fma=1.0, **{"last axis": 0.4}), 0.5, "torch"),
        (measured(2e-3, scipy=1.5), measured(1e-3, torch=1.5), 0.5, "time"),
    ],
)  # fmt: skip
def test_a_change_is_judged_by_what_both_runs_were_measured_beside(now, before, change, by):
    (found,) = comparison.changes([now], [before])
    assert (found["change"], found["by"]) == (pytest.approx(change), by)
    header, (row,) = comparison.change_table([found])
    assert len(header) == len(row)
    assert row[-2:] == [f"{change:.2f}", by]


def test_what_only_one_run_has_is_not_compared():
    other = measured(1e-3) | {"label": "float64 8"}
    assert comparison.changes([measured(1e-3)], [other]) == []


# machine ----------------------------------------------------------------------------------------


def test_no_library_is_told_to_be_on_another_cpu(monkeypatch):
    for name in machine.FORCED:
        monkeypatch.setenv(name, "of another CPU")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    env = machine.unforced_environment()
    assert env["OMP_NUM_THREADS"] == "7"
    assert not set(env) & set(machine.FORCED)


def test_the_blas_libraries_are_named_with_their_kernels():
    import scipy.linalg  # noqa: F401

    found = machine.blas_libraries()
    assert found == sorted(set(found))
    assert all(re.match(r"\w+", name) for name in found)


# asv --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["times", "memory", "ratios"])
def test_the_suites_import_and_hold_their_kind_of_benchmark(name):
    module = importlib.import_module(f"benchmarks.suite.{name}")
    kinds = {"times": "time_", "memory": "peakmem_", "ratios": "track_ratio_"}
    classes = [one for one in vars(module).values() if isinstance(one, type)]
    mine = [one for one in classes if hasattr(one, "params")]
    assert len(mine) > 5
    for one in mine:
        assert any(method.startswith(kinds[name]) for method in dir(one)), one
        assert one.params


def test_a_version_without_the_function_is_skipped():
    """As asv has it: an older package in front of the suites, here one with nothing in it."""
    code = """
import json, sys, types
sys.modules["fastmath_ml"] = types.ModuleType("fastmath_ml")
from benchmarks.suite import memory, ratios, times
skipped = []
for one in (times.TimeSoftmax, memory.MemorySoftmax, ratios.ThreadedRatioSoftmax):
    try:
        one().setup(one.params[0])
    except NotImplementedError:
        skipped.append(one.__name__)
print(json.dumps(skipped))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["TimeSoftmax", "MemorySoftmax", "ThreadedRatioSoftmax"]
