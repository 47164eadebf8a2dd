"""Whether an optimiser, put in the place of the expected one, gives what the candidate gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from layerdiff.compare.steps.judge_steps import Moved
from layerdiff.compare.steps.rounding import Spread
from layerdiff.compare.steps.trials import Trial

__all__ = ["first_that_explains", "worst_under"]

_SOME = 4
"""Tensors that are looked at first, the smallest: most trials fail there, and cost nothing."""


def first_that_explains(
    tried: Iterator[Trial], names: Sequence[str], moves: Sequence[Moved]
) -> tuple[Trial, float] | None:
    """The first trial that gives what the candidate gave, in every value at every step, and the worst ratio then.

    Args:
        tried: in the order to be tried in.
        names: of the parameters that must be explained.
        moves: all steps.
    """
    few = sorted(names, key=lambda name: moves[0].before[name].size)[:_SOME]
    for trial in tried:
        if worst_under(trial, few, moves) <= 1 and (worst := worst_under(trial, names, moves)) <= 1:
            return trial, worst
    return None


def worst_under(trial: Trial, names: Sequence[str], moves: Sequence[Moved]) -> float:
    """The greatest quotient of the candidate's distance from a trial and what rounding explains; it stops above 1."""
    spread = Spread(trial.make({name: moves[0].before[name] for name in names}), told=False)
    worst = 0.0
    for number, move in enumerate(moves):
        given = trial.gradients(moves, number)
        gradients = {name: given[name] for name in names if name in given}
        before = {name: move.before[name] for name in names}
        with np.errstate(all="ignore"):
            outcome, floors = spread.step(before, gradients, move.granted)
            ratios = [np.abs(move.actual[name] - outcome.parameters[name]) / floors[name] for name in names]
        worst = max(worst, *(float(ratio.max(initial=0.0)) for ratio in ratios))
        if not worst <= 1:
            return float("inf")
    return worst
