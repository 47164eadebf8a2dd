"""A matrix product as one call of np.matmul over all its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.blocks import Blocks
from layerdiff.handwritten.fused.calls import Call, call
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Weights", "lay_out", "product", "scratch_size"]


@dataclass(frozen=True)
class Weights:
    """The right-hand side of a product, laid out block by block.

    Attributes:
        values: (*lead, pieces, columns/width, depth/pieces, width), contiguous.
        blocks: how it is cut.
    """

    values: Array
    blocks: Blocks

    @property
    def columns(self) -> int:
        """Columns of the product."""
        return int(self.values.shape[-3] * self.values.shape[-1])

    @property
    def column_blocks(self) -> int:
        """Into how many blocks the columns are cut."""
        return int(self.values.shape[-3])


def lay_out(matrix: NDArray[np.float64], blocks: Blocks, out: Array) -> Weights:
    """(*lead, depth, columns) in the order of `blocks`, rounded into `out`, a flat array of as many values."""
    *lead, depth, columns = matrix.shape
    cut = matrix.reshape(*lead, blocks.pieces, depth // blocks.pieces, columns // blocks.columns, blocks.columns)
    ordered = cut.swapaxes(-3, -2)
    values = out.reshape(ordered.shape)
    np.copyto(values, ordered, casting="same_kind")
    return Weights(values, blocks)


def scratch_size(rows: int, weights: Weights) -> int:
    """How many values `product` needs to put its pieces down, for so many rows over all leading axes."""
    pieces = weights.blocks.pieces
    return rows * weights.columns * pieces if pieces > 1 else 0


def product(left: Array, weights: Weights, out: Array, columns: slice, scratch: Array) -> list[Call]:
    """`out = left @ right`, in the blocks of `weights`, for some of the blocks of columns.

    Args:
        left: (*lead, rows, depth); the last axis contiguous.
        weights: of (*lead, depth, columns); leading axes of one serve all of `left`'s.
        out: (*lead, rows, columns); the last axis contiguous.
        columns: which blocks of columns.
        scratch: flat, `scratch_size` values.
    """
    blocks, rows = weights.blocks, left.shape[-2]
    full = rows // blocks.rows * blocks.rows
    calls: list[Call] = []
    if full:
        calls += _whole(left[..., :full, :], weights, out[..., :full, :], blocks.rows, columns, scratch)
    if full < rows:
        calls += _whole(left[..., full:, :], weights, out[..., full:, :], rows - full, columns, scratch)
    return calls


def _whole(left: Array, weights: Weights, out: Array, height: int, columns: slice, scratch: Array) -> list[Call]:
    """As `product`, where the blocks' `height` divides the rows."""
    *lead, rows, depth = left.shape
    pieces, width = weights.blocks.pieces, weights.blocks.columns
    right = weights.values[..., columns, :, :]
    a = _view(left, (*lead, rows // height, height, pieces, depth // pieces))
    a = np.moveaxis(a, -2, 0)[..., None, :, :]  # (pieces, *lead, row blocks, 1, height, depth/pieces)
    b = np.moveaxis(right, -4, 0)[..., None, :, :, :]  # (pieces, *lead, 1, column blocks, depth/pieces, width)
    b = b[(slice(None), *(None,) * (a.ndim - b.ndim))]  # leading axes that the weights lack
    first, count = columns.indices(weights.column_blocks)[0] * width, right.shape[-3] * width
    target = out[..., first : first + count]
    if pieces == 1:
        return [call(np.matmul, a[0], b[0], out=_blocked(target, height, width))]
    size = pieces * target.size
    parts = scratch[:size].reshape(pieces, *target.shape)
    return [
        call(np.matmul, a, b, out=_blocked(parts, height, width)),
        call(np.add.reduce, parts, axis=0, out=target),
    ]


def _blocked(out: Array, height: int, width: int) -> Array:
    """(..., rows, columns) as (..., row blocks, column blocks, height, width)."""
    *lead, rows, columns = out.shape
    return _view(out, (*lead, rows // height, height, columns // width, width)).swapaxes(-3, -2)


def _view(array: Array, shape: tuple[int, ...]) -> Array:
    view = array.reshape(shape)
    assert np.may_share_memory(view, array), (array.shape, array.strides, shape)
    return view
