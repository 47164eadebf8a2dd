"""A residual block: its branch, its shortcut, the sum."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.convolution import convolve, framed_for
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.joining import bring, joined
from layerdiff.handwritten.fused.parts import Block
from layerdiff.handwritten.fused.shifting import carried, finish_of, shift_of
from layerdiff.handwritten.fused.workshop import Workshop

__all__ = ["output_of_stem", "residual"]


@dataclass(frozen=True)
class _Inside:
    """What goes through a block, and by how much it is too small: (c,)."""

    image: Image
    shift: NDArray[np.float64]


def residual(shop: Workshop, block: Block, x: Image) -> Image:
    """Adds the steps of `block` and says where its output will lie: over `x`, unless the shape changes."""
    now = _Inside(x, np.zeros(x.channels))
    joins = block.projection is not None and shop.tricks.joined and block.convolutions[-1].size == 1
    for kernel, following in pairwise(block.convolutions):
        beside = x.channels if joins and following is block.convolutions[-1] else 0
        now = _inner(shop, kernel, following, now, beside)
    last = carried(block.convolutions[-1], now.shift)
    if block.projection is None:
        convolve(shop, last, now.image, finish_of(last, shop.dtype), x.inside, x.inside)
        return x
    out = _fresh(shop, block, now.image.height, now.image.width, last.out_channels)
    if joins:
        bring(shop, block.projection, x, now.image)
        both = joined(last, block.projection)
        convolve(shop, both, now.image, finish_of(both, shop.dtype), out.inside)
        return out
    convolve(shop, block.projection, x, finish_of(block.projection, shop.dtype, rectified=False), out.inside)
    convolve(shop, last, now.image, finish_of(last, shop.dtype), out.inside, out.inside)
    return out


def output_of_stem(shop: Workshop, first: Block, height: int, width: int) -> Image:
    """A fresh image for what the first block takes."""
    return _fresh(shop, first, height, width, first.convolutions[0].in_channels)


def _fresh(shop: Workshop, block: Block, height: int, width: int, channels: int) -> Image:
    """A fresh image for blocks like this one to work on: framed where they begin with a convolution that pads."""
    if not block.convolutions[0].padding:
        return shop.image(height, width, channels)
    return framed_for(shop, block.convolutions[-1], height, width, np.zeros(channels, dtype=shop.dtype))


def _inner(shop: Workshop, kernel: Kernel, following: Kernel, now: _Inside, beside: int) -> _Inside:
    """A convolution that is not the last one, and room for `beside` more channels after its own."""
    kernel = carried(kernel, now.shift)
    finish = finish_of(kernel, shop.dtype, shifted=shop.tricks.shifted)
    height, width = kernel.output_size(now.image.height), kernel.output_size(now.image.width)
    if following.padding:
        image = framed_for(shop, following, height, width, -shift_of(finish).astype(shop.dtype))
    else:
        room = shop.shared("inner", shop.images, height, width, kernel.out_channels + beside)
        image = Image(room, 0, height, width)
    convolve(shop, kernel, now.image, finish, image.inside[..., : kernel.out_channels])
    return _Inside(image, shift_of(finish))
