"""Groups: operations that are judged as one, because one network writes in other steps what the other writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerdiff.compare.graph import Graph
from layerdiff.compare.kinds import ARITHMETIC, IDLE, MOVING, PLAIN, family
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.trace import Op

__all__ = ["Group", "grouped"]

_COMMUTE = frozenset({"relu", "max_pool2d"})
_HEAD = frozenset({"adaptive_avg_pool2d", "avg_pool2d", "mean", "flatten", "view", "reshape", "squeeze", "getitem"})
_HEAD_ARITHMETIC = frozenset({"sum", "div", "mul", "einsum"})
_PRODUCTS = frozenset({"conv2d", "linear"})
_SLICING = frozenset({"getitem", "narrow", "split", "chunk", "tensor_split", "index_select", "contiguous"})
_LIMITS = frozenset({"relu", "clamp", "clamp_min", "maximum"})


@dataclass(frozen=True)
class Group:
    """Operations of both networks that stand for each other; `actual` is empty where the candidate has none."""

    expected: tuple[Op, ...]
    actual: tuple[Op, ...]


@dataclass(frozen=True)
class _Draft:
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

    def merged(self, gone: Sequence[int], group: Group) -> _Draft:
        """Some groups become one, which takes what it needs of what is left over."""
        kept = [one for i, one in enumerate(self.groups) if i not in gone]
        taken = {op.layer for op in group.actual}
        return replace(self, groups=(*kept, group), extra=tuple(op for op in self.extra if op.layer not in taken))


def grouped(steps: Sequence[tuple[Op | None, Op | None]], here: Graph, there: Graph) -> tuple[list[Group], list[Op]]:
    """Groups out of an alignment, and the candidate's operations that are left over.

    Args:
        steps: pairs, and on either side operations alone, in order.
        here: the expected network.
        there: the candidate.
    """
    groups: list[Group] = []
    extra: list[Op] = []
    for ours, theirs in _runs(_swapped_back(steps)):
        found, rest = _of_run(ours, theirs, there)
        groups += found
        extra += rest
    draft = _Draft(tuple(groups), tuple(extra), here, there)
    passes: tuple[Callable[[_Draft], _Draft], ...] = (
        _layers_in_two, _layers_in_parts, _folded_norms, _head_at_once, _fillers_behind, _repeated, _movers_before,
        _expected_fillers,
    )  # fmt: skip
    for one in passes:
        draft = one(draft)
    return list(draft.groups), list(draft.extra)


# Out of the alignment

Run = tuple[list[Op], list[Op]]


def _swapped_back(steps: Sequence[tuple[Op | None, Op | None]]) -> list[tuple[Op | None, Op | None]]:
    """Where two operations that commute come in the other order, both are taken out of their pairs, to be one group."""
    steps = list(steps)
    for i in range(len(steps) - 1):
        window = steps[i : i + 3]
        ours = [op for op, _ in window if op is not None]
        theirs = [op for _, op in window if op is not None]
        if len(ours) == len(theirs) == 2 and (_commuted(ours, theirs) or _classifier_first(ours, theirs)):
            steps[i : i + 3] = [(op, None) for op in ours] + [(None, op) for op in theirs]
        elif (start := _pooled_by_hand(steps, i)) is not None:
            ours = [op for op, _ in steps[start : i + 2] if op is not None]
            theirs = [op for _, op in steps[start : i + 2] if op is not None]
            steps[start : i + 2] = [(op, None) for op in ours] + [(None, op) for op in theirs]
    return steps


def _pooled_by_hand(steps: Sequence[tuple[Op | None, Op | None]], i: int) -> int | None:
    """Where the arithmetic of a max-pool begins, if the pair at `i` is a ReLU that stands behind such arithmetic.

    None unless the expected network has its max-pool right behind that ReLU, and nothing stands for it there.
    """
    op, other = steps[i]
    pool, behind = steps[i + 1]
    if op is None or other is None or pool is None or behind is not None:
        return None
    if (op.kind, pool.kind) != ("relu", "max_pool2d") or other.shape != pool.shape:
        return None
    start = i
    while start and (before := steps[start - 1])[0] is None and _is_arithmetic(before[1]):
        start -= 1
    arithmetic = {one.kind for _, one in steps[start:i] if one is not None}
    return start if arithmetic & {"amax", "max", "maximum"} else None


def _is_arithmetic(op: Op | None) -> bool:
    return op is not None and op.kind in ARITHMETIC | MOVING | IDLE and not op.parameters


def _commuted(ours: Sequence[Op], theirs: Sequence[Op]) -> bool:
    kinds = {op.kind for op in (*ours, *theirs)}
    crossed = all(family(a.kind, b.kind) for a, b in zip(ours, theirs[::-1], strict=True))
    return crossed and not family(ours[0].kind, ours[1].kind) and kinds <= _COMMUTE


def _classifier_first(ours: Sequence[Op], theirs: Sequence[Op]) -> bool:
    """Whether a 1x1 convolution of a 1x1 map, and then flatten, stand for flatten and then a linear layer."""
    kinds = [op.kind for op in (*ours, *theirs)]
    return (
        kinds[1:3] == ["linear", "conv2d"]
        and kinds[0] in _HEAD
        and kinds[3] in _HEAD
        and theirs[0].attributes.get("kernel_size") == (1, 1)
    )


def _runs(steps: Sequence[tuple[Op | None, Op | None]]) -> list[Run]:
    """The steps cut into pairs of one operation each, and what lies alone between two of them."""
    runs: list[Run] = []
    open_: Run | None = None
    for op, other in steps:
        if op is not None and other is not None:
            runs.append(([op], [other]))
            open_ = None
            continue
        if open_ is None:
            open_ = ([], [])
            runs.append(open_)
        if op is not None:
            open_[0].append(op)
        if other is not None:
            open_[1].append(other)
    return runs


def _of_run(ours: list[Op], theirs: list[Op], there: Graph) -> tuple[list[Group], list[Op]]:
    if ours and len(ours) == len(theirs) and all(_may_pair(a, b) for a, b in zip(ours, theirs, strict=True)):
        return [Group((op,), (other,)) for op, other in zip(ours, theirs, strict=True)], []
    if ours and theirs and _stands_for(ours, theirs, there):
        return [Group(tuple(ours), tuple(theirs))], []
    return [Group((op,), ()) for op in ours], theirs


def _may_pair(op: Op, other: Op) -> bool:
    own_class = other.kind not in PLAIN and other.kind not in ARITHMETIC
    return family(op.kind, other.kind) or (own_class and bool(op.parameters) == bool(other.parameters))


def _stands_for(ours: list[Op], theirs: list[Op], there: Graph) -> bool:
    """Whether a run of the candidate's operations can be another way to write a run of expected ones."""
    swapped = sorted(op.kind for op in ours) == sorted(op.kind for op in theirs) or (
        len(ours) == len(theirs) == 2 and _classifier_first(ours, theirs)
    )
    made_of = all(op.kind in ARITHMETIC | MOVING | _HEAD or (op.kind in IDLE and _is_glue(op)) for op in theirs)
    # What does nothing stands for nothing but what does nothing.
    made_of = made_of and (any(op.kind not in IDLE for op in theirs) or all(op.kind in IDLE for op in ours))
    layers = [op for op in ours if op.parameters]
    # Arithmetic can be one layer with parameters, or several without any.
    if not swapped and (not made_of or len(layers) > 1 or (layers and len(ours) > 1)):
        return False
    if any(op.kind == "add" and len(op.inputs) == 2 for op in ours) and not swapped:
        return False
    if not layers and any(op.parameters for op in theirs):
        return False
    return _is_one_piece(theirs, there)


