"""Layouts: how a tensor of one network lies in another, as an order of axes and a shape."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["Axes", "fitting", "laid_out", "layout_between", "name_of"]

Axes = tuple[int, ...]
"""The axes of the expected tensor in the order in which the candidate has them."""

_NAMES = {
    (0, 1, 2, 3): "OIHW", (0, 2, 3, 1): "OHWI", (2, 3, 1, 0): "HWIO", (1, 0, 2, 3): "IOHW", (1, 2, 3, 0): "IHWO",
    (2, 3, 0, 1): "HWOI", (0, 1, 3, 2): "OIWH", (0, 1): "(out, in)", (1, 0): "(in, out)",
}  # fmt: skip

_OF_PATCHES = {(0, 1, 2, 3), (1, 2, 3, 0)}


def name_of(axes: Axes) -> str:
    """What people call a layout: OIHW, HWIO, (in, out)."""
    return _NAMES.get(axes, "axes " + ", ".join(map(str, axes)))


def fitting(expected: tuple[int, ...], actual: tuple[int, ...]) -> list[Axes]:
    """The orders of axes in which a tensor of shape `expected` can lie as one of shape `actual`, the usual ones first.

    A candidate's tensor of as many axes has those axes; one of fewer has some of them run together.
    """
    if int(np.prod(expected)) != int(np.prod(actual)):
        return []
    # Height before width: kernels are square, and which is which no shape tells.
    orders = [axes for axes in _orders(len(expected)) if len(axes) < 4 or axes.index(2) < axes.index(3)]
    if len(actual) < len(expected):
        # Axes that are run together are mostly those of patches, and torch's patches have the channels outermost.
        orders.sort(key=lambda axes: axes not in _OF_PATCHES)
    return [axes for axes in orders if _runs_together([expected[axis] for axis in axes], actual)]


def laid_out(tensor: Array, axes: Axes, shape: tuple[int, ...]) -> Array:
    """An expected tensor in the candidate's layout."""
    return np.ascontiguousarray(tensor.transpose(axes)).reshape(shape)


def layout_between(effective: Array, raw: Array) -> Axes | None:
    """The order of axes by which `effective`, as an operation takes it, lies in `raw`, as the network holds it.

    Read off the values: None where no order of axes explains them, or where they are too alike to tell.
    """
    if raw.size != effective.size:
        return None
    if raw.size > 1 and raw.min() == raw.max():
        return None
    for axes in _orders(effective.ndim):
        fits = _runs_together([effective.shape[axis] for axis in axes], raw.shape)
        if fits and np.array_equal(laid_out(effective, axes, raw.shape), raw):
            return axes
    return None


def _orders(rank: int) -> Iterator[Axes]:
    usual = [axes for axes in _NAMES if len(axes) == rank]
    yield from usual
    yield from (axes for axes in permutations(range(rank)) if axes not in usual)


def _runs_together(sizes: list[int], shape: tuple[int, ...]) -> bool:
    """Whether `sizes`, some neighbours multiplied, give `shape`; axes of one element count for nothing."""
    left = [size for size in sizes if size != 1]
    for wanted in (size for size in shape if size != 1):
        product = 1
        while product < wanted and left:
            product *= left.pop(0)
        if product != wanted:
            return False
    return not left
