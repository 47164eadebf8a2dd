"""A small network with everything that training moves, and steps of training around it."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from layerdiff.compare.capture import capture
from layerdiff.compare.result import Report
from layerdiff.compare.steps.attach import with_steps
from layerdiff.training import asked_training

SGD = "sgd:lr=0.1,momentum=0.9,weight_decay=0.01"


def small() -> nn.Sequential:
    """A convolution with a bias that a batch norm takes away again, whose gradient is nothing but rounding."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5),
    )  # fmt: skip


def by(make, *, between=None, loss=nn.functional.cross_entropy, zero=True):
    """A training step by an optimiser of the caller's."""

    def step(network, images, labels):
        if not hasattr(network, "moves_by"):
            network.moves_by = [make(network.parameters())]
        (optimiser,) = network.moves_by
        if zero:
            optimiser.zero_grad()
        loss(network(images), labels).backward()
        if between is not None:
            between(network, optimiser)
        optimiser.step()

    return step


class Judged:
    """What is found of a candidate that is trained otherwise."""

    def __init__(self, report: Report) -> None:
        self.report, self.steps = report, report.steps
        tensors = report.steps.tensors if report.steps is not None else ()
        self.verdict = report.steps.verdict if report.steps is not None else None
        self.wrong = {one.name for one in tensors if one.status != "same"}
        self.findings = {one.code: one for one in report.findings}
        self.worst = max((m.ratio or 0 for one in tensors for m in one.measures), default=None)


def judge(step=None, *, spec=SGD, actual=None, expected=None, count=3, x=None, carried=()):
    """A candidate, trained by `step` or by the expected optimiser, beside the expected network trained by `spec`."""
    expected = small() if expected is None else expected
    actual = copy.deepcopy(expected) if actual is None else actual
    x = np.random.default_rng(0).standard_normal((4, 3, 9, 9)).astype(np.float32) if x is None else x
    training = asked_training(count, spec, lambda: expected, step)
    blank = Report("expected", "actual", ())
    return Judged(with_steps(blank, training, capture(expected.eval(), x), actual, x, carried=carried))
