"""Groups of the head: pooling and flatten, in other steps or in another order."""

from __future__ import annotations

from collections.abc import Sequence

from layerdiff.compare.drafts import HEAD, Draft, Group, is_glue
from layerdiff.compare.graph import Graph
from layerdiff.compare.kinds import IDLE
from layerdiff.compare.trace import Op

__all__ = ["head_at_once"]

_ARITHMETIC = frozenset({"sum", "div", "mul", "einsum"})


def head_at_once(draft: Draft) -> Draft:
    """Pooling and flatten in other steps: `mean([2, 3])`, `mean(3).mean(2)`, flatten before the mean, a sum divided."""
    for start in list(draft.groups):
        first = start.expected[0]
        if start not in draft.groups or first.kind not in HEAD or len(first.inputs) != 1:
            continue
        before = draft.here.ops.get(first.inputs[0])
        if before is not None and before.kind in HEAD:
            continue
        ours = _chain(first, draft.here, HEAD)
        source = _source_of(first, draft)
        if source is None:
            continue
        theirs: list[Op] = []
        for layer in draft.there.consumers[source]:
            op = draft.there.ops[layer]
            if op.kind in HEAD | _ARITHMETIC:
                theirs = _chain(op, draft.there, HEAD | _ARITHMETIC | IDLE, to=ours[-1].shape)
        while theirs and len(ours) > 1 and len(theirs) > 1 and _are_paired(ours[0], theirs[0], draft):
            ours, theirs = ours[1:], theirs[1:]
        names = {op.layer for op in ours}
        gone = [i for i, group in enumerate(draft.groups) if {op.layer for op in group.expected} & names]
        inside = [draft.groups[i] for i in gone]
        if not theirs or theirs[-1].shape != ours[-1].shape or _one_by_one(inside, ours, theirs):
            continue
        covered = {op.layer for group in inside for op in group.actual}
        elsewhere = {op.layer for group in draft.groups if group not in inside for op in group.actual}
        whole = all({op.layer for op in group.expected} <= names for group in inside)
        if whole and covered <= {op.layer for op in theirs} and elsewhere.isdisjoint(op.layer for op in theirs):
            draft = draft.merged(gone, Group(tuple(ours), tuple(theirs)))
    return draft


def _chain(op: Op, graph: Graph, kinds: frozenset[str], *, to: tuple[int, ...] | None = None) -> list[Op]:
    """`op` and what follows it, as long as each is the only one to take the last, and of one of `kinds`.

    Args:
        op: the first.
        graph: of its network.
        kinds: that may follow.
        to: stop behind the last of this shape.
    """
    found = [op]
    while len(graph.consumers[found[-1].layer]) == 1:
        following = graph.ops[graph.consumers[found[-1].layer][0]]
        filler = following.kind not in IDLE or is_glue(following)
        if following.kind not in kinds or following.parameters or len(following.inputs) != 1 or not filler:
            break
        found.append(following)
    if to is not None:
        ends = [i for i, one in enumerate(found) if one.shape == to]
        found = found[: ends[-1] + 1] if ends else found
    return found


def _source_of(op: Op, draft: Draft) -> str | None:
    """The candidate's value for what the expected `op` takes."""
    layer = op.inputs[0]
    if layer not in draft.here.ops:
        return layer
    i = draft.ending(layer)
    if i is None:
        return None
    group = draft.groups[i]
    if group.actual:
        return group.actual[-1].layer
    # Where that is missing, what it would have taken.
    return _source_of(group.expected[0], draft) if len(group.expected[0].inputs) == 1 else None


def _are_paired(op: Op, other: Op, draft: Draft) -> bool:
    return Group((op,), (other,)) in draft.groups and op.shape == other.shape


def _one_by_one(groups: Sequence[Group], ours: Sequence[Op], theirs: Sequence[Op]) -> bool:
    """Whether each operation has its own partner already, of its own shape."""
    pairs = [(g.expected[0], g.actual[0]) for g in groups if len(g.expected) == len(g.actual) == 1]
    return len(pairs) == len(ours) == len(theirs) and all(a.shape == b.shape for a, b in pairs)
