"""The error by depth as data: what each layer's point is, how far each scale reaches, which lines connect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layerdiff.compare.render.words import worst_of
from layerdiff.compare.result import LayerResult, Measure

__all__ = ["PROBES", "Panel", "panel"]

PROBES = {"propagated": "end to end", "activations": "by itself", "dense": "by itself, dense input"}
"""The comparisons that are drawn, and what they are called."""

_SMALLEST = -4
_BESIDE = 0.8
"""Decades between the end of the scale and the place for what has none on it: exactly 0, and beyond any bound."""


@dataclass(frozen=True)
class Panel:
    """One precision's picture.

    Attributes:
        dtype: the precision.
        points: one for each comparison: place `x`, `y` as a decimal logarithm, `probe`, and `run`, the number of the
            stretch of layers that were all compared.
        low: the smallest power of ten on the scale; exact zeros lie below it.
        high: the greatest; what no allowance bounds lies above it.
        zero: whether there are exact zeros.
        unbounded: whether there is anything that no allowance bounds.
    """

    dtype: str
    points: tuple[dict[str, Any], ...]
    low: int
    high: int
    zero: bool
    unbounded: bool

    @property
    def bottom(self) -> float:
        """Where the exact zeros are."""
        return self.low - _BESIDE

    @property
    def top(self) -> float:
        """Where the unbounded is."""
        return self.high + _BESIDE


def panel(layers: Sequence[LayerResult], dtype: str) -> Panel | None:
    """The picture of one precision; None where nothing was compared in it."""
    found = [
        (layer.index, probe, one)
        for probe in PROBES
        for layer in layers
        if (one := worst_of(layer, probe, dtype)) is not None
    ]
    if not found:
        return None
    decades = [math.log10(m.ratio) for _, _, m in found if m.ratio]
    low = max(_SMALLEST, min((math.floor(d) for d in decades), default=-1))
    low, high = min(low, -1), max(1, math.ceil(max(decades, default=0.0)))
    empty = Panel(dtype, (), low, high, False, False)
    points, run, before = [], 0, ("", -2)
    for index, probe, m in found:
        run += before != (probe, index - 1)
        before = (probe, index)
        points.append({"x": index, "y": round(_height(m, empty), 3), "probe": probe, "run": run})
    zero = any(m.ratio == 0 for _, _, m in found)
    return Panel(dtype, tuple(points), low, high, zero, any(_unbounded(m) for _, _, m in found))


def _unbounded(m: Measure) -> bool:
    return m.ratio is None or math.isinf(m.ratio)


def _height(m: Measure, scale: Panel) -> float:
    if m.ratio is None or math.isinf(m.ratio):
        return scale.top
    return max(math.log10(m.ratio), scale.low) if m.ratio else scale.bottom
