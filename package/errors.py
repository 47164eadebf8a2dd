"""The one exception the suite raises for input it cannot use."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["InputError"]


class InputError(ValueError):
    """Input that cannot be used: a line naming the place, what it got and what it expected, then notes.

    Args:
        message: `<where>: <what is wrong>, got <actual>, expected <expected>`.
        notes: further lines, printed as `note: ...` below the message.
        help: what to do about it, printed as `help: ...`.
    """

    def __init__(self, message: str, *, notes: Iterable[str] = (), help: str | None = None) -> None:
        super().__init__(message)
        for note in notes:
            self.add_note(f"note: {note}")
        if help is not None:
            self.add_note(f"help: {help}")
