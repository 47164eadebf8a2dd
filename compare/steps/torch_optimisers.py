"""Torch's optimisers: for a network, and for tensors that belong to none."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from layerdiff.compare.steps.mover import Memory, Outcome, State
from layerdiff.compare.trace import Array
from layerdiff.errors import InputError

__all__ = ["OPTIMISERS", "Optimiser", "Rehearsal", "built", "remembered"]

OPTIMISERS: Mapping[str, Any] = {
    name.lower(): getattr(torch.optim, name) for name in ("SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW")
}
"""Torch's optimisers by name, in small letters."""

Optimiser = tuple[str, Mapping[str, Any]]
"""One by its name, with its hyperparameters by torch's names."""


def built(parameters: Iterable[Tensor], optimiser: Optimiser) -> torch.optim.Optimizer:
    """The optimiser of some parameters.

    Raises:
        InputError: there is no such optimiser, or it does not take these hyperparameters.
    """
    name, values = optimiser
    if name not in OPTIMISERS:
        raise InputError(f"optimizer: no such one, got {name!r}, expected one of {', '.join(OPTIMISERS)}")
    try:
        found: torch.optim.Optimizer = OPTIMISERS[name](parameters, **values)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer: {name} cannot be made with {dict(values)}, got {error}") from None
    return found


class Rehearsal:
    """What an optimiser makes of given gradients, in float64: a pure function of them and of what it remembers.

    Args:
        like: the parameters by name, for their shapes.
        optimiser: of torch's.

    Raises:
        InputError: see `built`.
    """

    def __init__(self, like: State, optimiser: Optimiser) -> None:
        self._own = {name: nn.Parameter(torch.zeros(array.shape, dtype=torch.float64)) for name, array in like.items()}
        self._optimiser = built(self._own.values(), optimiser)
        begun = copy.deepcopy(self._optimiser.state_dict())
        self._first, self._groups = begun["state"], begun["param_groups"]

    @property
    def first(self) -> Memory:
        """What it remembers before its first step."""
        return self._first

    def step(self, parameters: State, gradients: State, memory: Memory) -> Outcome:
        """One step.

        Args:
            parameters: all of them, before the step.
            gradients: of those that have one; the others stay.
            memory: what it remembers; stays as it is.
        """
        self._optimiser.load_state_dict({"state": copy.deepcopy(memory), "param_groups": self._groups})
        with torch.no_grad():
            for name, parameter in self._own.items():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(parameters[name])))
                gradient = gradients.get(name)
                parameter.grad = None if gradient is None else torch.from_numpy(np.ascontiguousarray(gradient))
        self._optimiser.step()
        moved = {name: parameter.detach().numpy().copy() for name, parameter in self._own.items()}
        buffers = remembered(self._optimiser, {id(parameter): name for name, parameter in self._own.items()})
        return Outcome(moved, buffers, copy.deepcopy(self._optimiser.state_dict()["state"]))


def remembered(optimiser: torch.optim.Optimizer, names: Mapping[int, str]) -> dict[str, Array]:
    """What an optimiser of torch's remembers of each parameter in its shape, as `NAME.BUFFER`, copied.

    Args:
        optimiser: that has gone some steps, or none.
        names: of the parameters, by their identity.
    """
    return {
        f"{names[id(parameter)]}.{buffer}": tensor.numpy().copy()
        for parameter, held in optimiser.state.items()
        for buffer, tensor in held.items()
        if isinstance(tensor, Tensor) and tensor.shape == parameter.shape
    }
