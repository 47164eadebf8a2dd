"""What a wrong weight comes from, where that is seen only beside the other layers: shared, or not registered."""

from __future__ import annotations

from dataclasses import replace

from layerdiff.compare.finding import Finding
from layerdiff.compare.pairs import Pair
from layerdiff.compare.trace import Array, Op, Trace

__all__ = ["in_context"]

_WRONG_WEIGHTS = frozenset({"G1", "G2", "G3", "G4", "G6", "C11"})


def in_context(finding: Finding, pair: Pair, actual: Trace) -> Finding:
    """The finding, or the one behind it where its layer has wrong weights for a reason that can be seen.

    Args:
        finding: of one pair.
        pair: which.
        actual: the candidate.
    """
    if finding.code not in _WRONG_WEIGHTS:
        return finding
    own = [op for op in pair.actual if op.parameters]
    others = sorted({other.layer for op in own for other in actual.ops if other is not op and _share(op, other)})
    if others:
        return replace(
            finding,
            code="A12",
            title="one layer stands in several places, with one set of weights",
            change="build a layer of its own for each place: a list of new blocks, not one block repeated",
            evidence=(f"{own[0].layer} has the same tensors as {', '.join(others[:3])}", finding.title),
        )
    if own and not any(op.keys for op in own):
        return replace(
            finding,
            code="A13",
            title="the layer is not registered: its weights are in no state dict, and were never loaded",
            change="hold layers in nn.ModuleList or nn.ModuleDict, not in a plain list or dict",
            evidence=(f"the state dict has none of {own[0].layer}'s tensors", finding.title),
        )
    return finding


def _share(one: Op, other: Op) -> bool:
    weights = [op.parameters.get("weight") for op in (one, other)]
    return weights[0] is not None and weights[1] is not None and _place(weights[0]) == _place(weights[1])


def _place(array: Array) -> tuple[int, tuple[int, ...]]:
    return array.__array_interface__["data"][0], array.shape
