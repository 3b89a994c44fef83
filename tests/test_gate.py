"""The logic of the gate: what counts as worse, what is read from profiles, which cases are chosen.

Nothing is measured here; `benchmarks.gate_selftest` plants slow-downs and sees them caught.
"""

import importlib
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not part of this installation", allow_module_level=True)
sys.path.append(str(ROOT))

from benchmarks import gate, gate_selftest  # noqa: E402
from benchmarks.gates import (  # noqa: E402
    accepted,
    blame,
    instructions,
    judge,
    subjects,
    timing,
    trees,
    worker,
)

MIB = 1 << 20


# what counts as worse ---------------------------------------------------------------------------


@pytest.mark.parametrize(("head", "is_slower"), [(1020, False), (1021, True), (900, False)])
def test_two_percent_more_instructions_are_too_many(head, is_slower):
    assert judge.judge_instructions("a case", 1000, head).is_slower is is_slower


@pytest.mark.parametrize(("head", "is_slower"), [(9000, False), (9200, True)])
def test_an_argument_more_is_within_the_slack(head, is_slower):
    assert judge.judge_instructions("a case", 6000, head, slack=3000).is_slower is is_slower


@pytest.mark.parametrize(
    ("base", "head", "is_slower"),
    [
        (100 * MIB, 111 * MIB, False),  # within the slack of 2 MiB
        (100 * MIB, 113 * MIB, True),
        (0, 2 * MIB, False),
        (0, 50 * MIB, True),
    ],
)
def test_a_tenth_more_memory_is_too_much(base, head, is_slower):
    assert judge.judge_memory("a case", 2, base, head).is_slower is is_slower


def test_slots_are_divided_pair_by_pair():
    """The machine slows down threefold in the middle: no pair notices."""
    base, head = [1.0, 1.0, 3.0, 3.0, 3.0], [1.1, 1.1, 3.3, 3.3, 3.3]
    assert judge.paired_ratio(base, head) == pytest.approx(1.1)


def pairs_of(*ratios):
    return [([1.0] * 3, [ratio] * 3) for ratio in ratios]


@pytest.mark.parametrize(
    ("ratios", "is_slower"),
    [
        ((1.00, 1.01, 0.99, 1.00, 1.00), False),
        ((1.06, 1.07, 1.06, 1.08, 1.06), True),
        ((1.04, 1.04, 1.04, 1.04, 1.04), False),
        ((0.95, 1.00, 1.06, 1.30, 1.40), False),  # noise: some pairs saw nothing
    ],
)
def test_time_is_worse_if_the_median_is_and_most_pairs_agree(ratios, is_slower):
    found = judge.judge_time("a case", 2, pairs_of(*ratios))
    assert found.is_slower is is_slower
    assert found.ratio == pytest.approx(sorted(ratios)[2])


@pytest.mark.parametrize(
    ("ratio", "at_work", "is_slower"),
    [
        (1.01, (1.9, 1.0), True),
        (1.01, (1.07, 1.0), True),  # two threads, and little CPU for them
        (1.01, (1.03, 1.0), False),
        (1.01, (1.9, 1.1), False),
        (0.90, (1.9, 1.0), False),  # faster on one thread: a choice
    ],
)
def test_a_lost_thread_fails_where_it_costs_no_time(ratio, at_work, is_slower):
    found = judge.with_threads(judge.judge_time("a case", 2, pairs_of(ratio)), at_work)
    assert found.is_slower is is_slower


def test_only_what_is_slower_twice_fails():
    slow, fast = (judge.judge_instructions("a", 100, n) for n in (110, 100))
    other = judge.judge_instructions("b", 100, 110)
    assert judge.slower_twice([slow], [slow, other]) == [slow]
    assert judge.slower_twice([slow], [fast]) == []


def test_what_there_was_no_time_to_measure_again_stays_a_failure():
    slow = judge.judge_instructions("a", 100, 110)
    late = judge.not_compared("instructions", "a", 1, judge.TIME_IS_UP, judge.TIME_IS_UP)
    for second in ([], [late]):
        (found,) = judge.slower_twice([slow], second)
        assert (found.ratio, found.note) == (slow.ratio, "not measured again")


