"""Optimisers move as torch's do, to within what rounding can explain, and go on exactly where they stopped."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from running_error import Rounded
from safetensors.numpy import load_file, save_file

from layerdiff.handwritten.optimisers import OPTIMISERS, SGD, Adam, Specification, by_name, decay_of_weights
from layerdiff.handwritten.optimisers import optimiser as optimiser_module

STEPS = 20
SHAPES = {"conv.weight": (3, 2, 2, 2), "conv.bias": (3,), "fc.weight": (4, 5), "scale": ()}
DTYPES = [np.float32, np.float64]

GRID = [
    *(
        ("sgd", kwargs | decay)
        for decay in ({}, {"weight_decay": 0.1})
        for kwargs in (
            {"lr": 0.1},
            {"lr": 0.1, "momentum": 0.9},
            {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
            {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        )
    ),
    ("adagrad", {"lr": 0.1}),
    ("adagrad", {"lr": 0.1, "weight_decay": 0.1}),
    ("adagrad", {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    *(
        ("rmsprop", {"lr": 0.01, "alpha": 0.9} | decay | momentum | centered)
        for decay in ({}, {"weight_decay": 0.1})
        for momentum in ({}, {"momentum": 0.9})
        for centered in ({}, {"centered": True})
    ),
    ("rmsprop", {"eps": 1e-3}),
    ("adadelta", {}),
    ("adadelta", {"weight_decay": 0.1}),
    ("adadelta", {"lr": 0.5, "rho": 0.6, "eps": 1e-3}),
    *(
        (name, {"lr": 0.01} | decay | amsgrad)
        for name in ("adam", "adamw")
        for decay in ({}, {"weight_decay": 0.2})
        for amsgrad in ({}, {"amsgrad": True, "betas": (0.9, 0.8)})
    ),
    ("adam", {"betas": (0.4, 0.7), "eps": 1e-3}),
    ("adamw", {"betas": (0.4, 0.7), "eps": 1e-3, "weight_decay": 0.0}),
]


def named(case):
    """A readable id for a case of the grid."""
    name, kwargs = case
    return ",".join([name, *(f"{key}={value}" for key, value in kwargs.items())])


def draw(dtype, seed=0):
    """Parameters by name, and a list of gradients for each step, of a scale that changes from step to step."""
    generator = np.random.default_rng(seed)
    parameters = {name: np.array(generator.standard_normal(shape), dtype=dtype) for name, shape in SHAPES.items()}
    gradients = [
        [np.array(generator.standard_normal(shape) * 2.0 ** (-step % 3), dtype=dtype) for shape in SHAPES.values()]
        for step in range(STEPS)
    ]
    return parameters, gradients


def run_ours(name, kwargs, dtype, steps=STEPS):
    """Our optimiser after `steps`, with half the learning rate from the tenth on; its parameters are copies."""
    parameters, gradients = draw(dtype)
    optimiser = OPTIMISERS[name](parameters.items(), **kwargs)
    lr = optimiser.lr
    for step in range(steps):
        optimiser.lr = lr if step < 10 else lr / 2
        optimiser.step(gradients[step])
    return optimiser


def run_torch(name, kwargs, dtype):
    """Torch's parameters and buffers by name, after the same steps."""
    parameters, gradients = draw(dtype)
    tensors = {key: torch.from_numpy(array) for key, array in parameters.items()}
    decays = np.broadcast_to(kwargs.get("weight_decay", torch_default_decay(name)), len(tensors))
    groups = [
        {"params": [tensor], "weight_decay": float(d)} for tensor, d in zip(tensors.values(), decays, strict=True)
    ]
    rest = {key: value for key, value in kwargs.items() if key != "weight_decay"}
    optimiser = getattr(torch.optim, OPTIMISERS[name].__name__)(groups, foreach=False, **rest)
    for step in range(STEPS):
        for group, gradient in zip(optimiser.param_groups, gradients[step], strict=True):
            group["lr"] = group["lr"] / 2 if step == 10 else group["lr"]
            group["params"][0].grad = torch.from_numpy(gradient)
        optimiser.step()
    states = {key: optimiser.state[tensor] for key, tensor in tensors.items()}
    buffers = {
        key: {name: value.numpy() for name, value in state.items() if name != "step" and torch.is_tensor(value)}
        for key, state in states.items()
    }
    return {key: tensor.numpy() for key, tensor in tensors.items()}, buffers


