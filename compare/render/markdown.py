"""The report as Markdown, for a comment on a pull request: the answer, the causes, the faults, the rest folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layerdiff.compare.finding import Finding
from layerdiff.compare.harmless import harmless, no_commands
from layerdiff.compare.render.terminal import render_terminal
from layerdiff.compare.render.words import answers, input_words
from layerdiff.compare.result import NOT_REACHED, Report, Run

__all__ = ["LIMIT", "render_markdown"]

LIMIT = 65_000
"""Characters; GitHub takes no comment of more than 65,536."""

_LONGEST = 500
_MORE = "\nand {count} more; the run's JSON has them\n"
_HEADS = {"same": "✅ same", "different": "❌ different", "unknown": "❔ could not tell"}
_SPECIAL = re.compile(r"[&<>\\`*_\[\]|~#@!$]")
_LINKED = re.compile(r"[@#]|://|www\.|:\w+:")


@dataclass(frozen=True)
class _Block:
    """Rows between an opening and a closing; where there is no room for all rows, the first of them are kept."""

    opening: str
    rows: tuple[str, ...]
    closing: str = ""


def render_markdown(run: Run, *, limit: int = LIMIT) -> str:
    """The run as GitHub's Markdown, shorter than `limit` whatever it holds; what is left out is counted.

    Args:
        run: with its reports settled.
        limit: characters, at least 1,000.

    Raises:
        ValueError: the limit leaves no room to say anything.
    """
    if limit < 1000:
        raise ValueError(f"markdown: no room to say anything, got a limit of {limit}, expected at least 1000")
    run = harmless(run)
    blocks = [_Block(f"### layerdiff: {_HEADS[run.verdict]}\n\n", tuple(f"> {_text(note)}\n>\n" for note in run.notes))]
    blocks.extend(block for report in run.reports for block in _faults(report))
    blocks.append(_folded("The report in full", render_terminal(run, width=100).splitlines()))
    blocks.append(_folded("Environment", [f"{name}: {value}" for name, value in run.environment.items()]))
    return no_commands(_fitted([block for block in blocks if block.opening or block.rows], limit))


def _faults(report: Report) -> Iterator[_Block]:
    head = [f"**{_text(line)}**\n\n" for line in answers(report)]
    head += [f"- actual: {_text(report.actual)}\n", f"- expected: {_text(report.expected)}\n"]
    if report.input is not None:
        head.append(f"- input {_code(report.input.source)}: {_text(input_words(report.input))}\n")
    if report.crash is not None:
        head.append(f"- {_text(report.crash)}\n")
    if report.explanation is not None:
        head.append(f"- because: {_text(report.explanation.title)}; change: {_text(report.explanation.change)}\n")
    head += [f"- {_text(line)}\n" for line in (report.output, *report.doubts) if line]
    yield _Block("", tuple(head), "\n")
    causes = sorted(report.findings, key=lambda one: not one.confirmed) if report.verdict == "different" else []
    if causes:
        yield _Block("", tuple(_cause(one) for one in causes), "\n")
    rows = tuple(_rows(report))
    if rows:
        yield _Block("| layer | | why | where |\n| --- | --- | --- | --- |\n", rows, "\n")


def _cause(one: Finding) -> str:
    state = "confirmed" if one.confirmed else "not confirmed"
    layers = ", ".join(map(_code, one.layers[:5])) + (f" and {len(one.layers) - 5} more" if len(one.layers) > 5 else "")
    where = f" ({_code(one.source)})" if one.source else ""
    proof = f" Proof: {_text(one.how)}." if one.confirmed else ""
    return (
        f"- **{_text(one.code)}** {_text(one.title)} ({state}) at {layers}{where}.{proof} Change: {_text(one.change)}\n"
    )


def _rows(report: Report) -> Iterator[str]:
    for layer in report.layers:
        if layer.status in {"fault", "missing", "unjudged"} and layer.reason != NOT_REACHED:
            yield _row(layer.layer, layer.status, layer.reason, layer.source)
    for extra in report.extra:
        yield _row(extra.layer, "extra", f"the expected network has none ({extra.kind})", extra.source)
    for back in report.gradients.layers if report.gradients is not None else ():
        if back.status in {"fault", "missing", "unjudged"}:
            yield _row(back.layer, f"backward {back.status}", back.reason, back.source)
    for tensor in report.steps.tensors if report.steps is not None else ():
        if tensor.status != "same":
            yield _row(tensor.name, f"training {tensor.status}", tensor.reason, None)


def _row(layer: str, status: str, reason: str, source: str | None) -> str:
    return f"| {_code(layer)} | {status} | {_text(reason)} | {_code(source) if source else ''} |\n"


def _folded(title: str, lines: Sequence[str]) -> _Block:
    """Lines as they are, folded away behind a title; empty where there is none."""
    if not lines:
        return _Block("", ())
    ticks = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, ticks + 1)
    rows = tuple(f"{_clipped(line)}\n" for line in lines)
    return _Block(f"<details><summary>{title}</summary>\n\n{fence}text\n", rows, f"{fence}\n\n</details>\n\n")


def _fitted(blocks: Sequence[_Block], limit: int) -> str:
    """The blocks one after the other, rows and whole blocks left out where the limit wants it, and counted."""
    text = ""
    for i, block in enumerate(blocks):
        rest = _MORE.format(count=f"{len(blocks) - i} parts")
        room = limit - len(text) - 2 * len(rest)
        frame = len(block.opening) + len(block.closing) + len(_MORE.format(count=len(block.rows)))
        kept: list[str] = []
        for row in block.rows:
            frame += len(row)
            if frame >= room:
                break
            kept.append(row)
        if not kept and (block.rows or frame >= room):
            return text + rest
        left = len(block.rows) - len(kept)
        text += block.opening + "".join(kept) + block.closing + (_MORE.format(count=left) + "\n" if left else "")
    return text


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _text(text: str) -> str:
    """Somebody's words, as words: no markup of theirs counts, and nothing in them becomes a link or calls somebody."""
    return _code(text) if _LINKED.search(text) else _entities(_clipped(text))


def _code(text: str) -> str:
    return f"<code>{_entities(_clipped(text))}</code>"


def _entities(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", text)
