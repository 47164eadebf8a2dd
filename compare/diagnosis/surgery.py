"""A candidate's trace, changed: operations exchanged, taken out, put in, or given other inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np

from layerdiff.compare.playback import Playback
from layerdiff.compare.trace import INPUT, Array, Op, Trace

__all__ = ["Edit", "edited", "exchanged", "in_order", "returning"]


class Edit:
    """Changes to a list of operations, gathered and then made at once.

    Attributes:
        dropped: ids of operations that go.
        added: operations that come.
        inputs: for the id of an operation, what it takes from now on.
    """

    def __init__(self) -> None:
        self.dropped: set[str] = set()
        self.added: dict[str, Op] = {}
        self.inputs: dict[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.dropped or self.added or self.inputs)


def edited(trace: Trace, edit: Edit, x: Array, *, returned_by: str | None = None) -> Trace | None:
    """The trace with an edit made; None where what is left cannot be put in an order.

    Args:
        trace: the candidate's.
        edit: what changes.
        x: the network's input: what the changed network returns is made again.
        returned_by: id of the operation whose output it returns from now on; None for the same as before.
    """
    kept = [op for op in trace.ops if op.layer not in edit.dropped]
    changed = [replace(op, inputs=edit.inputs.get(op.layer, op.inputs)) for op in (*kept, *edit.added.values())]
    ops = in_order(changed)
    if ops is None:
        return None
    return returning(replace(trace, ops=ops), returned_by or trace.returned_by, x)


def exchanged(trace: Trace, pairs: Mapping[str, tuple[Op, ...]], gone: Set[str]) -> Trace:
    """The trace with some operations exchanged for others.

    Args:
        trace: the candidate's.
        pairs: what comes in the place of an operation, by its id, which the last of them has too.
        gone: ids of operations that go without anything in their place.
    """
    ops = [new for op in trace.ops if op.layer not in gone for new in pairs.get(op.layer, (op,))]
    return replace(trace, ops=tuple(ops))


def in_order(ops: Sequence[Op]) -> tuple[Op, ...] | None:
    """The operations in an order in which they can run, as near as possible to the one given; None: there is none."""
    made, waiting, ordered = {INPUT}, list(ops), list[Op]()
    while waiting:
        ready = next((op for op in waiting if made.issuperset(op.inputs)), None)
        if ready is None:
            return None
        waiting.remove(ready)
        ordered.append(ready)
        made.add(ready.layer)
    return tuple(ordered)


def returning(trace: Trace, layer: str | None, x: Array) -> Trace | None:
    """The trace of a network that returns the output of `layer`; None where that cannot be made."""
    if layer is None or trace.returned_as:
        return trace
    if layer not in {op.layer for op in trace.ops}:
        return None
    try:
        with np.errstate(all="ignore"):
            output = Playback(trace.ops, x, watched=[layer]).take(layer)
    except Exception:
        # Somebody else's code on inputs it never had before may raise anything.
        return None
    return replace(trace, returned=output, returned_by=layer, final=layer)
