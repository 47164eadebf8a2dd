"""Findings that say the same of many layers become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from layerdiff.compare.finding import Finding

__all__ = ["merged", "settled"]

_MOVED = frozenset({"A1", "A2"})
_STAGE = "the stage's stride is another than expected"


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
    """The findings with each stride told for what it is: moved inside a block, or not there at all.

    One convolution whose stride is another looks the same, alone, in a block that has it elsewhere (A1, A2) and in one
    that lacks it or has it too often (A3); what tells them apart is the other convolution of that block.
    """
    findings = list(findings)
    moved = [(layer.rpartition(".")[0], one.code) for one in findings if one.code in _MOVED for layer in one.layers]
    return [
        replace(one, code="A3", title=_STAGE, change="give this stage's first block the reference's stride")
        if one.code in _MOVED and any(moved.count((layer.rpartition(".")[0], one.code)) < 2 for layer in one.layers)
        else one
        for one in findings
    ]


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
