"""What the comparison of training steps asks of a network with its optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from layerdiff.compare.trace import Array

__all__ = ["Mover", "State", "Training"]

State = Mapping[str, Array]
"""Arrays by name: a network's parameters and running estimates by their names in its state dict."""


class Mover(Protocol):
    """A network that can be moved by one step of training."""

    def state(self) -> dict[str, Array]:
        """Its parameters and running estimates, copied."""

    def load(self, state: State) -> None:
        """Sets those tensors that are named; all others stay."""

    def remembered(self) -> dict[str, Array]:
        """What its optimiser remembers of each parameter, as `NAME.BUFFER`, copied; empty where that is not known."""

    def remember(self, remembered: State) -> None:
        """Sets what its optimiser remembers, as far as it is known."""

    def step(self, x: Array, labels: Array) -> float:
        """Moves it once, in training mode with dropout off; gives the loss before."""

    def gradients(self) -> dict[str, Array]:
        """The gradients of the last step, by parameter; empty where they are not known."""


@dataclass(frozen=True)
class Training:
    """The training that candidates are held against.

    Attributes:
        optimizer: as it was asked for, such as `sgd:lr=0.1,momentum=0.9`.
        name: of the optimiser, in small letters.
        values: its hyperparameters, by torch's names.
        count: of the steps.
        expected: makes a reference that can be moved, always from the same state.
        numpy: makes one of a NumPy network.
        step: somebody's own training step for a torch candidate: moves a network on images and labels.
    """

    optimizer: str
    name: str
    values: Mapping[str, Any]
    count: int
    expected: Callable[[], Mover] = field(repr=False)
    numpy: Callable[[Any], Mover] | None = field(default=None, repr=False)
    step: Callable[[Any, Any, Any], object] | None = field(default=None, repr=False)
