"""A residual block: its branch, its shortcut, the sum."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from layerdiff.handwritten.fused.convolution import convolve, framed_for
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.parts import Block
from layerdiff.handwritten.fused.shifting import Finish, carried, finish_of, shift_of
from layerdiff.handwritten.fused.workshop import Workshop

__all__ = ["output_of_stem", "residual"]


def residual(shop: Workshop, block: Block[Kernel], x: Image) -> Image:
    """Adds the steps of `block` and says where its output will lie: over `x`, unless the shape changes."""
    now = x
    finish: Finish | None = None
    for kernel, following in pairwise(block.convolutions):
        now, finish = _inner(shop, kernel, following, now, _role(shop, block))
    last = block.convolutions[-1]
    if finish is not None and finish.shifted:
        last = carried(last, shift_of(finish))
    if block.projection is None:
        convolve(shop, last, now, finish_of(last, shop.dtype), x.inside, x.inside)
        return x
    out = _fresh(shop, block, now.height, now.width, last.out_channels)
    # Both are added up, so one bias is enough.
    last = replace(last, bias=last.bias + block.projection.bias)
    convolve(shop, block.projection, x, replace(finish_of(block.projection, shop.dtype), bare=True), out.inside)
    convolve(shop, last, now, finish_of(last, shop.dtype), out.inside, out.inside)
    return out


def output_of_stem(shop: Workshop, first: Block[Kernel], height: int, width: int) -> Image:
    """A fresh image for what the first block takes."""
    return _fresh(shop, first, height, width, first.convolutions[0].in_channels)


def _fresh(shop: Workshop, block: Block[Kernel], height: int, width: int, channels: int) -> Image:
    """A fresh image for blocks like this one to work on: framed where they begin with a convolution that pads."""
    if not block.convolutions[0].padding:
        return shop.image(height, width, channels)
    return framed_for(shop, block.convolutions[-1], height, width, channels)


def _role(shop: Workshop, block: Block[Kernel]) -> str:
    """Threads have two images inside of blocks by turns, so that one may begin a block while another ends the last."""
    return f"inner {int(block.name.rpartition('.')[2]) % min(shop.threads, 2)}"


def _inner(shop: Workshop, kernel: Kernel, following: Kernel, x: Image, role: str) -> tuple[Image, Finish]:
    """A convolution that is not the last one."""
    finish = finish_of(kernel, shop.dtype, shifted=shop.tricks.shifted and not following.padding)
    height, width = kernel.output_size(x.height), kernel.output_size(x.width)
    if following.padding:
        image = framed_for(shop, following, height, width, kernel.out_channels, role=role)
    else:
        room = shop.shared(role, shop.images, height, width, kernel.out_channels)
        image = Image(room, 0, height, width)
    convolve(shop, kernel, x, finish, image.inside)
    return image, finish
