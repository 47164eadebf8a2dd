"""A convolution in groups, as ResNeXt has them: one matrix product for each group, all in one call.

ResNeXt's groups are 4 to 32 channels wide, and products so narrow are slow. So neighbouring groups are taken together
until they are 32 channels wide, with zeros for the weights between them: more multiplications, in less time. (A zero
times infinity is NaN: an image that overflows in one group gives NaN in its neighbours too.)
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from layerdiff.handwritten.fused.bands import Band
from layerdiff.handwritten.fused.blocks import cut_product
from layerdiff.handwritten.fused.calls import Call, copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.patches import windows
from layerdiff.handwritten.fused.products import product, scratch_size
from layerdiff.handwritten.fused.shifting import Finish
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["by_groups", "widened"]

_WIDE = 32


def widened(kernel: Kernel) -> Kernel:
    """The same convolution in fewer groups, each of 32 channels or more where the groups can be joined evenly."""
    narrow = kernel.in_channels // kernel.groups
    joined = math.gcd(kernel.groups, max(1, _WIDE // narrow))
    c_out = kernel.out_channels // kernel.groups
    k = kernel.size
    weight = np.zeros((kernel.groups // joined, joined, c_out, joined, narrow, k, k))
    own = kernel.weight.reshape(-1, joined, c_out, narrow, k, k)
    for i in range(joined):
        weight[:, i, :, i] = own[:, i]
    return replace(
        kernel, weight=weight.reshape(kernel.out_channels, joined * narrow, k, k), groups=kernel.groups // joined
    )


def by_groups(
    shop: Workshop, kernel: Kernel, image: Image, finish: Finish, out: Array, identity: Array | None = None
) -> None:
    """Adds the steps of a convolution in groups to a plan; the image's frame is its padding.

    Args:
        shop: where the plan is made.
        kernel: in several groups.
        image: framed by at least the padding.
        finish: what follows.
        out: (n, h_out, w_out, c_out), where the result goes.
        identity: alike, what is added before the rectifier.
    """
    n, height, width, channels = out.shape
    groups, k = kernel.groups, kernel.size
    seen = windows(image, kernel, height, width).reshape(n, height, width, k, k, groups, -1, copy=False)
    depth, columns = kernel.weight[0].size, channels // groups
    bands = shop.bands(height, width)
    pixels = max(band.count for band in bands) * width
    blocks = cut_product(pixels, depth, columns, small=shop.small, late=False)
    matrix = kernel.weight.reshape(groups, columns, -1, k, k).transpose(0, 3, 4, 2, 1).reshape(groups, depth, columns)
    weights = shop.weights.get(kernel.name, blocks, lambda: matrix)

    def make(band: Band, thread: int) -> list[Call]:
        rows = band.count * width
        part = np.moveaxis(seen[band.index], 5, 0)  # (groups, images, rows, columns, k, k, channels of a group)
        patches = shop.scratch(thread, "patches", part.size)
        raw = shop.scratch(thread, "raw", rows * channels)
        pieces = shop.scratch(thread, "pieces", scratch_size(rows * groups, weights))
        every = slice(0, weights.column_blocks)
        target = raw.reshape(rows, groups, columns).swapaxes(0, 1)
        there = out[band.index]
        return [
            copy(part, patches.reshape(part.shape)),
            *product(patches.reshape(groups, rows, depth), weights, target, every, pieces),
            *finish.calls(raw.reshape(there.shape), there, None if identity is None else identity[band.index]),
        ]

    shop.by_bands(bands, make)
    shop.say(kernel.name, f"patches {blocks}, {groups} groups", f"{k}x{k}, stride {kernel.stride}")
