"""A NumPy network and our own optimiser, as something that moves by steps of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from layerdiff.compare.steps.mover import State
    from layerdiff.compare.trace import Array

__all__ = ["NumpyMover"]


class NumpyMover:
    """A copy of a NumPy network in float64 with an optimiser of `handwritten.optimisers`.

    Args:
        network: a `handwritten.numpy_layer.Layer`; stays as it is.
        optimizer: as `handwritten.optimisers.by_name` reads it.

    Raises:
        ValueError: there is no such optimiser.
    """

    def __init__(self, network: Any, optimizer: str) -> None:
        from layerdiff.handwritten.optimisers import by_name

        self.network = network.astype(np.float64)
        self._optimiser = by_name(optimizer).build(self.network.named_parameters())
        self._gradients: dict[str, Array] = {}

    @property
    def open(self) -> bool:
        """See `Mover`."""
        return True

    def state(self) -> dict[str, Array]:
        """See `Mover`."""
        return {name: array.copy() for name, array in self.network.state_dict().items()}

    def learned(self) -> list[str]:
        """See `Mover`."""
        return list(self._optimiser.names)

    def load(self, state: State) -> None:
        """See `Mover`: in place, since the optimiser knows these very arrays."""
        own = self.network.state_dict()
        for name, array in state.items():
            own[name][...] = array

    def remembered(self) -> dict[str, Array]:
        """See `Mover`."""
        return {f"{name}.{buffer}": array.copy() for name, buffer, array in self._buffers()}

    def remember(self, remembered: Mapping[str, Array]) -> None:
        """See `Mover`."""
        for name, buffer, array in self._buffers():
            if f"{name}.{buffer}" in remembered:
                array[...] = remembered[f"{name}.{buffer}"]

    def step(self, x: Array, labels: Array) -> None:
        """See `Mover`."""
        from layerdiff.compare.modes import in_mode
        from layerdiff.handwritten import numpy_ops as ops
        from layerdiff.handwritten.tape import Tape

        with in_mode(self.network, "train"):
            with Tape() as tape:
                loss = ops.cross_entropy(self.network(x), labels)
            gradients = tape.gradients(loss, self._optimiser.parameters)
            moved = {name: array.copy() for name, array in self.network.named_buffers()}
        # `in_mode` has put the running estimates back.
        self.load(moved)
        self._gradients = dict(zip(self._optimiser.names, gradients, strict=True))
        self._optimiser.step(gradients)

    def gradients(self) -> dict[str, Array]:
        """See `Mover`."""
        return dict(self._gradients)

    def _buffers(self) -> list[tuple[str, str, Array]]:
        held = self._optimiser.state.items()
        return [(name, buffer, array) for name, buffers in held for buffer, array in buffers.items()]
