"""The expected network, played pair by pair: what each pair is given and gives, what it is allowed, and the floor."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np

from layerdiff.compare.allowance import RULES, allowance_together, is_known_together, unit_roundoff
from layerdiff.compare.drifting import Drifting, Scaled, Simulated
from layerdiff.compare.memory import Remembered
from layerdiff.compare.pairs import Pair
from layerdiff.compare.playback import Playback, Played, moved
from layerdiff.compare.trace import INPUT, Array, Op
from layerdiff.compare.yardstick import allowance_of, drift, noise

__all__ = ["Expected", "Part"]


@dataclass(frozen=True)
class Part:
    """The expected operations of one pair, played.

    Attributes:
        pair: which.
        played: each of them, in order.
        feeds: what the candidate's operations are given when they are judged by themselves; None where a value was
            not made by then.
        own: the allowance of the last of them by itself, where it was computed already.
    """

    pair: Pair
    played: tuple[Played, ...] = field(repr=False)
    feeds: tuple[Array, ...] | None = field(repr=False)
    own: Array | None = field(default=None, repr=False)

    @property
    def output(self) -> Array:
        """What the last of them gave."""
        return self.played[-1].output

    @property
    def known(self) -> bool:
        """Whether there is an allowance; cheap."""
        return np.issubdtype(self.output.dtype, np.floating) and is_known_together(self.played, RULES)

    @cached_property
    def allowance(self) -> Array | None:
        """The allowance of the last output; None where it is not known."""
        if len(self.played) == 1 and self.own is not None:
            return self.own
        return allowance_together(self.played, RULES)


class Expected:
    """Plays the expected network, and beside it, from where it is first asked for a floor, the drifting copy.

    The copy that shows how far rounding drifts (`yardstick`) is needed only from the first layer on at which the
    candidate's value, end to end, is not the expected one to the bit: up to there the candidate did not drift at all,
    so that copy and network are one. It starts at that layer from the values held there, each output of the layer moved
    by as much as it is allowed. What the candidate's rounding adds up to begins at the same place, so the floor is no
    less valid than one that started at the input, and no wider than it must be. Where the same network drifts already
    in the precision of its input, its floors there tell those here (`drifting`); they began no later.

    Args:
        ops: in order.
        pairs: all of them, in the order of their last operations.
        x: the input in the precision to compute in.
        seed: of the amounts by which the copy is moved.
        keep: id of the operation whose output is to be kept, and its floor if one was measured.
        memory: of what the operations gave, and how far rounding drifted, in this precision; None to remember nothing.
        beside: the same network in the precision of its input, which is always played first; None where this is that.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        pairs: Sequence[Pair],
        x: Array,
        seed: int,
        keep: str | None,
        memory: Remembered | None = None,
        beside: Expected | None = None,
    ) -> None:
        self._ops, self._pairs, self._x, self._seed, self._keep = ops, iter(pairs), x, seed, keep
        watched = [layer for pair in pairs if pair.actual for layer in pair.feeds]
        self._memory, self._beside = memory, beside
        self._floors: dict[str, float] = {}
        self._straight = Playback(ops, x, watched, outputs=memory)
        self._drifting: Drifting | None = None
        self._count = 0
        self._waiting: dict[str, Played] = {}
        self._last: tuple[Part, float | None] | None = None
        self.kept: Array | None = x if keep == INPUT else None

    def advance(self) -> Part:
        """Play up to the last operation of the next pair.

        Raises:
            Exception: whatever an operation raises.
        """
        pair = next(self._pairs)
        floor = own = None
        while pair.expected[-1].layer not in self._waiting:
            floor, own = self._step()
        played = tuple(self._waiting.pop(op.layer) for op in pair.expected)
        feeds = None
        if pair.actual and all(self._straight.holds(layer) for layer in pair.feeds):
            feeds = tuple(self._straight.take(layer) for layer in pair.feeds)
        part = Part(pair, played, feeds, own)
        self._last = (part, floor)
        return part

    def floor(self) -> float:
        """The largest end-to-end error that rounding can explain at the last output of the pair played last."""
        part, floor = cast("tuple[Part, float | None]", self._last)
        if floor is None:
            layer = part.played[-1].op.layer
            floor = self._read_off(layer)
            floor = self._floors[layer] = self._start(part) if floor is None else floor
            self._last = (part, floor)
        return floor

    def drift_from_start(self) -> None:
        """Let the copy drift from the input on.

        For where the candidate is not the same to the bit at a layer whose allowance is not known: what its rounding
        is there nobody can say, and a copy that began to drift behind it would not cover it.
        """
        if self._drifting is not None:
            return
        if self._beside is not None and self._beside.drifts:
            self._drifting = Scaled(self._beside.floor_of, self._ratio)
        else:
            self._simulate_from_start()

    @property
    def drifts(self) -> bool:
        """Whether drifting has begun."""
        return self._drifting is not None

    def floor_of(self, layer: str) -> float:
        """The floor at a layer that was played since drifting began; NaN for another."""
        return self._floors.get(layer, math.nan)

    def _step(self) -> tuple[float | None, Array | None]:
        played = self._straight.step()
        self._count += 1
        op, output = played.op, played.output
        self._waiting[op.layer] = played
        if op.layer == self._keep:
            self.kept = output
        if self._drifting is None:
            return None, None
        floor, own = self._drifting.step(played)
        if isinstance(self._drifting, Scaled) and not np.isfinite(floor):
            # What overflows in one precision need not in another.
            floor = self._simulate_from_start()[op.layer]
        self._floors[op.layer] = floor
        return floor, own

    def _read_off(self, layer: str) -> float | None:
        """The floor by that of the precision beside this one, as from here on; None where that says nothing."""
        if self._beside is None or not self._beside.drifts:
            return None
        floor = self._beside.floor_of(layer) * self._ratio
        if not np.isfinite(floor):
            return None
        self._drifting = Scaled(self._beside.floor_of, self._ratio)
        return floor

    @property
    def _ratio(self) -> float:
        assert self._beside is not None, "asked for only where there is one"
        return unit_roundoff(self._x.dtype) / unit_roundoff(self._beside._x.dtype)

    def _simulate_from_start(self) -> Mapping[str, float]:
        simulated = self._remembered(None)
        if simulated is None:
            simulated = self._remember(None, Simulated(Playback(self._ops, self._x, watched=()), self._seed, {}))
        straight = Playback(self._ops, self._x, watched=(), outputs=self._memory)
        for _ in range(self._count):
            simulated.step(straight.step())
        self._drifting = simulated
        return simulated.floors

    def _start(self, part: Part) -> float:
        """Begin to drift: here, and wherever an operation was played that was not compared yet."""
        played = (*self._waiting.values(), *part.played)
        last = part.played[-1]
        place = (self._count, tuple(self._waiting), tuple(one.op.layer for one in part.played))
        simulated = self._remembered(place)
        if simulated is None:
            starts: dict[str, Array] = {}
            for one in played:
                allowance = part.allowance if one is last else allowance_of(one.op, one.inputs, one.output)
                added = noise(one.op, one.output, allowance, self._seed)
                if added is not None:
                    starts[one.op.layer] = moved(one.output, added)
            floor = drift(starts[last.op.layer], last.output) if last.op.layer in starts else 0.0
            copy = Simulated(self._straight.fork(starts), self._seed, {last.op.layer: floor})
            simulated = self._remember(place, copy)
        self._drifting = simulated
        return simulated.floors[last.op.layer]

    def _remembered(self, place: Hashable) -> Simulated | None:
        """The copy that drifts from a place on, or from the input for None, if one is remembered."""
        return None if self._memory is None else self._memory.drifting((len(self._ops), place))

    def _remember(self, place: Hashable, copy: Simulated) -> Simulated:
        if self._memory is not None:
            self._memory.keep_drifting((len(self._ops), place), copy)
        return copy
