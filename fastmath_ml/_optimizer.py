"""What the optimizers share: their arrays, the state that goes with them, one step."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, computing_dtype, ready
from ._kernels.optim import RULES, Stepper
from ._options import checked, number

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

    _fixed: ClassVar[dict[str, Any]] = {}  # options that no loaded state changes

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
        if foreach and fused:
            raise ValueError("foreach and fused are both True; expected one of them at most")
        options = _checked_options(options)
        self._is_single = isinstance(params, np.ndarray)
        self._rule = rule
        self._bind(_parameter_arrays(params))
        self._build(options, [(0, [])] * len(self._params))

    def _bind(self, params: list[Array]) -> None:
        """Take these as what is updated."""
        self._params = params
        self._work = [_work_array(param) for param in params]
        self._is_copy = [
            not np.may_share_memory(param, work)
            for param, work in zip(params, self._work, strict=True)
        ]
        self._is_transposed = [
            work is not param and not is_copy
            for param, work, is_copy in zip(params, self._work, self._is_copy, strict=True)
        ]

    def _build(self, options: dict[str, Any], entries: list[tuple[int, list[Array]]]) -> None:
        """A stepper with these options, from the steps and the states of each parameter; without
        states it begins anew."""
        start = options.get("initial_accumulator_value", 0)
        names = self._names(options)
        states = [[_state_array(work, start) for _ in names] for work in self._work]
        numbers = {**options, "rule": RULES[self._rule]}
        if self._rule == "rmsprop":
            numbers["betas"] = (0.0, options["alpha"])
        is_direct = all(work is param for work, param in zip(self._work, self._params, strict=True))
        stepper = Stepper(self._work, states, is_direct, numbers)
        for i, (n_steps, arrays) in enumerate(entries):
            stepper.set_steps(i, n_steps)
            for to, array in zip(states[i], arrays, strict=False):
                np.copyto(to, array.T if self._is_transposed[i] else array, casting="same_kind")
        self._options, self._stepper = options, stepper

    def _names(self, options: dict[str, Any]) -> list[str]:
        """The names of the states that the rule has with these options."""
        return [name for name, option in STATES[self._rule] if option is None or options[option]]

    @property
    def lr(self) -> float:
        """The learning rate of the steps to come."""
        return self._stepper.lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._stepper.lr = number(lr, "lr")

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
            raise ValueError(
                "a parameter has changed its size or layout, or is no longer writeable"
            )
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
        names = self._names(self._options)
        for i, (is_transposed, arrays) in enumerate(
            zip(self._is_transposed, self._stepper.states, strict=True)
        ):
            n_steps = self._stepper.get_steps(i)
            entry: dict[str, Any] = {} if self._rule == "sgd" else {"step": float(n_steps)}
            for name, array in zip(names, arrays, strict=True):
                entry[name] = np.array(array.T if is_transposed else array)
            if self._rule == "sgd" and n_steps == 0:
                entry = dict.fromkeys(names)
            state[i] = entry
        options = {**self._options, "lr": self.lr, "params": list(range(len(self._params)))}
        return {"state": state, "param_groups": [options]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` of the same kind of optimizer returned.

        Parameters
        ----------
        state_dict : dict
            Of an optimizer of the same class, of parameters of the same shapes in the same order;
            torch's, too, and what JSON makes of one (lists, and strings as keys). The options come
            with it: an `Adam` that loads the state of an `AdamW` decays as that did, while an
            `AdamW` stays one. A parameter without an entry has taken no step.

        Raises
        ------
        TypeError, ValueError
            It belongs to other parameters or another optimizer, lacks something, or has a value
            that is none; nothing is loaded then.
        """
        try:
            (group,) = state_dict["param_groups"]
            n_params = len(group["params"])
            options = {name: group[name] for name in self._options} | self._fixed
            entries = {int(key): dict(entry) for key, entry in state_dict["state"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"state_dict is not one of {type(self).__name__}, with one group of parameters "
                f"({type(error).__name__}: {error})"
            ) from None
        if n_params != len(self._params):
            raise ValueError(f"state_dict has {n_params} parameters; expected {len(self._params)}")
        if not entries.keys() <= set(range(n_params)):
            raise ValueError(
                f"state_dict['state'] has the keys {list(entries)}; expected 0 to {n_params - 1}"
            )
        options = _checked_options(options)
        self._build(options, [self._loaded(entries.get(i), i, options) for i in range(n_params)])

    def _loaded(
        self, entry: dict[str, Any] | None, i: int, options: dict[str, Any]
    ) -> tuple[int, list[Array]]:
        """The steps and the states of parameter i from its entry in a state_dict."""
        if not entry:
            return 0, []
        names, is_sgd = self._names(options), self._rule == "sgd"
        where, shape = f"state_dict['state'][{i}]", self._params[i].shape
        for name in names if is_sgd else ["step", *names]:
            if name not in entry:
                raise ValueError(f"{where} has no {name!r}")
        if is_sgd and all(entry[name] is None for name in names):
            return 0, []
        arrays = []
        for name in names:
            array = as_array(entry[name], f"{where}[{name!r}]")
            computing_dtype(array.dtype, f"{where}[{name!r}]")
            if array.shape != shape:
                raise ValueError(f"{where}[{name!r}] has shape {array.shape}; expected {shape}")
            arrays.append(array)
        if is_sgd:  # whether there is a buffer is all that counts
            return 1, arrays
        n_steps = number(entry["step"], f"{where}['step']", "[0, 1e15]")
        if n_steps % 1:
            raise ValueError(f"{where}['step'] is {n_steps}; expected a whole number")
        return int(n_steps), arrays

    def __getstate__(self) -> dict[str, Any]:
        """Of a pickle or a copy: without what points at the arrays."""
        pointers = ("_work", "_is_copy", "_is_transposed")
        kept = {name: value for name, value in self.__dict__.items() if name not in pointers}
        return {**kept, "_stepper": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind(self._params)
        self.load_state_dict(state["_stepper"])

    def __repr__(self) -> str:
        options = {**self._options, "lr": self.lr}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in options.items())})"


def _checked_options(options: dict[str, Any]) -> dict[str, Any]:
    options = checked(**options)
    if options.get("nesterov") and (options["momentum"] == 0 or options["dampening"] != 0):
        raise ValueError(
            f"nesterov is True with momentum {options['momentum']} and dampening "
            f"{options['dampening']}; expected a momentum above 0 and no dampening"
        )
    return options


def changeable(arrays: Any, name: str) -> list[Array]:
    """One array or an iterable of arrays that are to be changed in place."""
    if isinstance(arrays, np.ndarray):
        arrays = [arrays]
    elif not isinstance(arrays, Iterable) or isinstance(arrays, (str, bytes, dict)):
        raise TypeError(
            f"{name} is {type(arrays).__name__}; expected a numpy.ndarray or a list of them"
        )
    listed = list(arrays)
    for i, array in enumerate(listed):
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"{name}[{i}] is {type(array).__name__}; expected a numpy.ndarray")
        if array.dtype.kind in "biu":
            raise TypeError(f"{name}[{i}] has dtype {array.dtype}; expected a floating dtype")
        computing_dtype(array.dtype, f"{name}[{i}]")
        if not array.flags.writeable:
            raise ValueError(f"{name}[{i}] is read-only; expected a writeable array")
    return [array if type(array) is np.ndarray else array.view(np.ndarray) for array in listed]


def _parameter_arrays(params: Any) -> list[Array]:
    arrays = changeable(params, "params")
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
