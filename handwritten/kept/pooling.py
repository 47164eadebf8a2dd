"""The pooling of the stem: the largest of three columns, then of three rows.

It comes after a rectifier, so nothing is below zero, and a frame of zeros does as one of minus infinity would: every
window holds a value of the image besides.
"""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.fused.bands import Band
from layerdiff.handwritten.fused.calls import Call, call
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["max_pool", "pooled_size"]


def pooled_size(size: int) -> int:
    """How many windows of 3, stride 2, padding 1 there are along `size` rows or columns."""
    return (size - 1) // 2 + 1


def max_pool(shop: Workshop, image: Image, out: Array) -> None:
    """Adds the steps of pooling with windows of 3x3, stride 2, padding 1 to a plan.

    Args:
        shop: where the plan is made.
        image: rectified, in a frame of one row or column of zeros.
        out: (n, h_out, w_out, c), where the result goes.
    """
    _, height, width, channels = out.shape

    def make(band: Band, thread: int) -> list[Call]:
        there = out[band.index]
        seen = image.framed[slice(*band.images), 2 * band.rows[0] : 2 * band.rows[1] + 1]
        shape = (*seen.shape[:2], width, channels)
        across = shop.scratch(thread, "across", int(np.prod(shape))).reshape(shape)
        return [
            *_largest([seen[:, :, i : i + 2 * width - 1 : 2] for i in range(3)], across),
            *_largest([across[:, i : i + 2 * there.shape[1] - 1 : 2] for i in range(3)], there),
        ]

    shop.by_bands(shop.bands(height, width), make)
    shop.say("maxpool", "3 columns, then 3 rows", "fewer comparisons")


def _largest(values: list[Array], out: Array) -> list[Call]:
    first, second, third = values
    return [call(np.maximum, first, second, out=out), call(np.maximum, out, third, out=out)]
