"""Work that runs somebody's code, done in a child process: it may loop for ever, crash, or end the process.

This half stays in the parent. It must do without torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType

from layerdiff.candidate.stages import ENVIRONMENT
from layerdiff.errors import InputError

__all__ = ["DEFAULT_TIMEOUT", "supervised"]

DEFAULT_TIMEOUT = 120.0
"""Seconds for one import, one building, one forward pass, or one layer of the judgement."""

_POLL = 0.1
_GRACE = 3.0


@dataclass(frozen=True)
class _Progress:
    """What the child last told of itself."""

    doing: str = "start"
    of: str | None = None
    step: str | None = None
    since: float = 0.0
    code: int | None = None

    def after(self, line: bytes, token: str, now: float) -> _Progress:
        """The progress after one line of the child's; a line that is not one of ours changes nothing."""
        try:
            message = json.loads(line)
        except ValueError:
            return self
        match message:
            case ["stage", str(doing), str() | None as of]:
                return replace(self, doing=doing, of=of, step=None, since=now)
            case ["step", str() | None as step]:
                return replace(self, step=step, since=now)
            case ["end", str(got), int(code)] if got == token:
                return replace(self, code=code)
        return self


class _TerminatedError(Exception):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def supervised(arguments: Sequence[str], timeout: float | None, *, command: Sequence[str] = ()) -> int:
    """The exit code of the command with `arguments`, run in a child process that is watched.

    The child has this process's stdin, stdout and stderr, and a process group of its own, which is killed whole
    when the child is done, too slow, or no longer wanted.

    Args:
        arguments: those of the command, such as `sys.argv[1:]`.
        timeout: seconds that somebody's code may take from one stage or heartbeat to the next; None for no end.
        command: what is run with them; by default this command itself.

    Raises:
        InputError: somebody's code took longer, or the child ended without telling that it was done.
        KeyboardInterrupt: interrupted, and the child did not say so itself.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    reader, writer = os.pipe()
    token = os.urandom(8).hex()
    os.set_blocking(reader, False)
    with _terminations_raised():
        process = subprocess.Popen(
            # -P: a file of the user's own must not stand for a module of ours.
            [*(command or (sys.executable, "-P", "-m", "layerdiff")), *arguments],
            env={**os.environ, ENVIRONMENT: f"{writer} {token} {os.getpid()}"},
            pass_fds=(writer,),
            start_new_session=True,
        )
        os.close(writer)
        child = _Child(process, reader, token)
        try:
            return _watch(child, timeout)
        except KeyboardInterrupt:
            child.interrupt()
            if child.progress.code is not None:
                # It said what became of it; if it was done before, it is done.
                return child.progress.code
            raise
        except _TerminatedError:
            child.interrupt()
            raise
        finally:
            child.end()


class _Child:
    """The child process and what it told."""

    def __init__(self, process: subprocess.Popen[bytes], reader: int, token: str) -> None:
        self.process = process
        self.progress = _Progress(since=time.monotonic())
        self._reader = reader
        self._token = token
        self._unread = b""
        self._open = True

    def listen(self, seconds: float) -> None:
        """Take in what the child tells, for at most so long, until it tells something or ends."""
        if not self._open:
            # Somebody closed the pipe, but the child lives: only its end is left to see.
            time.sleep(seconds)
            return
        if not select.select([self._reader], [], [], seconds)[0]:
            return
        try:
            while chunk := os.read(self._reader, 65536):
                self._unread += chunk
            self._open = False
        except BlockingIOError:
            pass
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self.progress = self.progress.after(line, self._token, time.monotonic())

    def interrupt(self) -> None:
        """Interrupt the child, so that it can tidy up, and give it a moment for that."""
        self._signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE)
        self.listen(0)

    def end(self) -> None:
        """Kill what is left of the child's process group."""
        self._signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._reader)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def _watch(child: _Child, timeout: float | None) -> int:
    while child.progress.code is None:
        ended = child.process.poll() is not None
        child.listen(0 if ended else _POLL)
        if child.progress.code is None and ended:
            raise _died(child.progress, child.process.returncode)
        if _is_late(child.progress, timeout):
            raise _late(child.progress, timeout)
    # The result is out. Threads and exit handlers of somebody's code may still hold the process up.
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.process.wait(_GRACE)
    return child.progress.code


def _is_late(progress: _Progress, timeout: float | None) -> bool:
    if timeout is None or progress.of is None or progress.code is not None:
        return False
    return time.monotonic() - progress.since > timeout


def _late(progress: _Progress, timeout: float | None) -> InputError:
    step = f" at {progress.step}" if progress.step else ""
    return InputError(
        f"{progress.of}: its {progress.doing} took longer than {timeout:g} s{step}, and was stopped",
        help="--timeout SECONDS gives it longer; does it loop for ever, or train?",
    )


def _died(progress: _Progress, status: int) -> InputError:
    step = f" at {progress.step}" if progress.step else ""
    if status >= 0:
        how, advice = f"ended the process with status {status}", None
    else:
        how, advice = f"was killed by {_name(-status)}", None
        if -status == signal.SIGKILL:
            advice = "was it out of memory? judge less at once: --batch 1, a smaller --size, or --until"
    return InputError(f"{progress.of or 'layerdiff'}: its {progress.doing}{step} {how}, expected a result", help=advice)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextlib.contextmanager
def _terminations_raised() -> Iterator[None]:
    """SIGTERM and SIGHUP end this process as ever, but only after what is inside has tidied up."""

    def arrived(number: int, frame: FrameType | None) -> None:
        raise _TerminatedError(number)

    # Only the main thread may set handlers; elsewhere the program that called us decides.
    mine = threading.current_thread() is threading.main_thread()
    wanted = (signal.SIGTERM, signal.SIGHUP) if mine else ()
    replaced = [number for number in wanted if signal.getsignal(number) is signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, arrived)
    try:
        yield
    except _TerminatedError as error:
        signal.signal(error.number, signal.SIG_DFL)
        signal.raise_signal(error.number)
        raise
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)
