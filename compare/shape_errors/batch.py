"""M15 and its like: a reshaping that changes the size of the batch. It raises only later, in the loss."""

from __future__ import annotations

from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.facts import Facts, Shape, by, times
from layerdiff.compare.trace import Op

__all__ = ["batch_squeezed", "batch_swallowed"]


def batch_swallowed(facts: Facts, op: Op, before: Shape) -> Explanation | None:
    """M15: `view(-1, C)` puts the places of the map into the batch, or the batch into the features.

    Args:
        facts: of both networks.
        op: that reshapes.
        before: shape of what it is given.
    """
    n = facts.actual.shape[0]
    if len(before) != 4 or before[0] != n or not op.shape or op.shape[0] == n:
        return None
    _, c, h, w = before
    if len(op.shape) == 1 and op.shape[0] == n * c * h * w:
        arithmetic = f"{op.shape[0]} = {times(before)}: one axis holds the {n} images too"
    elif op.shape[0] % n == 0:
        factor = op.shape[0] // n
        places = f", one for each place of its {by((h, w))} map" if factor == h * w else ""
        arithmetic = f"{op.shape[0]} = {n}·{factor}: each image became {factor} rows{places}"
    else:
        arithmetic = f"{op.shape[0]} ≠ {n}, the size of the batch"
    pooled = "" if h * w == 1 else "pool to 1×1 first, and "
    return Explanation(
        code="M15",
        title=f"{op.layer} changes the batch size from {n} to {op.shape[0]}; a loss would refuse it",
        layer=op.layer,
        arithmetic=arithmetic,
        change=f"{pooled}flatten with torch.flatten(x, 1) or x.view(x.size(0), -1)",
        evidence=(f"{op.layer} makes {list(op.shape)} of {list(before)}",),
        source=op.source,
    )


def batch_squeezed(facts: Facts, op: Op, before: Shape) -> Explanation | None:
    """A `squeeze()` without an axis takes the batch's away too, where it holds one image (kin of M11 and M15)."""
    n = facts.actual.shape[0]
    if op.kind != "squeeze" or n != 1 or len(before) < 2 or before[0] != 1 or op.shape[:1] == (1,):
        return None
    return Explanation(
        code="",
        title=f"{op.layer} takes the axis of the batch away, because the batch holds one image",
        layer=op.layer,
        arithmetic=f"{list(before)} without its axes of size 1 is {list(op.shape)}",
        change="name the axes, squeeze((2, 3)), or use torch.flatten(x, 1)",
        evidence=(f"{op.layer} makes {list(op.shape)} of {list(before)}",),
        source=op.source,
    )
