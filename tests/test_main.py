"""`python -m fastmath_ml` at this CPU level: all checks pass, and what it prints."""

import subprocess
import sys

import fastmath_ml as fm


def test_the_program_passes_and_tells_the_configuration(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fastmath_ml"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
    )
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout
    assert fm.__version__ in done.stdout
    assert fm.show_config()["threads_because"] in done.stdout
    level = next(line for line in done.stdout.splitlines() if line.startswith("cpu level "))
    assert level.split()[-1] == fm.cpu_level()
