"""The lines of somebody's code around a place in it."""

from __future__ import annotations

import linecache

from layerdiff.compare.evidence.records import Line

__all__ = ["lines_around"]

_LONGEST = 500


def lines_around(source: str | None, reach: int = 4) -> tuple[Line, ...]:
    """The line that `file:line` names with `reach` lines on both sides; none where the file cannot be read.

    A line of more than 500 characters is cut.
    """
    path, _, number = (source or "").rpartition(":")
    if not path or not number.isdigit():
        return ()
    lines, at = linecache.getlines(path), int(number)
    if not 1 <= at <= len(lines):
        return ()
    first = max(at - reach, 1)
    around = lines[first - 1 : at + reach]
    return tuple(Line(first + i, _cut(line.rstrip("\r\n"))) for i, line in enumerate(around))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
