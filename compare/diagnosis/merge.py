"""Findings that say the same of many layers become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from layerdiff.compare.finding import Finding

__all__ = ["merged", "settled"]

_MOVED = frozenset({"A1", "A2"})
_STAGE = "the stage's stride is another than expected"
_TO_STAGE = "give this stage's first block, and its projection, the reference's stride"


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding for each cause, with all the layers it is the cause of, in the order of the first of them."""
    found: dict[tuple[object, ...], Finding] = {}
    for one in findings:
        key = (one.code, one.title, one.change, one.confirmed)
        before = found.get(key)
        if before is None:
            found[key] = one
            continue
        found[key] = replace(
            before,
            layers=_both(before.layers, one.layers),
            evidence=_both(before.evidence, one.evidence),
            partners=_both(before.partners, one.partners),
            after=None if before.after is None or one.after is None else max(before.after, one.after),
            equally=_both(before.equally, one.equally),
        )
    return tuple(found.values())


def settled(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with what was read off one layer alone told for what it is beside the others.

    One convolution whose stride is another looks the same in a block that has the stride elsewhere (A1, A2) and in one
    that lacks it (A3); the other convolutions of the block tell. A projection whose stride is another (A9) is part of
    the same where the block's is lost, and of an average-pooling that has it instead (A11).
    """
    findings = list(findings)
    moved = [(_block(layer), one.code) for one in findings if one.code in _MOVED for layer in one.layers]
    found = [
        replace(one, code="A3", title=_STAGE, change=_TO_STAGE)
        if one.code in _MOVED and any(moved.count((_block(layer), one.code)) < 2 for layer in one.layers)
        else one
        for one in findings
    ]
    nothing = next((one for one in found if one.code == "G1"), None)
    if nothing is not None:
        # Where nothing was loaded at all, the projections are no case of their own.
        found = [
            replace(one, code="G1", title=nothing.title, change=nothing.change) if one.code == "G2" else one
            for one in found
        ]
    lost = {_block(layer) for one in found if one.code == "A3" for layer in one.layers}
    averaged = {layer for one in found if one.code == "A11" for layer in one.layers}
    settled_: list[Finding] = []
    for one in found:
        if one.code == "A9" and one.layers and _block(_block(one.layers[0])) in lost:
            settled_.append(replace(one, code="A3", title=_STAGE, change=_TO_STAGE))
        elif one.code != "A9" or not averaged.issuperset(one.layers):
            settled_.append(one)
    return settled_


def _block(layer: str) -> str:
    return layer.rpartition(".")[0]


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
