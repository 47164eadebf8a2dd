"""Why shapes do not fit, in lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from layerdiff.compare.shape_errors.explanation import Explanation

__all__ = ["explained", "wrapped"]

_DETAILED = 5


def explained(explanation: Explanation, width: int) -> Iterator[str]:
    """An explanation, line by line, what is wrong earlier first."""
    if explanation.cause is None:
        yield from _lines("because   ", explanation, width)
        return
    yield from _lines("first     ", explanation.cause, width)
    yield ""
    yield from _lines("then      ", explanation, width)


def _lines(head: str, explanation: Explanation, width: int) -> Iterator[str]:
    code = f"{explanation.code}: " if explanation.code else ""
    yield from wrapped(head, code + explanation.title, width)
    if explanation.arithmetic:
        yield from wrapped("sum       ", explanation.arithmetic, width)
    for line in explanation.evidence[:_DETAILED]:
        yield from wrapped("evidence  ", line, width)
    if explanation.source:
        # A path is not broken: who copies it needs it whole.
        yield f"where     {explanation.source}"
    if explanation.text:
        yield from wrapped("          ", explanation.text, width)
    yield from wrapped("change    ", explanation.change, width)


def wrapped(head: str, text: str, width: int) -> list[str]:
    """A text in lines of `width` columns, indented by its head."""
    return textwrap.wrap(
        head + text, width, subsequent_indent=" " * len(head), break_long_words=False, break_on_hyphens=False
    )
