"""What the examples share: how one is run and ends, its tables, and where its pictures go."""

from __future__ import annotations

import functools
import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from layerdiff import InputError

__all__ = ["Figures", "example", "milliseconds", "output_option", "picture", "run", "say", "table"]

COLUMNS = 80

Figures = dict[str, Any]
"""What an example found, by name: numbers, words, lists and dicts of them, as JSON has them."""

output_option = click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="pictures",
    show_default=True,
    metavar="DIR",
    help="The folder for pictures.",
)


def example(function: Callable[..., Figures]) -> click.Command:
    """A command of a function that shows something and returns its figures; it gets the option `--figures`."""

    @functools.wraps(function)
    def shown(*, figures: Path | None, **options: Any) -> Figures:
        found = function(**options)
        if figures is not None:
            _written(figures, lambda: figures.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n"))
        return found

    option = click.option("--figures", type=click.Path(path_type=Path), help="Also write the figures as JSON here.")
    return click.command(context_settings={"help_option_names": ["-h", "--help"]})(option(shown))


def run(command: click.Command) -> None:
    """Runs an example and exits: 0 done, 2 could not, in words and without a traceback, 130 interrupted."""
    try:
        command.main(standalone_mode=False)
    except click.exceptions.Abort:
        _fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ValueError as error:
        # What the library refuses carries a note or is an InputError; any other is a mistake of ours.
        if not isinstance(error, InputError) and not getattr(error, "__notes__", ()):
            _fault(error)
        _fail("\n".join((str(error), *getattr(error, "__notes__", ()))), 2)
    except MemoryError:
        _fail("out of memory", 2)
    except Exception as error:
        _fault(error)


def say(text: str = "") -> None:
    """Prints a paragraph, folded at 80 columns, and nothing for an empty line."""
    click.echo(textwrap.fill(text, COLUMNS, break_long_words=False, break_on_hyphens=False))


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Prints a table: the first column on the left, the others on the right, whole numbers in groups of three."""
    lines = [head, *(tuple(_cell(value) for value in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        first, *others = (
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        click.echo("  ".join((first, *others)).rstrip())


def milliseconds(task: Callable[[], object]) -> float:
    """How long a task takes: the least of three times, for what disturbs a computer only ever adds."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        task()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def picture(folder: Path, name: str, save: Callable[[Path], object]) -> None:
    """Has `save` write the picture `name` into a folder, which is made, and says where it is.

    Raises:
        InputError: the place cannot be written to.
    """
    path = folder / name

    def write() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save(path)

    _written(path, write)
    say(f"Saved {path}.")


def _written(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise InputError(f"{path}: cannot be written, got {error.strerror}, expected a writable place") from error


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _fault(error: Exception) -> None:
    if os.environ.get("LAYERDIFF_TRACEBACK"):
        raise error
    first = (str(error).splitlines() or ["no message"])[0]
    _fail(f"a fault of ours: {type(error).__name__}: {first}\nhelp: LAYERDIFF_TRACEBACK=1 shows where", 2)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
