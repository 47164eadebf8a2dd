"""Images changed at random so that there seem to be more of them: pure functions of a batch and a generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from layerdiff.handwritten._checks import check_image_batch, check_probability, refusal
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Augmentation", "PaddingMode", "in_turn", "random_flip", "random_shift"]

PaddingMode = Literal["zeros", "replicate"]

Augmentation = Callable[[Array, np.random.Generator], Array]
"""Takes (n, c, h, w) and what draws; gives a new array of the same shape and dtype."""


def random_shift(
    images: Array, generator: np.random.Generator, *, pixels: int, padding_mode: PaddingMode = "zeros"
) -> Array:
    """Each image moved by -`pixels` to `pixels` rows and columns, with zeros or its rim where nothing was.

    The same as padding by `pixels` on every side and cutting a window of the old size out anywhere.

    Args:
        images: (n, c, h, w), any floating dtype.
        generator: draws one row and one column offset for each image.
        pixels: the farthest move, from 0 up.
        padding_mode: "zeros", or "replicate" for the nearest pixel; the names are those of torch.nn.Conv2d.

    Returns:
        A new array, shape and dtype of `images`.

    Raises:
        ValueError: not a batch of images, `pixels` below 0, or there is no such mode.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015, section 4.2.
    """
    check_image_batch("random_shift", images.shape)
    if pixels < 0:
        raise refusal(
            f"random_shift: unusable pixels, got {pixels}, expected 0 or more", help="4 is usual for 32x32 images"
        )
    if padding_mode not in get_args(PaddingMode):
        raise refusal(
            f"random_shift: unknown padding_mode, got {padding_mode!r}, expected "
            f"{' or '.join(map(repr, get_args(PaddingMode)))}",
            help="the names are those of torch.nn.Conv2d",
        )
    n, channels, height, width = images.shape
    top, left = generator.integers(0, 2 * pixels + 1, (2, n))
    around = ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels))
    padded = np.pad(images, around, mode="constant" if padding_mode == "zeros" else "edge")
    rows = (top[:, None] + np.arange(height))[:, None, :, None]
    columns = (left[:, None] + np.arange(width))[:, None, None, :]
    shifted: Array = padded[np.arange(n)[:, None, None, None], np.arange(channels)[:, None, None], rows, columns]
    return shifted


def random_flip(images: Array, generator: np.random.Generator, *, probability: float = 0.5) -> Array:
    """Each image mirrored left to right with a probability; not for digits, whose mirror images are none.

    Args:
        images: (n, c, h, w), any floating dtype.
        generator: draws one number for each image.
        probability: of being mirrored.

    Returns:
        A new array, shape and dtype of `images`.

    Raises:
        ValueError: not a batch of images, or not a probability.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 4.1.
    """
    check_image_batch("random_flip", images.shape)
    check_probability("random_flip", probability)
    mirrored = generator.random(len(images)) < probability
    return np.where(mirrored[:, None, None, None], images[..., ::-1], images)


def in_turn(*augmentations: Augmentation) -> Augmentation:
    """One augmentation that applies several, one after the other."""

    def augment(images: Array, generator: np.random.Generator) -> Array:
        for augmentation in augmentations:
            images = augmentation(images, generator)
        return images

    return augment
