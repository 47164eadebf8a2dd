"""What is cut out and what is resized, in which order: the geometry of a preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.preprocessing.kernels import Kernel, Levels
from layerdiff.compare.preprocessing.prediction import Fault
from layerdiff.compare.preprocessing.record import Record
from layerdiff.compare.trace import Array

__all__ = ["Plan", "Protocol", "carried_out", "longer", "protocols", "shorter", "squashed"]

Size = tuple[int, int]
Cut = Callable[[Size, Size], tuple[int, int]]


@dataclass(frozen=True)
class Plan:
    """For one picture: the part that is cut out first, what that is resized to, and what is cut out of it.

    Attributes:
        first: top, left, height and width.
        size: height and width.
        last: top, left, height and width; may reach beyond the edge, where black is put.
    """

    first: tuple[int, int, int, int]
    size: Size
    last: tuple[int, int, int, int]


@dataclass(frozen=True)
class Protocol:
    """A rule that makes a plan for every size of picture, and what it does otherwise than the reference's."""

    plan: Callable[[Size], Plan] = field(repr=False)
    faults: tuple[Fault, ...] = ()


def centre(have: Size, want: Size) -> tuple[int, int]:
    """Top and left of the centre, as torchvision rounds them."""
    return round((have[0] - want[0]) / 2), round((have[1] - want[1]) / 2)


def corner(have: Size, want: Size) -> tuple[int, int]:
    """Top and left of the upper left corner."""
    return 0, 0


def shorter(length: int) -> Callable[[Size], Size]:
    """The size whose shorter side is `length`, the longer one rounded down."""
    return lambda have: _scaled(have, length, min(have), int)


def longer(length: int) -> Callable[[Size], Size]:
    """The size whose longer side is `length`."""
    return lambda have: _scaled(have, length, max(have), int)


def squashed(size: Size) -> Callable[[Size], Size]:
    """This size, whatever the picture's own proportions."""
    return lambda have: size


def _scaled(have: Size, length: int, side: int, rounding: Callable[[float], int]) -> Size:
    # In torchvision's order: one product, one quotient.
    h, w = (length if own == side else max(1, rounding(length * own / side)) for own in have)
    return h, w


def _protocol(
    resize: Callable[[Size], Size],
    want: Size,
    *faults: Fault,
    cut: Cut = centre,
    first: Callable[[Size], tuple[int, int, int, int]] | None = None,
) -> Protocol:
    def plan(have: Size) -> Plan:
        part = first(have) if first is not None else (0, 0, *have)
        size = resize((part[2], part[3]))
        return Plan(part, size, (*cut(size, want), *want))

    return Protocol(plan, faults)


def protocols(record: Record, want: Size) -> Iterator[Protocol]:
    """The reference's own protocol, then those that people use, for inputs of height and width `want`."""
    side = record.resize
    change = f"resize the shorter side to {side}, then cut {record.crop[0]}x{record.crop[1]} out of the centre"

    def fault(title: str) -> tuple[Fault, ...]:
        return (Fault("I5", title, change), *size)

    size: tuple[Fault, ...] = ()
    if want != record.crop:
        text = f"the input is {want[0]}x{want[1]}, expected {record.crop[0]}x{record.crop[1]}"
        size = (Fault("I5", text, change),)
    yield _protocol(shorter(side), want, *size)
    kept = f"expected the shorter side to be resized to {side} and the centre to be cut out"
    yield _protocol(squashed(want), want, *fault(f"the picture is squashed to {want[0]}x{want[1]}, {kept}"))
    if (side, side) != want:
        yield _protocol(
            squashed((side, side)), want, *fault(f"the picture is squashed to {side}x{side} before the crop, {kept}")
        )
    yield _protocol(lambda have: have, want, *fault(f"the centre is cut out without resizing, {kept}"))
    rounded = "the longer side is rounded to the nearest number, expected it to be rounded down"
    yield _protocol(lambda have: _scaled(have, side, min(have), round), want, *fault(rounded))
    text = "a square is cut out of the centre first, and resized then: " + kept
    yield _protocol(squashed(want), want, *fault(text), first=_square)
    if (side, side) != want:
        text = f"a square is cut out of the centre first, and resized to {side}x{side} before the crop, {kept}"
        yield _protocol(squashed((side, side)), want, *fault(text), first=_square)
    text = "the middle 87.5 % are cut out first, and resized then (TensorFlow), " + kept
    yield _protocol(squashed(want), want, *fault(text), first=_most)
    text = f"{side}x{side} are cut out of the centre first, and resized then, {kept}"
    yield _protocol(squashed(want), want, *fault(text), first=lambda have: _middle(have, (side, side)))
    for length in dict.fromkeys((max(want), side)):
        text = f"the longer side is resized to {length} and the rest is black, {kept}"
        yield _protocol(longer(length), want, *fault(text))
        yield _protocol(longer(length), want, *fault(f"{text}; the picture lies in the upper left"), cut=corner)


