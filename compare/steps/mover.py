"""What the comparison of training steps asks of a network with its optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from layerdiff.compare.trace import Array

__all__ = ["Memory", "Mover", "Outcome", "State", "Stepper", "Training"]

State = Mapping[str, Array]
"""Arrays by name: a network's parameters and running estimates by their names in its state dict."""


class Mover(Protocol):
    """A network that can be moved by one step of training."""

    @property
    def open(self) -> bool:
        """Whether what its optimiser remembers can be read and set."""

    def state(self) -> dict[str, Array]:
        """Its parameters and running estimates, copied."""

    def learned(self) -> Sequence[str]:
        """The names of its parameters."""

    def load(self, state: State) -> None:
        """Sets those tensors that are named; all others stay."""

    def remembered(self) -> dict[str, Array]:
        """What its optimiser remembers of each parameter, as `NAME.BUFFER`, copied; empty where it is not open."""

    def remember(self, remembered: State) -> None:
        """Sets what its optimiser remembers, where it is open."""

    def step(self, x: Array, labels: Array) -> None:
        """Moves it once, in training mode with dropout off."""

    def gradients(self) -> dict[str, Array]:
        """The gradients of the last step, by parameter; those that are not known are left out."""


Memory = Any
"""What an optimiser remembers, as it keeps it."""


@dataclass(frozen=True)
class Outcome:
    """What an optimiser makes of given gradients.

    Attributes:
        parameters: after the step.
        remembered: of each parameter in its shape, as `NAME.BUFFER`.
        memory: all of it, to go on from.
    """

    parameters: State = field(repr=False)
    remembered: State = field(repr=False)
    memory: Memory = field(repr=False)


class Stepper(Protocol):
    """An optimiser without a network, as a pure function of gradients and of what it remembers."""

    @property
    def first(self) -> Memory:
        """What it remembers before its first step."""

    def step(self, parameters: State, gradients: State, memory: Memory) -> Outcome:
        """One step from `parameters`, with `memory`, which stays as it is."""


@dataclass(frozen=True)
class Training:
    """The training that candidates are held against.

    Attributes:
        optimizer: as it was asked for, such as `sgd:lr=0.1,momentum=0.9`.
        name: of the optimiser, in small letters.
        values: its hyperparameters, by torch's names.
        count: of the steps.
        network: gives the reference, in torch, always with the same weights; is not changed.
        numpy: makes a mover of a NumPy network.
        step: somebody's own training step for a torch candidate: moves a network on images and labels.
    """

    optimizer: str
    name: str
    values: Mapping[str, Any]
    count: int
    network: Callable[[], Any] = field(repr=False)
    numpy: Callable[[Any], Mover] | None = field(default=None, repr=False)
    step: Callable[[Any, Any, Any], object] | None = field(default=None, repr=False)

    @property
    def spec(self) -> tuple[str, Mapping[str, Any]]:
        """The optimiser's name and hyperparameters."""
        return self.name, self.values
