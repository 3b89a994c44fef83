"""What the optimizers share: their arrays, the state that goes with them, one step."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype, ready
from ._kernels.optim import RULES, Stepper

Array = npt.NDArray[Any]

# The state of each rule in the kernel's order: torch's names, and the option that each needs.
STATES: dict[str, tuple[tuple[str, str | None], ...]] = {
    "sgd": (("momentum_buffer", "momentum"),),
    "rmsprop": (
        ("square_avg", None),
        ("grad_avg", "centered"),
        ("momentum_buffer", "momentum"),
    ),
    "adagrad": (("sum", None),),
    "adam": (("exp_avg", None), ("exp_avg_sq", None), ("max_exp_avg_sq", "amsgrad")),
}


class Optimizer:
    """In-place updates of one array or a list of arrays by one of the rules.

    `step` updates them. Arrays that the kernel takes as they are (contiguous, native float32 or
    float64) are updated where they are; the others through a copy that is filled before each step
    and written back after it.
    """

    def __init__(
        self,
        params: Array | Iterable[Array],
        rule: str,
        options: dict[str, Any],
        foreach: bool | None = None,
        fused: bool | None = None,
        *,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        if differentiable:
            raise ValueError("differentiable is True; expected False: steps are made in place")
        if capturable:
            raise ValueError("capturable is True; expected False: there is no graph to capture")
        for name, value in (("foreach", foreach), ("fused", fused)):
            if value is not None and not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{name} is {value!r}; expected None or a bool")
        self._is_single = isinstance(params, np.ndarray)
        self._params = _parameter_arrays(params)
        self._rule = rule
        self._work = [_work_array(param) for param in self._params]
        self._is_copy = [
            not np.may_share_memory(param, work)
            for param, work in zip(self._params, self._work, strict=True)
        ]
        self._is_transposed = [
            work is not param and not is_copy
            for param, work, is_copy in zip(self._params, self._work, self._is_copy, strict=True)
        ]
        self._build(options)

    def _build(self, options: dict[str, Any]) -> None:
        """A stepper with these options, and state as it is before the first step."""
        self._options = options
        self._state_names = [
            name for name, option in STATES[self._rule] if option is None or options[option]
        ]
        start = options.get("initial_accumulator_value", 0)
        states = [[_state_array(work, start) for _ in self._state_names] for work in self._work]
        numbers = {**options, "rule": RULES[self._rule]}
        if self._rule == "rmsprop":
            numbers["betas"] = (0.0, options["alpha"])
        is_direct = all(work is param for work, param in zip(self._work, self._params, strict=True))
        self._stepper = Stepper(self._work, states, is_direct, numbers)

    @property
    def lr(self) -> float:
        """The learning rate of the steps to come."""
        return self._stepper.lr

    @lr.setter
    def lr(self, lr: float) -> None:
        check_at_least(0, lr=lr)
        self._stepper.lr = lr

    def step(self, grads: Any) -> None:
        """Update the parameters by their gradients.

        Parameters
        ----------
        grads : array_like or sequence of array_like
            A gradient for each parameter, of its shape; None for a parameter that is to stay as it
            is and whose state is not to change. They are converted to the dtype that the parameter
            is computed in.

        Raises
        ------
        TypeError, ValueError
            A gradient is missing, has another shape or is not real; nothing is updated then.
        """
        if not self._stepper.step(grads):
            self._step_any(grads)

    def _step_any(self, grads: Any) -> None:
        """Gradients or parameters that the kernel does not take as they are."""
        if self._is_single and not (
            isinstance(grads, (list, tuple))
            and len(grads) == 1
            and (grads[0] is None or isinstance(grads[0], np.ndarray))
        ):
            grads = [grads]
        if isinstance(grads, np.ndarray) or not isinstance(grads, Iterable):
            raise TypeError(
                f"grads is {type(grads).__name__}; expected a list of {len(self._params)} arrays"
            )
        grads = list(grads)
        if len(grads) != len(self._params):
            raise ValueError(f"grads has {len(grads)} arrays; expected {len(self._params)}")
        arrays = [
            None if grad is None else _ready_gradient(grad, work, is_transposed, f"grads[{i}]")
            for i, (grad, work, is_transposed) in enumerate(
                zip(grads, self._work, self._is_transposed, strict=True)
            )
        ]
        copied = [
            (param, work)
            for param, work, is_copy in zip(self._params, self._work, self._is_copy, strict=True)
            if is_copy
        ]
        for param, work in copied:
            np.copyto(work, param)
        if not self._stepper.step(arrays, True):
            raise ValueError("a parameter has changed its layout or is no longer writeable")
        with np.errstate(over="ignore", invalid="ignore"):  # of what becomes float16 again
            for param, work in copied:
                np.copyto(param, work, casting="same_kind")

    def state_dict(self) -> dict[str, Any]:
        """A copy of the state and the options, in the structure that torch gives them.

        Returns
        -------
        dict
            ``{"state": {i: {name: array or number}}, "param_groups": [options]}``
        """
        state: dict[int, dict[str, Any]] = {}
        for i, (is_transposed, arrays) in enumerate(
            zip(self._is_transposed, self._stepper.states, strict=True)
        ):
            n_steps = self._stepper.get_steps(i)
            entry: dict[str, Any] = {} if self._rule == "sgd" else {"step": float(n_steps)}
            for name, array in zip(self._state_names, arrays, strict=True):
                entry[name] = np.array(array.T if is_transposed else array)
            if self._rule == "sgd" and n_steps == 0:
                entry = dict.fromkeys(self._state_names)
            state[i] = entry
        options = {**self._options, "lr": self.lr, "params": list(range(len(self._params)))}
        return {"state": state, "param_groups": [options]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` of the same kind of optimizer returned.

        Parameters
        ----------
        state_dict : dict
            Of an optimizer of the same class, of parameters of the same shapes in the same order.

        Raises
        ------
        ValueError
            It belongs to other parameters or another optimizer; nothing is loaded then.
        """
        try:
            (group,) = state_dict["param_groups"]
            states = state_dict["state"]
            n_params = len(group["params"])
            options = {name: group[name] for name in self._options}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"state_dict is not one of {type(self).__name__}, with one group of parameters "
                f"({type(error).__name__}: {error})"
            ) from None
        if n_params != len(self._params):
            raise ValueError(f"state_dict has {n_params} parameters; expected {len(self._params)}")
        names = [name for name, option in STATES[self._rule] if option is None or options[option]]
        for i, param in enumerate(self._params):
            for name in names:
                array = states.get(i, {}).get(name)
                if array is not None and np.shape(array) != param.shape:
                    raise ValueError(
                        f"state_dict['state'][{i}][{name!r}] has shape {np.shape(array)}; "
                        f"expected {param.shape}"
                    )
        self._build(options)
        for i, (is_transposed, arrays) in enumerate(
            zip(self._is_transposed, self._stepper.states, strict=True)
        ):
            entry = states.get(i, {})
            for name, to in zip(names, arrays, strict=True):
                if (array := entry.get(name)) is not None:
                    array = np.asarray(array)
                    np.copyto(to, array.T if is_transposed else array, casting="same_kind")
            n_steps = int(entry.get("step", 0))
            if self._rule == "sgd":  # whether there is a buffer is all that counts
                n_steps = int(entry.get("momentum_buffer") is not None)
            self._stepper.set_steps(i, n_steps)

    def __repr__(self) -> str:
        options = {**self._options, "lr": self.lr}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in options.items())})"