@pytest.mark.parametrize(
    ("base", "head", "is_broken"),
    [
        (None, "ValueError: no", True),
        ("AttributeError: none yet", None, False),
        ("no valgrind", "no valgrind", False),
        (None, judge.TIME_IS_UP, False),
    ],
)
def test_what_only_the_base_can_do_is_a_failure(base, head, is_broken):
    found = judge.not_compared("time", "a", 2, base, head)
    assert (found.is_broken, found.is_slower, found.ratio) == (is_broken, is_broken, None)
    assert judge.slower_twice([found], [found]) == ([found] if is_broken else [])


def test_the_table_shows_units_and_reasons_and_puts_the_worst_first():
    found = [
        judge.judge_instructions("few", 1000, 1100),
        judge.judge_memory("much", 2, 10 * MIB, 60 * MIB),
        judge.not_compared("time", "none", 2, "no such function", None),
        judge.judge_time("slow", 2, [([2e-3], [3e-3])]),
    ]
    header, rows = judge.comparison_table(found)
    assert header[0] == "case"
    assert [row[0] for row in rows] == ["much", "slow", "few", "none"]
    assert rows[0][3:] == ["10.0 MiB", "60.0 MiB", "5.167"]
    assert rows[1][3:5] == ["2 ms", "3 ms"]
    assert rows[2][3:5] == ["1k", "1.1k"]
    assert rows[3][3:] == ["-", "-", "no such function"]


# what is meant ----------------------------------------------------------------------------------

MESSAGE = """Subtract the maximum twice

The second time for lines that hold infinities.

Costs-more: ^softmax float32 -- a second subtraction
Costs-more: logsumexp( -- not an expression, taken as it is
Costs-more: ^matmul
"""


def test_a_commit_s_message_accepts_what_it_names_and_gives_a_reason_for():
    acceptances = accepted.in_messages(MESSAGE)
    found = [
        judge.judge_instructions(key, 100, 200)
        for key in ("softmax float32 8", "log_softmax float32 8", "logsumexp(x)", "matmul float32")
    ]
    assert [accepted.reason_for(c, acceptances) for c in found] == [
        "a second subtraction",
        None,
        "not an expression, taken as it is",
        None,  # no reason is given
    ]


def test_what_is_accepted_is_told_and_fails_no_more(capsys):
    found = [judge.judge_instructions(key, 100, 200) for key in ("softmax float32 8", "matmul")]
    assert gate.not_accepted(found, accepted.in_messages(MESSAGE)) == found[1:]
    assert "softmax float32 8: 2.000 is accepted, a second subtraction" in capsys.readouterr().out


# slots ------------------------------------------------------------------------------------------


class StandIn:
    """A worker whose calls take so long, and which logs what it is asked."""

    def __init__(self, name, seconds, log, error=None):
        self.name, self.seconds, self.log, self.error = name, seconds, log, error

    def ask(self, **job):
        self.log.append((self.name, job))
        if self.error:
            return {"error": self.error}
        return {"seconds": self.seconds, "workers": 2.0}


class Clock:
    def sleep(self, seconds):
        pass


def test_slots_alternate_and_both_sides_make_the_same_number_of_calls():
    log = []
    workers = [StandIn("base", 1e-3, log), StandIn("head", 2e-3, log)]
    found = timing.time_pair(workers, "a case", 1, Clock())
    assert found["slots"] == ([1e-3] * timing.SLOTS, [2e-3] * timing.SLOTS)
    assert found["workers"] == (2.0, 2.0)
    order = [name for name, job in log if "slot" in job]
    assert order[:4] == ["base", "head", "head", "base"]
    assert {job["slot"] for _, job in log if "slot" in job} == {4}


def test_a_case_that_a_revision_lacks_is_told_and_not_judged():
    log = []
    workers = [StandIn("base", 1, log, "no attribute"), StandIn("head", 1, log)]
    assert timing.time_pair(workers, "a case", 1, Clock())["errors"][0] == "no attribute"


# what profiles say ------------------------------------------------------------------------------

CALLGRIND = """version: 1
desc: Trigger: Client Request: softmax float32 8
events: Ir
ob=/x/softmax.cpython-311-x86_64-linux-gnu.so
fl=softmax.cpp
fn=lines_body
10 5
+2 7
cfn=exp_and_sum
calls=1 20
* 100
fn=exp_and_sum'2
20 100
ob=/lib/libc.so.6
fn=memcpy
0 30
"""


class Stuck:
    """A process that does not end by itself."""

    def __init__(self):
        self.was_killed, self.returncode = False, -9

    def wait(self, seconds=None):
        if not self.was_killed:
            raise instructions.subprocess.TimeoutExpired("valgrind", seconds)

    def kill(self):
        self.was_killed = True


