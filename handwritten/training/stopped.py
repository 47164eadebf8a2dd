"""A training that went astray: what is said, and what is left of it."""

from __future__ import annotations

from pathlib import Path

from layerdiff.handwritten.training.checkpoints import BEST, LAST
from layerdiff.handwritten.training.history import History

__all__ = ["TrainingStoppedError"]


class TrainingStoppedError(ValueError):
    """A loss, a gradient or a weight is no longer a finite number; going on would only spread it.

    Args:
        what: is not finite, and what was found.
        where: in the epoch.
        lr: the learning rate there.
        history: the epochs before it.
        folder: of the checkpoints, if there are any.

    Attributes:
        history: the epochs that were finished, all of finite numbers.
        epoch: the one that was not, from 1.
        checkpoint: the file of the last good state; None if no folder was given.
    """

    def __init__(self, what: str, where: str, lr: float, history: History, folder: Path | None) -> None:
        self.history = history
        self.epoch = len(history.epochs) + 1
        self.checkpoint = None if folder is None else folder / LAST
        super().__init__(f"train: stopped in epoch {self.epoch}, {where}: {what}, expected finite numbers")
        done = len(history.epochs)
        if folder is None:
            self.add_note("note: no checkpoint was kept, since no folder was given for any")
        elif done == 0:
            self.add_note(f"note: {folder / LAST} holds the state before the first epoch")
        else:
            self.add_note(f"note: {folder / LAST} holds the state after epoch {done}, all of finite numbers")
            self.add_note(f"note: {folder / BEST} holds the state after epoch {history.best.number}, the best")
        self.add_note(f"help: the learning rate was {lr:g} there; begin again with a smaller one")
