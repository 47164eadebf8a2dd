"""Equality of arrays bit for bit: one cheap look, before any error is measured."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["same_bits"]

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
    if p.size > _PIECE and p.flags.c_contiguous and q.flags.c_contiguous:
        p, q = p.reshape(-1), q.reshape(-1)
        pieces = (slice(i, i + _PIECE) for i in range(0, p.size, _PIECE))
        # Piece by piece it stays in the cache, and ends at the first that differs.
        return all(bool((p[piece] == q[piece]).all()) for piece in pieces)
    return bool(np.array_equal(p, q))
