"""How long ours takes on one thread: plain times, which move with the machine."""

from benchmarks.cases import brief

from .common import QUICK, case_of, classes, our_call


class Base:
    timeout = 60
    warmup_time = 0.05
    sample_time = 0.01
    repeat = (3, 10, 0.5)

    def setup(self, label):
        import fastmath_ml as fm

        case = case_of(self.op, label)
        self.call = our_call(case, case.inputs())
        self.limit = fm.num_threads(1)
        self.limit.__enter__()
        try:
            self.call()
        except (AttributeError, TypeError) as error:
            raise NotImplementedError(str(error)) from error

    def teardown(self, label):
        if hasattr(self, "limit"):
            self.limit.__exit__(None, None, None)

    def time_call(self, label):
        self.call()


classes(globals(), Base, [*QUICK, *brief.CASES], "Time")
del Base
