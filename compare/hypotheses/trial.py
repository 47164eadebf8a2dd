"""How far a hypothesis' model is from the candidate, in units of what rounding allows the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from layerdiff.compare.allowance import allowance_together
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.rules import KIT_RULES
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.playback import play
from layerdiff.compare.trace import Array, Op

__all__ = ["distance", "residual", "tried"]


def tried(hypothesis: Hypothesis, site: Site) -> Hypothesis:
    """The hypothesis with its residual."""
    return replace(hypothesis, residual=residual(hypothesis.model, site))


def residual(model: Sequence[Op], site: Site) -> float:
    """The greatest quotient of |candidate - model| and the model's allowance over all samples of a site.

    Infinite where the model gives another shape, cannot run, or has no allowance; at most 1 where it explains the
    candidate.

    Args:
        model: takes the expected operation's inputs.
        site: what the candidate gave.
    """
    if not model:
        return math.inf
    return max(_on(model, site.op, sample) for sample in site.samples)


def _on(model: Sequence[Op], op: Op, sample: Sample) -> float:
    given = dict(zip(op.inputs, sample.inputs, strict=True))
    try:
        with np.errstate(all="ignore"):
            played, _ = play(model, {layer: given[layer] for layer in outside_inputs(model)})
            allowance = allowance_together(played, KIT_RULES)
    except (RuntimeError, ValueError, IndexError):
        # Torch refuses what cannot be: a kernel larger than its map, groups that do not divide the channels.
        return math.inf
    if allowance is None:
        return math.inf
    return distance(played[-1].output, sample.got, allowance)


def distance(expected: Array, actual: Array, allowance: Array) -> float:
    """The greatest quotient of |actual - expected| and the allowance; infinite where shapes or finiteness differ."""
    if expected.shape != actual.shape:
        return math.inf
    with np.errstate(all="ignore"):
        apart = np.abs(np.subtract(actual, expected, dtype=np.float64))
        equal = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        ratio = np.where(equal, 0.0, apart / allowance)
    return float(np.nan_to_num(ratio, nan=math.inf, posinf=math.inf).max(initial=0.0))
