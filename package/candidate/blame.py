"""Where in somebody's code an exception was raised, and what it says."""

from __future__ import annotations

import linecache
import os
import traceback

from layerdiff.candidate.home import Home
from layerdiff.errors import InputError

__all__ = ["first_line", "is_out_of_memory", "is_own_failure", "place_in", "raised_at", "shown", "source_note"]

_LONGEST = 300


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was asked for that there is not, in Python, NumPy or torch."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))


def is_own_failure(error: BaseException) -> bool:
    """Whether an exception is a failure of the code that ran, and not one that `guard.foreign` tells of."""
    if not isinstance(error, Exception) or isinstance(error, InputError | RecursionError):
        return False
    return not is_out_of_memory(error)


def first_line(error: BaseException) -> str:
    """The first line of what an exception says."""
    try:
        text = str(error).strip()
    except Exception:
        # Its class is somebody's own as well.
        text = ""
    return (text.splitlines() or ["no message"])[0][:_LONGEST]


def raised_at(error: BaseException, home: Home) -> tuple[str, int] | None:
    """File and line of the innermost frame that is in the candidate's folder, else of one that is not ours."""
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not str(frame.f_globals.get("__name__", "")).startswith("layerdiff.")
        and not frame.f_code.co_filename.startswith("<frozen ")
    ]
    own = [place for place in frames if home.holds(place[0])]
    return next(iter(reversed(own or frames)), None)


def place_in(error: BaseException, home: Home) -> str:
    """` at net.py:12`, or nothing where it is not known."""
    found = raised_at(error, home)
    return f" at {shown(found[0])}:{found[1]}" if found else ""


def source_note(error: BaseException, home: Home) -> list[str]:
    """Where it was raised, and the line of code there; empty where that is not known."""
    found = raised_at(error, home)
    if found is None:
        return []
    return [f"raised at {shown(found[0])}:{found[1]}: {linecache.getline(*found).strip()}".removesuffix(": ")]


def shown(file: str) -> str:
    """A path as its reader would write it: from the current folder, where it lies below that."""
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative
