"""How far rounding may carry two right networks apart in one step of training: simulated, for no formula says it.

It is in two parts. First the gradients and the running estimates: copies of the expected network start from weights and
images moved by a few roundings, take the pictures in another order, and how far theirs lie from the expected ones is
what is granted to each tensor. Then the optimiser: it is given the expected gradients, and these moved by all that is
granted, one way and the other. What becomes of a value then is granted to that value alone: Adam, which divides by the
size of a gradient, throws one that should be zero either way by the whole learning rate, and its neighbours not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.steps.mover import Mover, Outcome, State, Stepper
from layerdiff.compare.trace import Array
from layerdiff.compare.yardstick import generator

__all__ = ["COPIES", "Floors", "Spread", "Sway", "least", "sway"]

COPIES = 4
"""That all of them round alike in one sum by chance is rare; what they miss, the margin has to cover."""
_UNIT = 2.0**-53
_MOVED_BY = 16
"""Roundings by which a copy's weights and images are moved: a layer makes about as many on its way."""
_MARGIN = 8
"""How much further than the copies a right network may go, which rounds otherwise in every operation."""
_ROUNDINGS = 16
"""What an optimiser rounds of each value on its way: about a dozen operations, in whatever order."""
_BETWEEN = 2
"""An optimiser's answer need not be largest at the ends of what is granted; it is smooth in between."""
_PATTERNS = ((1, 1), (-1, -1), (1, -1), (-1, 1))
"""To which end of what is granted the gradients of odd and of even steps are moved, in memories that are not told."""

Floors = dict[str, Array]


@dataclass(frozen=True)
class Sway:
    """What rounding explains before the optimiser.

    Attributes:
        gradients: by parameter, for every value of it.
        running: by running estimate, likewise.
    """

    gradients: Mapping[str, float] = field(repr=False)
    running: Mapping[str, float] = field(repr=False)


def sway(copy: Mover, before: State, after: State, gradients: State, x: Array, labels: Array, what: str) -> Sway:
    """What rounding explains of the gradients and the running estimates of one step.

    Args:
        copy: a network like the expected one; is moved.
        before: the expected state.
        after: the expected state after the step.
        gradients: the expected ones.
        x: (n, c, h, w) float64, the batch.
        labels: (n,) class numbers.
        what: names the draws.
    """
    running = [name for name in before if name not in gradients]
    granted = {name: _MARGIN * _UNIT * _largest(array) for name, array in gradients.items()}
    kept = {name: _MARGIN * _UNIT * _largest(after[name]) for name in running}
    for number in range(COPIES):
        shifted = {name: array * _roundings(array, f"{what}.{number} {name}") for name, array in before.items()}
        copy.load(shifted)
        # In another order of the pictures the sums are other sums: what rounding leaves of one that should be zero.
        order = generator(0, f"{what}.{number}", "order").permutation(len(labels))
        copy.step((x * _roundings(x, f"{what}.{number} images"))[order], labels[order])
        theirs, state = copy.gradients(), copy.state()
        for name, gradient in gradients.items():
            granted[name] = max(granted[name], _MARGIN * _largest(theirs[name] - gradient))
        for name in running:
            apart = (state[name] - shifted[name]) - (after[name] - before[name])
            kept[name] = max(kept[name], _MARGIN * _largest(apart))
    return Sway(granted, kept)


class Spread:
    """What rounding explains of each value after an optimiser's steps, one step after another.

    Args:
        optimiser: the expected one, or any other rule.
        told: whether a right candidate is told before each step what the optimiser remembers. One that is not has what
            rounding made of all its gradients so far in its memory.
    """

    def __init__(self, optimiser: Stepper, *, told: bool) -> None:
        self._optimiser = optimiser
        self._exact = optimiser.first
        self._past = [] if told else [optimiser.first] * len(_PATTERNS)
        self._number = 0

    def step(self, parameters: State, gradients: State, granted: Mapping[str, float]) -> tuple[Outcome, Floors]:
        """What a step makes of the parameters, and how far each value of it may be off.

        Args:
            parameters: before the step.
            gradients: of the step.
            granted: how far each gradient may be off.

        Returns:
            The outcome; and by the names of parameters and of what is remembered of them, as `NAME.BUFFER`, what
            rounding explains, each in its array's shape.
        """
        rule, exact = self._optimiser, self._exact
        outcome = rule.step(parameters, gradients, exact)
        ends = {sign: {name: array + sign * granted[name] for name, array in gradients.items()} for sign in (1, -1)}
        now = _furthest(outcome, [rule.step(parameters, end, exact) for end in ends.values()])
        before = _furthest(outcome, [rule.step(parameters, gradients, memory) for memory in self._past])
        floors = {name: least(array) + _BETWEEN * (now[name] + before[name]) for name, array in _all(outcome).items()}
        self._past = [
            rule.step(parameters, ends[pattern[self._number % 2]], memory).memory
            for pattern, memory in zip(_PATTERNS, self._past, strict=False)
        ]
        self._exact, self._number = outcome.memory, self._number + 1
        return outcome, floors


def least(value: Array) -> float:
    """What a tensor's own rounding explains of each of its values."""
    return _ROUNDINGS * _UNIT * _largest(value) + float(np.finfo(np.float64).tiny)


def _roundings(array: Array, what: str) -> Array:
    """Factors near 1, some roundings away."""
    draws = generator(0, what, "steps").random(array.shape) * 2 - 1
    factors: Array = 1 + _MOVED_BY * _UNIT * draws
    return factors


def _all(outcome: Outcome) -> dict[str, Array]:
    return {**outcome.parameters, **outcome.remembered}


def _furthest(outcome: Outcome, others: Sequence[Outcome]) -> dict[str, Array]:
    """How far the furthest of some outcomes lies from one, value by value; 0 for none."""
    found = {name: np.zeros(array.shape) for name, array in _all(outcome).items()}
    for other in others:
        reached = _all(other)
        for name, far in found.items():
            np.maximum(far, np.abs(reached[name] - _all(outcome)[name]), out=far)
    return found


def _largest(array: Array) -> float:
    return float(np.abs(array).max(initial=0.0))
