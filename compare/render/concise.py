"""The report as one line for each finding, for grep and for editors."""

from __future__ import annotations

from layerdiff.compare.render.words import answer
from layerdiff.compare.result import Run

__all__ = ["render_concise"]


def render_concise(run: Run) -> str:
    """`file:line: layer: status: reason` for each layer that is not same, then the answers."""
    lines = []
    for report in run.reports:
        for layer in report.layers:
            if layer.status in {"fault", "missing", "unjudged"}:
                lines.append(f"{layer.source or report.actual}: {layer.layer}: {layer.status}: {layer.reason}")
        lines.extend(f"{extra.source or report.actual}: {extra.layer}: extra" for extra in report.extra)
        lines.append(f"{report.actual}: {answer(report)}")
    return "\n".join(lines)