def test_what_is_not_counted_in_time_is_an_error_and_no_verdict(monkeypatch, tmp_path):
    def start(tree, keys, folder):
        (folder / "errors").touch()
        (folder / "answers").write_text('{"key": "softmax float32 8"}\n', encoding="utf-8")
        for n, key in enumerate(("softmax float32 8", "half written")):
            text = CALLGRIND.replace("softmax float32 8", key)
            (folder / f"out.{n}").write_text(text, encoding="utf-8")
        return Stuck()

    monkeypatch.setattr(instructions, "start", start)
    keys = ["softmax float32 8", "half written"]
    (found,) = instructions.count([trees.Tree("a", tmp_path)], keys, end=0.0)
    assert sum(found["softmax float32 8"].values()) == 142
    assert found["half written"] == {"error": "time is up"}


def test_costs_are_those_of_the_functions_themselves():
    assert instructions.dumped_case(CALLGRIND) == "softmax float32 8"
    assert instructions.self_costs(CALLGRIND) == {
        "lines_body [softmax]": 12,
        "exp_and_sum [softmax]": 100,
        "memcpy [libc]": 30,
    }


@pytest.mark.parametrize(
    ("mangled", "readable"),
    [
        (
            "__pyx_fuse_0__pyx_f_11fastmath_ml_8_kernels_7softmax_lines_range(long) [softmax]",
            "lines_range [softmax]",
        ),
        ("__pyx_f_11fastmath_ml_8_kernels_7softmax_lines_body(long, void*) [softmax]",
         "lines_body [softmax]"),
        ("fm::Pool::run(long, int) [pool]", "fm::Pool::run [pool]"),
        ("void pack<float>(float*) [gemm]", "void pack [gemm]"),
        ("memcpy [libc]", "memcpy [libc]"),
    ],
)  # fmt: skip
def test_names_are_readable(mangled, readable):
    assert blame.readable(mangled) == readable


def test_what_grew_is_named_and_noise_is_not():
    base = {"kernel": 100.0, "copy": 10.0, "same": 50.0}
    head = {"kernel": 130.0, "copy": 12.0, "same": 49.0, "new": 20.0}
    assert blame.grown(base, head) == [("kernel", 30.0), ("new", 20.0)]
    assert blame.grown(head, base) == []


def test_samples_become_shares():
    report = """# Overhead  Shared Object  Symbol
    62.50%  softmax.cpython-311-x86_64-linux-gnu.so  [.] lines_body(long)
    20.00%  libc.so.6            [.] memcpy
     3.00%  [JIT] tid 26755      [.] 0x00007ffa12345678
     1.50%  [JIT] tid 26755      [.] 0x00007ffa12345690
"""
    assert blame.perf_shares(report) == pytest.approx(
        {"lines_body [softmax]": 0.625, "memcpy [libc]": 0.2, blame.COMPILED: 0.045}
    )


def test_threads_that_share_the_work_are_counted_by_their_own_time():
    assert worker.at_work({1: 5.0}, {1: 6.0, 2: 1.0}) == pytest.approx(2.0)
    assert worker.at_work({1: 5.0, 2: 1.0}, {1: 6.0, 2: 1.0}) == pytest.approx(1.0)
    assert worker.at_work({}, {}) == 1.0
    if sys.platform == "linux":
        before = worker.thread_seconds()
        sum(range(100_000))
        assert worker.at_work(before, worker.thread_seconds()) >= 1.0
        assert threading.get_native_id() in before


def test_a_lost_thread_is_told():
    assert blame.by_threads((1.9, 1.0)) == ["a thread was lost: 1.0 share the work instead of 1.9"]
    assert blame.by_threads((1.9, 1.8)) == []
    assert blame.by_threads((1.07, 1.0)) != []
    assert blame.by_threads((1.1, 1.05)) == []
    assert blame.by_threads(None) == []


# what is looked at ------------------------------------------------------------------------------


def test_every_operation_is_counted_or_timed():
    from benchmarks.cases import CASES

    counted = {case.op for case in subjects.counted_cases()}
    timed = {case.op for case in subjects.timed_cases()}
    later = {case.op for case in CASES if subjects.is_compiled_later(case)}
    assert {case.op for case in CASES} == counted | timed
    assert later == timed - counted
    assert {case.key for case in subjects.counted_cases()} <= {case.key for case in CASES}
    assert {"topk", "linear_cross_entropy"} <= {case.op for case in subjects.memory_cases()}


