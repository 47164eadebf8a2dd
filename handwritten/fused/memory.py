"""Where a plan's arrays lie: one behind the other in a few large pieces.

Large pieces get the system's large pages, so that the processor finds a hundred megabytes of weights with a few dozen
addresses in place of tens of thousands; and nothing is allocated while the plan runs.
"""

from __future__ import annotations

import math

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Memory"]

_PIECE = 16 << 20
_LINE = 64


class Memory:
    """Hands out arrays of `dtype`, each beginning on a line of the cache.

    Args:
        dtype: of all of them.
    """

    def __init__(self, dtype: np.dtype[np.floating]) -> None:
        self.dtype = dtype
        self.pieces: list[Array] = []
        self._used = 0

    def take(self, *shape: int) -> Array:
        """An array of `shape` that nobody else has, not yet filled."""
        size = math.prod(shape)
        step = _LINE // self.dtype.itemsize
        start = -(-self._used // step) * step
        if not self.pieces or start + size > self.pieces[-1].size:
            self.pieces.append(_aligned(max(size, _PIECE // self.dtype.itemsize), self.dtype))
            start = 0
        self._used = start + size
        return self.pieces[-1][start : start + size].reshape(shape)

    @property
    def bytes(self) -> int:
        """In all pieces, handed out or not."""
        return sum(piece.nbytes for piece in self.pieces)


def _aligned(size: int, dtype: np.dtype[np.floating]) -> Array:
    spare = _LINE // dtype.itemsize
    piece: Array = np.empty(size + spare, dtype=dtype)
    offset = -piece.__array_interface__["data"][0] % _LINE // dtype.itemsize
    return piece[offset : offset + size]
