"""Where a run goes: stdout in the form that was asked for, and a file; progress on stderr."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import click

from layerdiff.command.interrupts import watch
from layerdiff.compare.harmless import printable
from layerdiff.compare.result import Run, exit_code
from layerdiff.compare.saved import run_to_json, write_file
from layerdiff.errors import InputError

__all__ = ["ReaderGoneError", "check_writable", "deliver", "deliver_other", "forget", "opened", "progress", "say"]


class ReaderGoneError(Exception):
    """Whoever read our output has stopped reading; nothing more can be said there."""


def say(text: str, *, newline: bool = True) -> None:
    """Print on stdout, at once; signs that would steer a terminal are spelled out.

    Raises:
        ReaderGoneError: its reader has gone.
        InputError: it cannot be written to, a full disk for instance.
    """
    try:
        click.echo("\n".join(map(printable, text.split("\n"))), nl=newline)
    except BrokenPipeError:
        forget(sys.stdout)
        raise ReaderGoneError from None
    except OSError as error:
        forget(sys.stdout)
        raise InputError(f"stdout: cannot be written, got {error.strerror}") from None


def forget(stream: TextIO) -> None:
    """Let go of a stream that cannot be written to.

    What Python still holds for it would be flushed at exit, fail again, and change the exit code.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def check_writable(output: Path | None) -> None:
    """Refuse an output that cannot be written, before the work is done; an interruption says what became of it.

    Raises:
        InputError: its folder is not there, or it is something else than a file.
    """
    if output is None:
        return
    if not output.parent.is_dir() or (output.exists() and not output.is_file()):
        raise InputError(f"{output}: cannot be written, expected a file in a folder that exists")
    watch(output)


def deliver(
    run: Run, *, form: str, output: Path | None, every_layer: bool, ascii_only: bool, stat: bool = False
) -> int:
    """Print the run, write it where asked, and give its exit code."""
    if output is not None:
        write_file(output, run_to_json(run))
    form = "stat" if stat else form
    say(in_form(run, form, every_layer=every_layer, ascii_only=ascii_only), newline=False)
    return exit_code(run.verdict)


def deliver_other(
    content: bytes, text: Callable[[int, bool], str], *, form: str, output: Path | None, ascii_only: bool
) -> None:
    """Print what is no run, and write its JSON where asked.

    Args:
        content: it as JSON, which is what is printed for the form `json`.
        text: gives it for a terminal of so many columns, in ASCII alone or not.
        form: as asked for.
        output: where its JSON goes, too.
        ascii_only: as asked for; a terminal that knows no more gets no more.
    """
    if output is not None:
        write_file(output, content)
    if form == "json":
        say(content.decode(), newline=False)
    else:
        say(text(*_terminal(ascii_only)))


def opened(path: Path) -> None:
    """Show a page in the browser, and print where it is.

    Raises:
        InputError: there is no browser; the page is written all the same.
    """
    import webbrowser

    address = path.resolve().as_uri()
    say(address)
    if not webbrowser.open(address):
        raise InputError(f"{path}: no browser could be started", help="open the address above")


def _terminal(ascii_only: bool) -> tuple[int, bool]:
    """How many columns there are, and whether to keep to ASCII."""
    return shutil.get_terminal_size((100, 24)).columns, ascii_only or not _speaks_unicode()


def in_form(run: Run, form: str, *, every_layer: bool, ascii_only: bool) -> str:
    """The run in one form, as this terminal wants it."""
    from layerdiff.compare.render.forms import Look, rendered

    width, plain = _terminal(ascii_only)
    look = Look(width=width, ascii_only=plain, every_layer=every_layer, root=str(Path.cwd()))
    return rendered(run, form, look)


def _speaks_unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower() and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def progress() -> Iterator[tuple[Callable[[str, str, int], None], Callable[[str, str], None]]]:
    """A bar on stderr while it is a terminal.

    Gives `advance(candidate, layer, layers)`, to be called before each layer of so many, and `step(candidate, what)`
    for what the diagnosis is doing, of which nobody knows how much there is.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal or console.is_dumb_terminal
    ) as bar:
        task = bar.add_task("", total=None)

        def advance(candidate: str, layer: str, layers: int) -> None:
            bar.update(task, advance=1, total=layers, description=f"{candidate} {layer}"[:48])

        def step(candidate: str, what: str) -> None:
            bar.update(task, total=None, description=f"{candidate}: {what}"[:72])

        yield advance, step
