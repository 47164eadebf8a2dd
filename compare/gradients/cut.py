"""Where a candidate cuts a gradient off, and the candidate with the ends joined again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from layerdiff.compare.gradients.chain import NoGradientError, chained
from layerdiff.compare.pairs import Pair, outside_inputs
from layerdiff.compare.trace import Array, Op, Pulled

__all__ = ["cut_off", "cuts", "joined_again"]

_KINDS = frozenset({"detach", "detach_", "data"})


def cuts(pair: Pair) -> list[Op]:
    """The candidate's operations that pass a value on and let no gradient back."""
    return [op for op in pair.actual if not op.graded or (op.kind in _KINDS and len(op.inputs) == 1)]


def cut_off(pair: Pair, given: Mapping[str, Array], gradient: Array) -> list[str]:
    """Ids of what the expected operations take that a gradient reaches there, and none in the candidate.

    Args:
        pair: one that was found at fault.
        given: the value of everything the expected operations take from outside, and the candidate's feeds.
        gradient: of what they give.
    """
    needed = outside_inputs(pair.actual)
    try:
        want = chained(pair.expected, {layer: given[layer] for layer in outside_inputs(pair.expected)}, gradient)
        got = chained(pair.actual, {a: given[b] for a, b in zip(needed, pair.feeds, strict=True)}, gradient)
    except NoGradientError:
        return []
    reached = {feed for name, feed in zip(needed, pair.feeds, strict=True) if name in got.inputs}
    return [layer for layer in want.inputs if layer in pair.feeds and layer not in reached]


def joined_again(ops: Sequence[Op], pair: Pair) -> list[Op]:
    """The candidate's operations, of which those that cut `pair`'s gradient off let it through."""
    ends = {op.layer for op in cuts(pair)}
    return [_joined(op) if op.layer in ends else op for op in ops]


def _joined(op: Op) -> Op:
    if op.kind in _KINDS:
        return replace(op, graded=True, own_backward=None, pull=_passed_back)
    return replace(op, graded=True)


def _passed_back(inputs: Sequence[Array], covector: Array) -> Pulled:
    (value,) = inputs
    return Pulled((covector.reshape(value.shape),), {})
