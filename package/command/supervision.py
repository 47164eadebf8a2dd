"""Which specs name somebody's code, which is then run in a process that is watched."""

from __future__ import annotations

from collections.abc import Iterable

from layerdiff.candidate.spec import parse_spec

__all__ = ["runs_foreign_code"]


def runs_foreign_code(specs: Iterable[str]) -> bool:
    """Whether one of `specs` names a Python file or module.

    Raises:
        InputError: one of them is no spec.
    """
    return any(parse_spec(spec).kind in {"file", "module"} for spec in specs)
