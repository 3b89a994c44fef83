"""`warmup`: pay for Numba's import and first compilation before the first real call."""

from __future__ import annotations

from collections.abc import Callable


def _calculus() -> None:
    from . import calculus

    def parabola(z):  # type: ignore[no-untyped-def]
        return z * z

    def bowl(x):  # type: ignore[no-untyped-def]
        return x[0] * x[0]

    calculus.derivative(parabola, 1.0)
    calculus.hessian(bowl, [1.0])
    calculus.newton(parabola, 1.0)
    calculus.integrate(parabola, 0.0, 1.0)


def _optim() -> None:
    from .optim import gradient_descent

    def bowl(x):  # type: ignore[no-untyped-def]
        return x[0] * x[0]

    for method in ("adam", "sgd"):
        gradient_descent(bowl, [1.0], method=method, max_iter=1)


WARM_UPS: dict[str, Callable[[], None]] = {"calculus": _calculus, "optim": _optim}


def warmup(*names: str) -> None:
    """Compile ahead what calls with the caller's own functions need.

    Numba is imported and its machinery runs once for each family, which takes some seconds in all;
    the caller's functions are still compiled at their first use, in some tenths of a second each.

    Parameters
    ----------
    *names : str
        The modules to prepare: 'calculus', 'optim'; all of them without names.

    Raises
    ------
    ValueError
        There is no such name.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> fm.warmup("calculus")
    """
    for name in names:
        if not isinstance(name, str) or name not in WARM_UPS:
            raise ValueError(f"names has {name!r}; expected any of {', '.join(WARM_UPS)}")
    for name in names or WARM_UPS:
        WARM_UPS[name]()
