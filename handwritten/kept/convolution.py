"""A convolution as matrix products on bands of rows, and on each band what follows it.

A 1x1 convolution of stride 1 multiplies the pixels as they lie. For any other the windows of a band are laid out
as rows of a matrix first; channels last, a row of a window is one run of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.bands import Band
from layerdiff.handwritten.fused.blocks import Blocks, cut_product, is_late
from layerdiff.handwritten.fused.calls import Call, Step, copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.grouped import widened
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.patches import windows
from layerdiff.handwritten.fused.products import Weights, product, scratch_size
from layerdiff.handwritten.fused.shifting import Finish
from layerdiff.handwritten.fused.winograd import frame_for, tile_size, winograd
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.kept.following import Following
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["convolve", "frame_of"]

_Rows = Callable[[Band, int], tuple[list[Call], Array]]
"""For a band and a thread: calls, and the left-hand side of a product, (groups, pixels, depth), that they fill."""


def frame_of(shop: Workshop, kernel: Kernel, height: int, width: int) -> tuple[int, int, int]:
    """The frame of an image that `kernel` is to work on: rows or columns above and left, rows below, columns right."""
    m = _tile(shop, kernel, height, width)
    return frame_for(m, height, width) if m else (kernel.padding,) * 3


def convolve(shop: Workshop, kernel: Kernel, image: Image, out: Array, following: Following) -> None:
    """Adds the steps of a convolution and of what follows it to a plan.

    Args:
        shop: where the plan is made.
        kernel: the convolution.
        image: what it works on, in a frame as `frame_of` says.
        out: (n, h_out, w_out, c_out), where its own output goes, contiguous.
        following: the layers behind it.
    """
    kernel = widened(kernel) if kernel.groups > 1 else kernel
    m = _tile(shop, kernel, image.height, image.width)
    if m:
        zeros = np.zeros(kernel.out_channels, dtype=shop.dtype)
        winograd(shop, kernel, m, image, Finish(zeros, zeros, bare=True), out)
        _follow(shop, m, out, following)
        return
    _, height, width, channels = out.shape
    columns, depth = channels // kernel.groups, kernel.weight[0].size
    pointwise = kernel.size == kernel.stride == 1 and not kernel.padding and kernel.groups == 1
    bands = shop.bands(height, width)
    pixels = max(band.count for band in bands) * width
    late = is_late(shop.images * height * width) and kernel.groups == 1
    blocks = cut_product(pixels, depth, columns, small=shop.small, late=late)
    weights = shop.weights.get(kernel.name, blocks, lambda: _matrix(kernel))
    splits = kernel.groups == 1 and shop.splits_columns(height, width)
    rows = _as_they_lie(image) if pointwise else _laid_out(shop, kernel, image, out, shared=splits)

    def make(band: Band, thread: int, some: slice) -> list[Call]:
        before, left = rows(band, thread)
        target = out[band.index].reshape(left.shape[1], kernel.groups, columns, copy=False).swapaxes(0, 1)
        pieces = shop.scratch(thread, "pieces", scratch_size(left.shape[0] * left.shape[1], weights))
        own = _channels(weights, some, kernel.groups)
        after = following.calls(out, band.index, own)
        return [*before, *product(left, weights, target[..., own], some, pieces), *after]

    if splits:
        shop.by_columns(
            weights.column_blocks, lambda some, thread: [call for band in bands for call in make(band, thread, some)]
        )
    else:
        every = slice(0, weights.column_blocks)
        shop.by_bands(bands, lambda band, thread: make(band, thread, every), local=pointwise)
    shop.say(kernel.name, *_said(kernel, blocks, pointwise=pointwise))


def _follow(shop: Workshop, m: int, out: Array, following: Following) -> None:
    """Does what follows Winograd's convolution, where there are bands of tiles to the rows of each as it is done."""
    step = shop.steps[-1]
    height, width = out.shape[1:3]
    if step.bands is None:  # the threads shared the channels out
        bands = shop.bands(height, width)
        shop.by_bands(bands, lambda band, thread: following.calls(out, band.index, slice(None)), local=True)
        return

    def after(band: Band) -> list[Call]:
        rows = band.rows[0] * m, min(band.rows[1] * m, height)
        return following.calls(out, Band(band.images, rows).index, slice(None))

    shop.steps[-1] = Step(
        tuple(
            tuple((*group, *after(band)) for group, band in zip(groups, bands, strict=True))
            for groups, bands in zip(step.parts, cast(tuple[tuple[Band, ...], ...], step.bands), strict=True)
        )
    )


def _tile(shop: Workshop, kernel: Kernel, height: int, width: int) -> int | None:
    """Rows and columns of Winograd's tiles, where they are asked for and there are any that pay."""
    if not shop.tricks.winograd or (kernel.size, kernel.stride, kernel.padding) != (3, 1, 1):
        return None
    return tile_size(height, width)


def _as_they_lie(image: Image) -> _Rows:
    return lambda band, thread: ([], image.inside[band.index].reshape(1, -1, image.channels, copy=False))


def _laid_out(shop: Workshop, kernel: Kernel, image: Image, out: Array, *, shared: bool) -> _Rows:
    """The windows of a band as rows; `shared`, those of all bands are laid out first, by all threads."""
    _, height, width, _ = out.shape
    k, groups = kernel.size, kernel.groups
    seen = windows(image, kernel, height, width).reshape(-1, height, width, k, k, groups, image.channels // groups)
    depth = kernel.weight[0].size

    def own(band: Band, thread: int) -> tuple[list[Call], Array]:
        part = np.moveaxis(seen[band.index], 5, 0)
        patches = shop.scratch(thread, "patches", part.size)
        return [copy(part, patches.reshape(part.shape))], patches.reshape(groups, -1, depth)

    if not shared:
        return own
    patches = shop.shared("patches", *seen.shape)
    lines = tuple(Band((i, i + 1), (row, row + 1)) for i in range(len(seen)) for row in range(height))
    shop.by_bands(lines, lambda band, thread: [copy(seen[band.index], patches[band.index])])
    return lambda band, thread: ([], patches[band.index].reshape(1, -1, depth, copy=False))


def _matrix(kernel: Kernel) -> NDArray[np.float64]:
    """(groups, kernel rows * kernel columns * c_in/groups, c_out/groups), in the order of the windows."""
    groups, k = kernel.groups, kernel.size
    weight = kernel.weight.reshape(groups, -1, kernel.weight.shape[1], k, k)
    return weight.transpose(0, 3, 4, 2, 1).reshape(groups, -1, weight.shape[1])


def _channels(weights: Weights, some: slice, groups: int) -> slice:
    """The channels that some blocks of columns are; of several groups, all."""
    width = weights.blocks.columns
    return slice(some.start * width, some.stop * width) if groups == 1 else slice(None)


def _said(kernel: Kernel, blocks: Blocks, *, pointwise: bool) -> tuple[str, str]:
    if pointwise:
        return f"product {blocks}", "1x1: the pixels lie ready"
    groups = f", {kernel.groups} groups" if kernel.groups > 1 else ""
    return f"patches {blocks}{groups}", f"{kernel.size}x{kernel.size}, stride {kernel.stride}"
