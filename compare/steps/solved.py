"""Hyperparameters solved for: where a step is a sum of few known directions, how much of each there is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from layerdiff.compare.steps.judge_steps import Moved
from layerdiff.compare.steps.mover import Training
from layerdiff.compare.steps.torch_optimisers import Rehearsal
from layerdiff.compare.steps.trials import Trial, defaults, with_values
from layerdiff.compare.trace import Array

__all__ = ["solved"]

_Spec = tuple[str, dict[str, Any]]

_CLEAR = 1e-7
"""Values count of which rounding explains less than this part of the longest way."""
_DIGITS = 7
"""What is left of a solution's digits, at least, where values are that clear."""
_NOTHING = 1e-9
"""A weight decay below this is what rounding leaves of none."""


def solved(training: Training, names: Sequence[str], moves: Sequence[Moved]) -> Iterator[Trial]:
    """The expected optimiser with the learning rate, the weight decay or the momentum that the steps tell."""
    spec = training.name, defaults(training.spec)
    values = spec[1]
    if training.name in {"sgd", "adamw"}:
        yield from _rate_and_decay(spec, names, moves)
    elif values["lr"]:
        first = moves[0]
        ratio = _amounts([first.after[n] - first.before[n] for n in names], [], names, first)
        if ratio is not None:
            yield with_values(spec, {"lr": _round(ratio[0] * values["lr"])})
    if training.name == "sgd" and len(moves) > 1 and values["lr"]:
        yield from _momentum(spec, names, moves)


def _rate_and_decay(spec: _Spec, names: Sequence[str], moves: Sequence[Moved]) -> Iterator[Trial]:
    """From the first step: SGD and AdamW move by lr times a direction, and by lr · weight_decay times the weight."""
    first = moves[0]
    like = {name: first.before[name] for name in names}
    alone = Rehearsal(like, (spec[0], {**spec[1], "lr": 1.0, "weight_decay": 0.0}))
    gradients = {name: first.gradients[name] for name in names if name in first.gradients}
    moved = alone.step(like, gradients, alone.first).parameters
    found = _amounts([moved[n] - like[n] for n in names], [like[n] for n in names], names, first)
    if found is None:
        return
    lr, decay = _round(found[0]), _round(-found[1] / found[0]) if found[0] else 0.0
    decay = 0.0 if abs(decay) < _NOTHING else decay
    if lr <= 0 or decay < 0:
        return
    if spec[1]["weight_decay"] and decay and abs(lr * decay / (spec[1]["lr"] * spec[1]["weight_decay"]) - 1) < 1e-6:
        yield _larger(spec, _round(lr / spec[1]["lr"]))
    changed = {key: value for key, value in (("weight_decay", decay), ("lr", lr)) if value != spec[1][key]}
    if changed:
        yield with_values(spec, changed)


def _larger(spec: _Spec, factor: float) -> Trial:
    """The expected optimiser on gradients times a factor."""
    return Trial(
        "J10", f"the gradients are {factor:.6g} times as large, and the weight decay is not",
        "average the loss over the pictures, and leave no factor of mixed precision",
        lambda like: Rehearsal(like, spec),
        lambda moves, number: {name: factor * array for name, array in moves[number].gradients.items()},
    )  # fmt: skip


def _momentum(spec: _Spec, names: Sequence[str], moves: Sequence[Moved]) -> Iterator[Trial]:
    """From the second step, whose velocity is momentum times the first one's gradient and one more."""
    one, two = moves[0], moves[1]
    names = [name for name in names if name in one.gradients and name in two.gradients]
    lr, decay = spec[1]["lr"], spec[1]["weight_decay"]
    new = {n: -lr * (two.gradients[n] + decay * two.before[n]) for n in names}
    old = [-lr * (one.gradients[n] + decay * one.before[n]) for n in names]
    rest = [two.actual[n] - two.before[n] - new[n] for n in names]
    basis = np.concatenate([array.ravel() for array in old])
    size = float((basis**2).sum())
    if size:
        momentum = _round(float((basis * np.concatenate([array.ravel() for array in rest])).sum()) / size)
        # Nobody means a momentum of 1; gradients that are never set to zero act so, and are tried later.
        if momentum != spec[1]["momentum"] and 0 <= momentum < 1:
            yield with_values(spec, {"momentum": momentum})


def _amounts(direction: list[Array], weights: list[Array], names: Sequence[str], move: Moved) -> list[float] | None:
    """How much of a direction, and of the weights where they are given, the candidate's step is made of."""
    step = np.concatenate([(move.actual[name] - move.before[name]).ravel() for name in names])
    floor = np.concatenate([move.floor[name].ravel() for name in names])
    clear = floor < _CLEAR * float(np.abs(step).max(initial=0.0))
    columns = [np.concatenate([array.ravel() for array in part])[clear] for part in (direction, weights) if part]
    sizes = [float(np.linalg.norm(column)) for column in columns]
    if not clear.any() or not all(sizes):
        return None
    matrix = np.stack([column / size for column, size in zip(columns, sizes, strict=True)], axis=1)
    amounts, *_ = np.linalg.lstsq(matrix, step[clear], rcond=None)
    return [float(amount) / size for amount, size in zip(amounts, sizes, strict=True)]


def _round(value: float) -> float:
    """The value, freed of the rounding it was solved with, where a number of few digits lies as near as that."""
    short = float(f"{value:.{_DIGITS}g}")
    return short if abs(short - value) <= 10.0**-_DIGITS * abs(value) else value
