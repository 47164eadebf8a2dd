"""How far a candidate came that raised: the part of the expected network that what it ran stands for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerdiff.compare.crash import Crash
from layerdiff.compare.graph import Graph
from layerdiff.compare.resemblance import gap_costs, resemblance
from layerdiff.compare.trace import Op

__all__ = ["crashed_op", "reached"]


def crashed_op(crash: Crash) -> tuple[Op, ...]:
    """The operation that raised, as one that can be aligned; none where it is not known which one it was."""
    if not crash.layer:
        return ()
    op = Op(
        layer=crash.layer,
        path=crash.path,
        kind=crash.kind,
        inputs=crash.inputs,
        attributes=crash.attributes,
        parameters={role: np.broadcast_to(np.float32(0), shape) for role, shape in crash.parameter_shapes.items()},
        shape=(),
        dtype="float32",
        source=crash.source,
    )
    return (op,)


def reached(expected: Sequence[Op], actual: Sequence[Op], output: str | None = None) -> tuple[Op, ...]:
    """The first part of the expected network that resembles the candidate's operations most, whatever comes behind it.

    An alignment of the whole would put the end of what ran to the end of the network; blocks look alike.

    Args:
        expected: in an order in which they can run.
        actual: up to and including the operation that raised.
        output: id of the operation whose output the expected network returns, where that is known.
    """
    graph = Graph(expected, output)
    ours, theirs = graph.ordered(without=graph.unused()), Graph(actual).ordered()
    if not theirs:
        return ()
    score, down, right = resemblance(ours, theirs), gap_costs(ours), gap_costs(theirs)
    offsets = np.concatenate([[0.0], np.cumsum(right)])
    row = -offsets
    best, end = row[-1], 0
    for i in range(len(ours)):
        row = np.concatenate([[row[0] - down[i]], np.maximum(row[:-1] + score[i], row[1:] - down[i])])
        # The best over all numbers of the candidate's operations left out: a running maximum, gaps added back.
        row = np.maximum.accumulate(row + offsets) - offsets
        if row[-1] > best + 1e-6:
            best, end = row[-1], i + 1
    kept = {op.layer for op in ours[:end]}
    return tuple(op for op in expected if op.layer in kept)
