"""What is to be done in a training, and what of it a resumed one must have in common."""

from __future__ import annotations

import dataclasses
import math
import zlib
from dataclasses import dataclass

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.schedules import Schedule
from layerdiff.handwritten.training.augmentations import Augmentation
from layerdiff.handwritten.training.learner import Examples

__all__ = ["Plan", "facts"]


@dataclass(frozen=True)
class Plan:
    """How to train.

    Args:
        epochs: passes over the images, from 1 up.
        batch_size: images for each step, from 1 up.
        lr: the learning rate, or a schedule that counts steps, that is batches, from the first on.
        seed: of the order of the images and of the augmentations, from 0 up. The initial weights and a dropout have
            seeds of their own, where they are made.
        drop_last: leaves out a last batch that is not full, such as a batch of one, from which a batch norm over 1x1
            maps cannot learn.
        augment: changes each batch at random.

    Raises:
        ValueError: a number that cannot be used; all of them are named.
    """

    epochs: int
    batch_size: int
    lr: float | Schedule
    seed: int = 0
    drop_last: bool = False
    augment: Augmentation | None = None

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 1, "seed": 0} | ({"lr": 0} if isinstance(self.lr, int | float) else {})
        wrong = [name for name, low in least.items() if not low <= getattr(self, name) < math.inf]
        if wrong:
            raise refusal(
                f"Plan: unusable numbers, got {', '.join(f'{name}={getattr(self, name)}' for name in wrong)}, "
                f"expected {', '.join(f'{name} from {least[name]} up' for name in wrong)}",
                help="an epoch is one pass over all images",
            )

    def lr_at(self, step: int) -> float:
        """The learning rate after `step` steps."""
        return float(self.lr) if isinstance(self.lr, int | float) else self.lr.lr(step)


def facts(plan: Plan, training: Examples, validation: Examples) -> dict[str, str]:
    """What decides the numbers of a training besides the learner: a resumed one has to agree in all of it.

    Left out are the number of epochs, which may be raised, and what cannot be compared: an augmentation, and a
    schedule that is no dataclass.
    """
    comparable = isinstance(plan.lr, int | float) or dataclasses.is_dataclass(plan.lr)
    return {
        "seed": str(plan.seed),
        "batch_size": str(plan.batch_size),
        "drop_last": str(plan.drop_last),
        "lr": str(plan.lr) if comparable else "a schedule",
        "training images": _fingerprint(training),
        "validation images": _fingerprint(validation),
    }


def _fingerprint(examples: Examples) -> str:
    images, labels = np.ascontiguousarray(examples.images), np.ascontiguousarray(examples.labels)
    checksum = zlib.crc32(labels.data, zlib.crc32(images.data))
    return f"{'x'.join(map(str, images.shape))} {images.dtype} {checksum:08x}"
