"""What the training loop asks of a network with its optimiser, and of images with their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops.cross_entropy import Labels

__all__ = ["Examples", "Learner", "State", "check_examples"]

State = dict[str, NDArray[Any]]
"""Arrays by name: everything that training goes on from."""


class Examples(Protocol):
    """Images with a label each."""

    @property
    def images(self) -> Array:
        """(n, c, h, w), any floating dtype."""

    @property
    def labels(self) -> Labels:
        """(n,) class numbers from 0."""


class Learner(Protocol):
    """A network with its optimiser and its loss, from either half."""

    def train_step(self, images: Array, labels: Labels, lr: float) -> tuple[float, int]:
        """Moves the network once, in training mode.

        Args:
            images: (n, c, h, w), any floating dtype; the learner brings them to its own.
            labels: (n,).
            lr: the learning rate of this step.

        Returns:
            The loss, averaged over the batch, and how many images were classified rightly; both before the move. A
            loss that is not finite moves nothing.

        Raises:
            NonFiniteGradientError: the loss is finite and a gradient is not; nothing has moved.
            ValueError: the network cannot take such images.
        """

    def evaluate(self, images: Array, labels: Labels) -> tuple[float, int]:
        """The loss, averaged over the images, and how many are classified rightly, in eval mode; nothing moves."""

    def state(self) -> State:
        """Everything that further steps depend on, copied: the network, the optimiser, random generators.

        The network's own arrays are called `network.` and their name in its state dict.
        """

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Takes up where `state()` was asked for, or stays as it was.

        Raises:
            ValueError: the state is that of another network or optimiser; everything that does not fit is listed.
        """


def check_examples(where: str, examples: Examples) -> None:
    """Refuses what cannot be learned from.

    Raises:
        ValueError: no images, not (n, c, h, w) floating, not finite, or not one integer label for each.
    """
    images, labels = examples.images, examples.labels
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.floating) or images.size == 0:
        raise refusal(
            f"{where}: unusable images, got {images.shape} {images.dtype}, expected (n, c, h, w) floating",
            help="images are channels first, with values such as 0 to 1",
        )
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise refusal(
            f"{where}: unusable labels, got {labels.shape} {labels.dtype}, expected ({len(images)},) integers",
            help="a label is the number of a class",
        )
    wrong = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
    if wrong.size:
        raise refusal(
            f"{where}: images that are not finite, got {wrong.size} of {len(images)}, the first images[{wrong[0]}], "
            "expected numbers",
            help="a NaN in one image makes every weight NaN",
        )
