"""`layerdiff report`: a saved run, shown in any form."""

from __future__ import annotations

from pathlib import Path

import click

from layerdiff.command.options import REPORT_FORMS
from layerdiff.command.output import check_writable, in_form, opened, say
from layerdiff.compare.saved import read_run, write_file
from layerdiff.errors import InputError

__all__ = ["command"]


@click.command(name="report")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(REPORT_FORMS), default="full", show_default=True, help="Which form."
)
@click.option("--stat", is_flag=True, help="Only the answers.")
@click.option("--output", type=click.Path(path_type=Path), help="Write it to this file instead of printing it.")
@click.option("--open", "in_browser", is_flag=True, help="Write the page (by default beside FILE) and show it.")
@click.option("--all", "every_layer", is_flag=True, help="A row for every layer.")
@click.option("--ascii", "ascii_only", is_flag=True, help="No signs beyond ASCII.")
def command(
    file: Path,
    form: str,
    stat: bool,
    output: Path | None,
    in_browser: bool,
    every_layer: bool,
    ascii_only: bool,
) -> None:
    """Show a run that was saved as JSON (`--output`, or `--format json`), as it was judged then.

    Exit codes: 0, whatever the verdict is (`layerdiff compare FILE` judges it again), or 2 for a file that is no run.
    """
    if in_browser:
        form, stat, output = "html", False, output or _beside(file)
    check_writable(output)
    text = in_form(read_run(file), "stat" if stat else form, every_layer=every_layer, ascii_only=ascii_only)
    if output is None:
        say(text, newline=False)
    else:
        write_file(output, text.encode())
    if in_browser and output is not None:
        opened(output)


def _beside(file: Path) -> Path:
    """Where the page of a run is written if nobody says where.

    Raises:
        InputError: something stands there that is no page of ours.
    """
    path = file.with_suffix(".html")
    if path.exists() and not (path.is_file() and b'content="layerdiff ' in path.read_bytes()[:2000]):
        raise InputError(
            f"{path}: cannot be written, it is there and no page of layerdiff's", help="say where: --output"
        )
    return path
