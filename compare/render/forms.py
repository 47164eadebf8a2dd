"""The forms that a report can take, by name: every one a pure function from a run to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from layerdiff.compare.render.concise import render_concise
from layerdiff.compare.render.github import render_github
from layerdiff.compare.render.junit import render_junit
from layerdiff.compare.render.markdown import render_markdown
from layerdiff.compare.render.stat import render_stat
from layerdiff.compare.render.terminal import render_terminal
from layerdiff.compare.result import Run
from layerdiff.compare.saved import run_to_json

__all__ = ["FORMS", "Look", "rendered"]


@dataclass(frozen=True)
class Look:
    """How a report is to look; each form takes of it what it has a use for.

    Attributes:
        width: columns to fill at most.
        ascii_only: no signs beyond ASCII.
        every_layer: all layers, not only those around a fault.
        root: folder to which paths are given relative, where they lie below it.
    """

    width: int = 80
    ascii_only: bool = False
    every_layer: bool = False
    root: str = ""


def _full(run: Run, look: Look) -> str:
    return render_terminal(run, width=look.width, ascii_only=look.ascii_only, every_layer=look.every_layer) + "\n"


def _html(run: Run) -> str:
    # Drawing charts takes a second to import, which nobody who wants another form is to wait for.
    from layerdiff.compare.render.html.page import render_html

    return render_html(run)


FORMS: Mapping[str, Callable[[Run, Look], str]] = MappingProxyType(
    {
        "full": _full,
        "concise": lambda run, look: render_concise(run) + "\n",
        "stat": lambda run, look: render_stat(run) + "\n",
        "json": lambda run, look: run_to_json(run).decode(),
        "markdown": lambda run, look: render_markdown(run),
        "github": lambda run, look: render_github(run, root=look.root) + "\n",
        "junit": lambda run, look: render_junit(run) + "\n",
        "html": lambda run, look: _html(run),
    }
)


def rendered(run: Run, form: str, look: Look | None = None) -> str:
    """The run in one of `FORMS`, with a newline at its end.

    Args:
        run: with its reports settled.
        form: its name.
        look: how it is to look.
    """
    return FORMS[form](run, look or Look())
