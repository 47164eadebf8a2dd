"""`layerdiff initial`: whether fresh weights are drawn as the reference draws them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from layerdiff.candidate.stages import is_supervised
from layerdiff.candidate.supervise import supervised
from layerdiff.command.options import SIZE, timeout_option
from layerdiff.command.output import check_writable, deliver_other
from layerdiff.command.supervision import runs_foreign_code
from layerdiff.errors import InputError

__all__ = ["command"]


@click.command(name="initial")
@click.option(
    "--expected",
    metavar="SPEC",
    help="torchvision:NAME, FILE.py:CALL or module:CALL. Default: the torchvision network that the candidate is most "
    "like; ResNet-50 for our own.",
)
@click.option(
    "--actual",
    metavar="SPEC",
    required=True,
    help="FILE.py:CALL, module:CALL, torchvision:NAME, or torch or numpy (our own).",
)
@click.option(
    "--size",
    type=SIZE,
    metavar="HxW",
    default="224x224",
    show_default=True,
    help="Of the input by which tensors of other names are paired.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 2),
    default=0,
    show_default=True,
    help="The candidate is built under this one, the reference under the next.",
)
@timeout_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["full", "concise", "json"]),
    default="full",
    show_default=True,
    help="What to print.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Also write it as JSON to this file.")
@click.option("--all", "every_layer", is_flag=True, help="A row for every tensor.")
@click.option("--ascii", "ascii_only", is_flag=True, help="No signs beyond ASCII.")
def command(
    expected: str | None,
    actual: str,
    size: tuple[int, int],
    seed: int,
    timeout: float,
    form: str,
    output: Path | None,
    every_layer: bool,
    ascii_only: bool,
) -> int:
    """Say whether a network's fresh weights are drawn as the reference's are, and if not, by which rule.

    Both are built anew, and no weights are loaded.

    Exit codes: 0 all tensors begin alike, 1 some do not or are missing or too many, 2 could not tell.

    A candidate's file is code, and it runs with your rights.
    """
    check_writable(output)
    if runs_foreign_code([actual], expected) and not is_supervised():
        return supervised(sys.argv[1:], timeout)
    from layerdiff.compare.initial.initial import initial_to_json
    from layerdiff.compare.render.initial import render_initial, render_initial_concise
    from layerdiff.compare.result import exit_code
    from layerdiff.initial import compare_initial
    from layerdiff.subject import LARGEST

    if not 1 <= min(size) <= max(size) <= LARGEST:
        raise InputError(f"size: got {size[0]}x{size[1]}, expected 1 to {LARGEST} pixels a side")
    found = compare_initial(actual, expected=expected, size=size, seed=seed)

    def text(width: int, plain: bool) -> str:
        if form == "concise":
            return render_initial_concise(found)
        return render_initial(found, width=width, ascii_only=plain, every_layer=every_layer)

    deliver_other(initial_to_json(found), text, form=form, output=output, ascii_only=ascii_only)
    return exit_code(found.verdict)
