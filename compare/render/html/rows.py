"""The layers as rows of the page: their figures as words, and which rows are folded into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from layerdiff.compare.render.html.fragments import fragment
from layerdiff.compare.render.words import number, share, worst_of
from layerdiff.compare.result import NOT_REACHED, LayerResult, Report, Status

__all__ = ["MARKS", "Fold", "Row", "folds", "rows"]

MARKS: dict[Status, str] = {"same": "✓", "fault": "✗", "missing": "✗", "inherited": "↓", "unjudged": "?"}
_LEAST = 4
"""Rows that are folded; fewer take no more room than what would stand for them."""


@dataclass(frozen=True)
class Row:
    """One layer.

    Attributes:
        layer: its result.
        id: in the page.
        mark: of its status.
        alone: for each precision how near it is to its allowance by itself, as text.
        far: its greatest difference end to end, as text.
        wrong: whether it stands among those that come first: at fault, missing, or without a judgement.
        size: of its output.
    """

    layer: LayerResult
    id: str
    mark: str
    alone: tuple[tuple[str, str], ...]
    far: str
    wrong: bool
    size: str


@dataclass(frozen=True)
class Fold:
    """Rows one after the other.

    Attributes:
        rows: at least one.
        words: what they have in common, where they are folded; empty where they are not.
    """

    rows: tuple[Row, ...]
    words: str


def rows(report: Report, place: int) -> tuple[Row, ...]:
    """A row for each layer of the report that stands at `place` in its run."""
    precisions = list(dict.fromkeys(m.dtype for layer in report.layers for m in layer.measures)) or list(report.dtypes)
    return tuple(_row(layer, place, precisions) for layer in report.layers)


def folds(found: Sequence[Row]) -> tuple[Fold, ...]:
    """The rows in order, those that are same or inherit folded where several stand in a row."""
    result: list[Fold] = []
    for status, group in groupby(found, key=lambda row: row.layer.status):
        alike = tuple(group)
        if status in {"same", "inherited"} and len(alike) >= _LEAST:
            result.append(Fold(alike, _common(alike, status)))
        elif alike[0].layer.reason == NOT_REACHED and len(alike) >= _LEAST:
            result.append(Fold(alike, f"{len(alike)} layers not reached"))
        else:
            result.extend(Fold((row,), "") for row in alike)
    return tuple(result)


def _row(layer: LayerResult, place: int, precisions: Sequence[str]) -> Row:
    end_to_end = worst_of(layer, "propagated", precisions[0]) if precisions else None
    return Row(
        layer=layer,
        id=fragment(place, layer.layer),
        mark=MARKS[layer.status],
        alone=tuple((dtype, share(worst_of(layer, "activations", dtype))) for dtype in precisions),
        far=number(end_to_end.max_abs if end_to_end else None),
        wrong=layer.status in {"fault", "missing", "unjudged"} and layer.reason != NOT_REACHED,
        size="×".join(map(str, layer.shape)),
    )


def _common(alike: Sequence[Row], status: str) -> str:
    ratios = [m.ratio for row in alike for m in row.layer.measures if m.probe == "activations" and m.ratio is not None]
    words = f"{len(alike)} layers {'same' if status == 'same' else 'inherit'}"
    if not ratios:
        return words
    if status != "same":
        return f"{words}: by themselves they agree"
    return f"{words}, " + (f"at most {max(ratios):.2f} of their allowance" if max(ratios) else "to the bit")
