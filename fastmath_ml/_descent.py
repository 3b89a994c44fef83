"""`gradient_descent`: the caller's objective, minimised from one start or from many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype
from ._options import checked, number
from ._problems import returning

METHODS = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw")
WIDTH = 8  # problems in a vector, that of _kernels.jit.packs
SEGMENT = 1 << 16  # iterations in one compiled call: between two of them Ctrl-C is answered


class DescentResult(NamedTuple):
    """Where the descents ended.

    x and fun: the points and the objective there; n_iter: the iterations; converged: whether the
    largest component of the gradient is at most `tol`; grad_method: 'given', 'dual' or
    'difference'.
    """

    x: Any
    fun: Any
    n_iter: Any
    converged: Any
    grad_method: str


def gradient_descent(
    fun: Callable[..., Any],
    x0: npt.ArrayLike,
    *,
    grad: Callable[..., Any] | None = None,
    args: tuple[Any, ...] = (),
    method: str = "adam",
    lr: float | Callable[[int], float] = 0.01,
    max_iter: int = 1000,
    tol: float = 1e-6,
    bounds: Any = None,
    callback: Callable[[DescentResult], Any] | None = None,
    callback_every: int = 100,
    momentum: float = 0.9,
    betas: tuple[float, float] = (0.9, 0.999),
    alpha: float = 0.99,
    eps: float | None = None,
    weight_decay: float = 0.01,
) -> DescentResult:
    r"""Minimise the caller's function by gradient descent, from one start or a batch of starts.

    .. math:: x_{k+1} = x_k - \eta_k \, d_k, \qquad d_k = d(\nabla f(x_0), \dots, \nabla f(x_k))

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` of a vector of n numbers, returning a number.
    x0 : array_like
        One start (n,), or a batch of starts (batch, n), each a problem of its own. Computed in
        float64.
    grad : callable, optional
        ``grad(x, *args)``, returning n numbers. Without it the gradient is that of dual numbers
        (see `fastmath_ml.calculus`), or of central differences where `fun` takes no dual numbers.
    args : tuple, optional
        Further arguments of both, passed on as they are.
    method : {'sgd', 'momentum', 'nesterov', 'rmsprop', 'adagrad', 'adam', 'adamw'}, optional
        The update, by torch's formulas.
    lr : float or callable, optional
        The step size, or a function of the number of the step (from 0), such as the schedules of
        this module.
    max_iter : int, optional
        The largest number of iterations.
    tol : float, optional
        A problem ends when no component of its gradient is larger than this in magnitude (those
        that push against a bound do not count).
    bounds : sequence of (low, high) or scipy.optimize.Bounds, optional
        A box for all problems, a pair per variable, None for no bound. Each step is clipped to it.
    callback : callable, optional
        Called in Python as ``callback(result)`` every `callback_every` iterations and at the end;
        a true return value ends the descent with that result, and so does raising StopIteration.
    callback_every : int, optional
        How many iterations are computed between two calls of `callback`.
    momentum : float, optional
        Of 'momentum' and 'nesterov'.
    betas : (float, float), optional
        Of 'adam' and 'adamw'.
    alpha : float, optional
        Of 'rmsprop'.
    eps : float, optional
        Added to the root in the denominator: 1e-8, for 'adagrad' 1e-10.
    weight_decay : float, optional
        Of 'adamw'; the others have none.

    Returns
    -------
    DescentResult
        `x` of the shape of `x0`; `fun`, `n_iter`, `converged` per problem; `grad_method`.

    Raises
    ------
    ValueError, TypeError
        An argument has the wrong shape, dtype or value. Exceptions of the functions are passed on.

    Notes
    -----
    The functions are compiled into one loop, which runs each problem from its start to its end, the
    problems on all threads. A function that Numba cannot compile runs as Python, with a warning
    that says why. A gradient that is NaN ends its problem, not converged, and leaves NaN in x.

    Where `fun` does the same operations whatever its values are, the slopes of the operations, by
    dual numbers, are multiplied backwards: that costs about three calls of `fun` for any n. (To see
    the operations, `fun` is called once in Python.)

    References
    ----------
    .. [1] D. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    .. [2] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    .. [3] I. Sutskever et al., "On the importance of initialization and momentum in deep learning",
       ICML 2013.
    .. [4] J. Duchi et al., "Adaptive Subgradient Methods", JMLR 12, 2011.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> def bowl(x):
    ...     return (x[0] - 1) ** 2 + 3 * (x[1] + 2) ** 2
    >>> result = fm.optim.gradient_descent(bowl, [0.0, 0.0], lr=0.1)
    >>> result.x.round(4), bool(result.converged), result.grad_method
    (array([ 1., -2.]), True, 'dual')
    """
    for function, name in ((fun, "fun"), (grad, "grad"), (callback, "callback")):
        if not callable(function) and not (function is None and name != "fun"):
            raise TypeError(f"{name} is a {type(function).__name__}; expected a function")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    if not isinstance(args, tuple):
        raise TypeError(f"args is a {type(args).__name__}; expected a tuple")
    numbers = checked(
        **{"momentum": momentum, "betas": betas, "alpha": alpha, "weight_decay": weight_decay},
        **{"tol": tol, "max_iter": max_iter, "callback_every": callback_every},
        eps=(1e-10 if method == "adagrad" else 1e-8) if eps is None else eps,
    )
    if not callable(lr):
        lr = number(lr, "lr")
    starts = as_array(x0, "x0")
    dtype = computing_dtype(starts.dtype, "x0")
    if starts.ndim not in (1, 2) or starts.shape[-1] == 0:
        raise ValueError(f"x0 has shape {starts.shape}; expected (n,) or (batch, n), n at least 1")
    lower, upper = _box(bounds, starts.shape[-1])
    is_adam = method.startswith("adam")
    first, second = numbers["betas"] if is_adam else (numbers["momentum"], numbers["alpha"])
    decay = numbers["weight_decay"] if method == "adamw" else 0.0
    options = np.array([first, second, numbers["eps"], decay])
    descent = _Descent(fun, grad, method, args, options, numbers["tol"], (starts, lower, upper))

    done, max_iter, every = 0, numbers["max_iter"], numbers["callback_every"]
    while True:
        n_steps = min(SEGMENT, max_iter - done)
        if callback is not None:
            n_steps = min(n_steps, every - done % every)
        descent.run(_rates(lr, done, n_steps, (first, second) if is_adam else None, decay))
        done += n_steps
        is_end = done >= max_iter or descent.problems.has_ended(done)
        if not is_end and (callback is None or done % every):
            continue
        result = descent.result(starts.shape, dtype)
        if callback is not None:
            try:
                is_end = bool(callback(result)) or is_end
            except StopIteration:
                return result
        if is_end:
            return result


def _box(bounds: Any, n: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Lower and upper bounds, both empty without bounds."""
    if bounds is None:
        return np.empty(0), np.empty(0)
    try:
        if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
            lower, upper = (np.full(n, end, np.float64) for end in (bounds.lb, bounds.ub))
        else:
            pairs = [
                (-np.inf if low is None else low, np.inf if high is None else high)
                for low, high in bounds
            ]
            lower, upper = np.array(pairs, np.float64).reshape(n, 2).T.copy()
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"bounds is {bounds!r}; expected None, a scipy.optimize.Bounds, or a pair (low, high) "
            f"of numbers or None for each of the {n} variables"
        ) from None
    if not (lower <= upper).all():
        at = int(np.flatnonzero(~(lower <= upper))[0])
        raise ValueError(
            f"bounds has {lower[at]} and {upper[at]} for variable {at}; expected a lower bound "
            "that is at most the upper one"
        )
    return lower, upper


def _rates(
    lr: Any, done: int, n_steps: int, betas: tuple[float, float] | None, decay: float
) -> npt.NDArray[Any]:
    """(step size, bias correction, decay of the weights) of the next iterations."""
    if callable(lr):
        values = [lr(step) for step in range(done, done + n_steps)]
        sizes = np.array(values)
        if sizes.dtype.kind not in "biuf" or sizes.ndim != 1 or not sizes.min(initial=0) >= 0:
            sizes = np.array([number(value, f"lr({done + i})") for i, value in enumerate(values)])
    else:
        sizes = np.full(n_steps, lr)
    rates = np.ones((n_steps, 3))
    rates[:, 0], rates[:, 2] = sizes, sizes * decay
    if betas is not None:
        steps = np.arange(done + 1.0, done + n_steps + 1)
        rates[:, 0] /= 1.0 - betas[0] ** steps
        rates[:, 1] = 1.0 / np.sqrt(1.0 - betas[1] ** steps)
    return rates


class _Problems:
    """The state of all problems, a row each: what the compiled loop reads and writes."""

    def __init__(
        self, starts: npt.NDArray[Any], lower: npt.NDArray[Any], upper: npt.NDArray[Any]
    ) -> None:
        rows = np.atleast_2d(starts).astype(np.float64)
        batch, self.n = rows.shape
        self.lower, self.upper = lower, upper
        self.x = np.clip(rows, lower, upper) if lower.size else rows
        self.first, self.second = np.zeros((batch, self.n)), np.zeros((batch, self.n))
        self.values = np.empty(batch)
        self.n_iter = np.zeros(batch, np.int64)
        self.converged = np.zeros(batch, np.bool_)

    @property
    def n_items(self) -> int:
        return len(self.x)

    def context(self) -> tuple[Any, ...]:
        return self.n, self.x, self.first, self.second, self.values, self.n_iter, self.converged

    def box(self) -> tuple[Any, ...]:
        return self.lower, self.upper

    def points(self, item: int) -> npt.NDArray[Any]:
        """Where the problems of that item stand."""
        return self.x[item : item + 1].copy()

    def has_ended(self, done: int) -> bool:
        """Whether no problem goes on: converged, or stopped at a NaN."""
        return bool(np.all(self.converged | (self.n_iter < done)))

    def each(self) -> tuple[npt.NDArray[Any], ...]:
        """x, the objective there, n_iter, converged: one row or number per problem."""
        return self.x.copy(), self.values.copy(), self.n_iter.copy(), self.converged.copy()


def _aligned_zeros(n_rows: int, n_columns: int) -> npt.NDArray[Any]:
    """Float64 zeros that begin with a cache line."""
    room = np.zeros(n_rows * n_columns + WIDTH)
    first = -(room.ctypes.data // 8) % WIDTH
    return room[first : first + n_rows * n_columns].reshape(n_rows, n_columns)


class _PackedProblems(_Problems):
    """Eight problems a row, variable by variable; the last row is filled up with its last
    problem."""

    def __init__(
        self, starts: npt.NDArray[Any], lower: npt.NDArray[Any], upper: npt.NDArray[Any]
    ) -> None:
        super().__init__(starts, lower, upper)
        self.batch = len(self.x)
        n_blocks = -(-self.batch // WIDTH)
        filled = self.x[np.minimum(np.arange(n_blocks * WIDTH), self.batch - 1)]
        blocks = filled.reshape(n_blocks, WIDTH, self.n).swapaxes(1, 2)
        self.x, self.ended_x, self.first, self.second = (
            _aligned_zeros(n_blocks, self.n * WIDTH) for _ in range(4)
        )
        self.x.reshape(n_blocks, self.n, WIDTH)[:] = blocks
        self.values = np.empty((n_blocks, WIDTH))
        self.n_iter = np.zeros((n_blocks, WIDTH), np.int64)
        self.ended = np.zeros((n_blocks, WIDTH), np.bool_)
        self.converged = np.zeros((n_blocks, WIDTH), np.bool_)

    def context(self) -> tuple[Any, ...]:
        return (
            *(self.n, self.x, self.ended_x, self.first, self.second),
            *(self.values, self.n_iter, self.ended, self.converged),
        )

    def box(self) -> tuple[Any, ...]:
        return np.repeat(self.lower, WIDTH), np.repeat(self.upper, WIDTH)

    def points(self, item: int) -> npt.NDArray[Any]:
        return np.ascontiguousarray(self.x[item].reshape(self.n, WIDTH).T)

    def has_ended(self, done: int) -> bool:
        return bool(self.ended.all())

    def each(self) -> tuple[npt.NDArray[Any], ...]:
        x = self.ended_x.reshape(-1, self.n, WIDTH).swapaxes(1, 2).reshape(-1, self.n)
        parts = (x, self.values.ravel(), self.n_iter.ravel(), self.converged.ravel())
        return tuple(part[: self.batch].copy() for part in parts)


class _Descent:
    """Runs the iterations, in the fastest form that the caller's functions can be compiled to."""

    def __init__(
        self,
        fun: Callable[..., Any],
        grad: Callable[..., Any] | None,
        method: str,
        args: tuple[Any, ...],
        options: npt.NDArray[Any],
        tol: float,
        problems: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
    ) -> None:
        self.fun, self.grad, self.method = fun, grad, method
        self.plain = (returning(fun, "fun"), grad and returning(grad, "grad", 1))
        self.args = tuple(
            np.require(arg, arg.dtype.newbyteorder("="), ["A"])
            if isinstance(arg, np.ndarray)
            else arg
            for arg in args
        )
        self.options, self.tol = options, tol
        self.first_problems = problems
        self.problems: _Problems = _PackedProblems(*problems)
        # From the fastest form to the last resort: whether in packs, and the way to the gradient.
        self.forms = [(True, "given"), (False, "given")]
        if grad is None:
            dual = [(True, "dual"), (False, "dual")]
            # Backwards one costs about as much as three functions, by dual numbers 1 + n.
            reverse = [(True, "reverse")] if self.problems.n > 2 else []
            self.forms = [*reverse, *dual, (False, "difference")]
        self.is_python = False

    @property
    def way(self) -> str:
        """Backwards, too, the slope of each operation is that of dual numbers."""
        return self.forms[0][1].replace("reverse", "dual")

    def again(self, item: int) -> None:
        """Call in Python what failed, to raise the exception that it raised."""
        for point in self.problems.points(item):
            for function in filter(None, self.plain):
                function(point.copy(), *self.args)

    def run(self, rates: npt.NDArray[Any]) -> None:
        """The iterations of a table of rates."""
        from ._kernels.jit import functions

        while not self.is_python:
            try:
                make, constants, context = self.kernel(rates)
                functions.run(
                    make,
                    (self.fun, self.grad),
                    constants,
                    self.problems.n_items,
                    context,
                    self.again,
                )
                return
            except functions.NotCompilable as error:
                # Nothing has been computed yet: the next form begins at the start.
                if len(self.forms) > 1:
                    self.forms.pop(0)
                    make_problems = _PackedProblems if self.forms[0][0] else _Problems
                    self.problems = make_problems(*self.first_problems)
                else:
                    self.is_python = True
                    if self.problems.n_items:
                        self.again(0)  # an error of the caller's comes without the warning
                    functions.warn_python(self.fun, str(error), 3)
        make, constants, context = self.kernel(rates)
        functions.run_python(make, self.plain, constants, self.problems.n_items, context)

    def kernel(self, rates: npt.NDArray[Any]) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
        """The kernel of the first form that is left, its constants and its context."""
        from ._kernels.jit import descent
        from ._kernels.jit.derivatives import lanes_for
        from ._kernels.jit.trace import tape_of

        is_packed, way = self.forms[0]
        n = self.problems.n
        make = descent.make_packed_descent if is_packed else descent.make_descent
        lanes = min(n, descent.PACKED_LANES) if is_packed else lanes_for(n)
        if way == "reverse":
            lanes = tape_of(self.fun, n, self.args)
        context = (
            *self.problems.context(),
            *(rates, self.tol),
            *self.problems.box(),
            *(self.options, self.args),
        )
        return make, (way, lanes, descent.UPDATES[self.method]), context

    def result(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> DescentResult:
        x, values, n_iter, converged = self.problems.each()
        each = (values.astype(dtype), n_iter, converged)
        value, steps, success = (part.reshape(shape[:-1])[()] for part in each)
        return DescentResult(x.reshape(shape).astype(dtype), value, steps, success, self.way)
