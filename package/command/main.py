"""The command's group, its exit codes and its errors; every subcommand is a file beside this one.

Exit codes: 0 same, or done; 1 different; 2 could not tell (usage, unusable input, a fault of ours); 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from collections.abc import Callable

import click

from layerdiff.candidate.stages import finished
from layerdiff.command.interrupts import Interrupts, StoppedError, outcome
from layerdiff.command.output import ReaderGoneError, forget
from layerdiff.compare.harmless import printable
from layerdiff.errors import InputError

__all__ = ["main"]

_COMMANDS = {
    "run": ("run", "Judge networks against torchvision's, layer by layer."),
    "shapes": ("shapes", "Two networks' shapes side by side, and why one crashes."),
    "initial": ("initial", "Judge how fresh weights are drawn, before any are loaded."),
    "capture": ("capture", "Write the trace of one network on an image."),
    "compare": ("compare", "Compare two traces, or judge a saved run again."),
    "report": ("report", "Show a saved run in any form, or write it to a file."),
    "schema": ("schema", "Print the JSON Schema of a saved run."),
    "explain": ("explain", "Say what the code of a finding means, with an example."),
    "classify": ("classify", "Name what an image shows: the five best classes."),
    "weights": ("weights", "Inspect, export and map weights."),
}


class _Lazy(click.Group):
    """Imports a subcommand when it is called: `--help` must not wait for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"layerdiff.command.{_COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise StoppedError(outcome(ctx)) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="layerdiff")
def cli() -> None:
    """Is a network written by hand the same network, layer by layer?

    Exit codes: 0 same, 1 different, 2 could not tell.
    """


_INTERRUPTED = 130
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


def main() -> None:
    """Run the command and exit with its code; no traceback reaches its user."""
    interrupts = Interrupts()
    if sys.stdout is None:
        _fail("stdout: it is closed, expected it to be open")
    try:
        code = cli.main(standalone_mode=False)
    except StoppedError as error:
        _interrupted(str(error))
    except click.exceptions.Abort:
        _interrupted("interrupted")
    except click.ClickException as error:
        _tell(error.show)
        _leave(2)
    except InputError as error:
        _fail("\n".join((str(error), *getattr(error, "__notes__", ()))))
    except (ReaderGoneError, SystemExit):
        # click's own way to say that whoever reads --help has gone, with the code that means "different" here
        _leave(2)
    except MemoryError:
        _fail("out of memory\nhelp: judge less at once: --batch 1, a smaller --size, or --until")
    except Exception as error:
        if interrupts.came:
            _interrupted("interrupted")
        _fault(error)
    else:
        _leave(code if isinstance(code, int) else 0)


def _fault(error: Exception) -> None:
    if os.environ.get("LAYERDIFF_TRACEBACK"):
        raise error
    if isinstance(error, OSError) and error.errno in _FULL:
        # What has no name is a stream: click has printed --help.
        forget(sys.stdout)
        _fail(f"{error.filename or 'stdout'}: cannot be written, got {error.strerror}")
    first = (str(error).splitlines() or ["no message"])[0]
    _fail(f"a fault of ours: {type(error).__name__}: {first}\nhelp: LAYERDIFF_TRACEBACK=1 shows where")


def _fail(message: str) -> None:
    _tell(lambda: click.echo("\n".join(map(printable, f"error: {message}".split("\n"))), err=True))
    _leave(2)


def _interrupted(message: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A terminal shows ^C where its cursor was.
    begin = "\n" if sys.stderr is not None and sys.stderr.isatty() else ""
    _tell(lambda: click.echo(begin + printable(message), err=True))
    finished(_INTERRUPTED)
    # At once: Python would die of the signal rather than exit if an import was interrupted, and torch's threads with
    # words of their own.
    os._exit(_INTERRUPTED)


def _tell(say: Callable[[], None]) -> None:
    """Say something on stderr, where that can be: its reader may have gone, or the disk be full."""
    try:
        say()
    except OSError:
        forget(sys.stderr)


def _leave(code: int) -> None:
    # All has been said and done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    finished(code)
    sys.exit(code)
