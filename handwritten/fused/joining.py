"""A block's last 1x1 convolution and the projection of its shortcut as one matrix product.

What both give is added, and the sum of two products is one product of what stands side by side:

    h W + x P  =  [h x] [W]
                        [P]

So the convolution before writes its channels to the left of the same rows, the block's input, every other row and pixel
of it where the block has a stride, is copied to the right, and the addition costs nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from layerdiff.handwritten.fused.calls import copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.workshop import Workshop

__all__ = ["bring", "joined"]


def joined(last: Kernel, projection: Kernel) -> Kernel:
    """Both as one 1x1 convolution of [what `last` takes, what `projection` takes], its stride already done."""
    weight = np.concatenate([last.weight, projection.weight], axis=1)
    return replace(last, weight=weight, bias=last.bias + projection.bias)


def bring(shop: Workshop, projection: Kernel, x: Image, image: Image) -> None:
    """Adds a step that copies what `projection` takes of `x` to the last channels of `image`."""
    taken = x.inside[:, :: projection.stride, :: projection.stride]
    room = image.inside[..., image.channels - x.channels :]
    bands = shop.bands(image.height, image.width)
    shop.by_bands(bands, lambda band, thread: [copy(taken[band.index], room[band.index])], local=True)
    shop.say(projection.name, "joined with the layer before", "one product for the sum")
