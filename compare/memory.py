"""What the expected network gives for one input, remembered from one judgement to the next.

Several candidates are judged against one network, and one of them many times over while the causes are looked for. What
the expected network gives, and how far its rounding drifts, is the same each time.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from layerdiff.compare.allowance import RULES, allowance_together
from layerdiff.compare.playback import Played
from layerdiff.compare.trace import Array, Trace, digest

__all__ = ["ROOM", "Dense", "Memory", "Remembered"]

ROOM = 5 << 28
"""Bytes of arrays that are remembered: a ResNet-50's in both precisions, for one image, take a gigabyte."""


@dataclass(frozen=True)
class Dense:
    """The expected operations of one pair on a dense input.

    Attributes:
        given: what they were given, by id.
        played: each of them, in order.
    """

    given: Mapping[str, Array] = field(repr=False)
    played: Sequence[Played] = field(repr=False)

    @property
    def output(self) -> Array:
        """What the last of them gave."""
        return self.played[-1].output

    @cached_property
    def allowance(self) -> Array | None:
        """The allowance of that; None where it is not known."""
        return allowance_together(self.played, RULES)

    @property
    def size(self) -> int:
        """Bytes of its arrays, the allowance among them, whether it was asked for by now or not."""
        arrays = (*self.given.values(), *(one.output for one in self.played))
        return sum(array.nbytes for array in arrays) + 8 * self.output.size


class Room:
    """Bytes that arrays may still take."""

    def __init__(self, size: int) -> None:
        self._left = size

    def takes(self, size: int) -> bool:
        """Whether there is room for so many bytes more, which are then taken."""
        if size > self._left:
            return False
        self._left -= size
        return True


class Remembered:
    """What is remembered of the expected network in one precision.

    Arrays are remembered as long as there is room, floors always: they are a number for each layer.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._outputs: dict[str, Array] = {}
        self._dense: dict[Hashable, Dense] = {}
        self._floors: dict[Hashable, Mapping[str, float]] = {}

    def output(self, layer: str) -> Array | None:
        """What the operation gives; None where that is not remembered."""
        return self._outputs.get(layer)

    def keep_output(self, layer: str, output: Array) -> None:
        """Remember what an operation gives."""
        if layer not in self._outputs and self._room.takes(output.nbytes):
            self._outputs[layer] = output

    def dense(self, key: Hashable) -> Dense | None:
        """What some operations give for a dense input; None where that is not remembered."""
        return self._dense.get(key)

    def keep_dense(self, key: Hashable, found: Dense) -> None:
        """Remember what some operations give for a dense input."""
        if key not in self._dense and self._room.takes(found.size):
            self._dense[key] = found

    def floors(self, start: Hashable) -> Mapping[str, float] | None:
        """The floor of each layer behind a place where rounding begins to drift; None where that is not remembered."""
        return self._floors.get(start)

    def keep_floors(self, start: Hashable, floors: Mapping[str, float]) -> None:
        """Remember the floors of all layers behind a place where rounding begins to drift."""
        self._floors[start] = floors


class Memory:
    """What is remembered of one expected network on one input, precision by precision.

    It is of use as long as the network's weights are what they were.

    Args:
        expected: captured on `x`.
        x: (n, c, h, w) float32.
        seed: of the dense probe and the end-to-end floor.
        room: bytes that remembered arrays may take.
    """

    def __init__(self, expected: Trace, x: Array, seed: int, room: int = ROOM) -> None:
        self._of = expected, digest(x), seed
        self._room = Room(room)
        self._remembered: dict[str, Remembered] = {}

    def of(self, expected: Trace, x: Array, seed: int, dtype: np.dtype[Any]) -> Remembered:
        """What is remembered in one precision.

        Raises:
            ValueError: of another network, input or seed.
        """
        known, own, sown = self._of
        if known is not expected or own != digest(x) or sown != seed:
            raise ValueError("memory: it is of another network, input or seed")
        return self._remembered.setdefault(dtype.name, Remembered(self._room))
