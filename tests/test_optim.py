"""The optimizers against torch and against their formulas, and what must not change a step."""

import copy
import inspect
import json
import pickle

import numpy as np
import pytest
from helpers import LAYOUTS, OUT_LAYOUTS, assert_same_bits, assert_within, eps, layout, normal

import fastmath_ml as fm
from fastmath_ml import optim

# Options that take each rule through each of its branches.
OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "SGD Nesterov": ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "maximize": True}),
    "RMSprop": ("RMSprop", {"weight_decay": 0.1}),
    "RMSprop momentum": ("RMSprop", {"momentum": 0.5, "maximize": True}),
    "RMSprop centered": ("RMSprop", {"centered": True}),
    "RMSprop both": ("RMSprop", {"centered": True, "momentum": 0.9, "alpha": 0.7}),
    "Adagrad": ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1}),
    "Adagrad start": ("Adagrad", {"initial_accumulator_value": 0.5, "maximize": True}),
    "Adam": ("Adam", {"lr": 0.01}),
    "Adam decay": ("Adam", {"weight_decay": 0.1, "betas": (0.5, 0.7), "maximize": True}),
    "Adam amsgrad": ("Adam", {"amsgrad": True, "betas": (0.8, 0.9)}),
    "Adam decoupled": ("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    "AdamW": ("AdamW", {"lr": 0.02, "weight_decay": 0.3}),
}
SHAPES = [(1,), (3,), (17,), (5, 7), (64,), (4095,), (4097,), (130, 70)]


def make(name, params, module=optim):
    cls, options = OPTIMIZERS[name]
    return getattr(module, cls)(params, **options)


def run(optimizer, gradients):
    for grads in gradients:
        optimizer.step(grads)


# ---- the numbers ----


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reference(name, dtype, rng):
    """A list of shapes around vectors and blocks, for some steps."""
    params = [normal(rng, shape, dtype) for shape in SHAPES]
    exact = [p.astype(np.float64) for p in params]
    gradients = [[normal(rng, shape, dtype) for shape in SHAPES] for _ in range(5)]
    run(make(name, params), gradients)
    run(make(name, exact, fm.reference), gradients)
    # Each step adds a few roundings, those of the state are magnified by at most the gradient's
    # share of it; without centring nothing cancels.
    scale = 2000 if "entered" in name or "both" in name else 100
    for p, e in zip(params, exact, strict=True):
        assert_within(p, e, scale * eps(dtype) * (1 + abs(e)), dtype)


def random_options(rng):
    """One of the optimizers and options for it, each of them given half of the time."""
    choices = {
        "SGD": {
            "momentum": rng.uniform(0, 0.99),
            "dampening": rng.uniform(0, 0.9),
            "weight_decay": rng.uniform(0, 0.3),
            "nesterov": True,
        },
        "RMSprop": {
            "alpha": rng.uniform(0.5, 0.999),
            "eps": 10 ** rng.uniform(-9, -3),
            "weight_decay": rng.uniform(0, 0.3),
            "momentum": rng.uniform(0, 0.95),
            "centered": True,
        },
        "Adagrad": {
            "lr_decay": rng.uniform(0, 0.5),
            "weight_decay": rng.uniform(0, 0.3),
            "initial_accumulator_value": rng.uniform(0, 2),
            "eps": 10 ** rng.uniform(-11, -3),
        },
        "Adam": {
            "betas": (rng.uniform(0, 0.99), rng.uniform(0.1, 0.9999)),
            "eps": 10 ** rng.uniform(-9, -3),
            "weight_decay": rng.uniform(0, 0.3),
            "amsgrad": True,
            "decoupled_weight_decay": True,
        },
    }
    choices["AdamW"] = {k: v for k, v in choices["Adam"].items() if k[:9] != "decoupled"}
    name = rng.choice(list(choices))
    options = {k: v for k, v in choices[name].items() if rng.random() < 0.5}
    options |= {"lr": 10 ** rng.uniform(-4, -1), "maximize": bool(rng.random() < 0.3)}
    if "nesterov" in options:
        options["momentum"] = choices["SGD"]["momentum"]
        options.pop("dampening", None)
    return name, options


