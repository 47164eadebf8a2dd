"""One epoch: a pass over the images to learn from, and the look at others that follows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops.cross_entropy import Labels
from layerdiff.handwritten.optimisers import NonFiniteGradientError
from layerdiff.handwritten.training.batches import batch_count, batches
from layerdiff.handwritten.training.history import Epoch
from layerdiff.handwritten.training.learner import Examples, Learner, State
from layerdiff.handwritten.training.plan import Plan
from layerdiff.handwritten.training.progress import Progress

__all__ = ["OnBatch", "Stray", "check_finite", "evaluate", "learn", "look"]

OnBatch = Callable[[Progress], None]


@dataclass(eq=False)
class Stray(Exception):  # noqa: N818, it never leaves the loop
    """Something that is not finite: what, where in the epoch, and at which learning rate."""

    what: str
    where: str
    lr: float


def learn(
    learner: Learner, training: Examples, plan: Plan, number: int, on_batch: OnBatch | None
) -> tuple[float, float, float]:
    """Learns from every batch of epoch `number`, counted from 1.

    Returns:
        The last learning rate, the mean loss and the accuracy.

    Raises:
        Stray: a loss or a gradient is not finite.
        ValueError: the network does not take the images.
    """
    lr = total = right = seen = 0.0
    for batch, count, images, labels in _numbered(training, plan, number):
        lr = plan.lr_at((number - 1) * count + batch - 1)
        place = f"batch {batch} of {count}"
        try:
            loss, correct = _step(learner, images, labels, lr, f"epoch {number}, {place}")
        except NonFiniteGradientError as error:
            raise Stray(f"the gradient is not finite, got it for {', '.join(error.names)}", place, lr) from error
        if not math.isfinite(loss):
            raise Stray(f"the loss is not finite, got {loss}", place, lr)
        total, right, seen = total + loss * len(labels), right + correct, seen + len(labels)
        if on_batch is not None:
            on_batch(Progress(number, plan.epochs, batch, count, total / seen, right / seen))
    return lr, total / seen, right / seen


def look(learner: Learner, validation: Examples, plan: Plan, number: int, learned: tuple[float, float, float]) -> Epoch:
    """The record of epoch `number`, once its validation loss is known to be finite.

    Raises:
        Stray: it is not.
    """
    lr, loss, accuracy = learned
    validation_loss, validation_accuracy = evaluate(learner, validation, batch_size=plan.batch_size)
    if not math.isfinite(validation_loss):
        raise Stray(f"the validation loss is not finite, got {validation_loss}", "after its last batch", lr)
    return Epoch(number, lr, loss, accuracy, validation_loss, validation_accuracy)


def evaluate(learner: Learner, examples: Examples, *, batch_size: int = 256) -> tuple[float, float]:
    """Mean loss and accuracy (0 to 1) over all examples, in eval mode, in their order."""
    total = right = 0.0
    for start in range(0, len(examples.labels), batch_size):
        labels = examples.labels[start : start + batch_size]
        loss, correct = learner.evaluate(examples.images[start : start + batch_size], labels)
        total += loss * len(labels)
        right += correct
    return total / len(examples.labels), right / len(examples.labels)


def check_finite(state: State, lr: float) -> None:
    """Refuses a state that is spoilt, even where no loss shows it: an infinite running variance makes plain zeros.

    Raises:
        Stray: arrays hold NaN or an infinity; all of them are named.
    """
    lost = [name for name, array in state.items() if not _finite(array)]
    if lost:
        raise Stray(f"what was learned is not finite, got {', '.join(lost)}", "after its last batch", lr)


def _numbered(training: Examples, plan: Plan, number: int) -> Iterator[tuple[int, int, Array, Labels]]:
    count = batch_count(len(training.labels), plan.batch_size, drop_last=plan.drop_last)
    order = batches(
        training.images,
        training.labels,
        batch_size=plan.batch_size,
        seed=plan.seed,
        epoch=number,
        drop_last=plan.drop_last,
        augment=plan.augment,
    )
    for batch, (images, labels) in enumerate(order, start=1):
        yield batch, count, images, labels


def _step(learner: Learner, images: Array, labels: Labels, lr: float, where: str) -> tuple[float, int]:
    try:
        return learner.train_step(images, labels, lr)
    except NonFiniteGradientError:
        raise
    except ValueError as error:
        if len(labels) > 1:
            raise
        refused = refusal(
            f"train: {where}: the network refuses a batch of one, got 1 image, "
            "expected 2 or more where a batch norm is left with one value per channel",
            help="drop_last=True leaves out a last batch that is not full; or take another batch_size",
        )
        refused.add_note(f"note: {error}")
        raise refused from error


def _finite(array: NDArray[Any]) -> bool:
    return not np.issubdtype(array.dtype, np.floating) or bool(np.isfinite(array).all())
