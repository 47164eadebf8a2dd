"""The order of the images in an epoch, and their division into batches: a function of seed and epoch, no state."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops.cross_entropy import Labels
from layerdiff.handwritten.training.augmentations import Augmentation

__all__ = ["batch_count", "batches"]


def batches(
    images: Array,
    labels: Labels,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    drop_last: bool = False,
    augment: Augmentation | None = None,
) -> Iterator[tuple[Array, Labels]]:
    """Gives every image of an epoch once, in batches, in a random order of this epoch's own.

    A generator is made of `seed` and `epoch` alone: an epoch is the same however often it is begun, and whatever came
    before it.

    Args:
        images: (n, c, h, w).
        labels: (n,).
        batch_size: from 1 up; the last batch has what is left.
        seed: from 0 up.
        epoch: from 0 up.
        drop_last: leaves a last batch out that is not full. Other images are left out in each epoch.
        augment: changes each batch at random.

    Yields:
        Images (b, c, h, w) and labels (b,), copied.

    Raises:
        ValueError: no batch comes of it.
    """
    count = batch_count(len(labels), batch_size, drop_last=drop_last)
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(labels))
    for batch in range(count):
        chosen = order[batch * batch_size : (batch + 1) * batch_size]
        taken = images[chosen]
        yield taken if augment is None else augment(taken, generator), labels[chosen]


def batch_count(images: int, batch_size: int, *, drop_last: bool) -> int:
    """How many batches an epoch has.

    Raises:
        ValueError: none, or a batch size below 1.
    """
    if batch_size < 1:
        raise refusal(f"batches: unusable batch_size, got {batch_size}, expected 1 or more", help="64 is usual")
    count = images // batch_size if drop_last else -(-images // batch_size)
    if count == 0:
        raise refusal(
            f"batches: nothing to learn from, got {images} images in batches of {batch_size}"
            f"{' without the last one' if drop_last else ''}, expected a batch or more",
            help="take smaller batches, or drop_last=False",
        )
    return count