def test_the_lines_that_the_selftest_changes_are_there_once():
    for plant in gate_selftest.PLANTS:
        assert gate_selftest.planted(plant).count(plant.new) == 1
        assert any(
            case.key == plant.key for case in importlib.import_module("benchmarks.cases").CASES
        )


def test_the_brief_comparison_has_a_case_of_most_operations():
    brief = subjects.brief_cases()
    assert {case.key for case in brief} <= {case.key for case in subjects.counted_cases()}
    assert len(brief) == len({case.op for case in brief}) > 80
    assert {"softmax", "matmul", "cdist", "stats.median", "optim.Adam"} <= {c.op for c in brief}


# what a tree is ---------------------------------------------------------------------------------


def test_a_base_that_is_missing_is_told(monkeypatch, capsys):
    def missing(*arguments, **options):
        raise trees.Unavailable("no such revision")

    monkeypatch.setattr(trees, "is_same", missing)
    assert gate.main(["--base", "nowhere", "--kinds", "time"]) == 2
    assert gate.main(["--base", "nowhere", "--kinds", "time", "--if-possible"]) == 0
    assert "no comparison with nowhere: no such revision" in capsys.readouterr().out


def test_without_valgrind_the_other_gates_go_on(monkeypatch, capsys):
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    tree = trees.Tree("here", ROOT)
    _, everything, failures = gate.run_gate(
        tree, tree, kinds=["instructions"], only="", threads=1, seconds=1.0
    )
    assert (everything, failures) == ([], [])
    assert "valgrind is not installed" in capsys.readouterr().out


def test_without_valgrind_nothing_is_built_for_the_brief_comparison(monkeypatch, capsys):
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    monkeypatch.setattr(trees, "obtain", lambda *a, **k: pytest.fail("something was built"))
    assert gate.main(["--brief", "--if-possible"]) == 0
    assert gate.main(["--brief"]) == 2
    assert "no comparison with HEAD: valgrind is not installed" in capsys.readouterr().out


def counts(base, head):
    """A stand-in for `instructions.count`: the same answer for each case."""
    return lambda trees, keys, **options: [dict.fromkeys(keys, found) for found in (base, head)]


@pytest.mark.parametrize(
    ("base", "head", "code", "said"),
    [
        ({"f": 100}, {"f": 100}, 0, "passed"),
        ({"f": 100}, {"error": "Segmentation fault"}, 1, "ran on the base, and now: Segmentation"),
        ({"error": "no kernels"}, {"error": "no kernels"}, 2, "no case ran on both revisions"),
        ({"error": "no kernels"}, {"f": 100}, 2, "no case ran on both revisions (no kernels)"),
    ],
)
def test_a_gate_that_saw_nothing_does_not_pass(monkeypatch, capsys, base, head, code, said):
    monkeypatch.setattr(trees, "is_same", lambda *revisions: False)
    monkeypatch.setattr(trees, "obtain", lambda *a, **k: trees.Tree("here", ROOT))
    monkeypatch.setattr(accepted, "between", lambda *revisions: [])
    monkeypatch.setattr(instructions, "why_not", lambda: None)
    monkeypatch.setattr(instructions, "count", counts(base, head))
    assert gate.main(["--kinds", "instructions", "--only", "^softmax"]) == code
    assert said in capsys.readouterr().out


def test_the_same_sources_are_not_compared(monkeypatch, capsys):
    monkeypatch.setattr(trees, "is_same", lambda *revisions: True)
    monkeypatch.setattr(trees, "obtain", lambda *a, **k: pytest.fail("something was built"))
    assert gate.main(["--kinds", "time"]) == 0
    assert "nothing to compare" in capsys.readouterr().out


def test_a_tree_s_processes_see_it_before_the_checkout(monkeypatch):
    monkeypatch.setenv("FASTMATH_ML_NUM_THREADS", "7")
    env = trees.Tree("a", Path("/somewhere")).environment(1)
    assert env["PYTHONPATH"].startswith("/somewhere")
    assert env["FASTMATH_ML_NUM_THREADS"] == "1"
    assert env["FASTMATH_ML_CPU"] == trees.LEVEL
    assert "FASTMATH_ML_NUM_THREADS" not in trees.Tree("a", Path("/b")).environment()


def test_a_base_without_the_package_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(trees, "git", lambda *arguments, **options: "README.md\n")
    with pytest.raises(trees.Unavailable, match="no package to build"):
        trees.sync("tree", tmp_path)
