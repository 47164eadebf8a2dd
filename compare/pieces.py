"""Arrays in pieces that stay in the processor's cache while something is computed on them."""

from __future__ import annotations

from collections.abc import Iterator

from layerdiff.compare.trace import Array

__all__ = ["PIECE", "flat", "pieces"]

PIECE = 1 << 15
"""Elements of a piece: a few buffers of so many float64 numbers lie in a second-level cache."""


def flat(array: Array) -> Array:
    """The elements in the order of the index, whatever the order in memory: (size,), a view where that can be."""
    return array.reshape(-1)


def pieces(size: int, *, first: int = PIECE, length: int = PIECE) -> Iterator[slice]:
    """Stretches that cover `size` elements in order: the first one of `first`, then of `length`, the last the rest."""
    start, end = 0, first
    while start < size:
        yield slice(start, min(end, size))
        start, end = end, end + length
