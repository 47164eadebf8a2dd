"""Steps as people write them by mistake, where torch's optimisers cannot be made to: each for one tensor.

Each is a function of the parameter, its gradient, what was remembered of it (empty at first) and the number of the
step from 1 on; it gives the parameter after the step and what to remember.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from layerdiff.compare.steps.mover import Memory, Outcome, State
from layerdiff.compare.trace import Array

__all__ = ["ByHand", "Rule", "adagrad_eps_inside", "adam", "decoupled_sgd", "rmsprop_eps_inside"]

Held = Mapping[str, Array]
Rule = Callable[[Array, Array, Held, int], tuple[Array, Held]]


class ByHand:
    """An optimiser of one rule for all tensors; a `Stepper`."""

    first: Memory = (0, {})

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def step(self, parameters: State, gradients: State, memory: Memory) -> Outcome:
        """See `Stepper`."""
        number, held = memory[0] + 1, dict(memory[1])
        moved = dict(parameters)
        for name, gradient in gradients.items():
            moved[name], held[name] = self._rule(parameters[name], gradient, held.get(name, {}), number)
        return Outcome(moved, {}, (number, held))


def decoupled_sgd(values: Mapping[str, Any], *, by_rate: bool) -> Rule:
    """SGD whose weight decay is taken off the parameter, beside the momentum.

    Args:
        values: all hyperparameters of torch.optim.SGD.
        by_rate: whether the learning rate is in the decay.
    """
    lr, momentum, decay = values["lr"], values["momentum"], values["weight_decay"]

    def rule(p: Array, g: Array, held: Held, number: int) -> tuple[Array, Held]:
        velocity = momentum * held["velocity"] + g if held else g
        direction = g + momentum * velocity if values["nesterov"] else velocity
        return p - lr * direction - (lr if by_rate else 1) * decay * p, {"velocity": velocity}

    return rule


def adam(
    values: Mapping[str, Any],
    *,
    decoupled: bool,
    corrected: tuple[bool, bool] = (True, True),
    late: int = 0,
    eps: str = "outside",
) -> Rule:
    """Adam or AdamW with a mistake.

    Args:
        values: all hyperparameters of torch.optim.Adam.
        decoupled: AdamW.
        corrected: whether the means of the gradients and of their squares are freed from their start at zero.
        late: added to the number of the step there.
        eps: `outside` the root as it should be; `inside`; or `early`, added before the root is corrected.
    """
    lr, (beta1, beta2), decay, small = (values[key] for key in ("lr", "betas", "weight_decay", "eps"))

    def rule(p: Array, g: Array, held: Held, number: int) -> tuple[Array, Held]:
        if decoupled:
            p = p * (1 - lr * decay)
        else:
            g = g + decay * p
        zero = np.zeros_like(p)
        m = beta1 * held.get("m", zero) + (1 - beta1) * g
        v = beta2 * held.get("v", zero) + (1 - beta2) * g**2
        first = 1 - beta1 ** (number + late) if corrected[0] else 1.0
        second = 1 - beta2 ** (number + late) if corrected[1] else 1.0
        if eps == "inside":
            root = np.sqrt(v / second + small)
        elif eps == "early":
            root = (np.sqrt(v) + small) / math.sqrt(second)
        else:
            root = np.sqrt(v / second) + small
        return p - lr * (m / first) / root, {"m": m, "v": v}

    return rule


def rmsprop_eps_inside(values: Mapping[str, Any]) -> Rule:
    """RMSprop that adds eps to the mean of squares and not to its root, as TensorFlow's does."""
    lr, alpha, eps, decay, momentum = (values[key] for key in ("lr", "alpha", "eps", "weight_decay", "momentum"))

    def rule(p: Array, g: Array, held: Held, number: int) -> tuple[Array, Held]:
        g, zero = g + decay * p, np.zeros_like(p)
        square = alpha * held.get("square", zero) + (1 - alpha) * g**2
        mean = alpha * held.get("mean", zero) + (1 - alpha) * g if values["centered"] else zero
        velocity = momentum * held.get("velocity", zero) + g / np.sqrt(square - mean**2 + eps)
        return p - lr * velocity, {"square": square, "mean": mean, "velocity": velocity}

    return rule


def adagrad_eps_inside(values: Mapping[str, Any]) -> Rule:
    """Adagrad that adds eps to the sum of squares and not to its root."""
    lr, eps, decay = values["lr"], values["eps"], values["weight_decay"]

    def rule(p: Array, g: Array, held: Held, number: int) -> tuple[Array, Held]:
        g = g + decay * p
        total = held.get("sum", np.full_like(p, values["initial_accumulator_value"])) + g**2
        rate = lr / (1 + (number - 1) * values["lr_decay"])
        return p - rate * g / np.sqrt(total + eps), {"sum": total}

    return rule
