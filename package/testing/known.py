"""Differences that are known and accepted, in a TOML file: no test fails for them, and one does once they are gone."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerdiff.errors import InputError

__all__ = ["Known", "read_known"]

_KEYS = ("test", "layer", "reason", "code")
_EXAMPLE = '[[known]] with test = "tests/test_net.py::test_same", layer = "layer2.0.bn1", reason = "why"'


@dataclass(frozen=True)
class Known:
    """One accepted difference.

    Attributes:
        test: the test's node id; of a per-layer test without the layer.
        layer: the place of the difference: a layer's id, or another of `Difference.place`.
        reason: why it is accepted.
        code: of the cause it must have; empty for any.
        where: the file, and which of its entries this is, for messages.
    """

    test: str
    layer: str
    reason: str
    code: str
    where: str


def read_known(path: Path) -> tuple[Known, ...]:
    """The accepted differences in a file: a list of tables `known`, each with `test`, `layer`, `reason`, maybe `code`.

    Raises:
        InputError: no such file, no TOML, or entries that are not such tables or are there twice; all of them named.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read, got {error.strerror}, expected known differences") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML, got {error}", help=_EXAMPLE) from None
    tables = content.pop("known", [])
    if content or not isinstance(tables, list):
        got = ", ".join(content) or type(tables).__name__
        raise InputError(f"{path}: not a list of known differences, got {got}, expected {_EXAMPLE}")
    problems = [f"entry {i}: {problem}" for i, one in enumerate(tables, 1) if (problem := _problem(one))]
    if problems:
        raise InputError(f"{path}: {problems[0]}", notes=problems[1:], help=_EXAMPLE)
    entries = [
        Known(one["test"], one["layer"], one["reason"], one.get("code", ""), f"{path.name}: entry {i}")
        for i, one in enumerate(tables, 1)
    ]
    _refuse_doubles(path, entries)
    return tuple(entries)


def _problem(table: Mapping[str, Any] | Any) -> str:
    if not isinstance(table, Mapping):
        return f"not a table, got {table!r}"
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        return f"no such key, got {', '.join(unknown)}, expected {', '.join(_KEYS)}"
    wrong = [key for key in _KEYS if not isinstance(table.get(key, ""), str) or not table.get(key, key == "code")]
    return f"expected text, got none for {', '.join(wrong)}" if wrong else ""


def _refuse_doubles(path: Path, entries: list[Known]) -> None:
    seen: dict[tuple[str, str, str], str] = {}
    for one in entries:
        key = (one.test, one.layer, one.code)
        if key in seen:
            raise InputError(f"{path}: there twice, got {one.layer} of {one.test} in {seen[key]} and {one.where}")
        seen[key] = one.where
