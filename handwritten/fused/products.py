"""A matrix product as one call of np.matmul over all its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.blocks import Blocks
from layerdiff.handwritten.fused.calls import Call, call
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Weights", "lay_out", "product", "scratch_size"]

_CACHE = 1 << 20  # bytes that stay close to a core
_EVEN = 64
_LONGEST = 16384


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
    if pieces == 1:
        return 0
    # Of fewer rows, as at the end of a product, more columns are done at a time: at most what the cache holds.
    room = max(pieces * rows * weights.blocks.columns, _CACHE // weights.values.itemsize)
    return min(room, pieces * rows * weights.columns)


def product(left: Array, weights: Weights, out: Array, columns: slice, scratch: Array) -> list[Call]:
    """`out = left @ right`, in the blocks of `weights`, for some of the blocks of columns.

    Args:
        left: (*lead, rows, depth); the last axis contiguous.
        weights: of (*lead, depth, columns); leading axes of one serve all of `left`'s.
        out: (*lead, rows, columns of these blocks); the last axis contiguous.
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
    count = right.shape[-3] * width
    if pieces == 1:
        return [call(np.matmul, a[0], b[0], out=_blocked(out, height, width))]
    step = _at_a_time(pieces * left[..., 0].size * width, weights)
    calls: list[Call] = []
    for i in range(0, count // width, step):
        own = out[..., i * width : (i + step) * width]
        parts = scratch[: pieces * own.size].reshape(pieces, *own.shape)
        calls.append(call(np.matmul, a, b[..., i : i + step, :, :], out=_blocked(parts, height, width)))
        calls += _add_up(parts, own, small=weights.blocks.small)
    return calls


def _at_a_time(size: int, weights: Weights) -> int:
    """For how many blocks of columns the pieces stay in the cache, `size` values for each."""
    return min(weights.column_blocks, max(1, _CACHE // (size * weights.values.itemsize)))


def _add_up(parts: Array, out: Array, *, small: bool) -> list[Call]:
    """The sum over the first axis.

    A row of ones times the parts reads each of them once, where additions read and write the sum again and again. In
    the BLAS with the kernels for `small` matrices the order of such a sum is the same for all of up to 16384 columns
    that are a multiple of 64. Elsewhere halves are added onto each other, which is faster than NumPy's reduction.
    """
    calls: list[Call] = []
    if small and len(parts) > 2 and out.shape[-1] % _EVEN == 0 and out.shape[-1] <= _LONGEST:
        rows = np.moveaxis(parts, 0, -2)
        if out.flags.c_contiguous and out.shape[-2] * out.shape[-1] <= _LONGEST:
            flat = parts.reshape(len(parts), *parts.shape[1:-2], -1)
            rows, out = np.moveaxis(flat, 0, -2), out.reshape(*out.shape[:-2], -1)
        return [call(np.matmul, np.ones(len(parts), parts.dtype), rows, out=out)]
    count = len(parts)
    while count > 2:
        half = count // 2
        rest = count - half
        calls.append(call(np.add, parts[:half], parts[rest:count], out=parts[:half]))
        count = rest
    return [*calls, call(np.add, parts[0], parts[1], out=out)]


def _blocked(out: Array, height: int, width: int) -> Array:
    """(..., rows, columns) as (..., row blocks, column blocks, height, width)."""
    *lead, rows, columns = out.shape
    return _view(out, (*lead, rows // height, height, columns // width, width)).swapaxes(-3, -2)


def _view(array: Array, shape: tuple[int, ...]) -> Array:
    view = array.reshape(shape)
    assert np.may_share_memory(view, array), (array.shape, array.strides, shape)
    return view
