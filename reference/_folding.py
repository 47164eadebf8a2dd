"""Long lists in messages: the first few, then how many more."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["fold"]


def fold(items: Iterable[str], limit: int = 10) -> str:
    """Joins `items` with commas; past `limit` of them the rest is only counted: `a, b and 7 more`."""
    every = list(items)
    shown = ", ".join(every[:limit])
    return shown if len(every) <= limit else f"{shown} and {len(every) - limit} more"
