"""The report for a terminal: the answer last, three lines when all is same, no number ever cut."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layerdiff.compare.harmless import harmless, no_commands
from layerdiff.compare.render.explained import explained
from layerdiff.compare.render.findings import findings
from layerdiff.compare.render.gradients import gradients
from layerdiff.compare.render.steps import moved
from layerdiff.compare.render.words import answers, fold, input_words, number, share, value, worst_of
from layerdiff.compare.result import LayerResult, Measure, Report, Run, Status

__all__ = ["details", "render_terminal"]

_MARKS: dict[Status, tuple[str, str]] = {
    "same": (" ", " "),
    "fault": ("✗", "x"),
    "missing": ("✗", "x"),
    "inherited": ("↓", "v"),
    "unjudged": ("?", "?"),
}
_DETAILED = 5
_SPELLED = str.maketrans(
    {"…": "...", "⋮": ":", "×": "x", "·": "*", "√": "sqrt", "≈": "~", "≠": "!=", "≤": "<=", "≥": ">=", "→": "->",
     "²": "^2", "γ": "gamma", "β": "beta", "ε": "eps", "σ": "sigma", "±": "+-", "∞": "inf", "–": "-", "—": "-"}
)  # fmt: skip


@dataclass(frozen=True)
class _Style:
    width: int
    ascii_only: bool
    every_layer: bool


def render_terminal(run: Run, *, width: int = 80, ascii_only: bool = False, every_layer: bool = False) -> str:
    """The run as text.

    Args:
        run: with its reports settled.
        width: columns to fill at most; below what the narrowest table needs, lines grow longer instead of being cut.
        ascii_only: marks `x v ?` and three dots instead of signs beyond ASCII.
        every_layer: a row for every layer, not only those around a fault.
    """
    run = harmless(run)
    style = _Style(width, ascii_only, every_layer)
    lines = [line for note in run.notes for line in _wrapped("note: ", note, style)]
    for i, report in enumerate(run.reports):
        if i == 0 or report.expected != run.reports[i - 1].expected:
            lines.extend(_wrapped("expected  ", report.expected, style))
        lines.extend(_wrapped("actual    ", report.actual, style))
        if report.input is not None:
            lines.extend(_wrapped("input     ", f"{report.input.source}: {input_words(report.input)}", style))
        lines.extend(_body(report, style))
        if report.gradients is not None:
            told = {layer for one in report.findings if one.confirmed for layer in one.layers}
            lines.extend(gradients(report.gradients, style.width, every=style.every_layer, told=told))
        if report.steps is not None:
            lines.extend(moved(report, style.width))
        lines.extend(line for one in answers(report) for line in _answered(one, style))
    text = no_commands("\n".join(lines))
    return _plain(text) if ascii_only else text


def _plain(text: str) -> str:
    """The text in ASCII: signs spelled out, and what is in somebody's code or names escaped."""
    return text.translate(_SPELLED).encode("ascii", "backslashreplace").decode()


def _answered(text: str, style: _Style) -> list[str]:
    """An answer: one line wherever that is possible at all, and of two answers each below its own name."""
    if not text.startswith(("forward ", "backward ", "training ")):
        return [text]
    return _wrapped(text[:10], text[10:], style)


def _wrapped(head: str, text: str, style: _Style) -> list[str]:
    return textwrap.wrap(
        head + text, style.width, subsequent_indent=" " * len(head), break_long_words=False, break_on_hyphens=False
    )


def _body(report: Report, style: _Style) -> Iterator[str]:
    shown = _shown(report, style)
    if shown:
        yield ""
        yield from _table(report, shown, style)
        yield ""
    faults = [layer for layer in report.layers if layer.status in {"fault", "unjudged"} or _lost(layer, report)]
    told = {layer for one in report.findings if one.confirmed for layer in one.layers}
    # What a confirmed cause explains needs no figures of its own, but for the first.
    detailed = [layer for i, layer in enumerate(faults) if i == 0 or layer.layer not in told]
    for layer in detailed[:_DETAILED]:
        yield from details(layer)
        yield ""
    if len(detailed) > _DETAILED:
        yield f"and {len(detailed) - _DETAILED} more layers; --all lists them, --format json has their figures"
        yield ""
    yield from (f"{extra.layer}: the candidate's own, the expected network has none" for extra in report.extra)
    if report.output and any(layer.status in {"fault", "missing"} for layer in report.layers):
        yield f"and {report.output}"
    if report.crash is not None:
        yield ""
        yield from _wrapped("raised    ", report.crash, style)
        yield ""
    if report.explanation is not None:
        yield from explained(report.explanation, style.width)
        yield ""
    yield from _notes(report, style)
    causes = list(findings(report, style.width, every=style.every_layer))
    if causes:
        yield ""
        yield from causes


def _lost(layer: LayerResult, report: Report) -> bool:
    return layer.status == "missing" and report.crash is None


def _shown(report: Report, style: _Style) -> list[int]:
    """Which rows to print: those at fault and their neighbours, or all."""
    if style.every_layer:
        return list(range(len(report.layers)))
    if report.crash is not None:
        return []
    marked = [i for i, layer in enumerate(report.layers) if layer.status in {"fault", "missing", "unjudged"}][:20]
    wanted = {j for i in marked for j in (i - 1, i, i + 1)}
    if marked:
        wanted.add(len(report.layers) - 1)
    return [i for i in sorted(wanted) if 0 <= i < len(report.layers)]


