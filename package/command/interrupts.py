"""Ctrl-C: always met, met once, and answered by what is true of the files that were asked for."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import click

__all__ = ["Interrupts", "StoppedError", "outcome", "watch"]

_PATIENCE = 1.0
_AGAIN = 0.05
_WATCHED = "layerdiff.watched"

_State = tuple[int, int] | None


class StoppedError(Exception):
    """The user has interrupted the command; its text says what became of the files."""


class Interrupts:
    """From now on Ctrl-C, where it is not ignored, raises KeyboardInterrupt in the main thread, whatever it is about.

    Attributes:
        came: whether there was one. What is raised after it comes of it: libraries turn it into errors of their own.
    """

    def __init__(self) -> None:
        self.came = False
        self._last = -math.inf
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._dropped
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._arrived)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        # People press it twice; the second must not spoil the tidying up after the first.
        if time.monotonic() - self._last < _PATIENCE:
            return
        self.came, self._last = True, time.monotonic()
        raise KeyboardInterrupt

    def _dropped(self, lost: Any) -> None:
        """What Python drops: an exception in a finaliser, of which an import runs many."""
        if lost.exc_type is not KeyboardInterrupt:
            self._unraisable(lost)
            return
        self._last = -math.inf
        # Not here: what is raised in this function would be dropped as well.
        main = threading.main_thread().ident or 0
        again = threading.Timer(_AGAIN, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()


def watch(path: Path) -> None:
    """Remember an output as it is now, before anything is written."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta.setdefault(_WATCHED, []).append((path, _state(path)))


def outcome(context: click.Context) -> str:
    """What is true of the watched outputs after an interruption; every one is written whole or not at all."""
    watched: Iterable[tuple[Path, _State]] = context.meta.get(_WATCHED, ())
    written = [str(path) for path, before in watched if _state(path) not in (None, before)]
    return f"interrupted: {', '.join(written)} was written, and is whole" if written else (
        "interrupted: no file was written"
    )  # fmt: skip


def _state(path: Path) -> _State:
    """What changes when a file or folder is replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
