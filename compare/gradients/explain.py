"""The causes of wrong gradients, and the proof: the candidate goes back again with its mistakes undone."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from dataclasses import replace

from layerdiff.compare.expected import Part
from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.gradients.causes import Sample, cause_of, merged, undone
from layerdiff.compare.gradients.end_to_end import end_to_end
from layerdiff.compare.gradients.homes import homes_of
from layerdiff.compare.gradients.walk import Walk, covector
from layerdiff.compare.pairs import Pair, outside_inputs
from layerdiff.compare.playback import play
from layerdiff.compare.probe import dense_inputs, dense_shapes
from layerdiff.compare.trace import Op
from layerdiff.compare.transfer import Carried

__all__ = ["explained"]


def explained(
    walk: Walk, pairs: Sequence[Pair], wrong: Sequence[Pair], ops: Sequence[Op], carried: Sequence[Carried]
) -> tuple[Finding, ...]:
    """Why the way back through some pairs is wrong.

    A cause is confirmed where the candidate, with all mistakes that were named undone, gets the expected gradients
    from end to end: each of the layers then goes back as the expected one does, all others as the candidate's do.

    Args:
        walk: of the expected network, in float64.
        pairs: all of them.
        wrong: those at fault.
        ops: the candidate's.
        carried: where the expected network's tensors are in it.
    """
    found: list[Finding] = []
    repaired: list[Op] | None = list(ops)
    for pair in wrong:
        names = {key: one.actual for key, one in homes_of(pair, carried).items() if one.axes is None}
        one = cause_of(pair, _samples(pair, walk), names)
        found.append(_with_line(one))
        if one.code != UNEXPLAINED and repaired is not None:
            repaired = undone(repaired, pair, names)
    named = [one for one in found if one.code != UNEXPLAINED]
    if not named or repaired is None:
        return merged(found)
    after = [one.measure for one in end_to_end(walk, pairs, repaired).values()]
    worst = max((one.ratio or 0.0 for one in after if not one.over), default=0.0)
    if not after or any(one.over for one in after):
        return merged(found)
    proven = [replace(one, confirmed=True, how=_how(one), after=worst) if one in named else one for one in found]
    return merged(proven)


def _how(one: Finding) -> str:
    return "gone back again, " + (
        "with the ends joined" if one.code == "J9" else "through this layer as the reference does"
    )


def _samples(pair: Pair, walk: Walk) -> list[Sample]:
    """What a pair is given in the expected network, and a dense sample of its size."""
    given = {layer: walk.values[layer] for layer in dict.fromkeys((*outside_inputs(pair.expected), *pair.feeds))}
    played, _ = play(pair.expected, given)
    part = Part(pair, tuple(played), tuple(given[feed] for feed in pair.feeds))
    output = played[-1].output
    dense = dense_inputs(part, dense_shapes(part, "real"), output.dtype, walk.seed)
    last = pair.expected[-1].layer
    return [Sample(given, walk.gradients[last]), Sample(dense, covector(output, walk.seed, last))]


def _with_line(one: Finding) -> Finding:
    """The finding with the line of code it names, as far as it can be read."""
    path, _, line = (one.source or "").rpartition(":")
    return replace(one, text=linecache.getline(path, int(line)).strip() if path and line.isdigit() else "")
