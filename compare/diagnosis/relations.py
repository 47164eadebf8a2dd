"""What one tensor is to another: the same, turned, another layer's, scaled, at its initial values, or unrelated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from layerdiff.compare.bits import same_bits
from layerdiff.compare.diagnosis.channelwise import number
from layerdiff.compare.diagnosis.initial_values import initial_values
from layerdiff.compare.diagnosis.tensor_pool import Pool
from layerdiff.compare.layouts import name_of
from layerdiff.compare.trace import Array

__all__ = ["Relation", "RelationKind", "relation", "turned"]

RelationKind = Literal[
    "flipped", "axes permuted", "reshaped", "rows permuted", "columns permuted", "reordered", "another layer",
    "initial", "scaled", "scaled by row", "shifted", "rounded", "few differ", "close", "unrelated",
]  # fmt: skip


_PLENTY = 1 << 12
"""As many values are looked at before all are."""


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
    values = pool.fingerprint(actual)
    if values is not None and values == pool.fingerprint(expected):
        return _moved(expected, actual)
    others = pool.same_values(values)
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


def _moved(expected: Array, actual: Array) -> Relation:
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


def _part(array: Array) -> Array:
    """Enough values of an array to see what it is not."""
    return array.reshape(-1)[:: max(1, array.size // _PLENTY)]


def _of_numbers(expected: Array, actual: Array) -> Relation:
    initial = initial_values(actual)
    if initial is not None and not initial.is_like(initial_values(expected)):
        return Relation("initial", f"it is at its initial values: {initial}")
    for name, rounded in _ROUNDINGS.items():
        if np.array_equal(rounded(_part(expected)), _part(actual)) and np.array_equal(rounded(expected), actual):
            return Relation("rounded", f"its values are those of {name}")
    differ = int(np.count_nonzero(expected != actual))
    if differ <= max(1, expected.size // 100):
        first = tuple(int(i) for i in np.argwhere(expected != actual)[0])
        return Relation(
            "few differ", f"{differ:,} of {expected.size:,} values differ, the first at {first}", count=differ
        )
    return _scaled(expected, actual) or _near(_part(expected), _part(actual))


def _scaled(expected: Array, actual: Array) -> Relation | None:
    k = _factor(_part(actual), _part(expected))
    if k is not None and _is_product(actual, k, expected):
        text = "its sign is changed" if k == -1 else f"it is {number(k)} times the expected one"
        return Relation("scaled", text, value=k)
    if _is_shifted(_part(expected), _part(actual)) and _is_shifted(expected, actual):
        shift = float(f"{np.median(_part(actual).astype(np.float64) - _part(expected)):.6g}")
        return Relation("shifted", f"{number(shift)} is added to it", value=shift)
    if expected.ndim > 1 and all(_of_one_factor(expected[i], actual[i]) for i in range(len(expected))):
        return Relation("scaled by row", "each output channel is scaled by a factor of its own")
    return None


def _of_one_factor(expected: Array, actual: Array) -> bool:
    if not expected.any():
        return not actual.any()
    k = _factor(_part(actual), _part(expected))
    return k is not None and _is_product(actual, k, expected)


def _is_shifted(expected: Array, actual: Array) -> bool:
    """Whether one number was added, to what two roundings to float32 leave."""
    want, have = expected.astype(np.float64), actual.astype(np.float64)
    room = 4 * np.finfo(np.float32).eps * float((np.abs(have) + np.abs(want)).max())
    return bool(np.ptp(have - want) <= room)


def _factor(part: Array, whole: Array) -> float | None:
    """The one k with part = k · whole to what rounding to float32 leaves, of as few digits as explain it."""
    want = whole.astype(np.float64)
    size = float(np.vdot(want, want))
    k = float(np.vdot(part.astype(np.float64), want)) / size if size else 0.0
    if k == 0 or not _is_product(part, k, whole):
        return None
    return next(value for digits in range(17) if _is_product(part, value := float(f"{k:.{digits}e}"), whole))


def _is_product(part: Array, k: float, whole: Array) -> bool:
    wide = part.astype(np.float64)
    # Rounded to float32 once, and k itself before: half a unit each.
    room = 2 * np.finfo(np.float32).eps * np.abs(wide) + np.finfo(np.float32).tiny
    return bool((np.abs(wide - k * whole.astype(np.float64)) <= room).all())


def _half(array: Array) -> Array:
    with np.errstate(all="ignore"):
        return array.astype(np.float16).astype(np.float32)


def _cut(bits: int) -> Callable[[Array], Array]:
    """float32 without its last bits, rounded to the nearest, ties to even."""

    def cut(array: Array) -> Array:
        whole = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
        even = (whole >> np.uint32(bits)) & np.uint32(1)
        kept = (whole + np.uint32((1 << (bits - 1)) - 1) + even) & np.uint32(0xFFFFFFFF << bits & 0xFFFFFFFF)
        found: Array = kept.view(np.float32)
        return found

    return cut


_ROUNDINGS: Mapping[str, Callable[[Array], Array]] = {"float16": _half, "bfloat16": _cut(16), "TF32": _cut(13)}
"""How a coarser precision would leave float32 values."""


def _near(expected: Array, actual: Array) -> Relation:
    """How alike two tensors are that are no rearrangement and no multiple of each other."""
    want, have = expected.astype(np.float64), actual.astype(np.float64)
    with np.errstate(all="ignore"):
        apart = float(np.linalg.norm(have - want) / np.linalg.norm(want))
        alike = float(np.corrcoef(want, have)[0, 1]) if want.size > 2 else 0.0
    if apart <= 0.5:
        return Relation("close", f"it is like the expected one, {apart:.2g} of its size away", value=apart)
    return Relation("unrelated", f"it has nothing to do with the expected one (correlation {alike:.2f})", value=alike)
