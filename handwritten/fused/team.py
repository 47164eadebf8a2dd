"""Threads that work in step: each has its calls, and between two phases they wait for each other.

NumPy lets go of the interpreter's lock while it computes, so Python threads compute at the same time. They wait by
handing each other locks: for every pair one that is held, until the one thread releases it and the other one takes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

__all__ = ["Phase", "Team"]

Phase = tuple[tuple[Callable[[], object], ...], ...]
"""For each thread what it calls, one after the other."""


class Team:
    """Runs phases in `size` threads, of which the caller's is the first.

    Args:
        size: threads, at least 1.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._others = ThreadPoolExecutor(size - 1, thread_name_prefix="fused") if size > 1 else None

    def run(self, phases: Sequence[Phase]) -> None:
        """Does all calls of a phase before the first of the next one.

        Raises:
            Exception: the first that a call raised; the calls after it are left out.
        """
        if self._others is None:
            for (calls,) in phases:
                for do in calls:
                    do()
            return
        meeting = _Meeting(self.size)
        others = [self._others.submit(meeting.work, phases, thread) for thread in range(1, self.size)]
        meeting.work(phases, 0)
        for other in others:
            other.result()
        if meeting.errors:
            raise meeting.errors[0]


class _Meeting:
    """One run of a team: who waits for whom, and what went wrong."""

    def __init__(self, size: int) -> None:
        self.errors: list[BaseException] = []
        self._size = size
        # Two of each, for even and odd phases: a thread may be done with the next phase before another one has taken
        # note of this one, but not with the one after it.
        self._done = {
            (parity, a, b): threading.Lock() for parity in (0, 1) for a in range(size) for b in range(size) if a != b
        }
        for lock in self._done.values():
            lock.acquire()

    def work(self, phases: Sequence[Phase], thread: int) -> None:
        """What one of the threads does."""
        others = [other for other in range(self._size) if other != thread]
        release = [[self._done[parity, thread, other].release for other in others] for parity in (0, 1)]
        acquire = [[self._done[parity, other, thread].acquire for other in others] for parity in (0, 1)]
        for number, phase in enumerate(phases):
            # A thread that gave up keeps on meeting the others: they would wait for it for ever.
            try:
                if not self.errors:
                    for do in phase[thread]:
                        do()
            except BaseException as error:
                self.errors.append(error)
            for let_go in release[number % 2]:
                let_go()
            for wait in acquire[number % 2]:
                self._wait(wait)

    def _wait(self, wait: Callable[[], bool]) -> None:
        while True:
            try:
                wait()
            except KeyboardInterrupt as error:
                self.errors.append(error)
            else:
                return
