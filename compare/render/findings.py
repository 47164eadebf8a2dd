"""The causes, in lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.render.explained import wrapped
from layerdiff.compare.render.words import fold
from layerdiff.compare.result import Report
from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.trace import INPUT

__all__ = ["findings"]

_SHOWN = 8
_LAYERS = 3
_EVIDENCE = 3


def findings(report: Report, width: int, *, every: bool) -> Iterator[str]:
    """What is wrong and why, one block for each finding, those confirmed first.

    Args:
        report: settled.
        width: columns to fill.
        every: all findings, all their layers and all their evidence.
    """
    if report.verdict != "different" or not report.findings:
        return
    said = {one.code for one in _explained(report.explanation)}
    ordered = sorted((one for one in report.findings if one.code not in said), key=lambda one: not one.confirmed)
    for one in ordered if every else ordered[:_SHOWN]:
        yield from _block(one, width, every=every)
        yield ""
    if len(ordered) > _SHOWN and not every:
        yield f"and {len(ordered) - _SHOWN} more findings; --all lists them"
        yield ""
    undone = [one for one in ordered if one.layers != (INPUT,)]
    if report.repaired and undone:
        count = "it" if len(undone) == 1 else "all of them"
        confirmed = all(one.confirmed for one in undone)
        head = f"with {count} undone: " if confirmed else "with what is confirmed undone: "
        yield from wrapped("", head + report.repaired, width)
        yield ""


def _explained(one: Explanation | None) -> list[Explanation]:
    """Why it raised, which the report tells by itself."""
    return [] if one is None else [one, *_explained(one.cause)]


def _block(one: Finding, width: int, *, every: bool) -> Iterator[str]:
    state = "confirmed" if one.confirmed else "no cause found" if one.code == UNEXPLAINED else "not confirmed"
    kind = "differs   " if one.convention else "cause     "
    head = "unknown   " if one.code == UNEXPLAINED else kind
    yield from wrapped(head, f"{one.code} {one.title} [{state}]", width)
    yield from wrapped("at        ", _places(one.layers, width, every=every), width)
    for line in one.evidence if every else one.evidence[:_EVIDENCE]:
        yield from wrapped("evidence  ", line, width)
    if one.confirmed:
        after = "to the bit" if not one.after else f"to {one.after:.2f} of what is allowed"
        yield from wrapped("proof     ", f"{one.how}: agrees {after}", width)
    for other in one.equally:
        yield from wrapped("or        ", f"{other}, which explains it just as well", width)
    if one.source:
        yield f"where     {one.source}"
    if one.text:
        yield from wrapped("          ", one.text, width)
    yield from wrapped("change    ", one.change, width)


def _places(layers: Sequence[str], width: int, *, every: bool) -> str:
    shown = layers if every or len(layers) <= _LAYERS + 1 else layers[:_LAYERS]
    names = ", ".join(fold(layer, width - 12) for layer in shown)
    return names if len(shown) == len(layers) else f"{names} and {len(layers) - len(shown)} more"
