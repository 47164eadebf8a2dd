"""Learning rates as functions of the step.

A step is whatever the caller counts, batches or epochs; the first is 0. Each schedule is a formula: the rate of a step
does not depend on those before it, so a run that is resumed needs nothing but its step.

Source: torch.optim.lr_scheduler, whose names these are and whose rates they give.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from layerdiff.handwritten._checks import refusal

__all__ = [
    "Constant",
    "CosineAnnealingLR",
    "ExponentialLR",
    "MultiStepLR",
    "OneCycleLR",
    "Schedule",
    "StepLR",
    "WarmUp",
]


class Schedule(Protocol):
    """What gives each step its learning rate."""

    def lr(self, step: int) -> float:
        """The learning rate of `step`, the first of which is 0.

        Raises:
            ValueError: there is no such step.
        """


@dataclass(frozen=True)
class Constant:
    """The same learning rate, `base_lr`, at every step."""

    base_lr: float

    def __post_init__(self) -> None:
        _check("Constant", _not_negative("base_lr", self.base_lr))

    def lr(self, step: int) -> float:
        """`base_lr`."""
        _check_step("Constant", step)
        return self.base_lr


@dataclass(frozen=True)
class StepLR:
    """`base_lr`, multiplied by `gamma` every `step_size` steps. Source: torch.optim.lr_scheduler.StepLR."""

    base_lr: float
    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _check(
            "StepLR",
            _not_negative("base_lr", self.base_lr),
            _at_least_one("step_size", self.step_size),
            _positive("gamma", self.gamma),
        )

    def lr(self, step: int) -> float:
        """`base_lr * gamma^floor(step/step_size)`."""
        _check_step("StepLR", step)
        return self.base_lr * self.gamma ** (step // self.step_size)


@dataclass(frozen=True)
class MultiStepLR:
    """`base_lr`, multiplied by `gamma` at each milestone. Source: torch.optim.lr_scheduler.MultiStepLR."""

    base_lr: float
    milestones: tuple[int, ...]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        rising = all(before < after for before, after in pairwise((0, *self.milestones)))
        _check(
            "MultiStepLR",
            _not_negative("base_lr", self.base_lr),
            _unless(rising, "milestones", self.milestones, "whole numbers above 0, rising"),
            _positive("gamma", self.gamma),
        )

    def lr(self, step: int) -> float:
        """`base_lr * gamma^(milestones up to and including step)`."""
        _check_step("MultiStepLR", step)
        return self.base_lr * self.gamma ** bisect.bisect_right(self.milestones, step)


@dataclass(frozen=True)
class ExponentialLR:
    """`base_lr`, multiplied by `gamma` at every step. Source: torch.optim.lr_scheduler.ExponentialLR."""

    base_lr: float
    gamma: float

    def __post_init__(self) -> None:
        _check("ExponentialLR", _not_negative("base_lr", self.base_lr), _positive("gamma", self.gamma))

    def lr(self, step: int) -> float:
        """`base_lr * gamma^step`."""
        _check_step("ExponentialLR", step)
        return float(self.base_lr * self.gamma**step)


@dataclass(frozen=True)
class CosineAnnealingLR:
    """Half a cosine wave from `base_lr` at step 0 down to `eta_min` at step `T_max`; after that the wave goes on, up.

    Source: Loshchilov & Hutter, "SGDR", 2016, equation 5; torch.optim.lr_scheduler.CosineAnnealingLR.
    """

    base_lr: float
    T_max: int
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        _check(
            "CosineAnnealingLR",
            _not_negative("base_lr", self.base_lr),
            _at_least_one("T_max", self.T_max),
            _not_negative("eta_min", self.eta_min),
        )

    def lr(self, step: int) -> float:
        """`eta_min + (base_lr - eta_min) * (1 + cos(pi*step/T_max))/2`."""
        _check_step("CosineAnnealingLR", step)
        return _cosine(self.base_lr, self.eta_min, step / self.T_max)


@dataclass(frozen=True)
class OneCycleLR:
    """Up from `max_lr/div_factor` to `max_lr` and down to almost nothing, within `total_steps`.

    Attributes:
        max_lr: the highest rate.
        total_steps: of the training; there is no rate for any after them.
        pct_start: the share of the steps that go up.
        anneal_strategy: how, along half a cosine wave ("cos") or a line ("linear").
        div_factor: the first rate is so many times smaller than the highest.
        final_div_factor: the last rate is so many times smaller than the first.
        three_phase: goes down to the first rate as fast as it went up, and from there to the last.

    The momentum stays as it is (torch's `cycle_momentum=False`).

    Source: Smith & Topin, "Super-Convergence", 2017; torch.optim.lr_scheduler.OneCycleLR.
    """

    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def __post_init__(self) -> None:
        share = 0.5 if self.three_phase else 1
        _check(
            "OneCycleLR",
            _not_negative("max_lr", self.max_lr),
            _at_least_one("total_steps", self.total_steps),
            _unless(0 <= self.pct_start <= share, "pct_start", self.pct_start, f"from 0 to {share}"),
            _unless(self.anneal_strategy in _ANNEAL, "anneal_strategy", self.anneal_strategy, "cos or linear"),
            _positive("div_factor", self.div_factor),
            _positive("final_div_factor", self.final_div_factor),
        )

    def lr(self, step: int) -> float:
        """Between the two ends of the phase that `step` is in, by how much of the phase is over."""
        _check_step("OneCycleLR", step, self.total_steps)
        first_step, before = 0.0, self.max_lr / self.div_factor
        for last_step, after in self._phases():
            if step <= last_step:
                break
            first_step, before = last_step, after
        length = last_step - first_step
        return _ANNEAL[self.anneal_strategy](before, after, (step - first_step) / length if length else 1.0)

    def _phases(self) -> tuple[tuple[float, float], ...]:
        """The step, perhaps between two whole ones, at which each phase ends, and the rate there."""
        initial_lr, up = self.max_lr / self.div_factor, self.pct_start * self.total_steps
        end = (float(self.total_steps - 1), initial_lr / self.final_div_factor)
        if self.three_phase:
            return (up - 1, self.max_lr), (2 * up - 2, initial_lr), end
        return (up - 1, self.max_lr), end


@dataclass(frozen=True)
class WarmUp:
    """Along a line from `start_factor` times the first rate of another schedule up to it, then that schedule.

    Attributes:
        after: the other schedule; its step 0 is step `total_iters` of this one.
        total_iters: steps of the warm-up.
        start_factor: the share of the rate to begin with; torch's usual one is a third.

    Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2; torch.optim.lr_scheduler.LinearLR, then
    `after`, in a SequentialLR.
    """

    after: Schedule
    total_iters: int
    start_factor: float = 1 / 3

    def __post_init__(self) -> None:
        _check(
            "WarmUp",
            _at_least_one("total_iters", self.total_iters),
            _unless(0 < self.start_factor <= 1, "start_factor", self.start_factor, "above 0 and up to 1"),
        )

    def lr(self, step: int) -> float:
        """`after.lr(0) * (start_factor + (1 - start_factor)*step/total_iters)`, then `after.lr(step - total_iters)`."""
        _check_step("WarmUp", step)
        if step >= self.total_iters:
            return self.after.lr(step - self.total_iters)
        return _line(self.start_factor, 1, step / self.total_iters) * self.after.lr(0)


def _line(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


_ANNEAL = {"cos": _cosine, "linear": _line}


def _check_step(where: str, step: int, total_steps: int | None = None) -> None:
    if step < 0 or (total_steps is not None and step >= total_steps):
        raise refusal(
            f"{where}.lr: no such step, got {step}, expected "
            + ("0 or more" if total_steps is None else f"0 to {total_steps - 1}"),
            help="the first step is 0, and a schedule of a known length ends with its last step",
        )


def _check(where: str, *problems: tuple[str, str] | None) -> None:
    found = [problem for problem in problems if problem]
    if found:
        raise refusal(
            f"{where}: unusable schedule, got {', '.join(got for got, _ in found)}, "
            f"expected {', '.join(expected for _, expected in found)}",
            help="rates are not negative, lengths are whole steps",
        )


def _unless(good: bool, name: str, value: object, expected: str) -> tuple[str, str] | None:
    return None if good else (f"{name}={value}", f"{name} {expected}")


def _not_negative(name: str, value: float) -> tuple[str, str] | None:
    return _unless(0 <= value < math.inf, name, value, "at least 0")


def _positive(name: str, value: float) -> tuple[str, str] | None:
    return _unless(0 < value < math.inf, name, value, "above 0")


def _at_least_one(name: str, value: int) -> tuple[str, str] | None:
    return _unless(value >= 1, name, value, "at least 1")
