"""Kernels that take the caller's own function into their inner loop, compiled by Numba.

Importing anything here imports Numba, so it happens at the first call that needs it.

    functions.py       the caller's functions: compiled, kept in memory, or refused with the reason
    parallel.py        compiled bodies on the thread pool of the library
    dual.py            dual numbers as a Numba type; their arithmetic
    dual_functions.py  the rules of differentiation of math, NumPy and Python
    dual_arrays.py     arrays of duals: the x of a function of several variables
    dual_elementwise.py, dual_reductions.py   what is done with their items
    packs.py           eight problems at once
    trace.py           straight functions as a list of operations: their gradient backwards
    derivatives.py     gradients, Jacobians, Hessians
    roots.py, integrals.py, descent.py
    metric.py          distances by a metric of the caller
"""