@pytest.mark.parametrize("seed", range(200))
def test_torch_parity(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    name, options = random_options(rng)
    shapes = [(7,), (3, 5)]
    params = [rng.standard_normal(shape) for shape in shapes]
    theirs = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in params]
    optimizer = getattr(optim, name)(params, **options)
    other = getattr(torch.optim, name)(theirs, **options)
    for _ in range(20):
        grads = [rng.standard_normal(shape) for shape in shapes]
        for tensor, grad in zip(theirs, grads, strict=True):
            tensor.grad = torch.from_numpy(grad)
        optimizer.step(grads)
        other.step()
    for ours, tensor in zip(params, theirs, strict=True):
        expected = tensor.detach().numpy()
        assert_within(ours, expected, 1e-12 * (abs(expected) + abs(expected).max()))
    state = optimizer.state_dict()["state"]
    for i, entry in other.state_dict()["state"].items():
        assert set(entry) == set(state[i])
        for key, value in entry.items():
            np.testing.assert_allclose(state[i][key], np.asarray(value), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW"])
def test_signature_is_torchs(name):
    torch = pytest.importorskip("torch")
    ours = inspect.signature(getattr(optim, name)).parameters
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    assert list(ours) == list(theirs)
    for key, parameter in ours.items():
        assert (parameter.default, parameter.kind) == (theirs[key].default, theirs[key].kind)


# ---- what must not change a step ----


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_threads_and_lists(name, dtype, rng):
    """One array or cut into a list, on any number of threads: the same bits."""
    n = 300_001
    start, gradients = normal(rng, n, dtype), [normal(rng, n, dtype) for _ in range(3)]
    results = []
    for n_threads in (1, 2, 3, 7):
        with fm.num_threads(n_threads):
            params = start.copy()
            run(make(name, params), gradients)
            results.append(params)
    params = start.copy()
    cuts = [0, 0, 5, 4096, 4097, 100_000, n]
    run(make(name, np.split(params, cuts)), [np.split(g, cuts) for g in gradients])
    for result in (*results[1:], params):
        assert_same_bits(result, results[0])


@pytest.mark.parametrize("name", ["SGD momentum", "RMSprop both", "Adagrad", "Adam amsgrad"])
@pytest.mark.parametrize("param_layout", OUT_LAYOUTS)
def test_layouts(name, param_layout, dtype, rng):
    """Parameters and gradients in any layout are updated in place as plain ones are."""
    start = normal(rng, (9, 9), dtype)
    for grad_layout in LAYOUTS if param_layout in ("C", "Fortran") else ["C", "Fortran"]:
        gradients = [normal(rng, (9, 9), dtype) for _ in range(3)]
        expected, param = start.copy(), layout(start, param_layout)
        run(make(name, expected), gradients)
        optimizer = make(name, [param])
        run(optimizer, [[layout(g, grad_layout)] for g in gradients])
        assert_same_bits(param, expected)
        again = make(name, param)
        again.load_state_dict(optimizer.state_dict())
        assert_same_bits(
            again.state_dict()["state"][0].popitem()[1],
            optimizer.state_dict()["state"][0].popitem()[1],
        )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float16_has_float32_state(name, rng):
    start = normal(rng, (33,), np.float16)
    gradients = [normal(rng, (33,), np.float16) for _ in range(4)]
    half, single = start.copy(), start.astype(np.float32)
    optimizer, other = make(name, half), make(name, single)
    for grads in gradients:
        single[...] = half  # the parameter is rounded after each step, the state is not
        optimizer.step(grads)
        other.step(grads.astype(np.float32))
    assert_same_bits(half, single.astype(np.float16))
    for a, b in zip(
        optimizer.state_dict()["state"][0].items(),
        other.state_dict()["state"][0].items(),
        strict=True,
    ):
        assert np.array_equal(a[1], b[1])
        assert a[0] == "step" or a[1].dtype == np.float32


def test_mixed_dtypes_in_a_list(rng):
    params = [normal(rng, (50,), dtype) for dtype in ("f4", "f8", "f2")]
    expected = [p.copy() for p in params]
    grads = [normal(rng, (50,), "f8") for _ in params]
    optim.Adam(params).step(grads)
    for p, e, g in zip(params, expected, grads, strict=True):
        optim.Adam(e).step(g)
        assert_same_bits(p, e)


def test_gradient_that_is_or_overlaps_the_parameter(dtype, rng):
    x = normal(rng, 1000, dtype)
    expected = x.copy()
    optim.SGD(expected, lr=0.5).step(expected.copy())
    optim.SGD(x, lr=0.5).step(x)
    assert_same_bits(x, expected)
    memory = normal(rng, 1100, dtype)
    param, grad = memory[:1000], memory[100:]
    expected = param.copy()
    optim.Adam(expected).step(grad.copy())
    optim.Adam(param).step(grad)
    assert_same_bits(param, expected)


def test_scalars_and_array_likes():
    x = np.array(2.0)
    optim.SGD(x, lr=0.5).step(3)
    assert x == 0.5
    y = np.array([1.0, 2.0])
    optim.SGD(y, lr=0.5).step([2, 4])
    optim.SGD([y], lr=0.5).step([[2, 4]])
    optim.SGD(y, lr=0.5).step([np.array([2.0, 4.0])])
    assert_same_bits(y, np.array([-2.0, -4.0]))
    optim.Adam(np.zeros((0, 3))).step(np.zeros((0, 3)))


def test_missing_gradients_leave_parameter_and_state(rng):
    params = [normal(rng, 20, "f8") for _ in range(2)]
    expected = [p.copy() for p in params]
    grads = [normal(rng, 20, "f8") for _ in range(3)]
    optimizer = optim.Adam(params)
    run(optimizer, [[grads[0], None], [grads[1], grads[2]], [None, None]])
    run(optim.Adam(expected[0]), grads[:2])
    run(optim.Adam(expected[1]), grads[2:])
    for p, e in zip(params, expected, strict=True):
        assert_same_bits(p, e)
    assert [optimizer.state_dict()["state"][i]["step"] for i in range(2)] == [2, 1]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hostile_gradients_stay_in_their_element(name, dtype):
    hostile = [np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(dtype).max, np.finfo(dtype).tiny]
    gradient = np.ones(40, dtype)
    gradient[3 : 3 + len(hostile)] = hostile
    params, plain = np.ones(40, dtype), np.ones(40, dtype)
    optimizer, other = make(name, params), make(name, plain)
    for _ in range(2):
        optimizer.step(gradient)
        other.step(np.ones(40, dtype))
    assert np.isnan(params[3])
    assert_same_bits(np.delete(params, range(3, 10)), np.delete(plain, range(3, 10)))


def test_infinite_parameter_without_decay_is_no_nan(dtype):
    for name in ("SGD", "Adam", "RMSprop", "Adagrad"):
        x = np.array([np.inf, 1.0], dtype)
        getattr(optim, name)(x).step(np.ones(2, dtype))
        assert x[0] == np.inf


# ---- state and learning rate ----


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_round_trip(name, dtype, rng):
    start, gradients = normal(rng, (6, 5), dtype), [normal(rng, (6, 5), dtype) for _ in range(6)]
    whole, halves = start.copy(), start.copy()
    run(make(name, whole), gradients)
    first = make(name, halves)
    run(first, gradients[:3])
    saved = first.state_dict()
    run(first, gradients[3:4])  # the saved state is a copy
    halves[...] = start
    run(make(name, halves), gradients[:3])
    cls, options = OPTIMIZERS[name]
    second = getattr(optim, cls)(halves)  # the options come with the state
    second.load_state_dict(saved)
    run(second, gradients[3:])
    assert_same_bits(halves, whole)
    assert all(second.state_dict()["param_groups"][0][key] == options[key] for key in options)


def test_state_before_the_first_step(rng):
    for name in OPTIMIZERS:
        x, y = np.ones(3), np.ones(3)
        one, two = make(name, x), make(name, y)
        two.load_state_dict(one.state_dict())
        one.step(np.arange(3.0))
        two.step(np.arange(3.0))
        assert_same_bits(x, y)


def test_learning_rate_can_be_set(dtype):
    x = np.zeros(3, dtype)
    optimizer = optim.SGD(x, lr=1.0)
    optimizer.lr = 0.25
    optimizer.step(np.ones(3, dtype))
    assert optimizer.lr == 0.25
    assert_same_bits(x, np.full(3, -0.25, dtype))
    with pytest.raises(ValueError, match="lr is -1"):
        optimizer.lr = -1
    assert "lr=0.25" in repr(optimizer)


def test_state_of_others_is_refused():
    optimizer = optim.Adam(np.zeros(3))
    before = optimizer.state_dict()
    bad = [
        {},
        {"state": {}, "param_groups": []},
        optim.SGD(np.zeros(3)).state_dict(),
        optim.Adam([np.zeros(3), np.zeros(3)]).state_dict(),
        optim.Adam(np.zeros(4)).state_dict(),
    ]
    for state in bad:
        with pytest.raises(ValueError, match="state_dict"):
            optimizer.load_state_dict(state)
    assert optimizer.state_dict()["param_groups"] == before["param_groups"]


def after_steps(name, dtype, rng, n_steps=3):
    params = [normal(rng, (4, 3), dtype), normal(rng, (5,), dtype)]
    optimizer = make(name, params)
    run(optimizer, [[normal(rng, p.shape, dtype) for p in params] for _ in range(n_steps)])
    return params, optimizer


def step_alike(one, two, rng):
    """Both (params, optimizer) take the same steps; whether to the same bits."""
    for _ in range(2):
        grads = [normal(rng, p.shape, p.dtype) for p in one[0]]
        one[1].step(grads)
        two[1].step(grads)
    for ours, theirs in zip(one[0], two[0], strict=True):
        assert_same_bits(ours, theirs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_through_json(name, dtype, rng):
    params, optimizer = after_steps(name, dtype, rng)
    text = json.dumps(optimizer.state_dict(), default=np.ndarray.tolist)
    others = [p.copy() for p in params]
    second = make(name, others)
    second.load_state_dict(json.loads(text))
    step_alike((params, optimizer), (others, second), rng)


@pytest.mark.parametrize(
    "name", ["SGD momentum", "RMSprop both", "Adagrad", "Adam amsgrad", "AdamW"]
)
def test_state_of_torch(name, rng):
    torch = pytest.importorskip("torch")
    cls, options = OPTIMIZERS[name]
    tensor = torch.nn.Parameter(torch.ones(3))
    theirs = getattr(torch.optim, cls)([tensor], **options)
    x = np.ones(3, np.float32)
    for n_steps in (0, 3):
        for _ in range(n_steps):
            tensor.grad = torch.arange(3.0)
            theirs.step()
        np.copyto(x, tensor.detach().numpy())
        ours = getattr(optim, cls)(x)
        ours.load_state_dict(theirs.state_dict())
        tensor.grad = torch.ones(3)
        theirs.step()
        ours.step(np.ones(3, np.float32))
        np.testing.assert_allclose(x, tensor.detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["state"][1].pop("exp_avg_sq"), r"\[1\] has no 'exp_avg_sq'"),
        (lambda s: s["state"][0].pop("step"), r"\[0\] has no 'step'"),
        (lambda s: s["state"].update({"a": {}}), "invalid literal"),
        (lambda s: s["state"].update({2: {}}), r"keys \[0, 1, 2\]; expected 0 to 1"),
        (lambda s: s["state"].update({0: 3}), "state_dict is not one of Adam"),
        (lambda s: s.update(state=None), "state_dict is not one of Adam"),
        (lambda s: s["state"][0].update(step=-3), r"\['step'\] is -3; expected a number in"),
        (lambda s: s["state"][0].update(step=2.5), r"\['step'\] is 2.5; expected a whole number"),
        (lambda s: s["state"][0].update(step="a"), r"\['step'\] is 'a'; expected a number"),
        (lambda s: s["state"][0].update(exp_avg=np.zeros((4, 3), complex)), "dtype complex128"),
        (lambda s: s["state"][0].update(exp_avg=None), r"\['exp_avg'\] has dtype object"),
        (lambda s: s["state"][1].update(exp_avg=np.zeros(3)), r"\['exp_avg'\] has shape \(3,\)"),
        (lambda s: s["param_groups"][0].update(lr=-5), "lr is -5"),
        (lambda s: s["param_groups"][0].update(betas=3), "betas is 3; expected a pair"),
        (lambda s: s["param_groups"][0].update(betas=[0.9]), r"betas is \[0.9\]; expected a pair"),
        (lambda s: s["param_groups"][0].update(amsgrad="yes"), "amsgrad is 'yes'; expected a bool"),
    ],
)
def test_state_that_is_refused_changes_nothing(change, message, rng):
    params, optimizer = after_steps("Adam", np.float64, rng)
    others, twin = copy.deepcopy((params, optimizer))
    state = optimizer.state_dict()
    change(state)
    with pytest.raises((TypeError, ValueError), match=message):
        optimizer.load_state_dict(state)
    with pytest.raises(ValueError, match="state_dict is not one of Adam"):
        optimizer.load_state_dict(None)
    step_alike((params, optimizer), (others, twin), rng)


