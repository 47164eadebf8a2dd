"""The lane in which two traces are compared in one precision, as the judge walks it and a second look does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from layerdiff.compare.lane import Lane
from layerdiff.compare.look import Look
from layerdiff.compare.memory import Memory
from layerdiff.compare.pairs import Pair
from layerdiff.compare.trace import Array, Trace, upto

__all__ = ["lane_in"]


def lane_in(
    dtype: str,
    expected: Trace,
    actual: Trace,
    pairs: Sequence[Pair],
    x: Array,
    *,
    seed: int,
    until: str | None,
    dtypes: Collection[str],
    look: Look | None = None,
    memory: Memory | None = None,
) -> Lane:
    """The lane of one precision, of several that are judged.

    Args:
        dtype: the precision.
        expected: the reference, captured on `x`.
        actual: the candidate, likewise.
        pairs: of their operations.
        x: (n, c, h, w) float32.
        seed: of the dense probe and the end-to-end floor.
        until: judge only this part of the expected network.
        dtypes: the precisions that are judged.
        look: to be looked at again; None where all is measured.
        memory: of what `expected` gave for `x` in other judgements.
    """
    returned_by = (expected.returned_by, actual.returned_by) if until is None else (None, None)
    precision = np.dtype(dtype)
    remembered = None if memory is None else memory.of(expected, x, seed, precision)
    # The input's own precision gives the dense probe the real shape, if it is judged at all.
    brief = precision != x.dtype and x.dtype.name in dtypes
    ops = upto(expected.ops, until)
    return Lane(precision, ops, actual.ops, pairs, x, seed, returned_by, look, remembered, brief=brief)
