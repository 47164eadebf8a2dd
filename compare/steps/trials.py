"""What a training step of somebody's own may do otherwise, each as an optimiser that can be run in its place.

Source: the threads that the catalogue names under J1, J2, J11 and J13.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from layerdiff.compare.steps import rules
from layerdiff.compare.steps.judge_steps import Moved
from layerdiff.compare.steps.mover import State, Stepper, Training
from layerdiff.compare.steps.torch_optimisers import OPTIMISERS, Rehearsal

__all__ = ["Trial", "decays", "defaults", "trials", "with_values"]

Values = Mapping[str, Any]
Optimiser = tuple[str, Values]
Gradients = Callable[[Sequence[Moved], int], State]

# The values that people use, and the defaults of the libraries; others are solved for where that can be done.
_COMMON: Mapping[str, Sequence[Any]] = {
    "weight_decay": (0.0, 1e-5, 1e-4, 5e-4, 1e-3, 1e-2, 5e-2),
    "momentum": (0.0, 0.5, 0.9, 0.95, 0.99),
    "betas": ((0.9, 0.999), (0.9, 0.99), (0.5, 0.999), (0.9, 0.98), (0.9, 0.95), (0.999, 0.9)),
    "alpha": (0.9, 0.95, 0.99),
    "rho": (0.9, 0.95),
    "eps": (0.0, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3),
    "lr_decay": (0.0,),
    "nesterov": (True, False),
    "amsgrad": (True, False),
    "centered": (True, False),
}
_CHANGES = {
    "weight_decay": "give the optimiser the expected weight_decay, for all parameters",
    "lr": "use the expected learning rate; a loss that is summed over the pictures, or averaged twice, does the same",
    "dampening": "v = momentum · v + g, without 1 - momentum",
    "nesterov": "torch's Nesterov step is g + momentum · v, with the new v",
}


_MEAN = "J13: the velocity is a mean of the gradients, each taken in with the weight 1 - momentum"


@dataclass(frozen=True)
class Trial:
    """One thing that may be otherwise.

    Attributes:
        code: of the cause.
        title: what is otherwise, in a line.
        change: what to do about it.
        make: gives the optimiser for parameters of these shapes.
        gradients: what it is given in a step, of all steps and the number of this one from 0 on.
        equally: other causes that do just the same, each as `CODE: title`.
    """

    code: str
    title: str
    change: str
    make: Callable[[State], Stepper] = field(repr=False)
    gradients: Gradients = field(default=lambda moves, number: moves[number].gradients, repr=False)
    equally: tuple[str, ...] = ()


def trials(training: Training) -> Iterator[Trial]:
    """What is tried in the place of the expected optimiser besides weight decay, the likeliest first."""
    spec = training.name, defaults(training.spec)
    yield Trial(
        "J2", "the gradients of the steps before are still in it", "call zero_grad() before every backward",
        lambda like: Rehearsal(like, spec), _summed,
    )  # fmt: skip
    yield from _by_hand(spec)
    for key in spec[1]:
        for value in _COMMON.get(key, ()):
            if value != spec[1][key] and _is_possible(spec, {key: value}):
                yield with_values(spec, {key: value})
    yield from _others(spec)


def with_values(spec: Optimiser, values: Values, *, code: str | None = None) -> Trial:
    """The expected optimiser with other hyperparameters."""
    name, all_values = spec
    said = " and ".join(f"{key} is {_text(value)}, expected {_text(all_values[key])}" for key, value in values.items())
    code = code or ("J1" if "weight_decay" in values else "J11" if "lr" in values else "J13")
    change = _CHANGES.get(next(iter(values)), "use the expected value")
    equally = (_MEAN,) if _is_a_mean(all_values, values) else ()
    return Trial(code, said, change, lambda like: Rehearsal(like, (name, {**all_values, **values})), equally=equally)


def _is_a_mean(values: Values, changed: Values) -> bool:
    """Whether SGD with these changes is SGD whose velocity is a running mean: shorter by 1 - momentum."""
    shorter = values["lr"] * (1 - values.get("momentum", 0))
    return bool(values.get("momentum")) and set(changed) == {"lr"} and abs(changed["lr"] / shorter - 1) < 1e-6


def defaults(spec: Optimiser) -> dict[str, Any]:
    """All hyperparameters of an optimiser: those that are given, and torch's defaults."""
    name, values = spec
    built = OPTIMISERS[name]([torch.zeros(1, requires_grad=True)], **values)
    return _taken_by(name, built.defaults)


