"""How the error of all elements is spread, in units of what each of them is allowed."""

from __future__ import annotations

import math

import numpy as np

from layerdiff.compare.evidence.apart import Apart
from layerdiff.compare.evidence.records import Histogram

__all__ = ["histogram_of"]


def histogram_of(found: Apart) -> Histogram:
    """The quotients of error and allowance, counted in half decades."""
    finite = np.isfinite(found.expected) & np.isfinite(found.actual) & np.isfinite(found.ratio)
    nowhere = found.forbidden | ~finite
    # What is allowed without limit has a quotient of 0, and is no error.
    counted = found.ratio[~nowhere & (found.ratio > 0)]
    unbounded = int(nowhere.sum())
    exact = found.expected.size - unbounded - counted.size
    if not counted.size:
        return Histogram((), (), exact, unbounded)
    edges = _edges(float(counted.min()), float(counted.max()))
    counts = np.diff(np.append(np.searchsorted(np.sort(counted), edges[:-1]), counted.size))
    return Histogram(edges, tuple(int(count) for count in counts), exact, unbounded)


def _edges(least: float, greatest: float) -> tuple[float, ...]:
    """Half decades from below `least` to above `greatest`, and from 1 at the latest to 1 at the earliest."""
    first, last = math.floor(2 * math.log10(least)), math.floor(2 * math.log10(greatest)) + 1
    # A logarithm may be rounded over the edge that it lies beside.
    first -= _edge(first) > least
    last += _edge(last) <= greatest
    return tuple(_edge(half) for half in range(min(first, 0), max(last, 0) + 1))


def _edge(half: int) -> float:
    decade, rest = divmod(half, 2)
    return float(f"{'3.16' if rest else '1'}e{decade}")
