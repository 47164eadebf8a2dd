"""Which of the ways a convolution of a plan runs."""

from __future__ import annotations

from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.grouped import by_groups, widened
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.patches import by_patches
from layerdiff.handwritten.fused.pointwise import pointwise
from layerdiff.handwritten.fused.shifting import Finish
from layerdiff.handwritten.fused.winograd import frame_for, tile_size, winograd
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["convolve", "framed_for"]


def framed_for(
    shop: Workshop, kernel: Kernel, height: int, width: int, channels: int, *, role: str | None = None
) -> Image:
    """An image for `kernel` to work on, framed as its way of running asks; `role` as in `Workshop.framed`."""
    m = _tile(shop, kernel, height, width)
    p = kernel.padding
    return shop.framed(height, width, frame_for(m, height, width) if m else (p, p, p), channels, role=role)


def convolve(
    shop: Workshop, kernel: Kernel, image: Image, finish: Finish, out: Array, identity: Array | None = None
) -> None:
    """Adds the steps of one convolution to a plan.

    Args:
        shop: where the plan is made.
        kernel: the convolution.
        image: what it works on, from `framed_for` where it pads.
        finish: what follows.
        out: (n, h_out, w_out, c_out), where the result goes.
        identity: alike, what is added before the rectifier.
    """
    m = _tile(shop, kernel, image.height, image.width)
    if m:
        winograd(shop, widened(kernel), m, image, finish, out, identity)
    elif kernel.groups > 1:
        by_groups(shop, widened(kernel), image, finish, out, identity)
    elif kernel.size == 1 and kernel.padding == 0 and shop.tricks.pointwise:
        pointwise(shop, kernel, image, finish, out, identity)
    else:
        by_patches(shop, kernel, image, finish, out, _why(shop, kernel), identity)


def _tile(shop: Workshop, kernel: Kernel, height: int, width: int) -> int | None:
    if not shop.tricks.winograd or (kernel.size, kernel.stride, kernel.padding) != (3, 1, 1):
        return None
    return tile_size(height, width)


def _why(shop: Workshop, kernel: Kernel) -> str:
    if kernel.stride > 1 or kernel.size != 3:
        return f"{kernel.size}x{kernel.size}, stride {kernel.stride}"
    return "3x3, too few tiles" if shop.tricks.winograd and kernel.size == 3 else f"{kernel.size}x{kernel.size}"