def torch_default_decay(name):
    """What torch takes where no weight decay is given."""
    return 0.01 if name == "adamw" else 0


# Each rule once more, from its paper, on numbers that carry the bound. They take the state of the step before.


def mean(old, new, share):
    """`share*old + (1 - share)*new`, or `old + (1 - share)*(new - old)` as torch's lerp.

    The latter rounds the difference, which is at most |old| + |new|, its product with a rounded coefficient, and the
    sum; where `share` is below a half, torch goes from the other end. Either way each of the two terms bears one
    rounding more than in the former.
    """
    return (old * share).another_rounding() + (new * (1 - share)).another_rounding()


def sgd(p, g, s, t, lr, weight_decay=0, momentum=0, dampening=0, nesterov=False):
    """Sutskever et al. 2013, section 2, with torch's place for the learning rate."""
    g = g + p * weight_decay
    if momentum:
        s["momentum_buffer"] = g if t == 1 else s["momentum_buffer"] * momentum + g * (1 - dampening)
        g = g + s["momentum_buffer"] * momentum if nesterov else s["momentum_buffer"]
    return p - g * lr


def adagrad(p, g, s, t, lr, weight_decay=0, lr_decay=0, initial_accumulator_value=0, eps=1e-10):
    """Duchi et al. 2011, figure 1."""
    g = g + p * weight_decay
    s["sum"] = s.get("sum", p.filled(initial_accumulator_value)) + g * g
    return p - g * (lr / (1 + (t - 1) * lr_decay)) / (s["sum"].sqrt() + eps)


