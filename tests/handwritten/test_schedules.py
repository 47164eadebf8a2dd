"""Schedules give the rates of torch's, which are computed one from the other where ours are formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from layerdiff.handwritten.schedules import (
    Constant,
    CosineAnnealingLR,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    StepLR,
    WarmUp,
)

UNIT = 2.0**-53
"""The unit roundoff of float64."""


def rates(make, steps, base_lr=0.3):
    """The rates of torch's scheduler `make(optimizer)` at each of `steps` steps."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=base_lr)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def products(step):
    """The relative difference between a rate multiplied up step by step, at most once each, and a power.

    Each product rounds once; the power, within two units in the last place, and its product with the first rate round
    three times.
    """
    return (step + 3) * UNIT * 1.01


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (StepLR(0.3, 7), lambda optimizer: lr_scheduler.StepLR(optimizer, 7)),
        (StepLR(0.3, 1, 0.9), lambda optimizer: lr_scheduler.StepLR(optimizer, 1, 0.9)),
        (MultiStepLR(0.3, (1, 5, 30)), lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [1, 5, 30])),
        (MultiStepLR(0.3, (4, 9), 0.7), lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [4, 9], 0.7)),
        (ExponentialLR(0.3, 0.93), lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.93)),
        (Constant(0.3), lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda _: 1)),
    ],
    ids=lambda value: str(value) if not callable(value) else "",
)
def test_rates_that_are_multiplied_are_torchs(ours, theirs):
    """Fifty steps, to within the rounding of the products."""
    for step, expected in enumerate(rates(theirs, 50)):
        assert abs(ours.lr(step) - expected) <= products(step) * expected


@pytest.mark.parametrize("eta_min", [0.0, 0.02])
@pytest.mark.parametrize("length", [1, 2, 37])
def test_cosine_is_torchs(length, eta_min):
    """Down to `T_max` and up again, to within the rounding of torch's recursion.

    A step of the recursion rounds a difference, a quotient, a product and a sum, each at most the first rate: 4u of it.
    The cosines plus 1 cancel but for the last: an argument of up to pi that is rounded three times, the cosine and the
    sum put it off by less than 12u, of which half the range of the rate is taken, on either side, and our own formula
    rounds 4 times more. On the way down no error grows; on the way up, since step `T_max` + 1, errors grow as the
    distance from `eta_min` does, among them that of the cosine they began with.
    """
    ours = CosineAnnealingLR(0.3, length, eta_min)
    theirs = rates(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, length, eta_min), 2 * length + 1)
    lowest = ours.lr(length + 1) - eta_min
    for step, expected in enumerate(theirs):
        growth = max(1.0, (ours.lr(step) - eta_min) / lowest) if step > length + 1 else 1.0
        assert abs(ours.lr(step) - expected) <= (4 * step + 22) * UNIT * 0.3 * growth
    assert ours.lr(0) == 0.3
    assert ours.lr(length) == eta_min


@pytest.mark.parametrize("three_phase", [False, True], ids=["two-phases", "three-phases"])
@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize(
    ("total_steps", "pct_start"), [(50, 0.3), (37, 0.25), (50, 0.5), (50, 0.0), (4, 0.1), (1, 0.3)]
)
def test_one_cycle_is_torchs(total_steps, pct_start, strategy, three_phase):
    """Every step of it, to within the rounding of one formula: torch computes no rate from the one before.

    Both are given the same share of the phase that is over, by the same roundings. What differs is the order in which
    they halve, multiply and add, up to six roundings on either side of what is at most the highest rate.
    """
    kwargs = {"pct_start": pct_start, "anneal_strategy": strategy, "three_phase": three_phase, "div_factor": 10.0}
    ours = OneCycleLR(0.3, total_steps, **kwargs)
    theirs = rates(
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps, cycle_momentum=False, **kwargs),
        total_steps,
    )
    for step, expected in enumerate(theirs):
        assert abs(ours.lr(step) - expected) <= 12 * UNIT * 0.3
    assert len(theirs) == total_steps


def test_one_cycle_is_at_its_peak_where_a_phase_has_no_length():
    """Torch divides by zero where the way up ends with the first step; here it is over at once."""
    schedule = OneCycleLR(0.3, 4, pct_start=0.25)
    assert schedule.lr(0) == 0.3
    assert schedule.lr(3) == pytest.approx(0.3 / 25 / 1e4, rel=1e-9)
    with pytest.raises(ZeroDivisionError):
        lr_scheduler.OneCycleLR(torch.optim.SGD([torch.zeros(1)]), 0.3, 4, pct_start=0.25, cycle_momentum=False)


