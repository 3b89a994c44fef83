"""Manners of what Numba compiles: when it is imported, its cache, forks, threads, signals."""

import gc
import os
import subprocess
import sys
import threading
import types
import weakref

import numpy as np
import pytest

import fastmath_ml as fm

SQUARE = """
import numpy as np, fastmath_ml as fm
def square(z):
    return z * z
def bowl(x):
    return x[0] * x[0]
def work():
    root = fm.optim.gradient_descent(bowl, [1.0], lr=0.1)
    area = fm.calculus.integrate(square, 0, 3).value
    return float(fm.calculus.derivative(square, 3.0)), round(float(area), 9), bool(root.converged)
"""
ANSWER = "(6.0, 9.0, True)"


def run(code, **environment):
    environ = {
        key: value for key, value in {**os.environ, **environment}.items() if value is not None
    }
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )


def finished(process):
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out.strip()


def test_numba_comes_with_the_first_call():
    code = "import sys, fastmath_ml as fm; fm.calculus.derivative; fm.optim.gradient_descent;"
    code += "print('numba' in sys.modules); fm.calculus.derivative(abs, 1.0);"
    code += "print('numba' in sys.modules)"
    assert finished(run(code)).split() == ["False", "True"]


def test_two_processes_at_once_and_the_cache(tmp_path):
    code = SQUARE + "print(work())"
    both = [run(code, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    assert [finished(process) for process in both] == [ANSWER] * 2
    kept = {path.name for path in tmp_path.rglob("*.nbi")}
    assert any(name.startswith("integrals.push") for name in kept)
    assert not any("square" in name or "bowl" in name or "body" in name for name in kept)
    # A third one reads what they wrote.
    assert finished(run(code, NUMBA_CACHE_DIR=str(tmp_path))) == ANSWER


def test_where_nothing_can_be_written(tmp_path):
    """Root may write anywhere, so the locators are made to fail as they do for others."""
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    code = (
        "import numba.core.caching as caching\n"
        "def refuse(self):\n    raise OSError('read-only')\n"
        "for locator in vars(caching).values():\n"
        "    if hasattr(locator, 'ensure_cache_path'):\n"
        "        locator.ensure_cache_path = refuse\n" + SQUARE + "print(work())"
    )
    process = run(code, HOME=str(nowhere), XDG_CACHE_HOME=None, NUMBA_CACHE_DIR=None)
    assert finished(process) == ANSWER


def test_a_cache_that_fills_up(tmp_path):
    code = (
        "import numba.core.caching as caching\n"
        "def refuse(self, *args):\n    raise OSError('no space left')\n"
        "caching.IndexDataCacheFile.save = refuse\n" + SQUARE + "print(work())"
    )
    assert finished(run(code, NUMBA_CACHE_DIR=str(tmp_path))) == ANSWER


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child():
    code = SQUARE + (
        "import os\n"
        "many = fm.calculus.derivative(square, np.ones(100_000))\n"
        "child = os.fork()\n"
        "again = fm.calculus.derivative(square, np.ones(100_000))\n"
        "assert (again == many).all() and work()\n"
        f"if child == 0:\n    os._exit(str(work()) != {ANSWER!r})\n"
        "print(os.waitpid(child, 0)[1], work())"
    )
    assert finished(run(code)) == f"0 {ANSWER}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_while_another_thread_compiles():
    code = SQUARE + (
        "import os, threading, time, warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "work()\n"
        "lines = ''.join(f'    z = z * {i} + 1\\n' for i in range(600))\n"
        "exec('def long(z):\\n' + lines + '    return z')\n"
        "compiling = threading.Thread(target=fm.calculus.derivative, args=(long, 1.0))\n"
        "compiling.start()\n"
        "time.sleep(0.2)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(float(fm.calculus.derivative(lambda z: z * 3.5, 1.0)) != 3.5)\n"
        "for _ in range(600):\n"
        "    done, status = os.waitpid(child, os.WNOHANG)\n"
        "    if done:\n        break\n"
        "    time.sleep(0.05)\n"
        "else:\n    os.kill(child, 9)\n"
        "compiling.join()\n"
        "print(done == child and status)"
    )
    assert finished(run(code)) == "0"


def test_without_numbas_compiler():
    code = SQUARE + (
        "import warnings\n"
        "warnings.simplefilter('always')\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    print([round(float(number), 6) for number in work()])\n"
        "    print(round(fm.calculus.newton(lambda z: z * z - 4, 1.0).x, 9))\n"
        "    print(fm.calculus.jacobian(lambda x: x * x, [1.0]).round(9))\n"
        "    print(fm.cdist([[1.0]], [[3.0]], lambda a, b: abs(a[0] - b[0])))\n"
        "assert all('as Python' in str(w.message) or 'in Python' in str(w.message) for w in seen)\n"
        "assert 'NUMBA_DISABLE_JIT' in str(seen[0].message)\n"
    )
    out = finished(run(code, NUMBA_DISABLE_JIT="1"))
    assert out.split("\n") == ["[6.0, 9.0, 1.0]", "2.0", "[[2.]]", "[[2.]]"]


def test_threads_of_the_caller():
    def wave(z, a):
        return np.sin(a * z)

    x = np.linspace(0, 1, 20_000)
    results = {}

    def work(a):
        results[a] = fm.calculus.derivative(wave, x, args=(float(a),))

    threads = [threading.Thread(target=work, args=(a,)) for a in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a in range(1, 5):
        np.testing.assert_allclose(results[a], a * np.cos(a * x), rtol=1e-12)


SCALE = 2.0
TABLE = np.array([1.0, 2.0])


def scaled(z):
    return helper(z) * SCALE + TABLE[0] * z


def helper(z):
    return z * z


def test_what_a_function_refers_to_is_looked_at_again(monkeypatch):
    assert fm.calculus.derivative(scaled, 1.0) == 5.0
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert fm.calculus.derivative(scaled, 1.0) == 7.0
    monkeypatch.setitem(globals(), "helper", lambda z: z * z * z)
    assert fm.calculus.derivative(scaled, 1.0) == 10.0
    TABLE[0] = 5.0
    assert fm.calculus.derivative(scaled, 1.0) == 14.0
    TABLE[0] = 1.0

    module, inner = types.ModuleType("mine"), types.ModuleType("inner")
    module.k, module.inner, inner.k, inner.module = 2.0, inner, 5.0, module

    def by_module(z):
        return z * module.k + module.inner.k * z

    assert fm.calculus.derivative(by_module, 1.0) == 7.0
    module.k = 7.0
    assert fm.calculus.derivative(by_module, 1.0) == 12.0
    inner.k = 1.0
    assert fm.calculus.derivative(by_module, 1.0) == 8.0

    def closure_of(k):
        return lambda z: k * z

    assert [fm.calculus.derivative(closure_of(k), 1.0) for k in (1.0, 2.0, 1.0)] == [1, 2, 1]


def test_a_lambda_made_again_is_not_compiled_again():
    from fastmath_ml._kernels.jit import functions

    def call():
        return fm.calculus.derivative(lambda z: z * 7.5, 1.0)

    call()
    before = list(functions._kept)
    for _ in range(5):
        assert call() == 7.5
    assert list(functions._kept) == before


def test_functions_are_let_go():
    from fastmath_ml._kernels.jit import functions

    class Held:
        pass

    held = Held()
    reference = weakref.ref(held)

    def function(z, unused=held):
        return z

    with pytest.warns(RuntimeWarning, match="function runs as Python"):
        fm.calculus.newton(function, 1.0)
    assert len(functions._kept) <= functions.KEPT
    functions._kept.clear()
    del held, function
    gc.collect()
    assert reference() is None


def test_functions_compiled_by_the_caller():
    numba = pytest.importorskip("numba")

    @numba.njit
    def cube(z):
        return z**3

    assert fm.calculus.derivative(cube, -2.0) == 12.0


def test_a_metric_that_reads_out_of_range():
    rows = np.ones((3, 2))
    with pytest.raises(IndexError):
        fm.cdist(rows, rows, lambda a, b: a[0] * b[2])


def test_ctrl_c_stops_a_long_call():
    code = (
        "import signal, fastmath_ml as fm, numpy as np\n"
        "def slow(z):\n    total = 0.0\n    for i in range(1000):\n"
        "        total += np.sin(z + i)\n    return total\n"
        "fm.calculus.derivative(slow, np.ones(10))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
        "def stop(*_):\n    raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGALRM, stop)\n"
        "try:\n    fm.calculus.derivative(slow, np.ones(10_000_000))\n"
        "except KeyboardInterrupt:\n    print('stopped', fm.calculus.derivative(slow, 1.0) != 0)"
    )
    assert finished(run(code)) == "stopped True"


def test_warmup():
    fm.warmup("calculus")
    with pytest.raises(ValueError, match="names has 'calculos'"):
        fm.warmup("calculos")
