"""A torch network and torch's own optimiser, or somebody's training step, as something that moves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor, nn

from layerdiff.compare.modes import in_mode
from layerdiff.compare.steps.mover import State
from layerdiff.compare.steps.torch_optimisers import Optimiser, built, remembered
from layerdiff.compare.trace import Array

__all__ = ["TorchMover"]

_BLUR = 2 * 2.0**-53
"""Two roundings of a probability that is nearly 1: that of the exponential, and that of the sum it is divided by."""

Step = Callable[[nn.Module, Tensor, Tensor], object]
"""Somebody's own training step: moves a network once, on images and labels."""


class TorchMover:
    """A copy of a torch network in float64, with an optimiser of torch's or a training step of somebody's own.

    Args:
        network: stays as it is. One none of whose parameters is to be learned is taken as frozen for being looked at,
            and all of them are learned here.
        optimiser: name and hyperparameters, as torch.optim has them.
        step: moves the network in place of `optimiser`.
        frozen: modules that stay in eval mode.
        blurred: moves the gradient of the logits at random by what a loss may round there: a probability near 1 less 1
            has the rounding of 1, however little is left. A copy started a few roundings away rounds it alike.

    Raises:
        InputError: there is no such optimiser, or it does not take these hyperparameters.
    """

    def __init__(
        self,
        network: nn.Module,
        optimiser: Optimiser,
        *,
        step: Step | None = None,
        frozen: Collection[str] = (),
        blurred: bool = False,
    ) -> None:
        self.network = copy.deepcopy(network).double()
        if not any(parameter.requires_grad for parameter in self.network.parameters()):
            self.network.requires_grad_(True)
        self._frozen = [module for name, module in self.network.named_modules() if name in frozen]
        self._step = step
        self._blur = torch.Generator().manual_seed(0) if blurred else None
        self._optimiser = None if step is not None else built(self.network.parameters(), optimiser)

    @property
    def open(self) -> bool:
        """See `Mover`."""
        return self._optimiser is not None

    def state(self) -> dict[str, Array]:
        """See `Mover`."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self._tensors().items()}

    def learned(self) -> list[str]:
        """See `Mover`."""
        return [name for name, parameter in self.network.named_parameters() if parameter.requires_grad]

    def load(self, state: State) -> None:
        """See `Mover`."""
        tensors = self._tensors()
        with torch.no_grad():
            for name, array in state.items():
                tensors[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def remembered(self) -> dict[str, Array]:
        """See `Mover`."""
        if self._optimiser is None:
            return {}
        return remembered(self._optimiser, {id(one): name for name, one in self.network.named_parameters()})

    def remember(self, remembered: State) -> None:
        """See `Mover`."""
        if self._optimiser is None:
            return
        for name, parameter in self.network.named_parameters():
            for buffer, tensor in self._optimiser.state.get(parameter, {}).items():
                if f"{name}.{buffer}" in remembered:
                    tensor.copy_(torch.from_numpy(np.ascontiguousarray(remembered[f"{name}.{buffer}"])))

    def step(self, x: Array, labels: Array) -> None:
        """See `Mover`."""
        images, classes = torch.from_numpy(x.astype(np.float64)), torch.from_numpy(labels)
        with torch.enable_grad(), in_mode(self.network, "train"):
            for module in self._frozen:
                module.training = False
            if self._optimiser is None:
                assert self._step is not None, "one of the two moves it"
                self._step(self.network, images, classes)
                return
            self._optimiser.zero_grad()
            logits = self.network(images)
            if self._blur is not None:
                logits.register_hook(self._blurred)
            nn.functional.cross_entropy(logits, classes).backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()

    def gradients(self) -> dict[str, Array]:
        """See `Mover`."""
        named = self.network.named_parameters()
        return {name: tensor.grad.numpy().copy() for name, tensor in named if tensor.grad is not None}

    def _blurred(self, gradient: Tensor) -> Tensor:
        draws = torch.rand(gradient.shape, generator=self._blur, dtype=gradient.dtype) * 2 - 1
        return gradient + draws * _BLUR / len(gradient)

    def _tensors(self) -> dict[str, Tensor]:
        named = (*self.network.named_parameters(), *self.network.named_buffers())
        return {name: tensor for name, tensor in named if tensor.is_floating_point()}
