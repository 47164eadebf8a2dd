"""Which specs name somebody's code, which is then run in a process that is watched."""

from __future__ import annotations

from collections.abc import Iterable

from layerdiff.candidate.spec import parse_spec

__all__ = ["runs_foreign_code"]


def runs_foreign_code(actual: Iterable[str], expected: str | None = None) -> bool:
    """Whether one of `actual`, or `expected`, names a Python file or module.

    Raises:
        InputError: one of them is no spec.
    """
    named = [parse_spec(spec, option="actual") for spec in actual]
    if expected is not None:
        named.append(parse_spec(expected, option="expected"))
    return any(spec.kind in {"file", "module"} for spec in named)