def _taken_by(name: str, values: Values) -> dict[str, Any]:
    """Those of some hyperparameters that an optimiser takes."""
    taken = inspect.signature(OPTIMISERS[name]).parameters
    return {key: value for key, value in values.items() if key in taken}


def _is_possible(spec: Optimiser, values: Values) -> bool:
    """Whether torch's optimiser takes these values together: Nesterov needs a momentum."""
    try:
        defaults((spec[0], {**spec[1], **values}))
    except ValueError:
        return False
    return True


def _summed(moves: Sequence[Moved], number: int) -> State:
    return {name: sum((one.gradients[name] for one in moves[:number]), array)
            for name, array in moves[number].gradients.items()}  # fmt: skip


def decays(training: Training) -> Iterator[Trial]:
    """Weight decay in another place, with the expected value."""
    name, values = training.name, defaults(training.spec)
    decay, lr = values["weight_decay"], values["lr"]
    if not decay:
        return
    if name == "sgd":
        for by_rate, words in (
            (True, "beside the momentum"),
            (False, "beside the momentum, without the learning rate"),
        ):
            rule = rules.decoupled_sgd(values, by_rate=by_rate)
            yield _hand("J1", f"weight decay is taken off {words}", "add weight_decay · p to the gradient", rule)
    if name in {"adam", "adamw"}:
        other = "adamw" if name == "adam" else "adam"
        word = "off the weights, beside the step (AdamW)" if name == "adam" else "into the gradient (Adam)"
        yield Trial("J1", f"weight decay goes {word}", f"use {name.replace('a', 'A', 1)}'s place for it",
                    lambda like: Rehearsal(like, (other, _taken_by(other, values))))  # fmt: skip
    if name == "adamw" and lr:
        yield Trial("J1", "weight decay is not multiplied by the learning rate", "decay by lr · weight_decay · p",
                    lambda like: Rehearsal(like, (name, {**values, "weight_decay": decay / lr})))  # fmt: skip


def _by_hand(spec: Optimiser) -> Iterator[Trial]:
    """Rules that torch's optimisers cannot be made to follow."""
    name, values = spec
    if name == "sgd" and values["momentum"] and not values["nesterov"]:
        yield with_values(spec, {"dampening": values["momentum"]})
    if name in {"adam", "adamw"}:
        yield from _adams(values, decoupled=name == "adamw")
    if name == "rmsprop":
        yield _hand("J13", "eps is added inside the root", "divide by sqrt(v) + eps", rules.rmsprop_eps_inside(values))
    if name == "adagrad":
        yield _hand("J13", "eps is added inside the root", "divide by sqrt(sum) + eps",
                    rules.adagrad_eps_inside(values))  # fmt: skip


def _adams(values: Values, *, decoupled: bool) -> Iterator[Trial]:
    divide = "divide m by 1 - beta1^t and v by 1 - beta2^t, t from 1 on"
    for title, changes in (
        ("the running means are not corrected for their start at zero", {"corrected": (False, False)}),
        ("the mean of the gradients is not corrected for its start at zero", {"corrected": (False, True)}),
        ("the mean of the squares is not corrected for its start at zero", {"corrected": (True, False)}),
        ("the steps are counted from 2 on", {"late": 1}),
    ):
        yield _hand("J13", title, divide, rules.adam(values, decoupled=decoupled, **changes))
    yield _hand("J13", "eps is added inside the root", "divide by sqrt(v) + eps",
                rules.adam(values, decoupled=decoupled, eps="inside"))  # fmt: skip
    yield _hand("J13", "eps is added before the root is corrected", "divide by sqrt(v / (1 - beta2^t)) + eps",
                rules.adam(values, decoupled=decoupled, eps="early"))  # fmt: skip


def _others(spec: Optimiser) -> Iterator[Trial]:
    """Another optimiser of torch's, at its defaults but for what the expected one has in common with it."""
    name, values = spec
    for other, kind in OPTIMISERS.items():
        if other == name:
            continue
        common = {key: values[key] for key in ("lr", "weight_decay")}
        yield Trial("J13", f"it moves as {kind.__name__} does", f"use {OPTIMISERS[name].__name__}",
                    lambda like, other=other, common=common: Rehearsal(like, (other, common)))  # type: ignore[misc] # fmt: skip


def _hand(code: str, title: str, change: str, rule: rules.Rule) -> Trial:
    return Trial(code, title, change, lambda like: rules.ByHand(rule))


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
