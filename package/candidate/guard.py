"""Somebody's code at work: its prints, its exits, and what it changes that is not its own.

This is no sandbox: a candidate's code runs with its user's rights, and can do whatever they can.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from layerdiff.candidate.blame import first_line, is_out_of_memory, place_in
from layerdiff.candidate.fingerprint import Fingerprint, fingerprint, replaced, undo
from layerdiff.candidate.home import Home
from layerdiff.candidate.settings import Setting, changes, read_settings, same_randomness_after, seed_all
from layerdiff.candidate.stages import at
from layerdiff.candidate.streams import Printed, stdout_to_stderr
from layerdiff.errors import InputError

__all__ = ["Watched", "foreign"]


class Watched:
    """What was seen of somebody's code; filled when its block ends.

    Attributes:
        notes: what it did that does no harm, such as printing; everything was put back.
        harm: what it changed that could falsify a comparison; put back as well.
    """

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self.harm: tuple[str, ...] = ()


@contextlib.contextmanager
def foreign(place: str, doing: str, *, home: Home | None = None, seed: int | None = None) -> Iterator[Watched]:
    """A block in which somebody's code runs.

    Meanwhile what it prints goes to stderr and stdin is empty; a supervisor is told of the stage. Afterwards all that
    it changed of the settings of Python, torch and NumPy, and of their functions, is as it was before. Ordinary
    exceptions pass, and so does KeyboardInterrupt.

    Args:
        place: whose code it is, such as `net.py:build`.
        doing: a noun that can follow "its": `import`, `building`, `forward pass`, `judgement`.
        home: where it lives, so that it finds its neighbours.
        seed: seeds the generators of torch, NumPy and Python for it; None leaves them as they are.

    Raises:
        InputError: it ended the program, recursed without end or ran out of memory; or it changed something that
            could falsify the comparison, all of which is named.
    """
    watched, home = Watched(), home or Home(None)
    try:
        with at(doing, of=place), _contained(place, doing, watched, home, seed):
            yield watched
    except SystemExit as error:
        raise InputError(
            f"{place}: its {doing} ends the program, got exit({_code(error)}){place_in(error, home)}, "
            "expected it to go on",
            notes=watched.harm,
            help="put what a program does under: if __name__ == '__main__'",
        ) from error
    except RecursionError as error:
        raise InputError(
            f"{place}: its {doing} calls itself without end, got RecursionError: "
            f"{first_line(error)}{place_in(error, home)}",
            notes=watched.harm,
        ) from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"{place}: its {doing} ran out of memory, got {type(error).__name__}: "
            f"{first_line(error)}{place_in(error, home)}",
            notes=watched.harm,
            help="judge less at once: --batch 1, a smaller --size, or --until",
        ) from error
    if watched.harm:
        raise InputError(
            f"{place}: its {doing} changes what every network here computes with, "
            f"got {len(watched.harm)} change{'s' * (len(watched.harm) != 1)}, expected none",
            notes=watched.harm,
            help="leave them out, or undo them where they are made: the expected network runs in the same process",
        )


@contextlib.contextmanager
def _contained(place: str, doing: str, watched: Watched, home: Home, seed: int | None) -> Iterator[None]:
    harmless: list[str] = []
    with contextlib.ExitStack() as stack:
        for manager in (same_randomness_after(), warnings.catch_warnings(), _arguments_of(place)):
            stack.enter_context(manager)
        printed = Printed(sys.stderr)
        # Last of all, when what was printed has come through.
        stack.callback(lambda: _write_notes(watched, f"{place}: its {doing}", printed, home, harmless))
        stack.enter_context(stdout_to_stderr(printed))
        stack.enter_context(home.entered())
        if seed is not None:
            seed_all(seed)
        functions, settings = fingerprint(), read_settings()
        try:
            yield
        except BaseException as error:
            watched.harm = _put_back(functions, settings, harmless)
            for harm in watched.harm:
                error.add_note(f"note: {harm}")
            raise
        watched.harm = _put_back(functions, settings, harmless)


@contextlib.contextmanager
def _arguments_of(place: str) -> Iterator[None]:
    # A candidate that parses arguments when it is imported must not get ours, nor fill its folder with __pycache__.
    before = sys.argv, sys.dont_write_bytecode
    sys.argv, sys.dont_write_bytecode = [place], True
    try:
        yield
    finally:
        sys.argv, sys.dont_write_bytecode = before


def _put_back(functions: Fingerprint, settings: list[tuple[Setting, Any]], harmless: list[str]) -> tuple[str, ...]:
    """Undo every change; gives the harmful ones in words, and adds the others to `harmless`."""
    # First the functions: the settings are read and written by them.
    swapped = replaced(functions)
    undo(swapped)
    changed = changes(settings)
    for change in changed:
        change.undo()
    harmless += [swap.name for swap in swapped if not swap.harmful]
    harmless += [change.text for change in changed if not change.setting.harmful]
    harmful = [f"{swap.name} was replaced" for swap in swapped if swap.harmful]
    harmful += [f"{change.text} changed" for change in changed if change.setting.harmful]
    return tuple(dict.fromkeys(harmful))


def _code(error: SystemExit) -> str:
    return "" if error.code is None else repr(error.code)


def _write_notes(watched: Watched, subject: str, printed: Printed, home: Home, harmless: list[str]) -> None:
    changed = [*harmless, *(["sys.path"] if home.path_changed else [])]
    notes = []
    if printed.lines:
        notes.append(f"{subject} printed {printed.lines} line{'s' * (printed.lines != 1)}, which went to stderr")
    if changed:
        notes.append(f"{subject} changed {', '.join(changed)}; put back")
    watched.notes = tuple(notes)
