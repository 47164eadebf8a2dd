"""The report as one line for each finding, for grep and for editors."""

from __future__ import annotations

from layerdiff.compare.harmless import harmless, no_commands
from layerdiff.compare.render.words import answers, input_words
from layerdiff.compare.result import Run

__all__ = ["render_concise"]


def render_concise(run: Run) -> str:
    """`file:line: layer: status: reason` for each layer that is not same, then the causes and the answers."""
    run = harmless(run)
    lines = []
    for report in run.reports:
        if report.input is not None:
            lines.append(f"{report.input.source}: input: {input_words(report.input)}")
        for layer in report.layers:
            if layer.status in {"fault", "missing", "unjudged"}:
                lines.append(f"{layer.source or report.actual}: {layer.layer}: {layer.status}: {layer.reason}")
        lines.extend(f"{extra.source or report.actual}: {extra.layer}: extra" for extra in report.extra)
        if report.verdict == "different":
            for one in report.findings:
                state = "" if one.confirmed else " [not confirmed]"
                place = ", ".join(one.layers)
                lines.append(f"{one.source or report.actual}: {place}: {one.code} {one.title}{state}")
        for back in report.gradients.layers if report.gradients is not None else ():
            if back.status in {"fault", "missing", "unjudged"}:
                lines.append(f"{back.source or report.actual}: {back.layer}: backward {back.status}: {back.reason}")
        for tensor in report.steps.tensors if report.steps is not None else ():
            if tensor.status != "same":
                lines.append(f"{report.actual}: {tensor.name}: training {tensor.status}: {tensor.reason}")
        lines.extend(f"{report.actual}: {line}" for line in answers(report))
    return no_commands("\n".join(lines))
