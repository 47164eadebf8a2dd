"""What follows a convolution: its bias, batch norm, the residual sum, the rectifier, each into an array of its own.

It is done to the rows whose products were just made, while they are in the cache. For ufuncs the same factor for all
pixels of a channel means a loop over the channels of one pixel after the other; written down for several pixels, all of
these are one loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.calls import Call, call
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Following"]

_TOGETHER = 16 << 10  # bytes, so that factors stay in the first cache


@dataclass(frozen=True)
class Following:
    """Layers after a convolution, which all work on one value at a time.

    Attributes:
        scale: of the batch norm, (c,), float64.
        shift: of the batch norm, alike.
        normed: where its output goes, (n, h, w, c).
        bias: of the convolution, (c,), or None.
        identity: what the residual sum adds, (n, h, w, c); None where there is no sum.
        summed: where the sum goes, alike.
        rectified: where the rectifier's output goes, alike; None where there is none.
    """

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    normed: Array
    bias: NDArray[np.float64] | None = None
    identity: Array | None = None
    summed: Array | None = None
    rectified: Array | None = None

    def calls(self, convolved: Array, index: tuple[slice, ...], columns: slice) -> list[Call]:
        """From the rows `index` and channels `columns` of the convolution's output, (n, h, w, c), to the last array."""

        def part(array: Array) -> Array:
            return _joined(array[index][..., columns], pixels)

        def factors(values: NDArray[np.float64]) -> Array:
            return np.tile(values[columns].astype(convolved.dtype), pixels)

        pixels = _together(convolved[index][..., columns])
        source, normed = part(convolved), part(self.normed)
        calls = [] if self.bias is None else [call(np.add, source, factors(self.bias), out=source)]
        calls.append(call(np.multiply, source, factors(self.scale), out=normed))
        calls.append(call(np.add, normed, factors(self.shift), out=normed))
        last = normed
        if self.identity is not None and self.summed is not None:
            last = part(self.summed)
            calls.append(call(np.add, normed, part(self.identity), out=last))
        if self.rectified is not None:
            calls.append(call(np.maximum, last, np.zeros((), convolved.dtype), out=part(self.rectified)))
        return calls


def _together(values: Array) -> int:
    """How many pixels of a row are worked on together: a divisor of the row; 1 of some channels alone."""
    _, _, width, channels = values.shape
    if values.strides[2] != channels * values.itemsize:
        return 1
    size = channels * values.itemsize
    return next(k for k in range(width, 0, -1) if width % k == 0 and (k * size <= _TOGETHER or k == 1))


def _joined(values: Array, pixels: int) -> Array:
    """(n, h, w, c) as (n, h, w/pixels, pixels*c), a view."""
    n, height, width, channels = values.shape
    if pixels == 1:
        return values
    view = values.reshape(n, height, width // pixels, pixels * channels)
    assert np.may_share_memory(view, values), (values.shape, values.strides)
    return view
