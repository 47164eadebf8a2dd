"""Operations that hang together, and the blocks they fall into."""

from __future__ import annotations

from collections.abc import Sequence

from layerdiff.compare.graph import Graph
from layerdiff.compare.trace import Op

__all__ = ["blocks_of", "connected"]


def connected(ops: Sequence[Op]) -> list[list[Op]]:
    """The operations in groups, in each of which one takes what another gives; in order."""
    group = {op.layer: i for i, op in enumerate(ops)}
    for op in ops:
        for layer in op.inputs:
            if layer in group:
                one, other = group[layer], group[op.layer]
                group = {name: one if i == other else i for name, i in group.items()}
    found: dict[int, list[Op]] = {}
    for op in ops:
        found.setdefault(group[op.layer], []).append(op)
    return list(found.values())


def blocks_of(chain: Sequence[Op], graph: Graph) -> list[list[Op]]:
    """A chain cut behind each addition and the activation that follows it.

    Args:
        chain: in order.
        graph: of the network they are in.
    """
    blocks: list[list[Op]] = [[]]
    ended = False
    for op in chain:
        if ended and not (op.kind not in {"conv2d", "batch_norm", "add"} and _follows_add(op, graph)):
            blocks.append([])
            ended = False
        blocks[-1].append(op)
        ended = ended or op.kind == "add"
    return [block for block in blocks if block]


def _follows_add(op: Op, graph: Graph) -> bool:
    return any(layer in graph.ops and graph.ops[layer].kind == "add" for layer in op.inputs)