def scanned(record: Record, want: Size, length: int, *, keep: bool) -> Protocol:
    """A protocol with another length of the shorter side, or, without `keep`, squashed to a square of that length."""
    change = f"resize the shorter side to {record.resize}"
    if keep:
        title = f"the shorter side is resized to {length}, expected {record.resize}"
        return _protocol(shorter(length), want, Fault("I5", title, change))
    title = f"the picture is squashed to {length}x{length}, expected its shorter side to be resized to {record.resize}"
    return _protocol(squashed((length, length)), want, Fault("I5", title, change))


def moved(protocol: Protocol, have: Size, at: tuple[int, int]) -> Protocol:
    """The protocol with another place of the last cut, as it was found in a picture of size `have`."""
    whole = protocol.plan(have)
    want = (whole.last[2], whole.last[3])
    middle = centre(whole.size, want)
    bottom, right = whole.size[0] - want[0], whole.size[1] - want[1]
    corners = {
        (0, 0): "upper left",
        (0, right): "upper right",
        (bottom, 0): "lower left",
        (bottom, right): "lower right",
    }
    aside = (at[0] - middle[0], at[1] - middle[1])
    if max(map(abs, aside)) <= 2 or at not in corners:
        title = f"the crop is at row {at[0]}, column {at[1]} of the resized picture, expected {middle[0]}, {middle[1]}"

        def cut(size: Size) -> tuple[int, int]:
            top, left = centre(size, want)
            return top + aside[0], left + aside[1]
    else:
        name = corners[at]
        title = f"the crop is the {name} corner of the resized picture, expected its centre"

        def cut(size: Size) -> tuple[int, int]:
            top = size[0] - want[0] if name.startswith("lower") else 0
            return top, size[1] - want[1] if name.endswith("right") else 0

    def plan(size: Size) -> Plan:
        found = protocol.plan(size)
        return Plan(found.first, found.size, (*cut(found.size), *want))

    return Protocol(plan, (*protocol.faults, Fault("I5", title, "cut the crop out of the centre")))


def carried_out(plan: Plan, kernel: Kernel, picture: Array) -> Levels:
    """The plan for a picture (h0, w0, 3) uint8, with one way to resize."""
    h, w = plan.first[2:]
    part = _cut(picture, plan.first)
    resized = kernel.run(part, plan.size) if plan.size != (h, w) else Levels(part.astype(np.float64), np.zeros(1), True)
    slack = _cut(np.broadcast_to(resized.slack, resized.levels.shape), plan.last)
    return Levels(_cut(resized.levels, plan.last), slack, resized.whole)


def _cut(picture: Array, window: tuple[int, int, int, int]) -> Array:
    """A window of a picture, black where it reaches beyond it."""
    top, left, h, w = window
    inside = picture[max(top, 0) : max(top + h, 0), max(left, 0) : max(left + w, 0)]
    if inside.shape[:2] == (h, w):
        return inside
    found = np.zeros((h, w, picture.shape[2]), picture.dtype)
    y, x = max(-top, 0), max(-left, 0)
    found[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return found


def _square(have: Size) -> tuple[int, int, int, int]:
    return _middle(have, (min(have), min(have)))


def _middle(have: Size, want: Size) -> tuple[int, int, int, int]:
    want = (min(have[0], want[0]), min(have[1], want[1]))
    return (*centre(have, want), *want)


def _most(have: Size) -> tuple[int, int, int, int]:
    """What `tf.image.central_crop` leaves of a fraction of 0.875."""
    top, left = (int((side - side * 0.875) / 2) for side in have)
    return top, left, have[0] - 2 * top, have[1] - 2 * left
