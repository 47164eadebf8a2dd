"""One comparison of two arrays, as a reader wants to see it."""

from __future__ import annotations

from layerdiff.compare.evidence.apart import apart
from layerdiff.compare.evidence.elements import worst_elements
from layerdiff.compare.evidence.histogram import histogram_of
from layerdiff.compare.evidence.maps import channel_ratios, maps_of
from layerdiff.compare.evidence.records import Evidence, Probe
from layerdiff.compare.trace import Array

__all__ = ["evidence_of"]


def evidence_of(probe: Probe, expected: Array, actual: Array, allowance: Array | float) -> Evidence:
    """The worst elements, the histogram, the heat maps and the channels of one comparison.

    Args:
        probe: what the arrays are, for the record.
        expected: any shape, not empty.
        actual: the same shape and dtype.
        allowance: the largest error that rounding explains; broadcasts to that shape.
    """
    found = apart(expected, actual, allowance)
    return Evidence(
        probe=probe,
        dtype=expected.dtype.name,
        shape=expected.shape,
        worst=worst_elements(found),
        histogram=histogram_of(found),
        maps=maps_of(found),
        channels=channel_ratios(found),
    )
