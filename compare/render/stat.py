"""The report as its answers alone."""

from __future__ import annotations

from layerdiff.compare.harmless import harmless, no_commands
from layerdiff.compare.render.words import answers
from layerdiff.compare.result import Run

__all__ = ["render_stat"]


def render_stat(run: Run) -> str:
    """One line for each candidate, two where gradients were compared; with its name where there are several."""
    run = harmless(run)
    named = len(run.reports) > 1
    lines = [f"{report.actual}: {line}" if named else line for report in run.reports for line in answers(report)]
    return no_commands("\n".join(lines))
