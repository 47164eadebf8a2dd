"""A torch network and torch's own optimiser, or somebody's training step, as something that moves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from layerdiff.compare.modes import in_mode
from layerdiff.compare.steps.mover import State
from layerdiff.compare.trace import Array
from layerdiff.errors import InputError

__all__ = ["OPTIMISERS", "TorchMover"]

OPTIMISERS: Mapping[str, Any] = {
    name.lower(): getattr(torch.optim, name) for name in ("SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW")
}
"""Torch's optimisers by name, in small letters."""

Step = Callable[[nn.Module, Tensor, Tensor], object]
"""Somebody's own training step: moves a network once, on images and labels."""


class TorchMover:
    """A copy of a torch network in float64, with an optimiser of torch's or a training step of somebody's own.

    Args:
        network: stays as it is.
        optimiser: name and hyperparameters, as torch.optim has them.
        step: moves the network in place of `optimiser`.

    Raises:
        InputError: there is no such optimiser, or it does not take these hyperparameters.
    """

    def __init__(
        self, network: nn.Module, optimiser: tuple[str, Mapping[str, Any]], *, step: Step | None = None
    ) -> None:
        self.network = copy.deepcopy(network).double()
        for parameter in self.network.parameters():
            parameter.requires_grad_(True)
        self._step = step
        self._optimiser = None if step is not None else _built(self.network, optimiser)

    def state(self) -> dict[str, Array]:
        """See `Mover`."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self._tensors().items()}

    def load(self, state: State) -> None:
        """See `Mover`."""
        tensors = self._tensors()
        with torch.no_grad():
            for name, array in state.items():
                tensors[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def remembered(self) -> dict[str, Array]:
        """See `Mover`."""
        return {name: tensor.numpy().copy() for name, tensor in self._buffers().items()}

    def remember(self, remembered: State) -> None:
        """See `Mover`."""
        buffers = self._buffers()
        for name, array in remembered.items():
            if name in buffers:
                buffers[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def step(self, x: Array, labels: Array) -> float:
        """See `Mover`."""
        images, classes = torch.from_numpy(x.astype(np.float64)), torch.from_numpy(labels)
        with torch.enable_grad(), in_mode(self.network, "train"):
            if self._step is not None:
                self._step(self.network, images, classes)
                return float("nan")
            assert self._optimiser is not None, "one of the two moves it"
            self._optimiser.zero_grad()
            loss = nn.functional.cross_entropy(self.network(images), classes)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
        return loss.item()

    def gradients(self) -> dict[str, Array]:
        """See `Mover`."""
        named = self.network.named_parameters()
        return {name: tensor.grad.numpy().copy() for name, tensor in named if tensor.grad is not None}

    def _tensors(self) -> dict[str, Tensor]:
        named = (*self.network.named_parameters(), *self.network.named_buffers())
        return {name: tensor for name, tensor in named if tensor.is_floating_point()}

    def _buffers(self) -> dict[str, Tensor]:
        if self._optimiser is None:
            return {}
        names = {id(parameter): name for name, parameter in self.network.named_parameters()}
        return {
            f"{names[id(parameter)]}.{buffer}": tensor
            for parameter, held in self._optimiser.state.items()
            for buffer, tensor in held.items()
            if isinstance(tensor, Tensor) and tensor.shape == parameter.shape
        }


def _built(network: nn.Module, optimiser: tuple[str, Mapping[str, Any]]) -> torch.optim.Optimizer:
    name, values = optimiser
    if name not in OPTIMISERS:
        raise InputError(f"optimizer: no such one, got {name!r}, expected one of {', '.join(OPTIMISERS)}")
    try:
        built: torch.optim.Optimizer = OPTIMISERS[name](network.parameters(), **values)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer: {name} cannot be made with {dict(values)}, got {error}") from None
    return built
