"""How two networks begin, for a terminal: what differs tensor by tensor, what is alike by use, the causes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.initial.initial import Initial, Status, TensorResult
from layerdiff.compare.initial.sample import Sample
from layerdiff.compare.render.explained import wrapped
from layerdiff.compare.render.words import fold

__all__ = ["render_initial", "render_initial_concise"]

_PLAIN = str.maketrans({"✗": "x", "·": "*", "√": "sqrt ", "²": "^2", "…": "...", "±": "+-"})
_SIGNS: dict[Status, str] = {"different": "✗", "missing": "✗", "extra": "✗", "unjudged": "?", "same": "·"}
_NAME = 30
_SHOWN = 12
_LAYERS = 3


def render_initial(initial: Initial, *, width: int = 80, ascii_only: bool = False, every_layer: bool = False) -> str:
    """The record as text.

    Args:
        initial: of two networks.
        width: columns to fill at most; where the table needs more, lines grow longer instead of being cut.
        ascii_only: no signs beyond ASCII.
        every_layer: a row for every tensor, and all places of every cause.
    """
    if ascii_only:
        # Before the lines are broken: words for signs are longer.
        initial = _in_ascii(initial)
    lines = [line for note in initial.notes for line in wrapped("note: ", note, width)]
    lines += [*wrapped("expected  ", initial.expected, width), *wrapped("actual    ", initial.actual, width), ""]
    rows = [one for one in initial.tensors if every_layer or one.status != "same"]
    shown = rows if every_layer else rows[:_SHOWN]
    lines += _table(shown)
    if len(rows) > len(shown):
        lines += [f"  and {len(rows) - len(shown)} more; --all lists them"]
    lines += [""] * bool(shown)
    lines += [line for text in _alike(initial.tensors) for line in wrapped("·  ", text, width)]
    for one in initial.findings:
        lines += ["", *_block(one, width, every=every_layer)]
    lines += ["", *wrapped("", _answer(initial), width)]
    text = "\n".join(lines)
    return text.translate(_PLAIN) if ascii_only else text


def render_initial_concise(initial: Initial) -> str:
    """`candidate: tensor: status: reason` for each tensor that is not same, then the causes and the answer."""
    lines = [
        f"{initial.actual}: {one.name}: {one.status}: {one.reason}" for one in initial.tensors if one.status != "same"
    ]
    for cause in initial.findings:
        state = "" if cause.confirmed else " [not confirmed]"
        lines.append(f"{initial.actual}: {', '.join(cause.layers)}: {cause.code} {cause.title}{state}")
    return "\n".join([*lines, f"{initial.actual}: {_answer(initial)}"])


def _in_ascii(initial: Initial) -> Initial:
    """The record with words for the signs in what it says."""

    def plain(*texts: str) -> tuple[str, ...]:
        return tuple(text.translate(_PLAIN) for text in texts)

    findings = []
    for one in initial.findings:
        title, change, how = plain(one.title, one.change, one.how)
        said = replace(one, title=title, change=change, how=how)
        findings.append(replace(said, evidence=plain(*one.evidence), equally=plain(*one.equally)))
    tensors = tuple(replace(one, drawn=one.drawn.translate(_PLAIN)) for one in initial.tensors)
    return replace(initial, tensors=tensors, findings=tuple(findings), notes=plain(*initial.notes))


def _table(tensors: Sequence[TensorResult]) -> Iterator[str]:
    """A row for each: how many values, the figures of both sides, and by how many standard errors they differ."""
    if not tensors:
        return
    rows = [("", "tensor", "values", "got", "expected", "apart"), *map(_row, tensors)]
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    for row in rows:
        cells = (text.ljust(w) if i in {0, 1} else text.rjust(w) for i, (text, w) in
                 enumerate(zip(row, widths, strict=True)))  # fmt: skip
        yield " ".join(cells).rstrip()


def _row(one: TensorResult) -> tuple[str, ...]:
    found = one.expected or one.actual
    count = f"{found.n:,}" if found is not None else "-"
    apart = "-" if one.apart is None else f"{one.apart.worst:.1f}"
    return (_SIGNS[one.status], fold(one.name, _NAME), count, _figure(one.actual), _figure(one.expected), apart)


def _figure(sample: Sample | None) -> str:
    if sample is None:
        return "none"
    if sample.odd:
        return "NaN or inf"
    return f"all {sample.constant:g}" if sample.constant is not None else f"std {sample.std:.3g}"


def _alike(tensors: Sequence[TensorResult]) -> Iterator[str]:
    """What is the same, by use."""
    counts = Counter((one.group, one.drawn) for one in tensors if one.status == "same")
    for (group, drawn), count in counts.items():
        how = f": {drawn}" if drawn else ""
        yield f"{count} of {group}{how}"


def _block(one: Finding, width: int, *, every: bool) -> Iterator[str]:
    known = one.code != UNEXPLAINED
    state = "confirmed" if one.confirmed else "not confirmed" if known else "no cause found"
    yield from wrapped("cause     " if known else "unknown   ", f"{one.code} {one.title} [{state}]", width)
    shown = one.layers if every or len(one.layers) <= _LAYERS + 1 else one.layers[:_LAYERS]
    rest = f" and {len(one.layers) - len(shown)} more" if len(shown) < len(one.layers) else ""
    yield from wrapped("at        ", ", ".join(fold(name, width - 12) for name in shown) + rest, width)
    for line in one.evidence:
        yield from wrapped("evidence  ", line, width)
    if one.confirmed:
        after = f": within {one.after:.2f} of what chance may do" if one.after else ""
        yield from wrapped("proof     ", f"{one.how}{after}", width)
    for other in one.equally:
        yield from wrapped("or        ", f"{other}, which explains it just as well", width)
    yield from wrapped("change    ", one.change, width)


def _answer(initial: Initial) -> str:
    counts = Counter(one.status for one in initial.tensors)
    total = len(initial.tensors)
    if initial.verdict == "same":
        nearest = max((one for one in initial.tensors if one.apart), key=_worst, default=None)
        how = f"; the furthest, {nearest.name}, by {_worst(nearest):.1f} standard errors" if nearest else ""
        return f"same: {total} of {total} tensors begin as the expected ones do{how}"
    words: tuple[tuple[Status, str], ...] = (
        ("different", "begin otherwise"), ("missing", "missing"), ("extra", "too many"),
        ("unjudged", "too small to tell"), ("same", "as expected"),
    )  # fmt: skip
    head = "different" if initial.verdict == "different" else "could not tell"
    pieces = [f"{counts[status]} {text}" for status, text in words if counts[status]] or ["nothing was compared"]
    return f"{head}: of {total} tensors {', '.join(pieces)}"


def _worst(one: TensorResult) -> float:
    return one.apart.worst if one.apart is not None else 0.0
