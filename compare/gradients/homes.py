"""Where the expected network's tensors are in a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from layerdiff.compare.pairs import Pair
from layerdiff.compare.transfer import Carried

__all__ = ["homes_of"]


def homes_of(pair: Pair, carried: Sequence[Carried]) -> Mapping[str, Carried]:
    """The place of each of the expected tensors of a pair: as they were carried over or else by their roles."""
    return {one.expected: one for one in carried} or _by_role(pair)


def _by_role(pair: Pair) -> dict[str, Carried]:
    """The candidate's name for each of the expected tensors of a pair, where operations of one kind use both."""
    found = {}
    for op in pair.expected:
        others = [other for other in pair.actual if set(op.keys) <= set(other.keys)]
        if len(others) == 1:
            found.update({key: Carried(key, others[0].keys[role]) for role, key in op.keys.items()})
    return found