def _is_one_piece(ops: Sequence[Op], graph: Graph) -> bool:
    """Whether only the last of `ops` is used outside, so that they can be run as one."""
    inside = {op.layer for op in ops}
    return all(set(graph.consumers[op.layer]) <= inside for op in ops[:-1])


# One after the other


def _layers_in_two(draft: _Draft) -> _Draft:
    """A product whose bias is added in a step of its own, or a batch norm whose scale and shift are, is one layer."""
    for group in draft.groups:
        if len(group.expected) > 1 or not group.actual:
            continue
        wanted = set(group.expected[0].parameters)
        own = group.actual
        while (longer := _with_neighbour(own, wanted, draft)) is not None:
            own = longer
        if own != group.actual:
            draft = draft.merged([draft.groups.index(group)], replace(group, actual=own))
    return draft


def _with_neighbour(own: tuple[Op, ...], wanted: set[str], draft: _Draft) -> tuple[Op, ...] | None:
    """A layer's steps and the one before or behind them that holds parameters they lack; None if there is none."""
    if not wanted - {role for op in own for role in op.parameters}:
        return None
    for op in draft.extra:
        if op in own or len(op.inputs) != 1 or not _is_per_channel(op):
            continue
        if op.inputs[0] == own[-1].layer and draft.there.consumers[own[-1].layer] == [op.layer]:
            return (*own, op)
        if own[0].inputs == (op.layer,) and draft.there.consumers[op.layer] == [own[0].layer]:
            return (op, *own)
    return None


