"""A convolution as one matrix product on patches: every window of the image laid out as a row.

With the channels last a row of a window is one run of memory, kernel columns times channels long, so laying the windows
out costs little. It is done band by band, and the patches are multiplied while they are in the cache.

Source: Chellapilla et al., "High Performance Convolutional Neural Networks for Document Processing", 2006.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from layerdiff.handwritten.fused.bands import Band
from layerdiff.handwritten.fused.calls import Call, copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.pointwise import Rows, add_product
from layerdiff.handwritten.fused.shifting import Finish
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["by_patches", "matrix_of", "windows"]


def by_patches(
    shop: Workshop, kernel: Kernel, image: Image, finish: Finish, out: Array, why: str, identity: Array | None = None
) -> None:
    """Adds the steps of a convolution in one group to a plan; the image's frame is its padding.

    Args:
        shop: where the plan is made.
        kernel: of one group.
        image: framed by at least the padding.
        finish: what follows.
        out: (n, h_out, w_out, c_out), where the result goes.
        why: for the line of the plan.
        identity: as `out`, what is added before the rectifier.
    """
    _, height, width, _ = out.shape
    seen = windows(image, kernel, height, width)
    depth = kernel.weight[0].size

    def own(band: Band, thread: int) -> tuple[list[Call], Array]:
        part = seen[band.index]
        patches = shop.scratch(thread, "patches", part.size)
        return [copy(part, patches.reshape(part.shape))], patches.reshape(-1, depth)

    rows = _shared(shop, seen) if shop.splits_columns(height, width) else own
    blocks = add_product(shop, kernel.name, rows, lambda: matrix_of(kernel), finish, out, identity, local=False)
    shop.say(kernel.name, f"patches {blocks}", why)


def _shared(shop: Workshop, seen: Array) -> Rows:
    """Adds a step in which all threads lay out patches, for products of which each computes some columns.

    What makes the image often shares out its channels: then each thread lays out what it has made itself.
    """
    *_, channels = seen.shape
    window = seen.shape[3:]
    patches = shop.shared("patches", *seen.shape)
    width = next(w for w in (64, channels) if channels % w == 0)

    def lay_out(columns: slice, thread: int) -> list[Call]:
        own = slice(columns.start * width, columns.stop * width)
        return [copy(seen[..., own], patches[..., own])]

    shop.by_columns(channels // width, lay_out)
    return lambda band, thread: ([], patches[band.index].reshape(-1, math.prod(window)))


def windows(image: Image, kernel: Kernel, height: int, width: int) -> Array:
    """(n, height, width, kernel rows, kernel columns, c), a view of every window."""
    f = image.frame - kernel.padding
    start = image.framed[:, f:, f:]
    image_step, row, column, channel = start.strides
    s, k = kernel.stride, kernel.size
    shape = (len(start), height, width, k, k, image.channels)
    return as_strided(start, shape, (image_step, s * row, s * column, row, column, channel), writeable=False)


def matrix_of(kernel: Kernel) -> NDArray[np.float64]:
    """(kernel rows * kernel columns * c_in, c_out), in the order of `windows`."""
    return kernel.weight.transpose(2, 3, 1, 0).reshape(-1, kernel.out_channels)
