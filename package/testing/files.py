"""Reports of tests as files: a folder for each test, in it the run as JSON and what people read."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from pathlib import Path

from layerdiff.compare.render.forms import rendered
from layerdiff.compare.result import Report, Run
from layerdiff.compare.saved import write_file
from layerdiff.environment import describe_environment
from layerdiff.errors import InputError

__all__ = ["cleared", "folder_of", "written"]

_FORMS = {"json": "json", "md": "markdown", "html": "html"}
"""The forms that are written, by the ending of their files; the last is the one that is linked to."""


def written(report: Report, folder: Path, test: str, count: int) -> str:
    """Write the report of a test's comparison number `count`, and give the link to it.

    Raises:
        InputError: it cannot be written; nothing half-written is left.
    """
    run = Run({**_environment(), "test": test}, (report,))
    home = folder_of(folder, test)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{home}: cannot be made, got {error.strerror}, expected a folder for reports") from None
    path = home
    for ending, form in _FORMS.items():
        path = home / (f"report.{ending}" if count == 1 else f"report_{count}.{ending}")
        write_file(path, rendered(run, form).encode())
    return path.resolve().as_uri()


def cleared(folder: Path, test: str) -> None:
    """Remove the reports that an earlier session wrote for this test, and nothing else."""
    home = folder_of(folder, test)
    for path in home.glob("report*"):
        if re.fullmatch(rf"report(_\d+)?\.({'|'.join(_FORMS)})", path.name):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        home.rmdir()


def folder_of(folder: Path, test: str) -> Path:
    """The folder of one test: its id in signs that every file system takes, and a part of its hash to tell it apart."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", test)[-80:].strip("._")
    return folder / f"{name}-{hashlib.sha256(test.encode(errors='backslashreplace')).hexdigest()[:8]}"


@functools.cache
def _environment() -> dict[str, str]:
    return describe_environment()
