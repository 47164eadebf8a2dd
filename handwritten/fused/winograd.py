"""A 3x3 convolution of stride 1 with fewer multiplications, see `winograd_matrices`.

Every step of it is a matrix product, the transforms too, since these are what the processor does fastest:

    tiles of the image          (tiles, a*a, c_in)     one copy, in runs of a * c_in
    image transform             (a*a, a*a) @ (a*a, c_in) for each tile, written as (a*a, tiles, c_in)
    the products                (tiles, c_in) @ (c_in, c_out) for each of the a*a points
    output transform            (m*m, a*a) @ (a*a, c_out) for each tile
    bias, rectifier             while the tiles go back to their places

Large tiles save more and round worse. On large images F(4x4) pays; where few of its tiles fit, F(2x2) does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from layerdiff.handwritten.fused.bands import Band, cut_bands
from layerdiff.handwritten.fused.blocks import cut_product, is_late
from layerdiff.handwritten.fused.calls import Call, call, copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.products import Weights, product, scratch_size
from layerdiff.handwritten.fused.shifting import Finish
from layerdiff.handwritten.fused.winograd_matrices import transforms
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["frame_for", "tile_size", "winograd"]

_ABOUT = 98
_WHOLE = 64  # tiles so few that they stay together, and threads share the channels out
_COLUMNS = 64  # of a transform at a time, so that threads can share the channels out


def tile_size(height: int, width: int) -> int | None:
    """Rows and columns of the tiles that pay for images of this size; None where none do."""
    least = min(height, width)
    if least >= 20:
        return 4
    return 2 if least >= 10 else None


def frame_for(m: int, height: int, width: int) -> tuple[int, int, int]:
    """The frame of an image that whole tiles cover: above and left, below, to the right."""
    return 1, 1 + -height % m, 1 + -width % m


def winograd(
    shop: Workshop, kernel: Kernel, m: int, image: Image, finish: Finish, out: Array, identity: Array | None = None
) -> None:
    """Adds the steps of a 3x3 convolution of stride 1 and padding 1 to a plan.

    Args:
        shop: where the plan is made.
        kernel: in any number of groups.
        m: rows and columns of a tile, 2 or 4.
        image: framed as `frame_for` says.
        finish: what follows.
        out: (n, h, w, c_out), where the result goes.
        identity: alike, what is added before the rectifier.
    """
    n, height, width, _ = out.shape
    down, across = -(-height // m), -(-width // m)
    bands = cut_bands(n, down, across, about=_ABOUT, whole=_WHOLE)
    late = len(bands) == 1 or shop.splits_columns(height, width)
    whole = is_late(n * height * width)
    if whole:
        bands = (Band((0, n), (0, down)),)
    groups = kernel.groups
    depth, columns = kernel.in_channels // groups, kernel.out_channels // groups
    tiles = max(band.count for band in bands) * across
    blocks = cut_product(tiles, depth, columns, small=shop.small, late=whole and groups == 1)
    weights = shop.weights.get((kernel.name, m), blocks, lambda: _weights(kernel, m))
    job = _Job(shop, m, image, kernel, weights, finish, out, identity)
    if late and shop.threads > 1:
        job.in_columns(bands)
    else:
        every = slice(0, weights.column_blocks)

        def make(band: Band, thread: int) -> list[Call]:
            values = job.values(band, thread)
            return [*job.transform(band, values, thread), *job.multiply(band, values, every, thread)]

        shop.by_bands(bands, make)
    shop.say(kernel.name, f"Winograd F({m}x{m}) {blocks}", f"3x3, {down * across} tiles of {m}x{m}")


def _weights(kernel: Kernel, m: int) -> NDArray[np.float64]:
    """(a*a, groups, c_in/groups, c_out/groups): every filter's values at the points."""
    groups, taps = kernel.groups, kernel.weight.reshape(kernel.groups, -1, kernel.weight.shape[1], 9)
    values = taps @ transforms(m).kernel.T  # (groups, c_out/groups, c_in/groups, a*a)
    return values.transpose(3, 0, 2, 1).reshape(-1, groups, taps.shape[2], taps.shape[1])


