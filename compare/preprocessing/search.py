"""The search for how an input was made: the likeliest places first, then every way to resize, each one carried out."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from layerdiff.compare.preprocessing.explanation import Explanation, explain
from layerdiff.compare.preprocessing.kernels import KERNELS, REFERENCE, Kernel
from layerdiff.compare.preprocessing.moves import AS_IT_IS, MOVES, Move
from layerdiff.compare.preprocessing.prediction import Fault, Prediction
from layerdiff.compare.preprocessing.protocols import Protocol, carried_out, moved, protocols, scanned, shorter
from layerdiff.compare.preprocessing.record import Record
from layerdiff.compare.preprocessing.register import best_offset, likeness, scan
from layerdiff.compare.trace import Array

__all__ = ["Found", "Tried", "search"]

_PLACES = 4
_LENGTHS = 3
_GREY = Fault("I1", "the picture is grey: one channel three times", 'read it in colour: convert("RGB")')


@dataclass(frozen=True)
class Tried:
    """A way that does not explain an input: what it does otherwise, and how far from it it stays.

    Attributes:
        faults: what it does otherwise.
        residual: the root mean square of what no line through its grey levels explains, in grey levels.
    """

    faults: tuple[Fault, ...]
    residual: float


@dataclass(frozen=True)
class Found:
    """What a search gives.

    Attributes:
        explanations: that fit equally, the first the simplest; empty where none does.
        tried: others, the nearest first.
        levels: (n, 3, h, w), the reference's grey levels.
    """

    explanations: tuple[Explanation, ...] = ()
    tried: tuple[Tried, ...] = ()
    levels: Array | None = field(default=None, repr=False)


def search(expected: Array, actual: Array, pictures: Sequence[Array], record: Record) -> Found:
    """How `actual` was made.

    Args:
        expected: the reference's input, (n, 3, h, w).
        actual: another, (n, 3, h', w').
        pictures: what both were made of, (h0, w0, 3) uint8 each, one for each sample; or none.
        record: how the reference's is made.
    """
    base = _reference(expected, record)
    tried: list[Tried] = []
    ways = _ways(base, actual)
    for move in ways:
        x = move.undo(actual)
        for prediction in (base, _grey(base)):
            if x.shape == expected.shape:
                found = explain(_with(prediction, move), x, record)
                if found is not None:
                    return Found((found,), (), base.levels)
                tried.append(_tried(_with(prediction, move), x))
    if not pictures:
        return Found((), _nearest(tried), base.levels)
    grey = (*([_GREY] if _is_grey(actual) else []),)
    if grey:
        pictures = [_without_colour(picture) for picture in pictures]
    # The move that brings the input nearest to the picture, and the picture as it is.
    starts = []
    for move in dict.fromkeys((ways[0], AS_IT_IS)):
        faults = (*grey, *([move.fault] if move.fault else []))
        starts.append(_Start(move.undo(actual), pictures, record, faults))
        if move.turned is not None:
            starts.append(_Start(actual, [move.turned(picture) for picture in pictures], record, faults))
    for kernels, most in (((REFERENCE,), 2 * _PLACES), (KERNELS, _PLACES)):
        for start in starts:
            explanations = start.explanations(kernels, most, tried)
            if explanations:
                return Found(tuple(explanations), (), base.levels)
    return Found((), _nearest(tried), base.levels)


class _Start:
    """An input with a move undone, and the pictures it is made of.

    Attributes:
        x: (n, 3, h, w).
        pictures: (h0, w0, 3) uint8 each.
        record: how the reference's input is made.
        faults: what was undone.
    """

    def __init__(self, x: Array, pictures: Sequence[Array], record: Record, faults: tuple[Fault, ...]) -> None:
        self.x, self.pictures, self.record, self.faults = x, pictures, record, faults

    @functools.cached_property
    def places(self) -> list[Protocol]:
        """The protocols that give what is most like the input, the most like first."""
        return _places(self.x, self.pictures, self.record)

    def explanations(self, kernels: Sequence[Kernel], most: int, tried: list[Tried]) -> list[Explanation]:
        """Those at the first of the `most` likeliest places where any kernel explains the input, the simplest first."""
        for place in self.places[:most]:
            found = []
            for kernel in kernels:
                prediction = _predicted(place, kernel, self.pictures, self.faults)
                explanation = explain(prediction, self.x, self.record)
                if explanation is not None:
                    found.append(explanation)
                else:
                    tried.append(_tried(prediction, self.x))
            if found:
                return sorted(found, key=lambda one: len(one.faults))
        return []


def _reference(expected: Array, record: Record) -> Prediction:
    levels = record.levels(expected)
    whole = np.rint(levels)
    # A normalised level is off by some 10^-5 of a level; what is further is no whole level.
    is_whole = bool(np.abs(levels - whole).max() < 1e-2 and whole.min() >= 0 and whole.max() <= 255)
    return Prediction(whole if is_whole else levels, np.zeros(1), is_whole)


def _ways(base: Prediction, actual: Array) -> list[Move]:
    """All moves, that which makes the input most like the picture first; the picture as it is wherever it is equal."""

    def like(move: Move) -> float:
        x = move.undo(actual)
        return likeness(base.levels[0], x[0]) if x.shape == base.levels.shape else 0.0

    scores = {move: like(move) for move in (AS_IT_IS, *MOVES)}
    return sorted(scores, key=lambda move: (-round(scores[move], 3), move is not AS_IT_IS))


def _with(prediction: Prediction, move: Move) -> Prediction:
    faults = (*prediction.faults, *([move.fault] if move.fault else []))
    return Prediction(prediction.levels, prediction.slack, prediction.whole, faults)


def _grey(base: Prediction) -> Prediction:
    """The same picture without colour, as Pillow's `convert("L")` makes it."""
    pictures = [_without_colour(np.rint(sample).astype(np.uint8).transpose(1, 2, 0)) for sample in base.levels]
    levels = np.stack([picture.transpose(2, 0, 1) for picture in pictures]).astype(np.float64)
    return Prediction(levels, base.slack, base.whole, (_GREY,))


