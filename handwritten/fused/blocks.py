"""How a matrix product is cut into blocks.

OpenBLAS packs its operands: it copies them into the order in which its kernel reads them, which costs as much as the
product saves where the product is small. Its AVX-512 kernels for small matrices, up to a million multiply-adds, read
them where they lie, and are the fastest it has if a block of weights stays in the first cache. So a product is cut into
many of that size, and the weights are laid out block by block when the plan is made.

The block of weights of a long sum leaves that cache, so long sums are cut into pieces that are added up afterwards.
That gains most where there are few rows, for packing weights that are used once costs most; and short sums round less.
Where rows are few, sums are long and weights many: those come from far, and half as long a piece stays in the first
cache altogether.

Source: OpenBLAS, kernel/x86_64/sgemm_small_kernel_permit_skylakex.c for the limit; the sizes below are measured.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SMALL", "Blocks", "cut_product", "is_late"]

SMALL = 10**6
"""Multiply-adds up to which OpenBLAS takes the kernels for small matrices."""

_SHORT = 256  # terms of a sum up to which a block of weights, 64 columns wide, stays near the core
_SHORTER = 128  # the same where rows are few and sums are longer than _LONG: then all of the block stays there
_LONG = 1000
_STEP = 64  # a piece of a sum has a multiple of this many terms, and at least twice as many
_LATE = 300  # rows so few that threads share the columns out instead
_WIDTHS = (64, 32, 16)


@dataclass(frozen=True)
class Blocks:
    """The blocks of a product of (rows, depth) and (depth, columns).

    Attributes:
        pieces: of a sum, each of depth/pieces terms.
        rows: of a block; what remains at the end is a smaller one.
        columns: of a block, a divisor of all columns.
        small: whether the blocks are for the kernels that do not pack.
    """

    pieces: int
    rows: int
    columns: int
    small: bool = False

    def __str__(self) -> str:
        pieces = f"{self.pieces} sums of " if self.pieces > 1 else ""
        return f"{pieces}{self.rows}x{self.columns}"


def cut_product(rows: int, depth: int, columns: int, *, small: bool, late: bool) -> Blocks:
    """The blocks for a product of (rows, depth) and (depth, columns).

    Args:
        rows: of the largest product of its kind.
        depth: terms of a sum.
        columns: channels out.
        small: whether the BLAS has fast kernels for small matrices.
        late: whether the columns are what threads share out, and must be cut for that.
    """
    width = next((w for w in _WIDTHS if columns % w == 0), columns)
    pieces = depth // _piece(depth, _SHORTER if late and depth > _LONG else _SHORT) if small else 1
    most = SMALL // (depth // pieces * width)
    if small and depth // pieces <= _SHORT and most >= 1:
        count = -(-rows // most)
        return Blocks(pieces, -(-rows // count), width, small=True)
    return Blocks(1, rows, columns // 2 if late and columns % 2 == 0 else columns)


def _piece(depth: int, short: int) -> int:
    """The longest part of a sum that is `short` and divides it; all of it where there is none."""
    if depth <= short:
        return depth
    return next((piece for piece in range(short, _STEP, -_STEP) if depth % piece == 0), depth)


def is_late(pixels: int) -> bool:
    """Whether an activation of so many pixels, over all images, is too small to be shared out by rows."""
    return pixels < _LATE
