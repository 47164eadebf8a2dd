"""Slips of indices in a convolution written by hand: rows or columns left out, or the output in another order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np
from torch import Tensor

from layerdiff.compare.hypotheses.convolution.geometry import Geometry
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain, move
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import near
from layerdiff.compare.trace import Array

__all__ = ["slips"]

_SIDES = ("first row", "last row", "first column", "last column")
_AXES = "NCHW"


def slips(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """Where the numbers are right and their places wrong, or some places were left out."""
    got, want = site.clear.got, site.clear.want
    if got.shape == want.shape:
        yield from _edges(site, expected, zero=True)
        yield from _edges(site, expected, zero=False)
    if got.size == want.size:
        yield from _orders(site, expected)


def _edges(site: Site, expected: Geometry, *, zero: bool) -> Iterator[Hypothesis]:
    """Rows and columns at the ends that are zero, or the same as the one before them."""
    got, want = site.clear.got, site.clear.want
    widths = tuple(_width(got, want, axis, backwards, zero) for axis in (2, 3) for backwards in (False, True))
    h, w = got.shape[2:]
    if not any(widths) or widths[0] + widths[1] >= h or widths[2] + widths[3] >= w:
        return
    top, bottom, left, right = widths

    def edged(y: Tensor) -> Tensor:
        y = y.clone()
        rows, columns = y.shape[2], y.shape[3]
        if zero:
            y[:, :, :top] = y[:, :, rows - bottom :] = 0
            y[:, :, :, :left] = y[:, :, :, columns - right :] = 0
            return y
        y[:, :, :top] = y[:, :, top : top + 1]
        y[:, :, rows - bottom :] = y[:, :, rows - bottom - 1 : rows - bottom]
        y[:, :, :, :left] = y[:, :, :, left : left + 1]
        y[:, :, :, columns - right :] = y[:, :, :, columns - right - 1 : columns - right]
        return y

    named = [name if n == 1 else f"{name.split()[0]} {n} {name.split()[1]}s"
             for name, n in zip(_SIDES, widths, strict=True) if n]  # fmt: skip
    plural = len(named) > 1 or max(widths) > 1
    what = ("stay zero" if plural else "stays zero") if zero else ("repeat" if plural else "repeats")
    title = f"the {' and the '.join(named)} {what}" + ("" if zero else " the one before")
    turned = ""
    if zero and right and w - right == h:
        turned = f" It stops after {h} columns, and there are {h} rows: is the height taken for the width?"
    if zero and bottom and h - bottom == w:
        turned = f" It stops after {w} rows, and there are {w} columns: is the width taken for the height?"
    step = expected.step(site.op.parameters["weight"], site.op.parameters.get("bias"))
    yield Hypothesis("B10", title, "run the loops over all rows and columns of the output",
                     model=chain(site.op.inputs, step, move(edged)),
                     evidence=(f"all else is right.{turned}",))  # fmt: skip


def _width(got: Array, want: Array, axis: int, backwards: bool, zero: bool) -> int:
    """How many lines from an end are zero (or equal) and should not be."""
    a, b = (np.moveaxis(array, axis, 0)[:: -1 if backwards else 1] for array in (got, want))
    count = 0
    if zero:
        while count < len(a) and not a[count].any() and b[count].any():
            count += 1
        return count
    while count + 1 < len(a) and np.array_equal(a[count], a[count + 1]) and not np.array_equal(b[count], b[count + 1]):
        count += 1
    return count


def _orders(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """The output laid out with its axes in another order, in the shape it should have or in another."""
    got, want = site.clear.got, site.clear.want
    step = expected.step(site.op.parameters["weight"], site.op.parameters.get("bias"))
    shape = got.shape
    for axes in permutations(range(4)):
        back = tuple(int(i) for i in np.argsort(axes))
        sizes = tuple(want.shape[axis] for axis in axes)
        named = "".join(_AXES[axis] for axis in axes)

        def laid(y: Tensor, axes: tuple[int, ...] = axes) -> Tensor:
            return y.permute(axes).reshape(shape)

        def misread(y: Tensor, sizes: tuple[int, ...] = sizes, back: tuple[int, ...] = back) -> Tensor:
            return y.reshape(sizes).permute(back).reshape(shape)

        for function, seen, words in (
            (laid, want.transpose(axes), f"the output is laid in memory as {named} and read as NCHW"),
            (misread, want.reshape(sizes).transpose(back), f"the output is laid in memory as NCHW and read as {named}"),
        ):
            if not near(np.array(seen.flat[:64]), np.array(got.flat[:64])) or not near(seen.reshape(shape), got):
                continue
            if shape == want.shape and near(got, want):
                continue
            title = words if axes != (0, 1, 2, 3) else f"the shape is {shape}, expected {want.shape}"
            change = "permute the axes of the product into the order NCHW, and do not reshape them there"
            yield Hypothesis("B10", title, change, model=chain(site.op.inputs, step, move(function)), rank=2)
            return
