"""A training's bar, on stderr while that is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Progress", "progress_bar"]


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        epoch: from 1.
        epochs: in all.
        batch: the one just learned from, from 1.
        batches: in an epoch.
        loss: the mean of this epoch so far.
        accuracy: of this epoch so far, 0 to 1.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float


@contextlib.contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Callable[[Progress], None]]:
    """A function for `train` to call after each batch; it moves a bar, which is gone at the end.

    Args:
        console: where to; stderr unless given. What is no terminal gets nothing.
    """
    from rich import progress
    from rich.console import Console

    console = console or Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def on_batch(now: Progress) -> None:
            words = f"epoch {now.epoch}/{now.epochs} loss {now.loss:.4f} accuracy {now.accuracy:.1%}"
            done = (now.epoch - 1) * now.batches + now.batch
            bar.update(task, completed=done, total=now.epochs * now.batches, description=words)

        yield on_batch
