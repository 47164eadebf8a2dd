"""Steps of training compared: both networks are moved once from one state, and every tensor is held against its twin.

Each step begins at the expected network's state, so that a mistake of one step is seen in that step, and what it leads
to later is not mistaken for others. All of it runs in float64: what float32 makes of a gradient in deep layers hides
mistakes.

How far rounding alone may carry two right networks apart in one step no formula says. It is simulated: copies of the
expected network start from weights and images moved by a few roundings; how far their steps differ is the floor. There
are several, since a step such as Adam's, which divides by the size of a gradient, goes astray in single values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.layouts import laid_out
from layerdiff.compare.metrics import measure
from layerdiff.compare.result import Measure, Steps, StepTensor
from layerdiff.compare.steps.mover import Mover, State
from layerdiff.compare.trace import Array
from layerdiff.compare.transfer import Carried
from layerdiff.compare.yardstick import generator

__all__ = ["Moved", "judge_steps"]

_UNIT = 2.0**-53
_MOVED_BY = 16
"""Roundings by which a copy's weights and images are moved: a layer makes about as many on its way."""
_MARGIN = 8
"""How much further than the copy a right network may go, which rounds otherwise in every operation."""


@dataclass(frozen=True)
class Moved:
    """What one step made of every tensor.

    Attributes:
        before: the expected state, and what the optimiser remembered.
        after: of the expected network.
        actual: of the candidate, in the expected layout; tensors that it has not are left out.
        floor: the largest error that rounding explains, by tensor.
        gradients: of the expected network in this step, by parameter.
    """

    before: Mapping[str, Array] = field(repr=False)
    after: Mapping[str, Array] = field(repr=False)
    actual: Mapping[str, Array] = field(repr=False)
    floor: Mapping[str, float] = field(repr=False)
    gradients: Mapping[str, Array] = field(repr=False)


def judge_steps(
    expected: Mover,
    copies: Sequence[Mover],
    actual: Mover,
    x: Array,
    labels: Array,
    *,
    optimizer: str,
    count: int,
    carried: Sequence[Carried] = (),
    seed: int = 0,
) -> tuple[Steps, list[Moved]]:
    """What `count` steps make of every tensor of the candidate, beside the expected network's; not settled.

    Args:
        expected: the reference with its optimiser; is moved.
        copies: some like it; are moved.
        actual: the candidate; is moved.
        x: (n, c, h, w) float32, the batch of every step.
        labels: (n,) class numbers.
        optimizer: in words, for the record.
        count: of the steps.
        carried: where the expected network's tensors are in the candidate; under the same names unless given.
        seed: of the roundings by which the copies are moved.
    """
    homes = {one.expected: one for one in carried} or {name: Carried(name, name) for name in expected.state()}
    moves = [_move(expected, copies, actual, x, labels, homes, seed + number) for number in range(count)]
    # What a training step of somebody's own remembers nobody knows.
    known = [name for name in moves[-1].after if not _is_remembered(name, moves) or name in moves[-1].actual]
    found = [_tensor(name, moves) for name in known]
    return Steps(optimizer, count, tuple(found)), moves


def _move(
    expected: Mover, copies: Sequence[Mover], actual: Mover, x: Array, labels: Array, homes: Mapping[str, Carried],
    seed: int,
) -> Moved:  # fmt: skip
    before, remembered = expected.state(), expected.remembered()
    actual.load(_there(before, homes, actual.state()))
    actual.remember({_renamed(name, homes): array for name, array in remembered.items()})
    images = x.astype(np.float64)
    expected.step(images, labels)
    after, kept = expected.state(), expected.remembered()
    floor = {name: _least(array) for name, array in (after | kept).items()}
    for number, copy in enumerate(copies):
        for name, drift in _drift(copy, before, remembered, after, kept, images, labels, f"{seed}.{number}").items():
            floor[name] = max(floor[name], _MARGIN * drift)
    actual.step(images, labels)
    back = _back(actual.state(), homes, after)
    own = actual.remembered()
    back |= {name: own[key] for name in kept if (key := _renamed(name, homes)) in own}
    return Moved(before | remembered, after | kept, back, floor, expected.gradients())


