"""Playback: a trace's operations run again one at a time, holding only the values that are still needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from layerdiff.compare.trace import INPUT, Array, Op

__all__ = ["Playback", "run", "run_and_watch"]


class Playback:
    """Runs operations in order from an input, and lets go of each value once it was read for the last time.

    Args:
        ops: in the order they run; each can be run (`Op.run`).
        x: the network's input, in the precision to compute in.
        watched: ids of the operations whose output will be taken once by `take`.
    """

    def __init__(self, ops: Sequence[Op], x: Array, watched: Sequence[str]) -> None:
        self._ops = list(ops)
        self._next = 0
        self._values: dict[str, Array] = {INPUT: x}
        self._readers = Counter(layer for op in ops for layer in op.inputs)
        self._readers.update(watched)

    def step(self, add: Array | None = None) -> tuple[tuple[Array, ...], Array]:
        """Run the next operation, add to its output if asked, and return its inputs and output."""
        op = self._ops[self._next]
        self._next += 1
        inputs = tuple(self._values[layer] for layer in op.inputs)
        output = run(op, inputs)
        if add is not None:
            output = (output + add).astype(output.dtype)
        for layer in op.inputs:
            self._read(layer)
        if self._readers[op.layer] > 0:
            self._values[op.layer] = output
        return inputs, output

    def take(self, layer: str) -> Array:
        """The output of `layer`, running whatever must run before it."""
        while layer not in self._values:
            self.step()
        output = self._values[layer]
        self._read(layer)
        return output

    def _read(self, layer: str) -> None:
        self._readers[layer] -= 1
        if self._readers[layer] <= 0:
            self._values.pop(layer, None)


def run(op: Op, inputs: Sequence[Array]) -> Array:
    """The output of `op` for `inputs`, whatever it does to what it is given.

    It gets copies, since it may change its inputs, and what it gives is copied, since it may use that array again.

    Raises:
        ValueError: the operation was read from a file and cannot be run.
    """
    return _run(op, [array.copy(order="K") for array in inputs])


def run_and_watch(op: Op, inputs: Sequence[Array]) -> tuple[Array, bool]:
    """The output of `op`, and whether it changed one of its inputs on the way.

    Raises:
        ValueError: the operation was read from a file and cannot be run.
    """
    given = [array.copy(order="K") for array in inputs]
    output = _run(op, given)
    return output, any(not _same_bits(a, b) for a, b in zip(given, inputs, strict=True))


def _run(op: Op, given: Sequence[Array]) -> Array:
    if op.run is None:
        raise ValueError(f"{op.layer}: cannot be run again, it comes from a saved trace")
    output = op.run(*given)
    return np.array(output, order="K")


def _same_bits(a: Array, b: Array) -> bool:
    # As integers: a NaN that stayed as it was did not change.
    bits = np.dtype(f"i{a.itemsize}")
    return bool(np.array_equal(a.view(bits), b.view(bits)))
