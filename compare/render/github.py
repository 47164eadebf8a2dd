"""The report as annotations for GitHub: one command for each cause, and for each layer that no cause explains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from layerdiff.compare.finding import Finding
from layerdiff.compare.harmless import harmless
from layerdiff.compare.render.terminal import details
from layerdiff.compare.render.words import answers, input_words
from layerdiff.compare.result import NOT_REACHED, Report, Run

__all__ = ["annotation", "render_github"]

_LEVELS = {"same": "notice", "different": "error", "unknown": "error"}


def render_github(run: Run, *, root: str = "") -> str:
    """`::error file=…,line=…,title=…::…` at the candidate's code where that is known; causes come first.

    GitHub shows ten annotations of a step, so what matters most stands first, and the answers stand before all.

    Args:
        run: with its reports settled.
        root: folder of the checkout; paths below it are given relative to it, as GitHub wants them.

    Source: GitHub's documentation, "Workflow commands for GitHub Actions".
    """
    run = harmless(run)
    lines = []
    for report in run.reports:
        said = f"{report.actual}: " + "; ".join(answers(report))
        lines.append(annotation(_LEVELS[report.verdict], "layerdiff", said))
        lines.extend(_of_report(report, root))
    return "\n".join(lines) or annotation("error", "layerdiff", "no network was judged")


def annotation(level: str, title: str, message: str, source: str | None = None, root: str = "") -> str:
    """One workflow command; `source` is `file:line`, or a file alone."""
    path, _, line = (source or "").rpartition(":")
    if not (path and line.isdigit()):
        path, line = source or "", ""
    place = {"file": _relative(path, root), "line": line, "title": title}
    properties = ",".join(f"{name}={_property(value)}" for name, value in place.items() if value)
    return f"::{level} {properties}::{_data(message)}"


def _of_report(report: Report, root: str) -> Iterator[str]:
    if report.input is not None and report.input.status == "fault":
        yield annotation("error", "layerdiff: input", input_words(report.input), report.input.source, root)
    told: set[str] = set()
    for one in sorted(report.findings, key=lambda one: not one.confirmed) if report.verdict == "different" else ():
        told.update(one.layers if one.confirmed else ())
        yield annotation("error", f"layerdiff {one.code}: {_places(one)}", _cause(one), one.source, root)
    if report.crash is not None:
        why = report.explanation
        text = report.crash if why is None else f"{report.crash}\n{why.title}\nchange: {why.change}"
        yield annotation("error", "layerdiff: forward pass", text, why.source if why else None, root)
    for layer in report.layers:
        if layer.status in {"fault", "missing", "unjudged"} and layer.layer not in told and layer.reason != NOT_REACHED:
            yield annotation("error", f"layerdiff: {layer.layer}", "\n".join(details(layer)), layer.source, root)
    for extra in report.extra:
        text = f"{extra.layer} ({extra.kind}): the candidate's own, the expected network has none"
        yield annotation("error", f"layerdiff: {extra.layer}", text, extra.source, root)
    if report.output:
        yield annotation("error", "layerdiff: output", report.output)
    for back in report.gradients.layers if report.gradients is not None else ():
        if back.status in {"fault", "missing", "unjudged"} and back.layer not in told:
            yield annotation("error", f"layerdiff: backward {back.layer}", back.reason, back.source, root)
    for tensor in report.steps.tensors if report.steps is not None else ():
        if tensor.status != "same" and tensor.name not in told:
            yield annotation("error", f"layerdiff: training {tensor.name}", tensor.reason)
    for doubt in report.doubts:
        yield annotation("warning", "layerdiff: doubt", doubt)


def _places(one: Finding) -> str:
    more = len(one.layers) - 3
    return ", ".join(one.layers[:3]) + (f" and {more} more" if more > 0 else "")


def _cause(one: Finding) -> str:
    state = f"confirmed: {one.how}" if one.confirmed else "not confirmed"
    return "\n".join([f"{one.title} [{state}]", *one.evidence[:3], f"change: {one.change}"])


def _relative(path: str, root: str) -> str:
    if root and PurePath(path).is_relative_to(root):
        return PurePath(path).relative_to(root).as_posix()
    return path


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
