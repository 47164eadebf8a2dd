"""`layerdiff explain`: what the code of a finding means."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict

import click

from layerdiff.command.output import say

__all__ = ["command"]


@click.command(name="explain")
@click.argument("codes", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="Code and title of all of them; so it is without CODES.")
@click.option(
    "--format", "form", type=click.Choice(["full", "json"]), default="full", show_default=True, help="What to print."
)
def command(codes: tuple[str, ...], listed: bool, form: str) -> None:
    """Say what the codes of findings mean, why people do that, and how to fix it, with an example.

    Exit codes: 0, or 2 for a code that is unknown.
    """
    from layerdiff.compare.catalogue import CAUSES, GROUPS, causes_of
    from layerdiff.compare.render.explain import render_cause, render_list

    causes = causes_of(codes)
    if form == "json":
        chosen = CAUSES.values() if listed or not codes else causes
        say(json.dumps([asdict(cause) | {"group": GROUPS[cause.code[0]]} for cause in chosen], indent=1))
        return
    width = shutil.get_terminal_size((80, 24)).columns
    pages = [render_cause(cause, width=width) for cause in causes]
    if listed or not codes:
        pages = [render_list(width=width), *pages]
    say(("\n\n" + "-" * 4 + "\n\n").join(pages))
