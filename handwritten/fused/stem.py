"""The stem: the 7x7 convolution by patches, then the pooling, then the rectifier.

The largest of some values plus a bias, rectified, is the largest value plus the bias, rectified: both grow with the
value, rounded or not. So pooling comes first, and bias and rectifier work on a quarter of the pixels. Pooling takes
the largest of three columns, then of three rows, which is fewer comparisons than of nine values. The even columns of a
row are computed before the odd ones, so that the values compared lie in long runs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerdiff.handwritten.fused.bands import Band
from layerdiff.handwritten.fused.blocks import cut_product, is_late
from layerdiff.handwritten.fused.calls import Call, call, copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.patches import matrix_of, windows
from layerdiff.handwritten.fused.products import product, scratch_size
from layerdiff.handwritten.fused.shifting import finish_of
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["stem"]


def stem(
    shop: Workshop, kernel: Kernel, height: int, width: int, room: Callable[[int, int], Image]
) -> tuple[Array, Image]:
    """Adds the steps from the images to the first block.

    Args:
        shop: where the plan is made.
        kernel: 7x7, stride 2, padding 3.
        height: of the images.
        width: of the images.
        room: makes an image of so many rows and columns for the result.

    Returns:
        Where the images are to be put, (n, height, width, c), and the result, a quarter as high and wide.
    """
    p = kernel.padding
    framed = shop.framed(height, width, (p, p, p), kernel.in_channels)
    high, wide = kernel.output_size(height), kernel.output_size(width)
    pooled = shop.memory.take(shop.images, high, _halved(wide), kernel.out_channels)
    _convolve(shop, kernel, framed, pooled, wide)
    out = room(_halved(high), _halved(wide))
    finish = finish_of(kernel, shop.dtype)

    def pool(band: Band, thread: int) -> list[Call]:
        there, rows = out.inside[band.index], np.moveaxis(pooled[slice(*band.images)], 1, 0)
        return [
            *_largest_of_three(rows[::2], rows[1::2], np.moveaxis(there, 1, 0), *band.rows),
            *finish.calls(there, there),
        ]

    shop.by_bands(shop.bands(out.height, out.width), pool, local=True)
    shop.say("maxpool", "3 columns, then 3 rows", "before bias and ReLU")
    return framed.inside, out


def _convolve(shop: Workshop, kernel: Kernel, framed: Image, pooled: Array, width: int) -> None:
    """The convolution and the pooling of columns, (n, height, width/2, c_out)."""
    n, height, _, columns = pooled.shape
    seen = windows(framed, kernel, height, width)
    depth = kernel.weight[0].size
    bands = shop.bands(height, width)
    rows, half = max(band.count for band in bands) * width, pooled.shape[2]
    late = is_late(n * height * width)
    blocks = cut_product(rows, depth, columns, small=shop.small, late=late)
    weights = shop.weights.get(kernel.name, blocks, lambda: matrix_of(kernel))

    def make(band: Band, thread: int) -> list[Call]:
        part, pixels = seen[band.index], band.count * width
        patches = shop.scratch(thread, "patches", part.size)
        laid = patches.reshape(part.shape)
        raw = shop.scratch(thread, "raw", pixels * columns)
        pieces = shop.scratch(thread, "pieces", scratch_size(pixels, weights))
        every = slice(0, weights.column_blocks)
        across = np.moveaxis(raw.reshape(*part.shape[:3], columns), 2, 0)
        return [
            copy(part[:, :, ::2], laid[:, :, :half]),
            *([copy(part[:, :, 1::2], laid[:, :, half:])] if half < width else []),
            *product(patches.reshape(pixels, depth), weights, raw.reshape(pixels, columns), every, pieces),
            *_largest_of_three(across[:half], across[half:], np.moveaxis(pooled[band.index], 2, 0), 0, half),
        ]

    shop.by_bands(bands, make)
    shop.say(kernel.name, f"patches {blocks}", f"{kernel.size}x{kernel.size}, stride {kernel.stride}")


def _largest_of_three(even: Array, odd: Array, out: Array, first: int, last: int) -> list[Call]:
    """`out[i - first]`, the largest of `odd[i - 1]`, `even[i]`, `odd[i]`, as far as there are such, up to `last`."""
    calls = []
    inside = min(last, len(odd))  # windows whose last value there is
    if first < inside:
        calls.append(call(np.maximum, even[first:inside], odd[first:inside], out=out[: inside - first]))
    if inside < last:
        calls.append(copy(even[inside:], out[inside - first :]))
    start = max(first, 1)
    if start < last:
        calls.append(call(np.maximum, out[start - first :], odd[start - 1 : last - 1], out=out[start - first :]))
    return calls


def _halved(size: int) -> int:
    return (size + 1) // 2
