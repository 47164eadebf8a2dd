"""Some steps of training of one candidate, judged, and put into its report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from layerdiff.compare.result import Report
from layerdiff.compare.steps.causes import Frozen, causes_of_steps
from layerdiff.compare.steps.judge_steps import Moved, judge_steps
from layerdiff.compare.steps.mover import Mover, State, Training
from layerdiff.compare.steps.torch_mover import TorchMover
from layerdiff.compare.trace import Array, Trace
from layerdiff.compare.transfer import Carried
from layerdiff.compare.verdict import settle
from layerdiff.compare.yardstick import generator
from layerdiff.errors import InputError

__all__ = ["with_steps"]


def with_steps(
    report: Report,
    training: Training,
    expected: Trace,
    network: Any,
    x: Array,
    *,
    carried: Sequence[Carried] = (),
    seed: int = 0,
    diagnose: bool = True,
    on_step: Callable[[str], None] | None = None,
) -> Report:
    """The report with what some steps of training make of `network`, settled.

    Args:
        report: of the way there.
        training: what it is held against.
        expected: the reference, captured on `x`: how many classes there are.
        network: the candidate, with its weights; stays as it is.
        x: (n, c, h, w) float32, the batch of every step.
        carried: where the expected network's tensors are in the candidate.
        seed: of the labels and of the copy's roundings.
        diagnose: look for the causes of what is different.
        on_step: called before each step with which it is, in words.

    Raises:
        InputError: the expected network cannot be trained on `x`.
    """
    if report.crash is not None:
        return settle(replace(report, doubts=(*report.doubts, "it was not trained: it raises")))
    if expected.until is not None:
        raise InputError(
            f"steps: the whole network is trained, got --until {expected.until}", help="leave one of the two out"
        )
    if expected.returned is None or expected.returned.ndim != 2:
        raise InputError("steps: the expected network gives no classes to learn, expected (n, classes)")
    labels = generator(seed, "labels", "steps").integers(0, expected.returned.shape[1], len(x)).astype(np.int64)

    def tell(number: int) -> None:
        if on_step is not None:
            on_step(f"step {number} of {training.count} of training")

    try:
        actual = _mover(training, network)
        steps, moves = judge_steps(training, actual, x, labels, carried=carried, seed=seed, on_step=tell)
    except InputError:
        raise
    except Exception as error:
        first = (str(error).splitlines() or ["no message"])[0]
        doubt = f"it was not trained: {type(error).__name__}: {first}"
        return settle(replace(report, doubts=(*report.doubts, doubt)))
    report = settle(replace(report, steps=steps))
    if not diagnose or report.steps is None:
        return report
    found = causes_of_steps(report.steps, moves, training, _again(training, moves, x, labels, told=actual.open))
    return replace(report, findings=(*report.findings, *found))


def _mover(training: Training, network: Any) -> Mover:
    if hasattr(network, "named_modules"):
        return TorchMover(network, training.spec, step=training.step)
    if training.numpy is None:
        raise InputError(f"steps: cannot be trained, got {type(network).__name__}, expected a torch network")
    return training.numpy(network)


def _again(training: Training, moves: Sequence[Moved], x: Array, labels: Array, *, told: bool) -> Frozen:
    """Runs the expected steps once more, each from its state, with some modules in eval mode."""

    def again(modules: Collection[str]) -> Sequence[State]:
        mover = TorchMover(training.network(), training.spec, frozen=modules)
        own = mover.state()
        found = []
        for move in moves:
            mover.load({name: move.before[name] for name in own})
            if told:
                mover.remember(move.before)
            mover.step(x.astype(np.float64), labels)
            found.append(mover.state())
        return found

    return again
