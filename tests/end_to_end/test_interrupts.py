"""Ctrl-C at any moment: one line, exit code 130, and no part of a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAVED = Path(__file__).parents[1] / "compare" / "saved_runs" / "first.json"

INTERRUPT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests themselves may run where it is ignored
def interrupt(*_, **__): signal.raise_signal(signal.SIGINT)
"""

AT_IMPORT = """
class Finder:
    def find_spec(name, path=None, target=None):
        if name == {module!r}: {then}
sys.meta_path.insert(0, Finder)
"""

AT_WRITING = """
from pathlib import Path
Path.replace = Path.rename = interrupt
"""

COMMAND = "from layerdiff.command.entry import main; main()"

NO_FILE = "interrupted: no file was written\n"


def interrupted(when: str, folder: Path, *arguments: object) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of the command, in whose process `when` was run before it."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", INTERRUPT + when + COMMAND, *map(str, arguments)], cwd=folder,
        capture_output=True, text=True, check=False, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def importing(module: str, then: str = "interrupt()") -> str:
    """That something happens when a module is imported."""
    return AT_IMPORT.format(module=module, then=then)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--actual", "numpy", "--output", "out.json"],
        ["shapes", "--actual", "torch", "--output", "out.json"],
        ["initial", "--actual", "torch", "--output", "out.json"],
        ["capture", "--output", "out.safetensors"],
        ["classify", "--network", "numpy"],
        ["weights", "export", "synthetic", "out.safetensors"],
        ["weights", "export", "synthetic", "out"],
        ["weights", "inspect", "synthetic"],
        ["weights", "map", "torch", "--output", "out.json"],
    ],
    ids=" ".join,
)
def test_an_interrupt_before_the_work_is_one_line(tmp_path, arguments):
    """Where torch is imported, which is most of the waiting, no traceback is shown."""
    assert interrupted(importing("torch"), tmp_path, *arguments) == (130, "", NO_FILE)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_before_the_command_begins_is_one_line(tmp_path):
    """So it is while the command itself is imported."""
    assert interrupted(importing("click"), tmp_path, "--help") == (130, "", NO_FILE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", SAVED, "--output", "out.txt"],
        ["compare", SAVED, "--output", "out.txt"],
        ["run", "--actual", "numpy", "--expected", "torchvision:resnet18", "--size", "33", "--until", "conv1",
         "--weights", "synthetic", "--output", "out.txt"],
        ["weights", "export", "synthetic", "out.safetensors", "--arch", "resnet18"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_an_interrupt_while_a_file_is_written_leaves_no_part_of_it(tmp_path, arguments):
    """The temporary file is gone, the old one is as it was."""
    (tmp_path / "out.txt").write_text("old")

    assert interrupted(AT_WRITING, tmp_path, *arguments) == (130, "", NO_FILE)
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_text() == "old"


def test_a_second_interrupt_does_not_spoil_the_tidying_up(tmp_path):
    """Ctrl-C is often pressed twice: the temporary file is removed all the same."""
    twice = AT_WRITING + "unlink = Path.unlink\nPath.unlink = lambda *a, **k: (interrupt(), unlink(*a, **k))\n"

    assert interrupted(twice, tmp_path, "report", SAVED, "--output", "out.txt") == (130, "", NO_FILE)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_written_before_the_interrupt_is_named(tmp_path):
    """Only what is true is said: this file is whole."""
    at_printing = "import click\necho = click.echo\nclick.echo = lambda *a, **k: (interrupt(), echo(*a, **k))\n"
    code, out, err = interrupted(at_printing, tmp_path, "compare", SAVED, "--output", "out.json")

    assert (code, out, err) == (130, "", "interrupted: out.json was written, and is whole\n")
    assert (tmp_path / "out.json").read_text().startswith("{")


def test_an_interrupt_that_python_drops_comes_again(tmp_path):
    """An exception in a finaliser is dropped; the command stops all the same."""
    lost = "class Lost: __del__ = interrupt\n" + importing("layerdiff.command.report", "Lost()")
    slow = "import time, layerdiff.compare.saved as saved\nsaved.read_run = lambda path: time.sleep(20)\n"

    assert interrupted(lost + slow, tmp_path, "report", SAVED) == (130, "", NO_FILE)


def test_an_interrupt_that_a_library_turns_into_another_error_is_one(tmp_path):
    """What is raised after it is no fault of ours, but comes of it."""
    then = "\n          try: interrupt()\n          except KeyboardInterrupt: raise RuntimeError('no') from None"

    code, out, err = interrupted(importing("torch", then), tmp_path, "weights", "inspect", "synthetic")

    assert (code, out, err) == (130, "", "interrupted\n")


def test_an_interrupt_in_an_import_is_an_exit_code_and_not_a_signal(tmp_path):
    """Python dies of SIGINT where one hit code that an import compiled; a caller must see the code 130."""
    compiled = INTERRUPT + importing("torch", "exec('interrupt()', globals())") + COMMAND
    (tmp_path / "begin.py").write_text(compiled)
    # It does so for a module alone, not for `-c`.
    command = [sys.executable, "-m", "begin", "weights", "inspect", "synthetic"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", NO_FILE)


def test_an_interrupt_while_somebodys_code_runs_is_one_line(tmp_path):
    """The process that runs it is stopped, says what is true, and the one that watches it says nothing more."""
    (tmp_path / "net.py").write_text(
        "import os, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)\nNet = None\n"
    )

    code, out, err = interrupted("", tmp_path, "shapes", "--actual", "net.py", "--output", "out.json")

    assert (code, out, err) == (130, "", NO_FILE)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["net.py"]


def test_an_interrupt_that_is_ignored_stays_ignored(tmp_path):
    """A command that was started with Ctrl-C ignored, as in the background of a script, goes on."""
    ignored = importing("layerdiff.command.report") + "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"

    code, out, err = interrupted(ignored, tmp_path, "report", SAVED, "--stat")

    assert (code, err) == (0, "")
    assert "different" in out