def _layers_in_parts(draft: _Draft) -> _Draft:
    """A product that is computed in parts, each of them of a slice of one value, which are then added up, is one layer.

    Likewise where each part makes some of the channels, and they are put side by side.
    """
    for group in draft.groups:
        if len(group.expected) > 1 or len(group.actual) != 1 or group.expected[0].kind not in _PRODUCTS:
            continue
        own = group.actual
        while (longer := _with_part(own, draft)) is not None:
            own = longer
        if own != group.actual:
            place = {layer: i for i, layer in enumerate(draft.there.ops)}
            own = tuple(sorted(own, key=lambda op: place[op.layer]))
            draft = draft.merged([draft.groups.index(group)], replace(group, actual=own))
    return draft


def _with_part(own: tuple[Op, ...], draft: _Draft) -> tuple[Op, ...] | None:
    """A layer's part and another of the same kind, to which it is joined, with the joint; None if there is none."""
    last, free = own[-1], {op.layer: op for op in draft.extra}
    takers = draft.there.consumers[last.layer]
    if len(takers) != 1 or takers[0] not in free:
        return None
    joint = free[takers[0]]
    if joint.kind not in {"add", "cat"} or len(set(joint.inputs)) != len(joint.inputs):
        return None
    found = {last.layer: own} | {layer: part for layer in joint.inputs if (part := _part(layer, free, draft.there))}
    whole = [*_slices_before(own, free, draft.there)]
    whole += [op for layer in joint.inputs for op in found.get(layer, ())]
    kinds = {op.kind for op in whole if op.kind in _PRODUCTS}
    if set(found) != set(joint.inputs) or len(kinds) != 1 or len(set(outside_inputs(whole))) != 1:
        return None
    return (*whole, joint)


def _part(layer: str, free: Mapping[str, Op], there: Graph) -> tuple[Op, ...]:
    """A product that only one operation takes, with the slicing before it; empty for anything else."""
    op = free.get(layer)
    if op is None or op.kind not in _PRODUCTS or len(there.consumers[layer]) != 1:
        return ()
    return (*_slices_before((op,), free, there), op)


def _slices_before(ops: tuple[Op, ...], free: Mapping[str, Op], there: Graph) -> tuple[Op, ...]:
    """What is left over before `ops`, moves numbers, and is taken by them alone."""
    found: list[Op] = []
    (layer, *others) = outside_inputs(ops)
    while not others and layer in free and free[layer].kind in _SLICING and len(there.consumers[layer]) == 1:
        found.append(free[layer])
        layer, *others = free[layer].inputs
    return tuple(found[::-1])


def _is_per_channel(op: Op) -> bool:
    return bool(op.parameters) and all(array.size == max(array.shape, default=1) for array in op.parameters.values())


def _folded_norms(draft: _Draft) -> _Draft:
    """A convolution with other weights and a bias, and no batch norm behind it, has the batch norm folded into it."""
    for group in draft.groups:
        op = group.expected[0]
        if group.actual or op.kind != "batch_norm" or len(group.expected) > 1:
            continue
        before = draft.ending(op.inputs[0])
        if before is None or draft.here.consumers[op.inputs[0]] != [op.layer]:
            continue
        conv = draft.groups[before]
        if _is_folded(conv):
            draft = draft.merged([before, draft.groups.index(group)], Group((*conv.expected, op), conv.actual))
    return draft


def _is_folded(group: Group) -> bool:
    if not group.actual or group.expected[-1].kind != "conv2d" or group.actual[-1].kind != "conv2d":
        return False
    want, have = group.expected[-1].parameters, group.actual[-1].parameters
    bias = have.get("bias")
    return (
        "bias" not in want
        and bias is not None
        and bool(np.any(bias != 0))
        and not np.array_equal(want["weight"], have.get("weight", np.zeros(0)))
    )


def _head_at_once(draft: _Draft) -> _Draft:
    """Pooling and flatten in other steps: `mean([2, 3])`, `mean(3).mean(2)`, flatten before the mean, a sum divided."""
    for start in list(draft.groups):
        first = start.expected[0]
        if start not in draft.groups or first.kind not in _HEAD or len(first.inputs) != 1:
            continue
        before = draft.here.ops.get(first.inputs[0])
        if before is not None and before.kind in _HEAD:
            continue
        ours = _chain(first, draft.here, _HEAD)
        source = _source_of(first, draft)
        if source is None:
            continue
        theirs: list[Op] = []
        for layer in draft.there.consumers[source]:
            op = draft.there.ops[layer]
            if op.kind in _HEAD | _HEAD_ARITHMETIC:
                theirs = _chain(op, draft.there, _HEAD | _HEAD_ARITHMETIC | IDLE, to=ours[-1].shape)
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
        filler = following.kind not in IDLE or _is_glue(following)
        if following.kind not in kinds or following.parameters or len(following.inputs) != 1 or not filler:
            break
        found.append(following)
    if to is not None:
        ends = [i for i, one in enumerate(found) if one.shape == to]
        found = found[: ends[-1] + 1] if ends else found
    return found


