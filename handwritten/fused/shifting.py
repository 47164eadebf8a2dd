"""The rectifier in one pass, its bias riding along inside the block.

Bias and rectifier are two passes over the numbers. One is enough:

    max(raw + b, 0) = max(raw, -b) + b

and the b that is left over is the same for all pixels of a channel, so the next convolution can take it into its own
bias: its weights times b. It is done before a block's last 1x1 convolution only. Before a 3x3 one, nine times the
shift would enter its sums, and a fifth more error at the logits; and the result of a block is never shifted, since over
a whole network the shifts would add up to values far larger than the activations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.calls import Call, call, copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Finish", "carried", "finish_of", "shift_of"]

_TOGETHER = 16 << 10  # bytes, so that the bias stays in the first cache


@dataclass(frozen=True)
class Finish:
    """What is done to the products of a convolution: a bias, a rectifier.

    Attributes:
        bias: (c,).
        least: (c,): what the rectifier lets nothing fall below, zero or -bias.
        shifted: whether the bias is left to the next convolution.
        bare: whether there is neither, and the products are all.
    """

    bias: Array
    least: Array
    shifted: bool = False
    bare: bool = False

    def calls(self, raw: Array, out: Array, identity: Array | None = None) -> list[Call]:
        """From `raw` to `out`, (..., channels) of the same shape, possibly the same array.

        Args:
            raw: the products, which may be overwritten.
            out: where the result goes.
            identity: what passed by the block and is added before the rectifier.
        """
        if self.bare and identity is None:
            return [] if out is raw else [copy(raw, out)]
        if self.bare and identity is not None:
            return [call(np.add, raw, identity, out=out)]
        # Where `out` lies among the channels of other threads, it is touched once: its lines change hands.
        between = out if out.flags.c_contiguous else raw
        calls = [] if identity is None else [call(np.add, raw, identity, out=between)]
        pixels = _together(raw.shape[-2], raw.shape[-1] * raw.itemsize)
        bias, least = (np.tile(values, (pixels, 1)) for values in (self.bias, self.least))
        raw, out, between = (_by_pixels(values, pixels) for values in (raw, out, between))
        if self.shifted:
            return [call(np.maximum, raw, least, out=out)]
        calls.append(call(np.add, between if calls else raw, bias, out=between))
        return [*calls, call(np.maximum, between, least, out=out)]

    def of(self, first: int, last: int) -> Finish:
        """The same for some of the channels."""
        return replace(self, bias=self.bias[first:last], least=self.least[first:last])


def _together(width: int, size: int) -> int:
    """How many of `width` pixels in a row, of `size` bytes each, are worked on together: a divisor.

    NumPy runs through the channels of one pixel after the other where a bias is the same for all pixels; with the bias
    written down for several pixels it runs through all of these at once.
    """
    return next(k for k in range(width, 0, -1) if width % k == 0 and (k * size <= _TOGETHER or k == 1))


def _by_pixels(values: Array, pixels: int) -> Array:
    """(..., columns, c) as (..., columns/pixels, pixels, c), a view."""
    *lead, columns, channels = values.shape
    view = values.reshape(*lead, columns // pixels, pixels, channels)
    assert np.may_share_memory(view, values), (values.shape, values.strides)
    return view


def finish_of(kernel: Kernel, dtype: np.dtype[np.floating], *, shifted: bool = False) -> Finish:
    """What follows the products of `kernel`, computed in `dtype`."""
    bias = kernel.bias.astype(dtype)
    return Finish(bias, -bias if shifted else np.zeros_like(bias), shifted)


def shift_of(finish: Finish) -> NDArray[np.float64]:
    """(c,): by how much what `finish` leaves is too small."""
    return np.asarray(finish.bias if finish.shifted else np.zeros_like(finish.bias), dtype=np.float64)


def carried(kernel: Kernel, shift: NDArray[np.float64]) -> Kernel:
    """`kernel`, 1x1 in one group, for an image that is `shift` (c_in,) too small: the same result, by another bias."""
    return replace(kernel, bias=kernel.bias + kernel.weight[:, :, 0, 0] @ shift)
