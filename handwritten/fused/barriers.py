"""Where threads must wait for each other, found from the arrays that their calls touch.

Two steps may run without waiting in between where no thread touches in the later one what another thread writes in the
earlier one, nor writes what another one reads there. That is looked up in the arrays themselves, so a plan need not
know it: rows that stay with their thread need no waiting, the first row of a neighbour's half does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import NDArray

from layerdiff.handwritten.fused.calls import Call, Group, Step
from layerdiff.handwritten.fused.team import Phase
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["to_phases"]

_PATIENCE: Any = 10_000  # ways of sharing a value that NumPy may try before it is taken for granted


@dataclass
class _Touched:
    """What a thread touches, each view once."""

    writes: dict[object, Array] = field(default_factory=dict)
    reads: dict[object, Array] = field(default_factory=dict)

    def add(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self.writes[_key(call.out)] = call.out
            self.reads.update({_key(array): array for array in call.inputs})


def to_phases(steps: Sequence[Step], threads: int) -> list[Phase]:
    """The calls of all steps in order, in as few phases as the arrays allow."""
    phases: list[list[list[Call]]] = []
    before: list[_Touched] = []
    for step in steps:
        calls = [_flat(step.parts[thread]) for thread in range(threads)]
        if not phases or _conflict(before, calls):
            phases.append([[] for _ in range(threads)])
            before = [_Touched() for _ in range(threads)]
        for thread in range(threads):
            phases[-1][thread] += calls[thread]
            before[thread].add(calls[thread])
    return [tuple(tuple(call.run for call in part) for part in phase) for phase in phases]


def _conflict(before: Sequence[_Touched], calls: Sequence[Sequence[Call]]) -> bool:
    """Whether a thread's `calls` touch what another thread wrote `before`, or write what it read."""
    for thread, own in enumerate(calls):
        touched = _Touched()
        touched.add(own)
        for other, theirs in enumerate(before):
            if other != thread and (
                _overlap(touched.writes, theirs.writes)
                or _overlap(touched.writes, theirs.reads)
                or _overlap(touched.reads, theirs.writes)
            ):
                return True
    return False


def _overlap(ones: dict[object, Array], others: dict[object, Array]) -> bool:
    """Whether any of the ones shares a value with any of the others; where that is hard to say, yes."""
    if not ones or not others:
        return False
    left, right = list(ones.values()), list(others.values())
    (low, high), (other_low, other_high) = _bounds(left), _bounds(right)
    near = (low[:, None] < other_high) & (other_low < high[:, None])
    return any(np.may_share_memory(left[i], right[j], max_work=_PATIENCE) for i, j in np.argwhere(near))


def _bounds(arrays: Sequence[Array]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First byte of each, and the one after its last."""
    bounds = np.array([byte_bounds(array) for array in arrays], dtype=np.int64)
    return bounds[:, 0], bounds[:, 1]


def _flat(groups: Sequence[Group]) -> list[Call]:
    return [call for group in groups for call in group]


def _key(array: Array) -> object:
    return array.__array_interface__["data"][0], array.shape, array.strides
