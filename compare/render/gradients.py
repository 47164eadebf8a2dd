"""The way back for a terminal: the layers whose gradients are wrong, each gradient with its figures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Set

from layerdiff.compare.render.words import fold, number
from layerdiff.compare.result import Gradient, GradientLayer, Gradients, Measure

__all__ = ["gradients"]

_SHOWN = 10


def gradients(found: Gradients, width: int, *, every: bool, told: Set[str] = frozenset()) -> Iterator[str]:
    """Lines on the layers at fault, or on all; none where all are same and not all are asked for.

    Args:
        found: settled.
        width: columns to fill.
        every: all layers, not only those at fault.
        told: layers whose cause is confirmed: they need no figures, but for the first.
    """
    for note in dict.fromkeys(note for layer in found.layers for note in layer.notes):
        names = ", ".join(layer.layer for layer in found.layers if note in layer.notes)
        yield from textwrap.wrap(f"note: backward {names}: {note}", width, subsequent_indent=" " * 6)
    wrong = [layer for layer in found.layers if layer.status in {"fault", "missing", "unjudged"}]
    detailed = [layer for i, layer in enumerate(wrong) if i == 0 or layer.layer not in told]
    shown = list(found.layers) if every else detailed[:_SHOWN]
    if not shown:
        return
    yield ""
    for layer in shown:
        yield from _layer(layer, width)
    if len(detailed) > len(shown):
        yield f"and {len(detailed) - len(shown)} more layers; --all lists them, --format json has their figures"
    yield ""


def _layer(layer: GradientLayer, width: int) -> Iterator[str]:
    head = f"backward  {layer.layer}: "
    words = layer.reason or layer.status
    yield from textwrap.wrap(head + words, width, subsequent_indent=" " * 10, break_long_words=False)
    rows = [one for one in layer.gradients if one.measure.probe != "propagated" and _is_worth_a_row(one, layer)]
    names = [one.of for one in rows]
    room = max(12, min(max(map(len, names), default=0), width - 50))
    for one in rows:
        name, m = fold(one.of, room), one.measure
        yield f"          {name:<{room}} {m.probe:<11} {m.dtype} {_figures(m)}"
    if layer.source is not None and layer.status != "same":
        yield f"where     {layer.source}"


def _is_worth_a_row(one: Gradient, layer: GradientLayer) -> bool:
    return layer.status == "same" or one.measure.ratio is None or one.measure.ratio > 1


def _figures(measure: Measure) -> str:
    if measure.ratio is None:
        return f"off by {number(measure.max_abs)}, 0 allowed"
    return f"at {measure.ratio:.2g} of its allowance"