def rmsprop(p, g, s, t, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    """Tieleman & Hinton 2012; centred as Graves 2013, equations 38 to 41."""
    g = g + p * weight_decay
    zero = p.filled(0)
    variance = s["square_avg"] = s.get("square_avg", zero) * alpha + g * g * (1 - alpha)
    if centered:
        s["grad_avg"] = mean(s.get("grad_avg", zero), g, alpha)
        variance = variance - s["grad_avg"] * s["grad_avg"]
    step = g / (variance.sqrt() + eps)
    if momentum:
        step = s["momentum_buffer"] = s.get("momentum_buffer", zero) * momentum + step
    return p - step * lr


def adadelta(p, g, s, t, lr, rho=0.9, eps=1e-6, weight_decay=0):
    """Zeiler 2012, algorithm 1."""
    g = g + p * weight_decay
    zero = p.filled(0)
    s["square_avg"] = s.get("square_avg", zero) * rho + g * g * (1 - rho)
    delta = (s.get("acc_delta", zero) + eps).sqrt() / (s["square_avg"] + eps).sqrt() * g
    s["acc_delta"] = s.get("acc_delta", zero) * rho + delta * delta * (1 - rho)
    return p - delta * lr


def adam(p, g, s, t, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False):
    """Kingma & Ba 2014, algorithm 1; Reddi et al. 2018, algorithm 2."""
    g = g + p * weight_decay
    zero = p.filled(0)
    s["exp_avg"] = mean(s.get("exp_avg", zero), g, betas[0])
    square = s["exp_avg_sq"] = s.get("exp_avg_sq", zero) * betas[1] + g * g * (1 - betas[1])
    if amsgrad:
        square = s["max_exp_avg_sq"] = s.get("max_exp_avg_sq", zero).maximum(square)
    root = square.sqrt() / math.sqrt(1 - betas[1] ** t)
    return p - s["exp_avg"] * (lr / (1 - betas[0] ** t)) / (root + eps)


def adamw(p, g, s, t, lr, weight_decay=0.01, **kwargs):
    """Loshchilov & Hutter 2017, algorithm 2."""
    return adam(p * (1 - lr * weight_decay), g, s, t, lr, **kwargs)


RULES = {rule.__name__: rule for rule in (sgd, adagrad, rmsprop, adadelta, adam, adamw)}
"""By the names of our optimisers."""


def run_rule(name, kwargs, dtype):
    """What exact arithmetic gives for parameters and buffers, with the bound."""
    parameters, gradients = draw(dtype)
    p = {key: Rounded.exact(array) for key, array in parameters.items()}
    state = {key: {} for key in p}
    lr = kwargs.get("lr", {"rmsprop": 0.01, "adadelta": 1.0}.get(name, 1e-3))
    decays = np.broadcast_to(kwargs.get("weight_decay", torch_default_decay(name)), len(p))
    rest = {key: value for key, value in kwargs.items() if key not in {"lr", "weight_decay"}}
    for step in range(STEPS):
        rate = lr if step < 10 else lr / 2
        for key, g, decay in zip(p, gradients[step], decays, strict=True):
            p[key] = RULES[name](
                p[key], Rounded.exact(g), state[key], step + 1, rate, weight_decay=float(decay), **rest
            )
    return p, state


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", GRID, ids=named)
def test_twenty_steps_are_torchs(case, dtype, assert_within):
    """Parameters and buffers are the rule's to within its bound, and torch's to within twice that: each may be off."""
    name, kwargs = case
    ours, (parameters, buffers), (rule, state) = (run(name, kwargs, dtype) for run in (run_ours, run_torch, run_rule))
    for key, array in zip(ours.names, ours.parameters, strict=True):
        assert array.dtype == dtype
        assert_within(array, rule[key].value, rule[key].error)
        assert_within(array, parameters[key], 2 * rule[key].error)
        assert ours.state[key].keys() == buffers[key].keys() == state[key].keys()
        for buffer, held in ours.state[key].items():
            assert held.dtype == dtype
            assert_within(held, state[key][buffer].value, state[key][buffer].error)
            assert_within(held, buffers[key][buffer], 2 * state[key][buffer].error)


@pytest.mark.parametrize(
    ("case", "key"),
    [(case, key) for case in GRID for key in case[1] if case[1][key]],
    ids=lambda value: named(value) if isinstance(value, tuple) else value,
)
def test_every_hyperparameter_shows(case, key):
    """Left out on our side, each is missed by the comparison: beyond ten times the bound, even in float32."""
    name, kwargs = case
    changed = {name: value for name, value in kwargs.items() if name != key}
    if key == "momentum" and kwargs.get("nesterov"):
        changed["momentum"] = 0.5
    if key == "lr":
        changed["lr"] = kwargs["lr"] * 0.99
    if key == "alpha":
        changed["alpha"] = 0.91
    if name == "adamw" and key == "weight_decay":
        changed["weight_decay"] = 0.0
    ours, (parameters, _), (rule, _) = (
        run_ours(name, changed, np.float32),
        run_torch(name, kwargs, np.float32),
        run_rule(name, kwargs, np.float32),
    )
    assert any(
        (np.abs(array - parameters[key]) > 20 * rule[key].error).any()
        for key, array in zip(ours.names, ours.parameters, strict=True)
    )


@pytest.mark.parametrize("name", OPTIMISERS)
def test_each_parameter_has_its_own_decay(name, assert_within):
    """A weight decay for each parameter is torch's with a group for each."""
    kwargs = {"weight_decay": (0.1, 0.0, 0.2, 0.0)}
    ours, (parameters, _), (rule, _) = (
        run(name, {"lr": 0.1} | kwargs, np.float64) for run in (run_ours, run_torch, run_rule)
    )
    for key, array in zip(ours.names, ours.parameters, strict=True):
        assert_within(array, parameters[key], 2 * rule[key].error)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_defaults_are_torchs(name):
    """Whoever gives no hyperparameters gets torch's."""
    ours = OPTIMISERS[name]([np.ones(1)])
    theirs = getattr(torch.optim, type(ours).__name__)([torch.ones(1)]).defaults
    for key in ours.kinds:
        assert getattr(ours, key) == ((theirs[key],) if key == "weight_decay" else theirs[key])


def test_decay_of_weights_spares_biases_and_norms():
    """Only what has more than one axis decays, with names and without."""
    parameters, _ = draw(np.float32)
    assert decay_of_weights(list(parameters.items()), 0.1) == [0.1, 0, 0.1, 0]
    assert decay_of_weights(list(parameters.values()), 0.1) == [0.1, 0, 0.1, 0]


@pytest.mark.parametrize("case", GRID, ids=named)
def test_updates_are_in_place(case):
    """The very arrays move; a view sees it; gradients stay as they are, and no buffer is one of them."""
    name, kwargs = case
    parameters, gradients = draw(np.float32)
    views = {key: array[...] for key, array in parameters.items()}
    before = {key: array.copy() for key, array in parameters.items()}
    given = [gradient.copy() for gradient in gradients[0]]
    optimiser = OPTIMISERS[name](parameters.items(), **kwargs)
    optimiser.step(gradients[0])
    for key, array in zip(optimiser.names, optimiser.parameters, strict=True):
        assert array is parameters[key]
        assert (views[key] != before[key]).all()
    for gradient, copy in zip(gradients[0], given, strict=True):
        np.testing.assert_array_equal(gradient, copy)
    held = [array for state in optimiser.state.values() for array in state.values()]
    assert not any(np.shares_memory(*pair) for pair in itertools.product(held, [*gradients[0], *parameters.values()]))


@pytest.mark.parametrize("piece", [1, 5])
@pytest.mark.parametrize("case", GRID, ids=named)
def test_a_parameter_is_updated_in_pieces_of_any_size(case, piece, monkeypatch):
    """However many rows are updated at a time, parameters and buffers are the same to the bit."""
    name, kwargs = case
    whole = run_ours(name, kwargs, np.float32, steps=3)
    monkeypatch.setattr(optimiser_module, "_PIECE", piece)
    cut = run_ours(name, kwargs, np.float32, steps=3)
    for key, array in whole.state_dict().items():
        np.testing.assert_array_equal(cut.state_dict()[key], array)
    for ours, theirs in zip(cut.parameters, whole.parameters, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.float16, *DTYPES])
