"""Groups of operations that are judged as one, and a draft of all of them, which is bettered step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from layerdiff.compare.graph import Graph
from layerdiff.compare.kinds import IDLE, MOVING
from layerdiff.compare.trace import Op

__all__ = ["HEAD", "Draft", "Group", "is_glue"]

HEAD = frozenset({"adaptive_avg_pool2d", "avg_pool2d", "mean", "flatten", "view", "reshape", "squeeze", "getitem"})
"""Kinds by which maps become a row of numbers."""


@dataclass(frozen=True)
class Group:
    """Operations of both networks that stand for each other; `actual` is empty where the candidate has none."""

    expected: tuple[Op, ...]
    actual: tuple[Op, ...]


@dataclass(frozen=True)
class Draft:
    """Groups so far, and the candidate's operations that are in none."""

    groups: tuple[Group, ...]
    extra: tuple[Op, ...]
    here: Graph
    there: Graph

    def ending(self, layer: str) -> int | None:
        """The group whose last expected operation is `layer`."""
        return next((i for i, group in enumerate(self.groups) if group.expected[-1].layer == layer), None)

    def given_by(self, layer: str) -> int | None:
        """The group whose last operation of the candidate is `layer`."""
        return next((i for i, g in enumerate(self.groups) if g.actual and g.actual[-1].layer == layer), None)

    def merged(self, gone: Sequence[int], group: Group) -> Draft:
        """Some groups become one, which takes what it needs of what is left over."""
        kept = [one for i, one in enumerate(self.groups) if i not in gone]
        taken = {op.layer for op in group.actual}
        return replace(self, groups=(*kept, group), extra=tuple(op for op in self.extra if op.layer not in taken))


def is_glue(op: Op) -> bool:
    """Whether an operation does nothing, or only moves or casts the numbers of one value."""
    # Dropout that is at work is no filler.
    at_work = bool(op.attributes.get("training")) and op.attributes.get("p") != 0
    return op.kind in IDLE | MOVING and len(set(op.inputs)) == 1 and not op.parameters and not at_work
