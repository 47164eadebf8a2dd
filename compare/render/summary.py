"""A run as a few lines of HTML, for a notebook: the answer, the causes, the layers at fault."""

from __future__ import annotations

import html
from collections.abc import Iterator

from layerdiff.compare.finding import Finding
from layerdiff.compare.harmless import harmless
from layerdiff.compare.render.words import answers
from layerdiff.compare.result import LayerResult, Report, Run

__all__ = ["render_summary"]

_MOST = 10
_SIGNS = {"same": "✓", "different": "✗", "unknown": "?"}


def render_summary(run: Run) -> str:
    """The run as HTML without scripts, style sheets or links; whatever somebody else wrote stands in it as text.

    Args:
        run: with its reports settled.
    """
    run = harmless(run)
    lines = [f"<p>{_text(note)}</p>" for note in run.notes]
    for report in run.reports:
        lines += _report(report)
    # A notebook would set what stands between dollars as a formula.
    return (
        '<div class="tex2jax_ignore mathjax_ignore">\n'
        + "\n".join(lines or ["<p>nothing was compared</p>"])
        + "\n</div>"
    )


def _report(report: Report) -> Iterator[str]:
    for line in answers(report):
        yield f"<p><strong>{_SIGNS[report.verdict]} {_text(line)}</strong></p>"
    yield f"<p>{_text(report.actual)}, held against {_text(report.expected)}</p>"
    for told in (report.crash, report.output, *report.doubts):
        if told:
            yield f"<p>{_text(told)}</p>"
    if report.verdict != "different":
        return
    causes = sorted(report.findings, key=lambda one: not one.confirmed)
    if causes:
        yield from ("<ul>", *map(_cause, causes[:_MOST]), *_more(len(causes), "li"), "</ul>")
    wrong = [layer for layer in report.layers if layer.status in {"fault", "missing"}]
    if wrong:
        yield "<table><thead><tr><th>layer</th><th></th><th>why</th><th>where</th></tr></thead><tbody>"
        yield from map(_row, wrong[:_MOST])
        yield "</tbody></table>"
        yield from _more(len(wrong), "p")


def _more(count: int, tag: str) -> tuple[str, ...]:
    return (f"<{tag}>and {count - _MOST} more</{tag}>",) if count > _MOST else ()


def _cause(one: Finding) -> str:
    state = "confirmed" if one.confirmed else "not confirmed"
    layers = ", ".join(one.layers[:3]) + (f" and {len(one.layers) - 3} more" if len(one.layers) > 3 else "")
    where = f" ({_text(one.source)})" if one.source else ""
    return f"<li>{_text(one.code)} {_text(one.title)} ({state}) at {_text(layers)}{where}; {_text(one.change)}</li>"


def _row(layer: LayerResult) -> str:
    cells = (layer.layer, layer.status, layer.reason, layer.source or "")
    return "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>"


def _text(text: str) -> str:
    return html.escape(text)
