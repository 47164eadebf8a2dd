"""What a supervised process tells its supervisor: what it is about, that it goes on, and that it is done.

All of it does nothing in a process that nobody supervises. It must do without torch.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Iterator

__all__ = ["ENVIRONMENT", "at", "finished", "heartbeat", "is_supervised", "stage"]

ENVIRONMENT = "LAYERDIFF_SUPERVISED"
"""The variable that marks a supervised process: the pipe's descriptor, a token, and the supervisor's process id."""


class _Line:
    """The pipe to the supervisor, and the stage that it was last told of."""

    def __init__(self, descriptor: int, token: str) -> None:
        self.now: tuple[str, str | None] = ("start", None)
        self._descriptor = descriptor
        self._token = token
        self._process = os.getpid()

    def tell_stage(self, doing: str, of: str | None) -> None:
        self.now = (doing, of)
        self._send("stage", doing, of)

    def tell_step(self, step: str | None) -> None:
        self._send("step", step)

    def tell_end(self, code: int) -> None:
        self._send("end", self._token, code)

    def _send(self, *message: object) -> None:
        if os.getpid() != self._process:
            # A fork that somebody's code made does not speak for us.
            return
        # Whoever hears nothing more takes it for a failure, so a broken pipe needs no word here.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, json.dumps(message).encode() + b"\n")


def is_supervised() -> bool:
    """Whether a supervisor started this process."""
    return _line() is not None


def stage(doing: str, *, of: str | None = None) -> None:
    """Tell the supervisor what is done from now on.

    Args:
        doing: a noun that can follow "its": `import`, `building`, `forward pass`, `judgement`.
        of: whose code runs in it, such as `net.py:build`; it is then given only so long until the next stage or
            heartbeat. None for our own work, which may take its time.
    """
    line = _line()
    if line is not None:
        line.tell_stage(doing, of)


@contextlib.contextmanager
def at(doing: str, *, of: str | None = None) -> Iterator[None]:
    """`stage` for the length of a block; afterwards the supervisor is told the one before again."""
    line = _line()
    if line is None:
        yield
        return
    before = line.now
    line.tell_stage(doing, of)
    try:
        yield
    finally:
        line.tell_stage(*before)


def heartbeat(step: str | None = None) -> None:
    """Tell the supervisor that the stage goes on, and with what: a layer's id, for instance."""
    line = _line()
    if line is not None:
        line.tell_step(step)


def finished(code: int) -> None:
    """Tell the supervisor that we, and nobody else, end this process, and with which exit code."""
    line = _line()
    if line is not None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        line.tell_end(code)


@functools.cache
def _line() -> _Line | None:
    # Taken out, so that nothing we start takes itself for supervised.
    words = os.environ.pop(ENVIRONMENT, "").split()
    if len(words) != 3:
        return None
    descriptor, token, parent = int(words[0]), words[1], int(words[2])
    os.set_inheritable(descriptor, False)
    _end_with(parent)
    return _Line(descriptor, token)


def _end_with(parent: int) -> None:
    """Have the system end this process when its supervisor is killed, where it can (Linux)."""
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
