"""The end: the mean over the image, and the last layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerdiff.handwritten.fused.blocks import Blocks
from layerdiff.handwritten.fused.calls import Call, call
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.parts import Parts
from layerdiff.handwritten.fused.products import product, scratch_size
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["head"]

_SHARES = 4
_WIDTH = 64  # channels averaged at a time: threads share them out as they do those of the last products
_PIECE = 128  # terms of a sum: short sums added up round less than one long sum


def head(shop: Workshop, parts: Parts[Any], image: Image, means: Array, logits: Array) -> None:
    """Adds the steps from the last block to the logits.

    Args:
        shop: where the plan is made.
        parts: of the network.
        image: what the last block gives.
        means: (n, c), where the means over the pixels go.
        logits: (n, classes), where the result goes.
    """
    count = np.asarray(image.height * image.width, dtype=shop.dtype)
    width = next(w for w in (_WIDTH, image.channels) if image.channels % w == 0)

    def average(blocks: slice, thread: int) -> list[Call]:
        own = slice(blocks.start * width, blocks.stop * width)
        there = means[:, own]
        return [
            call(np.add.reduce, image.inside[..., own], axis=(1, 2), out=there),
            call(np.divide, there, count, out=there),
        ]

    shop.by_columns(image.channels // width, average)
    shop.say("avgpool", "sum over the pixels", "one row for each pixel")
    classes = len(parts.weight)
    pieces = image.channels // _PIECE if image.channels % _PIECE == 0 else 1
    blocks = Blocks(pieces, shop.images, classes // _SHARES if classes % _SHARES == 0 else classes)
    weights = shop.weights.get("fc", blocks, lambda: np.asarray(parts.weight, dtype=np.float64).T)
    bias = parts.bias.astype(shop.dtype)

    def make(columns: slice, thread: int) -> list[Call]:
        own = slice(columns.start * blocks.columns, columns.stop * blocks.columns)
        parts_of_sums = shop.scratch(thread, "pieces", scratch_size(shop.images, weights))
        return [
            *product(means, weights, logits[:, own], columns, parts_of_sums),
            call(np.add, logits[:, own], bias[own], out=logits[:, own]),
        ]

    shop.by_columns(weights.column_blocks, make)
    shop.say("fc", f"product {blocks}", "channels shared out")