def test_missing_momentum_is_an_error(rng):
    _, optimizer = after_steps("SGD momentum", np.float64, rng)
    state = optimizer.state_dict()
    state["state"][0] = {"momentum": state["state"][0]["momentum_buffer"]}
    with pytest.raises(ValueError, match="has no 'momentum_buffer'"):
        optimizer.load_state_dict(state)


def test_adam_and_adamw_load_each_other_as_torchs_do():
    adam, adamw = optim.Adam(np.zeros(3)), optim.AdamW(np.zeros(3))
    states = adam.state_dict(), adamw.state_dict()
    adamw.load_state_dict(states[0])
    adam.load_state_dict(states[1])
    for optimizer in (adam, adamw):
        assert optimizer.state_dict()["param_groups"][0]["decoupled_weight_decay"] is True


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_with_arrays_of_their_own(name, copied, dtype, rng):
    params, optimizer = after_steps(name, dtype, rng)
    optimizer.lr = 0.125
    others, twin = copied((params, optimizer))
    step_alike((params, optimizer), (others, twin), rng)
    assert type(twin) is type(optimizer)
    assert twin.lr == 0.125
    assert not any(np.may_share_memory(p, q) for p, q in zip(params, others, strict=True))


def test_a_shallow_copy_has_its_own_state(rng):
    x = np.zeros(3)
    first = optim.Adam(x)
    first.step(np.ones(3))
    second = copy.copy(first)
    second.step(np.ones(3))
    assert (x < -1.5e-3).all()
    assert [int(o.state_dict()["state"][0]["step"]) for o in (first, second)] == [1, 2]


