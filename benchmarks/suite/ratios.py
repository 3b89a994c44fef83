"""The reference's time / ours: above 1 ours is faster. NumPy, SciPy and its BLAS.

On one thread slots of both sides take turns (`benchmarks.paired`). On all threads the workers of
one library would disturb the other's slot, so there are blocks with pauses between them
(`benchmarks.measure`).
"""

from benchmarks.machine import available_cpus
from benchmarks.measure import Runner, alternate, compare
from benchmarks.paired import BUDGET, PAIRED, REFERENCES, SINGLE, one_thread_ratios
from benchmarks.peers import forms_of, is_installed

from .common import case_of, classes, our_call


def all_threads_ratio(case) -> float:
    import fastmath_ml as fm

    inputs = case.inputs()
    ours = our_call(case, inputs)
    found = []
    with fm.num_threads(available_cpus()):
        for name in REFERENCES:
            if name not in case.peers or not is_installed(name):
                continue
            runners = [Runner("ours", ours)]
            forms = forms_of(case.peers[name], inputs)
            runners += [Runner(name, call, form) for form, call in forms.items()]
            rounds = alternate(runners, "steady", budget=2 * BUDGET, min_rounds=3)
            found.append(compare(rounds, "ours", name)["ratio"])
    return min(found)


class OneThread:
    unit = "reference / ours"

    def setup_cache(self):
        """Once for all classes."""
        return one_thread_ratios()

    setup_cache.timeout = 600

    def setup(self, ratios, label):
        if f"{self.op} {label}" not in ratios:
            raise NotImplementedError(f"{self.op} {label}")

    def track_ratio_one_thread(self, ratios, label):
        return ratios[f"{self.op} {label}"][0]


class AllThreads:
    timeout = 90
    unit = "reference / ours"

    def setup(self, label):
        case = case_of(self.op, label)
        our_call(case, case.inputs())

    def track_ratio_all_threads(self, label):
        return all_threads_ratio(case_of(self.op, label))


THREADED = [c for c in PAIRED if c.quick and not c.is_overhead]
THREADED = [c for c in THREADED if c.op in ("matmul", "softmax", "logsumexp", "gram", "svd_topk")]
classes(globals(), OneThread, SINGLE, "Ratio")
classes(globals(), AllThreads, THREADED, "ThreadedRatio")
del OneThread, AllThreads
