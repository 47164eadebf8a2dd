"""What a candidate's convolution reads instead of its input: not all of it, or its numbers in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.hypotheses.convolution.geometry import Geometry, needed_pads
from layerdiff.compare.hypotheses.convolution.projection import Projection
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.ruled import moved
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import near, tolerance

__all__ = ["reads"]

_SIDES = ("first row", "last row", "first column", "last column")


def reads(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """Rows or columns of the input that are never read; an input that is reshaped where its axes should be permuted."""
    if site.clear.got.shape == site.clear.want.shape:
        yield from _unread(site, expected)
        yield from _rearranged(site, expected)
    else:
        yield from _cropped(site, expected)


def _unread(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """Lines at the ends that count as zero."""
    got, size = site.clear.got, site.clear.inputs[0].shape[2:]
    seen: Projection | None = None
    for widths in _possible(site, expected):
        if not any(widths) or widths[0] + widths[1] >= size[0] or widths[2] + widths[3] >= size[1]:
            continue
        without = _zeroing(widths)
        seen = seen or Projection(site, expected)
        if near(seen.at(expected, needed_pads(expected, size, got.shape[2:]), without), seen.got):
            named, does = _named(widths)
            step = expected.step(site.op.parameters["weight"], site.op.parameters.get("bias"))
            yield Hypothesis("B10", f"{named} of the input {does} never read, and count{'s' * (does == 'is')} as zero",
                             "read the input up to its last row and column, and pad beyond them",
                             model=chain(site.op.inputs, moved(without, step)), rank=2)  # fmt: skip
            return


def _possible(site: Site, expected: Geometry) -> Iterator[tuple[int, ...]]:
    """How many lines may be unread above, below, left and right, from how far the output is another one."""
    got, want, size = site.clear.got, site.clear.want, site.clear.inputs[0].shape[2:]
    i, j = got.shape[2] // 2, got.shape[3] // 2
    if near(got[:, :, i, j], want[:, :, i, j]):
        choices = []
        for axis, other in ((2, j), (3, i)):
            lines = [np.moveaxis(np.take(array, other, 5 - axis), 2, 0) for array in (got, want)]
            wrong = [not near(a, b) for a, b in zip(*lines, strict=True)]
            choices += [_widths(wrong, axis - 2, size[axis - 2], expected, last=last) for last in (False, True)]
        yield from product(*choices)
    elif any(n <= 2 * span for n, span in zip(size, expected.spans, strict=True)):
        # On a small map every window meets the border.
        yield from (tuple(n * (side == k) for k in range(4)) for n in (1, 2) for side in (1, 3, 0, 2))


def _widths(wrong: list[bool], axis: int, size: int, expected: Geometry, *, last: bool) -> range:
    """How many lines at one end may count as zero where just these outputs, along the middle, are wrong."""
    at_end = 0
    for one in wrong[::-1] if last else wrong:
        if not one:
            break
        at_end += 1
    if not at_end or at_end == len(wrong):
        return range(1)
    s, p, span = expected.stride[axis], expected.padding[axis], expected.spans[axis]
    if last:
        # The first wrong window reaches into what is not read, the one before it does not.
        first = len(wrong) - at_end
        low, high = size - (first * s - p + span - 1), size - ((first - 1) * s - p + span - 1) - 1
    else:
        low, high = (at_end - 1) * s - p + 1, at_end * s - p
    return range(max(low, 1), min(high, size - 1) + 1)


def _zeroing(widths: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    top, bottom, left, right = widths

    def without(x: Tensor) -> Tensor:
        x = x.clone()
        h, w = x.shape[2:]
        x[:, :, :top] = x[:, :, h - bottom :] = 0
        x[:, :, :, :left] = x[:, :, :, w - right :] = 0
        return x

    return without


def _named(widths: tuple[int, ...]) -> tuple[str, str]:
    words = [name if n == 1 else f"{name.split()[0]} {n} {name.split()[1]}s"
             for name, n in zip(_SIDES, widths, strict=True) if n]  # fmt: skip
    return "the " + " and the ".join(words), "are" if len(words) > 1 or max(widths) > 1 else "is"


def _cropped(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """The map read too short, and padded as it should be: fewer windows, the last of which reach beside it."""
    size, have, want = site.clear.inputs[0].shape[2:], site.clear.got.shape[2:], site.clear.want.shape[2:]
    choices: list[list[tuple[int, int]]] = []
    for n, a, b, s in zip(size, have, want, expected.stride, strict=True):
        lost = b - a
        if not 0 <= lost * s < n:
            return
        most = range(1, lost * s + s) if lost else ()
        choices.append([(0, 0), *((k, 0) for k in most), *((0, k) for k in most)] if lost else [(0, 0)])
    seen = Projection(site, expected)
    for (top, bottom), (left, right) in product(*choices):
        if not top + bottom + left + right:
            continue
        h, w = size[0] - top - bottom, size[1] - left - right
        fits = tuple((n + 2 * p - span) // s + 1 for n, p, span, s in zip(
            (h, w), expected.padding, expected.spans, expected.stride, strict=True))  # fmt: skip
        if fits != have:
            continue

        def cut(x: Tensor, t: int = top, b: int = bottom, le: int = left, r: int = right) -> Tensor:
            return x[:, :, t : x.shape[2] - b, le : x.shape[3] - r]

        (ph, pw) = expected.padding
        if near(seen.at(expected, (ph, ph, pw, pw), cut), seen.got):
            named, does = _named((top, bottom, left, right))
            step = expected.step(site.op.parameters["weight"], site.op.parameters.get("bias"))
            yield Hypothesis("B10", f"{named} of the input {does} cut off before it is padded", "take the whole input",
                             model=chain(site.op.inputs, moved(cut, step)), rank=2)  # fmt: skip
            return


def _rearranged(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """The input's numbers under its own shape, but in another order: a reshape that stands for a permutation.

    A few windows in the middle of the output tell, so that no convolution need be made of what does not fit.
    """
    got, want = site.clear.got, site.clear.want
    i, j = got.shape[2] // 2, got.shape[3] // 2
    if near(got[:, :, i, j], want[:, :, i, j]):
        return
    rest, holds = site.clear.inputs[0].shape[1:], _holding(site, expected)
    for axes in permutations(range(3)):
        sizes = tuple(rest[axis] for axis in axes)
        # Where height and width are equal, exchanging them is no reshape, and has a name of its own.
        if axes == (0, 1, 2) or (axes == (0, 2, 1) and sizes == rest):
            continue
        for function, title in _forms(axes):
            if not holds(function):
                continue
            step = expected.step(site.op.parameters["weight"], site.op.parameters.get("bias"))
            yield Hypothesis("F3", title, "use permute to change the order of the axes, and not view or reshape",
                             model=chain(site.op.inputs, moved(function, step)), rank=2)  # fmt: skip
            return


def _forms(axes: tuple[int, ...]) -> Iterator[tuple[Callable[[Tensor], Tensor], str]]:
    """Numbers taken for another layout as they lie, and numbers moved to another layout that are taken for this one."""
    order, back = [1 + axis for axis in axes], [1 + int(i) for i in np.argsort(axes)]
    name = "N" + "".join("CHW"[axis] for axis in axes)

    def read(t: Tensor) -> Tensor:
        return t.reshape([t.shape[axis] for axis in (0, *order)]).permute(0, *back)

    yield read, f"the input is read as {name} without being moved"
    yield lambda t: t.permute(0, *order).reshape(t.shape), f"the input is laid in memory as {name} and read as NCHW"


def _holding(site: Site, expected: Geometry) -> Callable[[Callable[[Tensor], Tensor]], bool]:
    """Whether a rearrangement of the input gives what the candidate gives at a few places."""
    seen, (ph, pw), (sh, sw), (dh, dw) = (
        Projection(site, expected),
        expected.padding,
        expected.stride,
        expected.dilation,
    )
    h, w = seen.got.shape[2:]
    places = sorted({(h // 2, w // 2), (h // 3, w // 2), (0, 0), (h - 1, w // 3)})
    x, (height, width) = torch.from_numpy(seen.x[:1]), expected.spans
    given = seen.got[0] if seen.bias is None else seen.got[0] - seen.bias[:, None, None]

    def holds(function: Callable[[Tensor], Tensor]) -> bool:
        moved_ = functional.pad(function(x), [pw, pw, ph, ph])[0].numpy()
        for i, j in places:
            window = moved_[:, i * sh : i * sh + height : dh, j * sw : j * sw + width : dw]
            apart = np.abs(np.tensordot(seen.weight, window, axes=3) - given[:, i, j]).max()
            if apart > tolerance(seen.got):
                return False
        return True

    return holds