def test_a_learning_rate_of_numpy_widens_nothing(dtype):
    """A float64 number of NumPy's, as a schedule may give it, acts like a Python number."""
    results = []
    for number in (float, np.float64):
        optimiser = Adam([np.array([0.3, -2], dtype=dtype)], lr=number(0.01), eps=number(1e-4))
        optimiser.lr = number(0.1)
        optimiser.step([np.array([0.2, 3], dtype=dtype)])
        assert type(optimiser.lr) is float
        results.append(optimiser.parameters[0].tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", GRID, ids=named)
def test_resuming_is_exact(case, dtype, tmp_path):
    """Saved after seven steps in a file and loaded into a new optimiser, the rest goes as without, bit for bit."""
    name, kwargs = case
    whole = run_ours(name, kwargs, dtype)
    first = run_ours(name, kwargs, dtype, steps=7)
    state = first.state_dict()
    save_file({key: np.asarray(value) for key, value in state.items()}, tmp_path / "state.safetensors")
    _, gradients = draw(dtype)
    second = OPTIMISERS[name](
        zip(first.names, [array.copy() for array in first.parameters], strict=True), **kwargs | {"lr": 0.7}
    )
    second.load_state_dict(load_file(tmp_path / "state.safetensors"))
    lr = second.lr
    assert lr == first.lr
    for step in range(7, STEPS):
        second.lr = lr if step < 10 else lr / 2
        second.step(gradients[step])
    assert second.steps == whole.steps == STEPS
    for array, expected in zip(second.parameters, whole.parameters, strict=True):
        assert array.tobytes() == expected.tobytes()
    for key, entry in whole.state_dict().items():
        assert np.asarray(second.state_dict()[key]).tobytes() == np.asarray(entry).tobytes()


def test_a_state_is_a_snapshot():
    """Steps after `state_dict` leave it as it was, and steps after `load_state_dict` do, too."""
    optimiser = SGD([("w", np.ones(2))], momentum=0.5)
    optimiser.step([np.ones(2)])
    state = optimiser.state_dict()
    optimiser.step([np.ones(2)])
    assert (state["step"], state["w.momentum_buffer"].tolist()) == (1, [1, 1])
    optimiser.load_state_dict(state)
    optimiser.step([np.ones(2)])
    assert state["w.momentum_buffer"].tolist() == [1, 1]


@pytest.mark.parametrize("case", GRID, ids=named)
def test_every_case_can_be_written_as_text(case):
    """And what is built of the text is what is built of the numbers, in torch, too."""
    name, kwargs = case
    specification = by_name(str(Specification(name, tuple(kwargs.items()))))
    optimiser = specification.build([np.ones(2)])
    assert type(optimiser) is OPTIMISERS[name]
    expected = OPTIMISERS[name]([np.ones(2)], **kwargs).state_dict()
    assert {key: np.asarray(value).tolist() for key, value in optimiser.state_dict().items()} == {
        key: np.asarray(value).tolist() for key, value in expected.items()
    }
    getattr(torch.optim, type(optimiser).__name__)([torch.ones(1)], **dict(specification.values))
