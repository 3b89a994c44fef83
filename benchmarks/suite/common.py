"""What the suites share."""

from benchmarks.cases import BY_KEY, CASES


def classes(namespace: dict, base: type, cases, prefix: str) -> None:
    """For each operation a class of its cases in `namespace`: softmax becomes `Softmax`."""
    labels: dict[str, list[str]] = {}
    for case in cases:
        labels.setdefault(case.op, []).append(case.label)
    for op, names in labels.items():
        name = prefix + "".join(part.capitalize() for part in op.replace(".", "_").split("_"))
        namespace[name] = type(name, (base,), {"op": op, "params": names, "param_names": ["case"]})
        namespace[name].__module__ = namespace["__name__"]


def case_of(op: str, label: str):
    return BY_KEY[f"{op} {label}"]


def our_call(case, inputs):
    """NotImplementedError, for which asv skips, where the revision has no such function."""
    try:
        return case.ours(inputs)
    except (AttributeError, ImportError, TypeError) as error:
        raise NotImplementedError(f"{case.op}: {error}") from error


QUICK = [case for case in CASES if case.quick]
