"""Where the command begins: Ctrl-C is met before anything of it is imported, which takes a moment."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

from layerdiff.candidate.stages import ENVIRONMENT

__all__ = ["main"]


def main() -> None:
    """Run the command and exit with its code."""
    # Whoever started us with it ignored, as nohup and a script's `&` do, wants it ignored.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave_at_once)
    from layerdiff.command.main import main as command

    command()


def _leave_at_once(number: int, frame: FrameType | None) -> None:
    # Nothing has been begun that would have to be tidied up. Of a supervised process its supervisor speaks.
    if ENVIRONMENT not in os.environ:
        with contextlib.suppress(OSError):
            os.write(2, b"interrupted: no file was written\n")
    os._exit(130)
