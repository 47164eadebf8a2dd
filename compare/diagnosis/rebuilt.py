"""Blocks and layers that are built otherwise as a whole: pre-activation, and batch norms folded into convolutions."""

from __future__ import annotations

from collections.abc import Iterator, Set

import numpy as np

from layerdiff.compare.diagnosis.anomalies import Anomalies, Difference
from layerdiff.compare.graph import Graph
from layerdiff.compare.pairs import Pair
from layerdiff.compare.trace import INPUT, Array, Op

__all__ = ["deep_stem", "folded_without_shift", "pre_activation"]

_LAYERS = frozenset({"conv2d", "batch_norm", "relu"})


def pre_activation(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """Blocks whose branch starts with a batch norm or a ReLU and ends with a convolution (ResNet v2).

    Source: He et al. 2016, Identity Mappings in Deep Residual Networks, figure 4.
    """
    for pair in found.alignment.pairs:
        if pair.expected[-1].kind != "add" or not pair.actual or not _is_touched(pair, found):
            continue
        ours, theirs = _branch(pair.expected[-1], found.here), _branch(pair.actual[-1], found.there)
        if not ours or not theirs or ours[0].kind != "conv2d" or ours[-1].kind != "batch_norm":
            continue
        add = pair.expected[-1]
        behind = [op for op in found.missing if op.kind == "relu" and op.inputs == (add.layer,)]
        if theirs[-1].kind != "conv2d" or (theirs[0].kind == "conv2d" and not behind):
            continue
        if not any(op.kind == "batch_norm" for op in theirs) or _convolutions(ours) != _convolutions(theirs):
            continue
        yield Difference(
            "A10", "batch norm and ReLU run before the convolutions (ResNet v2), the reference's behind them",
            "let each convolution run before its batch norm, and the last ReLU behind the addition",
            missing=(*ours, *behind), extra=tuple(theirs), pairs=(pair,),
            layers=tuple(op.layer for op in (*ours, *behind)),
            evidence=(f"its branch runs {', '.join(op.kind for op in theirs)}",),
        )  # fmt: skip


def _is_touched(pair: Pair, found: Anomalies) -> bool:
    """Whether anything is missing or too many on the way to an addition, or behind it."""
    add, other = pair.expected[-1], pair.actual[-1]
    near = {op.layer for op in _branch(add, found.here)} | set(found.here.consumers[add.layer])
    too_many = {op.layer for op in _branch(other, found.there)}
    return bool(near & {op.layer for op in found.missing} or too_many & {op.layer for op in found.extra})


def _branch(add: Op, graph: Graph) -> list[Op]:
    """The longer of the two ways into an addition, back to where they part, in the order it runs."""
    ways = [_way(layer, graph) for layer in add.inputs]
    return max(ways, key=lambda way: sum(op.kind == "conv2d" for op in way), default=[])


def _way(layer: str, graph: Graph) -> list[Op]:
    way: list[Op] = []
    while layer in graph.ops and len(graph.consumers[layer]) == 1 and graph.ops[layer].kind in _LAYERS:
        op = graph.ops[layer]
        way.append(op)
        layer = op.inputs[0]
    # What several take is the block's input, unless only its shortcut takes it beside the branch.
    if way and layer in graph.ops and graph.ops[layer].kind in {"batch_norm", "relu"} and _is_inside(layer, graph):
        op = graph.ops[layer]
        while op.kind in {"batch_norm", "relu"} and not _follows_add(op, graph):
            way.append(op)
            if op.inputs[0] not in graph.ops:
                break
            op = graph.ops[op.inputs[0]]
    return way[::-1]


def _is_inside(layer: str, graph: Graph) -> bool:
    return any(graph.ops[taker].kind == "conv2d" for taker in graph.consumers[layer])


def _follows_add(op: Op, graph: Graph) -> bool:
    before = graph.ops.get(op.inputs[0])
    return op.kind == "relu" and before is not None and before.kind in {"add", "batch_norm", "max_pool2d"}


def _convolutions(ops: list[Op]) -> int:
    return sum(op.kind == "conv2d" for op in ops)


def deep_stem(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """Several convolutions where the reference's first one stands (ResNet-C, ResNet-D).

    Source: He et al. 2019, Bag of Tricks for Image Classification, figure 2.
    """
    for pair in found.alignment.pairs:
        if not pair.actual or len(pair.expected) != 1 or pair.expected[0].kind != "conv2d":
            continue
        if pair.expected[0].inputs != (INPUT,):
            continue
        near = _around(pair, found)
        if any(op.kind == "conv2d" for op in near):
            count = 1 + sum(op.kind == "conv2d" for op in near)
            yield Difference(
                "A11", f"the stem has {count} convolutions (a deep stem), expected one",
                "begin with the reference's single convolution", missing=pair.expected, extra=(*near, *pair.actual),
                layers=(pair.expected[0].layer,),
                evidence=(f"{', '.join(op.layer for op in near)} have no counterpart",),
            )  # fmt: skip


def _around(pair: Pair, found: Anomalies) -> list[Op]:
    """What is too many before and behind a pair, as far as it hangs together with it."""
    extra = {op.layer: op for op in found.extra}
    near = {op.layer for op in pair.actual}
    growing = True
    while growing:
        more = {
            layer
            for layer, op in extra.items()
            if layer not in near and (near & set(op.inputs) or any(layer in found.there.ops[n].inputs for n in near))
        }
        near |= more
        growing = bool(more)
    return [op for op in found.extra if op.layer in near]


def folded_without_shift(found: Anomalies, unused: Set[str]) -> Iterator[Difference]:
    """Convolutions whose kernels hold a batch norm's scale, and whose shift went nowhere."""
    for norm in found.missing:
        if norm.kind != "batch_norm":
            continue
        pair = found.pair_of(norm.inputs[0])
        if pair is None or len(pair.expected) != 1 or pair.expected[0].kind != "conv2d":
            continue
        conv, own = pair.expected[0], pair.actual[-1].parameters.get("weight")
        if own is not None and _is_scaled(conv.parameters["weight"], own, norm):
            yield Difference(
                "C10", "the batch norm is folded into the convolution's kernels, and its shift is dropped",
                "give the convolution the bias beta - gamma·mean/sqrt(var + eps)",
                missing=(conv, norm), extra=pair.actual, layers=(conv.layer, norm.layer),
                evidence=("each kernel is the reference's times gamma/sqrt(var + eps), and nothing is added",),
            )  # fmt: skip


def _is_scaled(weight: Array, own: Array, norm: Op) -> bool:
    if weight.shape != own.shape or not {"weight", "running_var"} <= norm.parameters.keys():
        return False
    eps = norm.attributes.get("eps", 0.0)
    gamma, variance = (norm.parameters[role].astype(np.float64) for role in ("weight", "running_var"))
    factor = gamma / np.sqrt(variance + (eps if isinstance(eps, float) else 0.0))
    wanted = weight * factor[:, None, None, None]
    # The product was rounded once, or a few times, in float32.
    return bool(np.all(np.abs(own - wanted) <= 8 * 2.0**-24 * np.abs(wanted)))
