"""Groups of layers with parameters: written in several steps or in parts, or with a batch norm folded in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from layerdiff.compare.drafts import Draft, Group
from layerdiff.compare.graph import Graph
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.trace import Op

__all__ = ["folded_norms", "layers_in_parts", "layers_in_two"]

_PRODUCTS = frozenset({"conv2d", "linear"})
_JOINTS = frozenset({"add", "cat"})
_SLICING = frozenset({"getitem", "narrow", "split", "chunk", "tensor_split", "index_select", "contiguous"})


def layers_in_two(draft: Draft) -> Draft:
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


def _with_neighbour(own: tuple[Op, ...], wanted: set[str], draft: Draft) -> tuple[Op, ...] | None:
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


def _is_per_channel(op: Op) -> bool:
    return bool(op.parameters) and all(array.size == max(array.shape, default=1) for array in op.parameters.values())


def layers_in_parts(draft: Draft) -> Draft:
    """A product that is computed in parts, each of them of a slice of one value, which are then added up, is one layer.

    Likewise where each part makes some of the channels, and they are put side by side.
    """
    for group in draft.groups:
        if len(group.expected) > 1 or len(group.actual) != 1 or group.expected[0].kind not in _PRODUCTS:
            continue
        own: tuple[Op, ...] = group.actual
        while (longer := _with_part(own, draft)) is not None:
            own = longer
        if own != group.actual:
            place = {layer: i for i, layer in enumerate(draft.there.ops)}
            own = tuple(sorted(own, key=lambda op: place[op.layer]))
            draft = draft.merged([draft.groups.index(group)], replace(group, actual=own))
    return draft


def _with_part(own: tuple[Op, ...], draft: Draft) -> tuple[Op, ...] | None:
    """A layer's part and another of the same kind, to which it is joined, with the joint; None if there is none."""
    last, free = own[-1], {op.layer: op for op in draft.extra}
    takers = draft.there.consumers[last.layer]
    if len(takers) != 1 or takers[0] not in free:
        return None
    joint = free[takers[0]]
    if joint.kind == "identity":
        # `sum(parts)` begins with 0.
        return (*own, joint)
    if joint.kind not in _JOINTS or len(set(joint.inputs)) != len(joint.inputs):
        return None
    found = {last.layer: own} | {layer: part for layer in joint.inputs if (part := _part(layer, free, draft.there))}
    whole = [*_slices_before(own, free, draft.there)]
    whole += [op for layer in joint.inputs for op in found.get(layer, ())]
    kinds = {op.kind for op in whole if op.kind in _PRODUCTS}
    if set(found) != set(joint.inputs) or len(kinds) != 1 or len(set(outside_inputs(whole))) != 1:
        return None
    return (*whole, joint)


def _part(layer: str, free: Mapping[str, Op], there: Graph) -> tuple[Op, ...]:
    """A product that only one operation takes, with the slicing before it, or several joined; else empty."""
    op = free.get(layer)
    if op is None or len(there.consumers[layer]) != 1:
        return ()
    if op.kind in _PRODUCTS:
        return (*_slices_before((op,), free, there), op)
    if op.kind not in _JOINTS | {"identity"}:
        return ()
    parts = [_part(name, free, there) for name in dict.fromkeys(op.inputs)]
    return (*(one for part in parts for one in part), op) if all(parts) else ()


def _slices_before(ops: tuple[Op, ...], free: Mapping[str, Op], there: Graph) -> tuple[Op, ...]:
    """What is left over before `ops`, moves numbers, and is taken by them alone."""
    found: list[Op] = []
    taken = outside_inputs(ops)
    while len(taken) == 1 and taken[0] in free and len(there.consumers[taken[0]]) == 1:
        before = free[taken[0]]
        if before.kind not in _SLICING:
            break
        found.append(before)
        taken = before.inputs
    return tuple(found[::-1])


def folded_norms(draft: Draft) -> Draft:
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
