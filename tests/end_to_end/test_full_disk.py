"""A full disk and a stdout that takes nothing: every file is whole or as it was, and a line says what happened."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from layerdiff.command.options import REPORT_FORMS
from layerdiff.compare import saved
from layerdiff.compare.capture import capture
from layerdiff.compare.saved import read_run, run_to_json, write_file, write_trace
from layerdiff.errors import InputError
from layerdiff.handwritten import numpy_resnet
from layerdiff.reference import export_safetensors, export_text, load_weights

SAVED = Path(__file__).parents[1] / "compare" / "saved_runs" / "first.json"

LIMITED = "import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, 2 * (int(sys.argv.pop()),))\n"
COMMAND = "from layerdiff.command.entry import main; main()"


def report(form: str, *arguments: str, before: str = "", **streams: object) -> subprocess.CompletedProcess[str]:
    """`layerdiff report` on a saved run."""
    code = [sys.executable, "-P", "-c", before + COMMAND, "report", str(SAVED), "--format", form, *arguments]
    return subprocess.run(code, text=True, check=False, timeout=600, **streams)  # type: ignore[call-overload]


@pytest.mark.parametrize("form", REPORT_FORMS)
def test_a_full_disk_leaves_no_part_of_a_report(tmp_path, form):
    """Of every form, with room for half of it: no file is left, an old one is as it was, and a line says why."""
    (tmp_path / "old").write_text("old")
    half = str(len(report(form, stdout=subprocess.PIPE).stdout) // 2)
    for name in ("new", "old"):
        done = report(form, "--output", name, half, before=LIMITED, cwd=tmp_path, stderr=subprocess.PIPE)

        assert (done.returncode, done.stderr) == (2, f"error: {name}: cannot be written, got File too large\n")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "old"


@pytest.mark.parametrize("form", REPORT_FORMS)
def test_a_full_stdout_is_said(form):
    """A report that cannot be printed is exit code 2, never 1, in one line."""
    with Path("/dev/full").open("w") as full:
        done = report(form, stdout=full, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (2, "error: stdout: cannot be written, got No space left on device\n")


@pytest.mark.parametrize("form", REPORT_FORMS)
def test_a_reader_that_has_gone_is_no_matter(form):
    """As in `layerdiff report ... | head -1`: nothing is said, and the code is not that of a difference."""
    reader, writer = os.pipe()
    os.close(reader)
    done = report(form, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)

    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.parametrize("arguments", [["--help"], ["report", "--help"], ["report"], ["report", "none.json"]], ids=str)
@pytest.mark.parametrize("which", ["full", "gone"])
def test_what_is_no_report_cannot_be_said_either(tmp_path, arguments, which):
    """Help and errors that nobody can be told are exit code 2 as well."""
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("w") as full:
        stream = full if which == "full" else writer
        done = subprocess.run(
            [sys.executable, "-P", "-c", COMMAND, *arguments], stdout=stream, stderr=stream, cwd=tmp_path, check=False
        )
    os.close(writer)

    assert done.returncode == 2


def test_help_on_a_full_stdout_is_no_fault_of_ours():
    """It is said in the same words as for a report."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-c", COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.stderr == "error: stdout: cannot be written, got No space left on device\n"


@contextlib.contextmanager
def room(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def writers() -> dict[str, Callable[[Path], None]]:
    """What writes a file or a folder, by the suffix of what it writes."""
    weights = load_weights("synthetic", "resnet18")
    network = numpy_resnet.build("resnet18")
    trace = capture(network, np.zeros((1, 3, 32, 32), np.float32), name="one", until="layer1", keep=True)
    run = read_run(SAVED)
    return {
        "a run": lambda path: write_file(path, run_to_json(run)),
        "a trace": lambda path: write_trace(trace, path),
        "weights": lambda path: export_safetensors(weights, path),
        "a text dump": lambda path: export_text(weights, path, overwrite=True),
    }


@pytest.mark.parametrize("what", ["a run", "a trace", "weights", "a text dump"])
def test_whatever_is_written_is_whole_or_not_there(writers, tmp_path, what):
    """Runs, traces, weights and folders, with room for some of it: no part is left, and the old one is as it was."""
    old = tmp_path / "old"
    if what == "a text dump":
        old.mkdir()
        (old / "file").write_text("old")
    else:
        old.write_text("old")
    for name in ("new", "old"):
        with room(3000), pytest.raises(InputError, match=f"{name}: cannot be written, got File too large"):
            writers[what](tmp_path / name)

    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (old / "file" if old.is_dir() else old).read_text() == "old"


def test_no_space_has_its_words(tmp_path, monkeypatch):
    """The system's own word for a full disk is repeated."""

    class Full:
        def __init__(self, descriptor: int, mode: str) -> None:
            os.close(descriptor)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, content: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(saved.os, "fdopen", Full)

    with pytest.raises(InputError, match=r"run\.json: cannot be written, got No space left on device$"):
        write_file(tmp_path / "run.json", b"{}")
    assert list(tmp_path.iterdir()) == []
