"""Playback: a trace's operations run again one at a time, holding only the values that are still needed."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from layerdiff.compare.bits import same_bits
from layerdiff.compare.sole import sole
from layerdiff.compare.trace import INPUT, Array, Op

__all__ = ["Playback", "Played", "moved", "play", "play_unwatched", "run", "run_and_watch"]


@dataclass(frozen=True)
class Played:
    """One operation, played: what it was given, and what it gave."""

    op: Op
    inputs: tuple[Array, ...] = field(repr=False)
    output: Array = field(repr=False)


class Outputs(Protocol):
    """Remembers what operations give."""

    def output(self, layer: str) -> Array | None:
        """What the operation gives; None where that is not remembered."""

    def keep_output(self, layer: str, output: Array) -> None:
        """Remember what an operation gives."""


class Playback:
    """Runs operations in order from an input, and lets go of each value once it was read for the last time.

    Args:
        ops: in the order they run; each can be run (`Op.run`).
        x: the network's input, in the precision to compute in.
        watched: ids whose value will be taken by `take`, each as often as it stands there.
        outputs: what they gave for this input before; those remembered are not run.
    """

    def __init__(self, ops: Sequence[Op], x: Array, watched: Iterable[str], outputs: Outputs | None = None) -> None:
        self._ops = list(ops)
        self._outputs = outputs
        self._next = 0
        self._values: dict[str, Array] = {INPUT: x}
        self._readers = Counter(layer for op in ops for layer in op.inputs)
        self._readers.update(watched)

    def fork(self, moved: Mapping[str, Array]) -> Playback:
        """A second playback that goes on from here, with some of the values it starts from replaced."""
        other = copy.copy(self)
        other._outputs = None
        other._readers = Counter(layer for op in self._ops[self._next :] for layer in op.inputs)
        other._values = {
            layer: moved.get(layer, value) for layer, value in self._values.items() if other._readers[layer] > 0
        }
        return other

    def step(self, add: Array | None = None) -> Played:
        """Run the next operation, and add to its output if asked.

        Args:
            add: of the output's shape; the sum may be written into it.

        Raises:
            Exception: whatever the operation raises.
        """
        op = self._ops[self._next]
        inputs = tuple(self._values[layer] for layer in op.inputs)
        output = self._output(op, inputs)
        self._next += 1
        if add is not None:
            output = moved(output, add)
        for layer in op.inputs:
            self._read(layer)
        if self._readers[op.layer] > 0:
            self._values[op.layer] = output
        return Played(op, inputs, output)

    def _output(self, op: Op, inputs: Sequence[Array]) -> Array:
        if self._outputs is None:
            return run(op, inputs)
        output = self._outputs.output(op.layer)
        if output is None:
            output = run(op, inputs)
            self._outputs.keep_output(op.layer, output)
        return output

    def take(self, layer: str) -> Array:
        """The value of `layer`, running whatever must run before it."""
        while layer not in self._values:
            self.step()
        output = self._values[layer]
        self._read(layer)
        return output

    def holds(self, layer: str) -> bool:
        """Whether the value of `layer` was made, and is still held."""
        return layer in self._values

    def _read(self, layer: str) -> None:
        self._readers[layer] -= 1
        if self._readers[layer] <= 0:
            self._values.pop(layer, None)


def moved(output: Array, add: Array) -> Array:
    """The sum, in the precision of `output`; where `add` has it too, written into that array.

    A fresh array of that size costs more than the sum.
    """
    if add.dtype == output.dtype and add.shape == output.shape:
        return np.add(output, add, out=add)
    total: Array = (output + add).astype(output.dtype)
    return total


def play(ops: Sequence[Op], given: Mapping[str, Array]) -> tuple[list[Played], bool]:
    """Run a few operations by themselves.

    Args:
        ops: in the order they run.
        given: the value of everything they take from outside, by id.

    Returns:
        Each of them, played, and whether one of them changed what it was given and is not known to do so.

    Raises:
        Exception: whatever an operation raises; ValueError where one was read from a file and cannot be run.
    """
    values, played, spoilt = dict(given), [], False
    for op in ops:
        inputs = tuple(values[layer] for layer in op.inputs)
        if op.in_place:
            output = run(op, inputs)
        else:
            output, changed = run_and_watch(op, inputs)
            spoilt |= changed
        values[op.layer] = output
        played.append(Played(op, inputs, output))
    return played, spoilt


def play_unwatched(ops: Sequence[Op], given: Mapping[str, Array]) -> list[Played]:
    """Run a few operations by themselves, for whoever need not know, or knows, what they do to what they are given.

    Raises:
        Exception: see `play`.
    """
    values, played = dict(given), []
    for op in ops:
        inputs = tuple(values[layer] for layer in op.inputs)
        values[op.layer] = run(op, inputs)
        played.append(Played(op, inputs, values[op.layer]))
    return played


def run(op: Op, inputs: Sequence[Array]) -> Array:
    """The output of `op` for `inputs`, whatever it does to what it is given.

    It gets copies, since it may change its inputs, and what it gives is copied unless nobody else can hold it, since
    it may use that array again. Torch's own code writes to its first input, if it works in place, and to no other, and
    uses no array again.

    Raises:
        ValueError: the operation was read from a file and cannot be run.
    """
    if op.native:
        return _called_native(op, inputs)
    return sole([_called(op, [array.copy(order="K") for array in inputs])])


def run_and_watch(op: Op, inputs: Sequence[Array]) -> tuple[Array, bool]:
    """The output of `op`, and whether it changed one of its inputs on the way.

    Raises:
        ValueError: the operation was read from a file and cannot be run.
    """
    if op.native:
        return _called_native(op, inputs), False
    given = [array.copy(order="K") for array in inputs]
    output = sole([_called(op, given)])
    return output, any(not same_bits(a, b) for a, b in zip(given, inputs, strict=True))


def _called_native(op: Op, inputs: Sequence[Array]) -> Array:
    if not op.in_place:
        return _called(op, inputs)
    first, *others = inputs
    return _called(op, [first.copy(order="K"), *others])


def _called(op: Op, given: Sequence[Array]) -> Array:
    if op.run is None:
        raise ValueError(f"{op.layer}: cannot be run again, it comes from a saved trace")
    return op.run(*given)
