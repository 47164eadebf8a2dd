"""Both networks run again as far as some layers, so that what was measured there can be seen and not only counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np

from layerdiff.compare.align import aligned
from layerdiff.compare.lanes import lanes_between
from layerdiff.compare.layers import counterpart
from layerdiff.compare.look import Look, Watch
from layerdiff.compare.memory import Memory
from layerdiff.compare.result import Measure
from layerdiff.compare.trace import Array, Op, Trace

__all__ = ["Sides", "look_again"]

Sides: TypeAlias = Mapping[str, tuple[Op, Op | None]]
"""By expected layer id its operation, and the one of the candidate's that does the same, where there is one."""


def look_again(
    expected: Trace,
    actual: Trace,
    x: Array,
    wanted: Mapping[str, Measure],
    watch: Watch,
    *,
    seed: int,
    until: str | None,
    dtypes: Collection[str],
    memory: Memory | None = None,
) -> Sides:
    """Show `watch` the comparisons of the layers in `wanted`, as `judge` made them.

    Args:
        expected: the reference, captured on `x`.
        actual: the candidate, likewise.
        x: (n, c, h, w) float32.
        wanted: by layer id the measure of which the arrays are wanted.
        watch: called with more comparisons than those, and perhaps with none for a layer that cannot run again.
        seed: as the judge had it.
        until: likewise.
        dtypes: likewise.
        memory: likewise.

    Returns:
        The operations of every layer.
    """
    x, until = np.array(x, order="C"), until or expected.until
    pairs = aligned(expected, actual, until).pairs
    looks = {
        dtype: Look(_layers(wanted, dtype), _end_to_end(wanted, dtype), watch)
        for dtype in dict.fromkeys(measure.dtype for measure in wanted.values())
    }
    if any(look.end_to_end for look in looks.values()):
        # What rounding explains end to end is read off the input's own precision.
        looks.setdefault(x.dtype.name, Look(frozenset(), end_to_end=True, watch=watch))
    lanes = lanes_between(expected, actual, pairs, x, seed=seed, until=until, dtypes=dtypes, looks=looks, memory=memory)
    last = max((i for i, pair in enumerate(pairs) if any(look.wants(pair) for look in looks.values())), default=-1)
    with np.errstate(all="ignore"):
        for pair in pairs[: last + 1]:
            for lane in lanes.values():
                lane.measure(pair)
    return {op.layer: (op, counterpart(op, pair.actual)) for pair in pairs for op in pair.expected}


def _layers(wanted: Mapping[str, Measure], dtype: str) -> frozenset[str]:
    return frozenset(layer for layer, measure in wanted.items() if measure.dtype == dtype)


def _end_to_end(wanted: Mapping[str, Measure], dtype: str) -> bool:
    return any(measure.dtype == dtype and measure.probe == "propagated" for measure in wanted.values())
