"""Options that are numbers or switches: as what they have to be, or an error that names them."""

from __future__ import annotations

import operator
from functools import cache
from numbers import Real
from typing import Any

import numpy as np

# What an option is, by its name: an integer of at least this, a switch, or, as all others, a
# number of an interval, which is [0, inf] where it is not given here.
COUNTS = {"batch_size": 1, "callback_every": 1, "max_epochs": 1, "max_iter": 0}
SWITCHES = ("amsgrad", "centered", "decoupled_weight_decay", "maximize", "nesterov")
INTERVALS = {"alpha": "[0, 1]", "betas": "[0, 1)", "dampening": "[-inf, inf]"}


def checked(**options: Any) -> dict[str, Any]:
    """The options, each a float, an int, a bool or (betas) a pair of floats."""
    return {name: _checked(value, name) for name, value in options.items()}


def _checked(value: Any, name: str) -> Any:
    if name in COUNTS:
        return count(value, name, COUNTS[name])
    if name in SWITCHES:
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} is {value!r}; expected a bool")
        return bool(value)
    interval = INTERVALS.get(name, "[0, inf]")
    if name != "betas":
        return number(value, name, interval)
    try:
        first, second = value
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} is {value!r}; expected a pair of numbers") from None
    return number(first, f"{name}[0]", interval), number(second, f"{name}[1]", interval)


def number(value: Any, name: str, interval: str = "[0, inf]") -> float:
    if type(value) is not float and type(value) is not int:
        if hasattr(value, "__array__"):
            value = np.asarray(value)[()]
        if not isinstance(value, Real):
            raise TypeError(f"{name} is {value!r}; expected a number")
    real, (low, high) = float(value), _ends(interval)
    is_outside = (real == low and interval[0] == "(") or (real == high and interval[-1] == ")")
    if is_outside or not low <= real <= high:
        raise ValueError(f"{name} is {value!r}; expected a number in {interval}")
    return real


@cache
def _ends(interval: str) -> tuple[float, ...]:
    return tuple(map(float, interval[1:-1].split(",")))


def steps_or_auto(value: Any, name: str) -> int | None:
    """None for 'auto'."""
    if isinstance(value, str):
        if value == "auto":
            return None
        raise ValueError(f"{name} is {value!r}; expected an integer or 'auto'")
    return count(value, name, 0)


def count(
    value: Any, name: str, lowest: int = 1, highest: int | None = None, what: str = ""
) -> int:
    """`what` says behind the range where its end comes from."""
    try:
        if isinstance(value, bool):
            raise TypeError
        integer = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; expected an integer") from None
    if integer < lowest or (highest is not None and integer > highest):
        limit = f"an integer of at least {lowest}" if highest is None else f"{lowest} to {highest}"
        raise ValueError(f"{name} is {integer}; expected {limit}{what}")
    return integer
