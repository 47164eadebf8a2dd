"""What a diagnosis tried on its way, whether it helped or not: for a reader who asks what else it could have been."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from layerdiff.compare.diagnosis.anomalies import Difference
from layerdiff.compare.diagnosis.survey import Seen, Survey
from layerdiff.compare.evidence.records import Tried

__all__ = ["distinct", "graph_tries", "value_tries"]

_NEAREST = 8
"""Of one layer: what lies further off says nothing that these do not."""


def value_tries(seen: Survey) -> list[Tried]:
    """The hypotheses about single operations: those that were confirmed, and the nearest of the others."""
    return [one for pair in seen.seen.values() for one in _of_layer(pair)]


def _of_layer(seen: Seen) -> list[Tried]:
    if seen.search is None:
        return []
    layers = tuple(op.layer for op in seen.pair.expected)
    causes = [
        Tried(cause.hypothesis.code, cause.hypothesis.title, layers, _finite(cause.undone.ratio), confirmed=True)
        for cause in seen.search.causes
    ]
    others = [
        Tried(one.code, one.title, layers, _finite(one.residual), confirmed=False)
        for one in seen.search.nearest[:_NEAREST]
    ]
    return causes + others


def graph_tries(named: Sequence[Difference], after: Survey | None, *, confirmed: bool) -> list[Tried]:
    """What the graph was put right in, together.

    Args:
        named: what was undone.
        after: what was seen of the candidate then; None where it could not be run.
        confirmed: whether it helped.
    """
    return [Tried(one.code, one.title, one.about, _left(one, after), confirmed) for one in named]


def _left(one: Difference, after: Survey | None) -> float | None:
    seen = [] if after is None else [after.seen[layer].ratio for layer in one.about if layer in after.seen]
    return max((_finite(ratio) for ratio in seen if ratio is not None), key=_order, default=None)


def _order(ratio: float | None) -> float:
    return math.inf if ratio is None else ratio


def _finite(ratio: float | None) -> float | None:
    return ratio if ratio is not None and math.isfinite(ratio) else None


def distinct(tried: Iterable[Tried]) -> tuple[Tried, ...]:
    """Each once, as it was seen last where that confirmed it; those that were confirmed first."""
    found: dict[tuple[object, ...], Tried] = {}
    for one in tried:
        key = (one.code, one.title, one.layers)
        if key not in found or one.confirmed:
            found[key] = one
    return tuple(sorted(found.values(), key=lambda one: not one.confirmed))
