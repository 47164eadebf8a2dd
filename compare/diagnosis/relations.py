"""What one tensor is to another: the same, turned, another layer's, scaled, at its initial values, or unrelated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from layerdiff.compare.bits import same_bits
from layerdiff.compare.diagnosis.channelwise import number
from layerdiff.compare.diagnosis.initial_values import initial_values
from layerdiff.compare.diagnosis.tensor_pool import Pool, fingerprint, is_telling
from layerdiff.compare.layouts import name_of
from layerdiff.compare.trace import Array

__all__ = ["Relation", "RelationKind", "relation", "turned"]

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


def relation(expected: Array, actual: Array, pool: Pool) -> Relation | None:
    """What `actual` is, relative to `expected` and to all tensors of the expected network; None where it is equal.

    Exact relations come before those of numbers: what is a permutation to the bit is nothing else.

    Args:
        expected: the tensor that should be there.
        actual: the candidate's.
        pool: of the expected network.
    """
    if expected.shape == actual.shape and np.array_equal(expected, actual):
        return None
    if expected.size == actual.size and is_telling(expected) and fingerprint(expected) == fingerprint(actual):
        return _moved(expected, actual)
    others = pool.same_values(actual)
    if others:
        layer, role = others[0].layer, others[0].role
        return Relation("another layer", f"it is {layer}'s {role}", other=(layer, role))
    if expected.shape != actual.shape:
        return Relation("unrelated", f"its shape is {actual.shape}, expected {expected.shape}")
    return _of_numbers(expected, actual)


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
    for axes in orders:
        what = f"it was reshaped from {name_of(axes)}, not transposed"
        yield "reshaped", what, axes, _reshape_from(axes)
    for axes in orders:
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


def _moved(expected: Array, actual: Array) -> Relation:
    """Which rearrangement: the values of both are the same."""
    rank = expected.ndim
    for kind, text, axes, move in _moves(rank) if rank > 1 else ():
        found = move(expected)
        if found.shape == actual.shape and np.array_equal(found, actual):
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


def _of_numbers(expected: Array, actual: Array) -> Relation:
    want, have = expected.astype(np.float64).reshape(-1), actual.astype(np.float64).reshape(-1)
    initial = initial_values(actual)
    if initial is not None and initial_values(expected) is None:
        return Relation("initial", f"it is at its initial values: {initial}")
    rounded = _rounded(expected, actual)
    if rounded:
        return Relation("rounded", f"its values are those of {rounded}")
    differ = int((want != have).sum())
    if differ <= max(1, want.size // 100):
        first = tuple(int(i) for i in np.argwhere(expected != actual)[0])
        return Relation("few differ", f"{differ:,} of {want.size:,} values differ, the first at {first}", count=differ)
    return _scaled(expected, actual) or _near(want, have)


def _scaled(expected: Array, actual: Array) -> Relation | None:
    want, have = expected.astype(np.float64), actual.astype(np.float64)
    k = _one(have, want, expected)
    if k is not None:
        text = "its sign is changed" if k == -1 else f"it is {number(k)} times the expected one"
        return Relation("scaled", text, value=k)
    with np.errstate(all="ignore"):
        apart = have - want
        room = 4 * np.finfo(np.float32).eps * (np.abs(have) + np.abs(want)).max()
        if np.ptp(apart) <= room:
            shift = float(f"{np.median(apart):.6g}")
            return Relation("shifted", f"{number(shift)} is added to it", value=shift)
    if expected.ndim > 1:
        rows = [_one(have[i], want[i], expected) for i in range(len(want)) if want[i].any() or have[i].any()]
        if rows and all(row is not None for row in rows):
            return Relation("scaled by row", "each output channel is scaled by a factor of its own")
    return None


def _one(part: Array, whole: Array, like: Array) -> float | None:
    """The one k with part = k · whole to what rounding to float32 leaves, of as few digits as explain it."""
    size = float(np.vdot(whole, whole))
    if size == 0:
        return None
    k = float(np.vdot(part, whole)) / size
    # Both were rounded once more than k · whole: half a unit each.
    room = 2 * np.finfo(np.float32).eps * np.abs(part) + np.finfo(np.float32).tiny

    def explains(value: float) -> bool:
        return bool((np.abs(part - value * whole) <= room).all())

    if k == 0 or not explains(k):
        return None
    return next(value for digits in range(17) if explains(value := float(f"{k:.{digits}e}")))


def _rounded(expected: Array, actual: Array) -> str | None:
    """The coarser numbers to which `expected` was rounded to give `actual`."""
    single = expected.astype(np.float32)
    with np.errstate(all="ignore"):
        if np.array_equal(single.astype(np.float16).astype(np.float32), actual.astype(np.float32)):
            return "float16"
    for bits, name in ((16, "bfloat16"), (13, "TF32")):
        if np.array_equal(_cut(single, bits), actual.astype(np.float32)):
            return name
    return None


def _cut(array: Array, bits: int) -> Array:
    """float32 without its last bits, rounded to the nearest, ties to even."""
    whole = np.ascontiguousarray(array).view(np.uint32)
    even = (whole >> np.uint32(bits)) & np.uint32(1)
    kept = (whole + np.uint32((1 << (bits - 1)) - 1) + even) & np.uint32(0xFFFFFFFF << bits & 0xFFFFFFFF)
    found: Array = kept.view(np.float32)
    return found


def _near(want: Array, have: Array) -> Relation:
    """How alike two tensors are that are no rearrangement and no multiple of each other."""
    with np.errstate(all="ignore"):
        apart = float(np.linalg.norm(have - want) / np.linalg.norm(want))
        alike = float(np.corrcoef(want, have)[0, 1]) if want.size > 2 else 0.0
    if apart <= 0.5:
        return Relation("close", f"it is like the expected one, {apart:.2g} of its size away", value=apart)
    return Relation(
        "unrelated", f"it has nothing to do with the expected one (correlation {alike:.2f})", value=float(alike)
    )
