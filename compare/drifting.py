"""How far rounding drifts, layer by layer: simulated, or read off another precision.

Every amount in the simulation is a number of unit roundoffs, and so small that what becomes of it on its way is
proportional to it: in another precision the floors are to these as the unit roundoffs are to each other. On ResNets and
a ResNeXt those simulated in float64 lay within 4 % of that. So the network drifts once, in the precision of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from layerdiff.compare.playback import Playback, Played
from layerdiff.compare.trace import Array
from layerdiff.compare.yardstick import allowance_of, drift, noise

__all__ = ["Drifting", "Scaled", "Simulated"]


class Drifting(Protocol):
    """Gives the floor of one layer after the other."""

    def step(self, played: Played) -> tuple[float, Array | None]:
        """The floor of the next layer, and the allowance of that layer by itself if it was computed."""


class Simulated:
    """A copy of the network in which every output is moved by up to its allowance; see `yardstick`.

    Several candidates may ask, each for one layer after the other: whoever comes first to a layer has it simulated.

    Args:
        copy: of the network, at the first operation whose floor is not known.
        seed: of the amounts.
        floors: by layer id, as far as they are known.
    """

    def __init__(self, copy: Playback, seed: int, floors: Mapping[str, float]) -> None:
        self._copy, self._seed = copy, seed
        self.floors = dict(floors)

    def step(self, played: Played) -> tuple[float, Array | None]:
        """The floor of the next layer, and, if it is simulated now, the allowance of that layer by itself."""
        layer = played.op.layer
        if layer in self.floors:
            return self.floors[layer], None
        allowance = allowance_of(played.op, played.inputs, played.output)
        moved = self._copy.step(add=noise(played.op, played.output, allowance, self._seed)).output
        self.floors[layer] = drift(moved, played.output)
        return self.floors[layer], allowance


class Scaled:
    """Floors of another precision, in which the network was played as far already.

    Args:
        floor: gives that of a layer.
        by: this precision's unit roundoff, in those of the other.
    """

    def __init__(self, floor: Callable[[str], float], by: float) -> None:
        self._floor, self._by = floor, by

    def step(self, played: Played) -> tuple[float, Array | None]:
        """The floor of the next layer."""
        return self._floor(played.op.layer) * self._by, None
