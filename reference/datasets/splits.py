"""The split of a data set into images to learn from, to choose by, and to test with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerdiff.errors import InputError
from layerdiff.reference.datasets.dataset import Dataset

__all__ = ["Splits", "split"]


@dataclass(frozen=True, eq=False)
class Splits:
    """Three parts of one data set, no image in two of them.

    Args:
        train: to learn from.
        validation: to choose the best epoch by, and whatever else is chosen.
        test: looked at once, at the end.
    """

    train: Dataset
    validation: Dataset
    test: Dataset


def split(dataset: Dataset, *, train: int, validation: int, test: int, seed: int = 0) -> Splits:
    """Draws three parts of so many images, each with the classes in the proportions of the whole set.

    The images of every class are shuffled and spread evenly over one line, which is then cut. So every beginning of
    the line has of a class its share to within 1/2 + (the class's share of all) * (number of classes)/2, which is 1
    for classes of equal size, and a part, which has two ends, to within twice that.

    Args:
        dataset: what is split; images that no part needs are left out.
        train: how many images, from 1 up.
        validation: alike.
        test: alike.
        seed: the same seed gives the same parts in the same order.

    Raises:
        InputError: a count below 1, a seed below 0, or more images asked for than there are.
    """
    counts = {"train": train, "validation": validation, "test": test}
    asked = ", ".join(f"{name} {count}" for name, count in counts.items())
    if min(counts.values()) < 1 or seed < 0:
        raise InputError(
            f"split: unusable counts or seed, got {asked}, seed {seed}, expected counts from 1 up and a seed from 0 up"
        )
    if sum(counts.values()) > len(dataset):
        raise InputError(
            f"split: too few images, got {len(dataset)} for {sum(counts.values())} ({asked}), expected at most all",
            notes=[f"the data set is {dataset.source}"],
        )
    line = _spread(dataset.labels, seed)
    parts = np.split(line[: sum(counts.values())], [train, train + validation])
    taken = (
        dataset.take(part, f"{name} part of {len(part)}, seed {seed}") for name, part in zip(counts, parts, strict=True)
    )
    return Splits(*taken)


def _spread(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """All indices in a random order in which every class is spread evenly.

    Image j of the n of its class comes at (j + 1/2)/n of the line; which of several comes first there is random too.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    places = np.empty(len(labels))
    for label in np.unique(labels):
        members = labels[order] == label
        count = np.count_nonzero(members)
        places[members] = (np.arange(count) + 0.5) / count
    spread: NDArray[np.int64] = order[np.argsort(places, kind="stable")]
    return spread