def _table(report: Report, shown: Sequence[int], style: _Style) -> Iterator[str]:
    precisions = list(dict.fromkeys(m.dtype for layer in report.layers for m in layer.measures))
    head = ["#", " ", "layer", "op", "shape", *precisions, "end to end"]
    rows = [head, *(_row(report.layers[i], precisions, style) for i in shown)]
    # What gives way first when the terminal is narrow: shape, then op.
    for column in ("shape", "op"):
        if _total(rows) > style.width:
            at = rows[0].index(column)
            rows = [[*row[:at], *row[at + 1 :]] for row in rows]
    room = max(12, max(len(row[2]) for row in rows) - max(0, _total(rows) - style.width))
    rows = [[*row[:2], fold(row[2], room), *row[3:]] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = {0, *range(len(rows[0]) - len(precisions) - 1, len(rows[0]))}
    before = -1
    for i, row in zip([-1, *shown], rows, strict=True):
        if i - before > 1:
            yield from _elided(report.layers[before + 1 : i])
        before = max(before, i)
        cells = (
            text.rjust(w) if n in right else text.ljust(w) for n, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        yield " ".join(cells).rstrip()
    if before + 1 < len(report.layers):
        yield from _elided(report.layers[before + 1 :])


def _total(rows: Sequence[Sequence[str]]) -> int:
    return sum(max(len(row[i]) for row in rows) + 1 for i in range(len(rows[0]))) - 1


def _row(layer: LayerResult, precisions: Sequence[str], style: _Style) -> list[str]:
    mark = _MARKS[layer.status][1 if style.ascii_only else 0]
    shape = ",".join(str(size) for size in layer.shape)
    alone = [share(worst_of(layer, "activations", dtype)) for dtype in precisions]
    end_to_end = worst_of(layer, "propagated", precisions[0]) if precisions else None
    return [
        str(layer.index),
        mark,
        layer.layer,
        layer.kind,
        shape,
        *alone,
        number(end_to_end.max_abs if end_to_end else None),
    ]


def _elided(layers: Sequence[LayerResult]) -> Iterator[str]:
    count = len(layers)
    kinds = {layer.status for layer in layers}
    if kinds == {"same"}:
        ratios = [
            m.ratio for layer in layers for m in layer.measures if m.probe == "activations" and m.ratio is not None
        ]
        nearest = f", at most {max(ratios):.2f} of their allowance" if ratios else ""
        yield f"    ⋮ {count} layer{'s' * (count != 1)} same{nearest}"
    elif kinds <= {"inherited"}:
        alone = (
            ": by themselves they agree" if any(m.probe == "activations" for x in layers for m in x.measures) else ""
        )
        yield f"    ⋮ {count} layer{'s' * (count != 1)} inherit{alone}"
    else:
        yield f"    ⋮ {count} layers"


def details(layer: LayerResult) -> Iterator[str]:
    """What is known of one layer that is not same: the reason, the worst element, the evidence, the place."""
    other = f" ({layer.partner})" if layer.partner not in {None, layer.layer} else ""
    yield f"{layer.layer}{other}: {layer.reason}"
    beyond = next((m for m in _by_weight(layer) if m.over or m.nonfinite_actual), None)
    if beyond is not None and not layer.problems:
        at = list(beyond.index)
        values = f"got {value(beyond.actual)}, expected {value(beyond.expected)}"
        yield f"  greatest  {number(beyond.max_abs)}; at {at} {values}"
        yield f"  allowed   {number(beyond.allowed)} there, in {beyond.dtype}"
    for problem in layer.problems[1:]:
        yield f"  also      {problem}"
    for difference in layer.differences:
        yield f"  evidence  {difference}"
    if layer.source and layer.status != "missing":
        yield f"  where     {layer.source}"


def _by_weight(layer: LayerResult) -> list[Measure]:
    order = {"activations": 0, "dense": 1, "propagated": 2}
    return sorted(layer.measures, key=lambda m: (order[m.probe], m.dtype))


def _notes(report: Report, style: _Style) -> Iterator[str]:
    for doubt in report.doubts:
        yield from _wrapped("doubt: ", doubt, style)
    for note in report.notes:
        yield from _wrapped("note: ", note, style)
    if not style.every_layer:
        yield from _otherwise(report, style)
    notes = [
        f"{layer.layer}: {note}"
        for layer in report.layers
        for note in layer.notes
        if style.every_layer or not note.startswith(("written as", "judged together"))
    ]
    for note in notes if style.every_layer else notes[:_DETAILED]:
        yield from _wrapped("note: ", note, style)
    if len(notes) > _DETAILED and not style.every_layer:
        yield f"note: and {len(notes) - _DETAILED} more notes; --all lists them"


def _otherwise(report: Report, style: _Style) -> Iterator[str]:
    """How many layers the candidate writes in other steps, and the one with the most."""
    written = [layer for layer in report.layers if layer.written_as]
    if written:
        most = max(written, key=lambda layer: len(layer.written_as))
        ids = ", ".join(dict.fromkeys((*most.together, most.layer)))
        example = f"{ids} as {', '.join(most.written_as)}"
        count = "1 layer is" if len(written) == 1 else f"{len(written)} layers are"
        rest = "" if len(written) == 1 else "; --all lists them"
        yield from _wrapped("note: ", f"{count} written otherwise: {example}{rest}", style)