@pytest.mark.parametrize("layout_name", OUT_LAYOUTS)
def test_copies_of_any_layout(layout_name, rng):
    x = layout(normal(rng, (6, 5), np.float32), layout_name)
    first = optim.Adam(x, lr=0.1)
    first.step(np.ones((6, 5)))
    y, second = pickle.loads(pickle.dumps((x, first)))
    first.step(np.ones((6, 5)))
    second.step(np.ones((6, 5)))
    assert_same_bits(np.ascontiguousarray(x), np.ascontiguousarray(y))


# ---- errors ----


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "params is empty"),
        (3.0, TypeError, "params is float"),
        ([[1.0]], TypeError, r"params\[0\] is list"),
        ({"params": []}, TypeError, "params is dict"),
        (np.ma.array([1.0]), TypeError, r"params\[0\] is MaskedArray"),
        (np.zeros(3, int), TypeError, "dtype int64"),
        (np.zeros(3, complex), TypeError, "dtype complex128"),
        (np.zeros(3, object), TypeError, "dtype object"),
        (layout(np.zeros(3), "read-only"), ValueError, "read-only"),
        (np.broadcast_to(np.zeros(1), (3,)), ValueError, "read-only"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        optim.Adam(params)


def test_parameters_that_share_memory():
    x = np.zeros(10)
    for params in ([x, x], [x, np.zeros(3), x[9:]], [x[5:], x[:6]]):
        with pytest.raises(ValueError, match="share memory"):
            optim.SGD(params)
    optim.SGD([x[::2], x[1::2]]).step([np.ones(5), np.ones(5)])
    assert (x == -1e-3).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", {"lr": -1}, "lr is -1"),
        ("SGD", {"lr": np.nan}, "lr is nan"),
        ("SGD", {"momentum": -1}, "momentum"),
        ("SGD", {"weight_decay": -1}, "weight_decay"),
        ("SGD", {"nesterov": True}, "nesterov"),
        ("SGD", {"nesterov": True, "momentum": 0.5, "dampening": 0.1}, "nesterov"),
        ("RMSprop", {"alpha": -1}, "alpha"),
        ("RMSprop", {"alpha": 2}, r"alpha is 2; expected a number in \[0, 1\]"),
        ("RMSprop", {"capturable": True}, "capturable"),
        ("Adagrad", {"lr_decay": -1}, "lr_decay"),
        ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value"),
        ("Adam", {"betas": (1.0, 0.5)}, r"betas\[0\]"),
        ("Adam", {"betas": (0.5, -0.1)}, r"betas\[1\]"),
        ("Adam", {"eps": -1}, "eps"),
        ("AdamW", {"differentiable": True}, "differentiable"),
        ("SGD", {"lr": "a"}, "lr is 'a'; expected a number"),
        ("SGD", {"lr": None}, "lr is None; expected a number"),
        ("SGD", {"momentum": 1j}, "momentum is 1j; expected a number"),
        ("SGD", {"dampening": np.nan}, "dampening is nan"),
        ("SGD", {"nesterov": "yes"}, "nesterov is 'yes'; expected a bool"),
        ("SGD", {"maximize": 1}, "maximize is 1; expected a bool"),
        ("RMSprop", {"eps": np.zeros(1)}, r"eps is array\(\[0.\]\); expected a number"),
        ("Adam", {"betas": None}, "betas is None; expected a pair"),
        ("Adam", {"betas": (0.9,)}, r"betas is \(0.9,\); expected a pair"),
        ("Adam", {"betas": ("a", 0.9)}, r"betas\[0\] is 'a'; expected a number"),
        ("AdamW", {"amsgrad": "yes"}, "amsgrad is 'yes'; expected a bool"),
    ],
)
def test_bad_options(name, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(optim, name)(np.zeros(3), **options)


def test_numbers_of_any_real_type():
    for lr in (1, True, np.float32(0.5), np.int8(1), np.array(0.25)):
        assert optim.SGD(np.zeros(3), lr=lr).lr == float(lr)
    assert optim.Adam(np.zeros(3), betas=np.array([0.5, 0.75])).state_dict()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optim.clip_grad_norm(np.ones(3), "a"), "max_norm is 'a'; expected a number"),
        (lambda: optim.clip_grad_norm(np.ones(3), np.nan), "max_norm is nan"),
        (lambda: optim.clip_grad_norm(np.ones(3), 1.0, "a"), "norm_type is 'a'"),
        (lambda: optim.clip_grad_norm(None, 1.0), "grads is NoneType; expected"),
        (lambda: optim.clip_grad_norm([np.ones(3), 1.0], 1.0), r"grads\[1\] is float"),
        (lambda: optim.cosine_schedule("a", 0.1, 4), "step has dtype <U1"),
        (lambda: optim.cosine_schedule(0, "a", 4), "lr is 'a'"),
        (lambda: optim.cosine_schedule(0, 0.1, "a"), "n_steps is 'a'"),
        (lambda: optim.cosine_schedule(0, 0.1, 0), "n_steps is 0"),
        (lambda: optim.cosine_schedule(0, 0.1, 4, lr_min="a"), "lr_min is 'a'"),
        (lambda: optim.step_schedule("a", 0.1, 4), "step has dtype <U1"),
        (lambda: optim.step_schedule(0, "a", 4), "lr is 'a'"),
        (lambda: optim.step_schedule(0, 0.1, "a"), "step_size is 'a'"),
        (lambda: optim.step_schedule(0, 0.1, 4, gamma="a"), "gamma is 'a'"),
        (lambda: optim.warmup_schedule("a", 0.1, 4), "step has dtype <U1"),
        (lambda: optim.warmup_schedule(0, "a", 4), "lr has dtype <U1"),
        (lambda: optim.warmup_schedule(0, 0.1, "a"), "n_warmup is 'a'"),
        (lambda: optim.warmup_schedule(0, 0.1, -1), "n_warmup is -1"),
    ],
)
def test_bad_options_of_clipping_and_schedules(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_clipping_by_the_largest_magnitude():
    for norm_type in ("inf", np.inf):  # torch takes the word as well
        grads = np.array([3.0, -4.0])
        assert optim.clip_grad_norm(grads, 1.0, norm_type) == 4.0
        np.testing.assert_allclose(grads, [0.75, -1.0], rtol=1e-6)


def test_options_of_torch_that_mean_nothing_here():
    for options in ({"foreach": True}, {"fused": True}, {"foreach": False, "fused": False}):
        optim.Adam(np.zeros(3), **options, capturable=False, differentiable=False)
    with pytest.raises(TypeError, match="foreach is 'yes'"):
        optim.Adam(np.zeros(3), foreach="yes")


def test_bad_gradients_change_nothing():
    x = np.zeros((2, 3))
    optimizer = optim.Adam([x, np.zeros(2)])
    for grads, error, message in [
        ([np.ones((2, 3))], ValueError, "grads has 1 arrays; expected 2"),
        ([np.ones((3, 2)), np.ones(2)], ValueError, r"grads\[0\] has shape \(3, 2\)"),
        ([np.ones((2, 3)), np.ones(3)], ValueError, r"grads\[1\] has shape"),
        ([np.ones((2, 3)), np.ones(2, complex)], TypeError, r"grads\[1\] has dtype complex"),
        ([np.ma.ones((2, 3)), np.ones(2)], TypeError, "masked"),
        (np.ones((2, 3)), TypeError, "expected a list of 2"),
        (None, TypeError, "grads is NoneType"),
    ]:
        with pytest.raises(error, match=message):
            optimizer.step(grads)
    assert not x.any()
    assert optimizer.state_dict()["state"][0]["step"] == 0


def test_a_parameter_that_was_resized():
    """The states have its old size: nothing may be written behind them."""
    parameter = np.zeros(4)
    optimizer = fm.optim.SGD([parameter], lr=0.1, momentum=0.9)
    optimizer.step([np.ones(4)])
    parameter.resize(64, refcheck=False)
    with pytest.raises(ValueError, match="size"):
        optimizer.step([np.ones(64)])


def test_clipping_passes_over_missing_gradients():
    gradient = np.full(4, 2.0)
    assert fm.optim.clip_grad_norm([None, gradient], 1.0) == 4.0
    np.testing.assert_allclose(gradient, 0.5, rtol=1e-6)
    assert fm.optim.clip_grad_norm([None], 1.0) == 0.0


def test_schedules_refuse_steps_before_the_first():
    optim = fm.optim
    for schedule in (optim.cosine_schedule, optim.step_schedule, optim.warmup_schedule):
        with pytest.raises(ValueError, match="step"):
            schedule(-1, 0.1, 5)


def test_foreach_and_fused_exclude_each_other():
    with pytest.raises(ValueError, match="foreach and fused"):
        fm.optim.Adam([np.zeros(3)], foreach=True, fused=True)
