"""Alignment: which operation of the candidate stands for which one of the expected network."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import TypeAlias

from layerdiff.compare.pairs import Alignment, Pair, outside_inputs
from layerdiff.compare.trace import INPUT, Op

__all__ = ["align"]


def align(expected: Sequence[Op], actual: Sequence[Op]) -> Alignment:
    """Pair the operations of two networks that use the same layer ids.

    Operations are paired by path. Where both networks run a path equally often, its calls are paired in order.
    Where they do not (a block's one ReLU is called twice instead of thrice), by what they take as input, so that
    the call that was left out is the one that is missing, not the last one. Wiring is compared between paired
    operations; one without a partner is looked through to its own inputs, so that only it is blamed.
    """
    waiting: dict[str, list[Op]] = defaultdict(list)
    for op in actual:
        waiting[op.path].append(op)
    calls = Counter(op.path for op in expected)
    in_order = {path: len(ops) == calls[path] for path, ops in waiting.items()}
    foreign = {op.layer for op in actual if op.path not in calls}

    here, there = _Graph(expected), _Graph(actual)
    partner: dict[str, str] = {INPUT: INPUT}  # of the candidate's operations, in the expected network
    missing: set[str] = set()
    chosen: list[tuple[Op, Op | None]] = []
    for op in expected:
        candidates = waiting[op.path]
        if not in_order.get(op.path, False):
            wanted = here.sources(op, through=missing)
            candidates = [
                other
                for other in candidates
                if _agree(_translate(there.sources(other, through=foreign), partner), wanted)
            ]
        if not candidates:
            missing.add(op.layer)
            chosen.append((op, None))
            continue
        other = candidates[0]
        waiting[op.path].remove(other)
        partner[other.layer] = op.layer
        chosen.append((op, other))

    extra = {op.layer for op in actual if op.layer not in partner}
    pairs = []
    for op, found in chosen:
        if found is None:
            pairs.append(Pair((op,), ()))
            continue
        wanted, given = here.sources(op, through=missing), _translate(there.sources(found, through=extra), partner)
        feeds = tuple(dict.fromkeys(op.inputs))[: len(outside_inputs((found,)))]
        pairs.append(Pair((op,), (found,), feeds, _problems(op, found, wanted, given), "the same id", "certain"))
    return Alignment(tuple(pairs), tuple(op for op in actual if op.layer in extra))


Sources: TypeAlias = list[frozenset[str]]


class _Graph:
    """Where the operations of one network take their inputs from."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self._ops = {op.layer: op for op in ops}

    def sources(self, op: Op, *, through: Set[str]) -> Sources:
        """For each input of `op` the layers it comes from, looking through those in `through` to what they take."""
        return [self._behind(layer, through) for layer in op.inputs]

    def _behind(self, layer: str, through: Set[str]) -> frozenset[str]:
        if layer not in through:
            return frozenset({layer})
        return frozenset().union(*(self._behind(inner, through) for inner in self._ops[layer].inputs))


def _translate(sources: Sources, partner: Mapping[str, str]) -> Sources:
    return [frozenset(partner.get(layer, f"{layer} of the candidate") for layer in layers) for layers in sources]


def _agree(found: Sources, wanted: Sources) -> bool:
    return len(found) == len(wanted) and all(a & b for a, b in zip(found, wanted, strict=True))


def _problems(op: Op, other: Op, wanted: Sources, found: Sources) -> tuple[str, ...]:
    problems = []
    if op.kind != other.kind:
        problems.append(f"kind: got {other.kind}, expected {op.kind}")
    if len(found) != len(wanted):
        problems.append(f"inputs: got {len(found)}, expected {len(wanted)}")
    # A sum does not mind the order of its terms.
    elif not _agree(found, wanted) and not (op.kind == "add" and _agree(found[::-1], wanted)):
        got, want = (" and ".join(sorted(frozenset().union(*sets))) for sets in (found, wanted))
        problems.append(f"wiring: takes {got}, expected {want}")
    return tuple(problems)
