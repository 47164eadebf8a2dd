"""A 1x1 convolution is one matrix product: (pixels, channels in) times (channels in, channels out).

With the channels last the pixels already are the rows of that matrix, so nothing is copied. A stride of 2 leaves out
every other pixel and row: the same product on a copy of the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.bands import Band
from layerdiff.handwritten.fused.blocks import Blocks, cut_product, is_late
from layerdiff.handwritten.fused.calls import Call, copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.images import Image, as_pixels
from layerdiff.handwritten.fused.products import Weights, product, scratch_size
from layerdiff.handwritten.fused.shifting import Finish
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Rows", "add_product", "pointwise"]

Rows = Callable[[Band, int], tuple[list[Call], Array]]
"""For a band and a thread: calls, and the left-hand side of a product that they fill."""


def pointwise(
    shop: Workshop, kernel: Kernel, image: Image, finish: Finish, out: Array, identity: Array | None = None
) -> None:
    """Adds the steps of a 1x1 convolution to a plan.

    Args:
        shop: where the plan is made.
        kernel: (c_out, c_in, 1, 1), its stride any, no padding.
        image: what it works on.
        finish: what follows.
        out: (n, h_out, w_out, c_out), where the result goes.
        identity: alike, what is added before the rectifier.
    """
    taken = image.inside[:, :: kernel.stride, :: kernel.stride]

    def rows(band: Band, thread: int) -> tuple[list[Call], Array]:
        part = taken[band.index]
        if kernel.stride == 1:
            return [], as_pixels(part)
        # Rows that lie apart are blocks of their own, and small ones are slow.
        laid = shop.scratch(thread, "patches", part.size)
        return [copy(part, laid.reshape(part.shape))], laid.reshape(-1, image.channels)

    blocks = add_product(
        shop,
        kernel.name,
        rows,
        lambda: kernel.weight[:, :, 0, 0].T,
        finish,
        out,
        identity,
        local=True,
    )
    shop.say(kernel.name, f"product {blocks}", "1x1: the pixels lie ready")


def add_product(
    shop: Workshop,
    key: str,
    rows: Rows,
    matrix: Callable[[], NDArray[np.float64]],
    finish: Finish,
    out: Array,
    identity: Array | None,
    *,
    local: bool,
) -> Blocks:
    """Adds the steps of one matrix product on every band, and of what follows it.

    Args:
        shop: where the plan is made.
        key: of the weights.
        rows: for a band and a thread the left-hand side, (..., rows, depth), its rows in the order of `out`'s pixels,
            and the calls that fill it.
        matrix: computes the right-hand side, (depth, columns).
        finish: what follows.
        out: (n, h, w, columns), where the result goes.
        identity: alike, what is added before the rectifier.
        local: whether a band's left-hand side comes from the same rows alone.

    Returns:
        The blocks of the product.
    """
    n, height, width, channels = out.shape
    bands = shop.bands(height, width)
    _, first = rows(bands[-1], 0)
    late = is_late(n * height * width)
    blocks = cut_product(first.shape[-2], first.shape[-1], channels, small=shop.small, late=late)
    weights = shop.weights.get(key, blocks, matrix)

    def make(band: Band, thread: int, columns: slice) -> list[Call]:
        before, left = rows(band, thread)
        passed = None if identity is None else identity[band.index]
        return [*before, *_on_band(shop, thread, left, weights, columns, finish, out[band.index], passed)]

    if shop.splits_columns(height, width):
        shop.by_columns(
            weights.column_blocks,
            lambda columns, thread: [call for band in bands for call in make(band, thread, columns)],
        )
    else:
        every = slice(0, weights.column_blocks)
        shop.by_bands(bands, lambda band, thread: make(band, thread, every), local=local)
    return blocks


def _on_band(
    shop: Workshop,
    thread: int,
    left: Array,
    weights: Weights,
    columns: slice,
    finish: Finish,
    out: Array,
    identity: Array | None,
) -> list[Call]:
    """The product for one band, and what follows: in place, unless the result lies unevenly or is the identity."""
    size = weights.blocks.columns
    first, last = columns.start * size, columns.stop * size
    out = out[..., first:last]
    target = as_pixels(out)
    raw = target if out.flags.c_contiguous and left.ndim == 2 and identity is None else None
    if raw is None:
        raw = shop.scratch(thread, "raw", out.size).reshape(*left.shape[:-1], last - first)
    pieces = shop.scratch(thread, "pieces", scratch_size(int(np.prod(left.shape[:-1])), weights))
    there = out if raw is target else raw.reshape(out.shape)
    passed = None if identity is None else identity[..., first:last]
    return [*product(left, weights, raw, columns, pieces), *finish.of(first, last).calls(there, out, passed)]
