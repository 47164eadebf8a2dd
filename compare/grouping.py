"""Groups: operations that are judged as one, because one network writes in other steps what the other writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerdiff.compare.graph import Graph
from layerdiff.compare.kinds import ARITHMETIC, IDLE, MOVING, PLAIN, family
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.trace import Op

__all__ = ["Group", "grouped"]

_COMMUTE = frozenset({"relu", "max_pool2d"})
_REDUCE = frozenset({"adaptive_avg_pool2d", "avg_pool2d", "mean", "flatten", "view", "reshape", "squeeze"})


@dataclass(frozen=True)
class Group:
    """Operations of both networks that stand for each other; `actual` is empty where the candidate has none."""

    expected: tuple[Op, ...]
    actual: tuple[Op, ...]


def grouped(steps: Sequence[tuple[Op | None, Op | None]], here: Graph, there: Graph) -> tuple[list[Group], list[Op]]:
    """Groups out of an alignment, and the candidate's operations that are left over.

    Args:
        steps: pairs, and on either side operations alone, in order.
        here: the expected network.
        there: the candidate.
    """
    steps = _swapped_back(steps)
    groups: list[Group] = []
    extra: list[Op] = []
    for ours, theirs in _runs(steps):
        found, rest = _of_run(ours, theirs, there)
        groups += found
        extra += rest
    groups, extra = _with_bias(groups, extra, there)
    groups = _folded_norms(groups, here, there)
    groups = _reduced_at_once(groups, here)
    groups, extra = _absorbed(groups, extra, there)
    return _absorbed_expected(groups, here), extra


Run = tuple[list[Op], list[Op]]


def _swapped_back(steps: Sequence[tuple[Op | None, Op | None]]) -> list[tuple[Op | None, Op | None]]:
    """Where two operations that commute come in the other order, both are taken out of their pairs, to be one group."""
    steps = list(steps)
    for i in range(len(steps) - 2):
        window = steps[i : i + 3]
        ours = [op for op, _ in window if op is not None]
        theirs = [op for _, op in window if op is not None]
        if len(ours) == len(theirs) == 2 and all(family(a.kind, b.kind) for a, b in zip(ours, theirs[::-1], strict=True)):
            kinds = {op.kind for op in (*ours, *theirs)}
            if not family(ours[0].kind, ours[1].kind) and (kinds <= _COMMUTE or kinds <= _REDUCE):
                steps[i : i + 3] = [(op, None) for op in ours] + [(None, op) for op in theirs]
    return steps


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
    if len(ours) == 1 and len(theirs) == 1 and _may_pair(ours[0], theirs[0]):
        return [Group((ours[0],), (theirs[0],))], []
    if ours and theirs and _stands_for(ours, theirs, there):
        return [Group(tuple(ours), tuple(theirs))], []
    return [Group((op,), ()) for op in ours], theirs


def _may_pair(op: Op, other: Op) -> bool:
    return family(op.kind, other.kind) or (other.kind not in PLAIN and other.kind not in ARITHMETIC)


def _stands_for(ours: list[Op], theirs: list[Op], there: Graph) -> bool:
    """Whether a run of the candidate's operations can be another way to write a run of expected ones."""
    swapped = sorted(op.kind for op in ours) == sorted(op.kind for op in theirs)
    made_of = all(op.kind in ARITHMETIC | MOVING | IDLE or op.kind in _REDUCE for op in theirs)
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


def _with_bias(groups: list[Group], extra: list[Op], there: Graph) -> tuple[list[Group], list[Op]]:
    """A product whose bias is added in a step of its own is one layer with it."""
    shifts = {op.inputs[0]: op for op in extra if op.kind == "shift" and len(op.inputs) == 1}
    found = []
    for group in groups:
        last = group.actual[-1] if group.actual else None
        shift = shifts.get(last.layer) if last is not None else None
        if last is not None and shift is not None and last.kind in {"conv2d", "linear", "matmul"}:
            if there.consumers[last.layer] == [shift.layer] and "bias" not in last.parameters:
                group = replace(group, actual=(*group.actual, shift))
                extra = [op for op in extra if op is not shift]
        found.append(group)
    return found, extra


