r"""What others wrote, made harmless for whoever reads it: no sign of it may steer a terminal, a log or a page.

A layer's name, a path, a line of code and an exception's text are whatever their author wrote. A report shows them as
text: signs that are not printable (ANSI escapes, newlines, marks that turn the direction of writing) are spelled out as
Python would, `\x1b`, `\n`, `\u202e`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

__all__ = ["harmless", "harmless_json", "no_commands", "printable", "without_surrogates"]

_T = TypeVar("_T")

_SURROGATES = re.compile("[\ud800-\udfff]")
_AT_START = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_ANYWHERE = re.compile(r"##(?=\[|vso\[)")


def harmless(record: _T) -> _T:
    """The record, such as a `Run`, with every text in it printable; itself where all of them are."""
    return cast("_T", _mapped(record, printable))


def without_surrogates(record: _T) -> _T:
    """The record with what no encoding can write spelled out, as in a file name that is not UTF-8."""
    return cast("_T", _mapped(record, lambda text: _SURROGATES.sub(lambda found: _spelled(found[0]), text)))


def printable(text: str) -> str:
    """The text with every sign that is not printable spelled out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _spelled(c) for c in text)


def no_commands(text: str, *, colon: str = "\\x3a", sharp: str = "\\x23") -> str:
    """The text without lines that the log of a CI service would take for commands: `::error`, `##[group]`.

    Args:
        text: of many lines.
        colon: how the first sign of `::` is written instead.
        sharp: how the second sign of `##[` is.

    Source: GitHub's runner, which trims a line and looks for `::` at its start, and for `##[` anywhere.
    """
    return _ANYWHERE.sub(lambda _: "#" + sharp, _AT_START.sub(lambda found: found[1] + colon, text))


def harmless_json(text: str) -> str:
    """JSON that means the same, in which only printable signs and the newlines between values stand."""
    if not (text.isascii() and "\x7f" not in text):
        text = "".join(c if c == "\n" or c.isprintable() else _json_spelled(c) for c in text)
    # Outside of strings JSON has no such sign.
    return _ANYWHERE.sub(r"#\\u0023", text)


def _spelled(sign: str) -> str:
    return sign.encode("unicode_escape").decode()


def _json_spelled(sign: str) -> str:
    units = sign.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed; the same object where none is."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        new = tuple(_mapped(one, change) for one in value)
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new
    if isinstance(value, Mapping):
        return {change(key): _mapped(one, change) for key, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        old = {field.name: getattr(value, field.name) for field in fields(value)}
        found = {name: _mapped(one, change) for name, one in old.items()}
        changed = {name: one for name, one in found.items() if one is not old[name]}
        return replace(value, **changed) if changed else value
    return value
