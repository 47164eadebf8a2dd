"""The candidate, end to end: each value is made when it is asked for, and let go of once it was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from layerdiff.compare.playback import run
from layerdiff.compare.trace import INPUT, Array, Op

__all__ = ["Candidate"]


class Candidate:
    """The candidate's own values, from the input on.

    An operation runs when its value is asked for, after those it takes. One whose value nobody will ask for never runs.

    Args:
        ops: in the order they ran.
        x: the input in the precision to compute in.
        wanted: ids whose value will be taken, each as often as it stands there.
    """

    def __init__(self, ops: Sequence[Op], x: Array, wanted: Iterable[str]) -> None:
        self._ops = {op.layer: op for op in ops}
        self._values: dict[str, Array] = {INPUT: x}
        self._failed: dict[str, str] = {}
        self._done: set[str] = set()
        self._readers = Counter(wanted)
        needed: set[str] = set(self._readers)
        for op in reversed(ops):
            if op.layer in needed:
                needed.update(op.inputs)
                self._readers.update(op.inputs)

    def value(self, layer: str) -> Array:
        """The value of `layer`, which stays held.

        Raises:
            Failed: an operation on the way to it raised; `args` has its id.
        """
        waiting = [layer]
        while waiting:
            top = waiting[-1]
            if top in self._values:
                waiting.pop()
                continue
            op = self._ops.get(top)
            reasons = [self._failed[name] for name in (top, *(op.inputs if op else ())) if name in self._failed]
            lacking = [name for name in (op.inputs if op else ()) if name not in self._values]
            if op is None or reasons or top in self._done:
                self._failed[top] = (reasons or [top])[0]
                raise Failed(self._failed[top])
            if lacking:
                waiting.extend(lacking)
                continue
            try:
                output = run(op, [self._values[name] for name in op.inputs])
            except Exception:
                self._failed[top] = top
                raise Failed(top) from None
            self._note(op, output)
        return self._values[layer]

    def take(self, layer: str) -> Array:
        """The value of `layer`, for the last time for whoever wanted it.

        Raises:
            Failed: an operation on the way to it raised; `args` has its id.
        """
        found = self.value(layer)
        self._read(layer)
        return found

    def accept(self, ops: Sequence[Op], outputs: Mapping[str, Array]) -> None:
        """Take over what some operations gave when they ran by themselves, on the very bits that they get here."""
        for op in ops:
            if op.layer not in self._done:
                self._note(op, outputs[op.layer])

    def refuse(self, layer: str) -> None:
        """Let nothing be made of the value of `layer` from here on: it cannot be had in this precision."""
        self._failed[layer] = layer
        self._values.pop(layer, None)

    def share(self, layer: str, equal: Array) -> None:
        """Hold `equal`, which is the same to the bit, in place of the value of `layer`: it is held once for both."""
        if layer in self._values:
            self._values[layer] = equal

    def _note(self, op: Op, output: Array) -> None:
        self._done.add(op.layer)
        if self._readers[op.layer] > 0:
            self._values[op.layer] = output
        for name in op.inputs:
            self._read(name)

    def _read(self, layer: str) -> None:
        self._readers[layer] -= 1
        if self._readers[layer] <= 0:
            self._values.pop(layer, None)


class Failed(Exception):  # noqa: N818 - a signal, not an error
    """An operation raised, so that nothing behind it has a value."""
