"""What a judgement has at hand beside its measures: what each layer costs, and the candidate's graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from layerdiff.compare.costs import macs_of
from layerdiff.compare.evidence.records import Operation
from layerdiff.compare.pairs import Pair
from layerdiff.compare.result import LayerResult
from layerdiff.compare.trace import Op

__all__ = ["counted", "operations_of"]

_BUFFERS = frozenset({"running_mean", "running_var"})


def counted(layers: Iterable[LayerResult], ops: Sequence[Op]) -> tuple[LayerResult, ...]:
    """The layers with how many numbers are learnt in each, and its multiply-adds.

    Args:
        layers: of the expected network.
        ops: its operations, in order. What several of them hold is counted once, at the first.
    """
    seen: set[object] = set()
    found = {op.layer: (_learnt(op, seen), macs_of(op)) for op in ops}
    return tuple(
        replace(layer, parameter_count=found[layer.layer][0], multiply_adds=found[layer.layer][1]) for layer in layers
    )


def _learnt(op: Op, seen: set[object]) -> int:
    total = 0
    for role, array in op.parameters.items():
        identity = op.keys.get(role) or (array.__array_interface__["data"][0], array.shape)
        if role not in _BUFFERS and identity not in seen:
            total += int(array.size)
        seen.add(identity)
    return total


def operations_of(ops: Sequence[Op], pairs: Sequence[Pair]) -> tuple[Operation, ...]:
    """The candidate's graph, with what each operation stands for.

    Args:
        ops: the candidate's, in the order they ran.
        pairs: which stand for which.
    """
    partners = {op.layer: pair.expected[-1].layer for pair in pairs for op in pair.actual}
    return tuple(Operation(op.layer, op.kind, op.inputs, partners.get(op.layer), op.source) for op in ops)