def check_at_least(lowest: float, **numbers: float) -> None:
    for name, value in numbers.items():
        if not value >= lowest:
            raise ValueError(f"{name} is {value!r}; expected a number of at least {lowest}")


def check_within(lowest: float, end: float, **numbers: float) -> None:
    for name, value in numbers.items():
        if not lowest <= value < end:
            raise ValueError(f"{name} is {value!r}; expected {lowest} <= {name} < {end}")


def _parameter_arrays(params: Any) -> list[Array]:
    if isinstance(params, np.ndarray):
        params = [params]
    if not isinstance(params, Iterable) or isinstance(params, (str, bytes, dict)):
        raise TypeError(
            f"params is {type(params).__name__}; expected a numpy.ndarray or a list of them"
        )
    arrays = []
    for i, param in enumerate(params):
        if not isinstance(param, np.ndarray) or isinstance(param, np.ma.MaskedArray):
            raise TypeError(f"params[{i}] is {type(param).__name__}; expected a numpy.ndarray")
        if param.dtype.kind in "biu":
            raise TypeError(f"params[{i}] has dtype {param.dtype}; expected a floating dtype")
        computing_dtype(param.dtype, f"params[{i}]")
        if not param.flags.writeable:
            raise ValueError(f"params[{i}] is read-only; expected a writeable array")
        arrays.append(param.view(np.ndarray) if type(param) is not np.ndarray else param)
    if not arrays:
        raise ValueError("params is empty; expected at least one array")
    _check_apart(arrays)
    return arrays


def _check_apart(arrays: Sequence[Array]) -> None:
    """No two arrays share memory, and no element of one comes twice: threads would race."""
    bounds = [np.lib.array_utils.byte_bounds(array) for array in arrays]
    order = sorted((i for i in range(len(arrays)) if arrays[i].size), key=bounds.__getitem__)
    for i, j in itertools.pairwise(order):
        if bounds[j][0] < bounds[i][1] and np.shares_memory(arrays[i], arrays[j]):
            raise ValueError(f"params[{i}] and params[{j}] share memory; expected arrays apart")
    for i, array in enumerate(arrays):
        if array.size and any(
            n > 1 and stride == 0 for n, stride in zip(array.shape, array.strides, strict=True)
        ):
            raise ValueError(
                f"params[{i}] is a broadcast array; expected one with all its elements"
            )


def _work_array(param: Array) -> Array:
    """param itself, its transpose, or an array to copy it to: as the kernel takes it."""
    dtype = computing_dtype(param.dtype, "params")
    if param.dtype == dtype and param.dtype.isnative and param.flags.aligned:
        if param.flags.c_contiguous:
            return param
        if param.flags.f_contiguous:
            return param.T
    return np.empty(param.shape, dtype)


def _state_array(work: Array, value: float) -> Array:
    """An array like `work`, filled, that lies to the cache lines as `work` does."""
    room = np.full(work.nbytes + 64, 0, np.uint8)
    offset = (work.__array_interface__["data"][0] - room.__array_interface__["data"][0]) % 64
    state = room[offset : offset + work.nbytes].view(work.dtype).reshape(work.shape)
    if value:
        state.fill(value)
    return state


def _ready_gradient(grad: Any, work: Array, is_transposed: bool, name: str) -> Array:
    array = as_array(grad, name)
    shape = work.shape[::-1] if is_transposed else work.shape
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
    computing_dtype(array.dtype, name)
    if is_transposed:
        array = array.T
    array = np.asarray(ready(array, work.dtype), order="C")
    return array.copy() if np.may_share_memory(array, work) else array