def _folded_norms(groups: list[Group], here: Graph, there: Graph) -> list[Group]:
    """A convolution with other weights and a bias, and no batch norm behind it, has the batch norm folded into it."""
    by_last = {group.expected[-1].layer: i for i, group in enumerate(groups)}
    gone: set[int] = set()
    found = list(groups)
    for i, group in enumerate(groups):
        op = group.expected[0]
        if group.actual or op.kind != "batch_norm" or len(group.expected) > 1:
            continue
        before = by_last.get(op.inputs[0])
        if before is None or here.consumers[op.inputs[0]] != [op.layer] or not _is_folded(groups[before]):
            continue
        found[i] = Group((*groups[before].expected, op), groups[before].actual)
        gone.add(before)
    return [group for i, group in enumerate(found) if i not in gone]


def _reduced_at_once(groups: list[Group], here: Graph) -> list[Group]:
    """A pooling that gives at once the shape that the expected network flattens to stands for both."""
    found = list(groups)
    for group in groups:
        op = group.expected[0]
        if group.actual or len(group.expected) > 1 or op.kind not in _REDUCE:
            continue
        i = next((i for i, other in enumerate(found) if other.expected[-1].layer == op.inputs[0]), None)
        if i is None or not found[i].actual or here.consumers[op.inputs[0]] != [op.layer]:
            continue
        before, last = found[i].expected[-1], found[i].actual[-1]
        if before.kind in _REDUCE and last.kind in _REDUCE and last.shape == op.shape != before.shape:
            found[i] = replace(found[i], expected=(*found[i].expected, op))
            found.remove(group)
    return found


def _is_folded(group: Group) -> bool:
    if len(group.actual) != 1 or group.expected[-1].kind != "conv2d" or group.actual[0].kind != "conv2d":
        return False
    want, have = group.expected[-1].parameters, group.actual[0].parameters
    bias = have.get("bias")
    return (
        "bias" not in want
        and bias is not None
        and bool(np.any(bias != 0))
        and not np.array_equal(want["weight"], have.get("weight", np.zeros(0)))
    )


def _absorbed(groups: list[Group], extra: list[Op], there: Graph) -> tuple[list[Group], list[Op]]:
    """Steps that only move numbers, or do nothing, belong to the operation behind which, or before which, they stand."""
    glue = [op for op in extra if _is_glue(op)]
    taken: set[str] = set()
    found = list(groups)
    for op in glue:
        i = next((i for i, group in enumerate(found) if group.actual and group.actual[-1].layer == op.inputs[0]), None)
        alone = there.consumers[op.inputs[0]] == [op.layer]
        if i is not None and alone and _keeps_shape(op, there):
            found[i] = replace(found[i], actual=(*found[i].actual, op))
            taken.add(op.layer)
    # From the last to the first, so that a chain of them ends up whole.
    for op in reversed([op for op in glue if op.layer not in taken]):
        behind = [i for i, group in enumerate(found) if op.layer in outside_inputs(group.actual)]
        for i in behind:
            found[i] = replace(found[i], actual=(op, *found[i].actual))
        i = next((i for i, group in enumerate(found) if group.actual and group.actual[-1].layer == op.inputs[0]), None)
        if not behind and i is not None and not there.consumers[op.layer]:
            found[i] = replace(found[i], actual=(*found[i].actual, op))
            behind = [i]
        if behind and set(there.consumers[op.layer]) <= {o.layer for k in behind for o in found[k].actual}:
            taken.add(op.layer)
    return found, [op for op in extra if op.layer not in taken]


def _is_glue(op: Op) -> bool:
    # Dropout that is at work is no filler.
    at_work = bool(op.attributes.get("training")) and op.attributes.get("p") != 0
    return op.kind in IDLE | MOVING and len(op.inputs) == 1 and not op.parameters and not at_work


def _absorbed_expected(groups: list[Group], here: Graph) -> list[Group]:
    """The same on the expected side, for steps that do nothing: the candidate need not do nothing too."""
    found = list(groups)
    for group in groups:
        op = group.expected[0]
        if group.actual or len(group.expected) > 1 or op.kind not in IDLE or not _is_glue(op):
            continue
        i = next((i for i, other in enumerate(found) if other.expected[-1].layer == op.inputs[0]), None)
        if i is not None and found[i].actual and here.consumers[op.inputs[0]] == [op.layer]:
            found[i] = replace(found[i], expected=(*found[i].expected, op))
            found.remove(group)
    return found


def _keeps_shape(op: Op, graph: Graph) -> bool:
    before = graph.ops.get(op.inputs[0])
    return before is not None and before.shape == op.shape
