"""The peak of memory of what works within a bound: of the whole process, inputs included."""

from benchmarks.gates.subjects import memory_cases

from .common import case_of, classes, our_call


class Base:
    timeout = 60

    def setup(self, label):
        import fastmath_ml as fm

        case = case_of(self.op, label)
        self.call = our_call(case, case.inputs())
        self.threads = fm.num_threads(2)  # each has buffers: machines are to be comparable

    def peakmem_call(self, label):
        with self.threads:
            self.call()


classes(globals(), Base, memory_cases(), "Memory")
del Base
