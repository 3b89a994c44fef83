"""What `benchmarks.gate` is made of: two revisions of the package, measured against each other.

`trees` builds and installs a revision, `subjects` says which cases each gate looks at, `worker` is
the process that runs them on one revision, `instructions`, `timing` and `memory` start such
processes and collect figures, `judge` decides, and `blame` finds the function whose cost grew.
"""
