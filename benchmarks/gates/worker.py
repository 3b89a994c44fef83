"""The process that runs cases on one revision: `python -P -m benchmarks.gates.worker JOB`.

    count LIBRARY OUTPUT KEY...    under callgrind: what one call of each case executes
    slots                          times slots of calls, as lines on standard input say
    peak THREADS KEY               memory that one call takes beyond what was there
    trace KEY                      which functions one call calls, and how often
    growth THREADS KEY             in which function of Python the peak of memory grew
    loop THREADS SECONDS KEY       calls in a row, for a profiler to look at
    threads                        how many threads a call may use

Each answers with lines of JSON; a case that this revision does not have is an answer with 'error'.
"""

import contextlib
import gc
import itertools
import json
import os
import sys
import time
from pathlib import Path


def prepared(key: str):
    """The call of a case, and what it gave when it was made once: later calls find caches filled.

    Garbage is not collected (`main`): that would fall into one count and not into another.
    """
    from ..cases import BY_KEY

    case = BY_KEY[key]
    call = case.ours(case.inputs())
    call()
    if case.is_overhead:  # of which the filling of caches would be a part
        call()
    return call


def answer(**facts) -> None:
    print(json.dumps(facts), flush=True)


def count(library: str, output: str, *keys: str) -> None:
    """callgrind writes what it counted, one file a case; which case, is written in it."""
    import ctypes

    requests = ctypes.CDLL(library)
    start, stop = requests.start, requests.stop
    with open(output, "w", encoding="utf-8", buffering=1) as answers:
        for key in keys:
            facts: dict = {"key": key}
            try:
                call = prepared(key)
                name = key.encode()
                start()
                call()
                stop(name)
            except Exception as error:
                facts["error"] = f"{type(error).__name__}: {error}"
            answers.write(json.dumps(facts) + "\n")
            call = None


def thread_seconds() -> dict[int, float]:
    """CPU seconds of each thread of this process; empty where Linux does not tell."""
    found = {}
    tasks = Path("/proc/self/task")
    for thread in map(int, os.listdir(tasks) if tasks.exists() else ()):
        with contextlib.suppress(OSError):  # it has ended
            found[thread] = time.clock_gettime((~thread << 3) | 6)  # its clock, as pthreads has it
    return found


def at_work(before: dict[int, float], after: dict[int, float]) -> float:
    """How many threads shared the work between two answers of `thread_seconds`.

    (sum t)^2 / sum t^2: n for n threads that did the same, on a busy machine as well, where the
    CPUs that they kept busy are fewer.
    """
    spent = [seconds - before.get(thread, 0.0) for thread, seconds in after.items()]
    squares = sum(seconds**2 for seconds in spent)
    return sum(spent) ** 2 / squares if squares else 1.0


def time_slot(call, n_calls: int) -> tuple[float, float]:
    """Seconds per call, and the threads that shared the work."""
    repeats = itertools.repeat(None, n_calls)
    before = thread_seconds()
    begin = time.perf_counter()
    for _ in repeats:
        call()
    seconds = time.perf_counter() - begin
    return seconds / n_calls, at_work(before, thread_seconds())


def slots() -> None:
    """{"prepare": key, "threads": n}, then {"slot": calls} as often as is liked."""
    import fastmath_ml as fm

    call = None
    with contextlib.ExitStack() as limited:
        for line in sys.stdin:
            job = json.loads(line)
            try:
                if "prepare" in job:
                    limited.close()
                    limited.enter_context(fm.num_threads(job["threads"]))
                    call = None
                    call = prepared(job["prepare"])
                    answer(seconds=time_slot(call, 1)[0])
                else:
                    seconds, workers = time_slot(call, job["slot"])
                    answer(seconds=seconds, workers=workers)
            except Exception as error:
                answer(error=f"{type(error).__name__}: {error}")


def memory_now(field: str) -> int:
    """Bytes, from the kernel: 'VmRSS' (resident) or 'VmHWM' (its peak)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) << 10
    raise OSError(f"no {field} in /proc/self/status")


def forget_peak() -> int:
    """Resident bytes, from which the peak now counts."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return memory_now("VmRSS")


def peak(threads: str, key: str) -> None:
    """The first call: later ones find the memory that it left behind.

    The threads are started and the modules imported by a call of another case, a small one of the
    same operation where there is one.
    """
    import fastmath_ml as fm

    from ..cases import BY_KEY, CASES

    with fm.num_threads(int(threads)):
        case = BY_KEY[key]
        small = min((c for c in CASES if c.op == case.op), key=lambda c: c.bytes + c.flops)
        if small is not case:
            small.ours(small.inputs())()
        inputs = case.inputs()
        call = case.ours(inputs)
        before = forget_peak()
        result = call()
        answer(bytes=max(0, memory_now("VmHWM") - before))
        del result


def named(frame) -> str:
    code = frame.f_code
    name = Path(code.co_filename).name
    package = name if "fastmath_ml" in code.co_filename else f"({name})"
    return f"{package}:{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name}"


def trace(key: str) -> None:
    """{"caller -> callee": calls}, for functions of Python and those built in."""
    call = prepared(key)
    calls: dict[str, int] = {}

    def watch(frame, event, argument):
        if event == "call":
            pair = f"{named(frame.f_back)} -> {named(frame)}" if frame.f_back else named(frame)
        elif event == "c_call":
            callee = getattr(argument, "__qualname__", repr(argument))
            pair = f"{named(frame)} -> {callee}"
        else:
            return
        calls[pair] = calls.get(pair, 0) + 1

    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
    answer(calls={pair: n for pair, n in calls.items() if "setprofile" not in pair})


def growth(threads: str, key: str) -> None:
    """{"function": bytes by which the peak grew while it ran itself}."""
    import fastmath_ml as fm

    from ..cases import BY_KEY

    found: dict[str, int] = {}
    # Compiled functions without a frame of Python in the package have no name but the case's.
    last = [key, 0]

    def owner(frame):
        """Where in the package this is: the nearest of its functions below."""
        while frame is not None and "fastmath_ml" not in frame.f_code.co_filename:
            frame = frame.f_back
        return named(frame) if frame is not None else ""

    def watch(frame, event, argument):
        now = memory_now("VmHWM")
        if now > last[1] and last[0]:
            found[last[0]] = found.get(last[0], 0) + now - last[1]
        if event == "c_call":
            callee = getattr(argument, "__qualname__", repr(argument))
            last[:] = [f"{owner(frame)} -> {callee}", now]
        elif event == "return":
            last[:] = [owner(frame.f_back), now]
        else:
            last[:] = [owner(frame), now]

    with fm.num_threads(int(threads)):
        case = BY_KEY[key]
        call = case.ours(case.inputs())
        last[1] = forget_peak()
        sys.setprofile(watch)
        try:
            call()
        finally:
            sys.setprofile(None)
    answer(growth=found)


def loop(threads: str, seconds: str, key: str) -> None:
    import fastmath_ml as fm

    with fm.num_threads(int(threads)):
        call = prepared(key)
        end = time.perf_counter() + float(seconds)
        while time.perf_counter() < end:
            call()


def threads() -> None:
    import fastmath_ml as fm

    answer(threads=fm.get_num_threads())


JOBS = {job.__name__: job for job in (count, slots, peak, trace, growth, loop, threads)}


def main() -> None:
    if not os.environ.get("FASTMATH_ML_CPU"):
        sys.exit("a worker is started by benchmarks.gate, which says which revision it is to load")
    job, *arguments = sys.argv[1:]
    gc.disable()
    try:
        JOBS[job](*arguments)
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
