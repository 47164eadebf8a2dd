"""The preprocessing of torchvision's classifiers with NumPy alone: resize, crop, scale, normalise.

Resizing repeats Pillow's antialiased bilinear filter to the bit, so the whole is bit-identical to torchvision's on
a Pillow image; the tests allow no difference. What can make one is another Pillow: since release 13 a height that
shrinks much more than the width is resized first, before it never was, and then the rounding in between differs: by
one level of 255 in some pixels of a picture about twice as tall as wide or more.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["center_crop", "preprocess_array", "resize_bilinear", "resized_size"]

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

# Pillow's fixed point: eight bits for the result and two to spare for sums that leave [0, 255].
_PRECISION_BITS = 32 - 8 - 2


def preprocess_array(
    image: NDArray[np.uint8],
    *,
    resize: int = 256,
    crop: tuple[int, int] = (224, 224),
    mean: tuple[float, float, float] = MEAN,
    std: tuple[float, float, float] = STD,
    pillow: int = 13,
) -> NDArray[np.float32]:
    """Resizes so that the shorter side is `resize`, crops the centre, scales to [0, 1] and normalises.

    Args:
        image: RGB, uint8 (h, w, 3).
        resize: the shorter side after resizing, at least as large as `crop`.
        crop: (h, w) of the result.
        mean: subtracted, one for each channel.
        std: divided by, one for each channel.
        pillow: the major release of Pillow to agree with.

    Returns:
        float32 (3, h, w), bit-identical to torchvision's preprocessing of the same Pillow image.

    Source:
        torchvision.transforms._presets.ImageClassification.
    """
    cropped = center_crop(resize_bilinear(image, resized_size(image.shape[:2], resize), pillow=pillow), crop)
    x = cropped.astype(np.float32) / np.float32(255)
    x -= np.array(mean, np.float32)
    x /= np.array(std, np.float32)
    return np.ascontiguousarray(x.transpose(2, 0, 1))


def resized_size(size: tuple[int, ...], shorter: int) -> tuple[int, int]:
    """Returns the (h, w) that brings the shorter side of `size`, (h, w), to `shorter`; the longer is rounded down.

    Source:
        torchvision.transforms.functional.resize.
    """
    h, w = size
    return (int(shorter * h / w), shorter) if w <= h else (shorter, int(shorter * w / h))


def center_crop(image: NDArray[np.uint8], crop: tuple[int, int]) -> NDArray[np.uint8]:
    """Cuts the centre, (h, w, 3), out of `image`; an odd margin is halved to the even number.

    Source:
        torchvision.transforms.functional.center_crop.
    """
    top, left = (round((have - want) / 2) for have, want in zip(image.shape, crop, strict=False))
    return image[top : top + crop[0], left : left + crop[1]]


def resize_bilinear(image: NDArray[np.uint8], size: tuple[int, int], *, pillow: int = 13) -> NDArray[np.uint8]:
    """Resizes `image`, uint8 (h, w, 3), to `size`, (h, w), with Pillow's triangle filter, to the bit.

    One side after the other in fixed point, rounded to uint8 in between; a side that keeps its length is left. The
    width is first, but from release 13 of Pillow the height is where it shrinks by more than twice as many pixels.

    Source:
        Pillow, src/libImaging/Resample.c, and its pull request 9549.
    """
    h, w = image.shape[:2]
    fewer_rows, fewer_columns = h - size[0], w - size[1]
    if pillow >= 13 and fewer_rows > max(0, 2 * fewer_columns):
        return _resize_columns(_resize_rows(image, size[0]), size[1])
    return _resize_rows(_resize_columns(image, size[1]), size[0])


def _resize_columns(image: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    return _resize_rows(image.swapaxes(0, 1), length).swapaxes(0, 1)


def _resize_rows(image: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Resizes the first axis of `image` to `length`."""
    if image.shape[0] == length:
        return image
    first, weights = _filters(image.shape[0], length)
    total = np.full((length, *image.shape[1:]), 1 << (_PRECISION_BITS - 1), np.int32)
    for tap in range(weights.shape[1]):
        row = np.minimum(first + tap, image.shape[0] - 1)  # taps past the end weigh nothing
        total += weights[:, tap, None, None] * image[row].astype(np.int32)

    resized: NDArray[np.uint8] = np.clip(total >> _PRECISION_BITS, 0, 255).astype(np.uint8)
    return resized


def _filters(have: int, want: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Returns where each output's window begins, (want,), and its weights in fixed point, (want, taps)."""
    scale = have / want
    support = max(scale, 1.0)
    center = (np.arange(want) + 0.5) * scale
    first = np.maximum(np.trunc(center - support + 0.5), 0)
    end = np.minimum(np.trunc(center + support + 0.5), have)
    tap = np.arange(math.ceil(support) * 2 + 1)
    distance = np.abs((tap + first[:, None] - center[:, None] + 0.5) * (1.0 / support))
    weights = np.where((distance < 1.0) & (first[:, None] + tap < end[:, None]), 1.0 - distance, 0.0)
    # cumsum adds one after another as Pillow does; sum would pair the terms and round otherwise
    weights /= np.cumsum(weights, axis=1)[:, -1:]
    return first.astype(np.intp), np.trunc(0.5 + weights * (1 << _PRECISION_BITS)).astype(np.int32)
