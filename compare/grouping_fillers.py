"""Fillers: what changes nothing, or only moves or casts numbers, belongs to what it stands behind or before."""

from __future__ import annotations

from dataclasses import replace

from layerdiff.compare.drafts import Draft, Group, is_glue
from layerdiff.compare.kinds import IDLE
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.trace import Op

__all__ = ["expected_fillers", "fillers_behind", "movers_before", "repeated"]

_LIMITS = frozenset({"relu", "clamp", "clamp_min", "maximum"})


def fillers_behind(draft: Draft) -> Draft:
    """What keeps the shape and does nothing, or pads nothing, belongs to the operation behind which it stands."""
    for op in draft.extra:
        before = draft.there.ops.get(op.inputs[0]) if op.inputs else None
        if before is None or not is_glue(op) or before.shape != op.shape:
            continue
        i = draft.given_by(before.layer)
        if i is None or draft.there.consumers[before.layer] != [op.layer] or _is_cast_for_one(op, before, draft):
            continue
        group = draft.groups[i]
        draft = draft.merged([i], replace(group, actual=(*group.actual, op)))
    return draft


def _is_cast_for_one(op: Op, before: Op, draft: Draft) -> bool:
    """Whether `op` leaves the precision it is given, for one layer alone: it is that layer that computes in another.

    A cast back to what images come in ends what the layer before it began.
    """
    takers = [group for group in draft.groups if op.layer in outside_inputs(group.actual)]
    return op.dtype not in {before.dtype, "float32"} and len(takers) == 1


def repeated(draft: Draft) -> Draft:
    """A ReLU behind a ReLU changes nothing, and belongs to it; so does one behind a max-pool of a ReLU's output."""
    for op in draft.extra:
        if len(op.inputs) != 1 or op.parameters or op.kind not in _LIMITS or op.attributes.get("max") is not None:
            continue
        takers = draft.there.consumers[op.layer]
        twin = [g for g in draft.groups if len(takers) == 1 and g.actual and g.actual[0].layer == takers[0]]
        if twin and twin[0].expected[0].kind == "relu" and len(twin[0].actual[0].inputs) == 1:
            draft = draft.merged([draft.groups.index(twin[0])], replace(twin[0], actual=(op, *twin[0].actual)))
            continue
        i = draft.given_by(op.inputs[0])
        if i is None or draft.there.consumers[op.inputs[0]] != [op.layer]:
            continue
        group, gone = draft.groups[i], [i]
        if group.expected[0].kind == "max_pool2d" and len(group.expected) == 1:
            before = draft.ending(group.expected[0].inputs[0])
            if before is None or not _feeds_only(draft.groups[before], group, draft):
                continue
            one = draft.groups[before]
            group, gone = Group((*one.expected, *group.expected), (*one.actual, *group.actual)), [before, i]
        if group.expected[0].kind == "relu":
            draft = draft.merged(gone, replace(group, actual=(*group.actual, op)))
    return draft


def _feeds_only(group: Group, other: Group, draft: Draft) -> bool:
    """Whether what `group` gives goes to `other` and nowhere else, in both networks."""
    if not group.actual or outside_inputs(other.actual) != (group.actual[-1].layer,):
        return False
    ours, theirs = ({op.layer for op in ops} for ops in (other.expected, other.actual))
    return (
        set(draft.here.consumers[group.expected[-1].layer]) <= ours
        and set(draft.there.consumers[group.actual[-1].layer]) <= theirs
    )


def movers_before(draft: Draft) -> Draft:
    """What moves numbers belongs to the operations that take it: a padding of its own to the convolution behind it.

    Unless the expected network has something else in that place, which is then missing.
    """
    # From the last to the first, so that a chain of them ends up whole.
    for op in reversed([op for op in draft.extra if is_glue(op)]):
        takers = draft.there.consumers[op.layer]
        behind = [i for i, group in enumerate(draft.groups) if op.layer in outside_inputs(group.actual)]
        covered = {other.layer for i in behind for other in draft.groups[i].actual}
        if (
            behind
            and set(takers) <= covered
            and (
                op.kind in IDLE
                or not any(_lacks_before(draft.groups[i], draft) for i in behind)
                or all(_pads_for(op, draft.groups[i]) for i in behind)
            )
        ):
            groups = list(draft.groups)
            for i in behind:
                groups[i] = replace(groups[i], actual=(op, *groups[i].actual))
            draft = replace(draft, groups=tuple(groups), extra=tuple(one for one in draft.extra if one is not op))
        elif not takers and (last := draft.given_by(op.inputs[0])) is not None:
            group = draft.groups[last]
            draft = draft.merged([last], replace(group, actual=(*group.actual, op)))
    return draft


def _pads_for(op: Op, group: Group) -> bool:
    """Whether `op` is the padding of the window behind it, which pads nothing itself where the expected one does."""
    if op.kind != "pad" or len(group.expected) != 1 or not group.actual:
        return False
    ours, theirs = (one.attributes.get("padding") for one in (group.expected[0], group.actual[-1]))
    return ours not in {None, (0, 0)} and theirs == (0, 0)


def _lacks_before(group: Group, draft: Draft) -> bool:
    """Whether something that `group` takes in the expected network is missing in the candidate."""
    ends = [draft.ending(layer) for layer in outside_inputs(group.expected)]
    return any(i is not None and not draft.groups[i].actual for i in ends)


def expected_fillers(draft: Draft) -> Draft:
    """An expected operation that does nothing belongs to the one before it: the candidate need not do nothing too."""
    for group in draft.groups:
        op = group.expected[0]
        if group.actual or len(group.expected) > 1 or op.kind not in IDLE or not is_glue(op):
            continue
        i = draft.ending(op.inputs[0])
        if i is not None and draft.groups[i].actual and draft.here.consumers[op.inputs[0]] == [op.layer]:
            before = draft.groups[i]
            draft = draft.merged([i, draft.groups.index(group)], replace(before, expected=(*before.expected, op)))
    return draft
