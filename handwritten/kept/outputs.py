"""Where the outputs of the layers lie."""

from __future__ import annotations

from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Outputs"]


class Outputs:
    """Makes an array for each layer, and remembers it.

    Attributes:
        arrays: by torchvision's names, (n, h, w, c), or (n, features).

    Args:
        shop: where the plan is made, whose memory the arrays are taken from.
    """

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self.arrays: dict[str, Array] = {}

    def image(
        self, name: str, height: int, width: int, channels: int, frame: tuple[int, int, int] = (0, 0, 0)
    ) -> Image:
        """A fresh batch of images for what the layer `name` gives.

        Args:
            name: torchvision's.
            height: rows.
            width: columns.
            channels: of a pixel.
            frame: of zeros: rows or columns above and left, rows below, columns to the right.
        """
        if any(frame):
            image = self._shop.framed(height, width, frame, channels)
        else:
            image = self._shop.image(height, width, channels)
        self.arrays[name] = image.inside
        return image

    def features(self, name: str, count: int) -> Array:
        """A fresh (n, count) array for what the layer `name` gives."""
        self.arrays[name] = self._shop.memory.take(self._shop.images, count)
        return self.arrays[name]
