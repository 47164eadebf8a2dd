"""The lanes in which two traces are compared, as the judge walks them and a second look does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from layerdiff.compare.lane import Lane
from layerdiff.compare.look import Look
from layerdiff.compare.memory import Memory
from layerdiff.compare.pairs import Pair
from layerdiff.compare.trace import Array, Trace, upto

__all__ = ["lanes_between"]


def lanes_between(
    expected: Trace,
    actual: Trace,
    pairs: Sequence[Pair],
    x: Array,
    *,
    seed: int,
    until: str | None,
    dtypes: Collection[str],
    looks: Mapping[str, Look | None],
    memory: Memory | None = None,
) -> dict[str, Lane]:
    """A lane for each precision, to be walked in step in this order: that of the input comes first.

    Args:
        expected: the reference, captured on `x`.
        actual: the candidate, likewise.
        pairs: of their operations.
        x: (n, c, h, w) float32.
        seed: of the dense probe and the end-to-end floor.
        until: judge only this part of the expected network.
        dtypes: the precisions that are judged.
        looks: the precisions to walk, and what is looked at again in each; None for all.
        memory: of what `expected` gave for `x` in other judgements.
    """
    returned_by = (expected.returned_by, actual.returned_by) if until is None else (None, None)
    ops, own = upto(expected.ops, until), x.dtype.name
    lanes: dict[str, Lane] = {}
    for dtype in sorted(looks, key=lambda name: name != own):
        precision = np.dtype(dtype)
        lanes[dtype] = Lane(
            precision,
            ops,
            actual.ops,
            pairs,
            x,
            seed,
            returned_by,
            looks[dtype],
            None if memory is None else memory.of(expected, x, seed, precision),
            lanes.get(own),
            # The input's own precision gives the dense probe the real shape, if it is judged at all.
            brief=dtype != own and own in dtypes,
        )
    return lanes
