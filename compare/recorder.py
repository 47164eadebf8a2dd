"""What a capture keeps while a network runs: the operations so far, who made which value, and whether to go on."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from layerdiff.compare.crash import Crash
from layerdiff.compare.trace import INPUT, Array, Namer, Op, is_within

__all__ = ["Recorder", "Recording", "StopForward", "ValueLeftError"]


class StopForward(Exception):  # noqa: N818 - a signal, not an error
    """Ends a forward pass early: the part of the network that was asked for has run."""


class ValueLeftError(Exception):
    """A value from inside a class that was taken for one operation is used outside it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass
class Recording:
    """What a forward pass left behind; becomes a `Trace`.

    Attributes:
        ops: in the order they ran.
        values: outputs by layer id, where they were to be kept.
        returned: what the network gave, if it is one array and the pass was not stopped.
        returned_by: layer id of the operation that made it.
        returned_as: what the network gave, in words, if it is not one array.
        stopped: whether the pass was stopped because the part that was asked for had run.
        crash: the operation that raised, if one did and the network did not catch it.
        crashed: that operation, as if it had run; its shape is not known.
        used: names, in the state dict, of the parameters and buffers that took part.
        unseen: what happened to values without being an operation that could be seen, in words.
        looks: lines of the network's code that look at values, and may choose their way by them.
        random: whether random numbers were drawn.
    """

    ops: list[Op] = field(default_factory=list)
    values: dict[str, Array] = field(default_factory=dict)
    returned: Array | None = None
    returned_by: str | None = None
    returned_as: str = ""
    stopped: bool = False
    crash: Crash | None = None
    crashed: Op | None = None
    used: set[str] = field(default_factory=set)
    unseen: list[str] = field(default_factory=list)
    looks: set[str] = field(default_factory=set)
    random: bool = False


class Recorder:
    """Keeps the operations of one forward pass; arrays and tensors alike, known by their identity.

    Args:
        x: the network's input.
        mark: gives the imprint of a value; None for one that has no values.
        until: stop once this part of the network has run.
        keep: keep every value.
    """

    def __init__(self, x: Any, mark: Callable[[Any], int | None], *, until: str | None, keep: bool) -> None:
        self.recording = Recording()
        self._until, self._keep = until, keep
        self._namer = Namer()
        self._producers: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._folded: dict[str, str] = {}
        self._imprints: dict[str, int] = {}
        self._mark = mark
        self._owns(x, INPUT)

    def producer(self, value: Any) -> str | None:
        """The id of the operation that made `value`, `input` for the network's input, None for anything else.

        Raises:
            ValueLeftError: it was made inside a class that has become one operation since.
        """
        ref, layer = self._producers.get(id(value), (None, None))
        # An id is used again once its object is gone.
        if ref is None or layer is None or ref() is not value:
            return None
        if layer in self._folded:
            raise ValueLeftError(self._folded[layer])
        return layer

    def name(self, path: str) -> str:
        """The id of the operation that runs at `path` now.

        Raises:
            StopForward: it lies behind the part that was asked for.
        """
        layer, ops = self._namer.name(path), self.recording.ops
        if layer == INPUT:
            # A layer may be called as the network's input is called here.
            layer = self._namer.name(path)
        part = self._until
        if part is not None and not is_within(layer, part) and any(is_within(op.layer, part) for op in ops):
            raise StopForward
        return layer

    def add(self, op: Op, output: Any, values: Callable[[], Array]) -> None:
        """Note that `op` ran and made `output`; `values` gives a view of what is in it."""
        self.recording.ops.append(op)
        self.recording.used.update(op.keys.values())
        self._owns(output, op.layer)
        if self._keep:
            # A copy: a later operation in place would change it under our hands.
            self.recording.values[op.layer] = values().copy()

    def fold(self, start: int, op: Op, output: Any, values: Callable[[], Array]) -> None:
        """Note that all operations from the one numbered `start` were the inside of one, `op`."""
        inside = self.recording.ops[start:]
        del self.recording.ops[start:]
        for inner in inside:
            self._folded[inner.layer] = op.path
            self.recording.values.pop(inner.layer, None)
        self.add(op, output, values)

    def takes(self, value: Any, by: str) -> None:
        """Note that `by` takes `value`; one that is not what it was made is noted as written to unseen."""
        layer = self.producer(value)
        if layer not in self._imprints or self._imprints[layer] == self._mark(value):
            return
        self.recording.unseen.append(
            f"what {layer} gave is not what {by} takes: it was written to in between, in a way that could not be seen"
        )
        del self._imprints[layer]

    def returns(self, output: Any, array: Array | None, words: str = "") -> None:
        """Note what the network gave; `array` is a copy of its values, None if it is not one array."""
        self.recording.returned_by = self.producer(output)
        self.recording.returned = array
        self.recording.returned_as = words

    def _owns(self, value: Any, layer: str) -> None:
        self._producers[id(value)] = (weakref.ref(value), layer)
        found = self._mark(value)
        if found is not None:
            self._imprints[layer] = found
