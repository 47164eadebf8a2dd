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
    if not actual:
        return ()
    graph = Graph(expected, output)
    needed = [op for op in expected if op.layer not in graph.unused()]
    # Which of both ways through a block comes first does not matter, so both orders are tried.
    best = max(
        (_prefix(order, actual) for order in (_depth_first(needed), _depth_first(needed, last=True))), key=_score
    )
    kept = {op.layer for op in best[1]}
    return tuple(op for op in expected if op.layer in kept)


def _score(found: tuple[float, Sequence[Op]]) -> float:
    return found[0]


def _prefix(ours: Sequence[Op], theirs: Sequence[Op]) -> tuple[float, Sequence[Op]]:
    """How well the best first part of one sequence can be aligned with another, and that part.

    Source: Needleman & Wunsch 1970, with a free end on one side.
    """
    score, down, right = resemblance(ours, theirs), gap_costs(ours), gap_costs(theirs)
    offsets = np.concatenate([[0.0], np.cumsum(right)])
    row = -offsets
    best, end = float(row[-1]), 0
    for i in range(len(ours)):
        row = np.concatenate([[row[0] - down[i]], np.maximum(row[:-1] + score[i], row[1:] - down[i])])
        # The best over all numbers of the candidate's operations left out: a running maximum, gaps added back.
        row = np.maximum.accumulate(row + offsets) - offsets
        if row[-1] > best + 1e-6:
            best, end = float(row[-1]), i + 1
    return best, ours[:end]


def _depth_first(ops: Sequence[Op], *, last: bool = False) -> list[Op]:
    """The operations in an order in which they can run: all that the first of an operation's inputs needs comes first.

    Args:
        ops: in an order in which they can run.
        last: all that the last of its inputs needs instead.
    """
    known = {op.layer: op for op in ops}
    order: dict[str, Op] = {}
    consumed = {layer for op in ops for layer in op.inputs}
    waiting = [(op, False) for op in reversed(ops) if op.layer not in consumed]
    while waiting:
        op, ready = waiting.pop()
        if op.layer in order:
            continue
        if ready:
            order[op.layer] = op
            continue
        waiting.append((op, True))
        inputs = [known[layer] for layer in op.inputs if layer in known]
        waiting.extend((found, False) for found in (inputs if last else inputs[::-1]))
    return list(order.values())
