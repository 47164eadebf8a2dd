"""The command that gives a run again, as text for its report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from layerdiff.compare.result import Run

__all__ = ["command_words", "with_command"]

_LOOKS: Mapping[str, int] = {"--output": 1, "--format": 1, "--all": 0, "--ascii": 0, "--stat": 0}
"""Options that say how a run is shown and where it goes, and how many words follow each."""


def with_command(run: Run, arguments: Sequence[str]) -> Run:
    """The run with the command that made it in its environment.

    Args:
        run: made by the command `layerdiff`.
        arguments: of that command, `sys.argv[1:]`.
    """
    return replace(run, environment={**run.environment, "command": command_words(arguments)})


def command_words(arguments: Sequence[str]) -> str:
    """The command as a shell takes it, without what makes no difference to the run itself.

    The same run has then the same bytes, wherever it was written to.
    """
    return shlex.join(("layerdiff", *_judging(arguments)))


def _judging(arguments: Sequence[str]) -> Iterator[str]:
    words = iter(arguments)
    for word in words:
        name, sign, _ = word.partition("=")
        if name not in _LOOKS:
            yield word
        elif not sign:
            for _ in range(_LOOKS[name]):
                next(words, None)