def _without_colour(picture: Array) -> Array:
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).convert("L").convert("RGB"))


def _is_grey(x: Array) -> bool:
    """Whether each channel says no more than the first."""
    first, *others = (channel.ravel() for channel in x[0].astype(np.float64))
    return all(np.corrcoef(first, other)[0, 1] > 1 - 1e-9 for other in others if np.ptp(first) and np.ptp(other))


def _predicted(place: Protocol, kernel: Kernel, pictures: Sequence[Array], more: tuple[Fault, ...]) -> Prediction:
    done = [carried_out(place.plan(_size(picture)), kernel, picture) for picture in pictures]
    faults = (*more, *place.faults, *([kernel.fault] if kernel.fault else []))
    return Prediction(
        np.stack([one.levels.transpose(2, 0, 1) for one in done]),
        np.stack([np.broadcast_to(one.slack, one.levels.shape).transpose(2, 0, 1) for one in done]),
        all(one.whole for one in done),
        faults,
    )


def _places(x: Array, pictures: Sequence[Array], record: Record) -> list[Protocol]:
    """The few protocols that give what is most like the input, the most like first; the simpler one where two are."""
    want, picture, have = (x.shape[2], x.shape[3]), pictures[0], _size(pictures[0])
    near = REFERENCE.run(picture, shorter(record.resize)(have)).levels
    known = list(protocols(record, want))
    plain = known[:4]
    for keep in (True, False):
        lengths = scan(near, have, x[0], keep=keep)[:_LENGTHS]
        known += [scanned(record, want, length, keep=keep) for length in lengths]
    ranked = _ranked(known, picture, x)
    # What was cut out elsewhere may be like none of them, so the plainest are always looked through.
    for protocol in dict.fromkeys((*(protocol for _, protocol in ranked[:_PLACES]), *plain)):
        at = best_offset(_resized(protocol, picture), x[0])
        if at is not None:
            known.append(moved(protocol, have, at))
    return [protocol for _, protocol in _ranked(known, picture, x)][: 2 * _PLACES]


def _ranked(known: Sequence[Protocol], picture: Array, x: Array) -> list[tuple[float, Protocol]]:
    scores = {}
    for protocol in known:
        plan = protocol.plan(_size(picture))
        if plan not in scores and min(plan.size) > 0:
            levels = carried_out(plan, REFERENCE, picture).levels
            scores[plan] = (likeness(levels.transpose(2, 0, 1), x[0]), protocol)
    return sorted(scores.values(), key=lambda one: -one[0])


def _resized(protocol: Protocol, picture: Array) -> Array:
    plan = protocol.plan(_size(picture))
    top, left, h, w = plan.first
    part = picture[top : top + h, left : left + w]
    return part.astype(np.float64) if plan.size == (h, w) else REFERENCE.run(part, plan.size).levels


def _size(picture: Array) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]


def _tried(prediction: Prediction, x: Array) -> Tried:
    """How far the best line through the levels of the best channel is from an input."""
    squares, step = 0.0, max(1, round((x[0, 0].size / 10_000) ** 0.5))
    for c in range(3):
        y = x[:, c, ::step, ::step].ravel().astype(np.float64)
        left = []
        for p in range(3):
            levels = prediction.levels[:, p, ::step, ::step].ravel()
            away = levels - levels.mean()
            spread = float(away @ away)
            slope = float(away @ y) / spread if spread else 0.0
            rest = y - y.mean() - slope * away
            left.append(float(rest @ rest) / slope**2 if slope else np.inf)
        squares += min(left) / y.size / 3
    return Tried(prediction.faults, float(np.sqrt(squares)))


def _nearest(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    unique = {one.faults: one for one in sorted(tried, key=lambda one: -one.residual)}
    return tuple(sorted(unique.values(), key=lambda one: one.residual))


def describe(tried: Sequence[Tried], count: int = 2) -> Iterator[str]:
    """The nearest ways in words, each with its residual."""
    for one in tried[:count]:
        words = "; ".join(fault.title for fault in one.faults) or "as the reference does it"
        yield f"near, but {one.residual:.2g} grey levels off: {words}"
