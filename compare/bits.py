"""Equality of arrays bit for bit: one cheap look, before any error is measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["same_bits"]

_LOOK = 1 << 11
_PIECE = 1 << 16


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays have one shape, one dtype and in every element the same bits.

    Stricter than `==` where a zero has two signs, and the other way where a NaN is the same NaN. Arrays of complex
    numbers are never said to be the same. Looks at a piece first, so that arrays that differ cost little.
    """
    if a is b:
        return True
    if a.shape != b.shape or a.dtype != b.dtype or a.dtype.kind not in "fiub":
        return False
    bits = np.dtype(f"u{a.dtype.itemsize}")
    if a.dtype.itemsize not in {1, 2, 4, 8}:
        return False
    p, q = a.view(bits), b.view(bits)
    if p.size > _LOOK and p.flags.c_contiguous and q.flags.c_contiguous:
        p, q = p.reshape(-1), q.reshape(-1)
        # Arrays that differ nearly always do so at once.
        return bool((p[:_LOOK] == q[:_LOOK]).all()) and all(bool((a == b).all()) for a, b in _in_words(p, q))
    return bool(np.array_equal(p, q))


def _in_words(p: Array, q: Array) -> Iterator[tuple[Array, Array]]:
    """Pieces that stay in the cache, eight bytes to an element where they come to whole ones."""
    if p.nbytes % 8 == 0:
        p, q = p.view(np.uint64), q.view(np.uint64)
    for start in range(0, p.size, _PIECE):
        yield p[start : start + _PIECE], q[start : start + _PIECE]