def _source_of(op: Op, draft: _Draft) -> str | None:
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


def _are_paired(op: Op, other: Op, draft: _Draft) -> bool:
    return Group((op,), (other,)) in draft.groups and op.shape == other.shape


def _one_by_one(groups: Sequence[Group], ours: Sequence[Op], theirs: Sequence[Op]) -> bool:
    """Whether each operation has its own partner already, of its own shape."""
    pairs = [(g.expected[0], g.actual[0]) for g in groups if len(g.expected) == len(g.actual) == 1]
    return len(pairs) == len(ours) == len(theirs) and all(a.shape == b.shape for a, b in pairs)


def _fillers_behind(draft: _Draft) -> _Draft:
    """What keeps the shape and does nothing, or pads nothing, belongs to the operation behind which it stands."""
    for op in draft.extra:
        before = draft.there.ops.get(op.inputs[0]) if op.inputs else None
        if before is None or not _is_glue(op) or before.shape != op.shape:
            continue
        i = draft.given_by(before.layer)
        if i is None or draft.there.consumers[before.layer] != [op.layer] or _is_cast_for_one(op, before, draft):
            continue
        group = draft.groups[i]
        draft = draft.merged([i], replace(group, actual=(*group.actual, op)))
    return draft


def _is_cast_for_one(op: Op, before: Op, draft: _Draft) -> bool:
    """Whether `op` leaves the precision it is given, for one layer alone: it is that layer that computes in another.

    A cast back to what images come in ends what the layer before it began.
    """
    takers = [group for group in draft.groups if op.layer in outside_inputs(group.actual)]
    return op.dtype not in {before.dtype, "float32"} and len(takers) == 1


def _repeated(draft: _Draft) -> _Draft:
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


def _feeds_only(group: Group, other: Group, draft: _Draft) -> bool:
    """Whether what `group` gives goes to `other` and nowhere else, in both networks."""
    if not group.actual or outside_inputs(other.actual) != (group.actual[-1].layer,):
        return False
    ours, theirs = ({op.layer for op in ops} for ops in (other.expected, other.actual))
    return (
        set(draft.here.consumers[group.expected[-1].layer]) <= ours
        and set(draft.there.consumers[group.actual[-1].layer]) <= theirs
    )


def _movers_before(draft: _Draft) -> _Draft:
    """What moves numbers belongs to the operations that take it: a padding of its own to the convolution behind it.

    Unless the expected network has something else in that place, which is then missing.
    """
    # From the last to the first, so that a chain of them ends up whole.
    for op in reversed([op for op in draft.extra if _is_glue(op)]):
        takers = draft.there.consumers[op.layer]
        behind = [i for i, group in enumerate(draft.groups) if op.layer in outside_inputs(group.actual)]
        covered = {other.layer for i in behind for other in draft.groups[i].actual}
        if (
            behind
            and set(takers) <= covered
            and (op.kind in IDLE or not any(_lacks_before(draft.groups[i], draft) for i in behind))
        ):
            groups = list(draft.groups)
            for i in behind:
                groups[i] = replace(groups[i], actual=(op, *groups[i].actual))
            draft = replace(draft, groups=tuple(groups), extra=tuple(one for one in draft.extra if one is not op))
        elif not takers and (last := draft.given_by(op.inputs[0])) is not None:
            group = draft.groups[last]
            draft = draft.merged([last], replace(group, actual=(*group.actual, op)))
    return draft


def _lacks_before(group: Group, draft: _Draft) -> bool:
    """Whether something that `group` takes in the expected network is missing in the candidate."""
    ends = [draft.ending(layer) for layer in outside_inputs(group.expected)]
    return any(i is not None and not draft.groups[i].actual for i in ends)


def _is_glue(op: Op) -> bool:
    # Dropout that is at work is no filler.
    at_work = bool(op.attributes.get("training")) and op.attributes.get("p") != 0
    return op.kind in IDLE | MOVING and len(set(op.inputs)) == 1 and not op.parameters and not at_work


def _expected_fillers(draft: _Draft) -> _Draft:
    """An expected operation that does nothing belongs to the one before it: the candidate need not do nothing too."""
    for group in draft.groups:
        op = group.expected[0]
        if group.actual or len(group.expected) > 1 or op.kind not in IDLE or not _is_glue(op):
            continue
        i = draft.ending(op.inputs[0])
        if i is not None and draft.groups[i].actual and draft.here.consumers[op.inputs[0]] == [op.layer]:
            before = draft.groups[i]
            draft = draft.merged([i, draft.groups.index(group)], replace(before, expected=(*before.expected, op)))
    return draft
