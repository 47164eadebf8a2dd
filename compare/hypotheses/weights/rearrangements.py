"""Rearrangements of a tensor: flips, exchanged axes, reshapes from other layouts, channels in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from layerdiff.compare.bits import same_bits
from layerdiff.compare.layouts import name_of
from layerdiff.compare.trace import Array

__all__ = ["Relation", "RelationKind", "rearrangement", "turned"]

RelationKind = Literal[
    "flipped", "axes permuted", "reshaped", "rows permuted", "columns permuted", "reordered", "another layer",
    "initial", "scaled", "scaled by row", "shifted", "rounded", "few differ", "close", "unrelated",
]  # fmt: skip


@dataclass(frozen=True)
class Relation:
    """What a tensor is, relative to the expected one.

    Attributes:
        kind: of relation.
        text: it, in words.
        axes: those that are flipped, or the order of axes; empty for other kinds.
        value: the factor, the amount added, or how far apart they are relative to the expected one's size.
        other: the layer and the role whose tensor it is, where it is another's.
        count: how many values differ, for `few differ`.
    """

    kind: RelationKind
    text: str
    axes: tuple[int, ...] = ()
    value: float | None = None
    other: tuple[str, str] | None = None
    count: int = 0


def turned(array: Array) -> Iterator[tuple[Relation, Array]]:
    """Everything of an array's shape that comes of it by flips, by exchanging axes, or by reshaping another layout.

    Args:
        array: a kernel (out, in, kh, kw) or a matrix (out, in).

    Yields:
        What it would be, and it; those that are `array` itself are left out.
    """
    for kind, text, axes, move in _moves(array.ndim):
        found = move(array)
        if found.shape == array.shape and not np.array_equal(found, array):
            yield Relation(kind, text, axes), found


_LAYOUTS: Mapping[int, tuple[tuple[int, ...], ...]] = {
    2: ((1, 0),), 4: ((2, 3, 1, 0), (0, 2, 3, 1), (1, 2, 3, 0), (1, 0, 2, 3), (2, 3, 0, 1)),
}  # fmt: skip
"""The other layouts in which weights are kept somewhere, by rank."""

Move = tuple[RelationKind, str, tuple[int, ...], Callable[[Array], Array]]


def _moves(rank: int) -> Iterator[Move]:
    if rank == 4:
        yield "flipped", "both axes of the kernels are flipped: they are rotated by 180°", (2, 3), _flip(2, 3)
        yield "flipped", "the kernels are flipped upside down", (2,), _flip(2)
        yield "flipped", "the kernels are flipped left to right", (3,), _flip(3)
    if rank >= 2:
        yield "flipped", "the input channels are in reverse order", (1,), _flip(1)
        yield "flipped", "the output channels are in reverse order", (0,), _flip(0)
    orders = [axes for axes in permutations(range(rank)) if axes != tuple(range(rank))]
    # One exchange of two axes is likelier than a ring of three.
    orders.sort(key=lambda axes: sum(i != axis for i, axis in enumerate(axes)))
    for axes in orders:
        yield "axes permuted", _axes_text(axes), axes, _permute(axes)
    for axes in _LAYOUTS[rank]:
        what = f"it was reshaped from {name_of(axes)}, not transposed"
        yield "reshaped", what, axes, _reshape_from(axes)
    for axes in _LAYOUTS[rank]:
        yield "reshaped", f"it was reshaped to {name_of(axes)}, and then transposed", axes, _reshape_to(axes)


def _axes_text(axes: tuple[int, ...]) -> str:
    names = ("out", "in") if len(axes) == 2 else ("out", "in", "height", "width")
    moved = [i for i, axis in enumerate(axes) if i != axis]
    if len(moved) == 2:
        return f"the axes {names[moved[0]]} and {names[moved[1]]} are swapped"
    return f"its axes are in the order {', '.join(names[axis] for axis in axes)}"


def _flip(*axes: int) -> Callable[[Array], Array]:
    return lambda array: np.flip(array, axes)


def _permute(axes: tuple[int, ...]) -> Callable[[Array], Array]:
    return lambda array: array.transpose(axes)


def _reshape_from(axes: tuple[int, ...]) -> Callable[[Array], Array]:
    """The values in the order in which they lie in another layout, under the shape of this one."""
    return lambda array: np.ascontiguousarray(array.transpose(axes)).reshape(array.shape)


def _reshape_to(axes: tuple[int, ...]) -> Callable[[Array], Array]:
    """Taken for another layout as it lies, and then transposed to this one."""
    back = tuple(int(i) for i in np.argsort(axes))
    return lambda array: np.ascontiguousarray(array).reshape([array.shape[axis] for axis in axes]).transpose(back)


def rearrangement(expected: Array, actual: Array) -> Relation:
    """Which rearrangement: the values of both are the same."""
    rank = expected.ndim
    for kind, text, axes, move in _moves(rank) if rank in _LAYOUTS else ():
        found = move(expected)
        if found.shape == actual.shape and _equal(found, actual):
            return Relation(kind, text, axes)
    if expected.shape != actual.shape:
        if same_bits(expected.reshape(-1), actual.reshape(-1)):
            return Relation("reshaped", f"it has the shape {actual.shape}, expected {expected.shape}")
        return Relation("reordered", f"its values are in another order, in the shape {actual.shape}")
    if rank == 1:
        return Relation("rows permuted", "its channels are in another order", _order(expected, actual, 0) or ())
    for axis, kind, what in ((0, "rows permuted", "output"), (1, "columns permuted", "input")):
        order = _order(expected, actual, axis)
        if order is not None:
            return Relation(kind, f"its {what} channels are in another order", order)
    return Relation("reordered", "its values are in another order")


def _order(expected: Array, actual: Array, axis: int) -> tuple[int, ...] | None:
    """For each slice of `actual` along an axis which one of `expected` it is; None where one is none of them."""
    places: dict[bytes, list[int]] = {}
    for i, part in enumerate(np.moveaxis(expected, axis, 0)):
        places.setdefault(part.tobytes(), []).append(i)
    found = []
    for part in np.moveaxis(actual, axis, 0):
        left = places.get(part.tobytes())
        if not left:
            return None
        found.append(left.pop(0))
    return tuple(found)


def _equal(one: Array, other: Array) -> bool:
    """Whether two arrays of one shape are equal, looking at one slice of them first."""
    return np.array_equal(one[-1], other[-1]) and np.array_equal(one, other)
