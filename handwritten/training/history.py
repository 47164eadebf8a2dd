"""How a training went: loss and accuracy of every epoch."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from layerdiff.handwritten._checks import refusal

__all__ = ["Epoch", "History"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the images.

    Attributes:
        number: from 1.
        lr: the learning rate of its last step.
        loss: the mean over its images, each as the network was when it came to it.
        accuracy: the share that was classified rightly, alike.
        validation_loss: the mean over the validation images after the epoch.
        validation_accuracy: the share of them that is classified rightly.
    """

    number: int
    lr: float
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class History:
    """All epochs so far, in order."""

    epochs: tuple[Epoch, ...] = ()

    @property
    def best(self) -> Epoch:
        """The epoch of the highest validation accuracy; among equals of the lowest validation loss, then the first.

        Raises:
            ValueError: there is no epoch.
        """
        if not self.epochs:
            raise refusal("History.best: no epoch yet, got 0, expected 1 or more", help="train first")
        return max(self.epochs, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))

    def with_epoch(self, epoch: Epoch) -> History:
        """This history and one epoch more."""
        return History((*self.epochs, epoch))

    def to_json(self) -> str:
        """As JSON, from which the very same numbers are read back."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str) -> History:
        """What `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            return msgspec.json.decode(text, type=History)
        except msgspec.MsgspecError as error:
            raise refusal(
                f"History.from_json: not a history, got {error}, expected what to_json writes",
                help="was the text cut or edited?",
            ) from error
