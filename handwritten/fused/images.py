"""Activations inside a plan: channels last, so that a pixel's channels are a row of a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Image", "as_pixels"]


@dataclass(frozen=True)
class Image:
    """A batch of images, perhaps with a frame around each.

    Attributes:
        framed: (n, rows, columns, c), with the frame.
        frame: its rows above and its columns to the left.
        height: rows within the frame.
        width: columns within it.
    """

    framed: Array
    frame: int
    height: int
    width: int

    @property
    def inside(self) -> Array:
        """(n, height, width, c), without the frame."""
        f = self.frame
        return self.framed[:, f : f + self.height, f : f + self.width]

    @property
    def channels(self) -> int:
        """Channels of a pixel."""
        return int(self.framed.shape[3])


def as_pixels(images: Array) -> Array:
    """(images, rows, columns, c) as (pixels, c) if they lie evenly in memory, else as they are."""
    flat = images.reshape(-1, images.shape[-1])
    return flat if np.may_share_memory(flat, images) else images
