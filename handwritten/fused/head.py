"""The end: the mean over the image, and the last layer."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.fused.blocks import Blocks
from layerdiff.handwritten.fused.calls import Call, call
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.parts import Parts
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["head"]

_SHARES = 4


def head(shop: Workshop, parts: Parts, image: Image) -> Array:
    """Adds the steps from the last block to the logits, (n, classes), and says where they will lie."""
    pixels = image.height * image.width
    means = shop.memory.take(shop.images, image.channels)
    count = np.asarray(pixels, dtype=shop.dtype)
    shop.alone([call(np.add.reduce, image.inside, axis=(1, 2), out=means), call(np.divide, means, count, out=means)])
    shop.say("avgpool", "sum over the pixels", "one row for each pixel")
    classes = len(parts.weight)
    blocks = Blocks(1, shop.images, classes // _SHARES if classes % _SHARES == 0 else classes)
    weights = shop.weights.get("fc", blocks, lambda: np.asarray(parts.weight, dtype=np.float64).T)
    bias = parts.bias.astype(shop.dtype)
    logits = shop.memory.take(shop.images, classes)
    width = blocks.columns

    def make(columns: slice, thread: int) -> list[Call]:
        calls: list[Call] = []
        for i in range(columns.start, columns.stop):
            own = slice(i * width, (i + 1) * width)
            calls += [
                call(np.matmul, means, weights.values[0, i], out=logits[:, own]),
                call(np.add, logits[:, own], bias[own], out=logits[:, own]),
            ]
        return calls

    shop.by_columns(classes // width, make)
    shop.say("fc", f"product {blocks}", "channels shared out")
    return logits
