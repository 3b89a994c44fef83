"""Speed measured against the peers and against the limits of the machine.

`cases` is the one list of what is measured; `peers` says how others do the same. `run` starts one
`worker` process per peer, in which `measure` alternates ours with theirs; `results` joins what the
workers found, `bars` judges it, `table` prints it and `report` draws it. `limits` measures the
machine, `digits` does the library's work on real data.

    python -m benchmarks.run                      the quick subset, about a minute
    python -m benchmarks.run --full --only softmax
    python -m benchmarks.run --bars               every case that carries a bar; which fall short
"""
