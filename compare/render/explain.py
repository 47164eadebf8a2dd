"""What a code means, as text: one cause at length, all of them as a list, and all of them as a page."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import indent

from layerdiff.compare.catalogue import CAUSES, GROUPS, LEFT_OUT, Cause
from layerdiff.compare.render.explained import wrapped

__all__ = ["render_cause", "render_list", "render_page"]

_WIDEST = 100


def render_cause(cause: Cause, *, width: int = 80) -> str:
    """One cause in lines of `width` columns; its example's lines are as they are, at most 80."""
    width = min(width, _WIDEST)
    lines = wrapped(f"{cause.code:<4}", cause.title, width)
    for head, text in _parts(cause):
        lines += ["", *wrapped(f"{head:<10}", text, width)]
    example = indent(cause.example.rstrip(), "    ")
    prints = wrapped("prints    ", cause.prints, width) if cause.prints else []
    return "\n".join((*lines, "", "example", "", example, "", *prints)).rstrip()


def render_list(*, width: int = 80) -> str:
    """Code and title of every cause, a line each, in their groups."""
    width = min(width, _WIDEST)
    lines: list[str] = []
    for letter, name in GROUPS.items():
        lines += [name]
        for cause in _of(letter):
            lines += wrapped(f"  {cause.code:<5}", cause.title, width)
        lines += [""]
    return "\n".join((*lines, *wrapped("", "layerdiff explain CODE says what one means, with an example.", width)))


def render_page() -> str:
    """The whole catalogue as the page `docs/findings.md`."""
    return "\n".join(_page()) + "\n"


def _parts(cause: Cause) -> Iterator[tuple[str, str]]:
    yield "meaning", cause.meaning
    yield "why", cause.why
    yield "signs", cause.signature
    yield "fix", cause.fix
    if cause.convention:
        yield "note", f"This {'may be' if cause.code == 'A8' else 'is'} another convention rather than a mistake."
    if cause.unseen:
        yield "note", f"No comparison of forward passes can name it: {cause.unseen}."
    if cause.sources:
        yield "met in", ", ".join(cause.sources)


def _of(letter: str) -> list[Cause]:
    return [cause for cause in CAUSES.values() if cause.code[0] == letter]


def _page() -> Iterator[str]:
    yield "# What a code means"
    yield ""
    yield "Made from `compare/catalogue/`; `layerdiff explain CODE` says the same, with an example that a test runs."
    for letter, name in GROUPS.items():
        yield from ("", f"## {letter}: {name}")
        for cause in _of(letter):
            yield from ("", f"### {cause.code}: {cause.title}")
            for head, text in _parts(cause):
                yield from ("", f"*{head.capitalize()}*: {text}")
    yield from ("", "## Left out", "")
    for code, (why, near) in LEFT_OUT.items():
        yield f"- {code}: {why}. Nearest: {', '.join(near)}."