def _drift(
    copy: Mover, before: State, remembered: State, after: State, kept: State, images: Array, labels: Array, what: str
) -> dict[str, float]:
    """How far the step of a copy that starts some roundings away differs, at most, by tensor."""
    shifted = {name: array * _roundings(array, f"{what} {name}") for name, array in before.items()}
    copy.load(shifted)
    copy.remember(remembered)
    # In another order of the pictures the sums are made in another order: what rounding does to a sum that should be zero.
    order = generator(0, what, "order").permutation(len(labels))
    copy.step((images * _roundings(images, f"{what} images"))[order], labels[order])
    other, other_kept = copy.state(), copy.remembered()
    apart = {name: (other[name] - shifted[name]) - (after[name] - before[name]) for name in after}
    apart |= {name: other_kept[name] - kept[name] for name in kept}
    return {name: float(np.abs(array).max(initial=0.0)) for name, array in apart.items()}


def _roundings(array: Array, what: str) -> Array:
    """Factors near 1, some roundings away."""
    draws = generator(0, what, "steps").random(array.shape) * 2 - 1
    factors: Array = 1 + _MOVED_BY * _UNIT * draws
    return factors


def _least(value: Array) -> float:
    """What a tensor's own rounding explains."""
    return _MARGIN * _UNIT * float(np.abs(value).max(initial=0.0)) + float(np.finfo(np.float64).tiny)


def _there(state: Mapping[str, Array], homes: Mapping[str, Carried], own: Mapping[str, Array]) -> dict[str, Array]:
    """The expected tensors under the candidate's names, in its layouts."""
    found = {}
    for name, array in state.items():
        home = homes.get(name)
        if home is not None and home.actual in own:
            shape = own[home.actual].shape
            found[home.actual] = array if home.axes is None else laid_out(array, home.axes, shape)
    return found


def _back(own: Mapping[str, Array], homes: Mapping[str, Carried], like: Mapping[str, Array]) -> dict[str, Array]:
    """The candidate's tensors under the expected names and in the expected layouts."""
    found = {}
    for name, array in like.items():
        home = homes.get(name)
        if home is not None and home.actual in own:
            theirs = own[home.actual]
            found[name] = theirs if home.axes is None else _turned_back(theirs, home.axes, array.shape)
    return found


def _turned_back(array: Array, axes: Sequence[int], shape: tuple[int, ...]) -> Array:
    """What `laid_out` made of a tensor of `shape`, as it was."""
    if array.size != int(np.prod(shape)):
        return array
    turned: Array = array.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))
    return turned


def _renamed(name: str, homes: Mapping[str, Carried]) -> str:
    """What an optimiser remembers, `NAME.BUFFER`, under the candidate's name."""
    parameter, _, buffer = name.rpartition(".")
    return f"{homes[parameter].actual}.{buffer}" if parameter in homes else name


def _is_remembered(name: str, moves: Sequence[Moved]) -> bool:
    return name.rpartition(".")[0] in moves[0].before


def _tensor(name: str, moves: Sequence[Moved]) -> StepTensor:
    measures: list[Measure] = []
    problems: list[str] = []
    for number, move in enumerate(moves, 1):
        want, got = move.after[name], move.actual.get(name)
        if got is None:
            continue
        if got.shape != want.shape:
            if got.size != want.size:
                problems.append(f"step {number}: got shape {got.shape}, expected {want.shape}")
            continue
        measures.append(measure("activations", want, got.astype(want.dtype), move.floor[name]))
    kind = "running" if name.endswith(("running_mean", "running_var")) else "parameter"
    kind = "remembered" if _is_remembered(name, moves) else kind
    return StepTensor(name, kind, tuple(measures), tuple(problems))
