"""Somebody's code prints: what it writes to stdout goes to stderr, so that a result on stdout stays clean."""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import fcntl
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["Printed", "stdout_to_stderr"]


class Printed(io.BufferedIOBase):
    """Takes the bytes written to `sys.stdout`, hands them to stderr, and counts their lines."""

    def __init__(self, target: Any) -> None:
        super().__init__()
        self._target = target
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ends = 0
        self._unfinished = False

    @property
    def lines(self) -> int:
        """How many lines were written; a last one without an end counts."""
        return self._ends + self._unfinished

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any, /) -> int:
        """Hands `data` on."""
        content = bytes(data)
        if content:
            self._ends += content.count(b"\n")
            self._unfinished = not content.endswith(b"\n")
            if self._target is not None:
                self._target.write(self._decoder.decode(content))
                self._target.flush()
        return len(content)

    def isatty(self) -> bool:
        """Whether stderr is a terminal."""
        return self._target is not None and bool(self._target.isatty())

    def fileno(self) -> int:
        """Stdout's, which is stderr for the time being."""
        return 1


@contextlib.contextmanager
def stdout_to_stderr(printed: Printed) -> Iterator[None]:
    """Meanwhile stdout is stderr, for Python, for C and for subprocesses, and stdin is empty.

    Only what Python prints is counted. A pipe to count the rest could fill up while C holds the interpreter.
    """
    streams = sys.stdin, sys.stdout, sys.stderr
    _flush(streams[1])
    with _descriptors(), open(os.devnull, encoding="utf-8") as stdin:  # noqa: PTH123
        # Its own object, so that code which closes or reconfigures its stdout does that to nobody else's.
        buffer: Any = printed
        stdout = io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", write_through=True)
        sys.stdin, sys.stdout = stdin, stdout
        try:
            yield
        finally:
            _flush(sys.stdout)
            sys.stdin, sys.stdout, sys.stderr = streams


@contextlib.contextmanager
def _descriptors() -> Iterator[None]:
    """Descriptor 0 is empty and 1 is what 2 is; those that are closed are closed again afterwards."""
    saved = [_copy(number) for number in (0, 1)]
    opened = os.open(os.devnull, os.O_RDWR)
    null = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(opened)
    stderr = _copy(2)
    os.dup2(null, 0)
    os.dup2(null if stderr is None else stderr, 1)
    os.close(null)
    if stderr is not None:
        os.close(stderr)
    try:
        yield
    finally:
        for number, copy in enumerate(saved):
            if copy is None:
                os.close(number)
            else:
                os.dup2(copy, number)
                os.close(copy)


def _copy(number: int) -> int | None:
    """A copy of a descriptor, away from 0, 1 and 2, which may be free; None where it is closed."""
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        return None


def _flush(stream: Any) -> None:
    # Streams of somebody's own may be closed or broken.
    with contextlib.suppress(Exception):
        if stream is not None:
            stream.flush()
    # What C still holds back.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
