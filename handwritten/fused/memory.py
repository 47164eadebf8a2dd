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

    Attributes:
        bytes: of all pieces, handed out or not.

    Args:
        dtype: of all of them.
    """

    def __init__(self, dtype: np.dtype[np.floating]) -> None:
        self.dtype = dtype
        self.bytes = 0
        self._open: Array | None = None
        self._used = 0

    def take(self, *shape: int) -> Array:
        """An array of `shape` that nobody else has, not yet filled."""
        size = math.prod(shape)
        piece = _PIECE // self.dtype.itemsize
        if size > piece // 4:
            return self._piece(size).reshape(shape)
        step = _LINE // self.dtype.itemsize
        start = -(-self._used // step) * step
        if self._open is None or start + size > piece:
            self._open, start = self._piece(piece), 0
        self._used = start + size
        return self._open[start : start + size].reshape(shape)

    def _piece(self, size: int) -> Array:
        """A flat array of its own that begins on a line of the cache."""
        spare = _LINE // self.dtype.itemsize
        piece: Array = np.empty(size + spare, dtype=self.dtype)
        self.bytes += piece.nbytes
        offset = -piece.__array_interface__["data"][0] % _LINE // self.dtype.itemsize
        return piece[offset : offset + size]
