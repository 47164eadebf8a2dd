"""`layerdiff report`: a saved run, shown in any form."""

from __future__ import annotations

from pathlib import Path

import click

from layerdiff.command.options import REPORT_FORMS
from layerdiff.command.output import check_writable, in_form, say
from layerdiff.compare.saved import read_run, write_file

__all__ = ["command"]


@click.command(name="report")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(REPORT_FORMS), default="full", show_default=True, help="Which form."
)
@click.option("--stat", is_flag=True, help="Only the answers.")
@click.option("--output", type=click.Path(path_type=Path), help="Write it to this file instead of printing it.")
@click.option("--all", "every_layer", is_flag=True, help="A row for every layer.")
@click.option("--ascii", "ascii_only", is_flag=True, help="No signs beyond ASCII.")
def command(file: Path, form: str, stat: bool, output: Path | None, every_layer: bool, ascii_only: bool) -> None:
    """Show a run that was saved as JSON (`--output`, or `--format json`), as it was judged then.

    Exit codes: 0, whatever the verdict is (`layerdiff compare FILE` judges it again), or 2 for a file that is no run.
    """
    check_writable(output)
    text = in_form(read_run(file), "stat" if stat else form, every_layer=every_layer, ascii_only=ascii_only)
    if output is None:
        say(text, newline=False)
    else:
        write_file(output, text.encode())
