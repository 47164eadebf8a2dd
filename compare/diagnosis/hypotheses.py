"""All hypotheses there are for a site, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from layerdiff.compare.diagnosis import (
    activations,
    additions,
    convs,
    flattens,
    groups,
    labels,
    linears,
    norms,
    numerics,
    poolings,
    weights,
)
from layerdiff.compare.diagnosis.hypothesis import Hypothesis
from layerdiff.compare.diagnosis.site import Site

__all__ = ["hypotheses"]

_SOURCES: tuple[Callable[[Site], Iterator[Hypothesis]], ...] = (
    weights.hypotheses,
    norms.hypotheses,
    convs.hypotheses,
    linears.hypotheses,
    poolings.hypotheses,
    activations.hypotheses,
    additions.hypotheses,
    flattens.hypotheses,
    labels.hypotheses,
    groups.hypotheses,
    numerics.hypotheses,
)


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """What may be wrong at a site, the cheap and likely first; none of it is tried yet."""
    for source in _SOURCES:
        yield from source(site)
