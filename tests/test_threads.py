"""How many threads a call uses: the context manager, the environment, masks and quotas."""

import os
import subprocess
import sys
import threading

import pytest

from fastmath_ml import _threads
from fastmath_ml._kernels import pool
from fastmath_ml._threads import get_num_threads, num_threads

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@pytest.fixture
def plain_settings():
    """As on a machine without environment variables and quotas."""
    _threads.configure({}, root="/nowhere")
    yield
    _threads.configure()


def test_num_threads_binds_the_calling_thread_only():
    default = get_num_threads()
    elsewhere = []
    with num_threads(5):
        assert get_num_threads() == 5
        with num_threads(3):
            assert get_num_threads() == 3
        thread = threading.Thread(target=lambda: elsewhere.append(get_num_threads()))
        thread.start()
        thread.join()
        assert get_num_threads() == 5
        assert _threads.threads_and_reason() == (5, "num_threads() is in force")
    assert get_num_threads() == default
    assert pool.thread_limit() == 0
    assert elsewhere == [default]


def test_num_threads_refuses_nonsense():
    for wrong in (0, -1, 257):
        with pytest.raises(ValueError, match=f"between 1 and 256, got {wrong}"):
            num_threads(wrong)
    for wrong in (2.0, "2", None, True):
        with pytest.raises(TypeError, match="n must be an integer, got"):
            num_threads(wrong)


@needs_linux
@pytest.mark.usefixtures("plain_settings")
def test_affinity_mask_is_followed():
    mask = os.sched_getaffinity(0)
    assert _threads.threads_and_reason() == (min(len(mask), 256), "CPUs of the affinity mask")
    try:
        os.sched_setaffinity(0, {min(mask)})
        assert get_num_threads() == 1
    finally:
        os.sched_setaffinity(0, mask)
    assert get_num_threads() == min(len(mask), 256)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, "")),
        ({"OMP_NUM_THREADS": "3"}, (3, "OMP_NUM_THREADS")),
        ({"OMP_NUM_THREADS": "4,2"}, (4, "OMP_NUM_THREADS")),
        ({"OMP_NUM_THREADS": "many"}, (0, "")),
        ({"OMP_NUM_THREADS": "0"}, (0, "")),
        ({"FASTMATH_ML_NUM_THREADS": " 2 ", "OMP_NUM_THREADS": "3"},
         (2, "FASTMATH_ML_NUM_THREADS")),
        ({"FASTMATH_ML_NUM_THREADS": "1000"}, (256, "FASTMATH_ML_NUM_THREADS")),
    ],
)  # fmt: skip
def test_environment(environment, expected):
    assert _threads.threads_from_environment(environment) == expected


def test_environment_nonsense_is_warned_about():
    for text in ("two", "0", "-1", "1.5", "4,2"):
        environment = {"FASTMATH_ML_NUM_THREADS": text, "OMP_NUM_THREADS": "3"}
        with pytest.warns(RuntimeWarning, match="FASTMATH_ML_NUM_THREADS must be a whole number"):
            assert _threads.threads_from_environment(environment) == (3, "OMP_NUM_THREADS")


@pytest.mark.parametrize(
    "imported", ["fastmath_ml", "fastmath_ml.pairwise", "fastmath_ml._threads"]
)
def test_environment_is_read_at_import(imported):
    """Of whatever is imported first: most programs never ask for a number of threads."""
    environ = os.environ | {"FASTMATH_ML_NUM_THREADS": "3"}
    code = (
        f"import {imported}; from fastmath_ml._kernels import pool; print(pool.get_num_threads())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"


V1, V2 = "4:cpu,cpuacct:", "0::"
QUOTAS = {  # what /proc/self/cgroup says, the files below /sys/fs/cgroup, the limit
    "no groups": ("", {}, None),
    "v2 none": (V2 + "/a", {"a/cpu.max": "max 100000"}, None),
    "v2": (V2 + "/a", {"a/cpu.max": "250000 100000"}, 2.5),
    "v2 parent": (V2 + "/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 50000"}, 2),
    "v2 container": (V2 + "/../host/x", {"cpu.max": "50000 100000"}, 0.5),
    "v1 none": (V1 + "/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "1000"}, None),
    "v1": (V1 + "/d", {"cpu/d/cpu.cfs_quota_us": "3000", "cpu/d/cpu.cfs_period_us": "1000"}, 3),
    "v1 container": (
        V1 + "/docker/0af",
        {"cpu,cpuacct/cpu.cfs_quota_us": "1500", "cpu,cpuacct/cpu.cfs_period_us": "1000"},
        1.5,
    ),
    "nonsense": ("not a line\n" + V2 + "/", {"cpu.max": "a b c"}, None),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_cpu_quota(tmp_path, name):
    groups, files, expected = QUOTAS[name]
    files = {f"sys/fs/cgroup/{path}": text for path, text in files.items()}
    for path, text in {**files, "proc/self/cgroup": groups}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")
    assert _threads.cpu_quota(str(tmp_path)) == expected
    n_cpus = _threads._affinity_count()
    try:
        _threads.configure({}, root=str(tmp_path))
        capped = expected is not None and int(expected) < n_cpus
        assert get_num_threads() == (max(int(expected), 1) if capped else min(n_cpus, 256))
        assert _threads.threads_and_reason()[1].startswith("CPU quota" if capped else "CPUs of")
    finally:
        _threads.configure()
