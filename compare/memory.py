"""What the expected network gives for one input, remembered from one judgement to the next.

Several candidates are judged against one network, and one of them many times over while the causes are looked for. What
the expected network gives, and how far its rounding drifts, is the same each time. Candidates that are judged in step
ask for the same layers one after another, so that a few of them need to be remembered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from layerdiff.compare.allowance import RULES, allowance_together
from layerdiff.compare.drifting import Simulated
from layerdiff.compare.playback import Played
from layerdiff.compare.trace import Array, Trace, digest

__all__ = ["ROOM", "Dense", "Memory", "Remembered"]

ROOM = 112
"""Bytes of arrays that are remembered for each byte of the input: three of a ResNet-50's largest layers."""


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
    """Holds entries of several stores, and lets the oldest go for a new one."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._held: deque[tuple[dict[Any, Any], Hashable, int]] = deque()

    def hold(self, store: dict[Any, Any], key: Hashable, value: object, size: int) -> None:
        """Put a value of so many bytes into a store, unless it is there, or there is not so much room in all."""
        if key in store or size > self._size:
            return
        while size > self._left:
            old, name, freed = self._held.popleft()
            del old[name]
            self._left += freed
        store[key] = value
        self._held.append((store, key, size))
        self._left -= size


class Remembered:
    """What is remembered of the expected network in one precision.

    Arrays are remembered until their room is needed, floors always: they are a number for each layer.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._outputs: dict[str, Array] = {}
        self._dense: dict[Hashable, Dense] = {}
        self._drifting: dict[Hashable, Simulated] = {}

    def output(self, layer: str) -> Array | None:
        """What the operation gives; None where that is not remembered."""
        return self._outputs.get(layer)

    def keep_output(self, layer: str, output: Array) -> None:
        """Remember what an operation gives."""
        self._room.hold(self._outputs, layer, output, output.nbytes)

    def dense(self, key: Hashable) -> Dense | None:
        """What some operations give for a dense input; None where that is not remembered."""
        return self._dense.get(key)

    def keep_dense(self, key: Hashable, found: Dense) -> None:
        """Remember what some operations give for a dense input."""
        self._room.hold(self._dense, key, found, found.size)

    def drifting(self, start: Hashable) -> Simulated | None:
        """The copy that drifts from a place on; None where none does."""
        return self._drifting.get(start)

    def keep_drifting(self, start: Hashable, copy: Simulated) -> None:
        """Remember the copy that drifts from a place on, and so the floors of all layers that it comes to."""
        self._drifting[start] = copy


class Memory:
    """What is remembered of one expected network on one input, precision by precision.

    It is of use as long as the network's weights are what they were.

    Args:
        expected: captured on `x`.
        x: (n, c, h, w) float32.
        seed: of the dense probe and the end-to-end floor.
        room: bytes that remembered arrays may take; by default `ROOM` times those of `x`.
    """

    def __init__(self, expected: Trace, x: Array, seed: int, room: int | None = None) -> None:
        self._of = expected, digest(x), seed
        self._room = Room(ROOM * x.nbytes if room is None else room)
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
