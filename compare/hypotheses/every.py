"""All hypotheses there are for a site, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from layerdiff.compare.hypotheses import activations, additions, flattens, groups, labels, linears, numerics, poolings
from layerdiff.compare.hypotheses.convolution import convs
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.norm import norms
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.weights import weights

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
