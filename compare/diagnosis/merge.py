"""Findings that say the same of many layers become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from layerdiff.compare.finding import Finding

__all__ = ["merged"]


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


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
