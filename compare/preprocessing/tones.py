"""From grey levels to an input's values: which channel, by what line, and whether it wraps around."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from layerdiff.compare.preprocessing.allowance import ROUNDINGS, UNIT
from layerdiff.compare.preprocessing.prediction import Prediction
from layerdiff.compare.trace import Array

__all__ = ["Curve", "Tones", "find_tones"]

_FEWEST = 3
_SAMPLE = 4096
# A line solved for lies between points that are off by the allowance at most, and may be off by as much itself.
_SOLVED = 2


@dataclass(frozen=True)
class Curve:
    """`value = slope · level + offset`; with `wrap`, of `(level + wrap) mod 256 - wrap`.

    Attributes:
        slope: for one level.
        offset: the value for level 0.
        wrap: what is added before the levels go round at 256; 0 where they do not.
        levels: points of the curve; those that went round are 256 higher or lower.
        values: likewise.
        slack: of the levels, in levels.
    """

    slope: float
    offset: float
    wrap: int = 0
    levels: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    values: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    slack: Array = field(default_factory=lambda: np.zeros(0), repr=False)


@dataclass(frozen=True)
class Tones:
    """The curves of an input: (sample, channel) and the channel of the picture each is a curve of."""

    order: tuple[int, ...]
    curves: tuple[tuple[Curve, ...], ...]

    @property
    def wraps(self) -> tuple[int, ...]:
        """For each channel by how much it is shifted before it wraps around; 0 where it does not."""
        return tuple(curve.wrap for curve in self.curves[0])

    def off(self, slope: Array, offset: Array) -> float:
        """The greatest quotient of error and allowance if these were slope and offset, (3,) each, at the points."""
        return max(
            _ratio(curve.levels, curve.values, curve.slack, slope[c], offset[c])
            for row in self.curves
            for c, curve in enumerate(row)
        )


def find_tones(prediction: Prediction, x: Array) -> Tones | None:
    """The curves that make `x`, (n, 3, h, w), out of predicted levels; None where there are none.

    A channel is taken to be of the picture's channel in its own place wherever that explains it.
    """
    order, columns = [], []
    for c in range(3):
        for p in (c, *(other for other in range(3) if other != c)):
            found = [_curve(prediction, i, p, x[i, c]) for i in range(len(x))]
            column = [curve for curve in found if curve is not None]
            if len(column) == len(x) and len({curve.wrap for curve in column}) == 1:
                order.append(p)
                columns.append(column)
                break
        else:
            return None
    return Tones(tuple(order), tuple(zip(*columns, strict=True)))


def _curve(prediction: Prediction, sample: int, channel: int, y: Array) -> Curve | None:
    levels, slack = prediction.levels[sample, channel], prediction.spread[sample, channel]
    stride = max(1, levels.size // _SAMPLE)
    if prediction.whole:
        sure = slack.ravel() == 0
        levels, y = levels.ravel()[sure], y.ravel()[sure]
        # A sample first: most predictions are wrong, and a few points tell.
        if _table(levels[::stride], y[::stride]) is None:
            return None
        table = _table(levels, y)
        if table is None:
            return None
        at = np.flatnonzero(np.isfinite(table))
        return _line(at.astype(float), table[at], np.zeros(len(at))) or _wrapped(at.astype(float), table[at])
    pieces = [part.ravel()[::stride] for part in (levels, y, slack)]
    if _line(*pieces) is None:
        return None
    return _line(levels.ravel(), y.ravel(), slack.ravel())


def _table(levels: Array, y: Array) -> Array | None:
    """The value of each level, NaN for those that do not occur; None where one level has two values."""
    at = levels.astype(np.intp)
    if at.size == 0 or at.min() < 0 or at.max() > 255:
        return None
    table = np.full(256, np.nan)
    table[at] = y
    # One level goes through the same operations everywhere; what a vector unit fuses is within two roundings.
    return table if np.all(np.abs(y - table[at]) <= 2 * UNIT * ROUNDINGS * np.abs(y).max()) else None


def _line(levels: Array, values: Array, slack: Array) -> Curve | None:
    if levels.size < _FEWEST or np.ptp(levels) == 0 or np.ptp(values) == 0:
        return None
    values = values.astype(np.float64)
    middle = levels.mean()
    away = levels - middle
    slope = float(away @ (values - values.mean()) / (away @ away))
    offset = float(values.mean() - slope * middle)
    apart = np.abs(values - (slope * levels + offset))
    # Evenly over all points: the line itself is off by what rounding did to the largest of them.
    rounding = ROUNDINGS * UNIT * float((np.abs(slope * levels) + abs(offset)).max())
    if slope == 0 or (apart > _SOLVED * rounding + abs(slope) * slack).any():
        return None
    return Curve(slope, offset, 0, levels, values, slack)


def _wrapped(levels: Array, values: Array) -> Curve | None:
    """A line that jumps down by 256 levels once: whole numbers of eight bits that overflowed."""
    steps = np.diff(values)[np.diff(levels) == 1]
    if len(steps) < _FEWEST:
        return None
    slope = float(np.median(steps))
    if slope == 0:
        return None
    turns = np.rint((values - slope * levels - (values[0] - slope * levels[0])) / (256 * slope))
    jumps = np.flatnonzero(np.diff(turns))
    if len(jumps) != 1 or turns[-1] != -1:
        return None
    first = int(levels[jumps[0] + 1])
    # From `first` on the shifted level is 256 or more.
    shift = 256 - first
    shift -= 256 * (shift > 128)
    gone_round = levels + 256 * (turns + (shift < 0))
    found = _line(gone_round, values, np.zeros(len(levels)))
    return None if found is None else replace(found, wrap=shift)


def _ratio(levels: Array, values: Array, slack: Array, slope: float, offset: float) -> float:
    apart = np.abs(values - (slope * levels + offset))
    allowed = ROUNDINGS * UNIT * (np.abs(slope * levels) + abs(offset)) + abs(slope) * slack
    with np.errstate(all="ignore"):
        return float(np.where(apart == 0, 0, apart / allowed).max(initial=0.0))
