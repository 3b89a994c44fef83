"""Derivatives, roots and integrals of the caller's functions, compiled, over arrays of problems.

The functions are compiled by Numba at their first use (0.2 to 1 s, once per function and types of
arguments) and run on all threads. A function that Numba cannot compile runs as Python, with a
RuntimeWarning that says why. What a function refers to from outside (globals, closures, arrays,
attributes of modules) is compared at each call; when it has changed the function is compiled again.
Integers have 64 bits there and wrap around: 2.0**n is right where 2**n is not.

Functions of one number (`derivative`, `newton`, `bisect`, `integrate`) are written for a single
number x; x, and the items of `args`, may be arrays, which are broadcast against each other: each
element is a problem. Functions of a vector (`gradient`, `jacobian`, `hessian`) get one
one-dimensional x; leading axes of the x that is passed are a batch, and `args` is handed on as it
is.

Derivatives are computed by dual numbers: the function is run on numbers that carry their
derivatives along. It may use arithmetic, ``**``, comparisons and branches, loops, abs, min, max,
sum, the functions of `math` (but gamma and lgamma) and NumPy's elementwise functions, indexing and
slicing of x, ``@``, np.dot, np.sum, np.mean, np.var, np.std, np.prod, np.max, np.linalg.norm,
np.where, np.clip, np.array of a list, np.empty_like(x). Whole numbers made of x by floor, ``//``,
int or round are constants.
"""

from __future__ import annotations

from ._derivatives import derivative, gradient, hessian, jacobian
from ._integrals import IntegralResult, integrate
from ._roots import RootResult, bisect, newton

__all__ = [
    "IntegralResult",
    "RootResult",
    "bisect",
    "derivative",
    "gradient",
    "hessian",
    "integrate",
    "jacobian",
    "newton",
]
