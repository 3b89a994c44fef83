"""The logic of the benchmarks, on a clock that moves when it is told to: nothing is timed.

What is at stake is that a figure means what it says: which calls count, what is divided by what,
which of a peer's settings stands for it, and that a bar is met by measured figures only.
"""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not part of this installation", allow_module_level=True)
sys.path.append(str(ROOT))

from benchmarks import bars, measure, paired, report, results, run, table, worker  # noqa: E402
from benchmarks.cases import ALL, CASES, Bar, Case, Inputs  # noqa: E402
from benchmarks.limits import limit_time, stream_at  # noqa: E402
from benchmarks.measure import Runner, alternate, compare, time_block  # noqa: E402
from benchmarks.peers import INTERNAL  # noqa: E402

LIMITS = {
    "fma": {"float32": {"1": 100e9, "2": 200e9}, "float64": {"1": 50e9, "2": 100e9}},
    "copy": {"1": [[2**18, 80e9], [2**26, 10e9]], "2": [[2**18, 160e9], [2**26, 20e9]]},
    "read": {"1": [[2**18, 90e9], [2**26, 12e9]], "2": [[2**18, 180e9], [2**26, 24e9]]},
}


class Clock:
    """Stands still but for sleeping and for what the calls below cost."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.log.append(("sleep", seconds))
        self.now += seconds

    def runner(self, name, *costs, **options):
        """A runner whose calls cost the given seconds in turn, the last one for ever."""
        remaining = list(costs)

        def call():
            self.log.append(("call", name))
            cost = remaining.pop(0) if len(remaining) > 1 else remaining[0]
            self.now += cost
            return cost

        return Runner(name, call, **options)

    def calls(self):
        return [what for kind, what in self.log if kind == "call"]


# blocks and rounds -----------------------------------------------------------------------------


def test_a_steady_block_pauses_and_does_not_count_its_first_call():
    clock = Clock()
    runner = clock.runner("ours", 0.9, 0.006, batch=1)
    assert time_block(runner, "steady", clock) == pytest.approx(0.006)
    assert clock.log[:2] == [("sleep", measure.PAUSE), ("call", "ours")]
    assert len(clock.calls()) == 1 + 4  # four of 6 ms fill 20 ms


def test_an_isolated_call_follows_a_sleep_each_time():
    clock = Clock()
    time_block(clock.runner("ours", 0.001), "isolated", clock)
    n_calls = 1 + measure.CALLS_PER_ISOLATED_BLOCK
    assert clock.log == [("sleep", measure.PAUSE), ("call", "ours")] * n_calls


def test_short_calls_are_timed_several_at_once():
    clock = Clock()
    runner = clock.runner("ours", 1e-6)
    assert time_block(runner, "steady", clock) == pytest.approx(1e-6)
    assert runner.batch == 64  # the first power of two that lasts 50 µs


def test_a_limit_counts_its_best_call_and_others_their_median():
    costs = (0.5, 0.010, 0.004, 0.030)
    clock = Clock()
    assert time_block(clock.runner("ours", *costs, batch=1), "steady", clock) == pytest.approx(
        0.010
    )
    limit = clock.runner("fma", *costs, batch=1, is_limit=True, work=2.0)
    assert time_block(limit, "steady", clock) == pytest.approx(0.004 / 2)


def test_a_limit_tells_its_own_time():
    clock = Clock()

    def call():
        clock.now += 0.030  # of which 10 ms went into starting threads
        return 0.020

    assert time_block(Runner("fma", call, is_limit=True, batch=1), "steady", clock) == 0.020


def test_a_change_of_library_waits_for_the_workers_of_the_last_one():
    clock = Clock()
    runners = [clock.runner("ours", 0.03, batch=1), clock.runner("torch", 0.03, batch=1)]
    alternate(runners, "steady", budget=0.2, min_rounds=2, clock=clock)
    sleeps = [seconds for kind, seconds in clock.log if kind == "sleep"]
    # ours, torch; torch, ours: the second block of torch follows its own
    after_ours = [measure.SETTLE_AFTER_OURS, measure.PAUSE]
    after_theirs, same = [measure.SETTLE, measure.PAUSE], [measure.PAUSE]
    assert sleeps[:6] == same + after_ours + same + after_theirs


def test_the_order_is_reversed_from_round_to_round():
    clock = Clock()
    runners = [clock.runner("ours", 0.03, batch=1), clock.runner("torch", 0.03, batch=1)]
    rounds = alternate(runners, "steady", budget=0.2, min_rounds=3, clock=clock)
    assert len(rounds) == 3
    blocks = clock.calls()[::2]  # of two calls each
    assert blocks == ["ours", "torch", "torch", "ours", "ours", "torch"]


def test_rounds_go_on_until_the_budget_is_used():
    clock = Clock()
    runners = [clock.runner("ours", 0.025, batch=1)]
    rounds = alternate(runners, "steady", budget=0.48, min_rounds=2, clock=clock)
    assert len(rounds) == 9  # of 55 ms: pause, one call not counted, one counted


def test_slow_calls_get_fewer_rounds():
    clock = Clock()
    rounds = alternate(
        [clock.runner("ours", 1.0, batch=1)], "steady", budget=1.0, min_rounds=9, clock=clock
    )
    assert len(rounds) == 2  # each takes two seconds and a pause, four seconds are the most


def test_a_setting_left_behind_is_dropped_and_ours_is_kept():
    clock = Clock()
    runners = [
        clock.runner("ours", 0.5, batch=1),
        clock.runner("numpy", 0.03, batch=1, setting="1 thread"),
        clock.runner("numpy", 0.05, batch=1, setting="2 threads"),
    ]
    rounds = alternate(runners, "steady", budget=1.0, min_rounds=4, clock=clock)
    kept = {("ours", ""), ("numpy", "1 thread")}
    assert [set(r) for r in rounds] == [{*kept, ("numpy", "2 threads")}] * 2 + [kept] * 2


def test_the_figure_is_the_median_of_ratios_and_not_the_ratio_of_medians():
    ours = [1.0, 10.0, 2.0]
    theirs = [3.0, 10.0, 8.0]  # ratios 3, 1, 4; the medians are 2 and 8
    rounds = [{("ours", ""): a, ("torch", "x"): b} for a, b in zip(ours, theirs, strict=True)]
    found = compare(rounds, "ours", "torch")
    assert found == {"ours": 2.0, "time": 8.0, "ratio": 3.0, "setting": "x", "n_rounds": 3}


def test_a_peer_is_represented_by_its_best_setting_among_those_that_stayed():
    rounds = [
        {("ours", ""): 1.0, ("numpy", "1"): 2.0, ("numpy", "2"): 1.5, ("numpy", "left"): 0.1},
        {("ours", ""): 1.0, ("numpy", "1"): 2.0, ("numpy", "2"): 1.5},
    ]
    assert compare(rounds, "ours", "numpy")["setting"] == "2"


# limits ----------------------------------------------------------------------------------------


def test_the_limit_is_the_larger_of_arithmetic_and_memory():
    assert limit_time(200e9, 1.0, "float32", 2, LIMITS) == (1.0, "arithmetic")
    assert limit_time(200e9, 1.0, "float64", 2, LIMITS) == (2.0, "arithmetic")
    assert limit_time(1.0, 20e9, "float32", 2, LIMITS) == (1.0, "memory")
    assert limit_time(200e9, 1.0, "float16", 2, LIMITS) == (1.0, "arithmetic")


def test_a_small_working_set_is_held_to_the_rate_of_the_cache():
    stream = LIMITS["copy"]["1"]
    assert stream_at(stream, 1000) == 80e9
    assert stream_at(stream, 2**25) == 10e9


def test_the_probe_counts_what_it_does():
    from fastmath_ml._kernels import probe

    assert probe.fma_peak("f", 10) == 2 * probe.fma_peak("d", 10)
    assert probe.fma_peak("f", 30) == 3 * probe.fma_peak("f", 10)
    with pytest.raises(ValueError, match="'f' or 'd'"):
        probe.fma_peak("e", 1)
    source = np.arange(1000, dtype=np.float32)
    target = np.zeros_like(source)
    assert probe.read_stream(source, 3) == 3 * source.nbytes
    assert probe.copy_stream(target, source, 3) == 6 * source.nbytes
    np.testing.assert_array_equal(target, source)
    with pytest.raises(ValueError, match="target holds 4 bytes"):
        probe.copy_stream(target[:1], source)


# records and bars ------------------------------------------------------------------------------


def a_case(label="float32 8", **options):
    options.setdefault("peers", {"torch": None, "numpy": None, "copyto": None})
    return Case("softmax", label, lambda rng: Inputs(()), flops=1e6, bytes=20e6, **options)


def figures(ratio, ours=0.002):
    return {"ours": ours, "time": ratio * ours, "ratio": ratio, "setting": "", "n_rounds": 4}


def answers(torch=1.5, numpy=3.0, copy=0.7, agrees=True):
    """What three workers send for one case."""

    def answer(name, ratio):
        peer = {"agrees": True, "steady": figures(ratio), "isolated": figures(2 * ratio)}
        return {"agrees": agrees, "peers": {name: peer}}

    return {
        "torch": answer("torch", torch),
        "numpy": answer("numpy", numpy),
        "machine": answer("copyto", copy),
    }


def a_record(case=None, threads=2, **options):
    return results.join(case or a_case(), threads, answers(**options), LIMITS)


def test_a_record_names_the_best_peer_and_the_share_of_the_limit():
    record = a_record()
    assert record["best"] == {"steady": ["torch", 1.5], "isolated": ["torch", 3.0]}
    assert record["ours"] == {"steady": 0.002, "isolated": 0.002}
    assert (record["share"], record["bound"]) == (pytest.approx(0.5), "memory")  # 20 MB at 20 GB/s
    assert record["agrees"] is True


def test_one_disagreement_counts_and_a_failed_peer_is_shown():
    found = answers()
    found["numpy"]["agrees"] = False
    found["torch"] = {"error": "ValueError: no"}
    record = results.join(a_case(), 2, found, LIMITS)
    assert record["agrees"] is False
    assert record["peers"]["torch"] == {"error": "ValueError: no"}
    assert record["best"]["steady"] == ["numpy", 3.0]
    assert "error" in table.case_table([record])[1][0]


@pytest.mark.parametrize(
    ("bar", "reached"),
    [
        (Bar("area", 1.0), 1.5),
        (Bar("area", 1.0, regime="isolated"), 3.0),
        (Bar("area", 1.0, against="numpy"), 3.0),
        (Bar("area", 1.0, against="copyto"), 0.7),
        (Bar("area", 1.0, against=0.001), 0.5),
        (Bar("area", 1.0, against="fma"), None),
    ],
)
def test_a_bar_looks_at_the_figure_it_names(bar, reached):
    assert bars.reached(bar, a_record()) == reached


def test_a_wrong_or_missing_result_meets_no_bar():
    assert bars.reached(Bar("area", 1.0), a_record(agrees=False)) is None
    assert bars.reached(Bar("area", 1.0), None) is None
    unmeasured = bars.judge([a_case(bars=(Bar("area", 0.1),))], [], n_threads=2)
    assert [verdict.is_met for verdict in unmeasured] == [False]


def test_a_group_is_judged_by_its_geometric_mean():
    bar = Bar("area", 2.0, group="all sizes")
    cases = [a_case("small", bars=(bar,)), a_case("large", bars=(bar,))]
    records = [a_record(cases[0], torch=1.0), a_record(cases[1], torch=4.0, numpy=9.0)]
    (verdict,) = bars.judge(cases, records, n_threads=2)
    assert verdict.reached == pytest.approx(2.0)
    assert verdict.cases == ("softmax small", "softmax large")
    (verdict,) = bars.judge(cases, records[:1], n_threads=2)
    assert verdict.reached is None


def test_a_bar_is_judged_at_its_own_thread_count_and_by_area():
    case = a_case(bars=(Bar("a", 1.0), Bar("b", 1.0, threads=1)), threads=(1, ALL))
    records = [a_record(case, threads=2), a_record(case, threads=1, torch=0.5)]
    met = {verdict.area: verdict.is_met for verdict in bars.judge([case], records, n_threads=2)}
    assert met == {"a": True, "b": False}
    assert [verdict.area for verdict in bars.judge([case], records, 2, "b")] == ["b"]


def test_only_what_falls_short_twice_counts_and_with_its_better_figure():
    case = a_case(bars=(Bar("a", 2.0), Bar("a", 5.0, against="numpy")))
    first = bars.judge([case], [a_record(case, torch=1.5, numpy=3.0)], 2)
    second = bars.judge([case], [a_record(case, torch=2.5, numpy=2.9)], 2)
    (verdict,) = bars.short_twice(first, second)
    assert (verdict.against, verdict.reached) == ("numpy", 3.0)
    assert bars.short_twice(second[:1], first[:1]) == []  # met at once: not asked again


# selection and jobs ----------------------------------------------------------------------------


def select(**options):
    return run.select(CASES, **{"only": "", "dtype": "", "quick": False, "bars": None, **options})


def test_cases_are_selected_by_extent_pattern_dtype_and_area():
    assert select() == CASES
    assert 0 < len(select(quick=True)) < len(CASES)
    assert {case.op for case in select(only="^softmax")} == {"softmax"}
    assert {case.dtype for case in select(dtype="float64")} == {"float64"}
    foundation = select(bars="foundation")
    assert foundation
    assert all(any(bar.area == "foundation" for bar in case.bars) for case in foundation)
    assert len(select(bars="")) > len(foundation)


def test_for_the_bars_only_what_they_ask_for_is_measured():
    case = a_case(bars=(Bar("a", 1.0), Bar("b", 1.0, regime="isolated", threads=1)))
    assert run.tasks_of([case], 2, "") == [(case.key, 2, ["steady"]), (case.key, 1, ["isolated"])]
    assert run.tasks_of([case], 2, "a") == [(case.key, 2, ["steady"])]
    assert run.tasks_of([case], 2, None) == [(case.key, 2, ["steady", "isolated"])]


def test_one_process_per_library_and_one_for_what_needs_none(monkeypatch):
    monkeypatch.setattr(run, "is_installed", lambda name: name != "torch")
    case = a_case()
    tasks = run.tasks_of([case], 2, None)
    jobs = run.jobs_of([case], tasks, internal=True)
    assert {name: job["peers"] for name, job in jobs.items()} == {
        "numpy": ["numpy"],
        "machine": list(INTERNAL),
    }
    assert list(run.jobs_of([case], tasks, internal=False)) == ["numpy"]


def test_a_worker_that_dies_is_reported_and_the_rest_is_still_measured(monkeypatch):
    """The stand-in answers what it is told to and dies at the case named 'deadly'."""
    program = (
        "import json, sys, os\n"
        "for key, *_ in json.load(sys.stdin)['tasks']:\n"
        "    if key == 'deadly': sys.stderr.write('out of luck\\n'); sys.exit(3)\n"
        "    print(json.dumps({'seen': key}), flush=True)\n"
    )
    popen = subprocess.Popen

    def stand_in(command, **options):
        assert command[1:] == ["-m", "benchmarks.worker"]
        return popen([sys.executable, "-c", program], **options)

    monkeypatch.setattr(run.subprocess, "Popen", stand_in)
    tasks = [[key, 2, []] for key in ("first", "deadly", "last")]
    found = [(task[0], answer) for task, answer in run.run_worker({"tasks": tasks})]
    assert found == [
        ("first", {"seen": "first"}),
        ("deadly", {"error": "the worker ended with code 3: out of luck"}),
        ("last", {"seen": "last"}),
    ]


def test_a_worker_measures_and_compares():
    case = next(case for case in CASES if case.is_overhead and "numpy" in case.peers)
    job = {"peers": ["numpy"], "tasks": [[case.key, 1, ["steady"]]], "budget": 0, "min_rounds": 1}
    ((_, answer),) = run.run_worker(job)
    assert answer["agrees"] is True
    assert answer["peers"]["numpy"]["agrees"] is True
    steady = answer["peers"]["numpy"]["steady"]
    assert steady["setting"].startswith("1 thread")
    assert steady["ratio"] == pytest.approx(steady["time"] / steady["ours"])


def test_what_is_left_of_a_job_s_time_is_shared_by_what_is_left_to_measure(monkeypatch):
    clock = Clock()
    budgets = []

    def measure_task(case, n_threads, regimes, job):
        budgets.append(job["budget"])
        clock.now += 4.0  # whatever the budget
        return {}

    monkeypatch.setattr(worker, "time", clock)
    monkeypatch.setattr(worker, "measure_task", measure_task)
    tasks = [[CASES[0].key, 1, ["steady", "isolated"]]] * 3
    worker.answer_job({"tasks": tasks, "budget": 9.0, "seconds": 6.0}, send=lambda answer: None)
    assert budgets == [6 / 6, 2 / 4, 0.0]
    budgets.clear()
    worker.answer_job({"tasks": tasks, "budget": 9.0}, send=lambda answer: None)
    assert budgets == [9.0] * 3


# what is written -------------------------------------------------------------------------------


@pytest.fixture
def result():
    machine = {
        "date": "2000-01-01T00:00:00+00:00",
        "processor": "a <fast> one",
        "n_cpus": 2,
        "threads": 2,
        "cpu_level": "v3",
        "fastmath_ml": "0",
        "python": "3.11",
        "peers": {"torch": None, "numpy": "2"},
    }
    digits = [
        {
            "task": "nearest",
            "accuracy": 0.99,
            "sklearn_accuracy": 0.98,
            "same_answers": 0.97,
            "probability_difference": None,
            "log_losses": None,
            "seconds": 0.001,
            "sklearn_seconds": 0.002,
        }
    ]
    cases = [a_record(a_case("float32 8")), a_record(a_case("float32 9"), agrees=False)]
    return {"machine": machine, "limits": LIMITS, "digits": digits, "bars": None, "cases": cases}


def test_json_and_csv_hold_the_records(result, tmp_path, capsys):
    run.write_report(tmp_path, result, None)
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == result
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 2  # cases, peers, regimes
    assert rows[0]["peer"] == "torch"
    assert float(rows[0]["ratio"]) == 1.5
    assert "index.html" in capsys.readouterr().out


def test_the_page_is_whole_escaped_and_asks_nothing_of_the_network(result):
    short = bars.judge([a_case(bars=(Bar("area", 9.0),))], result["cases"], 2)
    page = report.html_page(result, short)
    assert "a &lt;fast&gt; one" in page
    assert "<fast>" not in page
    assert "not compared: torch" in page
    assert page.count('<td class="bad">NO</td>') == 1
    assert "Bars that fall short" in page
    assert "prefers-color-scheme: dark" in page
    addresses = re.findall(r'(?:src|srcset|href)="([^"]*)"', page)
    assert addresses
    assert all(address.startswith("data:image/svg+xml;base64,") for address in addresses)


def test_plain_text_lines_up():
    text = table.plain_text("title", ["case", "ours"], [["a", "1 ms"], ["long", "10 ms"]])
    assert text.splitlines() == ["title", "case   ours", "a      1 ms", "long  10 ms"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (2.5, "2.50 s"),
        (0.0123, "12.3 ms"),
        (0.9996e-3, "1.00 ms"),
        (999.4e-6, "999 µs"),
        (1.2e-6, "1.20 µs"),
        (85e-9, "85.0 ns"),
        (3e-10, "0.30 ns"),
    ],
)
def test_times_have_three_digits_and_a_unit(seconds, text):
    assert table.show_time(seconds) == text


def test_ratios_of_slots_of_several_processes(monkeypatch):
    """The mean of all visits; the fastest form of the fastest reference."""
    answers = [
        [["f 1", "numpy a", [2.0, 8.0], [1.0, 1.0]], ["f 1", "numpy b", [2.5], [2.0]]],
        [["f 1", "numpy a", [4.0], [3.0]], ["g 1", "scipy", [0.5], [1.0]]],
    ]
    monkeypatch.setattr(paired, "PROCESSES", 2)
    monkeypatch.setattr(paired, "in_new_process", lambda pattern: answers.pop())
    found = paired.one_thread_ratios()
    assert found == {"f 1": (2.5, 2.0), "g 1": (0.5, 1.0)}
    assert not answers


def test_slots_of_a_new_process():
    case, against, ratios, seconds = paired.in_new_process("^matmul float32 4x4 call$")[0]
    assert (case, against.split()[0]) == ("matmul float32 4x4 call", "numpy")
    assert len(ratios) == len(seconds) == paired.VISITS
    assert all(0.01 < ratio < 100 for ratio in ratios)
    assert all(1e-8 < one < 1e-3 for one in seconds)


@pytest.mark.parametrize(("seconds", "code"), [(1e-3, 1), (1e-6, 0)])
def test_spread_of_the_ratios(monkeypatch, capsys, seconds, code):
    """Only a case that takes long enough counts."""
    from benchmarks import ratio_spread

    answers = iter([{"steady": (2.0, 1e-3), "wide": (ratio, seconds)} for ratio in (1.0, 1.2, 1.1)])
    monkeypatch.setattr(ratio_spread, "one_thread_ratios", lambda pattern: next(answers))
    assert ratio_spread.main(["--repetitions", "3", "--busy", "0"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["1.200", "ratio", "1.10"]
    assert lines[1].split()[:3] == ["1.000", "ratio", "2.00"]
    assert lines[2] == f"{code} cases spread by more than 1.1, of 2 with a ratio every time"


def test_a_case_without_a_ratio_in_some_repetition_is_no_success(monkeypatch, capsys):
    from benchmarks import ratio_spread

    answers = iter([{"f": (1.0, 1e-3), "gone": (1.0, 1e-3)}, {"f": (1.0, 1e-3)}])
    monkeypatch.setattr(ratio_spread, "one_thread_ratios", lambda pattern: next(answers))
    assert ratio_spread.main(["--repetitions", "2", "--busy", "0"]) == 1
    assert capsys.readouterr().out.startswith("gone: not in every repetition\n")
