"""Steps of training for a terminal: the tensors that became others, unless their cause is told."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from layerdiff.compare.result import Report

__all__ = ["moved"]

_SHOWN = 6


def moved(report: Report, width: int) -> Iterator[str]:
    """Lines on the tensors that steps of training made others of; none where all are same or explained."""
    assert report.steps is not None, "asked for only where there are steps"
    told = {name for one in report.findings if one.confirmed for name in one.layers}
    wrong = [one for one in report.steps.tensors if one.status != "same" and one.name not in told]
    # What an optimiser remembers of a parameter is wrong where that is.
    wrong = [one for one in wrong if one.kind != "remembered" or one.name.rpartition(".")[0] not in told]
    if not wrong:
        return
    yield ""
    for one in wrong[:_SHOWN]:
        yield from textwrap.wrap(
            f"training  {one.name}: {one.reason}", width, subsequent_indent=" " * 10, break_long_words=False
        )
    if len(wrong) > _SHOWN:
        yield f"and {len(wrong) - _SHOWN} more tensors; --format json has their figures"
    yield ""