@pytest.mark.parametrize("factor", [1 / 3, 0.001, 1.0])
@pytest.mark.parametrize(
    ("after", "theirs"),
    [
        (CosineAnnealingLR(0.3, 40), lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 40)),
        (StepLR(0.3, 7), lambda optimizer: lr_scheduler.StepLR(optimizer, 7)),
        (Constant(0.3), lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda _: 1)),
    ],
    ids=["cosine", "step", "constant"],
)
def test_warm_up_is_torchs(after, theirs, factor):
    """Then the other schedule from its own first step on.

    Torch multiplies each rate of the warm-up by 1 plus a quotient: six roundings a step of what only grows. Where the
    other schedule begins, it begins anew, with the bounds above, of which that of the cosine is the largest.
    """
    ours = WarmUp(after, 10, factor)

    def both(optimizer):
        first = lr_scheduler.LinearLR(optimizer, factor, total_iters=10)
        return lr_scheduler.SequentialLR(optimizer, [first, theirs(optimizer)], [10])

    for step, expected in enumerate(rates(both, 50)):
        assert abs(ours.lr(step) - expected) <= (6 * step + 22) * UNIT * 0.3


def test_schedules_are_values():
    """Equal arguments make equal schedules, and none can be changed under way."""
    assert WarmUp(StepLR(0.1, 3), 5) == WarmUp(StepLR(0.1, 3), 5)
    assert len({StepLR(0.1, 3), StepLR(0.1, 3), StepLR(0.2, 3)}) == 2
    with pytest.raises(AttributeError):
        StepLR(0.1, 3).base_lr = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Constant(-1), "Constant: unusable schedule, got base_lr=-1, expected base_lr at least 0"),
        (lambda: Constant(np.nan), "Constant: unusable schedule, got base_lr=nan, expected base_lr at least 0"),
        (
            lambda: StepLR(-1, 0, 0),
            "StepLR: unusable schedule, got base_lr=-1, step_size=0, gamma=0, "
            "expected base_lr at least 0, step_size at least 1, gamma above 0",
        ),
        (
            lambda: MultiStepLR(0.1, (5, 5), -1),
            r"MultiStepLR: unusable schedule, got milestones=\(5, 5\), gamma=-1, "
            "expected milestones whole numbers above 0, rising, gamma above 0",
        ),
        (lambda: MultiStepLR(0.1, (0, 5)), r"MultiStepLR: unusable schedule, got milestones=\(0, 5\), expected"),
        (
            lambda: ExponentialLR(0.1, math.inf),
            "ExponentialLR: unusable schedule, got gamma=inf, expected gamma above 0",
        ),
        (
            lambda: CosineAnnealingLR(0.1, 0, -1),
            "CosineAnnealingLR: unusable schedule, got T_max=0, eta_min=-1, "
            "expected T_max at least 1, eta_min at least 0",
        ),
        (
            lambda: OneCycleLR(-1, 0, 2, "sin", 0, 0),
            "OneCycleLR: unusable schedule, got max_lr=-1, total_steps=0, pct_start=2, anneal_strategy=sin, "
            "div_factor=0, final_div_factor=0, expected max_lr at least 0, total_steps at least 1, pct_start from 0 to "
            "1, anneal_strategy cos or linear, div_factor above 0, final_div_factor above 0",
        ),
        (
            lambda: OneCycleLR(0.1, 10, 0.6, three_phase=True),
            "OneCycleLR: unusable schedule, got pct_start=0.6, expected pct_start from 0 to 0.5",
        ),
        (
            lambda: WarmUp(Constant(0.1), 0, 0),
            "WarmUp: unusable schedule, got total_iters=0, start_factor=0, "
            "expected total_iters at least 1, start_factor above 0 and up to 1",
        ),
        (lambda: OneCycleLR(0.1, 10).lr(10), "OneCycleLR.lr: no such step, got 10, expected 0 to 9"),
        *(
            (
                lambda schedule=schedule: schedule.lr(-1),
                rf"{type(schedule).__name__}.lr: no such step, got -1, expected 0",
            )
            for schedule in (
                Constant(0.1),
                StepLR(0.1, 1),
                MultiStepLR(0.1, (1,)),
                ExponentialLR(0.1, 0.9),
                CosineAnnealingLR(0.1, 5),
                OneCycleLR(0.1, 5),
                WarmUp(Constant(0.1), 5),
            )
        ),
    ],
)
def test_what_cannot_be_used_is_refused(call, message):
    """In one line that says where, what it got and what it expected."""
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert error.value.__notes__[0].startswith("help: ")
