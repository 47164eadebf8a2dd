"""Steps of training compared: both networks are moved once from one state, and every tensor is held against its twin.

Each step begins at the expected network's state, so that a mistake of one step is seen in that step, and what it leads
to later is not mistaken for others. All of it runs in float64: what float32 makes of a gradient in deep layers hides
mistakes. What rounding may do is measured in `rounding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.metrics import measure
from layerdiff.compare.result import Measure, Steps, StepTensor
from layerdiff.compare.steps.homes import Homes, homes_of
from layerdiff.compare.steps.mover import Mover, State, Training
from layerdiff.compare.steps.rounding import Spread, sway
from layerdiff.compare.steps.torch_mover import TorchMover
from layerdiff.compare.steps.torch_optimisers import Rehearsal
from layerdiff.compare.trace import Array
from layerdiff.compare.transfer import Carried
from layerdiff.errors import InputError

__all__ = ["Moved", "judge_steps"]


@dataclass(frozen=True)
class Moved:
    """What one step made of every tensor.

    Attributes:
        before: the expected state, and what the optimiser remembered.
        after: of the expected network.
        actual: of the candidate, in the expected layout; tensors that it has not are left out.
        floor: the largest error that rounding explains, in the tensor's shape, by tensor.
        gradients: of the expected network in this step, by parameter.
        granted: how far rounding may carry each gradient.
        own_gradients: of the candidate, in the expected layout, where they are known.
    """

    before: State = field(repr=False)
    after: State = field(repr=False)
    actual: State = field(repr=False)
    floor: Mapping[str, Array] = field(repr=False)
    gradients: State = field(repr=False)
    granted: Mapping[str, float] = field(repr=False)
    own_gradients: State = field(repr=False)


@dataclass(frozen=True)
class _Side:
    """All that moves along, and keeps its state from step to step."""

    expected: Mover
    copy: Mover
    spread: Spread
    actual: Mover
    homes: Homes


def judge_steps(
    training: Training,
    actual: Mover,
    x: Array,
    labels: Array,
    *,
    carried: Sequence[Carried] = (),
    seed: int = 0,
    on_step: Callable[[int], None] = lambda number: None,
) -> tuple[Steps, list[Moved]]:
    """What each step makes of every tensor of the candidate, beside the expected network's; not settled.

    Args:
        training: the reference with its optimiser, and how many steps.
        actual: the candidate; is moved.
        x: (n, c, h, w) float32, the batch of every step.
        labels: (n,) class numbers.
        carried: where the expected network's tensors are in the candidate; under the same names unless given.
        seed: of the roundings by which copies of the reference are moved.
        on_step: called before each step with its number, from 1 on.

    Raises:
        InputError: the expected network cannot be trained on `x`, or becomes NaN.
        Exception: whatever the candidate raises.
    """
    expected, copy = (TorchMover(training.network(), training.spec, blurred=blurred) for blurred in (False, True))
    state = expected.state()
    learned = {name: state[name] for name in expected.learned()}
    spread = Spread(Rehearsal(learned, training.spec), told=actual.open)
    side = _Side(expected, copy, spread, actual, homes_of(carried, state))
    moves = []
    for number in range(1, training.count + 1):
        on_step(number)
        moves.append(_move(side, x.astype(np.float64), labels, f"{seed}.{number}"))
    # What a training step of somebody's own remembers nobody knows.
    known = [name for name in moves[-1].after if not _is_remembered(name, moves) or name in moves[-1].actual]
    return Steps(training.optimizer, training.count, tuple(_tensor(name, moves) for name in known)), moves


def _move(side: _Side, x: Array, labels: Array, what: str) -> Moved:
    expected, actual, homes = side.expected, side.actual, side.homes
    before, remembered = expected.state(), expected.remembered()
    own = actual.state()
    actual.load(homes.there(before, own))
    actual.remember(homes.buffers_there(remembered, own))
    _step_expected(expected, x, labels)
    after, kept, gradients = expected.state(), expected.remembered(), expected.gradients()
    _refuse_diverged(after)
    explained = sway(side.copy, before, after, gradients, x, labels, what)
    parameters = {name: before[name] for name in expected.learned()}
    _, floor = side.spread.step(parameters, gradients, explained.gradients)
    floor |= {name: np.full(after[name].shape, value) for name, value in explained.running.items()}
    actual.step(x, labels)
    found = homes.back(actual.state(), after) | homes.buffers_back(actual.remembered(), kept)
    theirs = homes.back(actual.gradients(), gradients)
    return Moved(before | remembered, after | kept, found, floor, gradients, explained.gradients, theirs)


def _step_expected(expected: Mover, x: Array, labels: Array) -> None:
    try:
        expected.step(x, labels)
    except Exception as error:
        first = (str(error).splitlines() or ["no message"])[0]
        raise InputError(
            f"steps: the expected network raises in training, got {type(error).__name__}: {first}",
            help="a batch norm in training needs more than one value a channel: larger pictures, or --batch 2",
        ) from error


def _refuse_diverged(state: State) -> None:
    wrong = [name for name, array in state.items() if not np.isfinite(array).all()]
    if wrong:
        raise InputError(
            f"steps: the expected network does not train, got NaN or infinity in {len(wrong)} of its tensors, "
            f"the first {wrong[0]}",
            help="try a smaller learning rate, and weights that lack nothing",
        )


def _is_remembered(name: str, moves: Sequence[Moved]) -> bool:
    return name.rpartition(".")[0] in moves[0].before


def _tensor(name: str, moves: Sequence[Moved]) -> StepTensor:
    measures: list[Measure] = []
    problems: list[str] = []
    for number, move in enumerate(moves, 1):
        want, got = move.after[name], move.actual.get(name)
        if got is None:
            continue
        if got.shape == want.shape:
            measures.append(measure("activations", want, got.astype(want.dtype), move.floor[name]))
        else:
            problems.append(f"step {number}: got shape {got.shape}, expected {want.shape}")
    kind = "parameter" if name in moves[0].gradients else "running"
    kind = "remembered" if _is_remembered(name, moves) else kind
    return StepTensor(name, kind, tuple(measures), tuple(problems))
