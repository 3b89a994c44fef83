"""The peak of memory of what works within a bound: of the whole process, inputs included."""

from benchmarks.gates.subjects import memory_cases

from .common import case_of, classes, our_call


class Base:
    timeout = 60

    def setup(self, label):
        case = case_of(self.op, label)
        self.call = our_call(case, case.inputs())

    def peakmem_call(self, label):
        self.call()


classes(globals(), Base, memory_cases(), "Memory")
del Base
