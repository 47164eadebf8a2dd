"""Undoing a mistake: the operation that stands in the candidate's place once one thing is as expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerdiff.compare.diagnosis.walk import Stop
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import distance
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.playback import play
from layerdiff.compare.trace import Array, Op

__all__ = ["Undone", "as_one", "exchanged_for", "sampled", "undone", "undone_as", "varied"]


@dataclass(frozen=True)
class Undone:
    """The candidate's operations with one thing as expected.

    Attributes:
        ops: stand in the place of all of them; the last has the id of their last.
        how: what was run again, in words.
        ratio: the greatest quotient of error and allowance then; at most 1.
        own: whether it was the candidate's own code that ran.
    """

    ops: tuple[Op, ...]
    how: str
    ratio: float
    own: bool = False


def undone(hypothesis: Hypothesis, stop: Stop) -> Undone | None:
    """The candidate with one mistake undone, run again; None where that does not bring it within its allowance.

    Its own code runs again with the setting or parameter exchanged, where that is possible. Where it is not, and the
    model gives what the candidate gives, the model without the mistake takes its place: that is the expected operation.
    """
    op = varied(hypothesis, stop)
    result = None if op is None else undone_as(op, f"run again with {_exchanged_words(hypothesis)}", stop)
    if result is not None:
        return result
    if hypothesis.residual is not None and hypothesis.residual <= 1:
        how = "a model with just this mistake gives what it gives; without the mistake"
        return Undone(exchanged_for(stop), how, 0.0)
    return None


def undone_as(op: Op, how: str, stop: Stop) -> Undone | None:
    """The candidate's own code in another form, run again; None where that is not within its allowance.

    Args:
        op: stands in the place of the pair's operations, and takes what they take.
        how: what is different about it, in words.
        stop: of the pair.
    """
    ratio = _ratio(op, stop)
    return Undone((op,), how, ratio, own=True) if ratio <= 1 else None


def varied(hypothesis: Hypothesis, stop: Stop) -> Op | None:
    """The candidate's own operation with what the hypothesis says exchanged; None where that cannot be done."""
    if not (hypothesis.attributes or hypothesis.parameters or hypothesis.after):
        return None
    actual = stop.pair.actual
    if hypothesis.attributes or hypothesis.parameters:
        # Where a step of its own stands beside it (a padding), it is the operation itself that is run otherwise.
        of_kind = [op for op in actual if op.kind == stop.pair.expected[-1].kind] if len(actual) > 1 else list(actual)
        one = of_kind[0] if len(of_kind) == 1 else None
        run = one.vary(hypothesis.attributes, hypothesis.parameters) if one is not None and one.vary else None
        if one is None or run is None:
            return None
        changed = replace(
            one,
            run=run,
            native=False,
            attributes={**one.attributes, **hypothesis.attributes},
            parameters={**one.parameters, **hypothesis.parameters},
        )
        actual = tuple(changed if op is one else op for op in actual)
    if hypothesis.after:
        first = replace(hypothesis.after[0], inputs=(actual[-1].layer,))
        actual = (*actual, first, *hypothesis.after[1:])
    expected = stop.pair.expected[-1]
    # With something behind it, it is what was expected, and no longer what it was.
    last = replace(stop.pair.actual[-1], kind=expected.kind, attributes=expected.attributes)
    return as_one(actual, last)


def as_one(ops: Sequence[Op], last: Op) -> Op:
    """Some operations as a single one, under the id of `last`."""
    if len(ops) == 1:
        return ops[0]
    needed = outside_inputs(ops)

    def run(*inputs: Array) -> Array:
        played, _ = play(ops, dict(zip(needed, inputs, strict=True)))
        return played[-1].output

    return replace(last, inputs=needed, run=run, native=False, vary=None, in_place=False)


def exchanged_for(stop: Stop) -> tuple[Op, ...]:
    """The expected operations in the candidate's place, taking what the candidate's take."""
    expected, last = stop.pair.expected, stop.pair.actual[-1]
    needed = outside_inputs(stop.pair.actual)
    names = dict(zip(stop.pair.feeds, needed, strict=True))
    found = []
    for op in expected:
        layer = last.layer if op is expected[-1] else f"{last.layer}.{op.path.rpartition('.')[2]}"
        inputs = tuple(names.get(name, needed[0]) for name in op.inputs)
        found.append(replace(op, layer=layer, path=layer, inputs=inputs, source=last.source))
        names[op.layer] = layer
    return tuple(found)


def sampled(op: Op, stop: Stop, site: Site) -> Site | None:
    """The site with `op` in the candidate's place; None where it does not run."""
    found = []
    for sample in site.samples:
        got = _run(op, stop, sample)
        if got is None:
            return None
        found.append(replace(sample, got=got))
    dense = found[1] if len(found) > 1 else None
    return replace(site, others=(op,), real=found[0], dense=dense)


def _ratio(op: Op, stop: Stop) -> float:
    site = stop.site
    assert site is not None, "a mistake is undone where there is a site"
    worst = 0.0
    for sample, allowed in zip(site.samples, stop.allowed, strict=True):
        got = _run(op, stop, sample)
        if got is None or got.dtype != sample.want.dtype:
            return math.inf
        worst = max(worst, distance(sample.want, got, allowed))
    return worst


def _run(op: Op, stop: Stop, sample: Sample) -> Array | None:
    site = stop.site
    assert site is not None
    given = dict(zip(site.op.inputs, sample.inputs, strict=True))
    needed = outside_inputs(stop.pair.actual)
    values = {mine: given[feed] for mine, feed in zip(needed, stop.pair.feeds, strict=True)}
    try:
        with np.errstate(all="ignore"):
            played, _ = play([op], values)
    except Exception:
        # Somebody else's code with a setting it never had.
        return None
    return played[-1].output


def _exchanged_words(hypothesis: Hypothesis) -> str:
    words = [f"{name}={_plain(value)}" for name, value in hypothesis.attributes.items()]
    words += [f"the reference's {role}" for role in hypothesis.parameters]
    words += [f"{op.kind} behind it" for op in hypothesis.after]
    return " and ".join(words)


def _plain(value: object) -> str:
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return str(value)
