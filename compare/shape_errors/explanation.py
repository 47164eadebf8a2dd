"""What an explanation says: the pattern, the arithmetic, the place, and what to change."""

from __future__ import annotations

import linecache
from dataclasses import dataclass, replace

__all__ = ["Explanation", "with_text"]


@dataclass(frozen=True)
class Explanation:
    """Why shapes do not fit, or tensors cannot be loaded.

    Attributes:
        code: `M1` to `M17`, the pattern it is; empty where it is none of them.
        title: what is wrong, in a line.
        layer: the candidate's operation or tensor it is about; empty where it is about all of them.
        arithmetic: the sum that does not come out, with its numbers.
        change: what to do about it.
        evidence: the facts it was read from, one a line.
        source: `file:line` in the candidate's code.
        text: that line.
        cause: what is wrong earlier, and may be why this is.
    """

    code: str
    title: str
    layer: str
    arithmetic: str
    change: str
    evidence: tuple[str, ...] = ()
    source: str | None = None
    text: str = ""
    cause: Explanation | None = None


def with_text(explanation: Explanation) -> Explanation:
    """The explanation with the line of code its place names, as far as that file can be read."""
    path, _, line = (explanation.source or "").rpartition(":")
    text = linecache.getline(path, int(line)).strip() if path and line.isdigit() else ""
    cause = with_text(explanation.cause) if explanation.cause is not None else None
    return replace(explanation, text=text, cause=cause)