@dataclass(frozen=True)
class _Job:
    """One convolution."""

    shop: Workshop
    m: int
    image: Image
    kernel: Kernel
    weights: Weights
    finish: Finish
    out: Array
    identity: Array | None

    @property
    def tiles(self) -> tuple[int, int]:
        """Down and across."""
        return -(-self.out.shape[1] // self.m), -(-self.out.shape[2] // self.m)

    def in_columns(self, bands: tuple[Band, ...]) -> None:
        """Threads share out the channels of the image for the first transform, then those of the products.

        What makes the image often shares out its channels too: then each thread transforms what it has made itself.
        """
        shop, points, (down, across) = self.shop, (self.m + 2) ** 2, self.tiles
        whole = shop.shared("values", points, shop.images * down * across, self.kernel.in_channels)

        def of(band: Band) -> Array:
            first = (band.images[0] * down + band.rows[0]) * across
            return whole[:, first : first + band.count * across]

        def multiply(columns: slice, thread: int) -> list[Call]:
            return [call for band in bands for call in self.multiply(band, of(band), columns, thread)]

        def transform(channels: slice, thread: int) -> list[Call]:
            own = slice(channels.start * width, channels.stop * width)
            return [call for band in bands for call in self.transform(band, of(band), thread, own)]

        width = _block(self.kernel.in_channels)
        shop.by_columns(self.kernel.in_channels // width, transform)
        shop.by_columns(self.weights.column_blocks, multiply)

    def values(self, band: Band, thread: int) -> Array:
        """Room for a band's tiles at their points, (a*a, tiles, c_in)."""
        points, tiles, channels = (self.m + 2) ** 2, band.count * self.tiles[1], self.kernel.in_channels
        flat = self.shop.scratch(thread, "values", points * tiles * channels)
        return flat.reshape(points, tiles, channels)

    def transform(self, band: Band, values: Array, thread: int, channels: slice = slice(None)) -> list[Call]:
        """The tiles of a band of the image, and from them `values`; only the `channels`."""
        seen = self._tiles_of_image()[band.index][..., channels]
        tiles = self.shop.scratch(thread, "tiles", seen.size).reshape(seen.shape)
        flat = tiles.reshape(-1, (self.m + 2) ** 2, seen.shape[-1])
        matrix, out = _rounded(self.m, self.out.dtype)[0], values[..., channels].swapaxes(0, 1)
        return [copy(seen, tiles), call(np.matmul, matrix, _in_columns(flat), out=_in_columns(out))]

    def multiply(self, band: Band, values: Array, columns: slice, thread: int) -> list[Call]:
        """From `values` to the output: the blocks `columns` of each group's channels."""
        shop, groups, m = self.shop, self.kernel.groups, self.m
        points, tiles, _ = values.shape
        block = self.weights.blocks.columns
        width = (columns.stop - columns.start) * block
        first, last = (columns.start * block, columns.stop * block) if groups == 1 else (0, groups * width)
        products = shop.scratch(thread, "tiles", points * tiles * width * groups).reshape(points, tiles, groups, width)
        pieces = shop.scratch(thread, "pieces", scratch_size(points * groups * tiles, self.weights))
        left = values.reshape(points, tiles, groups, -1).swapaxes(1, 2)
        calls = product(left, self.weights, products.swapaxes(1, 2), columns, pieces)
        flat = products.reshape(points, tiles, groups * width)
        back = shop.scratch(thread, "back", tiles * m * m * (last - first)).reshape(tiles, m * m, last - first)
        matrix = _rounded(m, self.out.dtype)[1]
        calls.append(call(np.matmul, matrix, _in_columns(flat.swapaxes(0, 1)), out=_in_columns(back)))
        return [*calls, *self._place(band, back, first, last)]

    def _place(self, band: Band, back: Array, first: int, last: int) -> list[Call]:
        """Tiles of the output, (tiles, m*m, some channels), to their places, without what hangs over the edge."""
        m, (_, across) = self.m, self.tiles
        images = band.images[1] - band.images[0]
        laid = back.reshape(images, -1, across, m, m, last - first)
        calls: list[Call] = []
        for r0, r1, high in _runs(*band.rows, self.out.shape[1], m):
            for c0, c1, wide in _runs(0, across, self.out.shape[2], m):
                rows = slice(r0 - band.rows[0], r1 - band.rows[0])
                part = laid[:, rows, c0:c1, :high, :wide].swapaxes(2, 3)
                area = (slice(*band.images), slice(r0 * m, (r1 - 1) * m + high), slice(c0 * m, (c1 - 1) * m + wide))
                shape = (images, r1 - r0, high, c1 - c0, wide, -1)
                to = self.out[area].reshape(shape)
                passed = None if self.identity is None else self.identity[area].reshape(shape)[..., first:last]
                calls += self.finish.of(first, last).calls(part, to[..., first:last], passed)
        return calls

    def _tiles_of_image(self) -> Array:
        """(n, down, across, a, a, c), a view of every tile of the image, each two pixels into the next."""
        framed, (down, across), m = self.image.framed, self.tiles, self.m
        image, row, column, channel = framed.strides
        shape = (len(framed), down, across, m + 2, m + 2, framed.shape[3])
        return as_strided(framed, shape, (image, m * row, m * column, row, column, channel), writeable=False)


@cache
def _rounded(m: int, dtype: np.dtype[np.floating]) -> tuple[Array, Array]:
    """The transforms of image and output in the precision of the plan."""
    return transforms(m).image.astype(dtype), transforms(m).output.astype(dtype)


def _runs(first: int, last: int, size: int, m: int) -> Iterator[tuple[int, int, int]]:
    """Tiles `first` to `last` as runs of whole ones and one that is cut off: first, last, rows of each."""
    whole = min(last, size // m)
    if first < whole:
        yield first, whole, m
    if whole < last:
        yield max(first, whole), last, size % m


def _block(channels: int) -> int:
    return _COLUMNS if channels % _COLUMNS == 0 else channels


def _in_columns(matrices: Array) -> Array:
    """(k, rows, columns) as (k, blocks, rows, columns of a block)."""
    k, rows, columns = matrices.shape
    width = _block(columns)
    return matrices.reshape(k, rows, columns // width, width).swapaxes(1, 2)
