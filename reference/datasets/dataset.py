"""What every set of labelled images is, wherever it came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerdiff.errors import InputError

__all__ = ["Dataset"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images.

    Args:
        images: (n, c, h, w) float32 with n at least 1, values from 0 to 1 as they are read.
        labels: (n,) int64, the number of each image's class.
        classes: the classes' names; the label is the place in this tuple.
        source: where the images came from and what was done to them, for people to read.

    Raises:
        InputError: arrays of another shape or dtype, no images, images and labels of different number, or labels
            that are no class; all of them in one error.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        problems = list(_problems(self.images, self.labels, len(self.classes)))
        if problems:
            raise InputError(
                f"{self.source}: not a data set, got {len(problems)} problems, expected images with a label each",
                notes=problems,
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64], called: str) -> Dataset:
        """The images at `indices`, in their order; `called` says in `source` which those are."""
        return Dataset(self.images[indices], self.labels[indices], self.classes, f"{self.source}: {called}")


def _problems(images: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> list[str]:
    problems = []
    if images.ndim != 4 or images.dtype != np.float32 or images.size == 0:
        problems.append(f"images: got {images.shape} {images.dtype}, expected (n, c, h, w) float32, n at least 1")
    if labels.ndim != 1 or labels.dtype != np.int64:
        problems.append(f"labels: got {labels.shape} {labels.dtype}, expected (n,) int64")
    elif len(labels) != len(images):
        problems.append(f"labels: got {len(labels)}, expected {len(images)}, one for each image")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        problems.append(f"labels: got {wrong.size} that are no class, such as {wrong[0]}, expected 0 to {classes - 1}")
    return problems
